//! A session as a window sees it: the lines that wait for it, what can be stopped, names for completion, and in virtual time
//! whether time is played.
//!
//! The threads of the window ask here and never wait for the console, which may be busy for long; the console looks here
//! between its lines.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::language::Names;
use super::narrator::Narrator;
use crate::interrupt::Interrupt;

/// Lines that may wait.
const LINES_MAX: usize = 100;

/// How often time is moved while it is played.
const SLICE: Duration = Duration::from_millis(20);

/// What a slice makes up for at most: a console that was busy does not jump ahead.
const SLICE_MAX: Duration = Duration::from_millis(100);

/// Multiples of the clock's pace at which time may be played.
pub const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=1_000.0;

/// A session, shared with the threads of a window.
pub struct WindowSession {
    narrator: Narrator,
    interrupt: Arc<Interrupt>,
    sender: Sender<WindowLine>,
    waiting: Receiver<WindowLine>,
    running: Mutex<Running>,
    names: Mutex<Names>,
    /// How many streams of the trace are open.
    streams: AtomicUsize,
    /// All that happens is told, at some cost, and not only what stands in logs.
    follows: AtomicBool,
    /// None where time passes by itself.
    clock: Option<Mutex<Clock>>,
    /// Makes an address for a browser, once there is a server.
    invite: OnceLock<Box<dyn Fn() -> String + Send + Sync>>,
}

/// A line that a window asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WindowLine {
    pub number: u64,
    pub text: String,
}

/// What the console does now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Running {
    /// It waits for lines.
    #[default]
    Nothing,
    /// A line of a script, whose end would be that of the script.
    Script,
    /// What a person typed.
    Typed,
    /// What a person typed at a terminal without a line editor.
    Plain { stopped: bool },
    /// The window's line of this number.
    Window { number: u64, stopped: bool },
}

/// Someone watches as long as this lives.
#[derive(Debug)]
pub struct Watch<'a>(&'a AtomicUsize);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether virtual time is played, and when it was last moved.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// The run was rewound: its time stands still until it is forked.
    past: bool,
    speed: Option<f64>,
    moved: Option<Instant>,
}

/// Why a window's wish is not granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WindowError {
    #[error("{LINES_MAX} lines wait already: stop what runs, or wait")]
    Full,
    #[error("nothing runs that could be stopped")]
    NothingRuns,
    #[error("a script runs: only a signal ends it")]
    ScriptRuns,
    #[error("time passes by itself here: only virtual time can be played")]
    NoVirtualTime,
    #[error("the run stands in its past: 'fork' continues from here, 'rewind to end' returns")]
    Past,
}

impl WindowSession {
    /// The session of this console. Its time can be played if it is virtual.
    pub fn new(narrator: Narrator, interrupt: Arc<Interrupt>, is_virtual: bool) -> WindowSession {
        let (sender, waiting) = bounded(LINES_MAX);
        WindowSession {
            narrator,
            interrupt,
            sender,
            waiting,
            running: Mutex::default(),
            names: Mutex::default(),
            streams: AtomicUsize::new(0),
            follows: AtomicBool::new(true),
            clock: is_virtual.then(Mutex::default),
            invite: OnceLock::new(),
        }
    }

    /// Puts a line behind those that wait. Returns the number by which the trace tells of it.
    ///
    /// # Errors
    /// Too many wait.
    pub fn post(&self, text: String) -> Result<u64, WindowError> {
        let number = self.narrator.tracer().number();
        self.sender.try_send(WindowLine { number, text }).map_err(|_| WindowError::Full)?;
        Ok(number)
    }

    /// Ends what runs, as Ctrl-C does, but never the session.
    ///
    /// # Errors
    /// Nothing runs, or a script.
    pub fn stop(&self) -> Result<(), WindowError> {
        let mut running = self.running.lock();
        match &mut *running {
            Running::Nothing => return Err(WindowError::NothingRuns),
            Running::Script => return Err(WindowError::ScriptRuns),
            Running::Typed => {}
            Running::Plain { stopped } | Running::Window { stopped, .. } => *stopped = true,
        }
        // Under the lock: once the console waits, this would end the session.
        self.interrupt.raise();
        Ok(())
    }

    /// Plays virtual time at this multiple of the clock's pace, or stops playing.
    ///
    /// # Errors
    /// Time is not virtual, or it is the past.
    pub fn play(&self, speed: Option<f64>) -> Result<(), WindowError> {
        let mut clock = self.clock.as_ref().ok_or(WindowError::NoVirtualTime)?.lock();
        if clock.past && speed.is_some() {
            return Err(WindowError::Past);
        }
        *clock = Clock { speed, moved: speed.map(|_| Instant::now()), ..*clock };
        Ok(())
    }

    /// What completion may offer: what there was when the console last waited.
    pub fn names(&self) -> Names {
        self.names.lock().clone()
    }

