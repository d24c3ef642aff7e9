//! One frame of each kind, by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::payload::Payload;
use crate::protocol::{Address, Call, Envelope, Packet, ReadMode, Reply, Request, Response};
use crate::raft::effects::RejectReason;
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::membership::configuration::{Configuration, Joins, Learner};
use crate::raft::message::{
    Ack, AppendResult, Beat, Body, Cause, Extra, Files, InstallResult, Message, Waiver,
};
use crate::state_machine::Applied;
use crate::storage::ClusterId;
use crate::types::{ClientId, EntryId, Epoch, HostPort, LogIndex, Member, NodeId, SessionId, Term};
use crate::wire::{Caller, Frame, Hello, VERSIONS, Welcome};

pub const CLIENT: Address = Address::Client(ClientId(7));
pub const LAST: EntryId = EntryId { term: Term(3), index: LogIndex(300) };
const ACK: Ack = Ack { round: 9, boot_id: u64::MAX };
const ORIGIN: Origin = Origin { session: SessionId(6), serial: 4, acknowledged: 2 };

pub fn node(number: u8) -> NodeId {
    NodeId::new(number)
}

fn called_by(caller: Caller) -> Frame {
    let token = "secret".to_string();
    Frame::Hello(Hello { versions: VERSIONS, cluster: ClusterId(0xabc), epoch: Epoch(1), token, caller })
}

/// That of a client.
pub fn hello() -> Frame {
    called_by(Caller::Client { expects: node(2) })
}

pub fn message(body: Body) -> Envelope {
    let files = Files { sender: 1, answered: 95 };
    let message = Message { from: node(1), to: node(99), term: Term(4), files, body };
    Envelope::new(Address::Node(node(1)), Address::Node(node(99)), Packet::Raft(message))
}

pub fn request(call: Call) -> Envelope {
    Envelope::new(CLIENT, Address::Node(node(2)), Packet::Request(Request { attempt: 5, call }))
}

pub fn command(command: Payload) -> Envelope {
    request(Call::Command { origin: ORIGIN, command })
}

pub fn reply(response: Response) -> Envelope {
    let packet = Packet::Reply(Reply { attempt: 5, term: Term(4), response });
    Envelope::new(Address::Node(node(2)), CLIENT, packet)
}

pub fn append(prev: EntryId, entries: Vec<Entry>) -> Envelope {
    let beat =
        Beat { round: 9, lease: Some(Duration::from_millis(150)), answered: 8, boot_id: 77, confirmed: 7 };
    message(Body::AppendEntries { prev, entries, commit: LogIndex(299), beat })
}

/// Entries behind [`LAST`].
pub fn entries(contents: impl IntoIterator<Item = Content>) -> Vec<Entry> {
    let entry = |(index, content)| Entry { index: LogIndex(index), term: LAST.term, content };
    (LAST.index.0 + 1..).zip(contents).map(entry).collect()
}

pub fn joint() -> Configuration {
    let learner = Learner { store_id: 9, stays: false, joins: Some(Joins { instead_of: Some(node(2)) }) };
    Configuration {
        voters: BTreeMap::from([(node(1), 1), (node(3), 95)]),
        outgoing: Some(BTreeMap::from([(node(1), 1)])),
        learners: BTreeMap::from([(node(4), learner)]),
        preferred: Some(node(1)),
        epoch: Some(Epoch(2)),
        addresses: BTreeMap::from([(node(4), address("[::1]:7004"))]),
    }
}

fn address(text: &str) -> HostPort {
    text.parse().expect("an address")
}

