//! The terminal on standard input: its size, and its settings, which a line editor changes.

use std::io::{self, IsTerminal, Write, stdin};

use parking_lot::Mutex;
#[cfg(unix)]
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Settings of a terminal. Other systems' terminals are left as they are.
#[cfg(not(unix))]
type Termios = ();

/// The settings before the program changed them, while it may have.
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

/// Whether standard output is a terminal that can move its cursor and show colors.
pub(super) fn draws() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// How many columns it has, as far as it says.
pub fn columns() -> usize {
    const USUAL: usize = 80;
    extent("COLUMNS").or_else(|| Some(size()?.0)).filter(|columns| *columns > 0).unwrap_or(USUAL)
}

/// How many rows it has, as far as it says.
pub(super) fn rows() -> usize {
    const USUAL: usize = 24;
    extent("LINES").or_else(|| Some(size()?.1)).filter(|rows| *rows > 0).unwrap_or(USUAL)
}

/// While this lives, the terminal shows no key that is typed; the keys wait for who reads them next. Ctrl-C stays a signal.
#[derive(Debug)]
pub(super) struct Quiet {
    #[cfg(unix)]
    before: Option<Termios>,
}

impl Quiet {
    pub(super) fn begin() -> Quiet {
        #[cfg(unix)]
        {
            let before = tcgetattr(stdin()).ok();
            if let Some(mut quiet) = before.clone() {
                SETTINGS.lock().get_or_insert_with(|| quiet.clone());
                quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
                // A terminal that refuses shows the keys: a blemish.
                let _ = tcsetattr(stdin(), OptionalActions::Drain, &quiet);
            }
            Quiet { before }
        }
        #[cfg(not(unix))]
        Quiet {}
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdin(), OptionalActions::Drain, before);
        }
    }
}

fn extent(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Columns and rows.
fn size() -> Option<(usize, usize)> {
    #[cfg(unix)]
    return tcgetwinsize(stdin()).ok().map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    #[cfg(not(unix))]
    None
}
