//! raftlab, as an embedding program uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use raftlab::client::{Client as Caller, Ended, Outcome, Pipeline};
use raftlab::cluster::Builder;
use raftlab::lab::Lab;
use raftlab::state_machine::kv::{Command, KeyValue};
use raftlab::types::Time;
use raftlab::{Cluster, NodeId};

use crate::driver::{self, Client, Figure, PATIENCE, Plan, Tally};
use crate::map::Put;

/// What the threads of a run have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callers {
    /// Each a client of its own.
    Apart,
    /// Clones of one client.
    Shared,
}

/// A blocking caller, one command at a time.
struct Blocking {
    caller: Caller<KeyValue>,
    newest: Newest,
}

/// Many commands under way, their answers taken as they come.
struct Piped {
    pipeline: Pipeline,
    newest: Newest,
    /// Its memory is used again.
    ended: Vec<Ended>,
}

/// The newest entry of which a command was answered.
type Newest = Arc<AtomicU64>;

/// Past the router, without the recorder's ring.
pub fn bare() -> Builder<KeyValue> {
    Cluster::builder().express().with(|settings| settings.recorder_bytes = 0)
}

/// Runs the plan on a cluster of its own.
pub fn run(plan: &Plan, cluster: Builder<KeyValue>, callers: Callers) -> Result<Figure, String> {
    let builder = cluster.nodes(3).memory().client_timeout(PATIENCE);
    let mut cluster = builder.start().map_err(|error| error.to_string())?;
    cluster.wait_until_leader(PATIENCE).ok_or("nobody leads")?;
    let leaders = cluster.leadership();
    let first = cluster.client();
    let callers = (0..plan.clients).map(|_| match callers {
        Callers::Apart => cluster.client(),
        Callers::Shared => first.clone(),
    });
    let newest = Newest::default();
    let tallies = if plan.window == 1 {
        let blocking = callers.map(|caller| Blocking { caller, newest: Arc::clone(&newest) });
        driver::drive(plan, blocking.collect())?
    } else {
        driver::drive(plan, callers.map(|caller| Piped::new(caller, &newest)).collect())?
    };
    let (_, figure) = Tally::sum(plan, &tallies);
    agree(&mut cluster, newest.load(Ordering::Relaxed))?;
    // The first change is the leader that there was.
    if leaders.receiver().try_iter().count() > 1 {
        return Err("the leader changed".to_string());
    }
    cluster.shutdown();
    Ok(figure)
}

/// Whether all nodes have applied the same entries, all those of which a command was answered, and hold the same.
fn agree(cluster: &mut Cluster, newest: u64) -> Result<(), String> {
    let applied = |cluster: &Cluster, node: NodeId| cluster.status(node).map(|status| status.applied.0);
    let all = cluster.wait_for(PATIENCE, |cluster| {
        let first = applied(cluster, NodeId::new(1))?;
        let same = NodeId::first(3).into_iter().all(|node| applied(cluster, node) == Some(first));
        (same && first >= newest).then_some(first)
    });
    all.ok_or_else(|| format!("entry {newest} was answered, and not all nodes applied it"))?;
    let items = NodeId::first(3).into_iter().map(|node| cluster.items(node));
    let items = items.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if items.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err("the nodes' maps differ".to_string());
    }
    Ok(())
}

impl Client for Blocking {
    fn send(&mut self, puts: Vec<Put>) -> Result<(), String> {
        for Put { key, value } in puts {
            let committed = self.caller.submit(Command::put(key, value));
            let committed = committed.map_err(|failure| failure.to_string())?;
            self.newest.fetch_max(committed.index.0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<usize, String> {
        Ok(1)
    }
}

impl Piped {
    fn new(caller: Caller<KeyValue>, newest: &Newest) -> Piped {
        Piped { pipeline: caller.into_pipeline(), newest: Arc::clone(newest), ended: Vec::new() }
    }
}

impl Client for Piped {
    fn send(&mut self, puts: Vec<Put>) -> Result<(), String> {
        let commands = puts.into_iter().map(|Put { key, value }| Command::put(key, value));
        let _ = self.pipeline.send_commands(commands, PATIENCE);
        Ok(())
    }

    fn wait(&mut self) -> Result<usize, String> {
        let until: Time = self.pipeline.now() + PATIENCE + Duration::from_secs(1);
        self.pipeline.wait(until, &mut self.ended);
        let mut newest = 0;
        for ended in &self.ended {
            match &ended.outcome {
                Outcome::Answered(answered) => newest = newest.max(answered.index.0),
                failed => return Err(format!("a command was not carried out: {failed:?}")),
            }
        }
        self.newest.fetch_max(newest, Ordering::Relaxed);
        if self.ended.is_empty() { Err("a command did not end".to_string()) } else { Ok(self.ended.len()) }
    }
}
