//! What holds for a client on any network: any answers, in any order, late, twice or never.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::client::{Rejection, Token, What};
use crate::payload::Payload;
use crate::protocol::{Attempt, Call, ReadMode, Reply, Response};
use crate::raft::effects::RejectReason;
use crate::raft::entry::Origin;
use crate::state_machine::Applied;
use crate::types::{EntryId, Epoch, LogIndex, Term};

const NODES: u8 = 3;
const SETTINGS: ClientSettings = ClientSettings {
    attempt_timeout: Duration::from_millis(50),
    backoff_min: Duration::from_millis(4),
    backoff_max: Duration::from_millis(20),
    copies: 1,
    when_full: WhenFull::Wait,
};

/// One thing that happens to a client.
#[derive(Clone, Debug)]
enum Happening {
    Ask {
        command: bool,
        at: Option<NodeId>,
        timeout: Duration,
    },
    /// An answer to one of the attempts sent so far, counted from the newest.
    Reply {
        back: usize,
        response: Response,
    },
    Pass(Duration),
    GiveUp,
}

/// The world around a client: remembers what was sent and what each attempt was answered.
struct World {
    core: ClientCore,
    now: Time,
    asks: BTreeMap<CallId, (bool, Time, Duration)>,
    /// The tickets of commands and reads, in the order of asking: each carries its place here.
    commands: Vec<CallId>,
    reads: Vec<CallId>,
    /// The command that each name was first given to.
    named: BTreeMap<Token, CallId>,
    /// The sessions opened so far; each has a name of its own.
    sessions: u64,
    /// Each attempt, in the order of sending, with its `call_id`.
    sent: Vec<(Attempt, CallId, Address)>,
    /// The attempts that only ask for a session.
    openings: BTreeSet<Attempt>,
    /// The newest attempt of each call when one of them was told that its session had expired.
    expired: BTreeMap<CallId, Attempt>,
    /// What came back to calls that had not ended then.
    replies: BTreeMap<Attempt, Vec<Response>>,
    ended: BTreeMap<CallId, Outcome>,
}

fn node() -> impl Strategy<Value = NodeId> {
    (1..=NODES).prop_map(NodeId::new)
}

fn panicked(entry: Option<EntryId>) -> Response {
    Response::Panicked { entry, reason: "a bug".to_string() }
}

