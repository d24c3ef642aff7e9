//! A run is made again: the lines of its tape are executed on a fresh lab, unseen, up to a stop. Where a line begins, the new
//! run must stand where the first one stood.

use std::rc::Rc;

use super::super::Console;
use super::super::course::Course;
use super::super::rows::Run;
use super::super::tape::{Line, Mark, Once, Source, runs_script};
use crate::console::language::{Answer, Directive};
use crate::console::narrator::RunSoFar;
use crate::console::printer::Output;
use crate::console::progress::Progress;
use crate::lab::virtual_time::{Moment, Parked, Stop};
use crate::types::Time;

/// A run that was set aside: the lab, and what the console knows of the run.
pub(in super::super) struct Aside {
    lab: Parked,
    course: Course,
    memory: RunSoFar,
    pub(super) at: Time,
}

/// Why a run could not be made again.
enum Trouble {
    Interrupted,
    /// It came out otherwise: where this line began, it stood otherwise.
    Differs {
        at: Time,
        line: String,
    },
    /// It is to stop at this time, as is known only now.
    Elsewhere(Time),
}

impl Console {
    /// Makes the run again, which is known until `end`, up to this stop. If that fails, the run stands where it stood.
    pub(super) fn go_to(&mut self, goal: Stop, end: Time) -> Result<(), String> {
        if let Stop::After(moment) = goal {
            if moment.last == self.lab.now() {
                return Ok(());
            }
            if let Some(end) = self.later.take_if(|later| later.at == moment.last) {
                self.put_back(*end);
                return Ok(());
            }
        }
        let (mut here, lines) = self.set_aside(goal, end);
        let later = self.later.take();
        let made = self.unseen(|console| console.make_again(&lines, goal, end));
        self.later = later;
        match made {
            Ok(()) => {
                self.course.record.take_file(&mut here.course.record);
                self.later.get_or_insert_with(|| Box::new(here));
                Ok(())
            }
            Err(Trouble::Elsewhere(time)) => {
                self.put_back(here);
                self.go_to(at(time), end)
            }
            Err(trouble) => {
                let at = here.at;
                self.put_back(here);
                Err(trouble.text(at))
            }
        }
    }

    /// Begins the run again, from the copy before this stop or from its beginning. Returns the run as it stood, and the lines
    /// that follow.
    fn set_aside(&mut self, goal: Stop, end: Time) -> (Aside, Vec<Rc<Line>>) {
        let at = self.lab.now();
        let from = self.copies.before(first_of(goal));
        let begun = from.map_or_else(|| Course::new(self.lab.seed()), |copy| copy.course.clone());
        let known = &self.later.as_ref().map_or(&self.course, |later| &later.course).tape;
        let lines = known.lines()[begun.tape.lines().len()..].to_vec();
        let begun = Course { tape: known.again(begun.tape), ..begun };
        let course = std::mem::replace(&mut self.course, begun);
        let memory = self.narrator.begin_again(from.map(|copy| copy.memory.clone()).unwrap_or_default());
        let mut progress = Progress::begin(self.output.clone());
        let until = match goal {
            Stop::After(moment) => moment.first,
            Stop::Next(time, _) => time,
            Stop::Never | Stop::At(_) => end,
        };
        let look = move |now: Time| {
            progress.show(|| format!("the run is made again: {now} of {until}; Ctrl-C ends this"));
        };
        let lab = self.lab.virtual_time().expect("only such a run is rewound");
        let parked = lab.begin_again(from.map(|copy| &copy.lab), goal, Box::new(look));
        (Aside { lab: parked, course, memory, at }, lines)
    }

    fn put_back(&mut self, mut aside: Aside) {
        aside.course.record.take_file(&mut self.course.record);
        self.course = aside.course;
        self.narrator.put_back(aside.memory);
        self.lab.virtual_time().expect("only such a run is set aside").put_back(aside.lab);
    }

    /// Makes a run again without a word.
    fn unseen(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let nowhere = Output::nowhere(self.output.style());
        let output = std::mem::replace(&mut self.output, nowhere);
        // A lesson's lines were told before, too.
        let teller = self.teller.take();
        let made = work(self);
        (self.output, self.teller) = (output, teller);
        if let Some(lab) = self.lab.virtual_time() {
            lab.run_on();
        }
        self.course.tape.run_on();
        // Its script has continued after what failed.
        self.course.late_failure = None;
        self.narrator.run_on();
        made
    }

    fn make_again(&mut self, lines: &[Rc<Line>], mut goal: Stop, end: Time) -> Result<(), Trouble> {
        for line in lines {
            self.pass_until(line.began.place.time, goal);
            goal = self.found(goal);
            if comes_later(line, goal) {
                break;
            }
            self.undo_due();
            if self.here() != Some(line.began) {
                return Err(self.why_not(line));
            }
            self.stop_at(stop_within(line, goal));
            // Its script has continued after what failed.
            self.course.late_failure = None;
            match &line.source {
                Source::Script(script, text) => {
                    let text = text.as_deref().map_err(String::as_str);
                    self.run_line(&mut script.clone(), text);
                }
                Source::Program(directive) => drop(self.execute(directive)),
                Source::Begun(run) => self.note_begun(run),
                Source::Ended(run, answer, is_scripted) => self.note_ended(run, answer, *is_scripted),
            }
            if let Source::Begun(_) | Source::Ended(..) = &line.source {
                self.keep_script(line.source.clone());
            }
            let found = self.found(goal);
            if found != goal && found == at(line.ended.time) && self.lab.interrupted() {
                // That line ends at the same time, and was not let end.
                return Err(Trouble::Elsewhere(line.ended.time));
            }
            goal = found;
            self.stop_at(Stop::Never);
            if self.lab.interrupted() {
                return Err(Trouble::Interrupted);
            }
        }
        self.pass_until(end, goal);
        match self.found(goal) {
            _ if self.lab.interrupted() => Err(Trouble::Interrupted),
            // Nothing happens any more.
            Stop::Next(..) => Err(Trouble::Elsewhere(end)),
            Stop::After(Moment { first, .. }) if self.lab.now() < first => Err(Trouble::Interrupted),
            _ => Ok(()),
        }
    }

