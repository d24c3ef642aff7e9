//! How a program describes the cluster that it wants, setting by setting.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use derive_more::Debug;

use super::{Apart, Cluster, Observer, StartError};
use crate::config::Settings;
use crate::state_machine::StateMachine;
use crate::state_machine::kv::KeyValue;
use crate::trace::TraceEvent;
use crate::types::NodeId;

/// Makes the state machine that each start of a node begins with.
pub(super) type Machine<M> = Box<dyn Fn() -> M + Send + Sync>;

/// Makes the same, once the settings are known.
type MachineOf<M> = Box<dyn FnOnce(&Settings) -> Machine<M>>;

/// A cluster that is not started yet. See [`Cluster::builder`].
///
/// By default it is three nodes that keep their state in `states`, as [`Settings::default`] has it, and write no
/// log files.
#[must_use = "nothing runs before `start`"]
#[derive(Debug)]
#[debug("Builder({settings:?}, logs {logs:?})")]
pub struct Builder<M = KeyValue> {
    settings: Settings,
    logs: Option<PathBuf>,
    log_filter: Option<String>,
    observer: Option<Observer>,
    record: Option<PathBuf>,
    machine: MachineOf<M>,
}

impl Builder {
    /// A cluster of key-value stores, until [`Builder::machine`] says otherwise.
    pub(super) fn new() -> Builder {
        let machine = |settings: &Settings| -> Machine<KeyValue> {
            let value_bytes_max = settings.value_bytes_max;
            Box::new(move || KeyValue::with_value_bytes_max(value_bytes_max))
        };
        Builder {
            settings: Settings::default(),
            logs: None,
            log_filter: None,
            observer: None,
            record: None,
            machine: Box::new(machine),
        }
    }
}

impl<M: StateMachine> Builder<M> {
    /// All settings at once, the folder for log files included. Later calls override them.
    pub fn settings(self, settings: Settings) -> Builder<M> {
        Builder { logs: Some(settings.logs.clone()), settings, ..self }
    }

    /// How many nodes: 1 to 99.
    pub fn nodes(self, nodes: u8) -> Builder<M> {
        self.with(|settings| settings.nodes = nodes)
    }

    /// The node that leads whenever it can. It counts for a new cluster: in files of an earlier run it stands already, and
    /// [`Cluster::prefer`] changes it there.
    pub fn preferred(self, node: NodeId) -> Builder<M> {
        self.with(|settings| settings.preferred = Some(node))
    }

    /// Keeps nothing on disk.
    pub fn memory(self) -> Builder<M> {
        self.with(|settings| settings.memory = true)
    }

    /// The seed of election timeouts and faults of the network.
    pub fn seed(self, seed: u64) -> Builder<M> {
        self.with(|settings| settings.seed = Some(seed))
    }

    /// Keeps the nodes' state in this folder.
    pub fn states(self, folder: impl Into<PathBuf>) -> Builder<M> {
        self.with(|settings| (settings.memory, settings.states) = (false, folder.into()))
    }

    /// Writes log files to this folder, one a node. See [`Builder::log_filter`].
    pub fn logs(self, folder: impl Into<PathBuf>) -> Builder<M> {
        Builder { logs: Some(folder.into()), ..self }
    }

    /// Records each step of each node in this new folder, from the first on: `replay DIR` makes them again.
    pub fn record(self, folder: impl Into<PathBuf>) -> Builder<M> {
        Builder { record: Some(folder.into()), ..self }
    }

    /// Chooses what goes to the log files, in the words of `RUST_LOG`: `debug`, or `info,raftlab::n2=trace`. Without it
    /// they hold `info` and above.
    ///
    /// The events also go to the program's logger, if it has set one for the `log` crate: as records with the target
    /// `raftlab::n1` for n1, which that logger filters by itself.
    pub fn log_filter(self, filter: impl Into<String>) -> Builder<M> {
        Builder { log_filter: Some(filter.into()), ..self }
    }

    /// How often a leader speaks to each follower.
    pub fn heartbeat(self, heartbeat: Duration) -> Builder<M> {
        self.with(|settings| settings.raft.heartbeat = heartbeat)
    }

    /// The shortest and the longest election timeout (5.2).
    pub fn election(self, timeouts: RangeInclusive<Duration>) -> Builder<M> {
        let (min, max) = timeouts.into_inner();
        self.with(|settings| (settings.raft.election_min, settings.raft.election_max) = (min, max))
    }

    /// Lets messages on links without a rule bypass the router's thread: faster, with more threads sending at once.
    pub fn express(self) -> Builder<M> {
        self.with(|settings| settings.express = true)
    }

    /// How long a client tries before it gives up.
    pub fn client_timeout(self, timeout: Duration) -> Builder<M> {
        self.with(|settings| settings.client_timeout = timeout)
    }

    /// The most bytes in a value of the key-value store. Another state machine has limits of its own.
    pub fn value_bytes_max(self, most: usize) -> Builder<M> {
        self.with(|settings| settings.value_bytes_max = most)
    }

    /// Is called for each event, on the thread in which it happens: it must be quick.
    pub fn observer(self, observer: impl Fn(&TraceEvent) + Send + Sync + 'static) -> Builder<M> {
        Builder { observer: Some(Arc::new(observer)), ..self }
    }

    /// Replicates this state machine: each start of a node begins with what `machine` returns and replays the log into it.
    pub fn machine<N: StateMachine>(self, machine: impl Fn() -> N + Send + Sync + 'static) -> Builder<N> {
        let Builder { settings, logs, log_filter, observer, record, machine: _ } = self;
        Builder { settings, logs, log_filter, observer, record, machine: Box::new(|_| Box::new(machine)) }
    }

    /// Starts it, from what the states folder holds.
    ///
    /// # Errors
    /// One line: which setting breaks a rule, or what the system refuses.
    pub fn start(self) -> Result<Cluster<M>, StartError> {
        let machine = (self.machine)(&self.settings);
        let logs = self.logs.as_deref().map(|folder| (folder, self.log_filter.as_deref()));
        Cluster::open(&self.settings, logs, self.observer, self.record.as_deref(), machine)
    }

    /// Starts one node of it, whose peers run in processes of their own, from the files that it has. Also says what they
    /// held.
    ///
    /// # Errors
    /// As [`Builder::start`], and [`StartError::NoFiles`].
    pub fn start_apart(self, apart: &Apart) -> Result<(Cluster<M>, String), StartError> {
        let machine = (self.machine)(&self.settings);
        let logs = self.logs.as_deref().map(|folder| (folder, self.log_filter.as_deref()));
        Cluster::open_apart(&self.settings, logs, self.observer, machine, apart)
    }

    /// Starts it with this state machine. See [`Builder::machine`].
    ///
    /// # Errors
    /// One line: which setting breaks a rule, or what the system refuses.
    pub fn start_with<N: StateMachine>(
        self,
        machine: impl Fn() -> N + Send + Sync + 'static,
    ) -> Result<Cluster<N>, StartError> {
        self.machine(machine).start()
    }

    /// Calls this for each event, too.
    pub(crate) fn also_observed(self, also: impl Fn(&TraceEvent) + Send + Sync + 'static) -> Builder<M> {
        let before = self.observer.clone();
        self.observer(move |event| {
            if let Some(before) = &before {
                before(event);
            }
            also(event);
        })
    }

    pub(super) fn observed_by(self, observer: Option<Observer>) -> Builder<M> {
        Builder { observer, ..self }
    }

    /// Any other setting: `.with(|settings| settings.raft.sessions_max = 100)`.
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Builder<M> {
        change(&mut self.settings);
        self
    }
}
