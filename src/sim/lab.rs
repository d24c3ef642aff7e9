//! The console's view of virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::node::Node;
use super::{Pace, SEARCH_STEPS, Simulation};
use crate::check::linearizability::{self, Start};
use crate::check::property::Verdict;
use crate::client::{Ask, Ended};
use crate::config::RaftSettings;
use crate::faults::{End, NetChange};
use crate::lab::{DiskChange, Lab, LabError, LabSettings, Life, NodeOrder, NodeView, waited};
use crate::net::counts::LinkCounts;
use crate::server::{Arrival, EndReason, LogView, Server, Status};
use crate::storage::simulated::Failure;
use crate::trace::What;
use crate::types::{ClientId, NodeId, Time};

/// The client behind a person's data directives.
const CONSOLE: ClientId = ClientId(1);

impl Simulation {
    /// Calls this before time jumps, with how long a person should wait. Without it time runs as fast as it can, at any
    /// speed setting.
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

    fn existing(&mut self, name: NodeId) -> Result<&mut Node, LabError> {
        let count = self.nodes.len();
        self.nodes.get_mut(&name).ok_or_else(|| LabError::unknown(name, count))
    }

    fn server(&mut self, name: NodeId) -> Result<&Server, LabError> {
        self.existing(name)?.server.as_ref().ok_or_else(|| LabError::down(name))
    }

    /// Ends a node once its disk has all writes. The disk of a frozen node works, too.
    fn stop(&mut self, name: NodeId) -> Result<String, LabError> {
        let (now, node) = (self.now, self.node(name));
        let mut saved = Ok(());
        while saved.is_ok() && node.unwritten() > 0 {
            let written = node.begin_writing(now, Duration::ZERO, None).and_then(|_| node.written(None));
            saved = written.map(|_| ());
        }
        if let Err(error) = saved {
            self.end(name, EndReason::StorageFailed(error.to_string()));
            return Err(LabError::new(error.to_string()));
        }
        self.end(name, EndReason::Stopped);
        Ok("all it had is on its disk".to_string())
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

    fn began_with(&self) -> Start {
        Start::Absent
    }

    fn patience(&self) -> Box<dyn FnMut() -> bool + '_> {
        let mut within_limit = linearizability::steps(SEARCH_STEPS);
        Box::new(move || !self.interrupted() && within_limit())
    }

    fn view(&mut self, name: NodeId) -> NodeView {
        match self.existing(name) {
            Ok(node) => NodeView { life: node.life(), status: node.status },
            Err(error) => NodeView { life: Life::Down(error.to_string()), status: Status::default() },
        }
    }

    fn items(&mut self, name: NodeId) -> Result<Vec<(String, String)>, LabError> {
        self.server(name)?;
        Ok(self.nodes[&name].machine().expect("a running node has its machine").items())
    }

    fn log(&mut self, name: NodeId) -> Result<LogView, LabError> {
        Ok(self.server(name)?.log_view())
    }

    fn order(&mut self, name: NodeId, order: NodeOrder) -> Result<String, LabError> {
        let now = self.now;
        let node = self.existing(name)?;
        order.check(name, &node.life())?;
        match order {
            NodeOrder::Crash | NodeOrder::PowerCut => {
                let unwritten = node.unwritten();
                self.end(name, EndReason::Crashed { power: order == NodeOrder::PowerCut });
                return Ok(match unwritten {
                    0 => "nothing was lost".to_string(),
                    1 => "1 write was not on its disk yet".to_string(),
                    many => format!("{many} writes were not on its disk yet"),
                });
            }
            NodeOrder::Stop => return self.stop(name),
            NodeOrder::Restart | NodeOrder::Wipe => {
                let started = self.start(name, order == NodeOrder::Wipe);
                return started.map_err(|error| LabError::new(error.to_string()));
            }
            NodeOrder::Pause => {
                node.paused = true;
                self.tell(name, What::Paused);
            }
            NodeOrder::Resume => {
                node.paused = false;
                let messages = node.inbox.iter().filter(|arrival| matches!(arrival, Arrival::Envelope(_)));
                let waited = waited(messages.count());
                self.tell(name, What::Resumed);
                self.step_node(name, Vec::new());
                return Ok(waited);
            }
            NodeOrder::TakeSnapshot => self.step_node(name, vec![Arrival::TakeSnapshot]),
            NodeOrder::Campaign => self.step_node(name, vec![Arrival::Campaign]),
            NodeOrder::SetElectionTimer(after) => {
                self.step_node(name, vec![Arrival::SetElectionTimer(after)]);
            }
            NodeOrder::SkewClock(ahead) => node.clock_ahead = ahead,
            NodeOrder::Disk(DiskChange::Slow(by)) => node.slow = by,
            NodeOrder::Disk(DiskChange::Stall(duration)) => node.stalled_until = now + duration,
            NodeOrder::Disk(DiskChange::Full(true)) => node.disk.fail_always(Failure::NoSpace),
            NodeOrder::Disk(DiskChange::Full(false)) => node.disk.heal(),
        }
        Ok(String::new())
    }

    fn change_network(&mut self, change: &NetChange) -> Result<String, LabError> {
        self.change(change).map_err(|error| LabError::new(error.to_string()))
    }

    fn network_rules(&mut self) -> Vec<NetChange> {
        self.faults.rules()
    }

    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)> {
        self.counts.snapshot()
    }

    fn settings(&self) -> &LabSettings {
        &self.raft
    }

    fn configure(&mut self, settings: RaftSettings) -> Result<(), LabError> {
        self.raft.change(settings)?;
        for name in self.nodes() {
            self.arrive_at(name, Arrival::Configure(Box::new(self.raft.now.clone())));
        }
        Ok(())
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
