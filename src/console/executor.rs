//! Executes directives on any [`Lab`]: real threads or virtual time.
//!
//! A verb is one row and one function, side by side in the files below, by theme: `nodes`, `network`, `data`,
//! `inspect` and so on. The row has the verb's name, its slots, its help and the function; all that the language does
//! with a verb goes by the row.
//!
//! Loops wait for the lab, never for a clock of their own, so that the same script runs at any speed.
//!
//! Architecture invariant: nothing here knows which kind of lab it drives (a lesson has one of its own, in virtual time), and nothing here prints except through
//! [`Output`].

mod chaos;
mod condition;
mod course;
mod data;
mod flights;
mod inspect;
mod journal;
mod later;
mod leadership;
mod lesson_trace;
mod links;
mod load;
mod logs;
mod matrix;
mod members;
mod network;
mod nodes;
mod notes;
pub mod operation;
mod outcome;
mod picture;
mod record;
mod recording;
mod report;
mod rerun;
mod rewind;
mod rows;
mod scenario;
mod script;
mod session;
mod settings;
mod shown;
mod slots;
mod status;
mod tape;
mod target;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod completion_tests;
#[cfg(test)]
mod language_tests;
#[cfg(test)]
mod word_tests;
#[cfg(test)]
mod roundtrip;
mod time;
mod trace;
mod undo;
mod verbs;
mod wait;
mod window;
mod why;
#[cfg(test)]
mod wording_tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::chaos::Chaos;
use self::course::Course;
use self::later::Later;
use self::load::Loads;
use self::rewind::again::Aside;
use self::rewind::copies::Copies;
use self::scenario::Underway;
use self::tape::{Source, is_done_once};
use self::trace::{Traced, Tracing};
use self::undo::Undo;
use self::verbs::run_of;
use self::window::Teller;
use super::language::{Answer, Directive, Language, Outcome};
use super::narrator::Narrator;
use super::printer::Output;
use super::window_session::WindowSession;
use crate::history::HistoryFile;
use crate::interrupt::Interrupt;
use crate::lab::{Lab, LabError};
use crate::text::layout::duration_shown;
use crate::types::Time;

pub use self::journal::fault_ends;
pub use self::script::Flow;
pub use self::script::state::Script;
pub(crate) use self::verbs::LANGUAGE;
pub use self::verbs::parse;

/// Directives that `history` remembers.
const HISTORY_MAX: usize = 1_000;

/// How often the console looks whether its session is open.
const SESSION_EVERY: Duration = Duration::from_millis(10);

/// What a console is told about its context.
#[derive(Clone, Debug)]
pub struct Context {
    /// How long a data command tries, unless it says otherwise.
    pub client_timeout: Duration,
    pub keep_going: bool,
    /// Columns that tables should fit into; none without a terminal.
    pub columns: Option<usize>,
    /// A person is there: what has no end of its own may run until it is interrupted.
    pub attended: bool,
    /// Where the nodes' log files are, if there are any.
    pub logs: Option<PathBuf>,
    /// The command that starts the same run, for a script that is saved.
    pub again: Option<String>,
    /// What a person raises: a lesson heeds it too, on a cluster of its own.
    pub interrupt: Option<Arc<Interrupt>>,
    /// What a window sees of the session, if there is a window.
    pub window: Option<Arc<WindowSession>>,
}

/// A lab with its console: the state that directives share. The functions of verbs take any lab.
pub struct Console<L: ?Sized = dyn Lab> {
    language: &'static Language,
    context: Context,
    output: Output,
    narrator: Narrator,
    /// What the run's directives have made of it so far.
    course: Course,
    /// The end of the run, while it stands in its past.
    later: Option<Box<Aside>>,
    /// Copies of the run, from which it can be made again.
    copies: Copies,
    tracing: Option<Tracing>,
    /// What the trace last told of all that no node tells.
    traced: Traced,
    /// How many files are being run, one within the other.
    depth: usize,
    loads: Loads,
    lesson: Option<Box<Underway>>,
    /// From when on it counts the times that it tells by itself.
    zero: Time,
    /// Tells of a lesson's lines, which are lines of the run that it interrupts.
    teller: Option<Teller>,
    /// When the lab is to work towards its session again; none once it is open.
    session_due: Option<Time>,
    quitting: bool,
    lab: L,
}

impl Default for Context {
    fn default() -> Context {
        Context {
            client_timeout: Duration::from_secs(2),
            keep_going: false,
            columns: None,
            attended: false,
            logs: None,
            again: None,
            interrupt: None,
            window: None,
        }
    }
}

