//! The whole measurement, as the programs offer it: trials, table, plot.

use std::path::PathBuf;
use std::time::Duration;

use super::{Curve, Range, TrialError, plot, seed_of, table};
use crate::console::options;
use crate::console::printer::Output;
use crate::console::session::Ending;
use crate::experiment::Trouble;
use crate::interrupt::Interrupt;

/// The options of `figure16`.
#[derive(Clone, PartialEq, Eq, Debug, clap::Args)]
pub struct TrialPlan {
    /// How many trials for each range of election timeouts [default: 1000 in virtual time, 20 on threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub trials: Option<u64>,
    /// Decides all chance of the trials, as far as threads leave it to be decided
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where the curves are drawn
    #[arg(long, value_name = "FILE", default_value = "figure16.svg")]
    pub svg: PathBuf,
}

/// Makes this many trials for each range, prints the table and draws the curves. A measurement that ends early shows the
/// ranges that were finished.
///
/// # Errors
/// The plot cannot be written, or a trial could not be prepared: one line that says which.
pub fn run(
    plan: &TrialPlan,
    ranges: &[Range],
    trials: u64,
    one: impl Fn(&Range, u64) -> Result<Option<Duration>, TrialError>,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Ending, Trouble> {
    options::writable(&plan.svg).map_err(|text| Trouble { text, code: options::USAGE })?;
    let mut curves = Vec::new();
    let ended = measure(plan, ranges, trials, one, interrupt, &mut curves);
    if !curves.is_empty() {
        let unwritable = |error| Trouble { text: options::cannot_write(&plan.svg, &error), code: 1 };
        output.progress(&table(&curves));
        std::fs::write(&plan.svg, plot(&curves)).map_err(unwritable)?;
        output.warn(&format!("the curves are in {}", plan.svg.display()));
    }
    ended
}

/// The curves of one range after the other, as far as it comes.
fn measure(
    plan: &TrialPlan,
    ranges: &[Range],
    trials: u64,
    one: impl Fn(&Range, u64) -> Result<Option<Duration>, TrialError>,
    interrupt: &Interrupt,
    curves: &mut Vec<Curve>,
) -> Result<Ending, Trouble> {
    for range in ranges {
        let mut results = Vec::new();
        for trial in 0..trials {
            let result = if interrupt.is_raised() {
                Err(TrialError::Interrupted)
            } else {
                one(range, seed_of(plan.seed, *range, trial))
            };
            match result {
                Ok(time) => results.push(time),
                Err(TrialError::Interrupted) => return Ok(Ending::Interrupted),
                Err(trouble) => {
                    let text = format!("{range}, trial {}: {trouble}", trial + 1);
                    return Err(Trouble { text, code: trouble.code() });
                }
            }
        }
        curves.push(Curve::new(*range, &results));
    }
    Ok(Ending::Fine)
}

#[cfg(test)]
mod tests {
    use super::super::RANGES;
    use super::*;
    use crate::console::printer::Style;
    use crate::lab::LabError;

    /// A measurement whose first range is finished, and whose second one ends like this.
    #[track_caller]
    fn assert_ends(second: &TrialError, expected: &Result<Ending, Trouble>) {
        let folder = tempfile::tempdir().expect("a folder");
        let svg = folder.path().join("f.svg");
        let plan = TrialPlan { trials: None, seed: 1, svg: svg.clone() };
        let output = Output::memory(Style::default());
        let first = Ok(Some(Duration::from_millis(300)));
        let one = |range: &Range, _| if *range == RANGES[1] { first.clone() } else { Err(second.clone()) };
        let ended = run(&plan, &RANGES[1..], 2, one, &output, &Interrupt::new());
        assert_eq!(ended, *expected);
        assert!(std::fs::read_to_string(svg).is_ok_and(|plot| plot.contains("150-151 ms")));
    }

    #[test]
    fn what_was_finished_is_drawn_and_each_trouble_has_its_exit_code() {
        assert_ends(&TrialError::Interrupted, &Ok(Ending::Interrupted));
        let failure = |reason: &str, code| Trouble { text: format!("150-155 ms, trial 1: {reason}"), code };
        assert_ends(&TrialError::Unsteady, &Err(failure("no leader stays long enough to be crashed", 3)));
        let refused = TrialError::Rejected(LabError::new("no threads are left".to_string()));
        assert_ends(&refused, &Err(failure("no threads are left", 1)));
    }

    #[test]
    fn a_plot_that_is_there_stays_until_there_is_a_better_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let svg = folder.path().join("f.svg");
        std::fs::write(&svg, "as it was").expect("the folder can be written");
        let plan = TrialPlan { trials: None, seed: 1, svg: svg.clone() };
        let output = Output::memory(Style::default());
        let interrupt = Interrupt::new();
        let ended = run(&plan, &RANGES, 1, |_, _| Err(TrialError::Interrupted), &output, &interrupt);
        assert_eq!(ended, Ok(Ending::Interrupted));
        assert_eq!(std::fs::read_to_string(svg).ok().as_deref(), Some("as it was"));
        let nowhere = TrialPlan { svg: folder.path().join("none/f.svg"), ..plan };
        let ended = run(&nowhere, &RANGES, 1, |_, _| Err(TrialError::Unsteady), &output, &interrupt);
        assert!(ended.is_err_and(|failure| failure.code == options::USAGE));
    }
}
