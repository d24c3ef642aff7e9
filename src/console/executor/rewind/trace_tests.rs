//! What a trace is told of a run that is rewound and forked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::super::tests::Desk;
use super::tests::{desk, now};
use crate::console::tracer::TraceReader;
use crate::trace::Line;
use crate::types::Time;

/// Keeps the lines of a trace.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Value>>>);

impl TraceReader for Kept {
    fn take(&mut self, line: &Line) -> bool {
        self.0.lock().push(serde_json::from_str(&line.text).expect("a line is JSON"));
        true
    }
}

impl Kept {
    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock())
    }
}

/// What each node is, by all that was told of it.
fn folded(lines: &[Value]) -> BTreeMap<String, Map<String, Value>> {
    let mut nodes: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for line in lines.iter().filter_map(Value::as_object) {
        let node = nodes.entry(line["at"].to_string()).or_default();
        let told = line.iter().filter(|(name, _)| !["t", "k", "at", "e"].contains(&name.as_str()));
        let told: Map<String, Value> = told.map(|(name, value)| (name.clone(), value.clone())).collect();
        match line["e"].as_str() {
            Some("view") => *node = told,
            Some("state") => node.extend(told),
            _ => {}
        }
    }
    nodes
}

fn traced() -> (Desk, Kept) {
    let (mut desk, kept) = (desk(), Kept::default());
    desk.console().read_trace(Box::new(kept.clone()));
    (desk, kept)
}

#[test]
fn a_trace_tells_that_a_run_stands_elsewhere_and_how_and_nothing_twice() {
    let (mut desk, kept) = traced();
    desk.lines("wait leader\ndelay 2ms\ncrash leader\nsleep 2s");
    kept.take();
    for (line, name, field, time) in [
        ("rewind to 1s", "rewound", "to", 1_000_000),
        ("step back 100ms", "rewound", "to", 900_000),
        ("fork", "forked", "from", 900_000),
    ] {
        desk.lines(line);
        let told = kept.take();
        let names: Vec<&str> = told.iter().filter_map(|line| line["e"].as_str()).collect();
        assert_eq!(names, ["directive", name, "view", "view", "life", "rules", "answer"], "{line}");
        assert_eq!(told[1][field], time);
        assert!(told[1..].iter().all(|told| told["t"] == time), "{told:?}");
    }
}

#[test]
fn what_is_told_after_a_fork_adds_up_to_what_the_nodes_are() {
    let (mut straight, whole) = traced();
    straight.lines("wait leader\nput x 1");
    let left = Time::ZERO + Duration::from_secs(1) - Duration::from_nanos(now(&mut straight).as_nanos());
    straight.lines(&format!("sleep {}ns\nput y 1\nsleep 1s", left.as_nanos()));
    let (mut forked, kept) = traced();
    forked.lines(
        "wait leader\nput x 1\nsleep 3s\ncrash leader\nsleep 2s\nput z 1\nrewind to end\nstep back 2s",
    );
    forked.lines("rewind to 1s\nfork\nput y 1\nsleep 1s");
    assert_eq!(now(&mut straight), now(&mut forked));
    let (expected, came) = (folded(&whole.take()), folded(&kept.take()));
    assert_eq!(expected["\"n1\""]["commit"], 4);
    assert_eq!(came, expected);
}
