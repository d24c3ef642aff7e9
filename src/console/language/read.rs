//! How each kind is read from one word. Every rejection is one line that says what to write instead.

use super::error::ParseError;
use super::kind::Kind;
use super::phrase::{PartitionShape, SHAPES, TARGETS, Target, Value};
use crate::faults::{End, LinkScope};
use crate::state_machine::kv::KEY_BYTES_MAX;
use crate::text::shorten;
use crate::text::suggest::advice;
use crate::text::units::{Speed, parse_duration, parse_percent};
use crate::types::NodeId;

/// The largest number of commands or entries that a directive may ask for.
pub const COUNT_MAX: usize = 100_000;

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
