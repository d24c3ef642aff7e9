//! A person's wish to stop what is running, or the program: raised by a signal, seen by the console and by every loop that waits.
//!
//! It wakes one waiter, as a signal does; a caller that waits for something else too selects over both. Seeing
//! it does not lower it: only the console, which knows what was stopped, does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// The wish, shared by all who raise it or heed it.
#[derive(Debug)]
pub struct Interrupt {
    raised: AtomicBool,
    /// Not only what is running is to stop, but the program.
    ends: AtomicBool,
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Interrupt {
    /// Not raised.
    pub fn new() -> Interrupt {
        let (sender, receiver) = bounded(1);
        Interrupt { raised: AtomicBool::new(false), ends: AtomicBool::new(false), sender, receiver }
    }

    /// Asks to stop. Returns whether an earlier request is still unanswered.
    pub fn raise(&self) -> bool {
        let before = self.raised.swap(true, Ordering::SeqCst);
        // A full channel holds a wake-up already: one is enough.
        let _ = self.sender.try_send(());
        before
    }

    /// Asks the program to end: the wish is never lowered. Returns whether an earlier request is still unanswered.
    pub fn end(&self) -> bool {
        self.ends.store(true, Ordering::SeqCst);
        self.raise()
    }

    /// Whether the program was asked to end.
    pub fn ends(&self) -> bool {
        self.ends.load(Ordering::SeqCst)
    }

    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// What was running has stopped; a new wish may come. The wish that the program ends stays.
    pub fn lower(&self) {
        let _ = self.receiver.try_recv();
        self.raised.store(false, Ordering::SeqCst);
        if self.ends() {
            self.raise();
        }
    }

    /// Waits for this long, unless it is raised.
    pub fn pause(&self, pause: Duration) {
        // A pause that is cut short is what an interrupt wants.
        let _ = self.receiver.recv_timeout(pause);
    }

    /// Becomes ready, once, on a request to stop. The one who takes its message must look at
    /// [`Interrupt::is_raised`] from then on.
    pub fn receiver(&self) -> &Receiver<()> {
        &self.receiver
    }
}

impl Default for Interrupt {
    fn default() -> Interrupt {
        Interrupt::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_raised_until_it_is_lowered() {
        let interrupt = Interrupt::new();
        assert!(!interrupt.raise(), "it was not raised before");
        assert!(interrupt.raise(), "asked again");
        assert!(interrupt.is_raised() && interrupt.receiver().try_recv().is_ok());
        interrupt.lower();
        assert!(!interrupt.is_raised() && interrupt.receiver().try_recv().is_err());
    }

    #[test]
    fn the_wish_to_end_is_not_lowered() {
        let interrupt = Interrupt::new();
        assert!(!interrupt.raise() && interrupt.end(), "the first is unanswered");
        interrupt.lower();
        assert!(interrupt.ends() && interrupt.is_raised() && interrupt.receiver().try_recv().is_ok());
    }
}
