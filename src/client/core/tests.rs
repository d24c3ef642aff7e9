//! Each rule of the client's core, shown by replies fed by hand.

mod newcomers;
mod sessions;

use super::*;
use crate::client::{Answered, Fate, Rejection, Token, What};
use crate::config::RaftSettings;
use crate::payload::Payload;
use crate::protocol::{Call, ReadMode, Reply, Response};
use crate::raft::effects::RejectReason;
use crate::state_machine::Applied;
use crate::types::{EntryId, LogIndex, Serial, Term};

const SETTINGS: ClientSettings = ClientSettings {
    attempt_timeout: Duration::from_millis(100),
    backoff_min: Duration::from_millis(10),
    backoff_max: Duration::from_millis(40),
    copies: 1,
    when_full: WhenFull::Wait,
};
const SESSION: SessionId = SessionId(2);
const TIMEOUT: Duration = Duration::from_secs(2);
const NO_HINT: Response = Response::Rejected(RejectReason::NotLeader { leader: None });
const BUSY: Response = Response::Rejected(RejectReason::Busy);

/// A core, its time, and what it has sent.
struct Bench {
    core: ClientCore,
    now: Time,
}

#[derive(Clone, PartialEq, Debug)]
struct Sent {
    to: NodeId,
    attempt: Attempt,
    call: Call,
}

impl Bench {
    fn new() -> Bench {
        let Bench { core, now } = Bench::without_session();
        Bench { core: core.in_session(SESSION), now }
    }

    fn without_session() -> Bench {
        let core = ClientCore::new(ClientId(7), NodeId::first(3), SETTINGS, Random::new(1));
        Bench { core, now: Time::ZERO }
    }

    /// A client that has heard from this leader.
    fn led_by(leader: NodeId) -> Bench {
        let mut bench = Bench::new();
        bench.core.leader = Some(leader);
        bench
    }

    fn ask(&mut self, what: What, at: Option<NodeId>) -> Sent {
        self.core.ask(self.now, Ask { what, at, timeout: TIMEOUT });
        self.sent()
    }

    fn command(&mut self) -> Sent {
        self.ask(What::Command(Payload::new(["x"])), None)
    }

    /// The one attempt that was sent since the last look.
    fn sent(&mut self) -> Sent {
        let mut all = self.all_sent();
        assert_eq!(all.len(), 1, "one attempt: {all:?}");
        all.remove(0)
    }

    fn all_sent(&mut self) -> Vec<Sent> {
        let envelopes = self.core.take_outgoing().into_iter();
        envelopes
            .map(|envelope| match envelope {
                Envelope { to: Address::Node(to), packet: Packet::Request(request), .. } => {
                    Sent { to, attempt: request.attempt, call: request.call }
                }
                other => panic!("a client sends requests to nodes: {other:?}"),
            })
            .collect()
    }

    fn reply(&mut self, sent: &Sent, response: Response) {
        self.reply_in(4, sent, response);
    }

    fn reply_in(&mut self, term: u64, sent: &Sent, response: Response) {
        let reply = Reply { attempt: sent.attempt, term: Term(term), response };
        let (from, to) = (Address::Node(sent.to), Address::Client(ClientId(7)));
        self.core.receive(self.now, Envelope::new(from, to, Packet::Reply(reply)));
    }

    /// Lets time pass up to what is due next, and does it.
    fn wait(&mut self) -> Duration {
        let due = self.core.deadline();
        let waited = due.since(self.now);
        self.now = due;
        self.core.tick(due);
        waited
    }

    /// Lets time pass in silence until every call has ended.
    fn wait_for_end(&mut self) -> Outcome {
        while !self.core.is_idle() {
            self.wait();
        }
        self.outcome()
    }

    /// Refuses every attempt from now on, and says how the call ended.
    fn refuse_all(&mut self, response: &Response) -> Outcome {
        while !self.core.is_idle() {
            self.wait();
            for sent in self.all_sent() {
                self.reply(&sent, response.clone());
            }
        }
        self.outcome()
    }

    /// How the one call ended that ended since the last look.
    fn outcome(&mut self) -> Outcome {
        let mut ended = self.core.take_ended();
        assert_eq!(ended.len(), 1, "one call ended: {ended:?}");
        ended.remove(0).outcome
    }
}

fn n(number: u8) -> NodeId {
    NodeId::new(number)
}

fn hint(leader: u8) -> Response {
    Response::Rejected(RejectReason::NotLeader { leader: Some(n(leader)) })
}

