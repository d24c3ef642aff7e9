//! `raftlab`, the program that has all others in it; completions and manual pages; and what repeats a run.

use std::process::Command;

use crate::Folder;

const WHOLE: &str = env!("CARGO_BIN_EXE_raftlab");

#[test]
fn it_explains_itself_and_each_part() {
    let folder = Folder::new();
    let parts = [
        "cluster",
        "simulate",
        "client_load",
        "check_history",
        "logs",
        "doctor",
        "recover",
        "backup",
        "restore",
    ];
    let told = folder.run(WHOLE, &[], "").exits(0).out;
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    for part in parts {
        let told = folder.run(WHOLE, &[part, "--help"], "").exits(0).out;
        assert!(told.contains(&format!("Usage: raftlab {part}")), "{told}");
        assert!(told.to_lowercase().contains("exit code"), "{part}: {told}");
    }
    assert!(folder.run(WHOLE, &["clustr"], "").exits(2).err.contains("cluster"), "a suggestion");
}

#[test]
fn each_part_works_as_by_itself() {
    let folder = Folder::new();
    let ran = folder.run(WHOLE, &["cluster", "3", "--memory"], "wait leader\ncreate x 1\n").exits(0);
    assert!(ran.out.starts_with("OK created x=1"), "{}", ran.out);
    let options = ["3", "--seed", "7", "--script", "-"];
    let lines = "wait leader\ncreate x 1\ncheck\n";
    let by_itself = folder.simulate(&options, lines).exits(0).out;
    let as_part: Vec<&str> = ["simulate"].into_iter().chain(options).collect();
    assert_eq!(folder.run(WHOLE, &as_part, lines).exits(0).out, by_itself);
    folder.write("h.jsonl", "");
    folder.run(WHOLE, &["check-history", "h.jsonl"], "").exits(3);
}

#[test]
fn completions_and_manual_pages_name_every_option() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = folder.run(WHOLE, &["--generate", shell], "").exits(0).out;
        for word in ["client_load", "time-scale", "keep-going"] {
            assert!(text.contains(word), "{shell} knows {word}");
        }
        let alone = folder.run(env!("CARGO_BIN_EXE_check_history"), &["--generate", shell], "").exits(0).out;
        assert!(alone.contains("check_history"), "{shell}: {alone}");
    }
    let page = folder.run(WHOLE, &["cluster", "--generate", "man"], "").exits(0).out;
    assert!(page.starts_with(".ie") || page.contains(".TH raftlab"), "{page}");
    assert!(page.contains("keep\\-going"), "{page}");
    assert!(folder.run(WHOLE, &["--generate", "tcsh"], "").exits(2).err.contains("bash"));
}

/// The command in the line of the seed.
fn again(err: &str) -> String {
    let line = err.lines().find(|line| line.contains("--seed ")).unwrap_or_else(|| panic!("a seed: {err}"));
    line.rsplit_once(": ").map(|(_, command)| command.to_string()).unwrap_or_default()
}

#[test]
fn the_command_that_repeats_a_run_is_the_one_that_works_where_it_was_started() {
    let folder = Folder::new();
    let options = ["cluster", "3", "--memory", "--batch-window", "1ms"];
    let by_cargo = folder.run(WHOLE, &options, "").exits(0).err;
    assert!(
        again(&by_cargo).starts_with(
            "cargo run --release --bin raftlab -- cluster 3 --memory --batch-window 1ms --seed "
        )
    );
    let mut command: Command = folder.command(WHOLE, &options);
    command.env_remove("CARGO_PKG_NAME");
    let ran = command.stdin(std::process::Stdio::null()).output().expect("it starts");
    let by_path = again(&String::from_utf8_lossy(&ran.stderr));
    let words: Vec<&str> = by_path.split(' ').collect();
    assert_eq!(words[0], WHOLE, "its path: {by_path}");
    assert_eq!(words[1..6], options, "{by_path}");
    let repeated = folder.run(words[0], &words[1..], "seed\n").exits(0);
    assert!(repeated.out.starts_with(words[7]), "{}", repeated.out);
}
