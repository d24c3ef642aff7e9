//! What a load measured, as tiles, lines over time, tracks of clients, a curve of percentiles and tables.

use super::axis::{Axis, Scale};
use super::chart::{Band, BandKind, Chart, Panel, Series};
use super::document::{Tile, table};
use super::tracks::{Span, SpanKind, Track, Tracks};
use crate::load::{Bucket, Cell, Figures, Row, Summary};
use crate::text::numbers::{float, grouped, micros_shown, ratio, seconds_shown, whole};

const P99_ALL: &str = "p99 with what got no answer, at its time-out";

/// A shorter outage, in seconds, is none to worry about.
const OUTAGE_SHORT: f64 = 0.1;

/// The three numbers that people look for.
pub fn tiles(load: &Summary) -> Vec<Tile> {
    let p99 = |figures: Option<Figures>| figures.map(|figures| micros_shown(figures.p99));
    let throughput = Tile {
        name: "throughput",
        value: per_second(load.throughput),
        note: format!("{} answered in {}", grouped(load.answered_in_time), seconds_shown(load.elapsed)),
        alarming: load.answered_in_time == 0,
    };
    let (answers, all) = (p99(load.response), p99(load.all));
    let note = match &all {
        Some(all) if load.all != load.response => format!("{all} with what got no answer"),
        _ if load.rate.is_some() => "of answers, from the intended start".to_string(),
        _ => "of answers, from sending".to_string(),
    };
    let value = answers.unwrap_or_else(|| "-".to_string());
    let latency = Tile { name: "p99 latency", value, note, alarming: load.all != load.response };
    let never = load.answered + load.answered_in_time == 0;
    let outage = Tile {
        name: "longest outage",
        value: seconds_shown(load.outage),
        note: if never {
            "nothing was ever answered".to_string()
        } else {
            format!("from {:.2} s, {:.1} % of the time", load.outage_began, 100.0 * load.outage_share)
        },
        alarming: load.outage >= OUTAGE_SHORT,
    };
    vec![throughput, latency, outage]
}

/// The longest outage, if it can be seen, of a load whose measured time begins then.
pub fn outage(load: &Summary, begins: f64) -> Option<Band> {
    let from = begins + load.outage_began;
    (load.outage >= OUTAGE_SHORT).then(|| Band {
        from,
        to: from + load.outage,
        label: format!("longest outage {}", seconds_shown(load.outage)),
        kind: BandKind::Outage,
    })
}

/// Throughput, latencies and failures over time, of a load whose measured time begins then.
pub fn panels(load: &Summary, begins: f64) -> Vec<Panel> {
    let usual = load.buckets.first().map_or(1.0, |bucket| bucket.length);
    let points = |figure: &dyn Fn(&Bucket) -> Option<f64>| -> Vec<(f64, Option<f64>)> {
        load.buckets.iter().map(|bucket| (begins + middle(bucket), figure(bucket))).collect()
    };
    let line = |name: &str, style, figure: &dyn Fn(&Bucket) -> Option<f64>| Series {
        name: name.to_string(),
        style,
        points: points(figure),
    };
    // What is left of a bucket at the end is too short for a rate.
    let rate = |bucket: &Bucket, count: u64| {
        (bucket.length >= usual / 2.0).then(|| ratio(float(count), bucket.length))
    };
    let throughput = Panel {
        title: "Operations answered, per second".to_string(),
        series: vec![line("answered", 0, &|bucket| rate(bucket, bucket.answered))],
        scale: Scale::Linear,
        shown: per_second,
    };
    let mut panels = vec![throughput, latencies(load, usual, &line)];
    if load.buckets.iter().any(|bucket| bucket.rejected + bucket.unknown > 0) {
        panels.push(Panel {
            title: "Operations without an answer, per second".to_string(),
            series: vec![
                line("unknown", 2, &|bucket| rate(bucket, bucket.unknown)),
                line("rejected", 1, &|bucket| rate(bucket, bucket.rejected)),
            ],
            scale: Scale::Linear,
            shown: per_second,
        });
    }
    panels
}

