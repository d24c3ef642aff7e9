//! The terminal on standard input: how wide it is, and its settings, which a line editor changes.

use std::io::{self, Write, stdin};

use parking_lot::Mutex;
#[cfg(unix)]
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Settings of a terminal. Other systems' terminals are left as they are.
#[cfg(not(unix))]
type Termios = ();

/// The settings before the editor changed them, while it may have.
static SETTINGS: Mutex<Option<Termios>> = Mutex::new(None);

pub(super) fn remember() {
    #[cfg(unix)]
    {
        *SETTINGS.lock() = tcgetattr(stdin()).ok();
    }
}

/// Restores the terminal's settings, when the program ends while a line is edited.
pub(super) fn restore() {
    let Some(settings) = SETTINGS.lock().take() else { return };
    // When these fail, there is no terminal any more. The sequence ends bracketed pasting, which the editor began.
    let _ = io::stdout().write_all(b"\x1b[?2004l\n").and_then(|()| io::stdout().flush());
    #[cfg(unix)]
    let _ = tcsetattr(stdin(), OptionalActions::Now, &settings);
}

/// How many columns it has, as far as it says.
pub fn columns() -> usize {
    const USUAL: usize = 80;
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    #[cfg(unix)]
    let set = set.or_else(|| tcgetwinsize(stdin()).ok().map(|size| usize::from(size.ws_col)));
    set.filter(|columns| *columns > 0).unwrap_or(USUAL)
}
