//! What stands before the line that is edited and above it: the prompt's words, and lines that were printed meanwhile.
//!
//! The editor draws both when it draws its line. It is woken for that by a message of its own kind, which moves up a row
//! and down again. Who prints never waits for it: while a person searches the history the editor takes no message.

use std::io::{self, Write};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use crate::console::standing::Standing;

/// What wakes the editor: printed above its line, it leaves the line where it is.
pub(super) const UP_AND_DOWN: &str = "\x1b[A\n";

/// Bytes that may wait to be drawn.
const WAITING_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Shown {
    state: Mutex<State>,
    wake: Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    standing: Standing,
    /// The editor draws: it has taken over the terminal.
    open: bool,
    /// What it has drawn is no longer true, or not all.
    stale: bool,
    waiting: String,
    /// Texts that were too many to wait.
    lost: usize,
}

impl Shown {
    /// `wake` has a message when there is something to draw.
    pub(super) fn new(wake: Sender<()>) -> Shown {
        Shown { state: Mutex::default(), wake }
    }

    /// Takes these words from now on.
    pub(super) fn change(&self, standing: Standing) {
        let mut state = self.state.lock();
        if state.standing != standing {
            state.standing = standing;
            self.wake(&mut state);
        }
    }

    /// Prints lines above the one that is edited, or at once when none is.
    pub(super) fn print(&self, text: &str) {
        let mut state = self.state.lock();
        if !state.open {
            write(text);
        } else if state.waiting.len() + text.len() > WAITING_MAX {
            state.lost += 1;
        } else {
            state.waiting.push_str(text);
            self.wake(&mut state);
        }
    }

    fn wake(&self, state: &mut State) {
        state.stale = true;
        if state.open {
            // A full channel has woken it already.
            let _ = self.wake.try_send(());
        }
    }

    /// The editor draws from now on.
    pub(super) fn open(&self) {
        self.state.lock().open = true;
    }

    /// The editor has left the terminal: what waits is written below its line.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.open = false;
        write(&state.take_waiting());
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().open
    }

    pub(super) fn standing(&self) -> Standing {
        self.state.lock().standing.clone()
    }

    /// Whether there is something to draw.
    pub(super) fn is_stale(&self) -> bool {
        self.state.lock().stale
    }

    /// What is drawn now: the lines that are to stand above the one that is edited, and the prompt's words.
    pub(super) fn drawn(&self) -> (String, Standing) {
        let mut state = self.state.lock();
        state.stale = false;
        (state.take_waiting(), state.standing.clone())
    }
}

impl State {
    fn take_waiting(&mut self) -> String {
        let text = std::mem::take(&mut self.waiting);
        match std::mem::take(&mut self.lost) {
            0 => text,
            lost => text + &format!("... {lost} lines were too many to show\n"),
        }
    }
}

fn write(text: &str) {
    let mut out = io::stdout().lock();
    // A terminal that is gone ends the session by its input.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::*;

    #[test]
    fn lines_wait_for_the_editor_which_is_woken_once() {
        let (wake, woken) = bounded(1);
        let shown = Shown::new(wake);
        shown.open();
        shown.print("one\n");
        shown.print("two\n");
        assert!(woken.try_recv().is_ok() && woken.try_recv().is_err());
        assert!(shown.is_stale());
        assert_eq!(shown.drawn().0, "one\ntwo\n");
        assert!(!shown.is_stale());
        let standing = Standing { up: 2, ..Standing::default() };
        shown.change(standing.clone());
        assert!(woken.try_recv().is_ok(), "new words are drawn");
        shown.change(standing);
        assert!(woken.try_recv().is_err(), "the same words stand there already");
    }

    #[test]
    fn an_editor_that_draws_nothing_for_long_holds_up_no_one() {
        let (wake, _woken) = bounded(1);
        let shown = Shown::new(wake);
        shown.open();
        let line = format!("{}\n", "x".repeat(1 << 19));
        (0..4).for_each(|_| shown.print(&line));
        assert_eq!(shown.drawn().0, format!("{line}... 3 lines were too many to show\n"));
        assert_eq!(shown.drawn().0, "");
    }
}
