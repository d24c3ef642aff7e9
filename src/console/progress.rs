//! How far something is that takes longer than a moment: a line on a terminal, in place, until it is done.

use std::time::{Duration, Instant};

use super::printer::{Drawing, Output};

/// What is done sooner shows nothing.
const MOMENT: Duration = Duration::from_secs(1);

/// How often the line is drawn again.
const EVERY: Duration = Duration::from_millis(200);

/// Draws the line while it lives.
#[derive(Debug)]
pub struct Progress {
    output: Output,
    due: Instant,
    drawing: Option<Drawing>,
}

impl Progress {
    pub fn begin(output: Output) -> Progress {
        Progress { output, due: Instant::now() + MOMENT, drawing: None }
    }

    /// Draws this line, if it is time to.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        self.due = now + EVERY;
        if self.drawing.is_none() {
            self.drawing = self.output.drawing();
        }
        if let Some(drawing) = &self.drawing {
            drawing.show(&text());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(drawing) = &self.drawing {
            drawing.show("");
        }
    }
}
