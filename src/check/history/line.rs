//! One JSON line of a history, written and read.
//!
//! Other tools write histories too, so a line may have any form that JSON allows: its members in any order, spaces,
//! escapes, whole numbers with a point. Nothing is guessed: what decides the verdict must be there. An error names the
//! member, what was found, and what belongs there.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use super::{Action, Operation, Outcome};
use crate::quoting::{CELL_LETTERS, brief, quote, quote_brief};
use crate::types::{ClientId, LogIndex, Time};

/// The members of a line, and what each holds.
const MEMBERS: &[(&str, &str)] = &[
    ("client", "the client's number, a whole one"),
    ("key", "the key, a text"),
    ("op", "create, read, update, delete, put or cas"),
    ("value", "the value that is written, a text"),
    ("expected", "the value that a cas expects, a text"),
    ("call_ns", "the time of the call, a whole number of nanoseconds"),
    ("return_ns", "the time of the return, a whole number of nanoseconds, or null when there was none"),
    ("ok", "true, false (then error says why), or null when the outcome is unknown"),
    ("error", "not_found, exists, mismatch or refused"),
    ("result", "what a read found (null when absent) or a cas found instead, a text"),
    ("index", "the place in the log, a whole number"),
];

/// The member of a first line that says what the keys held before.
const START: &str = "start";

/// The member of a line that says when a load's warm-up ends.
const WARM_UP: &str = "warm_up_ends_ns";

/// Whole numbers above this one cannot be told apart when they are written with a point.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Why a line is no operation, in words that follow "line 7: ".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct LineError(pub(super) String);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// The keys may hold anything when the history begins.
    StartUnknown,
    /// The warm-up of the load that wrote it ends then: all other times that a load tells count from there.
    WarmUpEnds(Time),
    /// What a client asked and was told.
    Operation(Operation),
}

/// The members as they are written, in the order in which people read them.
#[derive(Serialize)]
struct Written<'a> {
    client: ClientId,
    key: &'a str,
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    call_ns: u64,
    return_ns: Option<u64>,
    ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    result: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<LogIndex>,
}

/// The members as they were found. An object of JSON may name one twice; a map would hide that.
struct Members(Vec<(String, Value)>);

impl Operation {
    /// Its JSON line, without a line end.
    pub fn to_line(&self) -> String {
        let (op, value, expected) = match &self.action {
            Action::Create(value) => ("create", Some(value), None),
            Action::Read => ("read", None, None),
            Action::Update(value) => ("update", Some(value), None),
            Action::Delete => ("delete", None, None),
            Action::Put(value) => ("put", Some(value), None),
            Action::Cas { expected, value } => ("cas", Some(value), Some(expected)),
        };
        let (ok, error, result) = match &self.outcome {
            Outcome::Changed => (Some(true), None, None),
            Outcome::Found(result) => (Some(true), None, result.as_ref()),
            Outcome::Exists => (Some(false), Some("exists"), None),
            Outcome::NotFound => (Some(false), Some("not_found"), None),
            Outcome::Mismatch(actual) => (Some(false), Some("mismatch"), actual.as_ref()),
            Outcome::Refused => (Some(false), Some("refused"), None),
            Outcome::Unknown => (None, None, None),
        };
        let written = Written {
            client: self.client,
            key: &self.key,
            op,
            value: value.map(String::as_str),
            expected: expected.map(String::as_str),
            call_ns: self.called.as_nanos(),
            return_ns: self.returned.map(Time::as_nanos),
            ok,
            error,
            result: result.map(String::as_str),
            index: self.index,
        };
        serde_json::to_string(&written).expect("text and numbers serialize without error")
    }

    /// The operation of a JSON line.
    ///
    /// # Errors
    /// What is wrong with the line: it is no JSON, a member is missing, unknown or of a wrong kind, or members
    /// contradict each other.
    pub fn from_line(text: &str) -> Result<Operation, LineError> {
        match Line::parse(text)? {
            Line::Operation(operation) => Ok(operation),
            Line::StartUnknown => Err(wrong("start belongs on the first line of a history")),
            Line::WarmUpEnds(_) => Err(wrong("this line marks the end of a warm-up")),
        }
    }
}

