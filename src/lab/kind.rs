//! The kinds of labs.

use derive_more::Display;

/// What stands behind a lab.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display)]
pub enum LabKind {
    /// A cluster on threads of this program.
    #[display("threads")]
    Threads,
    /// Nodes in processes of their own.
    #[display("processes")]
    Processes,
    /// Virtual time.
    #[display("simulator")]
    Simulator,
    /// A recording, whose steps are made again.
    #[display("record")]
    Record,
}
