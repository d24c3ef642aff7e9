//! The shape of a step: what came of it, in six small numbers, to be compared with those of a replay.
//!
//! It holds kinds, terms, indexes and counts, and no command's text. Each number continues that of the step before, so
//! that a difference which two numbers happen to hide shows at the next step.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::applier::Task;
use super::snapshots::SnapshotWork;
use super::{Outbox, Server};
use crate::binary::put;
use crate::protocol::{Address, Packet, Reply, Response};
use crate::raft::effects::Write;
use crate::raft::entry::Entry;
use crate::raft::message::{AppendResult, Beat, Body, Message};
use crate::state_machine::Applied;
use crate::types::{EntryId, Member};

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
pub struct Shaper([Sum; FIELDS.len()]);

impl Shaper {
    /// The shape of the step that this server made.
    pub fn shape(&mut self, server: &Server, outbox: &Outbox) -> Shape {
        let [messages, answers, writes, applied, state, timers] = &mut self.0;
        for envelope in &outbox.envelopes {
            match &envelope.packet {
                Packet::Raft(message) => messages.message(message),
                Packet::Reply(reply) => answers.reply(envelope.to, reply),
                Packet::Request(_) | Packet::ConnectionLost => {}
            }
        }
        if let Some(write) = &outbox.write {
            writes.write(write);
        }
        for work in &outbox.snapshots {
            writes.snapshot_work(work);
        }
        applied.applied(outbox);
        state.state(server);
        timers.all([outbox.deadline.as_nanos(), outbox.events.len() as u64]);
        // These bits are as good as any.
        Shape(self.0.each_ref().map(|Sum(sum)| u16::try_from(sum & 0xffff).expect("it is masked")))
    }
}

/// A sum of numbers, each behind those before it. Recordings keep what comes of it: it is the same on each machine, and
/// stays as it is. Of what comes with most steps each number is summed up by itself; all else as its bytes.
#[derive(Clone, Debug, Default)]
struct Sum(u64);

impl Sum {
    fn all<const N: usize>(&mut self, numbers: [u64; N]) {
        // The bits of the golden ratio: odd, and without a pattern.
        const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15;
        for number in numbers {
            let product = u128::from(self.0.rotate_left(29) ^ number) * FACTOR;
            let folded = (product ^ product >> 64) & u128::from(u64::MAX);
            self.0 = u64::try_from(folded).expect("it is masked");
        }
    }

    fn entry(&mut self, id: EntryId) {
        self.all([id.term.0, id.index.0]);
    }

