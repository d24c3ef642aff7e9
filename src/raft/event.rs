//! What happened inside a step, each with its reason and its sentence: the material of logs, narration and transcripts.
//!
//! Events report; no rule ever reads one.

use std::sync::Arc;
use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Serialize};

pub use super::beyond::transfer::reason::{TimeoutNowIgnored, TransferError, TransferReason, Unfit};
use super::membership::configuration::Configuration;
use super::membership::request::ChangeError;
use super::message::Round;
use super::reject::reason::RejectReason;
use crate::types::{EntryId, LogIndex, NodeId, Term};

/// One thing that happened in the core, in the words of the logs behind the node's name.
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// A message of a newer term was seen (5.1).
    #[display("term {from} -> {to}, seen in a message of {by}")]
    TermAdvanced { from: Term, to: Term, by: NodeId },
    /// The election timer ran out and this node asks who would vote for it (D 9.6).
    #[display("asks for pre-votes for term {next_term}: its election timer ran out")]
    PreVoteStarted { next_term: Term },
    /// This node became a candidate (5.2).
    #[display("starts an election for term {term}{}", if *transfer { " (on request)" } else { "" })]
    ElectionStarted {
        term: Term,
        /// A person or a leader that hands over asked for it; no timer ran out.
        transfer: bool,
    },
    /// A vote or pre-vote was granted or refused.
    #[display(
        "{} {candidate} its {} for term {term}: {reason}",
        if reason.granted() { "grants" } else { "refuses" },
        vote(*pre)
    )]
    VoteDecided {
        candidate: NodeId,
        term: Term,
        /// Whether it is only a pre-vote.
        pre: bool,
        reason: VoteReason,
    },
    /// A vote or pre-vote arrived, one's own included.
    #[display(
        "{from}'s {} is {} ({total} of {quorum} needed)",
        vote(*pre),
        if *granted { "yes" } else { "no" }
    )]
    VoteReceived {
        from: NodeId,
        /// Whether it is only a pre-vote.
        pre: bool,
        granted: bool,
        /// Votes held now.
        total: usize,
        quorum: usize,
    },
    /// This node leads.
    #[display("leads term {term}")]
    BecameLeader { term: Term },
    /// This node follows this leader from now on.
    #[display("follows {leader} in term {term}")]
    Following { leader: NodeId, term: Term },
    /// This node led or campaigned, and no longer does.
    #[display("{} term {term}: {reason}", if *led { "steps down as leader of" } else { "gives up its election for" })]
    SteppedDown { term: Term, led: bool, reason: StepDownReason },
    /// The no-op that opens a leader's term was appended (section 8).
    #[display("appends a no-op at {entry}")]
    NoOpAppended { entry: EntryId },
    /// Clients' commands were appended by the leader.
    #[display("appends {} at {}", if first == last { "a command" } else { "commands" }, span(*first, *last))]
    CommandsAppended { first: LogIndex, last: LogIndex },
    /// A client's request was rejected.
    #[display(
        "rejects a {}: {}",
        if *read { "read" } else { "request" },
        if *read { reason.of_read() } else { reason.of_command() },
    )]
    ClientRejected { read: bool, reason: RejectReason },
    /// A follower answers reads: it has applied as far as its leader's read index (D 6.4).
    #[display(
        "answers {count} read{}: its leader's read index {index} is applied",
        if *count == 1 { "" } else { "s" }
    )]
    FollowerRead { count: usize, index: LogIndex },
    /// The leader answers a read at once, since no other leader can be elected yet (D 6.4.1).
    #[display("answers a read by its lease{}", match left {
        Some(left) => format!(", which holds for {} ms more", left.as_millis()),
        None => ": it is a quorum by itself".to_string(),
    })]
    LeaseRead {
        /// How much longer that is certain; none in a cluster of one, where it always is.
        left: Option<Duration>,
    },
    /// A leader gives up its lease, since its own clock may have stood still meanwhile.
    #[display("renounces its lease: the machine's time moved {} ms further than its own", by.as_millis())]
    LeaseRenounced { by: Duration },
    /// An election on request waits: this node withholds its vote, its own candidacy included (D 6.4.1).
    #[display(
        "holds its election back for {} ms: it withholds its vote until the leader's lease ends",
        left.as_millis()
    )]
    ElectionHeldBack { left: Duration },
    /// The leader sent AppendEntries.
    #[display("sends {} to {to}: prev {prev}, next {next}, match {matched}, commit {commit}", entries(*count))]
    AppendSent {
        to: NodeId,
        /// The entry before those sent.
        prev: EntryId,
        /// How many entries; none is a heartbeat.
        count: usize,
        /// The leader's `next_index` for the follower, afterwards; `matched` is its `match_index`.
        next: LogIndex,
        matched: LogIndex,
        commit: LogIndex,
    },
    /// A follower processed AppendEntries.
    #[display("receives {} of {from} (prev {prev}): {outcome}", entries(*count))]
    AppendReceived {
        from: NodeId,
        /// The entry before those sent.
        prev: EntryId,
        /// How many entries; none is a heartbeat.
        count: usize,
        outcome: AppendOutcome,
    },
    /// The leader processed an answer: the follower holds the leader's log up to here.
    #[display("{from} holds the log up to {matched}")]
    AppendSucceeded {
        from: NodeId,
        /// Its `match_index` now.
        matched: LogIndex,
    },
    /// The leader processed an answer: the follower rejected, the leader tries further back.
    #[display("{from} rejected the entry at {rejected}, retrying from {next}")]
    AppendFailed {
        from: NodeId,
        /// The index that did not match.
        rejected: LogIndex,
        /// The `next_index` that is tried now.
        next: LogIndex,
    },
    /// Entries that conflict with the leader's were removed from the log (5.3).
    #[display("{}", if from == to {
        format!("removes entry {from}, which conflicts")
    } else {
        format!("removes entries {from}..{to}, which conflict")
    })]
    Truncated { from: LogIndex, to: LogIndex },
    /// The commit index moved.
    #[display("commit index {from} -> {to}")]
    CommitAdvanced { from: LogIndex, to: LogIndex },
    /// The log's beginning was dropped: a snapshot covers it (7).
    #[display("keeps its log from {} on", base.index.next())]
    LogCompacted {
        /// The last entry that is gone.
        base: EntryId,
    },
    /// The leader begins to send a snapshot: the follower lacks what the log no longer holds (7).
    #[display("sends {to} its snapshot at {last}: {to} lacks entries that are gone")]
    SnapshotSending {
        to: NodeId,
        /// The last entry that it covers; so in all that follow.
        last: EntryId,
    },
    /// A snapshot has arrived at a follower, which holds it durably.
    #[display("{to} has installed the snapshot at {last}")]
    SnapshotSent { to: NodeId, last: EntryId },
    /// The first part of a snapshot arrived.
    #[display("receives the snapshot at {last} of {from}")]
    SnapshotReceiving { from: NodeId, last: EntryId },
    /// This node's state is that of a snapshot from now on.
    #[display("installs the snapshot at {last}, keeps {kept} {} behind it", if *kept == 1 { "entry" } else { "entries" })]
    SnapshotInstalled {
        last: EntryId,
        /// How many entries behind that one the log keeps.
        kept: u64,
    },
    /// What was received of a snapshot is damaged, and was thrown away.
    #[display("throws away the snapshot at {last}, which arrived damaged")]
    SnapshotUnusable { last: EntryId },
    /// A follower could not use what arrived of a snapshot.
    #[display("{by} could not use the snapshot at {last} that it was sent")]
    SnapshotRejected { by: NodeId, last: EntryId },
    /// The leader appended a configuration, and uses it (section 6).
    #[display(
        "proposes {configuration} at index {index}{}",
        if configuration.is_joint() { " (C_old,new)" } else { "" }
    )]
    MembersProposed { index: LogIndex, configuration: Arc<Configuration> },
    /// A configuration is in this follower's log, which uses it from now on.
    #[display("uses the members {configuration}, of index {index}")]
    MembersAppended { index: LogIndex, configuration: Arc<Configuration> },
    /// The configurations from this index on are gone, and the one before them is used again.
    #[display("uses the members {configuration} again: those of index {from} are gone")]
    MembersTruncated {
        from: LogIndex,
        /// The first that is gone.
        gone: Arc<Configuration>,
        configuration: Arc<Configuration>,
    },
    /// A configuration is committed.
    #[display("the members {configuration} are committed, at index {index}")]
    MembersCommitted { index: LogIndex, configuration: Arc<Configuration> },
    /// The leader takes back a joint configuration that is not committed.
    #[display("takes back the change at index {joint}")]
    MembersTakenBack { joint: LogIndex },
    /// A change of the members was refused.
    #[display("refuses to change the members: {error}")]
    ChangeRefused { error: ChangeError },
    /// A committed configuration leaves this node out, and it knows it.
    #[display("is no member any more: it starts no election from now on")]
    Retired,
    /// A follower does not hold any more what it acknowledged in this term: its disk lost it.
    #[display(
        "finds that {node} holds entries up to {held} and had acknowledged them up to {acknowledged}: {}",
        if *rejoins { "its files count as lost" } else { "it is sent the rest again" }
    )]
    AcknowledgedLost {
        node: NodeId,
        /// Up to here it had acknowledged the leader's log.
        acknowledged: LogIndex,
        /// Its log ends here, or differs behind this index.
        held: LogIndex,
        /// It is to be taken in again. False where the others are too few to decide without it: it is sent again what it lost.
        rejoins: bool,
    },
    /// This node's leader found that its files hold less than it acknowledged: they count as lost.
    #[display("takes its files for new ones: they hold less than they acknowledged")]
    Rejoining,
    /// An election was requested, but this node has no vote.
    #[display("starts no election: it has no vote in the configuration that it knows")]
    CampaignRejected,
    /// The leader hands over (D 3.10): from here on it appends no command.
    #[display("hands over to {target}: {reason}")]
    TransferStarted { target: NodeId, reason: TransferReason },
    /// The target holds all that the leader does, and is told to start an election.
    #[display(
        "tells {target} to start an election: it holds the whole log; no lease rests on a round up to {round}"
    )]
    TimeoutNowSent { target: NodeId, round: Round },
    /// The target did not lead in time, and the leader leads on.
    #[display("gives up its transfer and leads on: {error}")]
    TransferGivenUp { error: TransferError },
    /// A transfer was requested, and no node fits.
    #[display("does not hand over: {error}")]
    TransferRefused { error: TransferError },
    /// A leader sent TimeoutNow, and this node starts no election.
    #[display("does not start the election that {leader} ordered: {reason}")]
    TimeoutNowIgnored { leader: NodeId, reason: TimeoutNowIgnored },
    /// The leader heard too few followers for an election timeout.
    #[display("hears only {heard} of the {quorum} nodes that a quorum needs")]
    QuorumLost {
        /// How many it heard, itself included.
        heard: usize,
        quorum: usize,
    },
}

