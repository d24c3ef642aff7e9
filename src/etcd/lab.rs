//! An etcd as what a console drives: who leads, and faults of the members that this program has started.
//!
//! An etcd shows its answers and little else, so most of what a raftlab cluster can be asked is refused here.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::EtcdCaller;
use super::gateway::{Failure, Gateway};
use super::members::Members;
use super::requests::Number;
use super::watch::{Seen, Watch};
use crate::check::linearizability::Start;
use crate::check::property::Verdict;
use crate::client::{Ask, Ended, Outcome, Rejection};
use crate::clock::Clock;
use crate::cluster::Leadership;
use crate::config::RaftSettings;
use crate::faults::{End, NetChange};
use crate::interrupt::Interrupt;
use crate::lab::waiting::Waiting;
use crate::lab::{Lab, LabError, LabKind, LabSettings, Life, NodeOrder, NodeView};
use crate::net::counts::LinkCounts;
use crate::raft::membership::MemberRole;
use crate::server::{EntryView, LogView, MembersView, RoleName, Status, WhichEntry};
use crate::storage::glimpse::Glimpse;
use crate::supervisor::Program;
use crate::text::counted;
use crate::types::{EntryId, Member, NodeId, Time};

/// How often members are started, if one cannot take a port that was free a moment before.
const STARTS: u32 = 3;

/// How long a member may take over a request of this program's own.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where an etcd is.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// It runs, and its members listen there.
    At(&'a [String]),
    /// This many members are to be started, with their files in this folder.
    New(u8, &'a Path, &'a Program),
}

/// An etcd. Dropping it ends what it has started.
#[derive(Debug)]
pub struct EtcdLab {
    clock: Clock,
    addresses: Arc<[String]>,
    watch: Watch,
    members: Option<Members>,
    waiting: Waiting,
    settings: LabSettings,
    seed: u64,
    gateway: Gateway,
}

impl EtcdLab {
    /// Connects to an etcd, or starts one and waits for its first leader, but not for longer than this.
    ///
    /// # Errors
    /// One line: no etcd can be started, one of its members has ended, none leads in time, or a person interrupts.
    pub fn open(
        place: Place<'_>,
        seed: u64,
        leader_within: Duration,
        interrupt: &Interrupt,
    ) -> Result<EtcdLab, String> {
        let mut starts = 1;
        loop {
            let mut lab = match place {
                Place::At(addresses) => return EtcdLab::watching(addresses.into(), None, seed),
                Place::New(count, folder, program) => {
                    let folder = folder.join(starts.to_string());
                    std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
                    let members = Members::start(count, &folder, program.clone());
                    let members = members.map_err(|error| error.with_advice())?;
                    EtcdLab::watching(members.addresses(), Some(members), seed)?
                }
            };
            let until = lab.clock.now() + leader_within;
            let trouble = loop {
                match lab.knows_leader() {
                    Ok(false) if !interrupt.is_raised() && lab.now() < until => lab.wait(until),
                    Ok(_) => return Ok(lab),
                    Err(trouble) => break trouble,
                }
            };
            if starts == STARTS {
                return Err(trouble);
            }
            starts += 1;
        }
    }

