//! Log replication (5.3).
//!
//! A leader never changes what stands in its log, and counts a copy only when the disk that holds it has said so. A
//! follower acknowledges what it was sent and holds durably, never merely its own last entry.

use super::effects::{Proposal, RejectReason};
use super::entry::Entry;
use super::event::{AppendOutcome, Event, StepDownReason};
use super::membership::Configured;
use super::message::{Ack, AppendResult, Beat, Body};
use super::role::{Follower, ProgressState, Role};
use super::{Few, Raft};
use crate::types::{EntryId, LogIndex, Member, NodeId, Time};

impl Raft {
    /// Figure 2, AppendEntries, from the leader of the current term.
    pub(super) fn handle_append_entries(
        &mut self,
        now: Time,
        from: Member,
        prev: EntryId,
        entries: Vec<Entry>,
        commit: LogIndex,
        beat: Beat,
    ) {
        self.follow(now, from);
        let count = entries.len();
        let outcome = self.take_entries(prev, entries);
        self.note(Event::AppendReceived { from: from.node, prev, count, outcome });

        let result = match outcome {
            AppendOutcome::NoEntryAtPrevious => {
                let first = self.log.last().index.next();
                AppendResult::Conflict { rejected: prev.index, term: None, first }
            }
            AppendOutcome::TermsMismatch { found } => {
                let first = self.log.first_of_term_at(prev.index);
                AppendResult::Conflict { rejected: prev.index, term: Some(found), first }
            }
            AppendOutcome::StaleTerm => unreachable!("rejected before"),
            _ => {
                let last_new = LogIndex(prev.index.0 + count as u64);
                // Figure 2, AppendEntries 5: commitIndex = min(leaderCommit, index of last new entry).
                self.commit_to(commit.min(last_new));
                // A heartbeat is answered at once with what is durable already: a disk that stalls must not make its
                // node look dead. Entries are acknowledged when they are durable.
                let matched = if count == 0 { last_new.min(self.durable_index()) } else { last_new };
                AppendResult::Matched(matched)
            }
        };
        // Figure 2, Followers 1, leaders: answer their requests.
        let ack = self.beat(now, commit, beat);
        self.reply(from, Body::AppendReply { result, ack });
    }

    /// The answer to a leader whose term is over.
    pub(super) fn reject_append_entries(&mut self, from: Member, prev: EntryId, count: usize) {
        // Figure 2, AppendEntries 1: reject if the term is over.
        self.note(Event::AppendReceived { from: from.node, prev, count, outcome: AppendOutcome::StaleTerm });
        // The request's round is not one of a leader of this term.
        let ack = self.ack(0);
        self.reply(from, Body::AppendReply { result: AppendResult::StaleTerm, ack });
    }

    pub(super) fn follow(&mut self, now: Time, leader: Member) {
        match &self.role {
            Role::Leader(_) => {
                panic!("{leader} leads term {} too: at most one leader a term (5.2)", self.current_term)
            }
            // Figure 2, Candidates 3: AppendEntries from the leader of this term: become follower.
            Role::Candidate(_) | Role::PreCandidate { .. } => {
                self.become_follower(now, self.current_term, StepDownReason::LeaderFound(leader.node));
            }
            Role::Follower(Follower { leader: Some((known, _)) }) => {
                assert_eq!(*known, leader, "at most one leader a term (5.2)");
            }
            Role::Follower(Follower { leader: None }) => {}
        }
        if self.leader().is_none() {
            self.note(Event::Following { leader: leader.node, term: self.current_term });
        }
        self.role = Role::Follower(Follower { leader: Some((leader, now)) });
        self.reset_election_timer(now);
    }

