//! Values as `postcard`'s bytes: those of recordings and records, of frames between processes, and of a step's shape.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

/// Appends the value's bytes.
pub fn put<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    postcard::serialize_with_flavor(value, Appended(bytes))
        .expect("memory takes it, and its lists have lengths");
}

/// As `postcard::to_io`, which goes through an `io::Write` for each byte: that takes twice as long.
struct Appended<'a>(&'a mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
