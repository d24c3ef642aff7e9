//! What could come next: completions for the Tab key, and a hint of what a directive still wants.
//!
//! Both read the vocabulary and what the caller says of the cluster; neither asks anybody.

use super::arguments::TARGETS;
use super::condition::{CONDITIONS, ConditionForm, ROLES};
use super::help::{EVENT_FILTERS, SHAPES, TOPICS};
use super::lexer::{Token, split};
use super::verbs::{self, Entry, Verb, all_names};
use super::vocabulary::VOCABULARY;
use crate::quoting::word;
use crate::types::NodeId;

/// Durations that are offered; any other may be typed.
const DURATIONS: &[&str] = &["100ms", "500ms", "1s", "2s", "5s"];

/// What exists at the moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// The cluster's nodes.
    pub nodes: Vec<NodeId>,
    /// Keys to offer.
    pub keys: Vec<String>,
    /// Script files to offer.
    pub files: Vec<String>,
}

/// What may stand where the word under the cursor stands: the byte at which that word begins, and the words that
/// may replace it up to the cursor.
pub fn complete(line: &str, cursor: usize, names: &Names) -> (usize, Vec<String>) {
    let before = line.get(..cursor).unwrap_or(line);
    let words = split(before);
    if words.comment {
        return (before.len(), Vec::new());
    }
    let mut tokens = words.tokens;
    let touched = tokens.pop_if(|token| token.end == before.len());
    let (start, current) = match touched {
        Some(token) => (token.start, token.text),
        None => (before.len(), String::new()),
    };
    let offered = match tokens.split_first() {
        None => verb_names(&current),
        Some((verb, rest)) => match verbs::find(&verb.text) {
            Some(entry) => arguments(entry, rest, &current, names),
            None => Vec::new(),
        },
    };
    (start, offered)
}

/// What the directive still wants, to be shown dimmed behind the line: `VALUE [@NODE] [--timeout DURATION]`.
/// It begins with a space when the line does not end with one.
pub fn hint(line: &str) -> Option<String> {
    let words = split(line);
    if words.comment || words.error.is_some() {
        return None;
    }
    let (verb, rest) = words.tokens.split_first()?;
    let spaced = line.ends_with(char::is_whitespace);
    let Some(entry) = verbs::find(&verb.text) else {
        return if rest.is_empty() && !spaced { rest_of_verb(&verb.text) } else { None };
    };
    let left = wanted(entry, rest);
    match (left.is_empty(), spaced) {
        (true, _) => None,
        (false, true) => Some(left),
        (false, false) => Some(format!(" {left}")),
    }
}

fn rest_of_verb(begun: &str) -> Option<String> {
    let begun = begun.to_lowercase();
    let mut matching = all_names().filter(|name| name.starts_with(&begun));
    match (matching.next(), matching.next()) {
        (Some(only), None) => only.get(begun.len()..).map(str::to_string),
        _ => None,
    }
}

/// The pieces of the usage that are not given yet.
fn wanted(entry: &Entry, given: &[Token]) -> String {
    let usage = entry.usage();
    let arguments = usage.strip_prefix(entry.name).unwrap_or(&usage).trim_start();
    let alternatives = entry.verb == Verb::Partition;
    if alternatives || entry.free_text {
        return if given.is_empty() { arguments.to_string() } else { String::new() };
    }
    let mut positional = plain_words(entry, given).len();
    let used = |piece: &str| {
        given.iter().any(|token| match token.text.chars().next() {
            Some('@') => piece.starts_with("[@"),
            _ => !token.quoted && token.text.starts_with("--") && piece.contains(token.text.as_str()),
        })
    };
    let still_wanted = |piece: &&str| {
        let is_option = ["[--", "[@", "[for"].iter().any(|mark| piece.starts_with(mark));
        if is_option {
            return !used(piece);
        }
        let take = positional > 0;
        positional = positional.saturating_sub(1);
        !take
    };
    let left: Vec<&str> = pieces(arguments).into_iter().filter(still_wanted).collect();
    left.join(" ")
}

