//! Properties of the whole language: what is shown parses back, and no text makes anything panic.
//!
//! Directives are made from the forms: each slot is filled with any value of its kind.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::parse;
use super::verbs::LANGUAGE;
use crate::config::named::NAMES;
use crate::console::language::form::Place;
use crate::console::language::{
    Form, Group, Kind, LinkSide, Links, Names, Outcome, PartitionShape, Phrase, Slot, Target, Topic, Value,
    subjects,
};
use crate::text::units::Speed;
use crate::types::{NodeId, Part, SessionId, Token};

// Strategies are boxed: the types of unboxed ones nest, and cost the compiler minutes.

fn node() -> BoxedStrategy<NodeId> {
    (1_u8..=99).prop_map(NodeId::new).boxed()
}

fn duration() -> BoxedStrategy<Duration> {
    prop_oneof![
        (0_u64..3_600_000_000_000).prop_map(Duration::from_nanos),
        (0_u64..10_000).prop_map(Duration::from_millis),
        (0_u64..=3_600_000).prop_map(Duration::from_secs),
    ]
    .boxed()
}

fn above_zero() -> BoxedStrategy<Duration> {
    duration().prop_filter("above zero", |duration| !duration.is_zero()).boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9]{1,4}",
        select(vec![
            "for",
            "#",
            "@n1",
            "--stale",
            "-f",
            "jitter",
            "&",
            "stop",
            "not",
            "leader",
            "a  'b\" \\ \u{202e}"
        ])
        .prop_map(String::from),
    ]
    .boxed()
}

fn name() -> BoxedStrategy<String> {
    text().prop_filter("a name", |name| !name.is_empty() && !name.contains('\0')).boxed()
}

fn nodes() -> BoxedStrategy<Target> {
    let nodes = proptest::collection::btree_set(node(), 1..4);
    nodes.prop_map(|nodes| Target::Nodes(nodes.into_iter().collect())).boxed()
}

fn steady_target() -> BoxedStrategy<Target> {
    prop_oneof![nodes(), select(vec![Target::Leader, Target::Followers, Target::All]),].boxed()
}

fn target() -> BoxedStrategy<Target> {
    prop_oneof![steady_target(), select(vec![Target::Random, Target::Minority, Target::Majority])].boxed()
}

fn links() -> BoxedStrategy<Links> {
    let side = || prop_oneof![4 => target().prop_map(LinkSide::Nodes), 1 => Just(LinkSide::Clients)];
    let sides = (side(), side()).prop_filter("two sides", |(one, other)| one != other);
    (sides, 0..4)
        .prop_map(|((one, other), kind)| match kind {
            0 => Links::OneWay(one, other),
            1 => Links::Both(one, other),
            2 => Links::Nodes,
            _ => Links::Clients,
        })
        .boxed()
}

fn token() -> BoxedStrategy<Token> {
    let part = (0..u32::MAX / 2, 1..u32::MAX / 2).prop_map(|(before, count)| Part { before, count });
    (any::<u64>(), any::<u64>(), option::of(part))
        .prop_map(|(session, serial, part)| Token { session: SessionId(session), serial, part })
        .boxed()
}

fn one_node() -> BoxedStrategy<Target> {
    let named = node().prop_map(|node| Target::Nodes(vec![node]));
    prop_oneof![named, select(vec![Target::Leader, Target::Random])].boxed()
}

fn word() -> BoxedStrategy<Target> {
    let words = vec![Target::Leader, Target::Followers, Target::Random, Target::Minority, Target::Majority];
    select(words).boxed()
}

