//! Values as `postcard`'s bytes: those of recordings and records, of frames between processes, and of a step's shape.

use serde::Serialize;

/// Appends the value's bytes.
pub fn put<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    postcard::to_io(value, bytes).expect("memory takes it, and its lists have lengths");
}
