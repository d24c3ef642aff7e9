//! Several runs that differ in one setting, side by side.

use std::str::FromStr;

use derive_more::Display;
use serde::Serialize;

use super::expectation::Judgment;
use super::report::Report;
use super::run::{Listener, Progress};
use super::{Engine, Experiment, Trouble};
use crate::interrupt::Interrupt;
use crate::load::Figures;
use crate::text::layout::{self, Align};
use crate::text::numbers::{grouped, micros_shown, seconds_shown, whole};

const SETTINGS: [&str; 8] =
    ["clients", "batch", "gather", "pipeline", "rate", "nodes", "value-size", "engine"];

const VALUES_MAX: usize = 50;

/// The runs, with the setting in which they differ. As text: `clients=1,8,64,256`, `engine=raftlab:3,etcd:3`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sweep {
    pub setting: &'static str,
    /// Its values, in the order of the runs.
    pub values: Vec<Value>,
    pub command: String,
    pub reports: Vec<Report>,
    /// Why there are fewer of them than values, if one could not be made.
    pub trouble: Option<Trouble>,
}

/// A value of a setting.
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize)]
#[serde(untagged)]
pub enum Value {
    Number(u64),
    Engine(Engine),
}

impl Value {
    /// As a person reads it.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Number(number) => grouped(*number),
            Value::Engine(engine) => engine.to_string(),
        }
    }
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Sweep, String> {
        let form =
            || format!("write a setting ({}) and its values, as in clients=1,8,64", SETTINGS.join(", "));
        let (name, values) = text.split_once('=').ok_or_else(form)?;
        let setting = SETTINGS.into_iter().find(|known| *known == name).ok_or_else(form)?;
        let sweep =
            |values| Sweep { setting, values, command: String::new(), reports: Vec::new(), trouble: None };
        if setting == "engine" {
            let engine = |text: &str| text.parse().map(Value::Engine);
            return values.split(',').take(VALUES_MAX).map(engine).collect::<Result<_, _>>().map(sweep);
        }
        let values: Result<Vec<u64>, _> = values.split(',').map(str::parse).collect();
        match values {
            Ok(values) if (1..=VALUES_MAX).contains(&values.len()) && !values.contains(&0) => {
                Ok(sweep(values.into_iter().map(Value::Number).collect()))
            }
            _ => Err(format!(
                "{setting} needs 1 to {VALUES_MAX} whole numbers above zero, as in {setting}=1,8,64"
            )),
        }
    }
}

impl Sweep {
    /// The runs to be made, each valid.
    ///
    /// # Errors
    /// One line: which value makes no sense.
    pub fn experiments(&self, base: &Experiment) -> Result<Vec<Experiment>, Trouble> {
        let with = |value: &Value| {
            let experiment = match value {
                Value::Number(number) => self.with_number(base.clone(), *number),
                Value::Engine(engine) => base.clone().on(engine.clone()),
            };
            let setting = self.setting;
            let checked = experiment.validate();
            checked
                .map_err(|error| Trouble { text: format!("{setting}={value}: {}", error.text), ..error })?;
            Ok(experiment)
        };
        self.values.iter().map(with).collect()
    }

    fn with_number(&self, mut experiment: Experiment, value: u64) -> Experiment {
        let plan = &mut experiment.plan;
        match self.setting {
            "clients" => plan.clients = usize::try_from(value).unwrap_or(usize::MAX),
            "batch" => {
                plan.batch = value;
                // The pipeline has room for at least one batch.
                plan.pipeline = plan.pipeline.map(|pipeline| pipeline.max(value));
            }
            "gather" => plan.gather = value,
            "pipeline" => plan.pipeline = Some(value),
            "rate" => plan.rate = Some(value),
            "value-size" => plan.workload.value_bytes = usize::try_from(value).unwrap_or(usize::MAX),
            _ => experiment.settings.nodes = u8::try_from(value).unwrap_or(u8::MAX),
        }
        experiment
    }

