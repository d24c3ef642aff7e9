//! A run that is rewound stands as it stood, at any of its moments, and continues as if nothing had been looked at.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::super::tests::Desk;
use super::super::{Console, Context, Flow, Script};
use crate::console::narrator::Narrator;
use crate::console::printer::{Output, Style};
use crate::interrupt::Interrupt;
use crate::lab::virtual_time::VirtualTime;
use crate::sim::{Simulation, SimulationSettings};
use crate::types::Time;

/// What a person sees of a run now.
const LOOKS: &str = "status --all\nlog\nmembers\nnet\ndump\nset\ncheck\nexpect ok";

/// Lines with faults that end by themselves, lines that wait, chaos, draws of the console, settings and data.
pub(super) const LIVELY: &str = "\
wait leader
put x 1
delay 3ms jitter 1ms
pipe 20
crash random for 700ms
sleep 300ms
put y 2
after 200ms isolate random for 400ms
chaos start every 300ms
sleep 2s
wait no-leader 1s
expect unknown
cas x 1 3
chaos stop
partition minority
set heartbeat 40ms
sleep 400ms
crash n2
restart n2
heal
slow-disk n1 10ms for 300ms
snapshot leader
add n4
transfer any
step
step 30ms
step
read y
pipe 10
sleep 500ms";

pub(super) fn desk() -> Desk {
    let mut desk = Desk::keeping_going();
    desk.lines("events off");
    desk
}

pub(super) fn now(desk: &mut Desk) -> Time {
    desk.lab().now()
}

fn digest(lab: &Simulation) -> u64 {
    VirtualTime::digest(lab)
}

/// What the lab, its nodes and the console tell apart from other runs.
pub(super) fn standing(desk: &mut Desk) -> (u64, Time, String) {
    let looks = desk.lines(LOOKS);
    (digest(desk.lab()), now(desk), without_line_numbers(&looks))
}

