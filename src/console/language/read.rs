//! How each kind is read from one word. Every rejection is one line that says what to write instead.

use super::error::ParseError;
use super::kind::Kind;
use super::links::Links;
use super::phrase::Value;
use super::target::{Target, node, node_or};
use crate::config::named::NAMES;
use crate::quoting::word;
use crate::state_machine::kv::KEY_BYTES_MAX;
use crate::text::shorten;
use crate::text::suggest::advice;
use crate::text::units::{Speed, parse_duration, parse_percent};

/// The largest number of commands or entries that a directive may ask for.
pub const COUNT_MAX: usize = 100_000;

impl Kind {
    /// Reads one word. Kinds of several words are read by [`Arguments`](super::arguments::Arguments).
    pub(super) fn read(self, text: &str) -> Result<Value, ParseError> {
        Ok(match self {
            Kind::Flag => Value::Flag,
            Kind::Word(word) | Kind::NodeOr(word) | Kind::DurationOr(word)
                if text.eq_ignore_ascii_case(word) =>
            {
                Value::Word(word)
            }
            Kind::Word(word) => return Err(ParseError::new(format!("'{}' is not '{word}'", shorten(text)))),
            Kind::Choice { name, words } => Value::Word(choice(name, words, text)?),
            Kind::Choices { name, words } => Value::Words(choices(name, words, text)?),
            Kind::Node => Value::Node(node(text)?),
            Kind::NodeOr(word) => Value::Node(node_or(text, word)?),
            Kind::OneNode | Kind::NodeOfCondition => Value::Target(Target::read_single(text)?),
            Kind::Target => Value::Target(Target::read(text)?),
            Kind::SteadyTarget => Value::Target(Target::read_steady(text)?),
            Kind::Nodes => Value::Target(Target::read_nodes(text)?),
            Kind::Link => Value::Links(Links::read(text)?),
            Kind::DurationOr(word) => match parse_duration(text) {
                Ok(duration) => Value::Duration(duration),
                Err(reason) => return Err(ParseError::new(format!("{reason}, or {word}"))),
            },
            Kind::Duration | Kind::DurationAboveZero | Kind::Named(_) => {
                Value::Duration(parse_duration(text)?)
            }
            Kind::Percent => Value::PerMillion(parse_percent(text)?),
            Kind::Count => Value::Count(count(text)?),
            Kind::Number => Value::Number(number(text)?),
            Kind::Speed => Value::Speed(Speed::parse(text)?),
            Kind::Setting => Value::Word(setting(text)?),
            Kind::Key => Value::Text(key(text)?),
            Kind::File => Value::Text(file(text)?),
            Kind::Token => Value::Token(text.parse().map_err(ParseError::new)?),
            Kind::Value | Kind::Text | Kind::Subject | Kind::Shape | Kind::Condition { .. } | Kind::Line => {
                Value::Text(text.to_string())
            }
        })
    }
}

fn choice(name: &str, words: &[&'static str], text: &str) -> Result<&'static str, ParseError> {
    let chosen = words.iter().copied().find(|word| text.eq_ignore_ascii_case(word));
    chosen.ok_or_else(|| {
        let advice = advice(text, &words.iter().copied(), &format!("one of {}", words.join(", ")));
        ParseError::new(format!("unknown {name} '{}'{advice}", shorten(text)))
    })
}

fn setting(text: &str) -> Result<&'static str, ParseError> {
    let name = text.to_lowercase().replace('-', "_");
    NAMES.into_iter().find(|known| **known == *name).ok_or_else(|| {
        let otherwise = match name.as_str() {
            "preferred" => "'prefer NODE' says which node is to lead".to_string(),
            _ => format!("'set' lists them; 'put {}' writes a key", word(text)),
        };
        let advice = advice(&name, &NAMES.into_iter(), &otherwise);
        ParseError::new(format!("unknown setting '{}'{advice}", shorten(text)))
    })
}

/// These words, each once, in the order of the list.
fn choices(name: &str, words: &[&'static str], text: &str) -> Result<Vec<&'static str>, ParseError> {
    let named: Result<Vec<&str>, ParseError> =
        text.split(',').map(|text| choice(name, words, text)).collect();
    named.map(|named| words.iter().copied().filter(|word| named.contains(word)).collect())
}

fn key(text: &str) -> Result<String, ParseError> {
    match text.len() {
        0 => Err(ParseError::new("a key is not empty: name it")),
        bytes if bytes > KEY_BYTES_MAX => {
            Err(ParseError::new(format!("the key has {bytes} bytes: a key has at most {KEY_BYTES_MAX}")))
        }
        _ => Ok(text.to_string()),
    }
}

fn file(text: &str) -> Result<String, ParseError> {
    match text {
        "" => Err(ParseError::new("a file's name is not empty")),
        text if text.contains('\0') => Err(ParseError::new("a file's name holds no zero byte")),
        text => Ok(text.to_string()),
    }
}

fn number(text: &str) -> Result<u64, ParseError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(number),
        _ => Err(ParseError::new(format!("'{}' is not a number: write digits, such as 7", shorten(text)))),
    }
}

fn count(text: &str) -> Result<usize, ParseError> {
    match number(text).map(usize::try_from)? {
        Ok(count) if (1..=COUNT_MAX).contains(&count) => Ok(count),
        _ => Err(ParseError::new(format!("'{}' is out of range: write 1 to {COUNT_MAX}", shorten(text)))),
    }
}
