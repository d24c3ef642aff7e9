//! A value that the consensus core carries without looking into it.
//!
//! It has two faces: its text (JSON: what log files, transcripts and other processes see) and its decoded value
//! (what the state machine reads). Each face is made at most once a process and shared by all holders, so three
//! nodes in one process neither encode nor decode a command three times. No type parameter spreads from here.
//!
//! Not every value has a text. [`Payload::check`] tells, at the price of the payload's weight, and is asked where a value
//! enters: of a command or query on its caller's thread, of an answer before anybody hears of it. What is carried has
//! passed, so that no node finds out later.

mod digest;
mod line;
mod measure;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use self::digest::Digest;
use self::measure::Measured;

type Value = Box<dyn Any + Send + Sync>;

/// The commands of an entry, or the answers to them, in order: mostly one, which needs no memory of its own.
pub type Batch<T> = SmallVec<[T; 1]>;

/// A value with a text face and a decoded face. Cloning shares it, and what is shared does not change.
#[derive(Clone)]
pub struct Payload(Arc<dyn Faces>);

/// Both faces, without the value's type.
trait Faces: Any + Send + Sync {
    fn text(&self) -> &str;
    fn digest(&self) -> u64;
    /// What it weighs; an error says why JSON cannot hold it.
    fn measured(&self) -> Result<usize, &str>;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// How many items it has, if it was made from a list's.
    fn items(&self) -> Option<usize>;
    /// Moves the other's items behind its own. False, and nothing was moved, when they are not lists of the same.
    fn take_items(&mut self, other: &mut dyn Faces) -> bool;
}

struct FromValue<T: 'static> {
    value: T,
    text: OnceLock<Box<str>>,
    digest: Digest,
    measured: Measured,
    list: Option<&'static List<T>>,
}

/// What can be done with a value that is a list.
struct List<T> {
    len: fn(&T) -> usize,
    take_items: fn(&mut T, &mut T),
}

struct FromText {
    text: Box<str>,
    digest: Digest,
    weight: usize,
    value: OnceLock<Result<Value, String>>,
}

/// Whether JSON can hold a value that is no payload: see [`Payload::check`].
///
/// # Errors
/// Why not, in one line.
pub(crate) fn check<T: Serialize>(value: &T) -> Result<(), String> {
    measure::measure(value).map(|_| ()).map_err(String::from)
}

impl Payload {
    /// From its value; the text is made when first asked for. Whether it can be, [`Payload::check`] says.
    pub fn new<T: Serialize + Send + Sync + 'static>(value: T) -> Payload {
        Payload(Arc::new(FromValue::new(value, None)))
    }

    /// From its value, which is [checked](Payload::check) first.
    ///
    /// # Errors
    /// Why JSON cannot hold it, in one line.
    pub(crate) fn checked<T: Serialize + Send + Sync + 'static>(value: T) -> Result<Payload, Box<str>> {
        let measured = Measured::from(measure::measure(&value)?);
        Ok(Payload(Arc::new(FromValue { measured, ..FromValue::new(value, None) })))
    }

    /// From a list's items, as a [`Batch`].
    pub fn batch<T: Serialize + Send + Sync + 'static>(items: impl IntoIterator<Item = T>) -> Payload {
        Payload(Arc::new(FromValue::of_list(items.into_iter().collect())))
    }

    /// From items of this weight together, each of which JSON can hold in a list: see [`Payload::weight_in_list`].
    pub(crate) fn batch_weighing<T: Serialize + Send + Sync + 'static>(
        items: Batch<T>,
        weight: usize,
    ) -> Payload {
        let measured = Measured::from(weight);
        Payload(Arc::new(FromValue { measured, ..FromValue::of_list(items) }))
    }

    /// The weight of a list of this item, which is what it adds to a batch; none if JSON cannot hold it.
    pub(crate) fn weight_in_list<T: Serialize>(item: &T) -> Option<usize> {
        measure::measure(std::slice::from_ref(item)).ok()
    }

    /// From its text, as read from a file or a socket; the value is decoded when first asked for.
    pub fn from_text(text: impl Into<Box<str>>) -> Payload {
        let text = text.into();
        Payload(Arc::new(FromText::new(text.len(), text)))
    }

    /// The same text, with the weight that it had in another process.
    pub(crate) fn weighing(&self, weight: usize) -> Payload {
        Payload(Arc::new(FromText::new(weight, self.text().into())))
    }

    /// Whether JSON can hold the value: written as text, it is read back. The value's type is walked once, and the answer
    /// kept.
    ///
    /// What it does not see: a type that reads something else than it writes.
    ///
    /// # Errors
    /// Why not, in one line.
    pub fn check(&self) -> Result<(), &str> {
        self.0.measured().map(|_| ())
    }

    /// The JSON text.
    ///
    /// # Panics
    /// If JSON cannot hold the value: see [`Payload::check`].
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// A hash of what it holds, the same of all payloads with this text. It never makes the text.
    pub(crate) fn digest(&self) -> u64 {
        self.0.digest()
    }

    /// The decoded value.
    ///
    /// # Errors
    /// What is wrong with the text, or that another type is held.
    pub fn value<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<&T, &str> {
        let faces = self.0.as_any();
        if let Some(made) = faces.downcast_ref::<FromValue<T>>() {
            return Ok(&made.value);
        }
        let another = "the payload holds a value of another type";
        match faces.downcast_ref::<FromText>().ok_or(another)?.value::<T>() {
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

    /// How many items it has, if it was made by [`Payload::batch`].
    pub(crate) fn items(&self) -> Option<usize> {
        self.0.items()
    }

    /// Moves the items of another batch behind those of this one.
    ///
    /// # Errors
    /// The other one, untouched: they are no batches of the same type, somebody else holds one of them, or JSON cannot hold
    /// one.
    pub(crate) fn append(&mut self, mut other: Payload) -> Result<(), Payload> {
        let moved = match (Arc::get_mut(&mut self.0), Arc::get_mut(&mut other.0)) {
            (Some(this), Some(more)) => this.take_items(more),
            _ => false,
        };
        if moved { Ok(()) } else { Err(other) }
    }

    /// The first items in batches of these sizes, made of this one's text.
    ///
    /// # Panics
    /// If it is no list of at least as many items.
    pub(crate) fn split(&self, sizes: impl IntoIterator<Item = usize>) -> Vec<Payload> {
        let items: Vec<&RawValue> = serde_json::from_str(self.text()).expect("it is a list");
        let mut items = items.into_iter().map(RawValue::get);
        let mut next = |size| {
            let taken: Vec<&str> = items.by_ref().take(size).collect();
            assert_eq!(taken.len(), size, "it has as many items as were put into it");
            Payload::from_text(format!("[{}]", taken.join(",")))
        };
        sizes.into_iter().map(&mut next).collect()
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.text().len()
    }

    /// Bytes that it weighs in limits and queues: its text's, or about its value's if the text was not asked for when it
    /// is weighed first. It never makes the text, is weighed once, and keeps its weight. What JSON cannot hold goes nowhere,
    /// and weighs nothing.
    pub fn weight(&self) -> usize {
        self.0.measured().unwrap_or_default()
    }

    /// Whether the text is empty. JSON never is.
    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }
}

