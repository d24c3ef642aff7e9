//! `rewind`, `step back` and `fork`: the run as it stood at an earlier time, to look at it or to continue otherwise.
//!
//! Seed and lines decide a run in virtual time, so it is made again from its beginning: the lines of its tape are executed
//! on a fresh lab, unseen, until the time has come. At each line the new run must stand where the first one stood. The run as
//! it was is kept until `fork` drops it. Until then the past is only looked at, for a change would make another run.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trace_tests;

use std::cmp::Ordering;
use std::rc::Rc;
use std::time::Duration;

use super::course::Course;
use super::rows::{Row, Run, verb};
use super::slots::EXPECTED_NOW;
use super::slots::{ANY_DURATION, AT, FOLLOW, MOMENT, RESTORE, TO, TO_PLACE, WATCH};
use super::tape::{Line, Mark, Once, Source, Tape, travels};
use super::{Console, notes};
use crate::console::language::{Answer, Condition, Directive, Topic, form};
use crate::console::narrator::RunSoFar;
use crate::console::printer::Output;
use crate::console::progress::Progress;
use crate::lab::Lab;
use crate::lab::virtual_time::{Moment, Parked, Stop, VirtualTime};
use crate::text::layout::duration_shown;
use crate::types::Time;

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("rewind", Topic::Time, &[TO_PLACE, MOMENT])
            .does("goes back by a time, or to a time of the run", "rewind 100ms")
            .noting(notes::REWIND)
            .shows("5.6: the same seed and lines make the same run, so any moment can be seen again")
            .undone("by 'rewind to end', until 'fork'"),
        Console::rewind,
    ),
    verb(
        form("fork", Topic::Time, &[])
            .does("continues the run from the time that it was rewound to", "fork")
            .shows("5.4.2: what could have happened otherwise, from the same moment")
            .undone("by nothing: what followed is dropped"),
        Console::fork,
    ),
];

/// A run that was set aside: the lab, and what the console knows of the run.
pub(super) struct Aside {
    lab: Parked,
    course: Course,
    memory: RunSoFar,
    at: Time,
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

/// Whether a line leaves the run as it is.
fn only_looks(line: &Directive) -> bool {
    let shows_for_a_while = line.has(&WATCH) || line.has(&FOLLOW);
    match (line.form.topic, line.name()) {
        (Topic::Look | Topic::Session, _) => !shows_for_a_while,
        (_, "check" | "echo" | "report" | "trace" | "run" | "scenario" | "members" | "speed") => true,
        (_, "set") => !line.has(&TO) && !line.has(&RESTORE),
        (_, "expect") => {
            // Without a node a client asks, which takes time.
            let condition: &Condition = line.need(&EXPECTED_NOW);
            !matches!(condition.name(), "key" | "no-key") || condition.has(&AT)
        }
        (_, "step") => true,
        _ => travels(line),
    }
}

impl<L: Lab + ?Sized> Console<L> {
    /// Whether a line moves to another time of the run, here and now. It is no part of the run.
    pub(super) fn moves(&self, line: &Directive) -> bool {
        travels(line) || (line.name() == "step" && self.later.is_some())
    }

    /// The time at which the run stands, and until when it is known; none where it stands at its end.
    pub fn past(&self) -> Option<(Time, Time)> {
        self.later.as_ref().map(|later| (self.lab.now(), later.at))
    }
}

impl Console {
    fn rewind(&mut self, line: &Directive) -> Answer {
        let back = line.get::<Duration>(&MOMENT).copied();
        match back {
            None => self.travel(line.name(), |_, _, end| Ok(at(end))),
            Some(time) if line.has(&TO_PLACE) => {
                self.travel(line.name(), |_, _, end| Ok(Stop::After(shown_as(time, end))))
            }
            Some(time) => self.travel(line.name(), |_, now, _| before(now, time)),
        }
    }

    /// Goes to just before the last event, or back by a time.
    pub(super) fn step_back(&mut self, line: &Directive) -> Answer {
        match line.get::<Duration>(&ANY_DURATION) {
            Some(time) => self.travel("step", |_, now, _| before(now, *time)),
            None => self.travel("step", |lab, now, _| match lab.last_events() {
                (Some(_), before) if now > Time::ZERO => Ok(at(before.unwrap_or(Time::ZERO))),
                _ => Err("the run stands at its beginning: nothing has happened before".to_string()),
            }),
        }
    }

    /// Goes on through a past: to its next event, or by a time, and at most to the run's end.
    pub(super) fn step_on(&mut self, span: Option<Duration>) -> Answer {
        self.travel("step", |_, now, end| {
            Ok(span.map_or(Stop::Next(now, None), |span| at((now + span).min(end))))
        })
    }

    /// Lets the run stand at another time, which it, now and the run's end decide. Says where it stands then.
    fn travel(
        &mut self,
        verb: &'static str,
        to: impl FnOnce(&mut dyn VirtualTime, Time, Time) -> Result<Stop, String>,
    ) -> Answer {
        let now = self.lab.now();
        let end = self.later.as_ref().map_or(now, |later| later.at);
        let asked = self.can_travel(verb).and_then(|lab| to(lab, now, end));
        let gone = asked.and_then(|goal| match goal {
            Stop::After(Moment { first: time, .. }) if time > end => {
                Err(format!("the run is known until {end}, and {time} is later: 'sleep' lets time pass"))
            }
            _ => self.go_to(goal, end),
        });
        if let Err(reason) = gone {
            return Answer::failed(verb, reason);
        }
        let (time, end) = self.past().unwrap_or((end, end));
        let way = match time.cmp(&now) {
            Ordering::Less => format!(", {} earlier", duration_shown(now.since(time))),
            Ordering::Equal => String::new(),
            Ordering::Greater => format!(", {} later", duration_shown(time.since(now))),
        };
        let known = if time == end {
            ": the end of the run".to_string()
        } else {
            ": 'fork' continues here, 'rewind to end' returns".to_string()
        };
        let text = format!("time {time}{way}{known}");
        self.tell_travel("rewound", "to", text.clone());
        Answer::ok(verb, text).with("time", time.to_string()).with("known_until", end.to_string())
    }

