//! What directives say of what they did: what was undone, what is left, what stays.

use super::tests::{Desk, last_line};
use super::{Script, parse};

#[test]
fn heal_names_what_it_leaves_and_reset_what_it_undoes() {
    let mut desk = Desk::led();
    desk.lines("drop 20%\ndelay 20ms jitter 30ms n1<>n2");
    assert_eq!(
        desk.lines("heal"),
        "no partition or cut to heal; in force: drop 20%, delay 20ms jitter 30ms n1<>n2 ('reset' removes them)\n"
    );
    desk.lines("delay 0 n1<>n2\npartition n1 / n2 n3");
    assert_eq!(desk.lines("heal"), "healed n1<>n2 n1<>n3; in force: drop 20% ('reset' removes it)\n");
    desk.lines("slow-disk n1 30ms\nfill-disk n2");
    assert_eq!(
        desk.lines("reset"),
        "removed drop 20%; repaired the disk of n1 (slow); repaired the disk of n2 (full)\n"
    );
    assert_eq!(desk.lines("reset"), "nothing to undo: network and disks have no fault\n");
    assert_eq!(desk.lines("heal"), "no partition or cut to heal\n");
}

#[test]
fn a_disk_that_is_repaired_answers_at_once() {
    let mut desk = Desk::led();
    desk.lines("put x 0\nstall-disk n2,n3 10s\nput x 1 --timeout 50ms\nexpect unknown");
    let said = desk.lines("reset\nwait converged 1s");
    assert_eq!(said, "repaired the disk of n2 (stalled); repaired the disk of n3 (stalled)\n");
}

#[test]
fn who_is_named_to_be_connected_must_be_isolated() {
    let mut desk = Desk::led();
    desk.script = Script::typed();
    assert_eq!(desk.lines("connect n1"), "ERR n1 is not isolated\n");
    desk.lines("isolate n1 for 50ms");
    let said = desk.lines("connect all\nsleep 100ms");
    assert_eq!(said, "connected n1\nn2 is not isolated\nn3 is not isolated\n", "by hand, not again in time");
    assert!(
        desk.lines("isolate n1 for 50ms\nsleep 100ms").ends_with("the isolation of n1 ends after 50 ms\n")
    );
}

#[test]
fn a_crash_says_what_the_node_was_and_what_stays() {
    let mut desk = Desk::led();
    desk.script = Script::typed();
    desk.lines("put x 1\nwait converged");
    let leader = "n1 crashed (it led term 1): its memory is gone, all 3 entries are on its disk\n";
    assert_eq!(desk.lines("crash n1"), leader);
    let follower =
        "n2 crashed (it followed n1 in term 1): its memory is gone, all 3 entries are on its disk\n";
    assert_eq!(desk.lines("crash n2"), follower);
    assert_eq!(desk.lines("crash n2"), "ERR n2 is down already\n");
    let mut desk = Desk::led();
    desk.lines("stall-disk n2 1s\nput x 1");
    let lost = desk.lines("crash n2 --power");
    let begin = "n2 crashed by a power cut (it followed n1 in term 1): its memory is gone, ";
    assert_eq!(lost, format!("{begin}2 entries were not on its disk yet, 1 entry is\n"));
}

#[test]
fn a_log_is_shown_of_a_node_that_does_not_run() {
    let mut desk = Desk::led();
    desk.lines("put x 1\nwait converged\ncrash n3\npause n2\nput y 2 @n1 --timeout 20ms\nexpect unknown");
    assert_eq!(
        desk.lines("log"),
        "          1  2  3  4\n\
         n1 L t1   1  1  1| 1\n\
         n2 p t1   1  1  1  .   paused, as stored\n\
         n3 x t1   1  1  1  .   crashed, as stored\n\
         \x20         | committed up to here   . no entry\n\
         \x20         L leads   p is paused   x is down   t1 in term 1\n"
    );
}

#[test]
fn a_first_command_that_meets_a_time_out_is_unknown_however_short_its_time() {
    let mut desk = Desk::led();
    desk.script = Script::typed();
    let told = desk.lines("isolate n1\nput q 1 @n1 --timeout 100ms");
    let unknown = "UNKNOWN no answer in 100 ms: may have been applied; 'outcome ";
    assert!(last_line(&told).starts_with(unknown), "{told}");
    let mut desk = Desk::led();
    desk.script = Script::typed();
    let told = desk.lines("crash followers\nput q 1 --timeout 100ms");
    assert_eq!(last_line(&told), "ERR not applied: no leader was found within 2 s: 'status' says why");
    assert!(parse("put q 1 --timeout 0").is_err_and(|error| error.to_string().contains("above zero")));
}

#[test]
fn pipe_counts_the_words_of_its_lines() {
    let mut desk = Desk::led();
    desk.script = Script::typed();
    let told = desk.lines("crash all\npipe 5");
    let (lines, summary) = told.trim_end().rsplit_once('\n').unwrap();
    let refused = lines.lines().filter(|line| line.starts_with("ERR not applied: no leader"));
    assert!(refused.count() > 0, "{told}");
    assert!(summary.ends_with(": 0 OK, 5 ERR, 0 UNKNOWN"), "{told}");
}
