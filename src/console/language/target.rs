//! Targets: which nodes a directive is about, by their names or by a word that is resolved when the directive runs.

use std::fmt;

use super::error::ParseError;
use crate::text::suggest::{advice, nearest};
use crate::text::{joined, shorten};
use crate::types::{NODES_MAX, NodeId};

/// What a target may be, beside nodes.
pub(super) const TARGETS: [(&str, Target); 6] = [
    ("leader", Target::Leader),
    ("followers", Target::Followers),
    ("random", Target::Random),
    ("minority", Target::Minority),
    ("majority", Target::Majority),
    ("all", Target::All),
];

/// Which nodes a directive is about. What stands for nodes is resolved when the directive runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// These, in order and each once; never none.
    Nodes(Vec<NodeId>),
    Leader,
    /// Every node for which the directive makes sense, but the leader.
    Followers,
    /// One of the nodes, drawn from the seed.
    Random,
    /// The largest number of nodes that is no majority, drawn from the seed.
    Minority,
    /// The smallest majority, drawn from the seed.
    Majority,
    All,
}

impl Target {
    /// From `n2` or `n1,n3`.
    pub(super) fn read_nodes(text: &str) -> Result<Target, ParseError> {
        let nodes: Result<Vec<NodeId>, ParseError> = text.split(',').map(node).collect();
        nodes.map(|nodes| Target::Nodes(in_order(nodes)))
    }

    /// From `n2`, `n1,n3` or a word.
    pub(super) fn read(text: &str) -> Result<Target, ParseError> {
        if let Some(target) = Target::word(text) {
            return Ok(target);
        }
        let nodes: Result<Vec<NodeId>, ParseError> = text.split(',').map(node).collect();
        match nodes {
            Ok(nodes) => Ok(Target::Nodes(in_order(nodes))),
            Err(_) if text.ends_with(',') || text.starts_with(',') => {
                let list = "a list of nodes is written without spaces, as n1,n3";
                Err(ParseError::new(format!("'{}' is not a target: {list}", shorten(text))))
            }
            Err(error) if text.contains(',') => Err(error),
            Err(_) => {
                let names = TARGETS.map(|(name, _)| name);
                let forms = format!("write n2, n1,n3, {}", names.join(", "));
                let advice = match numbered(text) {
                    Some(node) => format!(": did you mean '{node}'?"),
                    None => advice(text, &names.iter().copied(), &forms),
                };
                Err(ParseError::new(format!("'{}' is not a target{advice}", shorten(text))))
            }
        }
    }

    /// The target of this word: `leader`, `all`.
    pub(super) fn word(text: &str) -> Option<Target> {
        let (_, target) = TARGETS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name))?;
        Some(target.clone())
    }

    /// As [`Target::read`], of a target that means the same nodes each time.
    pub(super) fn read_steady(text: &str) -> Result<Target, ParseError> {
        match Target::read(text)? {
            drawn @ (Target::Random | Target::Minority | Target::Majority) => Err(ParseError::new(format!(
                "'{drawn}' does not mean the same nodes each time: name them, or leader, followers or all"
            ))),
            target => Ok(target),
        }
    }

    /// As [`Target::read`], of a target that is one node.
    pub(super) fn read_single(text: &str) -> Result<Target, ParseError> {
        match Target::read(text)? {
            target if target.is_single() => Ok(target),
            target => Err(ParseError::new(format!("'{target}' is more than one node: name one, or leader"))),
        }
    }

    /// Whether it is never more than one node.
    pub(super) fn is_single(&self) -> bool {
        match self {
            Target::Nodes(nodes) => nodes.len() == 1,
            Target::Leader | Target::Random => true,
            Target::Followers | Target::Minority | Target::Majority | Target::All => false,
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

/// The word that was probably meant, or the node whose number this is.
pub(super) fn nearest_target(text: &str) -> Option<String> {
    let names = TARGETS.map(|(name, _)| name);
    numbered(text).map(|node| node.to_string()).or(nearest(text, &names.iter().copied()).map(str::to_string))
}

pub(super) fn node(text: &str) -> Result<NodeId, ParseError> {
    text.parse().map_err(|_| {
        let advice = match numbered(text) {
            Some(node) => format!("did you mean '{node}'?"),
            None => format!("n1 to n{NODES_MAX}"),
        };
        ParseError::new(format!("'{}' is not a node's name: {advice}", shorten(text)))
    })
}

/// As [`node`], where this word may stand too.
pub(super) fn node_or(text: &str, word: &str) -> Result<NodeId, ParseError> {
    node(text).map_err(|error| match numbered(text) {
        Some(_) => error,
        None => ParseError::new(format!("{error}, or {word}")),
    })
}

/// The node whose number this is, without its letter.
fn numbered(text: &str) -> Option<NodeId> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    format!("n{text}").parse().ok().filter(|_| digits)
}

pub(super) fn in_order(mut nodes: Vec<NodeId>) -> Vec<NodeId> {
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}
