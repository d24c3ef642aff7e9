//! What a session remembers of its commands, and when it ends.

use super::*;
use crate::types::Term;

const SESSION: SessionId = SessionId(1);

fn origin(serial: Serial, acknowledged: Serial) -> Origin {
    Origin { session: SESSION, serial, acknowledged }
}

fn id(index: u64) -> EntryId {
    EntryId::new(Term(1), LogIndex(index))
}

/// One session, opened by the first entry.
fn opened() -> Sessions {
    let mut sessions = Sessions::default();
    assert_eq!(sessions.open(LogIndex(1), ClientId(7), 10), SESSION);
    sessions
}

fn carry_out(sessions: &mut Sessions, index: u64, origin: Origin) {
    assert_eq!(sessions.look_up(LogIndex(index), origin), None);
    let answer = Payload::new(index);
    sessions.record(origin, id(index), answer.clone(), answer.len());
}

fn answered(index: u64) -> Applied {
    Applied::Answered { entry: id(index), answer: Payload::new(index) }
}

#[test]
fn serials_may_come_out_of_order_and_with_gaps() {
    let mut sessions = opened();
    carry_out(&mut sessions, 2, origin(5, 1));
    carry_out(&mut sessions, 3, origin(2, 1));
    carry_out(&mut sessions, 4, origin(9, 1));
    assert_eq!(sessions.look_up(LogIndex(5), origin(5, 1)), Some(answered(2)));
    assert_eq!(sessions.look_up(LogIndex(6), origin(2, 1)), Some(answered(3)));
    assert_eq!(sessions.look_up(LogIndex(7), origin(3, 1)), None, "a gap is no repetition");
}

#[test]
fn an_acknowledgment_drops_the_answers_below_it() {
    let mut sessions = opened();
    for serial in 1..=4 {
        carry_out(&mut sessions, serial + 1, origin(serial, 1));
    }
    carry_out(&mut sessions, 6, origin(5, 4));
    assert_eq!(sessions.answers(), 2, "4 and 5 are left");
    assert_eq!(sessions.look_up(LogIndex(7), origin(3, 1)), Some(Applied::Forgotten));
    assert_eq!(sessions.look_up(LogIndex(8), origin(4, 1)), Some(answered(5)));
}

#[test]
fn an_older_mark_brings_nothing_back() {
    let mut sessions = opened();
    carry_out(&mut sessions, 2, origin(8, 8));
    assert_eq!(sessions.look_up(LogIndex(3), origin(7, 1)), Some(Applied::Forgotten), "the mark stays at 8");
}

#[test]
fn a_command_below_its_own_mark_is_not_carried_out() {
    assert_eq!(opened().look_up(LogIndex(2), origin(3, 5)), Some(Applied::Forgotten));
}

#[test]
fn each_session_has_its_own_numbers() {
    let mut sessions = opened();
    carry_out(&mut sessions, 2, origin(1, 1));
    let session = sessions.open(LogIndex(3), ClientId(7), 10);
    let other = Origin { session, ..origin(1, 1) };
    assert_eq!(sessions.look_up(LogIndex(4), other), None, "though its client is the same");
    assert_eq!(sessions.count(), 2);
}

#[test]
fn a_command_that_was_given_up_is_never_carried_out() {
    let mut sessions = opened();
    assert_eq!(sessions.look_up(LogIndex(2), origin(1, 1)), None);
    sessions.give_up(origin(1, 1));
    assert_eq!(sessions.look_up(LogIndex(3), origin(1, 1)), Some(Applied::GivenUp));
}

#[test]
fn the_session_that_was_used_least_recently_expires() {
    let mut sessions = opened();
    let second = sessions.open(LogIndex(2), ClientId(8), 2);
    carry_out(&mut sessions, 3, origin(1, 1));
    sessions.open(LogIndex(4), ClientId(9), 2);
    assert_eq!(sessions.look_up(LogIndex(5), origin(1, 1)), Some(answered(3)), "it was used at 3");
    let other = Origin { session: second, ..origin(1, 1) };
    assert_eq!(sessions.look_up(LogIndex(6), other), Some(Applied::Expired), "it was not used since 2");
    assert_eq!(sessions.count(), 2);
}

