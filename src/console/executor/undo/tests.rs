//! What is left when a fault ends: what the others alone would have made, made by a person or by chaos, in any order.

use proptest::prelude::*;

use crate::console::executor::tests::Desk;
use crate::lab::Lab;
use crate::types::NodeId;

/// The rules in force after these lines.
fn rules_after(lines: &str) -> String {
    let mut desk = Desk::led();
    desk.lines(lines);
    rules(&mut desk)
}

fn rules(desk: &mut Desk) -> String {
    let rules: Vec<String> =
        desk.lines("net").lines().filter_map(|line| line.strip_prefix("rule  ")).map(String::from).collect();
    rules.join("; ")
}

#[test]
fn a_fault_that_ends_leaves_what_the_others_alone_would_have_made() {
    for (lines, left) in [
        ("drop 20% n1<>n2\ndrop 10% for 1s\ndrop 0%\nsleep 2s", ""),
        ("drop 20% for 2s\ndrop 10% for 3s\nsleep 1s", "drop 10%"),
        ("drop 20% for 2s\ndrop 10% for 3s\nsleep 4s", ""),
        ("drop 20% for 3s\ndrop 10% for 1s\nsleep 2s", "drop 20%"),
        ("drop 20% for 3s\ndrop 10% for 1s\nsleep 4s", ""),
        (
            "chaos start drop every 100ms --seed 3\nsleep 1s\ndrop 50% n1<>n2 for 5s\nchaos stop",
            "drop 50% n1<>n2",
        ),
        ("chaos start drop every 100ms --seed 3\nsleep 1s\ndrop 50% n1<>n2 for 5s\nchaos stop\nsleep 6s", ""),
        ("drop 20% for 1s\ndrop 50%\nsleep 2s", "drop 50%"),
        ("isolate n1 for 1s\nconnect n1\nisolate n1\nsleep 2s", "isolate n1"),
        ("cut n1<>n2 for 1s\npartition n1 / n2 n3\nsleep 2s", "partition n1 / n2,n3"),
        ("partition n1 / n2 n3 for 2s\npartition n2 / n1 n3 for 1s\nsleep 1500ms", "partition n1 / n2,n3"),
        ("cut n1>n2 for 1s\nreset\ncut n1>n2\nsleep 2s", "cut n1>n2"),
    ] {
        assert_eq!(rules_after(lines), left, "{lines}");
    }
}

#[test]
fn a_fault_that_ends_leaves_newcomers_and_those_who_stay_as_they_are() {
    let mut desk = Desk::led();
    desk.lines("partition n1 / n2\ndrop 10% for 2s");
    desk.lab().add_node(NodeId::new(4)).expect("n4 is new");
    assert_eq!(rules(&mut desk), "partition n1 / n2 / n3,n4; drop 10%");
    desk.lines("sleep 3s");
    assert_eq!(rules(&mut desk), "partition n1 / n2 / n3,n4", "n4 is still on the side that was not named");
    desk.lines("drop 10% for 2s\ncrash n2");
    desk.lab().remove_node(NodeId::new(2)).expect("n2 is down");
    desk.lines("sleep 3s");
    assert_eq!(rules(&mut desk), "partition n1 / n3,n4", "the partition names n2 no more");
}

#[test]
fn a_rule_of_all_links_with_an_exception_outlives_a_fault_and_holds_for_newcomers() {
    let mut desk = Desk::led();
    desk.lines("drop 10%\ndrop 30% n1<>n2\ncut nodes\nheal n1<>n2\ndelay 5ms n2<>n3 for 1s\nsleep 2s");
    let left = "cut nodes; heal n1<>n2; drop 10%; drop 30% n1<>n2";
    assert_eq!(rules(&mut desk), left);
    desk.lab().add_node(NodeId::new(4)).expect("n4 is new");
    assert_eq!(rules(&mut desk), left, "the same rules, on more links");
}

