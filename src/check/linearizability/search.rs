//! The search for an order, when the log's own does not convince.
//!
//! It goes through the returns in order of time. The operation that returns next must take effect before it does;
//! others that were called by then may do so first. Whoever meets a situation that was met before turns back, which is
//! the memory that Lowe added to the search of Wing and Gong.
//!
//! Three rules keep the number of situations small and lose no order:
//! - what changes nothing takes effect as soon as it fits;
//! - an unknown change takes effect only if the next operation needs it, for it may as well do so later or never;
//! - of unknown changes that do the same, the one that was called first comes first.

use std::collections::BTreeSet;

use super::super::history::Operation;
use super::model::{ABSENT, Item, KeyHistory, Value};
use crate::types::Time;

/// How many possible values an explanation names.
const VALUES_NAMED: usize = 4;

/// A search on one key.
pub(super) struct Search<'a> {
    pub history: &'a KeyHistory<'a>,
    /// For each answered operation, the earliest call among it and those that return later.
    earliest_calls: Vec<Time>,
    /// For each unknown operation, the one before it that does the same.
    twins: Vec<Option<usize>>,
    /// Where to go on; the last is the most promising.
    stack: Vec<Situation>,
    met: BTreeSet<Situation>,
    /// The furthest return that was reached, and the values that the key can have had then.
    furthest: (usize, BTreeSet<Value>),
}

/// What is left to do, and the key's value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Situation {
    /// The answered operation that returns next; those before it have taken effect.
    next: usize,
    state: Value,
    /// If the last operation to take effect was an unknown one: the value before it.
    before: Option<Value>,
    /// The later answered operations that have taken effect, in order.
    early: Vec<usize>,
    /// The unknown operations that have taken effect, in order.
    spent: Vec<usize>,
}

/// What a turn of a search came to.
pub(super) enum Settled {
    /// There is an order.
    Linearizable,
    /// There is none.
    Contradiction(Contradiction),
    /// The turn is over.
    Open,
}

/// An operation that no order allows.
pub(super) struct Contradiction {
    /// Its place in the whole history.
    pub position: usize,
    /// When it returned.
    pub returned: Time,
    values: BTreeSet<Value>,
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
        let same = |at: usize| {
            let before = &history.unknown[..at];
            before.iter().rposition(|item| item.change == history.unknown[at].change)
        };
        Search {
            history,
            earliest_calls,
            twins: (0..history.unknown.len()).map(same).collect(),
            stack: vec![Situation {
                next: 0,
                state: ABSENT,
                before: None,
                early: Vec::new(),
                spent: Vec::new(),
            }],
            met: BTreeSet::new(),
            furthest: (0, BTreeSet::new()),
        }
    }

    /// Searches for this many steps at most, and while there is time.
    pub fn run(&mut self, steps: u32, keep_going: &mut impl FnMut() -> bool) -> Settled {
        for _ in 0..steps {
            if !keep_going() {
                return Settled::Open;
            }
            let Some(mut situation) = self.stack.pop() else {
                let (next, values) = std::mem::take(&mut self.furthest);
                let Item { position, returned, .. } = self.history.answered[next];
                return Settled::Contradiction(Contradiction { position, returned, values });
            };
            self.settle(&mut situation);
            if situation.next == self.history.answered.len() {
                return Settled::Linearizable;
            }
            self.note_reached(&situation);
            if self.met.insert(situation.clone()) {
                self.branch(&situation);
            }
        }
        Settled::Open
    }

    fn note_reached(&mut self, situation: &Situation) {
        let (furthest, values) = &mut self.furthest;
        if situation.next > *furthest {
            *furthest = situation.next;
            values.clear();
        }
        if situation.next == *furthest {
            values.insert(situation.state);
        }
    }

    /// Lets everything take effect that fits and changes nothing.
    fn settle(&self, situation: &mut Situation) {
        loop {
            situation.skip_early();
            let state = situation.state;
            let fits = |at: &usize| {
                let item = &self.history.answered[*at];
                item.is_pure() && item.apply(state).is_some()
            };
            let fitting: Vec<usize> = self.available(situation).filter(fits).collect();
            if fitting.is_empty() {
                return;
            }
            // Whatever fits only now shows that the unknown change before it was needed.
            situation.before = None;
            situation.early.extend(fitting);
            situation.early.sort_unstable();
        }
    }

    /// The answered operations that may take effect before the next return.
    fn available(&self, situation: &Situation) -> impl Iterator<Item = usize> {
        let until = self.history.answered.get(situation.next).map_or(Time::ZERO, |item| item.returned);
        (situation.next..self.history.answered.len())
            .take_while(move |at| self.earliest_calls[*at] <= until)
            .filter(move |at| self.history.answered[*at].called <= until)
            .filter(|at| situation.early.binary_search(at).is_err())
    }

    /// Puts on the stack what may come next.
    fn branch(&mut self, situation: &Situation) {
        let until = self.history.answered[situation.next].returned;
        let needed = |item: &Item, next| situation.before.and_then(|before| item.apply(before)) != Some(next);
        let mut children = Vec::new();
        for (at, item) in self.history.unknown.iter().enumerate().rev() {
            let spent = |at: usize| situation.spent.binary_search(&at).is_ok();
            let its_turn = self.twins[at].is_none_or(spent);
            if item.called > until || spent(at) || !its_turn {
                continue;
            }
            let next = item.apply(situation.state).expect("an unknown outcome fits everywhere");
            if next != situation.state && needed(item, next) {
                children.push(situation.after_unknown(at, next));
            }
        }
        let mut answered: Vec<usize> = self.available(situation).collect();
        // The order of the log is the most promising where it is known, then the order of the returns.
        let promise = |at: &usize| (self.history.answered[*at].index.map_or(u64::MAX, |index| index.0), *at);
        answered.sort_by_key(|at| std::cmp::Reverse(promise(at)));
        for at in answered {
            let item = &self.history.answered[at];
            if let Some(next) = item.apply(situation.state)
                && needed(item, next)
            {
                children.push(situation.after_answered(at, next));
            }
        }
        self.stack.append(&mut children);
    }
}

impl Situation {
    fn after_answered(&self, at: usize, state: Value) -> Situation {
        let mut after = Situation { state, before: None, ..self.clone() };
        insert(&mut after.early, at);
        after
    }

    fn after_unknown(&self, at: usize, state: Value) -> Situation {
        let mut after = Situation { state, before: Some(self.state), ..self.clone() };
        insert(&mut after.spent, at);
        after
    }

    /// Passes the returns of those that have taken effect.
    fn skip_early(&mut self) {
        let passed = self.early.iter().zip(self.next..).take_while(|(early, next)| *early == next).count();
        self.early.drain(..passed);
        self.next += passed;
    }
}

impl Contradiction {
    /// In one line, for people.
    pub fn explain(&self, operation: &Operation, history: &KeyHistory<'_>) -> String {
        let mut values: Vec<&str> = self.values.iter().map(|value| history.describe(*value)).collect();
        let more = values.len() > VALUES_NAMED;
        values.truncate(VALUES_NAMED);
        let values = values.join(" or ");
        let rest = if more { " or one of several more" } else { "" };
        format!("{operation}; in whatever order, {} can only have been {values}{rest}", history.key)
    }
}

fn insert(sorted: &mut Vec<usize>, at: usize) {
    let place = sorted.partition_point(|known| *known < at);
    sorted.insert(place, at);
}