    /// The goal by its time, once that has come.
    fn found(&mut self, goal: Stop) -> Stop {
        let last = self.lab.virtual_time().and_then(|lab| lab.last_events().0);
        match (goal, last) {
            (Stop::Next(time, _), Some(last)) if last > time => at(last),
            _ => goal,
        }
    }

    /// Lets time pass between lines, with what happens until then, or until the goal if that comes first.
    fn pass_until(&mut self, time: Time, goal: Stop) {
        let (stop, until) = match goal {
            Stop::After(moment) if moment.last < time => (goal, moment.last),
            Stop::Next(..) => (goal, time),
            _ => (at(time), time),
        };
        self.stop_at(stop);
        self.wait_until(until, |_| false);
        self.stop_at(Stop::Never);
    }

    fn stop_at(&mut self, stop: Stop) {
        if let Some(lab) = self.lab.virtual_time() {
            lab.stop_at(stop);
        }
    }

    fn why_not(&self, line: &Line) -> Trouble {
        if self.lab.interrupted() {
            return Trouble::Interrupted;
        }
        Trouble::Differs { at: line.began.place.time, line: line.source.text() }
    }

    /// Where the run stands, if it can be made again.
    fn here(&mut self) -> Option<Mark> {
        let drawn = self.course.random.clone().bits();
        let lab = self.lab.virtual_time()?;
        Some(Mark { place: lab.place(), digest: lab.digest() ^ drawn })
    }

    /// Where a line begins that is to be kept, for the run to be made again; none of a line that is no part of the run, or
    /// that runs others, which are kept.
    pub(in super::super) fn begin_kept(&mut self, line: Option<&Directive>) -> Option<Mark> {
        if self.later.is_some() || line.is_some_and(|line| self.moves(line) || runs_script(line)) {
            return None;
        }
        self.undo_due();
        let mark = self.here()?;
        self.course.tape.begin();
        Some(mark)
    }

    /// Keeps a line that has ended.
    pub(in super::super) fn end_kept(&mut self, began: Option<Mark>, source: impl FnOnce() -> Source) {
        let interrupted = self.lab.interrupted();
        let ended = self.lab.virtual_time().map(|lab| lab.place());
        if let (Some(began), Some(ended)) = (began, ended) {
            self.course.tape.end(Line { began, ended, interrupted, source: source() });
        }
    }

    /// Keeps that a script begins or ends here.
    pub(in super::super) fn keep_script(&mut self, source: Source) {
        let began = self.begin_kept(None);
        self.end_kept(began, || source);
    }

    fn note_begun(&mut self, run: &Directive) {
        self.remember(&run.to_string());
        let begun = self.course.rerun.begin(self.lab.now(), run);
        self.course.rerun.end(begun, self.lab.now(), &Answer::ok(run.name(), ""), false);
    }

    fn note_ended(&mut self, run: &Directive, answer: &Answer, is_scripted: bool) {
        self.course.journal.note(self.lab.now(), run, answer);
        self.course.last.set(is_scripted, answer.clone());
    }

    /// Executes a line that is not executed twice; in a run that is made again, lets its time pass.
    pub(in super::super) fn execute_once(&mut self, line: &Directive, run: Run) -> Answer {
        if let Some(once) = self.course.tape.take_once() {
            self.wait_until(once.ended, |_| false);
            return once.answer.clone();
        }
        let answer = run(self, line);
        self.course.tape.keep_once(|| Once { answer: answer.clone(), ended: self.lab.now() });
        answer
    }
}

impl Trouble {
    /// What is said where the run still stands at this time.
    fn text(&self, at: Time) -> String {
        match self {
            Trouble::Interrupted | Trouble::Elsewhere(_) => {
                format!("interrupted: the run stands at {at} as before")
            }
            Trouble::Differs { at: began, line } => format!(
                "the run came out otherwise when it was made again, before '{line}' at {began}: a defect, and the run stands at \
                 {at} as before"
            ),
        }
    }
}

/// Whether a line began after the goal, or at it and with more to come.
fn comes_later(line: &Line, goal: Stop) -> bool {
    let began = line.began.place.time;
    match goal {
        Stop::After(Moment { first, last }) => began > last || (began >= first && line.ended.time > last),
        _ => false,
    }
}

/// Where a run stops within a line on its way to a goal.
fn stop_within(line: &Line, goal: Stop) -> Stop {
    let interrupted = line.interrupted.then_some(line.ended);
    match goal {
        Stop::After(moment) if line.ended.time > moment.last => goal,
        Stop::Next(time, _) if line.ended.time > time => Stop::Next(time, interrupted),
        _ => interrupted.map_or(Stop::Never, Stop::At),
    }
}

/// Nothing of the goal happens before this time.
fn first_of(goal: Stop) -> Time {
    match goal {
        Stop::After(moment) => moment.first,
        Stop::Next(time, _) => time,
        Stop::Never | Stop::At(_) => Time::ZERO,
    }
}

/// After all that happens at this time.
pub(super) fn at(time: Time) -> Stop {
    Stop::After(time.into())
}
