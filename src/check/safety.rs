//! The paper's safety properties (Figure 3) and what they rest on, checked over all nodes after every step.
//!
//! The driver reports each step before anything that the step produced can reach another node. Then a property that
//! is broken anywhere shows at the step that broke it. Every log is followed as a chain of hashes, so comparing two
//! logs up to an index is one comparison.

mod promises;

use std::collections::{BTreeMap, VecDeque};

use crate::ascending::Ascending;
use crate::raft::Raft;
use crate::raft::effects::{HardState, Rebase, StoreId, Write, WriteId};
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::message::Message;
use crate::raft::role::Role;
use crate::state_machine::AppliedEntry;
use crate::types::{EntryId, LogIndex, NodeId, Serial, SessionId, Term};

use super::property::{Property, Verdict, Violation};
use super::window::Window;

pub struct Step<'a> {
    pub raft: &'a Raft,
    /// The newest write whose completion the step was told of.
    pub persisted: Option<WriteId>,
    /// The write that the step handed out.
    pub write: Option<&'a Write>,
    /// The snapshots whose state it installed, each with how many of `applied` came before it.
    pub adopted: &'a [(usize, EntryId)],
    pub applied: &'a [AppliedEntry],
}

/// Removed entries that are remembered of each node.
const REMOVED_MAX: usize = 1_000;

/// Sessions that are followed at most; of more, the one that was opened first is not followed any longer.
const SESSIONS_MAX: usize = 100_000;

/// What has been seen of a run so far.
#[derive(Clone, Debug, Default)]
pub struct Safety {
    nodes: BTreeMap<NodeId, Record>,
    leaders: BTreeMap<Term, NodeId>,
    /// What a node voted before it lost its files elects no leader (`src/raft/beyond/readmission.rs`): its later files may vote again.
    votes: BTreeMap<(NodeId, StoreId, Term), NodeId>,
    /// The committed entries, by index from 1: their term and the hash of the chain up to them.
    committed: Window<(Term, u64)>,
    /// The last entry that was first committed in each term.
    committed_in: BTreeMap<Term, LogIndex>,
    /// Hashes of the entries that were seen and are not in `committed`, by term and index.
    branches: BTreeMap<Term, Ascending<LogIndex, u64>>,
    /// Entries at which logs begin that were there before this run: what came before them was never seen, so each has
    /// a hash of its own, which is that of every log that holds it.
    anchors: BTreeMap<EntryId, u64>,
    /// Where each command that a client may still retry was applied.
    executed: BTreeMap<SessionId, CarriedOut>,
    /// Whether each entry, by index from 1, changed the state where it was applied first.
    effective: Window<bool>,
    snapshots_compared: u64,
    violations: Vec<Violation>,
}

#[derive(Clone, Debug, Default)]
struct CarriedOut {
    /// The client has every answer below this serial: no command below it may be applied any more.
    acknowledged: Serial,
    /// Where its commands from that serial on were applied.
    places: Ascending<Serial, EntryId>,
}

/// What has been seen of one node.
#[derive(Clone, Debug, Default)]
struct Record {
    /// Hashes of its log's chain, by index from 1.
    chain: Window<u64>,
    durable_index: LogIndex,
    durable_hard_state: HardState,
    /// What is on its way to the disk. Followed here from the writes and their completions alone, so that the core's
    /// own account of its durability is checked and not believed.
    pending: VecDeque<Pending>,
    persisted: WriteId,
    /// Entries that were removed, the newest: an acknowledgement of one may still leave, rightly.
    removed: VecDeque<Removed>,
    commit: LogIndex,
    applied: LogIndex,
    led: Option<Term>,
    /// What it held, durably, before it was wiped. A leader may have been told of it and count it rightly: until the
    /// node is readmitted, what it held is with as many others as if it had only crashed.
    lost: Option<(Window<u64>, LogIndex)>,
}

/// An entry that was in a log, and its write.
#[derive(Clone, Copy, Debug)]
struct Removed {
    index: LogIndex,
    hash: u64,
    id: WriteId,
}

/// A write that is not known to be durable.
#[derive(Clone, Copy, Debug)]
struct Pending {
    id: WriteId,
    hard_state: Option<HardState>,
    /// The log's length once it is durable; lowered when entries are removed meanwhile.
    length: LogIndex,
}

