//! What holds for a client whatever the network does: any answers, in any order, late, twice or never.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::client::What;
use crate::net::packet::Call;
use crate::payload::Payload;
use crate::types::{EntryId, LogIndex, Term};

const NODES: u8 = 3;
const SETTINGS: ClientSettings = ClientSettings {
    attempt_timeout: Duration::from_millis(50),
    backoff_min: Duration::from_millis(4),
    backoff_max: Duration::from_millis(20),
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
    /// Time passes.
    Pass(Duration),
    GiveUp,
}

/// The world around a client: remembers what was sent and what each attempt was answered.
struct World {
    core: ClientCore,
    now: Time,
    asks: BTreeMap<Ticket, (bool, Time, Duration)>,
    /// The ticket of each command's serial, in the order of asking.
    commands: Vec<Ticket>,
    reads: Vec<Ticket>,
    /// Each attempt, in the order of sending, with its ticket.
    sent: Vec<(Attempt, Ticket, Address)>,
    /// What came back to calls that had not ended then.
    replies: BTreeMap<Attempt, Vec<Response>>,
    ended: BTreeMap<Ticket, Outcome>,
}

fn node() -> impl Strategy<Value = NodeId> {
    (1..=NODES).prop_map(NodeId::new)
}

fn response() -> impl Strategy<Value = Response> {
    let hint = || proptest::option::of(node());
    let applied = Response::Applied { entry: EntryId::new(Term(1), LogIndex(1)), answer: Payload::new("a") };
    let read = Response::Read { applied: LogIndex(1), answer: Payload::new("a") };
    prop_oneof![
        1 => Just(applied),
        1 => Just(read),
        8 => hint().prop_map(|leader| Response::Refused(Refusal::NotLeader { leader })),
        4 => Just(Response::Refused(Refusal::Busy)),
        8 => Just(Response::Unreachable),
        2 => hint().prop_map(|leader| Response::LeadershipLost { leader }),
        1 => Just(Response::Forgotten),
        1 => Just(Response::Invalid("wrong".to_string())),
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
        World {
            core: ClientCore::new(ClientId(7), NodeId::first(NODES), SETTINGS, Random::new(seed)),
            now: Time::ZERO,
            asks: BTreeMap::new(),
            commands: Vec::new(),
            reads: Vec::new(),
            sent: Vec::new(),
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
        // A read is known by its query, a command by its serial.
        let what = if command {
            What::Command(Payload::new(["x"]))
        } else {
            What::Read { query: Payload::new(self.reads.len()), mode: ReadMode::Linearizable }
        };
        let ticket = self.core.ask(self.now, Ask { what, at, timeout });
        self.asks.insert(ticket, (command, self.now, timeout));
        if command { self.commands.push(ticket) } else { self.reads.push(ticket) }
    }

    fn reply(&mut self, back: usize, response: Response) {
        let Some(&(attempt, ticket, from)) = self.sent.iter().rev().nth(back) else { return };
        if !self.ended.contains_key(&ticket) {
            self.replies.entry(attempt).or_default().push(response.clone());
        }
        let packet = Packet::Reply(Reply { attempt, term: Term(1), response });
        self.core.receive(self.now, Envelope { from, to: Address::Client(ClientId(7)), packet });
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
        let before: BTreeSet<Ticket> = self.ended.keys().copied().collect();
        for Ended { ticket, outcome, took, .. } in self.core.take_ended() {
            let (_, began, timeout) = self.asks[&ticket];
            assert!(took <= timeout, "{ticket:?} took {took:?} of {timeout:?}");
            assert_eq!(took, self.now.since(began));
            assert_eq!(self.ended.insert(ticket, outcome), None, "{ticket:?} ended twice");
        }
        for Envelope { to, packet, .. } in self.core.take_outgoing() {
            let Packet::Request(request) = packet else { panic!("a client only asks") };
            let ticket = match request.call {
                Call::Command { serial, acknowledged, .. } => {
                    let position = |serial: Serial| usize::try_from(serial - 1).expect("few serials");
                    let below = &self.commands[..position(acknowledged)];
                    assert!(
                        below.iter().all(|ticket| self.ended.contains_key(ticket)),
                        "all below have ended"
                    );
                    assert!(acknowledged <= serial, "a live command is never acknowledged");
                    self.commands[position(serial)]
                }
                Call::Read { query, .. } => self.reads[*query.value::<usize>().expect("a number")],
            };
            assert!(!before.contains(&ticket), "a call that has ended asks nobody");
            self.sent.push((request.attempt, ticket, to));
        }
    }

    /// What was answered to each attempt of this call.
    fn answers(&self, ticket: Ticket) -> impl Iterator<Item = &[Response]> {
        let attempts = self.sent.iter().filter(move |(_, of, _)| *of == ticket);
        attempts.map(|(attempt, _, _)| self.replies.get(attempt).map_or(&[][..], Vec::as_slice))
    }

    fn check(&self) {
        assert!(self.core.is_idle() && self.core.deadline() == Time::NEVER);
        for (&ticket, &(command, began, timeout)) in &self.asks {
            let outcome = self.ended.get(&ticket).expect("every call ends");
            let said = |wanted: fn(&Response) -> bool| self.answers(ticket).flatten().any(wanted);
            match outcome {
                Outcome::Answered(_) if command => {
                    assert!(said(|response| matches!(response, Response::Applied { .. })));
                }
                Outcome::Answered(_) => assert!(said(|response| matches!(response, Response::Read { .. }))),
                Outcome::Rejected(Rejection::Invalid(_)) => {
                    assert!(said(|response| matches!(response, Response::Invalid(_))));
                }
                Outcome::Rejected(rejection) if command => {
                    assert!(self.answers(ticket).all(is_harmless), "{ticket:?} ended as {rejection:?}");
                }
                Outcome::Rejected(_) => {}
                Outcome::Unknown => assert!(command, "a read changes nothing"),
            }
            // Each turn asks each node once, and costs a back-off; silence costs more.
            let turns = timeout.as_nanos() / (SETTINGS.backoff_min / 2).as_nanos() + 1;
            let attempts = self.answers(ticket).count() as u128;
            assert!(attempts <= turns * u128::from(NODES), "{ticket:?} from {began}: {attempts} attempts");
        }
    }
}

/// Whether an attempt with these answers certainly left nothing in any log.
fn is_harmless(answers: &[Response]) -> bool {
    let refusal = |response: &Response| matches!(response, Response::Refused(_) | Response::Unreachable);
    let taken_in = |response: &Response| matches!(response, Response::LeadershipLost { .. });
    answers.iter().any(refusal) && !answers.iter().any(taken_in)
}

proptest! {
    #[test]
    fn every_call_ends_once_in_time_and_never_denies_what_may_have_happened(
        seed in any::<u64>(),
        happenings in proptest::collection::vec(happening(), 1..120),
    ) {
        let mut world = World::new(seed);
        for happening in happenings {
            world.happen(happening);
        }
        world.pass(world.now + Duration::from_secs(1));
        world.check();
    }

    #[test]
    fn nodes_that_refuse_at_once_make_no_hot_loop(
        seed in any::<u64>(),
        refusals in proptest::collection::vec(response(), 1..8),
    ) {
        let mut world = World::new(seed);
        world.happen(Happening::Ask { command: true, at: None, timeout: Duration::from_millis(300) });
        let refusals: Vec<Response> =
            refusals.into_iter().filter(|response| is_harmless(std::slice::from_ref(response))).collect();
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