    fn watching(addresses: Arc<[String]>, members: Option<Members>, seed: u64) -> Result<EtcdLab, String> {
        let clock = Clock::start();
        let watch = Watch::start(clock, Arc::clone(&addresses));
        let (watch, changed) =
            watch.map_err(|error: io::Error| format!("the system gives no more threads: {error}"))?;
        // What etcd does unless it is told otherwise.
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(2));
        let heartbeat = Duration::from_millis(100);
        let raft =
            RaftSettings { heartbeat, election_min: min, election_max: max, ..RaftSettings::default() };
        let (waiting, settings) = (Waiting::new(changed), LabSettings::new(raft));
        Ok(EtcdLab { clock, addresses, watch, members, waiting, settings, seed, gateway: Gateway::new() })
    }

    /// A client of its own.
    pub fn client(&self, number: usize) -> EtcdCaller {
        EtcdCaller::new(self.clock, Arc::clone(&self.addresses), number)
    }

    /// Each change of the leader from now on, beginning with the one that there is.
    pub fn changes(&self) -> Leadership {
        self.watch.leadership()
    }

    /// Whether a member knows who leads.
    ///
    /// # Errors
    /// It never will: what listens there is no etcd, or a member has ended.
    pub fn knows_leader(&self) -> Result<bool, String> {
        let mut is_led = false;
        for (node, address) in self.watch.nodes().into_iter().zip(self.addresses.iter()) {
            let Seen { status, trouble, .. } = self.watch.seen(node);
            is_led |= status.is_some_and(|status| status.leader().is_some());
            if let Some(Failure::Foreign(why)) = trouble {
                return Err(format!("{address} is no etcd of version 3.4 or later: {why}"));
            }
            if let Some(Life::Down(why)) = self.members.as_ref().and_then(|members| members.life(node)) {
                return Err(format!("etcd {node}: {why}"));
            }
        }
        Ok(is_led)
    }

    /// What is known of members that do not answer, a line each.
    pub fn troubles(&self) -> Vec<String> {
        let nodes = self.watch.nodes().into_iter().zip(self.addresses.iter());
        let trouble = |(node, address): (NodeId, &String)| {
            let failure = self.watch.seen(node).trouble?;
            Some(format!("{address}: {failure}"))
        };
        nodes.filter_map(trouble).collect()
    }

    /// `3 members of etcd 3.4.23 on disk`.
    pub fn in_words(&self) -> String {
        let count = counted(self.addresses.len(), "member");
        let versions = self.watch.nodes().into_iter().filter_map(|node| self.watch.seen(node).status);
        let version = versions.map(|status| format!(" {}", status.version())).next().unwrap_or_default();
        let place = if self.members.is_some() { "on disk" } else { "that run elsewhere" };
        format!("{count} of etcd{version} {place}")
    }

    /// The processes of its members; none if it has started none, or one has ended meanwhile.
    pub fn processes(&self) -> Option<Vec<u32>> {
        self.members.as_ref()?.processes()
    }

    /// How a member is.
    pub fn life_of(&self, node: NodeId) -> Life {
        if let Some(life) = self.members.as_ref().and_then(|members| members.life(node)) {
            return life;
        }
        let silence = self.now().since(self.watch.seen(node).at);
        if silence > PATIENCE { Life::Silent(silence) } else { Life::Up }
    }

    /// Lets a leader hand over, to this member or to the first that answers.
    fn transfer(&self, node: NodeId, to: Option<NodeId>) -> Result<String, LabError> {
        let answers = |other: &NodeId| *other != node && self.life_of(*other) == Life::Up;
        let to = to.or_else(|| self.watch.nodes().into_iter().find(answers));
        let member = to.and_then(|to| self.watch.seen(to).status).map(|status| status.member());
        let Some(Number(member)) = member else {
            return Err(LabError::new("no other member answers"));
        };
        let body = format!(r#"{{"targetID":"{member}"}}"#);
        let address = &self.addresses[usize::from(node.number()) - 1];
        let asked = self.gateway.ask::<serde_json::Value>(
            address,
            "maintenance/transfer-leadership",
            &body,
            PATIENCE,
        );
        match asked {
            Ok(_) => Ok(String::new()),
            Err(Failure::Open(why)) => Err(LabError::uncertain(why)),
            Err(failure) => Err(LabError::new(failure.to_string())),
        }
    }
}

fn not_shown<T>() -> Result<T, LabError> {
    Err(LabError::new("an etcd shows its answers and nothing of its inside"))
}

fn not_done<T>() -> Result<T, LabError> {
    Err(LabError::new("an etcd is crashed, paused, resumed, restarted and stopped here, and nothing else"))
}

impl Lab for EtcdLab {
    fn nodes(&self) -> Vec<NodeId> {
        self.watch.nodes()
    }

