//! Scripts: lines one after the other, which end at the first that fails.
//!
//! A line that failed is forgiven when the next one is an `expect` about its answer: that is how a script says that a
//! failure is what it wants to see.

pub(super) mod state;

use std::io::BufRead;
use std::path::Path;

use serde_json::json;

use self::state::Script;
use super::slots::{EXPECTED_NOW, SCRIPT};
use super::tape::Source;
use super::window::LineSource;
use super::{Console, worse};
use crate::console::language::lexer::split;
use crate::console::language::{Answer, Condition, Directive, Outcome, Topic};
use crate::console::lines::next_line;
use crate::console::scripts;
use crate::quoting::{ANSWER_LETTERS, visible_brief};
use crate::text::layout::{Align, table};
use crate::text::{counted, shorten_to};

/// Letters of a failed line that a report shows.
const REPORTED_LETTERS: usize = 60;

/// How deep scripts may run scripts.
const DEPTH_MAX: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    Go,
    /// The script ends here: a line failed, or a person interrupted it.
    Stop,
    /// Everything ends here: `quit`.
    Quit,
}

impl Console {
    /// Runs a line of a script, or reports what is wrong with it, and prints the answer.
    pub fn run_line(&mut self, script: &mut Script, text: Result<&str, &str>) -> Flow {
        if !script.numbered && self.lesson.is_some() {
            return self.in_lesson(script, text);
        }
        self.copy_run();
        let before = script.clone();
        script.line += 1;
        let parsed = match text {
            Ok(text) => self.language.parse(text).map_err(|error| error.to_string()),
            Err(wrong) => Err(wrong.to_string()),
        };
        let Some(parsed) = parsed.transpose() else {
            // A window knows the number of its line, and that it was blank only by this.
            if let (number, LineSource::Web) = self.number_line(script.numbered) {
                self.tell_line(number, "", LineSource::Web);
                self.tell_answer(number, &Answer::ok("echo", ""));
            }
            return Flow::Go;
        };
        if parsed.as_ref().is_ok_and(is_about_answer) {
            // Whether it was right to fail is for this line to say.
            script.failed = None;
        } else if self.settle(script) == Flow::Stop {
            return Flow::Stop;
        }
        let shown = text.unwrap_or("").trim();
        if !parsed.as_ref().is_ok_and(|line| self.moves(line)) {
            self.remember(shown);
        }
        let (number, by) = self.number_line(script.numbered);
        self.tell_line(number, shown, by);
        match by {
            LineSource::Web => self.output.echo(&line_shown(shown)),
            _ => self
                .output
                .directive(&line_shown(shown), !script.numbered || parsed.as_ref().is_ok_and(is_echo)),
        }
        let began = self.begin_kept(parsed.as_ref().ok());
        let mut answer = match &parsed {
            Ok(line) => self.execute_noted(line, script.numbered),
            Err(reason) => Answer::failed(self.verb_of(shown), reason),
        };
        self.end_kept(began, || Source::Script(before, text.map(str::to_string).map_err(str::to_string)));
        if script.numbered {
            let is_command = parsed.as_ref().is_ok_and(|line| line.form.topic == Topic::Data);
            let is_data = is_command && answer.outcome == Outcome::Unknown;
            place(&mut answer, script, is_data);
        }
        if self.has_terminal() && self.lab.interrupted() && !answer.text.is_empty() {
            // The terminal has shown ^C: the answer begins on a line of its own.
            self.output.progress("");
        }
        self.tell_answer(number, &answer);
        self.output.answer(&answer);
        if matches!(answer.outcome, Outcome::Failed | Outcome::Unknown) {
            script.failed = Some((script.line, shorten_to(shown, REPORTED_LETTERS), answer.outcome));
        }
        let looks_at_answer = |line: &Directive| {
            is_about_answer(line) || (line.name() == "expect" && answer.outcome != Outcome::Failed)
        };
        if !parsed.as_ref().is_ok_and(looks_at_answer) {
            self.course.last.set(script.numbered, answer);
        }
        match (self.quitting, script.numbered && self.lab.interrupted()) {
            (true, _) => Flow::Quit,
            (false, true) => Flow::Stop,
            (false, false) if self.output.is_gone() => Flow::Stop,
            (false, false) => Flow::Go,
        }
    }

    /// A failed line that no `expect` forgave ends its script, and so does one that waited and failed. To be called at the script's end, too.
    pub fn settle(&mut self, script: &mut Script) -> Flow {
        let (outcome, place) = match (script.failed.take(), self.course.late_failure.take()) {
            (None, None) => return Flow::Go,
            (Some((line, text, outcome)), _) if text.is_empty() => {
                (outcome, format!(" at {}", script.place(line)))
            }
            (Some((line, text, outcome)), _) => (outcome, format!(" at {}: {text}", script.place(line))),
            (None, Some((text, outcome))) => (outcome, format!(": '{text}', which waited, failed")),
        };
        script.worst = worse(script.worst, outcome);
        if !script.numbered || self.context.keep_going {
            return Flow::Go;
        }
        self.output.warn(&format!("stopped{place}"));
        Flow::Stop
    }

