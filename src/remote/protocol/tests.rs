//! Questions and answers there and back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::*;
use crate::check::property::Property;
use crate::faults::{DropReason, LinkScope, NetChange};
use crate::lab::{DiskChange, Lab, Life};
use crate::payload::Payload;
use crate::protocol::{Call, ReadMode};
use crate::raft::effects::Change;
use crate::raft::effects::{ChangeError, ChangeRequest, HardState, RejectReason};
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::event::{
    AppendOutcome, Event, StepDownReason, TimeoutNowIgnored, TransferError, TransferReason, Unfit, VoteReason,
};
use crate::raft::membership::configuration::Configuration;
use crate::raft::membership::{Configured, MemberRole};
use crate::raft::message::{Beat, Body, Files, Message};
use crate::server::{EntryKind, FollowerView, RoleName, Status};
use crate::sim::{Simulation, SimulationSettings};
use crate::storage::{ClusterId, Founders, Identity};
use crate::trace::{Flight, FollowerState, NodeState, ReplyKind, TermRun, What};
use crate::types::{ClientId, EntryId, Epoch, LogIndex, NodeId, SessionId, Term};

const AT: EntryId = EntryId { term: Term(3), index: LogIndex(9) };
const INDEX: LogIndex = LogIndex(9);

fn node(number: u8) -> NodeId {
    NodeId::new(number)
}

fn members() -> Arc<Configuration> {
    Arc::new(Configuration::founders([node(1), node(2)]))
}

fn text<T: Serialize>(said: &T) -> String {
    serde_json::to_string(said).expect("facts always serialize")
}

#[track_caller]
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(said: &T) {
    let text = text(said);
    assert!(!text.contains('\n'), "{text}");
    assert_eq!(serde_json::from_str::<T>(&text).ok().as_ref(), Some(said), "{text}");
}

fn view() -> NodeView {
    let status = Status { role: RoleName::Leader, term: Term(3), since: Time::NEVER, ..Status::default() };
    let status = Status { last: AT, member: MemberRole::Leaves, hands_over_to: Some(node(2)), ..status };
    NodeView { life: Life::Down("its disk failed".to_string()), status, disk_blocked: true }
}

fn orders() -> Vec<NodeOrder> {
    let (ms, member) = (Duration::from_millis(1_500), Member { node: node(4), store_id: 95 });
    let changes = [
        Change::Add { new: member, learner: true },
        Change::Remove(node(1)),
        Change::Replace { old: node(2), new: member },
        Change::Promote(node(1)),
        Change::Demote(node(1)),
        Change::Prefer(None),
        Change::Prefer(Some(node(3))),
        Change::Cancel,
    ];
    let changes = changes.map(|change| ChangeRequest::new(change, INDEX, true));
    let disks = [DiskChange::Slow(ms), DiskChange::Stall(ms), DiskChange::Full(true), DiskChange::Mend];
    let mut orders = vec![
        NodeOrder::Crash,
        NodeOrder::PowerCut,
        NodeOrder::Stop,
        NodeOrder::Restart,
        NodeOrder::Wipe,
        NodeOrder::Pause,
        NodeOrder::Resume,
        NodeOrder::TakeSnapshot,
        NodeOrder::Campaign,
        NodeOrder::Transfer(None),
        NodeOrder::Transfer(Some(node(2))),
        NodeOrder::SetElectionTimer(ms),
        NodeOrder::SkewClock(Duration::new(1, 1)),
    ];
    orders.extend(changes.map(NodeOrder::Change));
    orders.extend(disks.map(NodeOrder::Disk));
    orders
}

fn net_changes() -> Vec<NetChange> {
    let (per_million, ms) = (5_000, Duration::from_millis);
    let both = LinkScope::Both(End::Node(node(1)), End::Clients);
    vec![
        NetChange::Partition(vec![vec![node(1)], vec![node(2), node(3)]]),
        NetChange::Cut(LinkScope::OneWay(End::Node(node(1)), End::Node(node(2)))),
        NetChange::Heal(LinkScope::All),
        NetChange::Isolate(node(1)),
        NetChange::Connect(node(1)),
        NetChange::Drop { per_million, scope: LinkScope::Nodes },
        NetChange::Delay { delay: ms(10), jitter: ms(1), scope: LinkScope::Clients },
        NetChange::Duplicate { per_million, scope: both },
        NetChange::Reorder { per_million, scope: both },
        NetChange::Replace(vec![NetChange::Reset, NetChange::Cut(both)]),
    ]
}

/// All changes, with every second ending by itself.
fn rules() -> RuleSet {
    let nodes = NodeId::first(3);
    let ends = (1_u64..).map(|end| (end % 2 == 0).then_some((end, Duration::from_millis(end))));
    net_changes()
        .iter()
        .zip(ends)
        .fold(RuleSet::default(), |set, (change, end)| set.changed(u64::MAX, set.rules(&nodes), change, end))
}

