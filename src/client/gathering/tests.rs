//! What shares an entry, and what each call gets of it.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::payload::{Batch, Payload};
use crate::protocol::ReadMode;
use crate::types::{LogIndex, NodeId, SessionId, Term, Token};

const TIMEOUT: Duration = Duration::from_secs(1);
const NOW: Time = Time::from_nanos(107);

fn ask(what: What) -> Ask {
    Ask { what, at: None, timeout: TIMEOUT }
}

/// Commands that are the numbers of their places among all.
fn commands(numbers: impl IntoIterator<Item = u64>) -> Ask {
    ask(What::commands(numbers))
}

fn read() -> Ask {
    ask(What::Read { query: Payload::new(0_u64), mode: ReadMode::default() })
}

/// How a call ended in which each command was answered with itself.
fn answered(asked: CallId, ask: &Ask) -> Ended {
    let (What::Command(answer) | What::Read { query: answer, .. }) = &ask.what else { unreachable!() };
    let (node, term, index) = (NodeId::new(1), Term(1), LogIndex(asked.0));
    let outcome = Outcome::Answered(Answered {
        answer: answer.clone(),
        node,
        term,
        index,
        staleness: None,
        part: None,
    });
    ended(asked, outcome)
}

fn ended(call_id: CallId, outcome: Outcome) -> Ended {
    Ended { call_id, outcome, began: Time::from_nanos(100), took: Duration::from_nanos(7) }
}

/// Asks for these groups, under names from this one on.
fn begin(gathering: &mut Gathering, groups: Groups, first: u64) -> Vec<(CallId, Ask)> {
    let begun = groups.into_iter().zip(first..).map(|(group, name)| {
        let ask = group.ask();
        gathering.begun(CallId(name), group);
        (CallId(name), ask)
    });
    begun.collect()
}

fn end(gathering: &mut Gathering, all: Ended) -> Vec<Ended> {
    let mut ended = Vec::new();
    assert!(gathering.end(NOW, all, &mut ended).is_empty(), "nothing is to be asked again");
    ended
}

fn told(ended: &[Ended]) -> Vec<(u64, Vec<u64>)> {
    let told = |ended: &Ended| {
        let Outcome::Answered(answered) = &ended.outcome else { panic!("{ended:?}") };
        let all = answered.answer.value::<Batch<u64>>().expect("a batch of numbers");
        (ended.call_id.0, answered.own(all).expect("as many as were asked").to_vec())
    };
    ended.iter().map(told).collect()
}

proptest! {
    #[test]
    fn each_call_gets_its_own_answers(
        sizes in prop::collection::vec(0_u64..6, 0..60),
        most in 1_usize..20,
        turns in 1_usize..4,
    ) {
        let mut gathering = Gathering::new(most);
        let (mut expected, mut seen, mut next, mut names) = (Vec::new(), Vec::new(), 0, 1);
        for turn in sizes.chunks(sizes.len().div_ceil(turns).max(1)) {
            let asks = turn.iter().map(|size| {
                let numbers = next..next + size;
                next += size;
                expected.push((expected.len() as u64 + 1, numbers.clone().collect::<Vec<u64>>()));
                commands(numbers)
            });
            let groups = gathering.gather(&mut asks.collect());
            let begun = begin(&mut gathering, groups, names);
            names += begun.len() as u64;
            for (asked, ask) in begun {
                let What::Command(all) = &ask.what else { panic!("{ask:?}") };
                let shared = all.items().expect("a batch");
                let ended = end(&mut gathering, answered(asked, &ask));
                prop_assert!(shared <= most || ended.len() == 1, "{shared} commands of several calls");
                seen.extend(told(&ended));
            }
        }
        prop_assert_eq!(seen, expected);
        prop_assert_eq!((gathering.under_way, gathering.groups.len()), (0, 0));
    }

    #[test]
    fn commands_are_grouped_as_calls_of_one_command_each_are(
        texts in prop::collection::vec(prop::option::weighted(0.9, 0..GATHERED_BYTES_MAX / 4), 0..60),
        most in 1_usize..20,
    ) {
        // JSON cannot hold what has no length here.
        let command = |length: &Option<usize>| {
            (length.map_or(f64::NAN, |_| 0.5), "v".repeat(length.unwrap_or_default()))
        };
        let commands: Vec<(f64, String)> = texts.iter().map(command).collect();
        let asks = commands.iter().cloned().map(|command| ask(What::commands([command])));
        let (mut one, mut other) = (Gathering::new(most), Gathering::new(most));
        let (expected, found) = (one.gather(&mut asks.collect()), other.gather_commands(commands.into_iter(), TIMEOUT));
        // What JSON cannot hold is equal to nothing, so its reason is compared.
        let told = |group: &Group| {
            let What::Command(commands) = &group.ask.what else { unreachable!() };
            let text = commands.check().map(|()| commands.text().to_string()).map_err(str::to_string);
            (text, commands.weight(), group.first, group.sizes.clone(), group.commands)
        };
        prop_assert!(found.iter().map(told).eq(expected.iter().map(told)));
        prop_assert_eq!((other.last, other.under_way), (one.last, one.under_way));
    }
}