    fn entry_if_any(&mut self, id: Option<EntryId>) {
        self.all([u64::from(id.is_some())]);
        self.entry(id.unwrap_or_default());
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        let mut bytes = Vec::new();
        put(&mut bytes, value);
        self.all([bytes.len() as u64]);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.all([u64::from_le_bytes(word)]);
        }
    }

    fn message(&mut self, message: &Message) {
        let Message { to, term, files, body, .. } = message;
        self.all([u64::from(to.number()), term.0, files.sender, files.answered]);
        match body {
            Body::AppendEntries { prev, entries, commit, beat } => {
                self.all([1, entries.len() as u64, commit.0]);
                self.entry(*prev);
                if let Some(last) = entries.last() {
                    self.entry(last.id());
                    self.all([last.weight() as u64]);
                }
                let Beat { round, lease, answered, boot_id, confirmed } = *beat;
                let lease = lease.map_or(u64::MAX, nanos);
                self.all([round, lease, answered, boot_id, confirmed]);
            }
            Body::AppendReply { result: AppendResult::Matched(index), ack } => {
                self.all([2, index.0, ack.round, ack.boot_id]);
            }
            Body::InstallSnapshot { last, offset, data, done } => {
                self.all([3, *offset, data.len() as u64, u64::from(*done)]);
                self.entry(*last);
            }
            other => {
                self.all([4]);
                self.value(other);
            }
        }
    }

    fn reply(&mut self, to: Address, reply: &Reply) {
        let Reply { attempt, term, response } = reply;
        if let Address::Client(client) = to {
            self.all([client.0]);
        }
        self.all([*attempt, term.0]);
        match response {
            Response::Entry(applied) => match applied {
                Applied::Answered { entry, .. } => {
                    self.all([1]);
                    self.entry(*entry);
                }
                Applied::Opened { session } => self.all([2, session.0]),
                Applied::NoOp => self.all([3]),
                Applied::GivenUp => self.all([4]),
                Applied::Forgotten => self.all([5]),
                Applied::Expired => self.all([6]),
                Applied::Lost { epoch } => {
                    self.all([7]);
                    self.value(epoch);
                }
                Applied::Invalid(reason) => {
                    self.all([8]);
                    self.value(reason);
                }
            },
            Response::Read { applied, staleness, .. } => {
                self.all([9, applied.0, staleness.map_or(u64::MAX, nanos)]);
            }
            response => {
                self.all([10]);
                self.value(response);
            }
        }
    }

    fn write(&mut self, write: &Write) {
        // What waits for it stays in the server.
        let Write { id, hard_state, rebase, truncate_from, entries, then: _, at_once } = write;
        self.all([*id, entries.len() as u64, u64::from(*at_once)]);
        self.entry_if_any(entries.last().map(Entry::id));
        if hard_state.is_some() || rebase.is_some() || truncate_from.is_some() {
            self.value(&(hard_state, rebase, truncate_from));
        }
    }

    fn snapshot_work(&mut self, work: &SnapshotWork) {
        match work {
            SnapshotWork::Save { last, image, .. } => {
                self.all([1, image.size() as u64]);
                self.entry(*last);
            }
            SnapshotWork::Task(task) => {
                self.all([2]);
                self.value(task);
            }
            SnapshotWork::Remove(file) => {
                self.all([3]);
                self.value(file);
            }
        }
    }

    fn applied(&mut self, outbox: &Outbox) {
        let Outbox { applied, adopted, tasks, failed, .. } = outbox;
        let executed = applied.iter().filter(|applied| applied.executed.is_some()).count();
        // A look is no part of a recording.
        let tasks = tasks.iter().filter(|task| !matches!(task, Task::Look(_))).count();
        self.all([applied.len() as u64, executed as u64, tasks as u64, u64::from(failed.is_some())]);
        self.entry_if_any(applied.last().map(|applied| applied.entry));
        for (before, adopted) in adopted {
            self.all([*before as u64]);
            self.entry(*adopted);
        }
    }

    fn state(&mut self, server: &Server) {
        let raft = server.raft();
        self.all([raft.current_term().0, raft.role_name() as u64]);
        if let Some(Member { node, store_id }) = raft.voted_for() {
            self.all([u64::from(node.number()), store_id]);
        }
        for id in [raft.log().last(), raft.snapshot(), server.applied()] {
            self.entry(id);
        }
        let indexes = [raft.commit_index(), raft.durable_index(), server.ledger.handed];
        self.all(indexes.map(|index| index.0));
        self.all([server.ledger.unapplied_bytes as u64]);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::payload::Payload;
    use crate::raft::entry::Content;
    use crate::raft::message::{Ack, Files};
    use crate::types::{ClientId, LogIndex, NodeId, Term};

    const PINNED: [u64; 9] = [
        15_782_896_686_011_852_739,
        14_956_297_631_534_899_621,
        3_520_715_490_949_426_633,
        12_853_923_737_086_385_858,
        10_957_707_191_350_691_824,
        14_603_202_051_637_649_531,
        4_486_441_793_752_206_512,
        90_089_122_025_034_554,
        17_986_375_025_992_854_767,
    ];

    /// A recording is compared by a program that was built later. Where this changes, recordings get another version.
    #[test]
    fn the_same_step_has_the_same_numbers_in_each_build() {
        let id = |term, index| EntryId::new(Term(term), LogIndex(index));
        let entry = Entry { index: LogIndex(8), term: Term(3), content: Content::NoOp };
        let (from, to) = (NodeId::new(1), NodeId::new(2));
        let files = Files { sender: 4, answered: 5 };
        let beat =
            Beat { round: 6, lease: Some(Duration::from_nanos(7)), answered: 8, boot_id: 9, confirmed: 10 };
        let entries = vec![entry.clone()];
        let append = Body::AppendEntries { prev: id(2, 7), entries, commit: LogIndex(6), beat };
        let ack = Ack { round: 11, boot_id: 12 };
        let reply = Body::AppendReply { result: AppendResult::Matched(LogIndex(8)), ack };
        let installs =
            Body::InstallSnapshot { last: id(2, 5), offset: 13, data: Arc::from([0; 3]), done: true };
        let vote = Body::VoteReply { granted: true };
        let answer = Applied::Answered { entry: id(3, 8), answer: Payload::new(1_u8) };
        let answers = [Response::Entry(answer), Response::Entry(Applied::GivenUp), Response::Unreachable];
        let write = Write { id: 14, entries: vec![entry], at_once: true, ..Write::default() };
        let cut = Write { truncate_from: Some(LogIndex(4)), ..write.clone() };

        let mut sums = [append, reply, installs, vote]
            .map(|body| {
                let mut sum = Sum::default();
                sum.message(&Message { from, to, term: Term(3), files, body });
                sum.0
            })
            .to_vec();
        sums.extend(answers.map(|response| {
            let mut sum = Sum::default();
            sum.reply(ClientId(15).into(), &Reply { attempt: 16, term: Term(3), response });
            sum.0
        }));
        sums.extend([write, cut].map(|write| {
            let mut sum = Sum::default();
            sum.write(&write);
            sum.0
        }));
        assert_eq!(sums, PINNED);
    }
}
