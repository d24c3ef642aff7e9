//! Chaos in virtual time: what it spares, what it leaves behind, and that a saved script repeats it.

use std::time::Duration;

use crate::check::property::Verdict;
use crate::console::executor::{Console, Context, Flow, Script};
use crate::console::language::Outcome;
use crate::console::narrator::{EventFilter, Narrator};
use crate::console::printer::{Output, Style};
use crate::sim::{Simulation, SimulationSettings};

struct Desk(Console<Simulation>);

impl Desk {
    fn new(nodes: u8, seed: u64) -> Desk {
        let output = Output::memory(Style::default());
        let narrator = Narrator::direct(output.clone());
        let simulation = Simulation::new(SimulationSettings::new(nodes, seed), None);
        narrator.set_filter(EventFilter::Off);
        Desk(Console::new(simulation, Context::default(), output, narrator))
    }

    /// Executes these lines; what was printed.
    fn lines(&mut self, lines: &str) -> String {
        let mut script = Script::piped();
        for line in lines.lines() {
            assert_eq!(
                self.0.run_line(&mut script, Ok(line)),
                Flow::Go,
                "{line}: {}",
                self.0.output().take_transcript()
            );
        }
        assert_eq!(self.0.settle(&mut script), Flow::Go, "{}", self.0.output().take_transcript());
        assert_eq!(script.worst(), Outcome::Ok);
        self.0.output().take_transcript()
    }

    /// Executes these lines as if a person typed them: some may fail.
    fn typed(&mut self, lines: &str) -> String {
        let mut script = Script::typed();
        for line in lines.lines() {
            assert_eq!(self.0.run_line(&mut script, Ok(line)), Flow::Go, "{line}");
        }
        self.0.output().take_transcript()
    }

    fn console(&mut self) -> &mut Console {
        &mut self.0
    }

    fn healthy(&mut self) -> usize {
        self.console().picture().healthy().len()
    }
}

#[test]
fn a_majority_stays_up_and_connected() {
    for seed in 1..=8 {
        let mut desk = Desk::new(5, seed);
        desk.lines("wait converged\nchaos start every 150ms");
        let mut fewest = 5;
        for _ in 0..100 {
            desk.lines("sleep 50ms");
            fewest = fewest.min(desk.healthy());
        }
        assert_eq!(fewest, 3, "seed {seed}: it takes what is to spare, and no more");
        let said = desk.lines("chaos stop\nwait converged 20s");
        assert!(said.starts_with("chaos ended: "), "{said}");
        assert_eq!(desk.healthy(), 5, "seed {seed}: it has ended what it made: {said}");
        assert_eq!(desk.0.next_undo(), None);
        let verdicts = desk.console().lab.check();
        assert!(verdicts.iter().all(|verdict: &Verdict| verdict.violation.is_none()), "{verdicts:?}");
    }
}

#[test]
fn beyond_the_quorum_a_majority_is_lost_now_and_then() {
    let mut desk = Desk::new(3, 1);
    desk.lines("wait converged\nchaos start crash,pause every 100ms --beyond-quorum");
    let fewest = (0..60).map(|_| {
        desk.lines("sleep 50ms");
        desk.healthy()
    });
    assert!(fewest.min() < Some(2));
    desk.lines("chaos stop\nwait converged 20s\ncheck");
}

#[test]
fn faults_of_a_person_count_as_well() {
    let mut desk = Desk::new(3, 1);
    desk.lines(
        "wait converged\ncrash n3\nchaos start crash,isolate,partition,cut,pause every 100ms\nsleep 5s",
    );
    assert_eq!(desk.healthy(), 2, "there was nothing to spare");
    assert!(desk.lines("chaos stop").starts_with("chaos ended: 0 faults in 5 s"));
}

#[test]
fn a_disk_that_a_person_stalled_or_filled_is_one_node_less() {
    for fault in ["stall-disk n3 60s", "fill-disk n3"] {
        let mut desk = Desk::new(3, 1);
        desk.lines(&format!(
            "wait converged\n{fault}\nchaos start crash,isolate,partition,cut,pause,stall-disk every 100ms\nsleep 5s"
        ));
        assert_eq!(desk.healthy(), 2, "{fault}: there was nothing to spare");
        assert!(desk.lines("chaos stop").starts_with("chaos ended: 0 faults in 5 s"), "{fault}");
    }
}