fn settings() -> VersionedSettings {
    let settings =
        RaftSettings { election_min: Duration::from_nanos(123_456_789), ..RaftSettings::default() };
    VersionedSettings { version: SetVersion { number: 4, author: u64::MAX }, settings }
}

fn change_errors() -> Vec<ChangeError> {
    vec![
        ChangeError::NotLeader { leader: Some(node(1)) },
        ChangeError::TooSoon,
        ChangeError::HandsOver,
        ChangeError::UnderWay(members()),
        ChangeError::OtherMembers(members()),
        ChangeError::IsMember(node(1)),
        ChangeError::NoMember(node(3), members()),
        ChangeError::IsVoter(node(1)),
        ChangeError::IsLearner(node(1)),
        ChangeError::LastVoter(node(1)),
        ChangeError::Full,
        ChangeError::LosesQuorum(vec![node(1), node(2)]),
        ChangeError::NothingToCancel,
        ChangeError::TooLate("both majorities hold it".into()),
    ]
}

/// What the narrator and the pages tell of elections, reasons and members.
fn events() -> Vec<Event> {
    let (term, to, from) = (Term(3), node(2), node(1));
    let vote = |reason| Event::VoteDecided { candidate: node(1), term, pre: true, reason };
    let stepped = |reason| Event::SteppedDown { term, led: true, reason };
    let received = |outcome| Event::AppendReceived { from, prev: AT, count: 2, outcome };
    let refused = |error| Event::TransferRefused { error };
    let ignored = |reason| Event::TimeoutNowIgnored { leader: from, reason };
    let mut events = vec![
        Event::TermAdvanced { from: Term(2), to: term, by: from },
        Event::ElectionStarted { term, transfer: true },
        Event::VoteReceived { from, pre: false, granted: true, total: 2, quorum: 2 },
        Event::BecameLeader { term },
        Event::ClientRejected { read: true, reason: RejectReason::NotLeader { leader: Some(to) } },
        Event::LeaseRead { left: Some(Duration::from_micros(1)) },
        Event::LeaseRenounced { by: Duration::from_secs(3) },
        Event::AppendSent { to, prev: AT, count: 1, next: INDEX, matched: INDEX, commit: INDEX },
        Event::CommitAdvanced { from: LogIndex(1), to: INDEX },
        Event::SnapshotSending { to, last: AT },
        Event::MembersProposed { index: INDEX, configuration: members() },
        Event::MembersTruncated { from: INDEX, gone: members(), configuration: members() },
        Event::AcknowledgedLost { node: to, acknowledged: INDEX, held: LogIndex(1), rejoins: true },
        Event::TransferStarted { target: to, reason: TransferReason::DiskStalled },
        refused(TransferError::Unfit(vec![
            (to, Unfit::Silent(Duration::from_millis(3))),
            (from, Unfit::Trails(9)),
        ])),
        refused(TransferError::NotLeader { leader: None }),
        ignored(TimeoutNowIgnored::OtherLast { theirs: AT, ours: EntryId::ZERO }),
        stepped(StepDownReason::NewerTerm(Term(4))),
        stepped(StepDownReason::NoQuorum),
        vote(VoteReason::LogBehind { theirs: EntryId::ZERO, ours: AT }),
        vote(VoteReason::VotedFor(to)),
        received(AppendOutcome::TermsMismatch { found: Term(2) }),
        received(AppendOutcome::Conflict(INDEX)),
    ];
    events.extend(change_errors().into_iter().map(|error| Event::ChangeRefused { error }));
    events
}

fn state() -> NodeState {
    NodeState {
        role: RoleName::PreCandidate,
        vote: Some(node(1)),
        due: Some(150_000),
        votes: vec![node(2)],
        followers: Some([(node(2), FollowerState { next: INDEX, matched: LogIndex(1) })].into()),
        terms: vec![TermRun { term: Term(3), first: LogIndex(1), last: INDEX }],
        ..NodeState::default()
    }
}

