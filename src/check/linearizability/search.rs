//! The search for an order, when the log's own does not convince.
//!
//! It goes through the returns in order of time. The operation that returns next must take effect before it does;
//! others that were called by then may do so first. A branch that meets a known situation turns back, which is
//! the memory that Lowe added to the search of Wing and Gong.
//!
//! Seven rules keep the number of situations small and lose no order:
//! - what changes nothing takes effect as soon as it fits;
//! - of answered changes that do the same, the one that returns first comes first;
//! - values on which no answer depends are alike;
//! - an unknown change takes effect only if the next operation needs it, for it may as well do so later or never;
//! - of unknown changes that do the same, the one that was called first comes first, and of those that only do the
//!   same here, the one that can do the least elsewhere;
//! - of situations that differ only in the unknown changes that are used up, one that used less stands for those that
//!   used more;
//! - a value is not left while an operation must still find it and no other operation can write it again.
//!
//! The last rule looks ahead, so a search that fails does not know where. Halving tells: the search is repeated with
//! fewer operations that must be explained, until one more is one too many.
//!
//! There are histories that no rule makes easy: what a search remembers counts against a [`Budget`], and a search that
//! cannot remember more ends without a verdict.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::size_of;

use smallvec::SmallVec;

use super::super::history::Operation;
use super::budget::Budget;
use super::calls::Calls;
use super::model::{Change, Item, KeyHistory, Value};
use super::values::Uses;
use crate::quoting::{CELL_LETTERS, brief};
use crate::types::Time;

/// How many possible values an explanation names.
const VALUES_NAMED: usize = 4;

pub(super) struct Search<'a> {
    pub history: &'a KeyHistory<'a>,
    /// For each answered operation, the earliest call among it and those that return later.
    earliest_calls: Vec<Time>,
    calls: Calls,
    /// For each unknown operation, the one before it that does the same.
    twins: Vec<Option<usize>>,
    uses: Vec<Uses>,
    /// How many of the answered operations, in the order of their returns, are to be explained.
    required: usize,
    /// The most that can be explained, as far as is known.
    possible: usize,
    /// The fewest that cannot, if any.
    impossible: Option<usize>,
    /// Where to continue when no situation on the stack is left; the last is the most promising.
    starts: Vec<Value>,
    stack: Vec<Fork>,
    /// What was used up in the situations that were met, apart from what makes them another.
    met: BTreeMap<Place, SmallVec<[Met; 1]>>,
    /// Bytes of the budget that stack and memory take.
    held: usize,
    /// The values that the key can have had when the first that cannot be explained returned.
    values: BTreeSet<Value>,
    others: bool,
}

/// What is left to do, and the key's value.
#[derive(Clone, Debug)]
struct Situation {
    place: Place,
    used: Used,
    value: Value,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    /// The answered operation that returns next; those before it have taken effect.
    next: usize,
    state: Value,
    /// The later answered operations that have taken effect, in order.
    early: Vec<usize>,
}

/// What allows no other orders, only fewer.
#[derive(Clone, Debug)]
struct Used {
    /// If the last operation to take effect was an unknown one: the class of the value before it.
    before: Option<Value>,
    /// The unknown operations that have taken effect, in order.
    spent: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Met {
    used: Used,
    value: Value,
}

/// A situation from which some ways were not tried yet.
#[derive(Debug)]
struct Fork {
    situation: Situation,
    /// What may take effect next; the last is the most promising.
    ways: Vec<Way>,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Answered(usize),
    Unknown(usize),
}

/// What a turn of a search came to.
pub(super) enum Settled {
    Linearizable,
    /// There is none.
    Contradiction(Contradiction),
    Open,
    /// There is no room to remember more.
    Full,
}

pub(super) struct Contradiction {
    pub position: usize,
    pub returned: Time,
    values: BTreeSet<Value>,
    others: bool,
}

impl<'a> Search<'a> {
    pub fn new(history: &'a KeyHistory<'a>) -> Search<'a> {
        let mut earliest = Time::NEVER;
        let mut earliest_calls: Vec<Time> = Vec::with_capacity(history.answered.len());
        for item in history.answered.iter().rev() {
            earliest = earliest.min(item.called);
            earliest_calls.push(earliest);
        }
        earliest_calls.reverse();
        let mut last: BTreeMap<Change, usize> = BTreeMap::new();
        let twins =
            history.unknown.iter().enumerate().map(|(at, item)| last.insert(item.change, at)).collect();
        let mut search = Search {
            history,
            earliest_calls,
            calls: Calls::new(&history.answered),
            twins,
            uses: Uses::of(history),
            required: 0,
            possible: 0,
            impossible: None,
            starts: Vec::new(),
            stack: Vec::new(),
            met: BTreeMap::new(),
            held: 0,
            values: BTreeSet::new(),
            others: false,
        };
        search.required = history.answered.len();
        search.starts = history.starts.iter().rev().copied().collect();
        search
    }