impl Event {
    /// Whether the sentence has a subject of its own. In all others it is the node: `n1 leads term 2`.
    pub fn has_subject(&self) -> bool {
        matches!(
            self,
            Event::TermAdvanced { .. }
                | Event::VoteReceived { .. }
                | Event::AppendSucceeded { .. }
                | Event::AppendFailed { .. }
                | Event::CommitAdvanced { .. }
                | Event::MembersCommitted { .. }
                | Event::SnapshotSent { .. }
                | Event::SnapshotRejected { .. }
        )
    }
}

fn vote(pre: bool) -> &'static str {
    if pre { "pre-vote" } else { "vote" }
}

fn span(first: LogIndex, last: LogIndex) -> String {
    if first == last { first.to_string() } else { format!("{first}..{last}") }
}

/// What an AppendEntries with this many entries carries.
fn entries(count: usize) -> String {
    match count {
        0 => "a heartbeat".to_string(),
        1 => "1 entry".to_string(),
        _ => format!("{count} entries"),
    }
}

/// Why a vote was given or refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
pub enum VoteReason {
    /// Given: no vote yet in this term, and the candidate's log is up-to-date.
    #[display("its log is up-to-date")]
    Granted,
    /// Given again: the same candidate asked twice.
    #[display("it has the vote already")]
    AlreadyGranted,
    /// The candidate's term is over.
    #[display("its term is over")]
    StaleTerm,
    /// Another candidate has this term's vote.
    #[display("{_0} has the vote")]
    VotedFor(NodeId),
    /// The candidate's log is less up-to-date (5.4.1).
    #[display("its log ends at {theirs}, behind {ours}")]
    LogBehind {
        /// The candidate's last entry.
        theirs: EntryId,
        /// This node's last entry.
        ours: EntryId,
    },
    /// This node hears from a leader (D 4.2.3).
    #[display("{_0} leads and is heard")]
    LeaderAlive(NodeId),
    /// This node's own disk owes its term and vote: an election is under way.
    #[display("its disk owes its own term and vote")]
    VotePending,
    /// This node withholds its vote for a while: a leader may hold a lease (D 6.4.1).
    #[display("it withholds its vote until the leader's lease ends")]
    Withheld,
}

