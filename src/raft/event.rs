//! What happened inside a step, each with its reason: the material of logs, narration and transcripts.
//!
//! Events report; no rule ever reads one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::types::{EntryId, LogIndex, NodeId, Term};

/// One thing that happened in the core.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message of a newer term was seen (5.1).
    TermAdvanced {
        /// The term before.
        from: Term,
        /// The term now.
        to: Term,
        /// Whose message showed it.
        by: NodeId,
    },
    /// The election timer ran out and this node asks who would vote for it (D 9.6).
    PreVoteStarted {
        /// The term it would start.
        next_term: Term,
    },
    /// This node became a candidate (5.2).
    ElectionStarted {
        /// The new term.
        term: Term,
        /// A person or a leader that hands over asked for it; no timer ran out.
        transfer: bool,
    },
    /// A vote or pre-vote was granted or refused.
    VoteDecided {
        /// Who asked.
        candidate: NodeId,
        /// The term of the vote.
        term: Term,
        /// Whether it is only a pre-vote.
        pre: bool,
        /// The decision and its reason.
        reason: VoteReason,
    },
    /// A vote or pre-vote arrived, one's own included.
    VoteReceived {
        /// Who voted.
        from: NodeId,
        /// Whether it is only a pre-vote.
        pre: bool,
        /// Yes or no.
        granted: bool,
        /// Votes held now.
        total: usize,
        /// Votes needed.
        quorum: usize,
    },
    /// This node leads.
    BecameLeader {
        /// Its term.
        term: Term,
    },
    /// This node follows this leader from now on.
    Following {
        /// The leader.
        leader: NodeId,
        /// Its term.
        term: Term,
    },
    /// This node led or campaigned, and no longer does.
    SteppedDown {
        /// The term in which it led or campaigned.
        term: Term,
        /// Whether it led.
        led: bool,
        /// Why.
        reason: StepDownReason,
    },
    /// The no-op that opens a leader's term was appended (section 8).
    NoOpAppended {
        /// Where.
        entry: EntryId,
    },
    /// Clients' commands were appended by the leader.
    CommandsAppended {
        /// The first of them.
        first: LogIndex,
        /// The last of them.
        last: LogIndex,
    },
    /// A client's request was rejected.
    ClientRejected {
        /// It was a read.
        read: bool,
        /// Why.
        reason: RejectReason,
    },
    /// A follower answers reads: it has applied as far as its leader's read index (D 6.4).
    FollowerRead {
        /// How many.
        count: usize,
        /// The read index.
        index: LogIndex,
    },
    /// The leader answers a read at once, since no other leader can be elected yet (D 6.4.1).
    LeaseRead {
        /// How much longer that is certain; none in a cluster of one, where it always is.
        left: Option<Duration>,
    },
    /// An election on request waits: this node withholds its vote, its own candidacy included (D 6.4.1).
    ElectionHeldBack {
        /// For this long.
        left: Duration,
    },
    /// The leader sent AppendEntries.
    AppendSent {
        /// To whom.
        to: NodeId,
        /// The entry before those sent.
        prev: EntryId,
        /// How many entries; none is a heartbeat.
        count: usize,
        /// The leader's `next_index` for the follower, afterwards.
        next: LogIndex,
        /// The leader's `match_index` for the follower.
        matched: LogIndex,
        /// The leader's commit index.
        commit: LogIndex,
    },
    /// A follower processed AppendEntries.
    AppendReceived {
        /// From whom.
        from: NodeId,
        /// The entry before those sent.
        prev: EntryId,
        /// How many entries; none is a heartbeat.
        count: usize,
        /// What became of them.
        outcome: AppendOutcome,
    },
    /// The leader processed an answer: the follower holds the leader's log up to here.
    AppendSucceeded {
        /// The follower.
        from: NodeId,
        /// Its `match_index` now.
        matched: LogIndex,
    },
    /// The leader processed an answer: the follower rejected, the leader tries further back.
    AppendFailed {
        /// The follower.
        from: NodeId,
        /// The index that did not match.
        rejected: LogIndex,
        /// The `next_index` that is tried now.
        next: LogIndex,
    },
    /// Entries that conflict with the leader's were removed from the log (5.3).
    Truncated {
        /// The first index removed.
        from: LogIndex,
        /// The last index removed.
        to: LogIndex,
    },
    /// The commit index moved.
    CommitAdvanced {
        /// From here.
        from: LogIndex,
        /// To here.
        to: LogIndex,
    },
    /// The log's beginning was dropped: a snapshot covers it (7).
    LogCompacted {
        /// The last entry that is gone.
        base: EntryId,
    },
    /// The leader begins to send a snapshot: the follower lacks what the log no longer holds (7).
    SnapshotSending {
        /// To whom.
        to: NodeId,
        /// The last entry that it covers.
        last: EntryId,
    },
    /// A snapshot has arrived at a follower, which holds it durably.
    SnapshotSent {
        /// The follower.
        to: NodeId,
        /// The last entry that it covers.
        last: EntryId,
    },
    /// The first part of a snapshot arrived.
    SnapshotReceiving {
        /// From whom.
        from: NodeId,
        /// The last entry that it covers.
        last: EntryId,
    },
    /// This node's state is that of a snapshot from now on.
    SnapshotInstalled {
        /// The last entry that it covers.
        last: EntryId,
        /// How many entries behind that one the log keeps.
        kept: u64,
    },
    /// What was received of a snapshot is damaged, and was thrown away.
    SnapshotUnusable {
        /// The last entry that it was to cover.
        last: EntryId,
    },
    /// A follower could not use what arrived of a snapshot.
    SnapshotRejected {
        /// The follower.
        by: NodeId,
        /// The last entry that it was to cover.
        last: EntryId,
    },
    /// A node that had lost its files has caught up: the leader appended its readmission.
    Readmitting {
        /// The node.
        node: NodeId,
    },
    /// This node had lost its files, has caught up, and votes again.
    Readmitted,
    /// A follower does not hold any more what it acknowledged in this term: its disk lost it.
    AcknowledgedLost {
        /// The follower.
        node: NodeId,
        /// Up to here it had acknowledged the leader's log.
        acknowledged: LogIndex,
        /// Its log ends here, or differs behind this index.
        held: LogIndex,
        /// It is to join again. False where the others are too few to decide without it: it is sent again what it lost.
        rejoins: bool,
    },
    /// This node's leader found that its files hold less than it acknowledged: they count as lost.
    Rejoining,
    /// An election was requested, but this node lost its files and is not readmitted yet.
    CampaignRejected,
    /// The leader's own disk does not answer, and other disks do.
    DiskStalled {
        /// Who is told to start an election.
        successor: NodeId,
    },
    /// The leader heard too few followers for an election timeout.
    QuorumLost {
        /// How many it heard, itself included.
        heard: usize,
        /// How many it needs.
        quorum: usize,
    },
}

