//! What a start finds, makes of it, or refuses.

use std::time::{Duration, Instant};

use raftlab::cluster::{Cluster, StartError, states_found, wipe};
use raftlab::config::Settings;
use raftlab::lab::{DiskChange, Lab, Life, NodeOrder};
use raftlab::types::NodeId;

use crate::{
    PATIENCE, assert_read, assert_safe, converge, folder, leader, log_file, others, put, settings, start,
};

#[test]
fn writes_survive_the_leaders_crash_and_everybodys_restart() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let first = leader(&cluster);
    cluster.order(first, NodeOrder::Crash).unwrap();
    assert_eq!(cluster.view(first).life, Life::Down("crashed".to_string()));
    let again = cluster.order(first, NodeOrder::Crash).unwrap_err().to_string();
    assert_eq!(again, format!("{first} is down already"));
    put(&cluster, "b");
    assert_read(&cluster, "a");
    assert_ne!(leader(&cluster), first);
    let said = cluster.order(first, NodeOrder::Restart).unwrap();
    assert!(said.starts_with("term ") && said.ends_with(" reloaded"), "{said}");
    assert_eq!(
        cluster.order(first, NodeOrder::Restart).unwrap_err().to_string(),
        format!("{first} is already running")
    );
    converge(&mut cluster);
    for node in cluster.nodes() {
        cluster.order(node, NodeOrder::PowerCut).unwrap();
    }
    for node in cluster.nodes() {
        cluster.order(node, NodeOrder::Restart).unwrap();
    }
    for key in ["a", "b"] {
        assert_read(&cluster, key);
    }
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_cluster_goes_on_from_its_states() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let cluster = start(&settings);
    put(&cluster, "a");
    let begun = Instant::now();
    cluster.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(1), "a shutdown took {:?}", begun.elapsed());
    let mut cluster = start(&settings);
    assert_read(&cluster, "a");
    put(&cluster, "b");
    converge(&mut cluster);
    assert_safe(&mut cluster);
    drop(cluster);
    assert_read(&start(&settings), "b");
}

#[test]
fn a_wiped_node_gets_everything_again() {
    let folder = folder();
    let mut cluster = start(&settings(&folder, 3));
    put(&cluster, "a");
    let node = others(&cluster, leader(&cluster))[0];
    cluster.order(node, NodeOrder::Crash).unwrap();
    assert_eq!(cluster.order(node, NodeOrder::Wipe).unwrap(), "with a new, empty state");
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn in_memory_nothing_is_on_disk_and_a_restart_loses_nothing() {
    let folder = folder();
    let settings = Settings { memory: true, ..settings(&folder, 3) };
    let mut cluster = start(&settings);
    put(&cluster, "a");
    for node in cluster.nodes() {
        assert_eq!(cluster.order(node, NodeOrder::PowerCut).unwrap(), "what it stored is kept");
    }
    for node in cluster.nodes() {
        cluster.order(node, NodeOrder::Restart).unwrap();
    }
    assert_read(&cluster, "a");
    assert!(
        cluster
            .order(NodeId::new(1), NodeOrder::Disk(DiskChange::Full(true)))
            .unwrap_err()
            .to_string()
            .contains("--memory")
    );
    assert!(!settings.states.exists());
    assert_safe(&mut cluster);
}

#[test]
fn what_cannot_start_says_why_in_one_line() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let refused = |settings: &Settings| {
        let error = Cluster::start(settings, None).expect_err("refused").to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let cluster = start(&settings);
    put(&cluster, "a");
    let error = refused(&settings);
    let process = std::process::id();
    assert!(error.contains(&format!("is in use by process {process}")), "{error}");
    assert!(matches!(wipe(&settings.states), Err(StartError::Storage(_))), "what is in use is not wiped");
    cluster.shutdown();

    let state = settings.states.join("n2").join("state.json");
    let good = std::fs::read(&state).unwrap();
    std::fs::write(&state, &good[..good.len() / 2]).unwrap();
    let error = refused(&settings);
    assert!(error.contains("n2/state.json") && error.contains("damaged"), "{error}");
    std::fs::write(&state, good).unwrap();

    let in_the_way = folder.path().join("a file");
    std::fs::write(&in_the_way, "").unwrap();
    assert!(refused(&Settings { logs: in_the_way.clone(), ..settings.clone() }).contains("a file"));
    assert!(refused(&Settings { states: in_the_way, ..settings.clone() }).contains("a file"));
    assert!(refused(&Settings { nodes: 0, ..settings.clone() }).contains("1 to 99"));

    assert_read(&start(&settings), "a");
    assert_eq!(states_found(&settings.states).unwrap().len(), 3);
    assert_eq!(wipe(&settings.states).unwrap().len(), 3);
    assert!(states_found(&settings.states).unwrap().is_empty());
    start(&Settings { nodes: 5, ..settings });
}

#[test]
fn a_node_without_its_files_does_not_start_empty() {
    let folder = folder();
    let settings = settings(&folder, 3);
    let cluster = start(&settings);
    put(&cluster, "a");
    cluster.shutdown();
    std::fs::remove_dir_all(settings.states.join("n3")).unwrap();
    let mut cluster = start(&settings);
    let n3 = NodeId::new(3);
    assert!(matches!(cluster.view(n3).life, Life::Down(reason) if reason.contains("its files are missing")));
    assert!(cluster.order(n3, NodeOrder::Restart).unwrap_err().to_string().contains("restart n3 --wipe"));
    assert_read(&cluster, "a");
    cluster.restart_wiped(n3).unwrap();
    converge(&mut cluster);
    assert_safe(&mut cluster);
}

#[test]
fn a_cluster_in_memory_without_logs_writes_no_file() {
    let folder = folder();
    let (states, logs) = (folder.path().join("states"), folder.path().join("logs"));
    // What comes later goes over what was said before.
    let builder = Cluster::builder().states(&states).memory().nodes(1).seed(7).express();
    let cluster = builder.heartbeat(Duration::from_millis(20)).client_timeout(PATIENCE).start().unwrap();
    put(&cluster, "a");
    assert_read(&cluster, "a");
    assert_eq!(cluster.seed(), 7);
    cluster.shutdown();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file, no folder");

    let election = Duration::from_millis(100)..=Duration::from_millis(160);
    let builder = Cluster::builder().nodes(1).states(&states).logs(&logs).election(election.clone());
    let cluster = builder.observer(|_| {}).start().unwrap();
    let settings = &cluster.settings().now;
    assert_eq!((settings.election_min, settings.election_max), election.into_inner());
    leader(&cluster);
    cluster.shutdown();
    assert!(states.join("n1").join("state.json").exists() && log_file(&logs, NodeId::new(1)).exists());
    let refused = Cluster::builder().nodes(0).start().unwrap_err().to_string();
    assert!(refused.contains("1 to 99"), "{refused}");
}