    /// Makes the runs, one after the other, until one cannot be made or a person interrupts. The reports of the runs before
    /// are kept, with the trouble.
    ///
    /// # Errors
    /// One line: a value makes no sense, or the first run cannot be made.
    pub fn run(
        mut self,
        base: &Experiment,
        interrupt: &Interrupt,
        listener: Listener<'_>,
    ) -> Result<Sweep, Trouble> {
        self.command.clone_from(&base.command);
        for (value, experiment) in self.values.clone().into_iter().zip(self.experiments(base)?) {
            let ran = experiment.run(interrupt, &mut |progress| {
                if let Progress::Tick { .. } = progress {
                    listener(progress);
                }
            });
            let report = match ran {
                Ok(report) => report,
                Err(trouble) if self.reports.is_empty() => return Err(trouble),
                Err(trouble) => {
                    let text = format!("{}={value}: {}", self.setting, trouble.text);
                    self.trouble = Some(Trouble { text, ..trouble });
                    break;
                }
            };
            listener(Progress::Said(&format!(
                "{}={value}: {}/s",
                self.setting,
                grouped(whole(report.load.throughput))
            )));
            let over = report.interrupted;
            self.reports.push(report);
            if over {
                break;
            }
        }
        Ok(self)
    }

    /// The exit code of the trouble that ended it early, or the worst of all runs.
    pub fn code(&self) -> u8 {
        if let Some(trouble) = &self.trouble {
            return trouble.code;
        }
        let rank = |code: &u8| [0, 3, 130, 1].iter().position(|known| known == code);
        self.reports.iter().map(Report::code).max_by_key(rank).unwrap_or(3)
    }

    /// What the checks said of all runs together, and of each run whether it met what was expected.
    pub(super) fn verdict(&self) -> Vec<String> {
        let checked = self.reports.iter().filter(|report| report.verdict.checked).count();
        let passed = self.reports.iter().filter(|report| report.verdict.pass == Some(true)).count();
        let all = match self.setting {
            "engine" => {
                format!("{passed} of {checked} runs: their answers linearizable, raftlab's nodes safe")
            }
            _ => format!("{passed} of {checked} runs: safe, and their answers linearizable"),
        };
        let checks = match (checked, passed) {
            (0, _) => "Nothing was checked.".to_string(),
            _ if checked == passed => format!("PASS {all}"),
            _ => format!("FAIL {all}"),
        };
        std::iter::once(checks).chain(self.judgments()).collect()
    }

    /// `PASS clients=8: p99 < 50ms: 16.2 ms`, for each expectation of each run.
    pub(super) fn judgments(&self) -> Vec<String> {
        let of = |(value, report): (&Value, &Report)| -> Vec<String> {
            let line = |judgment: &Judgment| {
                let line = judgment.to_string();
                let (verdict, rest) = line.split_at("PASS ".len());
                format!("{verdict}{}={value}: {rest}", self.setting)
            };
            report.expectations.iter().map(line).collect()
        };
        self.values.iter().zip(&self.reports).flat_map(of).collect()
    }

    /// The runs as rows of a table, its head first.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let setting = self.setting.to_uppercase();
        let head = [
            "ANSWERED/S",
            "P50",
            "P90",
            "P99",
            "P99.9",
            "MAX",
            "P99 ALL",
            "REJECTED",
            "UNKNOWN",
            "OUTAGE",
            "CPU",
            "CHECK",
        ];
        let expects = self.reports.iter().any(|report| !report.expectations.is_empty());
        let head = std::iter::once(setting).chain(head.map(str::to_string));
        let head = head.chain(expects.then(|| "EXPECT".to_string())).collect();
        let row = |(value, report): (&Value, &Report)| {
            let figures = report.load.response.map(|latency| {
                let Figures { p50, p90, p99, p999, max, .. } = latency;
                [p50, p90, p99, p999, max].map(micros_shown)
            });
            let [p50, p90, p99, p999, max] = figures.unwrap_or_else(|| [(); 5].map(|()| none()));
            let all = report.load.all.map_or_else(none, |all| micros_shown(all.p99));
            let throughput = grouped(whole(report.load.throughput.round()));
            let rejected: u64 = report.load.rejected.values().sum();
            let check = match (report.verdict.checked, report.verdict.pass) {
                (false, _) => "-",
                (true, Some(true)) => "PASS",
                (true, Some(false)) => "FAIL",
                (true, None) => "UNDECIDED",
            };
            let cpu = report.cpu_seconds.map_or_else(none, |cpu| format!("{cpu:.1} s"));
            let share = 100.0 * report.load.outage_share;
            let (outage, unknown) = (
                format!("{} ({share:.0} %)", seconds_shown(report.load.outage)),
                grouped(report.load.unknown),
            );
            let expected =
                if report.expectations.iter().all(|judgment| judgment.pass) { "PASS" } else { "FAIL" };
            let rest = [all, grouped(rejected), unknown, outage, cpu, check.to_string()];
            let first = [value.to_string(), throughput, p50, p90, p99, p999, max];
            first.into_iter().chain(rest).chain(expects.then(|| expected.to_string())).collect()
        };
        std::iter::once(head).chain(self.values.iter().zip(&self.reports).map(row)).collect()
    }
}

