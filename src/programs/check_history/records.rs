//! `check_history --records DIR...`: judges what the nodes of a cluster of processes wrote down, when they do not run any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::UNDECIDED;
use crate::check::records::{Following, node_of};
use crate::console::printer::Output;
use crate::programs::doctor::node_folders;
use crate::storage::real::RealDisk;
use crate::storage::records::{Stored, read_all};
use crate::text::counted;
use crate::types::NodeId;

/// What a folder holds of a node's records.
struct Found {
    path: PathBuf,
    stored: Stored,
}

/// Returns the exit code.
///
/// # Errors
/// There is nothing to judge.
pub(super) fn judge(given: &[PathBuf], output: &Output) -> Result<u8, String> {
    let (mut all, mut silent) = (BTreeMap::new(), Vec::new());
    let mut copies = Vec::new();
    for path in given {
        for folder in node_folders(path)? {
            let shown = folder.display();
            let stored = read_all(&folder).map_err(|error| format!("{shown}: {error}"))?;
            let Some(stored) = stored.filter(|stored| !stored.bytes.is_empty()) else {
                output.warn(&format!("{shown} holds no records: its node never ran as a process"));
                continue;
            };
            let node = node_of(&stored.bytes).map_err(|error| format!("{shown}: its records: {error}"))?;
            if let Some(holder) = RealDisk::new(&folder).holder() {
                silent.push((node, format!("{shown} is {holder}: 'check' at a console judges what runs")));
            }
            let found = Found { path: folder, stored };
            copies.extend(add(&mut all, node, found));
        }
    }
    if all.is_empty() {
        return Err("no folder holds records: nodes write them that are processes".to_string());
    }
    let mut following = Following::default();
    for (node, Found { stored, .. }) in &all {
        following.take(*node, stored.from, &stored.bytes);
    }
    let verdicts = following.judge_all(&silent);
    for line in copies.iter().cloned().chain(verdicts.iter().map(ToString::to_string)) {
        output.progress(&line);
    }
    let bytes: usize = all.values().map(|found| found.stored.bytes.len()).sum();
    output.progress(&format!("judged {} of {}", counted(bytes, "byte"), counted(all.len(), "node")));
    let any = |pass| verdicts.iter().any(|verdict| verdict.pass() == pass);
    let is_open = if any(None) { UNDECIDED } else { 0 };
    Ok(if !copies.is_empty() || any(Some(false)) { 1 } else { is_open })
}

/// Adds the records of a node. Two folders of one node hold the same as far as both reach, or it ran in both.
fn add(all: &mut BTreeMap<NodeId, Found>, node: NodeId, found: Found) -> Option<String> {
    let Some(known) = all.get_mut(&node) else {
        all.insert(node, found);
        return None;
    };
    let (one, other) = (&known.stored, &found.stored);
    let ends = [one, other].map(|stored| stored.from + stored.bytes.len() as u64);
    let (from, end) = (one.from.max(other.from), ends[0].min(ends[1]));
    let part = |stored: &Stored| {
        let [from, end] = [from, end].map(|place| usize::try_from(place.saturating_sub(stored.from)));
        stored.bytes.get(from.ok()?..end.ok()?).map(<[u8]>::to_vec)
    };
    let same = part(one).zip(part(other)).is_some_and(|(one, other)| one == other);
    let said = (!same).then(|| ran_twice(node, &known.path, &found.path));
    if same && ends[1] > ends[0] {
        *known = found;
    }
    said
}

fn ran_twice(node: NodeId, one: &Path, other: &Path) -> String {
    let (one, other) = (one.display(), other.display());
    format!("FAIL one vote a term: {node} ran in {one} and, from a copy of its files, in {other}")
}