#[test]
fn chaos_begins_without_a_change() {
    let mut desk = Desk::new(3, 1);
    let told = desk.lines("stall-disk n1 10s\nchaos start crash every 1h\nreset");
    assert!(told.ends_with("repaired the disk of n1 (stalled)\n"), "{told}");
}

#[test]
fn the_same_seed_draws_the_same_faults() {
    let told = |seed: &str| {
        let mut desk = Desk::new(5, 7);
        desk.0.narrator().set_filter(EventFilter::Off);
        desk.lines(&format!("wait converged\nchaos start every 200ms --seed {seed}"));
        desk.lines("sleep 3s")
    };
    assert_eq!(told("4"), told("4"));
    assert_ne!(told("4"), told("5"));
    assert!(told("4").contains("] chaos: "), "{}", told("4"));
}

#[test]
fn a_saved_script_does_the_same_at_the_same_times() {
    let folder = tempfile::tempdir().expect("a folder");
    for seed in 1..=6 {
        let file = folder.path().join(format!("{seed}.raft"));
        let file = file.to_str().expect("a text");
        let mut first = Desk::new(5, seed);
        first.lines(
            "wait leader\nput a 1\nchaos start every 300ms\nsleep 2s\ncrash random for 400ms\nresume all\n\
             after 150ms timeout random\nwait leader 5s\nput b 2\nsleep 1s\nchaos stop\nrestart all\nwait converged 10s",
        );
        first.typed(
            "status --watch\ncut random<>random\ncrash n1\ncrash n1,n2\nexpect down n5\nexpect ok\nclear",
        );
        first.lines("isolate random for 300ms\ncrash random for 400ms\nsleep 1s\nreset\nwait converged 10s");
        let saved = first.lines(&format!("save-script '{file}'"));
        assert!(saved.contains("does the same again"), "{saved}");
        let looks = "log --last 40\nstatus\ndump";
        let mut second = Desk::new(5, seed);
        second.lines(&format!("run '{file}'"));
        assert_eq!(second.0.lab().now(), first.0.lab().now(), "seed {seed}");
        assert_eq!(second.lines(looks), first.lines(looks), "seed {seed}");
    }
}

#[test]
fn a_saved_script_says_what_failed_and_never_replaces_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.raft");
    let file = file.to_str().expect("a text");
    let mut desk = Desk::new(3, 7);
    let mut script = Script::typed();
    for line in
        ["wait leader", "crash n9", "put warm up", "put x 1 --timeout 1ms", &format!("save-script '{file}'")]
    {
        desk.0.run_line(&mut script, Ok(line));
    }
    let text = std::fs::read_to_string(file).expect("it is written");
    assert!(
        text.ends_with(
            "wait leader\ncrash n9\nexpect err\nput warm up\nput x 1 --timeout 1ms\nexpect unknown\n"
        ),
        "{text}"
    );
    desk.0.output().take_transcript();
    desk.0.run_line(&mut script, Ok(&format!("save-script '{file}'")));
    assert!(desk.0.output().take_transcript().contains("is there already"));
    desk.0.run_line(&mut script, Ok(&format!("save-script '{file}' --overwrite")));
    assert!(desk.0.output().take_transcript().contains("written, 6 lines"));
    Desk::new(3, 7).lines(&format!("run '{file}'"));
}

#[test]
fn what_cannot_run_beside_others_is_rejected() {
    let mut desk = Desk::new(3, 7);
    let mut script = Script::typed();
    let mut said = |line: &str| {
        desk.0.run_line(&mut script, Ok(line));
        desk.0.output().take_transcript()
    };
    assert!(said("after 1s put x 1").contains("cannot run beside others"));
    assert!(said("chaos stop").contains("'chaos start' begins it"));
    assert!(said("chaos start crsh").contains("did you mean 'crash'"));
    assert!(said("chaos start crash every 0").contains("above zero"));
    assert!(said("chaos start crash every 1s --seed 3").starts_with("chaos: one of crash about every 1s; "));
    assert!(said("chaos start").contains("is under way"));
    let begun = Duration::from_secs(1);
    assert!(desk.0.next_undo().is_some_and(|next| next.since(desk.0.lab().now()) <= begun * 2));
}
