//! Leadership transfer (D 3.10): a leader hands over to a follower that holds all it has, and no call fails for it.
//!
//! While it hands over, a leader appends no command: it keeps those that come and sends what is in its log. When the
//! target holds all of that, TimeoutNow tells it to start an election at once, and again at each heartbeat, since the first
//! may be lost; where any node will do, another one is told then. The leader steps down only for the higher term that
//! follows. Its clients wait until it knows the new leader, and are sent there by name. If no election comes within the
//! shortest election timeout, it gives up, appends what it kept and leads on.
//!
//! - *Late messages.* TimeoutNow names the leader's newest round and the last entry of its log. A node that has heard a later
//!   round, holds another last entry or has no vote to give itself ignores it: the leader may have given up since.
//! - *Leases.* A promise to withhold a vote delays the target's election too. So a leader that hands over claims no lease,
//!   and before TimeoutNow leaves it waives those of all its rounds so far: reads by lease become reads by round. TimeoutNow
//!   and the target's RequestVote carry that waiver. It frees a vote that was withheld for one of these rounds, and no
//!   other: not for a later round of the same leader, not for another leader, and not one that may have been promised
//!   before a restart. So a late copy frees nothing that was claimed since.
//!
//! A leader hands over when a person asks for it, when its own disk stalls (`stall`), when the node that the members
//! prefer has been ready for ten heartbeats, and when it is left out of the members (section 6): then there is no way
//! back, and it steps down when it gives up. After a transfer of its own that failed it waits twice as long each time.
//! Votes never look at the preference.

pub(in crate::raft) mod reason;
mod succession;

use self::reason::{TimeoutNowIgnored, TransferError, TransferReason, Unfit};
use self::succession::Succession;
use super::message::{Cause, Extra, Round, Waiver};
use crate::raft::event::{Event, StepDownReason};
use crate::raft::membership::led::Departure;
use crate::raft::message::Body;
use crate::raft::role::{Progress, ProgressState, Role};
use crate::raft::{Few, Raft};
use crate::types::{EntryId, LogIndex, Member, NodeId, Term, Time};

/// Heartbeats in a row at which a preferred node must be ready.
const READY_HEARTBEATS: u32 = 10;

/// The wait after a transfer that failed is doubled this often at most.
const DOUBLINGS_MAX: u32 = 6;

/// A node's part in transfers.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Transfers {
    under_way: Option<HandOver>,
    /// Why the newest one of this leader failed, or was refused.
    failure: Option<TransferError>,
    /// Transfers that this leader began by itself and that failed.
    failures: u32,
    /// It begins none by itself before this moment.
    not_before: Time,
    /// Heartbeats in a row at which the preferred node was ready.
    ready: u32,
    /// The commit index when the last round of heartbeats began.
    committed: LogIndex,
    /// It handed over and does not know the new leader yet.
    succession: Option<Succession>,
    /// The newest round that this node has heard, with its term.
    pub heard: (Term, Round),
    /// Whose TimeoutNow began this node's newest election, and the term of that.
    predecessor: Option<(Term, Member)>,
}

#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct HandOver {
    target: NodeId,
    reason: TransferReason,
    until: Time,
    /// Any other voter would do as well.
    any: bool,
    /// The target is to be sent TimeoutNow, for the first time or again.
    timeout_now_due: bool,
    timeout_now_sent: bool,
}

impl HandOver {
    /// Who is told to start an election, of those that hold the whole log, in order. Where any will do, each in turn: the
    /// one before may withhold its vote.
    fn next_target(&self, ready: &[NodeId]) -> Option<NodeId> {
        let again = ready.contains(&self.target) && !(self.any && self.timeout_now_sent);
        let next = || ready.iter().find(|node| **node > self.target).or(ready.first()).copied();
        if again { Some(self.target) } else { next().filter(|_| self.any) }
    }
}

