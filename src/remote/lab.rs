//! A cluster of processes as a console drives it: the same language as on threads, over links.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never, select};
use derive_more::Debug;
use parking_lot::Mutex;

use super::RemoteCluster;
use super::clients::RemoteClients;
use super::merging::Replies;
use super::node_link::{Listener, NodeLink, OnEvent};
use super::protocol::{Answer, Question};
use crate::check::linearizability::Start;
use crate::check::property::Verdict;
use crate::client::{Ask, Client, Ended, Pipeline};
use crate::cluster::entropy;
use crate::config::RaftSettings;
use crate::faults::{End, Faults, NetChange};
use crate::lab::{Lab, LabError, LabSettings, Life, NodeOrder, NodeView};
use crate::links::{AddressBook, Notices};
use crate::net::counts::LinkCounts;
use crate::node::{Changes, Leaders, Leadership};
use crate::server::{LogView, MembersView, Status};
use crate::state_machine::kv::KeyValue;
use crate::storage::glimpse::Glimpse;
use crate::types::{Member, NodeId, Random, Time};

/// How long a search for an order of a history may take.
const SEARCH_TIME: Duration = Duration::from_secs(5);

/// How often it looks at its links although nothing was heard.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long the first look at the nodes may take.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// A console's view of a cluster of processes.
#[derive(Debug)]
pub struct RemoteLab {
    remote: RemoteCluster,
    name: String,
    clients: RemoteClients,
    links: BTreeMap<NodeId, NodeLink>,
    book: Arc<AddressBook>,
    notices: Arc<Notices>,
    changes: Arc<Changes>,
    leaders: Arc<Leaders>,
    changed: Receiver<()>,
    #[debug(skip)]
    on_event: OnEvent,
    settings: LabSettings,
    /// The rules of the network as this console has set them, or found them.
    faults: Faults,
    /// Nodes whose processes came back, and have no rules.
    came_back: Arc<Mutex<Vec<NodeId>>>,
    watches_messages: bool,
    interrupt: Option<Interrupt>,
    asker: Option<Client<KeyValue>>,
    seed: u64,
}

/// How a person interrupts what is running.
#[derive(Debug)]
struct Interrupt {
    #[debug(skip)]
    is_raised: Box<dyn Fn() -> bool + Send + Sync>,
    wake: Receiver<()>,
}