/// The cell of a value that was not measured.
fn none() -> String {
    "-".to_string()
}

/// The table for people, and below it a line for each expectation of each run.
pub fn table(sweep: &Sweep) -> String {
    let rows = sweep.rows();
    let aligns = vec![Align::Right; rows.first().map_or(0, Vec::len)];
    let mut lines = layout::table(&rows, &aligns);
    lines.extend(sweep.judgments());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Settings;
    use crate::experiment::sweep_page;
    use crate::load::{Amount, Plan};

    #[test]
    fn a_sweep_is_read_or_refused_in_one_line() {
        let sweep: Sweep = "clients=1,8".parse().expect("a sweep");
        assert_eq!(
            (sweep.setting, sweep.values.as_slice()),
            ("clients", [Value::Number(1), Value::Number(8)].as_slice())
        );
        let engines: Sweep = "engine=raftlab,raftlab:5".parse().expect("a sweep");
        assert_eq!(engines.values[1].to_string(), "raftlab:5");
        for wrong in ["", "clients", "clients=", "clients=0", "clients=1,x", "keys=1", "engine=", "engine=3"]
        {
            assert!(wrong.parse::<Sweep>().is_err_and(|reason| !reason.contains('\n')), "{wrong}");
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_run_though_nothing_was_answered() {
        let sweep: Sweep = "batch=1,2".parse().expect("a sweep");
        let sweep = Sweep { reports: vec![Report::default(); 2], ..sweep };
        assert_eq!(table(&sweep).lines().count(), 3);
        assert!(sweep_page(&sweep).contains("by batch") && !sweep_page(&sweep).contains("NaN"));
        assert_eq!(sweep.code(), 3);
    }

    #[test]
    fn a_run_that_cannot_be_made_leaves_those_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let history = folder.path().join("h.jsonl");
        let base = Experiment {
            settings: Settings { nodes: 1, memory: true, ..Settings::default() },
            plan: Plan { amount: Amount::Count(10), ..Plan::default() },
            leader_within: Duration::from_secs(60),
            check: false,
            history: Some(history.clone()),
            ..Experiment::default()
        };
        // After the first run its file is in the way of the second.
        let mut listener = |progress: Progress<'_>| {
            if let Progress::Said(_) = progress {
                std::fs::remove_file(&history).expect("the first run wrote it");
                std::fs::create_dir(&history).expect("the folder can be written");
            }
        };
        let sweep: Sweep = "batch=1,2,5".parse().expect("a sweep");
        let sweep = sweep.run(&base, &Interrupt::new(), &mut listener).expect("the first run was made");
        assert_eq!((sweep.reports.len(), table(&sweep).lines().count()), (1, 2));
        assert_eq!(sweep.reports[0].load.answered, 10);
        let trouble = sweep.trouble.clone().expect("the second was not");
        assert!(trouble.text.starts_with("batch=2: "), "{}", trouble.text);
        assert_eq!(sweep.code(), trouble.code);
        assert!(
            sweep_page(&sweep).contains("the next run was not made: batch=2: "),
            "{}",
            sweep_page(&sweep)
        );
    }
}
