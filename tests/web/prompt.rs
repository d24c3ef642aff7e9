//! A window beside a prompt: what it does shows on the terminal, and a line that is half typed survives.

use std::time::Instant;

use serde_json::json;

use crate::client::{Address, Window};
use crate::process::PATIENCE;
use crate::pty::Pty;

/// A program with a window at a terminal of 120 by 40.
struct Terminal {
    pty: Pty,
    _folder: tempfile::TempDir,
}

impl Terminal {
    fn start(program: &str, options: &[&str]) -> Terminal {
        let folder = tempfile::tempdir().expect("a folder");
        Terminal { pty: Pty::start((120, 40), program, options, folder.path()), _folder: folder }
    }

    fn types(&mut self, keys: &str) {
        self.pty.types(keys);
    }

    /// Waits until the rows of the screen, and the one with the cursor, are so.
    #[track_caller]
    fn sees(&mut self, what: &str, is_so: impl Fn(&[String], &str) -> bool) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.pty.screen();
            let rows: Vec<String> = screen.rows(0, 120).map(|row| row.trim_end().to_string()).collect();
            if is_so(&rows, &rows[usize::from(screen.cursor_position().0)]) {
                return rows;
            }
            if let Err(reason) = self.pty.hears(deadline) {
                panic!("no {what} ({reason}):\n{}", rows.join("\n"));
            }
        }
    }

    #[track_caller]
    fn window(&mut self) -> Window {
        self.sees("a prompt", |_, row| row.contains("leader=n"));
        self.window_at_once()
    }

    #[track_caller]
    fn window_at_once(&mut self) -> Window {
        let rows = self.sees("an address", |rows, _| rows.iter().any(|row| row.contains("window: http://")));
        Window::at(&Address::of(rows.iter().find(|row| row.contains("window: http://")).expect("just seen")))
    }
}

#[test]
fn a_line_of_the_window_shows_above_the_one_that_is_half_typed() {
    let mut terminal = Terminal::start(env!("CARGO_BIN_EXE_cluster"), &["3", "--memory", "--web"]);
    let window = terminal.window();
    terminal.types("create typed 1");
    terminal.sees("half a line", |_, row| row.contains("> create typed 1"));
    let mut stream = window.stream(0);
    let number = window.line("create asked 2");
    stream.answer(number);
    let rows = terminal.sees("the answer above the line", |rows, row| {
        row.contains("> create typed 1") && rows.iter().any(|row| row.starts_with("OK created asked=2 ["))
    });
    assert!(rows.iter().any(|row| row == "> create asked 2"), "{rows:#?}");
    terminal.types("\r");
    terminal.sees("its answer", |rows, _| rows.iter().any(|row| row.starts_with("OK created typed=1 [")));
    let typed = stream.until("the typed line", |line| line["e"] == "directive" && line["by"] == "prompt");
    assert_eq!(typed["line"], "create typed 1");
    assert!(stream.answer(typed["number"].as_u64().expect("a number"))["outcome"] == "ok");
}

#[test]
fn the_prompt_says_what_the_window_has_done() {
    let mut terminal = Terminal::start(env!("CARGO_BIN_EXE_cluster"), &["3", "--memory", "--web"]);
    let window = terminal.window();
    assert_eq!(window.ask("crash n3"), "ok");
    terminal.sees("two nodes", |_, row| row.starts_with("raft 2/3 "));
    terminal.types("echo typed\r");
    terminal
        .sees("an answer", |rows, row| rows.iter().any(|row| row == "typed") && row.starts_with("raft 2/3 "));
}

#[test]
fn ctrl_c_and_the_window_end_each_others_lines_and_not_the_session() {
    let mut terminal = Terminal::start(env!("CARGO_BIN_EXE_cluster"), &["3", "--memory", "--web"]);
    let window = terminal.window();
    let mut stream = window.stream(0);
    let asked = window.line("sleep 60s");
    stream.until("a line that runs", |line| line["e"] == "directive" && line["number"] == asked);
    terminal.types("\x03");
    assert_eq!(stream.answer(asked)["outcome"], "failed");
    terminal.sees("a prompt", |rows, row| {
        row.starts_with("raft 3/3 ") && rows.iter().any(|row| row.starts_with("ERR interrupted after"))
    });
    terminal.types("sleep 61s\r");
    let typed = stream.until("a typed line", |line| line["line"] == "sleep 61s");
    assert_eq!(window.post("/stop", &json!({})).status, 202);
    stream.answer(typed["number"].as_u64().expect("a number"));
    terminal.types("echo still here\r");
    terminal.sees("an answer", |rows, _| rows.iter().any(|row| row == "still here"));
}

#[test]
fn the_window_stops_a_line_of_a_terminal_without_a_line_editor() {
    let program = env!("CARGO_BIN_EXE_cluster");
    let mut terminal = Terminal::start("env", &["TERM=dumb", program, "3", "--memory", "--web"]);
    let window = terminal.window_at_once();
    let mut stream = window.stream(0);
    terminal.types("sleep 60s\r");
    let typed = stream.until("a typed line", |line| line["line"] == "sleep 60s");
    assert_eq!(window.post("/stop", &json!({})).status, 202);
    assert_eq!(stream.answer(typed["number"].as_u64().expect("a number"))["outcome"], "failed");
    terminal.types("echo still here\r");
    terminal.sees("an answer", |rows, _| rows.iter().any(|row| row == "still here"));
}

#[test]
fn quit_from_the_window_ends_the_session_at_the_prompt() {
    let mut terminal = Terminal::start(env!("CARGO_BIN_EXE_cluster"), &["3", "--memory", "--web"]);
    let window = terminal.window();
    window.line("quit");
    assert_eq!(terminal.pty.ends(Instant::now() + PATIENCE), Some(0), "it ends");
}
