//! The checks themselves, shown to complain.

use super::*;

fn file(path: &str, text: &str) -> Vec<Source> {
    vec![Source { path: path.to_string(), text: text.to_string() }]
}

fn assert_lines(complaints: &[String], expected: &[&str]) {
    let fits = complaints.len() == expected.len()
        && complaints.iter().zip(expected).all(|(complaint, start)| complaint.starts_with(start));
    assert!(fits, "expected {expected:#?}, got {complaints:#?}");
}

#[test]
fn the_project_is_found() {
    let found = sources(&["src", "tests"], &["rs"]);
    for expected in ["src/lib.rs", "src/raft/message.rs", "tests/tidy.rs", "tests/tidy/tokens.rs"] {
        assert!(found.iter().any(|file| file.path == expected), "{expected} is not among the files read");
    }
}

#[test]
fn an_upward_import_is_seen() {
    let text = "use crate::types::Term;\nuse crate::{net::{router, inbox}, raft::log};\n";
    let expected = ["src/raft.rs:2: crate::net::router", "src/raft.rs:2: crate::net::inbox"];
    assert_lines(&upward_imports(&file("src/raft.rs", text)), &expected);
    assert_lines(&upward_imports(&file("src/server.rs", text)), &[]);
    assert_lines(&upward_imports(&file("src/novel.rs", text)), &["src/novel.rs:1: no layer"]);
    let strange = "fn f() { crate::novel::g() }";
    assert_lines(
        &upward_imports(&file("src/node.rs", strange)),
        &["src/node.rs:1: crate::novel::g is in no layer"],
    );
}

#[test]
fn the_console_has_two_layers() {
    let text = "use super::lexer;\nuse crate::console::prompt;\nmod tests { use super::*; }";
    let expected = ["src/console/language/parse.rs:2: crate::console::prompt"];
    assert_lines(&upward_imports(&file("src/console/language/parse.rs", text)), &expected);
    assert_lines(&upward_imports(&file("src/console/session.rs", text)), &[]);
}

#[test]
fn an_impurity_is_seen_in_code_alone() {
    let text = "// std::fs and HashMap\nuse std::{fs, fmt};\nuse std::time::{Duration, Instant};\nlet x = \"println!\";\n\
                println!();\n#[cfg(test)]\nmod bench;\nlog::info!();\n#[cfg(test)]\nmod tests { use std::collections::HashMap; }";
    let expected = [
        "src/types.rs:2: std::fs",
        "src/types.rs:3: Instant",
        "src/types.rs:5: println",
        "src/types.rs:8: log::info",
    ];
    assert_lines(&impurities(&file("src/types.rs", text), &[]), &expected);
    assert_lines(&impurities(&file("src/net/router.rs", text), &[]), &[]);
}

#[test]
fn hashing_in_a_pure_file_needs_a_reason_and_a_reason_a_file_that_hashes() {
    let text = "use std::collections::{BTreeMap, HashMap};\nfn f() -> HashSet<u8> { g(RandomState::new()) }";
    let hashes = file("src/raft/a.rs", text);
    let expected = ["src/raft/a.rs:1: HashMap", "src/raft/a.rs:2: HashSet", "src/raft/a.rs:2: RandomState"];
    let argued = [("src/raft/a.rs", "nothing is listed")];
    assert_lines(&impurities(&hashes, &[]), &expected);
    assert_lines(&impurities(&hashes, &argued), &[]);
    assert_lines(&stale_hashed(&hashes, &argued), &[]);
    let instant = file("src/raft/a.rs", "use std::time::Instant;\nuse std::collections::HashMap;");
    assert_lines(&impurities(&instant, &argued), &["src/raft/a.rs:1: Instant"]);
    let ordered =
        "use std::collections::BTreeMap;\n#[cfg(test)]\nmod tests { use std::collections::HashMap; }";
    for without in [file("src/raft/a.rs", ordered), file("src/raft/b.rs", text)] {
        assert_lines(&stale_hashed(&without, &argued), &["src/raft/a.rs:1: needs no argument"]);
    }
    let impure = [("src/net/a.rs", "it need not argue")];
    assert_lines(&stale_hashed(&file("src/net/a.rs", text), &impure), &["src/net/a.rs:1: needs no"]);
}

