//! `doctor DIR...`: what the files of a cluster prove when too many of its nodes are gone, and what each way to continue
//! would cost. Reads files, and changes none.

mod findings;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

pub(super) use self::findings::{Folder, examine, loss, node_folders};

use super::Start;
use crate::console::options;
use crate::console::printer::{Output, Style};
use crate::storage::survivors::{Mixture, Survivors};

/// A quorum is missing, or files are not as they were written.
const UNWELL: u8 = 1;

/// Reads the files of a cluster that elects no leader any more: what is certain, what may have been answered, and what is
/// lost with each node that could continue.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Nothing is written. Name all folders that are left: what one node's files do not prove, another's may.\n\n\
                  Exit code 0: a quorum is here, and all files are as they were written; 1: a quorum is missing, or files are \
                  damaged; 2: wrong usage, or no such files."
)]
pub(super) struct Options {
    /// The folders of nodes, or folders that hold them [default: states]
    #[arg(value_name = "DIR", default_value = "states")]
    folders: Vec<PathBuf>,
    /// Answers with one JSON object
    #[arg(long)]
    json: bool,
}

pub fn main(start: &Start) -> ExitCode {
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let output = Output::standard(Style::default());
    match diagnose(&options, &output, start) {
        Ok(code) => ExitCode::from(code),
        Err(text) => {
            output.warn(&format!("error: {text}"));
            ExitCode::from(options::USAGE)
        }
    }
}

fn diagnose(options: &Options, output: &Output, start: &Start) -> Result<u8, String> {
    let folders = examine(&options.folders)?;
    let survivors = match Survivors::of(folders.iter().map(|folder| folder.remains.clone()).collect()) {
        Ok(survivors) => survivors,
        Err(Mixture::Nothing) => {
            output.warn("error: no node's state.json can be read: what the rest belongs to is not known");
            folders
                .iter()
                .flat_map(|folder| &folder.remains.files.troubles)
                .for_each(|line| output.warn(line));
            return Ok(UNWELL);
        }
        Err(mixture) => return Err(mixture.to_string()),
    };
    if options.json {
        output.progress(&findings::json(&folders, &survivors).to_string());
    } else {
        let recover = start.shown().replace("doctor", "recover");
        for line in findings::lines(&folders, &survivors, &recover, &options.folders) {
            output.progress(&line);
        }
    }
    let well =
        survivors.has_quorum() && folders.iter().all(|folder| folder.remains.files.troubles.is_empty());
    Ok(if well { 0 } else { UNWELL })
}