/// Why a vote was given or refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VoteReason {
    /// Given: no vote yet in this term, and the candidate's log is up-to-date.
    Granted,
    /// Given again: the same candidate asked twice.
    AlreadyGranted,
    /// The candidate's term is over.
    StaleTerm,
    /// Another candidate has this term's vote.
    VotedFor(NodeId),
    /// The candidate's log is less up-to-date (5.4.1).
    LogBehind {
        /// The candidate's last entry.
        theirs: EntryId,
        /// This node's last entry.
        ours: EntryId,
    },
    /// This node hears from a leader (D 4.2.3).
    LeaderAlive(NodeId),
    /// This node's own disk owes its term and vote: an election is under way.
    VotePending,
    /// This node lost its files, and with them whom it voted for.
    Joining,
    /// This node withholds its vote for a while: a leader may hold a lease (D 6.4.1).
    Withheld,
}

impl VoteReason {
    /// Whether it is a yes.
    pub fn granted(self) -> bool {
        matches!(self, VoteReason::Granted | VoteReason::AlreadyGranted)
    }
}

/// Why a command or a read was not taken in. It has certainly not been applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RejectReason {
    /// This node does not lead; perhaps that one does.
    NotLeader {
        /// The leader that this node follows, if it follows one and has no doubt of it.
        leader: Option<NodeId>,
    },
    /// The node holds as many uncommitted bytes, or as many reads, as it may: try again later.
    Busy,
}

/// Why a node no longer leads or campaigns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepDownReason {
    /// It saw a newer term.
    NewerTerm(Term),
    /// It heard from the leader of its term.
    LeaderFound(NodeId),
    /// It led, but a quorum no longer answers (D 6.2).
    NoQuorum,
    /// It led, but its own disk does not answer.
    DiskStalled,
}

/// What became of the entries of an AppendEntries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendOutcome {
    /// Rejected: the sender's term is over.
    StaleTerm,
    /// Rejected: the log ends before `prev`.
    NoEntryAtPrevious,
    /// Rejected: the entry at `prev` is of another term.
    TermsMismatch {
        /// The term found there.
        found: Term,
    },
    /// Nothing carried, and `prev` matches.
    Heartbeat,
    /// All entries were there already.
    AlreadyThere,
    /// Entries were appended, nothing had to go.
    NoConflict,
    /// Entries from this index on conflicted and were replaced.
    Conflict(LogIndex),
}
