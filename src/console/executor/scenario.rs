//! `scenario`: scripts as lessons, a step at a time.
//!
//! A lesson is played in virtual time on a cluster of its own, with the nodes and the settings that its script asks for: so
//! its sentences are true each time, and the cluster at the prompt is left alone. Where a person is, Enter plays the next
//! step; any directive may be typed in between, and is executed on the lesson's cluster. Elsewhere it plays to its end.

use std::path::Path;
use std::sync::Arc;

use super::lesson_trace::trace_lesson;
use super::rows::{Row, Run, verb};
use super::script::state::Script;
use super::script::{Flow, list_scripts};
use super::slots::SCRIPT;
use super::{Console, Context};
use crate::config::Settings;
use crate::console::language::{Answer, Directive, Names, Topic, form};
use crate::console::lesson::{Lesson, Step};
use crate::console::narrator::Narrator;
use crate::console::printer::Style;
use crate::console::scripts;
use crate::sim::{Simulation, SimulationSettings};
use crate::text::layout::wrap;

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("scenario", Topic::Test, &[SCRIPT])
        .does("plays a script as a lesson, step by step; alone it lists them", "scenario figure-8"),
    Console::scenario,
)];

/// The seed of all lessons.
const SEED: u64 = 7;

/// How wide sentences are where no terminal says it.
const COLUMNS: usize = 100;

/// A lesson under way.
pub(super) struct Underway {
    name: String,
    console: Console<Simulation>,
    script: Script,
    /// How it is run on threads.
    command: String,
    steps: Vec<Step>,
    /// How many were played.
    played: usize,
}

impl Console {
    fn scenario(&mut self, line: &Directive) -> Answer {
        let Some(name) = line.get::<String>(&SCRIPT) else { return list_scripts("scenario") };
        let mut lesson = match self.prepare(name) {
            Ok(lesson) => lesson,
            Err(reason) => return Answer::failed("scenario", reason),
        };
        lesson.console.teller = Some(self.teller());
        trace_lesson(&lesson.name, &mut lesson.console, self.teller());
        if self.context.attended || self.runs_for_window() {
            self.output.progress("Enter plays the next step, q leaves; other directives work in between.");
            match lesson.play() {
                Flow::Go => self.lesson = Some(Box::new(lesson)),
                Flow::Stop | Flow::Quit => lesson.say_left(),
            }
            return Answer::ok("scenario", "");
        }
        while lesson.play() == Flow::Go {}
        let mut answer = Answer::ok("scenario", "").with("name", lesson.name.as_str());
        answer.outcome = lesson.script.worst();
        answer
    }

    fn prepare(&self, name: &str) -> Result<Underway, String> {
        let text = scripts::text(Path::new(name))?;
        let Lesson { head, nodes, settings, steps } = Lesson::of(&text)?;
        let settings = match &settings {
            Some(file) => {
                Settings::from_toml(&scripts::settings(file)?).map_err(|error| error.to_string())?
            }
            None => Settings::default(),
        };
        let settings = Settings { nodes, ..settings };
        settings.validate().map_err(|error| error.to_string())?;
        if !head.title.is_empty() {
            let sections =
                if head.sections.is_empty() { String::new() } else { format!(" ({})", head.sections) };
            self.output.progress(&format!("{}{sections}, on {nodes} nodes in virtual time", head.title));
        }
        let narrator = Narrator::direct(self.output.clone());
        let mut simulated = SimulationSettings::new(nodes, SEED);
        simulated.preferred = settings.preferred;
        simulated.raft = settings.raft;
        let mut simulation = Simulation::new(simulated, Some(narrator.observer()));
        if let Some(interrupt) = &self.context.interrupt {
            let (raised, waker) = (Arc::clone(interrupt), Arc::clone(interrupt));
            simulation.set_interrupt(Box::new(move || raised.is_raised()));
            simulation.set_pace(Box::new(move |pause| waker.pause(pause)));
        }
        let context = Context {
            client_timeout: settings.client_timeout,
            keep_going: false,
            logs: None,
            again: None,
            ..self.context.clone()
        };
        let console = Console::new(simulation, context, self.output.clone(), narrator);
        Ok(Underway {
            name: name.to_string(),
            console,
            script: Script::file(name),
            command: head.command,
            steps,
            played: 0,
        })
    }

