//! The seconds of a run as lines for people and for spreadsheets.

use std::fmt::Write as _;

use super::tally::{Figures, Row};
use crate::text::numbers::{grouped, micros_shown};

impl Row {
    pub fn header() -> String {
        format!(
            "{:>5} {:>11} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10}",
            "SEC", "ANSWERED/S", "REJECTED", "UNKNOWN", "P50", "P99", "MAX", "P99 ALL"
        )
    }

    /// The second's name: one behind the measured time is `4+`.
    pub(crate) fn name(&self) -> String {
        format!("{}{}", self.second, if self.after_end { "+" } else { "" })
    }

    /// For people: the median, the 99th percentile and the longest latency of answers, and the 99th percentile of all
    /// operations. A `-` where nothing was measured.
    pub(crate) fn latencies_shown(&self) -> [String; 4] {
        let Row { latency, all, .. } = self;
        let figures = [
            latency.map(|figures| figures.p50),
            latency.map(|figures| figures.p99),
            latency.map(|figures| figures.max),
            all.map(|figures| figures.p99),
        ];
        figures.map(|micros| micros.map_or_else(|| "-".to_string(), micros_shown))
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Row { answered, rejected, unknown, .. } = self;
        let [p50, p99, max, all] = self.latencies_shown();
        let (name, answered) = (self.name(), grouped(*answered));
        write!(
            f,
            "{name:>5} {answered:>11} {rejected:>8} {unknown:>8} {p50:>10} {p99:>10} {max:>10} {all:>10}"
        )
    }
}

/// The rows, with a head, for spreadsheets. Latencies are in microseconds, those of `all_` include operations without an
/// answer; a cell is empty where nothing was measured.
pub fn csv(rows: &[Row]) -> String {
    let mut text = "second,sent,answered,rejected,unknown,p50_us,p90_us,p99_us,p999_us,max_us,\
                    all_p50_us,all_p90_us,all_p99_us,all_p999_us,all_max_us,after_end\n"
        .to_string();
    for Row { second, after_end, sent, answered, rejected, unknown, latency, all } in rows {
        let (latency, all) = (cells(*latency), cells(*all));
        let _ = writeln!(text, "{second},{sent},{answered},{rejected},{unknown},{latency},{all},{after_end}");
    }
    text
}

fn cells(figures: Option<Figures>) -> String {
    figures.map_or_else(
        || ",,,,".to_string(),
        |Figures { p50, p90, p99, p999, max, .. }| format!("{p50:.1},{p90:.1},{p99:.1},{p999:.1},{max:.1}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_wide_as_their_head_and_empty_where_nothing_was_measured() {
        let figures = Some(Figures { p50: 21.0, max: 250_000.0, ..Figures::default() });
        let row = Row { second: 1, answered: 1_234_567, latency: figures, all: figures, ..Row::default() };
        let silent = Row { second: 2, after_end: true, unknown: 3, all: figures, ..Row::default() };
        for row in [&row, &silent] {
            assert_eq!(row.to_string().len(), Row::header().len());
        }
        assert!(silent.to_string().starts_with("   2+           0"), "{silent}");
        let text = csv(&[row, silent]);
        let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [16, 16, 16], "{text}");
        assert!(text.ends_with("\n2,0,0,0,3,,,,,,21.0,0.0,0.0,0.0,250000.0,true\n"), "{text}");
    }
}
