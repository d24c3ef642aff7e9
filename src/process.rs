//! A node in a process of its own, with the links to the processes of the others and to clients.
//!
//! Inside, it is the same as on threads: a [`Cluster`] of one node with its own router, behind which links stand instead of
//! inboxes. So faults, bounds and counts mean the same.

mod answers;
mod consoles;
mod endings;
mod remembered;
mod renewal;
mod rules;

pub use self::renewal::renew_certificates;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use derive_more::Debug;
use parking_lot::Mutex;

use self::consoles::{Attachment, Consoles};
use self::endings::Endings;
use self::remembered::Remembered;
use self::rules::HeldRules;
use crate::clock::LogicalClock;
use crate::cluster::{Apart, Builder, Cluster, Known, StartError, entropy};
use crate::faults::SetVersion;
use crate::lab::{Lab, Life, NodeOrder};
use crate::links::{
    Acceptor, AddressBook, Attached, Bounds, Dialer, Host, LinkEvent, Lives, Notices, Target, Traffic,
};
use crate::net::router::RouterHandle;
use crate::remote::protocol::VersionedSettings;
use crate::server::RoleName;
use crate::state_machine::StateMachine;
use crate::state_machine::kv::KeyValue;
use crate::storage::records::Recorder;
use crate::tls::Security;
use crate::types::{Epoch, Member, NodeId, Term};
use crate::wire::{Caller, Hello, PEER_BYTES_MAX, VERSIONS, Welcome, client_bytes_max, common_version};

/// How long a leader that stops may take to hand over.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(2);

/// Who a process is and where.
#[derive(Clone, Debug)]
pub struct Place {
    pub apart: Apart,
    /// What every connection shows.
    #[debug(skip)]
    pub token: String,
    pub security: Security,
    /// Where the others are, as far as a file says so.
    pub addresses: BTreeMap<NodeId, String>,
    /// Where others reach this one.
    pub advertised: String,
    /// Whether consoles may order faults.
    pub faults: bool,
    /// Whether it looks for the others where it found them before: then it is not told of all.
    pub remembers: bool,
}

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("the system gives no more threads: {0}")]
    Thread(#[from] io::Error),
}

/// A running node with its links. Dropping it closes the links and ends the node.
#[derive(Debug)]
pub struct Process<M: StateMachine = KeyValue> {
    inside: Arc<Inside<M>>,
    acceptor: Acceptor,
    loaded: String,
    /// Closed when it ends.
    _stop: Sender<()>,
}

#[derive(Debug)]
struct Inside<M: StateMachine> {
    place: Place,
    own: Mutex<(Member, Epoch)>,
    cluster: Mutex<Cluster<M>>,
    recorder: Recorder,
    known: Known,
    network: RouterHandle,
    book: Arc<AddressBook>,
    remembered: Mutex<Remembered>,
    dialers: Mutex<BTreeMap<NodeId, Dialer>>,
    lives: Lives,
    /// Groups and bytes that may wait for a link.
    link_inbox: (usize, usize),
    notices: Arc<Notices>,
    consoles: Arc<Consoles>,
    /// What consoles have made of the network, of the settings, and of this node for a time.
    rules: Mutex<HeldRules>,
    settings: Mutex<VersionedSettings>,
    endings: Mutex<Endings>,
    /// Wakes the thread that ends what lasts a time.
    woken: Sender<()>,
    /// A console has ordered the node's end: the process waits for the next order.
    ends_by_order: AtomicBool,
    /// Itself, for the links that it starts.
    #[debug(skip)]
    this: Weak<Inside<M>>,
}

