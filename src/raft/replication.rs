//! Log replication (5.3) and what may be committed (5.4.2).
//!
//! A leader never changes what stands in its log, and counts a copy only when the disk that holds it has said so. A
//! follower acknowledges what it was sent and holds durably, never merely its own last entry.

use super::effects::Proposal;
use super::event::{AppendOutcome, Event, StepDownReason};
use super::log::Entry;
use super::message::{Answerer, AppendResult, Body, Round, Standing};
use super::role::{Follower, Leader, ProgressState, Role};
use super::{Few, Raft};
use crate::types::{EntryId, LogIndex, NodeId, Time};

/// The follower's side.
impl Raft {
    /// Figure 2, AppendEntries, from the leader of the current term.
    pub(super) fn handle_append_entries(
        &mut self,
        now: Time,
        from: NodeId,
        prev: EntryId,
        entries: Vec<Entry>,
        commit: LogIndex,
        round: Round,
    ) {
        self.follow(now, from);
        self.ask_again(now);
        let count = entries.len();
        let outcome = self.take_entries(prev, entries);
        self.effects.events.push(Event::AppendReceived { from, prev, count, outcome });

        let result = match outcome {
            AppendOutcome::NoEntryAtPrevious => {
                let first = self.log.last().index.next();
                AppendResult::Conflict { rejected: prev.index, term: None, first }
            }
            AppendOutcome::TermsMismatch { found } => {
                let first = self.log.first_of_term_at(prev.index);
                AppendResult::Conflict { rejected: prev.index, term: Some(found), first }
            }
            AppendOutcome::StaleTerm => unreachable!("refused before"),
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
        // Figure 2, Followers 1: answer the requests of leaders and candidates.
        self.send(from, Body::AppendReply { answerer: self.answerer(), round, result });
    }

    /// The answer to a leader whose term is over.
    pub(super) fn refuse_append_entries(&mut self, from: NodeId, prev: EntryId, count: usize, round: Round) {
        // Figure 2, AppendEntries 1: refuse if the term is over.
        let outcome = AppendOutcome::StaleTerm;
        self.effects.events.push(Event::AppendReceived { from, prev, count, outcome });
        let answerer = self.answerer();
        self.send(from, Body::AppendReply { answerer, round, result: AppendResult::StaleTerm });
    }

    /// The leader of this term spoke.
    pub(super) fn follow(&mut self, now: Time, leader: NodeId) {
        match &self.role {
            Role::Leader(_) => {
                panic!("{leader} leads term {} too: at most one leader a term (5.2)", self.current_term)
            }
            // Figure 2, Candidates 3: AppendEntries from the leader of this term: become follower.
            Role::Candidate(_) | Role::PreCandidate(_) => {
                self.become_follower(now, self.current_term, StepDownReason::LeaderFound(leader));
            }
            Role::Follower(Follower { leader: Some((known, _)) }) => {
                assert_eq!(*known, leader, "at most one leader a term (5.2)");
            }
            Role::Follower(Follower { leader: None }) => {}
        }
        if self.leader().is_none() {
            self.effects.events.push(Event::Following { leader, term: self.current_term });
        }
        self.role = Role::Follower(Follower { leader: Some((leader, now)) });
        self.reset_election_timer(now);
    }

    /// Puts a leader's entries into the log, if it holds the entry before them.
    fn take_entries(&mut self, prev: EntryId, entries: Vec<Entry>) -> AppendOutcome {
        // Figure 2, AppendEntries 2: refuse if the log holds no entry at prevLogIndex of prevLogTerm. What lies below
        // the log's base is committed and therefore the same in every leader's log.
        if prev.index > self.log.base().index {
            match self.log.term_at(prev.index) {
                None => return AppendOutcome::NoEntryAtPrevious,
                Some(found) if found != prev.term => {
                    assert!(
                        prev.index > self.commit_index,
                        "a leader's log holds all that is committed (5.4)"
                    );
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
            self.log.append(entry);
        }
        outcome
    }

    fn truncate_from(&mut self, index: LogIndex) {
        assert!(
            index > self.commit_index,
            "a committed entry is never removed (Figure 3, State Machine Safety)"
        );
        self.effects.events.push(Event::Truncated { from: index, to: self.log.last().index });
        self.log.truncate_from(index);
        self.retract(index);
    }
}

/// The leader's side.
impl Raft {
    /// Appends the clients' commands that were gathered, all at once.
    pub(super) fn append_gathered(&mut self, now: Time) {
        let term = self.current_term;
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.gathered.is_empty() || now < leader.gather_until {
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
        self.effects.events.push(Event::CommandsAppended { first, last: self.log.last().index });
    }

    /// Sends each follower what it lacks, within its limits, and a heartbeat when one is due or a read wants a round.
    pub(super) fn replicate(&mut self, now: Time) {
        let Role::Leader(leader) = &mut self.role else { return };
        let heartbeat = now >= leader.heartbeat_due;
        let everyone = heartbeat || std::mem::take(&mut leader.round_wanted);
        if heartbeat {
            leader.heartbeat_due = now + self.settings.heartbeat;
        }
        let followers: Few<NodeId> = leader.followers.keys().copied().collect();
        if everyone {
            self.begin_round(now);
        }
        if heartbeat {
            self.readmit();
        }
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
            let progress = &leader.followers[&follower];
            let sending = matches!(progress.state, ProgressState::Snapshot(_));
            if !sending && progress.next_index <= self.log.base().index {
                self.begin_transfer(follower);
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
        let commit = self.commit_index;
        let Role::Leader(Leader { followers, round, confirmed, lease_from, .. }) = &mut self.role else {
            return;
        };
        let (round, confirmed, lease) = (*round, *confirmed, lease_from.is_some());
        let progress = followers.get_mut(&follower).expect("every other member has its progress");
        let prev = match progress.state {
            // Where the logs agree is not known, but they do before the first entry.
            ProgressState::Snapshot(_) => EntryId::ZERO,
            ProgressState::Probe { .. } | ProgressState::Replicate { .. } => {
                self.log.id_at(progress.next_index.previous())
            }
        };
        let count = entries.len();
        if let Some(last) = entries.last() {
            progress.sent(last.index, entries.iter().map(Entry::weight).sum());
        }
        let (next, matched) = (progress.next_index, progress.match_index);
        let (boot_id, answered) = progress.answered;
        let standing = Standing { lease, answered, boot_id, confirmed };
        self.effects.events.push(Event::AppendSent { to: follower, prev, count, next, matched, commit });
        self.send(follower, Body::AppendEntries { prev, entries, commit, round, standing });
    }

    pub(super) fn handle_append_reply(
        &mut self,
        now: Time,
        from: NodeId,
        answerer: Answerer,
        round: Round,
        result: AppendResult,
    ) {
        // It answers a request of an earlier term, perhaps of this very node: its round is none of this term's.
        if !self.admit(now, from, answerer) || result == AppendResult::StaleTerm {
            return;
        }
        let last = self.log.last().index;
        let owed_since = match result {
            AppendResult::Matched(index) => self.durability.owes_since(index),
            AppendResult::Conflict { .. } | AppendResult::StaleTerm => None,
        };
        let Role::Leader(leader) = &mut self.role else { return };
        let newest = leader.round;
        let progress = leader.followers.get_mut(&from).expect("every other member has its progress");
        progress.round = progress.round.max(round);
        progress.note_answer(answerer.boot_id, round);
        match result {
            // More than was ever sent to it: no follower of this term can say so.
            AppendResult::Matched(index) if index > last => {}
            // All logs agree before the first entry.
            AppendResult::Matched(LogIndex(0)) if progress.next_index > LogIndex(1) => {}
            AppendResult::Matched(index) => {
                if progress.matched(index, newest) {
                    progress.lag = owed_since.map_or(progress.lag, |since| now.since(since));
                    self.effects.events.push(Event::AppendSucceeded { from, matched: index });
                }
            }
            AppendResult::Conflict { rejected, first, .. } if progress.has_lost(rejected, round) => {
                self.distrust(now, from, first);
            }
            AppendResult::Conflict { rejected, term, first } => {
                // The end of 5.3: skip the whole conflicting term, unless this leader has entries of it too.
                let shared =
                    term.and_then(|term| self.log.last_of_term(term)).filter(|index| *index >= first);
                let hint = shared.map_or(first, LogIndex::next);
                if progress.refused(rejected, hint) {
                    let next = progress.next_index;
                    self.effects.events.push(Event::AppendFailed { from, rejected, next });
                }
            }
            AppendResult::StaleTerm => unreachable!("told apart above"),
        }
    }

    /// Commits what a majority holds durably.
    pub(super) fn advance_commit_index(&mut self) {
        // Figure 2, Leaders 4: the highest index that a majority holds, if its entry is of this term: commit it.
        let Role::Leader(leader) = &self.role else { return };
        let counted = leader.followers.values().filter(|progress| !progress.joining);
        let mut held: Few<LogIndex> = counted.map(|progress| progress.match_index).collect();
        held.push(self.durable_index());
        held.sort_unstable_by(|a, b| b.cmp(a));
        let Some(&majority) = held.get(self.quorum() - 1) else { return };
        // 5.4.2 and Figure 8: an entry of an earlier term is committed only by one of this term behind it.
        if majority > self.commit_index && self.log.term_at(majority) == Some(self.current_term) {
            self.commit_to(majority);
        }
    }

    /// Moves the commit index, never back.
    pub(super) fn commit_to(&mut self, index: LogIndex) {
        if index <= self.commit_index {
            return;
        }
        let from = std::mem::replace(&mut self.commit_index, index);
        self.effects.events.push(Event::CommitAdvanced { from, to: index });
        self.note_readmission(from.next(), index);
        if let Role::Leader(leader) = &mut self.role {
            let committed: usize = self.log.range(from.next(), index).map(Entry::weight).sum();
            leader.uncommitted_bytes = leader.uncommitted_bytes.saturating_sub(committed);
        }
    }
}
