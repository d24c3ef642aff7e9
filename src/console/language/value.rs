//! What may stand in a slot: the kinds of words, how each is read from one word, and how its value is shown again.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::error::ParseError;
use super::form::{Phrase, Place, Slot};
use crate::faults::{End, LinkScope};
use crate::quoting::{quote, word};
use crate::state_machine::kv::KEY_BYTES_MAX;
use crate::text::suggest::advice;
use crate::text::units::{Speed, duration_text, parse_duration, parse_percent, percent_text};
use crate::text::{joined, shorten};
use crate::types::{NodeId, Token};

/// The largest number of commands or entries that a directive may ask for.
pub const COUNT_MAX: usize = 100_000;

/// What a target may be, beside nodes.
pub(super) const TARGETS: [(&str, Target); 6] = [
    ("leader", Target::Leader),
    ("followers", Target::Followers),
    ("random", Target::Random),
    ("minority", Target::Minority),
    ("majority", Target::Majority),
    ("all", Target::All),
];

/// The shapes of a partition, beside groups.
pub(super) const SHAPES: [&str; 4] = ["halves", "minority", "bridge", "ring"];

/// What may stand in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing: the option's name says it all.
    Flag,
    /// This word itself.
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
    /// A word of any text.
    Value,
    File,
    /// All words that are left.
    Text,
    Token,
    /// The name of a verb or of a topic of the help.
    Subject,
    Shape,
    Condition {
        /// Also one about the answer before.
        answers: bool,
    },
}

/// Which nodes a directive is about. What stands for nodes is resolved when the directive runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// These, in order and each once; never none.
    Nodes(Vec<NodeId>),
    Leader,
    /// Every running node but the leader.
    Followers,
    /// One of the running nodes, drawn from the seed.
    Random,
    /// The largest number of nodes that is no majority, drawn from the seed.
    Minority,
    /// The smallest majority, drawn from the seed.
    Majority,
    All,
}

/// Who still reaches whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PartitionShape {
    /// These groups, two or more, without a node in common. Nodes that no group names form one more group.
    Groups(Vec<Vec<NodeId>>),
    /// Two halves, as even as can be.
    Halves,
    /// A minority, drawn from the seed, against the rest.
    Minority,
    /// Two halves that both reach this node.
    Bridge(NodeId),
    /// Each node reaches its two neighbors only.
    Ring,
}

macro_rules! values {
    ($($variant:ident($type:ty)),*) => {
        /// What stands in a slot.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Value {
            Flag,
            $($variant($type)),*
        }

        $(impl<'a> TryFrom<&'a Value> for &'a $type {
            type Error = ();

            fn try_from(value: &'a Value) -> Result<&'a $type, ()> {
                match value {
                    Value::$variant(value) => Ok(value),
                    _ => Err(()),
                }
            }
        })*
    };
}

