//! Directives on a cluster in virtual time: what a person reads, to the letter.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Console, Context, Flow, Script, parse};
use crate::console::language::{Answer, Outcome};
use crate::console::narrator::{EventFilter, Narrator};
use crate::console::printer::{Output, Style};
use crate::sim::{Simulation, SimulationSettings, museum};

pub(super) struct Desk {
    console: Console<Simulation>,
    pub script: Script,
}

impl Desk {
    fn with(style: Style, context: Context) -> Desk {
        let output = Output::memory(style);
        let narrator = Narrator::direct(output.clone());
        let simulation = Simulation::new(SimulationSettings::new(3, 7), Some(narrator.observer()));
        narrator.set_filter(EventFilter::Off);
        Desk { console: Console::new(simulation, context, output, narrator), script: Script::piped() }
    }

    fn new() -> Desk {
        Desk::with(Style::default(), Context::default())
    }

    pub(super) fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    pub(super) fn keeping_going() -> Desk {
        Desk::with(Style::default(), Context { keep_going: true, ..Context::default() })
    }

    /// Carries these lines out; what was printed.
    pub(super) fn lines(&mut self, lines: &str) -> String {
        for line in lines.lines() {
            if self.console.run_line(&mut self.script, Ok(line)) != Flow::Go {
                break;
            }
        }
        self.console.output().take_transcript()
    }

    /// The cluster that it drives.
    pub(super) fn lab(&mut self) -> &mut Simulation {
        &mut self.console.lab
    }

    pub(super) fn led() -> Desk {
        let mut desk = Desk::new();
        assert_eq!(desk.lines("wait leader\nwait converged"), "");
        desk
    }
}

/// What one line is answered on a cluster that has a leader.
pub(super) fn answer(line: &str) -> Answer {
    let mut desk = Desk::led();
    let line = parse(line).expect("a line").expect("a directive");
    desk.console.execute(&line)
}

#[test]
fn data_is_answered_in_the_documented_forms() {
    let mut desk = Desk::led();
    let answers = desk.lines(
        "create x 1\ncreate x 2\nread x\nupdate x 2\ncas x 1 3\ncas x 2 3\ndelete x\nread x\nput 'a b' ''\nread x @n9",
    );
    let told: Vec<&str> = answers.lines().map(|line| line.split(" [").next().unwrap()).collect();
    assert_eq!(
        told,
        [
            "OK created x=1",
            "ERR x exists",
            "OK x=1",
            "OK updated x=2",
            "ERR x is 2, expected 1",
            "OK updated x=3",
            "OK deleted x",
            "ERR x not found",
            "OK put \"a b\"=\"\"",
            "ERR line 12: there is no n9: the nodes are n1 to n3",
        ]
    );
}

#[test]
fn status_is_a_table_with_what_it_means() {
    let mut desk = Desk::led();
    assert_eq!(
        desk.lines("put x 1\nwait converged\ncrash n2\nisolate n3\nstatus")
            .lines()
            .skip(3)
            .collect::<Vec<_>>(),
        [
            "NODE  ROLE      TERM  LEADER  LAST  COMMIT  APPLIED  TRAILS  KEYS  LINKS",
            "n1    leader       1  n1         3       3        3       -     1  no n3",
            "n2    crashed      1  -          3       -        -       -     -  no n3",
            "n3    follower     1  n1         3       3        3       -     1  isolated",
            "no leader: no node reaches a quorum of 2; 'net' shows the rules; 2 of 3 up, quorum 2: cannot commit",
        ]
    );
}

#[test]
fn tables_fit_the_columns_of_the_terminal() {
    let context = Context { columns: Some(60), ..Context::default() };
    let mut desk = Desk::with(Style::default(), context);
    desk.lines(
        "wait leader\nput x 1\nsnapshot n1\nwait converged\npause n3\npartition n1 n2 / n3\ndelay 1ms",
    );
    for line in ["status", "status --all", "net"] {
        let told = desk.lines(line);
        assert!(told.lines().all(|row| row.len() <= 60), "{told}");
    }
    let told = desk.lines("status n3\nstatus n1 --all");
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "NODE  ROLE              TERM  LAST  COMMIT  LINKS",
            "n3    follower, paused     1     3       3  no n1 n2, delay",
            "no room for KEYS, APPLIED, TRAILS, LEADER: 'status --all'",
            "n1 leads term 1; 3 of 3 up, quorum 2: can commit",
            "NODE  ROLE    TERM  LEADER  LAST  COMMIT  APPLIED  TRAILS",
            "n1    leader     1  n1         3       3        3       0",
            "NODE  VOTED  SNAPSHOT  KEYS  LINKS",
            "n1    n1            3     1  no n3, delay",
            "n1 leads term 1; 3 of 3 up, quorum 2: can commit",
        ]
    );
}