    /// Someone watches from now on.
    pub fn watch(&self) -> Watch<'_> {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Watch(&self.streams)
    }

    /// Whether all that happens is to be told from now on, if that is a change. In virtual time it is always.
    pub(super) fn follow_changes(&self, is_written: bool) -> Option<bool> {
        let wanted = is_written || self.clock.is_some() || self.streams.load(Ordering::Relaxed) > 0;
        (self.follows.swap(wanted, Ordering::Relaxed) != wanted).then_some(wanted)
    }

    /// An address that lets one more browser in; none without a server.
    pub fn address(&self) -> Option<String> {
        self.invite.get().map(|invite| invite())
    }

    /// From now on this makes addresses. The first stays.
    pub fn invite_by(&self, invite: Box<dyn Fn() -> String + Send + Sync>) {
        let _ = self.invite.set(invite);
    }

    /// Whether the console executes a line of a window.
    pub fn runs_line(&self) -> bool {
        matches!(*self.running.lock(), Running::Window { .. })
    }

    /// The number of the window's line that the console executes.
    pub(super) fn running_number(&self) -> Option<u64> {
        match *self.running.lock() {
            Running::Window { number, .. } => Some(number),
            Running::Nothing | Running::Script | Running::Typed | Running::Plain { .. } => None,
        }
    }

    pub(super) fn lines(&self) -> &Receiver<WindowLine> {
        &self.waiting
    }

    /// Completion offers these names from now on.
    pub fn know(&self, names: Names) {
        *self.names.lock() = names;
    }

    /// The run stands in its past, or not. There, no time is played.
    pub(super) fn set_past(&self, past: bool) {
        if let Some(clock) = &self.clock {
            let mut clock = clock.lock();
            clock.past = past;
            if past {
                clock.speed = None;
            }
        }
    }

    pub(super) fn begin(&self, running: Running) {
        *self.running.lock() = running;
    }

    /// Nothing runs any more. Whether the window has stopped its line.
    pub(super) fn end(&self) -> bool {
        let was = std::mem::take(&mut *self.running.lock());
        matches!(was, Running::Plain { stopped: true } | Running::Window { stopped: true, .. })
    }

    /// When time is to be moved next, while it is played.
    pub(super) fn slice_due(&self) -> Option<Instant> {
        let clock = *self.clock.as_ref()?.lock();
        clock.speed.and(clock.moved).map(|moved| moved + SLICE)
    }

    /// How much virtual time passes now: as much as the clock's since the last slice, at the speed at which it is played.
    pub(super) fn next_slice(&self, now: Instant) -> Option<Duration> {
        let mut clock = self.clock.as_ref()?.lock();
        let (speed, moved) = (clock.speed?, clock.moved?);
        clock.moved = Some(now);
        Some(now.saturating_duration_since(moved).min(SLICE_MAX).mul_f64(speed))
    }
}

impl fmt::Debug for WindowSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowSession").field("running", &self.running).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::printer::{Output, Style};

    fn session(is_virtual: bool) -> WindowSession {
        let narrator = Narrator::direct(Output::memory(Style::default()));
        WindowSession::new(narrator, Arc::new(Interrupt::new()), is_virtual)
    }

    #[test]
    fn lines_wait_in_order_up_to_a_limit() {
        let session = session(true);
        assert_eq!(session.post("heal".to_string()), Ok(1));
        assert_eq!(session.post("status".to_string()), Ok(2));
        assert_eq!(session.lines().recv(), Ok(WindowLine { number: 1, text: "heal".to_string() }));
        assert!((0..LINES_MAX - 1).all(|_| session.post("heal".to_string()).is_ok()));
        assert_eq!(session.post("heal".to_string()), Err(WindowError::Full));
    }

    #[test]
    fn only_what_runs_for_a_person_is_stopped() {
        let session = session(true);
        assert_eq!(session.stop(), Err(WindowError::NothingRuns));
        session.begin(Running::Script);
        assert_eq!(session.stop(), Err(WindowError::ScriptRuns));
        assert!(!session.interrupt.is_raised());
        session.begin(Running::Plain { stopped: false });
        assert_eq!(session.stop(), Ok(()));
        assert!(
            session.end() && session.interrupt.is_raised(),
            "the session lowers it and asks for the next line"
        );
        session.interrupt.lower();
        session.begin(Running::Window { number: 3, stopped: false });
        assert_eq!(session.running_number(), Some(3));
        assert_eq!(session.stop(), Ok(()));
        assert!(session.interrupt.is_raised() && session.end() && !session.runs_line());
        session.begin(Running::Typed);
        assert_eq!((session.stop(), session.end()), (Ok(()), false));
    }

    #[test]
    fn all_is_told_while_someone_watches() {
        let threads = session(false);
        assert_eq!(threads.follow_changes(false), Some(false), "no one watches so far");
        let (one, other) = (threads.watch(), threads.watch());
        assert_eq!((threads.follow_changes(false), threads.follow_changes(false)), (Some(true), None));
        drop(one);
        assert_eq!(threads.follow_changes(false), None);
        drop(other);
        assert_eq!(threads.follow_changes(true), None, "it is written to a file");
        assert_eq!(threads.follow_changes(false), Some(false));
        assert_eq!(session(true).follow_changes(false), None, "in virtual time it costs no one");
    }

    #[test]
    fn time_is_played_at_a_multiple_of_the_clocks_pace_and_never_jumps() {
        assert_eq!(session(false).play(Some(1.0)), Err(WindowError::NoVirtualTime));
        let session = session(true);
        assert_eq!((session.slice_due(), session.next_slice(Instant::now())), (None, None));
        session.play(Some(2.0)).expect("time is virtual");
        let due = session.slice_due().expect("it is played");
        assert_eq!(session.next_slice(due), Some(2 * SLICE));
        assert_eq!(session.next_slice(due + SLICE), Some(2 * SLICE));
        assert_eq!(session.next_slice(due + Duration::from_secs(60)), Some(2 * SLICE_MAX));
        session.play(None).expect("time is virtual");
        assert_eq!(session.slice_due(), None);
        session.play(Some(1.0)).expect("time is virtual");
        session.set_past(true);
        assert_eq!((session.slice_due(), session.play(Some(1.0))), (None, Err(WindowError::Past)));
        session.set_past(false);
        assert_eq!(session.play(Some(1.0)), Ok(()));
    }
}