fn whats() -> Vec<What> {
    let origin = Origin { session: SessionId(6), serial: 4, acknowledged: 2 };
    let command = Payload::from_text(r#"[{"op":"put","key":"é","value":"1e400"}]"#);
    let contents = [
        Content::NoOp,
        Content::Open { client: ClientId(7), sessions_max: 10 },
        Content::Command { origin, command: command.clone() },
        Content::Settle { origin },
        Content::Members(members()),
    ];
    let entry = |(index, content)| Entry { index: LogIndex(index), term: Term(3), content };
    let entries = (10..).zip(contents).map(entry).collect();
    let beat = Beat { round: 9, lease: Some(Duration::from_millis(150)), ..Beat::default() };
    let append = Body::AppendEntries { prev: AT, entries, commit: INDEX, beat };
    let part = Body::InstallSnapshot { last: AT, offset: 3, data: Arc::from([0, 255]), done: false };
    let message = |body| Message { from: node(1), to: node(2), term: Term(3), files: Files::FOUNDERS, body };
    let flight = |body| Flight { number: 1 << 40, message: message(body) };
    let sent = |body, delay, twice| What::MessageSent { flight: flight(body), delay, twice, arrives: None };
    let (vote, reason) = (Some(node(1)), || "no space left".to_string());
    let read = Call::Read { query: Payload::from_text("[1]"), mode: ReadMode::Lease, here: true };
    let mut whats = vec![
        What::Started { term: Term(3), vote, last: AT, fresh: false, repaired: Some(reason()) },
        What::Crashed { power: true },
        What::Stopped,
        What::Panicked { reason: reason() },
        What::Applied { first: LogIndex(1), last: INDEX },
        What::FlightSaved { folder: "logs/flight/1".to_string() },
        What::MachineSlow { took: Duration::from_millis(43) },
        What::SnapshotCreated { last: AT, bytes: 1 << 40 },
        sent(append.clone(), Duration::ZERO, false),
        sent(Body::VoteReply { granted: false }, Duration::ZERO, true),
        sent(part.clone(), Duration::from_nanos(1), false),
        What::MessageArrived(flight(part.clone())),
        What::MessageDropped { flight: flight(append), reason: DropReason::Partition },
        What::State(Box::new(state())),
        What::RequestReceived { client: ClientId(7), attempt: 3, call: Call::Command { origin, command } },
        What::RequestReceived { client: ClientId(7), attempt: 4, call: read },
        What::Replied { client: ClientId(7), attempt: 4, outcome: ReplyKind::Rejected },
        What::RequestInvalid { client: ClientId(7), reason: reason() },
        What::RequestLost { client: ClientId(7), attempt: 4, reason: DropReason::Cut },
        What::ReplyLost { client: ClientId(7), attempt: 4, reason: DropReason::Chosen },
        What::MessageHeld { flight: flight(part), arrives: Time::from_nanos(5) },
    ];
    whats.extend(events().into_iter().map(What::Raft));
    whats
}

#[test]
fn every_question_arrives_as_it_was_asked() {
    let mut questions = vec![
        Question::View,
        Question::Items { from: 9 },
        Question::Log,
        Question::Entry(WhichEntry::At(INDEX)),
        Question::Entry(WhichEntry::Of(SessionId(6), 4)),
        Question::Members,
        Question::Stored { entries: 9 },
        Question::TransferFailure,
        Question::Renew,
        Question::Rules,
        Question::TakeRules { set: rules(), change: Some("cut n1>n2".to_string()) },
        Question::NetworkCounts,
        Question::Settings,
        Question::Configure(settings()),
        Question::Check,
        Question::DiskSyncs,
        Question::Records { from: 9, clock: u64::MAX },
        Question::Watch { filter: EventFilter::All, follow: true },
        Question::Record { folder: "run-1".into(), bytes_max: 9 },
        Question::Remembered(Subject { entry: Some(INDEX), command: Some((SessionId(6), 4)) }),
        Question::EndRecording,
    ];
    let lasting = [None, Some(Duration::from_millis(1))].into_iter().cycle();
    let orders = orders().into_iter().zip(lasting);
    questions.extend(orders.map(|(order, lasting)| Question::Order { order, lasting }));
    for question in questions {
        comes_back(&Asked { id: u64::MAX, question });
    }
}

fn glimpse(configured: &Configured) -> Glimpse {
    Glimpse {
        identity: Some(Identity { cluster: ClusterId(u64::MAX), epoch: Epoch(2), node: node(1) }),
        founders: Founders { nodes: vec![node(1)], ..Founders::default() },
        hard_state: Some(HardState { voted_for: Some(Member::founder(node(2))), ..HardState::default() }),
        configured: Some(configured.clone()),
        terms: vec![Some(Term(1)), None],
        changes: vec![configured.clone()],
        troubles: vec!["a line\nis torn".to_string()],
        ..Glimpse::default()
    }
}

#[test]
fn every_answer_arrives_as_it_was_given() {
    let configured = Configured { index: INDEX, configuration: members() };
    let follower = FollowerView { store_id: 1, matched: INDEX, answered: Some(Time::from_nanos(1)) };
    let changed = [None, Some(Ok(INDEX))].into_iter();
    let members = changed.chain(change_errors().into_iter().map(|error| Some(Err(error)))).map(|changed| {
        Answer::Members(MembersView {
            own: Member::founder(node(1)),
            newest: Some(configured.clone()),
            committed: true,
            last: INDEX,
            followers: BTreeMap::from([(node(2), follower)]),
            changed,
        })
    });
    let verdict = |(_, name): (Property, &'static str)| Verdict {
        property: name.into(),
        violation: Some("why".into()),
        open: Some("why".into()),
    };
    let counts = LinkCounts {
        sent: 1,
        delivered: 2,
        dropped: 3,
        delayed: 4,
        duplicated: 5,
        in_flight: 6,
        under_way_or_lost: 7,
        before: 8,
    };
    let (terms, now) = (vec![Term(1), Term(3)], Time::from_nanos(12_000_450_000));
    let answers = [
        Answer::View { now, view: view() },
        Answer::Items { items: vec![("x".to_string(), "\"".to_string())], next: Some(1) },
        Answer::Entry(Some(EntryView { id: AT, kind: EntryKind::Command(SessionId(6), 4) })),
        Answer::Log(LogView { base: AT, snapshot: AT, terms, members: vec![INDEX], commit: INDEX }),
        Answer::Stored(glimpse(&configured)),
        Answer::Renewed(Member::founder(node(1))),
        Answer::Done("3 messages waited in its inbox".to_string()),
        Answer::TransferFailure(Some("n2 is no member".to_string())),
        Answer::Rules(rules()),
        Answer::NetworkCounts(vec![(End::Node(node(1)), End::Clients, counts)]),
        Answer::Settings(settings()),
        Answer::Check(Property::ALL.map(verdict).to_vec()),
        Answer::Remembered(Remembered { since: now, ..Remembered::default() }),
        Answer::DiskSyncs(Some(9)),
        Answer::Records(Page { life: u64::MAX, from: 9, bytes: vec![0, 171, 255], end: 12, clock: 9 }),
        Answer::Recorded(Recorded { nodes: 1, bytes: 9, trouble: Some("it has its most".to_string()) }),
        Answer::Refused(LabError::down(node(3))),
    ];
    for answer in answers.into_iter().chain(members) {
        comes_back(&Told::Answer { id: 7, answer });
    }
    comes_back(&Told::LeftOut(3));
    comes_back(&Told::View {
        member: Member::founder(node(1)),
        now,
        view: view(),
        nodes: [(node(4), "host:7004".parse().expect("an address"))].into(),
        rules: rules().version(),
        settings: settings().version,
    });
}

#[test]
fn every_event_arrives_with_its_sentence_and_its_kind() {
    for what in whats() {
        let sent = TraceEvent { time: Time::from_nanos(12_000_450_000), node: node(2), what };
        let told = Told::Event(sent.clone());
        comes_back(&told);
        let Ok(Told::Event(arrived)) = serde_json::from_str(&text(&told)) else { panic!("an event") };
        assert_eq!(arrived.to_string(), sent.to_string());
        assert_eq!((arrived.topic(), arrived.level()), (sent.topic(), sent.level()));
    }
}

/// All that happens in a run of a few seconds, with messages.
#[test]
fn what_happens_in_a_run_arrives() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let observer = Arc::new(move |event: &TraceEvent| kept.lock().push(event.clone()));
    let mut lab = Simulation::new(SimulationSettings::new(3, 1), Some(observer));
    for (until, order) in [(2, NodeOrder::Crash), (4, NodeOrder::Restart), (6, NodeOrder::Pause)] {
        let until = Time::ZERO + Duration::from_secs(until);
        while lab.now() < until {
            lab.wait(until);
        }
        lab.order(node(1), order).expect("it can");
    }
    let events = std::mem::take(&mut *seen.lock());
    assert!(events.len() > 500, "{} events", events.len());
    for event in events {
        comes_back(&Told::Event(event));
    }
}

#[test]
fn what_is_no_question_is_refused_in_a_line() {
    let nested = r#"{"Replace":["#;
    let deep = format!(
        r#"{{"id":1,"question":{{"take_rules":{{"set":{{"version":{{"number":1,"author":2}},"layers":{{"base":[{}"#,
        nested.repeat(200)
    );
    for text in ["", "{}", r#"{"id":1,"question":"explode"}"#, r#"{"id":-1,"question":"view"}"#, &deep] {
        let why = serde_json::from_str::<Asked>(text).expect_err("no question").to_string();
        assert!(!why.is_empty() && !why.contains('\n'), "{why}");
    }
    let order = r#"{"id":1,"question":{"order":{"order":{"Transfer":"n100"},"lasting":null}}}"#;
    assert!(serde_json::from_str::<Asked>(order).is_err_and(|why| why.to_string().contains("n100")));
}