    /// A line that was typed while a lesson waits: Enter alone plays on.
    pub(super) fn in_lesson(&mut self, script: &mut Script, text: Result<&str, &str>) -> Flow {
        let Some(mut lesson) = self.lesson.take() else { return Flow::Go };
        lesson.console.teller = Some(self.teller());
        let word = text.unwrap_or_default().trim().to_lowercase();
        let (plays, leaves) = (word.is_empty(), word == "q");
        let flow = if lesson.console.is_in_lesson() || !(plays || leaves) {
            let flow = lesson.console.run_line(script, text);
            lesson.follow_fork();
            flow
        } else {
            let (number, by) = self.number_line(false);
            self.tell_line(number, &word, by);
            let flow = if plays { lesson.play() } else { Flow::Quit };
            self.tell_answer(number, &Answer::ok("scenario", ""));
            flow
        };
        if flow == Flow::Go {
            self.lesson = Some(lesson);
        } else {
            lesson.say_left();
        }
        Flow::Go
    }

    /// Leaves the lesson, if there is one: Ctrl-C or Ctrl-D at its prompt.
    pub fn leave_lesson(&mut self) -> bool {
        let left = self.lesson.is_some();
        self.in_lesson(&mut Script::typed(), Ok("q"));
        left
    }
}

impl Underway {
    /// `figure-8 3 of 12`.
    pub(super) fn progress(&self) -> String {
        format!("{} {} of {}", self.name, self.played, self.steps.len())
    }

    pub(super) fn names(&mut self) -> Names {
        let console: &mut Console = &mut self.console;
        console.names()
    }

    /// The number of the lesson's last line that is part of its run; 0 before the first.
    fn last_line(&self) -> usize {
        let mut lines = self.console.course.tape.lines().iter().rev();
        lines.find_map(|line| line.source.line_of(&self.name)).unwrap_or_default()
    }

    /// A run that was forked has not come to all steps that were played: it plays on with the line that it has come to.
    fn follow_fork(&mut self) {
        if self.console.past().is_none() {
            let last = self.last_line();
            let is_played = |step: &&Step| step.lines.iter().all(|(number, _)| *number <= last);
            self.played = self.played.min(self.steps.iter().take_while(is_played).count());
        }
    }

    /// Says so when it is left before its end.
    fn say_left(&self) {
        if self.played < self.steps.len() {
            let said = format!("{} is left; 'scenario {0}' begins it again", self.name);
            self.console.output().progress(&said);
        }
    }

    /// Plays the next step. Stops when a line fails, and after the last.
    fn play(&mut self) -> Flow {
        let output = self.console.output().clone();
        if let Some((time, end)) = self.console.past() {
            let text = format!(
                "this is {time} of a lesson known until {end}: 'fork' plays on from here, 'rewind to end' returns"
            );
            output.warn(&text);
            return Flow::Go;
        }
        let Some(step) = self.steps.get(self.played) else { return Flow::Stop };
        self.played += 1;
        let last = self.last_line();
        let columns = self.console.context.columns.unwrap_or(COLUMNS).min(COLUMNS);
        for said in &step.said {
            output.progress(&format!("\n{}", wrap(said, columns).join("\n")));
            self.console.tell_said(said);
        }
        for (number, line) in step.lines.iter().filter(|(number, _)| *number > last) {
            let Style { transcript, echo, .. } = output.style();
            if !transcript && !echo {
                output.progress(&format!("> {line}"));
            }
            self.script.go_to(*number);
            let flow = self.console.run_line(&mut self.script, Ok(line));
            if flow != Flow::Go {
                self.console.settle(&mut self.script);
                return Flow::Stop;
            }
        }
        let flow = self.console.settle(&mut self.script);
        if flow != Flow::Go || self.played < self.steps.len() {
            return flow;
        }
        if !self.command.is_empty() {
            output.progress(&format!("\nThat was {}. The same on threads: {}", self.name, self.command));
        }
        Flow::Stop
    }
}

