//! The prompt: a line editor with completion, hints and history, in a thread of its own.
//!
//! The editor asks for one line at a time, when it is told to. While it waits, the words before the line may change and
//! lines be printed above it.

mod assistant;
mod shown;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{ColorMode, Config, Editor, ExternalPrinter};

use self::assistant::Assistant;
use self::shown::{Shown, UP_AND_DOWN};
use super::language::Names;
use super::printer::AbovePrompt;
use super::standing::Standing;
use super::terminal;
use super::window_session::WindowSession;

const HISTORY_MAX: usize = 1_000;

/// What a person did at the prompt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Typed {
    Line(String),
    /// Cleared the line (Ctrl-C).
    Cleared {
        /// There was nothing to clear.
        empty: bool,
    },
    /// Closed the session (Ctrl-D).
    End,
}

pub struct Prompt {
    asks: Sender<Names>,
    typed: Receiver<Typed>,
    shown: Arc<Shown>,
    /// The terminal can move its cursor. Otherwise lines are read as it gives them, and Ctrl-C is a signal.
    edits: bool,
}

impl Prompt {
    /// A prompt at this terminal. Ctrl-C also ends a line of the window.
    ///
    /// # Errors
    /// Why the terminal cannot be used.
    pub fn open(color: bool, window: Option<Arc<WindowSession>>) -> Result<Prompt, String> {
        let config = Config::builder()
            .max_history_size(HISTORY_MAX)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(|error| error.to_string())?
            .history_ignore_space(true)
            // What it draws is decided here, colors too.
            .color_mode(ColorMode::Forced)
            .build();
        let mut editor: Editor<Assistant, FileHistory> =
            Editor::with_config(config).map_err(|error| error.to_string())?;
        let (wake, woken) = bounded(1);
        let shown = Arc::new(Shown::new(wake));
        editor.set_helper(Some(Assistant::new(Arc::clone(&shown), color)));
        let printer = editor.create_external_printer().ok();
        let edits = printer.is_some();
        if let Some(mut printer) = printer {
            // It waits until the editor takes what it prints, so it has a thread of its own.
            let shown = Arc::clone(&shown);
            let mut draw = move || !shown.is_stale() || printer.print(UP_AND_DOWN.to_string()).is_ok();
            spawn("redraw", move || while woken.recv().is_ok() && draw() {})?;
        }
        terminal::remember();
        let (asks, asked) = bounded::<Names>(1);
        let (sender, typed) = unbounded();
        let shared = Arc::clone(&shown);
        spawn("prompt", move || edit_lines(editor, &shared, &asked, &sender, window.as_deref()))?;
        Ok(Prompt { asks, typed, shown, edits })
    }

    /// Asks for a line; what came of it arrives at [`Prompt::typed`].
    pub fn ask(&self, standing: Standing, names: Names) {
        self.shown.change(standing);
        // An editor that is gone has closed the other channel, and that is what is looked at.
        let _ = self.asks.send(names);
    }

    /// Shows these words from now on.
    pub fn change(&self, standing: Standing) {
        self.shown.change(standing);
    }

    /// Whether the editor is about to take over the terminal, and to make Ctrl-C a key.
    pub fn opens(&self) -> bool {
        self.edits && !self.shown.is_open()
    }

    pub fn typed(&self) -> &Receiver<Typed> {
        &self.typed
    }

    /// Prints above the line that is edited.
    pub fn printer(&self) -> AbovePrompt {
        let shown = Arc::clone(&self.shown);
        Box::new(move |text| shown.print(text))
    }
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompt").finish_non_exhaustive()
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    thread::Builder::new().name(name.to_string()).spawn(run).map(drop).map_err(|error| error.to_string())
}

fn edit_lines(
    mut editor: Editor<Assistant, FileHistory>,
    shown: &Shown,
    asked: &Receiver<Names>,
    typed: &Sender<Typed>,
    window: Option<&WindowSession>,
) {
    let file = history_file();
    if let Some(file) = &file {
        // The first session has no history yet.
        let _ = editor.load_history(file);
    }
    for names in asked {
        let assistant = editor.helper_mut().expect("set when the prompt was opened");
        let prompt = assistant.begin(names);
        let read = editor.readline(&prompt);
        shown.close();
        let came = match read {
            Ok(line) => {
                keep(&mut editor, file.as_deref(), &line);
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => {
                // While a line is edited, only a window can have asked for what runs.
                let stopped = window.is_some_and(|window| window.runs_line() && window.stop().is_ok());
                Typed::Cleared { empty: !stopped && editor.helper().is_none_or(Assistant::is_empty) }
            }
            Err(_) => Typed::End,
        };
        if typed.send(came).is_err() {
            return;
        }
    }
}

fn keep(editor: &mut Editor<Assistant, FileHistory>, file: Option<&Path>, line: &str) {
    if line.trim().is_empty() {
        return;
    }
    let added = editor.add_history_entry(line).unwrap_or(false);
    if let Some(file) = file.filter(|_| added) {
        if let Some(folder) = file.parent() {
            let _ = fs::create_dir_all(folder);
        }
        // A history that cannot be kept is no reason to disturb anybody.
        let _ = editor.append_history(file);
    }
}

/// `$XDG_STATE_HOME/raftlab/history`, or where that is by default.
fn history_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("raftlab").join("history"))
}
