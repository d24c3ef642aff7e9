//! Lines that are wrong: one sentence that says what to do, the exit code of a failed directive, and nothing lost.

use crate::Folder;

/// The one answer to a line that fails, on a cluster that keeps nothing.
#[track_caller]
fn answer(line: &str) -> String {
    let ran = Folder::new().cluster(&["3", "--memory"], &format!("{line}\necho not reached\n")).exits(1);
    let lines: Vec<&str> = ran.out.lines().collect();
    let [one] = lines[..] else { panic!("{line}: one line, not {lines:?}") };
    let stopped = ran.err.lines().last().expect("it says where it stopped");
    assert!(stopped.starts_with("stopped at line 1"), "{line}: {stopped}");
    one.to_string()
}

#[test]
fn a_directive_that_is_wrong_is_answered_with_what_to_do() {
    for (line, said) in [
        ("crsh n1", "ERR line 1: unknown directive 'crsh': did you mean 'crash'?"),
        ("crash n9", "ERR line 1: there is no n9: the nodes are n1 to n3"),
        ("read x @n9", "ERR line 1: there is no n9: the nodes are n1 to n3"),
        ("cut n1>n9", "ERR line 1: there is no n9: the nodes are n1 to n3"),
        ("restart n1", "ERR line 1: n1 is already running"),
        ("sleep 5x", "ERR line 1: '5x' is not a duration: write 100us, 150ms, 2s, 1.5s, 1m or 1h"),
        ("drop 120%", "ERR line 1: '120%' is not a percentage: write 0% to 100%, such as 20% or 0.5%"),
        ("cut n1-n2", "ERR line 1: 'n1-n2' is not a link: write n1>n2 (one way) or n1<>n2 (both ways)"),
        (
            "heal n1>",
            "ERR line 1: 'n1>' is not a link: write n1>n3 (one way), n1<>n3 (both ways), n1>clients, clients or nodes",
        ),
        (
            "create x",
            "ERR line 1: create with which value? create KEY VALUE [@NODE] [--timeout DURATION], e.g. create x 5",
        ),
        ("crash n1 for 2", "ERR line 1: '2' has no unit: write 2s or 2ms"),
        ("put x 1 --timout 2s", "ERR line 1: put has no option '--timout': did you mean '--timeout'?"),
        (
            "set heartbeat 1s",
            "ERR line 1: heartbeat: 1s is above half of election_min (150ms); one lost or late heartbeat would start an election (5.6): choose at most 75ms, or a longer election_min",
        ),
        (
            "set preferred n1",
            "ERR line 1: unknown setting 'preferred': 'prefer NODE' says which node is to lead",
        ),
        (
            "speed 2",
            "ERR line 1: 'speed' needs virtual time, which `simulate` has; threads run by the clock: 'set election' and 'set heartbeat' change their timeouts",
        ),
        ("create \"x", "ERR line 1: a quote is not closed: add \" at its end"),
        (
            "run tuor",
            "ERR line 1: no script 'tuor' in this folder, in scripts, or built in: did you mean 'tour'?",
        ),
    ] {
        assert_eq!(answer(line), said, "{line}");
    }
}

#[test]
fn a_verb_of_other_systems_is_an_unknown_directive() {
    for (line, said) in [
        ("abdicate n2", "unknown directive 'abdicate': try 'help'"),
        ("depose n2", "unknown directive 'depose': did you mean 'demote'?"),
    ] {
        assert_eq!(answer(line), format!("ERR line 1: {said}"));
    }
}

#[test]
fn a_node_that_is_down_cannot_crash_again() {
    let ran = Folder::new().cluster(&["3", "--memory"], "crash n1\nstop n1\n").exits(1);
    assert_eq!(ran.out.lines().last(), Some("ERR line 2: n1 is down already"));
    let ran = Folder::new().cluster(&["3", "--memory", "--keep-going"], "resume n1\npause n1\npause n1\n");
    let said =
        ["ERR line 1: n1 is not paused", "n1 paused: its inbox fills", "ERR line 3: n1 is paused already"];
    assert_eq!(ran.exits(1).out.lines().collect::<Vec<_>>(), said);
}

#[test]
fn values_and_lines_that_are_too_long_or_no_text_spoil_nothing() {
    let folder = Folder::new();
    let mut lines = b"wait leader\ncreate a 1\ncreate big ".to_vec();
    lines.extend(vec![b'x'; 10 << 20]);
    lines.extend(b"\ncreate large ");
    lines.extend(vec![b'x'; 2 << 20]);
    lines.extend(b"\ncreate b\xff\xfe 1\nread a\nread big\n");
    let ran = folder.run(env!("CARGO_BIN_EXE_cluster"), &["3", "--keep-going"], lines).exits(1);
    let answers: Vec<&str> = ran.out.lines().collect();
    assert_eq!(answers.len(), 6, "{answers:#?}");
    assert!(answers[0].starts_with("OK created a=1 "), "{}", answers[0]);
    assert!(answers[1].starts_with("ERR line 3: ") && answers[1].contains("8388608"), "{}", answers[1]);
    let refused =
        "ERR not applied: the value has 2097152 bytes: at most 1048576 are allowed (value_bytes_max)";
    assert_eq!(answers[2], refused, "the cluster says so, by its settings");
    assert_eq!(answers[3], "ERR line 5: the line is not UTF-8 text at byte 9: save it as UTF-8");
    assert!(answers[4].starts_with("OK a=1 "), "{}", answers[4]);
    assert_eq!(answers[5], "ERR big not found");
    let again = folder.cluster(&["3"], "wait leader\nread a\n").exits(0);
    assert!(again.out.starts_with("OK a=1 "), "{}", again.out);
}

#[test]
fn a_value_under_a_raised_limit_passes_and_the_limit_is_printed() {
    let folder = Folder::new();
    folder.write("wide.toml", "value_bytes_max = 3000000\n");
    let mut lines = b"wait leader\ncreate large ".to_vec();
    lines.extend(vec![b'x'; 2 << 20]);
    lines.extend(b"\nkeys\n");
    let options = ["3", "--memory", "--config", "wide.toml"];
    let ran = folder.run(env!("CARGO_BIN_EXE_cluster"), &options, lines).exits(0);
    assert!(ran.out.starts_with("OK created large="), "{:.99}", ran.out);
    let printed = folder.run(env!("CARGO_BIN_EXE_cluster"), &["--print-config"], "").exits(0);
    assert!(printed.out.contains("\nvalue_bytes_max = 1048576\n"), "{}", printed.out);
}

#[test]
fn a_key_that_exists_fails_only_where_an_expectation_says_so() {
    let lines = "wait leader\ncreate x 1\ncreate x 2\n";
    Folder::new().cluster(&["3", "--memory"], lines).exits(0);
    let expecting = format!("{lines}expect ok\n");
    let ran = Folder::new().cluster(&["3", "--memory"], &expecting).exits(1);
    assert!(ran.out.lines().last().is_some_and(|line| line.starts_with("ERR line 4: ")), "{}", ran.out);
}