/// The line that marks when a load's warm-up ends, by the clock of the operations' times.
pub fn warm_up_line(ends: Time) -> String {
    format!(r#"{{"{WARM_UP}":{}}}"#, ends.as_nanos())
}

impl Line {
    pub(super) fn parse(text: &str) -> Result<Line, LineError> {
        let members: Members = serde_json::from_str(text).map_err(|error| no_object(text, &error))?;
        members.are_named_once()?;
        if members.get(START).is_some() {
            return members.start();
        }
        if let Some(found) = members.get(WARM_UP) {
            return members.warm_up(found);
        }
        if let Some((name, _)) =
            members.0.iter().find(|(name, _)| !MEMBERS.iter().any(|known| known.0 == *name))
        {
            let known: Vec<&str> = MEMBERS.iter().map(|(name, _)| *name).collect();
            let name = brief(name, CELL_LETTERS);
            return Err(LineError(format!("{name} is no member of a line: these are {}", known.join(", "))));
        }
        members.operation().map(Line::Operation)
    }
}

impl Members {
    fn are_named_once(&self) -> Result<(), LineError> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|two| two[0] == two[1]) {
            Some(twice) => Err(LineError(format!("{} stands in it twice", brief(twice[0], CELL_LETTERS)))),
            None => Ok(()),
        }
    }

    fn start(&self) -> Result<Line, LineError> {
        match (self.get(START), self.0.len()) {
            (Some(Value::String(word)), 1) if word == "unknown" => Ok(Line::StartUnknown),
            (Some(found), 1) => {
                Err(LineError(format!("start is {}: \"unknown\" belongs there", shown(found))))
            }
            _ => Err(wrong("start stands beside other members: it belongs on a first line of its own")),
        }
    }

    fn warm_up(&self, found: &Value) -> Result<Line, LineError> {
        match self.0.len() {
            1 => whole(WARM_UP, found).map(|ends| Line::WarmUpEnds(Time::from_nanos(ends))),
            _ => Err(LineError(format!(
                "{WARM_UP} stands beside other members: it belongs on a line of its own"
            ))),
        }
    }

    fn operation(&self) -> Result<Operation, LineError> {
        let (client, key) = (ClientId(self.number("client")?), self.text("key")?.to_string());
        let action = self.action()?;
        let called = self.number("call_ns")?;
        let outcome = self.outcome(&action)?;
        let returned = self.optional("return_ns").map(|found| whole("return_ns", found)).transpose()?;
        let index = self.optional("index").map(|found| whole("index", found)).transpose()?;
        let answered = !matches!(outcome, Outcome::Refused | Outcome::Unknown);
        match returned {
            None if answered => return Err(wrong("ok is given, so return_ns must be")),
            Some(returned) if returned < called => return Err(wrong("return_ns is before call_ns")),
            _ => {}
        }
        let (called, returned) = (Time::from_nanos(called), returned.map(Time::from_nanos));
        Ok(Operation { client, key, action, called, returned, outcome, index: index.map(LogIndex) })
    }

    fn action(&self) -> Result<Action, LineError> {
        let written = self.optional("value").map(|found| text("value", found)).transpose()?;
        let expected = self.optional("expected").map(|found| text("expected", found)).transpose()?;
        let given = (written.map(str::to_string), expected.map(str::to_string));
        match (self.text("op")?, given) {
            ("create", (Some(value), None)) => Ok(Action::Create(value)),
            ("update", (Some(value), None)) => Ok(Action::Update(value)),
            ("put", (Some(value), None)) => Ok(Action::Put(value)),
            ("cas", (Some(value), Some(expected))) => Ok(Action::Cas { expected, value }),
            ("read", (None, None)) => Ok(Action::Read),
            ("delete", (None, None)) => Ok(Action::Delete),
            ("create" | "update" | "put", (None, _)) => {
                Err(wrong("a create, update or put has a value: value is missing"))
            }
            ("create" | "update" | "put", _) => Err(wrong("a create, update or put has nothing expected")),
            ("cas", _) => Err(wrong("a cas has a value and an expected one: value or expected is missing")),
            ("read" | "delete", _) => Err(wrong("a read or delete has no value and nothing expected")),
            _ => Err(misplaced("op", self.get("op"))),
        }
    }

    fn outcome(&self, action: &Action) -> Result<Outcome, LineError> {
        let ok = match self.get("ok") {
            Some(Value::Bool(ok)) => Some(*ok),
            Some(Value::Null) => None,
            // Taken for unknown, a line that somebody forgot to end would explain anything.
            found => return Err(misplaced("ok", found)),
        };
        let error = self.optional("error").map(|found| text("error", found)).transpose()?;
        let result = self.optional("result").map(|found| text("result", found)).transpose()?;
        let result = result.map(str::to_string);
        let outcome = match (ok, error, action) {
            (Some(true), None, Action::Read) if self.get("result").is_none() => {
                return Err(misplaced("result", None));
            }
            (Some(true), None, Action::Read) => return Ok(Outcome::Found(result)),
            (Some(false), Some("mismatch"), Action::Cas { .. }) => return Ok(Outcome::Mismatch(result)),
            (Some(true), None, _) => Outcome::Changed,
            // A console answers the read of an absent key with an error.
            (Some(false), Some("not_found"), Action::Read) => Outcome::Found(None),
            (Some(false), Some("not_found"), Action::Update(_) | Action::Delete | Action::Cas { .. }) => {
                Outcome::NotFound
            }
            (Some(false), Some("exists"), Action::Create(_)) => Outcome::Exists,
            (Some(false), Some("refused"), _) => Outcome::Refused,
            (None, None, _) => Outcome::Unknown,
            (Some(false), None, _) => {
                return Err(wrong(
                    "ok is false, so error must say why: not_found, exists, mismatch or refused",
                ));
            }
            (Some(true) | None, Some(_), _) => return Err(wrong("only with ok false is there an error")),
            (Some(false), Some("not_found" | "exists" | "mismatch"), _) => {
                return Err(wrong("this op cannot fail with this error"));
            }
            (Some(false), Some(_), _) => return Err(misplaced("error", self.get("error"))),
        };
        match result {
            None => Ok(outcome),
            Some(_) => Err(wrong("only a read that is ok and a cas with a mismatch have a result")),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A member that may be left out, or null.
    fn optional(&self, name: &str) -> Option<&Value> {
        self.get(name).filter(|found| !found.is_null())
    }

    fn number(&self, name: &'static str) -> Result<u64, LineError> {
        self.get(name).map_or_else(|| Err(misplaced(name, None)), |found| whole(name, found))
    }

    fn text(&self, name: &'static str) -> Result<&str, LineError> {
        self.get(name).map_or_else(|| Err(misplaced(name, None)), |found| text(name, found))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::with_capacity(MEMBERS.len());
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn wrong(what: &str) -> LineError {
    LineError(what.to_string())
}

/// That something else stands where a member belongs, or nothing.
fn misplaced(name: &str, found: Option<&Value>) -> LineError {
    let time = "a whole number of nanoseconds";
    let belongs = MEMBERS.iter().find(|member| member.0 == name).map_or(time, |member| member.1);
    LineError(match found {
        None => format!("{name} is missing: {belongs}"),
        Some(found) => format!("{name} is {}: what belongs there is {belongs}", shown(found)),
    })
}

fn text<'a>(name: &str, found: &'a Value) -> Result<&'a str, LineError> {
    found.as_str().ok_or_else(|| misplaced(name, Some(found)))
}

fn whole(name: &str, found: &Value) -> Result<u64, LineError> {
    let with_point = || {
        let number = found.as_f64().filter(|number| number.fract() == 0.0)?;
        if (0.0..=EXACT_MAX).contains(&number) { format!("{number:.0}").parse().ok() } else { None }
    };
    found.as_u64().or_else(with_point).ok_or_else(|| misplaced(name, Some(found)))
}

fn shown(found: &Value) -> String {
    match found {
        Value::Null => "null".to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quote_brief(text, CELL_LETTERS).into_owned(),
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "an object".to_string(),
    }
}

/// Why a text is no object of JSON.
fn no_object(text: &str, error: &serde_json::Error) -> LineError {
    LineError(match error.classify() {
        Category::Eof => "this is no JSON: it ends in the middle".to_string(),
        Category::Data => {
            format!(
                "{} is no operation: a line is one object of JSON",
                quote_brief(text.trim(), CELL_LETTERS)
            )
        }
        Category::Syntax | Category::Io => {
            let column = error.column();
            let before = text.char_indices().take_while(|(at, _)| *at < column);
            match before.last() {
                Some((_, letter)) => {
                    let letter = quote(&letter.to_string());
                    format!("this is no JSON: {letter} does not belong where it stands, at byte {column}")
                }
                None => format!("this is no JSON: it makes no sense from byte {column} on"),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_other_tools_may_write() {
        let text = r#"{"client":3,"key":"x","op":"cas","value":"2","expected":"1","call_ns":5,"return_ns":9,"ok":false,"error":"mismatch","result":"7","index":4}"#;
        let operation = Operation::from_line(text).unwrap();
        assert_eq!(operation.action, Action::Cas { expected: "1".to_string(), value: "2".to_string() });
        assert_eq!(operation.outcome, Outcome::Mismatch(Some("7".to_string())));
        assert_eq!((operation.index, operation.to_line().as_str()), (Some(LogIndex(4)), text));
        let other = r#" { "index" : 4.0, "ok":false , "\u006bey":"\u0078", "result":"7","error":"mis\u006datch",
            "return_ns":9e0,"call_ns":5, "expected":"1","value":"2","op":"cas","client":3 } "#;
        assert_eq!(Operation::from_line(other), Ok(operation), "the form says nothing");
    }

    #[test]
    fn every_outcome_survives_its_line() {
        let found = |value: Option<&str>| Outcome::Found(value.map(str::to_string));
        let cas = Action::Cas { expected: String::new(), value: "a\n\"b".to_string() };
        let cases = [
            (Action::Create("1".to_string()), Outcome::Exists),
            (Action::Update("1".to_string()), Outcome::NotFound),
            (Action::Put("1".to_string()), Outcome::Changed),
            (Action::Delete, Outcome::Refused),
            (Action::Delete, Outcome::Unknown),
            (Action::Read, found(None)),
            (Action::Read, found(Some(""))),
            (cas.clone(), Outcome::Mismatch(None)),
            (cas, Outcome::Changed),
        ];
        for (action, outcome) in cases {
            let returned = (outcome != Outcome::Unknown).then_some(Time::from_nanos(8));
            let operation = Operation {
                client: ClientId(1),
                key: "a \u{e9}".to_string(),
                action,
                called: Time::from_nanos(7),
                returned,
                outcome,
                index: None,
            };
            assert_eq!(Operation::from_line(&operation.to_line()), Ok(operation));
        }
    }

    /// Lines that lack something or have too much, and what is said of each.
    const WRONG: &[(&str, &str)] = &[
        (r#"{"client":1"#, "this is no JSON: it ends in the middle"),
        ("", "this is no JSON: it ends in the middle"),
        ("{'client':1}", "this is no JSON: \"'\" does not belong where it stands, at byte 2"),
        ("{\"client\":1,\u{1b}}", "this is no JSON: \"\\u{1b}\" does not belong where it stands, at byte 13"),
        ("[1]", "\"[1]\" is no operation: a line is one object of JSON"),
        ("{}", "client is missing: the client's number, a whole one"),
        (r#"{"client":"c1"}"#, "client is \"c1\": what belongs there is the client's number"),
        (r#"{"client":-1}"#, "client is -1: what belongs there is"),
        (r#"{"client":1.5}"#, "client is 1.5: what belongs there is"),
        (r#"{"client":1,"op":"read","call_ns":1,"ok":null}"#, "key is missing: the key, a text"),
        (
            r#"{"client":1,"key":null,"op":"read","call_ns":1,"ok":null}"#,
            "key is null: what belongs there is",
        ),
        (r#"{"client":1,"key":"x","key":"y"}"#, "key stands in it twice"),
        (
            r#"{"client":1,"key":"x","op":"push","call_ns":1,"ok":null}"#,
            "op is \"push\": what belongs there is create,",
        ),
        (
            r#"{"client":1,"key":"x","op":"read","call_ns":1,"ok":null,"\u001b[2J":1}"#,
            r#""\u{1b}[2J" is no member"#,
        ),
        (r#"{"client":1,"key":"x","op":"read","call_ns":1}"#, "ok is missing: true, false"),
        (
            r#"{"client":1,"key":"x","op":"read","call_ns":1,"ok":"yes"}"#,
            "ok is \"yes\": what belongs there is true,",
        ),
        (
            r#"{"client":1,"key":"x","op":"read","call_ns":[],"ok":null}"#,
            "call_ns is a list: what belongs there is",
        ),
        (r#"{"client":1,"key":"x","op":"put","call_ns":1,"ok":null}"#, "a create, update or put has a value"),
        (r#"{"client":1,"key":"x","op":"cas","value":"1","call_ns":1,"ok":null}"#, "a cas has"),
        (r#"{"client":1,"key":"x","op":"read","value":"1","call_ns":1,"ok":null}"#, "a read or delete"),
        (
            r#"{"client":1,"key":"x","op":"read","call_ns":1,"ok":true,"result":"1"}"#,
            "ok is given, so return_ns",
        ),
        (
            r#"{"client":1,"key":"x","op":"read","call_ns":1,"return_ns":2,"ok":true}"#,
            "result is missing: what a read",
        ),
        (
            r#"{"client":1,"key":"x","op":"put","value":"1","call_ns":2,"return_ns":1,"ok":true}"#,
            "return_ns is before",
        ),
        (r#"{"client":1,"key":"x","op":"read","call_ns":2,"return_ns":3,"ok":false}"#, "ok is false, so"),
        (
            r#"{"client":1,"key":"x","op":"read","call_ns":2,"ok":null,"error":"exists"}"#,
            "only with ok false",
        ),
        (r#"{"client":1,"key":"x","op":"delete","call_ns":2,"ok":false,"error":"exists"}"#, "this op cannot"),
        (
            r#"{"client":1,"key":"x","op":"delete","call_ns":2,"ok":false,"error":"full"}"#,
            "error is \"full\": what",
        ),
        (
            r#"{"client":1,"key":"x","op":"delete","call_ns":2,"ok":null,"result":"1"}"#,
            "only a read that is ok",
        ),
        (r#"{"start":"unknown"}"#, "start belongs on the first line"),
        (r#"{"start":"empty"}"#, "start is \"empty\": \"unknown\" belongs there"),
    ];

    #[test]
    fn a_wrong_line_says_what_is_wrong() {
        for (text, expected) in WRONG {
            let error = Operation::from_line(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains(" at line 1 column "), "the words of another library: {error}");
        }
    }
}
