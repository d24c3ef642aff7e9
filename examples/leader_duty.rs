//! A duty that only the leader has: it begins and ends with the leadership, and follows it from node to node.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::thread;
use std::time::Duration;

use raftlab::{Cluster, Crash, LeadershipKind};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut cluster = Cluster::builder().nodes(3).memory().start()?;
    let changes = cluster.leadership();
    // A listener may take its time: the cluster never waits for it.
    let watcher = thread::spawn(move || {
        let mut duties = 0;
        for change in changes {
            match change.kind {
                LeadershipKind::Gained | LeadershipKind::Changed { .. } => {
                    duties += 1;
                    println!("{} leads: its duty begins", change.node);
                }
                LeadershipKind::Lost => println!("{} no longer leads: its duty ends", change.node),
                _ => {}
            }
        }
        duties
    });
    for _ in 0..2 {
        let leader = cluster.wait_until_leader(Duration::from_secs(10)).ok_or("no leader in time")?;
        cluster.crash(leader, Crash::Process)?;
        cluster.restart(leader)?;
    }
    cluster.wait_until_leader(Duration::from_secs(10)).ok_or("no leader in time")?;
    cluster.shutdown();
    let duties = watcher.join().map_err(|_| "the watcher panicked")?;
    println!("the duty moved {} times or more", duties - 1);
    Ok(())
}
