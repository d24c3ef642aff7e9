//! Where the console's words go: answers to standard output, narration and warnings to standard error, or all of it,
//! in order, into one transcript.
//!
//! This is the only place of the library that writes to the terminal. A reader who goes away ends the output, never
//! the program: [`Output::is_gone`] tells.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use clap::ValueEnum;
use parking_lot::Mutex;

use super::drawn::Drawn;
use super::language::Answer;
use super::terminal::{self, Quiet};
use crate::quoting::visible;
use crate::text::painted;

/// When to use colors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or the terminal is a dumb one.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How answers look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for apart")]
pub struct Style {
    /// One JSON object a directive, instead of text.
    pub json: bool,
    /// Colors, besides the words that say the same.
    pub color: bool,
    /// Directives and narration stand among the answers, so that the output is a transcript.
    pub transcript: bool,
    /// The lines of a script stand before their answers.
    pub echo: bool,
}

/// Where words go. Clones share it.
#[derive(Clone)]
pub struct Output(Arc<Shared>);

/// Writes a text above the prompt's line without tearing it.
pub type AbovePrompt = Box<dyn Fn(&str) + Send>;

/// The first row, and nothing on the screen or above it.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

struct Shared {
    style: Style,
    sink: Mutex<Sink>,
}

enum Sink {
    Standard(Standard),
    Memory(String),
    Nowhere,
}

#[derive(Default)]
struct Standard {
    above_prompt: Option<AbovePrompt>,
    /// What stands in place below all else, and is drawn again when something is written.
    drawn: Option<Drawn>,
    /// The reader of standard output has gone.
    gone: bool,
}

/// While this lives, a picture stands below all else that is written. Then it stays as it is.
#[derive(Debug)]
pub struct Drawing {
    output: Output,
    _quiet: Quiet,
}

impl ColorChoice {
    /// Whether to color what goes to standard output.
    pub fn resolve(self) -> bool {
        match self {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                terminal::draws() && !refused
            }
        }
    }
}

impl Output {
    /// To standard output and standard error.
    pub fn standard(style: Style) -> Output {
        Output::new(style, Sink::Standard(Standard::default()))
    }

    /// Into memory, as one text.
    pub fn memory(style: Style) -> Output {
        Output::new(style, Sink::Memory(String::new()))
    }

    /// Nowhere: what is done again has been told before.
    pub fn nowhere(style: Style) -> Output {
        Output::new(style, Sink::Nowhere)
    }

    fn new(style: Style, sink: Sink) -> Output {
        Output(Arc::new(Shared { style, sink: Mutex::new(sink) }))
    }

    /// How answers look.
    pub fn style(&self) -> Style {
        self.0.style
    }

    /// From now on, narration goes above the prompt's line.
    pub fn attach_prompt(&self, printer: AbovePrompt) {
        if let Sink::Standard(standard) = &mut *self.0.sink.lock() {
            standard.above_prompt = Some(printer);
        }
    }

    /// There is no prompt any more.
    pub fn detach_prompt(&self) {
        if let Sink::Standard(standard) = &mut *self.0.sink.lock() {
            standard.above_prompt = None;
        }
    }

    /// Clears the screen, where there is one.
    pub fn clear_screen(&self) {
        if let Sink::Standard(standard) = &mut *self.0.sink.lock()
            && terminal::draws()
        {
            standard.write(CLEAR);
        }
    }

    /// Begins a picture that is drawn again in place, where that can be done.
    pub fn drawing(&self) -> Option<Drawing> {
        let draws = matches!(&*self.0.sink.lock(), Sink::Standard(_)) && terminal::draws();
        draws.then(|| Drawing { output: self.clone(), _quiet: Quiet::begin() })
    }

    /// A directive's answer. Silent in text when there is nothing to say.
    pub fn answer(&self, answer: &Answer) {
        if self.0.style.json {
            self.write_out(&answer.json());
        } else if !answer.text.is_empty() {
            self.write_out(&self.marked(&answer.text));
        }
    }

    /// A directive, before its answer: in a transcript, and where lines that no person typed are echoed.
    pub fn directive(&self, text: &str, typed: bool) {
        let Style { json, transcript, echo, .. } = self.0.style;
        if !json && (transcript || (echo && !typed)) {
            self.write_out(&format!("> {text}"));
        }
    }

    /// A directive that came from a window: the terminal shows it, in a transcript or not.
    pub fn echo(&self, text: &str) {
        if !self.0.style.json {
            self.write_out(&format!("> {text}"));
        }
    }

    /// A line of what a running directive has to tell, such as a log that is followed.
    pub fn progress(&self, text: &str) {
        if self.0.style.json { self.write_beside(text) } else { self.write_out(text) }
    }

    /// Something that happened, unasked.
    pub fn narrate(&self, text: &str) {
        let style = self.0.style;
        let text = visible_lines(text);
        let line = if style.color { painted(&text, "2") } else { text };
        if style.transcript && !style.json { self.write_out(&line) } else { self.write_beside(&line) }
    }

    /// A warning, or why the program ends. Never part of the answers.
    pub fn warn(&self, text: &str) {
        self.write_beside(&visible_lines(text));
    }

