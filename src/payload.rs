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
use smallvec::SmallVec;

type Value = Box<dyn Any + Send + Sync>;

/// The commands of an entry, or the answers to them, in order: mostly one, which needs no memory of its own.
pub type Batch<T> = SmallVec<[T; 1]>;

/// A shared, immutable value with a text face and a decoded face. Cloning shares it.
#[derive(Clone)]
pub struct Payload(Arc<dyn Faces>);

/// Both faces, without the value's type.
trait Faces: Any + Send + Sync {
    fn text(&self) -> &str;
    fn weight(&self) -> usize;
    fn as_any(&self) -> &dyn Any;
}

/// Made from a value.
struct Made<T> {
    value: T,
    text: OnceLock<Box<str>>,
    weight: OnceLock<usize>,
}

/// Read from a text.
struct Read {
    text: Box<str>,
    value: OnceLock<Result<Value, String>>,
}

impl Payload {
    /// From its value; the text is made when first asked for.
    ///
    /// The value's type must serialize without error: a failure to do so is a defect of that type and panics.
    pub fn new<T: Serialize + Send + Sync + 'static>(value: T) -> Payload {
        Payload(Arc::new(Made { value, text: OnceLock::new(), weight: OnceLock::new() }))
    }

    /// From a list's items, as a [`Batch`].
    pub fn batch<T: Serialize + Send + Sync + 'static>(items: impl IntoIterator<Item = T>) -> Payload {
        Payload::new(items.into_iter().collect::<Batch<T>>())
    }

    /// From its text, as read from a file or a socket; the value is decoded when first asked for.
    pub fn from_text(text: impl Into<Box<str>>) -> Payload {
        Payload(Arc::new(Read { text: text.into(), value: OnceLock::new() }))
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// The decoded value.
    ///
    /// # Errors
    /// What is wrong with the text, or that another type is held.
    pub fn value<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<&T, &str> {
        let faces = self.0.as_any();
        if let Some(made) = faces.downcast_ref::<Made<T>>() {
            return Ok(&made.value);
        }
        let another = "the payload holds a value of another type";
        match faces.downcast_ref::<Read>().ok_or(another)?.value::<T>() {
            Ok(value) => value.downcast_ref::<T>().ok_or(another),
            Err(reason) => Err(reason),
        }
    }

    /// Hands the decoded value to `then`.
    ///
    /// The text has the last word: a payload that a process made from another type is read again from its text, as a
    /// node that restarts would read it from its disk. So validity never depends on where a payload came from.
    ///
    /// # Errors
    /// What is wrong with the text, in one line.
    pub fn read<T, R>(&self, then: impl FnOnce(&T) -> R) -> Result<R, String>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        match self.value::<T>() {
            Ok(value) => Ok(then(value)),
            Err(_) => serde_json::from_str::<T>(self.text())
                .map(|value| then(&value))
                .map_err(|error| error.to_string()),
        }
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.text().len()
    }

    /// Bytes that it weighs in limits and queues: its text's, or about its value's if nobody has asked for the text when it
    /// is weighed first. It never makes the text, is weighed once, and keeps its weight.
    pub fn weight(&self) -> usize {
        self.0.weight()
    }

    /// Whether the text is empty. JSON never is.
    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }
}

impl<T: Serialize + Send + Sync + 'static> Faces for Made<T> {
    fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let text = serde_json::to_string(&self.value);
            text.expect("a payload's type serializes without error").into_boxed_str()
        })
    }

    fn weight(&self) -> usize {
        *self.weight.get_or_init(|| match self.text.get() {
            Some(text) => text.len(),
            None => measure::measure(&self.value),
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Read {
    fn value<T: DeserializeOwned + Send + Sync + 'static>(&self) -> &Result<Value, String> {
        self.value.get_or_init(|| match serde_json::from_str::<T>(&self.text) {
            Ok(value) => Ok(Box::new(value)),
            Err(error) => Err(error.to_string()),
        })
    }
}

impl Faces for Read {
    fn text(&self) -> &str {
        &self.text
    }

    fn weight(&self) -> usize {
        self.text.len()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0)) || self.text() == other.text()
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
        let faces = made.0.as_any().downcast_ref::<Made<Vec<String>>>().expect("it was made of this");
        assert!(faces.text.get().is_none(), "nobody has asked for it");
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