#[test]
fn a_session_that_was_never_opened_carries_nothing_out() {
    assert_eq!(Sessions::default().look_up(LogIndex(1), origin(1, 1)), Some(Applied::Expired));
}

#[test]
fn the_answers_kept_are_bounded_for_any_acknowledgement() {
    let mut sessions = opened();
    for serial in 1..=WINDOW + 3 {
        carry_out(&mut sessions, serial + 1, origin(serial, 1));
    }
    assert_eq!(sessions.answers() as u64, WINDOW);
    assert_eq!(sessions.look_up(LogIndex(9_000), origin(3, 1)), Some(Applied::Forgotten));
    assert_eq!(sessions.look_up(LogIndex(9_001), origin(4, 1)), Some(answered(5)));
}

/// Applies a command whose answer's text has this many bytes.
fn answer_at_length(sessions: &mut Sessions, serial: Serial, bytes: usize) {
    assert_eq!(sessions.look_up(LogIndex(serial + 1), origin(serial, 1)), None);
    let answer = Payload::from_text(format!("\"{}\"", "a".repeat(bytes - 2)));
    sessions.record(origin(serial, 1), id(serial + 1), answer, bytes);
}

#[test]
fn the_answers_kept_are_bounded_in_bytes_too() {
    let mut sessions = opened();
    let half = ANSWER_BYTES_MAX / 2;
    for serial in 1..=2 {
        answer_at_length(&mut sessions, serial, half);
    }
    assert_eq!(sessions.answers(), 2, "together they are just short enough");
    answer_at_length(&mut sessions, 3, half - 2);
    assert_eq!(sessions.answers(), 2);
    answer_at_length(&mut sessions, 4, 2);
    assert_eq!(sessions.answers(), 3, "what was forgotten counts no more");
    answer_at_length(&mut sessions, 5, 2 * ANSWER_BYTES_MAX);
    assert_eq!(sessions.answers(), 1, "the newest answer is kept, however long it is");
    assert_eq!(sessions.look_up(LogIndex(9), origin(4, 1)), Some(Applied::Forgotten));
    assert_ne!(sessions.look_up(LogIndex(10), origin(5, 1)), Some(Applied::Forgotten));
    answer_at_length(&mut sessions, 6, 2);
    assert_eq!(sessions.look_up(LogIndex(11), origin(5, 1)), Some(Applied::Forgotten));
    carry_out(&mut sessions, 12, origin(7, 7));
    assert_eq!(sessions.by_id[&SESSION].bytes, 2, "what was acknowledged counts no more: \"12\" is left");
}

#[test]
fn a_table_that_is_taken_over_keeps_to_the_bounds_of_the_one_before() {
    let mut sessions = opened();
    for serial in 1..=3 {
        carry_out(&mut sessions, serial + 1, origin(serial, 1));
    }
    let mut sessions = sessions.in_place_of(&Sessions::new(Bounds { answers: 2, bytes: 100 }));
    assert_eq!(sessions.answers(), 3, "what is there was kept by all");
    carry_out(&mut sessions, 5, origin(4, 1));
    assert_eq!(sessions.answers(), 2);
    assert_eq!(sessions.look_up(LogIndex(6), origin(2, 1)), Some(Applied::Forgotten));
}

#[test]
fn a_copy_stays_as_it_is() {
    let mut sessions = opened();
    carry_out(&mut sessions, 2, origin(1, 1));
    let mut copy = sessions.clone();
    carry_out(&mut sessions, 3, origin(2, 2));
    assert_eq!(copy.look_up(LogIndex(3), origin(1, 1)), Some(answered(2)));
    assert_eq!(copy.look_up(LogIndex(3), origin(2, 1)), None);
    assert_eq!(sessions.look_up(LogIndex(4), origin(1, 1)), Some(Applied::Forgotten));
}