impl VoteReason {
    /// Whether it is a yes.
    pub fn granted(self) -> bool {
        matches!(self, VoteReason::Granted | VoteReason::AlreadyGranted)
    }
}

/// Why a node no longer leads or campaigns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
pub enum StepDownReason {
    /// It saw a newer term.
    #[display("term {_0} has begun")]
    NewerTerm(Term),
    /// It heard from the leader of its term.
    #[display("{_0} leads")]
    LeaderFound(NodeId),
    /// It led, but a quorum no longer answers (D 6.2).
    #[display("no quorum answers")]
    NoQuorum,
    /// It led, but the committed configuration leaves it out (section 6).
    #[display("it is left out of the members")]
    LeftOut,
}

/// What became of the entries of an AppendEntries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
pub enum AppendOutcome {
    /// Rejected: the sender's term is over.
    #[display("rejected, its term is over")]
    StaleTerm,
    /// Rejected: the log ends before `prev`.
    #[display("rejected, no entry at that index")]
    NoEntryAtPrevious,
    /// Rejected: the entry at `prev` is of another term.
    #[display("rejected, that entry is of term {found}")]
    TermsMismatch {
        /// The term found there.
        found: Term,
    },
    /// Nothing carried, and `prev` matches.
    #[display("matches")]
    Heartbeat,
    /// All entries were there already.
    #[display("already there")]
    AlreadyThere,
    /// Entries were appended, nothing had to go.
    #[display("appended")]
    NoConflict,
    /// Entries from this index on conflicted and were replaced.
    #[display("replaced from {_0} on")]
    Conflict(LogIndex),
}
