//! The trace as lines of JSON: `docs/TRACE.md` has the format.
//!
//! An event's name and fields are those of its variant, so an event that is added is told without more. Messages and states
//! are told in their own way: a message without what its entries hold, a state by what of it has changed.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::requests::Requests;
use super::{Acknowledged, Flight, NodeState, TraceEvent, What};
use crate::faults::DropReason;
use crate::protocol::Call;
use crate::raft::message::{AppendResult, Body, Extra};
use crate::types::{ClientId, NodeId, Time};

/// The version of the format.
const VERSION: u64 = 1;

/// After this many microseconds a state is told as a whole.
const VIEW_EVERY: u64 = 1_000_000;

/// A line of a trace, without its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Counts the lines from 1.
    pub count: u64,
    pub time: Time,
    pub text: Arc<str>,
}

/// What the first line says of the run.
#[derive(Clone, PartialEq, Debug)]
pub struct TraceHead {
    /// `simulator`, `threads` or `processes`.
    pub source: String,
    pub nodes: Vec<NodeId>,
    pub seed: u64,
    /// The core's settings, as the configuration file names them.
    pub settings: Value,
}

/// Where something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Node(NodeId),
    Client(ClientId),
    /// The network between them.
    Net,
    /// The console, which executes directives.
    Console,
    /// The checks of the run's properties.
    Check,
}

/// Makes lines of what happens, in order.
#[derive(Debug, Default)]
pub struct TraceLines {
    count: u64,
    /// What was last told of each node, and when the whole of it was.
    told: BTreeMap<NodeId, (Time, Map<String, Value>)>,
    acknowledged: Acknowledged,
    requests: Requests,
}

impl TraceHead {
    /// The first line.
    pub fn line(&self) -> String {
        let TraceHead { source, nodes, seed, settings } = self;
        let program = concat!("raftlab ", env!("CARGO_PKG_VERSION"));
        let rest = json!({
            "program": program, "source": source, "nodes": nodes, "seed": seed, "settings": settings,
        });
        // What tells a trace from other files comes first.
        format!("{{\"trace\":{VERSION},{}", &rest.to_string()[1..])
    }
}

impl TraceLines {
    /// The lines of an event at a node. A message that is lost as it is sent has two.
    pub fn event(&mut self, event: &TraceEvent) -> Vec<Line> {
        let TraceEvent { time, node, what } = event;
        let at = Place::Node(*node);
        match what {
            What::MessageSent { flight, delay, twice, arrives } => {
                let mut fields = self.sent(flight, false);
                fields.insert("copies".to_string(), json!(1 + u8::from(*twice)));
                if !delay.is_zero() {
                    fields.insert("delay".to_string(), json!(micros(*delay)));
                }
                if let Some(arrives) = arrives {
                    fields.insert("arrives".to_string(), json!(arrives.as_micros()));
                }
                vec![self.line(*time, at, "sent", fields, &what.to_string())]
            }
            What::MessageArrived(flight) => {
                let mut fields = numbered(flight);
                fields.insert("from".to_string(), json!(flight.message.from));
                vec![self.line(*time, at, "arrived", fields, "")]
            }
            What::MessageHeld { flight, arrives } => {
                let mut fields = numbered(flight);
                fields.insert("to".to_string(), json!(flight.message.to));
                fields.insert("arrives".to_string(), json!(arrives.as_micros()));
                vec![self.line(*time, at, "held", fields, &what.to_string())]
            }
            What::MessageDropped { flight, reason } => self.lost(*time, at, flight, *reason, what),
            What::State(state) => self.state(*time, *node, state).into_iter().collect(),
            What::RequestReceived { client, attempt, .. } => {
                let Some(left_out) = self.requests.take(*time, *node, *client, *attempt) else {
                    return Vec::new();
                };
                let more = (left_out > 0).then(|| ("left_out".to_string(), json!(left_out)));
                vec![self.named_line(event, more)]
            }
            What::RequestLost { client, attempt, reason } | What::ReplyLost { client, attempt, reason } => {
                if !self.requests.lose(*time, *node) {
                    return Vec::new();
                }
                let fields = fields([
                    ("client", json!(client.to_string())),
                    ("attempt", json!(attempt)),
                    ("reason", json!(reason.to_string())),
                ]);
                let name =
                    if matches!(what, What::RequestLost { .. }) { "request_lost" } else { "reply_lost" };
                vec![self.line(*time, at, name, fields, &event.sentence())]
            }
            What::Replied { client, attempt, outcome } => {
                if !self.requests.end(*node, *client, *attempt) {
                    return Vec::new();
                }
                let fields = fields([
                    ("client", json!(client.to_string())),
                    ("attempt", json!(attempt)),
                    ("outcome", json!(outcome)),
                ]);
                vec![self.line(*time, at, "replied", fields, "")]
            }
            _ => {
                if matches!(what, What::Started { .. }) {
                    self.told.remove(node);
                }
                vec![self.named_line(event, None)]
            }
        }
    }