fn lost(leader: Option<u8>) -> Response {
    Response::LeadershipLost { leader: leader.map(n) }
}

fn applied() -> Response {
    Response::Entry(Applied::Answered {
        entry: EntryId::new(Term(3), LogIndex(17)),
        answer: Payload::new(["created"]),
    })
}

fn answered_by(node: NodeId) -> Outcome {
    let answer = Payload::new(["created"]);
    Outcome::Answered(Answered {
        answer,
        node,
        term: Term(4),
        index: LogIndex(17),
        staleness: None,
        part: None,
    })
}

fn numbers(sent: &Sent) -> (Serial, Serial) {
    match &sent.call {
        Call::Command { origin, .. } => (origin.serial, origin.acknowledged),
        other => panic!("no command: {other:?}"),
    }
}

fn token(serial: Serial) -> Token {
    Token { session: SESSION, serial, part: None }
}

fn read() -> What {
    What::Read { query: Payload::new("x"), mode: ReadMode::Linearizable }
}

#[test]
fn an_answer_ends_the_call_and_makes_its_sender_the_leader_to_ask() {
    let mut bench = Bench::new();
    let sent = bench.command();
    bench.now = Time::from_nanos(5_000);
    bench.reply(&sent, applied());
    let (outcome, took) = (answered_by(sent.to), Duration::from_micros(5));
    let expected = Ended { call_id: CallId(1), outcome, began: bench.now - took, took };
    assert_eq!(bench.core.take_ended(), [expected]);
    assert_eq!(bench.core.leader(), Some(sent.to));
    assert_eq!(bench.core.deadline(), Time::NEVER, "nothing is left to do");
    assert_eq!(bench.command().to, sent.to);
}

#[test]
fn a_second_answer_to_the_same_call_is_ignored() {
    let mut bench = Bench::new();
    let sent = bench.command();
    bench.reply(&sent, applied());
    bench.outcome();
    for late in
        [applied(), NO_HINT, BUSY, Response::Unreachable, lost(None), Response::Entry(Applied::Forgotten)]
    {
        bench.reply(&sent, late);
    }
    assert_eq!((bench.core.take_ended(), bench.all_sent()), (vec![], vec![]));
}

#[test]
fn an_answer_for_somebody_else_or_of_the_wrong_kind_is_ignored() {
    let mut bench = Bench::new();
    let sent = bench.command();
    let reply = Reply { attempt: sent.attempt, term: Term(4), response: applied() };
    let (from, to) = (Address::Node(sent.to), Address::Client(ClientId(8)));
    bench.core.receive(bench.now, Envelope::new(from, to, Packet::Reply(reply)));
    bench.reply(&sent, Response::Read { applied: LogIndex(17), staleness: None, answer: Payload::new("1") });
    assert!(bench.core.take_ended().is_empty());
    assert_eq!(bench.wait_for_end(), Outcome::Unknown(token(1)));
}

#[test]
fn a_hint_is_followed_at_once_and_remembered() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.reply(&first, hint(3));
    let second = bench.sent();
    assert_eq!((first.to, second.to), (n(1), n(3)));
    assert_eq!(first.call, second.call, "the same command, under the same serial");
    assert_eq!(bench.core.leader(), Some(n(3)));
    bench.reply(&second, applied());
    assert_eq!(bench.outcome(), answered_by(n(3)));
}

#[test]
fn nodes_that_point_at_each_other_are_not_asked_in_a_circle() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.reply(&first, hint(2));
    let second = bench.sent();
    bench.reply(&second, hint(1));
    assert!(bench.all_sent().is_empty(), "n1 was asked in this turn");
    assert!(bench.wait() >= SETTINGS.backoff_min / 2);
    bench.sent();
}

#[test]
fn a_node_that_leads_since_it_was_asked_is_asked_again_at_once() {
    let mut bench = Bench::led_by(n(2));
    let first = bench.command();
    bench.reply_in(4, &first, hint(1));
    let second = bench.sent();
    bench.reply_in(5, &second, hint(2));
    let third = bench.sent();
    assert_eq!([first.to, second.to, third.to], [n(2), n(1), n(2)], "n1 handed over to it");
    bench.reply_in(5, &third, hint(1));
    let fourth = bench.sent();
    bench.reply_in(5, &fourth, hint(2));
    assert_eq!(bench.all_sent(), [], "in one term they point at each other");
}