fn handshakes() -> Vec<(&'static str, Frame)> {
    let member = Member { node: node(1), store_id: 95 };
    let peer =
        Caller::Node { member, life: 8, address: address("[::1]:7001"), expects: node(2), connection: 3 };
    let nodes = BTreeMap::from([(node(1), address("[::1]:7001"))]);
    vec![
        ("hello of a node", called_by(peer)),
        ("hello of a client", hello()),
        ("hello of a console", called_by(Caller::Console { expects: node(2), name: "ann".into() })),
        ("welcome", Frame::Welcome(Welcome { version: 1, member, life: 8, has_run: true, nodes })),
        ("refused", Frame::Refused("n2 is another node".to_string())),
        ("received", Frame::Received(300)),
        ("clock", Frame::Clock(300)),
        ("text", Frame::Text(r#"{"é":1}"#.to_string())),
        ("nodes", Frame::Nodes([(node(4), address("host:7004"))].into())),
    ]
}

fn calls() -> Vec<(&'static str, Envelope)> {
    let read = |mode, here| request(Call::Read { query: Payload::from_text("[1]"), mode, here });
    vec![
        ("open", request(Call::Open)),
        ("command", command(Payload::from_text(r#"["é"]"#))),
        ("settle", request(Call::Settle { origin: ORIGIN })),
        ("read", read(ReadMode::Linearizable, false)),
        ("read by lease", read(ReadMode::Lease, false)),
        ("stale read", read(ReadMode::Stale, true)),
    ]
}

fn answers() -> Vec<(&'static str, Envelope)> {
    let applied = |applied| reply(Response::Entry(applied));
    let answer = Payload::from_text("[2]");
    let read = |staleness| Response::Read { applied: LogIndex(300), staleness, answer: answer.clone() };
    let panicked = |entry| reply(Response::Panicked { entry, reason: "why".into() });
    vec![
        ("no-op", applied(Applied::NoOp)),
        ("answered", applied(Applied::Answered { entry: LAST, answer: answer.clone() })),
        ("opened", applied(Applied::Opened { session: SessionId(6) })),
        ("given up", applied(Applied::GivenUp)),
        ("forgotten", applied(Applied::Forgotten)),
        ("expired", applied(Applied::Expired)),
        ("lost", applied(Applied::Lost { epoch: Epoch(2) })),
        ("invalid in the log", applied(Applied::Invalid("why".into()))),
        ("read's answer", reply(read(None))),
        ("stale read's answer", reply(read(Some(Duration::new(1, 2))))),
        ("not leader", reply(Response::Rejected(RejectReason::NotLeader { leader: Some(node(1)) }))),
        ("busy", reply(Response::Rejected(RejectReason::Busy))),
        ("removed", reply(Response::Rejected(RejectReason::Retired { member: Some(node(1)) }))),
        ("unreachable", reply(Response::Unreachable)),
        ("leadership lost", reply(Response::LeadershipLost { leader: None })),
        ("invalid", reply(Response::Invalid("why".into()))),
        ("panicked", panicked(Some(LAST))),
        ("panicked at a question", panicked(None)),
    ]
}

fn messages() -> Vec<(&'static str, Body)> {
    let vote = |cause| Body::RequestVote { last: LAST, cause };
    let appended = |result| Body::AppendReply { result, ack: ACK };
    let installed = |result| Body::InstallReply { last: LAST, result, ack: ACK };
    let conflict = |term| AppendResult::Conflict { rejected: LogIndex(300), term, first: LogIndex(12) };
    let part = |data: &[u8]| Body::InstallSnapshot {
        last: LAST,
        offset: 1 << 20,
        data: Arc::from(data),
        done: true,
    };
    let (next_term, round) = (Term(5), 9);
    vec![
        ("vote", vote(Cause::Timer)),
        ("vote on request", vote(Cause::Request)),
        ("vote for a transfer", vote(Cause::Transfer(Waiver { term: Term(3), round }))),
        ("vote's answer", Body::VoteReply { granted: true }),
        ("matched", appended(AppendResult::Matched(LogIndex(300)))),
        ("conflict", appended(conflict(Some(Term(2))))),
        ("conflict behind the end", appended(conflict(None))),
        ("stale term", appended(AppendResult::StaleTerm)),
        ("part of a snapshot", part(&[0, 10, 255])),
        ("next part", installed(InstallResult::Next(1 << 20))),
        ("installed", installed(InstallResult::Installed)),
        ("unusable", installed(InstallResult::Unusable)),
        ("snapshot of a stale term", installed(InstallResult::StaleTerm)),
        ("pre-vote", Body::Extra(Extra::PreVote { next_term, last: LAST })),
        ("pre-vote's answer", Body::Extra(Extra::PreVoteReply { next_term, granted: false })),
        ("timeout now", Body::Extra(Extra::TimeoutNow { round, last: LAST })),
        ("rejoin", Body::Extra(Extra::Rejoin { store_id: 95 })),
        ("read index", Body::Extra(Extra::ReadIndex { number: 1 << 40 })),
        (
            "read index's answer",
            Body::Extra(Extra::ReadIndexReply { number: 1 << 40, index: Some(LogIndex(300)) }),
        ),
    ]
}

/// Each kind of frame, of message and of entry.
pub fn all() -> Vec<(&'static str, Frame)> {
    let contents = [
        ("entry no-op", Content::NoOp),
        ("entry open", Content::Open { client: ClientId(7), sessions_max: 10_000 }),
        ("entry command", Content::Command { origin: ORIGIN, command: Payload::from_text("[1]") }),
        ("entry settle", Content::Settle { origin: ORIGIN }),
        ("entry members", Content::Members(Arc::new(joint()))),
    ];
    let heartbeat = [("heartbeat", append(LAST, Vec::new()))];
    let appends = contents.map(|(name, content)| (name, append(LAST, entries([content]))));
    let messages = messages().into_iter().map(|(name, body)| (name, message(body)));
    let envelopes = calls().into_iter().chain(answers()).chain(messages).chain(heartbeat).chain(appends);
    let envelopes = envelopes.map(|(name, envelope)| (name, Frame::Envelope(envelope)));
    handshakes().into_iter().chain(envelopes).collect()
}
