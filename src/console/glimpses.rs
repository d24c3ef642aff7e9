//! The matrix of logs from the nodes' files alone, while the cluster runs or after: `logs matrix`.

use std::collections::BTreeSet;
use std::fs::read_dir;
use std::path::Path;

use super::matrix::{self, Entries, Frame, Row};
use crate::storage::glimpse::{Glimpse, look};
use crate::storage::real::RealDisk;
use crate::types::NodeId;

/// What the files said at one moment, ready to be drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glimpses {
    pub rows: Vec<Row>,
    pub troubles: Vec<String>,
}

/// Looks at the files of these nodes, or of every node that has some or is named by another's; each with this many of its
/// last entries.
///
/// # Errors
/// The folder cannot be read, or holds no node's files.
pub fn glimpses(states: &Path, nodes: &[NodeId], entries: usize) -> Result<Glimpses, String> {
    let mut names = if nodes.is_empty() { folders(states)? } else { nodes.iter().copied().collect() };
    if names.is_empty() {
        return Err(format!("{} holds no node's state: name its folder with --states", states.display()));
    }
    let mut found = Vec::new();
    let mut members = BTreeSet::new();
    for node in &names {
        let glimpse = look(&RealDisk::new(states.join(node.to_string())), entries);
        if let Ok(Some(Glimpse { configured: Some(configured), .. })) = &glimpse {
            members.extend(configured.configuration.nodes());
        }
        found.push((*node, glimpse));
    }
    if nodes.is_empty() {
        members.retain(|member| !names.contains(member));
        found.extend(members.iter().map(|member| (*member, Ok(Some(Glimpse::default())))));
        names.append(&mut members);
        found.sort_by_key(|(node, _)| *node);
    }
    let mut glimpses = Glimpses { rows: Vec::new(), troubles: Vec::new() };
    for (node, glimpse) in found {
        let (log, end) = match glimpse {
            Ok(Some(glimpse)) => {
                let nothing = glimpse == Glimpse { first: glimpse.first, ..Glimpse::default() };
                let log = if nothing { Err("no files".to_string()) } else { Ok(Entries::from(&glimpse)) };
                let end = if nothing { String::new() } else { end(&glimpse) };
                glimpses.troubles.extend(glimpse.troubles);
                (log, end)
            }
            Ok(None) => (Err("changes faster than it can be read".to_string()), String::new()),
            Err(error) => (Err(error.to_string()), String::new()),
        };
        glimpses.rows.push(Row { node, letter: ' ', term: None, log, end });
    }
    Ok(glimpses)
}

impl Glimpses {
    /// The matrix, and below it what could not be read.
    pub fn draw(&self, frame: Frame) -> String {
        let mut lines = vec![matrix::draw(&self.rows, None, frame)];
        lines.extend(self.troubles.iter().cloned());
        lines.join("\n")
    }
}

fn folders(states: &Path) -> Result<BTreeSet<NodeId>, String> {
    let unreadable =
        |error| format!("{} cannot be read: {error}; --states names the nodes' folder", states.display());
    let mut nodes = BTreeSet::new();
    for item in read_dir(states).map_err(unreadable)? {
        let name = item.map_err(unreadable)?.file_name();
        let name = name.to_str().unwrap_or_default();
        let node = name.parse::<NodeId>().ok().filter(|node| node.to_string() == name);
        nodes.extend(node);
    }
    Ok(nodes)
}

/// What the files say beside the entries: term, vote, snapshot, and where the log begins.
fn end(glimpse: &Glimpse) -> String {
    let mut words = match glimpse.hard_state {
        None => vec!["term ?".to_string()],
        Some(state) => {
            let vote =
                state.voted_for.map_or_else(|| "no vote".to_string(), |vote| format!("vote {}", vote.node));
            vec![format!("term {}", state.current_term), vote]
        }
    };
    if glimpse.snapshot.index.0 > 0 {
        words.push(format!("snapshot {}", glimpse.snapshot));
    }
    if glimpse.first.0 > 1 {
        words.push(format!("log from {}", glimpse.first));
    }
    if glimpse.hard_state.is_some_and(|state| state.retired) {
        words.push("retired".to_string());
    }
    format!("  {}", words.join("  "))
}