values! {
    Word(&'static str), Node(NodeId), Target(Target), Link(LinkScope), Duration(Duration), PerMillion(u32),
    Count(usize), Number(u64), Speed(Speed), Text(String), Token(Token), Shape(PartitionShape), Condition(Phrase)
}

impl Kind {
    /// Reads one word. Kinds of several words are read by [`Arguments`](super::arguments::Arguments).
    pub(super) fn read(self, text: &str) -> Result<Value, ParseError> {
        Ok(match self {
            Kind::Flag => Value::Flag,
            Kind::Word(word) if text.eq_ignore_ascii_case(word) => Value::Word(word),
            Kind::Word(word) => return Err(ParseError::new(format!("'{}' is not '{word}'", shorten(text)))),
            Kind::Choice { name, words } => Value::Word(choice(name, words, text)?),
            Kind::Node | Kind::NodeOfCondition => Value::Node(node(text)?),
            Kind::Target => Value::Target(target(text)?),
            Kind::SteadyTarget => Value::Target(steady_target(text)?),
            Kind::Link => Value::Link(link(text)?),
            Kind::Duration | Kind::DurationAboveZero | Kind::Jitter => Value::Duration(parse_duration(text)?),
            Kind::Percent => Value::PerMillion(parse_percent(text)?),
            Kind::Count => Value::Count(count(text)?),
            Kind::Number => Value::Number(number(text)?),
            Kind::Speed => Value::Speed(Speed::parse(text)?),
            Kind::Key => Value::Text(key(text)?),
            Kind::File => Value::Text(file(text)?),
            Kind::Token => Value::Token(text.parse().map_err(ParseError::new)?),
            Kind::Value | Kind::Text | Kind::Subject | Kind::Shape | Kind::Condition { .. } => {
                Value::Text(text.to_string())
            }
        })
    }

    /// A value as it is written in this slot.
    pub(super) fn shown(self, slot: &Slot, value: &Value) -> String {
        match (self, value, slot.place) {
            (Kind::Flag, ..) => slot.name.to_string(),
            (Kind::Jitter, ..) => format!("jitter {value}"),
            (Kind::Text, Value::Text(text), _) => sentence(text).into_owned(),
            (_, _, Place::Option { .. }) if slot.name.starts_with('@') => format!("@{value}"),
            (_, _, Place::Option { .. }) => format!("{} {value}", slot.name),
            _ => value.to_string(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag => Ok(()),
            Value::Word(word) => f.write_str(word),
            Value::Node(node) => node.fmt(f),
            Value::Target(target) => target.fmt(f),
            Value::Link(link) => link.fmt(f),
            Value::Duration(duration) => f.write_str(&duration_text(*duration)),
            Value::PerMillion(chance) => f.write_str(&percent_text(*chance)),
            Value::Count(count) => count.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Speed(speed) => speed.fmt(f),
            Value::Text(text) => f.write_str(&word(text)),
            Value::Token(token) => token.fmt(f),
            Value::Shape(shape) => shape.fmt(f),
            Value::Condition(condition) => condition.fmt(f),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, TARGETS.iter().find(|(_, known)| known == self)) {
            (_, Some((name, _))) => f.write_str(name),
            (Target::Nodes(nodes), None) => f.write_str(&joined(nodes, ",")),
            (_, None) => unreachable!("every other target has a name"),
        }
    }
}

impl fmt::Display for PartitionShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartitionShape::Groups(groups) => {
                let groups: Vec<String> = groups.iter().map(|group| joined(group, " ")).collect();
                f.write_str(&groups.join(" / "))
            }
            PartitionShape::Halves => f.write_str("halves"),
            PartitionShape::Minority => f.write_str("minority"),
            PartitionShape::Bridge(node) => write!(f, "bridge {node}"),
            PartitionShape::Ring => f.write_str("ring"),
        }
    }
}

/// A text of several words, as it stands at the end of a line: plain when its words can stand as they are.
fn sentence(said: &str) -> Cow<'_, str> {
    let plain = said.split(' ').all(|part| matches!(word(part), Cow::Borrowed(_)));
    if plain { Cow::Borrowed(said) } else { Cow::Owned(quote(said)) }
}

