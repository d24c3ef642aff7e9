//! A directive's arguments while they are read: the words after the verb, with the options set apart.
//!
//! Every refusal is one line that says what to write instead.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::directive::{Link, LinkEnd, Target};
use super::lexer::Token;
use super::parse::{KEY_BYTES_MAX, ParseError};
use super::suggest::{advice, nearest, shorten};
use super::units::{Chance, parse_duration};
use super::verbs::{Entry, OptionForm};
use crate::types::NodeId;

/// What a target may be, beside nodes.
pub(super) const TARGETS: &[&str] = &["leader", "followers", "random", "minority", "majority", "all"];

/// The words that are still to be read, and the options that were given.
pub(super) struct Arguments {
    entry: &'static Entry,
    words: VecDeque<Token>,
    options: Vec<(&'static OptionForm, String)>,
}

impl Arguments {
    /// Sets the options apart from the words.
    pub(super) fn new(entry: &'static Entry, tokens: Vec<Token>) -> Result<Arguments, ParseError> {
        let mut arguments = Arguments { entry, words: VecDeque::new(), options: Vec::new() };
        let mut tokens = tokens.into_iter();
        while let Some(token) = tokens.next() {
            if token.quoted || entry.free_text {
                arguments.words.push_back(token);
            } else if let Some(node) =
                token.text.strip_prefix('@').filter(|_| entry.option("@NODE").is_some())
            {
                arguments.add_option(entry.option("@NODE"), &token.text, node.to_string())?;
            } else if token.text.starts_with("--") || entry.short_option(&token.text).is_some() {
                arguments.read_option(&token.text, &mut tokens)?;
            } else {
                arguments.words.push_back(token);
            }
        }
        Ok(arguments)
    }

    fn read_option(&mut self, text: &str, rest: &mut impl Iterator<Item = Token>) -> Result<(), ParseError> {
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (text, None),
        };
        let form = self.entry.option(name).or_else(|| self.entry.short_option(name));
        let wanted = form.and_then(|form| form.value);
        let value = match (wanted, attached) {
            (None, Some(_)) if form.is_some() => {
                return Err(ParseError::new(format!("'{name}' takes no value")));
            }
            (None, _) => String::new(),
            (Some(_), Some(value)) => value,
            (Some(wanted), None) => {
                let Some(token) = rest.next() else {
                    let text = format!("'{name}' needs {wanted}: {}", self.entry.usage());
                    let valued = self.entry.usage.contains("VALUE");
                    let quotes = if valued { self.advice_on_quotes("--") } else { String::new() };
                    return Err(ParseError::new(text + &quotes));
                };
                token.text
            }
        };
        self.add_option(form, name, value)
    }

    fn add_option(
        &mut self,
        form: Option<&'static OptionForm>,
        written: &str,
        value: String,
    ) -> Result<(), ParseError> {
        let Some(form) = form else {
            let (name, usage, quotes) = (self.entry.name, self.entry.usage(), self.advice_on_quotes("--"));
            return Err(ParseError::new(format!(
                "{name} has no option '{}': {usage}{quotes}",
                shorten(written)
            )));
        };
        if self.options.iter().any(|(given, _)| given.name == form.name) {
            return Err(ParseError::new(format!("'{}' is given twice", form.name)));
        }
        self.options.push((form, value));
        Ok(())
    }

