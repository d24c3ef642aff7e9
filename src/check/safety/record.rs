//! What has been seen of one server: a name with its files. Files that are gone keep their record, since others were told
//! of what they held, and a disk that is put back continues it.

use std::collections::{BTreeMap, VecDeque};

use super::step::{Appended, Pending, Shown, Standing, Written};
use crate::check::window::Window;
use crate::raft::effects::{HardState, WriteId};
use crate::raft::membership::Configured;
use crate::types::{EntryId, LogIndex, Member, Term, Time};

/// Removed entries that are remembered of each server.
const REMOVED_MAX: usize = 1_000;

#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Its log, by index from 1: the term of each entry and the hash of the chain up to it.
    pub chain: Window<(Term, u64)>,
    /// The configurations of its log, in order, from the one that is effective at its commit index. The first may come
    /// from its snapshot, or from the founders.
    pub configurations: Vec<Configured>,
    pub durable_index: LogIndex,
    pub durable_hard_state: HardState,
    /// What is on its way to the disk. Followed here from the writes and their completions alone, so that the core's
    /// own account of its durability is checked and not believed.
    pending: VecDeque<Pending>,
    pub persisted: WriteId,
    /// Entries that were removed, the newest: an acknowledgement of one may still leave, rightly.
    pub removed: VecDeque<Removed>,
    pub term: Term,
    pub commit: LogIndex,
    pub applied: LogIndex,
    pub led: Option<Term>,
    /// When each node last answered it, while it has led, by its clock.
    pub answered: BTreeMap<Member, Time>,
    /// Its newest election.
    pub campaign: Option<Campaign>,
    /// A configuration that it knows to be committed leaves it out.
    pub retired: bool,
    /// Of one that is seen from the middle of its life on: the newest term that was known when such a one was seen last.
    pub unseen_until: Option<Term>,
    /// Steps that it made in terms up to this one are missing, and may belong anywhere among those of others: its logical
    /// clock began again.
    pub unplaced_until: Option<Term>,
    /// When it was first seen, by its clock, if that was in the middle of its life.
    pub seen_since: Option<Time>,
    /// The newest write that was under way then, while it is: what of its term and vote the disk holds is not known.
    pub unseen_write: Option<WriteId>,
}

/// An election that a server began.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    pub term: Term,
    /// It knew that the members leave it out, or make it a learner.
    pub no_vote: bool,
    /// A quorum would vote for it, or none was to be asked.
    pub supported: bool,
}

/// An entry that was in a log, and its write.
#[derive(Clone, Copy, Debug)]
pub struct Removed {
    pub index: LogIndex,
    pub hash: u64,
    pub id: WriteId,
}

impl Record {
    /// Of a node that starts, but for its log.
    pub fn of(standing: &Standing) -> Record {
        let shown = standing.shown;
        Record {
            configurations: standing.configured.iter().cloned().collect(),
            durable_index: standing.durable_index,
            durable_hard_state: standing.hard_state,
            pending: standing.pending.iter().copied().collect(),
            persisted: standing.persisted,
            term: shown.term,
            commit: shown.commit,
            applied: standing.applied,
            led: shown.leads().then_some(shown.term),
            retired: standing.hard_state.retired,
            ..Record::default()
        }
    }

    /// What a record of its own says of it in the middle of its life: `entries` are those behind its commit index.
    pub fn standing(&self, shown: Shown, entries: Vec<Appended>) -> Standing {
        let committed = self.id_at(self.commit);
        Standing {
            shown,
            base: committed,
            entries,
            committed,
            configured: self.configurations.first().filter(|first| first.index <= self.commit).cloned(),
            hard_state: HardState { retired: self.retired, ..self.durable_hard_state },
            durable_index: self.durable_index,
            persisted: self.persisted,
            pending: self.pending.iter().copied().collect(),
            applied: self.applied,
        }
    }

    /// It does not run any more: what its disk owes it will not complete.
    pub fn ended(&mut self) {
        self.pending.clear();
        (self.persisted, self.led) = (0, None);
    }

    /// The configuration that it has to use: the newest in its log.
    pub fn configuration(&self) -> Option<&Configured> {
        self.configurations.last()
    }

