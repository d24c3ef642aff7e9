//! Linearizability of any machine's history: whether each call can have taken effect at once, at some moment between
//! its call and its return (section 8).
//!
//! A [`Model`] says what one call does to a state. [`judge`] searches for an order of the calls in which each was told what
//! the model says, as Wing and Gong did, with the memory of visited situations that Lowe added. The search takes
//! exponential time at worst: split a history into parts that do not touch each other, such as accounts, where that is
//! possible. [`linearizability`](super::linearizability) judges key-value histories that are far longer.

use std::collections::HashSet;
use std::hash::Hash;

use crate::state_machine::StateMachine;
use crate::types::Time;

/// A machine as a specification: what a call does to a state, and what its caller may be told.
pub trait Model {
    /// All that later calls depend on.
    type State: Clone + Eq + Hash;
    /// What a caller asks.
    type Input;
    /// What a caller is told.
    type Output;

    /// The state before the first call.
    fn initial(&self) -> Self::State;

    /// The state after the call takes effect in `state`. None if its caller would have been told something other than
    /// `output`. `output` is none if the caller was told nothing: then every answer is possible.
    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Self::State>;
}

/// One call of a history. Leave out calls that were certainly rejected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call<I, O> {
    pub input: I,
    pub called: Time,
    /// When the caller was told what. None if it was not: the call may take effect at any time after it was
    /// made, or never.
    pub returned: Option<(Time, O)>,
    /// Where the call may have taken effect among the others, such as its index in the log. It only guides the search.
    pub hint: Option<u64>,
}

/// What [`judge`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// In this order, as positions in the history, each call was told what the model says. Calls without an answer that
    /// need not have taken effect are left out.
    Linearizable(Vec<usize>),
    /// There is no such order.
    Violation {
        /// The position of a call that no order explains: of those before which the search had to retreat, the last to
        /// return.
        call: usize,
        /// What took effect before it when the search first came there.
        order: Vec<usize>,
    },
    /// The search took all of its steps.
    Undecided,
}

/// Judges a history, in any order of its calls, with at most `steps_max` calls of [`Model::step`].
///
/// A call that was made at the very moment at which another returned counts as concurrent with it.
///
/// ```
/// use std::time::Duration;
///
/// use raftlab::linearizability::{Call, Judgement, Model, judge};
/// use raftlab::Time;
///
/// /// A counter that tells what it was before.
/// struct Counter;
///
/// impl Model for Counter {
///     type State = u64;
///     type Input = u64;
///     type Output = u64;
///
///     fn initial(&self) -> u64 {
///         0
///     }
///
///     fn step(&self, before: &u64, added: &u64, told: Option<&u64>) -> Option<u64> {
///         told.is_none_or(|told| told == before).then_some(before + added)
///     }
/// }
///
/// let at = |millis| Time::ZERO + Duration::from_millis(millis);
/// let add = |called, returned, told| Call {
///     input: 1,
///     called: at(called),
///     returned: Some((at(returned), told)),
///     hint: None,
/// };
/// assert_eq!(judge(&Counter, &[add(0, 5, 1), add(1, 3, 0)], 100), Judgement::Linearizable(vec![1, 0]));
/// // Both were told that they came first.
/// assert!(matches!(judge(&Counter, &[add(0, 5, 0), add(1, 3, 0)], 100), Judgement::Violation { call: 0, .. }));
/// ```
pub fn judge<M: Model>(model: &M, calls: &[Call<M::Input, M::Output>], steps_max: u64) -> Judgement {
    let mut events = Events::of(calls);
    let mut state = model.initial();
    let mut taken = Taken(vec![0; calls.len().div_ceil(64)]);
    let mut order: Vec<usize> = Vec::new();
    let mut choices = vec![Choice { calls: events.candidates(calls), tried: 0, before: state.clone() }];
    let mut visited = HashSet::new();
    let mut furthest: Option<(usize, Vec<usize>)> = None;
    let mut steps = 0;
    while let Some(choice) = choices.last_mut() {
        let Some(blocking) = events.first_return() else { return Judgement::Linearizable(order) };
        let Some(&call) = choice.calls.get(choice.tried) else {
            // The next call to return must have taken effect by now, and cannot: another order.
            let returned = |call: usize| calls[call].returned.as_ref().map(|(time, _)| *time);
            if furthest.as_ref().is_none_or(|(known, _)| returned(*known) < returned(blocking)) {
                furthest = Some((blocking, order.clone()));
            }
            choices.pop();
            if let (Some(last), Some(choice)) = (order.pop(), choices.last()) {
                state = choice.before.clone();
                taken.flip(last);
                events.relink(last);
            }
            continue;
        };
        if steps == steps_max {
            return Judgement::Undecided;
        }
        steps += 1;
        choice.tried += 1;
        let told = calls[call].returned.as_ref().map(|(_, told)| told);
        let next = model.step(&state, &calls[call].input, told);
        if let Some(next) = next.filter(|next| visited.insert((taken.with(call), next.clone()))) {
            state = next;
            order.push(call);
            taken.flip(call);
            events.unlink(call);
            choices.push(Choice { calls: events.candidates(calls), tried: 0, before: state.clone() });
        }
    }
    let (call, order) = furthest.expect("a search fails at a call");
    Judgement::Violation { call, order }
}

