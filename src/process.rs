//! A node in a process of its own, with the links to the processes of the others and to clients.
//!
//! Inside, it is the same as on threads: a [`Cluster`] of one node with its own router, behind which links stand instead of
//! inboxes. So faults, bounds and counts mean the same.

mod answers;
mod consoles;
mod endings;
mod peers;
mod renewal;
mod rules;

pub use self::renewal::renew_certificates;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use derive_more::Debug;
use parking_lot::Mutex;

use self::consoles::{Attachment, Consoles};
use self::endings::Endings;
use self::rules::HeldRules;
use crate::clock::LogicalClock;
use crate::cluster::{Apart, Builder, Cluster, Known, StartError};
use crate::faults::SetVersion;
use crate::lab::{Lab, Life, NodeOrder};
use crate::links::{Acceptor, AddressBook, Attached, Bounds, Dialer, Host, Lives, Notices, Source};
use crate::net::router::RouterHandle;
use crate::remote::protocol::VersionedSettings;
use crate::state_machine::StateMachine;
use crate::state_machine::kv::KeyValue;
use crate::storage::records::Recorder;
use crate::tls::Security;
use crate::types::{Addresses, Epoch, HostPort, Member, NodeId, Term};
use crate::wire::{Caller, Hello, VERSIONS, Welcome, client_bytes_max, common_version};

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
    /// Where the others are, as far as a file or the supervisor says so, and which of the two.
    pub addresses: Addresses,
    pub said_by: Source,
    /// Where others reach this one.
    pub advertised: HostPort,
    /// Whether consoles may order faults.
    pub faults: bool,
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

/// The links to other nodes.
type Dialers = BTreeMap<NodeId, Dialer>;

#[derive(Debug)]
struct Inside<M: StateMachine> {
    place: Place,
    own: Mutex<(Member, Epoch)>,
    cluster: Mutex<Cluster<M>>,
    recorder: Recorder,
    known: Known,
    network: RouterHandle,
    book: Arc<AddressBook>,
    /// The node may use other members than the book knows of.
    members_changed: Arc<AtomicBool>,
    /// The members that the node uses; none while it knows of none.
    members: Mutex<Vec<NodeId>>,
    dialers: Mutex<Dialers>,
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
        let members_changed = Arc::new(AtomicBool::new(true));
        let changed = Arc::clone(&members_changed);
        let builder = builder.also_observed(move |event| {
            peers::note_event(&changed, event);
            told.observe(event);
        });
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
        let book = Arc::new(AddressBook::default());
        book.note_all(place.said_by, &place.addresses);
        book.note(Source::Itself, node, place.advertised.clone());
        let counting = network.clone();
        let lives = Lives::telling(move |node| counting.note_new_life(node));
        let held = VersionedSettings { version: SetVersion::default(), settings: settings.raft.clone() };
        let (woken, wake) = bounded(1);
        let inside = Arc::new_cyclic(|this| Inside {
            recorder,
            own: Mutex::new(own),
            cluster: Mutex::new(cluster),
            known,
            network: network.clone(),
            book,
            members_changed,
            members: Mutex::default(),
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
        inside.note_members();
        inside.dial_all()?;
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
        let leads = |cluster: &Cluster<M>| cluster.status(node).and_then(|status| status.led());
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
                "it belongs to cluster {}, {} to cluster {}",
                hello.cluster, own.node, apart.cluster
            ));
        }
        if expects != own.node {
            return Some(format!("it looks for {expects}, and {} is here", own.node));
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

    fn met(&self, node: NodeId, address: &HostPort) {
        let mut dialers = self.dialers.lock();
        self.book.note(Source::Itself, node, address.clone());
        match self.dial(&mut dialers, node) {
            Ok(()) => dialers.get(&node).into_iter().for_each(Dialer::wake),
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
