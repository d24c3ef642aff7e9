//! The console's view of virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::node::Node;
use super::{Pace, SEARCH_STEPS, Simulation};
use crate::check::linearizability::{self, Start};
use crate::check::property::Verdict;
use crate::client::{Ask, Ended, Pipeline};
use crate::faults::{End, NetChange};
use crate::lab::{DiskChange, Lab, LabError, Life, NodeView};
use crate::net::counts::LinkCounts;
use crate::server::{Arrival, EndReason, LogView, Server};
use crate::storage::simulated::Failure;
use crate::trace::What;
use crate::types::{ClientId, NodeId, Time};

/// The client behind a person's data directives.
const CONSOLE: ClientId = ClientId(1);

impl Simulation {
    /// Calls this before time jumps, with how long a person should wait meanwhile. Without it time runs as fast as it
    /// can, whatever the speed.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = Some(pace);
    }

    /// Asks this, between events, whether to stop what is running.
    pub fn set_interrupt(&mut self, interrupted: Box<dyn Fn() -> bool>) {
        self.interrupt = Some(interrupted);
    }

    fn paced(&mut self, until: Time) -> bool {
        let jump = self.next_event().min(until).since(self.now);
        if let (Some(speed), Some(pace)) = (self.speed, &mut self.pace)
            && !jump.is_zero()
        {
            pace(jump.div_f64(speed));
        }
        self.advance(until)
    }

    fn running(&mut self, name: NodeId) -> Result<&mut Node, LabError> {
        let node = self.existing(name)?;
        if node.is_running() { Ok(node) } else { Err(down(name)) }
    }

    fn existing(&mut self, name: NodeId) -> Result<&mut Node, LabError> {
        let last = self.nodes.len();
        self.nodes
            .get_mut(&name)
            .ok_or_else(|| LabError(format!("there is no {name}: nodes are n1 to n{last}")))
    }

    fn server(&mut self, name: NodeId) -> Result<&Server, LabError> {
        Ok(self.running(name)?.server.as_ref().expect("it runs"))
    }
}

impl Lab for Simulation {
    fn nodes(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    fn now(&self) -> Time {
        self.now
    }

    fn seed(&self) -> u64 {
        self.settings.seed
    }

    fn wait(&mut self, until: Time) {
        self.paced(until);
    }

    fn interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(|interrupted| interrupted())
    }

    fn ask(&mut self, asks: Vec<Ask>) -> Vec<Ended> {
        if !self.clients.contains_key(&CONSOLE) {
            self.add_client(CONSOLE);
        }
        self.come_after();
        let begun = self.now;
        let client = self.clients.get_mut(&CONSOLE).expect("added above");
        let calls: Vec<_> = asks.into_iter().map(|ask| client.ask(begun, ask)).collect();
        self.carry_from_client(CONSOLE);
        let mut ended = BTreeMap::new();
        while ended.len() < calls.len() {
            if self.interrupted() {
                let now = self.now;
                self.clients.get_mut(&CONSOLE).expect("added above").give_up(now);
            } else {
                self.paced(Time::NEVER);
            }
            ended.extend(self.take_ended(CONSOLE).into_iter().map(|ended| (ended.call_id, ended)));
        }
        calls.iter().map(|call| ended.remove(call).expect("each call ends once")).collect()
    }

    fn pipeline(&self) -> Result<Pipeline, LabError> {
        let text = "load needs real threads: run the script with `cluster`; 'pipe' sends many commands here";
        Err(LabError(text.to_string()))
    }

    fn disk_syncs(&self) -> Option<u64> {
        None
    }

    fn began_with(&self) -> Start {
        Start::Absent
    }

