//! Transactions: compare, then do one thing or another, as one command and one revision (etcd's `Txn`).
//!
//! Create, update, compare and swap, and batches of them cannot say "delete if equal", or "else read".

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::keys::Keys;
use super::range::{Pair, Range, Ranged, is_default};
use super::values::Item;
use super::{Answer, KEY_BYTES_MAX, KeyValue, Text};
use crate::state_machine::sessions::ANSWER_BYTES_MAX;

/// The most comparisons, and the most requests in either branch.
pub const REQUESTS_MAX: usize = 128;

/// If all comparisons hold, the requests of `success` are applied, in order; otherwise those of `failure`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Txn {
    pub compare: Vec<Compare>,
    pub success: Vec<TxnRequest>,
    pub failure: Vec<TxnRequest>,
}

/// A comparison of each key that is meant. One of an absent value never holds; an absent key has zero for the rest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    pub keys: Keys,
    pub relation: Relation,
    pub to: Target,
}

/// How what a key has stands to what it is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    Equal,
    Greater,
    Less,
    NotEqual,
}

/// What a key's part is compared with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Version(i64),
    Created(i64),
    Modified(i64),
    Value(Bytes),
    /// No key has a lease: zero is equal.
    Lease(i64),
}

/// One part of a transaction. As JSON: `{"op":"put","key":"x","value":"1"}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum TxnRequest {
    Put {
        key: Text,
        /// None leaves the value as it is, and only counts as a change.
        #[serde(default, skip_serializing_if = "is_default")]
        value: Option<Text>,
        /// The key must be there, or nothing of the transaction is applied.
        #[serde(default, skip_serializing_if = "is_default")]
        present: bool,
        /// Tell what was there before.
        #[serde(default, skip_serializing_if = "is_default")]
        previous: bool,
    },
    Range {
        range: Range,
    },
    Delete {
        keys: Keys,
        #[serde(default, skip_serializing_if = "is_default")]
        previous: bool,
    },
}

/// The answer to a transaction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TxnAnswer {
    /// Whether the comparisons held.
    pub succeeded: bool,
    /// That of the store afterwards.
    pub revision: u64,
    /// One for each request of the branch.
    pub responses: Vec<TxnResponse>,
}

/// The answer to one part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TxnResponse {
    Put { revision: u64, previous: Option<Pair> },
    Range(Ranged),
    Delete { revision: u64, deleted: u64, previous: Vec<Pair> },
}

impl Txn {
    /// Only these requests, without a comparison.
    pub fn requests(success: impl IntoIterator<Item = TxnRequest>) -> Txn {
        Txn { success: success.into_iter().collect(), ..Txn::default() }
    }

    /// Whether it is within the limits.
    pub(super) fn check(&self, value_bytes_max: usize) -> Result<(), String> {
        if [self.compare.len(), self.success.len(), self.failure.len()]
            .iter()
            .any(|count| *count > REQUESTS_MAX)
        {
            return Err("too many operations in txn request".to_string());
        }
        self.compare.iter().try_for_each(|compare| check_keys(&compare.keys))?;
        for branch in [&self.success, &self.failure] {
            branch.iter().try_for_each(|request| request.check(value_bytes_max))?;
            check_puts(branch)?;
        }
        Ok(())
    }
}

impl TxnRequest {
    fn check(&self, value_bytes_max: usize) -> Result<(), String> {
        match self {
            TxnRequest::Put { key, value, .. } => {
                check_key(key)?;
                let bytes = value.as_ref().map_or(0, Text::len);
                if bytes > value_bytes_max {
                    return Err(super::too_long_a_value(bytes, value_bytes_max));
                }
                Ok(())
            }
            TxnRequest::Range { range } => check_keys(&range.keys),
            TxnRequest::Delete { keys, .. } => check_keys(keys),
        }
    }
}

fn check_key(key: &Text) -> Result<(), String> {
    match key.len() {
        0 => Err("key is not provided".to_string()),
        bytes if bytes > KEY_BYTES_MAX => Err(super::too_long_a_key(bytes)),
        _ => Ok(()),
    }
}

fn check_keys(keys: &Keys) -> Result<(), String> {
    match keys {
        Keys::One(key) => check_key(key),
        Keys::From(Bytes(first)) => check_bound(first),
        Keys::Between(Bytes(first), Bytes(end)) => check_bound(first).and_then(|()| check_bound(end)),
    }
}

fn check_bound(bound: &[u8]) -> Result<(), String> {
    if bound.len() > KEY_BYTES_MAX { Err(super::too_long_a_key(bound.len())) } else { Ok(()) }
}

