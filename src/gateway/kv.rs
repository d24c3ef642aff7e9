//! The key-value calls of etcd: range, put, delete and transactions, in its fields both ways.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::answers::{Code, Failed};
use super::form::{Fields, Object};
use super::header::Header;
use super::site::Site;
use crate::state_machine::kv::{
    Answer, Bytes, Compare, Direction, Keys, Pair, Range, Ranged, Relation, Revisions, SortBy, Target, Text,
    Txn, TxnAnswer, TxnRequest, TxnResponse,
};

/// A range as it is asked.
pub(super) struct AskedRange {
    pub range: Range,
    /// The state of this node is enough.
    pub serializable: bool,
    /// The revision that is wanted; zero for the newest.
    pub revision: i64,
}

impl AskedRange {
    pub fn read(fields: Fields<'_>) -> Result<AskedRange, Failed> {
        let limit = u64::try_from(fields.number("limit")?).unwrap_or(0);
        let direction = fields.choice(
            "sort_order",
            &[
                ("NONE", None),
                ("ASCEND", Some(Direction::Ascending)),
                ("DESCEND", Some(Direction::Descending)),
            ],
        )?;
        let sort_by = fields.choice(
            "sort_target",
            &[
                ("KEY", SortBy::Key),
                ("VERSION", SortBy::Version),
                ("CREATE", SortBy::Created),
                ("MOD", SortBy::Modified),
                ("VALUE", SortBy::Value),
            ],
        )?;
        let revisions = |first, last| {
            Ok::<_, Failed>(Revisions { first: fields.number(first)?, last: fields.number(last)? })
        };
        let range = Range {
            limit,
            direction,
            sort_by,
            without_values: fields.truth("keys_only")?,
            only_count: fields.truth("count_only")?,
            modified: revisions("min_mod_revision", "max_mod_revision")?,
            created: revisions("min_create_revision", "max_create_revision")?,
            ..Range::of(keys(fields)?)
        };
        let (serializable, revision) = (fields.truth("serializable")?, fields.number("revision")?);
        Ok(AskedRange { range, serializable, revision })
    }

    /// Only the newest revision is kept.
    pub fn check_revision(&self, newest: u64) -> Result<(), Failed> {
        let text = match u64::try_from(self.revision) {
            Ok(wanted) if wanted > newest => "etcdserver: mvcc: required revision is a future revision",
            Ok(wanted @ 1..) if wanted < newest => "etcdserver: mvcc: required revision has been compacted",
            _ => return Ok(()),
        };
        Err(Failed::new(Code::OutOfRange, text))
    }
}

pub(super) fn read_put(fields: Fields<'_>) -> Result<TxnRequest, Failed> {
    let key = text(fields.bytes("key")?)?;
    let (value, keeps) = (text(fields.bytes("value")?)?, fields.truth("ignore_value")?);
    let (lease, present) = (fields.number("lease")?, fields.truth("ignore_lease")?);
    let previous = fields.truth("prev_kv")?;
    if key.is_empty() {
        return Err(Failed::invalid("etcdserver: key is not provided"));
    }
    if keeps && !value.is_empty() {
        return Err(Failed::invalid("etcdserver: value is provided"));
    }
    if present && lease != 0 {
        return Err(Failed::invalid("etcdserver: lease is provided"));
    }
    if lease != 0 {
        return Err(Failed::new(Code::NotFound, "etcdserver: requested lease not found"));
    }
    Ok(TxnRequest::Put { key, value: (!keeps).then_some(value), present: present || keeps, previous })
}

pub(super) fn read_delete(fields: Fields<'_>) -> Result<TxnRequest, Failed> {
    Ok(TxnRequest::Delete { keys: keys(fields)?, previous: fields.truth("prev_kv")? })
}

pub(super) fn read_txn(fields: Fields<'_>) -> Result<Txn, Failed> {
    let requests = |name| -> Result<Vec<TxnRequest>, Failed> {
        fields.list(name)?.into_iter().map(read_request).collect()
    };
    let compare = fields.list("compare")?.into_iter().map(read_compare).collect::<Result<_, Failed>>()?;
    Ok(Txn { compare, success: requests("success")?, failure: requests("failure")? })
}

fn read_request(fields: Fields<'_>) -> Result<TxnRequest, Failed> {
    if let Some(put) = fields.object("request_put")? {
        return read_put(put);
    }
    if let Some(range) = fields.object("request_range")? {
        let asked = AskedRange::read(range)?;
        return match asked.revision {
            0 => Ok(TxnRequest::Range { range: asked.range }),
            _ => Err(Failed::new(Code::Unimplemented, "a range in a transaction reads the newest revision")),
        };
    }
    if let Some(delete) = fields.object("request_delete_range")? {
        return read_delete(delete);
    }
    if fields.has("request_txn") {
        return Err(Failed::new(Code::Unimplemented, "a transaction in a transaction is not taken here"));
    }
    Err(Failed::invalid("etcdserver: key not found"))
}

