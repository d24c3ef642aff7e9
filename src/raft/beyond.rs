//! What this core does beyond Figure 2: extras, each in a file of its own, and the places where Figure 2 meets them.
//!
//! The files of Figure 2 hold what the extras keep, in fields and types of the extras' own, and say nothing of what an extra
//! does. They call a function at these moments; a test compares the table with the calls:
//!
//! | moment | function | extras |
//! |---|---|---|
//! | a step begins | `note_if_held_up` | `stall` |
//! | a message arrives, before its term counts | `handle_before_term_rule` | `prevote`, and the gate |
//! | a message of an extra arrives | `receive_extra` | `prevote`, `reads`, `transfer`, `membership/files` |
//! | a client reads; a clock may have stood still | `read`; `renounce_lease` | `reads`, `lease` |
//! | a person asks for it | `campaign`, `transfer`, `configure` | `lease`, `transfer`, `configuring` |
//! | a vote is wanted | `withholds_vote`: the gate | `check_quorum`, `lease` |
//! | the election timer runs out | `prepare_election`, `campaign_due` | `lease`, `membership`, `stall`, `prevote` |
//! | a leader's timers run out | `resign_if_due`, `resignation_due` | `check_quorum`, `stall`, `transfer` |
//! | an election begins; a vote is durable, or late | `note_election`, `wait_for_votes`, `note_late_vote` | `stall` |
//! | a leader begins; it steps down | `tell_predecessor`; `leave_office` | `transfer` |
//! | commands are appended | `hands_over` | `transfer` |
//! | AppendEntries leaves | `begin_round`, `beat_for` | `rounds`, `lease`, `membership/changes`, `transfer` |
//! | AppendEntries arrives; it is answered | `beat`; `ack` | `reads`, `freshness`, `lease`, `transfer` |
//! | an answer arrives | `heard` | `membership/files`, `rounds` |
//! | and it rejects, or acknowledges | `handle_loss`, `note_lag` | `membership/files`, `stall` |
//! | an entry is committed | `apply_committed_members` | `membership/leaving` |
//! | term and vote are compared; something is written | `fill`; `complete_if_at_once` | `lease`, `at_once` |
//! | a step ends | `serve_follower_reads`, `note_confirmed`, `send_timeout_now`, `confirm_reads`, `name_successor` | `reads`, `freshness`, `transfer` |
//!
//! A leader's rounds of heartbeats (`rounds`) are what reads, leases and freshness rest on.

mod at_once;
mod check_quorum;
mod configuring;
mod freshness;
mod lease;
pub(super) mod message;
mod prevote;
mod reads;
pub(super) mod rounds;
mod stall;
pub(super) mod transfer;

use std::time::Duration;

use self::freshness::Freshness;
use self::lease::VoteHold;
use self::reads::FollowerReads;
use self::rounds::Rounds;
use self::stall::Elections;
use self::transfer::Transfers;
use super::Raft;
use super::effects::HardState;
use super::event::{Event, VoteReason};
use super::membership::configuration::Configuration;
use super::message::{Ack, Beat, Body, Cause, Extra};
use super::role::{Leader, Progress, Role};
use crate::types::{LogIndex, Member, NodeId, Term, Time};

use message::{BootId, Round};

/// What a node keeps beyond Figure 2.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Beyond {
    boot_id: BootId,
    /// Until when it withholds its vote.
    pub vote_hold: VoteHold,
    /// How fresh the applied state is known to be.
    pub freshness: Freshness,
    /// Reads that wait for the leader that this node follows.
    pub reads: FollowerReads,
    elections: Elections,
    pub transfers: Transfers,
    /// Its driver makes a write durable before it sends a message.
    at_once: bool,
}

impl Beyond {
    /// What a node that starts keeps. A vote that it withholds is free again at this moment.
    pub fn recovered(hard_state: HardState, boot_id: BootId, vote_free: Time) -> Beyond {
        let vote_hold = VoteHold::recovered(hard_state.withheld_votes, vote_free);
        Beyond { boot_id, vote_hold, ..Beyond::default() }
    }

