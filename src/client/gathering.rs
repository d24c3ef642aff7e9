//! Calls that leave together share an entry: the cost of an entry, on every node, is then shared by many commands.
//!
//! No call waits for others to join: only calls that are handed over at once are gathered. Each call ends by itself, with
//! its own part of the answers. The commands of an entry are applied in the order of the calls with nothing between them,
//! which is one of the orders that concurrent calls may take effect in.
//!
//! [`Gathering`] only groups and divides; its driver makes the calls and takes in their ends.

use std::time::Duration;

use serde::Serialize;
use smallvec::{SmallVec, smallvec};

use super::call::CallId;
use super::core::Ended;
use super::{Answered, Ask, Outcome, Rejection, What};
use crate::ascending::Ascending;
use crate::payload::{Batch, Payload};
use crate::types::{Part, Time};

/// The most commands that share an entry, by default.
pub const GATHERED_MAX: usize = 128;

/// The most bytes that they weigh together: beyond this an entry's own cost is small beside theirs.
const GATHERED_BYTES_MAX: usize = 64 << 10;

/// Many commands under way make at least this many groups, so that one travels while another is written and a third is
/// applied.
const GROUPS_MIN: usize = 8;

/// Groups are not made smaller than this to have more of them.
const GROUP_MIN: usize = 32;

/// How many commands may share an entry while `under_way` are under way; never more than `most`.
pub fn gathered_max(under_way: usize, most: usize) -> usize {
    (under_way / GROUPS_MIN).max(GROUP_MIN).min(most).max(1)
}

/// Calls under way, by the group in which they left. See the head of this file.
#[derive(Clone, Debug)]
pub struct Gathering {
    most: usize,
    /// The last name that was given to a call.
    last: CallId,
    /// Commands under way; a call of another kind counts as one.
    under_way: usize,
    /// The groups under way, by the name under which each was asked.
    groups: Ascending<CallId, Group>,
}

#[derive(Clone, Debug)]
pub struct Group {
    /// What is asked for all of them.
    ask: Ask,
    /// The first one's name; the others' follow it.
    first: CallId,
    /// How many commands each call has; empty for a call that never shares an entry.
    sizes: SmallVec<[u32; 4]>,
    commands: usize,
    /// When they began, if they first left in another group.
    began: Option<Time>,
}

impl Gathering {
    /// No call is under way, and `most` commands may share an entry.
    pub fn new(most: usize) -> Gathering {
        Gathering { most, last: CallId(0), under_way: 0, groups: Ascending::default() }
    }

    /// From now on `most` commands may share an entry.
    pub fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Makes groups of calls that leave now, and names the calls in the order of asking: these count up.
    ///
    /// Each group is to be asked and then handed to [`Gathering::begun`].
    pub fn gather(&mut self, asks: Vec<Ask>) -> Vec<Group> {
        self.under_way += asks.iter().map(Ask::weight).sum::<usize>();
        let most = gathered_max(self.under_way, self.most);
        let mut groups: Vec<Group> = Vec::with_capacity(asks.len() / most + 1);
        for ask in asks {
            self.last = CallId(self.last.0 + 1);
            let alone = match groups.last_mut() {
                Some(group) => group.join(ask, most),
                None => Some(ask),
            };
            groups.extend(alone.map(|ask| Group::of(ask, self.last)));
        }
        groups
    }

