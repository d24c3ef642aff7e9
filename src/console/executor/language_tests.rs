//! The language of the console's rows: what is read, what is said of what cannot be read, and what is offered.

use std::collections::BTreeSet;

use super::parse;
use super::slots::{AT, KEY};
use super::verbs::LANGUAGE;
use crate::console::language::{FAMILIAR, LINE_BYTES_MAX, Names, TOPICS};
use crate::types::NodeId;

#[test]
fn each_verb_is_read_from_its_own_example() {
    for form in LANGUAGE.verbs() {
        let line = parse(form.example).unwrap().expect("an example is a directive");
        assert_eq!(line.name(), form.name, "{}", form.example);
        for alias in form.aliases {
            let spelled = form.example.replacen(form.name, alias, 1);
            assert_eq!(parse(&spelled).unwrap().as_ref(), Some(&line), "{spelled}");
        }
    }
}

#[test]
fn no_two_verbs_share_a_name() {
    let names: Vec<&str> = LANGUAGE.names().collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len());
    for (foreign, verb) in FAMILIAR {
        assert!(LANGUAGE.find(foreign).is_none(), "{foreign} is a verb itself");
        assert!(LANGUAGE.find(verb).is_some(), "{verb} exists");
    }
}

fn error(line: &str) -> String {
    let message = parse(line).expect_err(line).to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[test]
fn blank_lines_and_comments_are_nothing() {
    for line in ["", "   ", "\t\r\n", "# a comment", "  #"] {
        assert_eq!(parse(line), Ok(None));
    }
}

#[test]
fn an_unknown_verb_is_answered_with_the_nearest() {
    assert_eq!(error("crsh n2"), "unknown directive 'crsh': did you mean 'crash'?");
    assert_eq!(error("xyzzy"), "unknown directive 'xyzzy': try 'help'");
    assert_eq!(error("set x 1"), "unknown directive 'set': did you mean 'put'?");
    assert_eq!(error("stat"), "unknown directive 'stat': did you mean 'status'?");
    assert_eq!(error("part n1 / n2"), "unknown directive 'part': did you mean 'partition'?");
    assert!(error(&"x".repeat(1000)).len() < 100);
}

#[test]
fn a_missing_argument_is_answered_with_the_usage() {
    assert_eq!(error("crash"), "crash needs TARGET: crash TARGET [--power] [for DURATION]");
    assert_eq!(error("create x"), "create needs VALUE: create KEY VALUE [@NODE] [--timeout DURATION]");
    assert_eq!(
        error("read x --timeout"),
        "'--timeout' needs DURATION: read KEY [@NODE] [--stale | --lease] [--timeout DURATION]"
    );
    assert!(error("drop").starts_with("drop needs PERCENT"));
    assert!(error("partition").starts_with("partition needs groups or a shape"));
    assert!(error("partition bridge").starts_with("partition needs NODE"));
    assert!(error("crash n2 for").starts_with("'for' needs a duration"));
}

#[test]
fn malformed_arguments_are_answered_with_the_forms() {
    for (line, part) in [
        ("delay fast", "'fast' is not a duration: write 100us"),
        ("sleep 5", "'5' is not a duration"),
        ("drop 20", "'20' is not a percentage: write 0% to 100%"),
        ("drop 120%", "'120%' is not a percentage"),
        ("drop 5% n1-n2", "'n1-n2' is not a link: write n1>n3 (one way)"),
        ("heal n1>", "'n1>' is not a link: write n1>n3 (one way)"),
        ("cut n1>n1", "n1 has no link to itself"),
        ("cut n1>n200", "'n200' is not a node's name: n1 to n99"),
        ("crash n0", "'n0' is not a target"),
        ("crash n1,", "'' is not a node's name"),
        ("crash n1,leader", "'leader' is not a node's name"),
        ("crash laeder", "'laeder' is not a target: did you mean 'leader'?"),
        ("status 2", "'2' is not a node's name"),
        ("create x @home", "'home' is not a node's name: n1 to n99; put quotes"),
        ("create '' 5", "a key is not empty"),
        ("pipe 0", "'0' is out of range: write 1 to 100000"),
        ("pipe +4", "'+4' is not a number"),
        ("events loud", "unknown events 'loud': one of on, off"),
        ("help crsh", "no help on 'crsh': did you mean 'crash'?"),
        ("partition n1 n2", "partition needs two groups"),
        ("partition n1 / ", "partition has an empty group"),
        ("partition n1 / n1", "partition names a node twice"),
        ("partition havles", "'havles' is neither a node nor a shape: did you mean 'halves'?"),
        ("crash n1 for 0s", "'for' needs a duration above zero"),
        ("speed -1", "'-1' is not a speed"),
    ] {
        let message = error(line);
        assert!(message.contains(part), "{line}: {message}");
    }
}

#[test]
fn what_does_not_belong_is_rejected() {
    assert_eq!(
        error("crash n2 --hard"),
        "crash has no option '--hard': crash TARGET [--power] [for DURATION]"
    );
    assert_eq!(error("crash n2 --power --power"), "'--power' is given twice");
    assert_eq!(error("crash n2 --power=yes"), "'--power' takes no value");
    for both in ["read x --stale --lease", "read x --lease --stale"] {
        assert_eq!(error(both), "'--stale' and '--lease' exclude each other: choose one");
    }
    assert!(error("create x a b").ends_with("(quotes keep spaces in a value)"));
    assert_eq!(error("leader n2"), "unexpected 'n2': leader");
    assert_eq!(error("restart n2 for 2s"), "restart takes no 'for DURATION'");
    assert!(error("crash for 2s n2").starts_with("'for DURATION' comes last"));
    let message = error("create x --5");
    assert!(message.starts_with("create has no option '--5'"), "{message}");
    assert!(message.ends_with("; put quotes around a value that begins with --"), "{message}");
    assert!(error("read --x").ends_with("; put quotes around a key that begins with --"));
    assert!(error("run --x").ends_with("; put quotes around a name that begins with --"));
    assert!(error("create x @n2").ends_with("; put quotes around a value that begins with @"));
    assert!(error("put x --timeout 2s").ends_with("; put quotes around a value that begins with --"));
    assert!(error("put x --timeout").ends_with("; put quotes around a value that begins with --"));
}

#[test]
fn quotes_take_the_meaning_from_what_would_be_an_option() {
    let line = parse("create for '@n2' @n3").unwrap().unwrap();
    assert_eq!(line.to_string(), "create for \"@n2\" @n3");
    assert_eq!((line.get(&KEY), line.get(&AT)), (Some(&"for".to_string()), Some(&NodeId::new(3))));
    assert!(parse("create x '--stale'").is_ok());
    assert!(parse("create x -5").is_ok());
}

#[test]
fn sizes_are_limited_and_the_limit_is_said() {
    let value = "v".repeat(LINE_BYTES_MAX - "put x ".len());
    assert!(parse(&format!("put x {value}")).is_ok(), "whether a value is too long, the cluster says");
    assert_eq!(
        error(&format!("read {}", "k".repeat(1025))),
        "the key has 1025 bytes: a key has at most 1024"
    );
    let message = error(&format!("put x {}", "v".repeat(10_000_000)));
    assert_eq!(message, "the line has 10000006 bytes: a line has at most 8388608");
}

#[test]
fn lines_are_shown_in_one_canonical_form() {
    for (written, shown) in [
        ("LS n2", "status n2"),
        ("load & --reads 50% --rate=100", "load --rate 100 --reads 50% &"),
        ("LOAD Stop", "load stop"),
        ("kill Leader --POWER for 2000ms", "crash leader --power for 2s"),
        ("start all", "restart all"),
        ("pipe 40", "pipe 40"),
        ("get x --timeout=500ms @N2 --stale", "read x @n2 --stale --timeout 500ms"),
        ("del 'a b'", "delete \"a b\""),
        ("partition n2,n1/n3", "partition n1 n2 / n3"),
        ("delay 20ms n1>n3", "delay 20ms n1>n3"),
        ("delay 0.02s Jitter 5ms clients", "delay 20ms jitter 5ms clients"),
        ("crash n3,n1,n3", "crash n1,n3"),
        ("logs -f", "logs --follow"),
        ("campaign n3", "timeout n3"),
        ("echo  a   b # c", "echo a b"),
        ("echo 'a  b'", "echo \"a  b\""),
        ("exit", "quit"),
        ("help kill", "help crash"),
    ] {
        assert_eq!(parse(written).unwrap().unwrap().to_string(), shown);
    }
}

#[test]
fn every_condition_is_read_and_shown_alike() {
    for line in [
        "wait leader",
        "wait leader n2 5s",
        "wait no-leader",
        "wait stable 1.5s",
        "wait converged",
        "wait commit 7",
        "wait commit n2 7 2s",
        "wait term 4",
        "wait key x 5s 2s",
        "expect leader n1",
        "expect term n3 4",
        "expect last n3 5",
        "expect applied n3 5",
        "expect role n2 pre-candidate",
        "expect up n1,n3",
        "expect down all",
        "expect paused followers",
        "expect key x \"\"",
        "expect key x 1 @n3",
        "expect no-key x @n3",
        "expect ok",
        "expect err already running",
        "expect unknown",
    ] {
        let parsed = parse(line).unwrap().unwrap();
        assert_eq!(parsed.to_string(), line);
    }
}

#[test]
fn a_wrong_condition_says_what_to_do() {
    let error = |line: &str| parse(line).unwrap_err().to_string();
    assert_eq!(error("wait ledaer"), "unknown condition 'ledaer': did you mean 'leader'?");
    assert_eq!(error("wait xyzzy"), "unknown condition 'xyzzy': try 'help conditions'");
    assert_eq!(error("wait ok"), "'ok' is about the answer before: use 'expect ok'");
    assert_eq!(
        error("expect role n1 boss"),
        "unknown role 'boss': one of follower, pre-candidate, candidate, leader"
    );
    assert!(error("expect up random").contains("the same nodes each time"));
    assert!(error("expect term four").contains("'four' is not a number"));
    assert!(error("expect term 4 @n1").contains("belongs to key and no-key"));
    assert!(error("wait leader n2 5s 6s").starts_with("unexpected '6s'"));
}

fn at_end(line: &str) -> (usize, Vec<String>) {
    let keys = vec!["x".to_string(), "x y".to_string(), "z".to_string()];
    let names = Names { nodes: NodeId::first(3), keys, files: vec!["demo.raft".to_string()] };
    LANGUAGE.complete(line, line.len(), &names)
}

fn offered(line: &str) -> Vec<String> {
    at_end(line).1
}

#[test]
fn verbs_are_completed() {
    assert_eq!(at_end("cra"), (0, vec!["crash".to_string()]));
    assert_eq!(
        at_end("  RE"),
        (2, ["read", "reorder", "reset", "restart", "resume"].map(String::from).to_vec())
    );
    assert_eq!(offered("snap"), ["snapshot"]);
    assert!(offered("").len() > 40);
}

#[test]
fn arguments_are_completed_by_their_kind() {
    for (line, expected) in [
        ("crash ", "n1 n2 n3 leader followers random minority majority all"),
        ("crash n1,", "n1,n2 n1,n3"),
        ("crash l", "leader"),
        ("crash n2 ", "for"),
        ("crash n2 for 5", "500ms 5s"),
        ("crash n2 -", "--power"),
        ("status n", "n1 n2 n3"),
        ("cut n1", "n1> n1<>"),
        ("cut n1<", "n1<>n2 n1<>n3"),
        ("drop 20% n1>", "n1>n2 n1>n3"),
        ("delay 2ms j", "jitter"),
        ("partition ha", "halves"),
        ("partition n1 ", "n2 n3 / for"),
        ("partition bridge n", "n1 n2 n3"),
        ("read @", "@n1 @n2 @n3"),
        ("read x --timeout ", "100ms 500ms 1s 2s 5s"),
        ("wait n", "no-leader no-key"),
        ("wait o", ""),
        ("expect o", "ok"),
        ("expect role n1 c", "candidate"),
        ("expect key z", "z"),
        ("events e", "election"),
        ("help cond", "conditions"),
        ("run d", "demo.raft"),
        ("# cra", ""),
        ("xyzzy n", ""),
    ] {
        assert_eq!(offered(line).join(" "), expected, "{line}");
    }
}

#[test]
fn keys_with_spaces_are_offered_in_quotes_and_found_from_an_open_quote() {
    assert_eq!(offered("read x"), ["x", "\"x y\""]);
    assert_eq!(at_end("read \"x "), (5, vec!["\"x y\"".to_string()]));
}

#[test]
fn a_cursor_anywhere_is_accepted() {
    let names = Names::default();
    assert_eq!(LANGUAGE.complete("crash n1", 2, &names).1, ["crash", "create"]);
    for cursor in 0..20 {
        let _ = LANGUAGE.complete("pút x é", cursor, &names);
    }
}

#[test]
fn a_hint_shows_what_is_still_wanted() {
    for (line, hinted) in [
        ("create", Some(" KEY VALUE [@NODE] [--timeout DURATION]")),
        ("create ", Some("KEY VALUE [@NODE] [--timeout DURATION]")),
        ("create x", Some(" VALUE [@NODE] [--timeout DURATION]")),
        ("create x 5 @n2 ", Some("[--timeout DURATION]")),
        ("create x 5 --timeout 2s @n1", None),
        ("crash n2 ", Some("[--power] [for DURATION]")),
        ("read x --stale ", Some("[@NODE] [--timeout DURATION]")),
        (
            "partition ",
            Some("NODES / NODES [/ NODES] | halves | minority | bridge NODE | ring [for DURATION]"),
        ),
        ("partition n1 ", None),
        ("parti", Some("tion")),
        ("re", None),
        ("leader", None),
        ("xyzzy", None),
        ("", None),
        ("create 'a", None),
    ] {
        assert_eq!(LANGUAGE.hint(line).as_deref(), hinted, "{line}");
    }
}

#[test]
fn all_help_fits_eighty_columns_and_names_each_verb() {
    let names = LANGUAGE.verbs().map(|form| form.name).chain(TOPICS.iter().copied());
    for text in names.map(|name| LANGUAGE.help(Some(name))).chain([LANGUAGE.help(None)]) {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }
    let overview = LANGUAGE.help(None);
    for form in LANGUAGE.verbs() {
        assert!(overview.contains(&format!(" {}", form.name)), "{}", form.name);
    }
}

#[test]
fn a_verb_is_explained_with_example_and_rule() {
    assert_eq!(
        LANGUAGE.help(Some("kill")),
        "crash TARGET [--power] [for DURATION]\n\
         \x20 ends a node without warning: its memory is lost\n\
         \x20 alias    kill\n\
         \x20   --power       loses the writes that were not yet forced to disk, too\n\
         \x20   for DURATION  undoes it after this time\n\
         \x20 example  crash leader for 2s\n\
         \x20 shows    5.2: followers that hear no leader for a timeout elect another"
    );
}

#[test]
fn a_fault_of_a_disk_says_what_undoes_it() {
    for fault in ["slow-disk", "stall-disk", "fill-disk"] {
        assert!(LANGUAGE.help(Some(fault)).contains("\n  undone   by 'reset'"), "{fault}");
    }
    assert!(!LANGUAGE.help(Some("snapshot")).contains("undone"));
}

#[test]
fn every_topic_is_explained_in_its_own_words() {
    let texts: BTreeSet<String> = TOPICS.iter().map(|topic| LANGUAGE.help(Some(topic))).collect();
    assert_eq!(texts.len(), TOPICS.len());
    assert!(LANGUAGE.help(Some("conditions")).contains("no-leader"));
}