/// Cuts a usage at the spaces outside brackets.
fn pieces(usage: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    usage
        .split(move |letter| {
            match letter {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            letter == ' ' && depth == 0
        })
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// The words that are no options, and no options' values.
fn plain_words<'a>(entry: &Entry, tokens: &'a [Token]) -> Vec<&'a str> {
    let mut plain = Vec::new();
    let mut skip = false;
    for token in tokens {
        let option = !token.quoted && (token.text.starts_with("--") || token.text.starts_with('@'));
        match (std::mem::take(&mut skip), option) {
            (true, _) => {}
            (false, true) => skip = entry.option(&token.text).is_some_and(|form| form.value.is_some()),
            (false, false) => plain.push(token.text.as_str()),
        }
    }
    plain
}

fn verb_names(current: &str) -> Vec<String> {
    let mut names = beginning(current, all_names());
    names.sort_unstable();
    names
}

fn arguments(entry: &Entry, given: &[Token], current: &str, names: &Names) -> Vec<String> {
    let plain = plain_words(entry, given);
    let node_names: Vec<String> = names.nodes.iter().map(NodeId::to_string).collect();
    if current.starts_with('@') && entry.option("@NODE").is_some() {
        let placed: Vec<String> = node_names.iter().map(|node| format!("@{node}")).collect();
        return beginning(current, placed.iter().map(String::as_str));
    }
    if current.starts_with('-') {
        let options = entry.options.iter().map(|form| form.name).filter(|name| name.starts_with('-'));
        return beginning(current, options);
    }
    match given.last() {
        Some(last) if entry.option(&last.text).is_some_and(|form| form.value == Some("DURATION")) => {
            return beginning(current, DURATIONS.iter().copied());
        }
        Some(last) if entry.lasting && last.text.eq_ignore_ascii_case("for") => {
            return beginning(current, DURATIONS.iter().copied());
        }
        _ => {}
    }
    let mut offered = positional(entry.verb, &plain, current, names, &node_names);
    let fault_named = entry.lasting && !plain.is_empty() && !plain.contains(&"for");
    if fault_named {
        offered.extend(beginning(current, ["for"].into_iter()));
    }
    offered
}

fn positional(
    verb: Verb,
    plain: &[&str],
    current: &str,
    names: &Names,
    node_names: &[String],
) -> Vec<String> {
    let nodes = || beginning(current, node_names.iter().map(String::as_str));
    match (verb, plain.len()) {
        (Verb::Status | Verb::Dump, 0) => nodes(),
        (Verb::Load, 0) => beginning(current, ["stop", "&"].into_iter()),
        (Verb::Create | Verb::Read | Verb::Update | Verb::Delete | Verb::Put | Verb::Cas, 0) => {
            keys(current, names)
        }
        (
            Verb::Crash
            | Verb::Restart
            | Verb::Stop
            | Verb::Pause
            | Verb::Resume
            | Verb::Isolate
            | Verb::Connect
            | Verb::SlowDisk
            | Verb::StallDisk
            | Verb::FillDisk
            | Verb::SkewClock
            | Verb::Snapshot
            | Verb::Timeout
            | Verb::Log
            | Verb::Logs,
            0,
        ) => targets(current, node_names),
        (Verb::SlowDisk | Verb::StallDisk | Verb::SkewClock, 1)
        | (Verb::Delay | Verb::Sleep | Verb::Step, 0) => beginning(current, DURATIONS.iter().copied()),
        (Verb::Heal | Verb::Cut, 0) | (Verb::Drop | Verb::Duplicate | Verb::Reorder, 1) => {
            links(current, node_names)
        }
        (Verb::Drop | Verb::Duplicate | Verb::Reorder, 0) => {
            beginning(current, ["5%", "20%", "50%"].into_iter())
        }
        (Verb::Delay, 1) => {
            let mut offered = beginning(current, ["jitter"].into_iter());
            offered.extend(links(current, node_names));
            offered
        }
        (Verb::Delay, 2) if plain[1] == "jitter" => beginning(current, DURATIONS.iter().copied()),
        (Verb::Delay, 3) if plain[1] == "jitter" => links(current, node_names),
        (Verb::Partition, 0) => {
            let mut offered = beginning(current, SHAPES.iter().copied());
            offered.extend(nodes());
            offered
        }
        (Verb::Partition, _) => group_members(plain, current, node_names),
        (Verb::Speed, 0) => beginning(current, ["0.1", "1", "10", "max"].into_iter()),
        (Verb::Events, 0) => beginning(current, EVENT_FILTERS.iter().copied()),
        (Verb::Wait, _) => condition(false, plain, current, names, node_names),
        (Verb::Expect, _) => condition(true, plain, current, names, node_names),
        (Verb::Run, 0) => beginning(current, names.files.iter().map(String::as_str)),
        (Verb::Help, 0) => {
            let known = VOCABULARY.iter().map(|entry| entry.name).chain(TOPICS.iter().copied());
            beginning(current, known)
        }
        _ => Vec::new(),
    }
}