/// What others ask.
impl Raft {
    /// To whom this leader hands over at the moment.
    pub fn hands_over_to(&self) -> Option<NodeId> {
        self.beyond.transfers.under_way.map(|hand_over| hand_over.target)
    }

    /// Why the newest transfer of this leader failed, or was refused.
    pub fn transfer_failure(&self) -> Option<&TransferError> {
        self.beyond.transfers.failure.as_ref()
    }

    /// Whether this node has handed over and does not know the new leader yet.
    pub fn awaits_successor(&self) -> bool {
        self.beyond.transfers.succession.is_some()
    }

    /// Whether it hands over. What it appended meanwhile, its target would lack.
    pub(in crate::raft) fn hands_over(&self) -> bool {
        self.beyond.transfers.under_way.is_some()
    }
}

/// The leader.
impl Raft {
    /// A person asks this node to hand over: to this node, or to any.
    pub(in crate::raft) fn transfer(&mut self, now: Time, wanted: Option<NodeId>) {
        match self.choose_target(now, wanted) {
            Ok(target) => {
                self.begin_hand_over(now, target, wanted.is_none(), TransferReason::Request);
            }
            Err(error) => {
                self.note(Event::TransferRefused { error: error.clone() });
                self.beyond.transfers.failure = Some(error);
            }
        }
    }

    fn choose_target(&self, now: Time, wanted: Option<NodeId>) -> Result<NodeId, TransferError> {
        let Role::Leader(leader) = &self.role else {
            return Err(TransferError::NotLeader { leader: self.leader() });
        };
        if let Some(target) = self.hands_over_to() {
            return Err(TransferError::UnderWay(target));
        }
        let candidates: Vec<NodeId> = match wanted {
            Some(wanted) if wanted == self.id => return Err(TransferError::LeadsAlready(self.id)),
            Some(wanted) => vec![wanted],
            None => self.configuration().nodes().into_iter().filter(|node| *node != self.id).collect(),
        };
        let (unfit, fit): (Vec<_>, Vec<_>) = candidates
            .iter()
            .map(|node| (*node, self.unfit(now, *node)))
            .partition(|(_, unfit)| unfit.is_some());
        let held = |node: &NodeId| leader.followers.get(node).map(|progress| progress.match_index);
        // Of those that hold the most, the first by name.
        let best = fit.into_iter().map(|(node, _)| node).rev().max_by_key(held);
        let reasons = unfit.into_iter().filter_map(|(node, unfit)| Some((node, unfit?))).collect::<Vec<_>>();
        best.ok_or(if reasons.is_empty() { TransferError::Alone } else { TransferError::Unfit(reasons) })
    }

    /// Why this node cannot take over now; none if it can, once it holds what is on its way to it.
    fn unfit(&self, now: Time, node: NodeId) -> Option<Unfit> {
        let Role::Leader(leader) = &self.role else { return Some(Unfit::NoMember) };
        let configuration = self.configuration();
        let Some(progress) = leader.followers.get(&node).filter(|_| configuration.contains(node)) else {
            return Some(Unfit::NoMember);
        };
        if !configuration.voters.contains_key(&node) {
            let learns = configuration.learners.contains_key(&node);
            return Some(if learns { Unfit::Learner } else { Unfit::Leaves });
        }
        if !self.is_voting_follower(node, progress) {
            return Some(Unfit::NewFiles);
        }
        let silent = now.since(progress.answers.heard);
        if silent >= self.settings.election_min {
            return Some(Unfit::Silent(silent));
        }
        let lacks_snapshot = matches!(progress.state, ProgressState::Snapshot(_));
        lacks_snapshot.then(|| Unfit::Trails(self.trails(progress)))
    }

    /// Whether a follower votes in the newest configuration, with the files that answered last.
    fn is_voting_follower(&self, node: NodeId, progress: &Progress) -> bool {
        self.configuration().voters.get(&node) == Some(&progress.answers.store_id)
    }

    fn trails(&self, progress: &Progress) -> u64 {
        self.log.last().index.0 - progress.match_index.0
    }

