//! What could come next: completions for the Tab key, and a hint of what a directive still wants.
//!
//! Both go by the forms and by what the caller says of the cluster; neither asks anybody.

use super::form::{Form, Place, Slot};
use super::kind::Kind;
use super::lexer::{Word, split};
use super::shape::SHAPES;
use super::target::TARGETS;
use super::vocabulary::{Language, subjects};
use crate::config::named::NAMES;
use crate::quoting::word;
use crate::types::NodeId;

/// Durations that are offered; any other may be typed.
const DURATIONS: &[&str] = &["100ms", "500ms", "1s", "2s", "5s"];

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    pub nodes: Vec<NodeId>,
    pub keys: Vec<String>,
    pub files: Vec<String>,
}

impl Language {
    /// What may stand where the word under the cursor stands: the byte at which that word begins, and the words that
    /// may replace it up to the cursor.
    pub fn complete(&self, line: &str, cursor: usize, names: &Names) -> (usize, Vec<String>) {
        let before = line.get(..cursor).unwrap_or(line);
        let split = split(before);
        if split.comment {
            return (before.len(), Vec::new());
        }
        let mut words = split.words;
        let touched = words.pop_if(|word| word.end == before.len());
        let (start, current) = match touched {
            Some(word) => (word.start, word.text),
            None => (before.len(), String::new()),
        };
        let nodes = names.nodes.iter().map(NodeId::to_string).collect();
        let completion = Completion { language: self, current: &current, names, nodes };
        let offered = match words.split_first() {
            None => completion.verbs(true),
            Some((verb, given)) => {
                self.find(&verb.text).map(|form| completion.arguments(form, given)).unwrap_or_default()
            }
        };
        (start, offered)
    }

    /// What the directive still wants, to be shown dimmed behind the line: `VALUE [@NODE] [--timeout DURATION]`.
    /// It begins with a space when the line does not end with one.
    pub fn hint(&self, line: &str) -> Option<String> {
        let split = split(line);
        if split.comment || split.error.is_some() {
            return None;
        }
        let (verb, rest) = split.words.split_first()?;
        let spaced = line.ends_with(char::is_whitespace);
        let Some(form) = self.find(&verb.text) else {
            return if rest.is_empty() && !spaced { self.rest_of_verb(&verb.text) } else { None };
        };
        let left = wanted(form, rest);
        match (left.is_empty(), spaced) {
            (true, _) => None,
            (false, true) => Some(left),
            (false, false) => Some(format!(" {left}")),
        }
    }

    fn rest_of_verb(&self, begun: &str) -> Option<String> {
        let begun = begun.to_lowercase();
        let mut matching = self.names().filter(|name| name.starts_with(&begun));
        match (matching.next(), matching.next()) {
            (Some(only), None) => only.get(begun.len()..).map(str::to_string),
            _ => None,
        }
    }
}

/// The pieces of the usage that are not given yet.
fn wanted(form: &Form, given: &[Word]) -> String {
    let takes_all = form.slots.iter().any(|slot| matches!(slot.kind, Kind::Text | Kind::Shape));
    if takes_all && !given.is_empty() {
        return String::new();
    }
    let mut positional = plain_words(form, given).len();
    let used = |piece: &str| {
        given.iter().any(|word| match word.text.chars().next() {
            Some('@') => piece.starts_with("[@"),
            _ => !word.quoted && word.text.starts_with("--") && piece.contains(word.text.as_str()),
        })
    };
    let still_wanted = |piece: &String| {
        if ["[--", "[@", "[for"].iter().any(|mark| piece.starts_with(mark)) {
            return !used(piece);
        }
        let take = positional > 0;
        positional = positional.saturating_sub(1);
        !take
    };
    form.pieces().into_iter().filter(still_wanted).collect::<Vec<_>>().join(" ")
}

/// The words that are no options, and no options' values.
fn plain_words<'a>(form: &Form, words: &'a [Word]) -> Vec<&'a str> {
    let mut plain = Vec::new();
    let mut skip = false;
    for word in words {
        let option = !word.quoted && (word.text.starts_with("--") || word.text.starts_with('@'));
        match (std::mem::take(&mut skip), option) {
            (true, _) => {}
            (false, true) => skip = takes_value(form, &word.text),
            (false, false) => plain.push(word.text.as_str()),
        }
    }
    plain
}

fn takes_value(form: &Form, option: &str) -> bool {
    let place = form.option(option).map(|slot| slot.place);
    option.starts_with("--") && matches!(place, Some(Place::Option { value: Some(_), .. }))
}

