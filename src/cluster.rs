//! A cluster on real threads: its nodes, the router between them, and the orders to both.
//!
//! ```
//! use raftlab::Cluster;
//! use raftlab::kv::{Answer, Command, Query};
//!
//! let cluster = Cluster::builder().nodes(3).memory().start().expect("three nodes in memory");
//! let client = cluster.client();
//! client.submit(Command::create("x", "1")).expect("committed");
//! let seen = client.read(Query::Read { key: "x".into() }).expect("a leader answers");
//! assert_eq!(seen.answer, Answer::Value("1".into()));
//! cluster.shutdown();
//! ```
//!
//! A person's experiments go through [`Lab`](crate::lab::Lab), which `Cluster` is. Dropping a cluster shuts it down.

mod apart;
mod beginning;
mod builder;
mod faults;
mod footprint;
mod lab;
mod lives;
mod members;
mod messages;
mod nodes;
#[cfg(test)]
mod replay_tests;
mod residents;
mod start_error;
mod notices;
mod states;
mod survey;
mod transfer;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Receiver;
use derive_more::Debug;

pub(crate) use self::apart::Known;
pub use self::apart::{Apart, NewFiles, make_files};
pub use self::builder::Builder;
pub use self::faults::Crash;
pub use self::notices::Notice;
pub use self::residents::{Residents, has_files, stored_in};
pub use self::start_error::StartError;
pub use self::states::{states_found, wipe};
pub use crate::lab::members::Members;
pub use crate::node::{Leadership, LeadershipChange, LeadershipKind, Observer};

use self::beginning::Origin;
use self::builder::Machine;
use self::footprint::Footprint;
use self::lives::Slot;
use self::states::{Found, Medium, States};
use crate::check::linearizability::Start;
use crate::client::{Client, ClientCore, ClientSettings, SharedNodes};
use crate::config::Settings;
use crate::lab::waiting::Waiting;
use crate::lab::{Lab, LabSettings, Life};
use crate::net::inbox::inbox;
use crate::net::router::{Router, RouterHandle};
use crate::node::{Boards, Context};
use crate::protocol::Address;
use crate::server::{RoleName, Status};
use crate::state_machine::StateMachine;
use crate::state_machine::kv::KeyValue;
use crate::trace::NodeLogs;
use crate::types::{ClientId, NodeId, Random};

/// How long a node that is stopped may wait for its disk.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// How long a node may take to end once its disk was told not to wait.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// A cluster on threads that replicates `M`.
#[derive(Debug)]
#[debug("Cluster({:?})", slots.keys())]
pub struct Cluster<M = KeyValue> {
    /// Scaled already.
    settings: Settings,
    /// The factor that they were scaled by.
    time_scale: f64,
    /// The core's settings as they change.
    raft: LabSettings,
    seed: u64,
    /// What the keys held when this run began.
    start: Start,
    notices: Vec<Notice>,
    /// Its only node, if the others run in processes of their own.
    home: Option<NodeId>,
    /// The nodes that there are now.
    slots: BTreeMap<NodeId, Slot>,
    /// The same, for the clients.
    nodes: SharedNodes,
    router: Option<Router>,
    network: RouterHandle,
    context: Context,
    logs: Option<Arc<NodeLogs>>,
    machine: Machine<M>,
    random: Random,
    waiting: Waiting,
    /// What nodes that are gone have forced to disk.
    past_syncs: u64,
    /// The client behind the calls of [`Lab::ask`](crate::lab::Lab::ask).
    asker: Option<Client<M>>,
    /// Whether keys may hold what no call of this program's wrote.
    others_write: bool,
}

impl Cluster {
    /// Describes a cluster, setting by setting, and starts it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use raftlab::{Cluster, StartError};
    ///
    /// // In memory and without logs, no file is written.
    /// let (min, max) = (Duration::from_millis(100), Duration::from_millis(200));
    /// let cluster = Cluster::builder().nodes(5).memory().seed(7).election(min..=max).start()?;
    /// assert!(cluster.wait_until_leader(Duration::from_secs(10)).is_some());
    /// cluster.shutdown();
    /// # Ok::<(), StartError>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Starts a cluster of key-value stores, from what the states folder holds. The observer is called for each event.
    pub fn start(settings: &Settings, observer: Option<Observer>) -> Result<Cluster, StartError> {
        Cluster::builder().settings(settings.clone()).observed_by(observer).start()
    }
}

impl<M: StateMachine> Cluster<M> {
    /// Starts a cluster of your own state machines: each start of a node begins with what `machine` returns and replays the
    /// log into it.
    pub fn start_with(
        settings: &Settings,
        observer: Option<Observer>,
        machine: impl Fn() -> M + Send + Sync + 'static,
    ) -> Result<Cluster<M>, StartError> {
        Cluster::builder().settings(settings.clone()).observed_by(observer).start_with(machine)
    }

