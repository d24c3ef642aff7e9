//! Whether what an envelope says can be so. The core trusts its messages: an index that is out of range, or a gap between
//! entries, would stop the node there.
//!
//! Each value is taken apart by the names of all its fields, so that a new one cannot be forgotten here.

use std::time::Duration;

use crate::protocol::{Address, Call, Packet, Reply, Request, Response};
use crate::raft::effects::RejectReason;
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::membership::configuration::{Configuration, Learner};
use crate::raft::message::{
    Ack, AppendResult, Beat, Body, Cause, Extra, Files, InstallResult, Message, Waiver,
};
use crate::state_machine::Applied;
use crate::text::numbers::nanos;
use crate::types::{EntryId, Epoch, LogIndex, Term};

/// No number that counts comes near this, and the next one always exists.
const COUNTED_END: u64 = 1 << 63;

type Checked = Result<(), String>;

/// What is wrong with an envelope, if anything is.
pub(super) fn check(from: Address, to: Address, packet: &Packet) -> Checked {
    match (from, to, packet) {
        (Address::Node(from), Address::Node(to), Packet::Raft(sent))
            if (from, to) == (sent.from, sent.to) =>
        {
            message(sent)
        }
        (Address::Client(_), Address::Node(_), Packet::Request(Request { attempt: _, call })) => asked(call),
        (Address::Node(_), Address::Client(_), Packet::Reply(Reply { attempt: _, term, response })) => {
            counted("term", term.0)?;
            answered(response)
        }
        _ => Err(format!("its content does not go from {from} to {to}")),
    }
}

pub(super) fn counted(name: &str, number: u64) -> Checked {
    if number < COUNTED_END { Ok(()) } else { Err(format!("{name} {number} is out of range")) }
}

fn index(index: LogIndex) -> Checked {
    if index.is_valid() { Ok(()) } else { Err(format!("index {index} is out of range")) }
}

fn place(EntryId { term, index: at }: EntryId) -> Checked {
    counted("term", term.0)?;
    index(at)
}

fn known(epoch: Epoch) -> Checked {
    if epoch.is_valid() { Ok(()) } else { Err(format!("epoch {epoch} is out of range")) }
}

fn duration(duration: Duration) -> Checked {
    counted("duration", nanos(duration))
}

fn named(Origin { session: _, serial, acknowledged }: Origin) -> Checked {
    counted("serial", serial)?;
    counted("serial", acknowledged)
}

fn asked(call: &Call) -> Checked {
    match call {
        Call::Open | Call::Read { query: _, mode: _, here: _ } => Ok(()),
        Call::Command { origin, command: _ } | Call::Settle { origin } => named(*origin),
    }
}

fn answered(response: &Response) -> Checked {
    match response {
        Response::Entry(applied) => match applied {
            Applied::Answered { entry, answer: _ } => place(*entry),
            Applied::Lost { epoch } => known(*epoch),
            Applied::NoOp
            | Applied::Opened { session: _ }
            | Applied::GivenUp
            | Applied::Forgotten
            | Applied::Expired
            | Applied::Invalid(_) => Ok(()),
        },
        Response::Read { applied, staleness, answer: _ } => {
            index(*applied)?;
            staleness.map_or(Ok(()), duration)
        }
        Response::Panicked { entry, reason: _ } => entry.map_or(Ok(()), place),
        Response::Rejected(
            RejectReason::Busy | RejectReason::NotLeader { leader: _ } | RejectReason::Retired { member: _ },
        )
        | Response::Unreachable
        | Response::LeadershipLost { leader: _ }
        | Response::Invalid(_) => Ok(()),
    }
}

fn message(Message { from: _, to: _, term, files, body }: &Message) -> Checked {
    let Files { sender, answered } = *files;
    counted("term", term.0)?;
    counted("files", sender)?;
    counted("files", answered)?;
    match body {
        Body::RequestVote { last, cause } => {
            place(*last)?;
            match cause {
                Cause::Timer | Cause::Request => Ok(()),
                Cause::Transfer(Waiver { term, round }) => {
                    counted("term", term.0)?;
                    counted("round", *round)
                }
            }
        }
        Body::VoteReply { granted: _ } => Ok(()),
        Body::AppendEntries { prev, entries, commit, beat } => {
            index(*commit)?;
            self::beat(*beat)?;
            row(*term, *prev, entries)
        }
        Body::AppendReply { result, ack } => {
            acknowledged(*ack)?;
            match *result {
                AppendResult::Matched(matched) => index(matched),
                AppendResult::Conflict { rejected, term, first } => {
                    index(rejected)?;
                    index(first)?;
                    term.map_or(Ok(()), |term| counted("term", term.0))
                }
                AppendResult::StaleTerm => Ok(()),
            }
        }
        Body::InstallSnapshot { last, offset, data: _, done: _ } => {
            place(*last)?;
            counted("offset", *offset)
        }
        Body::InstallReply { last, result, ack } => {
            place(*last)?;
            acknowledged(*ack)?;
            match result {
                InstallResult::Next(offset) => counted("offset", *offset),
                InstallResult::Installed | InstallResult::Unusable | InstallResult::StaleTerm => Ok(()),
            }
        }
        Body::Extra(extra) => self::extra(*extra),
    }
}

fn beat(Beat { round, lease, answered, boot_id: _, confirmed }: Beat) -> Checked {
    [round, answered, confirmed].into_iter().try_for_each(|round| counted("round", round))?;
    lease.map_or(Ok(()), duration)
}

fn acknowledged(Ack { round, boot_id: _ }: Ack) -> Checked {
    counted("round", round)
}

fn extra(extra: Extra) -> Checked {
    match extra {
        Extra::PreVote { next_term, last } => {
            counted("term", next_term.0)?;
            place(last)
        }
        Extra::PreVoteReply { next_term, granted: _ } => counted("term", next_term.0),
        Extra::TimeoutNow { round, last } => {
            counted("round", round)?;
            place(last)
        }
        Extra::Rejoin { store_id } => counted("files", store_id),
        Extra::ReadIndex { number } => counted("number", number),
        Extra::ReadIndexReply { number, index: at } => {
            counted("number", number)?;
            at.map_or(Ok(()), index)
        }
    }
}

/// The entries of a leader of this term, behind `prev`: a log has no gaps, and terms never decrease along it (5.3).
fn row(leader: Term, prev: EntryId, entries: &[Entry]) -> Checked {
    place(prev)?;
    let mut last = prev;
    for entry in entries {
        let id = entry.id();
        place(id)?;
        if id.index != last.index.next() || id.term < last.term || id.term > leader {
            return Err(format!("entry {id} does not follow {last} in a log of term {leader}"));
        }
        content(&entry.content)?;
        last = id;
    }
    Ok(())
}

fn content(content: &Content) -> Checked {
    match content {
        Content::NoOp => Ok(()),
        Content::Open { client: _, sessions_max } => counted("number of sessions", *sessions_max),
        Content::Command { origin, command: _ } | Content::Settle { origin } => named(*origin),
        Content::Members(configuration) => members(configuration),
    }
}

fn members(configuration: &Configuration) -> Checked {
    let Configuration { voters, outgoing, learners, preferred: _, epoch, addresses: _ } = configuration;
    let learners = learners.values().map(|Learner { store_id, stays: _, joins: _ }| store_id);
    let mut files = voters.values().chain(outgoing.iter().flat_map(|voters| voters.values())).chain(learners);
    files.try_for_each(|store_id| counted("files", *store_id))?;
    epoch.map_or(Ok(()), known)
}
