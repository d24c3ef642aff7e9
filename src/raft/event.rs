//! What happened inside a step, each with its reason: the material of logs, narration and transcripts.
//!
//! Events report; no rule ever reads one.

use std::fmt;
use std::time::Duration;

use super::effects::RejectReason;
use crate::types::{EntryId, LogIndex, NodeId, Term};

/// One thing that happened in the core.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// The election timer ran out and this node asks who would vote for it (9.6).
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
    /// A follower answers reads: it has applied as far as its leader's read index (6.4).
    FollowerRead {
        /// How many.
        count: usize,
        /// The read index.
        index: LogIndex,
    },
    /// The leader answers a read at once, since nobody else can be elected yet (6.4.1).
    LeaseRead {
        /// How much longer that is certain; none in a cluster of one, where it always is.
        left: Option<Duration>,
    },
    /// An election on request waits: this node withholds its vote, its own candidacy included (6.4.1).
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
    /// This node hears from a leader (4.2.3).
    LeaderAlive(NodeId),
    /// This node's own disk owes its term and vote: an election is under way.
    VotePending,
    /// This node lost its files, and with them whom it voted for.
    Joining,
    /// This node withholds its vote for a while: a leader may hold a lease (6.4.1).
    Withheld,
}

impl VoteReason {
    /// Whether it is a yes.
    pub fn granted(self) -> bool {
        matches!(self, VoteReason::Granted | VoteReason::AlreadyGranted)
    }
}

/// Why a node no longer leads or campaigns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepDownReason {
    /// It saw a newer term.
    NewerTerm(Term),
    /// It heard from the leader of its term.
    LeaderFound(NodeId),
    /// It led, but a quorum no longer answers (6.2).
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

impl fmt::Display for Event {
    #[expect(clippy::too_many_lines, reason = "a sentence for each event, and nothing else")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "entry" } else { "entries" };
        let kind = |pre: bool| if pre { "pre-vote" } else { "vote" };
        match self {
            Event::TermAdvanced { from, to, by } => {
                write!(f, "term {from} -> {to}, seen in a message of {by}")
            }
            Event::PreVoteStarted { next_term } => {
                write!(f, "election timer ran out: asks for pre-votes for term {next_term}")
            }
            Event::ElectionStarted { term, transfer } => {
                let on_request = if *transfer { " (on request)" } else { "" };
                write!(f, "starts an election for term {term}{on_request}")
            }
            Event::VoteDecided { candidate, term, pre, reason } => {
                let verb = if reason.granted() { "grants" } else { "refuses" };
                write!(f, "{verb} {candidate} its {} for term {term}: {reason}", kind(*pre))
            }
            Event::VoteReceived { from, pre, granted, total, quorum } => {
                let answer = if *granted { "yes" } else { "no" };
                write!(f, "{} of {from}: {answer} ({total} of {quorum} needed)", kind(*pre))
            }
            Event::BecameLeader { term } => write!(f, "leads term {term}"),
            Event::Following { leader, term } => write!(f, "follows {leader} in term {term}"),
            Event::SteppedDown { term, led, reason } => {
                let what = if *led { "steps down as leader of" } else { "gives up its election for" };
                write!(f, "{what} term {term}: {reason}")
            }
            Event::NoOpAppended { entry } => write!(f, "no-op appended at {entry}"),
            Event::CommandsAppended { first, last } if first == last => {
                write!(f, "command appended at {first}")
            }
            Event::CommandsAppended { first, last } => write!(f, "commands appended at {first}..{last}"),
            Event::ClientRejected { read, reason } => {
                let (request, limit) = if *read {
                    ("read", "too many reads are waiting")
                } else {
                    ("request", "too many bytes are uncommitted")
                };
                match reason {
                    RejectReason::Busy => write!(f, "{request} rejected: {limit}"),
                    RejectReason::NotLeader { leader: Some(leader) } => {
                        write!(f, "{request} rejected: {leader} leads")
                    }
                    RejectReason::NotLeader { leader: None } => {
                        write!(f, "{request} rejected: no leader is known")
                    }
                }
            }
            Event::FollowerRead { count, index } => {
                let reads = if *count == 1 { "read" } else { "reads" };
                write!(f, "answers {count} {reads}: its leader's read index {index} is applied")
            }
            Event::LeaseRead { left: None } => {
                f.write_str("answers a read by its lease: it is a quorum alone")
            }
            Event::LeaseRead { left: Some(left) } => {
                write!(f, "answers a read by its lease, which holds for {} ms more", left.as_millis())
            }
            Event::ElectionHeldBack { left } => write!(
                f,
                "holds its election back for {} ms: it has promised to withhold its vote until the leader's lease ends",
                left.as_millis()
            ),
            Event::AppendSent { to, prev, count: 0, next, matched, commit } => {
                write!(f, "heartbeat to {to}: prev {prev}, next {next}, match {matched}, commit {commit}")
            }
            Event::AppendSent { to, prev, count, next, matched, commit } => {
                let entries = plural(*count);
                write!(
                    f,
                    "{count} {entries} to {to}: prev {prev}, next {next}, match {matched}, commit {commit}"
                )
            }
            Event::AppendReceived { from, prev, count: 0, outcome } => {
                write!(f, "heartbeat of {from} (prev {prev}): {outcome}")
            }
            Event::AppendReceived { from, prev, count, outcome } => {
                write!(f, "{count} {} of {from} (prev {prev}): {outcome}", plural(*count))
            }
            Event::AppendSucceeded { from, matched } => write!(f, "{from} holds the log up to {matched}"),
            Event::AppendFailed { from, rejected, next } => {
                write!(f, "{from} rejected entry {rejected}: retrying from {next}")
            }
            Event::Truncated { from, to } if from == to => write!(f, "entry {from} removed: it conflicts"),
            Event::Truncated { from, to } => write!(f, "entries {from}..{to} removed: they conflict"),
            Event::CommitAdvanced { from, to } => write!(f, "commit index {from} -> {to}"),
            Event::LogCompacted { base } => write!(f, "log kept from {} on", base.index.next()),
            Event::SnapshotSending { to, last } => {
                write!(f, "sends {to} its snapshot at {last}: {to} lacks entries that are gone")
            }
            Event::SnapshotSent { to, last } => write!(f, "{to} has installed the snapshot at {last}"),
            Event::SnapshotReceiving { from, last } => write!(f, "receives the snapshot at {last} of {from}"),
            Event::SnapshotInstalled { last, kept } => {
                let (kept, entries) = (*kept, plural(usize::try_from(*kept).unwrap_or(usize::MAX)));
                write!(f, "installs the snapshot at {last}, keeps {kept} {entries} behind it")
            }
            Event::SnapshotUnusable { last } => {
                write!(f, "the snapshot at {last} arrived damaged and was thrown away")
            }
            Event::SnapshotRejected { by, last } => {
                write!(f, "{by} could not use the snapshot at {last} that it was sent")
            }
            Event::Readmitting { node } => write!(f, "readmits {node}, which has caught up"),
            Event::Readmitted => f.write_str("has caught up and is readmitted: it votes again"),
            Event::AcknowledgedLost { node, acknowledged, held, rejoins } => {
                let what = if *rejoins { "its files count as lost" } else { "it is sent the rest again" };
                write!(
                    f,
                    "finds that {node} holds entries up to {held} and had acknowledged them up to {acknowledged}: {what}"
                )
            }
            Event::Rejoining => f.write_str(
                "its files hold less than it acknowledged: they count as lost, and it joins again",
            ),
            Event::CampaignRejected => {
                f.write_str("starts no election: it lost its files and is not readmitted yet")
            }
            Event::DiskStalled { successor } => {
                write!(f, "its disk does not answer: hands over to {successor}")
            }
            Event::QuorumLost { heard, quorum } => {
                write!(f, "hears only {heard} of the {quorum} nodes that a quorum needs")
            }
        }
    }
}