#[test]
fn a_node_that_was_ended_again_or_paused_again_stays_so() {
    let mut desk = Desk::led();
    desk.lines("crash n2 for 1s\nrestart n2\ncrash n2\npause n3 for 1s\nresume n3\npause n3\nsleep 2s");
    assert_eq!(desk.lines("expect down n2\nexpect paused n3"), "");
    let told = desk.lines("restart n2\ncrash n2 for 1s\nsleep 2s");
    assert!(told.contains("n2 restarts after 1 s"), "{told}");
}

#[test]
fn a_disk_and_a_clock_go_back_to_what_they_were_set_to_for_good() {
    let mut desk = Desk::led();
    let told = desk.lines("skew-clock n2 100ms\nskew-clock n2 200ms for 1s\nslow-disk n3 30ms for 3s\nslow-disk n3 5ms for 1s\nsleep 2s");
    assert!(told.contains("after 1 s n2's clock is 100 ms ahead"), "{told}");
    assert!(told.contains("after 1 s the disk of n3 takes 30 ms longer for each write"), "{told}");
    let told = desk.lines("sleep 2s\nslow-disk n3 5ms for 1s\nslow-disk n3 7ms\nsleep 2s\nreset");
    assert!(told.contains("the disk of n3 is repaired after 3 s"), "{told}");
    assert!(told.ends_with("repaired the disk of n3 (slow)\n"), "{told}");
    let told = desk.lines("fill-disk n3 for 1s\nsleep 2s");
    assert!(told.contains("the disk of n3 is repaired after 1 s"), "{told}");
}

/// A line that lasts, or with a span a line that ends by itself.
fn fault() -> impl Strategy<Value = String> {
    let link = prop_oneof![Just(""), Just(" n1<>n2"), Just(" n2>n3"), Just(" clients")];
    let soft = (prop_oneof![Just("drop"), Just("duplicate"), Just("reorder")], 0..4_u32, link)
        .prop_map(|(kind, tens, link)| format!("{kind} {tens}0%{link}"));
    let hard = prop_oneof![
        Just("cut n1>n2"),
        Just("cut n1<>n3"),
        Just("isolate n1"),
        Just("partition n1 / n2 n3"),
        Just("partition n1 n2 / n3"),
        Just("delay 5ms"),
        Just("delay 9ms n1<>n2"),
    ];
    prop_oneof![soft, hard.prop_map(String::from)]
}

fn line() -> impl Strategy<Value = (String, Option<u32>)> {
    let mend = prop_oneof![Just("heal"), Just("heal n1<>n2"), Just("connect all"), Just("reset")];
    prop_oneof![
        4 => (fault(), 1..9_u32).prop_map(|(fault, span)| (fault, Some(span))),
        3 => fault().prop_map(|fault| (fault, None)),
        1 => mend.prop_map(|mend| (mend.to_string(), None)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn when_all_have_ended_the_lines_that_last_are_in_force(
        lines in proptest::collection::vec(line(), 1..12),
        chaos in proptest::option::of(0..1_000_u32),
    ) {
        let begin = chaos.map(|seed| {
            format!("chaos start drop,delay,cut,partition,isolate,reorder every 60ms --seed {seed}\n")
        });
        let all: Vec<String> = lines.iter().map(|(line, span)| match span {
            Some(span) => format!("{line} for {}ms\nsleep 100ms\n", span * 100),
            None => format!("{line}\nsleep 100ms\n"),
        }).collect();
        let all = all.concat();
        let lasting: Vec<&str> =
            lines.iter().filter(|(_, span)| span.is_none()).map(|(line, _)| line.as_str()).collect();
        let lasting = lasting.join("\n");
        let stop = if begin.is_some() { "chaos stop\n" } else { "" };
        let mixed = format!("{}{all}{stop}sleep 1s", begin.unwrap_or_default());
        prop_assert_eq!(rules_after(&mixed), rules_after(&lasting), "{}", mixed);
    }
}

#[test]
fn only_voters_make_a_majority_side() {
    let mut desk = Desk::led();
    let said = desk.lines("add n4 --learner\nadd n5 --learner\npartition n1 n2 / n3 n4 n5");
    assert!(said.ends_with("[n1 n2] x [n3 n4 n5]; majority side n1 n2\n"), "{said}");
}