#[test]
fn only_commands_that_may_go_anywhere_in_the_same_time_share_an_entry() {
    let here = Ask { at: Some(NodeId::new(1)), ..commands([2]) };
    let hasty = Ask { timeout: TIMEOUT / 2, ..commands([5]) };
    let large = ask(What::commands(["v".repeat(GATHERED_BYTES_MAX)]));
    let mut asks = vec![
        commands([0]),
        commands([1]),
        here.clone(),
        commands([3]),
        read(),
        commands([4]),
        hasty.clone(),
        large.clone(),
    ];
    let left: Vec<Ask> = Gathering::new(64).gather(&mut asks).iter().map(Group::ask).collect();
    assert_eq!(left, [commands([0, 1]), here, commands([3]), read(), commands([4]), hasty, large]);
}

#[test]
fn a_gathered_command_of_unknown_outcome_is_asked_about_by_its_part() {
    let mut gathering = Gathering::new(64);
    let groups = gathering.gather(&mut vec![commands([0]), commands([1, 2])]);
    begin(&mut gathering, groups, 1);
    let token = Token { session: SessionId(2), serial: 5, part: None };
    let ended = end(&mut gathering, ended(CallId(1), Outcome::Unknown(token)));
    let part = |before, count| Outcome::Unknown(Token { part: Some(Part { before, count }), ..token });
    let outcomes: Vec<Outcome> = ended.into_iter().map(|ended| ended.outcome).collect();
    assert_eq!(outcomes, [part(0, 1), part(1, 2)]);
}

#[test]
fn one_command_that_is_not_valid_does_not_spoil_the_others() {
    let mut gathering = Gathering::new(64);
    let groups = gathering.gather(&mut vec![commands([0]), commands([1, 2])]);
    begin(&mut gathering, groups, 1);
    let invalid = Outcome::Rejected(Rejection::Invalid("0 is too small".to_string()));
    let mut none = Vec::new();
    // The refusal is not looked at before half of the time is gone.
    let now = Time::from_nanos(100) + TIMEOUT / 2;
    let again = gathering.end(now, ended(CallId(1), invalid.clone()), &mut none);
    assert_eq!(none, [], "no call has ended");
    let again = begin(&mut gathering, again, 2);
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|(_, ask)| ask.timeout == TIMEOUT / 2), "the other half is left");

    let second =
        end(&mut gathering, Ended { began: Time::from_nanos(110), ..ended(CallId(3), invalid.clone()) });
    let took = Duration::from_nanos(17);
    assert_eq!(second, [Ended { call_id: CallId(2), took, ..ended(CallId(2), invalid.clone()) }]);
    let first = end(&mut gathering, ended(CallId(2), invalid));
    assert_eq!((first[0].call_id, gathering.under_way), (CallId(1), 0));
}

#[test]
fn what_others_have_asked_is_left_to_them() {
    let mut gathering = Gathering::new(64);
    let groups = gathering.gather(&mut vec![commands([0])]);
    begin(&mut gathering, groups, 2);
    assert_eq!(end(&mut gathering, answered(CallId(1), &commands([7]))), []);
    assert_eq!(told(&end(&mut gathering, answered(CallId(2), &commands([0])))), [(1, vec![0])]);
}

#[test]
fn with_many_under_way_groups_are_larger_so_that_several_are_on_their_way() {
    let sizes = |calls: u64| {
        let groups =
            Gathering::new(GATHERED_MAX).gather(&mut (0..calls).map(|number| commands([number])).collect());
        groups.iter().map(|group| group.sizes.len()).max()
    };
    assert_eq!([1, 32, 320, 720, 1024, 2048].map(sizes), [1, 32, 40, 90, 128, 128].map(Some));
}
