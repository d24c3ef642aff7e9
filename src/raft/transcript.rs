//! How messages and events are written in transcripts and logs. A message reads `n1@2 -> n2 AppendEntries prev=4@1 entry=5@2 commit=4 round=9`, the term
//! after the sender's name, entries as index@term.

use std::fmt;

use super::event::{AppendOutcome, Event, RejectReason, StepDownReason, VoteReason};
use super::message::{Ack, AppendResult, Beat, Body, Extra, InstallResult, Message};

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} -> {} {}", self.from, self.term, self.to, self.body)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        match self {
            Body::RequestVote { last, transfer } => {
                write!(f, " last={last}{}", if *transfer { " transfer" } else { "" })
            }
            Body::VoteReply { granted } => write!(f, " vote={}", if *granted { "yes" } else { "no" }),
            Body::AppendEntries { prev, entries, commit, beat } => {
                write!(f, " prev={prev}")?;
                match (entries.first(), entries.last()) {
                    (Some(first), Some(last)) if first.index == last.index => {
                        write!(f, " entry={}", first.id())?;
                    }
                    (Some(first), Some(last)) => write!(f, " entries={}..{}", first.id(), last.id())?,
                    _ => f.write_str(" heartbeat")?,
                }
                write!(f, " commit={commit} {beat}")
            }
            Body::AppendReply { result, ack } => match result {
                AppendResult::Matched(index) => write!(f, " matched={index} {ack}"),
                AppendResult::Conflict { rejected, term: Some(term), first } => {
                    write!(f, " conflict at={rejected} term={term} first={first} {ack}")
                }
                AppendResult::Conflict { rejected, term: None, first } => {
                    write!(f, " conflict at={rejected} log ends before {first} {ack}")
                }
                AppendResult::StaleTerm => f.write_str(" stale term"),
            },
            Body::InstallSnapshot { last, offset, data, done } => {
                let end = if *done { " done" } else { "" };
                write!(f, " last={last} offset={offset} bytes={}{end}", data.len())
            }
            Body::InstallReply { last, result, .. } => match result {
                InstallResult::Next(next) => write!(f, " last={last} next={next}"),
                InstallResult::Installed => write!(f, " last={last} installed"),
                InstallResult::Unusable => write!(f, " last={last} unusable"),
                InstallResult::StaleTerm => write!(f, " last={last} stale term"),
            },
            Body::Extra(extra) => extra.fmt(f),
        }
    }
}

impl fmt::Display for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round={}{}", self.round, if self.lease.is_some() { " lease" } else { "" })
    }
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round={}", self.round)
    }
}

impl fmt::Display for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extra::PreVote { next_term, last } => write!(f, " next_term={next_term} last={last}"),
            Extra::PreVoteReply { next_term, granted } => {
                write!(f, " next_term={next_term} vote={}", if *granted { "yes" } else { "no" })
            }
            Extra::TimeoutNow | Extra::Rejoin { .. } => Ok(()),
            Extra::ReadIndex { number } => write!(f, " number={number}"),
            Extra::ReadIndexReply { number, index: Some(index) } => {
                write!(f, " number={number} index={index}")
            }
            Extra::ReadIndexReply { number, index: None } => write!(f, " number={number} rejected"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |pre: bool| if pre { "pre-vote" } else { "vote" };
        match self {
            Event::TermAdvanced { from, to, by } => {
                write!(f, "term {from} -> {to}, seen in a message of {by}")
            }
            Event::PreVoteStarted { next_term } => {
                write!(f, "asks for pre-votes for term {next_term}: its election timer ran out")
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
                write!(f, "{from}'s {} is {answer} ({total} of {quorum} needed)", kind(*pre))
            }
            Event::BecameLeader { term } => write!(f, "leads term {term}"),
            Event::Following { leader, term } => write!(f, "follows {leader} in term {term}"),
            Event::SteppedDown { term, led, reason } => {
                let what = if *led { "steps down as leader of" } else { "gives up its election for" };
                write!(f, "{what} term {term}: {reason}")
            }
            Event::ElectionHeldBack { left } => write!(
                f,
                "holds its election back for {} ms: it withholds its vote until the leader's lease ends",
                left.as_millis()
            ),
            Event::QuorumLost { heard, quorum } => {
                write!(f, "hears only {heard} of the {quorum} nodes that a quorum needs")
            }
            Event::AppendSent { .. }
            | Event::AppendReceived { .. }
            | Event::AppendSucceeded { .. }
            | Event::AppendFailed { .. }
            | Event::Truncated { .. }
            | Event::CommitAdvanced { .. }
            | Event::NoOpAppended { .. }
            | Event::CommandsAppended { .. }
            | Event::LogCompacted { .. } => self.fmt_replication(f),
            Event::SnapshotSending { .. }
            | Event::SnapshotSent { .. }
            | Event::SnapshotReceiving { .. }
            | Event::SnapshotInstalled { .. }
            | Event::SnapshotUnusable { .. }
            | Event::SnapshotRejected { .. } => self.fmt_snapshot(f),
            Event::Readmitting { .. }
            | Event::Readmitted
            | Event::AcknowledgedLost { .. }
            | Event::Rejoining
            | Event::CampaignRejected
            | Event::DiskStalled { .. } => self.fmt_store(f),
            Event::ClientRejected { .. } | Event::FollowerRead { .. } | Event::LeaseRead { .. } => {
                self.fmt_client(f)
            }
        }
    }
}