fn condition(
    expected: bool,
    plain: &[&str],
    current: &str,
    names: &Names,
    node_names: &[String],
) -> Vec<String> {
    let nodes = || beginning(current, node_names.iter().map(String::as_str));
    match plain {
        [] => {
            let known = CONDITIONS.iter().filter(|form| expected || !form.expect_only);
            beginning(current, known.map(ConditionForm::name))
        }
        ["leader" | "commit" | "term" | "last" | "applied" | "role"] => nodes(),
        ["role", _] => beginning(current, ROLES.iter().copied()),
        ["up" | "down" | "paused"] => targets(current, node_names),
        ["key" | "no-key"] => keys(current, names),
        _ => Vec::new(),
    }
}

/// A target's words; in a list, the nodes that are not in it yet.
fn targets(current: &str, node_names: &[String]) -> Vec<String> {
    let Some((list, _)) = current.rsplit_once(',') else {
        let known = node_names.iter().map(String::as_str).chain(TARGETS.iter().copied());
        return beginning(current, known);
    };
    let named: Vec<&str> = list.split(',').collect();
    let rest = node_names.iter().filter(|node| !named.contains(&node.as_str()));
    let lists: Vec<String> = rest.map(|node| format!("{list},{node}")).collect();
    beginning(current, lists.iter().map(String::as_str))
}

/// Links as far as they can be told: first an end, then the way, then the other end.
fn links(current: &str, node_names: &[String]) -> Vec<String> {
    let Some(position) = current.find(['<', '>']) else {
        let ways = node_names.iter().flat_map(|node| [format!("{node}>"), format!("{node}<>")]);
        let known: Vec<String> = ways.chain(["clients".to_string()]).collect();
        return beginning(current, known.iter().map(String::as_str));
    };
    let (from, way) = current.split_at(position);
    let way = if way.starts_with('<') { "<>" } else { ">" };
    let others = node_names.iter().filter(|node| *node != from);
    let known: Vec<String> = others.map(|other| format!("{from}{way}{other}")).collect();
    beginning(current, known.iter().map(String::as_str))
}

/// In a partition's groups: nodes that no group has yet, and the slash between groups.
fn group_members(plain: &[&str], current: &str, node_names: &[String]) -> Vec<String> {
    if plain[0] == "bridge" {
        let nodes = node_names.iter().map(String::as_str);
        return if plain.len() == 1 { beginning(current, nodes) } else { Vec::new() };
    }
    if SHAPES.contains(&plain[0]) || plain.contains(&"for") {
        return Vec::new();
    }
    let named: Vec<&str> = plain.iter().flat_map(|word| word.split([',', '/'])).collect();
    let rest = node_names.iter().map(String::as_str).filter(|node| !named.contains(node));
    let slash = ["/"].into_iter().filter(|_| plain.last() != Some(&"/"));
    beginning(current, rest.chain(slash))
}

fn keys(current: &str, names: &Names) -> Vec<String> {
    beginning(current, names.keys.iter().map(String::as_str))
}

/// Those that begin with the current word, in quotes where a line needs them.
fn beginning<'a>(current: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let begins = |candidate: &&str| {
        let begun = candidate.get(..current.len());
        begun.is_some_and(|begun| begun.eq_ignore_ascii_case(current))
    };
    known.filter(begins).map(written).collect()
}

