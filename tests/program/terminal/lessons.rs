//! A lesson at a terminal: what its keys end.

use super::{CTRL_C, CTRL_D, Terminal, WIDE};

#[test]
fn keys_in_a_lesson_end_a_line_then_what_runs_then_the_lesson_then_the_session() {
    let mut terminal =
        Terminal::start(WIDE, env!("CARGO_BIN_EXE_simulate"), &["3", "--prompt", "--seed", "7"]);
    terminal.sees("a prompt", |screen| screen.prompt("term=0").is_some());
    for key in [CTRL_C, CTRL_D] {
        terminal.enters("clear");
        terminal.enters("scenario tour");
        terminal.sees("a lesson", |screen| screen.row().starts_with("tour 1 of"));
        terminal.types("echo never");
        terminal.sees("a line", |screen| screen.row().ends_with("> echo never"));
        terminal.types(CTRL_C);
        terminal.sees("a cleared line", |screen| {
            screen.row().starts_with("tour 1 of") && screen.row().ends_with('>')
        });
        terminal.enters("after 1s crash n1");
        terminal.enters("sleep 1000h");
        terminal.sees_text("] crash n1: ");
        terminal.types(CTRL_C);
        terminal.sees_text("ERR interrupted after ");
        terminal.sees("the lesson", |screen| screen.row().starts_with("tour 1 of"));
        terminal.types(key);
        terminal.sees_text("'scenario tour' begins it again");
        terminal.sees("its own prompt", |screen| screen.prompt("term=0").is_some());
    }
    terminal.types(CTRL_D);
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn a_lesson_passes_by_a_clock_when_it_is_told_to() {
    let mut terminal =
        Terminal::start(WIDE, env!("CARGO_BIN_EXE_simulate"), &["3", "--prompt", "--seed", "7"]);
    terminal.sees("a prompt", |screen| screen.prompt("term=0").is_some());
    terminal.enters("scenario tour");
    terminal.enters("speed 1");
    terminal.enters("status --watch");
    terminal.sees_text("Ctrl-C ends this");
    terminal.types(CTRL_C);
    terminal.sees("the lesson", |screen| screen.row().starts_with("tour 1 of"));
}
