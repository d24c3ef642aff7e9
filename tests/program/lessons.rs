//! Lessons, chaos and saved scripts as they are used: piped, and on threads.

use crate::Folder;

#[test]
fn chaos_on_threads_loses_nothing_that_was_answered_and_is_saved_as_a_script() {
    let folder = Folder::new();
    let lines = "wait leader\nput a 1\nchaos start crash,pause,partition,cut,drop,delay every 100ms --seed 5\n\
                 load --clients 2 --duration 1500ms\nchaos stop\nrestart all\nwait converged 10s\ncheck\nread a\n\
                 expect ok a=1\nsave-script again.raft\n";
    let ran = folder.cluster(&["3", "--memory"], lines).exits(0);
    assert!(ran.out.contains("chaos is over: ") && !ran.out.contains("FAIL"), "{}", ran.out);
    assert!(ran.err.contains("] chaos: "), "each is told: {}", ran.err);
    let script = folder.read("again.raft");
    assert!(script.starts_with("# A run with seed "), "{script}");
    assert!(script.contains("\nafter ") && script.contains("\n# chaos start "), "{script}");
    let ran = folder.cluster(&["3", "--memory", "--script", "again.raft"], "").exits(0);
    assert!(ran.out.contains("PASS linearizable"), "{}", ran.out);
}

#[test]
fn chaos_comes_during_an_experiment() {
    let options =
        ["--memory", "--clients", "2", "--duration", "1500ms", "--at", "200ms", "chaos start every 150ms"];
    let ran = Folder::new().client_load(&options).exits(0);
    assert!(ran.err.contains("] chaos: ") || ran.out.contains("] chaos: "), "{}{}", ran.out, ran.err);
}

#[test]
fn slow_motion_tells_of_each_message() {
    let ran = Folder::new()
        .cluster(&["3", "--memory", "--slow", "--time-scale", "2"], "wait leader\nsleep 300ms\n");
    let ran = ran.exits(0);
    assert!(ran.err.contains("slow: times are 2 times as long, a message takes 20ms"), "{}", ran.err);
    assert!(ran.err.matches(" AppendEntries ").count() > 1, "{}", ran.err);
}