type Line<'a> = &'a dyn Fn(&str, usize, &dyn Fn(&Bucket) -> Option<f64>) -> Series;

/// With a rate, the time from the intended start beside that from sending.
fn latencies(load: &Summary, usual: f64, line: Line<'_>) -> Panel {
    let mut series = Vec::new();
    if load.rate.is_some() {
        series.push(line("service p99 (from sending)", 4, &|bucket| Some(bucket.service?.p99)));
        series.push(line("response p50 (from the intended start)", 0, &|bucket| Some(bucket.response?.p50)));
        series.push(line("response p99", 1, &|bucket| Some(bucket.response?.p99)));
    } else {
        series.push(line("p50", 0, &|bucket| Some(bucket.response?.p50)));
        series.push(line("p99", 1, &|bucket| Some(bucket.response?.p99)));
    }
    let longest = if load.rate.is_some() { "response max" } else { "max" };
    series.push(line(longest, 2, &|bucket| Some(bucket.response?.max)));
    if load.buckets.iter().any(|bucket| bucket.all != bucket.response) {
        series.push(line(P99_ALL, 3, &|bucket| Some(bucket.all?.p99)));
    }
    Panel {
        title: format!("Latency of answers, per {} (log scale)", seconds_shown(usual)),
        series,
        scale: Scale::Logarithmic,
        shown: micros_shown,
    }
}

fn middle(bucket: &Bucket) -> f64 {
    bucket.begins + bucket.length / 2.0
}

/// What each client saw, or a dozen of many, of a load whose measured time begins then.
pub fn clients(load: &Summary, begins: f64) -> Tracks {
    let rows = load.seen.iter().map(|seen| Track {
        name: format!("client {}", seen.number),
        spans: spans(&load.buckets, &seen.cells, begins),
    });
    let (shown, all) = (load.seen.len(), load.clients);
    let note = if shown < all {
        format!("{shown} of {} clients, spread evenly.", grouped(all as u64))
    } else {
        String::new()
    };
    Tracks { title: "What each client saw".to_string(), note, rows: rows.collect() }
}

/// A client's cells, those that say the same joined.
fn spans(buckets: &[Bucket], cells: &[Cell], begins: f64) -> Vec<Span> {
    let mut joined: Vec<(f64, f64, Cell)> = Vec::new();
    for (bucket, cell) in buckets.iter().zip(cells) {
        let (from, to) = (begins + bucket.begins, begins + bucket.begins + bucket.length);
        match joined.last_mut() {
            Some((_, end, before)) if kind_of(*before) == kind_of(*cell) => {
                *end = to;
                before.add(*cell);
            }
            _ => joined.push((from, to, *cell)),
        }
    }
    let span = |(from, to, cell): (f64, f64, Cell)| {
        let Cell { answered, rejected, unknown, .. } = cell;
        let counts = [(answered, "answered"), (rejected, "rejected"), (unknown, "unknown")];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, what)| format!("{} {what}", grouped(count))).collect();
        let counts = if counts.is_empty() { "waiting for an answer".to_string() } else { counts.join(", ") };
        Span { from, to, kind: kind_of(cell), label: format!("{from:.1} to {to:.1} s: {counts}") }
    };
    joined.into_iter().map(span).collect()
}

/// What a cell is drawn as: the worst that is in it.
fn kind_of(cell: Cell) -> SpanKind {
    match cell {
        Cell { unknown: 1.., .. } => SpanKind::Unknown,
        Cell { rejected: 1.., .. } => SpanKind::Rejected,
        Cell { answered: 1.., .. } => SpanKind::Answered,
        Cell { waits: true, .. } => SpanKind::Waiting,
        Cell { .. } => SpanKind::Idle,
    }
}

