//! etcd's JSON (proto3's): int64 as text or number, bytes in base64, enums by name or number, names in snake or lower camel
//! case; what is zero or empty is left out, and unknown fields are ignored.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answers::Failed;

/// The fields of one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(Option<&'a Map<String, Value>>);

/// What a body says. An empty one says nothing, and what follows an object is ignored.
///
/// # Errors
/// It is no object of JSON.
pub(super) fn body(bytes: &[u8]) -> Result<Value, Failed> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    let read = Value::deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    match read {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Failed::invalid("the body is no object of JSON")),
        Err(error) => Err(Failed::invalid(format!("the body is no JSON: {error}"))),
    }
}

impl<'a> Fields<'a> {
    /// Those of an object; none of null.
    ///
    /// # Errors
    /// It is something else.
    pub fn of(value: &'a Value, name: &str) -> Result<Fields<'a>, Failed> {
        match value {
            Value::Object(fields) => Ok(Fields(Some(fields))),
            Value::Null => Ok(Fields(None)),
            _ => Err(wrong(name, "an object")),
        }
    }

    fn get(self, name: &str) -> Option<&'a Value> {
        let fields = self.0?;
        let found = fields.get(name).or_else(|| fields.get(&camel(name)));
        found.filter(|value| !value.is_null())
    }

    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn bytes(self, name: &str) -> Result<Vec<u8>, Failed> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let text = value.as_str().ok_or_else(|| wrong(name, "a text in base64"))?;
        STANDARD.decode(text).map_err(|error| Failed::invalid(format!("{name} is not in base64: {error}")))
    }

    pub fn number(self, name: &str) -> Result<i64, Failed> {
        let number = match self.get(name) {
            None => Some(0),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        number.ok_or_else(|| wrong(name, "a whole number of 64 bits"))
    }

    pub fn truth(self, name: &str) -> Result<bool, Failed> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| wrong(name, "true or false")),
        }
    }

    /// One of these, by its name or place; the first if it is not given.
    pub fn choice<T: Copy>(self, name: &str, choices: &[(&str, T)]) -> Result<T, Failed> {
        let found = match self.get(name) {
            None => choices.first(),
            Some(Value::String(given)) => choices.iter().find(|(choice, _)| choice == given),
            Some(value) => value.as_u64().and_then(|at| choices.get(usize::try_from(at).ok()?)),
        };
        let names = || choices.iter().map(|(choice, _)| *choice).collect::<Vec<_>>().join(", ");
        found.map(|(_, choice)| *choice).ok_or_else(|| wrong(name, &format!("one of {}", names())))
    }

    /// The objects of a list.
    pub fn list(self, name: &str) -> Result<Vec<Fields<'a>>, Failed> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| Fields::of(item, name)).collect(),
            Some(_) => Err(wrong(name, "a list")),
        }
    }

    /// An object inside; none if it is not there.
    pub fn object(self, name: &str) -> Result<Option<Fields<'a>>, Failed> {
        self.get(name).map(|value| Fields::of(value, name)).transpose()
    }
}

fn wrong(name: &str, expected: &str) -> Failed {
    Failed::invalid(format!("{name} is not {expected}"))
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (first, rest) = part.split_at(1.min(part.len()));
        camel.extend([first.to_ascii_uppercase().as_str(), rest]);
    }
    camel
}

/// An object that is written, without what is zero or empty.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Object(Map<String, Value>);

impl Object {
    pub fn number(mut self, name: &str, number: u64) -> Object {
        if number != 0 {
            self.0.insert(name.to_string(), number.to_string().into());
        }
        self
    }

    pub fn bytes(mut self, name: &str, bytes: &[u8]) -> Object {
        if !bytes.is_empty() {
            self.0.insert(name.to_string(), STANDARD.encode(bytes).into());
        }
        self
    }

    pub fn text(mut self, name: &str, text: &str) -> Object {
        if !text.is_empty() {
            self.0.insert(name.to_string(), text.into());
        }
        self
    }

    pub fn truth(mut self, name: &str, truth: bool) -> Object {
        if truth {
            self.0.insert(name.to_string(), true.into());
        }
        self
    }

    pub fn list(mut self, name: &str, items: Vec<Value>) -> Object {
        if !items.is_empty() {
            self.0.insert(name.to_string(), items.into());
        }
        self
    }

    /// An object inside, be it empty.
    pub fn object(mut self, name: &str, object: impl Into<Value>) -> Object {
        self.0.insert(name.to_string(), object.into());
        self
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Value {
        Value::Object(object.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_form_of_a_field_is_read() {
        let value = json!({"a_b": "7", "cD": 8, "e": "YQ==", "f": "MOD", "g": 1, "h": null, "i": true, "j": [{}, null]});
        let fields = Fields::of(&value, "it").expect("it is an object");
        assert_eq!(
            (fields.number("a_b").ok(), fields.number("c_d").ok(), fields.number("h").ok()),
            (Some(7), Some(8), Some(0))
        );
        assert_eq!(
            (fields.bytes("e").ok(), fields.bytes("absent").ok()),
            (Some(b"a".to_vec()), Some(Vec::new()))
        );
        let choices = [("KEY", 'k'), ("MOD", 'm')];
        let choice = |name| fields.choice(name, &choices).ok();
        assert_eq!(
            (choice("f"), choice("g"), choice("absent"), choice("e")),
            (Some('m'), Some('m'), Some('k'), None)
        );
        assert_eq!((fields.truth("i").ok(), fields.truth("h").ok()), (Some(true), Some(false)));
        assert_eq!(fields.list("j").map(|list| list.len()).ok(), Some(2));
        assert!(!fields.has("h") && fields.has("i"));
    }

    #[test]
    fn what_is_not_of_its_form_is_told_by_name() {
        let value =
            json!({"n": 1.5, "big": "9223372036854775808", "b": "a", "t": 1, "l": {}, "o": 3, "c": "X"});
        let fields = Fields::of(&value, "it").expect("it is an object");
        let texts = [
            fields.number("n").map(drop),
            fields.number("big").map(drop),
            fields.bytes("b").map(drop),
            fields.bytes("n").map(drop),
            fields.truth("t").map(drop),
            fields.list("l").map(drop),
            fields.object("o").map(drop),
            fields.choice("c", &[("A", ()), ("B", ())]),
        ]
        .map(|read| read.expect_err("it is wrong").text);
        assert_eq!(
            texts.map(|text| text.split(": ").next().unwrap_or_default().to_string()),
            [
                "n is not a whole number of 64 bits",
                "big is not a whole number of 64 bits",
                "b is not in base64",
                "n is not a text in base64",
                "t is not true or false",
                "l is not a list",
                "o is not an object",
                "c is not one of A, B",
            ]
        );
        for bytes in ["[]", "{", "7", "\u{1}"] {
            assert!(body(bytes.as_bytes()).is_err(), "{bytes}");
        }
        for bytes in ["", " \n", "{}", "{} {", "{\"unknown\":1}"] {
            assert!(body(bytes.as_bytes()).is_ok(), "{bytes}");
        }
    }

    #[test]
    fn zeros_are_left_out() {
        let object = Object::default().number("n", 0).bytes("b", b"").truth("t", false).list("l", Vec::new());
        assert_eq!(Value::from(object), json!({}));
        let object =
            Object::default().number("n", 7).bytes("b", b"a").truth("t", true).object("o", Object::default());
        assert_eq!(Value::from(object), json!({"n": "7", "b": "YQ==", "t": true, "o": {}}));
    }
}
