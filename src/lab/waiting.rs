//! How a lab by the clock waits, until something changes or a person interrupts it.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never, select};
use derive_more::Debug;

use crate::client::Client;

/// How long a search for an order of a history may take.
const SEARCH_TIME: Duration = Duration::from_secs(5);

/// What it waits for.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Wakes up whenever something may have changed.
    changed: Receiver<()>,
    interrupt: Option<Interrupt>,
}

/// How a person interrupts what is running.
#[derive(Debug)]
struct Interrupt {
    #[debug(skip)]
    is_raised: Box<dyn Fn() -> bool + Send + Sync>,
    wake: Receiver<()>,
}

impl Waiting {
    pub fn new(changed: Receiver<()>) -> Waiting {
        Waiting { changed, interrupt: None }
    }

    /// Lets a person interrupt what is running: `is_raised` says whether one wants to, and `wake` becomes ready when one
    /// begins to.
    pub fn heed(&mut self, is_raised: impl Fn() -> bool + Send + Sync + 'static, wake: Receiver<()>) {
        self.interrupt = Some(Interrupt { is_raised: Box::new(is_raised), wake });
    }

    pub fn is_interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(|interrupt| (interrupt.is_raised)())
    }

    /// Becomes ready when a person interrupts.
    pub fn wake(&self) -> Receiver<()> {
        self.interrupt.as_ref().map_or_else(never, |interrupt| interrupt.wake.clone())
    }

    /// Waits until something may have changed, but not beyond this, and not at all once it is interrupted.
    pub fn wait(&self, until: Instant) {
        if self.is_interrupted() {
            return;
        }
        select! {
            recv(self.changed) -> _ => {}
            recv(self.wake()) -> _ => {}
            recv(at(until)) -> _ => {}
        }
    }

    /// A client whose calls a person can interrupt.
    pub fn heeded_by<M>(&self, client: Client<M>) -> Client<M> {
        match &self.interrupt {
            Some(interrupt) => client.with_interrupt(interrupt.wake.clone()),
            None => client,
        }
    }

    /// See [`Lab::patience`](super::Lab::patience).
    pub fn patience(&self) -> Box<dyn FnMut() -> bool + '_> {
        let begun = Instant::now();
        Box::new(move || !self.is_interrupted() && begun.elapsed() < SEARCH_TIME)
    }
}
