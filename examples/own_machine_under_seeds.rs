//! A state machine of one's own under seeded faults: transfers run while nodes crash, lose power and are cut off, and
//! every answer to a client must fit the machine. The same seed is the same run, so a failure can be replayed.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::time::Duration;

use raftlab::StateMachine;
use raftlab::simulation::{Request, SimulatedCluster, SimulationSettings};
use serde::{Deserialize, Serialize};

/// What each account holds.
#[derive(Default)]
struct Bank(BTreeMap<String, u64>);

#[derive(Clone, Serialize, Deserialize)]
enum Command {
    Deposit { account: String, amount: u64 },
    Transfer { from: String, to: String, amount: u64 },
}

impl StateMachine for Bank {
    type Command = Command;
    type Query = String;
    /// What the account holds; none when the bank refuses.
    type Answer = Option<u64>;
    type Snapshot = BTreeMap<String, u64>;

    fn apply(&mut self, command: &Command) -> Option<u64> {
        match command {
            Command::Deposit { account, amount } => {
                let balance = self.0.entry(account.clone()).or_default();
                *balance += amount;
                Some(*balance)
            }
            Command::Transfer { from, to, amount } => {
                let left = self.0.get(from)?.checked_sub(*amount)?;
                self.0.insert(from.clone(), left);
                *self.0.entry(to.clone()).or_default() += amount;
                Some(left)
            }
        }
    }

    fn query(&self, account: &String) -> Option<u64> {
        self.0.get(account).copied()
    }

    fn snapshot(&self) -> BTreeMap<String, u64> {
        self.0.clone()
    }

    fn restore(&mut self, accounts: BTreeMap<String, u64>) {
        self.0 = accounts;
    }
}

fn main() {
    let mut answered = 0;
    for seed in 1..=100 {
        let mut cluster = SimulatedCluster::new(SimulationSettings::new(3, seed), Bank::default);
        let clients = [cluster.add_client(), cluster.add_client()];
        for step in 0..30_usize {
            let request = match step % 3 {
                0 => Request::Command(Command::Deposit { account: "ann".into(), amount: 10 }),
                1 => Request::Command(Command::Transfer { from: "ann".into(), to: "bob".into(), amount: 3 }),
                _ => Request::Query("bob".into()),
            };
            cluster.begin(clients[step % 2], request);
            cluster.disturb();
            cluster.run_for(Duration::from_millis(100));
        }
        cluster.heal();
        // Every call ends: with its answer, or as unknown.
        cluster.run_for(Duration::from_secs(6));
        assert!(cluster.call(clients[0], Request::Query("ann".into())).is_some(), "seed {seed}: no answer");
        let violations = cluster.violations();
        assert!(violations.is_empty(), "seed {seed}: {violations:?}");
        answered += cluster.history().iter().filter(|call| call.returned.is_some()).count();
    }
    println!("100 seeds passed, {answered} calls were answered");
}
