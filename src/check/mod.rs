//! Checks of whole runs: what no single node can see.
//!
//! Pure: a driver tells what each node did, in the order in which it happened, and asks for verdicts.

pub mod safety;