    /// Puts a leader's entries into the log, if it holds the entry before them.
    ///
    /// Entries are removed only where one conflicts, even if the log extends past the request. A late
    /// request is often shorter than what came since: cutting the log to it would remove what this node has
    /// acknowledged, and what may be committed by that.
    fn take_entries(&mut self, prev: EntryId, entries: Vec<Entry>) -> AppendOutcome {
        // Figure 2, AppendEntries 2: reject if the log holds no entry at prevLogIndex of prevLogTerm. What lies below
        // the log's base is committed and therefore the same in every leader's log.
        if prev.index > self.log.base().index {
            match self.log.term_at(prev.index) {
                None => return AppendOutcome::NoEntryAtPrevious,
                Some(found) if found != prev.term => {
                    let open = prev.index > self.commit_index;
                    assert!(open, "a leader's log holds all that is committed (5.4)");
                    return AppendOutcome::TermsMismatch { found };
                }
                Some(_) => {}
            }
        }
        let mut outcome =
            if entries.is_empty() { AppendOutcome::Heartbeat } else { AppendOutcome::AlreadyThere };
        for entry in entries {
            if entry.index <= self.log.base().index {
                continue;
            }
            match self.log.term_at(entry.index) {
                // Same index and term: the same entry, and all before it are the same (Log Matching).
                Some(term) if term == entry.term => continue,
                // Figure 2, AppendEntries 3: a conflicting entry goes, and all that follow it.
                Some(_) => {
                    self.truncate_from(entry.index);
                    outcome = AppendOutcome::Conflict(entry.index);
                }
                None if outcome == AppendOutcome::AlreadyThere => outcome = AppendOutcome::NoConflict,
                None => {}
            }
            // Figure 2, AppendEntries 4: append what is not in the log yet.
            self.append(entry);
        }
        outcome
    }

    /// Appends an entry to the log. A configuration is used from now on (section 6).
    pub(super) fn append(&mut self, entry: Entry) {
        if let Some(configured) = Configured::of(&entry) {
            self.note_configuration(configured);
        }
        self.log.append(entry);
    }

    fn truncate_from(&mut self, index: LogIndex) {
        let open = index > self.commit_index;
        assert!(open, "a committed entry is never removed (Figure 3, State Machine Safety)");
        self.note(Event::Truncated { from: index, to: self.log.last().index });
        self.log.truncate_from(index);
        self.truncate_configurations(index);
        self.retract(index);
    }
}

impl Raft {
    /// Takes in a client's command, if this node leads and has room for it.
    pub(super) fn propose(&mut self, now: Time, proposal: Proposal) {
        let Role::Leader(leader) = &mut self.role else {
            return self.reject(proposal.id, false, self.not_leader());
        };
        if leader.uncommitted_bytes >= self.settings.uncommitted_bytes_max {
            return self.reject(proposal.id, false, RejectReason::Busy);
        }
        if leader.gathered.is_empty() {
            leader.gather_until = now + self.settings.batch_window;
        }
        // Counted from here, so that what is gathered within one step is bounded too.
        leader.uncommitted_bytes += proposal.content.weight();
        leader.gathered.push(proposal);
    }

    /// Appends the clients' commands that were gathered, all at once.
    pub(super) fn append_gathered(&mut self, now: Time) {
        let term = self.current_term;
        let due = self.append_due();
        let Role::Leader(leader) = &mut self.role else { return };
        if now < due {
            return;
        }
        let first = self.log.last().index.next();
        self.effects.proposals.reserve(leader.gathered.len());
        for Proposal { id, content } in leader.gathered.drain(..) {
            // Figure 2, Leaders 2: a client's command is appended; it is answered when it is applied.
            let entry = Entry { index: self.log.last().index.next(), term, content };
            self.effects.proposals.push((id, Ok(entry.id())));
            self.log.append(entry);
        }
        self.note(Event::CommandsAppended { first, last: self.log.last().index });
    }

    /// When this leader appends what it has gathered. While it hands over it appends nothing.
    pub(super) fn append_due(&self) -> Time {
        match &self.role {
            Role::Leader(leader) if !leader.gathered.is_empty() && !self.hands_over() => leader.gather_until,
            _ => Time::NEVER,
        }
    }

