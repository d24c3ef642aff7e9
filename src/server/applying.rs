//! Committed entries go to the state machine, and its results to the waiting clients.

use super::Server;
use super::applier::{Done, EntryResult, MachineFailure, Task};
use super::exchange::Outbox;
use super::snapshots::SnapshotWork;
use crate::protocol::Response;
use crate::raft::entry::Entry;
use crate::state_machine::image::Image;
use crate::state_machine::{Applied, AppliedEntry};
use crate::types::EntryId;

impl Server {
    /// The state of a leader's snapshot replaces the state machine's, unless that has applied as much.
    pub(super) fn adopt(&mut self, last: EntryId, image: Box<dyn Image>, outbox: &mut Outbox) {
        if last.index <= self.ledger.handed {
            return;
        }
        self.ledger.handed = last.index;
        self.ledger.schedule.adopted();
        // Figure 13, InstallSnapshot 8: the state machine's state is that of the snapshot, sessions and all.
        self.give(Task::Adopt { last, image }, outbox);
    }

    // Figure 2, All Servers 1: while commitIndex > lastApplied, apply the next entry.
    pub(super) fn apply(&mut self, outbox: &mut Outbox) {
        let (first, last) = (self.ledger.handed.next(), self.raft.commit_index());
        if first > last {
            return;
        }
        let log = self.raft.log();
        let bytes = log.weight(first, last);
        self.ledger.schedule.note_entries(last.0 + 1 - first.0, bytes);
        self.ledger.unapplied_bytes += bytes;
        self.ledger.handed = last;
        let mut left = first;
        if let Some(applier) = &mut self.applier
            && outbox.tasks.is_empty()
        {
            let done = applier.apply(log.range(first, last), &|| self.lateness.is_late());
            left = applier.machine().applied().index.next();
            self.settle(done, outbox);
        }
        if left <= last {
            // An entry is shared, so this copies references.
            let rest: Vec<Entry> = self.raft.log().range(left, last).cloned().collect();
            outbox.tasks.push(Task::Apply(rest.into_iter()));
        }
    }

    /// Gives the state machine a task, here or on its own thread.
    pub(super) fn give(&mut self, task: Task, outbox: &mut Outbox) {
        match &mut self.applier {
            // A task that was left over comes first.
            Some(applier) if outbox.tasks.is_empty() => {
                let (done, rest) = applier.perform(task, &|| self.lateness.is_late());
                outbox.tasks.extend(rest);
                self.settle(done, outbox);
            }
            _ => outbox.tasks.push(task),
        }
    }

    pub(super) fn settle(&mut self, done: Done, outbox: &mut Outbox) {
        match done {
            Done::Applied(mut entries, size) => {
                self.ledger.size = size;
                outbox.applied.reserve(entries.len());
                outbox.envelopes.reserve(entries.len().min(self.ledger.calls.len()));
                for entry in entries.drain(..) {
                    self.settle_entry(entry, outbox);
                }
                if let Some(applier) = &mut self.applier {
                    applier.reuse(entries);
                }
            }
            Done::Answered(request, response) => self.answer(request, response, outbox),
            Done::Imaged(last, image) => {
                // A leader's snapshot may have taken the place of the log meanwhile, or no entry has named a member yet:
                // who does not know its configuration takes no snapshot.
                let Some(configured) = self.raft.configuration_at(last.index) else {
                    self.ledger.schedule.not_saved();
                    return;
                };
                self.ledger.schedule.imaged(image.size());
                outbox.snapshots.push(SnapshotWork::Save { last, configured, image });
            }
            Done::Adopted(last, size) => {
                (self.ledger.applied, self.ledger.size) = (last, size);
                outbox.adopted.push((outbox.applied.len(), last));
            }
            Done::Looked => {}
            Done::Failed(failure) => self.fail(failure, outbox),
        }
    }

    /// The state machine has panicked and must not be used. Clients of the entries that it still applied, and of the entry
    /// at which it panicked, are answered; the others find the node down.
    fn fail(&mut self, failure: MachineFailure, outbox: &mut Outbox) {
        let MachineFailure { applied, entry, reason } = failure;
        // Its drop may panic again: it is dropped after the node has ended.
        self.broken = self.applier.take();
        for result in applied {
            self.settle_entry(result, outbox);
        }
        if let Some(entry) = entry
            && let Some((term, requests)) = self.ledger.waiting.end(entry.index)
            && term == entry.term
        {
            for request in requests {
                let response = Response::Panicked { entry: Some(entry), reason: reason.clone() };
                self.answer(request, response, outbox);
            }
        }
        outbox.failed = Some(reason);
    }

    fn settle_entry(&mut self, result: EntryResult, outbox: &mut Outbox) {
        let EntryResult { entry, weight, command, applied } = result;
        self.ledger.applied = entry;
        self.ledger.unapplied_bytes = self.ledger.unapplied_bytes.saturating_sub(weight);
        let (executed, repetition) = match &applied {
            Applied::Answered { entry: by, .. } if *by == entry => (command, false),
            Applied::Answered { .. } | Applied::Forgotten => (None, command.is_some()),
            _ => (None, false),
        };
        let expired = matches!(applied, Applied::Expired | Applied::Lost { .. });
        outbox.applied.push(AppliedEntry { entry, executed, repetition, expired });
        let Some((term, requests)) = self.ledger.waiting.end(entry.index) else { return };
        let response = match applied {
            // Another leader's entry has this index: the client's command is not here.
            _ if term != entry.term => Response::LeadershipLost { leader: self.raft.leader() },
            Applied::Invalid(reason) => Response::Invalid(reason),
            applied => Response::Entry(applied),
        };
        for request in requests {
            self.answer(request, response.clone(), outbox);
        }
    }
}
