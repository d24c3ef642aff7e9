//! The README's transcripts are real: each is run again and compared. Its rows to type are typed.
//!
//! In virtual time every byte must agree. On threads, who leads and how long things take differ from run to run, so
//! names of nodes and numbers are masked there; every word still has to agree.

#[path = "readme/picture.rs"]
mod picture;

use std::time::Duration;

use assert_cmd::Command;
use raftlab::cluster::Cluster;
use raftlab::config::Settings;
use raftlab::console::executor::{Console, Context, Script};
use raftlab::console::language::Outcome;
use raftlab::console::narrator::Narrator;
use raftlab::console::printer::{Output, Style};
use raftlab::lab::Lab;
use raftlab::sim::{Simulation, SimulationSettings};

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README")
}

/// The fenced `console` blocks: the command line behind `$ `, and what it is said to print.
fn transcripts() -> Vec<(String, String)> {
    let readme = readme();
    let blocks = readme.split("```console\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("\n```").next().expect("a fence ends"));
    blocks
        .map(|block| {
            let (command, output) = block.split_once('\n').expect("a command and its output");
            let command = command.strip_prefix("$ ").expect("a command stands behind a dollar sign");
            (command.to_string(), format!("{output}\n"))
        })
        .collect()
}

/// What stands behind the program's name, and what is piped into it.
fn parts<'a>(command: &'a str, program: &str) -> Option<(Vec<&'a str>, String)> {
    let (before, arguments) = command.split_once(&format!("cargo run --release --bin {program} -- "))?;
    let piped = before.strip_prefix("printf '").and_then(|rest| rest.split_once("' | "));
    let input = piped.map_or(String::new(), |(text, _)| text.replace("\\n", "\n"));
    Some((arguments.split_whitespace().collect(), input))
}

/// Numbers and units of time become `#`, so that `n2` and `n3`, `0.8 ms` and `94 us` read the same.
fn masked(output: &str) -> String {
    let mut text = String::new();
    for character in output.chars() {
        match character {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            _ => text.push(character),
        }
    }
    let text = text.replace("#.#", "#").replace("# ms", "# us").replace("# s\n", "# us\n");
    // A leader answers when both followers hold an entry; whether its own disk was as quick, chance decides.
    let lines = text.lines().map(|line| match line.split_once(" crashed (") {
        Some((node, _)) => format!("{node} crashed ...\n"),
        None => format!("{}\n", line.replace("entry reloaded", "entries reloaded")),
    });
    lines.collect()
}

#[test]
fn the_transcript_of_virtual_time_is_the_same_byte_for_byte() {
    let mut compared = 0;
    for (command, expected) in transcripts() {
        let Some((arguments, input)) = parts(&command, "simulate") else { continue };
        let run = Command::new(env!("CARGO_BIN_EXE_simulate"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(arguments)
            .write_stdin(input)
            .assert()
            .success();
        let printed = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
        assert_eq!(printed, expected, "{command}");
        compared += 1;
    }
    assert!(compared > 0, "the README shows a run in virtual time");
}

#[test]
fn the_transcript_on_threads_differs_in_names_and_numbers_alone() {
    let mut compared = 0;
    for (command, expected) in transcripts() {
        let Some((arguments, input)) = parts(&command, "cluster") else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let run = Command::new(env!("CARGO_BIN_EXE_cluster"))
            .current_dir(folder.path())
            .args(arguments)
            .write_stdin(input)
            .assert()
            .success();
        let printed = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
        assert_eq!(masked(&printed), masked(&expected), "{command}");
        compared += 1;
    }
    assert!(compared > 0, "the README shows a run on threads");
}

#[test]
fn each_block_runs_on_the_other_driver_too() {
    for (command, _) in transcripts() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut other = match (parts(&command, "simulate"), parts(&command, "cluster")) {
            (Some((script, _)), _) => {
                let mut other = Command::new(env!("CARGO_BIN_EXE_cluster"));
                other.args(["3", "--memory", "--logs"]).arg(folder.path());
                other.args(script.iter().take_while(|word| **word != "--seed"));
                other
            }
            (None, Some((_, input))) => {
                let mut other = Command::new(env!("CARGO_BIN_EXE_simulate"));
                other.args(["--seed", "7", "--prompt"]).write_stdin(input);
                other
            }
            (None, None) => continue,
        };
        other.current_dir(env!("CARGO_MANIFEST_DIR")).assert().success();
    }
}

/// A row of "Things to try".
#[derive(Debug)]
struct Row {
    lines: Vec<String>,
    /// Not with `--memory`.
    on_disk: bool,
    only_in_virtual_time: bool,
    /// What the row says is to be seen.
    seen: Vec<String>,
}

fn rows() -> Vec<Row> {
    let readme = readme();
    let section = readme.split("## Things to try\n").nth(1).expect("a section");
    let section = section.split("\n## ").next().expect("it has a text");
    let rows: Vec<Row> = section.lines().filter(|line| line.starts_with("| `")).map(row).collect();
    assert!(rows.len() > 10, "the rows are found");
    rows
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
    let [lines, _, seen] = cells[..] else { panic!("three cells: {line}") };
    let spans =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(String::from).collect() };
    Row {
        lines: spans(lines).into_iter().filter(|span| !span.starts_with("cargo ")).collect(),
        on_disk: lines.contains("(on disk)"),
        only_in_virtual_time: lines.contains("(in virtual time"),
        seen: spans(seen),
    }
}

/// Types the row's lines; none may be turned down, and what the row says must be seen, at once or soon after.
fn type_row<L: Lab + 'static>(console: &mut Console<L>, row: &Row) {
    let mut transcript = String::new();
    for line in &row.lines {
        let said = typed(console, line);
        let turned_down = said.lines().any(|line| line.starts_with("ERR ")) && !line.starts_with("pipe");
        assert!(!turned_down, "{line}: {said}\nbehind\n{transcript}");
        transcript += &said;
    }
    for _ in 0..200 {
        if row.seen.iter().all(|text| transcript.contains(text)) {
            return;
        }
        transcript += typed(console, "sleep 50ms").trim_start_matches("> sleep 50ms\n");
    }
    panic!("{:?} are not all in\n{transcript}", row.seen);
}

/// What one line prints, narration included.
fn typed<L: Lab + 'static>(console: &mut Console<L>, line: &str) -> String {
    let mut script = Script::typed();
    console.run_line(&mut script, Ok(line));
    console.settle(&mut script);
    console.narrator().flush(Duration::from_secs(10));
    let said = console.output().take_transcript();
    let fails = said.contains("\nFAIL ");
    assert!(script.worst() != Outcome::Failed || fails, "{line}: {said}");
    said
}

