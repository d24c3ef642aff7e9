//! The console's view of virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::lives::Begin;
use super::node::Node;
use super::{Happening, Pace, SEARCH_STEPS, Simulation};
use crate::check::linearizability::{self, Start};
use crate::check::property::Verdict;
use crate::client::blocking::TIMEOUT;
use crate::client::{Ask, Ended, session_patience};
use crate::config::RaftSettings;
use crate::faults::{End, NetChange};
use crate::lab::virtual_time::VirtualTime;
use crate::lab::{
    DiskChange, Lab, LabError, LabKind, LabSettings, Life, NodeOrder, NodeView, left_by_crash, waited,
};
use crate::net::counts::LinkCounts;
use crate::server::{Arrival, EndReason, EntryView, LogView, MembersView, Server, Status, WhichEntry};
use crate::storage::glimpse::{self, Glimpse};
use crate::trace::What;
use crate::types::{ClientId, Member, NodeId, Time};

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

    pub(super) fn paced(&mut self, until: Time) -> bool {
        let until = self.until_stop(until);
        let jump = self.next_event().min(until).since(self.now);
        if self.again.is_none()
            && let (Some(speed), Some(pace)) = (self.speed, &mut self.pace)
            && !jump.is_zero()
        {
            pace(jump.div_f64(speed));
        }
        self.advance(until)
    }

    /// A disk that no longer stalls completes at once what it was given.
    fn let_disk_answer(&mut self, name: NodeId) {
        let node = self.node(name);
        let (stalled, writing, life) = (node.stalled_until, node.is_writing(), node.life);
        if writing && stalled <= self.now {
            self.schedule(Duration::ZERO, Happening::Written { node: name, life });
        }
    }

    /// Lets time pass until the console's client has the session that these calls need. Whether it has.
    fn open_session_for(&mut self, asks: &[Ask]) -> bool {
        let client = self.clients.get_mut(&CONSOLE).expect("added before");
        let Some(patience) = session_patience(asks, TIMEOUT).filter(|_| !client.has_session()) else {
            return true;
        };
        client.open_session(self.now, asks[0].at, patience);
        self.carry_from_client(CONSOLE);
        while self.clients[&CONSOLE].is_opening() {
            if self.interrupted() {
                return false;
            }
            self.paced(Time::NEVER);
        }
        self.clients[&CONSOLE].has_session()
    }

    fn existing(&mut self, name: NodeId) -> Result<&mut Node, LabError> {
        if !self.nodes.contains_key(&name) {
            return Err(LabError::unknown(name, &self.nodes()));
        }
        Ok(self.node(name))
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

    fn add_node(&mut self, name: NodeId) -> Result<Member, LabError> {
        self.happened.note(self.now);
        self.add(name)
    }

    fn has_old_files(&mut self, name: NodeId) -> bool {
        let node = self.nodes.get(&name).or(self.removed.get(&name));
        node.is_some_and(|node| !node.is_running() && node.has_files())
    }

    fn remove_node(&mut self, name: NodeId) -> Result<(), LabError> {
        self.happened.note(self.now);
        self.forget(name)
    }

    fn now(&self) -> Time {
        self.now
    }

    fn seed(&self) -> u64 {
        self.settings.seed
    }

    fn kind(&self) -> LabKind {
        if self.following.is_some() { LabKind::Record } else { LabKind::Simulator }
    }

    fn follow_steps(&mut self, follow: bool) {
        self.follows = follow;
        for name in Lab::nodes(self) {
            self.tell_state(name);
        }
    }

    fn wait(&mut self, until: Time) {
        self.paced(until);
    }

    fn interrupted(&self) -> bool {
        self.is_stopped() || self.interrupt.as_ref().is_some_and(|interrupted| interrupted())
    }

    fn ask(&mut self, mut asks: Vec<Ask>) -> Vec<Ended> {
        if !self.clients.contains_key(&CONSOLE) {
            self.add_client(CONSOLE);
        }
        self.come_after();
        self.happened.note(self.now);
        let begun = self.now;
        if !self.open_session_for(&asks) {
            // They had their time.
            for ask in &mut asks {
                ask.timeout = Duration::ZERO;
            }
        }
        let now = self.now;
        let client = self.clients.get_mut(&CONSOLE).expect("added above");
        let calls: Vec<_> = asks.into_iter().map(|ask| client.ask(now, ask)).collect();
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
        let mut end = |call| ended.remove(call).expect("each call ends once").counted_from(begun);
        calls.iter().map(&mut end).collect()
    }

    fn began_with(&self) -> Start {
        if self.following.is_some() || self.forked.is_some() { Start::Unknown } else { Start::Absent }
    }

    fn patience(&self) -> Box<dyn FnMut() -> bool + '_> {
        let mut within_limit = linearizability::steps(SEARCH_STEPS);
        Box::new(move || !self.interrupted() && within_limit())
    }

    fn view(&mut self, name: NodeId) -> NodeView {
        let now = self.now;
        match self.existing(name) {
            Ok(node) => {
                NodeView { life: node.life(), status: node.status, disk_blocked: node.is_disk_blocked(now) }
            }
            Err(error) => NodeView {
                life: Life::Down(error.to_string()),
                status: Status::default(),
                disk_blocked: false,
            },
        }
    }

    fn items(&mut self, name: NodeId) -> Result<Vec<(String, String)>, LabError> {
        self.server(name)?;
        Ok(self.nodes[&name].machine().expect("a running node has its machine").items())
    }

    fn log(&mut self, name: NodeId) -> Result<LogView, LabError> {
        Ok(self.server(name)?.log_view())
    }

    fn entry(&mut self, name: NodeId, which: WhichEntry) -> Result<Option<EntryView>, LabError> {
        Ok(self.server(name)?.entry_view(which))
    }

    fn members_view(&mut self, name: NodeId) -> Result<MembersView, LabError> {
        Ok(self.server(name)?.members_view())
    }

    fn stored(&mut self, name: NodeId, entries: usize) -> Result<Glimpse, LabError> {
        let seen = glimpse::look(&self.existing(name)?.disk, entries);
        seen.map(Option::unwrap_or_default).map_err(|error| LabError::new(error.to_string()))
    }

    fn order(&mut self, name: NodeId, order: NodeOrder) -> Result<String, LabError> {
        let now = self.now;
        let node = self.existing(name)?;
        order.check(name, &node.life(), node.status.member)?;
        if matches!(order, NodeOrder::Disk(_)) && self.settings.disk_delay.is_zero() {
            return Err(LabError::new(format!(
                "the disk of {name} takes no time, as in memory: it has no faults"
            )));
        }
        self.happened.note(now);
        let node = self.node(name);
        match order {
            NodeOrder::Crash | NodeOrder::PowerCut => {
                self.end(name, EndReason::Crashed { power: order == NodeOrder::PowerCut });
                let known = self.node(name).status;
                return self.stored(name, 1).map(|stored| left_by_crash(&known, &stored));
            }
            NodeOrder::Stop => return self.stop(name),
            NodeOrder::Restart | NodeOrder::Wipe => {
                let begin = if order == NodeOrder::Wipe { Begin::Wiped } else { Begin::Again };
                let started = self.start(name, begin);
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
            NodeOrder::Kill | NodeOrder::Freeze => return Err(LabError::no_process(name, &order)),
            NodeOrder::TakeSnapshot => self.step_node(name, vec![Arrival::TakeSnapshot]),
            NodeOrder::Campaign => self.step_node(name, vec![Arrival::Campaign]),
            NodeOrder::Transfer(target) => self.step_node(name, vec![Arrival::Transfer(target)]),
            NodeOrder::Change(request) => self.step_node(name, vec![Arrival::Change(request)]),
            NodeOrder::SetElectionTimer(after) => {
                self.step_node(name, vec![Arrival::SetElectionTimer(after)]);
            }
            NodeOrder::SkewClock(ahead) => node.clock_ahead = ahead,
            NodeOrder::Disk(DiskChange::Slow(by)) => node.slow = by,
            NodeOrder::Disk(DiskChange::Stall(duration)) => {
                node.stalled_until = now + duration;
                self.let_disk_answer(name);
            }
            NodeOrder::Disk(DiskChange::Full(full)) => node.fill_disk(full),
            NodeOrder::Disk(DiskChange::Mend) => {
                let faults = node.mend_disk(now);
                self.let_disk_answer(name);
                return Ok(faults);
            }
        }
        Ok(String::new())
    }

    fn transfer_failure(&mut self, name: NodeId) -> Option<String> {
        self.server(name).ok()?.raft().transfer_failure().map(ToString::to_string)
    }

    fn change_network(&mut self, change: &NetChange) -> Result<String, LabError> {
        self.happened.note(self.now);
        self.change(change).map_err(|error| LabError::new(error.to_string()))
    }

    fn network_rules(&mut self) -> Vec<NetChange> {
        self.faults.rules()
    }

    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)> {
        self.counts.snapshot(self.faults.ends())
    }

    fn settings(&self) -> &LabSettings {
        &self.raft
    }

    fn configure(&mut self, settings: RaftSettings) -> Result<(), LabError> {
        self.raft.change(settings)?;
        self.happened.note(self.now);
        for name in self.nodes() {
            let settings = Box::new(self.raft.now.clone());
            let node = self.node(name);
            if node.is_running() {
                // A frozen node, too, takes it in before what waits for it.
                let is_other = |arrival: &Arrival| !matches!(arrival, Arrival::Configure(_));
                let at = node.inbox.iter().position(is_other).unwrap_or(node.inbox.len());
                node.inbox.insert(at, Arrival::Configure(settings));
                self.step_node(name, Vec::new());
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Vec<Verdict> {
        self.safety.verdicts()
    }

    fn recorded_until(&self) -> Option<Time> {
        Some(self.following.as_ref()?.recording.end())
    }

    fn has_clock(&self) -> bool {
        self.pace.is_some() && self.speed.is_some_and(f64::is_finite)
    }

    fn set_speed(&mut self, factor: f64) -> Result<(), LabError> {
        self.speed = Some(factor);
        Ok(())
    }

    fn pass_to(&mut self, until: Time) -> Result<(), LabError> {
        while !self.interrupted() && self.advance(until) {}
        Ok(())
    }

    fn virtual_time(&mut self) -> Option<&mut dyn VirtualTime> {
        Some(self)
    }
}