impl<L: Lab + 'static> Console<L> {
    /// A console for this lab. Its draws are those of the lab's seed.
    pub fn new(lab: L, context: Context, output: Output, narrator: Narrator) -> Console<L> {
        let course = Course::new(lab.seed());
        Console {
            language: &LANGUAGE,
            context,
            output,
            narrator,
            course,
            later: None,
            copies: Copies::default(),
            tracing: None,
            traced: Traced::default(),
            depth: 0,
            loads: Loads::default(),
            lesson: None,
            zero: Time::ZERO,
            teller: None,
            session_due: None,
            quitting: false,
            lab,
        }
    }

    pub fn into_lab(self) -> L {
        self.lab
    }

    /// Executes a directive and answers with what came of it. Prints nothing but what is shown while it runs.
    pub fn execute(&mut self, directive: &Directive) -> Answer {
        (self as &mut Console).execute(directive)
    }

    /// Runs a line of a script, or reports what is wrong with it, and prints the answer.
    pub fn run_line(&mut self, script: &mut Script, text: Result<&str, &str>) -> Flow {
        (self as &mut Console).run_line(script, text)
    }

    /// A failed line that no `expect` forgave ends its script. To be called at the script's end, too.
    pub fn settle(&mut self, script: &mut Script) -> Flow {
        (self as &mut Console).settle(script)
    }

    /// Does what is to be done by itself now, in order: ends faults, executes lines that waited, makes chaos.
    pub fn undo_due(&mut self) {
        (self as &mut Console).undo_due();
    }

    /// Writes all that happens from now on to a file, in place of what is there.
    ///
    /// # Errors
    /// One line: why it is not written.
    pub fn begin_trace(&mut self, path: &Path) -> Result<(), String> {
        (self as &mut Console).begin_trace(path, true)
    }

    /// Writes the run so far as a page, unless something else than an older page is there. Says what is in it.
    ///
    /// # Errors
    /// One line: why nothing was written.
    pub fn write_report(&mut self, path: &Path) -> Result<String, String> {
        (self as &mut Console).write_report(path)
    }
}

impl<L: Lab + ?Sized> Console<L> {
    /// The lab, to look at it or to end it.
    pub fn lab(&self) -> &L {
        &self.lab
    }

    pub fn lab_mut(&mut self) -> &mut L {
        &mut self.lab
    }

    pub fn nodes(&self) -> u8 {
        u8::try_from(self.lab.nodes().len()).unwrap_or(u8::MAX)
    }

    pub fn output(&self) -> &Output {
        &self.output
    }

    pub fn narrator(&self) -> &Narrator {
        &self.narrator
    }

    /// Tables fit into this many columns from now on, if there is a terminal.
    pub fn fit(&mut self, columns: usize) {
        self.context.columns = self.context.columns.and(Some(columns));
    }

    /// When something is to be done by itself next: a fault ends or is made, a line has waited, or the session wants
    /// attention.
    pub fn next_undo(&self) -> Option<Time> {
        if self.later.is_some() {
            return None;
        }
        let works = self.course.undos.iter().map(Undo::due).chain(self.course.laters.iter().map(Later::due));
        works.chain(self.course.chaos.iter().map(Chaos::due)).chain(self.session_due).min()
    }

    /// From now on works towards the session of the data directives, beside all else: so that the first of them, too, ends
    /// with an answer or as unknown.
    pub fn open_session(&mut self) {
        self.session_due = Some(self.lab.now());
    }

    /// Whether a lesson waits for the next line.
    pub fn is_in_lesson(&self) -> bool {
        self.lesson.is_some()
    }

    /// Counts the times that it tells by itself from this one on, as the rest of a load's output does.
    pub fn count_from(&mut self, zero: Time) {
        self.zero = zero;
    }

    /// The same run can be started again by this command.
    pub fn repeat_by(&mut self, command: String) {
        self.context.again = Some(command);
    }

    /// From now on operations are written to this file too, as they end.
    pub fn record_to(&mut self, file: HistoryFile) {
        self.course.record.write_to(file);
    }
}

impl Console {
    /// Executes a directive and answers with what came of it. Prints nothing but what is shown while it runs.
    pub fn execute(&mut self, directive: &Directive) -> Answer {
        let began = self.begin_kept(Some(directive));
        let answer = self.carry_out(directive);
        self.end_kept(began, || Source::Program(directive.clone()));
        answer
    }

    /// Executes a directive, unless the run stands in its past and would become another.
    fn carry_out(&mut self, directive: &Directive) -> Answer {
        if let Some(refused) = self.refused_in_past(directive).or_else(|| self.refused_in_replay(directive)) {
            return refused;
        }
        self.undo_due();
        self.perform(directive)
    }

    /// Executes a directive that is due by itself: what else is due comes before or after it, never within.
    fn perform(&mut self, directive: &Directive) -> Answer {
        let began = self.lab.now();
        let run = run_of(directive);
        if self.moves(directive) {
            return run(self, directive);
        }
        let answer =
            if is_done_once(directive) { self.execute_once(directive, run) } else { run(self, directive) };
        self.course.journal.note(began, directive, &answer);
        self.tell_changes();
        answer
    }

    fn remember(&mut self, line: &str) {
        if self.course.history.len() == HISTORY_MAX {
            self.course.history.remove(0);
        }
        self.course.history.push(line.to_string());
    }

    /// A directive was interrupted by a person.
    fn interrupted(verb: &'static str, after: Duration) -> Answer {
        Answer::failed(verb, format!("interrupted after {}", duration_shown(after)))
    }
}

/// What was ordered is not done, or nothing is known of it.
fn not_done(verb: &'static str, error: &LabError) -> Answer {
    let reason = error.with_advice();
    if error.is_uncertain() { Answer::unknown(verb, reason) } else { Answer::failed(verb, reason) }
}

/// The worse of two outcomes, as exit codes rank them.
pub(super) fn worse(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome| match outcome {
        Outcome::Ok | Outcome::Refused => 0,
        Outcome::Unknown => 1,
        Outcome::Failed => 2,
    };
    if rank(other) > rank(one) { other } else { one }
}
