//! The state at one moment, held apart from the machine that goes on: what a snapshot is made of (section 7).
//!
//! Making an image must be cheap, whatever the size of the state: it is made between two commands. Writing it is not,
//! and happens elsewhere, while the machine goes on.

use std::any::Any;
use std::io;

/// An image of a replica: the state machine's state and the clients' sessions.
pub trait Image: Send + Sync {
    /// Writes it as one value of JSON, piece by piece, never as a whole in memory.
    ///
    /// # Errors
    /// What `out` says.
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()>;

    /// How many items the state holds.
    fn size(&self) -> usize;

    /// For the replica that takes it over, and knows its type.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// Reads an image back from what [`Image::write`] wrote.
///
/// An error says in one line what is wrong with the text.
pub type LoadImage = fn(&mut dyn io::Read) -> Result<Box<dyn Image>, String>;