fn virtual_console(seed: u64) -> Console<Simulation> {
    let output = Output::memory(Style { transcript: true, ..Style::default() });
    let narrator = Narrator::direct(output.clone());
    let simulation = Simulation::new(SimulationSettings::new(3, seed), Some(narrator.observer()));
    let mut console = Console::new(simulation, Context::default(), output, narrator);
    typed(&mut console, "wait leader");
    console
}

#[test]
fn each_row_shows_what_it_says_in_virtual_time_from_a_fresh_prompt() {
    for row in rows() {
        // The node that leads at first.
        for seed in 1..=6 {
            type_row(&mut virtual_console(seed), &row);
        }
    }
}

#[test]
fn rows_can_follow_each_other_in_virtual_time() {
    let mut console = virtual_console(7);
    for row in rows() {
        type_row(&mut console, &row);
    }
}

/// A prompt on threads, as `cluster` opens it for a person.
fn console_on_threads(settings: &Settings) -> Console<Cluster> {
    let output = Output::memory(Style { transcript: true, ..Style::default() });
    let narrator = Narrator::queued(output.clone());
    let cluster = Cluster::start(settings, Some(narrator.observer())).expect("it starts");
    assert!(cluster.wait_until_leader(Duration::from_secs(20)).is_some(), "a leader");
    let mut console = Console::new(cluster, Context::default(), output, narrator);
    console.open_session();
    console
}

#[test]
fn each_row_shows_what_it_says_on_threads() {
    let mut console = console_on_threads(&Settings { memory: true, ..Settings::default() });
    let rows = rows();
    let on_threads = || rows.iter().filter(|row| !row.only_in_virtual_time);
    on_threads().filter(|row| !row.on_disk).for_each(|row| type_row(&mut console, row));
    let folder = tempfile::tempdir().expect("a folder");
    let states = folder.path().join("states");
    let mut console = console_on_threads(&Settings { states, ..Settings::default() });
    on_threads().filter(|row| row.on_disk).for_each(|row| type_row(&mut console, row));
}
