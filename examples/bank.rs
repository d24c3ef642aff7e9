//! A replicated bank in a few lines: any serde state machine can be replicated. Money moves between accounts while
//! leaders crash; none is made or lost.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::time::Duration;

use raftlab::cluster::Cluster;
use raftlab::config::Settings;
use raftlab::lab::Lab;
use raftlab::state_machine::StateMachine;
use serde::{Deserialize, Serialize};

#[derive(Default)]
struct Bank(BTreeMap<String, u64>);

#[derive(Clone, Serialize, Deserialize)]
enum Command {
    Open { account: String, balance: u64 },
    Transfer { from: String, to: String, amount: u64 },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Answer {
    Done,
    Refused(String),
    Total(u64),
}

impl StateMachine for Bank {
    type Command = Command;
    type Query = ();
    type Answer = Answer;

    fn apply(&mut self, command: &Command) -> Answer {
        match command {
            Command::Open { account, balance } => {
                self.0.insert(account.clone(), *balance);
            }
            Command::Transfer { from, to, amount } => {
                let (Some(have), true) = (self.0.get(from).copied(), self.0.contains_key(to)) else {
                    return Answer::Refused("no such account".to_string());
                };
                let Some(left) = have.checked_sub(*amount) else {
                    return Answer::Refused(format!("{from} has only {have}"));
                };
                self.0.insert(from.clone(), left);
                *self.0.entry(to.clone()).or_default() += amount;
            }
        }
        Answer::Done
    }

    fn query(&self, (): &()) -> Answer {
        Answer::Total(self.0.values().sum())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let logs = std::env::temp_dir().join("raftlab-bank-logs");
    let settings = Settings { memory: true, logs, ..Settings::default() };
    let mut cluster = Cluster::start_with(&settings, None, Bank::default)?;
    let client = cluster.client();
    for account in ["ann", "bob", "eve"] {
        client.submit(Command::Open { account: account.to_string(), balance: 100 })?;
    }
    for (from, to) in [("ann", "bob"), ("bob", "eve"), ("eve", "ann")] {
        let leader = cluster.wait_until_leader(Duration::from_secs(5)).ok_or("no leader")?;
        cluster.crash(leader, false)?;
        let transfer = Command::Transfer { from: from.to_string(), to: to.to_string(), amount: 60 };
        let done = client.submit(transfer)?;
        println!("{from} -> {to}: {:?} at index {}, although {leader} crashed", done.answer, done.index);
        cluster.restart(leader, false)?;
    }
    println!("{:?}", client.read(())?.answer);
    cluster.shutdown();
    Ok(())
}