    /// Starts what a builder describes. Log files have a folder and a filter; without a folder there are none.
    fn open(
        settings: &Settings,
        logs: Option<(&Path, Option<&str>)>,
        observer: Option<Observer>,
        record: Option<&Path>,
        machine: Machine<M>,
    ) -> Result<Cluster<M>, StartError> {
        settings.validate().map_err(StartError::Settings)?;
        let (settings, time_scale) = (settings.scaled(), settings.time_scale);
        // Only for a new cluster are files of nodes made.
        let founders = NodeId::first(settings.nodes);
        let before = Footprint::before(&settings, &founders, logs.map(|(folder, _)| folder));
        let (logs, States { nodes, notices }) = match Cluster::<M>::open_files(&settings, logs) {
            Ok(files) => files,
            Err(refused) => {
                before.erase();
                return Err(refused);
            }
        };

        let founders = nodes.keys().copied().collect();
        let origin = Origin { settings, time_scale, founders, home: None };
        let mut cluster = Cluster::begin(origin, logs, observer, machine)?;
        cluster.start = if nodes.values().all(is_new) { Start::Absent } else { Start::Unknown };
        cluster.notices = notices;
        if let Some(folder) = record {
            Lab::record(&mut cluster, folder, u64::MAX)
                .map_err(|error| StartError::Record(error.to_string()))?;
        }
        cluster.start_nodes(nodes)?;
        Ok(cluster)
    }

    /// Opens the nodes' states, which say who they are, and the log files, if there are to be any.
    fn open_files(
        settings: &Settings,
        logs: Option<(&Path, Option<&str>)>,
    ) -> Result<(Option<Arc<NodeLogs>>, States), StartError> {
        let states = states::open_all(settings, crate::state_machine::image::load::<M>)?;
        let members: Vec<NodeId> = states.nodes.keys().copied().collect();
        let logs = logs.map(|(folder, filter)| NodeLogs::open(folder, &members, filter)).transpose();
        Ok((logs.map_err(StartError::Logs)?.map(Arc::new), states))
    }

    fn start_nodes(&mut self, nodes: BTreeMap<NodeId, (Medium, Found)>) -> Result<(), StartError> {
        for (name, (medium, found)) in nodes {
            match found {
                Found::Open(opened) => {
                    self.slots.insert(name, Slot::new(medium));
                    self.launch(name, *opened)?;
                }
                Found::Down(why) => drop(self.slots.insert(name, Slot::down(medium, why))),
            }
        }
        Ok(())
    }

    /// A client of its own, for any thread.
    pub fn client(&self) -> Client<M> {
        self.client_maker()()
    }

    /// What makes clients while another has the cluster.
    pub(crate) fn client_maker(&self) -> impl Fn() -> Client<M> + Send + Sync + use<M> {
        let (network, nodes, clock) = (self.network.clone(), self.nodes.clone(), self.context.clock);
        let (waiting, bytes) = (self.settings.inbox_client, self.settings.inbox_client_bytes);
        let (patience, timeout) = (ClientSettings::suited_to(&self.raft.now), self.settings.client_timeout);
        move || {
            // Never from the seed: another run on the same states must not use the same name (section 8).
            let id = ClientId(entropy() >> 16);
            let (sender, inbox) = inbox(waiting, bytes);
            network.register(Address::Client(id), sender);
            let core = ClientCore::new(id, nodes.now(), patience, Random::new(entropy()));
            let client = Client::new(core, network.clone(), inbox, clock);
            client.following(nodes.clone()).with_timeout(timeout)
        }
    }

    /// The node that leads: of several that think so, the one of the newest term.
    pub fn leader(&self) -> Option<NodeId> {
        let awake = self.slots.values().filter_map(Slot::awake);
        let leaders = awake.map(|node| (node.status(), node.name()));
        let leaders = leaders.filter(|(status, _)| status.role == RoleName::Leader);
        leaders.max_by_key(|(status, _)| status.term).map(|(_, name)| name)
    }

    /// Whether a node runs, and if not, why; none if there is no such node.
    pub fn life(&self, node: NodeId) -> Option<Life> {
        self.slots.get(&node).map(Slot::life)
    }

    /// What a node knew of itself when it last made a step. One that has ended has no role: see [`Cluster::life`].
    pub fn status(&self, node: NodeId) -> Option<Status> {
        self.slots.get(&node).map(Slot::status)
    }

