//! A file of the log: its name and its length.

use crate::types::LogIndex;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Segment {
    pub first: LogIndex,
    pub length: u64,
}

impl Segment {
    pub fn name(&self) -> String {
        format!("log-{:020}.jsonl", self.first.0)
    }

    /// The segment of this name; none when it is another file's.
    pub fn named(name: &str) -> Option<Segment> {
        let digits = name.strip_prefix("log-")?.strip_suffix(".jsonl")?;
        let first = LogIndex(digits.parse().ok()?);
        Some(Segment { first, length: 0 }).filter(|segment| segment.name() == name)
    }
}
