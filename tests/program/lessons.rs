//! Lessons, chaos and saved scripts as they are used: piped, and on threads.

use crate::Folder;

#[test]
fn each_lesson_plays_through_where_no_person_is_and_leaves_the_cluster_alone() {
    let folder = Folder::new();
    let options = ["3", "--seed", "1", "--script", "-"];
    let list = folder.simulate(&options, "scenario\n").exits(0).out;
    let rows = list.lines().skip_while(|line| !line.starts_with("SCRIPT")).skip(1);
    let names: Vec<&str> = rows.filter_map(|row| row.split(' ').next()).collect();
    assert!(names.len() >= 18 && names.contains(&"figure-7") && names.contains(&"figure-8"), "{list}");
    let lines: Vec<String> = names.iter().map(|name| format!("scenario {name}\n")).collect();
    let ran = folder
        .simulate(&options, &format!("{}wait leader\ncreate x 1\nexpect ok created\n", lines.concat()))
        .exits(0);
    for name in &names {
        let end = format!("That was {name}. The same on threads: cluster ");
        assert!(ran.out.contains(&end), "{name}: {}", ran.out);
    }
    assert_eq!(ran.out.matches("PASS linearizable").count(), names.len(), "{}", ran.out);
    let ran = folder.cluster(&["3", "--memory"], "scenario stale-read\nwait leader\nkeys\n").exits(0);
    assert!(ran.out.contains("> pause n1") && ran.out.contains("OK x=old"), "{}", ran.out);
}

#[test]
fn chaos_on_threads_loses_nothing_that_was_answered_and_is_saved_as_a_script() {
    let folder = Folder::new();
    let lines = "wait leader\nput a 1\nchaos start crash,pause,partition,cut,drop,delay every 100ms --seed 5\n\
                 load --clients 2 --duration 1500ms\nchaos stop\nrestart all\nwait converged 10s\ncheck\nread a\n\
                 expect ok a=1\nsave-script again.raft\n";
    let ran = folder.cluster(&["3", "--memory"], lines).exits(0);
    assert!(ran.out.contains("chaos ended: ") && !ran.out.contains("FAIL"), "{}", ran.out);
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