/// The word under the cursor, and all from which what may stand there is made.
struct Completion<'a> {
    language: &'a Language,
    current: &'a str,
    names: &'a Names,
    nodes: Vec<String>,
}

impl Completion<'_> {
    /// Every verb; those with a directive of their own behind them only where none stands before them.
    fn verbs(&self, nesting: bool) -> Vec<String> {
        let forms = self.language.verbs().filter(|form| nesting || form.line_behind().is_none());
        let mut verbs = self.beginning(forms.flat_map(Form::names));
        verbs.sort_unstable();
        verbs
    }

    fn arguments(&self, form: &Form, given: &[Word]) -> Vec<String> {
        let inner = form.line_behind().and_then(|before| given.get(before..)?.split_first());
        if let Some((verb, given)) = inner {
            let form = self.language.find(&verb.text).filter(|form| form.line_behind().is_none());
            return form.map(|form| self.arguments(form, given)).unwrap_or_default();
        }
        if self.current.starts_with('@') && form.option("@NODE").is_some() {
            let singles = self.nodes.iter().map(String::as_str).chain(["leader", "random"]);
            let placed: Vec<String> = singles.map(|node| format!("@{node}")).collect();
            return self.beginning(placed.iter().map(String::as_str));
        }
        if self.current.starts_with('-') {
            let options = form.slots.iter().filter(|slot| slot.is_option()).map(|slot| slot.name);
            return self.beginning(options.filter(|name| name.starts_with('-')));
        }
        let last = given.last().map_or("", |word| word.text.as_str());
        if form.lasting && last.eq_ignore_ascii_case("for") {
            return self.beginning(DURATIONS.iter().copied());
        }
        if let Some(slot) = form.option(last).filter(|_| takes_value(form, last)) {
            return self.values(slot.kind);
        }
        let plain = plain_words(form, given);
        if form.lasting && plain.contains(&"for") {
            return Vec::new();
        }
        let mut offered = self.slots(form, &plain);
        if form.lasting && !plain.is_empty() && plain.last() != Some(&"/") {
            offered.extend(self.beginning(["for"].into_iter()));
        }
        offered
    }

    /// What may stand in the first slot that these words do not fill, and in those behind it while slots may be empty.
    fn slots(&self, form: &Form, words: &[&str]) -> Vec<String> {
        let mut words = words;
        let mut offered = Vec::new();
        for slot in form.slots.iter().filter(|slot| !slot.is_option()) {
            if let Some(taken) = taken(slot, words) {
                words = &words[taken..];
                continue;
            }
            offered.extend(self.within(slot.kind, words));
            if slot.place != Place::IfFitting || !words.is_empty() {
                break;
            }
        }
        offered
    }

    /// What may stand behind these words of one slot.
    fn within(&self, kind: Kind, words: &[&str]) -> Vec<String> {
        match (kind, words) {
            (Kind::Named(_), [_, ..]) => self.beginning(DURATIONS.iter().copied()),
            (Kind::Shape, [_, ..]) => self.group_members(words),
            (Kind::Condition { answers }, [name, rest @ ..]) => {
                let form = self.language.conditions(answers).find(|form| form.name == *name);
                form.map(|form| self.slots(form, rest)).unwrap_or_default()
            }
            _ => self.values(kind),
        }
    }

    fn values(&self, kind: Kind) -> Vec<String> {
        let nodes = || self.nodes.iter().map(String::as_str);
        match kind {
            Kind::Word(word) | Kind::Named(word) => self.beginning([word].into_iter()),
            Kind::Choice { words, .. } => self.beginning(words.iter().copied()),
            Kind::Node | Kind::OneNode | Kind::NodeOfCondition => self.beginning(nodes()),
            Kind::NodeOr(word) => self.beginning(nodes().chain([word])),
            Kind::Target | Kind::SteadyTarget | Kind::Nodes => self.targets(),
            Kind::Link => self.links(),
            Kind::DurationOr(word) => self.beginning(DURATIONS.iter().copied().chain([word])),
            Kind::Duration | Kind::DurationAboveZero => self.beginning(DURATIONS.iter().copied()),
            Kind::Choices { words, .. } => self.choices(words),
            Kind::Percent => self.beginning(["5%", "20%", "50%"].into_iter()),
            Kind::Speed => self.beginning(["0.1", "1", "10", "max"].into_iter()),
            Kind::Setting => self.beginning(NAMES.into_iter()),
            Kind::Key => self.beginning(self.names.keys.iter().map(String::as_str)),
            Kind::File => self.beginning(self.names.files.iter().map(String::as_str)),
            Kind::Subject => {
                let verbs = self.language.verbs().map(|form| form.name);
                self.beginning(verbs.chain(subjects()))
            }
            Kind::Shape => {
                let words = words().filter(|word| !SHAPES.contains(word));
                self.beginning(SHAPES.into_iter().chain(nodes()).chain(words))
            }
            Kind::Condition { answers } => {
                self.beginning(self.language.conditions(answers).map(|form| form.name))
            }
            Kind::Line => self.verbs(false),
            Kind::Flag | Kind::Count | Kind::Number | Kind::Value | Kind::Text | Kind::Token => Vec::new(),
        }
    }

    /// A target's words; in a list, the nodes that are not in it yet.
    fn targets(&self) -> Vec<String> {
        let nodes: Vec<&str> = self.nodes.iter().map(String::as_str).collect();
        if self.current.contains(',') {
            return self.choices(&nodes);
        }
        self.beginning(nodes.into_iter().chain(TARGETS.iter().map(|(name, _)| *name)))
    }

    /// One of these words; in a list, those that are not in it yet.
    fn choices(&self, words: &[&str]) -> Vec<String> {
        let Some((list, _)) = self.current.rsplit_once(',') else {
            return self.beginning(words.iter().copied());
        };
        let named: Vec<&str> = list.split(',').collect();
        let rest = words.iter().filter(|word| !named.contains(word));
        let lists: Vec<String> = rest.map(|word| format!("{list},{word}")).collect();
        self.beginning(lists.iter().map(String::as_str))
    }

    /// Links as far as they can be told: first a side, then the way, then the other side.
    fn links(&self) -> Vec<String> {
        let sides = || self.nodes.iter().map(String::as_str).chain(words());
        let Some(position) = self.current.find(['<', '>']) else {
            let ways = sides().flat_map(|side| [format!("{side}>"), format!("{side}<>")]);
            let known: Vec<String> = ways.chain(["clients", "clients>", "nodes"].map(String::from)).collect();
            return self.beginning(known.iter().map(String::as_str));
        };
        let (from, way) = self.current.split_at(position);
        let way = if way.starts_with('<') { "<>" } else { ">" };
        let others = sides().chain(["clients"]).filter(|side| *side != from);
        let known: Vec<String> = others.map(|other| format!("{from}{way}{other}")).collect();
        self.beginning(known.iter().map(String::as_str))
    }

    /// In a partition's groups: what no group has yet, and the slash between groups.
    fn group_members(&self, plain: &[&str]) -> Vec<String> {
        let nodes = || self.nodes.iter().map(String::as_str);
        match plain {
            ["bridge"] => return self.beginning(nodes().chain(["leader", "random"])),
            ["minority"] => return self.beginning(["/"].into_iter()),
            [shape, ..] if SHAPES.contains(shape) && *shape != "minority" => return Vec::new(),
            _ => {}
        }
        let named: Vec<&str> = plain.iter().flat_map(|word| word.split([',', '/'])).collect();
        let slash = ["/"].into_iter().filter(|_| plain.last() != Some(&"/"));
        self.beginning(nodes().chain(words()).filter(|member| !named.contains(member)).chain(slash))
    }

    /// Those that begin with the current word, in quotes where a line needs them.
    fn beginning<'b>(&self, known: impl Iterator<Item = &'b str>) -> Vec<String> {
        let begins = |candidate: &&str| {
            let begun = candidate.get(..self.current.len());
            begun.is_some_and(|begun| begun.eq_ignore_ascii_case(self.current))
        };
        known.filter(begins).map(written).collect()
    }
}

/// The words that stand for nodes.
fn words<'a>() -> impl Iterator<Item = &'a str> + Clone {
    TARGETS.iter().map(|(name, _)| *name)
}

/// How many of these words a slot takes; none if the word under the cursor belongs to it.
fn taken(slot: &Slot, words: &[&str]) -> Option<usize> {
    let first = words.first()?;
    match (slot.kind, slot.place) {
        (Kind::Named(word), _) if *first == word => (words.len() > 1).then_some(2),
        (Kind::Named(_), _) => Some(0),
        (Kind::Shape | Kind::Text | Kind::Condition { .. } | Kind::Line, _) => None,
        (kind, Place::IfFitting) => Some(usize::from(kind.read(first).is_ok())),
        _ => Some(1),
    }
}

/// A candidate as it is typed: options and `@n2` stand as they are, anything else is quoted where needed.
fn written(candidate: &str) -> String {
    let option = candidate.starts_with("--") || candidate.starts_with('@');
    if option { candidate.to_string() } else { word(candidate).into_owned() }
}
