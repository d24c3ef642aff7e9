//! Clients of a cluster of processes: one connection to each node, shared by all clients of this process.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};

use derive_more::Debug;
use parking_lot::Mutex;

use super::RemoteCluster;
use super::node_link::OnNodes;
use crate::client::{Client, ClientCore, ClientSettings, SharedNodes};
use crate::clock::{Clock, LogicalClock};
use crate::cluster::entropy;
use crate::config::RaftSettings;
use crate::links::{AddressBook, Dialer, LinkEvent, Lives, Notices, Target, Traffic};
use crate::net::Transport;
use crate::net::inbox::inbox;
use crate::net::router::{Router, RouterHandle, RouterSettings};
use crate::protocol::{Address, Envelope, Packet};
use crate::types::{Addresses, ClientId, HostPort, NodeId, Random};
use crate::wire::{Caller, PEER_BYTES_MAX};

/// The links of a process's clients.
#[derive(Debug)]
pub struct RemoteClients {
    inside: Arc<Inside>,
    router: Router,
}

#[derive(Debug)]
struct Inside {
    remote: RemoteCluster,
    clock: Clock,
    network: RouterHandle,
    nodes: SharedNodes,
    book: Arc<AddressBook>,
    dialers: Mutex<BTreeMap<NodeId, Dialer>>,
    /// Those who are told when a connection breaks.
    clients: Mutex<Vec<(ClientId, Weak<()>)>>,
    notices: Arc<Notices>,
    #[debug(skip)]
    this: Weak<Inside>,
}

impl RemoteClients {
    /// Starts a link to each node that is known.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(remote: RemoteCluster, notices: Arc<Notices>) -> io::Result<RemoteClients> {
        let clock = Clock::start();
        let nodes: Vec<NodeId> = remote.addresses.keys().copied().collect();
        // No fault is decided here: the nodes decide those of their clients.
        let settings = RouterSettings {
            inbox_max: remote.settings.inbox_router,
            inbox_bytes_max: remote.settings.inbox_router_bytes,
            express: true,
            ..RouterSettings::default()
        };
        let router = Router::start(&nodes, &settings, clock, Random::new(entropy()))?;
        let inside = Arc::new_cyclic(|this| Inside {
            clock,
            network: router.handle(),
            nodes: SharedNodes::new(nodes.clone()),
            book: Arc::new(AddressBook::new(&remote.addresses)),
            dialers: Mutex::default(),
            clients: Mutex::default(),
            notices,
            this: this.clone(),
            remote,
        });
        nodes.into_iter().try_for_each(|node| inside.dial(node))?;
        Ok(RemoteClients { inside, router })
    }

    /// A client of its own, for any thread.
    pub fn client<M>(&self) -> Client<M> {
        self.client_for(&self.inside.remote.settings.scaled().raft)
    }

    /// What makes clients while another has these.
    pub(super) fn client_maker<M>(&self) -> impl Fn() -> Client<M> + Send + Sync + use<M> {
        let inside = Arc::clone(&self.inside);
        move || inside.client_for(&inside.remote.settings.scaled().raft)
    }

    /// A client that waits as suits nodes with these settings.
    pub(super) fn client_for<M>(&self, raft: &RaftSettings) -> Client<M> {
        self.inside.client_for(raft)
    }

    pub fn clock(&self) -> Clock {
        self.inside.clock
    }

    /// The nodes that have been heard of.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.inside.nodes.now()
    }

    /// Takes what a node says of where nodes are.
    pub(super) fn listener(&self) -> OnNodes {
        let inside = Arc::downgrade(&self.inside);
        Box::new(move |teller, nodes| {
            if let Some(inside) = inside.upgrade() {
                inside.learn(teller, nodes);
            }
        })
    }

    /// The book in which it stands where nodes are.
    pub(super) fn book(&self) -> Arc<AddressBook> {
        Arc::clone(&self.inside.book)
    }

    /// A node has said where it is, and is there.
    pub(super) fn tell(&self, node: NodeId, address: &HostPort) {
        self.inside.learn(node, &[(node, address.clone())].into());
        self.inside.dialers.lock().get(&node).into_iter().for_each(Dialer::wake);
    }

    /// Closes all links. Calls under way end.
    pub fn stop(self) {
        self.inside.dialers.lock().clear();
        self.router.stop();
    }
}

impl Inside {
    fn client_for<M>(&self, raft: &RaftSettings) -> Client<M> {
        let Inside { remote, clock, network, nodes, clients, .. } = self;
        let settings = remote.settings.scaled();
        let id = ClientId(entropy() >> 16);
        let (sender, inbox) = inbox(settings.inbox_client, settings.inbox_client_bytes);
        let receiver = sender.receiver();
        network.register(Address::Client(id), sender);
        let mut clients = clients.lock();
        // Those that are gone are forgotten.
        clients.retain(|(_, receiver)| receiver.strong_count() > 0);
        clients.push((id, receiver));
        drop(clients);
        let patience = ClientSettings::suited_to(raft);
        let core = ClientCore::new(id, nodes.now(), patience, Random::new(entropy()));
        Client::new(core, network.clone(), inbox, *clock)
            .following(nodes.clone())
            .with_timeout(settings.client_timeout)
    }

    fn dial(&self, node: NodeId) -> io::Result<()> {
        let mut dialers = self.dialers.lock();
        if dialers.contains_key(&node) {
            return Ok(());
        }
        let hello = self.remote.hello(Caller::Client { expects: node });
        let hello = move || hello.clone();
        let this = self.this.clone();
        let told = move |event: LinkEvent| {
            let Some(inside) = this.upgrade() else { return };
            match event {
                LinkEvent::Up(welcome) => inside.learn(welcome.member.node, &welcome.nodes),
                LinkEvent::Nodes(nodes) => inside.learn(node, &nodes),
                LinkEvent::Lost => inside.connection_lost(node),
                LinkEvent::Unreached => {}
            }
        };
        let bytes = self.remote.settings.inbox_node_bytes;
        let target = Target {
            node,
            book: Arc::clone(&self.book),
            hello: Box::new(hello),
            traffic: Traffic::Envelopes {
                clock: LogicalClock::default(),
                network: self.network.clone(),
                inbox: (self.remote.settings.inbox_node, bytes),
                // A list of all keys may be long.
                frame_max: PEER_BYTES_MAX,
                answers: true,
                told: Box::new(told),
            },
            notices: Arc::clone(&self.notices),
            security: self.remote.security.clone(),
            lives: Lives::default(),
        };
        dialers.insert(node, Dialer::start(target, entropy())?);
        Ok(())
    }

    /// A node says where it knows nodes to be.
    fn learn(&self, teller: NodeId, nodes: &Addresses) {
        let mut known = self.nodes.now();
        let before = known.len();
        self.book.hear(teller, nodes);
        for node in nodes.keys() {
            if !known.contains(node) && self.dial(*node).is_ok() {
                known.push(*node);
                self.network.add_node(*node);
            }
        }
        if known.len() > before {
            known.sort_unstable();
            self.nodes.change(known);
        }
    }

    /// All clients hear of it, so that those who wait for the node ask elsewhere.
    fn connection_lost(&self, node: NodeId) {
        for (client, _) in self.clients.lock().iter() {
            let (from, to) = (Address::Node(node), Address::Client(*client));
            self.network.send(&mut vec![Envelope::new(from, to, Packet::ConnectionLost)]);
        }
    }
}