/// No key is put twice, or put and deleted: what came of it would depend on an order that few expect.
fn check_puts(branch: &[TxnRequest]) -> Result<(), String> {
    let duplicate = || Err("duplicate key given in txn request".to_string());
    let mut puts: Vec<&Text> = branch.iter().filter_map(TxnRequest::put_key).collect();
    puts.sort_unstable();
    if puts.windows(2).any(|pair| pair[0] == pair[1]) {
        return duplicate();
    }
    for request in branch {
        if let TxnRequest::Delete { keys, .. } = request
            && puts.iter().any(|key| keys.hold(key))
        {
            return duplicate();
        }
    }
    Ok(())
}

impl TxnRequest {
    fn put_key(&self) -> Option<&Text> {
        match self {
            TxnRequest::Put { key, .. } => Some(key),
            TxnRequest::Range { .. } | TxnRequest::Delete { .. } => None,
        }
    }
}

impl Compare {
    fn holds(&self, store: &KeyValue) -> bool {
        let mut found = store.order.of(&store.values, &self.keys).peekable();
        if found.peek().is_none() {
            return !matches!(self.to, Target::Value(_)) && self.fits(&Item::absent());
        }
        found.all(|key| store.values.pair(key).is_some_and(|(_, item)| self.fits(item)))
    }

    fn fits(&self, item: &Item) -> bool {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let order = match &self.to {
            Target::Version(to) => number(item.version).cmp(to),
            Target::Created(to) => number(item.created).cmp(to),
            Target::Modified(to) => number(item.modified).cmp(to),
            Target::Value(to) => item.value.as_bytes().cmp(&to.0),
            Target::Lease(to) => 0.cmp(to),
        };
        match self.relation {
            Relation::Equal => order.is_eq(),
            Relation::Greater => order.is_gt(),
            Relation::Less => order.is_lt(),
            Relation::NotEqual => order.is_ne(),
        }
    }
}

impl KeyValue {
    pub(super) fn transact(&mut self, txn: &Txn) -> Answer {
        let succeeded = txn.compare.iter().all(|compare| compare.holds(self));
        let branch = if succeeded { &txn.success } else { &txn.failure };
        if let Err(refusal) = self.permits(branch) {
            return refusal;
        }
        let at = self.values.revision() + 1;
        let responses = branch.iter().map(|request| self.respond(request, at)).collect();
        Answer::Txn(Box::new(TxnAnswer { succeeded, revision: self.values.revision(), responses }))
    }

    /// Whether the whole branch can be applied: nothing of it is, otherwise. What is told is kept for a session, so it is
    /// bounded, by what stood there before.
    fn permits(&self, branch: &[TxnRequest]) -> Result<(), Answer> {
        let mut left = ANSWER_BYTES_MAX;
        let mut told = |range: &Range| {
            let ranged = range.answer(&self.values, &self.order, left);
            let pairs = ranged.map_err(|_| Answer::TooLarge { bytes_max: ANSWER_BYTES_MAX as u64 })?.pairs;
            left -= pairs.iter().map(Pair::weight).sum::<usize>();
            Ok(())
        };
        for request in branch {
            match request {
                TxnRequest::Put { key, value, present, .. } => {
                    if (*present || value.is_none()) && self.values.get(key).is_none() {
                        return Err(Answer::NotFound);
                    }
                }
                TxnRequest::Range { range } => told(range)?,
                TxnRequest::Delete { keys, previous: true } => told(&Range::of(keys.clone()))?,
                TxnRequest::Delete { previous: false, .. } => {}
            }
        }
        Ok(())
    }

    fn respond(&mut self, request: &TxnRequest, at: u64) -> TxnResponse {
        match request {
            TxnRequest::Put { key, value, previous, .. } => {
                let before = self.values.pair(key).map(|(key, item)| item.pair(key));
                let kept = || before.as_ref().map(|pair| pair.value.clone()).unwrap_or_default();
                let value = value.clone().unwrap_or_else(kept);
                self.put(key, &value, at);
                TxnResponse::Put { revision: at, previous: before.filter(|_| *previous) }
            }
            TxnRequest::Range { range } => {
                let ranged = range.answer(&self.values, &self.order, usize::MAX);
                TxnResponse::Range(ranged.expect("no range has more bytes than that"))
            }
            TxnRequest::Delete { keys, previous } => {
                let found: Vec<Text> = self.order.of(&self.values, keys).cloned().collect();
                let before = found.iter().filter(|_| *previous).filter_map(|key| self.values.pair(key));
                let before: Vec<Pair> = before.map(|(key, item)| item.pair(key)).collect();
                for key in &found {
                    self.remove(key, at);
                }
                let (revision, deleted) = (self.values.revision(), found.len() as u64);
                TxnResponse::Delete { revision, deleted, previous: before }
            }
        }
    }
}
