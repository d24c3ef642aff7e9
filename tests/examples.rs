//! The examples run, and print what they promise.

use assert_cmd::Command;

/// What an example prints, line by line. `cargo test` has built it already; by itself this test builds it.
fn printed(example: &str) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells a test of its package would be news to the build scripts of others, and build them again.
    for (name, _) in std::env::vars_os().filter(|(name, _)| tells_of_package(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    // With the features of this test: with others the library would be built again.
    let features =
        [("tls", cfg!(feature = "tls")), ("etcd", cfg!(feature = "etcd")), ("http", cfg!(feature = "http"))];
    let features: Vec<&str> =
        features.iter().filter(|(_, is_on)| *is_on).map(|(feature, _)| *feature).collect();
    let run = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["run", "--quiet", "--offline", "--features", &features.join(","), "--example", example])
        .assert()
        .success();
    String::from_utf8_lossy(&run.get_output().stdout).lines().map(str::to_string).collect()
}

/// Whether a variable of the environment is one that cargo sets for the programs that it runs.
fn tells_of_package(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[test]
fn the_bank_makes_and_loses_no_money() {
    let lines = printed("bank");
    for (line, payment) in lines.iter().zip(["ann pays bob", "bob pays eve", "eve pays ann"]) {
        assert!(line.starts_with(payment) && line.ends_with(" crashed"), "{line}");
    }
    assert_eq!(lines.last().map(String::as_str), Some("together: Some(300)"), "{lines:?}");
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn each_text_is_counted_once_although_the_leader_crashes() {
    let lines = printed("words");
    assert!(lines[0].starts_with("4000 words in 1000 texts"), "{lines:?}");
    assert_eq!(lines[1..], ["text: 1000", "7: 1", "raft: 0"]);
}

#[test]
fn a_command_without_an_answer_is_asked_about() {
    let lines = printed("unknown");
    assert!(lines[0].starts_with("no answer in time"), "{lines:?}");
    assert!(
        lines[1].starts_with("applied, at index ") || lines[1].starts_with("not applied, and"),
        "{lines:?}"
    );
}

#[test]
fn a_duty_follows_the_leadership() {
    let lines = printed("leader_duty");
    let begun = lines.iter().filter(|line| line.ends_with("its duty begins")).count();
    assert!(begun >= 3, "each crash moves the duty: {lines:?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("the duty moved ")), "{lines:?}");
}

#[test]
fn a_machine_of_ones_own_runs_under_seeds() {
    let lines = printed("own_machine_under_seeds");
    assert!(matches!(lines.as_slice(), [line] if line.starts_with("100 seeds passed, ")), "{lines:?}");
}
