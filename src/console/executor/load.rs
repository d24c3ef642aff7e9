//! `load`: many clients at once, while the console waits or beside it.

use std::time::Duration;

use super::rows::{Row as VerbRow, Run, verb};
use super::slots::{BACKGROUND, BATCH, CLIENTS, FOR, RATE, READS, STOP};
use super::{Console, worse};
use crate::console::language::{Answer, Directive, Outcome, Topic, form};
use crate::load::{Amount, Event, Load, Plan, Row, Summary, WorkloadSettings, judge};
use crate::text::layout::duration_shown;
use crate::types::Time;

pub(super) const VERBS: &[VerbRow<Run>] = &[verb(
    form("load", Topic::Data, &[STOP, RATE, CLIENTS, BATCH, FOR, READS, BACKGROUND])
        .does(
            "many clients at once, measured; & runs it beside the console",
            "load --clients 8 --duration 2s",
        )
        .shows("5.3, D 10.2: what a leader can commit, and how long each command takes"),
    Console::load,
)];

const CLIENT_COUNT: usize = 4;

const LENGTH: Duration = Duration::from_secs(10);

/// How long the console waits at a time for a load that has its attention.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the keys of loads begin with: `load1-17` is a key of the first.
const PREFIX: &str = "load";

#[derive(Debug, Default)]
pub(super) struct Loads {
    count: u64,
    /// The one beside the console: it runs, or has ended and was not looked at.
    beside: Option<Load>,
    /// When the measured time of the last one that was looked at began, and what came of it.
    last: Option<(Time, Summary)>,
}

impl Loads {
    /// The last load whose results were shown, with the time at which its measured time began.
    pub(super) fn last(&self) -> Option<(Time, &Summary)> {
        self.last.as_ref().map(|(start, summary)| (*start, summary))
    }

    pub(super) fn is_running(&self) -> bool {
        self.beside.as_ref().is_some_and(|load| !load.is_over())
    }

    /// Whether this is a key of a load of this session.
    pub(super) fn writes(&self, key: &str) -> bool {
        let number = key.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
        number
            .and_then(|(number, _)| number.parse().ok())
            .is_some_and(|number| (1..=self.count).contains(&number))
    }
}

impl Console {
    /// What the keys of the next load begin with: no other load writes them.
    fn prefix(&self) -> String {
        let number = self.loads.count + 1;
        let console = if self.lab.others_write() {
            format!("{:06x}-", self.lab.seed() & 0xff_ffff)
        } else {
            String::new()
        };
        format!("{PREFIX}{number}-{console}")
    }

    /// Runs a load to its end, begins one beside the console, or ends that one.
    fn load(&mut self, line: &Directive) -> Answer {
        match (line.has(&STOP), line.values().count()) {
            (true, 1) => self.stop_load(),
            (true, _) => Answer::failed("load", "'load stop' takes nothing more"),
            (false, _) => self.start_load(line),
        }
    }

