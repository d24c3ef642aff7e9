//! The prompt of a run that was rewound.

use super::{Terminal, WIDE};

#[test]
fn the_prompt_says_that_the_run_stands_in_its_past_until_it_is_left() {
    let mut terminal =
        Terminal::start(WIDE, env!("CARGO_BIN_EXE_simulate"), &["3", "--prompt", "--seed", "7"]);
    terminal.sees("a prompt", |screen| screen.prompt("term=0").is_some());
    terminal.enters("wait leader");
    terminal.sees("a leader", |screen| screen.prompt("leader=n1").is_some());
    terminal.enters("sleep 2s");
    terminal.enters("rewind to 100ms");
    terminal.sees("the past", |screen| screen.prompt("no leader term=0 past=0.100/2.177").is_some());
    terminal.enters("crash n1");
    terminal.sees_text("ERR this is 0.100000 of a run known until 2.177797");
    terminal.enters("rewind to end");
    terminal.sees("the end", |screen| screen.row().ends_with("term=1>"));
    terminal.enters("step back 1s");
    terminal.sees("the past", |screen| screen.prompt("leader=n1 term=1 past=1.177/2.177").is_some());
    terminal.enters("fork");
    terminal.sees_text("what followed until 2.177797 is dropped");
    terminal.sees("the end", |screen| screen.row().ends_with("term=1>"));
}
