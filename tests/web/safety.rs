//! Requests that come from elsewhere or are damaged: each is turned away in one line, and the cluster runs on.

use serde_json::json;

use crate::client::{Program, Window};

/// A request for the page with these lines in its head.
fn page(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

#[test]
fn a_name_that_is_not_the_address_is_turned_away() {
    let program = Program::simulate();
    let (host, port) = (program.host(), program.port());
    assert_eq!(program.raw(&page(&format!("Host: {host}\r\n"))).status, 200);
    let names = [
        format!("attacker.example:{port}"),
        "127.0.0.1".to_string(),
        format!("localhost:{port}"),
        String::new(),
    ];
    for name in names {
        assert_eq!(program.raw(&page(&format!("Host: {name}\r\n"))).refusal(), (421, true), "{name}");
    }
    let twice = format!("Host: {host}\r\nHost: attacker.example\r\n");
    assert_eq!(program.raw(&page(&twice)).refusal(), (400, true));
    assert_eq!(program.raw(&page("")).refusal(), (400, true), "no name");
}

#[test]
fn a_page_of_another_origin_is_turned_away() {
    let program = Program::simulate();
    let host = program.host();
    for origin in ["http://attacker.example", "null", &format!("https://{host}"), &format!("http://{host}0")]
    {
        let asked = page(&format!("Host: {host}\r\nOrigin: {origin}\r\n"));
        assert_eq!(program.raw(&asked).refusal(), (403, true), "{origin}");
    }
    // A browser asks before it sends a key or JSON to another site; that is not answered with leave.
    let preflight =
        format!("OPTIONS /directive HTTP/1.1\r\nHost: {host}\r\nOrigin: http://attacker.example\r\n\r\n");
    let answer = program.raw(preflight.as_bytes());
    assert_eq!(answer.refusal(), (405, true));
}

#[test]
fn a_body_is_json_of_the_form_that_is_asked_for() {
    let program = Program::simulate();
    let window = Window::open(&program);
    let (host, key) = (program.host(), &window.key);
    let send = |kind: &str, body: &str| {
        let length = body.len();
        let text = format!(
            "POST /directive HTTP/1.1\r\nHost: {host}\r\nRaftlab-Key: {key}\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        program.raw(text.as_bytes())
    };
    assert_eq!(send("application/json", "{\"line\":\"heal\"}").status, 202);
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        assert_eq!(send(kind, "{\"line\":\"heal\"}").refusal(), (415, true), "{kind}");
    }
    for body in ["", "{", "{\"line\":7}", "{\"lines\":\"heal\"}", "[]", "{\"line\":\"\\ud800\"}"] {
        assert_eq!(send("application/json", body).refusal(), (400, true), "{body}");
    }
    assert_eq!(window.post("/directive", &json!({"line": "heal\ncrash all"})).refusal(), (400, true));
    for body in [json!({"line": "é", "cursor": 1}), json!({"line": "a", "cursor": 2})] {
        assert_eq!(window.post("/complete", &body).refusal(), (400, true), "{body}");
    }
    for body in
        [json!({"play": true, "speed": 0.0}), json!({"play": true, "speed": 1e300}), json!({"play": 1})]
    {
        assert_eq!(window.post("/clock", &body).refusal(), (400, true), "{body}");
    }
    assert_eq!(program.get("/events?from=x", &[&format!("Raftlab-Key: {key}")]).refusal(), (400, true));
    assert_eq!(program.get("/nothing", &[&format!("Raftlab-Key: {key}")]).refusal(), (404, true));
    assert_eq!(program.get("/directive", &[&format!("Raftlab-Key: {key}")]).refusal(), (405, true));
}

#[test]
fn damaged_requests_are_turned_away_and_the_cluster_runs_on() {
    let program = Program::cluster(&[]);
    let window = Window::open(&program);
    let host = program.host();
    let head = |lines: &str| {
        format!("POST /key HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{lines}\r\n")
    };
    let chunked = head("Transfer-Encoding: chunked\r\n") + "5\r\n{\"a\":\r\n0\r\n\r\n";
    let both = head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n";
    let cases: Vec<(Vec<u8>, u16)> = vec![
        (vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01], 400),
        (b"\0\0\0\0\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/9.9\r\n\r\n".to_vec(), 400),
        (b"GET\r\n\r\n".to_vec(), 400),
        (chunked.into_bytes(), 501),
        (both.into_bytes(), 501),
        (head("").into_bytes(), 411),
        (head("Content-Length: 18446744073709551615\r\n").into_bytes(), 413),
        (head("Content-Length: 99999999999999999999999999\r\n").into_bytes(), 413),
        (head("Content-Length: 65537\r\n").into_bytes(), 413),
        (head("Content-Length: 0x10\r\n").into_bytes(), 400),
        (head("Content-Length: 4\r\nContent-Length: 5\r\n").into_bytes(), 400),
        (page(&format!("Host: {host}\r\nX: {}\r\n", "x".repeat(9_000))), 431),
        (page(&format!("Host: {host}\r\n{}", "X: x\r\n".repeat(100))), 431),
        (format!("GET /{}", "x".repeat(9_000)).into_bytes(), 431),
        (format!("DELETE / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(), 405),
    ];
    for (bytes, status) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
        assert_eq!(program.raw(&bytes).refusal(), (status, true), "{shown}");
    }
    assert_eq!(window.ask("create x 1"), "ok");
}

#[test]
fn of_requests_on_one_connection_the_first_is_answered() {
    let program = Program::simulate();
    let window = Window::open(&program);
    let (host, key) = (program.host(), &window.key);
    let body = "{\"line\":\"echo one\"}";
    let one = format!(
        "POST /directive HTTP/1.1\r\nHost: {host}\r\nRaftlab-Key: {key}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = program.raw(one.repeat(3).as_bytes());
    assert_eq!(answer.status, 202);
    assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
    assert_eq!(answer.header("Connection"), "close");
    assert_eq!(window.ask("echo two"), "ok");
    assert_eq!(window.trace().matches("\"echo one\"").count(), 1);
}

#[test]
fn a_line_that_names_a_file_is_for_the_prompt() {
    let program = Program::simulate();
    let window = Window::open(&program);
    for line in ["run tour", "report a.html", "save-script a.raft --overwrite", "scenario ../a.raft"] {
        assert_eq!(window.post("/directive", &json!({"line": line})).refusal(), (403, true), "{line}");
    }
    assert_eq!(window.ask("scenario"), "ok", "a list names none");
    assert_eq!(window.ask("status --watch"), "failed", "it would draw on the terminal");
}

#[cfg(unix)]
#[test]
fn a_window_for_others_needs_a_secret_that_is_one() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let refused = |options: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_simulate"));
        let ran = command.current_dir(folder.path()).args(options).output().expect("it starts");
        assert_eq!(ran.status.code(), Some(2), "{options:?}");
        let said = String::from_utf8(ran.stderr).expect("text");
        said.lines().next().expect("a line").to_string()
    };
    let secret = folder.path().join("secret");
    let bind = ["--web", "--serve", "--web-bind", "192.0.2.1"];
    let with_secret = [&bind[..], &["--web-secret", "secret"]].concat();
    assert_eq!(refused(&bind), "error: --web-bind 192.0.2.1 lets others in, and needs --web-secret FILE");
    let said = refused(&["--web", "--serve", "--web-bind", "0.0.0.0", "--web-secret", "secret"]);
    assert!(said.contains("give one of this machine"), "{said}");
    assert!(refused(&["--web-bind", "127.0.0.1"]).contains("--web"), "it needs a window");
    assert!(refused(&with_secret).contains("; make one: (umask 077; openssl rand -hex 16 > secret)"));
    let write = |text: &str, mode: u32| {
        std::fs::write(&secret, text).expect("it is written");
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(mode)).expect("it is this test's");
    };
    write("0123456789abcdef\n", 0o644);
    assert_eq!(
        refused(&with_secret),
        "error: --web-secret secret holds a secret and is open to others: chmod 600 secret"
    );
    write("short\n", 0o600);
    assert!(refused(&with_secret).contains("a secret has 16 to 256 letters and digits"));
    write("0123456789abcdef\n", 0o600);
    let program = Program::simulate_with(&["--web-secret", &secret.display().to_string()]);
    for _ in 0..2 {
        let let_in = program.post("/key", &[], &json!({"token": "0123456789abcdef"}));
        assert_eq!(let_in.status, 200, "{}", let_in.body);
    }
    assert_eq!(program.post("/key", &[], &json!({"token": "0123456789abcdee"})).refusal(), (401, true));
    Window::open(&program);
}
