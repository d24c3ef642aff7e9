//! Bytes that need not be text: what bounds a range, and what a value is compared with.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Any bytes. As JSON: a text, or a list of numbers if they are no text. All keys that begin with `a` are below the bytes of
/// `b`, but those that begin with the last letter of all are below bytes that are no text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Bytes(pub Vec<u8>);

impl From<&str> for Bytes {
    fn from(text: &str) -> Bytes {
        Bytes(text.into())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        deserializer.deserialize_any(TextOrNumbers)
    }
}

struct TextOrNumbers;

impl<'de> Visitor<'de> for TextOrNumbers {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list of bytes")
    }

    fn visit_str<E>(self, text: &str) -> Result<Bytes, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Bytes, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(Bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_where_they_can_be() {
        for (bytes, text) in [
            (Bytes::from("a\u{e9}"), "\"a\u{e9}\""),
            (Bytes::default(), "\"\""),
            (Bytes(vec![0x61, 0xff]), "[97,255]"),
        ] {
            assert_eq!(serde_json::to_string(&bytes).expect("it serializes"), text);
            assert_eq!(serde_json::from_str::<Bytes>(text).expect("it reads back"), bytes);
        }
        assert!(
            serde_json::from_str::<Bytes>("[256]").is_err() && serde_json::from_str::<Bytes>("7").is_err()
        );
    }
}
