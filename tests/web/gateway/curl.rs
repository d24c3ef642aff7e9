//! The README's commands for any language, typed.

use std::process::Command;

use super::Served;

/// The commands of the README's block that asks with curl, each with what it is said to print.
fn block() -> Vec<(String, String)> {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("a README");
    let (_, rest) = readme.split_once("## From any language").expect("the section");
    let (_, rest) = rest.split_once("```sh\n").expect("a block");
    let (block, _) = rest.split_once("```").expect("it ends");
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_string(), String::new())),
            (None, Some((_, output))) => output.push_str(line),
            (None, None) => panic!("a command comes first: {line}"),
        }
    }
    commands
}

#[test]
fn the_readmes_commands_do_what_it_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("no curl is here, so the README's commands were not typed");
        return;
    }
    let served = Served::threads();
    let commands = block();
    assert!(commands.len() > 5, "{commands:?}");
    for (command, output) in commands {
        if command.starts_with("cargo run") {
            continue;
        }
        let here = command.replace("localhost:2379", &served.host);
        assert_ne!(here, command, "it asks the gateway");
        let ran = Command::new("sh").args(["-c", &here]).output().expect("a shell");
        let said = String::from_utf8(ran.stdout).expect("answers are text");
        assert_eq!(masked(said.trim_end()), masked(&output), "{here}");
    }
}

/// Without the number of the cluster, who answered, and in which term.
fn masked(text: &str) -> String {
    let mut text = text.to_string();
    for field in ["cluster_id", "member_id", "raft_term"] {
        let name = format!("\"{field}\":\"");
        if let Some(at) = text.find(&name) {
            let begin = at + name.len();
            let length = text[begin..].find('"').expect("it ends");
            text.replace_range(begin..begin + length, "#");
        }
    }
    text
}
