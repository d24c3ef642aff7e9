//! The program `check_history`: what it says of a file, and its exit codes.

use std::fs;

use assert_cmd::Command;
use raftlab::types::Random;

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
const STALE: &str = r#"{"client":3,"key":"x","op":"read","call_ns":3,"return_ns":4,"ok":true,"result":null}"#;

#[test]
fn a_linearizable_history_passes() {
    let (code, text) = judge(&[PUT, "", READ], &[]);
    assert_eq!(code, 0);
    assert!(text.starts_with("PASS 2 operations on 1 key are linearizable; judged in "), "{text}");
    let (_, text) = judge(&[PUT], &[]);
    assert!(text.starts_with("PASS 1 operation on 1 key is linearizable"), "{text}");
}

#[test]
fn a_history_without_a_success_is_inconclusive() {
    let refused = r#"{"client":1,"key":"x","op":"put","value":"1","call_ns":1,"return_ns":2,"ok":false,"error":"refused"}"#;
    let unknown = r#"{"client":2,"key":"x","op":"put","value":"1","call_ns":1,"return_ns":null,"ok":null}"#;
    let (code, text) = judge(&[], &[]);
    assert_eq!(
        (code, text.as_str()),
        (3, "UNDECIDED history.jsonl: the history is empty: it shows nothing\n")
    );
    let (code, text) = judge(&[refused, unknown], &[]);
    let expected = "UNDECIDED history.jsonl: of 2 operations none succeeded, 1 with unknown outcome: such a history shows nothing\n";
    assert_eq!((code, text.as_str()), (3, expected));
    assert_eq!(judge(&[refused, PUT], &[]).0, 2, "a client has one operation at a time");
    assert_eq!(judge(&[refused, READ], &[]).0, 1, "what contradicts is a violation all the same");
}