    fn start_load(&mut self, line: &Directive) -> Answer {
        if self.loads.is_running() {
            return Answer::failed("load", "a load runs already: 'load stop' ends it");
        }
        let plan = self.plan(line);
        if let Err(reason) = plan.validate() {
            return Answer::failed("load", reason);
        }
        let pipelines = (0..plan.clients).map(|_| self.lab.pipeline()).collect::<Result<Vec<_>, _>>();
        let pipelines = match pipelines {
            Ok(pipelines) => pipelines,
            Err(error) => return Answer::failed("load", error.with_advice()),
        };
        self.loads.count += 1;
        let (output, beside) = (self.output.clone(), line.has(&BACKGROUND));
        let say = move |text: &str| if beside { output.narrate(text) } else { output.progress(text) };
        say(&Row::header());
        let on_event = move |event: Event<'_>| match event {
            Event::Row(row) => say(&row.to_string()),
            Event::Ended if beside => say("the load has ended: 'load stop' shows what came of it"),
            Event::Ended => {}
        };
        let load = match Load::start(&plan, pipelines, None, on_event) {
            Ok(load) => load,
            Err(error) => {
                return Answer::failed("load", format!("a client's thread cannot be started: {error}"));
            }
        };
        if beside {
            self.loads.beside = Some(load);
            return Answer::ok("load", "the load runs: 'load stop' ends it and shows what came of it");
        }
        while !load.is_over() {
            let until = self.lab.now() + PATIENCE;
            self.wait_until(until, |_| load.is_over());
            if self.lab.interrupted() {
                load.stop();
                break;
            }
        }
        self.summary(load)
    }

    /// Ends the load beside the console and says what came of it.
    fn stop_load(&mut self) -> Answer {
        match self.loads.beside.take() {
            None => Answer::failed("load", "no load runs: 'load &' begins one"),
            Some(load) => {
                load.stop();
                self.summary(load)
            }
        }
    }

    /// Ends the load beside the console with the session, and says what came of it; none when none was begun.
    pub fn end_load(&mut self) -> Option<Answer> {
        self.loads.beside.is_some().then(|| self.stop_load())
    }

    /// What Ctrl-C says when it has nothing to end.
    pub fn how_to_leave(&self) -> String {
        let runs = self.loads.beside.as_ref().is_some_and(|load| !load.is_over());
        let load = if runs { "the load runs on ('load stop' ends it); " } else { "" };
        format!("{load}'quit' or Ctrl-D leaves")
    }

    fn plan(&mut self, line: &Directive) -> Plan {
        let count = |slot| line.get::<usize>(slot).map(|count| *count as u64);
        Plan {
            clients: line.get(&CLIENTS).copied().unwrap_or(CLIENT_COUNT),
            batch: count(&BATCH).unwrap_or(1),
            amount: match line.get(&FOR) {
                None if line.has(&BACKGROUND) => Amount::Unending,
                duration => Amount::For(duration.copied().unwrap_or(LENGTH)),
            },
            rate: count(&RATE),
            workload: WorkloadSettings {
                prefix: self.prefix(),
                reads_per_million: line.get(&READS).copied().unwrap_or(0),
                ..WorkloadSettings::default()
            },
            timeout: self.context.client_timeout,
            seed: self.course.random.bits(),
            ..Plan::default()
        }
    }

    fn summary(&mut self, load: Load) -> Answer {
        let start = load.start_time();
        let (summary, kept) = load.join();
        let judged = judge(self.lab.began_with(), &kept, summary.sent, || true);
        let text = format!("{summary}\n{}", judged.text);
        let millis = |micros: Option<f64>| micros.map(|micros| micros / 1_000.0);
        let (response, all) = (summary.response, summary.all);
        let took = duration_shown(Duration::from_secs_f64(summary.elapsed));
        let mut answer = Answer::ok("load", text)
            .with("elapsed", took)
            .with("sent", summary.sent)
            .with("unsent", summary.unsent)
            .with("answered", summary.answered)
            .with("failed", summary.failed)
            .with("unknown", summary.unknown)
            .with("per_second", summary.throughput)
            .with("p50_millis", millis(response.map(|latency| latency.p50)))
            .with("p99_millis", millis(response.map(|latency| latency.p99)))
            .with("max_millis", millis(response.map(|latency| latency.max)))
            .with("all_p99_millis", millis(all.map(|latency| latency.p99)))
            .with("outage_millis", summary.outage * 1_000.0)
            .with("outage_share", summary.outage_share)
            .with("linearizable", judged.pass);
        answer.outcome = match judged.pass {
            Some(true) => Outcome::Ok,
            Some(false) => Outcome::Failed,
            None => Outcome::Unknown,
        };
        if summary.measured_nothing() {
            answer.outcome = worse(answer.outcome, Outcome::Unknown);
        }
        self.loads.last = Some((start, summary));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_loads_are_told_from_others() {
        let loads = Loads { count: 2, ..Loads::default() };
        assert!(loads.writes("load1-17") && loads.writes("load2-0"));
        for other in ["load3-0", "load-1", "load1", "x", "load0-1", "loads1-1"] {
            assert!(!loads.writes(other), "{other}");
        }
    }
}