fn choice(name: &str, words: &[&'static str], text: &str) -> Result<&'static str, ParseError> {
    let chosen = words.iter().copied().find(|word| text.eq_ignore_ascii_case(word));
    chosen.ok_or_else(|| {
        let advice = advice(text, &words.iter().copied(), &format!("one of {}", words.join(", ")));
        ParseError::new(format!("unknown {name} '{}'{advice}", shorten(text)))
    })
}

fn key(text: &str) -> Result<String, ParseError> {
    match text.len() {
        0 => Err(ParseError::new("a key is not empty: name it")),
        bytes if bytes > KEY_BYTES_MAX => {
            Err(ParseError::new(format!("the key has {bytes} bytes: a key has at most {KEY_BYTES_MAX}")))
        }
        _ => Ok(text.to_string()),
    }
}

fn file(text: &str) -> Result<String, ParseError> {
    match text {
        "" => Err(ParseError::new("a file's name is not empty")),
        text if text.contains('\0') => Err(ParseError::new("a file's name holds no zero byte")),
        text => Ok(text.to_string()),
    }
}

pub(super) fn node(text: &str) -> Result<NodeId, ParseError> {
    text.parse().map_err(|_| ParseError::new(format!("'{}' is not a node's name: n1 to n99", shorten(text))))
}

fn target(text: &str) -> Result<Target, ParseError> {
    if let Some((_, target)) = TARGETS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
        return Ok(target.clone());
    }
    let nodes: Result<Vec<NodeId>, ParseError> = text.split(',').map(node).collect();
    match nodes {
        Ok(nodes) => Ok(Target::Nodes(in_order(nodes))),
        Err(error) if text.contains(',') => Err(error),
        Err(_) => {
            let names = TARGETS.map(|(name, _)| name);
            let forms = format!("write n2, n1,n3, {}", names.join(", "));
            let advice = advice(text, &names.iter().copied(), &forms);
            Err(ParseError::new(format!("'{}' is not a target{advice}", shorten(text))))
        }
    }
}

fn steady_target(text: &str) -> Result<Target, ParseError> {
    match target(text)? {
        drawn @ (Target::Random | Target::Minority | Target::Majority) => Err(ParseError::new(format!(
            "'{drawn}' does not mean the same nodes each time: name them, or leader, followers or all"
        ))),
        target => Ok(target),
    }
}

fn link(text: &str) -> Result<LinkScope, ParseError> {
    if text.eq_ignore_ascii_case("clients") {
        return Ok(LinkScope::Clients);
    }
    let ends = text.split_once("<>").map(|ends| (ends, true));
    let ends = ends.or_else(|| text.split_once('>').map(|ends| (ends, false)));
    let Some(((left, right), both)) = ends.filter(|((left, right), _)| !left.is_empty() && !right.is_empty())
    else {
        let forms = "write n1>n3 (one way), n1<>n3 (both ways), n1>clients or clients";
        let advice = advice(text, &["clients"].into_iter(), forms);
        return Err(ParseError::new(format!("'{}' is not a link{advice}", shorten(text))));
    };
    let end = |text: &str| {
        if text.eq_ignore_ascii_case("clients") { Ok(End::Clients) } else { node(text).map(End::Node) }
    };
    let (left, right) = (end(left)?, end(right)?);
    match both {
        _ if left == right => Err(ParseError::new(format!("{left} has no link to itself: name two ends"))),
        true => Ok(LinkScope::Both(left, right)),
        false => Ok(LinkScope::OneWay(left, right)),
    }
}

fn number(text: &str) -> Result<u64, ParseError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(number),
        _ => Err(ParseError::new(format!("'{}' is not a number: write digits, such as 7", shorten(text)))),
    }
}

fn count(text: &str) -> Result<usize, ParseError> {
    match number(text).map(usize::try_from)? {
        Ok(count) if (1..=COUNT_MAX).contains(&count) => Ok(count),
        _ => Err(ParseError::new(format!("'{}' is out of range: write 1 to {COUNT_MAX}", shorten(text)))),
    }
}

/// `n1 n2 / n3`: names with spaces or commas between them, groups with a slash between them.
pub(super) fn groups(words: &[String]) -> Result<PartitionShape, ParseError> {
    let mut groups: Vec<Vec<NodeId>> = vec![Vec::new()];
    for part in words {
        let names = part.trim_end_matches('/');
        for name in names.split(',').filter(|name| !name.is_empty()) {
            groups.last_mut().expect("begun with one group").push(group_member(name)?);
        }
        if names.len() < part.len() {
            groups.push(Vec::new());
        }
    }
    let named = groups.concat();
    match groups.len() {
        1 => Err(ParseError::new("partition needs two groups or more: put / between them, as in n1 n2 / n3")),
        _ if groups.iter().any(Vec::is_empty) => {
            Err(ParseError::new("partition has an empty group: name nodes on both sides of each /"))
        }
        _ if in_order(named.clone()).len() < named.len() => {
            Err(ParseError::new("partition names a node twice: each belongs to one group"))
        }
        _ => Ok(PartitionShape::Groups(groups.into_iter().map(in_order).collect())),
    }
}

fn group_member(name: &str) -> Result<NodeId, ParseError> {
    node(name).map_err(|_| {
        let forms = "groups as in n1 n2 / n3, or halves, minority, bridge NODE, ring";
        let advice = advice(name, &SHAPES.into_iter(), forms);
        ParseError::new(format!("'{}' is neither a node nor a shape{advice}", shorten(name)))
    })
}

fn in_order(mut nodes: Vec<NodeId>) -> Vec<NodeId> {
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_text_is_quoted_as_a_whole_or_not_at_all() {
        assert_eq!(sentence("a b"), "a b");
        assert_eq!(sentence("a  b"), "\"a  b\"");
        assert_eq!(sentence("issue #5"), "\"issue #5\"");
    }
}