impl RemoteLab {
    /// Connects to the nodes that are known, and waits a moment for their first news. Those that cannot be reached are down
    /// until they can.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn connect(
        remote: RemoteCluster,
        name: &str,
        notices: Arc<Notices>,
        on_event: OnEvent,
    ) -> io::Result<RemoteLab> {
        let clients = RemoteClients::start(remote.clone(), Arc::clone(&notices))?;
        let changes = Arc::new(Changes::default());
        let nodes: Vec<NodeId> = remote.addresses.keys().copied().collect();
        let settings = LabSettings::new(remote.settings.scaled().raft);
        let seed = entropy();
        let mut lab = RemoteLab {
            book: clients.book(),
            changed: changes.listen(),
            leaders: Arc::new(Leaders::new(clients.clock())),
            name: name.to_string(),
            clients,
            links: BTreeMap::new(),
            notices,
            changes,
            on_event,
            settings,
            faults: Faults::new(&nodes, Random::new(seed)),
            came_back: Arc::default(),
            watches_messages: false,
            interrupt: None,
            asker: None,
            seed,
            remote,
        };
        for node in nodes {
            lab.link(node)?;
        }
        let until = lab.now() + FIRST_LOOK;
        while lab.links.values().any(|link| link.view().status == Status::default()) && lab.now() < until {
            lab.wait(until);
        }
        lab.take_over_rules();
        Ok(lab)
    }

    /// Lets a person interrupt what is running: `is_raised` says whether one wants to, and `wake` becomes ready when one
    /// begins to.
    pub fn set_interrupt(
        &mut self,
        is_raised: impl Fn() -> bool + Send + Sync + 'static,
        wake: Receiver<()>,
    ) {
        self.interrupt = Some(Interrupt { is_raised: Box::new(is_raised), wake });
        self.asker = None;
    }

    fn link(&mut self, node: NodeId) -> io::Result<()> {
        let came_back = Arc::clone(&self.came_back);
        let clock = self.clients.clock();
        let listener = Listener {
            changes: Arc::clone(&self.changes),
            leaders: Arc::clone(&self.leaders),
            on_event: Arc::clone(&self.on_event),
            now: Arc::new(move || clock.now()),
            on_nodes: self.clients.listener(),
            on_up: Box::new(move |node| came_back.lock().push(node)),
        };
        let (book, notices) = (Arc::clone(&self.book), Arc::clone(&self.notices));
        let link = NodeLink::start(node, &self.remote, &self.name, book, notices, listener)?;
        self.links.insert(node, link);
        Ok(())
    }

    /// Follows the nodes that clients have heard of, and tells those that came back which rules hold.
    fn catch_up(&mut self) {
        for node in self.clients.nodes() {
            if !self.links.contains_key(&node) && self.link(node).is_ok() {
                self.faults.add_node(node);
            }
        }
        let came_back = std::mem::take(&mut *self.came_back.lock());
        for node in came_back {
            let rules = self.faults.rules();
            if let Some(link) = self.links.get(&node)
                && (!rules.is_empty() || self.watches_messages)
            {
                let _ = link.ask(Question::ChangeNetwork(NetChange::Replace(rules)));
                let _ = link.ask(Question::WatchMessages(self.watches_messages));
            }
        }
    }

    /// The rules that are in force when a console comes are the cluster's, not its own.
    fn take_over_rules(&mut self) {
        self.came_back.lock().clear();
        let found = self.links.values().find_map(|link| match link.ask(Question::NetworkRules) {
            Ok(Answer::NetworkRules(rules)) if !rules.is_empty() => Some(rules),
            _ => None,
        });
        for rule in found.into_iter().flatten() {
            let _ = self.faults.apply(&rule);
        }
    }

    fn existing(&self, node: NodeId) -> Result<&NodeLink, LabError> {
        self.links.get(&node).ok_or_else(|| LabError::unknown(node, &self.nodes()))
    }

    fn asker(&mut self) -> Client<KeyValue> {
        let asker = self.asker.take().unwrap_or_else(|| match &self.interrupt {
            Some(interrupt) => self.clients.client().with_interrupt(interrupt.wake.clone()),
            None => self.clients.client(),
        });
        self.asker = Some(asker.clone());
        asker
    }

    /// Asks all nodes, which may say no or nothing.
    fn ask_all(&self, question: &Question) -> Replies {
        let mut asked = Replies::default();
        for (node, link) in &self.links {
            match link.ask(question.clone()) {
                Ok(answer) => asked.answers.push((*node, answer)),
                Err(error) => asked.failed.push((*node, error)),
            }
        }
        asked
    }

    /// Each change of the leader, as the nodes tell it.
    pub fn leadership(&self) -> Leadership {
        self.leaders.listen()
    }

    /// Whether a node ran when it was last heard of.
    pub fn life(&self, node: NodeId) -> Option<Life> {
        self.links.get(&node).map(|link| link.last_view().life)
    }

    /// Closes all links. The nodes run on.
    pub fn leave(self) {
        self.clients.stop();
    }
}

impl Lab for RemoteLab {
    fn nodes(&self) -> Vec<NodeId> {
        self.links.keys().copied().collect()
    }

    fn add_node(&mut self, node: NodeId) -> Result<Member, LabError> {
        self.catch_up();
        let link = self.existing(node).map_err(|_| {
            let advice = format!("start it first: node {node} --wipe --bind HOST:PORT");
            LabError::new(format!("no process of {node} has been heard of")).advising(advice)
        })?;
        link.member().ok_or_else(|| LabError::new(format!("{node} does not answer")))
    }

    fn has_old_files(&mut self, _: NodeId) -> bool {
        false
    }

    fn remove_node(&mut self, node: NodeId) -> Result<(), LabError> {
        if !matches!(self.existing(node)?.view().life, Life::Down(_)) {
            return Err(LabError::not_removed(node));
        }
        if self.links.len() == 1 {
            return Err(LabError::only(node));
        }
        self.links.remove(&node);
        self.faults.remove_node(node);
        Ok(())
    }

    fn now(&self) -> Time {
        self.clients.clock().now()
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn wait(&mut self, until: Time) {
        if !self.interrupted() {
            let until = self.clients.clock().instant(until).min(Instant::now() + LOOK_EVERY);
            let never = never();
            let wake = self.interrupt.as_ref().map_or(&never, |interrupt| &interrupt.wake);
            select! {
                recv(self.changed) -> _ => {}
                recv(wake) -> _ => {}
                recv(at(until)) -> _ => {}
            }
        }
        self.catch_up();
    }

    fn interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(|one| (one.is_raised)())
    }