fn without_line_numbers(text: &str) -> String {
    let line = |line: &str| {
        let (before, behind) = line.split_once("ERR line ").map_or((line, ""), |found| found);
        format!("{before}{}", behind.split_once(':').map_or("", |(_, reason)| reason))
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn at_the_end_of_any_line_a_run_stands_as_it_stood() {
    let mut desk = desk();
    let mut stood = Vec::new();
    for line in LIVELY.lines() {
        desk.lines(line);
        stood.push(standing(&mut desk));
    }
    let lasting = stood.windows(2).filter(|pair| pair[0].1 < pair[1].1).map(|pair| &pair[0]);
    let lasting: Vec<_> = lasting.collect();
    assert!(lasting.len() > 15, "the run passes many moments");
    for expected in lasting.iter().rev().chain(&lasting) {
        let said = desk.lines(&format!("rewind to {}ns", expected.1.as_nanos()));
        assert!(!said.contains("ERR"), "{said}");
        assert_eq!(&standing(&mut desk), *expected);
    }
    let said = desk.lines("rewind to end");
    assert!(said.ends_with(": the end of the run\n"), "{said}");
    assert_eq!(Some(&standing(&mut desk)), stood.last());
}

#[test]
fn within_a_line_a_run_stands_as_one_that_is_made_so_far_only() {
    let mut desk = desk();
    desk.lines("wait leader\ncrash leader for 1s\nsleep 2s\nput x 1");
    for millis in (50..2_000).step_by(130) {
        let mut other = self::desk();
        other.lines(&format!("wait leader\ncrash leader for 1s\nsleep {millis}ms"));
        let time = now(&mut other);
        desk.lines(&format!("rewind to {}ns", time.as_nanos()));
        assert_eq!(standing(&mut desk), standing(&mut other), "{millis} ms after the crash");
    }
}

#[test]
fn what_follows_a_fork_is_what_would_have_followed() {
    let mut straight = desk();
    straight.lines("wait leader\nput x 1\ncrash followers for 500ms\nsleep 250ms");
    let time = now(&mut straight);
    let mut forked = desk();
    forked.lines(
        "wait leader\nput x 1\ncrash followers for 500ms\nsleep 250ms\nsleep 1ms\npause all\nsleep 3s",
    );
    let to = format!("rewind to {}ns", time.as_nanos());
    forked.lines(&format!("{to}\nrewind 100ms\nrewind to end\n{to}"));
    let said = forked.lines("fork");
    assert!(said.starts_with("the run continues from "), "{said}");
    let behind = "sleep 1s\nput y 2\npipe 10\ncrash random\nsleep 1s\nhistory";
    assert_eq!(straight.lines(behind), forked.lines(behind));
    assert_eq!(digest(straight.lab()), digest(forked.lab()));
}

#[test]
fn the_past_is_looked_at_and_not_changed() {
    let mut desk = desk();
    desk.lines("wait leader\nput x 1\nsleep 2s\nrewind to 1s");
    let stood = standing(&mut desk);
    for line in [
        "put x 2",
        "read x",
        "crash n1",
        "sleep 1s",
        "wait leader",
        "after 1s heal",
        "chaos start",
        "set heartbeat 9ms",
        "partition halves",
        "expect key x 1",
        "timeout n1",
        "add n4",
        "outcome",
        "set --restore",
    ] {
        let said = desk.lines(line);
        let refused = "this is 1.000000 of a run known until ";
        assert!(said.contains(refused) && said.contains("'fork'"), "{line}: {said}");
        assert_eq!(desk.lines("expect err this is 1.000000"), "");
    }
    for line in [
        "leader",
        "expect leader",
        "expect key x 1 @n1",
        "history",
        "set heartbeat",
        "speed max",
        "echo",
        "help fork",
    ] {
        let said = desk.lines(line);
        assert!(!said.contains("ERR"), "{line}: {said}");
    }
    assert_eq!(standing(&mut desk), stood);
    assert!(
        desk.lines("run tour").contains("this is 1.000000 of a run"),
        "a script's lines are refused, too"
    );
}

#[test]
fn a_time_as_it_is_shown_leads_back_to_it() {
    let mut desk = desk();
    desk.lines("wait leader");
    let mut shown = Vec::new();
    for _ in 0..12 {
        let said = desk.lines("step 7ms");
        let time = said.split([' ', ',']).nth(1).expect("a time").to_string();
        shown.push((time, standing(&mut desk)));
    }
    for (time, stood) in shown {
        desk.lines(&format!("rewind to {time}s"));
        // Nothing has happened between the moment's begin and the time that was shown.
        assert_eq!(standing(&mut desk).2, stood.2, "{time}");
    }
}

#[test]
fn what_a_fault_would_have_ended_later_ends_after_a_fork() {
    let mut desk = Desk::keeping_going();
    desk.lines("wait leader\nevents off\ncrash n2 for 1s\nsleep 3s\nrewind 2500ms");
    assert!(desk.lines("status n2").contains("crashed"));
    let said = desk.lines("fork\nsleep 1s\nstatus n2");
    assert_eq!(said.matches("n2 restarts after 1 s").count(), 1, "{said}");
    assert!(said.contains("n2    follower"), "{said}");
}

#[test]
fn a_script_that_was_run_is_made_again_from_what_was_read_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("part.raft");
    std::fs::write(&path, "put a 1\nsleep 300ms\nput b 2\nsleep 300ms\nnonsense\n").expect("it is written");
    let mut desk = desk();
    desk.lines(&format!("wait leader\nrun {}\nsleep 1s", path.display()));
    let (stood, end) = (standing(&mut desk), now(&mut desk));
    std::fs::remove_file(&path).expect("it was there");
    desk.lines("rewind 1400ms");
    let keys = desk.lines("keys");
    assert!(keys.contains('a') && !keys.contains('b'), "b is not there yet: {keys}");
    desk.lines(&format!("rewind to {}ns", (end - Duration::from_millis(1)).as_nanos()));
    desk.lines("fork\nstep 1ms");
    let came = standing(&mut desk);
    assert_eq!((came.1, came.2), (stood.1, stood.2));
}

#[test]
fn what_a_line_writes_outside_is_not_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("saved.raft");
    let mut desk = desk();
    desk.lines(&format!("wait leader\nsave-script {}\nsleep 1s", path.display()));
    std::fs::remove_file(&path).expect("it was saved");
    let said = desk.lines("rewind 500ms\nfork\nhistory");
    assert!(said.contains("save-script"), "{said}");
    assert!(!path.exists(), "the line is made again without its file");
}

#[test]
fn a_time_that_the_run_has_not_is_refused_and_the_run_stands_where_it_stood() {
    let mut desk = desk();
    desk.lines("wait leader\nsleep 1s\nrewind 500ms");
    let stood = standing(&mut desk);
    for (line, reason) in [
        ("rewind to 99h", "the run is known until "),
        ("rewind 99h", "'rewind to 0' goes there"),
        ("step back 99h", "'rewind to 0' goes there"),
        ("rewind to yesterday", "'yesterday' is not a duration"),
        ("rewind", "rewind when? rewind [to] DURATION | end"),
        ("rewind to", "rewind when?"),
        ("rewind to end 5s", "unexpected '5s'"),
        ("step back 5", "'5' has no unit"),
        ("after 1s rewind 1s", "this is "),
        ("fork n1", "unexpected 'n1'"),
    ] {
        let said = desk.lines(line);
        assert!(said.starts_with("ERR ") && said.contains(reason), "{line}: {said}");
    }
    assert_eq!(standing(&mut desk), stood);
    desk.lines("rewind to end");
    assert!(desk.lines("after 1s rewind 1s").contains("cannot run beside others"));
    assert!(desk.lines("rewind to end").ends_with(": the end of the run\n"));
    assert!(desk.lines("fork").ends_with("the run stands at its end, nothing is dropped\n"));
}

