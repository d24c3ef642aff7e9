//! When applying is left off: the one thing in a step that depends on how fast this machine is. It is noted, so that a replay
//! leaves off at the same entry.

use std::cell::{Cell, RefCell};

use smallvec::SmallVec;

/// The entries of a step, counted from 1, after which applying was left off.
pub type LeftOff = SmallVec<[u32; 1]>;

/// Decides after each applied entry whether to leave the rest to a thread of the state machine's own.
#[derive(Default)]
pub(super) struct Lateness {
    /// Asks a clock; none in virtual time, and in a replay.
    clock: Option<Box<dyn Fn() -> bool + Send>>,
    /// Entries that were applied in this step.
    applied: Cell<u32>,
    left_off: RefCell<LeftOff>,
}

impl Lateness {
    pub fn by_clock(is_late: impl Fn() -> bool + Send + 'static) -> Lateness {
        Lateness { clock: Some(Box::new(is_late)), ..Lateness::default() }
    }

    /// A step begins. In a replay, applying is left off where it was.
    pub fn begin(&mut self, left_off: Option<LeftOff>) {
        self.applied.set(0);
        match left_off {
            Some(left_off) => *self = Lateness { left_off: RefCell::new(left_off), ..Lateness::default() },
            None => self.left_off.borrow_mut().clear(),
        }
    }

    /// An entry was applied: whether it is late.
    pub fn is_late(&self) -> bool {
        let applied = self.applied.get() + 1;
        self.applied.set(applied);
        let Some(clock) = &self.clock else { return self.left_off.borrow().contains(&applied) };
        let is_late = clock();
        if is_late {
            self.left_off.borrow_mut().push(applied);
        }
        is_late
    }

    pub fn left_off(&self) -> LeftOff {
        self.left_off.borrow().clone()
    }
}
