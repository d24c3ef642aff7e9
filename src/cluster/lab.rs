//! The console's view of a cluster on threads.

use std::time::{Duration, Instant};

use super::Cluster;
use super::lives::Slot;
use super::states::Keep;
use crate::check::linearizability::Start;
use crate::check::property::Verdict;
use crate::client::{Ask, Ended, Pipeline};
use crate::faults::{End, NetChange};
use crate::lab::{DiskChange, Lab, LabError, Life, NodeView};
use crate::net::counts::LinkCounts;
use crate::server::{Arrival, LogView, Server, Status};
use crate::state_machine::StateMachine;
use crate::types::{NodeId, Time};

/// How long a search for an order of a history may take.
const SEARCH_TIME: Duration = Duration::from_secs(5);

impl<M: StateMachine> Lab for Cluster<M> {
    fn nodes(&self) -> Vec<NodeId> {
        self.members.clone()
    }

    fn now(&self) -> Time {
        self.surroundings.clock.now()
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn wait(&mut self, until: Time) {
        if !self.is_interrupted() {
            self.wait_until(self.surroundings.clock.instant(until));
        }
    }

    fn interrupted(&self) -> bool {
        self.is_interrupted()
    }

    fn ask(&mut self, asks: Vec<Ask>) -> Vec<Ended> {
        let asker = self.asker.take().unwrap_or_else(|| match &self.interrupt {
            Some(interrupt) => self.client().with_interrupt(interrupt.wake.clone()),
            None => self.client(),
        });
        let ended = asker.ask_all(asks);
        self.asker = Some(asker);
        ended
    }

    fn pipeline(&self) -> Result<Pipeline, LabError> {
        Ok(self.client().into_pipeline())
    }

    fn disk_syncs(&self) -> Option<u64> {
        let files = |slot: &Slot| match &slot.keep {
            Keep::Files(files) => files.faults.syncs(),
            Keep::Memory(_) => 0,
        };
        Some(self.slots.values().map(files).sum())
    }

    fn began_with(&self) -> Start {
        self.start
    }

    fn patience(&self) -> Box<dyn FnMut() -> bool + '_> {
        let begun = Instant::now();
        Box::new(move || !self.is_interrupted() && begun.elapsed() < SEARCH_TIME)
    }

    fn view(&mut self, name: NodeId) -> NodeView {
        match self.existing(name) {
            Ok(slot) => NodeView { life: slot.life(), status: slot.status() },
            Err(error) => NodeView { life: Life::Down(error.0), status: Status::default() },
        }
    }

    fn items(&mut self, name: NodeId) -> Result<Vec<(String, String)>, LabError> {
        let ended = ended_just_now(name);
        self.running(name)?.look(|machine| machine.items()).ok_or(ended)
    }

    fn log(&mut self, name: NodeId) -> Result<LogView, LabError> {
        self.inspect(name, Server::log_view)
    }

    fn crash(&mut self, name: NodeId, power: bool) -> Result<String, LabError> {
        self.crash_node(name, power)
    }

    fn restart(&mut self, name: NodeId, wipe: bool) -> Result<String, LabError> {
        self.start_again(name, wipe)
    }

    fn stop(&mut self, name: NodeId) -> Result<String, LabError> {
        self.stop_node(name)
    }

    fn pause(&mut self, name: NodeId) -> Result<(), LabError> {
        let node = self.running(name)?;
        if node.is_paused() {
            return Err(LabError(format!("{name} is paused already")));
        }
        node.pause();
        Ok(())
    }

    fn resume(&mut self, name: NodeId) -> Result<String, LabError> {
        let node = self.running(name)?;
        if !node.is_paused() {
            return Err(LabError(format!("{name} is not paused")));
        }
        let waiting = node.resume().unwrap_or_default();
        let plural = if waiting == 1 { "message" } else { "messages" };
        Ok(format!("{waiting} {plural} waited in its inbox"))
    }

    fn change_network(&mut self, change: &NetChange) -> Result<String, LabError> {
        self.network.apply(change.clone()).map_err(|error| LabError(error.to_string()))
    }

    fn network_rules(&mut self) -> Vec<NetChange> {
        self.network.rules()
    }

    fn watch_messages(&mut self, watch: bool) {
        Cluster::watch_messages(self, watch);
    }

    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)> {
        self.network.counts()
    }

    fn change_disk(&mut self, name: NodeId, change: DiskChange) -> Result<(), LabError> {
        let Keep::Files(files) = &self.existing(name)?.keep else {
            return Err(LabError(format!(
                "{name} keeps its state in memory: start the cluster without --memory"
            )));
        };
        match change {
            DiskChange::Slow(by) => files.faults.slow(by),
            DiskChange::Stall(duration) => files.faults.stall(duration),
            DiskChange::Full(full) => files.faults.fill(full),
        }
        Ok(())
    }

    fn skew_clock(&mut self, name: NodeId, ahead: Duration) -> Result<(), LabError> {
        let slot = self.existing(name)?;
        slot.clock_ahead = ahead;
        if let Some(node) = &slot.node {
            node.set_clock(ahead);
        }
        Ok(())
    }

    fn take_snapshot(&mut self, name: NodeId) -> Result<(), LabError> {
        self.awake(name)?.arrive(Arrival::TakeSnapshot);
        Ok(())
    }

    fn campaign(&mut self, name: NodeId) -> Result<(), LabError> {
        self.awake(name)?.arrive(Arrival::Campaign);
        Ok(())
    }

    fn set_election_timer(&mut self, name: NodeId, after: Duration) -> Result<(), LabError> {
        self.awake(name)?.arrive(Arrival::SetElectionTimer(after));
        Ok(())
    }

    fn election_timeouts(&self) -> (Duration, Duration) {
        (self.settings.raft.election_min, self.settings.raft.election_max)
    }

    fn check(&mut self) -> Vec<Verdict> {
        self.surroundings.safety.lock().verdicts()
    }

    fn set_speed(&mut self, _factor: f64) -> Result<(), LabError> {
        Err(only_in_virtual_time("speed"))
    }

    fn step(&mut self, _span: Option<Duration>) -> Result<(), LabError> {
        Err(only_in_virtual_time("step"))
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
    LabError(format!("{name} has just ended: 'status' says why"))
}

fn only_in_virtual_time(verb: &str) -> LabError {
    LabError(format!(
        "'{verb}' needs virtual time: run the script with `simulate`, or start with --time-scale"
    ))
}
