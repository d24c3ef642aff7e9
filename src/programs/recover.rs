//! `recover DIR... --from n3 --accept-loss 791..`: when a quorum is lost for good, one survivor becomes a cluster of one.
//!
//! It says what that costs before it writes, and writes only when the cost was named.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::Start;
use super::doctor::{Folder, examine, loss};
use crate::console::options;
use crate::console::printer::{Output, Style};
use crate::storage::real::RealDisk;
use crate::storage::remains::Remains;
use crate::storage::rescue::Rescue;
use crate::storage::survivors::{Choice, Survivors};
use crate::types::{Epoch, LogIndex, NodeId, Term};

/// Nothing was written.
const REFUSED: u8 = 1;

/// Makes one survivor a cluster of one, when too many nodes are gone for good to elect a leader.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Ask 'doctor' first: it says what each survivor keeps and loses, and which bound to accept. The other nodes' files \
                  are of an earlier epoch afterwards, and a start refuses them: 'add' takes these nodes in again with new files. A \
                  record of what was done lies in the survivor's folder.\n\n\
                  Exit code 0: it was done; 1: refused, and nothing was written; 2: wrong usage, or no such files."
)]
pub(super) struct Options {
    /// The folders of all nodes that are left, or folders that hold them [default: states]
    #[arg(value_name = "DIR", default_value = "states")]
    folders: Vec<PathBuf>,
    /// The survivor that continues
    #[arg(long, value_name = "NODE")]
    from: NodeId,
    /// The first entry that may be lost or replaced, as 'doctor' names it: 791..
    #[arg(long, value_name = "FIRST..", value_parser = bound)]
    accept_loss: Option<LogIndex>,
}

fn bound(text: &str) -> Result<LogIndex, String> {
    let first = text.strip_suffix("..").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let first = first.and_then(|digits| digits.parse().ok()).filter(|first| *first > 0);
    first.map(LogIndex).ok_or_else(|| "name the first entry, and all behind it: 791..".to_string())
}

pub fn main(start: &Start) -> ExitCode {
    let options: Options = match start.options() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let output = Output::standard(Style::default());
    let done = examine(&options.folders).map_err(|text| (text, options::USAGE));
    match done.and_then(|folders| recover(&options, &folders, &output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((text, code)) => {
            output.warn(&format!("error: {text}"));
            ExitCode::from(code)
        }
    }
}

fn recover(options: &Options, folders: &[Folder], output: &Output) -> Result<(), (String, u8)> {
    let refused = |text: String| (text, REFUSED);
    let survivors = Survivors::of(folders.iter().map(|folder| folder.remains.clone()).collect());
    let survivors = survivors.map_err(|mixture| (mixture.to_string(), options::USAGE))?;
    let folder = chosen(options.from, folders, &survivors)?;
    if let Some(rescue) = unfinished(folder, &survivors) {
        rescue.perform(|| RealDisk::new(&folder.path)).map_err(|error| refused(error.to_string()))?;
        output.progress(&format!("the recovery from {}, which was cut short, is complete", options.from));
        return Ok(());
    }
    if survivors.has_quorum() {
        return Err(refused("a quorum is here: start the cluster, nothing is lost".to_string()));
    }
    let choice = survivors.choices().into_iter().find(|choice| choice.node == options.from);
    let choice = choice.expect("a node that can continue is a choice");
    let told = loss(&choice, &survivors);
    for line in &told {
        output.progress(line);
    }
    accepted(options, &choice).map_err(refused)?;
    let rescue = plan(&survivors, &choice, &told);
    rescue.perform(|| RealDisk::new(&folder.path)).map_err(|error| refused(error.to_string()))?;
    output.progress(&done(&rescue, folder, &survivors));
    Ok(())
}

/// The folder of the node that is to continue, if it can, and no node runs.
fn chosen<'a>(
    from: NodeId,
    folders: &'a [Folder],
    survivors: &Survivors,
) -> Result<&'a Folder, (String, u8)> {
    let running = folders.iter().find_map(|folder| folder.holder.map(|process| (folder, process)));
    if let Some((folder, process)) = running {
        return Err((format!("{} is {process}: stop that node first", folder.path.display()), REFUSED));
    }
    let folder = folders.iter().find(|folder| folder.remains.node() == Some(from));
    let folder = folder.ok_or_else(|| (format!("no folder holds files of {from}"), options::USAGE))?;
    if !survivors.can_continue(from) {
        let trouble = folder.remains.files.troubles.first();
        let why = trouble.map_or_else(
            || format!("its files are of an earlier epoch than {}", survivors.epoch),
            |trouble| format!("its files are damaged: {trouble}"),
        );
        return Err((format!("{from} cannot continue: {why}"), REFUSED));
    }
    Ok(folder)
}

/// The bound must be the exact one: so a person has read what it means.
fn accepted(options: &Options, choice: &Choice) -> Result<(), String> {
    let (node, bound) = (choice.node, choice.bound());
    match options.accept_loss {
        Some(accepted) if accepted == bound => Ok(()),
        Some(accepted) => Err(format!(
            "entry {accepted} is not the bound of {node}: from entry {bound} on entries may be lost; nothing was written. To \
             accept that: --accept-loss {bound}.."
        )),
        None => Err(format!("nothing was written. To accept this loss: --accept-loss {bound}..")),
    }
}

fn plan(survivors: &Survivors, choice: &Choice, told: &[String]) -> Rescue {
    let known = survivors.all().filter_map(|(_, remains)| remains.files.hard_state);
    let term = known.map(|state| state.current_term).max().unwrap_or(Term(0)).next();
    let member = survivors.get(choice.node).and_then(Remains::member);
    let member = member.expect("a node that can continue has its state");
    Rescue::of(survivors.cluster, Epoch(survivors.epoch.0 + 1), term, member, choice, told)
}

/// A rescue of this survivor that has begun its epoch, and whose entry is not in the log.
fn unfinished(folder: &Folder, survivors: &Survivors) -> Option<Rescue> {
    let record = std::fs::read(folder.path.join(Rescue::record_name(survivors.epoch))).ok()?;
    let rescue: Rescue = serde_json::from_slice(&record).ok()?;
    (rescue.epoch == survivors.epoch && folder.remains.last().term < rescue.term).then_some(rescue)
}

fn done(rescue: &Rescue, folder: &Folder, survivors: &Survivors) -> String {
    let survivor = folder.remains.node().expect("a survivor has a name");
    let others = survivors.effective().map_or_else(Vec::new, |found| found.configuration.nodes());
    let others: Vec<String> =
        others.iter().filter(|node| **node != survivor).map(NodeId::to_string).collect();
    format!(
        "{survivor} is a cluster of one in epoch {}; its record: {}. Start it, and take in the others again: add {}",
        rescue.epoch,
        folder.path.join(Rescue::record_name(rescue.epoch)).display(),
        others.join(", add ")
    )
}