    /// Searches for this many steps at most, and while there is time and room.
    pub fn run(&mut self, steps: u32, budget: &mut Budget, keep_going: &mut impl FnMut() -> bool) -> Settled {
        for _ in 0..steps {
            if !keep_going() {
                return Settled::Open;
            }
            let settled = match self.advance(budget) {
                Some(situation) => self.visit(situation, budget),
                None => self.fail(budget),
            };
            if let Some(settled) = settled {
                return settled;
            }
        }
        Settled::Open
    }

    /// Gives back what it takes of the budget, and forgets what it knows.
    pub fn release(&mut self, budget: &mut Budget) {
        self.stack = Vec::new();
        self.met = BTreeMap::new();
        budget.give(std::mem::take(&mut self.held));
    }

    /// That there is no order, if that is known already though not since when.
    pub fn contradiction(&self) -> Option<Contradiction> {
        let Item { position, returned, .. } = self.history.answered[self.impossible? - 1];
        Some(Contradiction { position, returned, values: BTreeSet::new(), others: false })
    }

    /// Begins to search for an order that explains these many.
    fn begin(&mut self, required: usize, budget: &mut Budget) {
        self.release(budget);
        self.required = required;
        self.starts = self.history.starts.iter().rev().copied().collect();
        self.others = false;
    }

    fn advance(&mut self, budget: &mut Budget) -> Option<Situation> {
        while let Some(mut fork) = self.stack.pop() {
            let cost = fork.cost();
            let way = fork.ways.pop().expect("a fork without ways is not kept");
            let state = fork.situation.place.state;
            let child = self.after(&fork.situation, way);
            if fork.ways.is_empty() {
                self.held -= cost;
                budget.give(cost);
            } else {
                self.stack.push(fork);
            }
            if child.place.state == state || !self.is_lost(state, &child) {
                return Some(child);
            }
        }
        self.starts.pop().map(Situation::first)
    }

    fn visit(&mut self, mut situation: Situation, budget: &mut Budget) -> Option<Settled> {
        self.settle(&mut situation);
        if situation.place.next >= self.required {
            let Some(impossible) = self.impossible else { return Some(Settled::Linearizable) };
            self.possible = self.required;
            if self.required + 1 < impossible {
                self.halve(impossible, budget);
                return None;
            }
            // One more is one too many: what is left is to see what that one can have found.
            self.values.insert(situation.value);
            if self.values.len() > VALUES_NAMED {
                return self.fail(budget);
            }
        }
        if self.stack.is_empty() && self.starts.is_empty() {
            // There is no other way that could lead to what was met.
            self.release(budget);
        }
        match self.remember(&situation, budget) {
            Some(true) if !self.branch(situation, budget) => Some(Settled::Full),
            Some(_) => None,
            None => Some(Settled::Full),
        }
    }

    /// No situation is left. Says so once it is known which operation is one too many.
    fn fail(&mut self, budget: &mut Budget) -> Option<Settled> {
        if let Some(found) = self.contradiction().filter(|_| self.required == self.possible) {
            let values = std::mem::take(&mut self.values);
            return Some(Settled::Contradiction(Contradiction { values, others: self.others, ..found }));
        }
        self.impossible = Some(self.required);
        self.halve(self.required, budget);
        None
    }

    /// Begins the next search; the last explains all that can be explained.
    fn halve(&mut self, impossible: usize, budget: &mut Budget) {
        self.begin(self.possible.midpoint(impossible), budget);
    }

    /// Whether this is a situation that none that was met stands for; none if there is no room to remember it.
    fn remember(&mut self, situation: &Situation, budget: &mut Budget) -> Option<bool> {
        let Situation { place, used, value } = situation;
        if let Some(known) = self.met.get(place)
            && let Some(stand_in) = known.iter().find(|known| known.used.stands_for(used))
        {
            self.others |= stand_in.value != *value;
            return Some(false);
        }
        let met = Met { used: used.clone(), value: *value };
        let cost = place.cost() + met.cost();
        if !budget.take(cost) {
            return None;
        }
        self.held += cost;
        let known = self.met.entry(place.clone()).or_default();
        let mut freed = 0;
        known.retain(|old| {
            let kept = !used.stands_for(&old.used);
            freed += if kept { 0 } else { old.cost() };
            kept
        });
        known.push(met);
        self.held -= freed;
        budget.give(freed);
        Some(true)
    }

