//! Calls that leave together share an entry: the cost of an entry, on every node, is then shared by many commands.
//!
//! Calls of a pipeline that are handed over at once are gathered, and none waits for others to join. Calls of threads that
//! share a client are gathered while several groups are under way (`src/client/shared.rs`). Each call ends by itself, with
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
    /// Calls under way.
    calls: usize,
    /// The groups under way, by the name under which each was asked.
    groups: Ascending<CallId, Group>,
}

/// Groups that leave now, mostly one.
pub type Groups = SmallVec<[Group; 1]>;

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
        Gathering { most, last: CallId(0), under_way: 0, calls: 0, groups: Ascending::default() }
    }

    /// From now on `most` commands may share an entry.
    pub fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Makes groups of calls that leave now, and names the calls in the order of asking: these count up.
    ///
    /// Each group is to be asked and then handed to [`Gathering::begun`].
    pub fn gather(&mut self, asks: &mut Vec<Ask>) -> Groups {
        self.under_way += asks.iter().map(Ask::weight).sum::<usize>();
        self.calls += asks.len();
        let most = gathered_max(self.under_way, self.most);
        let mut groups = Groups::new();
        for ask in asks.drain(..) {
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
    ) -> Groups {
        self.under_way += commands.len();
        self.calls += commands.len();
        let most = gathered_max(self.under_way, self.most);
        let mut groups = Groups::new();
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

    /// Calls under way.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Groups under way.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Whether as many groups are under way as there should be, so that a call that may wait does best to share one.
    pub fn is_busy(&self) -> bool {
        self.groups.len() >= GROUPS_MIN
    }

    /// Whether a group of this name is under way.
    pub fn has(&self, asked: CallId) -> bool {
        self.groups.get(asked).is_some()
    }

    /// The group was asked under this name.
    pub fn begun(&mut self, asked: CallId, group: Group) {
        self.groups.insert(asked, group);
    }

    /// Takes in the end of a group, and adds the end of each of its calls to `ended`. Ignores calls that it did not gather.
    ///
    /// If one command of a group is not valid, none of them was applied: then this returns a group for each call, to be asked
    /// again.
    pub fn end(&mut self, now: Time, all: Ended, ended: &mut Vec<Ended>) -> Groups {
        let Some(group) = self.groups.remove(all.call_id) else { return Groups::new() };
        if group.sizes.len() > 1
            && matches!(all.outcome, Outcome::Rejected(Rejection::Invalid(_) | Rejection::Panicked(_)))
        {
            return group.apart(now, all.began);
        }
        self.under_way -= group.commands;
        self.calls -= group.sizes.len().max(1);
        let Group { first, sizes, began, .. } = group;
        let began_first = began.unwrap_or(all.began);
        let took = all.returned().since(began_first);
        let ended_with =
            |outcome, number| Ended { call_id: CallId(first.0 + number), outcome, began: began_first, took };
        if sizes.len() <= 1 {
            ended.push(ended_with(all.outcome, 0));
            return Groups::new();
        }
        let mut before = 0;
        for (number, count) in (0..).zip(sizes) {
            ended.push(ended_with(all.outcome.of_part(Part { before, count }), number));
            before += count;
        }
        Groups::new()
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
    fn apart(self, now: Time, began: Time) -> Groups {
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
    /// Whether others may share its entry.
    pub(super) fn may_share(&self) -> bool {
        let What::Command(commands) = &self.what else { return false };
        let is_small = |count| (count as usize) < GATHERED_MAX && commands.weight() < GATHERED_BYTES_MAX;
        self.commands().is_some_and(is_small)
    }

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
mod tests;
