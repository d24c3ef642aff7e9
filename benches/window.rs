//! What the window aims at, measured: the size of the page, the time to the first picture, frames a second, a seek in ten minutes,
//! and a fork within ten minutes, idle and busy.
//!
//! `cargo bench --bench window` prints a table; the figures of the page need `chromedriver`. Nothing else may run meanwhile. Drawing
//! without a screen is done by the processor.

#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use raftlab::window::{page, page_of_trace};
use serde_json::{Value, json};

#[allow(dead_code)]
#[path = "../tests/window/driver.rs"]
mod driver;

use driver::Browser;

const NODES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];

/// Messages that are drawn at a time, at most.
const FLIGHTS: u64 = 200;

/// Places that are sought.
const SEEKS: u64 = 50;

fn main() {
    println!("| goal | measured |\n|---|---|");
    println!("| a page of at most 250 KB | {} KB |", page("").len().div_ceil(1_000));
    if let Some(browser) = Browser::start() {
        first_picture(&browser);
        frames(&browser);
        seeks(&browser);
    }
    fork("idle", &["wait leader", "sleep 600s"]);
    fork("busy: 200 leaders crashed, 20,000 commands", &busy());
}

/// The trace of a run of five nodes in virtual time.
fn trace(lines: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = simulate(&["--trace", "run.jsonl"], folder.path());
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(lines.as_bytes()).expect("it reads");
    drop(input);
    assert!(child.wait().expect("it ends").success());
    std::fs::read_to_string(folder.path().join("run.jsonl")).expect("it was written")
}

fn simulate(options: &[&str], folder: &std::path::Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulate"));
    command.args(["5", "--seed", "7", "--script", "-"]).args(options).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

fn first_picture(browser: &Browser) {
    browser.open_page(&page_of_trace(&trace("wait leader\nput x 1\nsleep 1s\n")));
    let painted = browser.value("performance.getEntriesByName('first-contentful-paint')[0].startTime");
    println!("| the first picture within 300 ms | {:.0} ms |", number(&painted));
}

fn frames(browser: &Browser) {
    let mut trace = trace("wait leader\n");
    let mut last: Value =
        serde_json::from_str(trace.lines().last().expect("it has lines")).expect("lines of JSON");
    let (end, k) = (last["t"].as_u64().expect("a time"), last["k"].as_u64().expect("a number"));
    // The run's own messages have arrived by then.
    let t = end + 1_000_000;
    let pairs = NODES.iter().flat_map(|from| NODES.iter().map(move |to| (from, to)));
    let pairs: Vec<_> = pairs.filter(|(from, to)| from != to).collect();
    for (flight, (from, to)) in (0..FLIGHTS).zip(pairs.iter().cycle()) {
        let sent = json!({"t": t, "k": k + 1 + flight, "at": from, "e": "sent", "flight": format!("bench-{flight}"), "to": to,
            "message": "AppendEntries", "term": 1, "count": 1, "arrives": t + 10_000_000});
        writeln!(trace, "{sent}").expect("a text can be written");
    }
    last = json!({"t": t + 9_000_000, "k": k + 1 + FLIGHTS, "at": "console", "e": "said", "text": "the end"});
    writeln!(trace, "{last}").expect("a text can be written");
    browser.open_page(&page_of_trace(&trace));
    browser.run("clock.t = arguments[0]; clock.playing = true; changed()", &[json!(t + 1)]);
    browser.drawn();
    let drawn = number(&browser.value("document.querySelectorAll('.flight').length"));
    let script = "const begun = performance.now(); let frames = 0; return new Promise((done) => { \
        const look = (now) => { frames += 1; now - begun < 3000 ? requestAnimationFrame(look) : done(1000 * frames / (now - begun)); }; \
        requestAnimationFrame(look); })";
    let rate = number(&browser.run(script, &[]));
    println!("| 60 frames a second, 5 nodes and 200 messages | {rate:.0} with {drawn:.0} messages |");
}

fn seeks(browser: &Browser) {
    let trace = trace("wait leader\nsleep 600s\n");
    browser.open_page(&page_of_trace(&trace));
    let script = "const [begin, length] = [trace.begin, trace.end - trace.begin]; const took = []; \
        for (let at = 0; at < arguments[0]; at += 1) { const begun = performance.now(); \
        seek(begin + length * ((at * 37) % arguments[0]) / arguments[0]); draw(begun, false); took.push(performance.now() - begun); } \
        return [took.reduce((one, other) => one + other) / took.length, Math.max(...took), trace.events.length]";
    let took = browser.run(script, &[json!(SEEKS)]);
    let [mean, worst, events] = [&took[0], &took[1], &took[2]].map(number);
    println!(
        "| a seek in ten minutes within 100 ms | {mean:.1} ms, {worst:.1} ms at worst, {events:.0} events |"
    );
}

/// Lines of some ten minutes in which 200 leaders crash and 20,000 commands are asked for.
fn busy() -> Vec<&'static str> {
    let round = ["pipe 100", "crash leader for 700ms", "sleep 3s", "wait leader 5s"];
    std::iter::once("wait leader").chain(round.into_iter().cycle().take(200 * round.len())).collect()
}

/// A run that stands at its end, and is asked to stand a second before, and in its middle.
fn fork(name: &str, lines: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = simulate(&[], folder.path());
    let mut input = child.stdin.take().expect("it is piped");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    for line in lines {
        writeln!(input, "{line}").expect("it reads");
    }
    answered(&mut input, &mut output, "echo ready", "ready");
    let middle = answered(&mut input, &mut output, "rewind 300s", "time ");
    answered(&mut input, &mut output, "rewind to end", "time ");
    let end = answered(&mut input, &mut output, "rewind 1s", "time ");
    let forked = answered(&mut input, &mut output, "fork", "the run continues");
    drop(input);
    child.wait().expect("it ends");
    let [end, middle] = [end + forked, middle + forked].map(|took| took.as_secs_f64());
    println!(
        "| a fork in ten minutes within 1 s, {name} | {end:.2} s at the end, {middle:.2} s in the middle |"
    );
}

/// How long it takes until a line is answered by one that begins so.
fn answered(
    input: &mut ChildStdin,
    output: &mut BufReader<ChildStdout>,
    line: &str,
    answer: &str,
) -> Duration {
    let begun = Instant::now();
    writeln!(input, "{line}").expect("it reads");
    let mut lines = output.lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.starts_with(answer)), "'{line}' was not answered");
    begun.elapsed()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}
