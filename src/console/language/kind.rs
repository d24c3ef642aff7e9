//! The kinds of words that may stand in a slot.

/// What may stand in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing: the option's name says it all.
    Flag,
    Word(&'static str),
    Choice {
        name: &'static str,
        words: &'static [&'static str],
    },
    Node,
    /// A node's name that the condition in another slot takes.
    NodeOfCondition,
    Target,
    /// Which nodes: the same ones, however often it is resolved.
    SteadyTarget,
    Link,
    Duration,
    DurationAboveZero,
    /// `jitter` and a duration.
    Jitter,
    /// A percentage, kept in parts of a million.
    Percent,
    Count,
    Number,
    Speed,
    Key,
    Value,
    File,
    Text,
    Token,
    /// The name of a verb or of a topic of the help.
    Subject,
    Shape,
    Condition {
        answers: bool,
    },
}
