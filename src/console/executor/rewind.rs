//! `rewind`, `step back` and `fork`: the run as it stood at an earlier time, to look at it or to continue otherwise.
//!
//! Seed and lines decide a run in virtual time, so it is made again from its beginning: the lines of its tape are executed
//! on a fresh lab, unseen, until the time has come. At each line the new run must stand where the first one stood. The run as
//! it was is kept until `fork` drops it. Until then the past is only looked at, for a change would make another run.

pub(super) mod again;
pub(super) mod copies;
#[cfg(test)]
mod copy_tests;
#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trace_tests;

use std::cmp::Ordering;
use std::time::Duration;

use self::again::at;
use super::rows::{Row, Run, verb};
use super::slots::EXPECTED_NOW;
use super::slots::{ANY_DURATION, AT, FOLLOW, MOMENT, RESTORE, TO, TO_PLACE, WATCH};
use super::tape::travels;
use super::{Console, notes};
use crate::console::language::{Answer, Condition, Directive, Topic, form};
use crate::lab::Lab;
use crate::lab::virtual_time::{Moment, Stop, VirtualTime};
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

/// Whether a line leaves the run as it is.
pub(super) fn only_looks(line: &Directive) -> bool {
    let shows_for_a_while = line.has(&WATCH) || line.has(&FOLLOW);
    match (line.form.topic, line.name()) {
        (Topic::Look | Topic::Session, _) => !shows_for_a_while,
        (_, "check" | "echo" | "report" | "trace" | "run" | "scenario" | "members" | "speed" | "step") => {
            true
        }
        (_, "set") => !line.has(&TO) && !line.has(&RESTORE),
        (_, "expect") => {
            // Without a node a client asks, which takes time.
            let condition: &Condition = line.need(&EXPECTED_NOW);
            !matches!(condition.name(), "key" | "no-key") || condition.has(&AT)
        }
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

    /// Goes forward through a past: to its next event, or by a time, and at most to the end of the run.
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
        let known = self.lab.recorded_until().unwrap_or(now).max(now);
        let end = self.later.as_ref().map_or(known, |later| later.at);
        let asked = self.can_travel(verb).and_then(|lab| to(lab, now, end));
        let begins = self.lab.virtual_time().map_or(Time::ZERO, |lab| lab.begins_at());
        let gone = asked.and_then(|goal| match goal {
            Stop::After(Moment { last: time, .. }) if time < begins => {
                Err(format!("this run was forked from a recording at {begins}: it goes back to there"))
            }
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
        self.lab.virtual_time().ok_or_else(|| format!("'{verb}' needs virtual time, which `simulate` has"))
    }

    fn fork(&mut self, line: &Directive) -> Answer {
        if let Err(reason) = self.can_travel(line.name()) {
            return Answer::failed("fork", reason);
        }
        if self.lab.recorded_until().is_some() {
            return self.fork_recording();
        }
        let now = self.lab.now();
        if self.later.is_none() {
            return Answer::ok("fork", format!("time {now}: the run stands at its end, nothing is dropped"));
        }
        if let Some(reason) = self.course.record.why_not_rewritten() {
            return Answer::failed("fork", reason);
        }
        let dropped = self.later.take().expect("seen above");
        if let Some(lab) = self.lab.virtual_time() {
            self.copies.forget_after(lab.place());
        }
        if let Err(trouble) = self.course.record.rewrite() {
            self.output.warn(&trouble);
        }
        let from = if self.course.record.is_written() { ", from the file of --history, too" } else { "" };
        let text =
            format!("the run continues from {now}: what followed until {} is dropped{from}", dropped.at);
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
}

/// The moment that is shown as this time: times are shown in whole microseconds.
fn shown_as(time: Duration, end: Time) -> Moment {
    let (first, is_whole) = (Time::ZERO + time, time.subsec_nanos().is_multiple_of(1_000));
    let last = if is_whole { first + Duration::from_nanos(999) } else { first };
    Moment { first, last: last.min(end).max(first) }
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
