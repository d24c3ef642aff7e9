//! `--history FILE`: what the programs write is what `check_history` reads.

use crate::{Folder, Ran};

/// Judges the file that a program wrote.
fn judged(folder: &Folder) -> Ran {
    folder.run(env!("CARGO_BIN_EXE_check_history"), &["history.jsonl"], "")
}

#[test]
fn a_cluster_writes_what_it_was_asked_and_told() {
    let folder = Folder::new();
    let lines = "wait leader\ncreate x 1\nread x\nread x --stale\ncreate x 2\npipe 5\ncheck\n";
    let ran = folder.cluster(&["3", "--history", "history.jsonl"], lines).exits(0);
    assert!(ran.out.contains("\nPASS linearizable (8 operations on "), "{}", ran.out);
    assert!(!ran.out.contains("began from files"), "it knows all: {}", ran.out);
    let history = folder.read("history.jsonl");
    assert!(history.ends_with('\n') && history.lines().count() == 8, "{history}");
    assert!(
        history.starts_with(r#"{"client":1,"key":"x","op":"create","value":"1","call_ns":"#),
        "{history}"
    );
    assert!(judged(&folder).exits(0).out.starts_with("PASS 8 operations on "));
}

#[test]
fn a_cluster_that_goes_on_begins_with_unknown_values() {
    let folder = Folder::new();
    folder.cluster(&["3"], "wait leader\ncreate x 1\n").exits(0);
    let lines = "wait leader\nread x\nupdate x 2\nread x\ncheck\n";
    let ran = folder.cluster(&["3", "--history", "history.jsonl"], lines).exits(0);
    assert!(ran.out.ends_with("PASS linearizable (3 operations on 1 key)\n"), "{}", ran.out);
    let limit = "NOTE this run began from files: what was committed before is not known to it, and not checked\nPASS ";
    assert!(ran.out.contains(limit), "{}", ran.out);
    let history = folder.read("history.jsonl");
    assert!(history.starts_with("{\"start\":\"unknown\"}\n"), "{history}");
    judged(&folder).exits(0);
    let without = history.lines().skip(1).collect::<Vec<_>>().join("\n");
    folder.write("history.jsonl", &without);
    assert!(
        judged(&folder).exits(1).out.contains("x can only have been absent"),
        "nobody wrote it in this run"
    );
}

#[test]
fn a_history_holds_the_course_of_a_run_that_was_forked() {
    let folder = Folder::new();
    let lines = "wait leader\nput x 0\nsleep 1s\nput x 1\nput y 1\nrewind 1s\nput x 5\nexpect err this is\nfork\nput x 2\nread x\ncheck\n";
    let ran = folder.simulate(&["--seed", "7", "--prompt", "--history", "history.jsonl"], lines).exits(0);
    assert!(ran.out.contains(" is dropped, from the file of --history, too\n"), "{}", ran.out);
    let history = folder.read("history.jsonl");
    assert!(history.lines().count() == 3 && !history.contains(r#""key":"y""#), "{history}");
    judged(&folder).exits(0);
    // Standard output cannot be taken back.
    let ran = folder.simulate(&["--seed", "7", "--prompt", "--history", "/dev/stdout"], lines).exits(1);
    assert!(ran.out.contains("ERR line 9: --history writes to no file that can be shortened"), "{}", ran.out);
}

#[test]
fn an_outcome_that_nobody_knows_has_no_return() {
    let folder = Folder::new();
    let lines = "wait leader\nput x 0\nisolate all\nupdate x 1 --timeout 300ms\n";
    folder.simulate(&["--seed", "7", "--prompt", "--history", "history.jsonl"], lines).exits(3);
    let history = folder.read("history.jsonl");
    assert!(history.contains(r#""return_ns":null,"ok":null"#), "{history}");
    judged(&folder).exits(0);
}

#[test]
fn a_console_gives_no_client_an_operation_after_an_unknown_outcome() {
    let folder = Folder::new();
    let lines = "wait leader\nput x 0\nisolate all\nput x 1 --timeout 200ms\npipe 5\nheal\nwait stable\n\
        outcome\nput x 2\npipe 20\nread x\ncheck\n";
    folder.cluster(&["3", "--memory", "--history", "history.jsonl", "--keep-going"], lines);
    let history = folder.read("history.jsonl");
    assert!(history.contains(r#""return_ns":null,"ok":null"#), "{history}");
    judged(&folder).exits(0);
}

#[test]
fn a_load_through_a_crash_gives_no_client_an_operation_after_an_unknown_outcome() {
    let folder = Folder::new();
    let load = ["--memory", "--clients", "8", "--duration", "1500ms", "--timeout", "150ms", "--gather", "8"];
    let load = [&load[..], &["--reads", "30%", "--history", "history.jsonl", "--warm-up", "0s"]].concat();
    let faults = ["--at", "200ms", "crash all", "--at", "700ms", "restart all"];
    folder.client_load(&[&load[..], &faults].concat());
    let history = folder.read("history.jsonl");
    assert!(history.contains(r#""ok":null"#), "no outcome was unknown: {} lines", history.lines().count());
    judged(&folder).exits(0);
}

#[test]
fn a_random_run_writes_its_clients_history() {
    let folder = Folder::new();
    folder.simulate(&["--seed", "42", "--history", "history.jsonl"], "").exits(0);
    let first = folder.read("history.jsonl");
    assert!(first.lines().count() > 100, "{first}");
    judged(&folder).exits(0);
    let again = folder.simulate(&["--seed", "42", "--history", "history.jsonl"], "").exits(0);
    assert_eq!(folder.read("history.jsonl"), first, "written anew, and the same");
    assert!(again.err.contains("history.jsonl held an older history"), "{}", again.err);
}

#[test]
fn a_program_that_is_killed_leaves_whole_lines() {
    let folder = Folder::new();
    let mut running = folder.start(&["3", "--memory", "--history", "history.jsonl"]);
    running.say("wait leader\ncreate x 1\npipe 5\necho here\n");
    running.answer("here");
    running.signal("KILL");
    running.end();
    let history = folder.read("history.jsonl");
    assert!(history.ends_with('\n') && history.lines().count() == 6, "{history}");
    judged(&folder).exits(0);
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_anything_starts() {
    let folder = Folder::new();
    for ran in [
        folder.cluster(&["3", "--history", "none/history.jsonl"], "echo hi\n"),
        folder.simulate(&["--history", "none/history.jsonl"], "echo hi\n"),
        folder.simulate(&["--seed", "1", "--history", "none/history.jsonl"], ""),
    ] {
        let reason = ran.refusal();
        assert!(reason.starts_with("the history none/history.jsonl cannot be written: "), "{reason}");
    }
    assert!(!folder.path("states").exists(), "nothing was started");
    let reason = folder.simulate(&["--seeds", "1..2", "--history", "history.jsonl"], "").refusal();
    assert!(reason.contains("--history") && reason.contains("--seeds"), "{reason}");
}
