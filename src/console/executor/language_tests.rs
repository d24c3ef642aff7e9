//! The language of the console's rows: what is read, what is said of what cannot be read, and what is offered.

use std::collections::BTreeSet;

use super::parse;
use super::slots::{AT, KEY};
use super::verbs::LANGUAGE;
use crate::console::language::{FAMILIAR, LINE_BYTES_MAX, Target};
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
    assert_eq!(error("write x 1"), "unknown directive 'write': did you mean 'put'?");
    assert_eq!(error("stat"), "unknown directive 'stat': did you mean 'status'?");
    assert_eq!(error("part n1 / n2"), "unknown directive 'part': did you mean 'partition'?");
    assert!(error(&"x".repeat(1000)).len() < 100);
}

#[test]
fn a_missing_argument_is_asked_for_with_the_usage_and_an_example() {
    assert_eq!(error("crash"), "crash whom? crash TARGET [--power] [for DURATION], e.g. crash leader for 2s");
    assert_eq!(
        error("create x"),
        "create with which value? create KEY VALUE [@NODE] [--timeout DURATION], e.g. create x 5"
    );
    assert_eq!(
        error("read x --timeout"),
        "'--timeout' needs DURATION: read KEY [@NODE] [--stale | --lease] [--timeout DURATION]"
    );
    assert!(error("partition").starts_with("partition how? partition TARGET / TARGET"));
    assert!(error("partition bridge").starts_with("bridge over which node?"));
    assert!(error("wait commit n2").starts_with("wait commit which number? wait commit [NODE] N"));
    assert!(error("crash n2 for").starts_with("'for' needs a duration"));
}

#[test]
fn every_verb_asks_for_what_it_cannot_do_without() {
    for form in LANGUAGE.verbs() {
        match parse(form.name) {
            Ok(line) => assert_eq!(line.expect("a directive").name(), form.name),
            Err(error) => {
                let said = error.to_string();
                assert!(said.starts_with(&format!("{} ", form.name)), "{said}");
                assert!(said.contains(&format!("? {}", form.usage())), "{said}");
                assert!(said.contains(&format!(", e.g. {}", form.example)), "{said}");
            }
        }
    }
}

