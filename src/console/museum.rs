//! The museum of broken rules as people and programs see it: a table of what is on show and who noticed it, or one
//! specimen and how to see it again.

use std::thread;

use clap::Args;
use crossbeam_channel::{Receiver, bounded};
use parking_lot::Mutex;

use super::language::Answer;
use super::narrator::{EventFilter, Narrator};
use super::options;
use super::printer::Output;
use super::session::Ending;
use crate::interrupt::Interrupt;
use crate::sim::Simulation;
use crate::sim::museum::{self, Catch, Caught, Specimen};
use crate::sim::seeds::Family;
use crate::text::suggest::advice;

/// What is to be shown.
#[derive(Args, Clone, Debug)]
pub struct Visit {
    /// Shows this specimen alone
    #[arg(value_name = "SPECIMEN")]
    specimen: Option<String>,
    /// Counts which of these seeds catch the specimen
    #[arg(long, value_name = "A..B", value_parser = options::seed_range, requires = "specimen")]
    seeds: Option<(u64, u64)>,
    /// Tells the run that catches the specimen as it happens
    #[arg(long, requires = "specimen", conflicts_with = "seeds")]
    events: bool,
    /// Answers with one JSON object a specimen
    #[arg(long)]
    pub json: bool,
}

/// Seeds that are tried when the first one does not catch a specimen any more: each change of the core makes other runs.
const SEEDS_MAX: u64 = 400;

/// How a line about a specimen begins, for a column each.
const HEAD: [&str; 6] = ["specimen", "section", "caught by", "family", "seed", "seconds"];

/// Shows what is asked for: each specimen is put into the nodes of the run that caught it when it was made.
///
/// # Errors
/// One line: there is no specimen of that name, and which was probably meant.
pub fn show(visit: &Visit, output: &Output, interrupt: &Interrupt) -> Result<Ending, String> {
    let Some(name) = &visit.specimen else { return Ok(show_all(output, interrupt)) };
    let Some(specimen) = museum::specimen(name) else {
        let names = museum::specimens().map(|specimen| specimen.name);
        return Err(format!(
            "there is no specimen '{name}'{}",
            advice(name, &names, "'simulate museum' lists them")
        ));
    };
    Ok(match visit.seeds {
        Some((first, last)) => count(specimen, first, last, output, interrupt),
        None => show_one(specimen, visit.events, output),
    })
}

/// Each specimen is hunted on one of as many threads as the machine has processors, and shown in its turn.
fn show_all(output: &Output, interrupt: &Interrupt) -> Ending {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (caught, catches): (Vec<_>, Vec<_>) = museum::specimens().map(|_| bounded(1)).unzip();
    let next = Mutex::new(museum::specimens().zip(caught));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !interrupt.is_raised()
                    && let Some((specimen, caught)) = { next.lock().next() }
                {
                    // One that is not shown any more is not missed.
                    let _ = caught.send(museum::hunt(specimen, SEEDS_MAX));
                }
                // Those that are left are not hunted.
                next.lock().by_ref().for_each(drop);
            });
        }
        show_each(&catches, output)
    })
}

/// Shows what was caught, until a person interrupts the hunt.
fn show_each(catches: &[Receiver<Option<Catch>>], output: &Output) -> Ending {
    let mut escaped = 0;
    if !output.style().json {
        output.answer(&Answer::ok("museum", line(HEAD)));
    }
    for (specimen, catch) in museum::specimens().zip(catches) {
        let Ok(catch) = catch.recv() else { return Ending::Interrupted };
        let seeds = matches!(specimen.caught, Caught::BySeeds { .. });
        escaped += u32::from(seeds && catch.is_none());
        let row = row(specimen, catch.as_ref());
        let text = format!("{}\n    {}", line(row.each_ref().map(String::as_str)), specimen.defect);
        output.answer(&described(specimen, catch.as_ref(), text));
    }
    if escaped > 0 {
        output.answer(&Answer::failed("museum", format!("{escaped} of them are not caught")));
        return Ending::Failed;
    }
    Ending::Fine
}

