//! The scripts that people are shown: each says how to start it, runs in virtual time with every seed, the same byte for
//! byte, and on threads.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Folder;

/// The scripts, in order.
fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let entries = fs::read_dir(folder).expect("the scripts' folder");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut scripts: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "raft")).collect();
    scripts.sort();
    scripts
}

/// The words behind `# cluster` in a script's first line: the command that runs it.
fn command_of(script: &Path) -> Vec<String> {
    let text = fs::read_to_string(script).expect("the script can be read");
    let first = text.lines().next().unwrap_or_default();
    let words = first.strip_prefix("# cluster ");
    let words = words.unwrap_or_else(|| panic!("{} begins with its command", script.display()));
    words.split_whitespace().map(in_project).collect()
}

/// Paths are told from the project's folder.
fn in_project(word: &str) -> String {
    let root = if word.starts_with("scripts/") { concat!(env!("CARGO_MANIFEST_DIR"), "/") } else { "" };
    format!("{root}{word}")
}

fn in_virtual_time(folder: &Folder, script: &Path, seed: u64) -> String {
    let words: Vec<String> = command_of(script).into_iter().filter(|word| word != "--memory").collect();
    let seed = seed.to_string();
    let options: Vec<&str> = words.iter().map(String::as_str).chain(["--seed", &seed]).collect();
    folder.simulate(&options, "").exits(0).out
}

#[test]
fn each_tells_what_happens_and_ends_in_a_check() {
    for script in scripts() {
        let text = fs::read_to_string(&script).expect("the script can be read");
        let name = script.file_name().expect("a file has a name").to_string_lossy();
        assert!(command_of(&script).last().is_some_and(|last| last.ends_with(&*name)), "{name}: runs itself");
        assert_eq!(text.lines().last(), Some("check"), "{name}");
        let tells =
            |line: &&str| line.starts_with("echo ") || (name == "tour.raft" && line.starts_with("# "));
        let told: Vec<&str> = text.lines().filter(tells).collect();
        assert!(told.len() > 1, "{name} tells what happens");
        let numbered = |line: &&str| line.contains("Figure ") || line.contains(|c: char| c.is_ascii_digit());
        assert!(told.iter().any(|line| line.contains('(') && numbered(line)), "{name} names the section");
    }
}

#[test]
fn each_passes_in_virtual_time_whatever_the_seed() {
    let folder = Folder::new();
    for script in scripts() {
        for seed in 1..=8 {
            let told = in_virtual_time(&folder, &script, seed);
            assert!(told.contains("PASS linearizable"), "{}: {told}", script.display());
        }
        let again = in_virtual_time(&folder, &script, 1);
        assert_eq!(in_virtual_time(&folder, &script, 1), again, "{}", script.display());
    }
}

#[test]
fn each_passes_on_threads() {
    for script in scripts() {
        let folder = Folder::new();
        let words = command_of(&script);
        let options: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = folder.cluster(&options, "").exits(0).out;
        assert!(told.contains("PASS linearizable"), "{}: {told}", script.display());
    }
}

#[test]
fn a_script_is_found_by_its_name_here_above_and_in_the_program() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("scripts/below")).expect("the folder is new");
    folder.write("scripts/here.raft", "# cluster 3\n# A script of this folder (5.1).\necho found\n");
    for name in ["here.raft", "here", "scripts/here"] {
        assert_eq!(folder.simulate(&["--script", name], "").exits(0).out, "> echo found\nfound\n", "{name}");
    }
    let mut below = folder.command(env!("CARGO_BIN_EXE_simulate"), &["--script", "here"]);
    let ran = below.current_dir(folder.path("scripts/below")).output().expect("the program starts");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("found"), "a folder of scripts is above");
    let ran = folder.simulate(&["--seed", "7", "--script", "-"], "run tour\n").exits(0);
    assert!(ran.out.contains("PASS linearizable"), "no folder has it, the program has: {}", ran.out);
    let listed = folder.simulate(&["--seed", "7", "--script", "-"], "run\n").exits(0).out;
    assert!(listed.contains("\nhere ") && listed.contains("A script of this folder (5.1)"), "{listed}");
    assert!(listed.contains("\ntour ") && listed.lines().all(|line| line.len() <= 80), "{listed}");
    let settings = ["5", "--config", "figure-8.toml", "--script", "-"];
    folder.simulate(&settings, "sleep 1ms\n").exits(0);
}
