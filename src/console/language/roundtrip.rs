//! Properties of the whole language: what is shown parses back, and no text makes anything panic.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;

use super::complete::{Names, complete, hint};
use super::*;
use crate::types::{LogIndex, NodeId, Part, SessionId, Term, Token};

// Strategies are boxed: the types of unboxed ones nest, and cost the compiler minutes.

fn node() -> BoxedStrategy<NodeId> {
    (1_u8..=99).prop_map(NodeId::new).boxed()
}

fn nodes() -> BoxedStrategy<Vec<NodeId>> {
    proptest::collection::btree_set(node(), 1..4).prop_map(|nodes| nodes.into_iter().collect()).boxed()
}

fn duration() -> BoxedStrategy<Duration> {
    prop_oneof![
        (0_u64..3_600_000_000_000).prop_map(Duration::from_nanos),
        (0_u64..10_000).prop_map(Duration::from_millis),
        (0_u64..=3_600_000).prop_map(Duration::from_secs),
    ]
    .boxed()
}

fn chance() -> BoxedStrategy<Chance> {
    (0_u32..=1_000_000).prop_map(Chance::new).boxed()
}

fn value() -> BoxedStrategy<String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9]{1,4}",
        Just("for".to_string()),
        Just("#".to_string()),
        Just("@n1".to_string()),
        Just("--stale".to_string()),
        Just("-f".to_string()),
        Just("a  'b\" \\ \u{202e}".to_string()),
    ]
    .boxed()
}

fn key() -> BoxedStrategy<String> {
    value().prop_filter("a key is not empty", |key| !key.is_empty()).boxed()
}

fn certain_target() -> BoxedStrategy<Target> {
    prop_oneof![
        nodes().prop_map(Target::Nodes),
        Just(Target::Leader),
        Just(Target::Followers),
        Just(Target::All)
    ]
    .boxed()
}

fn target() -> BoxedStrategy<Target> {
    prop_oneof![certain_target(), Just(Target::Random), Just(Target::Minority), Just(Target::Majority)]
        .boxed()
}

fn link() -> BoxedStrategy<Link> {
    let end = || prop_oneof![4 => node().prop_map(LinkEnd::Node), 1 => Just(LinkEnd::Clients)];
    let ends = (end(), end()).prop_filter("two ends", |(one, other)| one != other);
    (ends, 0..3)
        .prop_map(|((one, other), kind)| match kind {
            0 => Link::OneWay { from: one, to: other },
            1 => Link::BothWays { one, other },
            _ => Link::Clients,
        })
        .boxed()
}

fn data() -> BoxedStrategy<Directive> {
    let mode = prop_oneof![Just(ReadMode::Linearizable), Just(ReadMode::Stale), Just(ReadMode::Lease)];
    let operation = prop_oneof![
        (key(), value()).prop_map(|(key, value)| DataOperation::Create { key, value }),
        (key(), mode).prop_map(|(key, mode)| DataOperation::Read { key, mode }),
        (key(), value()).prop_map(|(key, value)| DataOperation::Update { key, value }),
        key().prop_map(|key| DataOperation::Delete { key }),
        (key(), value()).prop_map(|(key, value)| DataOperation::Put { key, value }),
        (key(), value(), value()).prop_map(|(key, expected, value)| DataOperation::Cas {
            key,
            expected,
            value
        }),
    ];
    (operation, option::of(node()), option::of(duration()))
        .prop_map(|(operation, at, timeout)| Directive::Data(DataDirective { operation, at, timeout }))
        .boxed()
}

