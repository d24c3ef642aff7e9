//! What was executed, and when: `save-script` makes a script of it that does the same at the same times.
//!
//! In virtual time the script of a run repeats it exactly. So lines stand as they were typed: `leader` means the same node
//! again. Chaos is not drawn again; its faults stand as plain lines, and those that came while a directive waited as
//! `after 1.2s crash n2 for 1s`. Between lines stands the time that a person took. On threads the same lines come at the
//! same times; who leads then is another matter.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::Console;
use super::chaos::Draw;
use super::condition::expected_of;
use super::rows::{Row, Run, verb};
use super::script::is_about_answer;
use super::slots::{FILE, FOLLOW, OVERWRITE, WATCH};
use crate::console::language::{Answer, Directive, Outcome, Topic, form};
use crate::console::options::{cannot_write, create};
use crate::quoting::{shell_word, word};
use crate::text::counted;
use crate::text::units::duration_text;
use crate::types::Time;

pub(super) const VERBS: &[Row<Run>] = &[verb(
    form("save-script", Topic::Session, &[FILE, OVERWRITE])
        .does("writes what was done so far to a file, for 'run' to repeat", "save-script session.raft"),
    Console::save_script,
)];

/// Lines that are kept at most.
const KEPT_MAX: usize = 20_000;

/// Pauses below this are a program's, not a person's.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Lines of a script that say what is not done again by itself.
const HEAD: &str = "\
# Lines stand as they were typed, and 'sleep' is the time between them. In virtual time they come out the same again.
# On threads a word such as leader means the node that leads then; faults that chaos drew name theirs.";

#[derive(Clone, Debug, Default)]
pub(super) struct Rerun {
    notes: Vec<Note>,
    /// Lines that came after those that are kept.
    beyond: usize,
}

#[derive(Clone, Debug)]
struct Note {
    at: Time,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// A line, with its end and what came of it once it has ended.
    Line {
        line: Directive,
        ended: Option<Ended>,
    },
    Drawn(Draw),
}

/// The end of a line, and what came of it.
#[derive(Clone, Copy, Debug)]
struct Ended {
    at: Time,
    outcome: Outcome,
    expected: &'static str,
    /// A person ended it.
    interrupted: bool,
}

/// Where the end of a line is to be noted; none when the line is not kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun(Option<usize>);

impl Rerun {
    /// Notes that a line begins.
    pub(super) fn begin(&mut self, at: Time, line: &Directive) -> Begun {
        let place = self.notes.len();
        Begun(self.push(Note { at, what: What::Line { line: line.clone(), ended: None } }).then_some(place))
    }

    pub(super) fn end(&mut self, begun: Begun, at: Time, answer: &Answer, interrupted: bool) {
        let note = begun.0.and_then(|place| self.notes.get_mut(place));
        if let Some(Note { what: What::Line { ended, .. }, .. }) = note {
            *ended = Some(Ended { at, outcome: answer.outcome, expected: expected_of(answer), interrupted });
        }
    }

    /// Notes each line that has not ended as if it had ended where it began. A run that is made again notes a script so.
    pub(super) fn end_all(&mut self) {
        for note in &mut self.notes {
            if let Note { at, what: What::Line { line, ended: ended @ None } } = note {
                let answer = Answer::ok(line.name(), "");
                let (outcome, expected) = (answer.outcome, expected_of(&answer));
                *ended = Some(Ended { at: *at, outcome, expected, interrupted: false });
            }
        }
    }

    pub(super) fn note_drawn(&mut self, at: Time, drawn: Draw) {
        self.push(Note { at, what: What::Drawn(drawn) });
    }

    /// What chaos drew lasts until now at most.
    pub(super) fn cut_short(&mut self, now: Time) {
        for note in &mut self.notes {
            if let What::Drawn(drawn) = &mut note.what {
                drawn.span = drawn.span.min(now.since(note.at));
            }
        }
    }

    fn push(&mut self, note: Note) -> bool {
        let kept = self.notes.len() < KEPT_MAX;
        if kept {
            self.notes.push(note);
        } else {
            self.beyond += 1;
        }
        kept
    }

    /// The script, with times in whole grains.
    fn script(&self, grain: Duration) -> Vec<String> {
        let clock = self.notes.first().map_or(Time::ZERO, |note| note.at);
        let mut script = Writer { lines: Vec::new(), clock, grain };
        let mut rest = self.notes.as_slice();
        while let Some((note, behind)) = rest.split_first() {
            rest = match &note.what {
                What::Line { line, ended: Some(ended) } => script.line(note.at, line, *ended, behind),
                // What has not ended is what asks, or the script that does.
                What::Line { ended: None, .. } => behind,
                What::Drawn(drawn) => {
                    script.pause(note.at);
                    script.drawn(drawn, "");
                    behind
                }
            };
        }
        script.lines
    }
}