impl<M: StateMachine> Process<M> {
    /// Starts the node on its files, and its links.
    ///
    /// # Errors
    /// See [`ProcessError`].
    pub fn start(
        builder: Builder<M>,
        listener: TcpListener,
        place: Place,
        notices: Arc<Notices>,
    ) -> Result<Process<M>, ProcessError> {
        let consoles = Arc::new(Consoles::default());
        let told = Arc::clone(&consoles);
        let builder = builder.also_observed(move |event| told.observe(event));
        let (cluster, loaded) = builder.start_apart(&place.apart)?;
        let settings = cluster.settings_in_force();
        let link_inbox = (settings.inbox_node, settings.inbox_node_bytes);
        let bounds = Bounds {
            inbox_groups: settings.inbox_client,
            inbox_bytes: settings.inbox_client_bytes,
            client_frame: client_bytes_max(settings.value_bytes_max),
        };
        let own = cluster.own_files().expect("a process has files");
        let (known, network) = (cluster.known(), cluster.network());
        let recorder = cluster.recorder().expect("a process writes down what its node does");
        let node = place.apart.node;
        let remembered = Remembered::open(&settings.states.join(node.to_string()));
        // What a person wrote counts: the file may have changed since.
        let mut addresses = if place.remembers { remembered.addresses().clone() } else { BTreeMap::new() };
        addresses.extend(place.addresses.clone());
        addresses.remove(&node);
        let book = Arc::new(AddressBook::new(&addresses));
        book.tell(node, place.advertised.clone());
        let lives = Lives::default();
        let held = VersionedSettings { version: SetVersion::default(), settings: settings.raft.clone() };
        let (woken, wake) = bounded(1);
        let inside = Arc::new_cyclic(|this| Inside {
            recorder,
            own: Mutex::new(own),
            cluster: Mutex::new(cluster),
            known,
            network: network.clone(),
            book,
            remembered: Mutex::new(remembered),
            dialers: Mutex::default(),
            lives: lives.clone(),
            link_inbox,
            notices: Arc::clone(&notices),
            consoles,
            rules: Mutex::default(),
            settings: Mutex::new(held),
            endings: Mutex::default(),
            woken,
            ends_by_order: AtomicBool::new(false),
            this: this.clone(),
            place,
        });
        for other in addresses.into_keys() {
            inside.dial(other)?;
        }
        let host: Arc<dyn Host> = Arc::<Inside<M>>::clone(&inside);
        let secured = (node, inside.place.security.clone());
        let acceptor = Acceptor::start(listener, secured, host, network, bounds, (notices, lives))?;
        let (stop, stopped) = bounded(0);
        let this = Arc::downgrade(&inside);
        let (ending, ended) = (Weak::clone(&this), stopped.clone());
        let end = move || Inside::end_in_time(&ending, &wake, &ended);
        thread::Builder::new().name("endings".to_string()).spawn(end)?;
        let news = move || Inside::tell_news(&this, &stopped);
        thread::Builder::new().name("news".to_string()).spawn(news)?;
        Ok(Process { inside, acceptor, loaded, _stop: stop })
    }

    pub fn address(&self) -> SocketAddr {
        self.acceptor.address()
    }

    /// What the node's files held when it started.
    pub fn loaded(&self) -> &str {
        &self.loaded
    }

    /// The node with the number of its files.
    pub fn member(&self) -> Member {
        self.inside.own.lock().0
    }

    /// Waits until something happens to the node or a wake-up comes. Why the node has ended by itself; none while it runs, or
    /// is down because a console wants that.
    pub fn wait_for_end(&self, wake: &Receiver<()>) -> Option<String> {
        let node = self.inside.place.apart.node;
        let (changed, ended) = {
            let cluster = self.inside.cluster.lock();
            // It listens first: an end that comes in between is heard.
            (cluster.listen(), cluster.life(node))
        };
        if let Some(Life::Down(why)) = ended
            && !self.inside.ends_by_order.load(Ordering::Acquire)
        {
            return Some(why);
        }
        select! {
            recv(changed) -> _ => {}
            recv(wake) -> _ => {}
        }
        None
    }

    /// Ends the node politely, at the end of its whole cluster: one that leads does not hand over.
    pub fn end(self) {
        let node = self.inside.place.apart.node;
        let _ = self.inside.cluster.lock().order(node, NodeOrder::Stop);
    }

    /// Ends the node politely: one that leads hands over first, if another can take over.
    pub fn stop(self) {
        let node = self.inside.place.apart.node;
        let mut cluster = self.inside.cluster.lock();
        let leads = |cluster: &Cluster<M>| {
            cluster.status(node).filter(|status| status.role == RoleName::Leader).map(|status| status.term)
        };
        if leads(&cluster).is_some() && cluster.order(node, NodeOrder::Transfer(None)).is_ok() {
            let until = cluster.now() + TRANSFER_PATIENCE;
            while leads(&cluster).is_some()
                && cluster.transfer_failure(node).is_none()
                && cluster.now() < until
            {
                cluster.wait(until);
            }
        }
        let _ = cluster.order(node, NodeOrder::Stop);
    }
}

impl<M: StateMachine> Drop for Process<M> {
    fn drop(&mut self) {
        self.inside.dialers.lock().clear();
    }
}

