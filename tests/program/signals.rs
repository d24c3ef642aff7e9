//! Signals without a terminal: a polite end within a second, whatever the disks and nodes are doing.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::{Folder, Running};

/// How long a polite end may take.
const SOON: Duration = Duration::from_secs(1);

#[track_caller]
fn ends_soon(running: &mut Running, order: impl FnOnce(&mut Running)) -> ExitStatus {
    let begun = Instant::now();
    order(running);
    let (status, rest) = running.end();
    assert!(begun.elapsed() < SOON, "it took {:?}; last said: {rest:?}", begun.elapsed());
    status
}

#[test]
fn a_signal_ends_it_politely_with_everything_answered_on_disk() {
    let folder = Folder::new();
    for (at, signal) in ["TERM", "INT", "HUP"].into_iter().enumerate() {
        let mut running = folder.start(&["3"]);
        running.say(&format!("wait leader\ncreate k{at} 1\nsleep 1m\n"));
        running.answer(&format!("OK created k{at}=1"));
        let status = ends_soon(&mut running, |running| running.signal(signal));
        assert_eq!(status.code(), Some(130), "{signal}");
        let logs = folder.read("logs/n1.log");
        assert!(logs.trim_end().ends_with("stopped"), "each node ends politely: {logs}");
    }
    let ran = folder.cluster(&["3"], "wait leader\nwait converged\nkeys\n").exits(0);
    assert!(ran.out.starts_with("k0=1\nk1=1\nk2=1\n3 keys at n"), "{}", ran.out);
}

#[test]
fn a_stalled_disk_or_a_paused_node_does_not_hold_up_the_end() {
    for trouble in ["stall-disk all 1m", "pause all", "slow-disk all 10s"] {
        for quit in [true, false] {
            let folder = Folder::new();
            let mut running = folder.start(&["3"]);
            running.say(&format!("wait leader\ncreate a 1\n{trouble}\necho ready\n"));
            running.answer("ready");
            let status =
                ends_soon(
                    &mut running,
                    |running| {
                        if quit { running.say("quit\n") } else { running.signal("TERM") }
                    },
                );
            assert_eq!(status.code(), Some(if quit { 0 } else { 130 }), "{trouble}");
            let ran = folder.cluster(&["3"], "wait leader\nread a\n").exits(0);
            assert!(ran.out.starts_with("OK a=1 "), "{trouble}: {}", ran.out);
        }
    }
}

#[test]
fn a_signal_interrupts_a_command_that_waits_and_says_so() {
    let folder = Folder::new();
    let mut running = folder.start(&["3"]);
    running.say("wait leader\ncreate a 1\nstall-disk all 1m\nevents all\nupdate a 2 --timeout 1m\n");
    running.warning("appends a command at ");
    running.signal("INT");
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(130), "{rest:?}");
    let said = rest.iter().any(|line| {
        line.starts_with("UNKNOWN interrupted after ") && line.contains(": may have been applied; 'outcome ")
    });
    assert!(said, "{rest:?}");
}

#[test]
fn a_serving_cluster_outlives_its_input_and_a_signal_is_its_end() {
    let folder = Folder::new();
    let mut running = folder.start(&["3", "--serve"]);
    running.say("wait leader\ncreate a 1\ncrash leader for 300ms\n");
    running.close_input();
    running.warning("serving until Ctrl-C or SIGTERM");
    // Without a word from anybody, a new leader is elected and the node comes back.
    running.warning(" restarts after 300 ms (");
    let status = ends_soon(&mut running, |running| running.signal("TERM"));
    assert_eq!(status.code(), Some(0));
    let ran = folder.cluster(&["3"], "wait leader\nread a\n").exits(0);
    assert!(ran.out.starts_with("OK a=1 "), "{}", ran.out);
}

#[test]
fn a_serving_cluster_may_keep_its_input_and_ends_well_between_two_lines() {
    let folder = Folder::new();
    let mut running = folder.start(&["3", "--serve", "--memory"]);
    running.say("wait leader\necho ready\n");
    running.answer("ready");
    let status = ends_soon(&mut running, |running| running.signal("TERM"));
    assert_eq!(status.code(), Some(0));
}
