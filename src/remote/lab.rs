//! A cluster of processes as a console drives it: the same language as on threads, over links.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never, select};
use derive_more::Debug;
use parking_lot::Mutex;

use super::clients::RemoteClients;
use super::node_link::{Listener, NodeLink, OnEvent};
use super::protocol::{Answer, Question};
use super::{RemoteCluster, merging};
use crate::check::linearizability::Start;
use crate::check::property::Verdict;
use crate::client::{Ask, Client, Ended, Pipeline};
use crate::cluster::entropy;
use crate::config::RaftSettings;
use crate::faults::{End, Faults, NetChange};
use crate::lab::{Lab, LabError, LabSettings, Life, NodeOrder, NodeView};
use crate::links::{AddressBook, Notices};
use crate::net::counts::LinkCounts;
use crate::node::Changes;
use crate::server::{LogView, MembersView, Status};
use crate::state_machine::kv::KeyValue;
use crate::storage::glimpse::Glimpse;
use crate::types::{Member, NodeId, Random, Time};

/// How long a search for an order of a history may take.
const SEARCH_TIME: Duration = Duration::from_secs(5);

/// How often a console looks at its links although nothing was heard.
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
            book: Arc::new(AddressBook::new(&remote.addresses)),
            changed: changes.listen(),
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
            on_event: Arc::clone(&self.on_event),
            now: Arc::new(move || clock.now()),
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

    /// Asks all nodes; those that do not answer are named.
    fn ask_all(&self, question: &Question) -> (Vec<(NodeId, Answer)>, Vec<NodeId>) {
        let (mut answers, mut silent) = (Vec::new(), Vec::new());
        for (node, link) in &self.links {
            match link.ask(question.clone()) {
                Ok(answer) => answers.push((*node, answer)),
                Err(_) => silent.push(*node),
            }
        }
        (answers, silent)
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
            let look = Instant::now() + LOOK_EVERY;
            let until = self.clients.clock().instant(until).min(look);
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
        self.interrupt.as_ref().is_some_and(|interrupt| (interrupt.is_raised)())
    }

    fn ask(&mut self, asks: Vec<Ask>) -> Vec<Ended> {
        self.asker().ask_in_session(asks)
    }

    fn open_session(&mut self) -> bool {
        self.asker().open_session()
    }

    /// Others may have written before.
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
        let said = self.faults.apply(change).map_err(|error| LabError::new(error.to_string()))?;
        let rules = NetChange::Replace(self.faults.rules());
        let (_, silent) = self.ask_all(&Question::ChangeNetwork(rules));
        if silent.is_empty() {
            return Ok(said);
        }
        let names = crate::text::joined(&silent, " ");
        let not_told = format!("not told, since they do not answer: {names}");
        Ok(if said.is_empty() { not_told } else { format!("{said}; {not_told}") })
    }

    fn network_rules(&mut self) -> Vec<NetChange> {
        self.faults.rules()
    }

    /// What was sent is counted by the sender, what arrived by the receiver.
    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)> {
        let (answers, _) = self.ask_all(&Question::NetworkCounts);
        merging::counts(answers)
    }

    fn settings(&self) -> &LabSettings {
        &self.settings
    }

    fn configure(&mut self, settings: RaftSettings) -> Result<(), LabError> {
        self.settings.change(settings)?;
        let (_, silent) = self.ask_all(&Question::Configure(self.settings.now.clone()));
        if silent.is_empty() {
            return Ok(());
        }
        let names = crate::text::joined(&silent, " ");
        Err(LabError::new(format!("not told, since they do not answer: {names}")))
    }

    /// Each node judges what its own steps can show.
    fn check(&mut self) -> Vec<Verdict> {
        let (answers, silent) = self.ask_all(&Question::Check);
        merging::verdicts(answers, silent.is_empty())
    }

    fn pipeline(&self) -> Result<Pipeline, LabError> {
        Ok(self.clients.client::<KeyValue>().into_pipeline())
    }

    fn disk_syncs(&self) -> Option<u64> {
        let (answers, silent) = self.ask_all(&Question::DiskSyncs);
        let syncs = answers.into_iter().map(|(_, answer)| match answer {
            Answer::DiskSyncs(syncs) => syncs,
            _ => None,
        });
        if silent.is_empty() { syncs.sum() } else { None }
    }

    fn watch_messages(&mut self, watch: bool) {
        self.watches_messages = watch;
        self.ask_all(&Question::WatchMessages(watch));
    }
}

fn unexpected(node: NodeId, answer: &Answer) -> LabError {
    LabError::new(format!("{node} answers what was not asked: {answer:?}"))
}
