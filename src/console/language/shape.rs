//! Shapes of a partition: named ones, and groups of targets that are resolved when the directive runs.

use std::fmt;

use super::error::ParseError;
use super::target::{Target, in_order, nearest_target, node};
use crate::text::suggest::nearest;
use crate::text::{joined, shorten};
use crate::types::NodeId;

/// The names of shapes, beside groups.
pub(super) const SHAPES: [&str; 4] = ["halves", "minority", "bridge", "ring"];

/// How a partition separates the nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PartitionShape {
    /// These groups, two or more, each never empty. Nodes that no group has form one more group.
    Groups(Vec<Group>),
    /// Two halves, as even as can be.
    Halves,
    /// A minority, drawn from the seed, against the rest.
    Minority,
    /// Two halves that both reach this node.
    Bridge(Target),
    /// Each node reaches its two neighbors only.
    Ring,
}

/// One side of a partition: the nodes that it names, in order, then the words that stand for nodes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Group {
    pub nodes: Vec<NodeId>,
    pub words: Vec<Target>,
}

impl PartitionShape {
    /// The shape that these words begin with, and how many of them it takes; none without a word.
    pub(super) fn read(words: &[String]) -> Result<Option<(PartitionShape, usize)>, ParseError> {
        let Some(first) = words.first() else { return Ok(None) };
        Ok(Some(match (first.to_lowercase().as_str(), words) {
            ("halves", _) => (PartitionShape::Halves, 1),
            ("ring", _) => (PartitionShape::Ring, 1),
            ("minority", [_]) => (PartitionShape::Minority, 1),
            ("bridge", [_]) => {
                return Err(ParseError::new("bridge over which node? e.g. partition bridge n3"));
            }
            ("bridge", [_, middle, ..]) => (PartitionShape::Bridge(Target::read_single(middle)?), 2),
            _ => (groups(words)?, words.len()),
        }))
    }
}

/// `n1 n2 / n3`: names with spaces or commas between them, groups with a slash between them.
fn groups(words: &[String]) -> Result<PartitionShape, ParseError> {
    let mut groups = vec![Group::default()];
    for word in words {
        for part in word.split_inclusive('/') {
            let names = part.trim_end_matches('/');
            let group = groups.last_mut().expect("begun with one group");
            names.split(',').filter(|name| !name.is_empty()).try_for_each(|name| group.add(name))?;
            if names.len() < part.len() {
                groups.push(Group::default());
            }
        }
    }
    let named: Vec<NodeId> = groups.iter().flat_map(|group| group.nodes.iter().copied()).collect();
    match groups.as_mut_slice() {
        [one] => Err(ParseError::new(format!(
            "partition needs two groups or more: put / between them, as in {}",
            if one.words.is_empty() { "n1 n2 / n3" } else { "leader / followers" }
        ))),
        groups if groups.iter().any(|group| group.nodes.is_empty() && group.words.is_empty()) => {
            Err(ParseError::new("partition has an empty group: name nodes on both sides of each /"))
        }
        _ if in_order(named.clone()).len() < named.len() => {
            Err(ParseError::new("partition names a node twice: each belongs to one group"))
        }
        groups => {
            for group in groups.iter_mut() {
                group.nodes.sort_unstable();
            }
            Ok(PartitionShape::Groups(groups.to_vec()))
        }
    }
}

impl Group {
    fn add(&mut self, name: &str) -> Result<(), ParseError> {
        match Target::word(name) {
            Some(word) if self.words.contains(&word) => {}
            Some(word) => self.words.push(word),
            None => self.nodes.push(node(name).map_err(|_| unknown_member(name))?),
        }
        Ok(())
    }
}

fn unknown_member(name: &str) -> ParseError {
    let near = nearest(name, &SHAPES.into_iter()).map(str::to_string).or(nearest_target(name));
    let advice = match near {
        Some(near) => format!("did you mean '{near}'?"),
        None => "groups as in n1 n2 / n3 or leader / followers, or halves, minority, bridge NODE, ring"
            .to_string(),
    };
    ParseError::new(format!("'{}' is neither a node nor a shape: {advice}", shorten(name)))
}

impl fmt::Display for PartitionShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartitionShape::Groups(groups) => f.write_str(&joined(groups, " / ")),
            PartitionShape::Halves => f.write_str("halves"),
            PartitionShape::Minority => f.write_str("minority"),
            PartitionShape::Bridge(node) => write!(f, "bridge {node}"),
            PartitionShape::Ring => f.write_str("ring"),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes.iter().map(NodeId::to_string);
        let members: Vec<String> = nodes.chain(self.words.iter().map(Target::to_string)).collect();
        f.write_str(&members.join(" "))
    }
}