#[test]
fn without_a_hint_the_client_backs_off_longer_each_time_and_asks_in_rotation() {
    let mut bench = Bench::new();
    let mut sent = bench.command();
    let mut nodes = vec![sent.to];
    let mut pauses = Vec::new();
    for _ in 0..5 {
        bench.reply(&sent, NO_HINT);
        assert!(bench.all_sent().is_empty(), "a back-off comes first");
        pauses.push(bench.wait());
        sent = bench.sent();
        nodes.push(sent.to);
    }
    assert!(nodes[..3].iter().all(|node| nodes[..3].iter().filter(|other| *other == node).count() == 1));
    assert_eq!(nodes[..3], nodes[3..], "in rotation");
    for (pause, longest) in pauses.iter().zip([10, 20, 40, 40, 40].map(Duration::from_millis)) {
        assert!((longest / 2..=longest).contains(pause), "{pause:?} is not within half of {longest:?}");
    }
}

#[test]
fn nodes_that_do_not_run_are_passed_at_once_and_after_a_turn_comes_a_back_off() {
    let mut bench = Bench::led_by(n(2));
    let mut sent = bench.command();
    let mut asked = vec![sent.to];
    for _ in 0..2 {
        bench.reply(&sent, Response::Unreachable);
        sent = bench.sent();
        asked.push(sent.to);
    }
    asked.sort_unstable();
    assert_eq!(asked, NodeId::first(3), "each once, without a pause");
    assert_eq!(bench.now, Time::ZERO);
    bench.reply(&sent, Response::Unreachable);
    assert!(bench.all_sent().is_empty());
    assert!(bench.wait() >= SETTINGS.backoff_min / 2);
    bench.sent();
}

#[test]
fn removed_nodes_are_passed_at_once_and_the_member_that_they_name_comes_first() {
    let removed = |member| Response::Rejected(RejectReason::Retired { member });
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.reply(&first, removed(Some(n(3))));
    let second = bench.sent();
    bench.reply(&second, removed(Some(n(1))));
    let third = bench.sent();
    assert_eq!([first.to, second.to, third.to], [n(1), n(3), n(2)], "each once, without a pause");
    bench.reply(&third, removed(None));
    assert_eq!(bench.all_sent(), [], "a back-off comes after each turn");
    assert!(bench.wait() >= SETTINGS.backoff_min / 2);
    bench.sent();
}

#[test]
fn a_call_to_one_removed_node_backs_off() {
    let mut bench = Bench::led_by(n(1));
    let sent = bench.ask(read(), Some(n(1)));
    bench.reply(&sent, Response::Rejected(RejectReason::Retired { member: Some(n(2)) }));
    assert_eq!(bench.all_sent(), []);
    assert!(bench.wait() >= SETTINGS.backoff_min / 2);
    assert_eq!(bench.sent().to, n(1));
}

#[test]
fn a_leader_that_does_not_run_is_forgotten() {
    let mut bench = Bench::led_by(n(2));
    let sent = bench.command();
    bench.reply(&sent, Response::Unreachable);
    assert_eq!(bench.core.leader(), None);
    let second = bench.sent();
    bench.reply(&second, hint(2));
    assert_eq!(
        bench.core.leader(),
        None,
        "a hint at the node that has just been found dead brings nothing back"
    );
}

#[test]
fn a_silent_node_is_left_and_its_late_answer_still_counts() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    assert_eq!(bench.wait(), SETTINGS.attempt_timeout);
    assert_eq!(bench.core.leader(), None);
    let second = bench.sent();
    assert_ne!(second.to, n(1));
    assert_eq!(first.call, second.call, "the same command, under the same serial");
    assert_ne!(first.attempt, second.attempt);
    bench.reply(&first, applied());
    assert_eq!(bench.outcome(), answered_by(n(1)));
}

#[test]
fn a_late_rejection_of_an_earlier_attempt_starts_no_second_chain() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.wait();
    bench.sent();
    bench.reply(&first, hint(3));
    assert!(bench.all_sent().is_empty(), "the newest attempt is still awaited");
}

#[test]
fn a_busy_leader_is_asked_again_after_a_back_off() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.reply(&first, BUSY);
    assert!(bench.wait() >= SETTINGS.backoff_min / 2);
    assert_eq!(bench.sent().to, n(1));
}

#[test]
fn a_busy_leader_ends_a_call_at_once_if_that_is_wished_and_certain() {
    let mut bench = Bench::led_by(n(1));
    bench.core.set_when_full(WhenFull::Reject);
    let sent = bench.command();
    bench.reply(&sent, BUSY);
    assert_eq!(bench.outcome(), Outcome::Rejected(Rejection::Busy));
    let first = bench.command();
    bench.wait();
    let second = bench.sent();
    bench.reply(&second, BUSY);
    assert!(bench.core.take_ended().is_empty(), "{first:?} is open: nothing is certain yet");
    bench.reply(&first, applied());
    assert_eq!(bench.outcome(), answered_by(n(1)));
}

