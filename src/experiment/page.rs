//! The pages of an experiment and of a sweep.

use super::report::{OUTAGE_HEAD, Report};
use super::sweep::{Sweep, Value};
use crate::page::document::{self, Tile};
use crate::page::{
    Axis, Chart, Deed, LeaderChange, Panel, Scale, Series, bands, happened, load, marks, messages,
    nodes_tracks, seconds,
};
use crate::text::numbers::{float, micros_shown, whole};
use crate::types::NodeId;

const TITLE: &str = "Load on a Raft cluster";

pub fn page(report: &Report) -> String {
    let load = &report.load;
    let (deeds, leaders) = (deeds(report), leaders(report));
    let mut body = format!("<h1>{TITLE}</h1>\n");
    document::remark(&report.setup, &mut body);
    body.push_str(&document::summary(&verdict(report), &load::tiles(load)));
    for note in &report.notes {
        document::remark(note, &mut body);
    }
    body.push_str(&over_time(report, &deeds, &leaders).html());
    body.extend(load::percentiles(load).map(|chart| chart.html()));
    let (mut latency, mut other) = (String::new(), String::new());
    document::heading("Latency", &mut latency);
    load::percentile_table(load, &mut latency);
    document::heading("Figures", &mut other);
    document::list(figures(report), &mut other);
    document::side_by_side(&[latency, other], &mut body);
    let nodes = report.recorded.nodes(&NodeId::first(report.nodes));
    let picture = messages(&nodes, &report.recorded, &deeds);
    if !picture.is_empty() {
        document::heading("Messages between nodes", &mut body);
        body.push_str(&picture);
    }
    happened(&deeds, &leaders, &mut body);
    outages(report, &mut body);
    document::folded("Each second", &load::seconds_table(&load.rows), &mut body);
    about(&report.origin.rows(), load.seed, &report.command, &mut body);
    document::document(TITLE, &body)
}

/// The page of several runs that differ in one setting.
pub fn sweep_page(sweep: &Sweep) -> String {
    let title = format!("{TITLE}, by {}", sweep.setting);
    let mut body = format!("<h1>{title}</h1>\n");
    let first = sweep.reports.first();
    if let Some(first) = first {
        document::remark(&format!("The first: {}", first.setup), &mut body);
    }
    body.push_str(&document::summary(&sweep.verdict(), &best(sweep)));
    body.push_str(&by_setting(sweep).html());
    document::heading("Figures", &mut body);
    let mut rows = sweep.rows().into_iter();
    let head = rows.next().unwrap_or_default();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    document::table(&head, rows, &mut body);
    if let Some(trouble) = &sweep.trouble {
        document::lines(&[format!("FAIL the next run was not made: {}", trouble.text)], &mut body);
    }
    let origin = first.map(|first| first.origin.rows()).unwrap_or_default();
    about(&origin, first.map_or(0, |first| first.load.seed), &sweep.command, &mut body);
    document::document(&title, &body)
}

/// The value with the highest throughput, and the one with the lowest latency.
fn best(sweep: &Sweep) -> Vec<Tile> {
    let runs = || sweep.values.iter().zip(&sweep.reports);
    let name = |value: &Value| format!("with {}={}", sweep.setting, value.shown());
    let fastest = runs().max_by(|one, other| one.1.load.throughput.total_cmp(&other.1.load.throughput));
    let latencies = runs().filter_map(|(value, report)| Some((value, report.load.response?.p99)));
    let quickest = latencies.min_by(|one, other| one.1.total_cmp(&other.1));
    let fastest = fastest.map(|(value, report)| Tile {
        name: "highest throughput",
        value: load::per_second(report.load.throughput),
        note: name(value),
        alarming: false,
    });
    let quickest = quickest.map(|(value, p99)| Tile {
        name: "lowest p99 latency",
        value: micros_shown(p99),
        note: name(value),
        alarming: false,
    });
    fastest.into_iter().chain(quickest).collect()
}

/// Throughput and latency by the setting's value.
fn by_setting(sweep: &Sweep) -> Chart {
    let line = |name: &str, style, figure: fn(&Report) -> Option<f64>| Series {
        name: name.to_string(),
        style,
        points: (0..).zip(&sweep.reports).map(|(at, report)| (float(at), figure(report))).collect(),
    };
    let mut latency = vec![
        line("p50", 0, |report| Some(report.load.response?.p50)),
        line("p99", 1, |report| Some(report.load.response?.p99)),
        line("max", 2, |report| Some(report.load.response?.max)),
    ];
    if sweep.reports.iter().any(|report| report.load.all != report.load.response) {
        latency.push(line("p99 with what got no answer, at its time-out", 3, |report| {
            Some(report.load.all?.p99)
        }));
    }
    let panel = |title: &str, scale, series, shown| Panel { title: title.to_string(), series, scale, shown };
    let last = float(sweep.values.len().saturating_sub(1) as u64);
    let (setting, values) = (sweep.setting, sweep.values.clone());
    let value = move |at: f64| {
        usize::try_from(whole(at)).ok().and_then(|at| values.get(at)).map_or_else(String::new, Value::shown)
    };
    let named = Box::new(move |at| format!("{setting}={}", value(at)));
    Chart {
        title: format!("Throughput and latency by {}", sweep.setting),
        // Half a step beside the first and the last.
        axis: Axis { scale: Scale::Linear, low: -0.5, high: last + 0.5 },
        ticks: (0..).zip(&sweep.values).map(|(at, value)| (float(at), value.shown())).collect(),
        label: sweep.setting.to_string(),
        shown: named,
        bands: Vec::new(),
        marks: Vec::new(),
        panels: vec![
            panel(
                "Operations answered, per second",
                Scale::Linear,
                vec![line("answered", 0, |report| Some(report.load.throughput))],
                load::per_second,
            ),
            panel("Latency of answers (log scale)", Scale::Logarithmic, latency, micros_shown),
        ],
        tracks: Vec::new(),
    }
}

