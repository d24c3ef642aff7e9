//! A directive's arguments while they are read: the words after the verb, with the options set apart, from which slots
//! are filled.
//!
//! Every rejection is one line that says what to write instead.

use std::collections::VecDeque;
use std::time::Duration;

use super::error::ParseError;
use super::form::{Form, Place, Slot, Topic};
use super::kind::Kind;
use super::lexer::Word;
use super::phrase::{Phrase, Value};
use super::shape::PartitionShape;
use super::target::Target;
use super::vocabulary::{Language, subjects};
use crate::text::shorten;
use crate::text::suggest::{advice, nearest};
use crate::text::units::{duration_text, parse_duration};

/// The words that are still to be read, and the options that were given.
pub(super) struct Arguments<'a> {
    language: &'a Language,
    form: &'static Form,
    words: VecDeque<Word>,
    options: Vec<(&'static Slot, String)>,
}

impl<'a> Arguments<'a> {
    /// Sets the options apart from the words.
    pub fn new(language: &'a Language, form: &'static Form, words: Vec<Word>) -> Result<Self, ParseError> {
        let mut arguments = Arguments { language, form, words: VecDeque::new(), options: Vec::new() };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word.text == "--" && !word.quoted && !form.is_text() {
                // What follows is no option.
                arguments.words.extend(words);
                break;
            }
            let at =
                word.text.strip_prefix('@').and_then(|node| Some((form.option("@NODE")?, node.to_string())));
            let in_line = form.line_behind().is_some_and(|before| arguments.words.len() >= before);
            if word.quoted || form.is_text() || in_line {
                arguments.words.push_back(word);
            } else if let Some((slot, node)) = at {
                arguments.add_option(slot, node)?;
            } else if word.text.starts_with("--") || form.option(&word.text).is_some() {
                arguments.split_option(&word.text, &mut words)?;
            } else {
                arguments.words.push_back(word);
            }
        }
        Ok(arguments)
    }

    fn split_option(&mut self, text: &str, rest: &mut impl Iterator<Item = Word>) -> Result<(), ParseError> {
        let (name, attached) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let Some(slot) = self.form.option(name) else { return Err(self.unknown_option(name)) };
        let Place::Option { value: wanted, .. } = slot.place else { unreachable!("found among the options") };
        let value = match (wanted, attached) {
            (None, Some(_)) => return Err(ParseError::new(format!("'{name}' takes no value"))),
            (None, None) => String::new(),
            (Some(_), Some(value)) => value.to_string(),
            (Some(wanted), None) => rest.next().map(|word| word.text).ok_or_else(|| {
                let valued = self.form.free_word() == Some("a value");
                let quotes = if valued { self.advice_on_quotes("--") } else { String::new() };
                ParseError::new(format!("'{name}' needs {wanted}: {}{quotes}", self.form.usage()))
            })?,
        };
        self.add_option(slot, value)
    }

    fn unknown_option(&self, name: &str) -> ParseError {
        let (verb, shown) = (self.form.name, shorten(name));
        let advice = match nearest(name, &self.form.option_names()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("{}{}", self.form.usage(), self.advice_on_quotes("--")),
        };
        ParseError::new(format!("{verb} has no option '{shown}': {advice}"))
    }

    fn add_option(&mut self, slot: &'static Slot, value: String) -> Result<(), ParseError> {
        if self.options.iter().any(|(given, _)| given.name == slot.name) {
            return Err(ParseError::new(format!("'{}' is given twice", slot.name)));
        }
        self.options.push((slot, value));
        Ok(())
    }

    /// Fills the slots of a form: the options, then the words in their order.
    pub fn fill(&mut self, form: &'static Form) -> Result<Phrase, ParseError> {
        let mut values: Vec<(&'static Slot, Value)> = Vec::new();
        for slot in form.slots.iter().filter(|slot| slot.is_option()) {
            values.extend(self.read_option(slot)?.map(|value| (slot, value)));
        }
        if form.topic == Topic::Condition || form.topic == Topic::Answer {
            self.reject_node(form)?;
        }
        for slot in form.slots.iter().filter(|slot| !slot.is_option()) {
            values.extend(self.read_words(form, slot)?.map(|value| (slot, value)));
        }
        let place = |slot: &Slot| form.slots.iter().position(|other| other.name == slot.name);
        values.sort_by_key(|(slot, _)| place(slot));
        Ok(Phrase::new(form, values, None))
    }

    fn read_option(&self, slot: &Slot) -> Result<Option<Value>, ParseError> {
        let given = |name| self.options.iter().find(|(given, _)| given.name == name).map(|(_, text)| text);
        let Some(text) = given(slot.name).filter(|_| slot.kind != Kind::NodeOfCondition) else {
            return Ok(None);
        };
        if let Place::Option { excludes: Some(other), .. } = slot.place
            && given(other).is_some()
        {
            let both = format!("'{other}' and '{}' exclude each other: choose one", slot.name);
            return Err(ParseError::new(both));
        }
        match slot.kind.read(text) {
            Err(error) if slot.name.starts_with('@') => {
                Err(ParseError::new(format!("{error}{}", self.advice_on_quotes("@"))))
            }
            Ok(Value::Duration(Duration::ZERO)) if slot.kind == Kind::DurationAboveZero => {
                Err(ParseError::new(format!("'{}' needs a duration above zero, such as 2s", slot.name)))
            }
            read => read.map(Some),
        }
    }

    /// `@n2` was given to a condition that is about no node's own state.
    fn reject_node(&self, condition: &Form) -> Result<(), ParseError> {
        let given = self.options.iter().any(|(given, _)| given.name == "@NODE");
        if !given || condition.option("@NODE").is_some() {
            return Ok(());
        }
        let quotes = self.advice_on_quotes("@");
        Err(ParseError::new(format!("'@NODE' belongs to key and no-key, not to {}{quotes}", condition.name)))
    }

    fn read_words(&mut self, form: &Form, slot: &Slot) -> Result<Option<Value>, ParseError> {
        let next = self.words.front().map(|word| word.text.clone());
        match (slot.kind, slot.place, next) {
            (Kind::Text, ..) => {
                let words: Vec<String> = self.words.drain(..).map(|word| word.text).collect();
                Ok(Some(words.join(" ")).filter(|text| !text.is_empty()).map(Value::Text))
            }
            (Kind::Named(word), _, Some(next)) if next.eq_ignore_ascii_case(word) => {
                self.words.pop_front();
                self.word(form, slot).and_then(|text| slot.kind.read(&text)).map(Some)
            }
            (_, Place::Optional | Place::IfFitting, None) | (Kind::Named(_), ..) => Ok(None),
            (Kind::Choices { .. }, _, Some(next)) if form.begins_slot(&next) => Ok(None),
            (Kind::Choices { .. }, ..) => {
                self.word(form, slot).and_then(|text| slot.kind.read(&text)).map(Some)
            }
            (Kind::Line, ..) => self.line(form, slot).map(Value::Phrase).map(Some),
            (kind, Place::IfFitting, Some(next)) => {
                // A word in quotes is a text: it stands for itself.
                let is_text = self.words.front().is_some_and(|word| word.quoted);
                let value = kind.read(&next).ok().filter(|_| !is_text);
                self.words.drain(..usize::from(value.is_some()));
                Ok(value)
            }
            (Kind::Shape, ..) => self.shape(form, slot).map(Value::Shape).map(Some),
            (Kind::Nodes, ..) => self.nodes(form, slot).map(Some),
            (Kind::Condition { answers }, ..) => {
                let name = self.word(form, slot)?.to_lowercase();
                self.condition(&name, answers).map(Value::Phrase).map(Some)
            }
            (Kind::Subject, ..) => self.word(form, slot).and_then(|text| self.subject(&text)).map(Some),
            (Kind::Link, _, Some(next))
                if form.has(Kind::Named("jitter")) && parse_duration(&next).is_ok() =>
            {
                let delay = parse_duration(&next)?;
                let said = format!("'{next}' is not a link: write 'jitter {}'", duration_text(delay));
                Err(ParseError::new(format!("{said} for times that vary by as much")))
            }
            (kind, ..) => self.word(form, slot).and_then(|text| kind.read(&text)).map(Some),
        }
    }

    fn word(&mut self, form: &Form, slot: &Slot) -> Result<String, ParseError> {
        self.words.pop_front().map(|word| word.text).ok_or_else(|| self.missing(form, slot))
    }

    /// `crash whom? crash TARGET [--power] [for DURATION], e.g. crash leader`.
    fn missing(&self, form: &Form, slot: &Slot) -> ParseError {
        let verb = self.form.name;
        // A condition stands inside a directive.
        let head = if form.name == verb { String::new() } else { format!("{verb} ") };
        let (asked, usage) = (format!("{head}{}", form.name), format!("{head}{}", form.usage()));
        let example = match form.example {
            "" => String::new(),
            example => format!(", e.g. {example}"),
        };
        // What is missing may be what was taken for an option.
        let taken = self.options.first().map(|(slot, _)| if slot.name.starts_with('@') { "@" } else { "--" });
        let quotes = taken.map(|begun| self.advice_on_quotes(begun)).unwrap_or_default();
        ParseError::new(format!("{asked} {}? {usage}{example}{quotes}", slot.kind.question()))
    }

    /// The directive that the words which are left make.
    fn line(&mut self, form: &Form, slot: &Slot) -> Result<Phrase, ParseError> {
        let words: Vec<Word> = self.words.drain(..).collect();
        let verb = words.first().and_then(|verb| self.language.find(&verb.text));
        if let Some(inner) = verb.filter(|inner| inner.line_behind().is_some()) {
            let outer = self.form.name;
            return Err(ParseError::new(format!(
                "'{}' cannot stand behind '{outer}': {}",
                inner.name,
                form.usage()
            )));
        }
        self.language.read(words)?.ok_or_else(|| self.missing(form, slot))
    }

    /// All the words that name nodes.
    fn nodes(&mut self, form: &Form, slot: &Slot) -> Result<Value, ParseError> {
        let mut list = self.word(form, slot)?;
        while let Some(word) = self.words.pop_front_if(|word| Kind::Nodes.read(&word.text).is_ok()) {
            list = format!("{list},{}", word.text);
        }
        Kind::Nodes.read(&list)
    }

    fn shape(&mut self, form: &Form, slot: &Slot) -> Result<PartitionShape, ParseError> {
        let words: Vec<String> = self.words.iter().map(|word| word.text.clone()).collect();
        let (shape, taken) = PartitionShape::read(&words)?.ok_or_else(|| self.missing(form, slot))?;
        self.words.drain(..taken);
        Ok(shape)
    }

    fn condition(&mut self, name: &str, answers: bool) -> Result<Phrase, ParseError> {
        let known = self.language.conditions(answers);
        match self.language.conditions(true).find(|form| form.name == name) {
            Some(form) if form.topic == Topic::Answer && !answers => {
                Err(ParseError::new(format!("'{name}' is about the answer before: use 'expect {name}'")))
            }
            Some(form) => self.fill(form),
            None => {
                let advice = advice(name, &known.map(|form| form.name), "try 'help conditions'");
                Err(ParseError::new(format!("unknown condition '{}'{advice}", shorten(name))))
            }
        }
    }

    /// A verb, by its name, or a theme or topic of the help.
    fn subject(&self, text: &str) -> Result<Value, ParseError> {
        let named = subjects().find(|subject| subject.eq_ignore_ascii_case(text));
        let found = self.language.find(text).map(|form| form.name).or(named);
        found.map(Value::Word).ok_or_else(|| {
            let known = self.language.names().chain(subjects());
            let advice = advice(text, &known, "try 'help'");
            ParseError::new(format!("no help on '{}'{advice}", shorten(text)))
        })
    }

    /// How to write a word that was taken for an option, where a word of any text may stand.
    fn advice_on_quotes(&self, begun: &str) -> String {
        let Some(what) = self.form.free_word() else { return String::new() };
        format!("; put quotes around {what} that begins with {begun}, or -- before it")
    }

    pub fn finish(mut self) -> Result<(), ParseError> {
        let Some(Word { text: extra, .. }) = self.words.pop_front() else { return Ok(()) };
        let form = self.form;
        if extra.eq_ignore_ascii_case("for") {
            return Err(ParseError::new(format!("{} takes no 'for DURATION'", form.name)));
        }
        let option = format!("--{}", extra.trim_start_matches('-'));
        let near =
            Some(option).filter(|_| extra.len() > 2).and_then(|name| nearest(&name, &form.option_names()));
        let advice = if let Some(near) = near {
            format!("did you mean '{near}'?")
        } else if form.lasting && parse_duration(&extra).is_ok() {
            format!("did you mean 'for {extra}'?")
        } else if form.has(Kind::Target) && Target::read(&extra).is_ok() {
            format!("write several nodes as a list, such as n1,n3: {}", form.usage())
        } else {
            let valued = form.free_word() == Some("a value");
            let quotes = if valued { " (quotes keep spaces in a value)" } else { "" };
            format!("{}{quotes}", form.usage())
        };
        Err(ParseError::new(format!("unexpected '{}': {advice}", shorten(&extra))))
    }
}

/// Takes `for DURATION` off the end, where the form allows it.
pub(super) fn split_lasting(
    form: &Form,
    mut words: Vec<Word>,
) -> Result<(Vec<Word>, Option<Duration>), ParseError> {
    let said = |word: &Word| !word.quoted && word.text.eq_ignore_ascii_case("for");
    let Some(position) = words.iter().position(said).filter(|_| form.lasting) else {
        return Ok((words, None));
    };
    let tail = words.split_off(position);
    match tail.as_slice() {
        [_] => Err(ParseError::new(format!("'for' needs a duration: {}", form.usage()))),
        [_, duration] => match parse_duration(&duration.text)? {
            duration if duration.is_zero() => {
                Err(ParseError::new("'for' needs a duration above zero, such as 2s"))
            }
            duration => Ok((words, Some(duration))),
        },
        _ => Err(ParseError::new(format!("'for DURATION' comes last: {}", form.usage()))),
    }
}