    /// Waits until a node leads; none when none does in time.
    pub fn wait_until_leader(&self, timeout: Duration) -> Option<NodeId> {
        self.wait_for(timeout, Cluster::leader)
    }

    /// Each change of the leader, beginning with the one that there is. It never blocks the cluster: a listener who
    /// falls behind by more than 256 changes loses the oldest. It ends with the cluster.
    ///
    /// A frozen node counts as the leader until another one leads.
    ///
    /// ```
    /// use std::thread;
    ///
    /// use raftlab::{Cluster, LeadershipKind, NodeId, StartError};
    ///
    /// let on_leader = |node: NodeId| println!("{node} leads: its duties begin");
    /// let on_follower = |node: NodeId| println!("{node} no longer leads: its duties end");
    ///
    /// let cluster = Cluster::builder().memory().start()?;
    /// let changes = cluster.leadership();
    /// let watcher = thread::spawn(move || {
    ///     for change in changes {
    ///         match change.kind {
    ///             LeadershipKind::Gained => on_leader(change.node),
    ///             LeadershipKind::Changed { before } => {
    ///                 on_follower(before);
    ///                 on_leader(change.node);
    ///             }
    ///             LeadershipKind::Lost => on_follower(change.node),
    ///             _ => {}
    ///         }
    ///     }
    /// });
    /// cluster.shutdown();
    /// watcher.join().expect("it ends with the cluster");
    /// # Ok::<(), StartError>(())
    /// ```
    pub fn leadership(&self) -> Leadership {
        self.context.leaders.listen()
    }

    /// Waits until this finds something, looking whenever anything changed; none when it has not in time.
    pub fn wait_for<T>(&self, timeout: Duration, find: impl Fn(&Cluster<M>) -> Option<T>) -> Option<T> {
        let changed = self.context.changes.listen();
        let until = Instant::now() + timeout;
        loop {
            let found = find(self);
            if found.is_some() || changed.recv_deadline(until).is_err() {
                return found;
            }
        }
    }

    /// Lets a person interrupt what is running: `is_raised` says whether one wants to, and `wake` becomes ready when one
    /// begins to.
    pub fn set_interrupt(
        &mut self,
        is_raised: impl Fn() -> bool + Send + Sync + 'static,
        wake: Receiver<()>,
    ) {
        self.waiting.heed(is_raised, wake);
        self.asker = None;
    }

    /// What went wrong with the log files since this was last asked.
    pub fn take_log_notices(&self) -> Vec<String> {
        self.logs.as_ref().map_or_else(Vec::new, |logs| logs.take_notices())
    }

    /// Ends all nodes politely, and their threads. Everything acknowledged is on disk.
    pub fn shutdown(mut self) {
        self.end();
    }
}

impl<M> Cluster<M> {
    /// What its nodes show of themselves, for those who look while another has the cluster.
    pub(crate) fn boards(&self) -> Arc<Boards> {
        Arc::clone(&self.context.boards)
    }

    /// Others write, too, from now on: what the calls of its console do not explain may be theirs.
    #[cfg(feature = "cli")]
    pub(crate) fn let_others_write(&mut self) {
        self.others_write = true;
    }

    /// The number of the cluster that its files hold.
    #[cfg(feature = "cli")]
    pub(crate) fn id(&self) -> crate::storage::ClusterId {
        self.slots.values().next().expect("a cluster has a node").medium.cluster()
    }

    /// Takes at most about a second: then the threads of disks that do not answer are left behind.
    fn end(&mut self) {
        for node in self.slots.values().filter_map(|slot| slot.node.as_ref()) {
            node.stop();
        }
        let until = Instant::now() + STOP_PATIENCE;
        self.slots.values_mut().for_each(|slot| slot.settle(until));
        self.slots.values().for_each(Slot::interrupt);
        let until = Instant::now() + STOP_PATIENCE / 2;
        self.slots.values_mut().for_each(|slot| slot.settle(until));
        if let Some(router) = self.router.take() {
            router.stop();
        }
        self.context.leaders.close();
        // A recording that runs is whole then.
        self.context.flight_recorder.end();
    }

    fn slot(&mut self, name: NodeId) -> &mut Slot {
        self.slots.get_mut(&name).expect("each node has its slot")
    }
}

impl<M> Drop for Cluster<M> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a node has never run before.
fn is_new((_, found): &(Medium, Found)) -> bool {
    matches!(found, Found::Open(opened) if opened.recovered.fresh)
}

/// A number that no other run draws.
pub(crate) fn entropy() -> u64 {
    // The keys of each `RandomState` come from the system; the time guards against a system that repeats itself.
    RandomState::new().hash_one((SystemTime::now(), std::process::id()))
}
