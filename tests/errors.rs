//! Whatever is typed or found on disk wrongly: one clear line that says what to do, the right exit code, nothing lost.

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn cluster(folder: &Path, arguments: &[&str], input: impl Into<Vec<u8>>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster"));
    command.current_dir(folder).args(arguments).write_stdin(input).output().expect("the program runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Carries out these lines and gives the answers of those that answer.
fn answers(lines: &str) -> Vec<String> {
    let folder = folder();
    let output = cluster(folder.path(), &["3", "--memory", "--keep-going"], format!("wait leader\n{lines}"));
    assert_eq!(code(&output), 1, "{}", out(&output));
    out(&output).lines().map(str::to_string).collect()
}

/// What a start that is refused says, in one line on standard error.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = cluster(folder, arguments, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((code(&output), out(&output).as_str()), (2, ""), "{said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    said
}

/// A folder whose `states` hold one write.
fn with_states() -> TempDir {
    let folder = folder();
    let output = cluster(folder.path(), &["3"], "wait leader\ncreate x 1\nwait converged\n");
    assert_eq!(code(&output), 0, "{}", out(&output));
    folder
}

#[test]
fn each_wrong_line_is_answered_with_what_is_wrong_and_what_to_write() {
    let table = [
        ("crsh n2", "ERR line 2: unknown directive 'crsh': did you mean 'crash'?"),
        ("crash n9", "ERR there is no n9: the nodes are n1 to n3"),
        ("restart n1", "ERR n1 is already running"),
        ("resume n1", "ERR n1 is not paused"),
        ("sleep 5x", "ERR line 2: '5x' is not a duration: write 100us, 150ms, 2s, 1.5s, 1m or 1h"),
        ("drop 120%", "ERR line 2: '120%' is not a percentage: write 0% to 100%, such as 20% or 0.5%"),
        (
            "cut n1-n2",
            "ERR line 2: 'n1-n2' is not a link: write n1>n3 (one way), n1<>n3 (both ways) or clients",
        ),
        ("create x", "ERR line 2: create needs VALUE: create KEY VALUE [@NODE] [--timeout DURATION]"),
        ("snapshot n1", "ERR 'snapshot' is not built yet"),
        ("load --rate 5", "ERR 'load' is not built yet"),
    ];
    for (line, expected) in table {
        assert_eq!(answers(line), [expected], "{line}");
    }
    let twice = answers("crash n2\ncrash n2");
    assert_eq!(twice[1], "ERR n2 is down: 'restart n2' starts it");
}

#[test]
fn a_script_stops_at_its_first_failure_and_data_errors_are_none() {
    let folder = folder();
    let lines = "wait leader\nread x\ncreate x 1\ncreate x 2\nexpect err\nbogus\necho never\n";
    let output = cluster(folder.path(), &["3", "--memory"], lines);
    assert_eq!(code(&output), 1);
    let said = out(&output);
    assert!(said.contains("ERR x not found") && said.contains("ERR x exists"), "{said}");
    assert!(!said.contains("never"), "{said}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("stopped at line 6"));
}

#[test]
fn no_quorum_is_inconclusive_and_an_unmet_expectation_fails() {
    let folder = folder();
    let wait = cluster(folder.path(), &["3", "--memory"], "crash n1,n2\nwait leader 1s\n");
    assert_eq!(code(&wait), 3, "{}", out(&wait));
    let expect = cluster(folder.path(), &["3", "--memory"], "wait leader\nexpect key x 1\n");
    assert_eq!(code(&expect), 1, "{}", out(&expect));
}

#[test]
fn input_that_is_too_long_or_no_text_is_refused_and_nothing_is_lost() {
    let folder = with_states();
    let mut long = b"wait leader\ncreate y ".to_vec();
    long.resize(10_000_000, b'a');
    for (input, expected) in [(long, "1048576"), (b"create y \xff\xfe\n".to_vec(), "UTF-8")] {
        let output = cluster(folder.path(), &["3"], input);
        assert_eq!(code(&output), 1);
        assert!(out(&output).contains(expected), "{}", out(&output));
    }
    let output = cluster(folder.path(), &["3"], "wait leader\nread x\nread y\n");
    assert!(
        out(&output).starts_with("OK x=1 ") && out(&output).contains("ERR y not found"),
        "{}",
        out(&output)
    );
}

#[test]
fn wrong_usage_is_one_line_and_code_2() {
    let folder = folder();
    let folder = folder.path();
    for arguments in [&["0"][..], &["abc"], &["100"]] {
        assert!(refused(folder, arguments).contains("1 to 99 nodes"), "{arguments:?}");
    }
    assert!(refused(folder, &["3", "--heartbeat", "1s"]).contains("half of election_min"));
    assert!(refused(folder, &["3", "--election", "300ms..150ms"]).contains("election"));
    assert!(refused(folder, &["3", "--script", "missing.raft"]).contains("missing.raft"));
    fs::write(folder.join("wrong.toml"), "heartbeet = \"50ms\"\n").expect("a file");
    assert!(refused(folder, &["3", "--config", "wrong.toml"]).contains("heartbeet"));
    fs::write(folder.join("file"), "").expect("a file");
    assert!(refused(folder, &["3", "--states", "file"]).contains("choose another"));
    assert!(refused(folder, &["3", "--memory", "--logs", "file"]).contains("logs directory"));
}

#[test]
fn states_that_cannot_be_used_are_refused_by_name() {
    let folder = with_states();
    let folder = folder.path();
    assert!(refused(folder, &["5"]).contains("cluster of 3, not of 5"));

    let state = folder.join("states/n2/state.json");
    let whole = fs::read_to_string(&state).expect("a state file");
    fs::write(&state, whole.replace("\"format\":1", "\"format\":9")).expect("a file");
    assert!(refused(folder, &["3"]).contains("states/n2/state.json has format 9"));
    fs::write(&state, whole).expect("a file");

    let log = folder.join("states/n2/log-00000000000000000001.jsonl");
    let whole = fs::read_to_string(&log).expect("a log");
    fs::write(&log, whole.replacen("\"term\":", "\"tern\":", 2)).expect("a file");
    assert!(refused(folder, &["3"]).contains("log-00000000000000000001.jsonl line 1 is damaged"));
    fs::write(&log, whole).expect("a file");

    let output = cluster(folder, &["3"], "wait leader\nread x\n");
    assert!(out(&output).starts_with("OK x=1 "), "nothing was lost: {}", out(&output));
}

#[test]
fn printed_settings_are_accepted_and_json_is_one_object_a_directive() {
    let folder = folder();
    let printed = cluster(folder.path(), &["--print-config"], "");
    fs::write(folder.path().join("all.toml"), &printed.stdout).expect("a file");
    let lines = "wait leader\ncreate x 1\nstatus\ncheck\n";
    let output = cluster(folder.path(), &["--config", "all.toml", "--memory", "--json"], lines);
    assert_eq!(code(&output), 0);
    let objects: Vec<serde_json::Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(objects.len(), 4, "{objects:?}");
    assert!(objects.iter().all(|object| object["v"] == 1 && object["ok"] == true), "{objects:?}");
    assert_eq!(objects[1]["directive"], "create");
    assert_eq!(objects[1]["outcome"], "committed");
    assert!(!folder.path().join("states").exists(), "--memory keeps no state");
}