/// The latency by percentile; none where nothing ended.
pub fn percentiles(load: &Summary) -> Option<Chart> {
    let nines = |share: f64| -share.log10();
    let curves = &load.curves;
    let mut lines = vec![("response time (from the intended start)", 0, &curves.response)];
    if load.rate.is_some() {
        lines.push(("service time (send to answer)", 4, &curves.service));
    } else {
        lines[0].0 = "service time (send to answer)";
    }
    if curves.all != curves.response {
        lines.push(("with what got no answer, at its time-out", 3, &curves.all));
    }
    let end = lines
        .iter()
        .filter_map(|(.., curve)| curve.last())
        .map(|(share, _)| nines(*share))
        .fold(0.0, f64::max);
    let series: Vec<Series> = lines
        .into_iter()
        .filter(|(.., curve)| !curve.is_empty())
        .map(|(name, style, curve)| Series {
            name: name.to_string(),
            style,
            points: curve.iter().map(|(share, micros)| (nines(*share), Some(*micros))).collect(),
        })
        .collect();
    if series.is_empty() {
        return None;
    }
    let named = [(0.0, "min"), (0.5f64.log10().abs(), "p50"), (1.0, "p90"), (2.0, "p99"), (3.0, "p99.9")];
    let more = [(4.0, "p99.99"), (5.0, "p99.999"), (6.0, "p99.9999")];
    let ticks = named.into_iter().chain(more).filter(|(at, _)| *at <= end + 0.001);
    Some(Chart {
        title: "Latency by percentile".to_string(),
        axis: Axis { scale: Scale::Linear, low: 0.0, high: end.max(0.5) },
        ticks: ticks.map(|(at, name)| (at, name.to_string())).collect(),
        label: "share of operations that took at most so long".to_string(),
        shown: Box::new(|nines| format!("{}%", percent_of(nines))),
        bands: Vec::new(),
        marks: Vec::new(),
        panels: vec![Panel {
            title: "Latency by percentile (log scale)".to_string(),
            series,
            scale: Scale::Logarithmic,
            shown: micros_shown,
        }],
        tracks: Vec::new(),
    })
}

