//! A report as one page that needs nothing else: no network, no script, light and dark as the reader likes it.

use std::fmt::Write as _;

use super::plot::{Band, Mark, Plot, Scale, Series, seconds};
use super::report::Report;
use super::sweep::Sweep;
use crate::load::Row;
use crate::text::escape;
use crate::text::numbers::{float, grouped, micros_shown, ratio, whole};

const STYLE: &str = include_str!("page.css");

const P99_ALL: &str = "p99, with what got no answer at its time-out";

/// A row that is shorter, in seconds, gives no rate.
const SHORTEST: f64 = 0.05;

pub fn page(report: &Report) -> String {
    let mut body = String::new();
    let _ =
        write!(body, "<h1>Load on a Raft cluster</h1>\n<p class=\"soft\">{}</p>\n", escape(&report.setup));
    verdict(report, &mut body);
    body.push_str(&over_time(report));
    body.push_str("<h2>Figures</h2>\n<div class=\"scroll\"><table>\n");
    for (name, value) in report.figures() {
        let _ = writeln!(body, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(&value));
    }
    body.push_str("</table></div>\n");
    happened(report, &mut body);
    each_second(&report.load.rows, &mut body);
    repeat(&report.command, &mut body);
    document("Load on a Raft cluster", &body)
}

/// The page of several runs that differ in one setting.
pub fn sweep_page(sweep: &Sweep) -> String {
    let mut body = String::new();
    let setting = sweep.setting;
    let _ = writeln!(body, "<h1>Load on a Raft cluster, by {setting}</h1>");
    if let Some(first) = sweep.reports.first() {
        let _ = writeln!(body, "<p class=\"soft\">The first: {}</p>", escape(&first.setup));
    }
    sweep_plots(sweep, &mut body);
    body.push_str("<h2>Figures</h2>\n<div class=\"scroll\"><table class=\"right\">\n");
    for (nth, row) in sweep.rows().iter().enumerate() {
        let cell = if nth == 0 { "th" } else { "td" };
        body.push_str("<tr>");
        for text in row {
            let _ = write!(body, "<{cell}>{}</{cell}>", escape(text));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</table></div>\n");
    verdict_lines(sweep.judgments(), &mut body);
    if let Some(trouble) = &sweep.trouble {
        let _ = writeln!(body, "<p class=\"fail\">The next run was not made: {}</p>", escape(&trouble.text));
    }
    repeat(&sweep.command, &mut body);
    document("Load on a Raft cluster", &body)
}

/// Throughput and latency by the setting's value.
fn sweep_plots(sweep: &Sweep, body: &mut String) {
    let ticks: Vec<(f64, String)> =
        (0..).zip(&sweep.values).map(|(at, value)| (float(at), value.to_string())).collect();
    let points = |figure: fn(&Report) -> Option<f64>| -> Vec<(f64, Option<f64>)> {
        (0..).zip(&sweep.reports).map(|(at, report)| (float(at), figure(report))).collect()
    };
    let throughput = Series {
        name: "throughput".to_string(),
        color: 0,
        points: points(|report| Some(report.load.throughput)),
    };
    let mut latency = vec![
        Series {
            name: "p50".to_string(),
            color: 0,
            points: points(|report| Some(report.load.response?.p50)),
        },
        Series {
            name: "p99".to_string(),
            color: 1,
            points: points(|report| Some(report.load.response?.p99)),
        },
        Series {
            name: "max".to_string(),
            color: 2,
            points: points(|report| Some(report.load.response?.max)),
        },
    ];
    if sweep.reports.iter().any(|report| report.load.all != report.load.response) {
        latency.push(Series {
            name: P99_ALL.to_string(),
            color: 3,
            points: points(|report| Some(report.load.all?.p99)),
        });
    }
    let plots = [
        (
            "Operations answered a second".to_string(),
            Scale::Linear,
            vec![throughput],
            per_second as fn(f64) -> String,
        ),
        ("Latency".to_string(), Scale::Logarithmic, latency, micros_shown),
    ];
    for (title, scale, series, shown) in plots {
        let plot = Plot {
            title,
            series,
            bands: Vec::new(),
            marks: Vec::new(),
            vertical: scale,
            horizontal: Scale::Linear,
            ticks: ticks.clone(),
            axis: sweep.setting,
            shown,
        };
        body.push_str(&plot.figure());
    }
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )
}

fn verdict(report: &Report, body: &mut String) {
    verdict_lines(report.verdict_lines().chain(report.notes.iter().cloned()), body);
    if !report.verdict.checked {
        body.push_str("<p class=\"soft\">Nothing was checked.</p>\n");
    }
}

fn verdict_lines(lines: impl IntoIterator<Item = String>, body: &mut String) {
    for line in lines {
        let class = match line.split(' ').next() {
            Some("PASS") => "pass",
            Some("FAIL") => "fail",
            _ => "soft",
        };
        let _ = writeln!(body, "<p class=\"{class}\">{}</p>", escape(&line));
    }
}

fn over_time(report: &Report) -> String {
    let lengths = lengths(report);
    let points = |figure: fn(&Row) -> Option<f64>| -> Vec<(f64, Option<f64>)> {
        report
            .load
            .rows
            .iter()
            .zip(&lengths)
            .map(|(row, length)| (middle(row, *length), figure(row)))
            .collect()
    };
    let of = |name: &str, color, figure| Series { name: name.to_string(), color, points: points(figure) };
    let mut latency = vec![
        of("p50", 0, |row| Some(row.latency?.p50)),
        of("p99", 1, |row| Some(row.latency?.p99)),
        of("max", 2, |row| Some(row.latency?.max)),
    ];
    if report.load.rows.iter().any(|row| row.all != row.latency) {
        latency.push(of(P99_ALL, 3, |row| Some(row.all?.p99)));
    }
    let rates = report.load.rows.iter().zip(&lengths).filter(|(_, length)| **length >= SHORTEST);
    let rates = rates.map(|(row, length)| (middle(row, *length), Some(ratio(float(row.answered), *length))));
    let throughput = vec![Series { name: "throughput".to_string(), color: 3, points: rates.collect() }];
    let plots = [
        (
            "Latency, by the second in which the call ended",
            Scale::Logarithmic,
            latency,
            micros_shown as fn(f64) -> String,
        ),
        ("Operations answered a second", Scale::Linear, throughput, per_second),
    ];
    let mut text = String::new();
    for (title, scale, series, shown) in plots {
        let harmful = report.faults.iter().filter(|fault| fault.until > fault.at);
        let bands = harmful.map(|fault| Band {
            from: fault.at,
            to: fault.until,
            label: format!("{}: {}", fault.directive, fault.answer),
        });
        let changes = report.leaders.iter().map(|change| (change.at, change.text.clone()));
        let orders = report.faults.iter().map(|fault| (fault.at, fault.directive.clone()));
        let mut marks: Vec<Mark> = changes.chain(orders).map(|(at, label)| Mark { at, label }).collect();
        marks.sort_by(|one, other| one.at.total_cmp(&other.at));
        let plot = Plot {
            title: title.to_string(),
            vertical: scale,
            horizontal: Scale::Linear,
            series,
            bands: bands.collect(),
            marks,
            ticks: seconds(report.load.ended),
            axis: "since the measured time began",
            shown,
        };
        text.push_str(&plot.figure());
    }
    text
}

/// How long each row's time was: a second, but for the last one, which ends with the last call.
fn lengths(report: &Report) -> Vec<f64> {
    let last = report.load.rows.len().saturating_sub(1);
    let length = |(nth, row): (usize, &Row)| {
        let until_the_end = report.load.ended - begin(row);
        if nth == last && until_the_end > 0.0 { until_the_end } else { 1.0 }
    };
    report.load.rows.iter().enumerate().map(length).collect()
}

fn middle(row: &Row, length: f64) -> f64 {
    begin(row) + length / 2.0
}

fn begin(row: &Row) -> f64 {
    float(row.second.saturating_sub(1))
}

fn happened(report: &Report, body: &mut String) {
    let faults = report.faults.iter().map(|fault| {
        let failed = if fault.ok { "" } else { "failed: " };
        (fault.at, format!("{}: {failed}{}", fault.directive, fault.answer))
    });
    let leaders = report.leaders.iter().map(|change| (change.at, change.text.clone()));
    let mut all: Vec<(f64, String)> = faults.chain(leaders).collect();
    if all.is_empty() {
        return;
    }
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    body.push_str("<h2>What happened</h2>\n<div class=\"scroll\"><table>\n");
    for (at, text) in all {
        let _ = writeln!(body, "<tr><th>{at:.2} s</th><td>{}</td></tr>", escape(&text));
    }
    body.push_str("</table></div>\n");
}

fn each_second(rows: &[Row], body: &mut String) {
    body.push_str("<details><summary>Each second</summary>\n<div class=\"scroll\"><table class=\"right\">\n");
    body.push_str(
        "<tr><th>second</th><th>answered</th><th>rejected</th><th>unknown</th><th>p50</th><th>p99</th><th>max</th><th>p99 of all</th></tr>\n",
    );
    for row in rows {
        let Row { answered, rejected, unknown, .. } = row;
        let cells = [answered, rejected, unknown].map(u64::to_string);
        let cells = std::iter::once(row.name()).chain(cells).chain(row.latencies_shown());
        body.push_str("<tr>");
        for cell in cells {
            let _ = write!(body, "<td>{cell}</td>");
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</table></div></details>\n");
}

fn repeat(command: &str, body: &mut String) {
    let _ = write!(body, "<h2>The same run again</h2>\n<pre>{}</pre>\n", escape(command));
}

fn per_second(value: f64) -> String {
    grouped(whole(value.round()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{FaultReport, LeaderReport};
    use crate::load::{Figures, Summary};

    #[test]
    fn the_page_is_whole_and_names_no_other_place() {
        let figures = Figures { p50: 20.0, p90: 30.0, p99: 900.0, p999: 1e3, max: 250_000.0, mean: 25.0 };
        let row = |second| Row {
            second,
            sent: 10,
            answered: 10 * (second % 2),
            latency: (second % 2 == 1).then_some(figures),
            all: Some(figures).filter(|_| second < 4),
            ..Row::default()
        };
        let (directive, answer) = ("crash leader".to_string(), "n1 <crashed>".to_string());
        let rows = (1..=4).map(row).collect();
        let load = Summary { elapsed: 4.0, ended: 4.0, answered: 20, rows, ..Summary::default() };
        let report = Report {
            load,
            faults: vec![FaultReport { at: 1.0, until: 3.0, directive, answer, ok: true }],
            leaders: vec![LeaderReport { at: 1.3, text: "n2 leads term 2".to_string() }],
            command: "client_load --at 1s \"crash leader\"".to_string(),
            ..Report::default()
        };
        for page in [page(&report), page(&Report::default())] {
            assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
            for outside in ["http", "src=", "href=", "<script", "url(", "@import", "NaN"] {
                assert!(!page.contains(outside), "{outside}");
            }
        }
        let page = page(&report);
        assert!(page.contains("class=\"band\"") && page.contains("n2 leads term 2"));
        assert!(page.contains("n1 &lt;crashed&gt;") && page.contains("&quot;crash leader&quot;"));
        let silent =
            "<tr><td>2</td><td>0</td><td>0</td><td>0</td><td>-</td><td>-</td><td>-</td><td>900 us</td></tr>";
        assert!(page.contains(silent), "a second without an answer has no latency but that of all: {page}");
        let idle =
            "<tr><td>4</td><td>0</td><td>0</td><td>0</td><td>-</td><td>-</td><td>-</td><td>-</td></tr>";
        assert!(page.contains(idle), "{page}");
        assert_eq!(
            page.matches("class=\"dot c0\"").count(),
            2,
            "the plot has points where there are figures"
        );
        assert_eq!(page.matches(&format!("<title>{P99_ALL} at")).count(), 3);
    }

    #[test]
    fn the_last_second_is_as_long_as_it_was() {
        let row = |second| Row { second, answered: 10, ..Row::default() };
        let load = Summary { ended: 2.25, rows: (1..=3).map(row).collect(), ..Summary::default() };
        let report = Report { load, ..Report::default() };
        assert_eq!(lengths(&report), [1.0, 1.0, 0.25]);
        assert!(lengths(&Report::default()).is_empty());
    }
}
