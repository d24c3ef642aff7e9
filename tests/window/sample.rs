//! A small trace, written by hand: an election among three nodes, two commands, a partition, a crash.

use serde_json::{Value, json};

/// What a value of a user may hold, and a page must show as it is.
pub const MARKUP: &str = "<img src=x onerror=\"window.broken=1\"></script><b>";

pub const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// The trace as text. Its end is the crash of n1, at 0.5 s.
pub fn trace() -> String {
    let mut events = Vec::new();
    for node in NODES {
        events.push(event(
            0,
            node,
            "started",
            json!({"term": 0, "last": {"term": 0, "index": 0}, "text": format!("{node} starts")}),
        ));
        events.push(event(0, node, "view", view(0, 0)));
    }
    events.extend(election());
    events.extend(command(2, 250_000, "put x 1"));
    events.extend(command(3, 300_000, &format!("put x {MARKUP}")));
    let rules =
        json!({"rules": ["partition n1 / n2,n3", "delay 20ms n2>n3"], "text": "partition n1 / n2 n3"});
    events.push(event(400_000, "net", "rules", rules));
    events.push(event(
        450_000,
        "n1",
        "sent",
        message(90, "n2", "AppendEntries", json!({"count": 1, "term": 1})),
    ));
    events.push(event(450_000, "n1", "lost", json!({"flight": 90, "to": "n2", "reason": "link cut"})));
    events.push(event(
        480_000,
        "check",
        "property",
        json!({"name": "Election Safety", "holds": true, "text": "PASS"}),
    ));
    events.push(event(500_000, "n1", "crashed", json!({"text": "n1 crashed: its memory is gone"})));
    lines(events)
}

/// A trace whose end has this many messages under way.
pub fn crowded(flights: u64) -> String {
    let mut events: Vec<Value> = NODES.iter().map(|node| event(0, node, "view", view(0, 0))).collect();
    for flight in 0..flights {
        let fields = json!({"count": 1, "term": 1, "arrives": 900_000});
        events.push(event(1000, "n1", "sent", message(flight, "n2", "AppendEntries", fields)));
    }
    events.push(event(500_000, "console", "said", json!({"text": "half of the way"})));
    lines(events)
}

/// Head and events as lines, numbered.
pub fn lines(events: Vec<Value>) -> String {
    let head = json!({"trace": 1, "program": "raftlab 0.1.0", "source": "simulator", "nodes": NODES, "seed": 7, "settings": {}});
    let mut text = format!("{head}\n");
    for (number, mut event) in (1..).zip(events) {
        event["k"] = json!(number);
        text.push_str(&format!("{event}\n"));
    }
    text
}

pub fn event(t: u64, at: &str, name: &str, mut fields: Value) -> Value {
    fields["t"] = json!(t);
    fields["at"] = json!(at);
    fields["e"] = json!(name);
    fields
}

fn view(term: u64, last: u64) -> Value {
    let last = json!({"term": term, "index": last});
    let none = json!({"term": 0, "index": 0});
    json!({"life": "up", "role": "follower", "term": term, "member": "voter", "last": last, "base": none, "snapshot": none,
        "commit": 0, "applied": 0, "durable": 0, "due": 200_000, "votes": [], "followers": {}, "terms": []})
}

fn message(flight: u64, to: &str, kind: &str, mut fields: Value) -> Value {
    fields["flight"] = json!(flight);
    fields["to"] = json!(to);
    fields["message"] = json!(kind);
    fields["copies"] = json!(1);
    fields
}

/// n1 asks at 0.2 s and leads at 0.206 s.
fn election() -> Vec<Value> {
    let started =
        json!({"term": 1, "due": 400_000, "section": "5.2", "text": "n1 starts an election for term 1"});
    let mut events = vec![event(200_000, "n1", "election_started", started)];
    events.push(event(200_000, "n1", "vote_received", json!({"from": "n1", "granted": true, "pre": false})));
    for (flight, to) in [(1, "n2"), (2, "n3")] {
        let fields = json!({"term": 1, "arrives": 202_000 + flight});
        events.push(event(200_000, "n1", "sent", message(flight, to, "RequestVote", fields)));
    }
    for (flight, to) in [(1, "n2"), (2, "n3")] {
        let at = 202_000 + flight;
        events.push(event(at, to, "arrived", json!({"flight": flight, "from": "n1"})));
        events.push(event(at, to, "term_advanced", json!({"from": 0, "to": 1, "by": "n1"})));
        events.push(event(
            at,
            to,
            "vote_decided",
            json!({"candidate": "n1", "term": 1, "pre": false, "granted": true,
            "due": 420_000, "section": "5.4.1", "text": format!("{to} grants n1 its vote")}),
        ));
    }
    events.push(event(206_000, "n1", "vote_received", json!({"from": "n2", "granted": true, "pre": false})));
    events.push(event(
        206_000,
        "n1",
        "became_leader",
        json!({"term": 1, "section": "5.2", "text": "n1 leads term 1"}),
    ));
    events.push(event(
        206_000,
        "n1",
        "no_op_appended",
        json!({"entry": {"term": 1, "index": 1}, "text": "n1 appends a no-op at 1@1"}),
    ));
    events.extend(
        ["n2", "n3"].map(|node| event(209_000, node, "following", json!({"leader": "n1", "term": 1}))),
    );
    events
}

/// A command at this index, which n2 acknowledges after 5 ms.
fn command(index: u64, t: u64, line: &str) -> Vec<Value> {
    let appended = json!({"from": "n1", "prev": {"term": 1, "index": 1}, "count": index - 1,
        "appended": [{"term": 1, "first": 2, "last": index}], "due": t + 200_000});
    let first = if index == 2 {
        json!({"from": "n1", "prev": {"term": 0, "index": 0}, "count": 2, "appended": [{"term": 1, "first": 1, "last": 2}], "due": t + 200_000})
    } else {
        appended
    };
    let flight = 10 * index;
    vec![
        event(
            t,
            "console",
            "directive",
            json!({"number": index, "line": line, "by": "prompt", "text": format!("> {line}")}),
        ),
        event(
            t,
            "n1",
            "commands_appended",
            json!({"first": index, "last": index, "term": 1, "text": format!("n1 appends {line} at {index}")}),
        ),
        event(
            t,
            "n1",
            "sent",
            message(flight, "n2", "AppendEntries", json!({"count": 1, "term": 1, "arrives": t + 2000})),
        ),
        event(t + 2000, "n2", "arrived", json!({"flight": flight, "from": "n1"})),
        event(t + 2000, "n2", "append_received", first),
        event(
            t + 5000,
            "n1",
            "commit_advanced",
            json!({"from": index - 1, "to": index, "by": ["n1", "n2"], "text": format!("commit index {index}")}),
        ),
        event(
            t + 6000,
            "console",
            "answer",
            json!({"number": index, "outcome": "ok", "text": format!("OK {line}")}),
        ),
    ]
}
