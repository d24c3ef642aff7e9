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
    /// Several of these words, with commas between them.
    Choices {
        name: &'static str,
        words: &'static [&'static str],
    },
    Node,
    /// A node, or this word.
    NodeOr(&'static str),
    /// A target that is one node.
    OneNode,
    /// The same, for the condition in another slot.
    NodeOfCondition,
    Target,
    /// Several nodes, with commas or spaces between them.
    Nodes,
    /// Which nodes: the same ones, however often it is resolved.
    SteadyTarget,
    Link,
    Duration,
    DurationAboveZero,
    /// A duration, or this word.
    DurationOr(&'static str),
    /// This word and a duration: `jitter 5ms`.
    Named(&'static str),
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
    /// The name of a setting that may change while a cluster runs, with `-` or `_`.
    Setting,
    /// The name of a verb or of a topic of the help.
    Subject,
    Shape,
    Condition {
        answers: bool,
    },
    /// A directive: the rest of the line.
    Line,
}

impl Kind {
    /// What is asked, behind the verb, when it is missing.
    pub(super) fn question(self) -> &'static str {
        match self {
            Kind::Target | Kind::SteadyTarget => "whom",
            Kind::Nodes => "which nodes",
            Kind::Node | Kind::NodeOr(_) | Kind::OneNode | Kind::NodeOfCondition => "which node",
            Kind::Link => "which link",
            Kind::Duration | Kind::DurationAboveZero | Kind::Named(_) => "how long",
            Kind::DurationOr(_) => "when",
            Kind::Percent => "how many",
            Kind::Count | Kind::Number => "which number",
            Kind::Speed => "how fast",
            Kind::Key => "which key",
            Kind::Value => "with which value",
            Kind::Shape => "how",
            Kind::Condition { answers: false } => "for what",
            Kind::Choice { .. } => "which one",
            Kind::Choices { .. } => "which ones",
            Kind::Condition { answers: true }
            | Kind::Text
            | Kind::Line
            | Kind::Subject
            | Kind::Flag
            | Kind::Word(_) => "what",
            Kind::Setting => "which setting",
            Kind::File => "which file",
            Kind::Token => "which token",
        }
    }
}