/// The verdict's lines, and what they are about.
fn verdict(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report.verdict_lines().collect();
    if !report.verdict.checked {
        lines.push("Nothing was checked.".to_string());
    } else if report.load.answered > 0 {
        lines.push(
            "Judged: every operation that was kept, warm-up included. The figures count those sent after the warm-up."
                .to_string(),
        );
    }
    lines
}

/// What each directive cost, if there was one.
fn outages(report: &Report, body: &mut String) {
    if report.faults.is_empty() {
        return;
    }
    document::heading("Outages", body);
    document::remark("After each directive, up to the next: the longest time without an answer.", body);
    document::table(&OUTAGE_HEAD, report.outage_rows(usize::MAX), body);
}

fn over_time(report: &Report, deeds: &[Deed], leaders: &[LeaderChange]) -> Chart {
    let load = &report.load;
    let nodes = report.recorded.nodes(&NodeId::first(report.nodes));
    let faults = bands(deeds).into_iter();
    Chart {
        title: "The load over time".to_string(),
        axis: Axis::time(load.ended),
        ticks: seconds(load.ended),
        label: "seconds since the measured time began".to_string(),
        shown: Box::new(|at| format!("{at:.2} s")),
        bands: faults.chain(load::outage(load, 0.0)).collect(),
        marks: marks(deeds, leaders),
        panels: load::panels(load, 0.0),
        tracks: vec![nodes_tracks(&nodes, &report.recorded, load.ended), load::clients(load, 0.0)],
    }
}

fn deeds(report: &Report) -> Vec<Deed> {
    let deed = |fault: &super::FaultReport| Deed {
        at: fault.at,
        until: fault.until,
        directive: fault.directive.clone(),
        answer: fault.answer.clone(),
        ok: fault.ok,
        is_change: true,
    };
    report.faults.iter().map(deed).collect()
}

fn leaders(report: &Report) -> Vec<LeaderChange> {
    let change = |leader: &super::LeaderReport| LeaderChange { at: leader.at, text: leader.text.clone() };
    report.leaders.iter().map(change).collect()
}

/// The figures but for the latencies, which have a table of their own.
fn figures(report: &Report) -> Vec<(String, String)> {
    let elsewhere = ["latency", "service", "response", "all, with unanswered"];
    let figures = report.figures().into_iter().filter(|(name, _)| !elsewhere.contains(name));
    figures.map(|(name, value)| (name.to_string(), value)).collect()
}

fn about(origin: &[(String, String)], seed: u64, command: &str, body: &mut String) {
    document::heading("About this run", body);
    let seed = ("seed".to_string(), seed.to_string());
    document::list(origin.iter().cloned().chain([seed]), body);
    document::heading("The same run again", body);
    document::command(command, body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{FaultReport, LeaderReport};
    use crate::load::{Bucket, Figures, Row, Summary};

    #[test]
    fn the_page_is_whole_and_names_no_other_place() {
        let figures = Figures { p50: 20.0, p90: 30.0, p99: 900.0, p999: 1e3, max: 250_000.0, mean: 25.0 };
        let row = |second: u64| {
            let latency = (second % 2 == 1).then_some(figures);
            Row {
                second,
                sent: 10,
                answered: 10 * (second % 2),
                latency,
                all: Some(figures),
                ..Row::default()
            }
        };
        let bucket = |place: u32| Bucket {
            begins: f64::from(place),
            length: 1.0,
            answered: 10,
            response: Some(figures),
            all: Some(figures),
            ..Bucket::default()
        };
        let (directive, answer) = ("crash leader".to_string(), "n1 <crashed>".to_string());
        let load = Summary {
            elapsed: 4.0,
            ended: 4.0,
            answered: 20,
            outage: 0.3,
            outage_began: 1.1,
            rows: (1..=4).map(row).collect(),
            buckets: (0..4).map(bucket).collect(),
            ..Summary::default()
        };
        let report = Report {
            load,
            nodes: 3,
            faults: vec![FaultReport {
                at: 1.0,
                until: 3.0,
                directive,
                answer,
                ok: true,
                outage: Some(0.25),
            }],
            leaders: vec![LeaderReport { at: 1.3, text: "n2 leads term 2".to_string() }],
            command: "client_load --at 1s \"crash leader\"".to_string(),
            ..Report::default()
        };
        for page in [page(&report), page(&Report::default())] {
            assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
            for outside in ["http", "src=", "href=", "url(", "@import", "NaN"] {
                assert!(!page.contains(outside), "{outside}");
            }
        }
        let page = page(&report);
        for part in [
            "class=\"fault-band\" x=\"250.0\"",
            "class=\"outage-band\" x=\"275.0\" y=\"0\" width=\"75.0\"",
            ">longest outage 300 ms</span>",
            ">n2 leads term 2</span>",
            "crash leader: n1 &lt;crashed&gt;",
            "<tr><td>1.00 s</td><td>250 ms</td><td>crash leader</td></tr>",
            "&quot;crash leader&quot;",
            "<title>1.50 s: answered 10/s; p50 20 us, p99 900 us, max 250 ms</title>",
            "<tr><td>2</td><td>0</td><td>0</td><td>0</td><td>-</td><td>-</td><td>-</td><td>900 us</td></tr>",
        ] {
            assert!(page.contains(part), "no {part} in {page}");
        }
    }
}
