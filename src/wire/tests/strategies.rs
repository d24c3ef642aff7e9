//! Frames drawn at random, of all kinds.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::{collection, option};

use super::specimens;
use crate::payload::Payload;
use crate::protocol::{Call, Envelope, ReadMode, Response};
use crate::raft::effects::RejectReason;
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::membership::configuration::{Configuration, Joins, Learner, Voters};
use crate::raft::message::{Ack, AppendResult, Beat, Body, Cause, Extra, InstallResult, Waiver};
use crate::state_machine::Applied;
use crate::types::{Addresses, ClientId, EntryId, Epoch, LogIndex, NodeId, SessionId, Term};
use crate::wire::Frame;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, 0..1_u64 << 63]
}

fn term() -> impl Strategy<Value = Term> {
    number().prop_map(Term)
}

fn index() -> impl Strategy<Value = LogIndex> {
    prop_oneof![0..300_u64, 0..1_u64 << 47].prop_map(LogIndex)
}

fn place() -> impl Strategy<Value = EntryId> {
    (term(), index()).prop_map(|(term, index)| EntryId { term, index })
}

fn node() -> impl Strategy<Value = NodeId> {
    (1..=99_u8).prop_map(NodeId::new)
}

fn duration() -> impl Strategy<Value = Duration> {
    (0..1_u64 << 63).prop_map(Duration::from_nanos)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (1..=1_u64 << 16).prop_map(Epoch)
}

fn session() -> impl Strategy<Value = SessionId> {
    any::<u64>().prop_map(SessionId)
}

fn origin() -> impl Strategy<Value = Origin> {
    (session(), number(), number()).prop_map(|(session, serial, acknowledged)| Origin {
        session,
        serial,
        acknowledged,
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    let leaf =
        prop_oneof![any::<String>().prop_map(|text| serde_json::json!(text)), Just(serde_json::json!(null))];
    leaf.prop_recursive(3, 10, 4, |inner| collection::vec(inner, 0..4).prop_map(serde_json::Value::from))
        .prop_map(Payload::new)
        .boxed()
}

fn voters() -> impl Strategy<Value = Voters> {
    collection::btree_map(node(), number(), 0..4)
}

fn configuration() -> impl Strategy<Value = Configuration> {
    let joins = option::of(option::of(node()).prop_map(|instead_of| Joins { instead_of }));
    let learner = (number(), any::<bool>(), joins).prop_map(|(store_id, stays, joins)| Learner {
        store_id,
        stays,
        joins,
    });
    let learners = collection::btree_map(node(), learner, 0..3);
    (voters(), option::of(voters()), learners, option::of(node()), option::of(epoch()), addresses()).prop_map(
        |(voters, outgoing, learners, preferred, epoch, addresses)| Configuration {
            voters,
            outgoing,
            learners,
            preferred,
            epoch,
            addresses,
        },
    )
}

fn addresses() -> impl Strategy<Value = Addresses> {
    let address = "[!#-\\[\\]-~]{1,20}:[1-9][0-9]{0,3}".prop_map(|text| text.parse().expect("an address"));
    collection::btree_map(node(), address, 0..3)
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::NoOp),
        (any::<u64>(), number())
            .prop_map(|(client, sessions_max)| Content::Open { client: ClientId(client), sessions_max }),
        (origin(), payload()).prop_map(|(origin, command)| Content::Command { origin, command }),
        origin().prop_map(|origin| Content::Settle { origin }),
        configuration().prop_map(|members| Content::Members(Arc::new(members))).boxed(),
    ]
}

fn append() -> impl Strategy<Value = Body> {
    // Terms up to that of the leader of `specimens::message`.
    let prev = (0..=4_u64, index()).prop_map(|(term, index)| EntryId { term: Term(term), index });
    let beat = (number(), option::of(duration()), number(), any::<u64>(), number()).prop_map(
        |(round, lease, answered, boot_id, confirmed)| Beat { round, lease, answered, boot_id, confirmed },
    );
    (prev, collection::vec(content().boxed(), 0..5), index(), beat).prop_map(
        |(prev, contents, commit, beat)| {
            let entry = |(index, content)| Entry { index: LogIndex(index), term: prev.term, content };
            let entries = (prev.index.0 + 1..).zip(contents).map(entry).collect();
            Body::AppendEntries { prev, entries, commit, beat }
        },
    )
}

fn ack() -> impl Strategy<Value = Ack> {
    (number(), any::<u64>()).prop_map(|(round, boot_id)| Ack { round, boot_id })
}