fn read_compare(fields: Fields<'_>) -> Result<Compare, Failed> {
    let relation = fields.choice(
        "result",
        &[
            ("EQUAL", Relation::Equal),
            ("GREATER", Relation::Greater),
            ("LESS", Relation::Less),
            ("NOT_EQUAL", Relation::NotEqual),
        ],
    )?;
    let targets = [("VERSION", 0), ("CREATE", 1), ("MOD", 2), ("VALUE", 3), ("LEASE", 4)];
    let to = match fields.choice("target", &targets)? {
        0 => Target::Version(fields.number("version")?),
        1 => Target::Created(fields.number("create_revision")?),
        2 => Target::Modified(fields.number("mod_revision")?),
        3 => Target::Value(Bytes(fields.bytes("value")?)),
        _ => Target::Lease(fields.number("lease")?),
    };
    Ok(Compare { keys: keys(fields)?, relation, to })
}

fn keys(fields: Fields<'_>) -> Result<Keys, Failed> {
    let (first, end) = (fields.bytes("key")?, fields.bytes("range_end")?);
    match end.as_slice() {
        _ if first.is_empty() => Err(Failed::invalid("etcdserver: key is not provided")),
        [] => text(first).map(Keys::One),
        [0] => Ok(Keys::From(Bytes(first))),
        _ => Ok(Keys::Between(Bytes(first), Bytes(end))),
    }
}

/// Keys and values are text here.
fn text(bytes: Vec<u8>) -> Result<Text, Failed> {
    let text = String::from_utf8(bytes);
    text.map(Text::from)
        .map_err(|_| Failed::invalid("keys and values are text here: these bytes are not UTF-8"))
}

/// What the store answered to a range.
pub(super) fn ranged(answer: &Answer) -> Result<&Ranged, Failed> {
    match answer {
        Answer::Range(ranged) => Ok(ranged),
        other => Err(refused(other)),
    }
}

/// What the store answered to a transaction.
pub(super) fn transacted(answer: &Answer) -> Result<&TxnAnswer, Failed> {
    match answer {
        Answer::Txn(answer) => Ok(answer),
        other => Err(refused(other)),
    }
}

fn refused(answer: &Answer) -> Failed {
    match answer {
        Answer::NotFound => Failed::invalid("etcdserver: key not found"),
        Answer::TooLarge { bytes_max } => Failed::new(
            Code::OutOfRange,
            format!("the answer has more than {} MiB: set a limit, keys_only or count_only", bytes_max >> 20),
        ),
        _ => Failed::new(Code::Internal, "an answer to another question"),
    }
}

fn pair(pair: &Pair) -> Value {
    Object::default()
        .bytes("key", pair.key.as_bytes())
        .number("create_revision", pair.created)
        .number("mod_revision", pair.modified)
        .number("version", pair.version)
        .bytes("value", pair.value.as_bytes())
        .into()
}

/// The answer to a range. It may have many pairs, and each takes form only while it is written.
#[derive(Serialize)]
pub(super) struct WrittenRange<'a> {
    #[serde(flatten)]
    rest: Value,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "write_pairs")]
    kvs: &'a [Pair],
}

impl WrittenRange<'_> {
    pub fn new(header: Object, ranged: &Ranged) -> WrittenRange<'_> {
        WrittenRange { rest: without_pairs(header, ranged).into(), kvs: &ranged.pairs }
    }
}

fn write_pairs<S: Serializer>(pairs: &[Pair], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(pairs.iter().map(pair))
}

fn range_object(header: Object, ranged: &Ranged) -> Object {
    without_pairs(header, ranged).list("kvs", ranged.pairs.iter().map(pair).collect())
}

fn without_pairs(header: Object, ranged: &Ranged) -> Object {
    Object::default().object("header", header).truth("more", ranged.more).number("count", ranged.count)
}

pub(super) fn put_object(header: Object, previous: Option<&Pair>) -> Object {
    let object = Object::default().object("header", header);
    match previous {
        Some(previous) => object.object("prev_kv", pair(previous)),
        None => object,
    }
}

pub(super) fn delete_object(header: Object, deleted: u64, previous: &[Pair]) -> Object {
    Object::default()
        .object("header", header)
        .number("deleted", deleted)
        .list("prev_kvs", previous.iter().map(pair).collect())
}

pub(super) fn txn_object(header: Header, site: &Site, answer: &TxnAnswer) -> Object {
    let responses = answer.responses.iter().map(response_object).map(Value::from);
    Object::default()
        .object("header", header.object(site))
        .truth("succeeded", answer.succeeded)
        .list("responses", responses.collect())
}

fn response_object(response: &TxnResponse) -> Object {
    // Inside a transaction only the revision is told.
    let at = |revision| Object::default().number("revision", revision);
    let object = Object::default();
    match response {
        TxnResponse::Put { revision, previous } => {
            object.object("response_put", put_object(at(*revision), previous.as_ref()))
        }
        TxnResponse::Range(ranged) => {
            object.object("response_range", range_object(at(ranged.revision), ranged))
        }
        TxnResponse::Delete { revision, deleted, previous } => {
            object.object("response_delete_range", delete_object(at(*revision), *deleted, previous))
        }
    }
}