    /// Sends each follower what it lacks, within its limits, and to all at least a heartbeat when a round begins.
    pub(super) fn replicate(&mut self, now: Time) {
        let Role::Leader(leader) = &mut self.role else { return };
        // Figure 2, Leaders 1: on election send a first AppendEntries to each server, then at every heartbeat.
        let heartbeat = now >= leader.heartbeat_due;
        if heartbeat {
            leader.heartbeat_due = now + self.settings.heartbeat;
        }
        let followers: Few<NodeId> = leader.followers.keys().copied().collect();
        let everyone = self.begin_round(now, heartbeat);
        for follower in followers {
            if heartbeat {
                self.repeat_part(now, follower);
            }
            let sent = self.send_entries(follower);
            if everyone && !sent {
                self.send_append_entries(follower, Vec::new());
            }
        }
    }

    // Figure 2, Leaders 3: if the last index is at least a follower's nextIndex, send it the entries from there on.
    fn send_entries(&mut self, follower: NodeId) -> bool {
        let mut sent = false;
        while let Role::Leader(leader) = &self.role {
            let Some(progress) = leader.followers.get(&follower) else { break };
            let sending = matches!(progress.state, ProgressState::Snapshot(_));
            if !sending && progress.next_index <= self.log.base().index {
                self.begin_snapshot_transfer(follower);
                break;
            }
            let limits = &self.settings;
            let room = progress.has_room(limits.in_flight_messages_max, limits.in_flight_bytes_max);
            if !room || progress.next_index > self.log.last().index {
                break;
            }
            let entries = self.log.slice(progress.next_index, limits.message_bytes_max);
            self.send_append_entries(follower, entries);
            sent = true;
        }
        sent
    }

    fn send_append_entries(&mut self, follower: NodeId, entries: Vec<Entry>) {
        let (count, commit) = (entries.len(), self.commit_index);
        let Role::Leader(leader) = &mut self.role else { return };
        let beat = leader.beat_for(follower, self.settings.election_min);
        let Some(progress) = leader.followers.get_mut(&follower) else { return };
        let prev = match progress.state {
            // Where the logs agree is not known, but they do before the first entry.
            ProgressState::Snapshot(_) => EntryId::ZERO,
            ProgressState::Probe { .. } | ProgressState::Replicate { .. } => {
                self.log.id_at(progress.next_index.previous())
            }
        };
        if let Some(last) = entries.last() {
            progress.sent(last.index, entries.iter().map(Entry::weight).sum());
        }
        let (next, matched) = (progress.next_index, progress.match_index);
        self.note(Event::AppendSent { to: follower, prev, count, next, matched, commit });
        self.send(follower, Body::AppendEntries { prev, entries, commit, beat });
    }

    pub(super) fn handle_append_reply(&mut self, now: Time, from: Member, result: AppendResult, ack: Ack) {
        if !self.heard(now, from, ack) || self.handle_loss(now, from, result, ack) {
            return;
        }
        let last = self.log.last().index;
        let Role::Leader(leader) = &mut self.role else { return };
        let (round, from) = (leader.rounds.newest, from.node);
        let Some(progress) = leader.followers.get_mut(&from) else { return };
        match result {
            // More than was ever sent to it: no follower of this term can say so.
            AppendResult::Matched(index) if index > last => {}
            // All logs agree before the first entry.
            AppendResult::Matched(LogIndex(0)) if progress.next_index > LogIndex(1) => {}
            // Figure 2, Leaders 3, if successful: update nextIndex and matchIndex.
            AppendResult::Matched(index) => {
                if progress.matched(index, round) {
                    self.note_lag(now, from, index);
                    self.note(Event::AppendSucceeded { from, matched: index });
                }
            }
            // Figure 2, Leaders 3, if it fails: decrement nextIndex and try again.
            AppendResult::Conflict { rejected, term, first } => {
                // The end of 5.3: skip the whole conflicting term, unless this leader has entries of it too.
                let shared =
                    term.and_then(|term| self.log.last_of_term(term)).filter(|index| *index >= first);
                let hint = shared.map_or(first, LogIndex::next);
                if progress.rejected(rejected, hint) {
                    let next = progress.next_index;
                    self.note(Event::AppendFailed { from, rejected, next });
                }
            }
            // It answers a request of an earlier term, perhaps of this very node.
            AppendResult::StaleTerm => {}
        }
    }
}