#[test]
fn malformed_arguments_are_answered_with_the_forms() {
    for (line, part) in [
        ("delay fast", "'fast' is not a duration: write 100us"),
        ("sleep 5", "'5' has no unit: write 5s or 5ms"),
        ("crash leader for 2", "'2' has no unit: write 2s or 2ms"),
        ("wait leader 10", "'10' has no unit: write 10s or 10ms"),
        ("drop 20", "'20' is not a percentage: write 20%"),
        ("delay 20ms 5ms", "'5ms' is not a link: write 'jitter 5ms'"),
        ("drop 120%", "'120%' is not a percentage"),
        ("drop 5% n1-n2", "'n1-n2' is not a link: write n1>n2 (one way) or n1<>n2 (both ways)"),
        ("cut n1->n2", "'n1->n2' is not a link: write n1>n2"),
        ("cut n1<-leader", "'n1<-leader' is not a link: write leader>n1"),
        ("cut n1<->n2", "'n1<->n2' is not a link: write n1<>n2"),
        ("cut n1\u{2192}n2", "is not a link: write n1>n2"),
        ("cut n1 n2", "'n1' is one end of a link: write n1>n2 (one way), n1<>n2 or n1<>all"),
        ("cut laeder", "'laeder' is not a link: did you mean 'leader<>all'?"),
        ("cut leader<>leader", "leader has no link to itself"),
        ("heal n1>", "'n1>' is not a link: write n1>n3 (one way)"),
        ("cut n1>n1", "n1 has no link to itself"),
        ("cut n1>n200", "'n200' is not a target: write n2"),
        ("crash n0", "'n0' is not a target"),
        ("crash n1, n2", "'n1,' is not a target: a list of nodes is written without spaces, as n1,n3"),
        ("crash n1 n2", "unexpected 'n2': write several nodes as a list, such as n1,n3"),
        ("crash 2", "'2' is not a target: did you mean 'n2'?"),
        ("crash leader 2s", "unexpected '2s': did you mean 'for 2s'?"),
        ("crash leader power", "unexpected 'power': did you mean '--power'?"),
        ("crash leader -power", "unexpected '-power': did you mean '--power'?"),
        ("crash n1,leader", "'leader' is not a node's name"),
        ("crash laeder", "'laeder' is not a target: did you mean 'leader'?"),
        ("status 2", "'2' is not a node's name: did you mean 'n2'?"),
        ("create x @home", "'home' is not a target: write n2"),
        ("read x @followers", "'followers' is more than one node: name one, or leader"),
        ("create '' 5", "a key is not empty"),
        ("pipe 0", "'0' is out of range: write 1 to 100000"),
        ("pipe +4", "'+4' is not a number"),
        ("events loud", "unknown events 'loud': one of on, off"),
        ("help crsh", "no help on 'crsh': did you mean 'crash'?"),
        ("partition n1 n2", "partition needs two groups or more: put / between them, as in n1 n2 / n3"),
        ("partition leader", "put / between them, as in leader / followers"),
        ("partition bridge all", "'all' is more than one node"),
        ("partition laeder / n2", "'laeder' is neither a node nor a shape: did you mean 'leader'?"),
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
    let quotes = |what: &str, begun: &str| {
        format!("; put quotes around {what} that begins with {begun}, or -- before it")
    };
    assert!(message.ends_with(&quotes("a value", "--")), "{message}");
    assert!(error("read --x").ends_with(&quotes("a key", "--")));
    assert!(error("run --x").ends_with(&quotes("a name", "--")));
    assert!(error("create x @n2").ends_with(&quotes("a value", "@")));
    assert!(error("put x --timeout 2s").ends_with(&quotes("a value", "--")));
    assert!(error("put x --timeout").ends_with(&quotes("a value", "--")));
}

#[test]
fn an_option_with_a_slip_is_answered_with_the_nearest() {
    assert_eq!(error("create x 5 --timout 2s"), "create has no option '--timout': did you mean '--timeout'?");
    assert_eq!(error("crash n2 --pwoer"), "crash has no option '--pwoer': did you mean '--power'?");
    assert_eq!(error("load --client 4"), "load has no option '--client': did you mean '--clients'?");
}

#[test]
fn two_dashes_end_the_options() {
    let line = parse("create x --timeout 2s -- --5").unwrap().unwrap();
    assert_eq!(line.to_string(), "create x \"--5\" --timeout 2s");
    assert_eq!(parse("create -- @n1 --").unwrap().unwrap().to_string(), "create \"@n1\" \"--\"");
    assert_eq!(
        parse("echo a -- b").unwrap().unwrap().to_string(),
        "echo \"a -- b\"",
        "a text has no options"
    );
}

#[test]
fn quotes_take_the_meaning_from_what_would_be_an_option() {
    let line = parse("create for '@n2' @n3").unwrap().unwrap();
    assert_eq!(line.to_string(), "create for \"@n2\" @n3");
    let n3 = Target::Nodes(vec![NodeId::new(3)]);
    assert_eq!((line.get(&KEY), line.get(&AT)), (Some(&"for".to_string()), Some(&n3)));
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
        ("crash Leader --POWER for 2000ms", "crash leader --power for 2s"),
        ("start all", "restart all"),
        ("pipe 40", "pipe 40"),
        ("get x --timeout=500ms @N2 --stale", "read x @n2 --stale --timeout 500ms"),
        ("read x @LEADER --stale", "read x @leader --stale"),
        ("del 'a b'", "delete \"a b\""),
        ("partition n2,n1/n3", "partition n1 n2 / n3"),
        ("partition Leader n2/followers", "partition n2 leader / followers"),
        ("partition minority / majority", "partition minority / majority"),
        ("partition bridge LEADER", "partition bridge leader"),
        ("cut Leader<>n2", "cut leader<>n2"),
        ("drop 20% leader>followers", "drop 20% leader>followers"),
        ("cut n3,n1>Clients", "cut n1,n3>clients"),
        ("delay 20ms n1>n3", "delay 20ms n1>n3"),
        ("delay 0.02s Jitter 5ms clients", "delay 20ms jitter 5ms clients"),
        ("crash n3,n1,n3", "crash n1,n3"),
        ("logs -f", "logs --follow"),
        ("campaign n3", "timeout n3"),
        ("echo  a   b # c", "echo a b"),
        ("echo 'a  b'", "echo \"a  b\""),
        ("exit", "quit"),
        ("help start", "help restart"),
        ("kill n2 for 1s", "kill n2 for 1s"),
        ("pause N2 --PROCESS", "pause n2 --process"),
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