    /// The verb.
    pub(super) fn verb(&self) -> &'static str {
        self.entry.name
    }

    /// Whether this option was given.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.option_value(name).is_some()
    }

    fn option_value(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(form, _)| form.name == name).map(|(_, value)| value.as_str())
    }

    /// The duration given with this option.
    pub(super) fn option_duration(&self, name: &str) -> Result<Option<Duration>, ParseError> {
        self.option_value(name).map(parse_duration).transpose().map_err(ParseError::new)
    }

    /// The number, above zero, given with this option.
    pub(super) fn option_count(&self, name: &str) -> Result<Option<usize>, ParseError> {
        self.option_value(name).map(count).transpose()
    }

    /// The percentage given with this option.
    pub(super) fn option_chance(&self, name: &str) -> Result<Option<Chance>, ParseError> {
        self.option_value(name).map(Chance::parse).transpose().map_err(ParseError::new)
    }

    /// How to write a word that was taken for an option, where a word of any text may stand.
    fn advice_on_quotes(&self, begun: &str) -> String {
        let what = match self.entry.usage {
            usage if usage.contains("VALUE") => "a value",
            usage if usage.contains("KEY") => "a key",
            usage if usage.contains("FILE") => "a name",
            usage if usage.contains("TEXT") || usage.contains("CONDITION") => "a text",
            _ => return String::new(),
        };
        format!("; put quotes around {what} that begins with {begun}")
    }

    /// Whether any option was given.
    pub(super) fn has_options(&self) -> bool {
        !self.options.is_empty()
    }

    /// The node given as `@n2`.
    pub(super) fn at(&self) -> Result<Option<NodeId>, ParseError> {
        let wrong = |error: ParseError| ParseError::new(format!("{error}{}", self.advice_on_quotes("@")));
        self.option_value("@NODE").map(node).transpose().map_err(wrong)
    }

    /// The next word, unread.
    pub(super) fn peek(&self) -> Option<&str> {
        self.words.front().map(|token| token.text.as_str())
    }

    /// The next word, or none.
    pub(super) fn optional(&mut self) -> Option<String> {
        self.words.pop_front().map(|token| token.text)
    }

    /// The next word, which must be there.
    pub(super) fn word(&mut self, name: &str) -> Result<String, ParseError> {
        self.optional().ok_or_else(|| {
            // What is missing may be what was taken for an option.
            let taken =
                self.options.first().map(|(form, _)| if form.name.starts_with('@') { "@" } else { "--" });
            let quotes = taken.map(|begun| self.advice_on_quotes(begun)).unwrap_or_default();
            ParseError::new(format!("{} needs {name}: {}{quotes}", self.entry.name, self.entry.usage()))
        })
    }

    /// All words that are left, with single spaces between them.
    pub(super) fn rest(&mut self) -> String {
        let words: Vec<String> = self.words.drain(..).map(|token| token.text).collect();
        words.join(" ")
    }

    /// The words that are left, cut further at each `/` outside quotes.
    pub(super) fn rest_with_slashes(&mut self) -> Vec<String> {
        let cut = |token: Token| {
            token.text.split_inclusive('/').map(str::to_string).collect::<Vec<_>>().into_iter()
        };
        self.words.drain(..).flat_map(cut).collect()
    }

    /// A key within its limit.
    pub(super) fn key(&mut self) -> Result<String, ParseError> {
        let key = self.word("KEY")?;
        match key.len() {
            0 => Err(ParseError::new("a key is not empty: name it")),
            bytes if bytes > KEY_BYTES_MAX => Err(too_large("key", bytes, KEY_BYTES_MAX)),
            _ => Ok(key),
        }
    }

    /// A node's name.
    pub(super) fn node(&mut self, name: &str) -> Result<NodeId, ParseError> {
        node(&self.word(name)?)
    }

    /// A node's name, if the next word is one.
    pub(super) fn node_if_any(&mut self) -> Option<NodeId> {
        let node = self.peek()?.parse().ok()?;
        self.words.pop_front();
        Some(node)
    }

    /// A node's name, if a word is left.
    pub(super) fn optional_node(&mut self) -> Result<Option<NodeId>, ParseError> {
        self.optional().as_deref().map(node).transpose()
    }

    /// A target.
    pub(super) fn target(&mut self) -> Result<Target, ParseError> {
        target(&self.word("TARGET")?)
    }

    /// A target that means the same nodes however often it is resolved.
    pub(super) fn certain_target(&mut self) -> Result<Target, ParseError> {
        match self.target()? {
            drawn @ (Target::Random | Target::Minority | Target::Majority) => Err(ParseError::new(format!(
                "'{drawn}' does not mean the same nodes each time: name them, or leader, followers or all"
            ))),
            target => Ok(target),
        }
    }

    /// A target, if a word is left.
    pub(super) fn optional_target(&mut self) -> Result<Option<Target>, ParseError> {
        self.optional().as_deref().map(target).transpose()
    }

    /// A link.
    pub(super) fn link(&mut self) -> Result<Link, ParseError> {
        link(&self.word("LINK")?)
    }

    /// A link, if a word is left.
    pub(super) fn optional_link(&mut self) -> Result<Option<Link>, ParseError> {
        self.optional().as_deref().map(link).transpose()
    }

    /// A duration.
    pub(super) fn duration(&mut self) -> Result<Duration, ParseError> {
        parse_duration(&self.word("DURATION")?).map_err(ParseError::new)
    }

    /// A duration, if a word is left.
    pub(super) fn optional_duration(&mut self) -> Result<Option<Duration>, ParseError> {
        self.optional().as_deref().map(parse_duration).transpose().map_err(ParseError::new)
    }

    /// A percentage.
    pub(super) fn chance(&mut self) -> Result<Chance, ParseError> {
        Chance::parse(&self.word("PERCENT")?).map_err(ParseError::new)
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str) -> Result<u64, ParseError> {
        number(&self.word(name)?)
    }

    /// A number above zero, if a word is left.
    pub(super) fn optional_count(&mut self) -> Result<Option<usize>, ParseError> {
        self.optional().as_deref().map(count).transpose()
    }

    /// Refuses words that nobody asked for.
    pub(super) fn finish(mut self) -> Result<(), ParseError> {
        let Some(extra) = self.optional() else {
            return Ok(());
        };
        if extra.eq_ignore_ascii_case("for") {
            return Err(ParseError::new(format!("{} takes no 'for DURATION'", self.entry.name)));
        }
        let quotes = if self.entry.usage.contains("VALUE") { " (quotes keep spaces in a value)" } else { "" };
        Err(ParseError::new(format!("unexpected '{}': {}{quotes}", shorten(&extra), self.entry.usage())))
    }
}

