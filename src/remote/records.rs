//! What the nodes wrote down of their steps, read over links and judged together.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use super::node_link::NodeLink;
use super::protocol::{Answer, Question};
use crate::check::property::Verdict;
use crate::check::records::{Following, unframe};
use crate::lab::LabError;
use crate::storage::records::{Page, Stored, read_all};
use crate::types::NodeId;

/// Nodes that are read at a time.
const AT_ONCE: usize = 4;

/// Empty pages in a row after which a node is not asked on.
const EMPTY_MAX: usize = 10;

/// Reads what is new at each check, and judges it with what it read before.
#[derive(Debug, Default)]
pub(super) struct RecordsReader {
    following: Following,
}

/// What was read of a node; and why no more, if there is more.
struct Part {
    node: NodeId,
    pages: Vec<Page>,
    failed: Option<LabError>,
}

impl RecordsReader {
    /// Whether the records that were read begin with the cluster.
    pub fn reach_back(&self) -> bool {
        self.following.reaches_back()
    }

    /// Judges what the nodes have written down so far.
    ///
    /// First each says where its logical clock stands. Then each hears the latest of these: what it writes from then on is
    /// later, so what it wrote up to that moment can be read to its end.
    ///
    /// Those in `ended` have no process: what they wrote is read in these folders.
    pub fn judge(
        &mut self,
        links: &BTreeMap<NodeId, NodeLink>,
        ended: &BTreeMap<NodeId, PathBuf>,
    ) -> Vec<Verdict> {
        let running = links.keys().filter(|node| !ended.contains_key(node));
        let ends: Vec<(NodeId, u64)> = running.map(|node| (*node, self.following.end(*node))).collect();
        let clocks = of_all(&ends, |node, from| Part::first(&links[&node], node, from));
        let until = clocks.iter().flat_map(|part| &part.pages).map(|page| page.clock).max().unwrap_or(0);
        let answering: Vec<(NodeId, u64)> = ends
            .into_iter()
            .zip(&clocks)
            .filter(|(_, part)| part.failed.is_none())
            .map(|(end, _)| end)
            .collect();
        let read = of_all(&answering, |node, from| Part::whole(&links[&node], node, from, until));
        let is_out_of_sight = |node: &NodeId| !links.contains_key(node) && !ended.contains_key(node);
        let without_link = self.following.nodes().filter(is_out_of_sight);
        let mut silent: Vec<_> = without_link.map(|node| (node, "it was removed here".to_string())).collect();
        for (node, folder) in ended {
            if let Err(error) = self.take_stored(*node, folder) {
                silent.push((*node, error.to_string()));
            }
        }
        for Part { node, pages, failed } in
            clocks.into_iter().filter(|part| part.failed.is_some()).chain(read)
        {
            let life = pages.last().map(|page| page.life);
            for page in pages {
                self.following.take(node, page.from, &page.bytes);
            }
            match (failed, life) {
                (Some(error), _) => silent.push((node, error.to_string())),
                (None, Some(life)) => self.following.note_life(node, life),
                (None, None) => {}
            }
        }
        self.following.judge(until, &silent)
    }

    /// Takes what is new in the files of a node whose process has ended.
    fn take_stored(&mut self, node: NodeId, folder: &Path) -> io::Result<()> {
        let Some(Stored { from, bytes }) = read_all(folder)? else { return Ok(()) };
        // The last record may be half a one, which the next life cuts off.
        let whole = &bytes[..whole_records(&bytes)];
        let known = self.following.end(node);
        let new = known.checked_sub(from).and_then(|read| whole.get(usize::try_from(read).ok()?..));
        match new {
            Some(new) => self.following.take(node, known, new),
            None if known < from => self.following.take(node, from, whole),
            // More was read while it ran.
            None => {}
        }
        Ok(())
    }
}

/// Bytes of the records at the beginning that are whole, or cannot be read.
fn whole_records(bytes: &[u8]) -> usize {
    let mut end = 0;
    loop {
        match unframe(&bytes[end..]) {
            Ok(Some((_, length))) => end += length,
            Ok(None) => return end,
            Err(_) => return bytes.len(),
        }
    }
}

/// Asks several nodes at a time.
fn of_all(nodes: &[(NodeId, u64)], ask: impl Fn(NodeId, u64) -> Part + Sync) -> Vec<Part> {
    let ask = &ask;
    let some = |nodes: &[(NodeId, u64)]| {
        thread::scope(|scope| {
            let asked: Vec<_> =
                nodes.iter().map(|&(node, from)| scope.spawn(move || ask(node, from))).collect();
            asked
                .into_iter()
                .map(|asked| asked.join().expect("a question does not panic"))
                .collect::<Vec<_>>()
        })
    };
    nodes.chunks(AT_ONCE).flat_map(some).collect()
}

impl Part {
    /// Where the node's clock stands.
    fn first(link: &NodeLink, node: NodeId, from: u64) -> Part {
        match page(link, from, 0) {
            Ok(page) => Part { node, pages: vec![Page { bytes: Vec::new(), ..page }], failed: None },
            Err(error) => Part { node, pages: Vec::new(), failed: Some(error) },
        }
    }

    /// All that was written behind a place before the node heard of this moment.
    fn whole(link: &NodeLink, node: NodeId, from: u64, until: u64) -> Part {
        let mut part = Part { node, pages: Vec::new(), failed: None };
        let (mut place, mut end, mut empty) = (from, None, 0);
        loop {
            let page = match page(link, place, until) {
                Ok(page) => page,
                Err(error) => return Part { failed: Some(error), ..part },
            };
            let end = *end.get_or_insert(page.end);
            place = page.from + page.bytes.len() as u64;
            // A page whose file was overwritten while it was read is empty, and the next one begins later.
            empty = if page.bytes.is_empty() { empty + 1 } else { 0 };
            part.pages.push(page);
            if place >= end {
                return part;
            }
            if empty > EMPTY_MAX {
                return Part { failed: Some(LabError::new("its records end too early")), ..part };
            }
        }
    }
}

fn page(link: &NodeLink, from: u64, clock: u64) -> Result<Page, LabError> {
    match link.ask(Question::Records { from, clock })? {
        Answer::Records(page) => Ok(page),
        other => Err(LabError::new(format!("it answers what was not asked: {other:?}"))),
    }
}