#[test]
fn a_command_of_a_deposed_leader_is_asked_again_under_its_serial() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.reply(&first, lost(Some(2)));
    let second = bench.sent();
    assert_eq!((second.to, &second.call), (n(2), &first.call));
    bench.reply(&second, NO_HINT);
    assert_eq!(bench.refuse_all(&NO_HINT), Outcome::Unknown(token(1)), "the entry may yet be committed");
}

#[test]
fn an_entry_that_was_taken_in_stays_possible_after_any_later_answer() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.reply(&first, lost(None));
    bench.reply(&first, NO_HINT);
    assert_eq!(bench.refuse_all(&NO_HINT), Outcome::Unknown(token(1)));
}

#[test]
fn only_what_every_node_refused_is_rejected() {
    for (response, expected) in [(NO_HINT, Rejection::NoLeader), (BUSY, Rejection::Busy)] {
        let mut bench = Bench::new();
        bench.command();
        assert_eq!(bench.refuse_all(&response), Outcome::Unknown(token(1)), "the first attempt stayed open");
        let sent = bench.command();
        bench.reply(&sent, response.clone());
        assert_eq!(bench.refuse_all(&response), Outcome::Rejected(expected));
    }
}

#[test]
fn a_command_ends_as_unknown_at_its_deadline_when_no_one_answers() {
    let mut bench = Bench::new();
    bench.command();
    assert_eq!(bench.wait_for_end(), Outcome::Unknown(token(1)));
    assert_eq!(bench.now, Time::ZERO + TIMEOUT);
}

#[test]
fn a_read_is_never_unknown() {
    let mut bench = Bench::new();
    bench.ask(read(), None);
    assert_eq!(bench.wait_for_end(), Outcome::Rejected(Rejection::NoAnswer));
}

#[test]
fn a_read_is_answered_with_the_index_it_saw() {
    let mut bench = Bench::new();
    let sent = bench.ask(read(), None);
    bench.reply(&sent, Response::Read { applied: LogIndex(9), staleness: None, answer: Payload::new("1") });
    let answer = Payload::new("1");
    let expected =
        Answered { answer, node: sent.to, term: Term(4), index: LogIndex(9), staleness: None, part: None };
    assert_eq!(bench.outcome(), Outcome::Answered(expected));
    assert_eq!(bench.core.leader(), Some(sent.to), "only a leader answers such a read");
}

#[test]
fn a_stale_read_says_nothing_about_who_leads() {
    let mut bench = Bench::new();
    let sent = bench.ask(What::Read { query: Payload::new("x"), mode: ReadMode::Stale }, None);
    bench.reply(&sent, Response::Read { applied: LogIndex(9), staleness: None, answer: Payload::new("1") });
    assert_eq!(bench.core.leader(), None);
}

#[test]
fn what_is_invalid_is_rejected_at_once() {
    let mut bench = Bench::new();
    let sent = bench.command();
    bench.reply(&sent, Response::Invalid("too long".to_string()));
    assert_eq!(bench.outcome(), Outcome::Rejected(Rejection::Invalid("too long".to_string())));
}

#[test]
fn a_call_to_one_node_asks_no_other() {
    let at = |response| {
        let mut bench = Bench::led_by(n(1));
        let sent = bench.ask(read(), Some(n(3)));
        assert_eq!(sent.to, n(3));
        bench.reply(&sent, response);
        bench.outcome()
    };
    assert_eq!(at(Response::Unreachable), Outcome::Rejected(Rejection::Unreachable(n(3))));
    assert_eq!(at(hint(1)), Outcome::Rejected(Rejection::NotLeader { leader: Some(n(1)) }));

    let mut bench = Bench::led_by(n(1));
    bench.ask(What::Command(Payload::new(["x"])), Some(n(3)));
    bench.wait();
    let second = bench.sent();
    assert_eq!(second.to, n(3), "silence changes nothing about whom to ask");
    bench.reply(&second, hint(1));
    assert_eq!(bench.outcome(), Outcome::Unknown(token(1)), "the first attempt may have been taken in");
}