    /// The line of an event under its own name, with its own fields, and one more.
    fn named_line(&mut self, event: &TraceEvent, more: Option<(String, Value)>) -> Line {
        let (name, mut fields) = named(&event.what);
        fields.extend(event.section().map(|section| ("section".to_string(), json!(section))));
        fields.extend(more);
        self.line(event.time, Place::Node(event.node), &name, fields, &event.sentence())
    }

    /// The line of something that happened elsewhere.
    pub fn line(
        &mut self,
        time: Time,
        at: Place,
        name: &str,
        fields: Map<String, Value>,
        text: &str,
    ) -> Line {
        self.count += 1;
        let (micros, count) = (time.as_micros(), self.count);
        let mut line = format!(r#"{{"t":{micros},"k":{count},"at":"{at}","e":"{name}""#);
        let text = (!text.is_empty()).then(|| ("text".to_string(), json!(text)));
        for (name, value) in fields.into_iter().chain(text) {
            write!(line, ",{}:{value}", Value::String(name)).expect("memory takes it");
        }
        line.push('}');
        Line { count, time, text: line.into() }
    }

    /// The next state of each node is told as a whole.
    pub fn begin_views(&mut self) {
        self.told.clear();
    }

    /// The whole of what is known of each node, for a reader who begins now.
    pub fn views(&mut self, now: Time) -> Vec<Line> {
        let known: Vec<_> = self.told.iter().map(|(node, (_, state))| (*node, state.clone())).collect();
        known.into_iter().map(|(node, state)| self.line(now, Place::Node(node), "view", state, "")).collect()
    }

    /// What a message is, without what its entries hold.
    fn sent(&mut self, flight: &Flight, is_lost: bool) -> Map<String, Value> {
        let message = &flight.message;
        let mut sent = numbered(flight);
        let quiet = message.body.is_heartbeat() || self.acknowledged.repeats(message, is_lost);
        let own = match &message.body {
            Body::AppendEntries { entries, .. } => {
                sent.extend(entries.first().map(|entry| ("first".to_string(), json!(entry.index))));
                Some(("count", json!(entries.len())))
            }
            Body::AppendReply { result, .. } => {
                Some(("ok", json!(matches!(result, AppendResult::Matched(_)))))
            }
            Body::VoteReply { granted } | Body::Extra(Extra::PreVoteReply { granted, .. }) => {
                Some(("granted", json!(granted)))
            }
            _ => None,
        };
        sent.extend(fields([
            ("to", json!(message.to)),
            ("message", json!(message.body.name())),
            ("term", json!(message.term)),
            ("quiet", json!(quiet)),
        ]));
        sent.extend(fields(own));
        sent
    }

    /// A message that no rule let leave was sent all the same; one that is lost later was told before.
    fn lost(&mut self, time: Time, at: Place, flight: &Flight, reason: DropReason, what: &What) -> Vec<Line> {
        let mut lines = Vec::new();
        if is_lost_at_once(reason) {
            let mut fields = self.sent(flight, true);
            fields.insert("copies".to_string(), json!(1));
            lines.push(self.line(time, at, "sent", fields, &flight.to_string()));
        }
        let mut fields = numbered(flight);
        fields.insert("to".to_string(), json!(flight.message.to));
        fields.insert("reason".to_string(), json!(reason.to_string()));
        lines.push(self.line(time, at, "lost", fields, &what.to_string()));
        lines
    }

    /// What of a node's state has changed, or all of it from time to time.
    fn state(&mut self, time: Time, node: NodeId, state: &NodeState) -> Option<Line> {
        let Ok(Value::Object(all)) = serde_json::to_value(state) else { return None };
        let known = self
            .told
            .get_mut(&node)
            .filter(|(viewed, _)| time.as_micros().saturating_sub(viewed.as_micros()) < VIEW_EVERY);
        let Some((_, known)) = known else {
            self.told.insert(node, (time, all.clone()));
            return Some(self.line(time, Place::Node(node), "view", all, ""));
        };
        let is_new = |(name, value): &(&String, &Value)| known.get(*name) != Some(value);
        let changed: Map<String, Value> =
            all.iter().filter(is_new).map(|(name, value)| (name.clone(), value.clone())).collect();
        *known = all;
        (!changed.is_empty()).then(|| self.line(time, Place::Node(node), "state", changed, ""))
    }
}

/// Whether the rules of the network stop a message as it is sent, and not on its way.
fn is_lost_at_once(reason: DropReason) -> bool {
    !matches!(reason, DropReason::Overflow | DropReason::Down | DropReason::Chosen)
}

fn numbered(flight: &Flight) -> Map<String, Value> {
    fields([("flight", json!(flight.id()))])
}

fn fields(named: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    named.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

/// The name and the fields of an event.
fn named(what: &What) -> (String, Map<String, Value>) {
    if let What::RequestReceived { client, attempt, call } = what {
        let kind = match call {
            Call::Open => "open",
            Call::Command { .. } => "command",
            Call::Settle { .. } => "settle",
            Call::Read { .. } => "read",
        };
        let fields = fields([
            ("client", json!(client.to_string())),
            ("attempt", json!(attempt)),
            ("call", json!(kind)),
        ]);
        return ("request_received".to_string(), fields);
    }
    let value = match what {
        What::Raft(event) => serde_json::to_value(event),
        other => serde_json::to_value(other),
    };
    match value {
        Ok(Value::Object(variant)) => match variant.into_iter().next() {
            Some((name, Value::Object(fields))) => (snake_case(&name), fields_in_micros(fields)),
            Some((name, value)) => (snake_case(&name), Map::from_iter([("value".to_string(), value)])),
            None => (String::new(), Map::new()),
        },
        Ok(Value::String(name)) => (snake_case(&name), Map::new()),
        _ => (String::new(), Map::new()),
    }
}

/// The same with durations in microseconds.
fn fields_in_micros(fields: Map<String, Value>) -> Map<String, Value> {
    let in_micros = |(name, value): (String, Value)| {
        let value = match value {
            Value::Object(parts) => match (parts.get("secs"), parts.get("nanos")) {
                (Some(Value::Number(secs)), Some(Value::Number(nanos))) if parts.len() == 2 => {
                    let (secs, nanos) = (secs.as_u64().unwrap_or(0), nanos.as_u64().unwrap_or(0));
                    json!(secs * 1_000_000 + nanos / 1_000)
                }
                _ => Value::Object(fields_in_micros(parts)),
            },
            other => other,
        };
        (name, value)
    };
    fields.into_iter().map(in_micros).collect()
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// `BecameLeader` as `became_leader`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Node(node) => write!(f, "{node}"),
            Place::Client(client) => write!(f, "{client}"),
            Place::Net => f.write_str("net"),
            Place::Console => f.write_str("console"),
            Place::Check => f.write_str("check"),
        }
    }
}
