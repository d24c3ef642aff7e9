//! What a client of a load needs of a system: calls that it keeps under way, and how each ended.

use crate::client::{Ask, CallId, Ended, Pipeline};
use crate::types::Time;

/// A client's way to the system under load.
pub trait Caller: Sized + Send + 'static {
    /// The time by the clock that calls are timed with.
    fn now(&self) -> Time;

    /// Sends these calls. Their names come in the order of asking, and count up.
    fn send(&mut self, asks: Vec<Ask>) -> impl Iterator<Item = CallId>;

    /// Waits until a call has ended, or about until then, and replaces `ended` by all that have. Each call ends once, by its
    /// deadline.
    fn wait(&mut self, until: Time, ended: &mut Vec<Ended>);

    /// This caller, with at most this many commands in an entry, where calls share entries.
    #[must_use]
    fn gathering(self, _most: usize) -> Self {
        self
    }
}

impl Caller for Pipeline {
    fn now(&self) -> Time {
        Pipeline::now(self)
    }

    fn send(&mut self, asks: Vec<Ask>) -> impl Iterator<Item = CallId> {
        Pipeline::send(self, asks)
    }

    fn wait(&mut self, until: Time, ended: &mut Vec<Ended>) {
        Pipeline::wait(self, until, ended);
    }

    fn gathering(self, most: usize) -> Pipeline {
        Pipeline::gathering(self, most)
    }
}
