//! A lesson's run within the trace of the run at the prompt: its head, each of its events, and its end are events there, so
//! that a window shows the lesson while it is played.

use serde_json::{Value, json};

use super::Console;
use super::window::Teller;
use crate::console::tracer::TraceReader;
use crate::sim::Simulation;
use crate::trace::{Line, Place};

/// Tells what it reads of a lesson's trace. It is dropped with the lesson, and that is the end of it.
struct Within {
    name: String,
    teller: Teller,
}

impl Within {
    /// The time is that of the run at the prompt when the lesson began: the event within has the lesson's own.
    fn tell(&self, field: &str, value: Value) {
        let Teller { narrator, now } = &self.teller;
        let fields = [("name", json!(self.name)), (field, value)];
        narrator.tracer().aside(*now, Place::Console, "lesson", fields, String::new());
    }
}

impl TraceReader for Within {
    fn take(&mut self, line: &Line) -> bool {
        if let Ok(event) = serde_json::from_str(&line.text) {
            self.tell("event", event);
        }
        true
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        self.tell("ended", json!(true));
    }
}

/// From now on the lesson's run is told where its lines are, if there is a reader.
pub(super) fn trace_lesson(name: &str, lesson: &mut Console<Simulation>, teller: Teller) {
    if !teller.narrator.tracer().is_active() {
        return;
    }
    let within = Within { name: name.to_string(), teller };
    let lesson: &mut Console = lesson;
    if let Ok(head) = serde_json::from_str(&lesson.trace_head().line()) {
        within.tell("head", head);
    }
    lesson.read_trace(Box::new(within));
}
