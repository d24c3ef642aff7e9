//! Many calls of one client under way at once, their ends taken as they come.
//!
//! A ticket is for the answer to one call. A caller with hundreds under way, such as a load generator, sleeps until any of
//! them has ended and then takes all that have: one lock and one wake-up for a whole group. Commands that are sent together
//! also share entries: see [`Gathering`].

use std::sync::Arc;
use std::time::Duration;

use derive_more::Debug;
use serde::Serialize;

use super::Ask;
use super::call::CallId;
use super::core::Ended;
use super::gathering::{GATHERED_MAX, Gathering, Group, Groups};
use super::shared::SharedClient;
use crate::types::Time;

/// A client whose calls are sent in groups and end in any order. See [`Client::into_pipeline`](super::Client).
///
/// Its caller bounds what is in flight: [`CALLS_MAX`](super::CALLS_MAX) is as much as the servers remember.
#[derive(Debug)]
#[debug("Pipeline({})", shared.id())]
pub struct Pipeline {
    shared: Arc<SharedClient>,
    gathering: Gathering,
    /// The ends of groups; empty between waits.
    all: Vec<Ended>,
}

impl Pipeline {
    pub(super) fn new(shared: Arc<SharedClient>) -> Pipeline {
        Pipeline { shared, gathering: Gathering::new(GATHERED_MAX), all: Vec::new() }
    }

    /// This pipeline, with at most `most` commands in an entry ([`GATHERED_MAX`] by default). With one, each call has an
    /// entry of its own.
    #[must_use]
    pub fn gathering(mut self, most: usize) -> Pipeline {
        self.gathering.set_most(most);
        self
    }

    /// The time by the clock that calls are timed with.
    pub fn now(&self) -> Time {
        self.shared.now()
    }

    /// Sends these calls at once. Their names come in the order of asking, and count up.
    ///
    /// Commands share an entry if they stand side by side, have the same timeout and no node of their own, were made by
    /// [`What::commands`](super::What::commands), and are not shared with another holder.
    pub fn send(&mut self, mut asks: Vec<Ask>) -> impl Iterator<Item = CallId> + use<> {
        let before = self.gathering.last();
        let groups = self.gathering.gather(&mut asks);
        self.begin(groups);
        self.names_behind(before)
    }

    /// Sends these commands at once, each a call of its own that ends within this time. Their names come in the order of
    /// asking, and count up.
    ///
    /// It does what [`Pipeline::send`] does with an [`Ask`] of [`What::commands`](super::What::commands) for each command, for
    /// less of the processor's time: commands are put where entries keep them. They are of the state machine's type; what JSON
    /// cannot hold is rejected by itself.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use raftlab::cluster::Cluster;
    /// use raftlab::state_machine::kv::Command;
    ///
    /// let timeout = Duration::from_secs(2);
    /// let cluster = Cluster::builder().memory().start().expect("three nodes in memory");
    /// let mut pipeline = cluster.client().into_pipeline();
    /// let commands: Vec<_> = (0..100).map(|number| Command::put(format!("k{number}"), "v")).collect();
    /// let calls = pipeline.send_commands(commands, timeout);
    /// let (mut open, mut ended) = (calls.count(), Vec::new());
    /// while open > 0 {
    ///     pipeline.wait(pipeline.now() + timeout, &mut ended);
    ///     open -= ended.len();
    /// }
    /// ```
    pub fn send_commands<C, I>(
        &mut self,
        commands: I,
        timeout: Duration,
    ) -> impl Iterator<Item = CallId> + use<C, I>
    where
        C: Serialize + Send + Sync + 'static,
        I: IntoIterator<Item = C, IntoIter: ExactSizeIterator>,
    {
        let before = self.gathering.last();
        let groups = self.gathering.gather_commands(commands.into_iter(), timeout);
        self.begin(groups);
        self.names_behind(before)
    }

    /// Waits until a call has ended, or until then, and replaces `ended` by all that have.
    /// Each call ends once, by its deadline. When the network has ended and no call is left, it returns at once.
    pub fn wait(&mut self, until: Time, ended: &mut Vec<Ended>) {
        ended.clear();
        loop {
            let mut all = std::mem::take(&mut self.all);
            self.shared.wait_for_stream(until, &mut all);
            let (in_time, now) = (!all.is_empty(), self.shared.now());
            for each in all.drain(..) {
                let again = self.gathering.end(now, each, ended);
                self.begin(again);
            }
            self.all = all;
            if !ended.is_empty() || !in_time {
                return;
            }
        }
    }

    /// The names that calls were given since this one.
    fn names_behind(&self, before: CallId) -> impl Iterator<Item = CallId> + use<> {
        (before.0 + 1..=self.gathering.last().0).map(CallId)
    }

    fn begin(&mut self, groups: Groups) {
        if groups.is_empty() {
            return;
        }
        let asked = self.shared.begin_stream(groups.iter().map(Group::ask).collect());
        for (asked, group) in asked.into_iter().zip(groups) {
            self.gathering.begun(asked, group);
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.shared.end_stream();
    }
}
