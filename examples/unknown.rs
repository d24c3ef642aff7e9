//! A command without an answer: the client asks later what became of it, and learns it for good.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use raftlab::kv::Command;
use raftlab::{Cluster, Crash, Failure, Fate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut cluster = Cluster::builder().nodes(3).memory().start()?;
    let client = cluster.client().with_timeout(Duration::from_millis(500));
    client.submit(Command::put("x", "1"))?;

    // Without a majority no command can be committed, so this one gets no answer.
    let leader = cluster.leader().ok_or("no node leads")?;
    let others: Vec<_> = cluster.nodes().into_iter().filter(|node| *node != leader).collect();
    for node in &others {
        cluster.crash(*node, Crash::Process)?;
    }
    let token = match client.submit(Command::put("x", "2")) {
        Err(Failure::Unknown(token)) => token,
        other => return Err(format!("it cannot be answered, and is {other:?}").into()),
    };
    println!("no answer in time: it may have been applied, or may be later");

    for node in &others {
        cluster.restart(*node)?;
    }
    // The question is an entry of the log: if the command was not applied before it, it never will be.
    match client.within(Duration::from_secs(10)).outcome(token)? {
        Fate::Applied(committed) => println!("applied, at index {}", committed.index.0),
        Fate::NeverApplied => println!("not applied, and never will be"),
        Fate::Forgotten | Fate::Expired => println!("asked too late"),
        Fate::Lost { .. } => println!("the cluster was recovered since: what it did may be lost"),
    }
    Ok(())
}
