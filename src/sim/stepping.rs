//! A step of a simulated node, and what follows from it: checks, messages, writes, work beside the log.

use std::time::Duration;

use super::node::Lane;
use super::{Happening, Simulation};
use crate::check::safety::{Step, Written, answering};
use crate::server::report::request_received;
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, EndReason, Outbox};
use crate::trace::{TraceEvent, What};
use crate::types::{Member, NodeId, Time};

/// A digest with one more part.
pub(super) fn mixed(digest: u64, part: u64) -> u64 {
    (digest ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
}

impl Simulation {
    /// Puts something into a running node's inbox. Its thread runs at once, or late, as the settings say.
    pub(super) fn deliver(&mut self, name: NodeId, arrival: Arrival) {
        if self.settings.lateness.is_zero() {
            return self.step_node(name, vec![arrival]);
        }
        let node = self.node(name);
        let (first, life) = (node.inbox.is_empty(), node.life);
        node.inbox.push(arrival);
        if first {
            let after = self.random.duration(Duration::ZERO, self.settings.lateness);
            self.schedule(after, Happening::Wakes { node: name, life });
        }
    }

    /// Hands something to a node, if it runs; a frozen one takes it in when it is resumed.
    pub(super) fn arrive_at(&mut self, name: NodeId, arrival: Arrival) {
        if self.nodes[&name].is_running() {
            self.step_node(name, vec![arrival]);
        }
    }

    /// One step of a node, with everything that follows from it.
    pub(super) fn step_node(&mut self, name: NodeId, mut arrivals: Vec<Arrival>) {
        let now = self.now;
        let node = self.nodes.get_mut(&name).expect("a node of this cluster");
        node.inbox.append(&mut arrivals);
        if node.paused {
            return;
        }
        let arrivals = std::mem::take(&mut node.inbox);
        if let Some(observer) = &self.observer {
            let envelopes = arrivals.iter().filter_map(|arrival| match arrival {
                Arrival::Envelope(envelope) => Some(envelope),
                _ => None,
            });
            for what in envelopes.filter_map(request_received) {
                observer(&TraceEvent { time: now, node: name, what });
            }
        }
        let local = node.local_time(now);
        let answering = match &node.server {
            Some(server) => answering(server.raft(), arrivals.iter().filter_map(Arrival::message)),
            None => Vec::new(),
        };
        let mutation = self.mutation.as_deref_mut();
        match node.step(now, arrivals, mutation) {
            Ok(Some(outbox)) => self.carry_out(name, local, &answering, outbox),
            Ok(None) => {}
            Err(reason) => self.end(name, EndReason::Panicked(reason)),
        }
    }

    /// Checks and tells what a step has done.
    pub(super) fn judge(&mut self, name: NodeId, local: Time, answering: &[Member], outbox: &mut Outbox) {
        let node = &self.nodes[&name];
        let server = node.server.as_ref().expect("it has just made a step");
        let step = Step {
            answering,
            persisted: outbox.persisted,
            write: outbox.write.as_ref().map(|write| Written::of(server.raft(), write)),
            adopted: &outbox.adopted,
            applied: &outbox.applied,
            ..Step::idle(server.raft(), local)
        };
        self.safety.observe(&step, outbox.messages());
        for work in &outbox.snapshots {
            if let SnapshotWork::Save { last, configured, .. } = work {
                self.safety.check_configured(name, last.index, Some(configured));
            }
        }
        if let Some(replay) = &mut self.replay {
            for applied in &outbox.applied {
                if applied.entry.index == replay.next() {
                    let entry = server.raft().log().get(applied.entry.index);
                    replay.note_applied(entry.expect("what was just applied is in the log"));
                }
            }
            for work in &outbox.snapshots {
                if let SnapshotWork::Save { last, image, .. } = work {
                    self.safety.snapshot_compared(name, replay.compare(*last, &**image));
                }
            }
        }
        self.tally.note(server.raft(), outbox);
        let raft = server.raft();
        if let Some(committed) = raft.committed_configuration()
            && committed.index > self.members.index
        {
            self.members = committed.clone();
        }
        for part in [
            self.now.as_nanos(),
            u64::from(name.number()),
            raft.current_term().0,
            raft.commit_index().0,
            raft.log().last().index.0,
            outbox.envelopes.len() as u64,
            outbox.events.len() as u64,
        ] {
            self.digest = mixed(self.digest, part);
        }
        if self.observer.is_some() {
            for what in outbox.take_happened() {
                self.tell(name, what);
            }
            for what in outbox.replies() {
                self.tell(name, what);
            }
            self.tell_state(name);
        }
    }

    fn carry_out(&mut self, name: NodeId, local: Time, answering: &[Member], mut outbox: Outbox) {
        // A step whose write failed is not judged: the checks would take the write for durable.
        if let Some(write) = outbox.write.as_ref().filter(|write| write.at_once).cloned() {
            let node = self.nodes.get_mut(&name).expect("a node of this cluster");
            node.writes.push_back(write);
            match node.flush(self.now, self.mutation.as_deref()) {
                Ok(lanes) => lanes.into_iter().for_each(|lane| self.schedule_work(name, lane)),
                Err(error) => return self.end(name, EndReason::StorageFailed(error.to_string())),
            }
        }
        self.judge(name, local, answering, &mut outbox);
        for envelope in outbox.envelopes {
            self.send(envelope);
        }
        if let Some(reason) = outbox.failed {
            return self.end(name, EndReason::MachineFailed(reason));
        }
        if let Some(write) = outbox.write.filter(|write| !write.at_once) {
            let node = self.nodes.get_mut(&name).expect("a node of this cluster");
            node.writes.push_back(write);
        }
        let node = self.nodes.get_mut(&name).expect("a node of this cluster");
        for lane in node.take_in_work(outbox.snapshots, outbox.tasks) {
            self.schedule_work(name, lane);
        }
        self.use_disk(name);
    }

    /// Tells what a node is, if that is another than it was and somebody follows it.
    pub(super) fn tell_state(&mut self, name: NodeId) {
        let follows = self.follows;
        let node = self.node(name);
        let state = node.server.as_ref().filter(|_| follows).map(|server| Box::new(server.state()));
        if state != node.told {
            node.told.clone_from(&state);
            if let Some(state) = state {
                self.tell(name, What::State(state));
            }
        }
    }

    /// Lets a node do what waits in one of its lanes.
    pub(super) fn schedule_work(&mut self, name: NodeId, lane: Lane) {
        let (disk, machine) = (self.settings.disk_delay, self.settings.machine_delay);
        let node = &self.nodes[&name];
        let after = node.done_at(lane, self.now, disk, machine).since(self.now);
        self.schedule(after, Happening::Worked { node: name, life: node.life, lane });
    }

    /// Gives the disk what waits for it, if it is free.
    pub(super) fn use_disk(&mut self, name: NodeId) {
        let (now, delay) = (self.now, self.settings.disk_delay);
        let mutation = self.mutation.as_deref();
        let node = self.nodes.get_mut(&name).expect("a node of this cluster");
        match node.begin_writing(now, delay, mutation) {
            Ok(Some((at, life))) => self.schedule(at.since(now), Happening::Written { node: name, life }),
            Ok(None) => {}
            Err(error) => self.end(name, EndReason::StorageFailed(error.to_string())),
        }
    }
}
