//! The table of sessions as JSON: a list, read and written session by session.
//!
//! ```json
//! {"session":2,"client":7,"used":5,"acknowledged":1,"settled":{"1":{"answered":{"entry":{"term":1,"index":3},"answer":["created"]}},"2":"given_up"}}
//! ```
//!
//! An answer's text stands there as it is and comes back as it was, byte for byte.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::sync::Arc;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::value::RawValue;

use super::{Session, Sessions, Settled, WINDOW};
use crate::ascending::Ascending;
use crate::payload::Payload;
use crate::types::{ClientId, LogIndex, Serial, SessionId};

/// An answer with the length of its text, which may not have been made yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoredAnswer {
    pub payload: Payload,
    pub bytes: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    session: SessionId,
    client: ClientId,
    used: LogIndex,
    acknowledged: Serial,
    settled: Pairs<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadLine {
    session: SessionId,
    client: ClientId,
    used: LogIndex,
    acknowledged: Serial,
    settled: BTreeMap<Serial, Settled>,
}

/// What became of commands, as an object.
struct Pairs<'a>(&'a Ascending<Serial, Settled>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

impl Serialize for Sessions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.by_id.iter().map(|(id, session)| Line {
            session: *id,
            client: session.client,
            used: session.used,
            acknowledged: session.acknowledged,
            settled: Pairs(&session.settled),
        }))
    }
}

impl<'de> Deserialize<'de> for Sessions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sessions, D::Error> {
        deserializer.deserialize_seq(Lines)
    }
}

struct Lines;

impl<'de> Visitor<'de> for Lines {
    type Value = Sessions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of sessions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Sessions, A::Error> {
        let mut by_id = BTreeMap::new();
        while let Some(line) = lines.next_element::<ReadLine>()? {
            let id = line.session;
            let session = line.session().map_err(de::Error::custom)?;
            if by_id.insert(id, Arc::new(session)).is_some() {
                return Err(de::Error::custom(format_args!("session {id} stands twice")));
            }
        }
        let by_use: BinaryHeap<_> = by_id.iter().map(|(id, session)| Reverse((session.used, *id))).collect();
        Ok(Sessions { by_id, by_use, ..Sessions::default() })
    }
}

impl ReadLine {
    /// The session, if it can be one.
    fn session(self) -> Result<Session, String> {
        let ReadLine { session: id, client, used, acknowledged, settled } = self;
        if used < id.index() {
            return Err(format!("session {id} was used by entry {used}, before it was opened"));
        }
        if settled.first_key_value().is_some_and(|(oldest, _)| *oldest < acknowledged) {
            return Err(format!("session {id} keeps answers below {acknowledged}, which it has forgotten"));
        }
        if settled.len() as u64 > WINDOW {
            return Err(format!("session {id} keeps {} answers: at most {WINDOW} are", settled.len()));
        }
        let bytes = settled.values().map(Settled::bytes).sum();
        let settled = settled.into_iter().collect();
        Ok(Session { client, used, acknowledged, settled, bytes })
    }
}

impl Serialize for StoredAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.payload.text();
        assert_eq!(text.len(), self.bytes, "the answer's text has the length that was counted");
        serde_json::from_str::<&RawValue>(text).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StoredAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoredAnswer, D::Error> {
        let payload = Payload::from_text(Box::<RawValue>::deserialize(deserializer)?);
        let bytes = payload.len();
        Ok(StoredAnswer { payload, bytes })
    }
}