fn condition() -> BoxedStrategy<Condition> {
    let role = prop_oneof![
        Just(RoleName::Follower),
        Just(RoleName::PreCandidate),
        Just(RoleName::Candidate),
        Just(RoleName::Leader)
    ];
    let index = || any::<u64>().prop_map(LogIndex);
    prop_oneof![
        option::of(node()).prop_map(|node| Condition::Leader { node }),
        Just(Condition::NoLeader),
        Just(Condition::Stable),
        Just(Condition::Converged),
        (option::of(node()), index()).prop_map(|(node, index)| Condition::Commit { node, index }),
        (option::of(node()), any::<u64>())
            .prop_map(|(node, term)| Condition::Term { node, term: Term(term) }),
        (node(), index()).prop_map(|(node, index)| Condition::Last { node, index }),
        (node(), index()).prop_map(|(node, index)| Condition::Applied { node, index }),
        (node(), role).prop_map(|(node, role)| Condition::Role { node, role }),
        certain_target().prop_map(|target| Condition::Up { target }),
        certain_target().prop_map(|target| Condition::Down { target }),
        certain_target().prop_map(|target| Condition::Paused { target }),
        (key(), value(), option::of(node())).prop_map(|(key, value, at)| Condition::Key { key, value, at }),
        (key(), option::of(node())).prop_map(|(key, at)| Condition::NoKey { key, at }),
    ]
    .boxed()
}

fn expectation() -> BoxedStrategy<Expectation> {
    let kind = prop_oneof![Just(AnswerKind::Ok), Just(AnswerKind::Err), Just(AnswerKind::Unknown)];
    prop_oneof![
        condition().prop_map(Expectation::Cluster),
        (kind, option::of(key())).prop_map(|(kind, containing)| Expectation::Answer { kind, containing }),
    ]
    .boxed()
}

fn partition() -> BoxedStrategy<PartitionShape> {
    let groups = proptest::collection::btree_map(node(), 0..3_usize, 2..9).prop_filter_map(
        "two groups or more",
        |placed| {
            let group =
                |number| placed.iter().filter(|(_, at)| **at == number).map(|(node, _)| *node).collect();
            let groups: Vec<Vec<NodeId>> =
                (0..3).map(group).filter(|group: &Vec<_>| !group.is_empty()).collect();
            (groups.len() > 1).then_some(PartitionShape::Groups(groups))
        },
    );
    prop_oneof![
        groups,
        Just(PartitionShape::Halves),
        Just(PartitionShape::Minority),
        node().prop_map(PartitionShape::Bridge),
        Just(PartitionShape::Ring),
    ]
    .boxed()
}

fn fault() -> BoxedStrategy<Directive> {
    prop_oneof![
        (target(), any::<bool>()).prop_map(|(target, power)| Directive::Crash { target, power }),
        target().prop_map(|target| Directive::Pause { target }),
        partition().prop_map(Directive::Partition),
        target().prop_map(|target| Directive::Isolate { target }),
        link().prop_map(|link| Directive::Cut { link }),
        (chance(), option::of(link())).prop_map(|(chance, link)| Directive::Drop { chance, link }),
        (duration(), option::of(duration()), option::of(link()))
            .prop_map(|(delay, jitter, link)| Directive::Delay { delay, jitter, link }),
        (chance(), option::of(link())).prop_map(|(chance, link)| Directive::Duplicate { chance, link }),
        (chance(), option::of(link())).prop_map(|(chance, link)| Directive::Reorder { chance, link }),
        (target(), duration()).prop_map(|(target, delay)| Directive::SlowDisk { target, delay }),
        target().prop_map(|target| Directive::FillDisk { target }),
        (target(), duration()).prop_map(|(target, ahead)| Directive::SkewClock { target, ahead }),
    ]
    .boxed()
}

fn load() -> BoxedStrategy<Directive> {
    let count = || option::of(1_usize..=100_000);
    let duration = option::of(duration().prop_filter("above zero", |duration| !duration.is_zero()));
    (count(), count(), count(), duration, option::of(chance()), any::<bool>())
        .prop_map(|(rate, clients, batch, duration, reads, background)| {
            Directive::Load(LoadDirective { rate, clients, batch, duration, reads, background })
        })
        .boxed()
}

fn token() -> impl Strategy<Value = Token> {
    let part = (0..u32::MAX / 2, 1..u32::MAX / 2).prop_map(|(before, count)| Part { before, count });
    (any::<u64>(), any::<u64>(), option::of(part)).prop_map(|(session, serial, part)| {
        let session = SessionId(session);
        Token { session, serial, part }
    })
}