impl Record {
    /// Entries from this index on are about to go.
    fn note_removed(&mut self, from: LogIndex) {
        for index in (from.0..=self.chain.last().0).map(LogIndex) {
            let pending = self.pending.iter().find(|write| write.length >= index);
            let id = pending.filter(|_| index > self.durable_index).map_or(0, |write| write.id);
            if let Some(hash) = self.chain.get(index) {
                self.removed.push_back(Removed { index, hash, id });
            }
        }
        let excess = self.removed.len().saturating_sub(REMOVED_MAX);
        self.removed.drain(..excess);
    }
}

impl Safety {
    /// What was broken, in the order in which it was noticed.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Each property by name, with the first thing that broke it.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let first = |property| self.violations.iter().find(|violation| violation.property == property);
        // What was compared with nothing has not been checked.
        let checked =
            |(property, _): &(Property, _)| *property != Property::Snapshot || self.snapshots_compared > 0;
        Property::ALL
            .into_iter()
            .filter(checked)
            .map(|(property, name)| Verdict {
                property: name,
                violation: first(property).map(|violation| violation.detail.clone()),
            })
            .collect()
    }

    /// How many entries are known to be committed.
    pub fn committed(&self) -> LogIndex {
        self.committed.last()
    }

    /// The driver compared a snapshot with the replay of what it covers.
    pub fn snapshot_compared(&mut self, node: NodeId, result: Result<(), String>) {
        self.snapshots_compared += 1;
        if let Err(reason) = result {
            self.report(Property::Snapshot, format!("{node}'s snapshot: {reason}"));
        }
    }

    /// A violation that the driver noticed itself: a node's own assertion, say.
    pub fn report(&mut self, property: Property, detail: String) {
        self.violations.push(Violation { property, detail });
    }

    /// A node starts, with what its disk held. `wiped` says that its disk was emptied on purpose.
    pub fn started(&mut self, raft: &Raft, wiped: bool) {
        let node = raft.id();
        let before = self.nodes.remove(&node);
        let is_new = before.is_none() && !wiped;
        let before = before.unwrap_or_default();
        let mut record =
            Record { commit: raft.commit_index(), applied: raft.commit_index(), ..Record::default() };
        let base = raft.log().base();
        record.chain = self.chain_to(base, is_new);
        for entry in raft.log().range(base.index.next(), raft.log().last().index) {
            self.append(node, &mut record, entry);
        }
        if is_new && raft.snapshot().index > self.committed() {
            self.begin_behind(raft.snapshot(), &record);
        }
        record.durable_index = raft.durable_index();
        record.durable_hard_state = raft.hard_state();
        if wiped {
            // Files that it lost while it joined counted for nothing: what it held before them may.
            record.lost = before.lost.or(Some((before.chain, before.durable_index)));
        } else {
            self.check_recovered(node, &before, &record);
            record.lost = before.lost.filter(|_| raft.joins());
        }
        self.nodes.insert(node, record);
    }

    /// The chain of a log up to the entry behind which it begins.
    fn chain_to(&mut self, base: EntryId, is_new: bool) -> Window<u64> {
        let unseen = is_new || self.committed.is_gone(base.index);
        if base == EntryId::ZERO {
            Window::default()
        } else if unseen && self.committed.get(base.index).is_none() {
            let seen = self.branches.get(&base.term).and_then(|branch| branch.get(base.index)).copied();
            let own = || seen.unwrap_or_else(|| [base.index.0, base.term.0].into_iter().fold(0, mixed));
            Window::beginning_at(base.index, *self.anchors.entry(base).or_insert_with(own))
        } else {
            self.committed.map_to(base.index, |(_, hash)| hash)
        }
    }

    /// A node's snapshot is older than this run: what it covers was committed, and is not checked.
    fn begin_behind(&mut self, snapshot: EntryId, record: &Record) {
        let hash = record.chain.get(snapshot.index).expect("its log continues where its snapshot ends");
        self.anchors.insert(snapshot, hash);
        self.committed = Window::beginning_at(snapshot.index, (snapshot.term, hash));
        self.committed_in.insert(snapshot.term, snapshot.index);
        self.effective = Window::behind(snapshot.index);
    }

    fn check_recovered(&mut self, node: NodeId, before: &Record, after: &Record) {
        let (old, new) = (before.durable_hard_state, after.durable_hard_state);
        if new.current_term < old.current_term {
            let detail =
                format!("{node} was in term {} and restarts in {}", old.current_term, new.current_term);
            self.report(Property::OneVote, detail);
        } else if new.current_term == old.current_term
            && old.voted_for.is_some()
            && new.voted_for != old.voted_for
        {
            self.report(Property::OneVote, format!("{node} forgot its vote in term {}", old.current_term));
        }
        if let Some(index) = self.last_committed_in(&before.chain, before.durable_index)
            && after.chain.get(index) != self.committed_hash(index)
        {
            let detail = format!("{node} held entry {index} durably, it is committed, and it is gone");
            self.report(Property::CommittedIsDurable, detail);
        }
    }

    /// A node that had lost its files counts again: what it held then, and is committed, it must hold again.
    fn check_readmitted(&mut self, node: NodeId, record: &mut Record) {
        let Some((chain, durable)) = record.lost.take() else { return };
        if let Some(index) = self.last_committed_in(&chain, durable)
            && (record.durable_index < index || record.chain.get(index) != self.committed_hash(index))
        {
            let detail =
                format!("{node} is readmitted without entry {index}, which it held and which is committed");
            self.report(Property::CommittedIsDurable, detail);
        }
    }

    /// The last of a log's durable entries that is committed. The log may have gone another way behind it.
    fn last_committed_in(&self, chain: &Window<u64>, durable: LogIndex) -> Option<LogIndex> {
        let shared = |index: &LogIndex| chain.get(*index) == self.committed_hash(*index);
        self.committed.indexes_down_from(durable.min(chain.last())).find(shared)
    }

    fn committed_hash(&self, index: LogIndex) -> Option<u64> {
        self.committed.get(index).map(|(_, hash)| hash)
    }

    /// A node made a step and is about to send these messages.
    pub fn observe<'a>(&mut self, step: &Step<'_>, sent: impl Iterator<Item = &'a Message>) {
        let node = step.raft.id();
        let mut record = std::mem::take(self.nodes.entry(node).or_default());
        if let Some(write) = step.write {
            self.follow_log(step.raft, &mut record, write);
        }
        if let Some(durable) = step.persisted {
            let joined = record.durable_hard_state.joining;
            record.persisted = record.persisted.max(durable);
            while let Some(write) = record.pending.pop_front_if(|write| write.id <= durable) {
                record.durable_hard_state = write.hard_state.unwrap_or(record.durable_hard_state);
                record.durable_index = record.durable_index.max(write.length);
            }
            if joined && !record.durable_hard_state.joining {
                self.check_readmitted(node, &mut record);
            }
        }
        self.check_leader(step.raft, &mut record);
        for message in sent {
            self.check_message(step.raft, &record, message);
        }
        self.nodes.insert(node, record);
        self.check_commit(step.raft);
        let mut checked = 0;
        for &(before, adopted) in step.adopted {
            self.check_applied(node, &step.applied[checked..before]);
            checked = before;
            self.check_covered(node, adopted);
            self.nodes.get_mut(&node).expect("observed just now").applied = adopted.index;
        }
        self.check_applied(node, &step.applied[checked..]);
    }

    fn follow_log(&mut self, raft: &Raft, record: &mut Record, write: &Write) {
        if let Some(Rebase::Reset(base)) = write.rebase {
            self.follow_reset(raft.id(), record, base);
        }
        if let Some(index) = write.truncate_from {
            let leads = matches!(raft.role(), Role::Leader(_)) && record.led == Some(raft.current_term());
            if leads {
                let detail =
                    format!("{} leads term {} and cut its log at {index}", raft.id(), raft.current_term());
                self.report(Property::LeaderAppendOnly, detail);
            }
            record.note_removed(index);
            record.chain.truncate(index.previous());
            record.durable_index = record.durable_index.min(index.previous());
            for pending in &mut record.pending {
                pending.length = pending.length.min(index.previous());
            }
        }
        for entry in &write.entries {
            self.append(raft.id(), record, entry);
        }
        let length = record.chain.last();
        record.pending.push_back(Pending { id: write.id, hard_state: write.hard_state, length });
    }

    /// A node's log starts again behind a durable snapshot: its chain is that of the committed entries.
    fn follow_reset(&mut self, node: NodeId, record: &mut Record, base: EntryId) {
        self.check_covered(node, base);
        record.note_removed(base.index.next());
        record.chain = self.chain_to(base, false);
        record.durable_index = base.index;
        for pending in &mut record.pending {
            pending.length = base.index;
        }
    }

    /// A snapshot of everything up to this entry takes the place of the log: all of it must be committed.
    fn check_covered(&mut self, node: NodeId, last: EntryId) {
        if self.committed.is_gone(last.index) {
            return;
        }
        let committed = self.committed.get(last.index).map(|(term, _)| term);
        if committed != Some(last.term) {
            self.report(
                Property::StateMachineSafety,
                format!("{node} installs {last}, which is not committed"),
            );
        }
    }

    /// Follows one entry at the end of a node's log.
    fn append(&mut self, node: NodeId, record: &mut Record, entry: &Entry) {
        let before = record.chain.get(record.chain.last()).unwrap_or_default();
        let hash = self.anchors.get(&entry.id()).copied().unwrap_or_else(|| chained(before, entry));
        record.chain.push(hash);
        let known = match self.committed.get(entry.index) {
            Some((term, known)) if term == entry.term => Some(known),
            _ => self.branches.entry(entry.term).or_default().insert(entry.index, hash),
        };
        if known.is_some_and(|known| known != hash) || record.chain.last() != entry.index {
            let detail = format!("{node} holds {} after other entries than another node does", entry.id());
            self.report(Property::LogMatching, detail);
        }
    }

    fn check_leader(&mut self, raft: &Raft, record: &mut Record) {
        let term = raft.current_term();
        let leads = matches!(raft.role(), Role::Leader(_)).then_some(term);
        if leads.is_some() && leads != record.led {
            self.note_leader(term, raft.id());
            // One that is elected late, when a later term has begun elsewhere, need not know what was committed there.
            let last = self.committed_in.range(..term).next_back().map_or(LogIndex(0), |(_, last)| *last);
            let committed = self.committed.get(last).map(|(_, hash)| hash);
            if committed.is_some() && record.chain.get(last) != committed {
                let detail = format!("{} leads term {term} without the committed entry {last}", raft.id());
                self.report(Property::LeaderCompleteness, detail);
            }
        }
        record.led = leads;
    }

    fn note_leader(&mut self, term: Term, node: NodeId) {
        let known = *self.leaders.entry(term).or_insert(node);
        if known != node {
            self.report(Property::ElectionSafety, format!("{known} and {node} both lead term {term}"));
        }
    }

    fn check_commit(&mut self, raft: &Raft) {
        let node = raft.id();
        let commit = raft.commit_index();
        let record = self.nodes.get_mut(&node).expect("observed just now");
        let from = std::mem::replace(&mut record.commit, commit);
        if commit < from {
            let detail = format!("{node}'s commit index went back from {from} to {commit}");
            self.report(Property::StateMachineSafety, detail);
        }
        if commit <= from {
            return;
        }
        let record = &self.nodes[&node];
        let known = commit.min(self.committed());
        if !self.committed.is_gone(known)
            && record.chain.get(known) != self.committed.get(known).map(|(_, hash)| hash)
        {
            let detail = format!("{node} takes {} for committed, another entry is", raft.log().id_at(known));
            return self.report(Property::StateMachineSafety, detail);
        }
        if commit > self.committed() {
            self.check_new_commit(raft, commit);
        }
    }

    /// The first to commit this far: it must be a leader that has the right to.
    fn check_new_commit(&mut self, raft: &Raft, commit: LogIndex) {
        let (node, term) = (raft.id(), raft.current_term());
        let entry = raft.log().id_at(commit);
        let hash = self.nodes[&node].chain.get(commit);
        let held_so = |chain: &Window<u64>, durable: LogIndex| {
            durable >= commit && hash.is_some() && chain.get(commit) == hash
        };
        let holds = |record: &&Record| {
            !record.durable_hard_state.joining && held_so(&record.chain, record.durable_index)
                || record.lost.as_ref().is_some_and(|(chain, durable)| held_so(chain, *durable))
        };
        let held = self.nodes.values().filter(holds).count();
        if !matches!(raft.role(), Role::Leader(_)) || entry.term != term {
            let detail =
                format!("{node} in term {term} committed {entry} first, not as the leader of that term");
            self.report(Property::CommitRule, detail);
        }
        if held < raft.quorum() {
            let detail =
                format!("{node} committed {entry}, durable on {held} of the {} needed", raft.quorum());
            self.report(Property::CommitRule, detail);
        }
        self.committed_in.insert(term, commit);
        let chain = &self.nodes[&node].chain;
        for entry in raft.log().range(self.committed().next(), commit) {
            let hash = chain.get(entry.index).expect("it is new in this log");
            self.committed.push((entry.term, hash));
            if let Some(branch) = self.branches.get_mut(&entry.term) {
                branch.remove(entry.index);
                if branch.is_empty() {
                    self.branches.remove(&entry.term);
                }
            }
        }
    }

    fn check_applied(&mut self, node: NodeId, applied: &[AppliedEntry]) {
        for AppliedEntry { entry, executed, .. } in applied {
            let record = self.nodes.get_mut(&node).expect("observed just now");
            let expected = record.applied.next();
            record.applied = entry.index;
            let canonical = self.committed.get(entry.index).map(|(term, _)| term);
            let checked = !self.committed.is_gone(entry.index);
            if entry.index != expected || checked && canonical != Some(entry.term) {
                let detail = format!("{node} applied {entry} where {expected} of term {canonical:?} was due");
                self.report(Property::StateMachineSafety, detail);
            }
            let effective = executed.is_some();
            match self.effective.get(entry.index) {
                Some(first) if first == effective => {}
                Some(_) => {
                    let what = if effective { "applied" } else { "did not apply" };
                    let detail = format!(
                        "{node} {what} the command of {entry}, unlike the node that applied it first"
                    );
                    self.report(Property::StateMachineSafety, detail);
                }
                None if self.effective.is_gone(entry.index) => {}
                None => {
                    self.effective.push(effective);
                    if let Some(origin) = executed {
                        self.check_once(*origin, *entry);
                    }
                }
            }
        }
    }

    fn check_once(&mut self, origin: Origin, entry: EntryId) {
        let Origin { session, serial, acknowledged } = origin;
        if self.executed.len() > SESSIONS_MAX {
            self.executed.pop_first();
        }
        let known = self.executed.entry(session).or_default();
        let before = if serial < known.acknowledged {
            Some("before its answer was acknowledged".to_string())
        } else {
            known.places.insert(serial, entry).map(|before| format!("at {before}"))
        };
        known.acknowledged = known.acknowledged.max(acknowledged.min(serial));
        while known.places.first_key().is_some_and(|oldest| oldest < known.acknowledged) {
            known.places.pop_first();
        }
        if let Some(before) = before {
            let detail = format!("command {serial} of session {session} was applied {before} and at {entry}");
            self.report(Property::ExactlyOnce, detail);
        }
    }
}

/// The hash of a chain that continues with this entry: its index, its term and its content.
fn chained(before: u64, entry: &Entry) -> u64 {
    let named = |kind, Origin { session, serial, acknowledged }: Origin, command| {
        [kind, session.0, serial, acknowledged, command]
    };
    let content = match &entry.content {
        Content::NoOp => [0; 5],
        Content::Open { client, sessions_max } => [1, client.0, *sessions_max, 0, 0],
        Content::Command { origin, command } => {
            named(2, *origin, crc32fast::hash(command.text().as_bytes()).into())
        }
        Content::Settle { origin } => named(3, *origin, 0),
        Content::Members(configuration) => {
            let text = serde_json::to_vec(configuration).expect("numbers and names always serialize");
            [5, crc32fast::hash(&text).into(), 0, 0, 0]
        }
        Content::Readmit { node, store_id } => [4, node.number().into(), *store_id, 0, 0],
    };
    [entry.index.0, entry.term.0].into_iter().chain(content).fold(before, mixed)
}

/// The finalizer of `SplitMix64` spreads each part over all bits of a hash.
fn mixed(hash: u64, part: u64) -> u64 {
    let mut mixed = (hash ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
