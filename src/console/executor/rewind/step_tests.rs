//! Steps lead through a run as it was, and undo steps back.

use std::time::Duration;

use super::super::tests::Desk;
use super::tests::{LIVELY, desk, now, standing};
use crate::text::layout::stamp;
use crate::types::Time;

#[test]
fn steps_back_undo_steps() {
    let mut desk = desk();
    desk.lines("wait leader");
    let mut times = vec![now(&mut desk)];
    while times.len() < 20 {
        desk.lines("step");
        let time = now(&mut desk);
        assert_ne!(times.last(), Some(&time), "a step ends at a later time");
        times.push(time);
    }
    for time in times.iter().rev().skip(1) {
        desk.lines("step back");
        assert_eq!(now(&mut desk), *time);
    }
    desk.lines("rewind to end\nstep back 5ms");
    assert_eq!(now(&mut desk), *times.last().expect("twenty") - Duration::from_millis(5));
    desk.lines("rewind to 0");
    assert!(desk.lines("step back").contains("nothing has happened before"));
}

#[test]
fn steps_go_on_through_a_past_and_undo_steps_back() {
    let mut desk = desk();
    desk.lines(LIVELY);
    let end = standing(&mut desk);
    desk.lines("rewind to 1300ms\nstep");
    let mut stood = vec![standing(&mut desk)];
    while stood.len() < 25 {
        let said = desk.lines("step");
        assert!(said.contains(" later: 'fork' continues here"), "{said}");
        stood.push(standing(&mut desk));
    }
    for (earlier, later) in stood.iter().zip(&stood[1..]).rev() {
        assert!(earlier.1 < later.1);
        desk.lines("step back");
        assert_eq!(&standing(&mut desk), earlier);
        desk.lines("step");
        assert_eq!(&standing(&mut desk), later);
        desk.lines("step back");
    }
    desk.lines("step 5ms\nstep back 5ms");
    assert_eq!(standing(&mut desk), stood[0]);
    assert!(desk.lines("step 99h").ends_with(": the end of the run\n"));
    assert_eq!(standing(&mut desk), end);
}

#[test]
fn steps_lead_through_all_of_a_run_to_its_end() {
    let mut desk = desk();
    desk.lines("wait leader\ncrash leader for 300ms\nput x 1\nsleep 100ms\nput y 2\ncrash n1 for 50ms");
    desk.lines("sleep 30ms");
    let end = standing(&mut desk);
    desk.lines("rewind to end\nstep back 150ms");
    let begun = standing(&mut desk);
    let mut steps = 0;
    while desk.lines("step").contains("'fork' continues here") {
        steps += 1;
    }
    assert!(steps > 20, "{steps}");
    assert_eq!(standing(&mut desk), end);
    desk.lines(&format!("rewind to {}ns", begun.1.as_nanos()));
    assert_eq!(standing(&mut desk), begun);
}

#[test]
fn a_step_ends_faults_at_their_time() {
    let mut desk = Desk::keeping_going();
    desk.lines("wait leader\ncrash n2 for 2s");
    let begun = now(&mut desk);
    let said = desk.lines("step 5s\nstatus n2");
    let restarted = stamp((begun + Duration::from_secs(2)).since(Time::ZERO));
    assert!(said.contains(&format!("{restarted} n2 restarts after 2 s")), "{said}");
    assert!(said.contains("n2    follower"), "{said}");
    let said = desk.lines("crash all for 1s\nsleep 500ms\nstep");
    assert!(said.ends_with(", 500 ms later\n"), "the next step is the fault's end: {said}");
    let said = desk.lines("crash all\nsleep 1s\nstep");
    assert!(said.contains(": nothing is to come"), "{said}");
}
