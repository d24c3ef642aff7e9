//! A cluster before its first node: the router, the checks, what its nodes will share.

use std::sync::Arc;

use parking_lot::Mutex;

use super::builder::Machine;
use super::{Cluster, Observer, StartError, entropy};
use crate::check::linearizability::Start;
use crate::check::safety::Safety;
use crate::client::SharedNodes;
use crate::clock::Clock;
use crate::config::Settings;
use crate::lab::LabSettings;
use crate::lab::waiting::Waiting;
use crate::net::router::{Router, RouterSettings};
use crate::node::{Changes, Context, Leaders, Reporter};
use crate::recording::FlightRecorder;
use crate::state_machine::StateMachine;
use crate::trace::NodeLogs;
use crate::types::{NodeId, Random};
use std::collections::BTreeMap;

/// What a cluster begins with.
pub(super) struct Origin {
    /// Scaled already.
    pub settings: Settings,
    pub time_scale: f64,
    pub founders: Vec<NodeId>,
    pub home: Option<NodeId>,
}

impl<M: StateMachine> Cluster<M> {
    /// Starts all but the nodes.
    pub(super) fn begin(
        origin: Origin,
        logs: Option<Arc<NodeLogs>>,
        observer: Option<Observer>,
        machine: Machine<M>,
    ) -> Result<Cluster<M>, StartError> {
        let Origin { settings, time_scale, founders, home } = origin;
        if let Some(logs) = &logs {
            logs.begin_run();
        }
        let clock = Clock::start();
        let seed = settings.seed.unwrap_or_else(entropy);
        let mut random = Random::new(seed);
        let router_settings = RouterSettings {
            inbox_max: settings.inbox_router,
            inbox_bytes_max: settings.inbox_router_bytes,
            held_back_bytes_max: settings.inbox_router_bytes,
            express: settings.express,
            home,
            ..RouterSettings::default()
        };
        let router = Router::start(&founders, &router_settings, clock, random.fork());
        let router = router.map_err(StartError::Thread)?;
        let changes = Arc::new(Changes::default());
        let ring_bytes = settings.recorder_bytes;
        let safety = if home.is_some() { Safety::of_one_node() } else { Safety::default() };
        let cluster = Cluster {
            raft: LabSettings::new(settings.raft.clone()),
            settings,
            time_scale,
            seed,
            start: Start::Unknown,
            nodes: SharedNodes::new(founders),
            notices: Vec::new(),
            home,
            slots: BTreeMap::new(),
            network: router.handle(),
            router: Some(router),
            context: Context {
                clock,
                safety: Arc::new(Mutex::new(safety)),
                recorder: None,
                flight_recorder: FlightRecorder::new(
                    clock,
                    ring_bytes,
                    logs.as_ref().map(|logs| logs.folder().join("flight")),
                ),
                reporter: Reporter::new(observer, logs.clone()),
                changes: Arc::clone(&changes),
                leaders: Arc::new(Leaders::new(clock)),
                boards: Arc::default(),
                removing: Arc::default(),
            },
            logs,
            machine,
            random,
            waiting: Waiting::new(changes.listen()),
            past_syncs: 0,
            asker: None,
            others_write: false,
        };
        cluster.watch_messages(false);
        Ok(cluster)
    }
}