impl<T> FromValue<T> {
    fn new(value: T, list: Option<&'static List<T>>) -> FromValue<T> {
        let (text, digest, measured) = Default::default();
        FromValue { value, text, digest, measured, list }
    }
}

impl<T: 'static> FromValue<Batch<T>> {
    fn of_list(items: Batch<T>) -> FromValue<Batch<T>> {
        let list =
            const { &List { len: |items: &Batch<T>| items.len(), take_items: |to, from| to.append(from) } };
        FromValue::new(items, Some(list))
    }
}

impl<T: Serialize + Send + Sync + 'static> Faces for FromValue<T> {
    fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let text = serde_json::to_string(&self.value);
            text.expect("what JSON cannot hold is turned down where it enters").into_boxed_str()
        })
    }

    fn digest(&self) -> u64 {
        self.digest.get_or(|| digest::of_value(&self.value))
    }

    fn measured(&self) -> Result<usize, &str> {
        self.measured.get_or(|| {
            let weight = measure::measure(&self.value)?;
            Ok(self.text.get().map_or(weight, |text| text.len()))
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn items(&self) -> Option<usize> {
        self.list.map(|list| (list.len)(&self.value))
    }

    fn take_items(&mut self, other: &mut dyn Faces) -> bool {
        let (Some(list), Some(other)) = (self.list, other.as_any_mut().downcast_mut::<FromValue<T>>()) else {
            return false;
        };
        let (Ok(weight), Ok(more)) = (self.measured(), other.measured()) else { return false };
        self.measured = Measured::from(weight + more);
        (list.take_items)(&mut self.value, &mut other.value);
        (self.text, self.digest) = Default::default();
        true
    }
}

impl FromText {
    fn new(weight: usize, text: Box<str>) -> FromText {
        FromText { text, digest: Digest::default(), weight, value: OnceLock::new() }
    }

    fn value<T: DeserializeOwned + Send + Sync + 'static>(&self) -> &Result<Value, String> {
        self.value.get_or_init(|| match serde_json::from_str::<T>(&self.text) {
            Ok(value) => Ok(Box::new(value)),
            Err(error) => Err(error.to_string()),
        })
    }
}

impl Faces for FromText {
    fn text(&self) -> &str {
        &self.text
    }

    fn digest(&self) -> u64 {
        self.digest.get_or(|| digest::of_text(&self.text))
    }

    fn measured(&self) -> Result<usize, &str> {
        Ok(self.weight)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn items(&self) -> Option<usize> {
        None
    }

    fn take_items(&mut self, _other: &mut dyn Faces) -> bool {
        false
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        let is_same = std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0));
        is_same || self.check().is_ok() && other.check().is_ok() && self.text() == other.text()
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.check() {
            Ok(()) => f.write_str(self.text()),
            Err(reason) => write!(f, "<{reason}>"),
        }
    }
}
