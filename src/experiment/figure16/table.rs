//! The measured numbers beside the paper's own.

use std::time::Duration;

use super::{Curve, LIMIT};

/// A row for each range, times in milliseconds.
pub fn table(curves: &[Curve]) -> String {
    let head = format!(
        "{:<11}  {:>6}  {:>7}  {:>7}  {:>7}  {:>7}  {:>6}  the paper, 9.3",
        "timeouts", "trials", "median", "mean", "p90", "max", "> 1 s"
    );
    let rows = curves.iter().map(|curve| {
        let share = curve.longer_than(Duration::from_secs(1));
        let share = format!("{}.{}%", share / 10, share % 10);
        let row = format!(
            "{:<11}  {:>6}  {:>7}  {:>7}  {:>7}  {:>7}  {share:>6}  {}",
            curve.range,
            curve.trials(),
            millis(curve.within(500)),
            millis(curve.mean()),
            millis(curve.within(900)),
            millis(curve.within(1000)),
            paper(curve)
        );
        row.trim_end().to_string()
    });
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}

/// What the paper says of the curve's range.
fn paper(curve: &Curve) -> String {
    let numbers = curve.range.paper.iter().map(|(measure, millis)| format!("{measure} {millis}"));
    numbers.collect::<Vec<_>>().join(", ")
}

/// A time, or that it was beyond the limit of a trial.
fn millis(time: Option<Duration>) -> String {
    time.map_or_else(|| format!(">{}", LIMIT.as_millis()), |time| time.as_millis().to_string())
}