fn answer() -> impl Strategy<Value = Body> {
    let appended =
        prop_oneof![
            index().prop_map(AppendResult::Matched),
            (index(), option::of(term()), index())
                .prop_map(|(rejected, term, first)| AppendResult::Conflict { rejected, term, first }),
            Just(AppendResult::StaleTerm),
        ];
    let installed = prop_oneof![
        number().prop_map(InstallResult::Next),
        Just(InstallResult::Installed),
        Just(InstallResult::Unusable),
        Just(InstallResult::StaleTerm),
    ];
    prop_oneof![
        any::<bool>().prop_map(|granted| Body::VoteReply { granted }),
        (appended, ack()).prop_map(|(result, ack)| Body::AppendReply { result, ack }),
        (place(), installed, ack()).prop_map(|(last, result, ack)| Body::InstallReply { last, result, ack }),
    ]
}

fn extra() -> impl Strategy<Value = Extra> {
    prop_oneof![
        (term(), place()).prop_map(|(next_term, last)| Extra::PreVote { next_term, last }),
        (term(), any::<bool>()).prop_map(|(next_term, granted)| Extra::PreVoteReply { next_term, granted }),
        (number(), place()).prop_map(|(round, last)| Extra::TimeoutNow { round, last }),
        number().prop_map(|store_id| Extra::Rejoin { store_id }),
        number().prop_map(|number| Extra::ReadIndex { number }),
        (number(), option::of(index())).prop_map(|(number, index)| Extra::ReadIndexReply { number, index }),
    ]
}

fn message() -> impl Strategy<Value = Envelope> {
    let cause = prop_oneof![
        Just(Cause::Timer),
        Just(Cause::Request),
        (term(), number()).prop_map(|(term, round)| Cause::Transfer(Waiver { term, round })),
    ];
    let data = collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (place(), cause).prop_map(|(last, cause)| Body::RequestVote { last, cause }),
        append().boxed(),
        answer().boxed(),
        (place(), number(), data, any::<bool>()).prop_map(|(last, offset, data, done)| {
            Body::InstallSnapshot { last, offset, data: Arc::from(data), done }
        }),
        extra().prop_map(Body::Extra).boxed(),
    ]
    .prop_map(specimens::message)
}

fn request() -> impl Strategy<Value = Envelope> {
    let mode = prop::sample::select(vec![ReadMode::Linearizable, ReadMode::Lease, ReadMode::Stale]);
    prop_oneof![
        Just(Call::Open),
        (origin(), payload()).prop_map(|(origin, command)| Call::Command { origin, command }),
        origin().prop_map(|origin| Call::Settle { origin }),
        (payload(), mode, any::<bool>()).prop_map(|(query, mode, here)| Call::Read { query, mode, here }),
    ]
    .prop_map(specimens::request)
}

fn reply() -> impl Strategy<Value = Envelope> {
    let applied = prop_oneof![
        Just(Applied::NoOp),
        (place(), payload()).prop_map(|(entry, answer)| Applied::Answered { entry, answer }),
        session().prop_map(|session| Applied::Opened { session }),
        Just(Applied::GivenUp),
        Just(Applied::Forgotten),
        Just(Applied::Expired),
        epoch().prop_map(|epoch| Applied::Lost { epoch }),
        any::<String>().prop_map(Applied::Invalid),
    ];
    prop_oneof![
        applied.prop_map(Response::Entry),
        (index(), option::of(duration()), payload())
            .prop_map(|(applied, staleness, answer)| Response::Read { applied, staleness, answer }),
        option::of(node()).prop_map(|leader| Response::Rejected(RejectReason::NotLeader { leader })),
        option::of(node()).prop_map(|member| Response::Rejected(RejectReason::Retired { member })),
        Just(Response::Rejected(RejectReason::Busy)),
        Just(Response::Unreachable),
        option::of(node()).prop_map(|leader| Response::LeadershipLost { leader }),
        any::<String>().prop_map(Response::Invalid),
        (option::of(place()), any::<String>())
            .prop_map(|(entry, reason)| Response::Panicked { entry, reason }),
    ]
    .prop_map(specimens::reply)
}

pub fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        6 => message().prop_map(Frame::Envelope).boxed(),
        3 => request().prop_map(Frame::Envelope).boxed(),
        3 => reply().prop_map(Frame::Envelope).boxed(),
        1 => any::<String>().prop_map(Frame::Text),
        1 => any::<String>().prop_map(Frame::Refused),
        1 => any::<u64>().prop_map(Frame::Received),
        1 => (0_u64..1 << 63).prop_map(Frame::Clock),
        1 => prop::sample::select(specimens::all()).prop_map(|(_, frame)| frame),
    ]
}