/// The percentage of this number of nines, with as many digits as it has.
fn percent_of(nines: f64) -> String {
    let digits = usize::try_from(whole(nines.ceil())).unwrap_or(0).saturating_sub(1).max(1);
    let text = format!("{:.digits$}", 100.0 - 100.0 * 10f64.powf(-nines));
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

type Figure = fn(&Figures) -> f64;

/// The percentiles, a row each, by how they are counted.
pub fn percentile_table(load: &Summary, html: &mut String) {
    let mut columns = vec![("service time (send to answer)", load.service)];
    if load.rate.is_some() {
        columns.push(("response time (from the intended start)", load.response));
    }
    if load.all != load.response {
        columns.push(("with what got no answer, at its time-out", load.all));
    }
    let rows: [(&str, Figure); 6] = [
        ("p50", |figures| figures.p50),
        ("p90", |figures| figures.p90),
        ("p99", |figures| figures.p99),
        ("p99.9", |figures| figures.p999),
        ("max", |figures| figures.max),
        ("mean", |figures| figures.mean),
    ];
    let row = |(name, figure): (&str, Figure)| {
        let cell = |figures: &Option<Figures>| {
            figures.as_ref().map_or_else(|| "-".to_string(), |figures| micros_shown(figure(figures)))
        };
        std::iter::once(name.to_string()).chain(columns.iter().map(|(_, figures)| cell(figures))).collect()
    };
    let head: Vec<&str> = std::iter::once("latency").chain(columns.iter().map(|(name, _)| *name)).collect();
    table(&head, rows.map(row), html);
}

/// A row for each second.
pub fn seconds_table(rows: &[Row]) -> String {
    let mut html = String::new();
    let row = |row: &Row| {
        let counts = [row.answered, row.rejected, row.unknown].map(grouped);
        std::iter::once(row.name()).chain(counts).chain(row.latencies_shown()).collect()
    };
    let head = ["second", "answered", "rejected", "unknown", "p50", "p99", "max", "p99 of all"];
    table(&head, rows.iter().map(row), &mut html);
    html
}

/// `6,449/s`, or `1.5/s` where that makes a difference.
pub fn per_second(value: f64) -> String {
    if value < 10.0 && value.fract() > 0.05 {
        format!("{value:.1}/s")
    } else {
        format!("{}/s", grouped(whole(value.round())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{ClientSeen, Curves};

    fn bucket(place: u32, answered: u64, unknown: u64) -> Bucket {
        let begins = f64::from(place) / 10.0;
        Bucket { begins, length: 0.1, answered, unknown, ..Bucket::default() }
    }

    fn load() -> Summary {
        let buckets = vec![bucket(0, 50, 0), bucket(1, 0, 0), bucket(2, 0, 0), bucket(3, 10, 2)];
        let cell = |answered, unknown| Cell { answered, unknown, waits: true, ..Cell::default() };
        let cells = vec![cell(50, 0), cell(0, 0), cell(0, 0), cell(10, 2)];
        let seen = vec![ClientSeen { number: 7, cells }];
        Summary { clients: 99, outage: 0.25, outage_began: 0.1, buckets, seen, ..Summary::default() }
    }

    #[test]
    fn a_short_outage_is_seen() {
        let load = load();
        let rates = &panels(&load, 2.0)[0].series[0].points;
        let shown: Vec<Option<u64>> =
            rates.iter().map(|(_, rate)| rate.map(|rate| whole(rate.round()))).collect();
        assert_eq!(shown, [Some(500), Some(0), Some(0), Some(100)]);
        let band = outage(&load, 2.0).expect("a band");
        assert!((band.from - 2.1).abs() < 1e-9 && band.label == "longest outage 250 ms", "{}", band.label);
        let quick = Summary { outage: 0.02, ..load };
        assert!(outage(&quick, 0.0).is_none(), "a moment between two answers is none");
    }

    #[test]
    fn a_clients_row_joins_what_is_alike_and_shows_the_worst() {
        let Tracks { note, rows, .. } = clients(&load(), 0.0);
        assert_eq!((note.as_str(), rows[0].name.as_str()), ("1 of 99 clients, spread evenly.", "client 7"));
        let spans: Vec<(SpanKind, &str)> =
            rows[0].spans.iter().map(|span| (span.kind, span.label.as_str())).collect();
        assert_eq!(
            spans,
            [
                (SpanKind::Answered, "0.0 to 0.1 s: 50 answered"),
                (SpanKind::Waiting, "0.1 to 0.3 s: waiting for an answer"),
                (SpanKind::Unknown, "0.3 to 0.4 s: 10 answered, 2 unknown"),
            ]
        );
    }

    #[test]
    fn failures_are_a_panel_of_their_own_and_only_where_there_are_any() {
        assert_eq!(panels(&load(), 0.0).len(), 3);
        let fine = Summary { buckets: vec![bucket(0, 5, 0)], ..Summary::default() };
        assert_eq!(panels(&fine, 0.0).len(), 2);
    }

    #[test]
    fn percentiles_stand_by_their_nines() {
        assert_eq!([0.5f64.log10().abs(), 1.0, 3.0, 0.0].map(percent_of), ["50", "90", "99.9", "0"]);
        assert!(percentiles(&Summary::default()).is_none());
        let response = vec![(1.0, 10.0), (0.1, 20.0), (0.01, 900.0)];
        let curves = Curves { all: response.clone(), response, ..Curves::default() };
        let chart = percentiles(&Summary { curves, ..Summary::default() }).expect("a chart");
        let html = chart.html();
        assert!(html.contains("<title>99%: service time (send to answer) 900 us</title>"), "{html}");
    }
}