/// A candidate as it is typed: options and `@n2` stand as they are, anything else is quoted where needed.
fn written(candidate: &str) -> String {
    let option = candidate.starts_with("--") || candidate.starts_with('@');
    if option { candidate.to_string() } else { word(candidate).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_end(line: &str) -> (usize, Vec<String>) {
        let keys = vec!["x".to_string(), "x y".to_string(), "z".to_string()];
        let names = Names { nodes: NodeId::first(3), keys, files: vec!["demo.raft".to_string()] };
        complete(line, line.len(), &names)
    }

    fn offered(line: &str) -> Vec<String> {
        at_end(line).1
    }

    #[test]
    fn verbs_are_completed() {
        assert_eq!(at_end("cra"), (0, vec!["crash".to_string()]));
        assert_eq!(
            at_end("  RE"),
            (2, ["read", "reorder", "reset", "restart", "resume"].map(String::from).to_vec())
        );
        assert_eq!(offered("snap"), ["snapshot"]);
        assert!(offered("").len() > 40);
    }

    #[test]
    fn arguments_are_completed_by_their_kind() {
        for (line, expected) in [
            ("crash ", "n1 n2 n3 leader followers random minority majority all"),
            ("crash n1,", "n1,n2 n1,n3"),
            ("crash l", "leader"),
            ("crash n2 ", "for"),
            ("crash n2 for 5", "500ms 5s"),
            ("crash n2 -", "--power"),
            ("status n", "n1 n2 n3"),
            ("cut n1", "n1> n1<>"),
            ("cut n1<", "n1<>n2 n1<>n3"),
            ("drop 20% n1>", "n1>n2 n1>n3"),
            ("delay 2ms j", "jitter"),
            ("partition ha", "halves"),
            ("partition n1 ", "n2 n3 / for"),
            ("partition bridge n", "n1 n2 n3"),
            ("read @", "@n1 @n2 @n3"),
            ("read x --timeout ", "100ms 500ms 1s 2s 5s"),
            ("wait n", "no-leader no-key"),
            ("wait o", ""),
            ("expect o", "ok"),
            ("expect role n1 c", "candidate"),
            ("expect key z", "z"),
            ("events e", "election"),
            ("help cond", "conditions"),
            ("run d", "demo.raft"),
            ("# cra", ""),
            ("xyzzy n", ""),
        ] {
            assert_eq!(offered(line).join(" "), expected, "{line}");
        }
    }

    #[test]
    fn keys_with_spaces_are_offered_in_quotes_and_found_from_an_open_quote() {
        assert_eq!(offered("read x"), ["x", "\"x y\""]);
        assert_eq!(at_end("read \"x "), (5, vec!["\"x y\"".to_string()]));
    }

    #[test]
    fn a_cursor_anywhere_is_accepted() {
        let names = Names::default();
        assert_eq!(complete("crash n1", 2, &names).1, ["crash", "create"]);
        for cursor in 0..20 {
            let _ = complete("pút x é", cursor, &names);
        }
    }

    #[test]
    fn a_hint_shows_what_is_still_wanted() {
        for (line, hinted) in [
            ("create", Some(" KEY VALUE [@NODE] [--timeout DURATION]")),
            ("create ", Some("KEY VALUE [@NODE] [--timeout DURATION]")),
            ("create x", Some(" VALUE [@NODE] [--timeout DURATION]")),
            ("create x 5 @n2 ", Some("[--timeout DURATION]")),
            ("create x 5 --timeout 2s @n1", None),
            ("crash n2 ", Some("[--power] [for DURATION]")),
            ("read x --stale ", Some("[@NODE] [--timeout DURATION]")),
            (
                "partition ",
                Some("NODES / NODES [/ NODES] | halves | minority | bridge NODE | ring [for DURATION]"),
            ),
            ("partition n1 ", None),
            ("parti", Some("tion")),
            ("re", None),
            ("leader", None),
            ("xyzzy", None),
            ("", None),
            ("create 'a", None),
        ] {
            assert_eq!(hint(line).as_deref(), hinted, "{line}");
        }
    }
}