impl std::fmt::Debug for Underway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Underway").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::printer::Output;
    use crate::interrupt::Interrupt;

    fn attended() -> Console<Simulation> {
        let output = Output::memory(Style::default());
        let narrator = Narrator::direct(output.clone());
        let simulation = Simulation::new(SimulationSettings::new(3, 1), None);
        Console::new(simulation, Context { attended: true, ..Context::default() }, output, narrator)
    }

    fn say(console: &mut Console<Simulation>, line: &str) -> String {
        assert_eq!(console.run_line(&mut Script::typed(), Ok(line)), Flow::Go, "{line}");
        console.output().take_transcript()
    }

    fn standing(console: &mut Console<Simulation>) -> String {
        let console: &mut Console = console;
        console.standing().text()
    }

    #[test]
    fn enter_plays_the_next_step_and_other_lines_run_on_the_lessons_cluster() {
        let mut console = attended();
        let begun = say(&mut console, "scenario figure-8");
        assert!(
            begun.contains("on 5 nodes in virtual time") && begun.contains("\n> timeout n3\n"),
            "{begun}"
        );
        assert!(!begun.contains("\n> delay 100ms"), "that is the next step: {begun}");
        assert!(standing(&mut console).starts_with("figure-8 1 of "));
        assert!(say(&mut console, "").starts_with("> delay 100ms\n"));
        assert!(say(&mut console, "status").contains("\nn5 "), "of the lesson's five nodes");
        assert!(say(&mut console, "crsh").contains("did you mean 'crash'"));
        assert!(say(&mut console, "Q").contains("'scenario figure-8' begins it again"));
        assert!(!say(&mut console, "status").contains("n5"), "the person's own cluster");
        assert_eq!(console.lab().now().as_nanos(), 0, "whose time has not passed");
    }

    #[test]
    fn a_lesson_ends_after_its_last_step() {
        let mut console = attended();
        say(&mut console, "scenario tour");
        let steps = (0..100).take_while(|_| {
            say(&mut console, "");
            console.is_in_lesson()
        });
        assert!((5..40).contains(&steps.count()));
        assert!(standing(&mut console).starts_with("raft 3/3"));
        assert!(say(&mut console, "scenario tuor").contains("did you mean 'tour'"));
    }

    #[test]
    fn a_lessons_run_stands_in_the_trace_within_events() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.jsonl");
        let mut console = attended();
        console.begin_trace(&path).expect("it can be written");
        for line in ["scenario tour", "", "q", "trace stop"] {
            say(&mut console, line);
        }
        let trace = std::fs::read_to_string(&path).expect("it is written");
        let events = trace.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let lessons: Vec<_> = events.filter(|event| event["e"] == "lesson").collect();
        let (first, last) = (&lessons[0], &lessons[lessons.len() - 1]);
        assert_eq!((&first["name"], &first["head"]["nodes"][2]), (&"tour".into(), &"n3".into()));
        assert_eq!(last["ended"], true);
        let names = lessons.iter().filter_map(|event| event["event"]["e"].as_str());
        assert_eq!(names.filter(|name| *name == "became_leader").count(), 1);
    }

    #[test]
    fn control_c_leaves_a_lesson() {
        let mut console = attended();
        let left = |console: &mut Console<Simulation>| {
            let console: &mut Console = console;
            console.leave_lesson()
        };
        assert!(!left(&mut console));
        say(&mut console, "scenario tour");
        assert!(left(&mut console) && !console.is_in_lesson());
    }

    #[test]
    fn a_script_for_a_number_of_nodes_that_no_cluster_has_is_refused() {
        for count in ["0", "200"] {
            let path = std::env::temp_dir().join(format!("raftlab-{}-{count}.raft", std::process::id()));
            std::fs::write(&path, format!("# cluster {count}\nstatus\n"))
                .expect("a folder for temporary files");
            let mut console = attended();
            let said = say(&mut console, &format!("scenario {}", path.display()));
            std::fs::remove_file(&path).expect("it was written");
            let reason = format!("asks for '{count}' nodes: a cluster has 1 to 99");
            assert!(said.starts_with("ERR ") && said.contains(&reason), "{said}");
            assert!(!console.is_in_lesson());
        }
    }

    #[test]
    fn an_interrupt_ends_what_waits_in_a_lesson_and_the_lesson_stays() {
        let mut console = attended();
        let interrupt = Arc::new(Interrupt::new());
        console.context.interrupt = Some(Arc::clone(&interrupt));
        say(&mut console, "scenario tour");
        interrupt.raise();
        assert!(say(&mut console, "sleep 1000h").contains("ERR interrupted after 0 us"));
        interrupt.lower();
        assert!(console.is_in_lesson());
        interrupt.raise();
        let said = say(&mut console, "");
        assert!(said.contains("'scenario tour' begins it again") && !console.is_in_lesson(), "{said}");
    }
}
