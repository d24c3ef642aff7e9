//! Real runs in the page: the state that it folds at any time is the one that the trace tells.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use raftlab::window::page_of_trace;
use serde_json::{Map, Value, json};

use crate::driver::Browser;

/// What happens in each run, beside what its seed decides.
const LINES: &str = "wait leader\nput x 1\ncrash leader\nwait leader\nput x 2\nrestart all\npartition leader / all\n\
    sleep 400ms\nheal\nput x 3\npause leader for 300ms\nwait leader\nsnapshot all\ndrop 10%\nsleep 1s\nreset\nwait converged\ncheck\n";

/// Seeds whose runs are compared.
const SEEDS: std::ops::Range<u64> = 0..8;

/// How long a run may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_state_at_any_time_is_the_one_that_the_trace_tells() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for seed in SEEDS {
        let trace = run(folder.path(), seed, "run.jsonl");
        browser.open_page(&page_of_trace(&trace));
        let events: Vec<Value> =
            trace.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let end = events.last().expect("a run has events")["t"].as_u64().expect("a time");
        assert_eq!(browser.value("trace.end"), end, "seed {seed}");
        // Back and forth, so that the page starts from each of its kept copies.
        for part in [7, 2, 9, 4, 10, 1, 8, 0, 5] {
            let t = end * part / 10;
            let script = "const {nodes} = trace.stateAt(arguments[0]); return Object.fromEntries(Object.entries(nodes).map(([name, node]) => \
                [name, {...node, dueSince: undefined, life: undefined}]))";
            let shown: BTreeMap<String, Value> =
                serde_json::from_value(browser.run(script, &[json!(t)])).expect("nodes by name");
            for (node, told) in told(&events, t) {
                for (field, value) in told {
                    let empty = value.is_null() && ["due", "followers"].contains(&field.as_str());
                    assert!(
                        empty || shown[&node][&field] == value,
                        "seed {seed}, {node} at {t}: {field} is {value}: {}",
                        shown[&node]
                    );
                }
            }
        }
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
}

/// The fields of each node at this time, last told by a view or a state.
fn told(events: &[Value], t: u64) -> BTreeMap<String, Map<String, Value>> {
    let mut nodes: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let of_nodes = events.iter().filter(|event| event["e"] == "view" || event["e"] == "state");
    for event in of_nodes.filter(|event| event["t"].as_u64().is_some_and(|at| at <= t)) {
        let name = event["at"].as_str().expect("a place").to_string();
        let fields = event.as_object().expect("an object").clone();
        nodes.entry(name).or_default().extend(
            fields
                .into_iter()
                .filter(|(field, _)| !["t", "k", "at", "e", "text", "section"].contains(&field.as_str())),
        );
    }
    nodes
}

#[test]
fn a_trace_that_is_named_as_a_page_is_one_and_can_be_opened_when_it_was_cut_off() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let whole = run(folder.path(), 7, "run.html");
    browser.open_page(&whole);
    assert_eq!(browser.value("trace.damaged + Number(trace.cut)"), 0);
    assert_eq!(browser.value("document.querySelectorAll('.node').length"), 5);
    assert_eq!(
        browser.value(
            "document.querySelectorAll('#prompt-line').length && getComputedStyle(byId('console')).display"
        ),
        "none"
    );
    browser.run("byId('live').click()", &[]);
    browser.wait("/leads term/.test(byId('standing').textContent)");
    browser.wait("byId('lamps').classList.contains('holds')");

    browser.open_page(&whole[..whole.len() - 1000]);
    browser.wait("byId('notice').textContent.includes('the last line is cut')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// What a run of five nodes writes as its trace.
fn run(folder: &Path, seed: u64, name: &str) -> String {
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_simulate"));
    simulate.current_dir(folder).args([
        "5",
        "--keep-going",
        "--script",
        "-",
        "--trace",
        name,
        "--seed",
        &seed.to_string(),
    ]);
    let ran = assert_cmd::Command::from_std(simulate).write_stdin(LINES).timeout(PATIENCE).assert();
    let path = folder.join(name);
    let trace = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}: {ran}"));
    std::fs::remove_file(path).expect("it is there");
    trace
}
