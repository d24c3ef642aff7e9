//! Many calls of one client under way at once, their ends taken as they come.
//!
//! Tickets are for those who want the answer to one call. Whoever keeps hundreds under way, as a load generator does,
//! wants to sleep until any of them has ended and then see all that have: one lock and one wake-up for a whole group.

use std::fmt;
use std::sync::Arc;

use super::Ask;
use super::core::{CallId, Ended};
use super::shared::Shared;
use crate::types::Time;

/// A client whose calls are sent in groups and end in any order. See [`Client::into_pipeline`](super::Client).
///
/// Whoever drives it bounds what is in flight: [`CALLS_MAX`](super::CALLS_MAX) is as much as the servers remember.
pub struct Pipeline {
    shared: Arc<Shared>,
}

impl Pipeline {
    pub(super) fn new(shared: Arc<Shared>) -> Pipeline {
        Pipeline { shared }
    }

    /// The time by the clock that calls are timed with.
    pub fn now(&self) -> Time {
        self.shared.now()
    }

    /// Sends these calls at once. Their names come in the order of asking, and count up.
    pub fn send(&self, asks: Vec<Ask>) -> Vec<CallId> {
        self.shared.begin_stream(asks)
    }

    /// Waits until a call has ended, or until then, and puts all that have ended into `ended`, in place of what was there.
    /// Each call ends once, by its deadline.
    pub fn wait(&self, until: Time, ended: &mut Vec<Ended>) {
        self.shared.wait_for_stream(until, ended);
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.shared.end_stream();
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("client", &self.shared.id()).finish_non_exhaustive()
    }
}
