//! A cluster's state is saved while it runs and from files, and a new cluster begins with it.

use std::fs;

use raftlab::NodeId;

use super::Processes;
use crate::{Folder, Ran};

impl Processes {
    fn whole(&self, line: &str) -> Ran {
        self.folder.run(env!("CARGO_BIN_EXE_raftlab"), &line.split(' ').collect::<Vec<_>>(), "")
    }
}

#[test]
fn a_backup_of_a_running_cluster_begins_a_new_one() {
    let mut processes = Processes::patient();
    processes.start_all();
    let client = env!("CARGO_BIN_EXE_client");
    let script = "wait leader\ncreate x é\nput y 2\nwait converged\n";
    processes.folder.run(client, &[], script).exits(0);
    let told = processes.whole("backup saved.json").exits(0).out;
    assert!(told.contains("saved.json holds cluster "), "{told}");
    assert!(processes.whole("backup saved.json").exits(1).err.contains("is there already"));
    processes.folder.run(client, &[], "put x after\n").exits(0);
    let refused = processes.whole("restore saved.json n1 --states other").exits(1).err;
    assert!(
        refused.contains("is the one that was saved: a restored one needs a number of its own"),
        "{refused}"
    );

    let mut new = Processes::alone();
    new.folder.cluster(&["1", "--write-config", "cluster.toml"], "").exits(0);
    new.use_free_ports();
    fs::copy(processes.folder.path("saved.json"), new.folder.path("saved.json")).expect("it was written");
    let told = new.whole("restore saved.json n1").exits(0).out;
    assert!(told.contains("n1#1 is the only member of cluster"), "{told}");
    let again = new.whole("restore saved.json n1").exits(1).err;
    assert!(again.contains("holds files already: nothing was made"), "{again}");
    new.start(NodeId::new(1));
    let ran =
        new.folder.run(client, &[], "wait leader\nread x\nread y\nput x 3\nread x\nmembers\n").exits(0).out;
    assert!(ran.contains("OK x=é") && ran.contains("OK y=2") && ran.contains("OK x=3"), "{ran}");
    // It starts again, and takes others in.
    new.kill(NodeId::new(1));
    new.start(NodeId::new(1));
    let address = super::free_addresses(1).remove(0);
    new.start_with(NodeId::new(2), &["--wipe", "--bind", &address]);
    let ran = new.folder.run(client, &[], "wait leader\nadd n2\nwait converged\nread x @n2\n").exits(0).out;
    assert!(ran.contains("OK x=3"), "{ran}");
}

#[test]
fn a_backup_of_files_holds_what_is_committed_and_a_damaged_one_is_refused() {
    let processes = Processes::alone();
    let script = "wait leader\nput x 1\nput y 2\nwait converged\nsnapshot n1\nput x 3\nwait converged\nread x\nstop all\nquit\n";
    processes.folder.cluster(&["3"], script).exits(0);
    for node in ["n1", "n2"] {
        processes.whole(&format!("backup {node}.json --files states/{node}")).exits(0);
    }
    let saved = processes.folder.read("n1.json");
    let state = |text: &str| text.split("\"content\":").nth(1).map(str::to_string);
    assert!(saved.contains("[\"x\",\"3\",2,4,2]"), "{saved}");
    assert_eq!(
        state(&saved).map(|text| text.len()),
        state(&processes.folder.read("n2.json")).map(|text| text.len())
    );
    assert!(processes.whole("backup none.json --files logs").exits(1).err.contains("holds no node's files"));

    processes.folder.cluster(&["1", "--write-config", "cluster.toml"], "").exits(0);
    let refused = |text: &str, expected: &str| {
        let damaged = Folder::new();
        damaged.write("bad.json", text);
        let path = damaged.path("bad.json").display().to_string();
        let ran = processes.whole(&format!("restore {path} n1 --states new")).exits(1);
        assert!(ran.err.contains(expected), "{}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert!(!processes.folder.path("new/n1").exists());
    };
    refused(&saved.replace("[\"x\",\"3\"", "[\"x\",\"4\""), "it is damaged");
    refused(&saved[..saved.len() - 5], "it is damaged");
    refused("{\"format\":1}", "format");
    refused("hello", "is no backup, or is damaged");
    refused("", "is no backup, or is damaged");
    processes.whole("restore n1.json n1 --states new").exits(0);
    assert!(processes.folder.path("new/n1/state.json").exists());
}