fn shape() -> BoxedStrategy<PartitionShape> {
    let nodes = proptest::collection::btree_map(node(), 0..3_usize, 0..9);
    let words = proptest::collection::vec(proptest::collection::vec(word(), 0..2), 3);
    let groups = (nodes, words).prop_filter_map("two groups or more", |(placed, words)| {
        let group = |(number, words): (usize, Vec<Target>)| Group {
            nodes: placed.iter().filter(|(_, at)| **at == number).map(|(node, _)| *node).collect(),
            words,
        };
        let empty = |group: &Group| group.nodes.is_empty() && group.words.is_empty();
        let groups = (0..).zip(words).map(group).filter(|group| !empty(group));
        let groups: Vec<Group> = groups.collect();
        (groups.len() > 1).then_some(PartitionShape::Groups(groups))
    });
    let named = vec![PartitionShape::Halves, PartitionShape::Minority, PartitionShape::Ring];
    prop_oneof![groups, select(named), one_node().prop_map(PartitionShape::Bridge)].boxed()
}

fn value(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Flag => Just(Value::Flag).boxed(),
        Kind::Word(word) => Just(Value::Word(word)).boxed(),
        Kind::Choice { words, .. } => select(words).prop_map(Value::Word).boxed(),
        Kind::Choices { words, .. } => sample_words(words),
        Kind::Node => node().prop_map(Value::Node).boxed(),
        Kind::NodeOr(word) => prop_oneof![node().prop_map(Value::Node), Just(Value::Word(word))].boxed(),
        Kind::OneNode | Kind::NodeOfCondition => one_node().prop_map(Value::Target).boxed(),
        Kind::Target => target().prop_map(Value::Target).boxed(),
        Kind::Nodes => nodes().prop_map(Value::Target).boxed(),
        Kind::SteadyTarget => steady_target().prop_map(Value::Target).boxed(),
        Kind::Link => links().prop_map(Value::Links).boxed(),
        Kind::Duration | Kind::Named(_) => duration().prop_map(Value::Duration).boxed(),
        Kind::DurationOr(word) => {
            prop_oneof![duration().prop_map(Value::Duration), Just(Value::Word(word))].boxed()
        }
        Kind::DurationAboveZero => above_zero().prop_map(Value::Duration).boxed(),
        Kind::Percent => (0_u32..=1_000_000).prop_map(Value::PerMillion).boxed(),
        Kind::Count => (1_usize..=100_000).prop_map(Value::Count).boxed(),
        Kind::Number => any::<u64>().prop_map(Value::Number).boxed(),
        Kind::Speed => {
            let factor = (1_u64..=1_000_000_000).prop_map(|per_thousand| Speed::Factor { per_thousand });
            prop_oneof![9 => factor, 1 => Just(Speed::Max)].prop_map(Value::Speed).boxed()
        }
        Kind::Key | Kind::File | Kind::Text => name().prop_map(Value::Text).boxed(),
        Kind::Value => text().prop_map(Value::Text).boxed(),
        Kind::Token => token().prop_map(Value::Token).boxed(),
        Kind::Setting => select(NAMES.to_vec()).prop_map(Value::Word).boxed(),
        Kind::Subject => {
            let names: Vec<&str> = LANGUAGE.verbs().map(|form| form.name).chain(subjects()).collect();
            select(names).prop_map(Value::Word).boxed()
        }
        Kind::Shape => shape().prop_map(Value::Shape).boxed(),
        Kind::Condition { answers } => {
            let forms: Vec<&Form> = LANGUAGE.conditions(answers).collect();
            select(forms).prop_flat_map(phrase).prop_map(Value::Phrase).boxed()
        }
        Kind::Line => {
            let simple = LANGUAGE.verbs().filter(|form| form.line_behind().is_none());
            select(simple.collect::<Vec<_>>()).prop_flat_map(phrase).prop_map(Value::Phrase).boxed()
        }
    }
}

/// Some of these words, in their order.
fn sample_words(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    subsequence(words.to_vec(), 1..=words.len()).prop_map(Value::Words).boxed()
}