    fn add_node(&mut self, _: NodeId) -> Result<Member, LabError> {
        not_done()
    }

    fn has_old_files(&mut self, _: NodeId) -> bool {
        false
    }

    fn remove_node(&mut self, _: NodeId) -> Result<(), LabError> {
        not_done()
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn wait(&mut self, until: Time) {
        self.waiting.wait(self.clock.instant(until).min(Instant::now() + PATIENCE));
    }

    fn interrupted(&self) -> bool {
        self.waiting.is_interrupted()
    }

    fn ask(&mut self, asks: Vec<Ask>) -> Vec<Ended> {
        let (began, why) = (self.now(), "an etcd is asked by the clients of a load".to_string());
        let outcome = Outcome::Rejected(Rejection::Invalid(why));
        let ended = |at: usize| Ended {
            call_id: crate::client::CallId(at as u64 + 1),
            outcome: outcome.clone(),
            began,
            took: Duration::ZERO,
        };
        (0..asks.len()).map(ended).collect()
    }

    /// Others may have written to one that ran before.
    fn began_with(&self) -> Start {
        if self.members.is_some() { Start::Absent } else { Start::Unknown }
    }

    fn patience(&self) -> Box<dyn FnMut() -> bool + '_> {
        self.waiting.patience()
    }

    fn view(&mut self, node: NodeId) -> NodeView {
        let Some(status) = self.watch.seen(node).status else {
            return NodeView { life: self.life_of(node), status: Status::default(), disk_blocked: false };
        };
        let role = if status.leads() { RoleName::Leader } else { RoleName::Follower };
        let status = Status {
            role,
            term: status.term(),
            leader: status.leader().and_then(|leader| self.watch.node_of(leader)),
            last: EntryId::new(status.term(), status.commit()),
            member: MemberRole::Voter,
            commit: status.commit(),
            applied: status.applied(),
            ..Status::default()
        };
        NodeView { life: self.life_of(node), status, disk_blocked: false }
    }

    fn items(&mut self, _: NodeId) -> Result<Vec<(String, String)>, LabError> {
        not_shown()
    }

    fn log(&mut self, _: NodeId) -> Result<LogView, LabError> {
        not_shown()
    }

    fn entry(&mut self, _: NodeId, _: WhichEntry) -> Result<Option<EntryView>, LabError> {
        not_shown()
    }

    fn members_view(&mut self, _: NodeId) -> Result<MembersView, LabError> {
        not_shown()
    }

    fn stored(&mut self, _: NodeId, _: usize) -> Result<Glimpse, LabError> {
        not_shown()
    }

    fn order(&mut self, node: NodeId, order: NodeOrder) -> Result<String, LabError> {
        if let NodeOrder::Transfer(to) = order {
            return self.transfer(node, to);
        }
        let Some(members) = &mut self.members else {
            return Err(LabError::new(format!("{node} was not started by this program")));
        };
        match order {
            NodeOrder::Crash | NodeOrder::Kill => members.kill(node),
            NodeOrder::Stop => members.stop(node),
            NodeOrder::Pause | NodeOrder::Freeze => members.freeze(node),
            NodeOrder::Resume => members.thaw(node),
            NodeOrder::Restart => members.restart(node),
            _ => not_done(),
        }
    }

    fn transfer_failure(&mut self, _: NodeId) -> Option<String> {
        None
    }

    fn change_network(&mut self, _: &NetChange) -> Result<String, LabError> {
        not_done()
    }

    fn network_rules(&mut self) -> Vec<NetChange> {
        Vec::new()
    }

    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)> {
        Vec::new()
    }

    fn settings(&self) -> &LabSettings {
        &self.settings
    }

    fn configure(&mut self, _: RaftSettings) -> Result<(), LabError> {
        not_done()
    }

    fn check(&mut self) -> Vec<Verdict> {
        Vec::new()
    }

    fn has_disks(&self) -> bool {
        false
    }

    fn kind(&self) -> LabKind {
        LabKind::Processes
    }

    fn follow_steps(&mut self, _: bool) {}
}