    /// Whether the reader of the answers has gone.
    pub fn is_gone(&self) -> bool {
        matches!(&*self.0.sink.lock(), Sink::Standard(Standard { gone: true, .. }))
    }

    /// What was written to memory since this was last asked.
    pub fn take_transcript(&self) -> String {
        match &mut *self.0.sink.lock() {
            Sink::Memory(text) => std::mem::take(text),
            Sink::Standard(_) | Sink::Nowhere => String::new(),
        }
    }

    fn write_out(&self, text: &str) {
        self.write(text, Standard::write);
    }

    fn write_beside(&self, text: &str) {
        self.write(text, Standard::write_beside);
    }

    fn write(&self, text: &str, to: fn(&mut Standard, &str)) {
        let text = format!("{text}\n");
        match &mut *self.0.sink.lock() {
            Sink::Memory(transcript) => transcript.push_str(&text),
            Sink::Nowhere => {}
            Sink::Standard(standard) => standard.above_picture(|standard| to(standard, &text)),
        }
    }

    /// The words that say how it went, in the color that says it too.
    fn marked(&self, text: &str) -> String {
        if !self.0.style.color {
            return text.to_string();
        }
        let marked = text.lines().map(|line| {
            let Some((word, color)) = MARKS.iter().find(|(word, _)| begins_with_word(line, word)) else {
                return line.to_string();
            };
            painted(word, color) + &line[word.len()..]
        });
        let lines: Vec<String> = marked.collect();
        lines.join("\n")
    }
}

impl Standard {
    fn write(&mut self, text: &str) {
        if let Some(print) = &self.above_prompt {
            // A line may be edited: a window can ask meanwhile. A terminal that is gone ends the session by its input.
            return print(text);
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        self.gone |= written.is_err();
    }

    fn write_beside(&mut self, text: &str) {
        match &self.above_prompt {
            Some(print) => print(text),
            // There is nowhere left to say that standard error is gone.
            None => drop(io::stderr().lock().write_all(text.as_bytes())),
        }
    }

    /// Writes while the picture is away, and draws it below.
    fn above_picture(&mut self, write: impl FnOnce(&mut Standard)) {
        let Some(drawn) = self.drawn.take() else { return write(self) };
        self.write(&drawn.erased());
        write(self);
        self.write(drawn.text());
        self.drawn = Some(drawn);
    }
}

impl Drawing {
    /// Draws this in place of what is there.
    pub fn show(&self, text: &str) {
        if let Sink::Standard(standard) = &mut *self.output.0.sink.lock() {
            let erased = standard.drawn.take().map_or_else(String::new, |drawn| drawn.erased());
            let drawn = Drawn::new(text, terminal::columns(), terminal::rows());
            standard.write(&(erased + drawn.text()));
            standard.drawn = Some(drawn);
        }
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        if let Sink::Standard(standard) = &mut *self.output.0.sink.lock() {
            standard.drawn = None;
        }
    }
}

/// What begins a line, and its color.
const MARKS: &[(&str, &str)] = &[
    ("OK", "32"),
    ("PASS", "32"),
    ("ERR", "31"),
    ("FAIL", "31;1"),
    ("UNKNOWN", "33"),
    ("UNDECIDED", "33"),
    ("NODE", "1"),
];

/// Escapes control characters, line by line: the text may repeat the words of a file or a client.
fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

fn begins_with_word(line: &str, word: &str) -> bool {
    line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("style", &self.0.style).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_holds_directives_narration_and_answers_in_order() {
        let output = Output::memory(Style { transcript: true, ..Style::default() });
        output.directive("crash n2", false);
        output.narrate("[0.100] n3 leads term 2");
        output.answer(&Answer::ok("crash", "n2 crashed"));
        output.answer(&Answer::ok("heal", ""));
        assert_eq!(output.take_transcript(), "> crash n2\n[0.100] n3 leads term 2\nn2 crashed\n");
    }

    #[test]
    fn an_echo_repeats_what_no_one_typed() {
        let output = Output::memory(Style { echo: true, ..Style::default() });
        output.directive("crash n2", false);
        output.directive("heal", true);
        assert_eq!(output.take_transcript(), "> crash n2\n");
    }

    #[test]
    fn json_is_one_object_a_directive_with_any_text() {
        let output = Output::memory(Style { json: true, ..Style::default() });
        output.directive("heal", false);
        output.answer(&Answer::ok("heal", ""));
        assert_eq!(output.take_transcript(), "{\"v\":1,\"directive\":\"heal\",\"ok\":true}\n");
    }

    #[test]
    fn color_adds_nothing_that_words_do_not_say() {
        let output = Output::memory(Style { color: true, ..Style::default() });
        output.answer(&Answer::failed("crash", "there is no n9"));
        assert_eq!(output.take_transcript(), "\x1b[31mERR\x1b[0m there is no n9\n");
        output.answer(&Answer::ok("echo", "OKAY"));
        assert_eq!(output.take_transcript(), "OKAY\n", "a word that only begins alike is none");
    }
}
