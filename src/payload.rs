//! A value that the consensus core carries without looking into it.
//!
//! It has two faces: its text (JSON: what log files, transcripts and other processes see) and its decoded value
//! (what the state machine reads). Each face is made at most once a process and shared by all holders, so three
//! nodes in one process neither encode nor decode a command three times. No type parameter spreads from here.

mod measure;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

type Value = Box<dyn Any + Send + Sync>;

/// A shared, immutable value with a text face and a decoded face. Cloning shares it.
#[derive(Clone)]
pub struct Payload(Arc<Faces>);

struct Faces {
    text: OnceLock<Box<str>>,
    value: OnceLock<Result<Value, String>>,
    /// See [`Payload::weight`].
    weight: OnceLock<usize>,
    encode: fn(&Value) -> String,
    measure: fn(&Value) -> usize,
}

impl Payload {
    /// From its value; the text is made when first asked for.
    ///
    /// The value's type must serialize without error: a failure to do so is a defect of that type and panics.
    pub fn new<T: Serialize + Send + Sync + 'static>(value: T) -> Payload {
        let known: OnceLock<Result<Value, String>> = OnceLock::new();
        let _ = known.set(Ok(Box::new(value)));
        Payload(Arc::new(Faces {
            text: OnceLock::new(),
            value: known,
            weight: OnceLock::new(),
            encode: encode::<T>,
            measure: measure::<T>,
        }))
    }

    /// From its text, as read from a file or a socket; the value is decoded when first asked for.
    pub fn from_text(text: impl Into<Box<str>>) -> Payload {
        let known = OnceLock::new();
        let _ = known.set(text.into());
        Payload(Arc::new(Faces {
            text: known,
            value: OnceLock::new(),
            weight: OnceLock::new(),
            encode: |_| unreachable!("text is known"),
            measure: |_| unreachable!("text is known"),
        }))
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        self.0.text.get_or_init(|| {
            let value = self.0.value.get().and_then(|value| value.as_ref().ok());
            (self.0.encode)(value.expect("a payload has at least one face")).into_boxed_str()
        })
    }

    /// The decoded value.
    ///
    /// # Errors
    /// What is wrong with the text, or that another type is held.
    pub fn value<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<&T, &str> {
        let decoded = self.0.value.get_or_init(|| match serde_json::from_str::<T>(self.text()) {
            Ok(value) => Ok(Box::new(value)),
            Err(error) => Err(error.to_string()),
        });
        match decoded {
            Ok(value) => value.downcast_ref::<T>().ok_or("the payload holds a value of another type"),
            Err(reason) => Err(reason),
        }
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.text().len()
    }

    /// Bytes that it weighs in limits and queues: its text's, or about its value's if nobody has asked for the text when it
    /// is weighed first. It never makes the text, is weighed once, and keeps its weight.
    pub fn weight(&self) -> usize {
        *self.0.weight.get_or_init(|| match (self.0.text.get(), self.0.value.get()) {
            (Some(text), _) => text.len(),
            (None, Some(Ok(value))) => (self.0.measure)(value),
            (None, _) => unreachable!("a payload has at least one face"),
        })
    }

    /// Whether the text is empty. JSON never is.
    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }
}

fn encode<T: Serialize + 'static>(value: &Value) -> String {
    let value = value.downcast_ref::<T>().expect("encoded by the type that made it");
    serde_json::to_string(value).expect("a payload's type serializes without error")
}

fn measure<T: Serialize + 'static>(value: &Value) -> usize {
    measure::measure(value.downcast_ref::<T>().expect("measured by the type that made it"))
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.text() == other.text()
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_face_gives_the_other() {
        let made = Payload::new(vec![1_u32, 2]);
        assert_eq!(made.text(), "[1,2]");
        let read = Payload::from_text("[1,2]");
        assert_eq!(read.value::<Vec<u32>>(), Ok(&vec![1, 2]));
        assert_eq!(made, read);
    }

    #[test]
    fn weighing_it_does_not_make_its_text() {
        let made = Payload::new(vec!["x".repeat(100)]);
        let estimate = made.weight();
        assert!((100..150).contains(&estimate), "{estimate}");
        assert!(made.0.text.get().is_none(), "nobody has asked for it");
        made.text();
        assert_eq!(made.weight(), estimate, "what is counted in is counted out as the same");
        assert_eq!(Payload::from_text("[1,2]").weight(), 5);
    }

    #[test]
    fn a_text_that_does_not_decode_says_why_each_time() {
        let wrong = Payload::from_text("{");
        let first = wrong.value::<Vec<u32>>().map_err(str::to_string);
        assert!(first.is_err());
        assert_eq!(first, wrong.value::<Vec<u32>>().map_err(str::to_string));
        assert!(Payload::new(1_u32).value::<String>().is_err(), "another type is refused");
    }
}