fn other() -> BoxedStrategy<Directive> {
    let filter = prop_oneof![Just(EventFilter::On), Just(EventFilter::Election), Just(EventFilter::Net)];
    let speed = (1_u64..=1_000_000_000).prop_map(|per_thousand| Speed::Factor { per_thousand });
    let file = value().prop_filter("a file's name", |file| !file.is_empty() && !file.contains('\0'));
    let some = prop_oneof![
        option::of(node()).prop_map(|node| Directive::Status { node }),
        (1_usize..=100_000).prop_map(|count| Directive::Pipe { count }),
        option::of(token()).prop_map(|token| Directive::Outcome { token }),
        load(),
        option::of(node()).prop_map(|node| Directive::Dump { node }),
        (target(), any::<bool>()).prop_map(|(target, wipe)| Directive::Restart { target, wipe }),
        target().prop_map(|target| Directive::Stop { target }),
        target().prop_map(|target| Directive::Resume { target }),
        option::of(link()).prop_map(|link| Directive::Heal { link }),
        target().prop_map(|target| Directive::Connect { target }),
        (target(), duration()).prop_map(|(target, duration)| Directive::StallDisk { target, duration }),
        target().prop_map(|target| Directive::Timeout { target }),
        target().prop_map(|target| Directive::Snapshot { target }),
    ];
    let more = prop_oneof![
        speed.prop_map(|speed| Directive::Speed { speed }),
        option::of(duration()).prop_map(|duration| Directive::Step { duration }),
        (option::of(target()), option::of(1_usize..=100_000))
            .prop_map(|(target, last)| Directive::Log { target, last }),
        (option::of(target()), any::<bool>()).prop_map(|(target, follow)| Directive::Logs { target, follow }),
        option::of(filter).prop_map(|filter| Directive::Events { filter }),
        (condition(), option::of(duration()))
            .prop_map(|(condition, within)| Directive::Wait { condition, within }),
        expectation().prop_map(|expectation| Directive::Expect { expectation }),
        duration().prop_map(|duration| Directive::Sleep { duration }),
        file.prop_map(|file| Directive::Run { file }),
        value().prop_map(|text| Directive::Echo { text }),
        Just(Directive::Help { topic: Some("targets") }),
    ];
    prop_oneof![some, more].boxed()
}

fn line() -> BoxedStrategy<Line> {
    let lasting = option::of(duration().prop_filter("above zero", |duration| !duration.is_zero()));
    let plain = prop_oneof![data(), other()].prop_map(|directive| Line { directive, lasting: None });
    prop_oneof![plain, (fault(), lasting).prop_map(|(directive, lasting)| Line { directive, lasting })]
        .boxed()
}

proptest! {
    #[test]
    fn every_line_parses_back_from_its_own_text(line in line()) {
        let text = line.to_string();
        prop_assert!(!text.contains('\n'), "one line: {text}");
        prop_assert_eq!(parse(&text), Ok(Some(line)), "{}", text);
    }

    #[test]
    fn no_text_makes_anything_panic(text in any::<String>(), cursor in 0_usize..40) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
        let _ = complete(&text, cursor, &Names::default());
        let _ = hint(&text);
    }

    #[test]
    fn no_line_like_text_makes_anything_panic(
        verb in proptest::sample::select(verbs::all_names().collect::<Vec<_>>()),
        words in proptest::collection::vec("n[0-9]{0,3}|[a-z@/<>,'\"#%.0-9\\\\-]{0,6}|for|jitter|--[a-z]{0,7}", 0..6),
    ) {
        let text = format!("{verb} {}", words.join(" "));
        let names = Names { nodes: NodeId::first(3), keys: vec!["a b".to_string()], files: Vec::new() };
        if let Ok(Some(line)) = parse(&text) {
            prop_assert_eq!(parse(&line.to_string()), Ok(Some(line)));
        }
        for cursor in 0..=text.len() {
            let (start, _) = complete(&text, cursor, &names);
            prop_assert!(start <= text.len());
        }
        let _ = hint(&text);
    }
}
