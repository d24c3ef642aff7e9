//! Clients that mostly read: two keys that are written all the time, at nodes that they name, in every mode.

use std::time::Duration;

use super::{Habits, Task, Worker, shared_key};
use crate::client::{Ask, What};
use crate::payload::Payload;
use crate::protocol::ReadMode;
use crate::state_machine::kv::{Command, Query};
use crate::types::{ClientId, NodeId, Time};

const KEYS: u64 = 2;

/// The longest that such a client thinks before its next call, and while a node is asked first of all.
const THINKING_MAX: [Duration; 2] = [Duration::from_millis(40), Duration::from_millis(6)];

/// Such a client, and whom it asks now.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub client: ClientId,
    pub habits: Habits,
    pub nodes: &'a [NodeId],
    /// The node that is asked first of all for a while.
    pub asked_at: Option<NodeId>,
    /// Whether it also writes.
    pub writes: bool,
}

impl Worker {
    /// The next call, and what it is about if that is no operation.
    pub(super) fn next_reading(
        &mut self,
        reader: Reader<'_>,
        timeout: Duration,
        now: Time,
    ) -> (Ask, Option<Task>) {
        let Reader { client, habits, nodes, asked_at, writes } = reader;
        self.calls += 1;
        let key = shared_key(self.random.below(KEYS));
        if writes && self.random.chance(250_000) {
            let value = format!("{client}.{}", self.calls);
            let command = match self.random.below(8) {
                0 => Command::update(key, value),
                1 => Command::delete(key),
                _ => Command::put(key, value),
            };
            // The present leader is asked at once, not after the old one kept the client waiting.
            let others = nodes.iter().filter(|node| Some(**node) != asked_at).copied().collect::<Vec<_>>();
            let elsewhere = asked_at.is_some() && self.random.chance(800_000);
            let at = if elsewhere { self.random.pick(&others).copied() } else { None };
            return (Ask { what: What::commands([command]), at, timeout }, None);
        }
        let given = self.random.chance(500_000);
        let at = asked_at.filter(|_| given || self.random.chance(500_000));
        let at = at.or_else(|| if given { self.random.pick(nodes).copied() } else { None });
        if habits.leases && self.random.chance(150_000) {
            let what = What::Read { query: Payload::new(Query::Keys {}), mode: ReadMode::Stale };
            return (Ask { what, at, timeout }, Some(Task::Local(now)));
        }
        let by_lease = habits.leases && self.random.chance(500_000);
        let mode = if by_lease { ReadMode::Lease } else { ReadMode::Linearizable };
        (
            Ask {
                what: What::Read { query: Payload::new(Query::Read { key: key.into() }), mode },
                at,
                timeout,
            },
            None,
        )
    }

    /// How long it thinks before the next call.
    pub(super) fn pause_of_reader(&mut self, asked_at: Option<NodeId>) -> Duration {
        self.random.duration(Duration::ZERO, THINKING_MAX[usize::from(asked_at.is_some())])
    }
}
