//! `simulate [NODES]`: the same cluster and the same console in virtual time. A seed decides everything, so a run can
//! be repeated byte for byte.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use raftlab::console::directive::EventFilter;
use raftlab::console::executor::{Console, Surroundings};
use raftlab::console::narrator::Narrator;
use raftlab::console::options::{self, SettingOptions};
use raftlab::console::printer::{ColorChoice, Output, Style};
use raftlab::console::session::{self, Source};
use raftlab::interrupt::Interrupt;
use raftlab::sim::{Simulation, SimulationSettings};

/// A Raft cluster in virtual time: the same seed and the same lines give the same transcript.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Options {
    #[command(flatten)]
    settings: SettingOptions,
    /// Carries out the lines of a file
    #[arg(long, value_name = "FILE", value_parser = options::path)]
    script: Option<PathBuf>,
    /// Carries out the script once for each of these seeds, and shows the seeds that fail
    #[arg(long, value_name = "A..B", value_parser = options::seed_range, conflicts_with = "seed")]
    seeds: Option<(u64, u64)>,
    /// Answers with one JSON object a directive
    #[arg(long)]
    json: bool,
    /// Goes on after a directive that failed
    #[arg(long)]
    keep_going: bool,
    /// Narrates everything but heartbeats
    #[arg(long)]
    events: bool,
    /// Colors: auto, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = options::color_choice)]
    color: ColorChoice,
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            let (text, code) = options::refusal(&error);
            let output = Output::standard(Style::default());
            if code == 0 { output.progress(&text) } else { output.warn(&text) }
            return ExitCode::from(code);
        }
    };
    match run(&options) {
        Ok(code) => ExitCode::from(code),
        Err(text) => {
            Output::standard(Style::default()).warn(&format!("error: {text}"));
            ExitCode::from(options::USAGE)
        }
    }
}