#[test]
fn a_status_is_watched_by_a_person_only() {
    let mut desk = Desk::led();
    for line in ["status --watch", "status n1 -w"] {
        let told = desk.lines(&format!("{line}\nexpect err"));
        assert!(told.ends_with(": --watch draws on a terminal until Ctrl-C: leave it out here\n"), "{told}");
    }
}

#[test]
fn leader_says_who_or_why_no_one() {
    let mut desk = Desk::led();
    assert!(desk.lines("leader").starts_with("n1 (term 1, for "));
    assert_eq!(desk.lines("crash n2,n3\nleader").lines().last(), Some("none: 2 of 3 down, no quorum"));
    assert_eq!(desk.lines("pause n1\nleader").lines().last(), Some("none: 2 of 3 down, 1 paused, no quorum"));
}

#[test]
fn words_for_nodes_mean_those_for_which_it_makes_sense() {
    let mut desk = Desk::led();
    assert_eq!(desk.lines("restart all"), "nothing to do: no node is down\n");
    assert_eq!(desk.lines("crash followers").lines().count(), 2);
    assert_eq!(desk.lines("restart all").lines().count(), 2);
    assert_eq!(desk.lines("restart n2\nexpect err already running"), "ERR line 6: n2 is already running\n");
    assert_eq!(desk.lines("crash n7").trim(), "ERR line 8: there is no n7: the nodes are n1 to n3");
}

#[test]
fn a_script_stops_at_the_first_failure_that_no_one_expects() {
    let mut desk = Desk::led();
    let told = desk.lines("resume n1\nexpect err not paused\nexpect ok\necho not reached");
    assert_eq!(
        told,
        "ERR line 3: n1 is not paused\nERR line 5: expected ok, got \"ERR line 3: n1 is not paused\"\nstopped at line 5: expect ok\n"
    );
    assert_eq!(desk.script.worst(), Outcome::Failed);
}

#[test]
fn with_keep_going_the_worst_is_remembered() {
    let context = Context { keep_going: true, ..Context::default() };
    let mut desk = Desk::with(Style::default(), context);
    let told = desk.lines("wait no-leader 1ms\nwait leader 1ms\ncrsh n1\necho reached");
    assert_eq!(
        told,
        "ERR line 2: expected leader within 1 ms, got none yet: a quorum is up, an election decides\n\
         ERR line 3: unknown directive 'crsh': did you mean 'crash'?\nreached\n"
    );
    assert_eq!(desk.console.settle(&mut desk.script), Flow::Go);
    assert_eq!(desk.script.worst(), Outcome::Failed, "failed is worse than inconclusive");
}

#[test]
fn faults_end_when_their_time_has_come_and_others_stay() {
    let mut desk = Desk::led();
    let told = desk.lines(
        "drop 10% n1>n2\ncut n1>n3\npartition n1 n2 / n3 for 100ms\ndrop 50% for 100ms\ncrash n2 for 100ms\nsleep 1s\nnet",
    );
    let rules: Vec<&str> = told.lines().filter(|line| line.starts_with("rule")).collect();
    assert_eq!(rules, ["rule  cut n1>n3", "rule  drop 10% n1>n2"]);
    for said in ["the partition n1,n2 / n3 ends after 100 ms", "drop 50% ends after 100 ms"] {
        assert!(told.contains(said), "{told}");
    }
    assert!(told.contains("n2 restarts after 100 ms (term 1, "), "{told}");
    assert_eq!(desk.lines("expect up n2"), "");
}