    /// The same of commands of one type, each a call of its own, that all have this time. They become parts of their entries
    /// at once: none is made a payload of its own before.
    pub fn gather_commands<C: Serialize + Send + Sync + 'static>(
        &mut self,
        commands: impl ExactSizeIterator<Item = C>,
        timeout: Duration,
    ) -> Vec<Group> {
        self.under_way += commands.len();
        let most = gathered_max(self.under_way, self.most);
        let mut groups = Vec::with_capacity(commands.len() / most + 1);
        let mut left = commands.len();
        let (mut shared, mut weight) = (Batch::with_capacity(left.min(most)), 0);
        for command in commands {
            let more = Payload::weight_in_list(&command);
            if shared.len() == most || more.is_none_or(|more| weight + more > GATHERED_BYTES_MAX) {
                let full = std::mem::replace(&mut shared, Batch::with_capacity(left.min(most)));
                groups.extend(self.group_of(full, weight, timeout));
                weight = 0;
            }
            left -= 1;
            match more {
                Some(more) => {
                    shared.push(command);
                    weight += more;
                }
                // It is rejected by itself.
                None => groups.push(self.group_alone(command, timeout)),
            }
        }
        groups.extend(self.group_of(shared, weight, timeout));
        groups
    }

    /// The group of these commands, of this weight together; none if there are none.
    fn group_of<C: Serialize + Send + Sync + 'static>(
        &mut self,
        commands: Batch<C>,
        weight: usize,
        timeout: Duration,
    ) -> Option<Group> {
        let count = commands.len();
        let first = CallId(self.last.0 + 1);
        self.last = CallId(self.last.0 + count as u64);
        (count > 0).then(|| {
            let what = What::Command(Payload::batch_weighing(commands, weight));
            let ask = Ask { what, at: None, timeout };
            Group { ask, first, sizes: smallvec![1; count], commands: count, began: None }
        })
    }

    fn group_alone<C: Serialize + Send + Sync + 'static>(&mut self, command: C, timeout: Duration) -> Group {
        self.last = CallId(self.last.0 + 1);
        Group::of(Ask { what: What::commands([command]), at: None, timeout }, self.last)
    }

    /// The name of the last call that was gathered.
    pub fn last(&self) -> CallId {
        self.last
    }

    /// The group was asked under this name.
    pub fn begun(&mut self, asked: CallId, group: Group) {
        self.groups.insert(asked, group);
    }

    /// Takes in the end of a group, and adds the end of each of its calls to `ended`. Ignores calls that it did not gather.
    ///
    /// If one command of a group is not valid, none of them was applied: then this returns a group for each call, to be asked
    /// again.
    pub fn end(&mut self, now: Time, all: Ended, ended: &mut Vec<Ended>) -> Vec<Group> {
        let Some(group) = self.groups.remove(all.call_id) else { return Vec::new() };
        if group.sizes.len() > 1
            && matches!(all.outcome, Outcome::Rejected(Rejection::Invalid(_) | Rejection::Panicked(_)))
        {
            return group.apart(now, all.began);
        }
        self.under_way -= group.commands;
        let Group { first, sizes, began, .. } = group;
        let began_first = began.unwrap_or(all.began);
        let took = all.returned().since(began_first);
        let ended_with =
            |outcome, number| Ended { call_id: CallId(first.0 + number), outcome, began: began_first, took };
        if sizes.len() <= 1 {
            ended.push(ended_with(all.outcome, 0));
            return Vec::new();
        }
        let mut before = 0;
        for (number, count) in (0..).zip(sizes) {
            ended.push(ended_with(all.outcome.of_part(Part { before, count }), number));
            before += count;
        }
        Vec::new()
    }
}

impl Group {
    fn of(ask: Ask, first: CallId) -> Group {
        let sizes: SmallVec<[u32; 4]> = ask.commands().into_iter().collect();
        Group { commands: ask.weight(), ask, first, sizes, began: None }
    }

    /// What is to be asked for its calls.
    pub fn ask(&self) -> Ask {
        self.ask.clone()
    }

    /// Takes a call in; returns it if it must leave by itself.
    fn join(&mut self, ask: Ask, most: usize) -> Option<Ask> {
        let (Some(size), false) = (ask.commands(), self.sizes.is_empty()) else { return Some(ask) };
        let sum = self.commands + size as usize;
        if sum > most || self.ask.timeout != ask.timeout {
            return Some(ask);
        }
        match (&mut self.ask.what, ask) {
            (What::Command(commands), Ask { what: What::Command(more), at, timeout }) => {
                let too_large = commands.weight() + more.weight() > GATHERED_BYTES_MAX;
                let refused = if too_large { Err(more) } else { commands.append(more) };
                if let Err(more) = refused {
                    return Some(Ask { what: What::Command(more), at, timeout });
                }
                self.sizes.push(size);
                self.commands = sum;
                None
            }
            (_, ask) => Some(ask),
        }
    }

