//! Starts that are refused: the reason on one line, exit code 2, and the files as they were.

use std::fs;

use crate::{Folder, contents};

const SEGMENT: &str = "log-00000000000000000001.jsonl";

/// A folder whose `states` hold `a=1` at all of three nodes.
fn with_state() -> Folder {
    let folder = Folder::new();
    folder.cluster(&["3"], "wait leader\ncreate a 1\nwait converged\n").exits(0);
    folder
}

impl Folder {
    /// The reason for which a start on `states` is refused; it has changed no file.
    #[track_caller]
    fn refused(&self, options: &[&str]) -> String {
        let before = contents(&self.path("states"));
        let reason = self.cluster(options, "wait leader\nread a\n").refusal();
        assert!(before == contents(&self.path("states")), "a start that is refused changes nothing");
        reason
    }

    /// The states are still good.
    #[track_caller]
    fn still_has_it(&self) {
        let ran = self.cluster(&["3"], "wait leader\nread a\n").exits(0);
        assert!(ran.out.starts_with("OK a=1 "), "{}", ran.out);
    }
}

#[test]
fn a_wrong_number_of_nodes_is_a_usage_error() {
    for nodes in ["0", "abc", "100"] {
        let reason = Folder::new().cluster(&[nodes], "").refusal();
        assert!(reason.starts_with(&format!("invalid value '{nodes}'")), "{reason}");
        assert!(reason.contains("a cluster has 1 to 99 nodes: try 3 or 5"), "{reason}");
        assert_eq!(Folder::new().simulate(&[nodes], "").refusal(), reason);
    }
    let reason = Folder::new().simulate(&["figur16"], "").refusal();
    assert!(reason.starts_with("unexpected 'figur16': did you mean 'figure16'?"), "{reason}");
}

#[test]
fn every_setting_is_checked_and_the_broken_rule_named() {
    for (options, said) in [
        (
            &["--heartbeat", "1s", "--election", "150ms..300ms"][..],
            "heartbeat: 1s is above half of election_min",
        ),
        (&["--heartbeat", "0ms"], "heartbeat: 0s is no time"),
        (&["--heartbeat", "soon"], "'soon' is not a duration: write "),
        (&["--election", "300ms..150ms"], "election_min: 300ms is above election_max (150ms)"),
        (&["--election", "1s"], "write it as 150ms..300ms"),
        (&["--batch-window", "10s"], "batch_window: 10s is not below heartbeat (50ms)"),
        (&["--time-scale", "0"], "time_scale: 0 is not within 0.01 to 1000"),
        (&["--time-scale", "-1"], "time_scale: -1 is not within 0.01 to 1000"),
        (&["--time-scale", "NaN"], "time_scale: NaN is not within 0.01 to 1000"),
        (&["--seed", "x"], "a seed is a whole number"),
        (&["--color", "pink"], "[possible values: auto, always, never]"),
        (&["--script", "missing.raft"], "no script 'missing.raft' in this folder, in scripts, or built in: "),
        (&["--config", "missing.toml"], "missing.toml cannot be read: there is no such file"),
        (&["--memory", "--fresh"], "cannot be used with '--fresh'"),
        (&["--states", ""], "a value is required for '--states <DIR>'"),
        (&["--sede", "1"], "unknown option '--sede': did you mean '--seed'?"),
        (&["5", "--nodes", "3"], "5 nodes, or --nodes 3? give the number of nodes once"),
    ] {
        let folder = Folder::new();
        let reason = folder.cluster(options, "").refusal();
        assert!(reason.contains(said), "{options:?}: {reason}");
        assert!(!folder.path("states").exists(), "{options:?}: nothing has started");
    }
}

#[test]
fn a_wrong_file_of_settings_is_named_with_its_key() {
    let folder = Folder::new();
    for (text, said) in [
        ("nodes = 0\n", "settings.toml: nodes: 0 is not within 1 to 99"),
        ("\nnodez = 3\n", "settings.toml: line 2: nodez: unknown setting: did you mean 'nodes'?"),
        ("nodes = \"x\n", "settings.toml: line 1: nodes: "),
        ("heartbeat = \"1s\"\n", "settings.toml: heartbeat: 1s is above half of election_min"),
    ] {
        folder.write("settings.toml", text);
        let reason = folder.cluster(&["--config", "settings.toml"], "").refusal();
        assert!(reason.starts_with(said), "{text:?}: {reason}");
    }
}

#[test]
fn the_printed_settings_are_accepted() {
    let folder = Folder::new();
    let printed = folder.cluster(&["--print-config"], "").exits(0).out;
    folder.write("settings.toml", &printed.replace("nodes = 3", "nodes = 1"));
    let options = ["--config", "settings.toml", "--memory"];
    let ran = folder.cluster(&options, "wait leader\nleader\n").exits(0);
    assert!(ran.out.starts_with("n1 (term "), "{}", ran.out);
    assert!(!folder.path("states").exists(), "state in memory leaves no files");
}