/// A node's name.
pub(super) fn node(text: &str) -> Result<NodeId, ParseError> {
    text.parse().map_err(|_| ParseError::new(format!("'{}' is not a node's name: n1 to n99", shorten(text))))
}

fn target(text: &str) -> Result<Target, ParseError> {
    match text.to_lowercase().as_str() {
        "leader" => Ok(Target::Leader),
        "followers" => Ok(Target::Followers),
        "random" => Ok(Target::Random),
        "minority" => Ok(Target::Minority),
        "majority" => Ok(Target::Majority),
        "all" => Ok(Target::All),
        _ => {
            let names: Vec<&str> = text.split(',').collect();
            let nodes: Result<Vec<NodeId>, ParseError> = names.iter().copied().map(node).collect();
            match nodes {
                Ok(nodes) => Ok(Target::Nodes(in_order(nodes))),
                Err(error) if names.len() > 1 => Err(error),
                Err(_) => Err(no_target(text)),
            }
        }
    }
}

fn no_target(text: &str) -> ParseError {
    let near = nearest(text, &TARGETS.iter().copied());
    let forms = format!("n2, n1,n3, {}", TARGETS.join(", "));
    let advice = match near {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("write {forms}"),
    };
    ParseError::new(format!("'{}' is not a target: {advice}", shorten(text)))
}

fn link(text: &str) -> Result<Link, ParseError> {
    if text.eq_ignore_ascii_case("clients") {
        return Ok(Link::Clients);
    }
    let ends = text.split_once("<>").map(|ends| (ends, true));
    let ends = ends.or_else(|| text.split_once('>').map(|ends| (ends, false)));
    let Some(((left, right), both)) = ends.filter(|((left, right), _)| !left.is_empty() && !right.is_empty())
    else {
        let forms = "write n1>n3 (one way), n1<>n3 (both ways), n1>clients or clients";
        let advice = advice(text, &["clients"].into_iter(), forms);
        return Err(ParseError::new(format!("'{}' is not a link{advice}", shorten(text))));
    };
    let (left, right) = (link_end(left)?, link_end(right)?);
    match both {
        _ if left == right => Err(ParseError::new(format!("{left} has no link to itself: name two ends"))),
        true => Ok(Link::BothWays { one: left, other: right }),
        false => Ok(Link::OneWay { from: left, to: right }),
    }
}

fn link_end(text: &str) -> Result<LinkEnd, ParseError> {
    if text.eq_ignore_ascii_case("clients") { Ok(LinkEnd::Clients) } else { node(text).map(LinkEnd::Node) }
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
        Ok(count) if (1..=super::parse::COUNT_MAX).contains(&count) => Ok(count),
        _ => {
            let most = super::parse::COUNT_MAX;
            Err(ParseError::new(format!("'{}' is out of range: write 1 to {most}", shorten(text))))
        }
    }
}

/// Each node once, in the order of their numbers.
pub(super) fn in_order(mut nodes: Vec<NodeId>) -> Vec<NodeId> {
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

fn too_large(what: &str, bytes: usize, limit: impl fmt::Display) -> ParseError {
    ParseError::new(format!("the {what} has {bytes} bytes: a {what} has at most {limit}"))
}