    /// Lets everything take effect that fits and changes nothing.
    fn settle(&self, situation: &mut Situation) {
        loop {
            situation.place.skip_early();
            let state = situation.place.state;
            let fits = |at: &usize| {
                let item = &self.history.answered[*at];
                item.is_pure() && item.apply(state).is_some()
            };
            let fitting: Vec<usize> = self.available(&situation.place).filter(fits).collect();
            if fitting.is_empty() {
                return;
            }
            // What fits only now shows that the unknown change before it was needed.
            situation.used.before = None;
            situation.place.early.extend(fitting);
            situation.place.early.sort_unstable();
        }
    }

    /// The answered operations that may take effect before the next return.
    fn available(&self, place: &Place) -> impl Iterator<Item = usize> {
        let until = self.history.answered.get(place.next).map_or(Time::ZERO, |item| item.returned);
        self.calls.by(until, place.next).into_iter().filter(|at| place.awaits(*at))
    }

    /// Puts on the stack what may come next. False if there is no room for it.
    fn branch(&mut self, situation: Situation, budget: &mut Budget) -> bool {
        let mut ways = self.unknown_ways(&situation);
        let Situation { place, used, value } = &situation;
        let mut answered: Vec<usize> = self.available(place).collect();
        let mut done = BTreeSet::new();
        answered.retain(|at| {
            let item = &self.history.answered[*at];
            !item.is_pure() && done.insert(item.change)
        });
        // The order of the log is the most promising where it is known, then the order of the returns.
        let promise = |at: &usize| (self.history.answered[*at].index.map_or(u64::MAX, |index| index.0), *at);
        answered.sort_by_key(|at| std::cmp::Reverse(promise(at)));
        let fits = |at: &usize| {
            let item = &self.history.answered[*at];
            item.apply(*value).is_some_and(|next| self.is_needed(used, item, next))
        };
        ways.extend(answered.into_iter().filter(fits).map(Way::Answered));
        if ways.is_empty() {
            return true;
        }
        let fork = Fork { situation, ways };
        let cost = fork.cost();
        let room = budget.take(cost);
        if room {
            self.held += cost;
            self.stack.push(fork);
        }
        room
    }

    /// The unknown changes that may take effect now: for each value that they lead to, the one that is the least useful
    /// elsewhere.
    fn unknown_ways(&mut self, situation: &Situation) -> Vec<Way> {
        let Situation { place, used, value } = situation;
        let until = self.history.answered[place.next].returned;
        let mut best: BTreeMap<Value, (u8, usize)> = BTreeMap::new();
        for (at, item) in self.history.unknown.iter().enumerate() {
            if item.called > until {
                break;
            }
            let its_turn = self.twins[at].is_none_or(|twin| used.has(twin));
            if used.has(at) || !its_turn {
                continue;
            }
            let next = item.apply(*value).expect("an unknown outcome fits everywhere");
            let class = self.history.class(next);
            let alike = class == place.state;
            self.others |= alike && next != *value;
            if !alike && self.is_needed(used, item, next) {
                let least = best.entry(class).or_insert((item.reach(), at));
                *least = (item.reach(), at).min(*least);
            }
        }
        best.into_values().rev().map(|(_, at)| Way::Unknown(at)).collect()
    }

    /// Whether an operation that leads to this value could not as well take effect before the unknown change that was
    /// the last.
    fn is_needed(&self, used: &Used, item: &Item, next: Value) -> bool {
        let class = |value| self.history.class(value);
        used.before.and_then(|before| item.apply(before)).map(class) != Some(class(next))
    }

    fn after(&self, situation: &Situation, way: Way) -> Situation {
        let item = match way {
            Way::Answered(at) => &self.history.answered[at],
            Way::Unknown(at) => &self.history.unknown[at],
        };
        let next = item.apply(situation.value).expect("only what fits is a way");
        let state = self.history.class(next);
        match way {
            Way::Answered(at) => situation.after_answered(at, next, state),
            Way::Unknown(at) => situation.after_unknown(at, next, state),
        }
    }