    fn ask(&mut self, asks: Vec<Ask>) -> Vec<Ended> {
        self.asker().ask_in_session(asks)
    }

    fn open_session(&mut self) -> bool {
        self.asker().open_session()
    }

    fn began_with(&self) -> Start {
        Start::Unknown
    }

    fn patience(&self) -> Box<dyn FnMut() -> bool + '_> {
        let begun = Instant::now();
        Box::new(move || !self.interrupted() && begun.elapsed() < SEARCH_TIME)
    }

    fn view(&mut self, node: NodeId) -> NodeView {
        self.catch_up();
        match self.existing(node) {
            Ok(link) => link.view(),
            Err(error) => NodeView {
                life: Life::Down(error.to_string()),
                status: Status::default(),
                disk_blocked: false,
            },
        }
    }

    fn items(&mut self, node: NodeId) -> Result<Vec<(String, String)>, LabError> {
        match self.existing(node)?.ask(Question::Items)? {
            Answer::Items(items) => Ok(items),
            other => Err(unexpected(node, &other)),
        }
    }

    fn log(&mut self, node: NodeId) -> Result<LogView, LabError> {
        match self.existing(node)?.ask(Question::Log)? {
            Answer::Log(log) => Ok(log),
            other => Err(unexpected(node, &other)),
        }
    }

    fn members_view(&mut self, node: NodeId) -> Result<MembersView, LabError> {
        match self.existing(node)?.ask(Question::Members)? {
            Answer::Members(members) => Ok(members),
            other => Err(unexpected(node, &other)),
        }
    }

    fn stored(&mut self, node: NodeId, entries: usize) -> Result<Glimpse, LabError> {
        match self.existing(node)?.ask(Question::Stored { entries })? {
            Answer::Stored(glimpse) => Ok(glimpse),
            other => Err(unexpected(node, &other)),
        }
    }

    fn order(&mut self, node: NodeId, order: NodeOrder) -> Result<String, LabError> {
        match self.existing(node)?.ask(Question::Order(order))? {
            Answer::Done(said) => Ok(said),
            other => Err(unexpected(node, &other)),
        }
    }

    fn transfer_failure(&mut self, node: NodeId) -> Option<String> {
        match self.existing(node).ok()?.ask(Question::TransferFailure) {
            Ok(Answer::TransferFailure(why)) => why,
            _ => None,
        }
    }

    /// The whole set of rules goes to every node. One that cannot be told is told when it comes back.
    fn change_network(&mut self, change: &NetChange) -> Result<String, LabError> {
        let mut faults = self.faults.clone();
        let said = faults.apply(change).map_err(|error| LabError::new(error.to_string()))?;
        let rules = NetChange::Replace(faults.rules());
        let not_told = self.ask_all(&Question::ChangeNetwork(rules)).told()?;
        self.faults = faults;
        let parts: Vec<String> =
            Some(said).filter(|said| !said.is_empty()).into_iter().chain(not_told).collect();
        Ok(parts.join("; "))
    }

    fn network_rules(&mut self) -> Vec<NetChange> {
        self.faults.rules()
    }

    /// What was sent is counted by the sender, what arrived by the receiver.
    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)> {
        self.ask_all(&Question::NetworkCounts).counts()
    }

    fn settings(&self) -> &LabSettings {
        &self.settings
    }

    fn configure(&mut self, settings: RaftSettings) -> Result<(), LabError> {
        self.settings.change(settings)?;
        let told = self.ask_all(&Question::Configure(self.settings.now.clone())).told()?;
        told.map_or(Ok(()), |not_told| Err(LabError::new(not_told)))
    }

    /// Each node judges what its own steps can show.
    fn check(&mut self) -> Vec<Verdict> {
        self.ask_all(&Question::Check).verdicts()
    }

    fn pipeline(&self) -> Result<Pipeline, LabError> {
        Ok(self.clients.client::<KeyValue>().into_pipeline())
    }

    fn disk_syncs(&self) -> Option<u64> {
        self.ask_all(&Question::DiskSyncs).disk_syncs()
    }

    fn watch_messages(&mut self, watch: bool) {
        self.watches_messages = watch;
        self.ask_all(&Question::WatchMessages(watch));
    }
}

fn unexpected(node: NodeId, answer: &Answer) -> LabError {
    LabError::new(format!("{node} answers what was not asked: {answer:?}"))
}
