//! What a window needs of a console: who asks for the line that runs, time that is played, and `web`, which lets one more
//! browser in.

use std::sync::Arc;
use std::time::Instant;

use super::Console;
use super::rows::{Row, Run, verb};
use crate::console::language::{Answer, Directive, Topic, form};
use crate::console::narrator::Narrator;
use crate::console::window_session::{Running, WindowSession};
use crate::lab::Lab;
use crate::trace::Place;
use crate::types::Time;

pub(super) const VERBS: &[Row<Run>] =
    &[verb(form("web", Topic::Session, &[]).does("an address that opens the window", "web"), web)];

/// Tells of lines in the trace of a run, at its time.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    pub(super) narrator: Narrator,
    pub(super) now: Time,
}

/// Where a line came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LineSource {
    Prompt,
    Script,
    Web,
}

impl LineSource {
    /// As the trace writes it.
    fn name(self) -> &'static str {
        match self {
            LineSource::Prompt => "prompt",
            LineSource::Script => "script",
            LineSource::Web => "web",
        }
    }
}

impl<L: Lab + ?Sized> Console<L> {
    /// The session that a window sees, if there is one.
    pub fn window(&self) -> Option<&Arc<WindowSession>> {
        self.context.window.as_ref()
    }

    /// Whether a person is at the prompt.
    pub fn is_attended(&self) -> bool {
        self.context.attended
    }

    /// From now on this runs, as far as a window can see.
    pub fn begin(&self, running: Running) {
        if let Some(window) = self.window() {
            window.begin(running);
        }
    }

    /// Nothing runs any more. Whether a window has stopped its line.
    pub fn end(&self) -> bool {
        self.window().is_some_and(|window| window.end())
    }

    /// Whether the line that runs shows on a terminal alone: it may draw there and read its keys.
    pub(super) fn has_terminal(&self) -> bool {
        self.context.attended && !self.runs_for_window()
    }

    pub(super) fn runs_for_window(&self) -> bool {
        self.window().is_some_and(|window| window.runs_line())
    }

    /// The number of a line, and where it came from: a script, or else a person.
    pub(super) fn number_line(&self, is_scripted: bool) -> (u64, LineSource) {
        let asked = self.window().and_then(|window| window.running_number());
        let number = || self.teller().narrator.tracer().number();
        match asked {
            _ if is_scripted => (number(), LineSource::Script),
            Some(number) => (number, LineSource::Web),
            None => (number(), LineSource::Prompt),
        }
    }

    /// What tells of this console's lines.
    pub(super) fn teller(&self) -> Teller {
        let own = || Teller { narrator: self.narrator.clone(), now: self.lab.now() };
        self.teller.clone().unwrap_or_else(own)
    }

    /// A line begins.
    pub(super) fn tell_line(&self, number: u64, line: &str, by: LineSource) {
        let Teller { narrator, now } = self.teller();
        narrator.tracer().directive(now, number, line, by.name());
    }

    /// The line of this number has ended.
    pub(super) fn tell_answer(&self, number: u64, answer: &Answer) {
        let Teller { narrator, now } = self.teller();
        narrator.tracer().answered(now, number, answer);
    }

    /// A sentence of a lesson.
    pub(super) fn tell_said(&self, text: &str) {
        let Teller { narrator, now } = self.teller();
        narrator.tracer().aside(now, Place::Console, "said", [], text.to_string());
    }
}

impl Console {
    /// Has all that happens told while someone watches: on threads and processes that costs. Says whether the run stands in
    /// its past.
    pub(super) fn attend_window(&mut self) {
        let Some(window) = self.window() else { return };
        window.set_past(self.past().is_some());
        if let Some(follow) = window.follow_changes(self.tracing.is_some()) {
            self.lab.follow_steps(follow);
            self.narrator.tracer().set_details(follow);
        }
    }

    /// Lets virtual time pass while a window plays it: a slice that ends where the console has something to do.
    pub fn play(&mut self, now: Instant) {
        let Some(span) = self.window().and_then(|window| window.next_slice(now)) else { return };
        if self.past().is_some() {
            // There a run is only looked at.
            return;
        }
        let until = self.lab.now() + span;
        let until = self.next_undo().map_or(until, |due| due.min(until));
        // Only a lab whose time is virtual is played.
        let _ = self.lab.pass_to(until);
    }
}

fn web(console: &mut Console, _: &Directive) -> Answer {
    match console.window().and_then(|window| window.address()) {
        Some(address) => {
            // Not in the answer, which the window shows too: the address is for someone else.
            console.output.progress(&format!("window: {address}"));
            Answer::ok("web", "").with("address", address)
        }
        None => Answer::failed("web", "there is no window: start the program with --web"),
    }
}
