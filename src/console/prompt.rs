//! The prompt: a line editor with completion, hints and history, in a thread of its own.
//!
//! The editor asks for one line at a time, when it is told to, so that the prompt's words are those of the moment.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, ExternalPrinter, Helper};

use super::executor::LANGUAGE;
use super::language::Names;
use super::printer::AbovePrompt;
use super::terminal;
use crate::text::painted;

const HISTORY_MAX: usize = 1_000;

/// What a person did at the prompt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Typed {
    Line(String),
    /// Cleared the line (Ctrl-C).
    Nothing,
    /// Closed the session (Ctrl-D).
    End,
}

pub struct Prompt {
    asks: Sender<(String, Names)>,
    typed: Receiver<Typed>,
    printer: Mutex<Option<AbovePrompt>>,
}

impl Prompt {
    /// A prompt at this terminal.
    ///
    /// # Errors
    /// Why the terminal cannot be used.
    pub fn open(color: bool) -> Result<Prompt, String> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY_MAX)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(|error| error.to_string())?
            .history_ignore_space(true)
            .build();
        let mut editor: Editor<Assistant, FileHistory> =
            Editor::with_config(config).map_err(|error| error.to_string())?;
        editor.set_helper(Some(Assistant { names: Names::default(), color }));
        let printer = editor.create_external_printer().ok().map(|mut printer| {
            let print = move |text: String| printer.print(text).map_err(io::Error::other);
            Box::new(print) as AbovePrompt
        });
        terminal::remember();
        let (asks, asked) = bounded::<(String, Names)>(1);
        let (sender, typed) = unbounded();
        let edit = move || edit_lines(editor, &asked, &sender);
        thread::Builder::new().name("prompt".to_string()).spawn(edit).map_err(|error| error.to_string())?;
        Ok(Prompt { asks, typed, printer: Mutex::new(printer) })
    }

    /// Asks for a line with this prompt; what came of it arrives at [`Prompt::typed`].
    pub fn ask(&self, prompt: String, names: Names) {
        // An editor that is gone has closed the other channel, and that is what is looked at.
        let _ = self.asks.send((prompt, names));
    }

    pub fn typed(&self) -> &Receiver<Typed> {
        &self.typed
    }

    pub fn printer(&self) -> Option<AbovePrompt> {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompt").finish_non_exhaustive()
    }
}

fn edit_lines(
    mut editor: Editor<Assistant, FileHistory>,
    asked: &Receiver<(String, Names)>,
    typed: &Sender<Typed>,
) {
    let file = history_file();
    if let Some(file) = &file {
        // The first session has no history yet.
        let _ = editor.load_history(file);
    }
    for (prompt, names) in asked {
        if let Some(assistant) = editor.helper_mut() {
            assistant.names = names;
        }
        let came = match editor.readline(&prompt) {
            Ok(line) => {
                keep(&mut editor, file.as_deref(), &line);
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Typed::Nothing,
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

/// A word that is the only one and whole has a space behind it, so that the next can be typed at once.
fn with_space(mut offered: Vec<String>) -> Vec<String> {
    if let [only] = offered.as_mut_slice()
        && !only.ends_with(['>', ','])
    {
        only.push(' ');
    }
    offered
}

/// Completion and hints from the language's own lists.
struct Assistant {
    names: Names,
    color: bool,
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, offered) = LANGUAGE.complete(line, position, &self.names);
        Ok((start, if position == line.len() { with_space(offered) } else { offered }))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<String> {
        if position == line.len() && self.color { LANGUAGE.hint(line) } else { None }
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(painted(hint, "2"))
    }
}

impl Validator for Assistant {}

impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_word_is_followed_by_a_space_when_it_is_whole() {
        let spaced = |words: &[&str]| with_space(words.iter().map(ToString::to_string).collect());
        assert_eq!(spaced(&["create"]), ["create "]);
        assert_eq!(spaced(&["n1>"]), ["n1>"], "a link wants its other end");
        assert_eq!(spaced(&["crash", "create"]), ["crash", "create"], "a choice is left");
    }
}
