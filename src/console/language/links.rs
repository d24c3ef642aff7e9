//! Links: the ways between nodes, or between clients and nodes, that a rule of the network is about. Each side is a target,
//! resolved when the directive runs.

use std::fmt;

use super::error::ParseError;
use super::target::{Target, nearest_target};
use crate::text::shorten;
use crate::text::suggest::nearest;

/// What may stand for the clients' side, and for all their links.
const CLIENTS: &str = "clients";

/// What may stand for the links between nodes.
const NODES: &str = "nodes";

/// What a link that is not understood is answered with.
const FORMS: &str = "write n1>n3 (one way), n1<>n3 (both ways), n1>clients, clients or nodes";

/// What people write between two nodes, beside `>` and `<>`.
const ARROWS: &[char] = &['<', '>', '-', '=', '~', '/', '\u{2190}', '\u{2192}', '\u{2194}'];

/// The links that a rule is about; a rule without any is about every link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Links {
    /// Between clients and nodes, both ways.
    Clients,
    /// Between nodes, both ways.
    Nodes,
    /// From each node of the first side to each of the second.
    OneWay(LinkSide, LinkSide),
    /// Between each node of one side and each of the other.
    Both(LinkSide, LinkSide),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkSide {
    Clients,
    Nodes(Target),
}

impl Links {
    /// From `n1>n3`, `leader<>followers`, `n1>clients`, `clients` or `nodes`.
    pub(super) fn read(text: &str) -> Result<Links, ParseError> {
        if text.eq_ignore_ascii_case(CLIENTS) {
            return Ok(Links::Clients);
        }
        if text.eq_ignore_ascii_case(NODES) {
            return Ok(Links::Nodes);
        }
        let Some((left, arrow, right)) = parts(text) else { return Err(half(text)) };
        if !matches!(arrow, ">" | "<>") {
            return Err(other_arrow(text, left, arrow, right));
        }
        let (left, right) = (LinkSide::read(left)?, LinkSide::read(right)?);
        if left == right && left.is_single() {
            return Err(ParseError::new(format!("{left} has no link to itself: name two ends")));
        }
        Ok(if arrow == ">" { Links::OneWay(left, right) } else { Links::Both(left, right) })
    }
}

impl LinkSide {
    fn read(text: &str) -> Result<LinkSide, ParseError> {
        if text.eq_ignore_ascii_case(CLIENTS) {
            return Ok(LinkSide::Clients);
        }
        Target::read(text).map(LinkSide::Nodes)
    }

    /// Whether it is one end, the same on both sides: a drawn node may be two different ones.
    fn is_single(&self) -> bool {
        match self {
            LinkSide::Clients => true,
            LinkSide::Nodes(target) => target.is_single() && *target != Target::Random,
        }
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Links::Clients => f.write_str(CLIENTS),
            Links::Nodes => f.write_str(NODES),
            Links::OneWay(from, to) => write!(f, "{from}>{to}"),
            Links::Both(one, other) => write!(f, "{one}<>{other}"),
        }
    }
}

impl fmt::Display for LinkSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkSide::Clients => f.write_str(CLIENTS),
            LinkSide::Nodes(target) => target.fmt(f),
        }
    }
}

/// What stands before, in and behind the arrow; none when one of them is missing.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let left = &text[..text.find(ARROWS)?];
    let right = text[left.len()..].trim_start_matches(ARROWS);
    let arrow = &text[left.len()..text.len() - right.len()];
    (!left.is_empty() && !right.is_empty()).then_some((left, arrow, right))
}

/// `n1->n2` means `n1>n2`: other systems write other arrows.
fn other_arrow(text: &str, left: &str, arrow: &str, right: &str) -> ParseError {
    let sides = LinkSide::read(left).and(LinkSide::read(right));
    let backward = arrow.contains(['<', '\u{2190}', '\u{2194}']);
    let forward = arrow.contains(['>', '\u{2192}', '\u{2194}']);
    let advice = match (sides, backward, forward) {
        (Err(_), ..) => FORMS.to_string(),
        (Ok(_), true, true) => format!("write {left}<>{right}"),
        (Ok(_), false, true) => format!("write {left}>{right}"),
        (Ok(_), true, false) => format!("write {right}>{left}"),
        (Ok(_), false, false) => format!("write {left}>{right} (one way) or {left}<>{right} (both ways)"),
    };
    ParseError::new(format!("'{}' is not a link: {advice}", shorten(text)))
}

/// A link of which only one end stands there, or none.
fn half(text: &str) -> ParseError {
    let shown = shorten(text);
    if Target::read(text).is_ok() {
        let other = if text.eq_ignore_ascii_case("n2") { "n1" } else { "n2" };
        return ParseError::new(format!(
            "'{shown}' is one end of a link: write {text}>{other} (one way), {text}<>{other} or {text}<>all"
        ));
    }
    let near = nearest(text, &[CLIENTS, NODES].into_iter()).map(str::to_string);
    let near = near.or(nearest_target(text).map(|target| format!("{target}<>all")));
    let advice = near.map_or(FORMS.to_string(), |near| format!("did you mean '{near}'?"));
    ParseError::new(format!("'{shown}' is not a link: {advice}"))
}
