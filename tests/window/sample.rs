//! A small trace, written by hand: an election among three nodes, two commands, a partition, a crash.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// What a value of a user may hold, and a page must show as it is.
pub const MARKUP: &str = "<img src=x onerror=\"window.broken=1\"></script><b>";

pub const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// The trace as text. Its end is the crash of n1, at 0.5 s.
pub fn trace() -> String {
    let mut events: Vec<Value> = NODES.iter().map(|node| view(node)).collect();
    events.extend(election());
    events.extend(command(2, 250_000, "put x 1"));
    events.extend(command(3, 300_000, &format!("put x {MARKUP}")));
    let rules = json!({"rules": ["partition n1 / n2,n3", "delay 20ms n2>n3"]});
    events.push(event(400_000, "net", "rules", rules));
    events.push(message(450_000, "n1", 90, "n2", "AppendEntries", json!({"count": 1})));
    events.push(event(450_000, "n1", "lost", json!({"flight": 90, "to": "n2", "reason": "link cut"})));
    let property = json!({"name": "Election Safety", "holds": true, "text": "PASS election safety"});
    events.push(event(480_000, "check", "property", property));
    events.push(event(500_000, "n1", "crashed", json!({"text": "n1 crashed"})));
    lines(events)
}

/// A trace of five nodes whose end has this many messages under way.
pub fn crowded(flights: u64) -> String {
    let five = NODES.iter().chain(&["n4", "n5"]);
    let mut events: Vec<Value> = five.map(|node| view(node)).collect();
    let sent = (0..flights).map(|flight| {
        message(1000, "n1", flight, "n2", "AppendEntries", json!({"count": 1, "arrives": 900_000}))
    });
    events.extend(sent);
    events.push(event(500_000, "console", "said", json!({"text": "half of the way"})));
    lines(events)
}

/// A trace of ten minutes with this many states.
pub fn long(states: u64) -> String {
    let mut events: Vec<Value> = NODES.iter().map(|node| view(node)).collect();
    events.extend((1..=states).map(|index| state(index * 600_000_000 / states, "n1", log(index))));
    lines(events)
}

/// Head and events as lines, numbered.
fn lines(events: Vec<Value>) -> String {
    let head = json!({"trace": 1, "program": "raftlab", "source": "simulator", "nodes": NODES, "seed": 7, "settings": {}});
    let mut text = format!("{head}\n");
    for (number, mut event) in (1..).zip(events) {
        event["k"] = json!(number);
        let _ = writeln!(text, "{event}");
    }
    text
}

fn event(t: u64, at: &str, name: &str, mut fields: Value) -> Value {
    fields["t"] = json!(t);
    fields["at"] = json!(at);
    fields["e"] = json!(name);
    fields
}

fn view(node: &str) -> Value {
    let nothing = json!({"term": 0, "index": 0});
    let fields = json!({"role": "follower", "term": 0, "vote": null, "leader": null, "member": "voter", "last": nothing,
        "base": nothing, "snapshot": nothing, "commit": 0, "applied": 0, "durable": 0, "due": 200_000, "votes": [],
        "followers": null, "terms": []});
    event(0, node, "view", fields)
}

fn state(t: u64, node: &str, changed: Value) -> Value {
    event(t, node, "state", changed)
}

fn message(t: u64, from: &str, flight: u64, to: &str, kind: &str, mut fields: Value) -> Value {
    fields["flight"] = json!(flight);
    fields["to"] = json!(to);
    fields["message"] = json!(kind);
    fields["term"] = json!(1);
    fields["copies"] = json!(1);
    event(t, from, "sent", fields)
}

/// n1 asks at 0.2 s and leads at 0.206 s.
fn election() -> Vec<Value> {
    let started = json!({"term": 1, "section": "5.2", "text": "n1 starts an election for term 1"});
    let campaigns = json!({"role": "candidate", "term": 1, "vote": "n1", "due": 400_000, "votes": ["n1"]});
    let mut events = vec![event(200_000, "n1", "election_started", started), state(200_000, "n1", campaigns)];
    for (flight, to) in [(1, "n2"), (2, "n3")] {
        events.push(message(200_000, "n1", flight, to, "RequestVote", json!({"arrives": 202_000})));
    }
    for (flight, to) in [(1, "n2"), (2, "n3")] {
        let decided = json!({"candidate": "n1", "term": 1, "pre": false, "section": "5.4.1",
            "text": format!("{to} grants n1 its vote for term 1: its log is up-to-date")});
        events.push(event(202_000, to, "arrived", json!({"flight": flight, "from": "n1"})));
        events.push(event(202_000, to, "vote_decided", decided));
        events.push(state(202_000, to, json!({"term": 1, "vote": "n1", "due": 420_000})));
    }
    let leads = json!({"term": 1, "section": "5.2", "text": "n1 leads term 1"});
    let opens =
        json!({"entry": {"term": 1, "index": 1}, "section": "8", "text": "n1 appends a no-op at 1@1"});
    events.push(event(206_000, "n1", "became_leader", leads));
    events.push(event(206_000, "n1", "no_op_appended", opens));
    let mut led = log(1);
    led["role"] = json!("leader");
    led["leader"] = json!("n1");
    led["due"] = Value::Null;
    led["votes"] = json!([]);
    events.push(state(206_000, "n1", led));
    events.extend(["n2", "n3"].map(|node| state(209_000, node, json!({"leader": "n1"}))));
    events
}

/// A log of this many entries of the first term.
fn log(last: u64) -> Value {
    json!({"last": {"term": 1, "index": last}, "terms": [{"term": 1, "first": 1, "last": last}]})
}

/// A command at this index, committed after 5 ms with the copy of n2.
fn command(index: u64, t: u64, line: &str) -> Vec<Value> {
    let directive = json!({"number": index, "line": line, "by": "prompt", "text": format!("> {line}")});
    let appended = json!({"first": index, "last": index, "text": format!("n1 appends a command at {index}")});
    let request = json!({"client": "c1", "attempt": index, "call": "command", "text": "n1 receives command 1 of c1, 9 bytes"});
    let committed =
        json!({"from": index - 1, "to": index, "text": format!("n1: commit index {} -> {index}", index - 1)});
    vec![
        event(t, "console", "directive", directive),
        event(t, "n1", "request_received", request),
        event(t, "n1", "commands_appended", appended),
        state(t, "n1", log(index)),
        message(
            t,
            "n1",
            10 * index,
            "n2",
            "AppendEntries",
            json!({"count": 1, "first": index, "arrives": t + 2000}),
        ),
        event(t + 2000, "n2", "arrived", json!({"flight": 10 * index, "from": "n1"})),
        state(t + 2000, "n2", log(index)),
        event(t + 5000, "n1", "commit_advanced", committed),
        state(t + 5000, "n1", json!({"commit": index, "applied": index})),
        event(t + 5000, "n1", "replied", json!({"client": "c1", "attempt": index, "outcome": "done"})),
        event(
            t + 6000,
            "console",
            "answer",
            json!({"number": index, "outcome": "ok", "text": format!("OK {line}")}),
        ),
    ]
}
