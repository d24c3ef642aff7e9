//! Words that stand for nodes in links and groups, and settings that change while a cluster runs.

use super::tests::Desk;
use super::{Flow, Script};

#[test]
fn links_and_groups_take_words_that_are_resolved_when_the_line_runs() {
    let mut desk = Desk::led();
    desk.script = Script::typed();
    let first = |told: String| told.lines().next().map(str::to_string);
    let said = |line: &str| Some(line.to_string());
    assert_eq!(desk.lines("cut leader<>followers"), "cut n1<>n2\ncut n1<>n3\n");
    assert_eq!(desk.lines("heal leader<>followers"), "healed n1<>n2\nhealed n1<>n3\n");
    assert_eq!(desk.lines("drop 20% leader>clients"), "drop 20% n1>clients\n");
    assert_eq!(desk.lines("delay 5ms all>n2"), "delay 5ms n1>n2\ndelay 5ms n3>n2\n");
    assert_eq!(desk.lines("cut leader<>n1\nexpect err"), "ERR leader<>n1 names no link: both sides are n1\n");
    assert_eq!(
        first(desk.lines("partition leader / followers")),
        said("[n1] x [n2 n3]; majority side n2 n3")
    );
    assert_eq!(first(desk.lines("partition all / leader")), said("[n2 n3] x [n1]; majority side n2 n3"));
    assert_eq!(
        first(desk.lines("partition leader n3 / followers")),
        said("[n1 n3] x [n2]; majority side n1 n3")
    );
    let drawn = desk.lines("partition minority / majority");
    assert!(drawn.contains("; majority side n"), "{drawn}");
    for (line, said) in [
        ("partition leader / n1", "ERR n1 leads and is in another group, too: each node belongs to one"),
        (
            "partition n1 n2 n3 / followers",
            "ERR no node is left for 'followers': the other groups have them all",
        ),
        ("partition leader / n9", "ERR there is no n9: the nodes are n1 to n3"),
    ] {
        assert_eq!(desk.lines(&format!("{line}\nexpect err")).trim(), said, "{line}");
    }
}

#[test]
fn rules_on_several_links_end_together() {
    let mut desk = Desk::led();
    let told = desk.lines("drop 10% n1>n2\ndrop 50% leader>followers for 100ms\nsleep 200ms\nnet");
    assert!(told.contains("drop 50% n1>n2, n1>n3 ends after 100 ms"), "{told}");
    let rules: Vec<&str> = told.lines().filter(|line| line.starts_with("rule")).collect();
    assert_eq!(rules, ["rule  drop 10% n1>n2"], "what was in force before is in force again");
}

#[test]
fn settings_change_while_the_cluster_runs() {
    let mut desk = Desk::led();
    desk.script = Script::typed();
    assert_eq!(desk.lines("set election 1s-2s"), "election 1s..2s on every node, was 150ms..300ms\n");
    assert_eq!(desk.lines("set Heartbeat 200ms"), "heartbeat 200ms on every node, was 50ms\n");
    assert_eq!(desk.lines("set heartbeat 200ms"), "heartbeat is 200ms already\n");
    let listed = desk.lines("set");
    let row = listed.lines().find(|line| line.starts_with("heartbeat ")).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["heartbeat", "200ms", "50ms", "50ms"]);
    assert!(listed.lines().count() < 24 && listed.lines().all(|line| line.len() <= 80), "{listed}");
    for (line, said) in [
        ("set heartbeat 600ms", "ERR heartbeat: 600ms is above half of election_min (1s)"),
        ("set batch-window 200ms", "ERR batch_window: 200ms is not below heartbeat (200ms)"),
        ("set heartbeat 100", "ERR heartbeat: '100' has no unit: write 100s or 100ms"),
        ("set pre-vote perhaps", "ERR pre_vote: 'perhaps' is neither on nor off"),
    ] {
        let told = desk.lines(&format!("{line}\nexpect err"));
        assert!(told.starts_with(said), "{line}: {told}");
    }
    // No node is missed by the longer timeouts, and a node that restarts has them, too.
    assert_eq!(desk.lines("sleep 3s\nexpect leader n1\nexpect term 1"), "");
    assert_eq!(desk.lines("crash n2\nrestart n2\nsleep 900ms\nexpect term n2 1").lines().count(), 2);
    let restored = desk.lines("set --restore");
    assert_eq!(restored, "restored: heartbeat 50ms, election 150ms..300ms\n");
    assert_eq!(
        desk.lines("sleep 3s\nexpect leader n1\nexpect term 1"),
        "",
        "shorter timeouts cost no election"
    );
    assert_eq!(desk.lines("crash n1\nwait leader 600ms").lines().count(), 1, "and they hold at once");
}

#[test]
fn an_expectation_of_a_script_looks_at_the_scripts_answer_not_at_what_is_typed_between() {
    let mut desk = Desk::led();
    let mut typed = Script::typed();
    for (line, between) in [("put x 1", "crash n9"), ("expect ok", "put x"), ("crash n9", "put x 2")] {
        desk.lines(line);
        assert_eq!(desk.console().run_line(&mut typed, Ok(between)), Flow::Go);
        desk.console().output().take_transcript();
    }
    assert_eq!(desk.lines("expect err there is no n9"), "");
    desk.console().run_line(&mut typed, Ok("expect ok put x=2"));
    assert_eq!(desk.console().output().take_transcript(), "");
}
