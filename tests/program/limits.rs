//! What the system grants too little of: the advice names it, and a start that is refused leaves nothing behind. What nodes
//! keep is their owner's alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Folder, Ran};

impl Folder {
    /// Runs a cluster that may have no more files open than this.
    fn with_files(&self, limit: u32, options: &str, lines: &str) -> Ran {
        let line = format!("ulimit -n {limit} && exec {} {options}", env!("CARGO_BIN_EXE_cluster"));
        self.run("sh", &["-c", &line], lines)
    }

    fn holds(&self) -> Vec<String> {
        let found = fs::read_dir(self.path("")).expect("the folder can be read");
        found.map(|item| item.expect("a file").file_name().to_string_lossy().into_owned()).collect()
    }
}

const SAID: &str =
    "raise the limit of open files (ulimit -n): a cluster needs up to 8 for each node, and 16 beside";

#[test]
fn a_start_without_enough_files_names_the_limit_and_leaves_nothing_behind() {
    for limit in [14, 20, 64] {
        let folder = Folder::new();
        let reason = folder.with_files(limit, "99 --history history", "status\n").refusal();
        assert!(reason.contains("Too many open files") && reason.ends_with(SAID), "{limit}: {reason}");
        assert_eq!(folder.holds(), Vec::<String>::new(), "{limit}");
    }
}

#[test]
fn a_node_that_may_open_no_more_files_names_the_limit() {
    let folder = Folder::new();
    folder.write("small.toml", "segment_bytes = 600\nsnapshot_entries = 10\n");
    let puts: Vec<String> = (1..=60).map(|number| format!("put k{number} v --timeout 300ms\n")).collect();
    let lines = format!("wait leader 2s\n{}", puts.concat());
    let ran = folder.with_files(15, "3 --keep-going --config small.toml", &lines);
    let said = format!("{}{}", ran.out, ran.err);
    assert!(said.contains("Too many open files") && said.contains(SAID), "{said}");

    // As many as it says are enough, snapshots and all.
    let folder = Folder::new();
    folder.write("small.toml", "segment_bytes = 600\nsnapshot_entries = 10\n");
    let lines = lines + "crash n1\nput a 1\nrestart n1 --wipe\nwait converged\n";
    folder.with_files(16 + 3 * 8, "3 --config small.toml", &lines).exits(0);
}

#[test]
fn a_start_that_is_refused_leaves_no_folder_and_no_file_behind() {
    let folder = Folder::new();
    folder.write("file", "");
    for options in [
        &["3", "--states", "file", "--history", "history"][..],
        &["3", "--logs", "file", "--states", "deep/states"],
        &["3", "--logs", "new/logs", "--states", "file/states"],
    ] {
        folder.cluster(options, "").refusal();
        assert_eq!(folder.holds(), ["file"], "{options:?}");
    }
    let files = ["--report", "r.html", "--history", "history"];
    let load = [&["--csv", "r.csv", "--states", "file"], &files[..]].concat();
    assert_ne!(folder.client_load(&load).code, 0);
    assert_eq!(folder.holds(), ["file"], "client_load");
    folder.simulate(&[&["3", "--script", "-", "--heartbeat", "10s"], &files[..]].concat(), "").refusal();
    assert_eq!(folder.holds(), ["file"], "simulate");
    // What is there already stays, and what lies beside it.
    fs::create_dir(folder.path("states")).expect("a folder");
    folder.write("states/n2", "in the way");
    folder.cluster(&["3"], "").refusal();
    let left: Vec<_> = fs::read_dir(folder.path("states")).expect("it stays").collect();
    assert_eq!((left.len(), folder.path("logs").exists()), (1, false), "{left:?}");
    fs::remove_file(folder.path("states/n2")).expect("it can be moved out of the way");
    folder.cluster(&["3"], "wait leader\ncreate a 1\n").exits(0);
    folder.write("old", "a history of before");
    folder.write("states/n2/state.json", "damaged");
    folder.cluster(&["3", "--history", "old"], "").refusal();
    assert_eq!(folder.read("old"), "a history of before", "it is replaced by a run alone");
}

#[track_caller]
fn private(path: &Path) -> usize {
    let metadata = fs::metadata(path).expect("it is there");
    let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
    assert_eq!(metadata.permissions().mode() & 0o777, expected, "{}", path.display());
    if !metadata.is_dir() {
        return 1;
    }
    let inside = fs::read_dir(path).expect("its owner may read it");
    1 + inside.map(|item| private(&item.expect("a file").path())).sum::<usize>()
}

#[test]
fn what_nodes_keep_and_clients_were_told_is_private() {
    let folder = Folder::new();
    folder.write("small.toml", "segment_bytes = 600\nsnapshot_entries = 10\n");
    let puts: Vec<String> = (1..=40).map(|number| format!("put k{number} v\n")).collect();
    // The third gets its snapshot from another.
    let lines = format!("wait leader\ncrash n3\n{}snapshot n1\nrestart n3\nwait converged\n", puts.concat());
    folder.cluster(&["3", "--config", "small.toml", "--history", "history"], &lines).exits(0);
    folder.client_load(&["--memory", "--count", "5", "--history", "told"]).exits(0);
    let _ = private(&folder.path("told"));
    let found = private(&folder.path("states"));
    assert!(found > 3 * (1 + 4), "state, log, lock and snapshot of each node: {found}");
    private(&folder.path("history"));
}