#[test]
fn what_was_undone_by_hand_is_not_undone_again() {
    let mut desk = Desk::led();
    let told = desk.lines("crash n2 for 100ms\nrestart n2\npartition n1 / n2 n3 for 100ms\nheal\nsleep 1s");
    assert!(!told.contains(" after 100 ms"), "{told}");
}

#[test]
fn what_clients_wrote_steers_no_terminal_and_is_not_taken_for_our_words() {
    let mut desk = Desk::led();
    let key = "k\u{1b}[31m\u{202e}\n";
    let written = r#""k\u{1b}[31m\u{202e}\n""#;
    let told = desk.lines(&format!(
        "put {written} absent\nread {written}\nput - -\nkeys\ndump n1\nhistory\necho {written}"
    ));
    assert!(told.contains(&format!("OK {written}=absent [")), "{told}");
    assert!(told.contains(&format!("    {written}=absent\n")), "{told}");
    assert!(
        !told.contains(|letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}')),
        "{told:?}"
    );
    let told = desk.lines(&format!("isolate n3\ndelete {written}\nput gone 1\nwait commit n2 6\ndiff"));
    let row = format!("{written} ");
    assert!(told.lines().any(|line| line.starts_with(&row)), "{told}");
    desk.lines("heal\nwait converged\nisolate n3\nput y -\nread y");
    let told = desk.lines("diff");
    assert!(
        told.lines().any(|line| line.starts_with("y ") && line.contains("\"-\"") && line.contains("!-")),
        "{told}"
    );
    assert!(!told.contains(key), "{told:?}");
}

#[test]
fn diff_marks_what_differs() {
    let mut desk = Desk::led();
    desk.lines("put x 1\nwait converged\nisolate n3\nput x 2\nput y 1\nwait key y 1 @n2");
    assert_eq!(
        desk.lines("diff"),
        "KEY   n1   n2   n3\nx     2    2   !1\ny     1    1   !-\n2 of 2 keys differ; ! is unlike n1, - is absent\n"
    );
}

#[test]
fn pipe_answers_in_order_with_a_summary_and_repeats_with_the_seed() {
    let piped = || Desk::led().lines("pipe 8");
    let told = piped();
    assert_eq!(told.lines().count(), 9);
    assert!(told.lines().last().is_some_and(|line| line.starts_with("8 commands in ")), "{told}");
    assert_eq!(told, piped());
}

#[test]
fn a_clock_is_set_ahead_for_a_while() {
    let mut desk = Desk::led();
    assert_eq!(desk.lines("skew-clock n2 100ms for 1s"), "n2's clock is 100 ms ahead\n");
    assert_eq!(
        desk.lines("sleep 2s\nskew-clock n2 0"),
        "[1.227] after 1 s n2's clock stands still until time catches up, then runs true\n\
         n2's clock stands still until time catches up, then runs true\n"
    );
    assert_eq!(desk.lines("skew-clock n9 1s"), "ERR line 6: there is no n9: the nodes are n1 to n3\n");
}

#[test]
fn json_has_one_object_a_directive() {
    let mut desk = Desk::with(Style { json: true, ..Style::default() }, Context::default());
    let told = desk
        .lines("wait leader\nstatus\npipe 3\nlog\nnet\ncheck\ndump\ncrash all\ncreate x 1 --timeout 10ms");
    let objects: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verbs: Vec<&str> = objects.iter().map(|object| object["directive"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["wait", "status", "pipe", "log", "net", "check", "dump", "crash", "create"]);
    assert!(objects[..8].iter().all(|object| object["v"] == 1 && object["ok"] == true));
    assert_eq!(objects[1]["can_commit"], true);
    assert_eq!(objects[8]["ok"], false);
}

#[test]
fn scripts_run_scripts_but_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner.raft");
    writeln!(std::fs::File::create(&inner).unwrap(), "echo inner\n\ncrash n9\necho not reached").unwrap();
    let mut desk = Desk::led();
    let name = inner.display();
    assert_eq!(
        desk.lines(&format!("run '{name}'\nexpect err\necho after")),
        format!(
            "inner\nERR {name} line 3: there is no n9: the nodes are n1 to n3\nstopped at {name} line 3: crash n9\nafter\n"
        )
    );
    std::fs::write(&inner, format!("run '{name}'")).unwrap();
    let told = desk.lines(&format!("run '{name}'"));
    assert!(told.contains("run itself?"), "{told}");
}