impl fmt::Display for VoteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VoteReason::Granted => f.write_str("its log is up-to-date"),
            VoteReason::AlreadyGranted => f.write_str("it has the vote already"),
            VoteReason::StaleTerm => f.write_str("its term is over"),
            VoteReason::VotedFor(node) => write!(f, "{node} has the vote"),
            VoteReason::LogBehind { theirs, ours } => write!(f, "its log ends at {theirs}, behind {ours}"),
            VoteReason::Joining => f.write_str("it lost its files and is not readmitted yet"),
            VoteReason::VotePending => f.write_str("its disk owes its own term and vote"),
            VoteReason::Withheld => {
                f.write_str("it has promised to withhold its vote until the leader's lease ends")
            }
            VoteReason::LeaderAlive(leader) => write!(f, "{leader} leads and is heard"),
        }
    }
}

impl fmt::Display for StepDownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepDownReason::NewerTerm(term) => write!(f, "term {term} has begun"),
            StepDownReason::LeaderFound(leader) => write!(f, "{leader} leads"),
            StepDownReason::DiskStalled => f.write_str("its disk does not answer"),
            StepDownReason::NoQuorum => f.write_str("no quorum answers"),
        }
    }
}

impl fmt::Display for AppendOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendOutcome::StaleTerm => f.write_str("rejected, its term is over"),
            AppendOutcome::NoEntryAtPrevious => f.write_str("rejected, no entry at that index"),
            AppendOutcome::TermsMismatch { found } => write!(f, "rejected, that entry is of term {found}"),
            AppendOutcome::Heartbeat => f.write_str("matches"),
            AppendOutcome::AlreadyThere => f.write_str("already there"),
            AppendOutcome::NoConflict => f.write_str("appended"),
            AppendOutcome::Conflict(index) => write!(f, "replaced from {index} on"),
        }
    }
}