#[test]
fn a_module_named_log_is_not_the_crate() {
    let text = "mod log;\nuse self::log::Log;\nfn f() { log::Log::new(); log::warn!() }";
    assert_lines(&impurities(&file("src/raft.rs", text), &[]), &["src/raft.rs:3: log::warn"]);
    let user = "use super::log::Entry;\nfn f() { log::Level::Info }";
    assert_lines(&impurities(&file("src/raft/role.rs", user), &[]), &["src/raft/role.rs:2: log::Level"]);
}

#[test]
fn the_simple_rules_are_seen() {
    assert_lines(&headless(&file("bin/node.rs", "fn main() {}")), &["bin/node.rs:1: no head"]);
    assert_lines(&private_access(&file("bin/node.rs", "use crate::x::y;")), &["bin/node.rs:1: `crate::`"]);
    let reach = "#[path = \"../src/raft/log.rs\"]\nmod log;";
    assert_lines(&private_access(&file("tests/a.rs", reach)), &["tests/a.rs:1: reaches into src"]);
    for (word, _) in FORBIDDEN {
        let found = forbidden_words(&file("tests/a.rs", &format!("\n x {word} y")));
        assert_lines(&found, &[&format!("tests/a.rs:2: {word}")]);
    }
}

#[test]
fn a_long_file_needs_a_reason_and_a_reason_a_long_file() {
    let long = file("src/a.rs", &"x\n".repeat(LINES_MAX + 1));
    assert_lines(&long_files(&long, &[]), &["src/a.rs:400: longer"]);
    assert_lines(&long_files(&long, &[("src/a.rs", "one table")]), &[]);
    let short = file("src/a.rs", &"x\n".repeat(LINES_MAX));
    assert_lines(&long_files(&short, &[("src/a.rs", "one table")]), &["src/a.rs:1: no longer too long"]);
}

#[test]
fn figure_2_that_is_long_or_names_an_extra_is_seen() {
    let all = |text: &str| -> Vec<Source> { PAPER.iter().flat_map(|path| file(path, text)).collect() };
    let few = PAPER_LINES_MAX / PAPER.len();
    assert_lines(&paper(&all(&"x\n".repeat(few))), &[]);
    assert_lines(&paper(&all(&"x\n".repeat(few + 1))), &["src/raft.rs:1: Figure 2 has"]);
    let mut names = all("// the lease\n");
    names[0].text = "use super::beyond::lease;".to_string();
    names.pop();
    assert_lines(
        &paper(&names),
        &["src/raft.rs:1: Figure 2 names the extra lease", "src/raft/role.rs:1: not there"],
    );
}

#[test]
fn rules_are_tagged_once_in_their_place() {
    let tag = |rule: &str| format!("    // Figure 2, {rule}: obeyed here.\n");
    let all: String = RULES.iter().map(|(rule, _)| tag(rule)).collect();
    assert_lines(&rule_tags(&file("src/raft.rs", &all)), &[]);
    let twice = all.clone() + &tag("Leaders 4");
    assert_lines(
        &rule_tags(&file("src/raft.rs", &twice)),
        &["src/raft.rs:22 and src/raft.rs:23: 'Leaders 4'"],
    );
    let unknown = all.clone() + &tag("Leaders 5") + "/// Figure 2, of which documentation may speak.\n";
    assert_lines(&rule_tags(&file("src/raft.rs", &unknown)), &["src/raft.rs:23: 'Leaders 5' is no rule"]);
    let missing = all.replace(&tag("Followers 2"), "");
    assert_lines(
        &rule_tags(&file("src/raft.rs", &missing)),
        &["src/raft.rs or src/raft/: 'Followers 2' has no tag"],
    );
    let complaints = rule_tags(&file("src/server/applying.rs", &all));
    assert!(
        complaints.iter().all(|complaint| !complaint.contains("'All Servers 1'")),
        "it may be obeyed there"
    );
    assert_eq!(complaints.len(), 2 * (RULES.len() - 1), "each other rule is misplaced and missing");
}