#[test]
fn states_in_use_are_refused_with_who_holds_them() {
    let folder = with_state();
    let mut first = folder.start(&["3"]);
    first.say("wait leader\nread a\n");
    first.answer("OK a=1");
    let holder = first.child.id();
    let said = format!(
        "states/n1 is in use by process {holder}: stop that one first, or choose another folder with --states DIR"
    );
    for options in [&["3"][..], &["3", "--fresh"]] {
        assert_eq!(folder.cluster(options, "").refusal(), said);
    }
    first.say("create b 2\n");
    first.answer("OK created b=2");
    first.close_input();
    assert!(first.end().0.success());
    folder.still_has_it();
}

#[test]
fn a_file_in_the_way_of_states_or_logs_is_named() {
    let folder = with_state();
    folder.write("file", "");
    let reason = folder.refused(&["3", "--states", "file"]);
    assert!(reason.starts_with("the states folder file cannot be used: "), "{reason}");
    for logs in ["file", "file/logs"] {
        let reason = folder.refused(&["3", "--logs", logs]);
        assert!(reason.starts_with(&format!("logs cannot be written to {logs}: ")), "{reason}");
        assert!(reason.ends_with("; choose another folder with --logs DIR"), "{reason}");
    }
    fs::create_dir(folder.path("crowded")).expect("a folder");
    folder.write("crowded/n2", "");
    let reason = folder.refused(&["3", "--states", "crowded"]);
    assert!(reason.contains("crowded/n2") && reason.contains("a file is in the way"), "{reason}");
    folder.still_has_it();
}

#[test]
fn another_clusters_states_are_refused() {
    let (folder, other) = (with_state(), with_state());
    let mine = folder.path("mine");
    fs::rename(folder.path("states/n2"), &mine).expect("a folder can be moved");
    fs::rename(other.path("states/n2"), folder.path("states/n2")).expect("a folder can be moved");
    let reason = folder.refused(&["3"]);
    assert!(reason.starts_with("states/n2/state.json belongs to cluster "), "{reason}");
    assert!(
        reason.ends_with("choose another folder with --states DIR, or start afresh with --fresh"),
        "{reason}"
    );
    fs::remove_dir_all(folder.path("states/n2")).expect("a folder can be removed");
    fs::rename(&mine, folder.path("states/n2")).expect("a folder can be moved");
    folder.still_has_it();
}

#[test]
fn the_files_say_who_belongs_to_a_cluster_and_the_number_only_who_begins_one() {
    let folder = with_state();
    let notice = |number: &str| {
        format!(
            "the files hold a cluster of 3 nodes (n1 n2 n3): the number {number} counts only for a new cluster"
        )
    };
    for number in ["5", "1"] {
        let ran = folder.cluster(&[number], "wait leader\nread a\nstatus\n").exits(0);
        assert!(ran.err.contains(&notice(number)), "{}", ran.err);
        assert!(ran.out.starts_with("OK a=1 ") && ran.out.contains("n3"), "{}", ran.out);
        assert!(!folder.path("states/n4").exists());
    }
    fs::remove_dir_all(folder.path("states/n3")).expect("a folder can be removed");
    let ran = folder.cluster(&["2"], "wait leader\nread a\n").exits(0);
    assert!(
        ran.err.contains("n3 is down: its files are missing") && ran.err.contains(&notice("2")),
        "{}",
        ran.err
    );
    let ran = folder.cluster(&[], "wait leader\nread a\n").exits(0);
    assert!(!ran.err.contains("counts only"), "no number was given: {}", ran.err);
}

#[test]
fn a_preference_counts_for_a_new_cluster_and_the_files_keep_it() {
    let folder = Folder::new();
    let ran = folder.cluster(&["3", "--preferred", "n3"], "wait leader n3\nmembers\n").exits(0);
    assert!(ran.out.ends_with("by index 0, committed; n3 is preferred\n"), "{}", ran.out);
    assert!(ran.err.contains(" --fresh\n"), "the same run again begins on new files: {}", ran.err);
    let ran = folder.cluster(&["3"], "crash n3\nwait leader\nrestart n3\nwait leader n3\n").exits(0);
    assert!(!ran.err.contains("counts only"), "nothing else was asked for: {}", ran.err);
    assert!(!ran.err.contains("--fresh"), "it continues: {}", ran.err);
    folder.write("n1.toml", "preferred = 'n1'\n");
    let held = "the files hold a cluster that prefers n3 to lead: 'preferred' counts only for a new cluster, and \
                'prefer n1' changes it in this one";
    let lines = "wait leader n3\nprefer none\ntransfer n2\n";
    let ran = folder.cluster(&["3", "--config", "n1.toml"], lines).exits(0);
    assert!(ran.err.contains(held), "{}", ran.err);
    let ran = folder.cluster(&["3", "--preferred=n1"], "wait leader\nmembers\n").exits(0);
    assert!(ran.err.contains(&held.replace("n3", "no node")), "{}", ran.err);
    assert!(!ran.out.contains("preferred"), "{}", ran.out);
    let said = "preferred: n4 does not begin: choose one of n1 to n3, or more nodes";
    assert_eq!(folder.refused(&["3", "--preferred", "n4"]), said);
    assert!(folder.refused(&["3", "--preferred", "x"]).contains("'x'"));
}

