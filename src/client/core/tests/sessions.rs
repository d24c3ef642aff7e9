//! Sessions as the client sees them: opened once, numbered, acknowledged, settled, expired.

use super::*;
use crate::client::session::UNDER_WAY_MAX;
use crate::types::Epoch;

#[test]
fn a_command_carries_the_lowest_serial_that_has_not_ended() {
    let mut bench = Bench::led_by(n(1));
    let sent: Vec<Sent> = (0..3).map(|_| bench.command()).collect();
    assert_eq!(sent.iter().map(numbers).collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 1)]);
    bench.reply(&sent[1], applied());
    assert_eq!(numbers(&bench.command()), (4, 1), "1 has not ended");
    bench.reply(&sent[0], applied());
    assert_eq!(numbers(&bench.command()), (5, 3));
    bench.ask(read(), None);
    assert_eq!(numbers(&bench.command()), (6, 3), "a read takes no serial");
}

#[test]
fn a_command_of_unknown_outcome_is_not_acknowledged_until_it_is_settled() {
    let mut bench = Bench::led_by(n(1));
    bench.command();
    bench.wait_for_end();
    bench.core.take_outgoing();
    let next = bench.command();
    assert_eq!(numbers(&next), (2, 1), "1 may be asked about");
    bench.reply(&next, applied());
    bench.outcome();
    let sent = bench.ask(What::Settle(token(1)), None);
    assert_eq!(sent.call, Call::Settle { origin: crate::client::session::origin(token(1), 1) });
    bench.reply(&sent, Response::Entry(Applied::GivenUp));
    assert_eq!(bench.outcome(), Outcome::Settled(Fate::NeverApplied));
    assert_eq!(numbers(&bench.command()), (3, 3));
}

#[test]
fn what_became_of_a_command_is_told_in_five_ways() {
    let Outcome::Answered(answered) = answered_by(n(1)) else { panic!("an answer") };
    for (response, fate) in [
        (applied(), Fate::Applied(answered)),
        (Response::Entry(Applied::GivenUp), Fate::NeverApplied),
        (Response::Entry(Applied::Forgotten), Fate::Forgotten),
        (Response::Entry(Applied::Expired), Fate::Expired),
        (Response::Entry(Applied::Lost { epoch: Epoch(2) }), Fate::Lost { epoch: Epoch(2) }),
    ] {
        let mut bench = Bench::led_by(n(1));
        let sent = bench.ask(What::Settle(token(5)), None);
        bench.reply(&sent, response);
        assert_eq!(bench.outcome(), Outcome::Settled(fate));
    }
    let mut bench = Bench::led_by(n(1));
    bench.ask(What::Settle(token(5)), None);
    assert_eq!(bench.wait_for_end(), Outcome::Rejected(Rejection::NoAnswer), "it can be asked again");
}

