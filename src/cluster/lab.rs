//! The console's view of a cluster on threads.

use std::path::{Path, PathBuf};

use super::Cluster;
use super::lives::Slot;
use super::states::Medium;
use crate::check::linearizability::Start;
use crate::check::property::Verdict;
use crate::client::{Ask, Client, Ended, Pipeline};
use crate::config::RaftSettings;
use crate::faults::{End, NetChange};
use crate::lab::{Lab, LabError, LabKind, LabSettings, Life, NodeOrder, NodeView, Recorded, waited};
use crate::net::counts::LinkCounts;
use crate::node::Node;
use crate::server::{Arrival, EntryView, LogView, MembersView, RoleName, Server, Status, WhichEntry};
use crate::state_machine::StateMachine;
use crate::storage::glimpse::Glimpse;
use crate::trace::EventFilter;
use crate::types::{Member, NodeId, Time};

impl<M: StateMachine> Lab for Cluster<M> {
    fn nodes(&self) -> Vec<NodeId> {
        Cluster::nodes(self)
    }

    fn add_node(&mut self, name: NodeId) -> Result<Member, LabError> {
        self.add_on_new_files(name)
    }

    fn has_old_files(&mut self, name: NodeId) -> bool {
        self.has_files_of_the_past(name)
    }

    fn remove_node(&mut self, name: NodeId) -> Result<(), LabError> {
        self.forget(name)
    }

    fn now(&self) -> Time {
        self.context.clock.now()
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn wait(&mut self, until: Time) {
        self.waiting.wait(self.context.clock.instant(until));
    }

    fn interrupted(&self) -> bool {
        self.waiting.is_interrupted()
    }

    fn ask(&mut self, asks: Vec<Ask>) -> Vec<Ended> {
        self.asker().ask_in_session(asks)
    }

    fn open_session(&mut self) -> bool {
        self.asker().open_session()
    }

    fn pipeline(&self) -> Result<Pipeline, LabError> {
        Ok(self.client().into_pipeline())
    }

    fn has_disks(&self) -> bool {
        self.slots.values().all(|slot| matches!(slot.medium, Medium::Files(_)))
    }

    fn disk_syncs(&self) -> Option<u64> {
        Some(self.past_syncs + self.slots.values().map(Slot::syncs).sum::<u64>())
    }

    fn others_write(&self) -> bool {
        self.others_write
    }

    fn began_with(&self) -> Start {
        self.start
    }

    fn patience(&self) -> Box<dyn FnMut() -> bool + '_> {
        self.waiting.patience()
    }

    fn view(&mut self, name: NodeId) -> NodeView {
        match self.existing(name) {
            Ok(slot) => {
                NodeView { life: slot.life(), status: slot.status(), disk_blocked: slot.is_disk_blocked() }
            }
            Err(error) => NodeView {
                life: Life::Down(error.to_string()),
                status: Status::default(),
                disk_blocked: false,
            },
        }
    }

    fn items(&mut self, name: NodeId) -> Result<Vec<(String, String)>, LabError> {
        let ended = ended_just_now(name);
        self.running(name)?.look(|machine| machine.items()).ok_or(ended)
    }

    fn log(&mut self, name: NodeId) -> Result<LogView, LabError> {
        self.inspect(name, Server::log_view)
    }

    fn entry(&mut self, name: NodeId, which: WhichEntry) -> Result<Option<EntryView>, LabError> {
        self.inspect(name, move |server| server.entry_view(which))
    }

    fn members_view(&mut self, name: NodeId) -> Result<MembersView, LabError> {
        self.inspect(name, Server::members_view)
    }

    fn stored(&mut self, name: NodeId, entries: usize) -> Result<Glimpse, LabError> {
        self.existing(name)?.stored(entries).map_err(|error| LabError::new(error.to_string()))
    }

