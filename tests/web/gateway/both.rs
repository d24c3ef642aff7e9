//! The same requests to a cluster and to an etcd: the answers are equal but for what belongs to one of them.

use raftlab::types::Random;
use serde_json::{Map, Value, json};

use super::etcd::Etcd;
use super::{Answered, Served};

const REQUESTS: usize = 500;

/// Few enough that requests meet one another's traces: `a`, `ab`, `b`, `b\u{e9}`, `c`, `d`.
const KEYS: [&str; 6] = ["YQ==", "YWI=", "Yg==", "YsOp", "Yw==", "ZA=="];

/// Bounds of ranges, of which some are no text: `b`, `c`, `b\xc3`, `\xff`, `\0`.
const ENDS: [&str; 5] = ["Yg==", "Yw==", "YsM=", "/w==", "AA=="];

const VALUES: [&str; 4] = ["", "MQ==", "Mg==", "YcOpCg=="];

/// Draws requests.
struct Draw(Random);

impl Draw {
    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.0.below(count as u64)).expect("it is small")
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// A number as text, as a number, or not at all.
    fn number(&mut self, field: &str, most: usize, into: &mut Map<String, Value>) {
        let number = self.below(most);
        match self.below(3) {
            0 => drop(into.insert(field.to_string(), number.into())),
            1 => drop(into.insert(field.to_string(), number.to_string().into())),
            _ => {}
        }
    }

    fn flag(&mut self, field: &str, into: &mut Map<String, Value>) {
        if self.one_in(3) {
            into.insert(field.to_string(), true.into());
        }
    }

    fn keys(&mut self) -> Map<String, Value> {
        let mut fields = Map::new();
        if self.one_in(30) {
            return fields;
        }
        fields.insert("key".to_string(), self.of(&KEYS).into());
        if self.one_in(2) {
            let name = self.of(&["range_end", "rangeEnd"]);
            fields.insert(name.to_string(), self.of(&ENDS).into());
        }
        fields
    }

    fn range(&mut self, in_txn: bool) -> Value {
        let mut fields = self.keys();
        self.number("limit", 4, &mut fields);
        let orders = [json!("NONE"), json!("ASCEND"), json!("DESCEND"), json!(2), json!(1), json!("UP")];
        let targets =
            [json!("KEY"), json!("VERSION"), json!("CREATE"), json!("MOD"), json!("VALUE"), json!(4)];
        for (field, choices) in [("sort_order", orders), ("sortTarget", targets)] {
            if self.one_in(2) {
                // The last is wrong for one of them, and rare.
                let count = choices.len() - usize::from(!self.one_in(20));
                fields.insert(field.to_string(), choices[self.below(count)].clone());
            }
        }
        for field in ["keys_only", "countOnly", "serializable"] {
            self.flag(field, &mut fields);
        }
        for field in ["min_mod_revision", "maxModRevision", "minCreateRevision", "max_create_revision"] {
            if self.one_in(6) {
                self.number(field, 200, &mut fields);
            }
        }
        if !in_txn && self.one_in(20) {
            fields.insert("revision".to_string(), "99999".into());
        }
        fields.into()
    }

    fn put(&mut self, in_txn: bool) -> Value {
        let mut fields = self.keys();
        fields.remove("range_end");
        fields.remove("rangeEnd");
        let value = self.of(&VALUES);
        if !value.is_empty() {
            fields.insert("value".to_string(), value.into());
        }
        self.flag("prev_kv", &mut fields);
        if self.one_in(8) {
            fields.insert(self.of(&["ignore_value", "ignoreLease"]).to_string(), true.into());
        }
        // In a transaction etcd finds it only if its branch is taken.
        if !in_txn && self.one_in(30) {
            fields.insert("lease".to_string(), "7".into());
        }
        fields.into()
    }

    fn delete(&mut self, in_txn: bool) -> Value {
        let mut fields = self.keys();
        // In a transaction etcd does not see that a range without an end has a key that is put.
        fields.retain(|_, value| !in_txn || value != "AA==");
        self.flag("prevKv", &mut fields);
        fields.into()
    }

    fn compare(&mut self) -> Value {
        let mut fields = self.keys();
        let relation = [json!("EQUAL"), json!("GREATER"), json!(2), json!("NOT_EQUAL"), json!(0)];
        fields.insert("result".to_string(), relation[self.below(5)].clone());
        let (target, field) = match self.below(5) {
            0 => ("VERSION", "version"),
            1 => ("CREATE", "create_revision"),
            2 => ("MOD", "modRevision"),
            3 => ("VALUE", "value"),
            _ => ("LEASE", "lease"),
        };
        fields.insert("target".to_string(), target.into());
        if field == "value" {
            fields.insert(field.to_string(), self.of(&VALUES).into());
        } else {
            self.number(field, if field == "version" { 4 } else { 200 }, &mut fields);
        }
        fields.into()
    }

    fn requests(&mut self) -> Vec<Value> {
        let count = self.below(4);
        let request = |draw: &mut Draw| match draw.below(4) {
            0 | 1 => json!({"request_put": draw.put(true)}),
            2 => json!({"requestRange": draw.range(true)}),
            _ => json!({"request_delete_range": draw.delete(true)}),
        };
        (0..count).map(|_| request(self)).collect()
    }

    fn request(&mut self) -> (&'static str, Value) {
        match self.below(10) {
            0..4 => ("/v3/kv/range", self.range(false)),
            4..6 => ("/v3/kv/put", self.put(false)),
            6 => ("/v3/kv/deleterange", self.delete(false)),
            _ => {
                let count = self.below(3);
                let compare: Vec<Value> = (0..count).map(|_| self.compare()).collect();
                let (success, failure) = (self.requests(), self.requests());
                ("/v3/kv/txn", json!({"compare": compare, "success": success, "failure": failure}))
            }
        }
    }
}

/// Without what belongs to one cluster: its number, its member's, and the term. What is wrong in a form is said in words of
/// one's own.
fn masked(answered: &Answered) -> (u16, Value) {
    let mut body = answered.body.clone();
    if let Some(header) = body.get_mut("header").and_then(Value::as_object_mut) {
        for own in ["cluster_id", "member_id", "raft_term"] {
            assert!(header.remove(own).is_some(), "no {own} in {}", answered.body);
        }
    }
    let is_of_form = body["error"].as_str().is_some_and(|error| !error.starts_with("etcdserver: "));
    if let Some(fields) = body.as_object_mut().filter(|_| is_of_form) {
        fields.remove("error");
        fields.remove("message");
    }
    (answered.status, body)
}

#[test]
fn five_hundred_random_requests_are_answered_as_etcd_answers_them() {
    let Some(etcd) = Etcd::start() else { return };
    let served = Served::threads();
    let (mut theirs, mut ours) = (super::Line::to(&etcd.host), served.line());
    let mut draw = Draw(Random::new(22));
    let (mut done, mut refused) = (0, 0);
    for number in 0..REQUESTS {
        let (path, body) = draw.request();
        let body = body.to_string();
        let (expected, answer) = (theirs.post(path, &body), ours.post(path, &body));
        assert_eq!(masked(&answer), masked(&expected), "request {number}: {path} {body}");
        *(if answer.status == 200 { &mut done } else { &mut refused }) += 1;
    }
    assert!(done > REQUESTS / 2 && refused > 10, "{done} answered, {refused} refused: both are seen");
}
