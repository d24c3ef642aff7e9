//! What the line editor asks while a line is typed: the prompt's words, completions, hints. All from the language's own
//! lists and from what the session says of the cluster.
//!
//! A hint stays within its row, and a list of completions is printed above the line: the editor itself would draw a list
//! over a line or a hint of two rows.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::shown::Shown;
use crate::console::executor::LANGUAGE;
use crate::console::language::Names;
use crate::console::terminal;
use crate::text::layout::{cut, listed, width};
use crate::text::painted;

/// Completions that are listed at most.
const CHOICES_MAX: usize = 100;

/// A hint that has fewer columns than this is not worth a glance.
const HINT_COLUMNS_MIN: usize = 8;

pub(super) struct Assistant {
    shown: Arc<Shown>,
    color: bool,
    names: Names,
    /// The columns of the prompt.
    prompt: usize,
    empty: Cell<bool>,
}

/// What is shown dimmed behind the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Suggestion {
    shown: String,
    /// The right arrow takes it over: it is the rest of a word, not a description of what is wanted.
    taken: bool,
}

impl Assistant {
    pub(super) fn new(shown: Arc<Shown>, color: bool) -> Assistant {
        Assistant { shown, color, names: Names::default(), prompt: 0, empty: Cell::new(true) }
    }

    /// Prepares for a line. Gives the prompt.
    pub(super) fn begin(&mut self, names: Names) -> String {
        let prompt = self.shown.standing().text();
        self.names = names;
        self.prompt = width(&prompt);
        self.empty.set(true);
        prompt
    }

    /// Whether nothing is typed.
    pub(super) fn is_empty(&self) -> bool {
        self.empty.get()
    }
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
        let begun = line.get(start..position).unwrap_or_default();
        let replaced = match offered.as_slice() {
            [] => return Ok((start, Vec::new())),
            [only] if position == line.len() => spaced(only),
            [only] => only.clone(),
            several => {
                let common = common_beginning(several);
                if common.len() > begun.len() {
                    common
                } else {
                    let list = listed(several, terminal::columns(), CHOICES_MAX).join("\n");
                    self.shown.print(&format!("{list}\n"));
                    begun.to_string()
                }
            }
        };
        Ok((start, vec![replaced]))
    }
}

impl Hinter for Assistant {
    type Hint = Suggestion;

    /// Also how it knows what stands on the line: the editor asks at each change.
    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<Suggestion> {
        self.shown.open();
        self.empty.set(line.is_empty());
        // Without colors it could not be told from what was typed; lines that were pasted are whole.
        if position < line.len() || !self.color || line.contains('\n') {
            return None;
        }
        suggestion(line, self.prompt, terminal::columns())
    }
}

impl Highlighter for Assistant {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        let (above, standing) = self.shown.drawn();
        // While the history is searched, the editor has a prompt of its own.
        let words = if default { standing.within(width(prompt)) } else { prompt.to_string() };
        Cow::Owned(above + &words)
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(painted(hint, "2"))
    }
}

impl Validator for Assistant {}

impl Helper for Assistant {}

impl Hint for Suggestion {
    fn display(&self) -> &str {
        &self.shown
    }

    fn completion(&self) -> Option<&str> {
        self.taken.then_some(self.shown.as_str())
    }
}

/// What the line still wants, cut to what is left of the row behind it.
fn suggestion(line: &str, prompt: usize, columns: usize) -> Option<Suggestion> {
    let hint = LANGUAGE.hint(line)?;
    let taken = !line.ends_with(char::is_whitespace) && !hint.starts_with(' ');
    // The last column stays free: a full row would end in a new one.
    let room = columns.saturating_sub((prompt + width(line)) % columns + 1);
    if width(&hint) <= room {
        return Some(Suggestion { shown: hint, taken });
    }
    (room >= HINT_COLUMNS_MIN && !taken).then(|| Suggestion { shown: cut(&hint, room), taken: false })
}

/// A word that is the only one and whole has a space behind it, so that the next can be typed at once.
fn spaced(only: &str) -> String {
    if only.ends_with(['>', ',']) { only.to_string() } else { format!("{only} ") }
}

/// What all of these begin with.
fn common_beginning(words: &[String]) -> String {
    let Some((first, rest)) = words.split_first() else { return String::new() };
    let shared =
        |word: &String| first.chars().zip(word.chars()).take_while(|(one, other)| one == other).count();
    let letters = rest.iter().map(shared).min().unwrap_or(usize::MAX);
    first.chars().take(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_word_is_followed_by_a_space_when_it_is_whole() {
        assert_eq!(spaced("create"), "create ");
        assert_eq!(spaced("n1>"), "n1>", "a link wants its other end");
    }

    #[test]
    fn words_share_a_beginning_letter_by_letter() {
        let common =
            |words: &[&str]| common_beginning(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(common(&["crash", "create"]), "cr");
        assert_eq!(common(&["größe", "grün"]), "gr");
        assert_eq!(common(&["stop", "stop"]), "stop");
        assert_eq!(common(&["a", "b"]), "");
    }

    #[test]
    fn a_hint_stays_within_its_row() {
        let shown = |line: &str, columns| suggestion(line, 27, columns).map(|hint| hint.shown);
        let whole = shown("partition ", 120).expect("a partition wants groups");
        assert!(whole.starts_with("TARGET / ") && !whole.ends_with("..."), "{whole}");
        let cut = shown("partition ", 60).expect("there is room for a part");
        assert!(whole.starts_with(cut.trim_end_matches("...")) && cut.ends_with("..."), "{cut}");
        assert_eq!(27 + "partition ".len() + cut.len(), 59, "the last column stays free");
        assert_eq!(shown("partition ", 40), None, "too narrow");
        assert_eq!(shown(&format!("create {}", "k".repeat(20)), 60), None, "the row is nearly full");
        assert!(
            shown(&format!("create {} ", "k".repeat(40)), 60).is_some(),
            "in the second row there is room"
        );
    }

    #[test]
    fn the_right_arrow_takes_the_rest_of_a_verb_and_no_description() {
        assert_eq!(suggestion("cras", 27, 80), Some(Suggestion { shown: "h".to_string(), taken: true }));
        assert!(suggestion("crash ", 27, 80).is_some_and(|hint| !hint.taken));
        assert!(suggestion("crash", 27, 80).is_some_and(|hint| !hint.taken));
    }
}
