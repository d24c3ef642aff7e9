//! What the files say, for a person and for a program.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::raft::membership::Configured;
use crate::storage::disk::Disk;
use crate::storage::real::{Holder, RealDisk};
use crate::storage::remains::{self, Remains};
use crate::storage::survivors::{Choice, Survivors};
use crate::text::counted;
use crate::text::layout::{Align, table};
use crate::types::{LogIndex, Member, NodeId};

/// A node's folder as it was found.
pub(in crate::programs) struct Folder {
    pub path: PathBuf,
    pub remains: Remains,
    /// The process that uses it, if one does.
    pub holder: Option<Holder>,
}

/// Reads the folders of nodes among these and in them.
pub(in crate::programs) fn examine(given: &[PathBuf]) -> Result<Vec<Folder>, String> {
    let mut folders = Vec::new();
    for path in given {
        let found = node_folders(path)?;
        if found.is_empty() {
            return Err(format!(
                "{} holds no node's files: name the folder with the nodes' state",
                path.display()
            ));
        }
        for path in found {
            let disk = RealDisk::new(&path);
            let remains = remains::examine(&disk).map_err(|error| error.to_string())?;
            folders.push(Folder { holder: disk.holder(), path, remains });
        }
    }
    Ok(folders)
}

/// The folder itself if a node's files are in it, else those in it that are named after nodes.
pub(in crate::programs) fn node_folders(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("{} cannot be read: {error}", path.display());
    let holds_files =
        |path: &Path| RealDisk::new(path).list().map(|names| names.iter().any(|name| is_file_of_node(name)));
    if !path.is_dir() {
        return Err(format!("{} is no folder", path.display()));
    }
    if holds_files(path).map_err(unreadable)? {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    for name in NodeId::first(crate::types::NODES_MAX) {
        let folder = path.join(name.to_string());
        if folder.is_dir() && holds_files(&folder).map_err(unreadable)? {
            found.push(folder);
        }
    }
    Ok(found)
}

fn is_file_of_node(name: &str) -> bool {
    name == "state.json" || name.starts_with("log-") || name.starts_with("snapshot-")
}

/// The lines for a person.
pub(super) fn lines(
    folders: &[Folder],
    survivors: &Survivors,
    recover: &str,
    given: &[PathBuf],
) -> Vec<String> {
    let effective = survivors.effective();
    let members =
        effective.as_ref().map_or("no member known".to_string(), |found| found.configuration.to_string());
    let mut lines = vec![format!("cluster {}, epoch {}: {members}", survivors.cluster, survivors.epoch)];
    lines.extend(overview(folders, survivors));
    lines.extend(configurations(survivors));
    lines.extend(folders.iter().flat_map(|folder| folder.remains.files.troubles.iter().cloned()));
    lines.push(String::new());
    if survivors.has_quorum() {
        lines.push("a quorum is here: start the cluster, nothing is lost".to_string());
        return lines;
    }
    lines.push(quorum(survivors));
    lines.extend(certain(survivors));
    let places = given.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let choices = survivors.choices();
    for choice in &choices {
        lines.push(String::new());
        lines.extend(loss(choice, survivors));
        let (node, bound) = (choice.node, choice.bound());
        lines.push(format!("  {recover} {places} --from {node} --accept-loss {bound}.."));
    }
    if choices.is_empty() {
        lines.push("no node can continue: restore its files from a copy first".to_string());
    }
    lines
}

/// Which configurations may have decided, where that is more than one.
fn configurations(survivors: &Survivors) -> Vec<String> {
    let all = survivors.configurations();
    let line = |found: &Configured| {
        let index = found.index;
        let certain =
            if index <= survivors.committed() { "committed" } else { "not certain to be committed" };
        format!("members by entry {index}: {}, {certain}", found.configuration)
    };
    if all.len() > 1 { all.iter().map(line).collect() } else { Vec::new() }
}

fn overview(folders: &[Folder], survivors: &Survivors) -> Vec<String> {
    const ALIGNS: [Align; 9] = [
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Left,
    ];
    let head = ["NODE", "EPOCH", "TERM", "VOTE", "LOG", "LAST", "SNAPSHOT", "COMMITTED", "STATE"];
    let head = head.map(str::to_string).to_vec();
    table(
        &std::iter::once(head).chain(folders.iter().map(|folder| row(folder, survivors))).collect::<Vec<_>>(),
        &ALIGNS,
    )
}

fn row(folder: &Folder, survivors: &Survivors) -> Vec<String> {
    let files = &folder.remains.files;
    let node = folder
        .remains
        .member()
        .map_or_else(|| folder.path.display().to_string(), |member| member.to_string());
    let known = |text: Option<String>| text.unwrap_or_else(|| "?".to_string());
    let log = if files.terms.is_empty() {
        "-".to_string()
    } else {
        format!("{}..{}", files.before.next(), files.last())
    };
    let snapshot =
        if files.snapshot.index == LogIndex(0) { "-".to_string() } else { files.snapshot.to_string() };
    vec![
        node,
        known(files.identity.map(|identity| identity.epoch.to_string())),
        known(files.hard_state.map(|state| state.current_term.to_string())),
        known(
            files
                .hard_state
                .map(|state| state.voted_for.map_or_else(|| "-".to_string(), |vote| vote.to_string())),
        ),
        log,
        folder.remains.last().to_string(),
        snapshot,
        folder.remains.committed().to_string(),
        condition(folder, survivors),
    ]
}

fn condition(folder: &Folder, survivors: &Survivors) -> String {
    let files = &folder.remains.files;
    let mut words = Vec::new();
    words.extend((!files.troubles.is_empty()).then(|| "damaged".to_string()));
    let behind = files.identity.is_some_and(|identity| identity.epoch < survivors.epoch);
    words.extend(behind.then(|| "of an earlier epoch: counts for nothing".to_string()));
    let removed = files.hard_state.is_some_and(|state| state.retired);
    words.extend(removed.then(|| "removed from the cluster".to_string()));
    words.extend(folder.holder.map(|holder| holder.to_string()));
    words.join(", ")
}

/// Why no leader is elected.
fn quorum(survivors: &Survivors) -> String {
    let Some(found) = survivors.effective() else {
        return "no quorum: these files name no member of their cluster".to_string();
    };
    let halves = found.configuration.halves().map(|voters| {
        let voters = voters.iter().map(|(&node, &store_id)| Member { node, store_id });
        let (here, gone): (Vec<Member>, Vec<Member>) = voters.partition(|voter| survivors.is_here(*voter));
        let count = here.len() + gone.len();
        let needed = count / 2 + 1;
        format!(
            "{} of {} here, {needed} are needed (without {})",
            here.len(),
            counted(count, "voter"),
            gone.iter().map(|voter| missing(*voter, survivors)).collect::<Vec<_>>().join(" ")
        )
    });
    format!("no quorum: {}", halves.collect::<Vec<_>>().join("; and "))
}

/// A voter that is not here; with its files' number where a folder holds others of its name.
fn missing(voter: Member, survivors: &Survivors) -> String {
    let other = survivors.get(voter.node).and_then(Remains::member).is_some_and(|here| here != voter);
    if other { voter.to_string() } else { voter.node.to_string() }
}

fn certain(survivors: &Survivors) -> Vec<String> {
    let committed = survivors.committed();
    let mut lines = vec![match committed {
        LogIndex(0) => "certain: no entry is proved committed".to_string(),
        _ => format!("certain: all entries up to {committed} were committed"),
    }];
    if let Some(open) = survivors.open() {
        lines.push(format!("not certain: {open} may have been committed and answered, or not"));
    }
    if survivors.may_hide_entries() {
        lines.push(format!(
            "not certain: the nodes that are gone may have committed other entries from {} on, of which no file here tells",
            committed.next()
        ));
    }
    lines
}

/// What would be kept and lost with this node.
pub(in crate::programs) fn loss(choice: &Choice, survivors: &Survivors) -> Vec<String> {
    let Choice { node, certain, kept, lost, open } = choice;
    let mut lines = vec![format!("if {node} continues:")];
    if *certain > LogIndex(0) {
        lines.push(format!("  entries up to {certain} are kept, and were committed"));
    }
    lines.extend(lost.map(|range| format!("  lost for certain: {range}, which were committed")));
    lines.extend(
        kept.map(|range| format!("  kept: {range}, though others may have been committed in their places")),
    );
    lines.extend(open.map(|range| format!("  perhaps lost: {range}, which other survivors hold")));
    if survivors.may_hide_entries() {
        let from = choice.bound().max(survivors.committed().next());
        lines.push(format!("  perhaps lost: what only the nodes that are gone hold, from entry {from} on"));
    }
    if lost.is_none() && open.is_none() && !survivors.may_hide_entries() {
        lines.push("  nothing is lost".to_string());
    }
    lines
}

/// The same for a program.
pub(super) fn json(folders: &[Folder], survivors: &Survivors) -> Value {
    let nodes: Vec<Value> = folders.iter().map(node_json).collect();
    let choices: Vec<Value> = survivors.choices().iter().map(choice_json).collect();
    json!({
        "cluster": survivors.cluster,
        "epoch": survivors.epoch,
        "configuration": survivors.effective().as_ref().map(configured_json),
        "configurations": survivors.configurations().iter().map(configured_json).collect::<Vec<_>>(),
        "quorum": survivors.has_quorum(),
        "committed": survivors.committed(),
        "open": survivors.open(),
        "may_hide_entries": survivors.may_hide_entries(),
        "nodes": nodes,
        "choices": choices,
    })
}

fn configured_json(found: &Configured) -> Value {
    json!({ "index": found.index, "members": *found.configuration })
}

fn node_json(folder: &Folder) -> Value {
    let (remains, files) = (&folder.remains, &folder.remains.files);
    json!({
        "folder": folder.path.display().to_string(),
        "node": remains.node(),
        "files": remains.member().map(|member| member.store_id),
        "epoch": files.identity.map(|identity| identity.epoch),
        "term": files.hard_state.map(|state| state.current_term),
        "vote": files.hard_state.and_then(|state| state.voted_for),
        "first": files.before.next(),
        "last": remains.last(),
        "snapshot": files.snapshot,
        "committed": remains.committed(),
        "in_use": folder.holder.is_some(),
        "troubles": files.troubles,
    })
}

fn choice_json(choice: &Choice) -> Value {
    let mut object = serde_json::to_value(choice).expect("numbers and names always serialize");
    object["accept_loss"] = json!(format!("{}..", choice.bound()));
    object
}
