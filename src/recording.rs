//! The recorder: what went into each step of a node, so that the step can be made again.
//!
//! A step is a function of the server, of its clock and of what arrived ([`Server::handle`](crate::server::Server::handle)). So a
//! recording of a node begins with a frame, the server as it was, and holds what each step was given, in the order of the
//! steps. Each step has a number that grows along every message, so the steps of all nodes have an order in which they may have
//! been made; and the shape of what came of it, which a replay compares.
//!
//! Each node keeps its newest steps in a ring in memory ([`FlightRecorder`]). A recording in a folder gets the same bytes.
//!
//! A folder has `record.json`, which says what wrote it; a file for each node, `n1.steps`; and `network.jsonl`, the rules of the
//! network with the times at which they began to hold. A node's file is a list of pieces, each behind its length and
//! two checksums, as in the files of [records](crate::check::records).

pub(crate) mod form;
mod order;
pub(crate) mod reading;
mod recorder;
mod ring;
mod writer;

pub use self::form::MachineMove;
pub use self::reading::{Recording, RecordingError};
pub use self::recorder::{FlightRecorder, StepRecorder};

/// The version of recordings that this program writes, and the only one that it reads.
pub const VERSION: u32 = 7;

/// The file of a folder that says what wrote it.
pub const HEAD_FILE: &str = "record.json";

/// The file of the network's rules.
pub const NETWORK_FILE: &str = "network.jsonl";
