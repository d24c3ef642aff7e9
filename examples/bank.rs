//! A replicated bank: any serde state machine can be replicated. Money moves between accounts while leaders crash; none
//! is made or lost.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::time::Duration;

use raftlab::cluster::Cluster;
use raftlab::lab::{Lab, NodeOrder};
use raftlab::state_machine::StateMachine;
use serde::{Deserialize, Serialize};

/// What each account holds.
#[derive(Default)]
struct Bank(BTreeMap<String, u64>);

#[derive(Serialize, Deserialize)]
enum Command {
    Open { account: String, balance: u64 },
    Transfer { from: String, to: String, amount: u64 },
}

impl StateMachine for Bank {
    type Command = Command;
    type Query = ();
    /// What the account holds afterwards, or all accounts together; none when the bank refuses.
    type Answer = Option<u64>;
    type Snapshot = BTreeMap<String, u64>;

    fn apply(&mut self, command: &Command) -> Option<u64> {
        match command {
            Command::Open { account, balance } => Some(*self.0.entry(account.clone()).or_insert(*balance)),
            Command::Transfer { from, to, amount } => {
                let left = self.0.get(from)?.checked_sub(*amount)?;
                *self.0.get_mut(to)? += amount;
                self.0.insert(from.clone(), left);
                Some(left)
            }
        }
    }

    fn query(&self, (): &()) -> Option<u64> {
        Some(self.0.values().sum())
    }

    fn snapshot(&self) -> BTreeMap<String, u64> {
        self.0.clone()
    }

    fn restore(&mut self, accounts: BTreeMap<String, u64>) {
        self.0 = accounts;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut cluster = Cluster::builder().nodes(3).memory().start_with(Bank::default)?;
    let client = cluster.client().with_timeout(Duration::from_secs(20));
    for account in ["ann", "bob", "eve"].map(String::from) {
        client.submit(Command::Open { account, balance: 100 })?;
    }
    for (from, to) in [("ann", "bob"), ("bob", "eve"), ("eve", "ann")] {
        let leader = cluster.wait_until_leader(Duration::from_secs(20)).ok_or("no leader")?;
        cluster.order(leader, NodeOrder::Crash)?;
        let done = client.submit(Command::Transfer { from: from.into(), to: to.into(), amount: 60 })?;
        println!("{from} pays {to} and has {:?} left, although {leader} crashed", done.answer);
        cluster.order(leader, NodeOrder::Restart)?;
    }
    println!("together: {:?}", client.read(())?.answer);
    Ok(())
}