    /// From here on this leader appends no command and claims no lease.
    pub(in crate::raft) fn begin_hand_over(
        &mut self,
        now: Time,
        target: NodeId,
        any: bool,
        reason: TransferReason,
    ) {
        let until = now + self.settings.election_min;
        let transfers = &mut self.beyond.transfers;
        transfers.under_way =
            Some(HandOver { target, reason, until, any, timeout_now_due: true, timeout_now_sent: false });
        transfers.failure = None;
        if let Role::Leader(leader) = &mut self.role {
            leader.rounds.lease_from = None;
        }
        self.note(Event::TransferStarted { target, reason });
    }

    /// Ends a step: tells the target to start its election, when it holds all that this leader does.
    pub(in crate::raft) fn send_timeout_now(&mut self) {
        let Some(hand_over) = self.beyond.transfers.under_way.filter(|hand_over| hand_over.timeout_now_due)
        else {
            return;
        };
        let last = self.log.last();
        let Role::Leader(leader) = &self.role else { return };
        let holds_all = |node: &NodeId| {
            let progress = leader.followers.get(node);
            progress.is_some_and(|progress| {
                progress.match_index == last.index && self.is_voting_follower(*node, progress)
            })
        };
        let ready: Few<NodeId> = leader.followers.keys().copied().filter(holds_all).collect();
        let Some(target) = hand_over.next_target(&ready) else { return };
        let round = leader.rounds.newest;
        assert!(leader.rounds.lease_from.is_none(), "no lease rests on rounds that are waived (D 3.10)");
        self.beyond.transfers.under_way =
            Some(HandOver { target, timeout_now_due: false, timeout_now_sent: true, ..hand_over });
        self.note(Event::TimeoutNowSent { target, round });
        self.send(target, Body::Extra(Extra::TimeoutNow { round, last }));
    }

    /// When a transfer that is under way is given up.
    pub(super) fn give_up_due(&self) -> Time {
        self.beyond.transfers.under_way.map_or(Time::NEVER, |hand_over| hand_over.until)
    }

    /// Before this moment the leader hands over only if a person asks for it.
    pub(super) fn hand_over_not_before(&self) -> Time {
        if self.hands_over() { Time::NEVER } else { self.beyond.transfers.not_before }
    }

    /// The target did not lead in time. What was kept is appended in this very step, and a round begins.
    pub(super) fn give_up_transfer(&mut self, now: Time) {
        let Some(HandOver { target, reason, .. }) = self.beyond.transfers.under_way.take() else { return };
        if reason == TransferReason::LeftOut {
            return self.become_follower(now, self.current_term, StepDownReason::LeftOut);
        }
        let Role::Leader(leader) = &self.role else { return };
        let trails = leader.followers.get(&target).map_or(0, |progress| self.trails(progress));
        let behind = if trails > 0 { Unfit::Trails(trails) } else { Unfit::NotElected };
        let unfit = self.unfit(now, target).unwrap_or(behind);
        let error = TransferError::GivenUp { target, after: self.settings.election_min, reason: unfit };
        self.note(Event::TransferGivenUp { error: error.clone() });
        if let Role::Leader(leader) = &mut self.role {
            // A target that hears of a later round ignores a TimeoutNow that is still on its way.
            leader.rounds.wanted = true;
        }
        let wait = self.settings.heartbeat * READY_HEARTBEATS;
        let transfers = &mut self.beyond.transfers;
        transfers.failure = Some(error);
        transfers.ready = 0;
        if reason != TransferReason::Request {
            transfers.failures += 1;
            transfers.not_before = now + wait * 2_u32.pow(transfers.failures.min(DOUBLINGS_MAX));
        }
    }