    pub(super) fn fill(&self, hard_state: HardState) -> HardState {
        HardState { withheld_votes: self.vote_hold.ever, ..hard_state }
    }
}

impl Raft {
    /// Why this node withholds its vote now; none when Figure 2 decides. The one place that says which extras withhold a
    /// vote. `requested` tells that a person, or a leader that hands over, asked for the election.
    pub(super) fn withholds_vote(&self, now: Time, requested: bool) -> Option<VoteReason> {
        match self.leader() {
            Some(leader) if !requested && self.hears_leader(now) => Some(VoteReason::LeaderAlive(leader)),
            _ if self.is_vote_on_hold(now) => Some(VoteReason::Withheld),
            _ => None,
        }
    }

    /// Whether the term rule does not see a message: a pre-vote, which may be asked of any term and changes none, or a
    /// request for a vote that is withheld for a leader's sake. That request is not answered and its term not adopted:
    /// a node that was cut off, or removed, cannot depose the leader (D 4.2.3).
    pub(super) fn handle_before_term_rule(
        &mut self,
        now: Time,
        from: Member,
        term: Term,
        body: &Body,
    ) -> bool {
        match *body {
            Body::Extra(Extra::PreVote { next_term, last }) => {
                self.handle_pre_vote(now, from, next_term, last);
                true
            }
            Body::RequestVote { cause, .. } => {
                if let Cause::Transfer(waiver) = cause {
                    self.free_vote(waiver);
                }
                match self.withholds_vote(now, cause != Cause::Timer) {
                    None => false,
                    Some(reason) => {
                        self.note(Event::VoteDecided { candidate: from.node, term, pre: false, reason });
                        true
                    }
                }
            }
            _ => false,
        }
    }

    /// Whether an election starts now, as Figure 2 has it when the timer runs out (`due`). It waits while this node
    /// withholds its vote; it does not start on a node that could not vote for itself, or whose disk owes that; and
    /// with pre-votes the node asks first.
    pub(super) fn prepare_election(&mut self, now: Time, due: bool) -> bool {
        if (!due && !self.beyond.vote_hold.campaign_waits) || self.handle_lease_hold(now) {
            return false;
        }
        if !self.may_campaign() || self.disk_stalls(now) || !self.is_hard_state_durable() {
            self.stay_without_election(now);
            return false;
        }
        if self.settings.pre_vote {
            self.become_pre_candidate(now);
        }
        !self.settings.pre_vote
    }

    /// An election on request: no pre-vote, and others vote although they hear from a leader (D 4.2.3).
    pub(super) fn campaign(&mut self, now: Time) {
        match self.role {
            Role::Leader(_) => {}
            _ if !self.may_campaign() => self.note(Event::CampaignRejected),
            _ if self.is_vote_on_hold(now) => self.delay_campaign(now),
            _ => self.become_candidate(now, Cause::Request),
        }
    }

    /// Ends a leadership that no quorum supports, or a transfer that takes too long; hands over if the disk stalls.
    pub(super) fn resign_if_due(&mut self, now: Time) {
        let Role::Leader(leader) = &self.role else { return };
        if self.settings.check_quorum && now >= self.quorum_doubted_at(leader) {
            self.lose_quorum(now);
        } else if now >= self.give_up_due() {
            self.give_up_transfer(now);
        } else if now >= self.hand_over_due(leader) {
            self.hand_over(now);
        }
    }

    /// When [`Raft::resign_if_due`] has something to do, if nothing arrives.
    pub(super) fn resignation_due(&self, leader: &Leader) -> Time {
        self.quorum_doubted_at(leader).min(self.give_up_due()).min(self.hand_over_due(leader))
    }
}

