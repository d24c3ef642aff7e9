//! The search for an order, when the log's own does not convince.
//!
//! It goes through the returns in order of time. The operation that returns next must take effect before it does;
//! others that were called by then may do so first. Whoever meets a situation that was met before turns back, which is
//! the memory that Lowe added to the search of Wing and Gong.
//!
//! Six rules keep the number of situations small and lose no order:
//! - what changes nothing takes effect as soon as it fits;
//! - values on which no answer depends are alike;
//! - an unknown change takes effect only if the next operation needs it, for it may as well do so later or never;
//! - of unknown changes that do the same, the one that was called first comes first, and of those that only do the
//!   same here, the one that can do the least elsewhere;
//! - of situations that differ only in the unknown changes that are used up, one that used less stands for those that
//!   used more;
//! - a value is not left while somebody must still find it whom nobody else can write it for.
//!
//! The last rule looks ahead, so a search that fails does not know where. Halving tells: the search is repeated with
//! fewer operations that must be explained, until one more is one too many.

use std::collections::{BTreeMap, BTreeSet};

use super::super::history::Operation;
use super::model::{Item, KeyHistory, Value};
use super::values::Uses;
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
    uses: Vec<Uses>,
    /// How many of the answered operations, in the order of their returns, are to be explained.
    required: usize,
    /// The most that can be explained, as far as is known.
    possible: usize,
    /// The fewest that cannot, if any.
    impossible: Option<usize>,
    /// Where to go on; the last is the most promising.
    stack: Vec<Situation>,
    /// What was used up in the situations that were met, apart from what makes them another.
    met: BTreeMap<Place, Vec<Situation>>,
    /// The values that the key can have had when the first that cannot be explained returned.
    values: BTreeSet<Value>,
    /// Whether there are others like them.
    others: bool,
}

/// What is left to do, and the key's value.
#[derive(Clone, Debug)]
struct Situation {
    place: Place,
    used: Used,
    /// The key's value itself.
    value: Value,
}

