//! A cluster of processes as a console drives it: the same language as on threads, over links.

mod asking;
mod backup;
mod following;
mod processes;
mod recording;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use derive_more::Debug;
use parking_lot::Mutex;

use super::RemoteCluster;
use super::agreed::Agreed;
use super::clients::RemoteClients;
use super::merging::Replies;
use super::node_link::{NodeLink, OnEvent};
use super::protocol::{Answer, Question};
use super::records::RecordsReader;
use super::respondents::Respondents;
use crate::check::linearizability::Start;
use crate::check::property::Verdict;
use crate::client::{Ask, Client, Ended, Pipeline};
use crate::cluster::entropy;
use crate::config::RaftSettings;
use crate::faults::{End, EndId, NetChange};
use crate::lab::waiting::Waiting;
use crate::lab::{Lab, LabError, LabKind, LabSettings, Lasting, Life, NodeOrder, NodeView, Recorded};
use crate::links::{AddressBook, Notices};
use crate::net::counts::LinkCounts;
use crate::node::{Changes, Leaders};
use crate::server::{EntryView, LogView, MembersView, Status, WhichEntry};
use crate::state_machine::kv::KeyValue;
use crate::storage::glimpse::Glimpse;
use crate::supervisor::Supervisor;
use crate::trace::{EventFilter, Remembered, Subject};
use crate::types::{Member, NodeId, Time};

/// How often it looks at its links although nothing was heard.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long the first look at the nodes may take.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// A console's view of a cluster of processes.
#[derive(Debug)]
pub struct RemoteLab {
    remote: RemoteCluster,
    name: String,
    clients: RemoteClients,
    links: BTreeMap<NodeId, NodeLink>,
    respondents: Respondents,
    book: Arc<AddressBook>,
    notices: Arc<Notices>,
    changes: Arc<Changes>,
    leaders: Arc<Leaders>,
    waiting: Waiting,
    #[debug(skip)]
    on_event: OnEvent,
    settings: LabSettings,
    agreed: Agreed,
    /// Nodes whose processes came back, and do not know what this console wants to see.
    came_back: Arc<Mutex<Vec<NodeId>>>,
    /// What is narrated, and whether each step is followed.
    watched: (EventFilter, bool),
    records: RecordsReader,
    /// Where the recording is written that this console has begun.
    records_to: Option<(PathBuf, u64)>,
    asker: Option<Client<KeyValue>>,
    seed: u64,
    /// What has started the processes, if this program has.
    supervisor: Option<Supervisor>,
    /// Nodes that were taken from the nodes here; others still name them.
    forgotten: BTreeSet<NodeId>,
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
        RemoteLab::new(remote, name, notices, on_event, None)
    }

    fn new(
        remote: RemoteCluster,
        name: &str,
        notices: Arc<Notices>,
        on_event: OnEvent,
        supervisor: Option<Supervisor>,
    ) -> io::Result<RemoteLab> {
        // The console's own link to each node tells how that is.
        let clients = RemoteClients::start(remote.clone(), Arc::new(Notices::new(|_| {})))?;
        let changes = Arc::new(Changes::default());
        // Those that cannot start have no address.
        let supervised = supervisor.as_ref().map_or_else(Vec::new, Supervisor::nodes);
        let nodes: BTreeSet<NodeId> = remote.addresses.keys().copied().chain(supervised).collect();
        let nodes: Vec<NodeId> = nodes.into_iter().collect();
        let settings = LabSettings::new(remote.settings.scaled().raft);
        // A run of this program's own has its seed.
        let own = remote.settings.seed.filter(|_| supervisor.is_some());
        let seed = own.unwrap_or_else(entropy);
        let mut lab = RemoteLab {
            book: clients.book(),
            waiting: Waiting::new(changes.listen()),
            leaders: Arc::new(Leaders::new(clients.clock())),
            name: name.to_string(),
            clients,
            links: BTreeMap::new(),
            respondents: Respondents::default(),
            notices,
            changes,
            on_event,
            settings,
            agreed: Agreed::new(&nodes),
            came_back: Arc::default(),
            watched: (EventFilter::On, false),
            records: RecordsReader::default(),
            records_to: None,
            asker: None,
            seed,
            remote,
            supervisor,
            forgotten: BTreeSet::new(),
        };
        for node in nodes {
            lab.link(node)?;
        }
        let until = lab.now() + FIRST_LOOK;
        let is_awaited = |link: &NodeLink| link.without_process().is_none() && link.is_awaited();
        while lab.links.values().any(is_awaited) && lab.now() < until {
            lab.wait(until);
        }
        Ok(lab)
    }

    fn existing(&self, node: NodeId) -> Result<&NodeLink, LabError> {
        self.links.get(&node).ok_or_else(|| LabError::unknown(node, &self.nodes()))
    }

    fn ask_all(&self, question: &Question) -> Replies {
        Replies::of(self.links.iter(), question)
    }

    /// Closes all links. The nodes run on, unless this program has started their processes: those end.
    pub fn leave(self) {
        drop(self.links);
        self.clients.stop();
        if let Some(supervisor) = self.supervisor {
            supervisor.stop();
        }
    }
}

impl Lab for RemoteLab {
    fn nodes(&self) -> Vec<NodeId> {
        self.links.keys().copied().collect()
    }

    /// Of a process whose node is down, on new files; of one that was started with new files, as it is.
    fn add_node(&mut self, node: NodeId) -> Result<Member, LabError> {
        if self.supervisor.is_some() {
            return self.add_process(node);
        }
        self.add_started(node)
    }