#[test]
fn an_interrupt_ends_what_waits() {
    let mut desk = Desk::led();
    let raised = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&raised);
    desk.console.lab.set_interrupt(Box::new(move || seen.load(Ordering::SeqCst)));
    assert_eq!(desk.lines("sleep 1h"), "ERR line 3: interrupted after 0 us\n");
}

#[test]
fn logs_come_from_memory_where_there_are_no_files() {
    let mut desk = Desk::led();
    let told = desk.lines("logs leader");
    assert!(told.contains(" n1 INFO  leads term 1\n"), "{told}");
    assert_eq!(
        desk.lines("logs -f").lines().next(),
        Some("ERR line 4: --follow has no end here: it is for the prompt")
    );
}

#[test]
fn an_unknown_outcome_can_be_asked_about_once() {
    let mut desk = Desk::led();
    desk.script = Script::typed();
    assert_eq!(desk.lines("outcome").trim_end(), "ERR no command of this console has an unknown outcome");
    desk.lines("create x 1\ncut n1>clients\nupdate x 2 --timeout 40ms");
    desk.lines("heal");
    let said = ["outcome 2.9", "outcome 2.2", "outcome 2.2"].map(|line| desk.lines(line));
    assert_eq!(
        said[0].trim_end(),
        "ERR no unknown outcome has the token 2.9; the newest that have one are 2.2"
    );
    let applied = "applied at index 4; its answer was: OK updated x=2 [n1 term 1 index 4]";
    assert!(said[1].starts_with(applied), "{}", said[1]);
    assert_eq!(
        said[2].trim_end(),
        "ERR no command of this console has the token 2.2, and every outcome is known"
    );
}

pub(super) fn last_line(text: &str) -> &str {
    text.lines().last().unwrap()
}

#[test]
fn check_judges_the_history_of_the_data_commands() {
    let mut desk = Desk::led();
    assert_eq!(last_line(&desk.lines("check")), "PASS linearizable (0 operations on 0 keys)");
    let judged = desk.lines("create x 1\nread x\nread x --stale\ncheck");
    assert_eq!(
        last_line(&judged),
        "PASS linearizable (2 operations on 1 key)",
        "a stale read promises nothing"
    );
    let judged = desk.lines("pipe 10\ncheck");
    assert_eq!(last_line(&judged).split(" on ").next(), Some("PASS linearizable (12 operations"));
}

#[test]
fn a_command_without_an_answer_is_in_the_history() {
    let mut desk = Desk::led();
    let told = desk.lines(
        "put x 0\nisolate n1\nput x 1 @n1 --timeout 100ms\nexpect unknown\nheal\nwait converged\nread x\ncheck",
    );
    assert!(
        told.contains("UNKNOWN ") && last_line(&told) == "PASS linearizable (3 operations on 1 key)",
        "{told}"
    );
}

/// A cluster whose disks are never synced loses what was answered in a power cut.
fn lose_a_write(then: &str) -> (Desk, String) {
    let mut desk = Desk::led();
    desk.console.lab.break_rule(museum::specimen("no-fsync").expect("a specimen").mutation());
    let told = desk.lines("create x 1\ncrash all --power\nrestart all\nwait leader\nread x");
    let checked = desk.lines(then);
    (desk, told + &checked)
}

#[test]
fn a_lost_write_fails_the_history() {
    let (desk, told) = lose_a_write("check");
    assert!(told.contains("\nFAIL linearizable: c1 read x, called at "), "{told}");
    assert!(told.contains(": absent; in any order, x can only have been 1\n"), "{told}");
    assert_eq!(desk.console.judge_history().outcome, Outcome::Failed);
}

#[test]
fn a_check_that_is_interrupted_is_undecided() {
    let (mut desk, _) = lose_a_write("");
    desk.console.lab.set_interrupt(Box::new(|| true));
    let judged = desk.console.judge_history();
    assert_eq!(judged.text, "UNDECIDED linearizable: x: interrupted (2 operations on 1 key)");
    assert_eq!((judged.outcome, &judged.details["pass"]), (Outcome::Unknown, &serde_json::Value::Null));
}