/// What decides which orders are left.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    /// The answered operation that returns next; those before it have taken effect.
    next: usize,
    /// The class of the key's value.
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
        let same = |at: usize| {
            let before = &history.unknown[..at];
            before.iter().rposition(|item| item.change == history.unknown[at].change)
        };
        let mut search = Search {
            history,
            earliest_calls,
            twins: (0..history.unknown.len()).map(same).collect(),
            uses: Uses::of(history),
            required: 0,
            possible: 0,
            impossible: None,
            stack: Vec::new(),
            met: BTreeMap::new(),
            values: BTreeSet::new(),
            others: false,
        };
        search.begin(history.answered.len());
        search
    }

    /// Searches for this many steps at most, and while there is time.
    pub fn run(&mut self, steps: u32, keep_going: &mut impl FnMut() -> bool) -> Settled {
        for _ in 0..steps {
            if !keep_going() {
                return Settled::Open;
            }
            let settled = match self.stack.pop() {
                Some(situation) => self.visit(situation),
                None => self.fail(),
            };
            if let Some(settled) = settled {
                return settled;
            }
        }
        Settled::Open
    }

    /// That there is no order, if that is known already though not since when.
    pub fn contradiction(&self) -> Option<Contradiction> {
        let Item { position, returned, .. } = self.history.answered[self.impossible? - 1];
        Some(Contradiction { position, returned, values: BTreeSet::new(), others: false })
    }

    /// Begins to search for an order that explains these many.
    fn begin(&mut self, required: usize) {
        self.required = required;
        self.stack = self.history.starts.iter().rev().map(|start| Situation::first(*start)).collect();
        self.met.clear();
        self.others = false;
    }

    fn visit(&mut self, mut situation: Situation) -> Option<Settled> {
        self.settle(&mut situation);
        if situation.place.next >= self.required {
            let Some(impossible) = self.impossible else { return Some(Settled::Linearizable) };
            self.possible = self.required;
            if self.required + 1 < impossible {
                self.halve(impossible);
                return None;
            }
            // One more is one too many: what is left is to see what that one can have found.
            self.values.insert(situation.value);
            if self.values.len() > VALUES_NAMED {
                return self.fail();
            }
        }
        if self.remember(&situation) {
            self.branch(&situation);
        }
        None
    }

    /// No situation is left. Says so once it is known which operation is one too many.
    fn fail(&mut self) -> Option<Settled> {
        if let Some(found) = self.contradiction().filter(|_| self.required == self.possible) {
            let values = std::mem::take(&mut self.values);
            return Some(Settled::Contradiction(Contradiction { values, others: self.others, ..found }));
        }
        self.impossible = Some(self.required);
        self.halve(self.required);
        None
    }

    /// Begins the next search; the last explains all that can be explained.
    fn halve(&mut self, impossible: usize) {
        self.begin(self.possible.midpoint(impossible));
    }

    /// Whether this is a situation that none that was met stands for.
    fn remember(&mut self, situation: &Situation) -> bool {
        let known = self.met.entry(situation.place.clone()).or_default();
        let stand_in = known.iter().find(|known| known.used.stands_for(&situation.used));
        self.others |= stand_in.is_some_and(|known| known.value != situation.value);
        let new = stand_in.is_none();
        if new {
            known.retain(|known| !situation.used.stands_for(&known.used));
            known.push(situation.clone());
        }
        new
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
            // Whatever fits only now shows that the unknown change before it was needed.
            situation.used.before = None;
            situation.place.early.extend(fitting);
            situation.place.early.sort_unstable();
        }
    }

    /// The answered operations that may take effect before the next return.
    fn available(&self, place: &Place) -> impl Iterator<Item = usize> {
        let until = self.history.answered.get(place.next).map_or(Time::ZERO, |item| item.returned);
        (place.next..self.history.answered.len())
            .take_while(move |at| self.earliest_calls[*at] <= until)
            .filter(move |at| self.history.answered[*at].called <= until)
            .filter(|at| place.awaits(*at))
    }

    /// Puts on the stack what may come next.
    fn branch(&mut self, situation: &Situation) {
        let Situation { place, used, value } = situation;
        let class = |value| self.history.class(value);
        let until = self.history.answered[place.next].returned;
        let needed = |item: &Item, next| {
            used.before.and_then(|before| item.apply(before)).map(class) != Some(class(next))
        };
        // By the value that they lead to: the one that is the least useful elsewhere.
        let mut unknown: BTreeMap<Value, (u8, usize)> = BTreeMap::new();
        for (at, item) in self.history.unknown.iter().enumerate() {
            if item.called > until {
                break;
            }
            let its_turn = self.twins[at].is_none_or(|twin| used.has(twin));
            if used.has(at) || !its_turn {
                continue;
            }
            let next = item.apply(*value).expect("an unknown outcome fits everywhere");
            let alike = class(next) == place.state;
            self.others |= alike && next != *value;
            if !alike && needed(item, next) {
                let best = unknown.entry(class(next)).or_insert((item.reach(), at));
                *best = (item.reach(), at).min(*best);
            }
        }
        let after = |at: &usize| {
            let next = self.history.unknown[*at].apply(*value).expect("it was applied above");
            situation.after_unknown(*at, next, class(next))
        };
        let mut children: Vec<Situation> = unknown.values().rev().map(|(_, at)| after(at)).collect();
        let mut answered: Vec<usize> = self.available(place).collect();
        // The order of the log is the most promising where it is known, then the order of the returns.
        let promise = |at: &usize| (self.history.answered[*at].index.map_or(u64::MAX, |index| index.0), *at);
        answered.sort_by_key(|at| std::cmp::Reverse(promise(at)));
        for at in answered {
            let item = &self.history.answered[at];
            if let Some(next) = item.apply(*value)
                && needed(item, next)
            {
                children.push(situation.after_answered(at, next, class(next)));
            }
        }
        children.retain(|child| child.place.state == place.state || !self.is_lost(place.state, child));
        self.stack.append(&mut children);
    }

    /// Whether somebody must still find this value, which is gone, and nobody can write it in time.
    fn is_lost(&self, value: Value, situation: &Situation) -> bool {
        let Situation { place, used, .. } = situation;
        let uses = &self.uses[value as usize];
        let waits = |at: &&usize| **at < self.required && place.awaits(**at);
        // Whoever can write it for the first to return can for the others.
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
        let Situation { mut place, mut used, .. } = self.clone();
        place.state = state;
        insert(&mut place.early, at);
        used.before = None;
        Situation { place, used, value }
    }

    fn after_unknown(&self, at: usize, value: Value, state: Value) -> Situation {
        let Situation { mut place, mut used, .. } = self.clone();
        used.before = Some(place.state);
        insert(&mut used.spent, at);
        place.state = state;
        Situation { place, used, value }
    }
}

impl Place {
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
    /// In one line, for people.
    pub fn explain(&self, operation: &Operation, history: &KeyHistory<'_>) -> String {
        let mut values: Vec<&str> = self.values.iter().map(|value| history.describe(*value)).collect();
        if values.is_empty() {
            return format!("{operation}; no order explains this and all that returned before");
        }
        let rest = match values.len() {
            VALUES_NAMED.. if self.others || values.len() > VALUES_NAMED => " or one of several more",
            _ if self.others => " or another that nobody was told",
            _ => "",
        };
        values.truncate(VALUES_NAMED);
        let values = values.join(" or ");
        format!("{operation}; in whatever order, {} can only have been {values}{rest}", history.key)
    }
}

/// The places from this one on.
fn from(sorted: &[usize], first: usize) -> &[usize] {
    &sorted[sorted.partition_point(|at| *at < first)..]
}

fn insert(sorted: &mut Vec<usize>, at: usize) {
    let place = sorted.partition_point(|known| *known < at);
    sorted.insert(place, at);
}