#[test]
fn the_files_know_who_came_and_who_left_and_those_who_left_do_not_start() {
    let folder = with_state();
    folder.cluster(&["3"], "wait leader\nadd n4\nremove n2\nwait converged\nsleep 300ms\n").exits(0);
    let ran = folder.cluster(&["3"], "wait leader\nread a\nrestart n2\n").exits(1);
    let left = "n2 was removed from the cluster: 'add n2' takes it in again with new files";
    assert!(ran.err.contains(&format!("n2 is down: {left}")), "{}", ran.err);
    assert!(ran.out.starts_with("OK a=1 ") && ran.out.contains(left), "{}", ran.out);
    assert!(!ran.err.contains("counts only"), "three are members: {}", ran.err);
    let ran =
        folder.cluster(&["3"], "wait leader\nadd n2\nwait converged\nread a @n2\nread a @n4\n").exits(0);
    assert_eq!(ran.out.matches("OK a=1 ").count(), 2, "{}", ran.out);
    let ran = folder.cluster(&["3"], "wait leader\n").exits(0);
    let notice =
        "the files hold a cluster of 4 nodes (n1 n2 n3 n4): the number 3 counts only for a new cluster";
    assert!(ran.err.contains(notice), "{}", ran.err);
}

#[test]
fn another_format_and_damage_are_refused_by_file_and_line() {
    let folder = with_state();
    let (state, log) = ("states/n1/state.json", format!("states/n3/{SEGMENT}"));
    for (file, from, to, said) in [
        (state, "\"format\":5", "\"format\":6", "states/n1/state.json has format 6, ".to_string()),
        (state, "\"format\":5", "\"format\":4", "states/n1/state.json has format 4, ".to_string()),
        (state, "vote", "vore", "states/n1/state.json is damaged: ".to_string()),
        (log.as_str(), "\"1\"", "\"2\"", format!("{log} line 3 is damaged: its checksum is ")),
    ] {
        let good = folder.read(file);
        assert!(good.contains(from), "{file} holds {from}: {good}");
        folder.write(file, &good.replace(from, to));
        let reason = folder.refused(&["3"]);
        assert!(reason.starts_with(&said), "{reason}");
        folder.write(file, &good);
        folder.still_has_it();
    }
}

/// What the refusal of damaged files advises, carried out.
#[test]
fn a_node_whose_files_were_removed_is_told_of_and_comes_back_wiped() {
    let folder = with_state();
    folder.write("states/n2/state.json", "");
    let reason = folder.refused(&["3"]);
    assert!(
        reason.contains("or wipe the node: remove its files, and once the others run, 'restart NODE --wipe'"),
        "{reason}"
    );
    fs::remove_dir_all(folder.path("states/n2")).expect("a folder can be removed");
    let ran = folder.cluster(&["3"], "wait leader\nrestart n2 --wipe\nwait converged\nread a @n2\n").exits(0);
    assert!(ran.err.contains("n2 is down: its files are missing"), "{}", ran.err);
}

#[test]
fn a_torn_last_line_is_cut_off_and_told() {
    let folder = with_state();
    let log = format!("states/n1/{SEGMENT}");
    let whole = folder.read(&log);
    folder.write(&log, &format!("{whole}{{\"index\":99"));
    let ran = folder.cluster(&["3"], "wait leader\nread a\n").exits(0);
    assert!(ran.out.starts_with("OK a=1 "), "{}", ran.out);
    assert!(ran.err.contains("repaired: states/n1/log-"), "{}", ran.err);
}

#[test]
fn a_fresh_start_says_what_it_wiped_and_keeps_what_is_not_ours() {
    let folder = with_state();
    folder.write("states/n1/notes.txt", "mine");
    let ran = folder.cluster(&["3", "--fresh"], "wait leader\nread a\n").exits(0);
    assert_eq!(ran.out, "ERR a not found\n");
    assert!(ran.err.starts_with("states/n1 wiped\nstates/n2 wiped\nstates/n3 wiped\n"), "{}", ran.err);
    assert_eq!(folder.read("states/n1/notes.txt"), "mine");
}
