//! The figures as a table: medians, and raftlab's throughput by each peer's, taken round by round.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::driver::Figure;
use crate::options::{FORMS, Options, SYSTEMS, System};

/// For each form and system the figures by the numbers of their rounds. A run that failed left none.
pub type Results = BTreeMap<(&'static str, System), BTreeMap<u32, Figure>>;

/// All that was measured, in lines; whether no run failed.
pub fn text(options: &Options, results: &Results, all_well: bool) -> String {
    let mut text = format!(
        "medians of {} round(s), {} s each, {}; ratios: raftlab's throughput by the peer's\n\n",
        options.rounds,
        options.span.as_secs_f64(),
        if options.processes { "three processes on a disk" } else { "three nodes in memory" }
    );
    let of_kind = |system: &System| system.is_peer() && system.is_processes() == options.processes;
    let peers: Vec<System> = SYSTEMS.into_iter().filter(of_kind).collect();
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
                median(figures.values().map(|figure| figure.rate)),
                median(figures.values().map(|figure| figure.p50)),
                median(figures.values().map(|figure| figure.p99)),
            ]
            .map(|median| median.expect("who is in the results has a figure"));
            let (p50, p99) = (time(p50), time(p99));
            let _ = write!(text, "{:<10} {:<16} {rate:>12.0} {p50:>10} {p99:>10}", form.name, system.name());
            for peer in peers.iter().filter(|_| !system.is_peer()) {
                let others = results.get(&(form.name, *peer));
                let both = others.map_or(Vec::new(), |others| ratios(figures, others));
                let shown =
                    median(both.iter().copied()).map_or("-".to_string(), |ratio| format!("{ratio:.2}"));
                let shown = format!("{shown}{}", of_fewer(both.len(), options.rounds));
                let _ = write!(text, " {shown:>18}");
            }
            // A peer has no ratios: what it lacks stands at the end.
            text.push_str(&of_fewer(figures.len(), options.rounds));
            text.push('\n');
        }
    }
    text.push_str(if all_well && options.processes {
        "\nevery command was answered"
    } else if all_well {
        "\nafter each run all three nodes had applied all that was answered, and held the same map"
    } else {
        "\nsome runs failed, and are left out; (of N) is a median of N rounds only"
    });
    text
}

/// One by the other, in the rounds that both have.
fn ratios(figures: &BTreeMap<u32, Figure>, others: &BTreeMap<u32, Figure>) -> Vec<f64> {
    let both = figures.iter().filter_map(|(round, figure)| Some((figure, others.get(round)?)));
    both.map(|(figure, other)| figure.rate / other.rate).collect()
}

/// ` (of 3)`, if some rounds are missing.
fn of_fewer(count: usize, rounds: u32) -> String {
    match u32::try_from(count) {
        Ok(count) if (1..rounds).contains(&count) => format!(" (of {count})"),
        _ => String::new(),
    }
}

/// None of none.
fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let last = numbers.len().checked_sub(1)?;
    Some(f64::midpoint(numbers[last / 2], numbers[last.div_ceil(2)]))
}

/// Microseconds, for people.
fn time(micros: f64) -> String {
    if micros < 1_000.0 { format!("{micros:.1} us") } else { format!("{:.2} ms", micros / 1_000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rates: &[(u32, f64)]) -> BTreeMap<u32, Figure> {
        rates.iter().map(|(round, rate)| (*round, Figure { rate: *rate, p50: 1.0, p99: 2.0 })).collect()
    }

    #[test]
    fn a_run_that_failed_is_compared_with_nothing_and_said() {
        let router = figures(&[(1, 100.0), (2, 1.0), (3, 100.0)]);
        let peer = figures(&[(1, 50.0), (3, 50.0)]);
        assert_eq!(ratios(&router, &peer), [2.0, 2.0]);
        let options = Options::parse(["--rounds", "3"].map(str::to_string).into_iter()).expect("options");
        let results = Results::from([(("1x1", System::Router), router), (("1x1", System::RaftRs), peer)]);
        let some = text(&options, &results, false);
        assert!(some.contains("2.00 (of 2)") && !some.contains("held the same map"), "{some}");
        let all = text(&options, &Results::new(), true);
        assert!(all.contains("held the same map") && !all.contains("(of "), "{all}");
    }

    #[test]
    fn the_median_lies_between_the_two_in_the_middle() {
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
