//! The program `check_history`: what it says of a file, and its exit codes.

use std::fs;

use assert_cmd::Command;

/// Runs it on a file with these lines: the exit code, and what it wrote to both outputs.
fn judge(lines: &[&str], arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder for one file");
    let path = folder.path().join("history.jsonl");
    fs::write(&path, lines.join("\n")).expect("the folder is new and writable");
    let mut command = Command::cargo_bin("check_history").expect("the program is built with the tests");
    let output = command.current_dir(folder.path()).arg("history.jsonl").args(arguments).output();
    let output = output.expect("the program runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it ends by itself"), String::from_utf8(text).expect("text"))
}

const PUT: &str = r#"{"client":1,"key":"x","op":"put","value":"1","call_ns":1,"return_ns":2,"ok":true}"#;
const READ: &str = r#"{"client":2,"key":"x","op":"read","call_ns":3,"return_ns":4,"ok":true,"result":"1"}"#;
const STALE: &str = r#"{"client":2,"key":"x","op":"read","call_ns":3,"return_ns":4,"ok":true,"result":null}"#;

#[test]
fn a_linearizable_history_passes() {
    let (code, text) = judge(&[PUT, "", READ], &[]);
    assert_eq!(code, 0);
    assert!(text.starts_with("PASS 2 operations on 1 key are linearizable; judged in "), "{text}");
    assert_eq!(judge(&[], &[]).0, 0, "an empty history contradicts nothing");
}

#[test]
fn a_violation_names_the_line_and_the_operation() {
    let (code, text) = judge(&[PUT, "", STALE], &[]);
    assert_eq!(code, 1);
    assert!(text.starts_with("FAIL history.jsonl:3: c2 read x, "), "{text}");
}

#[test]
fn a_history_that_begins_in_the_middle_says_so() {
    let unknown = r#"{"start":"unknown"}"#;
    assert_eq!(judge(&[READ], &[]).0, 1, "nobody wrote that");
    assert_eq!(judge(&[unknown, READ], &[]).0, 0);
    assert_eq!(judge(&[unknown, PUT, STALE], &[]).0, 1);
    let (code, text) = judge(&[READ, unknown], &[]);
    assert_eq!(code, 2, "{text}");
}

#[test]
fn a_line_that_was_cut_off_is_left_out_and_said() {
    let (code, text) = judge(&[PUT, READ, &STALE[..40]], &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("history.jsonl:3: cut off in the middle of a line"), "{text}");
    let (code, text) = judge(&[STALE, READ, &PUT[..40]], &[]);
    assert_eq!(code, 3, "what is missing may have written it: {text}");
    assert!(text.contains("UNDECIDED history.jsonl:2: c2 read x, "), "{text}");
    let (code, text) = judge(&[&PUT[..40], READ], &[]);
    assert_eq!(code, 2, "elsewhere it is damage: {text}");
}

#[test]
fn the_help_says_what_a_history_is() {
    let (code, text) = judge(&[], &["--help"]);
    assert!(code == 0 && text.contains("one JSON line for each operation"), "{text}");
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let (code, text) = judge(&[PUT, "{}"], &[]);
    assert_eq!(code, 2);
    assert!(text.starts_with("error: history.jsonl:2: missing field"), "{text}");
    let (code, text) = judge(&[PUT], &["another"]);
    assert_eq!(code, 2, "{text}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut command = Command::cargo_bin("check_history").expect("the program is built with the tests");
    let output = command.arg("no-such-file").output().expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: no-such-file: "));
}

#[test]
fn without_time_the_verdict_is_open() {
    let (code, text) = judge(&[PUT, READ], &["--timeout", "0s"]);
    assert_eq!(
        (code, text.as_str()),
        (3, "UNDECIDED x: no order was found in time; allow more with --timeout\n")
    );
}
