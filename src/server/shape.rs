//! The shape of a step: what came of it, in six small numbers, to be compared with those of a replay.
//!
//! It holds kinds, terms, indexes and counts, and no command's text. Each number continues that of the step before, so
//! that a difference which two numbers happen to hide shows at the next step.

use serde::{Deserialize, Serialize};

use super::applier::Task;
use super::{Outbox, Server};
use crate::binary::put;
use crate::protocol::{Envelope, Packet, Response};
use crate::raft::effects::Write;
use crate::raft::entry::Entry;
use crate::raft::message::{Body, Message};
use crate::server::snapshots::SnapshotWork;
use crate::state_machine::Applied;

/// What is compared, in the order of the numbers.
pub const FIELDS: [&str; 6] = [
    "its messages",
    "its answers to clients",
    "what it wrote",
    "what it applied",
    "its term, role and log",
    "its timers",
];

/// The numbers of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Shape([u16; FIELDS.len()]);

impl Shape {
    /// The first thing that is another in the other one.
    pub fn differs_in(&self, other: &Shape) -> Option<&'static str> {
        let differs = self.0.iter().zip(other.0).position(|(own, other)| *own != other)?;
        Some(FIELDS[differs])
    }
}

/// Makes the shapes of a node's steps, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Shaper {
    sums: [u64; FIELDS.len()],
    /// Empty between steps: kept for its memory.
    parts: Vec<u8>,
}

impl Shaper {
    /// The shape of the step that this server made.
    pub fn shape(&mut self, server: &Server, outbox: &Outbox) -> Shape {
        self.note(0, |parts| {
            outbox.messages().for_each(|message| message_parts(message, parts));
        });
        self.note(1, |parts| {
            outbox.envelopes.iter().for_each(|envelope| answer_parts(envelope, parts));
        });
        self.note(2, |parts| {
            outbox.write.iter().for_each(|write| write_parts(write, parts));
            outbox.snapshots.iter().for_each(|work| work_parts(work, parts));
        });
        self.note(3, |parts| {
            put(parts, &(outbox.applied.len(), outbox.applied.last().map(|applied| applied.entry)));
            let executed = outbox.applied.iter().filter(|applied| applied.executed.is_some()).count();
            // A look is no part of a recording.
            let tasks = outbox.tasks.iter().filter(|task| !matches!(task, Task::Look(_))).count();
            put(parts, &(executed, &outbox.adopted, tasks, outbox.failed.is_some()));
        });
        self.note(4, |parts| {
            let raft = server.raft();
            let (term, vote, role) = (raft.current_term(), raft.voted_for(), raft.role_name());
            put(parts, &(term, vote, role as u8, raft.commit_index(), raft.log().last(), raft.snapshot()));
            put(parts, &(server.applied(), server.handed, server.unapplied_bytes, raft.durable_index()));
        });
        self.note(5, |parts| put(parts, &(server.deadline(), outbox.events.len())));
        // These bits are as good as any.
        Shape(self.sums.map(|sum| u16::try_from(sum & 0xffff).expect("it is masked")))
    }

    fn note(&mut self, field: usize, put: impl FnOnce(&mut Vec<u8>)) {
        self.parts.clear();
        put(&mut self.parts);
        self.sums[field] = sum(self.sums[field], &self.parts);
    }
}

/// A sum of bytes behind others. Recordings keep what comes of it: it is the same on each machine, and stays as it is.
fn sum(before: u64, bytes: &[u8]) -> u64 {
    // The bits of the golden ratio: odd, and without a pattern.
    const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15;
    bytes.chunks(8).fold(before ^ bytes.len() as u64, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let product = u128::from(sum.rotate_left(29) ^ u64::from_le_bytes(word)) * FACTOR;
        let folded = (product ^ product >> 64) & u128::from(u64::MAX);
        u64::try_from(folded).expect("it is masked")
    })
}

fn message_parts(message: &Message, parts: &mut Vec<u8>) {
    match &message.body {
        Body::AppendEntries { prev, entries, commit, beat } => {
            let last = entries.last().map(|entry| (entry.id(), entry.weight()));
            put(parts, &(message.to, message.term, message.files, prev, entries.len(), last, commit, beat));
        }
        Body::InstallSnapshot { last, offset, data, done } => {
            put(parts, &(message.to, message.term, message.files, last, offset, data.len(), done));
        }
        _ => put(parts, message),
    }
}

fn answer_parts(envelope: &Envelope, parts: &mut Vec<u8>) {
    let Packet::Reply(reply) = &envelope.packet else { return };
    put(parts, &(envelope.to, reply.attempt, reply.term));
    match &reply.response {
        Response::Entry(applied) => match applied {
            Applied::Answered { entry, .. } => put(parts, &(1_u8, entry)),
            Applied::Opened { session } => put(parts, &(2_u8, session)),
            Applied::NoOp => put(parts, &3_u8),
            Applied::GivenUp => put(parts, &4_u8),
            Applied::Forgotten => put(parts, &5_u8),
            Applied::Expired => put(parts, &6_u8),
            Applied::Lost { epoch } => put(parts, &(7_u8, epoch)),
            Applied::Invalid(reason) => put(parts, &(8_u8, reason)),
        },
        Response::Read { applied, staleness, .. } => put(parts, &(9_u8, applied, staleness)),
        response => put(parts, &(10_u8, response)),
    }
}

fn write_parts(write: &Write, parts: &mut Vec<u8>) {
    let last = write.entries.last().map(Entry::id);
    put(parts, &(write.id, write.hard_state, write.rebase, write.truncate_from));
    put(parts, &(write.entries.len(), last, write.then.len()));
}

fn work_parts(work: &SnapshotWork, parts: &mut Vec<u8>) {
    match work {
        SnapshotWork::Save { last, image, .. } => put(parts, &(1_u8, last, image.size())),
        SnapshotWork::Task(task) => put(parts, &(2_u8, task)),
        SnapshotWork::Remove(file) => put(parts, &(3_u8, file)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recording is compared by a program that was built later. Where this changes, recordings get another version.
    #[test]
    fn the_same_parts_have_the_same_numbers_in_each_build() {
        let mut shaper = Shaper::default();
        shaper.note(0, |parts| put(parts, &(1_u64, "a", 300_u64)));
        shaper.note(1, |parts| put(parts, &[7_u64; 8]));
        let once = shaper.sums;
        shaper.note(0, |parts| put(parts, &5_u64));
        let all = [once[0], once[1], shaper.sums[0]];
        assert_eq!(all, [11_927_471_822_316_900_830, 4_560_943_929_805_421_281, 5_993_913_226_864_671_031]);
    }
}