    /// The run, if it can be made again, and now.
    fn can_travel(&mut self, verb: &'static str) -> Result<&mut dyn VirtualTime, String> {
        let is_lesson = !self.course.tape.runs() && self.lab.virtual_time().is_some();
        if is_lesson {
            return Err("a lesson cannot be rewound: 'q' leaves it, 'scenario' begins it again".to_string());
        }
        if !self.running.is_empty() {
            return Err(format!(
                "'{verb}' cannot stand in a script that 'run' runs: it would rewind the script, too"
            ));
        }
        self.lab.virtual_time().ok_or_else(|| format!("'{verb}' needs virtual time, which `simulate` has"))
    }

    fn fork(&mut self, line: &Directive) -> Answer {
        if let Err(reason) = self.can_travel(line.name()) {
            return Answer::failed("fork", reason);
        }
        let now = self.lab.now();
        if self.later.is_none() {
            return Answer::ok("fork", format!("time {now}: the run stands at its end, nothing is dropped"));
        }
        if self.course.record.is_written() {
            let reason =
                "the file of --history holds what was asked later: a run that writes one has no fork";
            return Answer::failed("fork", reason);
        }
        let dropped = self.later.take().expect("seen above");
        let text = format!("the run continues from {now}: what followed until {} is dropped", dropped.at);
        self.tell_travel("forked", "from", text.clone());
        Answer::ok("fork", text).with("time", now.to_string()).with("dropped_until", dropped.at.to_string())
    }

    /// Why a line is not executed: the run stands in its past, which only `fork` changes.
    pub(super) fn refused_in_past(&self, line: &Directive) -> Option<Answer> {
        let (time, end) = self.past().filter(|_| !only_looks(line))?;
        let reason = format!(
            "this is {time} of a run known until {end}: 'fork' continues here, 'rewind to end' returns"
        );
        Some(Answer::failed(line.name(), reason))
    }

    /// Makes the run again, which is known until `end`, up to this stop. If that fails, the run stands where it stood.
    fn go_to(&mut self, goal: Stop, end: Time) -> Result<(), String> {
        if let Stop::After(moment) = goal {
            if moment.last == self.lab.now() {
                return Ok(());
            }
            if let Some(end) = self.later.take_if(|later| later.at == moment.last) {
                self.put_back(*end);
                return Ok(());
            }
        }
        let known = &self.later.as_ref().map_or(&self.course, |later| &later.course).tape;
        let (lines, tape) = (known.lines().to_vec(), known.again());
        let later = self.later.take();
        let mut here = self.set_aside(tape, goal, end);
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

    /// Begins the run again, on its way to this stop.
    fn set_aside(&mut self, tape: Tape, goal: Stop, end: Time) -> Aside {
        let (at, begun) = (self.lab.now(), Course { tape, ..Course::new(self.lab.seed(), true) });
        let course = std::mem::replace(&mut self.course, begun);
        let memory = self.narrator.begin_again();
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
        Aside { lab: lab.begin_again(goal, Box::new(look)), course, memory, at }
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
        let made = work(self);
        self.output = output;
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
            match &line.source {
                Source::Script(script, text) => {
                    let text = text.as_deref().map_err(String::as_str);
                    self.run_line(&mut script.clone(), text);
                }
                Source::Program(directive) => drop(self.execute(directive)),
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

    /// Where a line begins that is to be kept, for the run to be made again; none of a line that is no part of the run.
    pub(super) fn begin_kept(&mut self) -> Option<Mark> {
        if !self.course.tape.runs() || !self.running.is_empty() || self.later.is_some() {
            return None;
        }
        self.undo_due();
        let mark = self.here();
        self.course.tape.begin();
        mark
    }

    /// Keeps a line that has ended.
    pub(super) fn end_kept(&mut self, began: Option<Mark>, source: impl FnOnce() -> Source) {
        let interrupted = self.lab.interrupted();
        let ended = self.lab.virtual_time().map(|lab| lab.place());
        if let (Some(began), Some(ended)) = (began, ended) {
            self.course.tape.end(Line { began, ended, interrupted, source: source() });
        }
    }

    /// Executes a line that is not executed twice; in a run that is made again, lets its time pass.
    pub(super) fn execute_once(&mut self, line: &Directive, run: Run) -> Answer {
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

/// The moment that is shown as this time: times are shown in whole microseconds.
fn shown_as(time: Duration, end: Time) -> Moment {
    let (first, is_whole) = (Time::ZERO + time, time.subsec_nanos().is_multiple_of(1_000));
    let last = if is_whole { first + Duration::from_nanos(999) } else { first };
    Moment { first, last: last.min(end).max(first) }
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

/// After all that happens at this time.
fn at(time: Time) -> Stop {
    Stop::After(time.into())
}

/// So much before now.
fn before(now: Time, by: Duration) -> Result<Stop, String> {
    if by > now.since(Time::ZERO) {
        return Err(format!(
            "the run began {} ago: 'rewind to 0' goes there",
            duration_shown(now.since(Time::ZERO))
        ));
    }
    Ok(at(now - by))
}
