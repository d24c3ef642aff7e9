//! The store's commands and queries in etcd's JSON, and etcd's answers to them.
//!
//! Each is one request, which etcd applies as one entry: a condition and what depends on it are a transaction.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::state_machine::kv::{Answer, Command, Text};

/// Where a request goes below `/v3/`, and its body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub route: &'static str,
    pub body: String,
}

/// What every answer begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct Header {
    pub member_id: Number,
    /// The store's revision; etcd leaves zeros out.
    #[serde(default)]
    pub revision: Number,
    #[serde(default)]
    pub raft_term: Number,
}

/// The answer to a request on keys; what is empty or zero is left out.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Reply {
    pub header: Header,
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    deleted: Number,
    #[serde(default)]
    kvs: Vec<Pair>,
    #[serde(default)]
    responses: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
struct Pair {
    #[serde(default)]
    value: String,
}

/// The answer to a request of a transaction, of which a range is of interest.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
struct Part {
    response_range: Option<Range>,
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<Pair>,
}

/// A number of 64 bits, which JSON carries as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(try_from = "Written")]
pub struct Number(pub u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl TryFrom<Written> for Number {
    type Error = std::num::ParseIntError;

    fn try_from(written: Written) -> Result<Number, Self::Error> {
        match written {
            Written::Number(number) => Ok(Number(number)),
            Written::Text(text) => text.parse().map(Number),
        }
    }
}

/// What asks for a key's value: at a quorum, or as the member itself has it.
pub fn read(key: &str, serializable: bool) -> Request {
    let body = json!({"key": STANDARD.encode(key), "serializable": serializable});
    Request { route: "kv/range", body: body.to_string() }
}

/// What applies a command.
pub fn write(command: &Command) -> Request {
    let key = STANDARD.encode(command.key().unwrap_or_default());
    let put = |value: &Text| json!({"key": key, "value": STANDARD.encode(value)});
    // A key that is absent was created at revision zero.
    let created = |result| json!({"key": key, "target": "CREATE", "result": result, "create_revision": "0"});
    let holds = |text: &Text| json!({"key": key, "target": "VALUE", "result": "EQUAL", "value": STANDARD.encode(text)});
    let when = |compare: Value, value, failure: Value| json!({"compare": [compare], "success": [{"request_put": put(value)}], "failure": failure});
    let (route, body) = match command {
        Command::Put { value, .. } => ("kv/put", put(value)),
        Command::Create { value, .. } => ("kv/txn", when(created("EQUAL"), value, json!([]))),
        Command::Update { value, .. } => ("kv/txn", when(created("GREATER"), value, json!([]))),
        Command::Delete { .. } => ("kv/deleterange", json!({"key": key})),
        Command::Cas { expected, value, .. } => {
            ("kv/txn", when(holds(expected), value, json!([{"request_range": {"key": key}}])))
        }
        Command::Txn(_) => unreachable!("it was turned down: no history has one"),
    };
    Request { route, body: body.to_string() }
}

/// The store's answer to a read; none if this is no answer to one.
pub fn read_answer(reply: &Reply) -> Option<Answer> {
    match reply.kvs.first() {
        None => Some(Answer::NotFound),
        Some(pair) => pair.text().map(Answer::Value),
    }
}

/// The store's answer to a command; none if this is no answer to it.
pub fn write_answer(command: &Command, reply: &Reply) -> Option<Answer> {
    let when = |done: bool, yes, no| Some(if done { yes } else { no });
    match command {
        Command::Put { .. } => Some(Answer::Put),
        Command::Create { .. } => when(reply.succeeded, Answer::Created, Answer::Exists),
        Command::Update { .. } => when(reply.succeeded, Answer::Updated, Answer::NotFound),
        Command::Delete { .. } => when(reply.deleted.0 > 0, Answer::Deleted, Answer::NotFound),
        Command::Cas { .. } if reply.succeeded => Some(Answer::Updated),
        Command::Cas { .. } => match reply.responses.first()?.response_range.as_ref()?.kvs.first() {
            None => Some(Answer::NotFound),
            Some(pair) => pair.text().map(|actual| Answer::Mismatch { actual }),
        },
        Command::Txn(_) => None,
    }
}

impl Pair {
    /// Its value; none if that is no text.
    fn text(&self) -> Option<Text> {
        let bytes = STANDARD.decode(&self.value).ok()?;
        str::from_utf8(&bytes).ok().map(Text::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#""header":{"cluster_id":"1","member_id":"2","revision":"7","raft_term":"3"}"#;

    fn reply(rest: &str) -> Reply {
        serde_json::from_str(&format!("{{{HEADER}{rest}}}")).expect("a reply")
    }

    #[test]
    fn each_command_is_one_request() {
        let of = |command| {
            let Request { route, body } = write(&command);
            format!("{route} {body}")
        };
        assert_eq!(of(Command::put("x", "1")), r#"kv/put {"key":"eA==","value":"MQ=="}"#);
        assert_eq!(of(Command::delete("x")), r#"kv/deleterange {"key":"eA=="}"#);
        let created = of(Command::create("x", ""));
        assert!(created.contains(r#""result":"EQUAL""#) && created.contains(r#""failure":[]"#), "{created}");
        assert!(of(Command::update("x", "1")).contains(r#""result":"GREATER""#));
        let cas = of(Command::cas("x", "1", "2"));
        assert!(cas.contains(r#""target":"VALUE","value":"MQ==""#) && cas.contains("request_range"), "{cas}");
        assert_eq!(read("x", true).body, r#"{"key":"eA==","serializable":true}"#);
    }

    #[test]
    fn what_etcd_leaves_out_is_empty_or_zero() {
        let (nothing, done) = (reply(""), reply(r#","succeeded":true"#));
        assert_eq!((nothing.header.revision, nothing.header.raft_term), (Number(7), Number(3)));
        assert_eq!(read_answer(&nothing), Some(Answer::NotFound));
        assert_eq!(write_answer(&Command::put("x", "1"), &nothing), Some(Answer::Put));
        assert_eq!(write_answer(&Command::create("x", "1"), &nothing), Some(Answer::Exists));
        assert_eq!(write_answer(&Command::create("x", "1"), &done), Some(Answer::Created));
        assert_eq!(write_answer(&Command::update("x", "1"), &nothing), Some(Answer::NotFound));
        assert_eq!(write_answer(&Command::delete("x"), &nothing), Some(Answer::NotFound));
        let deleted = reply(r#","deleted":"1""#);
        assert_eq!(write_answer(&Command::delete("x"), &deleted), Some(Answer::Deleted));
        let cas = Command::cas("x", "1", "2");
        assert_eq!(write_answer(&cas, &done), Some(Answer::Updated));
        assert_eq!(write_answer(&cas, &nothing), None, "it asked for what is there");
        let absent = reply(r#","responses":[{"response_range":{}}]"#);
        assert_eq!(write_answer(&cas, &absent), Some(Answer::NotFound));
        let other = reply(r#","responses":[{"response_range":{"kvs":[{"value":"OQ=="}]}}]"#);
        assert_eq!(write_answer(&cas, &other), Some(Answer::Mismatch { actual: "9".into() }));
    }

    #[test]
    fn what_is_no_text_or_no_reply_is_no_answer() {
        assert_eq!(read_answer(&reply(r#","kvs":[{"value":"/w=="}]"#)), None);
        assert_eq!(read_answer(&reply(r#","kvs":[{}]"#)), Some(Answer::Value(Text::default())));
        for text in ["{}", "[]", r#"{"header":{"member_id":"x"}}"#] {
            assert!(serde_json::from_str::<Reply>(text).is_err(), "{text}");
        }
    }
}