    /// A step was given these nodes' answers.
    pub fn note_answers(&mut self, now: Time, answering: &[Member]) {
        if self.unseen_until.is_some() {
            self.seen_since.get_or_insert(now);
        }
        if self.led.is_none() {
            self.answered.clear();
        }
        self.answered.extend(answering.iter().map(|member| (*member, now)));
    }

    /// The entry at this index; the term is zero where it is not known.
    pub fn id_at(&self, index: LogIndex) -> EntryId {
        EntryId::new(self.chain.get(index).map_or(Term(0), |(term, _)| term), index)
    }

    pub fn append(&mut self, entry: &Appended, hash: u64) {
        let EntryId { term, index } = entry.id;
        self.chain.push((term, hash));
        if let Some(configuration) = &entry.members
            && self.configuration().is_none_or(|newest| newest.index < index)
        {
            self.configurations.push(Configured { index, configuration: configuration.clone() });
        }
    }

    /// Entries from this index on go.
    pub fn truncate(&mut self, from: LogIndex) {
        self.note_removed(from);
        self.chain.truncate(from.previous());
        self.configurations.retain(|configured| configured.index < from);
        self.durable_index = self.durable_index.min(from.previous());
        for pending in &mut self.pending {
            pending.length = pending.length.min(from.previous());
        }
    }

    /// Its log starts again behind a durable snapshot up to this index.
    pub fn reset(&mut self, base: LogIndex, chain: Window<(Term, u64)>, configured: Option<Configured>) {
        self.note_removed(base.next());
        self.chain = chain;
        self.configurations = configured.into_iter().collect();
        self.durable_index = base;
        for pending in &mut self.pending {
            pending.length = base;
        }
    }

    fn note_removed(&mut self, from: LogIndex) {
        let from = from.max(self.chain.first());
        for index in (from.0..=self.chain.last().0).map(LogIndex) {
            let pending = self.pending.iter().find(|write| write.length >= index);
            let id = pending.filter(|_| index > self.durable_index).map_or(0, |write| write.id);
            if let Some((_, hash)) = self.chain.get(index) {
                self.removed.push_back(Removed { index, hash, id });
            }
        }
        let excess = self.removed.len().saturating_sub(REMOVED_MAX);
        self.removed.drain(..excess);
    }

    pub fn hand_to_disk(&mut self, write: &Written) {
        let length = self.chain.last();
        self.pending.push_back(Pending { id: write.id, hard_state: write.hard_state, length });
    }

    /// This write and all before it are durable.
    pub fn persist(&mut self, durable: WriteId) {
        self.persisted = self.persisted.max(durable);
        self.unseen_write = self.unseen_write.filter(|unseen| *unseen > durable);
        while let Some(write) = self.pending.pop_front_if(|write| write.id <= durable) {
            self.durable_hard_state = write.hard_state.unwrap_or(self.durable_hard_state);
            self.durable_index = self.durable_index.max(write.length);
        }
    }

    /// Whether it may have run in this term before it was first seen.
    pub fn is_unseen_in(&self, term: Term) -> bool {
        self.unseen_until.is_some_and(|newest| term <= newest)
    }

    /// Whether it may have run in this term at any moment of what was seen of others.
    pub fn is_unplaced_in(&self, term: Term) -> bool {
        self.unplaced_until.is_some_and(|newest| term <= newest)
    }

    /// Whether its disk holds the entry of this term and hash.
    pub fn holds(&self, index: LogIndex, entry: Option<(Term, u64)>) -> bool {
        self.durable_index >= index && entry.is_some() && self.chain.get(index) == entry
    }

    /// It knows that the entries up to this index are committed.
    pub fn learn_commit(&mut self, member: Member, commit: LogIndex) {
        let known = std::mem::replace(&mut self.commit, commit);
        for pair in self.configurations.windows(2) {
            let [before, after] = pair else { continue };
            let newly = after.index > known && after.index <= commit;
            self.retired |=
                newly && before.configuration.named_before(member) && !after.configuration.names(member);
        }
    }

    /// Keeps the configurations from the one on that is effective at its commit index.
    pub fn forget_settled(&mut self) {
        let settled = self.configurations.partition_point(|configured| configured.index <= self.commit);
        self.configurations.drain(..settled.saturating_sub(1));
    }
}
