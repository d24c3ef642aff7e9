//! The directives of the page: each button, form and gesture sends the line that it shows, and answers come back as events.

use raftlab::window::page;
use serde_json::{Value, json};

use crate::driver::{Browser, key};
use crate::{list, sample};

/// In place of the program: it keeps what is sent to it, and gives each line the next number.
const PROGRAM: &str = "window.sent = []; \
    stream.post = async (path, body) => { window.sent.push([path, body]); \
        if (path === '/complete') return { start: 0, candidates: ['create', 'crash'] }; \
        return { number: window.sent.length + 100 }; }; \
    notice(''); for (const line of arguments[0].split('\\n')) hear(line); clock.live(trace); changed();";

/// The live page, with the sample's events heard and lines kept.
pub fn live() -> Option<Browser> {
    let browser = Browser::start()?;
    browser.open_page(&page("test"));
    browser.run(PROGRAM, &[json!(sample::trace())]);
    browser.drawn();
    Some(browser)
}

pub fn sent(browser: &Browser) -> Vec<String> {
    browser.drawn();
    let all = list(&browser.run("return window.sent.splice(0)", &[]));
    all.iter().filter_map(|one| one[1]["line"].as_str().map(str::to_string)).collect()
}

#[test]
fn each_button_sends_the_line_that_it_shows() {
    let Some(browser) = live() else { return };
    for node in sample::NODES {
        browser.run("ring.select(arguments[0])", &[json!(node)]);
        browser.drawn();
        let buttons = "[...document.querySelectorAll('#node-buttons button, #network-buttons button')]";
        let shown = list(&browser.value(&format!("{buttons}.map((one) => one.textContent)")));
        assert!(shown.len() > 10, "{shown:?}");
        let own = shown.iter().filter(|line| line.as_str().is_some_and(|line| line.ends_with(node))).count();
        assert!(own >= 1, "none of {shown:?} is of {node}");
        for nth in 0..shown.len() {
            browser.run(&format!("{buttons}[arguments[0]].click()"), &[json!(nth)]);
        }
        assert_eq!(sent(&browser), shown.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    }
    assert_eq!(
        browser.text("byId('network-buttons').firstChild.textContent"),
        "put x 4",
        "each put has a value of its own"
    );
}

#[test]
fn a_node_that_is_down_can_be_restarted() {
    let Some(browser) = live() else { return };
    browser.run("ring.select('n1')", &[]);
    browser.drawn();
    assert_eq!(browser.text("byId('node-title').textContent"), "n1, down");
    assert_eq!(browser.text("byId('node-buttons').firstChild.textContent"), "restart n1");
}

#[test]
fn links_partitions_and_lessons_have_forms_for_the_keyboard() {
    let Some(browser) = live() else { return };
    browser.run("document.querySelector('#controls details').open = true; byId('link-from').focus()", &[]);
    browser.press("n3");
    browser.run("byId('link-send').focus()", &[]);
    assert_eq!(browser.text("byId('link-send').textContent"), "cut n3>n2");
    browser.press(key::ENTER);
    assert_eq!(sent(&browser), ["cut n3>n2"]);
    browser.run("document.querySelector('#partition-nodes input').focus()", &[]);
    assert_eq!(browser.value("byId('partition-send').disabled"), true);
    browser.press(" ");
    browser.run("byId('partition-send').focus()", &[]);
    browser.press(key::ENTER);
    assert_eq!(sent(&browser), ["partition n1 / n2 n3"]);
}

#[test]
fn a_stroke_across_links_is_a_partition() {
    let Some(browser) = live() else { return };
    let place = |name: &str| {
        let middle = list(&browser.run(
            "const {x, y} = ring.spots.get(arguments[0]); const box = ring.svg.getBoundingClientRect(); return [box.left + x, box.top + y]",
            &[json!(name)],
        ));
        (middle[0].as_f64().expect("a number"), middle[1].as_f64().expect("a number"))
    };
    let (n1, n2, n3) = (place("n1"), place("n2"), place("n3"));
    let half = f64::midpoint(n1.1, n2.1);
    browser.drag(&[(n3.0 - 20.0, half), (n1.0, half), (n2.0 + 20.0, half)]);
    assert_eq!(sent(&browser), ["partition n1 / n2 n3"]);
    assert_eq!(browser.text("byId('ring-note').textContent"), "");
}

#[test]
fn the_prompt_has_history_completion_and_a_queue_with_stop() {
    let Some(browser) = live() else { return };
    browser.run("byId('prompt-line').focus()", &[]);
    browser.press(&format!("sleep 60s{}", key::ENTER));
    browser.press(&format!("status{}", key::ENTER));
    assert_eq!(sent(&browser), ["sleep 60s", "status"]);
    assert_eq!(browser.text("byId('queue-list').textContent"), "waits: sleep 60swaits: status");
    browser.press(&format!("{}{}{}", key::UP, key::UP, key::ENTER));
    assert_eq!(sent(&browser), ["sleep 60s"]);

    browser.press(&format!("cr{}", key::TAB));
    browser.wait("!byId('candidates').hidden");
    browser.press(&format!("{}{}", key::TAB, key::ENTER));
    assert_eq!(browser.text("byId('prompt-line').value"), "crash");
    browser.press(&format!("{}{}", key::ESCAPE, key::TAB));
    assert_eq!(
        browser.value("document.activeElement === byId('prompt-line')"),
        false,
        "the focus can leave the prompt"
    );

    browser.run("window.sent.splice(0); byId('stop').click()", &[]);
    browser.drawn();
    assert_eq!(browser.value("window.sent.map(([path]) => path).join()"), "/stop");
}

#[test]
fn answers_come_as_events_and_end_the_wait() {
    let Some(browser) = live() else { return };
    browser.run("prompt.taken(7, 'check')", &[]);
    let events = [
        json!({"t": 500_000, "k": 900, "at": "console", "e": "directive", "number": 7, "line": "check", "by": "web", "text": "> check"}),
        json!({"t": 500_000, "k": 901, "at": "console", "e": "answer", "number": 7, "outcome": "failed", "text": "FAIL election safety\nn1 <b>"}),
    ];
    browser.run("hear(arguments[0])", &[json!(events[0].to_string())]);
    assert_eq!(browser.text("byId('queue-list').textContent"), "runs: check");
    browser.run("hear(arguments[0])", &[json!(events[1].to_string())]);
    assert_eq!(browser.value("byId('queue').hidden"), true);
    let answer = "byId('answers').lastChild";
    assert_eq!(browser.text(&format!("{answer}.textContent")), "FAIL election safety\nn1 <b>");
    assert_eq!(browser.text(&format!("{answer}.className")), "not-ok laid-out");
}

#[test]
fn a_fork_is_two_lines_and_what_followed_is_gone() {
    let Some(browser) = live() else { return };
    browser.run("seek(206000)", &[]);
    browser.drawn();
    browser.run("byId('fork').click()", &[]);
    browser.wait("window.sent.length === 2");
    assert_eq!(sent(&browser), ["rewind to 0.206s", "fork"]);
    let forked = json!({"t": 206_000, "k": 900, "at": "console", "e": "forked", "from": 206_000});
    browser.run("hear(arguments[0]); clock.live(trace); changed()", &[json!(forked.to_string())]);
    browser.drawn();
    assert_eq!(browser.value("trace.end"), 206_000);
    assert!(browser.text("byId('standing').textContent").starts_with("n1 leads term 1"));
    assert_eq!(
        browser.text("document.querySelector('[data-node=n1]').getAttribute('aria-label')"),
        "n1: leader, term 1, commit 0, last entry 1"
    );
}

#[test]
fn an_address_holds_the_lines_of_the_run_and_the_time_between_them() {
    let Some(browser) = live() else { return };
    browser.run("byId('share').click()", &[]);
    let address = browser.value("readAddress(location.hash)");
    assert_eq!((&address["seed"], &address["nodes"]), (&json!("7"), &json!("3")));
    let lines = list(&address["lines"]);
    let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
    let puts = lines.iter().filter(|line| line.starts_with("put ")).count();
    assert!(puts >= 2 && lines[0].starts_with("sleep "), "{lines:?}");
    let slept: u64 = lines
        .iter()
        .filter_map(|line| line.strip_prefix("sleep ")?.strip_suffix("us")?.parse::<u64>().ok())
        .sum();
    let end = browser.value("trace.end").as_u64().expect("a time");
    assert!(slept > 0 && slept <= end, "{lines:?} until {end}");
    assert_eq!(sent(&browser), Vec::<String>::new(), "an address runs nothing by itself");
}

#[test]
fn what_an_address_holds_runs_only_when_asked() {
    let Some(browser) = live() else { return };
    browser.run("location.hash = '#seed=7&script=wait%20leader;crash%20leader'", &[]);
    browser.wait("!byId('offer').hidden");
    assert_eq!(sent(&browser), Vec::<String>::new());
    assert!(browser.text("byId('offer-lines').textContent").contains("wait leader\ncrash leader"));
    browser.run("byId('offer-run').click()", &[]);
    browser.wait("window.sent.length === 2");
    assert_eq!(sent(&browser), ["wait leader", "crash leader"]);
}
