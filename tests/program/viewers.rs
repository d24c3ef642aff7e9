//! `logs`: the nodes' log files as one, and their logs of entries as a picture, from files alone; whatever state the
//! files are in.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use raftlab::console::glimpses::{Glimpses, glimpses};
use raftlab::console::matrix::Frame;
use raftlab::types::{NodeId, Term};

use crate::{Folder, Running, contents};

const LOGS: &str = env!("CARGO_BIN_EXE_logs");

/// A small history with two terms, a snapshot and a crash.
const LINES: &str = "wait leader\nput a 1\nput b 2\nwait converged\nsnapshot n1\ncrash leader\nwait leader\nput c 3\n\
                     restart all\nwait converged\nlog\n";

/// The cells of a picture: what stands behind each node's name, without marks.
fn cells(picture: &str) -> Vec<Vec<String>> {
    let rows = picture.lines().filter(|line| line.starts_with('n'));
    let plain = |row: &str| row[4..].split("  term").next().unwrap_or_default().replace(['|', '!'], " ");
    // At the prompt the node's term stands before the cells.
    let is_cell = |word: &&str| !word.starts_with('t');
    let cells = |row: &str| {
        plain(row).replace('s', " ").split_whitespace().filter(is_cell).map(str::to_string).collect()
    };
    rows.map(cells).collect()
}

fn look(states: &Path) -> Glimpses {
    glimpses(states, &[], 20).expect("the folders are there")
}

