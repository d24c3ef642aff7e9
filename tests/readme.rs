//! The README's transcripts are real: each is run again and compared.
//!
//! In virtual time every byte must agree. On threads, who leads and how long things take differ from run to run, so
//! names of nodes and numbers are masked there; every word still has to agree.

use assert_cmd::Command;

/// The fenced `console` blocks: the command line behind `$ `, and what it is said to print.
fn transcripts() -> Vec<(String, String)> {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
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
    let lines = text.lines().map(|line| match line.split_once(" crashed: ") {
        Some((node, _)) => format!("{node} crashed: ...\n"),
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