    /// Whether an operation must still find this value, which is gone, and no other can write it in time.
    fn is_lost(&self, value: Value, situation: &Situation) -> bool {
        let Situation { place, used, .. } = situation;
        let uses = &self.uses[value as usize];
        let waits = |at: &&usize| **at < self.required && place.awaits(**at);
        // A change that can write it for the first to return can for the others.
        let Some(first) = from(&uses.observers, place.next).iter().find(waits) else { return false };
        let until = self.history.answered[*first].returned;
        let answered = from(&uses.writers, place.next)
            .iter()
            .take_while(|at| self.earliest_calls[**at] <= until)
            .any(|at| place.awaits(*at) && self.history.answered[*at].called <= until);
        let unknown = || {
            let in_time = uses.unknown.iter().take_while(|at| self.history.unknown[**at].called <= until);
            in_time.into_iter().any(|at| !used.has(*at))
        };
        !answered && !unknown()
    }
}

impl Situation {
    fn first(state: Value) -> Situation {
        Situation {
            place: Place { next: 0, state, early: Vec::new() },
            used: Used { before: None, spent: Vec::new() },
            value: state,
        }
    }

    fn after_answered(&self, at: usize, value: Value, state: Value) -> Situation {
        let Situation { place, used, .. } = self;
        let place = Place { next: place.next, state, early: with(&place.early, at) };
        Situation { place, used: Used { before: None, spent: used.spent.clone() }, value }
    }

    fn after_unknown(&self, at: usize, value: Value, state: Value) -> Situation {
        let Situation { place, used, .. } = self;
        let used = Used { before: Some(place.state), spent: with(&used.spent, at) };
        Situation { place: Place { state, ..place.clone() }, used, value }
    }
}

impl Fork {
    /// Bytes that it takes, at most.
    fn cost(&self) -> usize {
        let Fork { situation, ways } = self;
        let lists = heap(&situation.place.early) + heap(&situation.used.spent) + heap(ways);
        2 * size_of::<Fork>() + lists
    }
}

impl Met {
    /// Bytes that it takes among others, at most.
    fn cost(&self) -> usize {
        2 * size_of::<Met>() + heap(&self.used.spent)
    }
}

impl Place {
    /// Bytes that it takes as the key of a map, at most: a map's nodes may be half empty.
    fn cost(&self) -> usize {
        2 * (size_of::<Place>() + size_of::<SmallVec<[Met; 1]>>()) + heap(&self.early)
    }

    /// Whether this answered operation has yet to take effect.
    fn awaits(&self, at: usize) -> bool {
        at >= self.next && self.early.binary_search(&at).is_err()
    }

    /// Passes the returns of those that have taken effect.
    fn skip_early(&mut self) {
        let passed = self.early.iter().zip(self.next..).take_while(|(early, next)| *early == next).count();
        self.early.drain(..passed);
        self.next += passed;
    }
}

impl Used {
    fn has(&self, at: usize) -> bool {
        self.spent.binary_search(&at).is_ok()
    }

    /// Whether every order that is left after the other is left after this.
    fn stands_for(&self, other: &Used) -> bool {
        (self.before.is_none() || self.before == other.before) && self.spent.iter().all(|at| other.has(*at))
    }
}

impl Contradiction {
    pub fn explain(&self, operation: &Operation, history: &KeyHistory<'_>) -> String {
        let mut values: Vec<Cow<'_, str>> =
            self.values.iter().map(|value| history.describe(*value)).collect();
        if values.is_empty() {
            return format!("{operation}; no order explains this and all that returned before");
        }
        let rest = match values.len() {
            VALUES_NAMED.. if self.others || values.len() > VALUES_NAMED => " or one of several more",
            _ if self.others => " or another that no client was told",
            _ => "",
        };
        values.truncate(VALUES_NAMED);
        let values = values.join(" or ");
        let key = brief(history.key, CELL_LETTERS);
        format!("{operation}; in any order, {key} can only have been {values}{rest}")
    }
}

fn from(sorted: &[usize], first: usize) -> &[usize] {
    &sorted[sorted.partition_point(|at| *at < first)..]
}

/// The places with this one, in order.
fn with(sorted: &[usize], at: usize) -> Vec<usize> {
    let place = sorted.partition_point(|known| *known < at);
    let mut all = Vec::with_capacity(sorted.len() + 1);
    all.extend_from_slice(&sorted[..place]);
    all.push(at);
    all.extend_from_slice(&sorted[place..]);
    all
}

/// Bytes that a list takes beside itself, with what an allocator adds.
fn heap<T>(list: &Vec<T>) -> usize {
    if list.capacity() == 0 { 0 } else { list.capacity() * size_of::<T>() + 16 }
}