#[test]
fn the_merged_logs_are_in_order_and_a_missing_one_is_said() {
    let folder = Folder::new();
    folder.cluster(&["3"], LINES).exits(0);
    let ran = folder.run(LOGS, &[], "").exits(0);
    let times: Vec<&str> = ran.out.lines().map(|line| &line[..27]).collect();
    assert!(times.is_sorted(), "{}", ran.out);
    for words in
        [" n1 INFO  started with", " n2 INFO  started with", " n3 INFO  started with", " WARN  crashed"]
    {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let one = folder.run(LOGS, &["n2"], "").exits(0);
    assert!(one.out.lines().all(|line| line[27..].starts_with(" n2 ")), "{}", one.out);
    let painted = folder.run(LOGS, &["n2", "--color", "always"], "").exits(0);
    assert!(painted.out.contains("\x1b[1mn2\x1b[0m") && !one.out.contains('\x1b'), "{}", painted.out);
    assert!(folder.run(LOGS, &["n9"], "").refusal().contains("no log of n9"));
    assert!(folder.run(LOGS, &["--logs", "nowhere"], "").refusal().contains("nowhere"));
    assert!(folder.run(LOGS, &["matrix", "--states", "nowhere"], "").refusal().contains("nowhere"));
    assert!(folder.run(LOGS, &["matrix", "--window", "0"], "").refusal().contains("try 20"));
}

#[test]
fn followed_logs_show_what_is_written_later_and_what_takes_a_file_s_place() {
    let folder = Folder::new();
    let mut viewer = Running::of(folder.command(LOGS, &["--follow"]));
    viewer.warning("holds no node's log yet");
    folder.cluster(&["3", "--memory"], "wait leader\n").exits(0);
    viewer.answer("leads term 1");
    viewer.answer("stopped");
    fs::rename(folder.path("logs"), folder.path("logs-before")).expect("the folder can be renamed");
    folder.cluster(&["3", "--memory"], "wait leader\n").exits(0);
    viewer.answer("leads term 1");
    viewer.signal("INT");
    assert_eq!(viewer.end().0.code(), Some(130));
}

#[test]
fn the_picture_from_files_is_what_the_nodes_themselves_say() {
    let folder = Folder::new();
    let told = folder.cluster(&["3"], LINES).exits(0).out;
    let matrix = folder.run(LOGS, &["matrix", "--window", "50"], "").exits(0);
    let expected = cells(&told);
    let expected = &expected[expected.len() - 3..];
    assert_eq!(cells(&matrix.out), expected, "{told}\n{}", matrix.out);
    for line in matrix.out.lines().filter(|line| line.starts_with('n')) {
        assert!(line.contains("  term 2  "), "{}", matrix.out);
    }
    assert!(
        matrix.out.contains("  snapshot ") && matrix.out.contains(" covered by the snapshot"),
        "{}",
        matrix.out
    );
    let window = folder.run(LOGS, &["matrix", "n2", "--window", "1"], "").exits(0);
    assert_eq!(cells(&window.out).concat(), ["2"], "{}", window.out);
}

/// Each entry that a picture shows: whose, which, and its term.
fn entries(glimpses: &Glimpses) -> BTreeSet<(NodeId, u64, Term)> {
    let mut entries = BTreeSet::new();
    for row in &glimpses.rows {
        let Ok(log) = &row.log else { continue };
        let indexes = log.before.0 + 1..;
        entries.extend(indexes.zip(&log.terms).filter_map(|(index, term)| Some((row.node, index, (*term)?))));
    }
    entries
}

/// The original's defect U12: its viewers crash on a file that is half written.
#[test]
fn u12_no_file_cut_at_any_byte_gives_a_wrong_cell() {
    let folder = Folder::new();
    folder.cluster(&["3"], LINES).exits(0);
    let states = folder.path("states");
    let whole = entries(&look(&states));
    let mut cuts = 0;
    for (path, content) in contents(&states) {
        for length in 0..content.len() {
            fs::write(&path, &content[..length]).expect("the file can be written");
            let glimpses = look(&states);
            let shown = entries(&glimpses);
            assert!(shown.is_subset(&whole), "{} at {length}: {glimpses:?}", path.display());
            let is_log = path.extension().is_some_and(|end| end == "jsonl");
            assert_eq!(shown.len() < whole.len(), is_log, "{} at {length}: {glimpses:?}", path.display());
            assert!(!glimpses.draw(Frame::default()).is_empty());
            if length % 97 == 0 {
                folder.run(LOGS, &["matrix"], "").exits(0);
            }
            cuts += 1;
        }
        fs::write(&path, &content).expect("the file can be written");
    }
    assert!(cuts > 1000, "the folder is small, and not empty: {cuts}");
    assert_eq!(entries(&look(&states)), whole, "nothing was changed by looking");
}

#[test]
fn a_cluster_that_truncates_and_compacts_never_shows_a_row_that_never_was() {
    let folder = Folder::new();
    folder.write("settings.toml", "segment_bytes = 400\ntrailing_entries = 1\n");
    let round =
        "wait leader\npipe 20\nisolate leader\npipe 20\nsnapshot all\nheal\nwait converged\nsnapshot all\n";
    let lines = round.repeat(3);
    let states = folder.path("states");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut looks, mut rows) = (0, 0);
            while !over.load(Ordering::SeqCst) {
                looks += 1;
                let Ok(glimpses) = glimpses(&states, &[], 30) else { continue };
                assert_eq!(glimpses.troubles, Vec::<String>::new());
                for log in glimpses.rows.iter().filter_map(|row| row.log.as_ref().ok()) {
                    assert!(log.terms.is_sorted(), "{glimpses:?}");
                    rows += usize::from(!log.terms.is_empty());
                }
            }
            (looks, rows)
        });
        let ran = folder.cluster(&["3", "--config", "settings.toml", "--keep-going"], &lines);
        over.store(true, Ordering::SeqCst);
        let (looks, rows) = watcher.join().expect("no row that never was");
        assert!(looks > 20 && rows > 20, "{looks} looks, {rows} rows\n{}", ran.err);
    });
    let matrix = folder.run(LOGS, &["matrix"], "").exits(0);
    assert!(matrix.out.contains("log from"), "segments were dropped: {}", matrix.out);
}

#[test]
fn a_followed_picture_is_drawn_anew_when_something_changed() {
    let folder = Folder::new();
    let mut viewer = Running::of(folder.command(LOGS, &["matrix", "--follow"]));
    viewer.warning("states cannot be read");
    let mut cluster = folder.start(&["3"]);
    cluster.say("wait leader\nput a 1\nwait converged\n");
    viewer.answer("n3     1");
    cluster.say("timeout followers\nput a 2\nquit\n");
    assert!(cluster.end().0.success());
    viewer.answer("  2");
    viewer.signal("INT");
    assert_eq!(viewer.end().0.code(), Some(130));
}