#[test]
fn a_node_that_knows_no_leader_is_asked_again_until_the_time_is_over() {
    for what in [read(), What::Command(Payload::new(["x"]))] {
        let mut bench = Bench::new();
        let first = bench.ask(what.clone(), Some(n(3)));
        bench.reply(&first, NO_HINT);
        let waited = bench.wait();
        assert!(waited <= SETTINGS.backoff_min, "it backs off for {waited:?}");
        let second = bench.sent();
        assert_eq!(second.to, n(3));
        bench.reply(&second, hint(1));
        assert_eq!(
            bench.outcome(),
            Outcome::Rejected(Rejection::NotLeader { leader: Some(n(1)) }),
            "that is final"
        );

        let mut bench = Bench::new();
        let first = bench.ask(what, Some(n(3)));
        bench.reply(&first, NO_HINT);
        let end = bench.refuse_all(&NO_HINT);
        assert_eq!(end, Outcome::Rejected(Rejection::NotLeader { leader: None }));
        assert_eq!(bench.now, Time::ZERO + TIMEOUT, "no sooner, and no later");
    }
}

#[test]
fn a_command_that_its_node_lost_with_its_leadership_is_asked_for_there_again() {
    let mut bench = Bench::new();
    let first = bench.ask(What::Command(Payload::new(["x"])), Some(n(3)));
    bench.reply(&first, lost(None));
    bench.wait();
    let second = bench.sent();
    assert_eq!((second.to, numbers(&second)), (n(3), numbers(&first)), "under its name");
    bench.reply(&second, hint(1));
    assert_eq!(bench.outcome(), Outcome::Unknown(token(1)), "its entry may be applied yet");
}

#[test]
fn giving_up_ends_every_call_at_once() {
    let mut bench = Bench::led_by(n(1));
    bench.command();
    bench.ask(read(), None);
    let refused = bench.command();
    bench.reply(&refused, BUSY);
    let unsent = Ask { what: read(), at: None, timeout: TIMEOUT };
    bench.core.ask(bench.now, unsent);
    bench.core.give_up(bench.now);
    let outcomes: Vec<Outcome> = bench.core.take_ended().into_iter().map(|ended| ended.outcome).collect();
    let no_answer = Outcome::Rejected(Rejection::NoAnswer);
    let expected =
        [Outcome::Unknown(token(1)), no_answer.clone(), Outcome::Rejected(Rejection::Busy), no_answer];
    assert_eq!(outcomes, expected);
    assert!(bench.core.is_idle() && bench.all_sent().is_empty());
}

#[test]
fn a_call_without_any_time_is_not_sent() {
    let mut bench = Bench::new();
    let what = What::Command(Payload::new(["x"]));
    bench.core.ask(bench.now, Ask { what, at: None, timeout: Duration::ZERO });
    assert_eq!(bench.outcome(), Outcome::Rejected(Rejection::NoLeader));
    assert!(bench.all_sent().is_empty());
}

#[test]
fn a_hasty_client_asks_several_nodes_at_once_and_any_of_them_may_answer() {
    let settings = ClientSettings { copies: 2, ..SETTINGS };
    for answers in 0..2 {
        let mut bench = Bench::led_by(n(2));
        bench.core.settings = settings;
        let ask = Ask { what: What::Command(Payload::new(["x"])), at: None, timeout: TIMEOUT };
        bench.core.ask(bench.now, ask);
        let sent = bench.all_sent();
        assert_eq!((sent.len(), sent[0].to), (2, n(2)));
        assert_ne!(sent[1].to, n(2));
        assert_eq!(sent[0].call, sent[1].call, "the same command, under the same name");
        bench.reply(&sent[1 - answers], NO_HINT);
        bench.reply(&sent[answers], applied());
        assert_eq!(bench.outcome(), answered_by(sent[answers].to));
    }
}

#[test]
fn settings_follow_the_times_of_the_cluster() {
    let slow = RaftSettings {
        heartbeat: Duration::from_secs(5),
        election_min: Duration::from_secs(15),
        election_max: Duration::from_secs(30),
        ..RaftSettings::default()
    };
    let settings = ClientSettings::suited_to(&slow);
    assert_eq!(settings.attempt_timeout, Duration::from_secs(30));
    assert!(settings.backoff_max < slow.election_min, "no election is slept through");
    assert_eq!(settings.backoff(u32::MAX), settings.backoff_max);
}

#[test]
fn what_one_node_finds_invalid_another_may_have_taken_in() {
    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    // n1 took it in and its answer is lost; the call tries another node.
    bench.wait();
    let second = bench.sent();
    assert_ne!(first.attempt, second.attempt);
    bench.reply(&second, Response::Invalid("over the limit here".to_string()));
    assert_eq!(bench.outcome(), Outcome::Unknown(token(1)));
}