/// The script so far, and the time that has passed when its last line ends.
struct Writer {
    lines: Vec<String>,
    clock: Time,
    grain: Duration,
}

impl Writer {
    /// Writes a line and what chaos drew while it ran; what is left to write.
    fn line<'a>(&mut self, at: Time, line: &Directive, ended: Ended, behind: &'a [Note]) -> &'a [Note] {
        match line.name() {
            "save-script" | "scenario" | "history" | "help" | "clear" | "quit" => return behind,
            _ if line.has(&WATCH) || line.has(&FOLLOW) => return behind,
            // The lines and faults themselves stand below.
            "run" | "chaos" => {
                self.lines.push(format!("# {line}"));
                return behind;
            }
            _ => {}
        }
        let next = behind.iter().find_map(|note| match &note.what {
            What::Line { line, ended: Some(ended) } => Some((line, ended.outcome)),
            _ => None,
        });
        let forgiven = next.is_some_and(|(line, outcome)| is_about_answer(line) && outcome == Outcome::Ok);
        let failed = ended.outcome == Outcome::Failed;
        if failed && (ended.interrupted || is_about_answer(line)) {
            self.lines.push(format!("# failed: {line}"));
            return behind;
        }
        if is_about_answer(line) {
            // Nothing comes between it and the line whose answer it is about: the pause follows.
            self.lines.push(line.to_string());
            return behind;
        }
        self.pause(at);
        let within = |note: &&Note| matches!(note.what, What::Drawn(_)) && note.at <= ended.at;
        let (within, behind) = behind.split_at(behind.iter().take_while(within).count());
        for note in within {
            let What::Drawn(drawn) = &note.what else { continue };
            let after = note.at.since(at);
            self.drawn(
                drawn,
                &if after.is_zero() {
                    String::new()
                } else {
                    format!("after {} ", duration_text(self.whole(after)))
                },
            );
        }
        self.lines.push(line.to_string());
        // What failed may have drawn chance, or done a part.
        let expected = ended.outcome == Outcome::Unknown || (failed && line.name() != "check");
        if expected && !forgiven {
            self.lines.push(format!("expect {}", ended.expected));
        }
        self.clock = ended.at;
        behind
    }

    /// A fault; one that was ended at once was none.
    fn drawn(&mut self, drawn: &Draw, after: &str) {
        let mut drawn = drawn.clone();
        drawn.span = self.whole(drawn.span);
        if !drawn.span.is_zero() {
            self.lines.push(format!("{after}{drawn}"));
        }
    }

    fn whole(&self, duration: Duration) -> Duration {
        let rest = duration.as_nanos() % self.grain.as_nanos();
        duration.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or_default()))
    }

    fn pause(&mut self, until: Time) {
        let pause = until.since(self.clock);
        if pause >= PAUSE_MIN {
            self.lines.push(format!("sleep {}", duration_text(self.whole(pause))));
        }
        self.clock = self.clock.max(until);
    }
}

impl Console {
    fn save_script(&mut self, line: &Directive) -> Answer {
        let file: &String = line.need(&FILE);
        // Virtual time, in which nothing counts syncs, is repeated to the nanosecond.
        let grain = if self.lab.disk_syncs().is_some() { PAUSE_MIN } else { Duration::from_nanos(1) };
        let lines = self.course.rerun.script(grain);
        let count = lines.iter().filter(|line| !line.starts_with('#')).count();
        let written = write(Path::new(file), &self.script_text(file, &lines), line.has(&OVERWRITE));
        if let Err(reason) = written {
            return Answer::failed("save-script", reason);
        }
        let missing = match self.course.rerun.beyond {
            0 => String::new(),
            beyond => format!("; {} later were not kept", counted(beyond, "line")),
        };
        let (count_shown, name) = (counted(count, "line"), word(file));
        let text = format!("{file} written, {count_shown}{missing}: 'run {name}' does the same again");
        Answer::ok("save-script", text).with("file", file.as_str()).with("lines", count)
    }

    fn script_text(&self, file: &str, lines: &[String]) -> String {
        let file = shell_word(file);
        let again =
            self.context.again.as_ref().map_or(String::new(), |again| format!(": {again} --script {file}"));
        let (now, seed) = (self.lab.now(), self.lab.seed());
        let head = format!("# A run with seed {seed}, saved after {now} s{again}");
        let mut text = [head.as_str(), HEAD, ""].join("\n");
        for line in lines {
            text.push('\n');
            text.push_str(line);
        }
        text.push('\n');
        text
    }
}

fn write(path: &Path, text: &str, overwrite: bool) -> Result<(), String> {
    let mut file = create(path, overwrite)?;
    file.write_all(text.as_bytes()).map_err(|error| cannot_write(path, &error))
}
