//! How the history that the checker judges comes to be: calls of clients recorded as operations, and the file that they
//! are written to.

mod file;
mod recorder;

pub use self::file::HistoryFile;
pub use self::recorder::{Callers, Pending};
