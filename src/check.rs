//! Checks of whole runs: what no single node can see.
//!
//! Pure: a driver tells what each node did, in the order in which it happened, or what each client was told, and asks
//! for verdicts.

pub mod history;
pub mod linearizability;
pub mod model;
pub mod property;
pub mod records;
pub mod replay;
pub mod safety;
mod window;
