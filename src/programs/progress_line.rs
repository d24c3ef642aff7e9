//! What a load's run shows while it runs.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::console::printer::Output;
use crate::experiment::Progress;
use crate::load::Row;

/// Rows as they come, and on a terminal a line below them that says how far the run is.
pub(super) struct ProgressLine {
    output: Output,
    terminal: bool,
}

impl ProgressLine {
    pub(super) fn new(output: Output) -> ProgressLine {
        ProgressLine { output, terminal: io::stderr().is_terminal() }
    }

    pub(super) fn begin(&self) {
        self.output.progress(&Row::header());
    }

    pub(super) fn take(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Row(row) => {
                self.clear();
                self.output.progress(&row.to_string());
            }
            Progress::Said(text) => {
                self.clear();
                self.output.warn(text);
            }
            Progress::Tick { elapsed, of } => self.show(*elapsed, *of),
        }
    }

    fn show(&self, elapsed: Duration, of: Option<Duration>) {
        const WIDTH: usize = 30;
        if !self.terminal {
            return;
        }
        let elapsed = elapsed.as_secs_f64();
        let text = match of.map(|of| of.as_secs_f64()).filter(|of| *of > 0.0) {
            None => format!("{elapsed:.1} s"),
            Some(of) => {
                let part = (elapsed / of).clamp(0.0, 1.0);
                let done = (1..=WIDTH)
                    .filter(|step| part * 30.0 >= f64::from(u8::try_from(*step).unwrap_or(u8::MAX)))
                    .count();
                format!("[{}{}] {elapsed:.1} s of {of} s", "#".repeat(done), ".".repeat(WIDTH - done))
            }
        };
        // A terminal that is gone needs no progress.
        let _ = write!(io::stderr().lock(), "\r\x1b[K{text}");
    }

    pub(super) fn clear(&self) {
        if self.terminal {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