    fn has_old_files(&mut self, node: NodeId) -> bool {
        let is_down = self.links.get(&node).is_none_or(|link| matches!(link.view().life, Life::Down(_)));
        is_down && self.supervisor.as_ref().is_some_and(|supervisor| supervisor.has_files(node))
    }

    fn remove_node(&mut self, node: NodeId) -> Result<(), LabError> {
        self.forget(node)
    }

    fn now(&self) -> Time {
        self.clients.clock().now()
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn wait(&mut self, until: Time) {
        self.waiting.wait(self.clients.clock().instant(until).min(Instant::now() + LOOK_EVERY));
        self.catch_up();
    }

    fn attend(&mut self) {
        self.catch_up();
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

    fn began_with(&self) -> Start {
        self.supervisor.as_ref().map_or(Start::Unknown, Supervisor::began_with)
    }

    /// The nodes' records reach further back than this console.
    fn checks_from_beginning(&self) -> bool {
        self.records.reach_back()
    }

    fn remembered(&mut self, subject: Subject) -> (Time, Vec<(NodeId, Remembered)>) {
        self.remembered_of(subject)
    }

    fn others_write(&self) -> bool {
        true
    }

    fn patience(&self) -> Box<dyn FnMut() -> bool + '_> {
        self.waiting.patience()
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
        self.pages(node)
    }

    fn entry(&mut self, node: NodeId, which: WhichEntry) -> Result<Option<EntryView>, LabError> {
        self.entry_of(node, which)
    }

    fn log(&mut self, node: NodeId) -> Result<LogView, LabError> {
        self.log_of(node)
    }

    fn members_view(&mut self, node: NodeId) -> Result<MembersView, LabError> {
        let link = self.existing(node)?;
        match link.ask(Question::Members)? {
            Answer::Members(members) => Ok(link.by_our_clock(members)),
            other => Err(unexpected(node, &other)),
        }
    }

    fn stored(&mut self, node: NodeId, entries: usize) -> Result<Glimpse, LabError> {
        let link = self.existing(node)?;
        if let (Some(supervisor), Some(_)) = (&self.supervisor, link.without_process()) {
            return supervisor.stored(node, entries);
        }
        match link.ask(Question::Stored { entries })? {
            Answer::Stored(glimpse) => Ok(glimpse),
            other => Err(unexpected(node, &other)),
        }
    }

    fn order(&mut self, node: NodeId, order: NodeOrder) -> Result<String, LabError> {
        self.order_process(node, &order).unwrap_or_else(|| self.give(node, order, None))
    }

    fn ends_faults(&self) -> bool {
        true
    }

    fn order_for(&mut self, node: NodeId, order: NodeOrder, lasting: Lasting) -> Result<String, LabError> {
        self.order_process(node, &order).unwrap_or_else(|| self.give(node, order, Some(lasting.time)))
    }

    fn transfer_failure(&mut self, node: NodeId) -> Option<String> {
        match self.existing(node).ok()?.ask(Question::TransferFailure) {
            Ok(Answer::TransferFailure(why)) => why,
            _ => None,
        }
    }

    /// The whole set of rules goes to every node. One that cannot be told is told when it comes back.
    fn change_network(&mut self, change: &NetChange) -> Result<String, LabError> {
        self.catch_up();
        self.agreed.change_rules(&self.links, change, None)
    }

    fn change_network_for(&mut self, change: &NetChange, lasting: Lasting) -> Result<String, LabError> {
        self.catch_up();
        self.agreed.change_rules(&self.links, change, Some(lasting))
    }

    fn end_change(&mut self, end: EndId) -> Result<bool, LabError> {
        self.agreed.end_change(&self.links, end)
    }

    fn network_rules(&mut self) -> Vec<NetChange> {
        self.catch_up();
        self.agreed.rules()
    }

    /// What was sent is counted by the sender, what arrived by the receiver.
    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)> {
        self.ask_all(&Question::NetworkCounts).counts()
    }

    fn settings(&self) -> &LabSettings {
        &self.settings
    }

    /// A node that cannot be told is told when it comes back.
    fn configure(&mut self, settings: RaftSettings) -> Result<(), LabError> {
        self.settings.change(settings)?;
        self.agreed.configure(&self.links, &mut self.settings)
    }

    fn check(&mut self) -> Vec<Verdict> {
        self.reach_all();
        let ended = self.supervisor.as_ref().map_or_else(BTreeMap::new, Supervisor::ended);
        self.ask_all(&Question::Check).verdicts(&self.records.judge(&self.links, &ended))
    }

    fn pipeline(&self) -> Result<Pipeline, LabError> {
        Ok(self.clients.client_for::<KeyValue>(&self.settings.now).into_pipeline())
    }

    fn disk_syncs(&self) -> Option<u64> {
        self.ask_all(&Question::DiskSyncs).disk_syncs()
    }

    fn watch_events(&mut self, filter: EventFilter) {
        self.watched.0 = filter;
        self.ask_all(&self.watch());
    }

    fn kind(&self) -> LabKind {
        LabKind::Processes
    }

    fn record(&mut self, folder: &Path, bytes_max: u64) -> Result<(), LabError> {
        self.begin_recording(folder, bytes_max)
    }

    fn records_to(&self) -> Option<PathBuf> {
        self.recording_folder()
    }

    fn end_recording(&mut self) -> Result<Recorded, LabError> {
        self.finish_recording()
    }

    fn follow_steps(&mut self, follow: bool) {
        self.watched.1 = follow;
        self.ask_all(&self.watch());
    }
}

fn unexpected(node: NodeId, answer: &Answer) -> LabError {
    LabError::new(format!("{node} answers what was not asked: {answer:?}"))
}
