//! Words of many texts, counted by a replicated machine. The texts are under way all at once when the leader crashes:
//! each is counted exactly once all the same.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::time::Duration;

use raftlab::client::Ticket;
use raftlab::cluster::Cluster;
use raftlab::lab::{Lab, NodeOrder};
use raftlab::state_machine::StateMachine;

/// How often each word was seen.
#[derive(Default)]
struct Words(BTreeMap<String, u64>);

impl StateMachine for Words {
    /// A text to count.
    type Command = String;
    /// A word.
    type Query = String;
    /// How many words the text has, or how often the word was seen.
    type Answer = u64;
    type Snapshot = BTreeMap<String, u64>;

    fn apply(&mut self, text: &String) -> u64 {
        let words = text.split_whitespace();
        words.map(|word| *self.0.entry(word.to_lowercase()).or_default() += 1).count() as u64
    }

    fn query(&self, word: &String) -> u64 {
        self.0.get(word).copied().unwrap_or_default()
    }

    fn snapshot(&self) -> BTreeMap<String, u64> {
        self.0.clone()
    }

    fn restore(&mut self, words: BTreeMap<String, u64>) {
        self.0 = words;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut cluster = Cluster::builder().nodes(3).memory().start_with(Words::default)?;
    let client = cluster.client().with_timeout(Duration::from_secs(20));
    let leader = cluster.wait_until_leader(Duration::from_secs(20)).ok_or("no leader")?;

    let send = |number: u64| client.submit_async(format!("This is text {number}"));
    let mut tickets: Vec<Ticket<_>> = (0..500).map(send).collect();
    cluster.order(leader, NodeOrder::Crash)?;
    tickets.extend((500..1000).map(send));

    let mut words = 0;
    for ticket in tickets {
        words += ticket.wait()?.answer;
    }
    println!("{words} words in 1000 texts, although {leader} crashed");
    for word in ["text", "7", "raft"] {
        println!("{word}: {}", client.read(word.to_string())?.answer);
    }
    Ok(())
}
