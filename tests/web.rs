//! The window's server as browsers and others meet it: real programs, asked over sockets of their own.
//!
//! A test waits for a line of a stream or for the end of a connection, never for a time.

#[path = "web/client.rs"]
mod client;
#[cfg(feature = "http")]
#[path = "web/gateway.rs"]
mod gateway;
#[path = "web/limits.rs"]
mod limits;
#[path = "web/lines.rs"]
mod lines;
#[path = "web/process.rs"]
mod process;
#[cfg(unix)]
#[path = "web/prompt.rs"]
mod prompt;
#[cfg(unix)]
#[path = "program/terminal/pty.rs"]
mod pty;
#[path = "web/safety.rs"]
mod safety;

use client::{Program, Window};
use serde_json::json;

#[test]
fn the_page_is_for_everyone_at_the_address_and_all_else_for_those_with_a_key() {
    let program = Program::cluster(&[]);
    let page = program.get("/", &[]);
    assert_eq!(page.status, 200);
    assert!(page.body.starts_with("<!doctype html>"), "{}", page.body);
    let policy = page.header("Content-Security-Policy");
    let nonce = policy
        .split_once("script-src 'nonce-")
        .and_then(|(_, rest)| rest.split_once('\''))
        .expect("a nonce")
        .0;
    assert!(page.body.contains(nonce) && policy.contains("default-src 'none'"), "{policy}");
    assert_eq!(page.header("Cache-Control"), "no-store");
    assert_eq!(page.header("X-Content-Type-Options"), "nosniff");
    assert_eq!(page.header("Referrer-Policy"), "no-referrer");
    assert!(!program.get("/", &[]).body.contains(nonce), "each page has a nonce of its own");
    let window = Window::open(&program);
    for path in ["/events", "/trace"] {
        assert_eq!(program.get(path, &[]).refusal(), (401, true), "{path}");
        let key = format!("Raftlab-Key: {}0", &window.key[1..]);
        assert_eq!(program.get(path, &[&key]).refusal(), (401, true), "{path} with a wrong key");
    }
    for path in ["/directive", "/stop", "/complete", "/clock"] {
        assert_eq!(program.post(path, &[], &json!({"line": "crash all"})).refusal(), (401, true), "{path}");
    }
    assert_eq!(window.ask("status"), "ok", "nothing was crashed");
}

#[test]
fn a_token_opens_one_window_and_web_prints_another() {
    let mut program = Program::cluster(&[]);
    let window = Window::open(&program);
    let again = program.post("/key", &[], &json!({"token": program.token()}));
    assert_eq!(again.refusal(), (401, true), "{}", again.body);
    let wrong = program.post("/key", &[], &json!({"token": "0".repeat(32)}));
    assert_eq!(wrong.refusal(), (401, true));
    program.say("web\n");
    program.reads_address();
    let other = Window::open(&program);
    assert_ne!(window.key, other.key);
    assert_eq!((window.ask("status"), other.ask("status")), ("ok".to_string(), "ok".to_string()));
    assert!(!window.trace().contains(program.token()), "a token is for the terminal alone");
}

#[test]
fn a_session_that_ends_with_its_lines_has_no_window() {
    for (program, options) in [("cluster", &["3", "--memory", "--web"][..]), ("simulate", &["3", "--web"])] {
        let (code, said) = client::run(program, options);
        assert_eq!(code, 2, "{said}");
        assert_eq!(
            said,
            "error: --web needs a prompt, or --serve: else the session ends with its last line\n"
        );
    }
}

#[test]
fn a_port_that_is_taken_is_said_in_one_line() {
    let program = Program::cluster(&[]);
    let (code, said) =
        client::run("cluster", &["3", "--memory", "--serve", &format!("--web={}", program.port())]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.lines().last().is_some_and(|line| line.starts_with("error: --web cannot listen on 127.0.0.1:")),
        "{said}"
    );
}

#[test]
fn the_trace_is_a_file_that_begins_with_its_head() {
    let program = Program::simulate();
    let window = Window::open(&program);
    assert_eq!(window.ask("echo <img onerror=alert(1)>"), "ok");
    let trace = window.trace();
    let lines: Vec<serde_json::Value> =
        trace.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(lines[0]["trace"], 1);
    assert_eq!(lines[0]["source"], "simulator");
    assert_eq!(lines[0]["nodes"], json!(["n1", "n2", "n3"]));
    let answer = lines.iter().find(|line| line["e"] == "answer").expect("the answer");
    assert_eq!(answer["text"], "<img onerror=alert(1)>");
}
