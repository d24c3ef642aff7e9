//! What explains something: the events that led to it, each with its time and section, and what follows from them.

use serde_json::{Value, json};

use crate::console::language::Answer;
use crate::text::layout::{duration_shown, width};
use crate::trace::{Moment, Remembered, TraceEvent};
use crate::types::Time;

/// Events that are shown at most: the first and the last of them.
const SHOWN_MAX: usize = 40;

/// An explanation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Story {
    /// What it is about.
    pub head: String,
    pub rows: Vec<Row>,
    /// What follows, a sentence each.
    pub end: Vec<String>,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub time: Time,
    pub text: String,
    pub section: Option<&'static str>,
}

impl Row {
    pub fn of(event: &TraceEvent) -> Row {
        Row { time: event.time, text: event.sentence(), section: event.section() }
    }
}

impl Story {
    pub fn about(head: String) -> Story {
        Story { head, ..Story::default() }
    }

    pub fn add(&mut self, event: &TraceEvent) {
        self.rows.push(Row::of(event));
    }

    pub fn say(&mut self, sentence: String) {
        self.end.push(sentence);
    }

    /// Says where the memory begins, if what is asked for may be older.
    pub fn say_memory(&mut self, known: &Remembered) {
        if known.since > known.began {
            let since = known.since - known.began.since(Time::ZERO);
            self.say(format!("of what happened to entries before {since} s, not all is kept"));
        } else if known.since > Time::ZERO {
            self.say("of what happened to entries before this console, not all is kept".to_string());
        }
    }

    /// Rows have the console's time, unless some of them are older.
    fn count_times(&mut self, began: Time) {
        let before = began.since(Time::ZERO);
        if self.rows.iter().any(|row| row.time < began) {
            self.say(format!("these times count from {} before this console began", duration_shown(before)));
        } else {
            for row in &mut self.rows {
                row.time = row.time - before;
            }
        }
    }

    /// The explanation as text and as JSON.
    pub fn answer(mut self, known: &Remembered) -> Answer {
        self.count_times(known.began);
        self.rows.sort_by_key(|row| row.time);
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| json!({"t": row.time.as_micros(), "text": row.text, "section": row.section}))
            .collect();
        let mut lines = vec![self.head.clone()];
        lines.extend(self.shown_rows());
        lines.extend(self.end.iter().cloned());
        Answer::ok("why", lines.join("\n"))
            .with("about", self.head)
            .with("events", rows)
            .with("because", self.end)
    }

    fn shown_rows(&self) -> Vec<String> {
        let left_out = self.rows.len().saturating_sub(SHOWN_MAX);
        let half = SHOWN_MAX / 2;
        let kept = |at: &usize| left_out == 0 || *at < half || *at >= half + left_out;
        let longest =
            self.rows.iter().enumerate().filter(|(at, _)| kept(at)).map(|(_, row)| width(&row.text)).max();
        let mut shown = Vec::new();
        for (at, Row { time, text, section }) in self.rows.iter().enumerate() {
            if left_out > 0 && at == half {
                shown.push(format!("  ... {left_out} more ..."));
            }
            if kept(&at) {
                let space = longest.unwrap_or(0) - width(text);
                let section = section.map_or(String::new(), |section| format!("{:space$}  {section}", ""));
                shown.push(format!("  {time} {text}{section}"));
            }
        }
        shown
    }
}

/// The events of these moments that fit.
pub fn fitting<'a>(
    moments: &'a [Moment],
    fits: impl Fn(&TraceEvent) -> bool + 'a,
) -> impl Iterator<Item = &'a TraceEvent> {
    moments.iter().map(|moment| &moment.event).filter(move |event| fits(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_console_has_times_of_its_own() {
        let at = |millis: u64| Time::from_nanos(millis * 1_000_000);
        let told = |time| {
            let mut story = Story::about(String::new());
            story.rows.push(Row { time, text: "n1 leads term 1".to_string(), section: None });
            story.answer(&Remembered { began: at(9_000), ..Remembered::default() }).text
        };
        assert_eq!(told(at(9_250)), "\n  0.250000 n1 leads term 1");
        let older = "\n  8.750000 n1 leads term 1\nthese times count from 9 s before this console began";
        assert_eq!(told(at(8_750)), older);
    }
}