#[test]
fn a_client_that_breaks_its_rule_is_named_with_both_lines() {
    let unknown = r#"{"client":1,"key":"x","op":"put","value":"1","call_ns":0,"return_ns":null,"ok":null}"#;
    let overlapping =
        r#"{"client":2,"key":"y","op":"read","call_ns":2,"return_ns":9,"ok":true,"result":null}"#;
    let (code, text) = judge(&[unknown, "", PUT], &[]);
    assert_eq!(code, 2, "{text}");
    assert!(text.starts_with("error: history.jsonl:3: client 1 calls again after line 1, "), "{text}");
    let (code, text) = judge(&[READ, overlapping], &[]);
    assert_eq!(code, 2, "{text}");
    let expected = "error: history.jsonl:1: client 2 calls before its operation of line 2 has returned";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn keys_and_values_are_shown_so_that_a_terminal_is_safe_and_nothing_is_mistaken() {
    let of = |key: &str, value: &str, found: &str| {
        let put = format!(
            r#"{{"client":1,"key":{key},"op":"put","value":{value},"call_ns":1,"return_ns":2,"ok":true}}"#
        );
        let read = format!(
            r#"{{"client":1,"key":{key},"op":"read","call_ns":3,"return_ns":4,"ok":true,"result":{found}}}"#
        );
        let (code, text) = judge(&[&put, &read], &[]);
        assert_eq!(code, 1, "{text}");
        assert!(text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
        assert!(
            !text.trim_end().contains(|letter: char| letter.is_control() || letter == '\u{202e}'),
            "{text:?}"
        );
        text.split_once("returned at 0.000000: ")
            .map(|(_, rest)| rest.trim_end().to_string())
            .expect("a read")
    };
    let can_only = "in any order, x can only have been";
    assert_eq!(of("\"x\"", "\"absent\"", "null"), format!("absent; {can_only} \"absent\""));
    assert_eq!(of("\"x\"", "\"\"", "\"b\""), format!("b; {can_only} \"\""));
    assert_eq!(
        of(r#""\u001b[2J\u009bx\n\u202e""#, r#""\u001b[31ma""#, "\"b c\""),
        r#""b c"; in any order, "\u{1b}[2J\u{9b}x\n\u{202e}" can only have been "\u{1b}[31ma""#
    );
    let long = format!("\"{}\"", "v".repeat(1 << 20));
    let shown = of("\"x\"", &long, "\"b\"");
    assert!(shown.len() < 200 && shown.ends_with("v... (1048576 bytes)"), "{shown}");
}

#[test]
fn a_history_may_come_through_a_pipe() {
    let ran = |text: &str| {
        let mut command = Command::cargo_bin("check_history").expect("the program is built with the tests");
        let output = command.arg("-").write_stdin(text).output().expect("the program runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().expect("it ends by itself"), String::from_utf8(text).expect("text"))
    };
    assert_eq!(ran(&format!("{PUT}\n{READ}")).0, 0);
    let (code, text) = ran(&format!("{PUT}\n{STALE}"));
    assert!(code == 1 && text.starts_with("FAIL standard input:2: c3 read x, "), "{text}");
    let (code, text) = ran("\u{0}\n");
    assert!(code == 2 && text.starts_with("error: standard input:1: this is no JSON"), "{text}");
}

/// Sixty changes of one key, all at once, that lead along one way through a graph; the read behind them saw an end that
/// the way cannot have. To know that, a search has to know nearly all ways.
fn hard() -> Vec<String> {
    let mut random = Random::new(1);
    let line = |client: u64, rest: String| format!(r#"{{"client":{client},"key":"r",{rest},"ok":true}}"#);
    let mut lines = vec![line(999, r#""op":"put","value":"0","call_ns":1,"return_ns":2"#.to_string())];
    let mut at = 0;
    for client in 0..60 {
        let next = random.below(12);
        let change =
            format!(r#""op":"cas","expected":"{at}","value":"{next}","call_ns":10,"return_ns":1000"#);
        lines.push(line(client, change));
        at = next;
    }
    let other = (at + 1) % 12;
    lines.push(line(999, format!(r#""op":"read","call_ns":2000,"return_ns":2001,"result":"{other}""#)));
    lines
}

#[test]
fn what_a_search_remembers_is_bounded_and_hides_no_other_key() {
    let lines = hard();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (code, text) = judge(&lines, &["--memory", "2"]);
    let expected = "UNDECIDED r: no order was found in 2 MiB of memory; allow more with --memory\n";
    assert_eq!((code, text.as_str()), (3, expected));
    let (code, text) = judge(&[&lines[..], &[PUT, STALE]].concat(), &["--memory", "2"]);
    assert!(code == 1 && text.starts_with("FAIL history.jsonl:64: c3 read x, "), "{text}");
    let (code, text) = judge(&[], &["--memory", "0"]);
    assert!(code == 2 && text.contains("'0' is no memory: write MiB, 1 to "), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_takes_little_more_than_its_searches_may_remember() {
    let folder = tempfile::tempdir().expect("a folder for one file");
    fs::write(folder.path().join("history.jsonl"), hard().join("\n"))
        .expect("the folder is new and writable");
    let program = assert_cmd::cargo::cargo_bin("check_history");
    // Beyond this the system refuses memory, and the program aborts.
    let script = "ulimit -v 262144 && exec \"$0\" history.jsonl --memory 64";
    let mut command = std::process::Command::new("sh");
    let output = command.current_dir(folder.path()).args(["-c", script]).arg(program).output();
    let output = output.expect("there is a shell");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_violation_names_the_line_and_the_operation() {
    let (code, text) = judge(&[PUT, "", STALE], &[]);
    assert_eq!(code, 1);
    assert!(text.starts_with("FAIL history.jsonl:3: c3 read x, "), "{text}");
}

#[test]
fn a_history_that_begins_in_the_middle_says_so() {
    let unknown = r#"{ "start" : "unknown" }"#;
    assert_eq!(judge(&[READ], &[]).0, 1, "nobody wrote that");
    for form in [unknown, r#"{"start":"unknown"}"#, "\u{feff}{\"start\":\"\\u0075nknown\"}\r"] {
        assert_eq!(judge(&[form, READ], &[]).0, 0, "{form}");
    }
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
    assert_eq!(judge(&[&PUT[..40]], &[]).0, 3, "nothing is left");
    let (code, text) = judge(&[&PUT[..40], READ], &[]);
    assert_eq!(code, 2, "elsewhere it is damage: {text}");
}

#[test]
fn the_help_says_what_a_history_is() {
    let (code, text) = judge(&[], &["--help"]);
    assert!(code == 0 && text.contains("one JSON line for each operation"), "{text}");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in
        ["absent key is not_found", "'-' is standard input", "in MiB [default: 256]", "3: inconclusive"]
    {
        assert!(text.contains(said), "{said} is not in: {text}");
    }
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let (code, text) = judge(&[PUT, "{}"], &[]);
    assert_eq!(code, 2);
    assert!(text.starts_with("error: history.jsonl:2: client is missing: "), "{text}");
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
