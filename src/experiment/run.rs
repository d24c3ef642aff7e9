//! A run under way: directives are executed when they are due, and a listener hears what happens.

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::{Receiver, after, select};

use super::bench::Bench;
use super::faults::TimedLine;
use super::nodes::Nodes;
use super::report::{FaultReport, LeaderReport};
use crate::cluster::{Leadership, LeadershipChange, LeadershipKind};
use crate::console::executor::{Console, fault_ends};
use crate::console::language;
use crate::console::printer::Output;
use crate::interrupt::Interrupt;
use crate::load::{Amount, Load, Row, Summary};
use crate::text::layout::stamp;
use crate::types::Time;

/// How often a listener hears how far the run is.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// News of a run, for its listener.
pub enum Progress<'a> {
    Row(&'a Row),
    Said(&'a str),
    /// The run is so far, of so much.
    Tick {
        /// Since the measured time began; zero before.
        elapsed: Duration,
        /// Until when it will go on, if a time was set.
        of: Option<Duration>,
    },
}

pub type Listener<'a> = &'a mut dyn FnMut(Progress<'_>);

pub(super) struct Run<'a, B> {
    pub console: Console<B>,
    /// Lines of the console that answer no directive.
    pub said: Output,
    pub leadership: Leadership,
    pub start: Time,
    pub faults: VecDeque<TimedLine>,
    pub done: Vec<(TimedLine, FaultReport)>,
    pub leaders: Vec<LeaderReport>,
    pub nodes: Nodes,
    /// What is under load, if it is no cluster of raftlab's.
    pub described: Option<String>,
    pub before: Option<Usage>,
    pub interrupted: bool,
    pub listener: Listener<'a>,
}

/// What was used of the network, the disks and the processor up to a moment.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    pub messages: Option<u64>,
    pub syncs: Option<u64>,
    pub cpu: Option<Duration>,
}

impl<B: Bench> Run<'_, B> {
    /// Executes directives when they are due, and passes on what happens, until the load has ended.
    pub(super) fn watch(&mut self, load: &Load, rows: &Receiver<Row>, interrupt: &Interrupt, amount: Amount) {
        let of = match amount {
            Amount::For(duration) => Some(duration),
            Amount::Count(_) | Amount::Unending => None,
        };
        loop {
            if interrupt.is_raised() && !self.interrupted {
                self.interrupted = true;
                load.stop();
            }
            self.do_what_is_due(load);
            let now = self.console.lab().now();
            (self.listener)(Progress::Tick { elapsed: now.since(self.start), of });
            let fault = self.faults.front().map(|line| self.start + line.at);
            let start = self.before.is_none().then_some(self.start);
            let next = [fault, start, self.console.next_undo(), Some(now + TICK)];
            let next = next.into_iter().flatten().min().unwrap_or(now);
            select! {
                recv(rows) -> row => match row {
                    Ok(row) => (self.listener)(Progress::Row(&row)),
                    Err(_) => break,
                },
                recv(load.ended()) -> _ => break,
                recv(interrupt.receiver()) -> _ => {}
                recv(after(next.since(now))) -> _ => {}
            }
        }
        rows.try_iter().for_each(|row| (self.listener)(Progress::Row(&row)));
        self.note_leaders();
    }

    fn do_what_is_due(&mut self, load: &Load) {
        let now = self.console.lab().now();
        if self.before.is_none() && now >= self.start {
            self.before = Some(self.used());
        }
        self.note_leaders();
        self.console.undo_due();
        for line in self.said.take_transcript().lines() {
            (self.listener)(Progress::Said(line));
        }
        while self.faults.front().is_some_and(|line| self.start + line.at <= now) && !self.interrupted {
            let Some(line) = self.faults.pop_front() else { return };
            let at = self.console.lab().now();
            load.mark(at);
            let at = at.since(self.start);
            let answer = self.console.execute(&line.line);
            let ok = matches!(answer.outcome, language::Outcome::Ok | language::Outcome::Refused);
            let directive = line.line.to_string();
            let text = if answer.text.is_empty() { "done".to_string() } else { answer.text };
            (self.listener)(Progress::Said(&format!("{} {directive}: {text}", stamp(at))));
            let at = at.as_secs_f64();
            let report = FaultReport { at, until: at, directive, answer: text, ok, outage: None };
            self.done.push((line, report));
        }
        self.note_leaders();
    }

    fn note_leaders(&mut self) {
        self.nodes.look(self.console.lab());
        let changes: Vec<LeadershipChange> = self.leadership.receiver().try_iter().collect();
        for change in changes {
            self.nodes.note(change);
            let LeadershipChange { kind, node, term, time } = change;
            // The leader at the beginning of the measured time is no change.
            if time < self.start {
                continue;
            }
            let text = match kind {
                LeadershipKind::Lost => format!("{node} no longer leads term {term}"),
                LeadershipKind::Gained | LeadershipKind::Changed { .. } => {
                    format!("{node} leads term {term}")
                }
            };
            let at = time.since(self.start);
            (self.listener)(Progress::Said(&format!("{} {text}", stamp(at))));
            self.leaders.push(LeaderReport { at: at.as_secs_f64(), text });
        }
    }

    pub(super) fn used(&mut self) -> Usage {
        let lab = self.console.lab_mut();
        Usage { messages: lab.messages_sent(), syncs: lab.disk_syncs(), cpu: lab.cpu() }
    }
}

/// Each fault with its end, and with the longest outage until the next.
pub(super) fn bands(done: Vec<(TimedLine, FaultReport)>, load: &Summary) -> Vec<FaultReport> {
    let lines: Vec<_> = done.iter().map(|(line, report)| (report.at, &line.line, report.ok)).collect();
    let ends = fault_ends(&lines, load.ended);
    let outages = load.outages_after.iter().copied();
    let with = |(((_, report), until), outage)| FaultReport { until, outage, ..report };
    done.into_iter().zip(ends).zip(outages).map(with).collect()
}