#[test]
fn a_script_that_another_runs_rewinds_and_forks_as_its_lines_would() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("back.raft");
    let text = "put x 1\nsleep 300ms\nput x 2\nrewind 200ms\nstep\nstep back\nput x 3\nexpect err this is\nfork\nput y 1\n";
    std::fs::write(&path, text).expect("it is written");
    let (mut run, mut typed) = (desk(), desk());
    let said = run.lines(&format!("wait leader\nrun {}\nread x\nread y\ncheck", path.display()));
    assert!(said.contains("OK x=1") && said.contains("OK y=1") && !said.contains("FAIL"), "{said}");
    typed.lines(&format!("wait leader\n{text}read x\nread y\ncheck"));
    assert_eq!(digest(run.lab()), digest(typed.lab()));
    // What stands behind the script's end finds the script's lines and its answer.
    run.lines("rewind 1ms\nfork\nexpect ok");
    let history = run.lines("history");
    assert!(
        history.contains("run ") && history.contains("put y 1") && !history.contains("put x 2"),
        "{history}"
    );
}

#[test]
fn a_line_that_waited_and_failed_stops_no_script_that_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("late.raft");
    std::fs::write(&path, "after 10ms restart n1\nsleep 20ms\n").expect("it is written");
    let mut desk = desk();
    desk.lines(&format!("wait leader\nrun {}\nput x 1\nsleep 100ms\nput x 2", path.display()));
    let said = desk.lines("rewind 50ms\nfork\nread x");
    assert!(said.contains("OK x=1"), "{said}");
}

/// A console that a person can interrupt.
fn interruptible() -> (Console<Simulation>, Arc<Interrupt>) {
    let output = Output::memory(Style::default());
    let narrator = Narrator::direct(output.clone());
    let interrupt = Arc::new(Interrupt::new());
    let mut simulation = Simulation::new(SimulationSettings::new(3, 7), Some(narrator.observer()));
    let raised = Arc::clone(&interrupt);
    simulation.set_interrupt(Box::new(move || raised.is_raised()));
    (Console::new(simulation, Context::default(), output, narrator), interrupt)
}

fn say(console: &mut Console<Simulation>, line: &str) -> String {
    assert_eq!(console.run_line(&mut Script::typed(), Ok(line)), Flow::Go, "{line}");
    console.output().take_transcript()
}

#[test]
fn a_person_can_interrupt_what_is_made_again() {
    let (mut console, interrupt) = interruptible();
    say(&mut console, "sleep 5s");
    let known = digest(console.lab_mut());
    interrupt.raise();
    assert!(say(&mut console, "rewind 1s").contains("ERR interrupted: the run stands at 5.000000 as before"));
    interrupt.lower();
    assert_eq!(
        (console.lab().now(), digest(console.lab_mut())),
        (Time::ZERO + Duration::from_secs(5), known)
    );
    assert!(say(&mut console, "rewind 1s").starts_with("time 4.000000, 1 s earlier"));
    interrupt.raise();
    assert!(say(&mut console, "rewind 1s").contains("ERR interrupted: the run stands at 4.000000 as before"));
    interrupt.lower();
    say(&mut console, "rewind to end");
    assert_eq!(digest(console.lab_mut()), known);
}

#[test]
fn a_line_that_a_person_interrupted_is_made_again_up_to_there() {
    let (mut console, interrupt) = interruptible();
    let (raised, looks) = (Arc::clone(&interrupt), Cell::new(0));
    console.lab_mut().set_interrupt(Box::new(move || {
        looks.set(looks.get() + 1);
        if looks.get() == 400 {
            raised.raise();
        }
        raised.is_raised()
    }));
    assert!(say(&mut console, "sleep 1h").contains("interrupted after"));
    interrupt.lower();
    let (digest, ended) = (digest(console.lab_mut()), console.lab().now());
    assert!(ended < Time::ZERO + Duration::from_secs(3_600));
    say(&mut console, "sleep 1s");
    let said = say(&mut console, &format!("rewind to {}ns", ended.as_nanos()));
    assert!(said.starts_with("time "), "{said}");
    assert_eq!((self::digest(console.lab_mut()), console.lab().now()), (digest, ended));
}

#[test]
fn a_lesson_is_rewound_and_plays_on_from_a_fork() {
    let output = Output::memory(Style::default());
    let narrator = Narrator::direct(output.clone());
    let simulation = Simulation::new(SimulationSettings::new(3, 1), None);
    let context = Context { attended: true, ..Context::default() };
    let mut console = Console::new(simulation, context, output, narrator);
    let mut shown = vec![say(&mut console, "scenario tour")];
    for _ in 0..3 {
        shown.push(say(&mut console, ""));
    }
    let status = say(&mut console, "status");
    assert!(say(&mut console, "rewind to 0").starts_with("time 0.000000"));
    assert!(say(&mut console, "").contains("'fork' plays on from here"));
    assert!(say(&mut console, "rewind to end").contains(": the end of the run"));
    assert_eq!(say(&mut console, "status"), status);
    say(&mut console, "rewind to 0");
    assert!(say(&mut console, "fork").starts_with("the run continues from 0"));
    // The first lines take no time: they stay, and the step that had begun with them comes again with those that it lacks.
    let again: String = (0..4).map(|_| say(&mut console, "")).collect();
    assert!(again.contains(shown[3].lines().last().expect("it says something")), "{again}");
    assert_eq!(say(&mut console, "status"), status);
}