/// The sentences of [`Event`], by subject.
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
                | Event::SnapshotSent { .. }
                | Event::SnapshotRejected { .. }
        )
    }

    fn fmt_replication(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "entry" } else { "entries" };
        match self {
            Event::NoOpAppended { entry } => write!(f, "appends a no-op at {entry}"),
            Event::CommandsAppended { first, last } if first == last => {
                write!(f, "appends a command at {first}")
            }
            Event::CommandsAppended { first, last } => write!(f, "appends commands at {first}..{last}"),
            Event::AppendSent { to, prev, count: 0, next, matched, commit } => {
                write!(
                    f,
                    "sends a heartbeat to {to}: prev {prev}, next {next}, match {matched}, commit {commit}"
                )
            }
            Event::AppendSent { to, prev, count, next, matched, commit } => {
                let entries = plural(*count);
                write!(
                    f,
                    "sends {count} {entries} to {to}: prev {prev}, next {next}, match {matched}, commit {commit}"
                )
            }
            Event::AppendReceived { from, prev, count: 0, outcome } => {
                write!(f, "receives a heartbeat of {from} (prev {prev}): {outcome}")
            }
            Event::AppendReceived { from, prev, count, outcome } => {
                write!(f, "receives {count} {} of {from} (prev {prev}): {outcome}", plural(*count))
            }
            Event::AppendSucceeded { from, matched } => write!(f, "{from} holds the log up to {matched}"),
            Event::AppendFailed { from, rejected, next } => {
                write!(f, "{from} rejected the entry at {rejected}, retrying from {next}")
            }
            Event::Truncated { from, to } if from == to => write!(f, "removes entry {from}, which conflicts"),
            Event::Truncated { from, to } => write!(f, "removes entries {from}..{to}, which conflict"),
            Event::CommitAdvanced { from, to } => write!(f, "commit index {from} -> {to}"),
            Event::LogCompacted { base } => write!(f, "keeps its log from {} on", base.index.next()),
            _ => Ok(()),
        }
    }

    fn fmt_snapshot(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "entry" } else { "entries" };
        match self {
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
                write!(f, "throws away the snapshot at {last}, which arrived damaged")
            }
            Event::SnapshotRejected { by, last } => {
                write!(f, "{by} could not use the snapshot at {last} that it was sent")
            }
            _ => Ok(()),
        }
    }

    fn fmt_store(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Readmitting { node } => write!(f, "readmits {node}, which has caught up"),
            Event::Readmitted => f.write_str("has caught up and is readmitted: it votes again"),
            Event::AcknowledgedLost { node, acknowledged, held, rejoins } => {
                let what = if *rejoins { "its files count as lost" } else { "it is sent the rest again" };
                write!(
                    f,
                    "finds that {node} holds entries up to {held} and had acknowledged them up to {acknowledged}: {what}"
                )
            }
            Event::Rejoining => {
                f.write_str("joins again: its files hold less than it acknowledged, and count as lost")
            }
            Event::CampaignRejected => {
                f.write_str("starts no election: it lost its files and is not readmitted yet")
            }
            Event::DiskStalled { successor } => {
                write!(f, "hands over to {successor}: its own disk does not answer")
            }
            _ => Ok(()),
        }
    }

    fn fmt_client(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::ClientRejected { read, reason } => {
                let (request, limit) = if *read {
                    ("read", "too many reads are waiting")
                } else {
                    ("request", "too many bytes are uncommitted")
                };
                match reason {
                    RejectReason::Busy => write!(f, "rejects a {request}: {limit}"),
                    RejectReason::NotLeader { leader: Some(leader) } => {
                        write!(f, "rejects a {request}: {leader} leads")
                    }
                    RejectReason::NotLeader { leader: None } => {
                        write!(f, "rejects a {request}: no leader is known")
                    }
                }
            }
            Event::FollowerRead { count, index } => {
                let reads = if *count == 1 { "read" } else { "reads" };
                write!(f, "answers {count} {reads}: its leader's read index {index} is applied")
            }
            Event::LeaseRead { left: None } => {
                f.write_str("answers a read by its lease: it is a quorum by itself")
            }
            Event::LeaseRead { left: Some(left) } => {
                write!(f, "answers a read by its lease, which holds for {} ms more", left.as_millis())
            }
            _ => Ok(()),
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
            VoteReason::Withheld => f.write_str("it withholds its vote until the leader's lease ends"),
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
