//! How messages are written in transcripts and logs: `n1@2 -> n2 AppendEntries prev=4@1 entry=5@2 commit=4 round=9`, the term
//! after the sender's name, entries as index@term.

use std::fmt;

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
        write!(f, "round={}{}", self.round, if self.lease { " lease" } else { "" })
    }
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round={}", self.round)
    }
}

impl fmt::Display for Extra {
    /// What follows the message's name.
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
