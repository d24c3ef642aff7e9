//! U9, U10, U11: what a load test breaks, it mends; whom it breaks is decided when it does; and it says what it saw.

use std::time::Duration;

use raftlab::config::Settings;
use raftlab::console::executor::{Console, Context, Script};
use raftlab::console::narrator::Narrator;
use raftlab::console::printer::{Output, Style};
use raftlab::experiment::{Experiment, Report, TimedLine};
use raftlab::interrupt::Interrupt;
use raftlab::lab::{Lab, Life};
use raftlab::load::{Amount, Plan};
use raftlab::types::NodeId;

use crate::{followers, leader, of_three};

#[test]
fn u9_a_node_that_a_load_test_crashes_is_started_again() {
    let last = "expect up all";
    let mends = |crash: &str| {
        let faults = [("50ms", crash), ("800ms", last)].map(|(at, line)| TimedLine::parse(at, line));
        let experiment = Experiment {
            settings: Settings { memory: true, seed: Some(7), ..Settings::default() },
            plan: Plan { amount: Amount::For(Duration::from_millis(900)), clients: 2, ..Plan::default() },
            faults: faults.into_iter().collect::<Result<_, _>>().expect("these are directives"),
            ..Experiment::default()
        };
        let report = experiment.run(&Interrupt::new(), &mut |_| {}).expect("a cluster in memory");
        assert_eq!(report.verdict.pass, Some(true), "{report}");
        report.faults.last().is_some_and(|fault| fault.directive == last && fault.ok)
    };
    assert!(mends("crash random for 300ms"), "the node is up again");
    assert!(!mends("crash random"), "the defect shows: it stays away");
}

#[test]
fn u10_who_follows_is_decided_when_the_followers_are_crashed() {
    let mut simulation = of_three(None);
    let chosen_early: Vec<NodeId> = followers(&mut simulation);
    let output = Output::memory(Style::default());
    let narrator = Narrator::direct(output.clone());
    let mut console = Console::new(simulation, Context::default(), output.clone(), narrator);
    let mut script = Script::typed();
    let next = chosen_early[0];
    for line in [format!("timeout {next}"), format!("wait leader {next}"), "crash followers".to_string()] {
        console.run_line(&mut script, Ok(&line));
    }
    let mut simulation = console.into_lab();
    assert_eq!(leader(&mut simulation), next, "{}", output.take_transcript());
    let up = Lab::nodes(&simulation).into_iter().filter(|node| simulation.view(*node).life == Life::Up);
    assert_eq!(up.collect::<Vec<_>>(), [next], "the leader runs on, alone");
    assert!(chosen_early.contains(&next), "the defect shows: who followed before is the leader now");
}

#[test]
fn u11_a_report_has_percentiles_and_divides_by_nothing() {
    let nothing = Report::default();
    let text = format!("{nothing}\n{}", nothing.json());
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    assert!(
        text.contains("nothing was ever answered") && nothing.code() == 3,
        "and it is no success: {text}"
    );
    // The original's mean latency, of nothing.
    let mean = |sum: f64, count: f64| sum / count;
    assert!(mean(0.0, 0.0).is_nan(), "the defect shows");

    let experiment = Experiment {
        settings: Settings { memory: true, ..Settings::default() },
        plan: Plan { amount: Amount::Count(100), ..Plan::default() },
        ..Experiment::default()
    };
    let report = experiment.run(&Interrupt::new(), &mut |_| {}).expect("a cluster in memory");
    let service = report.load.service.expect("a hundred answers");
    let all = [service.p50, service.p90, service.p99, service.p999, service.max];
    assert!(all[0] > 0.0 && all.is_sorted(), "{all:?}");
}