    fn order(&mut self, name: NodeId, order: NodeOrder) -> Result<String, LabError> {
        let slot = self.existing(name)?;
        order.check(name, &slot.life(), slot.status().member)?;
        match order {
            NodeOrder::Crash | NodeOrder::PowerCut => {
                return self.crash_node(name, order == NodeOrder::PowerCut);
            }
            NodeOrder::Stop => return self.stop_node(name),
            NodeOrder::Restart | NodeOrder::Wipe => return self.start_again(name, order == NodeOrder::Wipe),
            NodeOrder::Pause => self.running(name)?.pause(),
            NodeOrder::Resume => return Ok(waited(self.running(name)?.resume().unwrap_or_default())),
            NodeOrder::Kill | NodeOrder::Freeze => return Err(LabError::no_process(name, &order)),
            NodeOrder::TakeSnapshot => self.running(name)?.arrive(Arrival::TakeSnapshot),
            NodeOrder::Campaign => self.running(name)?.arrive(Arrival::Campaign),
            NodeOrder::Transfer(target) => self.running(name)?.arrive(Arrival::Transfer(target)),
            NodeOrder::Change(request) => self.running(name)?.arrive(Arrival::Change(request)),
            NodeOrder::SetElectionTimer(after) => {
                self.running(name)?.arrive(Arrival::SetElectionTimer(after));
            }
            NodeOrder::SkewClock(ahead) => self.existing(name)?.skew_clock(ahead),
            NodeOrder::Disk(change) => return self.existing(name)?.change_disk(name, change),
        }
        Ok(String::new())
    }

    fn transfer_failure(&mut self, name: NodeId) -> Option<String> {
        self.inspect(name, |server| server.raft().transfer_failure().map(ToString::to_string)).ok().flatten()
    }

    fn change_network(&mut self, change: &NetChange) -> Result<String, LabError> {
        let changed = self.network.apply(change.clone()).map_err(|error| LabError::new(error.to_string()));
        self.note_rules();
        changed
    }

    fn record(&mut self, folder: &Path, bytes_max: u64) -> Result<(), LabError> {
        let source = self.kind().to_string();
        self.context.flight_recorder.begin(folder, &source, bytes_max).map_err(LabError::new)
    }

    fn records_to(&self) -> Option<PathBuf> {
        self.context.flight_recorder.folder()
    }

    fn end_recording(&mut self) -> Result<Recorded, LabError> {
        self.context.flight_recorder.end().ok_or_else(|| LabError::new("no recording runs".to_string()))
    }

    fn network_rules(&mut self) -> Vec<NetChange> {
        self.network.rules()
    }

    fn watch_events(&mut self, filter: EventFilter) {
        self.watch_messages(filter.shows_network());
    }

    fn kind(&self) -> LabKind {
        LabKind::Threads
    }

    fn follow_steps(&mut self, follow: bool) {
        self.context.reporter.follow_steps(follow);
        self.observe_network();
    }

    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)> {
        self.network.counts()
    }

    fn settings(&self) -> &LabSettings {
        &self.raft
    }

    /// The leader is the first: it speaks by shorter timeouts before a follower counts by them.
    fn configure(&mut self, settings: RaftSettings) -> Result<(), LabError> {
        self.raft.change(settings)?;
        let mut nodes: Vec<&Node> = self.slots.values().filter_map(|slot| slot.node.as_ref()).collect();
        nodes.sort_by_key(|node| node.status().role != RoleName::Leader);
        for node in nodes {
            node.arrive(Arrival::Configure(Box::new(self.raft.now.clone())));
        }
        Ok(())
    }

    fn set_speed(&mut self, _factor: f64) -> Result<(), LabError> {
        let scale = self.time_scale;
        let is_scaled = (scale - 1.0).abs() > f64::EPSILON;
        let started =
            if is_scaled { format!(" (time_scale {scale} counts from the start)") } else { String::new() };
        let what =
            format!("'speed' needs virtual time, which `simulate` has; threads run by the clock{started}");
        Err(LabError::new(what).advising("'set election' and 'set heartbeat' change their timeouts"))
    }

    fn check(&mut self) -> Vec<Verdict> {
        self.context.safety.lock().verdicts()
    }
}

impl<M: StateMachine> Cluster<M> {
    /// The client behind a person's data directives.
    fn asker(&mut self) -> Client<M> {
        let asker = self.asker.take().unwrap_or_else(|| self.waiting.heeded_by(self.client()));
        self.asker = Some(asker.clone());
        asker
    }
}

impl<M> Cluster<M> {
    fn inspect<T: Send + 'static>(
        &mut self,
        name: NodeId,
        look: impl FnOnce(&Server) -> T + Send + 'static,
    ) -> Result<T, LabError> {
        let ended = ended_just_now(name);
        self.running(name)?.inspect(look).ok_or(ended)
    }
}

fn ended_just_now(name: NodeId) -> LabError {
    LabError::new(format!("{name} has just ended")).advising("'status' says why")
}
