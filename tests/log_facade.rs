//! The cluster in the `log` crate: a program's own logger shows its nodes, and filters them by itself.

use std::fs;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;
use raftlab::Cluster;
use raftlab::cluster::StartError;

/// How long an election may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// A logger that keeps what it takes: everything but the records of n3.
struct Memory(Mutex<Vec<(Level, String, String)>>);

static MEMORY: Memory = Memory(Mutex::new(Vec::new()));

impl Log for Memory {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() != "raftlab::n3"
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let kept = (record.level(), record.target().to_string(), record.args().to_string());
            self.0.lock().push(kept);
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_programs_logger_shows_the_cluster_and_the_files_have_a_filter_of_their_own() -> Result<(), StartError> {
    log::set_logger(&MEMORY).expect("the only logger of this program");
    log::set_max_level(LevelFilter::Info);
    let folder = tempfile::tempdir().expect("a folder");
    let builder = Cluster::builder().nodes(3).memory().logs(folder.path());
    let cluster = builder.log_filter("off,raftlab::n3=debug").start()?;
    let leader = cluster.wait_until_leader(PATIENCE).expect("a leader");
    let term = cluster.status(leader).expect("it is a member").term;
    cluster.shutdown();

    let kept = MEMORY.0.lock();
    let of = |node: &str| kept.iter().filter(|(_, target, _)| target == &format!("raftlab::{node}")).count();
    assert!(of("n1") > 0 && of("n2") > 0, "{kept:?}");
    assert_eq!(of("n3"), 0, "the logger filters by itself: {kept:?}");
    assert!(
        kept.iter().all(|(level, ..)| *level <= Level::Info),
        "finer events are not even formatted: {kept:?}"
    );
    for node in ["n1", "n2"] {
        let has =
            |wanted: &str| kept.iter().any(|(_, target, text)| target.ends_with(node) && text == wanted);
        assert!(has("started with a new, empty state") && has("stopped"), "{kept:?}");
    }
    if leader.number() != 3 {
        let record = (Level::Info, format!("raftlab::{leader}"), format!("leads term {term}"));
        assert!(kept.contains(&record), "{record:?} is in {kept:?}");
    }

    let files = ["n1", "n2", "n3"].map(|node| {
        fs::read_to_string(folder.path().join(format!("{node}.log"))).expect("each node has its file")
    });
    assert_eq!([&files[0], &files[1]], ["", ""], "the files' filter is not the logger's");
    assert!(files[2].contains("started with a new, empty state"), "{}", files[2]);
    Ok(())
}
