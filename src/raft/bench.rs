//! A core in a test's hands: one of three nodes, with a disk that completes each write at once.

use std::time::Duration;

use super::effects::{Effects, HardState, Input, RequestId, SnapshotTask};
use super::entry::{Content, Entry};
use super::event::Event;
use super::membership::Configured;
use super::message::{Ack, AppendResult, Beat, Body, Files, Message, Round};
use super::role::{Leader, Progress, Role};
use super::{Raft, Recovered};
use crate::config::RaftSettings;
use crate::types::{EntryId, FOUNDERS_STORE, LogIndex, NodeId, Random, StoreId, Term, Time};

pub struct Bench {
    pub raft: Raft,
    pub now: Time,
}

/// What came of a step, and of the completion of its write.
#[derive(Debug, Default)]
pub struct Said {
    pub messages: Vec<Message>,
    pub tasks: Vec<SnapshotTask>,
    pub events: Vec<Event>,
    /// Reads that may be served.
    pub reads: Vec<RequestId>,
    /// Reads that may not.
    pub rejected: Vec<RequestId>,
}

impl Bench {
    /// A follower, with nothing of its past but what is given.
    pub fn follower(name: u8, settings: &RaftSettings, recovered: Recovered) -> Bench {
        let raft = Raft::new(
            NodeId::new(name),
            settings.clone(),
            founder_of_three(recovered),
            Random::new(1),
            Time::ZERO,
        );
        Bench { raft, now: Time::ZERO }
    }

    /// n1, elected by n2 in the term after the one that it recovered.
    pub fn leader(settings: &RaftSettings, recovered: Recovered) -> Bench {
        let mut bench = Bench::follower(1, settings, recovered);
        bench.step(Input::Campaign);
        bench.hear(2, bench.raft.current_term().0, Body::VoteReply { granted: true });
        assert!(matches!(bench.raft.role(), Role::Leader(_)), "two of three elected it");
        bench
    }

    pub fn step(&mut self, input: Input) -> Said {
        self.step_all(vec![input])
    }

    pub fn step_all(&mut self, mut inputs: Vec<Input>) -> Said {
        let mut said = Said::default();
        loop {
            let Effects { messages, write, snapshots, reads, events, .. } =
                self.raft.step(self.now, &mut inputs);
            said.messages.extend(messages);
            said.tasks.extend(snapshots);
            said.events.extend(events);
            for (id, result) in reads {
                let ends = if result.is_ok() { &mut said.reads } else { &mut said.rejected };
                ends.push(id);
            }
            let Some(write) = write else { return said };
            said.messages.extend(write.then);
            inputs.push(Input::Persisted(write.id));
        }
    }

    pub fn hear(&mut self, from: u8, term: u64, body: Body) -> Said {
        self.hear_files(from, FOUNDERS_STORE, term, body)
    }

    /// A message of a node whose files have this number.
    pub fn hear_files(&mut self, from: u8, store_id: StoreId, term: u64, body: Body) -> Said {
        let (from, files) = (NodeId::new(from), Files::of(store_id));
        self.step(Input::Message(Message { from, to: self.raft.id(), term: Term(term), files, body }))
    }

    /// The leader of a term sends entries.
    pub fn hear_entries(
        &mut self,
        from: u8,
        term: u64,
        prev: EntryId,
        entries: Vec<Entry>,
        commit: u64,
    ) -> Said {
        let (commit, beat) = (LogIndex(commit), Beat { round: 1, ..Beat::default() });
        self.hear(from, term, Body::AppendEntries { prev, entries, commit, beat })
    }

    /// The next round begins, and n2 answers it.
    pub fn confirm(&mut self) {
        self.round();
        let index = self.raft.log().last().index;
        self.answer(2, Ack::default(), AppendResult::Matched(index));
    }

    /// A follower answers the newest round of this leader.
    pub fn answer(&mut self, from: u8, ack: Ack, result: AppendResult) -> Said {
        self.answer_files(from, FOUNDERS_STORE, ack, result)
    }

    /// The same, by a node whose files have this number.
    pub fn answer_files(&mut self, from: u8, store_id: StoreId, ack: Ack, result: AppendResult) -> Said {
        let (term, round) = (self.raft.current_term().0, self.led().rounds.newest);
        self.hear_files(from, store_id, term, Body::AppendReply { result, ack: Ack { round, ..ack } })
    }

    /// Time passes until this leader's next round of heartbeats.
    pub fn round(&mut self) -> Said {
        let before: Round = self.led().rounds.newest;
        self.now = self.led().heartbeat_due;
        // A leader does not use the timer.
        let said = self.step(Input::SetElectionTimer(Duration::ZERO));
        assert!(self.led().rounds.newest > before, "a round began");
        said
    }

    pub fn led(&self) -> &Leader {
        let Role::Leader(leader) = self.raft.role() else { panic!("it leads") };
        leader
    }

    /// What this leader knows of a follower.
    pub fn progress(&self, follower: u8) -> &Progress {
        &self.led().followers[&NodeId::new(follower)]
    }
}

impl Said {
    pub fn to(&self, node: u8) -> Vec<&Body> {
        let to = |message: &&Message| message.to == NodeId::new(node);
        self.messages.iter().filter(to).map(|message| &message.body).collect()
    }
}

/// What a disk held, as one of three that began together.
pub fn founder_of_three(mut recovered: Recovered) -> Recovered {
    recovered.configuration.get_or_insert_with(|| Configured::founders(NodeId::first(3)));
    if recovered.hard_state.store_id == 0 {
        recovered.hard_state.store_id = FOUNDERS_STORE;
    }
    recovered
}

pub fn id(index: u64, term: u64) -> EntryId {
    EntryId::new(Term(term), LogIndex(index))
}

/// No-ops of one term, from one index to another.
pub fn entries(first: u64, last: u64, term: u64) -> Vec<Entry> {
    let no_op = |index| Entry { index: LogIndex(index), term: Term(term), content: Content::NoOp };
    (first..=last).map(no_op).collect()
}

/// A disk that holds a snapshot, and entries of the same term behind it.
pub fn recovered(snapshot: EntryId, last: u64, term: u64) -> Recovered {
    let hard_state = HardState { current_term: Term(term), store_id: 1, ..HardState::default() };
    let entries = entries(snapshot.index.0 + 1, last, term);
    Recovered { hard_state, snapshot, base: snapshot, entries, ..Recovered::default() }
}
