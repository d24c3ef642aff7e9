//! A payload on its way to another process, or into a file: its text, in one line.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

use super::Payload;

impl Payload {
    /// The text without line breaks, of which each would end a line of a file. In JSON one can only stand between tokens,
    /// where a space means the same.
    pub fn line(&self) -> Cow<'_, str> {
        let text = self.text();
        if text.contains('\n') { text.replace('\n', " ").into() } else { text.into() }
    }

    /// From what another process sent.
    ///
    /// # Errors
    /// It is not one JSON value, or not one line.
    pub fn from_line(line: &str) -> Result<Payload, String> {
        if line.contains('\n') {
            return Err("it has a line break".to_string());
        }
        serde_json::from_str::<&RawValue>(line).map_err(|error| error.to_string())?;
        Ok(Payload::from_text(line))
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = self.line();
        if !serializer.is_human_readable() {
            return serializer.serialize_str(&line);
        }
        serde_json::from_str::<&RawValue>(&line).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        if deserializer.is_human_readable() {
            return Box::<RawValue>::deserialize(deserializer).map(Payload::from_text);
        }
        Payload::from_line(<&str>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
