//! The whole measurement, as the programs offer it: trials, table, plot.

use std::path::PathBuf;
use std::time::Duration;

use super::{Curve, Range, Trouble, plot, seed_of, table};
use crate::console::options;
use crate::console::printer::Output;
use crate::console::session::Ending;
use crate::interrupt::Interrupt;

/// The options of `figure16`.
#[derive(Clone, PartialEq, Eq, Debug, clap::Args)]
pub struct Plan {
    /// How many trials for each range of election timeouts [default: 1000 in virtual time, 20 on threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub trials: Option<u64>,
    /// Decides all chance of the trials, as far as threads leave it to be decided
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where the curves are drawn
    #[arg(long, value_name = "FILE", default_value = "figure16.svg", value_parser = options::path)]
    pub svg: PathBuf,
}

/// Carries out so many trials for each range, prints the table and draws the curves.
///
/// # Errors
/// The plot cannot be written, or a trial could not be prepared: one line that says which.
pub fn run(
    plan: &Plan,
    ranges: &[Range],
    trials: u64,
    one: impl Fn(&Range, u64) -> Result<Option<Duration>, Trouble>,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Ending, String> {
    let Plan { seed, svg, .. } = plan;
    let unwritable = |error| format!("{} cannot be written: {error}", svg.display());
    // Known to be writable before the work begins.
    std::fs::write(svg, plot(&[])).map_err(unwritable)?;
    let mut curves = Vec::new();
    for range in ranges {
        let mut results = Vec::new();
        for trial in 0..trials {
            let result = if interrupt.is_raised() {
                Err(Trouble::Interrupted)
            } else {
                one(range, seed_of(*seed, *range, trial))
            };
            match result {
                Ok(time) => results.push(time),
                Err(Trouble::Interrupted) => return Ok(Ending::Interrupted),
                Err(trouble) => return Err(format!("{range}, trial {}: {trouble}", trial + 1)),
            }
        }
        curves.push(Curve::new(*range, &results));
    }
    std::fs::write(svg, plot(&curves)).map_err(unwritable)?;
    output.progress(&table(&curves));
    output.warn(&format!("the curves are in {}", svg.display()));
    Ok(Ending::Fine)
}
