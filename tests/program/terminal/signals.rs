//! Signals to a program at a terminal while a directive runs.

use std::process::Command;

use super::{Terminal, WIDE};

#[test]
fn a_signal_that_ends_programs_ends_the_session_too_not_only_what_runs() {
    for signal in ["TERM", "HUP"] {
        let mut terminal =
            Terminal::start(WIDE, env!("CARGO_BIN_EXE_simulate"), &["3", "--prompt", "--seed", "7"]);
        terminal.sees("a prompt", |screen| screen.prompt("term=0").is_some());
        terminal.enters("after 1s crash n1");
        terminal.enters("sleep 1000h");
        terminal.sees_text("] crash n1: ");
        let process = terminal.pty.child.process_id().expect("it runs");
        let order = format!("kill -{signal} {process}");
        assert!(Command::new("sh").args(["-c", &order]).status().expect("a shell").success(), "{order}");
        let (code, screen) = terminal.ends();
        assert_eq!(code, 130, "{signal}: {}", screen.text());
        assert!(screen.text().contains("ERR interrupted after "), "{signal}: {}", screen.text());
    }
}