impl<M: StateMachine> Inside<M> {
    /// Keeps a link to this node from now on.
    fn dial(&self, node: NodeId) -> io::Result<()> {
        if self.known.hear_of(node) {
            // The rules that are held may name it.
            self.apply(&mut self.rules.lock());
        }
        let mut dialers = self.dialers.lock();
        if dialers.contains_key(&node) {
            return Ok(());
        }
        let this = self.this.clone();
        let cluster = self.place.apart.cluster;
        let (token, address, life) =
            (self.place.token.clone(), self.place.advertised.clone(), self.recorder.life());
        let connections = AtomicU64::new(0);
        let hello = move || {
            let files = this.upgrade().map(|inside| *inside.own.lock());
            let (member, epoch) = files.unwrap_or((Member::founder(node), Epoch::FIRST));
            let connection = connections.fetch_add(1, Ordering::Relaxed);
            let (token, address) = (token.clone(), address.clone());
            let caller = Caller::Node { member, life, address, expects: node, connection };
            Hello { versions: VERSIONS, cluster, epoch, token, caller }
        };
        let this = self.this.clone();
        let told = move |event| {
            if let (LinkEvent::Up(welcome), Some(inside)) = (event, this.upgrade()) {
                inside.learn(&welcome.nodes);
            }
        };
        let target = Target {
            node,
            book: Arc::clone(&self.book),
            hello: Box::new(hello),
            traffic: Traffic::Envelopes {
                clock: self.recorder.clock(),
                network: self.network.clone(),
                inbox: self.link_inbox,
                frame_max: PEER_BYTES_MAX,
                answers: false,
                told: Box::new(told),
            },
            notices: Arc::clone(&self.notices),
            security: self.place.security.clone(),
            lives: self.lives.clone(),
        };
        dialers.insert(node, Dialer::start(target, entropy())?);
        Ok(())
    }

    /// A node says where it knows nodes to be. Those that are new are dialed.
    fn learn(&self, nodes: &BTreeMap<NodeId, String>) {
        for (node, address) in nodes.iter().filter(|(node, _)| **node != self.place.apart.node) {
            self.book.hear(*node, address.clone());
            let _ = self.dial(*node);
        }
        self.remember();
    }

    fn remember(&self) {
        if let Err(error) = self.remembered.lock().keep(self.book.all()) {
            self.notices
                .say("addresses of nodes", &format!("they cannot be kept for the next start: {error}"));
        }
    }

    /// Why this caller is not let in.
    fn objection(&self, hello: &Hello) -> Option<String> {
        let Place { apart, token, .. } = &self.place;
        let expects = match &hello.caller {
            Caller::Node { expects, .. }
            | Caller::Client { expects }
            | Caller::Console { expects, .. }
            | Caller::Probe { expects } => *expects,
        };
        let (own, epoch) = *self.own.lock();
        if !same_token(token, &hello.token) {
            return Some("it shows another token: use the same cluster.toml".to_string());
        }
        if hello.cluster != apart.cluster {
            return Some(format!(
                "it belongs to cluster {}, this is cluster {}",
                hello.cluster, apart.cluster
            ));
        }
        if expects != own.node {
            return Some(format!("it looks for {expects}, this is {}", own.node));
        }
        match &hello.caller {
            Caller::Node { member, .. } if member.node == own.node => {
                Some(format!("another process speaks for {}: stop one of the two", own.node))
            }
            Caller::Node { member, .. } if hello.epoch != epoch => Some(format!(
                "{}'s files are of epoch {}, {}'s of epoch {epoch}: the cluster was recovered between them",
                member.node, hello.epoch, own.node
            )),
            _ => None,
        }
    }
}

impl<M: StateMachine> Host for Inside<M> {
    fn welcome(&self, hello: &Hello) -> Result<Welcome, String> {
        let version = common_version(VERSIONS, hello.versions)?;
        if let Some(why) = self.objection(hello) {
            return Err(why);
        }
        let own = self.place.apart.node;
        let has_term = |cluster: &Cluster<M>| cluster.status(own).is_some_and(|status| status.term > Term(0));
        // One that is busy has run: no caller waits for its orders.
        let has_run = self.cluster.try_lock().is_none_or(|cluster| has_term(&cluster));
        let member = self.own.lock().0;
        Ok(Welcome { version, member, life: self.recorder.life(), has_run, nodes: self.book.all() })
    }

    fn clock(&self) -> LogicalClock {
        self.recorder.clock()
    }

    fn book(&self) -> Arc<AddressBook> {
        Arc::clone(&self.book)
    }

    fn met(&self, node: NodeId, address: &str) {
        self.book.tell(node, address.to_string());
        self.remember();
        match self.dial(node) {
            Ok(()) => self.dialers.lock().get(&node).into_iter().for_each(Dialer::wake),
            Err(error) => self.notices.say(&node.to_string(), &format!("no thread for its link: {error}")),
        }
    }

    fn attach(&self, name: &str, answers: Sender<String>) -> Box<dyn Attached> {
        log::info!(target: "raftlab::process", "{name} is attached");
        Box::new(Attachment::begin(self, name, answers))
    }
}

/// Compares without telling by its time where the difference is.
fn same_token(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && differences == 0
}