#[test]
fn the_first_command_asks_for_a_session_and_the_others_wait_for_it() {
    let mut bench = Bench::without_session();
    let opening = bench.command();
    assert_eq!(opening.call, Call::Open);
    bench.core.ask(bench.now, Ask { what: What::Command(Payload::new(["y"])), at: None, timeout: TIMEOUT });
    assert!(bench.all_sent().is_empty(), "one session is enough");
    let reading = bench.ask(read(), None);
    assert_ne!(reading.to, n(9), "a read needs no session");
    bench.reply(&opening, Response::Entry(Applied::Opened { session: SESSION }));
    let sent = bench.all_sent();
    assert_eq!(sent.iter().map(numbers).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
    assert_eq!(sent[0].to, opening.to, "who opened it leads");
    bench.reply(&opening, Response::Entry(Applied::Opened { session: SessionId(9) }));
    bench.reply(&sent[0], applied());
    assert_eq!(bench.outcome(), answered_by(opening.to), "a second session is not used");
}

#[test]
fn a_command_that_never_had_a_session_was_never_sent() {
    let mut bench = Bench::without_session();
    bench.command();
    bench.core.ask(bench.now, Ask { what: read(), at: None, timeout: Duration::ZERO });
    bench.core.take_ended();
    assert_eq!(bench.wait_for_end(), Outcome::Rejected(Rejection::NoAnswer));
}

#[test]
fn when_the_call_that_asks_for_a_session_ends_another_goes_on_asking() {
    let mut bench = Bench::without_session();
    let hasty = Duration::from_millis(30);
    bench.core.ask(bench.now, Ask { what: What::Command(Payload::new(["x"])), at: None, timeout: hasty });
    bench.sent();
    bench.core.ask(bench.now, Ask { what: What::Command(Payload::new(["y"])), at: None, timeout: TIMEOUT });
    assert!(bench.all_sent().is_empty());
    bench.wait();
    assert_eq!(bench.outcome(), Outcome::Rejected(Rejection::NoAnswer));
    assert_eq!(bench.sent().call, Call::Open);
}

#[test]
fn a_command_of_an_expired_session_is_sent_in_a_new_one_only_if_it_cannot_have_been_applied() {
    for gone in [Applied::Expired, Applied::Lost { epoch: Epoch(2) }] {
        let mut bench = Bench::led_by(n(1));
        let sent = bench.command();
        bench.reply(&sent, Response::Entry(gone));
        bench.wait();
        let opening = bench.sent();
        assert_eq!(opening.call, Call::Open);
        bench.reply(&opening, Response::Entry(Applied::Opened { session: SessionId(9) }));
        let Call::Command { origin, .. } = bench.sent().call else { panic!("the command again") };
        assert_eq!((origin.session, origin.serial), (SessionId(9), 1));
    }

    let mut bench = Bench::led_by(n(1));
    let first = bench.command();
    bench.wait();
    let second = bench.sent();
    bench.reply(&second, Response::Entry(Applied::Expired));
    assert_eq!(bench.outcome(), Outcome::Unknown(token(1)), "the first attempt stayed open");
    assert_ne!(first.attempt, second.attempt);
}

#[test]
fn a_command_that_somebody_gave_up_is_rejected() {
    let mut bench = Bench::led_by(n(1));
    let sent = bench.command();
    bench.reply(&sent, Response::Entry(Applied::GivenUp));
    assert_eq!(bench.outcome(), Outcome::Rejected(Rejection::GivenUp));
}

#[test]
fn more_commands_than_the_window_holds_wait_for_room() {
    let mut bench = Bench::led_by(n(1));
    let ask = || Ask { what: What::Command(Payload::new(["x"])), at: None, timeout: TIMEOUT };
    for _ in 0..UNDER_WAY_MAX + 2 {
        bench.core.ask(bench.now, ask());
    }
    let sent = bench.all_sent();
    assert_eq!(sent.len() as u64, UNDER_WAY_MAX);
    bench.reply(&sent[1], applied());
    assert!(bench.all_sent().is_empty(), "1 still runs");
    bench.reply(&sent[0], applied());
    assert_eq!(bench.all_sent().len(), 2);
}

#[test]
fn a_session_that_knows_a_live_command_as_ended_leaves_it_unknown() {
    let mut bench = Bench::new();
    let sent = bench.command();
    bench.reply(&sent, Response::Entry(Applied::Forgotten));
    assert_eq!(bench.outcome(), Outcome::Unknown(token(1)));
}

#[test]
fn a_session_is_opened_ahead_of_the_first_command_and_no_one_is_told_of_it() {
    let mut bench = Bench::without_session();
    bench.core.open_session(bench.now, Some(n(2)), TIMEOUT);
    let opening = bench.sent();
    assert_eq!((opening.to, &opening.call), (n(2), &Call::Open), "the named node first");
    bench.core.open_session(bench.now, None, TIMEOUT);
    bench.core.ask(bench.now, Ask { what: What::Command(Payload::new(["x"])), at: None, timeout: TIMEOUT });
    assert!(bench.all_sent().is_empty(), "one session is enough, and the command waits for it");
    bench.reply(&opening, Response::Entry(Applied::Opened { session: SESSION }));
    assert!(bench.core.has_session() && !bench.core.is_opening());
    let sent = bench.sent();
    assert_eq!(numbers(&sent), (1, 1));
    bench.reply(&sent, applied());
    assert_eq!(bench.outcome(), answered_by(n(2)));
    assert!(bench.core.is_idle());
}

#[test]
fn a_session_that_no_one_opens_is_given_up_in_time() {
    let mut bench = Bench::without_session();
    bench.core.open_session(bench.now, None, TIMEOUT);
    while !bench.core.is_idle() {
        bench.wait();
    }
    assert!(bench.now.since(Time::ZERO) <= TIMEOUT && !bench.core.is_opening());
    assert_eq!(bench.core.take_ended(), Vec::new());
    bench.core.open_session(bench.now, None, TIMEOUT);
    assert!(bench.core.is_opening(), "it can be asked for again");
}