/// Which call takes effect next, in a situation of the search.
struct Choice<S> {
    /// The most promising first.
    calls: Vec<usize>,
    tried: usize,
    before: S,
}

/// Which calls have taken effect, a bit each.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Taken(Vec<u64>);

impl Taken {
    fn flip(&mut self, call: usize) {
        self.0[call / 64] ^= 1 << (call % 64);
    }

    fn with(&self, call: usize) -> Taken {
        let mut taken = self.clone();
        taken.flip(call);
        taken
    }
}

#[derive(Clone, Copy)]
enum Event {
    Called(usize),
    Returned(usize),
    /// No answered call is left before it: it comes after the last return.
    End,
}

struct Link {
    event: Event,
    previous: usize,
    next: usize,
}

/// Calls and returns in the order of time, as a doubly linked list: a call that takes effect is taken out, and put back when
/// the search retreats.
struct Events {
    /// The first one is the list's head.
    list: Vec<Link>,
    called: Vec<usize>,
    returned: Vec<Option<usize>>,
}

impl Events {
    fn of<I, O>(calls: &[Call<I, O>]) -> Events {
        let made = calls.iter().enumerate().map(|(at, call)| (call.called, 0, Event::Called(at)));
        let answers = calls.iter().enumerate();
        let answers =
            answers.filter_map(|(at, call)| Some((call.returned.as_ref()?.0, 1, Event::Returned(at))));
        let mut events: Vec<(Time, u8, Event)> = made.chain(answers).collect();
        events.sort_by_key(|(time, kind, _)| (*time, *kind));
        // Calls behind the last return have nothing to explain.
        let end = events.iter().rposition(|(_, kind, _)| *kind == 1).map_or(0, |at| at + 1);
        events.truncate(end);
        let events = events.into_iter().map(|(_, _, event)| event);
        let list = [Event::End].into_iter().chain(events).chain([Event::End]).enumerate();
        let list: Vec<Link> =
            list.map(|(at, event)| Link { event, previous: at.saturating_sub(1), next: at + 1 }).collect();
        let (mut called, mut returned) = (vec![0; calls.len()], vec![None; calls.len()]);
        for (at, link) in list.iter().enumerate() {
            match link.event {
                Event::Called(call) => called[call] = at,
                Event::Returned(call) => returned[call] = Some(at),
                Event::End => {}
            }
        }
        Events { list, called, returned }
    }

    /// The calls that may take effect next: those made before the first return.
    fn candidates<I, O>(&self, calls: &[Call<I, O>]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = self.list[0].next;
        while let Event::Called(call) = self.list[at].event {
            found.push(call);
            at = self.list[at].next;
        }
        // The next one by its hint; if that does not fit, one without a hint has probably come before it.
        found.sort_by_key(|call| calls[*call].hint.unwrap_or(u64::MAX));
        let hinted = found.iter().take_while(|call| calls[**call].hint.is_some()).count();
        if hinted > 1 {
            found[1..].rotate_left(hinted - 1);
        }
        found
    }

    /// The first call to return of those that have not taken effect; none when all that returned have.
    fn first_return(&self) -> Option<usize> {
        let mut at = self.list[0].next;
        loop {
            match self.list[at].event {
                Event::Called(_) => at = self.list[at].next,
                Event::Returned(call) => return Some(call),
                Event::End => return None,
            }
        }
    }

    fn unlink(&mut self, call: usize) {
        for at in [Some(self.called[call]), self.returned[call]].into_iter().flatten() {
            let (previous, next) = (self.list[at].previous, self.list[at].next);
            self.list[previous].next = next;
            self.list[next].previous = previous;
        }
    }

    /// In the opposite order of [`Events::unlink`].
    fn relink(&mut self, call: usize) {
        for at in [self.returned[call], Some(self.called[call])].into_iter().flatten() {
            let (previous, next) = (self.list[at].previous, self.list[at].next);
            self.list[previous].next = at;
            self.list[next].previous = at;
        }
    }
}

/// A state machine as a [`Model`] of itself: its state is the JSON of its snapshot.
///
/// Each step restores a machine, so this suits histories of some hundred calls.
pub struct MachineModel<M, F: Fn() -> M>(pub F);

/// What is asked of a state machine: a command or a query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request<C, Q> {
    Command(C),
    /// A query that must not be stale.
    Query(Q),
}

impl<M, F> Model for MachineModel<M, F>
where
    M: StateMachine,
    M::Answer: PartialEq,
    F: Fn() -> M,
{
    type State = String;
    type Input = Request<M::Command, M::Query>;
    type Output = M::Answer;

    fn initial(&self) -> String {
        text_of(&(self.0)())
    }

    fn step(&self, state: &String, input: &Self::Input, output: Option<&M::Answer>) -> Option<String> {
        let mut machine = (self.0)();
        machine.restore(serde_json::from_str(state).expect("a snapshot reads back from its own JSON"));
        let answer = match input {
            Request::Command(command) => machine.apply(command),
            Request::Query(query) => machine.query(query),
        };
        output.is_none_or(|output| *output == answer).then(|| text_of(&machine))
    }
}

fn text_of(machine: &impl StateMachine) -> String {
    serde_json::to_string(&machine.snapshot()).expect("a snapshot can be written as JSON")
}
