//! The window on a run that goes: what is done in the page happens in the program, and what happens there is seen in the page.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::TempDir;

use crate::driver::{Browser, key};

/// A program with a window, in a folder of its own; it ends with the test.
struct Program {
    child: Child,
    /// Open, so that the program can write.
    _said: BufReader<ChildStderr>,
    address: String,
    _folder: TempDir,
}

impl Program {
    fn start(program: &str, arguments: &[&str]) -> Program {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(program);
        command.current_dir(folder.path()).args(arguments).args(["--web", "--serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
        let address = said
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("window: ").map(str::to_string));
        Program { child, _said: said, address: address.expect("it prints an address"), _folder: folder }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn opened(program: &Program) -> Option<Browser> {
    let browser = Browser::start()?;
    browser.open(&program.address);
    browser.wait("trace.head !== null");
    Some(browser)
}

/// Types a line at the page's prompt.
fn type_line(browser: &Browser, line: &str) {
    browser.run("byId('prompt-line').focus()", &[]);
    browser.press(&format!("{line}{}", key::ENTER));
}

#[test]
fn a_run_in_virtual_time_is_driven_from_the_page() {
    let program = Program::start(env!("CARGO_BIN_EXE_simulate"), &["3", "--seed", "7"]);
    let Some(browser) = opened(&program) else { return };
    assert_eq!(browser.text("location.hash"), "", "the token has left the address");
    browser.wait("byId('standing').textContent === 'no leader \u{b7} 3 of 3 up \u{b7} quorum 2'");
    type_line(&browser, "wait leader");
    browser.wait("/^n\\d leads term 1 /.test(byId('standing').textContent)");
    type_line(&browser, "put x 5");
    browser.wait("byId('answers').textContent.includes('OK put x=5')");
    let button = "[...document.querySelectorAll('#network-buttons button')].find((one) => one.textContent === 'crash leader')";
    browser.run(&format!("{button}.click()"), &[]);
    browser.wait("byId('standing').textContent.includes('2 of 3 up')");
    assert_eq!(browser.value("document.querySelectorAll('.node.down').length"), 1);
    type_line(&browser, "wait leader");
    browser.wait("/leads term 2 /.test(byId('standing').textContent)");
    // Entry 3 is the command: the no-op of the term and the client's session come before it.
    browser.run("document.querySelector('#log-table th [data-index=\"3\"]').click()", &[]);
    browser.wait("byId('answers').textContent.includes('> why 3') && byId('answers').textContent.includes('entry 3@1 is the command')");
    type_line(&browser, "check");
    browser.wait("byId('lamps').classList.contains('holds')");
    browser.wait("byId('queue').hidden");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn play_lets_virtual_time_pass_and_pause_stops_it() {
    let program = Program::start(env!("CARGO_BIN_EXE_simulate"), &["3", "--seed", "7"]);
    let Some(browser) = opened(&program) else { return };
    browser.run(
        "byId('speed').value = '1'; byId('speed').dispatchEvent(new Event('change')); byId('play').click()",
        &[],
    );
    browser.wait("/leads term/.test(byId('standing').textContent)");
    browser.run("byId('play').click()", &[]);
    browser.wait("byId('play').getAttribute('aria-label') === 'Play'");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_cluster_of_threads_is_watched_and_a_second_page_sees_the_same() {
    let program = Program::start(env!("CARGO_BIN_EXE_cluster"), &["3", "--memory"]);
    let Some(browser) = opened(&program) else { return };
    browser.wait("/leads term/.test(byId('standing').textContent)");
    type_line(&browser, "put y 1");
    browser.wait("byId('answers').textContent.includes('OK put y=1')");
    browser.wait("document.querySelectorAll('#log-table td.committed').length >= 6");
    browser.wait("trace.end - clock.t < 500000");
    // What is saved is a page of its own.
    let saved = "return Promise.all([stream.read('/'), stream.read('/trace')]).then(([page, lines]) => recordedPage(page, lines))";
    let saved = browser.run(saved, &[]).as_str().expect("a page").to_string();
    let other = Browser::start().expect("a second browser, as there is a first");
    other.open_page(&saved);
    other.run("byId('live').click()", &[]);
    other.wait("byId('feed-list').textContent.includes('OK put y=1')");
    assert_eq!(other.complaints(), Vec::<String>::new());
    // Completion knows the cluster's nodes.
    browser.run("byId('prompt-line').focus()", &[]);
    browser.press(&format!("crash {}", key::TAB));
    browser.wait("[...byId('candidates').children].some((one) => one.textContent === 'n2')");
    // A page that is loaded again has its key still, and all that is kept.
    browser.open(&program.address.split('#').next().map(str::to_string).expect("an address"));
    browser.wait("byId('answers').textContent.includes('OK put y=1')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn without_its_token_the_page_says_what_to_do() {
    let program = Program::start(env!("CARGO_BIN_EXE_simulate"), &["3"]);
    let Some(browser) = Browser::start() else { return };
    browser.open(program.address.split('#').next().expect("an address"));
    browser.wait("byId('notice').textContent.includes('Type web at the prompt')");
    assert_eq!(browser.value("names().length"), 0);
}

#[test]
fn a_lesson_is_seen_while_it_is_played_and_the_run_is_left_alone() {
    let program = Program::start(env!("CARGO_BIN_EXE_simulate"), &["3", "--seed", "7"]);
    let Some(browser) = opened(&program) else { return };
    browser.run("document.querySelector('#controls details').open = true", &[]);
    browser.wait("[...byId('lesson').options].some((one) => one.value === 'figure-8')");
    browser
        .run("byId('lesson').value = 'figure-8'; byId('lesson-form').dispatchEvent(new Event('input'))", &[]);
    browser.run("byId('lesson-send').click()", &[]);
    browser.wait("/^n3 leads term 1 . 5 of 5 up/.test(byId('standing').textContent)");
    assert!(browser.text("byId('moment').textContent").starts_with("lesson figure-8"));
    browser.run("byId('lesson-continue').click()", &[]);
    browser.wait("byId('answers').textContent.includes('delay 100ms on all links')");
    browser.wait("!byId('lesson-leave').disabled");
    browser.run("byId('lesson-leave').click()", &[]);
    browser.wait("byId('lesson-leave').disabled");
    type_line(&browser, "status");
    browser.wait("byId('standing').textContent === 'no leader \u{b7} 3 of 3 up \u{b7} quorum 2'");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_step_buttons_step_the_run_from_where_it_stands() {
    let program = Program::start(env!("CARGO_BIN_EXE_simulate"), &["3", "--seed", "7"]);
    let Some(browser) = opened(&program) else { return };
    type_line(&browser, "wait leader");
    browser.wait("byId('standing').textContent.includes('leads term 1') && clock.t === trace.end");
    // What else happens at the time at which the wait ended is a step of its own.
    type_line(&browser, "step");
    browser.wait("byId('answers').textContent.includes(' later') && clock.t === trace.end");
    browser.run("window.end = trace.end; byId('step-on').click()", &[]);
    browser.wait("trace.end > window.end && clock.t === trace.end");
    type_line(&browser, "rewind 20ms");
    browser.wait("trace.past !== null && clock.t === trace.past");
    browser.run("window.past = trace.past; byId('step-on').click()", &[]);
    browser.wait("trace.past > window.past && clock.t === trace.past");
    browser.run("window.past = trace.past; byId('step-back').click()", &[]);
    browser.wait("trace.past < window.past && clock.t === trace.past");
    assert!(!browser.text("writeAddress(trace, trace.end)").contains("step+"));
    type_line(&browser, "step 1h");
    browser.wait("trace.past === null && clock.t === trace.end");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_run_is_forked_at_the_time_that_is_shown() {
    let program = Program::start(env!("CARGO_BIN_EXE_simulate"), &["3", "--seed", "7"]);
    let Some(browser) = opened(&program) else { return };
    type_line(&browser, "wait leader");
    type_line(&browser, "put x 5");
    browser.wait("byId('answers').textContent.includes('OK put x=5')");
    type_line(&browser, "crash leader");
    browser.wait("byId('standing').textContent.includes('2 of 3 up')");
    // Back to where the leader had just won, and on from there: the crash has not happened.
    browser.run("seek(trace.events.find((event) => event.e === 'became_leader').t)", &[]);
    browser.wait("!byId('fork').hidden");
    browser.run("byId('fork').click()", &[]);
    browser.wait("byId('answers').textContent.includes('the run continues from')");
    browser.wait("byId('fork').hidden && byId('standing').textContent.includes('3 of 3 up')");
    type_line(&browser, "put x 6");
    browser.wait("byId('answers').textContent.includes('OK put x=6')");
    browser.wait("clock.t === trace.end");
    assert!(!browser.text("byId('feed-list').textContent").contains("crashed"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
