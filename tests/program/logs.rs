//! The nodes' log files: readable lines that say what happened and why.

use crate::Folder;

fn logs_of(folder: &Folder) -> String {
    ["logs/n1.log", "logs/n2.log", "logs/n3.log"].map(|file| folder.read(file)).concat()
}

#[test]
fn logs_tell_elections_with_their_reasons() {
    let folder = Folder::new();
    let lines = "wait leader\ncreate x 1\ncrash leader\nwait leader\nrestart all\nwait converged\n";
    folder.cluster(&["3"], lines).exits(0);
    let logs = logs_of(&folder);
    for words in [
        "INFO  started with a new, empty state",
        "INFO  --- a run begins ---",
        "INFO  asks for pre-votes for term 1: its election timer ran out",
        "INFO  starts an election for term 1",
        "INFO  grants n",
        "its vote for term 1: its log is up-to-date",
        "INFO  leads term 1",
        "INFO  appends a no-op at 1@1",
        "WARN  crashed",
        "INFO  restarts",
        "INFO  started: term 1, vote for n",
        "INFO  stopped",
    ] {
        assert!(logs.contains(words), "{words}:\n{logs}");
    }
    // The first message to a node that restarts may be a heartbeat, which it has to reject.
    let heartbeats = logs.lines().filter(|line| line.contains("heartbeat") && !line.contains("rejected"));
    assert!(!logs.contains("DEBUG") && heartbeats.count() == 0, "only what matters:\n{logs}");
    for line in logs.lines() {
        let mut words = line.split_whitespace();
        let time = words.next().expect("a time");
        assert!(time.len() == 27 && time.ends_with('Z'), "{line}");
        assert!(matches!(words.next(), Some("INFO" | "WARN")), "{line}");
    }
}

#[test]
fn the_filter_of_the_environment_shows_more() {
    let folder = Folder::new();
    let mut command = folder.command(env!("CARGO_BIN_EXE_cluster"), &["3", "--memory"]);
    command.env("RUST_LOG", "debug");
    let mut running = crate::Running::of(command);
    running.say("wait leader\ncreate x 1\nwait converged\nquit\n");
    assert!(running.end().0.success());
    let logs = logs_of(&folder);
    for words in ["DEBUG", "appends a command at 2", "commit index 1 -> 2", "applied"] {
        assert!(logs.contains(words), "{words}:\n{logs}");
    }
}

#[test]
fn the_console_shows_the_logs_of_this_run_and_of_all_when_it_is_asked() {
    let folder = Folder::new();
    folder.cluster(&["1"], "wait leader\n").exits(0);
    let lines = "wait leader\necho ===\nlogs\necho ===\nlogs --all\necho ===\nlogs --last 1\n";
    let said = folder.cluster(&["1"], lines).exits(0).out;
    let [_, this, all, last] = said.split("===\n").collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert!(this.contains("started: term 1") && !this.contains("a new, empty state"), "{this}");
    assert!(!this.contains("a run begins"), "{this}");
    assert_eq!(all.matches("--- a run begins at 2").count(), 2, "{all}");
    assert!(all.contains("a new, empty state") && all.contains("started: term 1"), "{all}");
    assert_eq!((last.lines().count(), this.ends_with(last)), (1, true), "{last}");
}