impl Raft {
    pub(super) fn receive_extra(&mut self, now: Time, from: Member, stale: bool, extra: Extra) {
        match extra {
            Extra::PreVote { .. } => unreachable!("answered before the term rule"),
            Extra::PreVoteReply { next_term, granted } => {
                self.handle_pre_vote_reply(now, from, next_term, granted);
            }
            Extra::ReadIndex { number } => self.handle_read_index(from, number, stale),
            Extra::TimeoutNow { .. } | Extra::Rejoin { .. } | Extra::ReadIndexReply { .. } if stale => {}
            Extra::TimeoutNow { round, last } => self.handle_timeout_now(now, from, round, last),
            Extra::Rejoin { store_id } => self.handle_rejoin(now, from, store_id),
            Extra::ReadIndexReply { number, index } => self.handle_read_index_reply(from.node, number, index),
        }
    }

    /// AppendEntries came from the leader of this term: what the extras make of it, and what they add to the answer.
    pub(super) fn beat(&mut self, now: Time, commit: LogIndex, beat: Beat) -> Ack {
        self.ask_again(now);
        self.note_beat(now, commit, beat);
        self.note_heard(beat.round);
        // Without a promise to withhold its vote this answer must not confirm the round: the lease counts on it.
        let confirms = beat.lease.is_none_or(|claimed| self.hold_vote(now, beat.round, claimed));
        self.ack(if confirms { beat.round } else { 0 })
    }

    pub(super) fn ack(&self, round: Round) -> Ack {
        Ack { round, boot_id: self.beyond.boot_id }
    }

    /// An answer came to this leader. False if it comes from files that its sender has since lost, or from a node that
    /// the leader does not follow any more.
    pub(super) fn heard(&mut self, now: Time, from: Member, ack: Ack) -> bool {
        let admitted = self.admit(now, from);
        if let (true, Role::Leader(leader)) = (admitted, &mut self.role)
            && let Some(progress) = leader.followers.get_mut(&from.node)
        {
            progress.answers.note(ack);
        }
        admitted
    }
}

impl Leader {
    /// The newest round that a quorum has answered, the leader itself, who is this member, included.
    pub(crate) fn confirmed_round(&self, configuration: &Configuration, own: Member) -> Round {
        self.quorum_value(configuration, (own, self.rounds.newest), |progress| progress.answers.round)
    }

    /// What AppendEntries to this follower carries, with how long a claim of a lease is.
    pub(super) fn beat_for(&self, follower: NodeId, lease: Duration) -> Beat {
        let Rounds { newest, confirmed_in_term: confirmed, lease_from, .. } = self.rounds;
        let (boot_id, answered) = self.followers[&follower].answers.seen_before;
        let lease = lease_from.map(|_| lease);
        Beat { round: newest, lease, answered, boot_id, confirmed }
    }
}

impl Raft {
    /// The newest round of this leader that a quorum has answered; zero before the first, and when it does not lead.
    pub fn confirmed_round(&self) -> Round {
        match &self.role {
            Role::Leader(leader) => leader.confirmed_round(self.configuration(), self.member()),
            _ => 0,
        }
    }

    /// Begins a round when a heartbeat is due or reads want one: whether it did.
    pub(super) fn begin_round(&mut self, now: Time, heartbeat: bool) -> bool {
        let Role::Leader(Leader { rounds, .. }) = &mut self.role else { return false };
        if !heartbeat && !std::mem::take(&mut rounds.wanted) {
            return false;
        }
        let claims = self.claims_lease(now);
        let Role::Leader(Leader { rounds, followers, .. }) = &mut self.role else { return false };
        rounds.newest += 1;
        rounds.lease_from = claims.then(|| rounds.lease_from.unwrap_or(rounds.newest));
        rounds.began.note(rounds.newest, now);
        for Progress { answers, .. } in followers.values_mut() {
            answers.seen_before = answers.seen;
        }
        if heartbeat {
            self.begin_next_change(now);
            self.mind_transfers(now);
        }
        true
    }
}
