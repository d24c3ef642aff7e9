//! The window on a run that goes: what is done in the page happens in the program, and what happens there is seen in the page.

use raftlab::window::page;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::driver::{Browser, key};
use crate::list;
use crate::process::Process;

/// A program with a window, in a folder of its own; it ends with the test.
struct Program {
    process: Process,
    address: String,
    _folder: TempDir,
}

impl Program {
    /// Three nodes on threads. Its calls try as long as a browser may take for anything, on a machine that is busy.
    fn cluster() -> Program {
        Program::start(env!("CARGO_BIN_EXE_cluster"), &["3", "--memory", "--config", "settings.toml"])
    }

    /// Three nodes in virtual time.
    fn simulate() -> Program {
        Program::start(env!("CARGO_BIN_EXE_simulate"), &["3", "--seed", "7"])
    }

    fn start(program: &str, arguments: &[&str]) -> Program {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("settings.toml"), "client_timeout = \"20s\"\n")
            .expect("it is written");
        let process = Process::start(program, &[arguments, &["--web", "--serve"]].concat(), folder.path());
        let line = process.says("window: http://");
        let address = line.split_once("window: ").expect("an address").1.to_string();
        Program { process, address, _folder: folder }
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
    let program = Program::simulate();
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
    let program = Program::simulate();
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
    let program = Program::cluster();
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
    // In what is told, and not in the list of it, which has the newest only.
    other.wait("trace.told.some((event) => event.e === 'answer' && event.text.includes('OK put y=1'))");
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
fn what_is_typed_at_the_prompt_is_seen_and_a_program_that_has_ended_is_missed() {
    let mut program = Program::simulate();
    let Some(browser) = opened(&program) else { return };
    program.process.say("wait leader\nput x 5\n");
    browser.wait("byId('answers').textContent.includes('OK put x=5')");
    program.process.say("quit\n");
    assert_eq!(program.process.ends(), Some(0));
    browser.wait("byId('connection').textContent.includes('does not answer')");
    assert_eq!(browser.text("byId('connection').className"), "fault");
}

#[test]
fn the_key_is_asked_for_again_until_the_program_answers() {
    let Some(browser) = Browser::start() else { return };
    browser.open_page(&page("test"));
    // In place of the program: it answers from the third request on, or with this status and nothing else.
    let unlock = "const [status] = arguments; let asked = 0; \
        window.setTimeout = (then) => Promise.resolve().then(then); \
        window.fetch = async () => { asked += 1; if (asked < 3) throw new Error('it is busy'); \
            return new Response(JSON.stringify(status === 200 ? { key: 'k' } : { error: 'it says no' }), { status }); }; \
        sessionStorage.clear(); history.replaceState(null, '', '#token=t'); \
        return stream.unlock('t').then((reason) => [asked, stream.key, reason, location.hash])";
    let answered = |status: u16| browser.run(unlock, &[json!(status)]);
    assert_eq!(answered(200), json!([3, "k", "", ""]));
    let [asked, key, reason, hash] = &list(&answered(401))[..] else { panic!("four of them") };
    assert_eq!(
        (asked, key, hash),
        (&json!(3), &Value::Null, &json!("")),
        "an address that is used up is no use"
    );
    assert!(reason.as_str().is_some_and(|reason| reason.contains("Type web at the prompt")), "{reason}");
    let [asked, key, reason, hash] = &list(&answered(503))[..] else { panic!("four of them") };
    assert!(asked.as_u64().is_some_and(|asked| asked < 10), "{asked} times");
    assert_eq!((key, hash), (&Value::Null, &json!("#token=t")), "the page can be loaded again");
    assert!(reason.as_str().is_some_and(|reason| reason.contains("it says no")), "{reason}");
}

#[test]
fn without_its_token_the_page_says_what_to_do() {
    let program = Program::simulate();
    let Some(browser) = Browser::start() else { return };
    browser.open(program.address.split('#').next().expect("an address"));
    browser.wait("byId('notice').textContent.includes('Type web at the prompt')");
    assert_eq!(browser.value("names().length"), 0);
}

#[test]
fn a_lesson_is_seen_while_it_is_played_and_the_run_is_left_alone() {
    let program = Program::simulate();
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
    let program = Program::simulate();
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
    let program = Program::simulate();
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