fn response() -> impl Strategy<Value = Response> {
    let hint = || proptest::option::of(node());
    let applied = Response::Entry(Applied::Answered {
        entry: EntryId::new(Term(1), LogIndex(1)),
        answer: Payload::new("a"),
    });
    let read = Response::Read { applied: LogIndex(1), staleness: None, answer: Payload::new("a") };
    prop_oneof![
        1 => Just(applied),
        1 => Just(read),
        8 => hint().prop_map(|leader| Response::Rejected(RejectReason::NotLeader { leader })),
        4 => hint().prop_map(|member| Response::Rejected(RejectReason::Retired { member })),
        4 => Just(Response::Rejected(RejectReason::Busy)),
        8 => Just(Response::Unreachable),
        2 => hint().prop_map(|leader| Response::LeadershipLost { leader }),
        1 => Just(Response::Entry(Applied::Forgotten)),
        1 => Just(Response::Entry(Applied::GivenUp)),
        4 => Just(Response::Entry(Applied::Opened { session: SessionId(0) })),
        2 => Just(Response::Entry(Applied::Expired)),
        1 => Just(Response::Entry(Applied::Lost { epoch: Epoch(2) })),
        1 => Just(Response::Invalid("wrong".to_string())),
        1 => Just(panicked(None)),
        1 => Just(panicked(Some(EntryId::new(Term(1), LogIndex(1))))),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    let at = proptest::option::weighted(0.2, node());
    let ask = (any::<bool>(), at, 0_u64..300).prop_map(|(command, at, millis)| Happening::Ask {
        command,
        at,
        timeout: Duration::from_millis(millis),
    });
    let reply = |back: std::ops::Range<usize>| {
        (back, response()).prop_map(|(back, response)| Happening::Reply { back, response })
    };
    prop_oneof![
        8 => ask,
        40 => reply(0..2),
        20 => reply(0..20),
        20 => (0_u64..30).prop_map(|millis| Happening::Pass(Duration::from_millis(millis))),
        1 => Just(Happening::GiveUp),
    ]
}

impl World {
    fn new(seed: u64) -> World {
        let mut core = ClientCore::new(ClientId(7), NodeId::first(NODES), SETTINGS, Random::new(seed));
        if seed.is_multiple_of(2) {
            core = core.in_session(SessionId(99));
        }
        World {
            core,
            now: Time::ZERO,
            asks: BTreeMap::new(),
            commands: Vec::new(),
            reads: Vec::new(),
            named: BTreeMap::new(),
            sessions: 0,
            sent: Vec::new(),
            openings: BTreeSet::new(),
            expired: BTreeMap::new(),
            replies: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Ask { command, at, timeout } => self.ask(command, at, timeout),
            Happening::Reply { back, response } => self.reply(back, response),
            Happening::Pass(span) => self.pass(self.now + span),
            Happening::GiveUp => {
                self.core.give_up(self.now);
                assert!(self.core.is_idle(), "giving up ends every call");
            }
        }
        self.look();
    }

    fn ask(&mut self, command: bool, at: Option<NodeId>, timeout: Duration) {
        // A call is known by what it carries.
        let what = if command {
            What::Command(Payload::new(self.commands.len()))
        } else {
            What::Read { query: Payload::new(self.reads.len()), mode: ReadMode::Linearizable }
        };
        let call_id = self.core.ask(self.now, Ask { what, at, timeout });
        self.asks.insert(call_id, (command, self.now, timeout));
        if command { self.commands.push(call_id) } else { self.reads.push(call_id) }
    }

    fn reply(&mut self, back: usize, response: Response) {
        let Some(&(attempt, call_id, from)) = self.sent.iter().rev().nth(back) else { return };
        // A call begins again only when each of its attempts has been answered, and a node answers once: no more is said
        // of those that came before.
        if self.expired.get(&call_id).is_some_and(|newest| attempt <= *newest) {
            return;
        }
        if matches!(response, Response::Entry(Applied::Expired | Applied::Lost { .. })) {
            let newest =
                self.sent.iter().filter(|(_, of, _)| *of == call_id).map(|(attempt, ..)| *attempt).max();
            self.expired.insert(call_id, newest.expect("it is one of them"));
        }
        let response = match response {
            Response::Entry(Applied::Opened { .. }) => {
                self.sessions += 1;
                Response::Entry(Applied::Opened { session: SessionId(self.sessions) })
            }
            other => other,
        };
        if !self.ended.contains_key(&call_id) {
            self.replies.entry(attempt).or_default().push(response.clone());
        }
        let packet = Packet::Reply(Reply { attempt, term: Term(1), response });
        self.core.receive(self.now, Envelope::new(from, Address::Client(ClientId(7)), packet));
    }

    fn pass(&mut self, until: Time) {
        while self.core.deadline() <= until {
            assert!(self.core.deadline() >= self.now, "what was due is done");
            self.now = self.core.deadline();
            self.core.tick(self.now);
            self.look();
        }
        self.now = until;
    }

    /// Takes what the core has to say, and checks it.
    fn look(&mut self) {
        let before: BTreeSet<CallId> = self.ended.keys().copied().collect();
        for Ended { call_id, outcome, took, .. } in self.core.take_ended() {
            let (_, began, timeout) = self.asks[&call_id];
            assert!(took <= timeout, "{call_id:?} took {took:?} of {timeout:?}");
            assert_eq!(took, self.now.since(began));
            assert_eq!(self.ended.insert(call_id, outcome), None, "{call_id:?} ended twice");
        }
        for Envelope { to, packet, .. } in self.core.take_outgoing() {
            let Packet::Request(request) = packet else { panic!("a client only asks") };
            let call_id = match request.call {
                Call::Open => {
                    self.openings.insert(request.attempt);
                    self.core.opener.expect("one call asks for a session on behalf of all")
                }
                Call::Command { origin, command } => {
                    let call_id = self.commands[*command.value::<usize>().expect("a number")];
                    self.note_named(origin, call_id);
                    call_id
                }
                Call::Settle { .. } => panic!("nothing is asked about"),
                Call::Read { query, .. } => self.reads[*query.value::<usize>().expect("a number")],
            };
            assert!(!before.contains(&call_id), "a call that has ended asks no node");
            self.sent.push((request.attempt, call_id, to));
        }
    }

    /// A name belongs to one command, and no answer that may still be needed is acknowledged.
    fn note_named(&mut self, origin: Origin, call_id: CallId) {
        let Origin { session, serial, acknowledged } = origin;
        let name = |serial| Token { session, serial, part: None };
        assert_eq!(*self.named.entry(name(serial)).or_insert(call_id), call_id);
        assert!(acknowledged <= serial, "a live command is never acknowledged");
        let below = self.named.range(name(0)..name(acknowledged));
        for (token, call_id) in below {
            let outcome = self.ended.get(call_id).expect("all below have ended");
            let open = matches!(outcome, Outcome::Unknown(own) | Outcome::Panicked(own, _) if own == token);
            assert!(!open, "it may be asked about");
        }
    }

    /// What was answered to each attempt of this call.
    fn answers(&self, call_id: CallId) -> impl Iterator<Item = (Attempt, &[Response])> {
        let attempts = self.sent.iter().filter(move |(_, of, _)| *of == call_id);
        attempts.map(|(attempt, _, _)| (*attempt, self.replies.get(attempt).map_or(&[][..], Vec::as_slice)))
    }

    fn check(&self) {
        assert!(self.core.is_idle() && self.core.deadline() == Time::NEVER);
        for (&call_id, &(command, began, timeout)) in &self.asks {
            let outcome = self.ended.get(&call_id).expect("every call ends");
            let said =
                |wanted: fn(&Response) -> bool| self.answers(call_id).flat_map(|(_, said)| said).any(wanted);
            match outcome {
                Outcome::Answered(_) if command => {
                    assert!(said(|response| matches!(response, Response::Entry(Applied::Answered { .. }))));
                }
                Outcome::Answered(_) => assert!(said(|response| matches!(response, Response::Read { .. }))),
                Outcome::Rejected(Rejection::GivenUp) => {
                    assert!(said(|response| *response == Response::Entry(Applied::GivenUp)));
                }
                Outcome::Rejected(rejection) => {
                    match rejection {
                        Rejection::Invalid(_) => {
                            assert!(said(|response| matches!(response, Response::Invalid(_))));
                        }
                        Rejection::Panicked(_) => {
                            assert!(said(|response| matches!(response, Response::Panicked { .. })));
                        }
                        _ => {}
                    }
                    let mut answers =
                        self.answers(call_id).filter(|(attempt, _)| !self.openings.contains(attempt));
                    let harmless = !command || answers.all(|(_, said)| is_harmless(said));
                    assert!(harmless, "{call_id:?} ended as {rejection:?}");
                }
                Outcome::Unknown(token) => assert_eq!(self.named.get(token), Some(&call_id), "its own name"),
                Outcome::Panicked(token, _) => {
                    assert_eq!(self.named.get(token), Some(&call_id), "its own name");
                    assert!(said(|response| matches!(response, Response::Panicked { entry: Some(_), .. })));
                }
                Outcome::Settled(_) => panic!("nothing was asked about"),
            }
            // Each turn asks each node once, and costs a back-off; silence costs more. A session begins the first turn of a command
            // again, at once.
            let turns = timeout.as_nanos() / (SETTINGS.backoff_min / 2).as_nanos() + 1;
            let turns = if command { turns + u128::from(self.sessions) } else { turns };
            let attempts = self.answers(call_id).count() as u128;
            assert!(attempts <= turns * u128::from(NODES), "{call_id:?} from {began}: {attempts} attempts");
        }
    }
}

/// Whether an attempt with these answers certainly changed nothing, and never will.
fn is_harmless(answers: &[Response]) -> bool {
    let taken_in: Vec<bool> = answers.iter().filter_map(taken_in).collect();
    !taken_in.is_empty() && !taken_in.contains(&true)
}

/// Whether a command was taken in, by what one node answered to one attempt; none if the answer does not tell. Each kind
/// of response stands here by name, so that a new one has to be judged.
fn taken_in(response: &Response) -> Option<bool> {
    match response {
        Response::Rejected(_)
        | Response::Unreachable
        | Response::Invalid(_)
        | Response::Panicked { entry: None, .. }
        | Response::Entry(Applied::Expired | Applied::Lost { .. }) => Some(false),
        Response::LeadershipLost { .. } | Response::Panicked { entry: Some(_), .. } => Some(true),
        // They end the call, or answer what was not asked.
        Response::Entry(_) | Response::Read { .. } => None,
    }
}

fn run(seed: u64, happenings: impl IntoIterator<Item = Happening>) -> World {
    let mut world = World::new(seed);
    for happening in happenings {
        world.happen(happening);
    }
    world.pass(world.now + Duration::from_secs(1));
    world.check();
    world
}

/// Chance seldom finds this one.
#[test]
fn an_attempt_that_was_found_invalid_late_changed_nothing() {
    for late in [Response::Invalid("wrong".to_string()), panicked(None)] {
        let happenings = [
            Happening::Ask { command: true, at: None, timeout: Duration::from_millis(51) },
            Happening::Pass(SETTINGS.attempt_timeout),
            // The second attempt is open, so this does not end the call.
            Happening::Reply { back: 1, response: late },
            // The deadline comes before the back-off ends.
            Happening::Reply { back: 0, response: Response::Entry(Applied::Expired) },
        ];
        let world = run(2, happenings);
        assert_eq!(world.sent.len(), 2);
        assert_eq!(world.ended[&CallId(1)], Outcome::Rejected(Rejection::NoLeader));
    }
}

/// Chance seldom finds this one either: the session opens at the third node that is asked for it.
#[test]
fn a_command_whose_session_opens_late_is_sent_without_a_back_off() {
    let says = |response| Happening::Reply { back: 0, response };
    let hint = |node| Some(NodeId::new(node));
    let world = run(
        2_979_166_343_298_754_775,
        [
            Happening::Ask { command: true, at: None, timeout: Duration::from_millis(1) },
            says(Response::LeadershipLost { leader: hint(2) }),
            says(Response::Rejected(RejectReason::NotLeader { leader: hint(1) })),
            says(Response::Entry(Applied::Opened { session: SessionId(0) })),
        ],
    );
    assert_eq!((world.openings.len(), world.sent.len()), (3, 4));
}

proptest! {
    #[test]
    fn every_call_ends_once_in_time_and_never_denies_what_may_have_happened(
        seed in any::<u64>(),
        happenings in proptest::collection::vec(happening(), 1..120),
    ) {
        run(seed, happenings);
    }

    #[test]
    fn nodes_that_refuse_at_once_make_no_hot_loop(
        seed in any::<u64>(),
        refusals in proptest::collection::vec(response(), 1..8),
    ) {
        let mut world = World::new(seed);
        world.happen(Happening::Ask { command: true, at: None, timeout: Duration::from_millis(300) });
        // After these the call is sent again.
        let is_passing = |response: &Response| {
            let ends = matches!(response, Response::Invalid(_) | Response::Panicked { .. });
            !ends && taken_in(response) == Some(false)
        };
        let refusals: Vec<Response> = refusals.into_iter().filter(is_passing).collect();
        let mut answered = 0;
        while !world.core.is_idle() {
            while answered < world.sent.len() && !refusals.is_empty() {
                let response = refusals[answered % refusals.len()].clone();
                answered += 1;
                world.happen(Happening::Reply { back: world.sent.len() - answered, response });
            }
            world.pass(world.core.deadline());
        }
        world.check();
    }
}