    fn patience(&self) -> Box<dyn FnMut() -> bool + '_> {
        let mut within_limit = linearizability::steps(SEARCH_STEPS);
        Box::new(move || !self.interrupted() && within_limit())
    }

    fn view(&mut self, name: NodeId) -> NodeView {
        let node = &self.nodes[&name];
        let life = match (node.is_running(), node.paused) {
            (true, false) => Life::Up,
            (true, true) => Life::Paused,
            (false, _) => {
                let why = node.down.as_ref().map_or("not started".to_string(), EndReason::to_string);
                Life::Down(why)
            }
        };
        NodeView { life, status: node.status }
    }

    fn items(&mut self, name: NodeId) -> Result<Vec<(String, String)>, LabError> {
        self.server(name)?;
        Ok(self.nodes[&name].machine().expect("a running node has its machine").items())
    }

    fn log(&mut self, name: NodeId) -> Result<LogView, LabError> {
        Ok(self.server(name)?.log_view())
    }

    fn crash(&mut self, name: NodeId, power: bool) -> Result<String, LabError> {
        let unwritten = self.running(name)?.unwritten();
        self.end(name, EndReason::Crashed { power });
        Ok(match unwritten {
            0 => "nothing was lost".to_string(),
            1 => "1 write was not on its disk yet".to_string(),
            many => format!("{many} writes were not on its disk yet"),
        })
    }

    fn restart(&mut self, name: NodeId, wipe: bool) -> Result<String, LabError> {
        if self.existing(name)?.is_running() {
            return Err(LabError(format!("{name} is already running")));
        }
        self.start(name, wipe).map_err(|error| LabError(error.to_string()))
    }

    fn stop(&mut self, name: NodeId) -> Result<String, LabError> {
        let (now, node) = (self.now, self.running(name)?);
        // A polite end waits for the disk, and for nothing else; a frozen node's disk is not frozen.
        let mut saved = Ok(());
        while saved.is_ok() && node.unwritten() > 0 {
            saved =
                node.begin_writing(now, Duration::ZERO, None).and_then(|_| node.written(None)).map(|_| ());
        }
        if let Err(error) = saved {
            self.end(name, EndReason::StorageFailed(error.to_string()));
            return Err(LabError(error.to_string()));
        }
        self.end(name, EndReason::Stopped);
        Ok("all it had is on its disk".to_string())
    }

    fn pause(&mut self, name: NodeId) -> Result<(), LabError> {
        let node = self.running(name)?;
        if node.paused {
            return Err(LabError(format!("{name} is paused already")));
        }
        node.paused = true;
        self.tell(name, What::Paused);
        Ok(())
    }

    fn resume(&mut self, name: NodeId) -> Result<String, LabError> {
        let node = self.running(name)?;
        if !node.paused {
            return Err(LabError(format!("{name} is not paused")));
        }
        node.paused = false;
        let waiting = node.inbox.iter().filter(|arrival| matches!(arrival, Arrival::Envelope(_))).count();
        self.tell(name, What::Resumed);
        self.step_node(name, Vec::new());
        let plural = if waiting == 1 { "message" } else { "messages" };
        Ok(format!("{waiting} {plural} waited in its inbox"))
    }

    fn change_network(&mut self, change: &NetChange) -> Result<String, LabError> {
        self.change(change).map_err(|error| LabError(error.to_string()))
    }

    fn network_rules(&mut self) -> Vec<NetChange> {
        self.faults.rules()
    }

    fn watch_messages(&mut self, _watch: bool) {
        // In virtual time they always are: nobody waits for it.
    }

    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)> {
        self.counts.snapshot()
    }

    fn change_disk(&mut self, name: NodeId, change: DiskChange) -> Result<(), LabError> {
        let now = self.now;
        let node = self.existing(name)?;
        match change {
            DiskChange::Slow(by) => node.slow = by,
            DiskChange::Stall(duration) => node.stalled_until = now + duration,
            DiskChange::Full(true) => node.disk.fail_always(Failure::NoSpace),
            DiskChange::Full(false) => node.disk.heal(),
        }
        Ok(())
    }

    fn skew_clock(&mut self, name: NodeId, ahead: Duration) -> Result<(), LabError> {
        self.existing(name)?.clock_ahead = ahead;
        Ok(())
    }

    fn take_snapshot(&mut self, name: NodeId) -> Result<(), LabError> {
        self.running(name)?;
        self.step_node(name, vec![Arrival::TakeSnapshot]);
        Ok(())
    }

    fn campaign(&mut self, name: NodeId) -> Result<(), LabError> {
        self.running(name)?;
        self.step_node(name, vec![Arrival::Campaign]);
        Ok(())
    }

    fn set_election_timer(&mut self, name: NodeId, after: Duration) -> Result<(), LabError> {
        self.running(name)?;
        self.step_node(name, vec![Arrival::SetElectionTimer(after)]);
        Ok(())
    }

    fn election_timeouts(&self) -> (Duration, Duration) {
        (self.settings.raft.election_min, self.settings.raft.election_max)
    }

    fn check(&mut self) -> Vec<Verdict> {
        self.safety.verdicts()
    }

    fn set_speed(&mut self, factor: f64) -> Result<(), LabError> {
        self.speed = Some(factor);
        Ok(())
    }

    fn step(&mut self, span: Option<Duration>) -> Result<(), LabError> {
        match span {
            Some(span) => {
                let until = self.now + span;
                while !self.interrupted() && self.paced(until) {}
            }
            None => {
                self.paced(Time::NEVER);
            }
        }
        Ok(())
    }
}

fn down(name: NodeId) -> LabError {
    LabError(format!("{name} is down: 'restart {name}' starts it"))
}
