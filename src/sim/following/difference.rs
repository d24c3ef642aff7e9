//! Where a replay came out otherwise, and what it found in all.

use std::fmt;

use crate::types::{NodeId, Time};

/// Where a replay came out otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    pub node: NodeId,
    /// Which step of the node, counted from 1.
    pub step: u64,
    pub time: Time,
    /// What is another.
    pub field: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { node, step, time, field } = self;
        write!(f, "{node} step {step} at {time}: {field} differ from the recording")
    }
}

/// What a replay found so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayReport {
    /// Steps that were made again.
    pub steps: u64,
    /// Steps behind a gap, which could not be.
    pub skipped: u64,
    pub differences: Vec<Difference>,
    pub damage: Option<String>,
}
