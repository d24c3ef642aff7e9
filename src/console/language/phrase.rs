//! Phrases: forms with their slots filled, which are directives and conditions, and the values in the slots. What is shown
//! of them is read back as the same.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::form::{Form, Place, Slot};
use super::kind::Kind;
use super::links::Links;
use super::shape::PartitionShape;
use super::target::Target;
use crate::quoting::{quote, word};
use crate::text::joined;
use crate::text::units::{Speed, duration_text, percent_text};
use crate::types::{NodeId, Token};

/// A form with its slots filled: a directive, or a condition inside one.
#[derive(Clone, Debug)]
pub struct Phrase {
    pub form: &'static Form,
    /// `for 2s`: it is undone after this time.
    pub lasting: Option<Duration>,
    values: Vec<(&'static Slot, Value)>,
}

/// A line of the console, read. Whether it fits the cluster is known only when it runs.
pub type Directive = Phrase;

/// What `wait` waits for and `expect` demands.
pub type Condition = Phrase;

macro_rules! values {
    ($($variant:ident($type:ty)),*) => {
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Value {
            Flag,
            $($variant($type)),*
        }

        $(impl<'a> TryFrom<&'a Value> for &'a $type {
            type Error = ();

            fn try_from(value: &'a Value) -> Result<&'a $type, ()> {
                match value {
                    Value::$variant(value) => Ok(value),
                    _ => Err(()),
                }
            }
        })*
    };
}

values! {
    Word(&'static str), Node(NodeId), Target(Target), Links(Links), Duration(Duration), PerMillion(u32),
    Count(usize), Number(u64), Speed(Speed), Text(String), Token(Token), Shape(PartitionShape), Phrase(Phrase),
    Words(Vec<&'static str>)
}

impl Phrase {
    /// This form with these values in its slots.
    pub fn new(
        form: &'static Form,
        values: Vec<(&'static Slot, Value)>,
        lasting: Option<Duration>,
    ) -> Phrase {
        Phrase { form, lasting, values }
    }

    pub fn name(&self) -> &'static str {
        self.form.name
    }

    /// What stands in a slot that may be left out.
    pub fn get<'a, T>(&'a self, slot: &Slot) -> Option<&'a T>
    where
        &'a T: TryFrom<&'a Value>,
    {
        let (_, value) = self.values.iter().find(|(filled, _)| filled.name == slot.name)?;
        <&T>::try_from(value).ok()
    }

    /// What stands in a slot that must be filled.
    pub fn need<'a, T>(&'a self, slot: &Slot) -> &'a T
    where
        &'a T: TryFrom<&'a Value>,
    {
        self.get(slot)
            .unwrap_or_else(|| panic!("the form of '{}' needs {} of this kind", self.name(), slot.name))
    }

    pub fn has(&self, slot: &Slot) -> bool {
        self.values.iter().any(|(filled, _)| filled.name == slot.name)
    }

    /// The names of files that it gives.
    pub fn files(&self) -> Vec<&str> {
        let files = self.values.iter().flat_map(|(slot, value)| match value {
            Value::Text(text) if slot.names_file() => vec![text.as_str()],
            Value::Phrase(inner) => inner.files(),
            _ => Vec::new(),
        });
        files.collect()
    }

    /// What its slots hold, in the order of the form.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.values.iter().map(|(_, value)| value)
    }
}

impl PartialEq for Phrase {
    fn eq(&self, other: &Phrase) -> bool {
        let pairs = self.values.iter().zip(&other.values);
        self.name() == other.name()
            && self.lasting == other.lasting
            && self.values.len() == other.values.len()
            && pairs.into_iter().all(|(one, other)| one.0.name == other.0.name && one.1 == other.1)
    }
}

impl Eq for Phrase {}

impl Phrase {
    /// Whether a text would be read as a word that may stand before it, and does not: a file whose name is `stop`.
    fn may_be_another(&self, slot: &Slot, text: &str) -> bool {
        let before = self.form.slots.iter().take_while(|other| other.name != slot.name);
        let is_left_out = |other: &&Slot| {
            other.place == Place::IfFitting && self.values.iter().all(|(given, _)| given.name != other.name)
        };
        slot.kind != Kind::Text && before.filter(is_left_out).any(|other| other.kind.read(text).is_ok())
    }
}

impl fmt::Display for Phrase {
    /// The canonical text: what history, saved scripts and transcripts show. It is read back as the same phrase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (slot, value) in &self.values {
            match value {
                Value::Text(text) if self.may_be_another(slot, text) => write!(f, " {}", quote(text))?,
                _ => write!(f, " {}", slot.kind.shown(slot, value))?,
            }
        }
        match self.lasting {
            Some(duration) => write!(f, " for {}", duration_text(duration)),
            None => Ok(()),
        }
    }
}

impl Kind {
    /// A value as it is written in this slot.
    pub(super) fn shown(self, slot: &Slot, value: &Value) -> String {
        match (self, value, slot.place) {
            (Kind::Flag, ..) => slot.name.to_string(),
            (Kind::Named(word), ..) => format!("{word} {value}"),
            (Kind::Text, Value::Text(text), _) => sentence(text).into_owned(),
            (_, _, Place::Option { .. }) if slot.name.starts_with('@') => format!("@{value}"),
            (_, _, Place::Option { .. }) => format!("{} {value}", slot.name),
            _ => value.to_string(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag => Ok(()),
            Value::Word(word) => f.write_str(word),
            Value::Node(node) => node.fmt(f),
            Value::Target(target) => target.fmt(f),
            Value::Links(links) => links.fmt(f),
            Value::Duration(duration) => f.write_str(&duration_text(*duration)),
            Value::PerMillion(chance) => f.write_str(&percent_text(*chance)),
            Value::Count(count) => count.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Speed(speed) => speed.fmt(f),
            Value::Text(text) => f.write_str(&word(text)),
            Value::Token(token) => token.fmt(f),
            Value::Shape(shape) => shape.fmt(f),
            Value::Phrase(phrase) => phrase.fmt(f),
            Value::Words(words) => f.write_str(&joined(words, ",")),
        }
    }
}

/// A text of several words, as it stands at the end of a line: plain when its words can stand as they are.
fn sentence(said: &str) -> Cow<'_, str> {
    let plain = said.split(' ').all(|part| matches!(word(part), Cow::Borrowed(_)));
    if plain { Cow::Borrowed(said) } else { Cow::Owned(quote(said)) }
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_text_is_quoted_as_a_whole_or_not_at_all() {
        assert_eq!(sentence("a b"), "a b");
        assert_eq!(sentence("a  b"), "\"a  b\"");
        assert_eq!(sentence("issue #5"), "\"issue #5\"");
    }
}
