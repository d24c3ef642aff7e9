//! From a line of text to a directive.
//!
//! Any text is answered with a directive, with nothing (a blank line, a comment), or with one line that says what
//! is wrong and what to do. No text makes it panic.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::arguments::{Arguments, in_order, node};
use super::condition::{Condition, Expectation};
use super::directive::{
    DataDirective, DataOperation, Directive, EventFilter, Line, LoadDirective, PIPE_COUNT, PartitionShape,
    ReadMode,
};
use super::help;
use super::lexer::{Token, split};
use super::suggest::{advice, shorten};
use super::units::{Speed, parse_duration};
use super::verbs::{self, Entry, Verb};
use crate::types::NodeId;

/// Bytes in a key at most.
pub const KEY_BYTES_MAX: usize = 1 << 10;

/// Bytes in a line at most: room for the largest value of the default settings, even when every byte of it is escaped.
/// How long a value may be, the cluster's settings say, and the cluster.
pub const LINE_BYTES_MAX: usize = 8 << 20;

/// The largest number of commands or entries that a directive may ask for.
pub const COUNT_MAX: usize = 100_000;

/// Why a line is not understood, in one line, with what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError(String);

impl ParseError {
    pub(super) fn new(message: impl Into<String>) -> ParseError {
        ParseError(message.into())
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ParseError {}

/// The directive on a line; none on a blank line or a comment.
///
/// # Errors
/// One line that says what is wrong with the text and what to write instead.
pub fn parse(text: &str) -> Result<Option<Line>, ParseError> {
    if text.len() > LINE_BYTES_MAX {
        return Err(ParseError::new(format!(
            "the line has {} bytes: a line has at most {LINE_BYTES_MAX}",
            text.len()
        )));
    }
    let words = split(text);
    if let Some(error) = words.error {
        return Err(error);
    }
    let mut tokens = words.tokens.into_iter();
    let Some(verb) = tokens.next() else {
        return Ok(None);
    };
    let entry = verbs::find(&verb.text).ok_or_else(|| unknown_verb(&verb.text))?;
    let (tokens, lasting) = split_lasting(entry, tokens.collect())?;
    let mut arguments = Arguments::new(entry, tokens)?;
    let directive = directive(entry.verb, &mut arguments)?;
    arguments.finish()?;
    Ok(Some(Line { directive, lasting }))
}

fn unknown_verb(text: &str) -> ParseError {
    let advice = match verbs::familiar(text) {
        Some(verb) => format!(": did you mean '{verb}'?"),
        None => advice(text, &verbs::all_names(), "try 'help'"),
    };
    ParseError::new(format!("unknown directive '{}'{advice}", shorten(text)))
}

/// Takes `for DURATION` off the end, where the verb allows it.
fn split_lasting(
    entry: &Entry,
    mut tokens: Vec<Token>,
) -> Result<(Vec<Token>, Option<Duration>), ParseError> {
    let said = |token: &Token| !token.quoted && token.text.eq_ignore_ascii_case("for");
    let Some(position) = tokens.iter().position(said).filter(|_| entry.lasting) else {
        return Ok((tokens, None));
    };
    let tail = tokens.split_off(position);
    match tail.as_slice() {
        [_] => Err(ParseError::new(format!("'for' needs a duration: {}", entry.usage()))),
        [_, duration] => match parse_duration(&duration.text).map_err(ParseError::new)? {
            Duration::ZERO => Err(ParseError::new("'for' needs a duration above zero, such as 2s")),
            duration => Ok((tokens, Some(duration))),
        },
        _ => Err(ParseError::new(format!("'for DURATION' comes last: {}", entry.usage()))),
    }
}

fn directive(verb: Verb, arguments: &mut Arguments) -> Result<Directive, ParseError> {
    Ok(match verb {
        Verb::Status => Directive::Status { node: arguments.optional_node()? },
        Verb::Leader => Directive::Leader,
        Verb::Create | Verb::Read | Verb::Update | Verb::Delete | Verb::Put | Verb::Cas => {
            Directive::Data(data(verb, arguments)?)
        }
        Verb::Pipe => Directive::Pipe { count: arguments.optional_count()?.unwrap_or(PIPE_COUNT) },
        Verb::Load => load(arguments)?,
        Verb::Outcome => {
            let token = arguments.optional().map(|text| text.parse().map_err(ParseError::new));
            Directive::Outcome { token: token.transpose()? }
        }
        Verb::Keys => Directive::Keys,
        Verb::Dump => Directive::Dump { node: arguments.optional_node()? },
        Verb::Diff => Directive::Diff,
        Verb::Crash => Directive::Crash { target: arguments.target()?, power: arguments.flag("--power") },
        Verb::Restart => Directive::Restart { target: arguments.target()?, wipe: arguments.flag("--wipe") },
        Verb::Stop => Directive::Stop { target: arguments.target()? },
        Verb::Pause => Directive::Pause { target: arguments.target()? },
        Verb::Resume => Directive::Resume { target: arguments.target()? },
        Verb::Partition => Directive::Partition(partition(arguments)?),
        Verb::Heal => Directive::Heal { link: arguments.optional_link()? },
        Verb::Reset => Directive::Reset,
        Verb::Isolate => Directive::Isolate { target: arguments.target()? },
        Verb::Connect => Directive::Connect { target: arguments.target()? },
        Verb::Cut => Directive::Cut { link: arguments.link()? },
        Verb::Drop => Directive::Drop { chance: arguments.chance()?, link: arguments.optional_link()? },
        Verb::Delay => delay(arguments)?,
        Verb::Duplicate => {
            Directive::Duplicate { chance: arguments.chance()?, link: arguments.optional_link()? }
        }
        Verb::Reorder => Directive::Reorder { chance: arguments.chance()?, link: arguments.optional_link()? },
        Verb::Net => Directive::Net,
        Verb::SlowDisk => Directive::SlowDisk { target: arguments.target()?, delay: arguments.duration()? },
        Verb::StallDisk => {
            Directive::StallDisk { target: arguments.target()?, duration: arguments.duration()? }
        }
        Verb::FillDisk => Directive::FillDisk { target: arguments.target()? },
        Verb::SkewClock => Directive::SkewClock { target: arguments.target()?, ahead: arguments.duration()? },
        Verb::Snapshot => Directive::Snapshot { target: arguments.target()? },
        Verb::Timeout => Directive::Timeout { target: arguments.target()? },
        Verb::AlignTimers => Directive::AlignTimers,
        Verb::SpreadTimers => Directive::SpreadTimers,
        Verb::Speed => {
            Directive::Speed { speed: Speed::parse(&arguments.word("FACTOR")?).map_err(ParseError::new)? }
        }
        Verb::Step => Directive::Step { duration: arguments.optional_duration()? },
        Verb::Log => {
            Directive::Log { target: arguments.optional_target()?, last: arguments.option_count("--last")? }
        }
        Verb::Logs => {
            Directive::Logs { target: arguments.optional_target()?, follow: arguments.flag("--follow") }
        }
        Verb::Events => Directive::Events { filter: event_filter(arguments)? },
        Verb::Wait => {
            let condition = Condition::parse(arguments)?;
            Directive::Wait { condition, within: arguments.optional_duration()? }
        }
        Verb::Expect => Directive::Expect { expectation: Expectation::parse(arguments)? },
        Verb::Sleep => Directive::Sleep { duration: arguments.duration()? },
        Verb::Run => Directive::Run { file: file(arguments)? },
        Verb::Echo => Directive::Echo { text: arguments.rest() },
        Verb::Seed => Directive::Seed,
        Verb::Check => Directive::Check,
        Verb::Help => Directive::Help { topic: topic(arguments)? },
        Verb::History => Directive::History,
        Verb::Quit => Directive::Quit,
    })
}

fn data(verb: Verb, arguments: &mut Arguments) -> Result<DataDirective, ParseError> {
    // Before the words: a value that was meant to begin with @ would else be reported as missing.
    let at = arguments.at()?;
    let key = arguments.key()?;
    let operation = match verb {
        Verb::Create => DataOperation::Create { key, value: arguments.word("VALUE")? },
        Verb::Update => DataOperation::Update { key, value: arguments.word("VALUE")? },
        Verb::Put => DataOperation::Put { key, value: arguments.word("VALUE")? },
        Verb::Cas => {
            let expected = arguments.word("EXPECTED")?;
            DataOperation::Cas { key, expected, value: arguments.word("VALUE")? }
        }
        Verb::Delete => DataOperation::Delete { key },
        _ => DataOperation::Read { key, mode: read_mode(arguments)? },
    };
    Ok(DataDirective { operation, at, timeout: arguments.option_duration("--timeout")? })
}

fn load(arguments: &mut Arguments) -> Result<Directive, ParseError> {
    if arguments.peek().is_some_and(|word| word.eq_ignore_ascii_case("stop")) && !arguments.has_options() {
        arguments.word("stop")?;
        return Ok(Directive::LoadStop);
    }
    let background = arguments.peek() == Some("&");
    if background {
        arguments.word("&")?;
    }
    let duration = arguments.option_duration("--duration")?;
    if duration.is_some_and(|duration| duration.is_zero()) {
        return Err(ParseError::new("'--duration' needs a duration above zero, such as 2s"));
    }
    Ok(Directive::Load(LoadDirective {
        rate: arguments.option_count("--rate")?,
        clients: arguments.option_count("--clients")?,
        batch: arguments.option_count("--batch")?,
        duration,
        reads: arguments.option_chance("--reads")?,
        background,
    }))
}

fn read_mode(arguments: &Arguments) -> Result<ReadMode, ParseError> {
    match (arguments.flag("--stale"), arguments.flag("--lease")) {
        (false, false) => Ok(ReadMode::Linearizable),
        (true, false) => Ok(ReadMode::Stale),
        (false, true) => Ok(ReadMode::Lease),
        (true, true) => Err(ParseError::new("'--stale' and '--lease' exclude each other: choose one")),
    }
}

fn delay(arguments: &mut Arguments) -> Result<Directive, ParseError> {
    let delay = arguments.duration()?;
    let jitter = match arguments.peek() {
        Some(next) if next.eq_ignore_ascii_case("jitter") => {
            arguments.word("jitter")?;
            Some(arguments.duration()?)
        }
        _ => None,
    };
    Ok(Directive::Delay { delay, jitter, link: arguments.optional_link()? })
}

fn partition(arguments: &mut Arguments) -> Result<PartitionShape, ParseError> {
    match arguments.peek().map(str::to_lowercase).as_deref() {
        Some("halves") => arguments.word("SHAPE").map(|_| PartitionShape::Halves),
        Some("minority") => arguments.word("SHAPE").map(|_| PartitionShape::Minority),
        Some("ring") => arguments.word("SHAPE").map(|_| PartitionShape::Ring),
        Some("bridge") => {
            arguments.word("SHAPE")?;
            arguments.node("NODE").map(PartitionShape::Bridge)
        }
        Some(_) => groups(&arguments.rest_with_slashes()),
        None => arguments.word("groups or a shape").map(|_| PartitionShape::Halves),
    }
}

/// `n1 n2 / n3`: names with spaces or commas between them, groups with a slash between them.
fn groups(words: &[String]) -> Result<PartitionShape, ParseError> {
    let mut groups: Vec<Vec<NodeId>> = vec![Vec::new()];
    for part in words {
        let names = part.trim_end_matches('/');
        for name in names.split(',').filter(|name| !name.is_empty()) {
            groups.last_mut().expect("begun with one group").push(group_member(name)?);
        }
        if names.len() < part.len() {
            groups.push(Vec::new());
        }
    }
    let mut seen: Vec<NodeId> = groups.concat();
    let named = seen.len();
    seen = in_order(seen);
    match groups.len() {
        1 => Err(ParseError::new("partition needs two groups or more: put / between them, as in n1 n2 / n3")),
        _ if groups.iter().any(Vec::is_empty) => {
            Err(ParseError::new("partition has an empty group: name nodes on both sides of each /"))
        }
        _ if seen.len() < named => {
            Err(ParseError::new("partition names a node twice: each belongs to one group"))
        }
        _ => Ok(PartitionShape::Groups(groups.into_iter().map(in_order).collect())),
    }
}

fn group_member(name: &str) -> Result<NodeId, ParseError> {
    node(name).map_err(|_| {
        let forms = "groups as in n1 n2 / n3, or halves, minority, bridge NODE, ring";
        let advice = advice(name, &help::SHAPES.iter().copied(), forms);
        ParseError::new(format!("'{}' is neither a node nor a shape{advice}", shorten(name)))
    })
}

fn event_filter(arguments: &mut Arguments) -> Result<Option<EventFilter>, ParseError> {
    let Some(text) = arguments.optional() else {
        return Ok(None);
    };
    match text.to_lowercase().as_str() {
        "on" => Ok(Some(EventFilter::On)),
        "off" => Ok(Some(EventFilter::Off)),
        "election" => Ok(Some(EventFilter::Election)),
        "net" => Ok(Some(EventFilter::Net)),
        "all" => Ok(Some(EventFilter::All)),
        _ => {
            let forms = format!("one of {}", help::EVENT_FILTERS.join(", "));
            let advice = advice(&text, &help::EVENT_FILTERS.iter().copied(), &forms);
            Err(ParseError::new(format!("unknown events '{}'{advice}", shorten(&text))))
        }
    }
}

fn file(arguments: &mut Arguments) -> Result<String, ParseError> {
    match arguments.word("FILE")? {
        path if path.is_empty() => Err(ParseError::new("a file's name is not empty")),
        path if path.contains('\0') => Err(ParseError::new("a file's name holds no zero byte")),
        path => Ok(path),
    }
}

fn topic(arguments: &mut Arguments) -> Result<Option<&'static str>, ParseError> {
    let Some(text) = arguments.optional() else {
        return Ok(None);
    };
    let named = help::TOPICS.iter().copied().find(|topic| topic.eq_ignore_ascii_case(&text));
    let found = verbs::find(&text).map(|entry| entry.name).or(named);
    found.map(Some).ok_or_else(|| {
        let known = verbs::all_names().chain(help::TOPICS.iter().copied());
        let advice = advice(&text, &known, "try 'help'");
        ParseError::new(format!("no help on '{}'{advice}", shorten(&text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        let message = parse(line).expect_err(line).to_string();
        assert!(!message.contains('\n'), "one line: {message}");
        message
    }

    #[test]
    fn blank_lines_and_comments_are_nothing() {
        for line in ["", "   ", "\t\r\n", "# a comment", "  #"] {
            assert_eq!(parse(line), Ok(None));
        }
    }

    #[test]
    fn an_unknown_verb_is_answered_with_the_nearest() {
        assert_eq!(error("crsh n2"), "unknown directive 'crsh': did you mean 'crash'?");
        assert_eq!(error("xyzzy"), "unknown directive 'xyzzy': try 'help'");
        assert_eq!(error("set x 1"), "unknown directive 'set': did you mean 'put'?");
        assert_eq!(error("stat"), "unknown directive 'stat': did you mean 'status'?");
        assert_eq!(error("part n1 / n2"), "unknown directive 'part': did you mean 'partition'?");
        assert!(error(&"x".repeat(1000)).len() < 100);
    }

    #[test]
    fn a_missing_argument_is_answered_with_the_usage() {
        assert_eq!(error("crash"), "crash needs TARGET: crash TARGET [--power] [for DURATION]");
        assert_eq!(error("create x"), "create needs VALUE: create KEY VALUE [@NODE] [--timeout DURATION]");
        assert_eq!(
            error("read x --timeout"),
            "'--timeout' needs DURATION: read KEY [@NODE] [--stale | --lease] [--timeout DURATION]"
        );
        assert!(error("drop").starts_with("drop needs PERCENT"));
        assert!(error("partition").starts_with("partition needs groups or a shape"));
        assert!(error("partition bridge").starts_with("partition needs NODE"));
        assert!(error("crash n2 for").starts_with("'for' needs a duration"));
    }

    #[test]
    fn malformed_arguments_are_answered_with_the_forms() {
        for (line, part) in [
            ("delay fast", "'fast' is not a duration: write 100us"),
            ("sleep 5", "'5' is not a duration"),
            ("drop 20", "'20' is not a percentage: write 0% to 100%"),
            ("drop 120%", "'120%' is not a percentage"),
            ("drop 5% n1-n2", "'n1-n2' is not a link: write n1>n3 (one way)"),
            ("heal n1>", "'n1>' is not a link: write n1>n3 (one way)"),
            ("cut n1>n1", "n1 has no link to itself"),
            ("cut n1>n200", "'n200' is not a node's name: n1 to n99"),
            ("crash n0", "'n0' is not a target"),
            ("crash n1,", "'' is not a node's name"),
            ("crash n1,leader", "'leader' is not a node's name"),
            ("crash laeder", "'laeder' is not a target: did you mean 'leader'?"),
            ("status 2", "'2' is not a node's name"),
            ("create x @home", "'home' is not a node's name: n1 to n99; put quotes"),
            ("create '' 5", "a key is not empty"),
            ("pipe 0", "'0' is out of range: write 1 to 100000"),
            ("pipe +4", "'+4' is not a number"),
            ("events loud", "unknown events 'loud': one of on, off"),
            ("help crsh", "no help on 'crsh': did you mean 'crash'?"),
            ("partition n1 n2", "partition needs two groups"),
            ("partition n1 / ", "partition has an empty group"),
            ("partition n1 / n1", "partition names a node twice"),
            ("partition havles", "'havles' is neither a node nor a shape: did you mean 'halves'?"),
            ("crash n1 for 0s", "'for' needs a duration above zero"),
            ("speed -1", "'-1' is not a speed"),
        ] {
            let message = error(line);
            assert!(message.contains(part), "{line}: {message}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_refused() {
        assert_eq!(
            error("crash n2 --hard"),
            "crash has no option '--hard': crash TARGET [--power] [for DURATION]"
        );
        assert_eq!(error("crash n2 --power --power"), "'--power' is given twice");
        assert_eq!(error("crash n2 --power=yes"), "'--power' takes no value");
        assert_eq!(error("read x --stale --lease"), "'--stale' and '--lease' exclude each other: choose one");
        assert!(error("create x a b").ends_with("(quotes keep spaces in a value)"));
        assert_eq!(error("leader n2"), "unexpected 'n2': leader");
        assert_eq!(error("restart n2 for 2s"), "restart takes no 'for DURATION'");
        assert!(error("crash for 2s n2").starts_with("'for DURATION' comes last"));
        let message = error("create x --5");
        assert!(message.starts_with("create has no option '--5'"), "{message}");
        assert!(message.ends_with("; put quotes around a value that begins with --"), "{message}");
        assert!(error("read --x").ends_with("; put quotes around a key that begins with --"));
        assert!(error("run --x").ends_with("; put quotes around a name that begins with --"));
        assert!(error("create x @n2").ends_with("; put quotes around a value that begins with @"));
        assert!(error("put x --timeout 2s").ends_with("; put quotes around a value that begins with --"));
        assert!(error("put x --timeout").ends_with("; put quotes around a value that begins with --"));
    }

    #[test]
    fn quotes_take_the_meaning_from_what_would_be_an_option() {
        let line = parse("create for '@n2' @n3").unwrap().unwrap();
        let operation = DataOperation::Create { key: "for".into(), value: "@n2".into() };
        let at = Some(NodeId::new(3));
        assert_eq!(line.directive, Directive::Data(DataDirective { operation, at, timeout: None }));
        assert!(parse("create x '--stale'").is_ok());
        assert!(parse("create x -5").is_ok());
    }

    #[test]
    fn sizes_are_limited_and_the_limit_is_said() {
        let value = "v".repeat(LINE_BYTES_MAX - "put x ".len());
        assert!(parse(&format!("put x {value}")).is_ok(), "whether a value is too long, the cluster says");
        assert_eq!(
            error(&format!("read {}", "k".repeat(1025))),
            "the key has 1025 bytes: a key has at most 1024"
        );
        let message = error(&format!("put x {}", "v".repeat(10_000_000)));
        assert_eq!(message, "the line has 10000006 bytes: a line has at most 8388608");
    }
}