    /// Its calls, each by itself, with the time that is left to them.
    fn apart(self, now: Time, began: Time) -> Vec<Group> {
        let Group { ask: Ask { what: What::Command(commands), at, timeout }, first, sizes, .. } = self else {
            unreachable!("commands alone are gathered")
        };
        let timeout = (began + timeout).since(now);
        let sizes = sizes.into_iter().map(|size| size as usize);
        let parts = commands.split(sizes.clone());
        let alone = |((number, part), commands)| Group {
            ask: Ask { what: What::Command(part), at, timeout },
            first: CallId(first.0 + number),
            sizes: SmallVec::new(),
            commands,
            began: Some(began),
        };
        (0..).zip(parts).zip(sizes).map(alone).collect()
    }
}

impl Ask {
    /// How many commands it has, if it has any and they can be gathered with others.
    fn commands(&self) -> Option<u32> {
        match &self.what {
            // A batch of none has no part in the answers, and one that JSON cannot hold is rejected by itself.
            What::Command(commands) if self.at.is_none() && commands.check().is_ok() => {
                commands.items().filter(|items| *items > 0)?.try_into().ok()
            }
            What::Command(_) | What::Named { .. } | What::Settle(_) | What::Read { .. } => None,
        }
    }

    /// How many commands it has; one, if it has none that can be counted.
    fn weight(&self) -> usize {
        match &self.what {
            What::Command(commands) => commands.items().unwrap_or(1).max(1),
            What::Named { .. } | What::Settle(_) | What::Read { .. } => 1,
        }
    }
}

impl Outcome {
    /// What this outcome of an entry is to the call that has this part of it.
    fn of_part(&self, part: Part) -> Outcome {
        let part = Some(part);
        match self {
            Outcome::Answered(answered) => Outcome::Answered(Answered { part, ..answered.clone() }),
            Outcome::Unknown(token) => Outcome::Unknown(super::Token { part, ..*token }),
            Outcome::Panicked(token, reason) => {
                Outcome::Panicked(super::Token { part, ..*token }, reason.clone())
            }
            Outcome::Rejected(_) | Outcome::Settled(_) => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn begin(gathering: &mut Gathering, groups: Vec<Group>, first: u64) -> Vec<(CallId, Ask)> {
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
                let groups = gathering.gather(asks.collect());
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
            let (expected, found) = (one.gather(asks.collect()), other.gather_commands(commands.into_iter(), TIMEOUT));
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
        let asks = vec![
            commands([0]),
            commands([1]),
            here.clone(),
            commands([3]),
            read(),
            commands([4]),
            hasty.clone(),
            large.clone(),
        ];
        let left: Vec<Ask> = Gathering::new(64).gather(asks).iter().map(Group::ask).collect();
        assert_eq!(left, [commands([0, 1]), here, commands([3]), read(), commands([4]), hasty, large]);
    }

    #[test]
    fn a_gathered_command_of_unknown_outcome_is_asked_about_by_its_part() {
        let mut gathering = Gathering::new(64);
        let groups = gathering.gather(vec![commands([0]), commands([1, 2])]);
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
        let groups = gathering.gather(vec![commands([0]), commands([1, 2])]);
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
        let groups = gathering.gather(vec![commands([0])]);
        begin(&mut gathering, groups, 2);
        assert_eq!(end(&mut gathering, answered(CallId(1), &commands([7]))), []);
        assert_eq!(told(&end(&mut gathering, answered(CallId(2), &commands([0])))), [(1, vec![0])]);
    }

    #[test]
    fn with_many_under_way_groups_are_larger_so_that_several_are_on_their_way() {
        let sizes = |calls: u64| {
            let groups =
                Gathering::new(GATHERED_MAX).gather((0..calls).map(|number| commands([number])).collect());
            groups.iter().map(|group| group.sizes.len()).max()
        };
        assert_eq!([1, 32, 320, 720, 1024, 2048].map(sizes), [1, 32, 40, 90, 128, 128].map(Some));
    }
}