fn show_one(specimen: &Specimen, events: bool, output: &Output) -> Ending {
    let Specimen { name, defect, section, .. } = specimen;
    let head = format!("{name}: {defect} ({section})");
    let Caught::BySeeds { family, .. } = specimen.caught else {
        let Caught::ByScenario(scenario) = specimen.caught else { unreachable!("the other one") };
        let text = format!("{head}\ncaught by a scenario of the tests: {scenario}");
        output.answer(&described(specimen, None, text));
        return Ending::Fine;
    };
    let Some(catch) = museum::hunt(specimen, SEEDS_MAX) else {
        let text = format!("no seed of {SEEDS_MAX} of the family {} catches {name}", family.name());
        output.answer(&Answer::failed("museum", text));
        return Ending::Failed;
    };
    if events {
        let narrator = Narrator::direct(output.clone());
        narrator.set_filter(EventFilter::All);
        let observe = |simulation: &mut Simulation| simulation.set_observer(Some(narrator.observer()));
        museum::hunt_in(specimen, family, catch.seed, observe);
    }
    let text = format!(
        "{head}\ncaught by seed {} of the family {} after {:.3} s of virtual time:\n    {}\n\
         as it happens: simulate museum {name} --events\nwithout the defect: {}",
        catch.seed,
        family.name(),
        catch.after.as_secs_f64(),
        catch.complaint,
        replay(family, catch.seed)
    );
    output.answer(&described(specimen, Some(&catch), text));
    Ending::Fine
}

/// How many of these seeds catch it.
fn count(specimen: &Specimen, first: u64, last: u64, output: &Output, interrupt: &Interrupt) -> Ending {
    let Caught::BySeeds { family, .. } = specimen.caught else { return show_one(specimen, false, output) };
    let mut caught = Vec::new();
    for seed in first..=last {
        if interrupt.is_raised() {
            return Ending::Interrupted;
        }
        caught.extend(museum::hunt_in(specimen, family, seed, |_| {}));
    }
    let (count, name) = (caught.len(), specimen.name);
    let seeds = match last - first + 1 {
        1 => "the 1 seed".to_string(),
        many => format!("the {many} seeds"),
    };
    let by = caught.first().map_or_else(String::new, |catch| {
        let (seed, after) = (catch.seed, catch.after.as_secs_f64());
        format!("; first by seed {seed} after {after:.3} s:\n    {}", catch.complaint)
    });
    let text = format!("{name}: caught by {count} of {seeds} of the family {}{by}", family.name());
    let seeds: Vec<u64> = caught.iter().map(|catch| catch.seed).collect();
    output.answer(&described(specimen, caught.first(), text).with("caught_by", seeds));
    if count == 0 { Ending::Failed } else { Ending::Fine }
}

fn replay(family: Family, seed: u64) -> String {
    format!("simulate --family {} --seed {seed}", family.name())
}

/// With what a program reads.
fn described(specimen: &Specimen, catch: Option<&Catch>, text: String) -> Answer {
    let Specimen { name, defect, section, caught, .. } = specimen;
    let mut answer =
        Answer::ok("museum", text).with("specimen", *name).with("defect", *defect).with("section", *section);
    match caught {
        Caught::ByScenario(scenario) => answer = answer.with("scenario", *scenario),
        Caught::BySeeds { family, .. } => answer = answer.with("family", family.name()),
    }
    if let Some(catch) = catch {
        answer = answer
            .with("seed", catch.seed)
            .with("seconds", catch.after.as_secs_f64())
            .with("property", catch.property())
            .with("complaint", catch.complaint.clone());
    }
    answer
}

fn row(specimen: &Specimen, catch: Option<&Catch>) -> [String; 6] {
    let nothing = || "-".to_string();
    let family = match specimen.caught {
        Caught::BySeeds { family, .. } => family.name().to_string(),
        Caught::ByScenario(_) => nothing(),
    };
    let seed = catch.map_or_else(nothing, |catch| catch.seed.to_string());
    let property = match (specimen.caught, catch) {
        (_, Some(catch)) => catch.property().to_string(),
        (Caught::ByScenario(_), None) => "a scenario".to_string(),
        (Caught::BySeeds { .. }, None) => "NOT CAUGHT".to_string(),
    };
    let seconds = catch.map_or_else(nothing, |catch| format!("{:.3}", catch.after.as_secs_f64()));
    [specimen.name.to_string(), short(specimen.section), property, family, seed, seconds]
}

/// A section as a table has room for it: `D 6.4.1` is the dissertation's.
fn short(section: &str) -> String {
    let first = section.split([',', ';']).next().unwrap_or_default();
    match section.split_once(" of the dissertation") {
        Some((number, "")) if !number.contains([',', ';']) => format!("D {number}"),
        _ => first.to_string(),
    }
}

fn line([name, section, property, family, seed, seconds]: [&str; 6]) -> String {
    format!("{name:<34} {section:<9} {property:<22} {family:<9} {seed:>4} {seconds:>7}")
}