/// A form with its slots filled in any way that can be written.
fn phrase(form: &'static Form) -> BoxedStrategy<Phrase> {
    let slot = |slot: &'static Slot| {
        let filled = value(slot.kind).prop_map(move |value| Some((slot, value)));
        match (slot.place, slot.kind) {
            (_, Kind::NodeOfCondition) => Just(None).boxed(),
            (Place::Needed, _) => filled.boxed(),
            _ => prop_oneof![filled, Just(None)].boxed(),
        }
    };
    let slots: Vec<_> = form.slots.iter().map(slot).collect();
    let lasting = if form.lasting { option::of(above_zero()).boxed() } else { Just(None).boxed() };
    (slots, lasting)
        .prop_map(move |(filled, lasting)| {
            // A word that may be left out stands only behind the ones before it.
            let mut left_out = false;
            let written = filled.into_iter().zip(form.slots).filter_map(|(filled, slot)| {
                left_out |= slot.place == Place::Optional && filled.is_none();
                filled.filter(|_| slot.place != Place::Optional || !left_out)
            });
            let mut values: Vec<(&Slot, Value)> = written.collect();
            if form.name == "read" && values.iter().any(|(slot, _)| slot.name == "--stale") {
                values.retain(|(slot, _)| slot.name != "--lease");
            }
            Phrase::new(form, values, lasting)
        })
        .boxed()
}

#[test]
fn a_text_in_quotes_is_no_word_of_the_language() {
    for line in
        ["trace \"stop\" --overwrite", "why \"leader\"", "why not \"term\"", "trace stop", "why leader"]
    {
        let read = parse(line).expect("it can be read").expect("it says something");
        assert_eq!(read.to_string(), line);
    }
    assert_ne!(parse("trace \"stop\""), parse("trace stop"));
}

proptest! {
    #[test]
    fn every_directive_parses_back_from_its_own_text(
        directive in select(LANGUAGE.verbs().collect::<Vec<_>>()).prop_flat_map(phrase),
    ) {
        let text = directive.to_string();
        prop_assert!(!text.contains('\n'), "one line: {text}");
        prop_assert_eq!(parse(&text), Ok(Some(directive)), "{}", text);
    }

    #[test]
    fn no_text_makes_anything_panic(text in any::<String>(), cursor in 0_usize..40) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
        let _ = LANGUAGE.complete(&text, cursor, &Names::default());
        let _ = LANGUAGE.hint(&text);
    }

    #[test]
    fn no_line_like_text_makes_anything_panic(
        verb in select(LANGUAGE.names().collect::<Vec<_>>()),
        words in proptest::collection::vec("n[0-9]{0,3}|[a-z@/<>,'\"#%.0-9\\\\-]{0,6}|for|jitter|--[a-z]{0,7}", 0..6),
    ) {
        let text = format!("{verb} {}", words.join(" "));
        let names = Names { nodes: NodeId::first(3), keys: vec!["a b".to_string()], files: Vec::new() };
        if let Ok(Some(directive)) = parse(&text) {
            prop_assert_eq!(parse(&directive.to_string()), Ok(Some(directive)));
        }
        for cursor in 0..=text.len() {
            let (start, _) = LANGUAGE.complete(&text, cursor, &names);
            prop_assert!(start <= text.len());
        }
        let _ = LANGUAGE.hint(&text);
    }
}

/// Verbs whose examples need something done before: an unknown outcome, a paused node, a learner, an
/// isolated node, a message under way, a window.
const FAILING: &[&str] =
    &["outcome", "kill", "resume", "promote", "cancel", "connect", "lose", "hold", "web"];

/// Verbs whose examples read or write a file, or last: not for a test of a form.
const ELSEWHERE: &[&str] = &["run", "load", "logs", "record", "report", "save-script", "trace"];

#[test]
fn every_function_finds_the_slots_that_its_form_lists() {
    let mut failed = Vec::new();
    for form in LANGUAGE.verbs().filter(|form| !ELSEWHERE.contains(&form.name)) {
        let answer = super::tests::answer(form.example);
        assert_eq!(answer.directive, form.name);
        if answer.outcome == Outcome::Failed {
            failed.push(form.name);
        }
    }
    assert_eq!(failed, FAILING);
    for form in LANGUAGE.conditions(true) {
        assert!(matches!(form.topic, Topic::Condition | Topic::Answer), "{}", form.name);
    }
}
