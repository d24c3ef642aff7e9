//! A node whose disk is full ends with its process, and comes back when there is room again.

use raftlab::Client;
use raftlab::kv::KeyValue;

use super::{Processes, assert_holds, put};
use crate::PATIENCE;

#[test]
fn a_full_disk_ends_one_process_and_the_load_goes_on() {
    let mut processes = Processes::patient();
    processes.start_all();
    let clients = processes.clients();
    let client: Client<KeyValue> = clients.client().with_timeout(PATIENCE);
    let leader = put(&client, "k0", "v0");
    let mut load = processes.folder.start_load("cluster.toml", "90s");
    let console = env!("CARGO_BIN_EXE_client");
    processes.folder.run(console, &[], format!("fill-disk {leader}\n")).exits(0);
    let mut full = processes.running.remove(&leader).expect("it runs");
    let (status, said) = full.end();
    assert_eq!(status.code(), Some(1), "{said:?}");
    let why = format!("error: {leader} has ended: its disk failed: cannot write states/{leader}/");
    let told = said.iter().find(|line| line.starts_with(&why)).unwrap_or_else(|| panic!("{why}: {said:?}"));
    assert!(told.ends_with("the disk is full; make room, then restart the node"), "{told}");
    put(&client, "k1", "v1");
    // The fault was the process's: there is room again.
    processes.start(leader);
    processes.folder.run(console, &[], "wait up all 20s\n").exits(0);
    let report = load.served_all_until_now();
    assert_eq!(report["verdict"]["pass"], true, "{report}");
    let lines = format!("wait converged 20s\nread k0 @{leader}\nexpect ok k0=v0\n");
    processes.folder.run(console, &[], lines).exits(0);
    assert_holds(&client, 2);
    clients.stop();
}
