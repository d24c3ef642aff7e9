//! The figures as a table: medians, and raftlab's throughput by each peer's, taken round by round.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::driver::Figure;
use crate::options::{FORMS, Options, SYSTEMS, System};

/// For each form and system a figure a round.
pub type Results = BTreeMap<(&'static str, System), Vec<Figure>>;

/// All that was measured, in lines.
pub fn text(options: &Options, results: &Results) -> String {
    let mut text = format!(
        "medians of {} round(s), {} s each, three nodes in memory; ratios: raftlab's throughput by the peer's\n\n",
        options.rounds,
        options.span.as_secs_f64()
    );
    let peers: Vec<System> = SYSTEMS.into_iter().filter(|system| system.is_peer()).collect();
    let _ =
        write!(text, "{:<10} {:<16} {:>12} {:>10} {:>10}", "in flight", "system", "a second", "p50", "p99");
    for peer in &peers {
        let _ = write!(text, " {:>18}", format!("/ {}", peer.name()));
    }
    text.push('\n');
    for form in &FORMS {
        for system in SYSTEMS {
            let Some(figures) = results.get(&(form.name, system)) else { continue };
            let [rate, p50, p99] = [
                median(figures.iter().map(|figure| figure.rate)),
                median(figures.iter().map(|figure| figure.p50)),
                median(figures.iter().map(|figure| figure.p99)),
            ];
            let (p50, p99) = (time(p50), time(p99));
            let _ = write!(text, "{:<10} {:<16} {rate:>12.0} {p50:>10} {p99:>10}", form.name, system.name());
            for peer in peers.iter().filter(|_| !system.is_peer()) {
                let ratio = results.get(&(form.name, *peer)).map(|others| {
                    median(figures.iter().zip(others).map(|(figure, other)| figure.rate / other.rate))
                });
                let ratio = ratio.map_or("-".to_string(), |ratio| format!("{ratio:.2}"));
                let _ = write!(text, " {ratio:>18}");
            }
            text.push('\n');
        }
    }
    text.push_str(
        "\nafter each run all three nodes had applied all that was answered, and held the same map",
    );
    text
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    f64::midpoint(numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2])
}

/// Microseconds, for people.
fn time(micros: f64) -> String {
    if micros < 1_000.0 { format!("{micros:.1} us") } else { format!("{:.2} ms", micros / 1_000.0) }
}