    /// Says so when a script is written for another number of nodes: it names nodes that are not there, or shows less.
    fn note_size(&self, file: &str, head: &scripts::Head) {
        let here = usize::from(self.nodes());
        if let Ok(Some(nodes)) = head.nodes()
            && usize::from(nodes) != here
        {
            let here = counted(here, "node");
            let command = &head.command;
            let text = format!("{file} is written for {nodes} nodes, here are {here}; as written: {command}");
            self.output.warn(&text);
        }
    }

    fn execute_noted(&mut self, line: &Directive, is_scripted: bool) -> Answer {
        self.course.last.is_scripted = is_scripted;
        if self.moves(line) || self.later.is_some() {
            return self.carry_out(line);
        }
        let begun = self.course.rerun.begin(self.lab.now(), line);
        let answer = self.carry_out(line);
        self.course.rerun.end(begun, self.lab.now(), &answer, self.lab.interrupted());
        answer
    }

    fn verb_of(&self, text: &str) -> &'static str {
        let first = split(text).words.into_iter().next();
        first.and_then(|word| self.language.find(&word.text)).map_or("unknown", |form| form.name)
    }

    /// `run SCRIPT`: silent itself. Without a script it lists those that have a name.
    pub(super) fn run_file(&mut self, line: &Directive) -> Answer {
        let Some(file) = line.get::<String>(&SCRIPT) else { return list_scripts("run") };
        if self.depth >= DEPTH_MAX {
            let reason = format!("scripts run scripts at most {DEPTH_MAX} deep: does {file} run itself?");
            return Answer::failed("run", reason);
        }
        let is_scripted = self.course.last.is_scripted;
        self.keep_script(Source::Begun(line.clone()));
        let answer = match scripts::open(Path::new(file)) {
            Ok(input) => self.run_lines(file, input),
            Err(reason) => Answer::failed("run", reason),
        };
        self.keep_script(Source::Ended(line.clone(), answer.clone(), is_scripted));
        answer
    }

    fn run_lines(&mut self, file: &str, mut input: Box<dyn BufRead + Send>) -> Answer {
        let head = scripts::Head::ahead(&mut input);
        self.note_size(file, &head);
        let mut script = Script::file(file);
        self.depth += 1;
        let outcome = loop {
            let line = match next_line(&mut input) {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.settle(&mut script);
                    break script.worst;
                }
                Err(error) => {
                    self.output.warn(&format!("{file} cannot be read any further: {error}"));
                    break Outcome::Failed;
                }
            };
            let flow = self.run_line(&mut script, line.as_deref().map_err(String::as_str));
            if flow != Flow::Go {
                self.settle(&mut script);
                break script.worst;
            }
        };
        self.depth -= 1;
        let mut answer = Answer::ok("run", "").with("file", file);
        answer.outcome = outcome;
        answer
    }
}

/// The scripts that have a name, with what each says of itself.
pub(super) fn list_scripts(verb: &'static str) -> Answer {
    let scripts = scripts::all();
    let head = ["SCRIPT", "NODES", "SHOWS"].map(str::to_string).to_vec();
    let rows = scripts.iter().map(|script| {
        let scripts::Head { title, sections, .. } = &script.head;
        let shows = if sections.is_empty() { title.clone() } else { format!("{title} ({sections})") };
        let nodes = script.head.nodes().ok().flatten();
        let nodes = nodes.map_or_else(|| "-".to_string(), |nodes| nodes.to_string());
        vec![script.name.clone(), nodes, shows]
    });
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let mut lines = vec![match verb {
        "run" => "'run NAME' runs one of these, 'run PATH' any file of directives:".to_string(),
        _ => format!("'{verb} NAME' plays one of these step by step:"),
    }];
    lines.extend(table(&rows, &[Align::Left, Align::Right, Align::Left]));
    let details = scripts.iter().map(|script| {
        let scripts::Head { command, title, sections, .. } = &script.head;
        json!({"name": script.name, "shows": title, "sections": sections, "command": command})
    });
    let details: Vec<serde_json::Value> = details.collect();
    Answer::ok(verb, lines.join("\n")).with("scripts", details)
}

/// Its text is what the line is for: a script that is echoed need not say it twice.
fn is_echo(line: &Directive) -> bool {
    line.name() == "echo"
}

pub(super) fn is_about_answer(line: &Directive) -> bool {
    line.get::<Condition>(&EXPECTED_NOW).is_some_and(|condition| condition.form.topic == Topic::Answer)
}

/// `ERR line 7: reason`, where a line failed. The answer to a command reads the same everywhere.
fn place(answer: &mut Answer, script: &Script, is_data: bool) {
    if !matches!(answer.outcome, Outcome::Failed | Outcome::Unknown) {
        return;
    }
    if let Some(reason) = answer.text.strip_prefix("ERR ")
        && !is_data
    {
        answer.text = format!("ERR {}: {reason}", script.place(script.line));
    }
    answer.details.push(("line", script.line.into()));
}

/// A line as it was given, fit for a terminal.
pub(super) fn line_shown(line: &str) -> String {
    visible_brief(line, ANSWER_LETTERS).into_owned()
}