    /// A round of heartbeats begins: TimeoutNow is due again, or a transfer to the preferred node.
    pub(super) fn mind_transfers(&mut self, now: Time) {
        let committed = std::mem::replace(&mut self.beyond.transfers.committed, self.commit_index);
        if let Some(hand_over) = &mut self.beyond.transfers.under_way {
            hand_over.timeout_now_due = true;
            return;
        }
        let ready = self.configuration().preferred.filter(|node| self.is_ready(now, *node, committed));
        let transfers = &mut self.beyond.transfers;
        transfers.ready = if ready.is_some() { transfers.ready + 1 } else { 0 };
        if let Some(node) = ready
            && transfers.ready >= READY_HEARTBEATS
            && now >= transfers.not_before
        {
            self.begin_hand_over(now, node, false, TransferReason::Preferred);
        }
    }

    /// Whether another node could take over, answers, and holds what was committed a heartbeat ago.
    fn is_ready(&self, now: Time, node: NodeId, committed: LogIndex) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let answers = |progress: &Progress| {
            now.since(progress.answers.heard) < self.settings.heartbeat * 2
                && progress.match_index >= committed
        };
        leader.followers.get(&node).is_some_and(answers) && self.unfit(now, node).is_none()
    }
}

/// The target.
impl Raft {
    /// The leader of this term hands over to this node: it starts an election at once (D 3.10).
    pub(super) fn handle_timeout_now(&mut self, now: Time, leader: Member, round: Round, last: EntryId) {
        let waiver = Waiver { term: self.current_term, round };
        let mut ignored = self.timeout_now_ignored(now, waiver, last);
        if ignored.is_none() {
            self.free_vote(waiver);
            ignored = self.is_vote_on_hold(now).then_some(TimeoutNowIgnored::Withheld);
        }
        if let Some(reason) = ignored {
            return self.note(Event::TimeoutNowIgnored { leader: leader.node, reason });
        }
        let cause = Cause::Transfer(waiver);
        self.become_candidate(now, cause);
        self.beyond.transfers.predecessor = Some((self.current_term, leader));
        if !self.configuration().names(leader) {
            // It has no vote any more, and waits for the higher term.
            self.send(leader.node, Body::RequestVote { last: self.log.last(), cause });
        }
    }

    /// Why TimeoutNow with this waiver, of a leader whose log ends so, starts no election.
    fn timeout_now_ignored(&self, now: Time, waiver: Waiver, theirs: EntryId) -> Option<TimeoutNowIgnored> {
        let ours = self.log.last();
        if !self.may_campaign() {
            return Some(TimeoutNowIgnored::NoVote);
        }
        if self.beyond.transfers.heard > (waiver.term, waiver.round) {
            return Some(TimeoutNowIgnored::LaterRound);
        }
        if ours != theirs {
            return Some(TimeoutNowIgnored::OtherLast { theirs, ours });
        }
        if self.disk_stalls(now) || !self.is_hard_state_durable() {
            return Some(TimeoutNowIgnored::DiskOwes);
        }
        None
    }

    /// This node leads. A predecessor that handed over because it is left out of the members would not hear of that: it is
    /// sent heartbeats for the longest election timeout, and sends its clients here. If its name is still a member's, with
    /// other files, the name is sent heartbeats in any case.
    pub(in crate::raft) fn tell_predecessor(&mut self, now: Time) {
        let next_index = self.log.last().index.next();
        let Some((term, predecessor)) = self.beyond.transfers.predecessor else { return };
        if term != self.current_term || self.configuration().contains(predecessor.node) {
            return;
        }
        let leaves =
            Some(Departure { round: 1, index: LogIndex(0), until: now + self.settings.election_max });
        if let Role::Leader(leader) = &mut self.role {
            let new = || Progress::new(predecessor.store_id, next_index, now);
            leader.followers.entry(predecessor.node).or_insert_with(new).answers.leaves = leaves;
        }
    }

    /// AppendEntries of this round came from the leader of the current term.
    pub(super) fn note_heard(&mut self, round: Round) {
        let heard = &mut self.beyond.transfers.heard;
        *heard = (*heard).max((self.current_term, round));
    }
}

#[cfg(test)]
mod tests;
