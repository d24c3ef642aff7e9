//! The router's handle: how other threads send and give orders.

use crossbeam_channel::{Sender, bounded};
use derive_more::Debug;

use super::Transport;
use super::counts::LinkCounts;
use super::inbox::{Inbox, NotSent};
use super::lanes::Routes;
use crate::faults::{End, Fate, NetChange, NetError};
use crate::protocol::{Address, Envelope};
use crate::types::NodeId;
use std::sync::Arc;

/// Sees each message and its fate, on the router thread: it must be quick. A message that was let through may be lost
/// at its destination (queue full, destination down): then it is seen a second time, with that fate.
pub type Observer = Box<dyn Fn(&Envelope, &Fate) + Send>;

/// Sends through the router and changes its rules. Clones reach the same router.
///
/// After the router has stopped, messages are lost, changes are refused, and the rest does nothing.
#[derive(Clone, Debug)]
#[debug("RouterHandle({} waiting)", inbox.len())]
pub struct RouterHandle {
    pub(super) inbox: Inbox,
    pub(super) control: Sender<Control>,
    pub(super) routes: Arc<Routes>,
}

/// What the router is asked to do, with the way back for the answer.
pub(super) enum Control {
    Apply(NetChange, Sender<Result<String, NetError>>),
    Rules(Sender<Vec<NetChange>>),
    Counts(Sender<Vec<(End, End, LinkCounts)>>),
    AddNode(NodeId, Sender<()>),
    RemoveNode(NodeId, Sender<()>),
    Register(Address, Inbox, Sender<()>),
    Unregister(Address, Sender<()>),
    Observe(Option<Observer>, Sender<()>),
    Stop,
}

impl RouterHandle {
    /// Makes the change and says what it did. It is in force for everything that is sent afterwards.
    ///
    /// # Errors
    ///
    /// When the cluster cannot have the change, or the router has stopped.
    pub fn apply(&self, change: NetChange) -> Result<String, NetError> {
        self.ask(|answer| Control::Apply(change, answer)).unwrap_or(Err(NetError::Stopped))
    }

    pub fn rules(&self) -> Vec<NetChange> {
        self.ask(Control::Rules).unwrap_or_default()
    }

    /// The numbers of each link that was used, ordered by its ends.
    pub fn counts(&self) -> Vec<(End, End, LinkCounts)> {
        self.ask(Control::Counts).unwrap_or_default()
    }

    /// Messages that were ever sent, by nodes that are gone, too.
    pub fn ever_sent(&self) -> u64 {
        self.routes.counts.ever_sent()
    }

    /// The cluster has this node from now on: rules of whole classes of links hold for its links, and they are counted.
    pub fn add_node(&self, node: NodeId) {
        let _ = self.ask(|answer| Control::AddNode(node, answer));
    }

    /// The cluster does not have this node any more: the rules and numbers of its links are gone.
    pub fn remove_node(&self, node: NodeId) {
        let _ = self.ask(|answer| Control::RemoveNode(node, answer));
    }

    /// Another process has this node from now on: what it counts of the links begins at zero.
    pub fn note_new_life(&self, node: NodeId) {
        self.routes.counts.note_new_life(node);
    }

    /// From now on, what is sent to this address goes to this inbox. Replaces an earlier inbox.
    pub fn register(&self, address: Address, inbox: Inbox) {
        let _ = self.ask(|answer| Control::Register(address, inbox, answer));
    }

    /// From now on, this address has no receiver: messages to it are lost, and requests are answered as
    /// unreachable.
    pub fn unregister(&self, address: Address) {
        let _ = self.ask(|answer| Control::Unregister(address, answer));
    }

    /// Shows every message that reaches the router, and its fate, to this observer, until it is replaced. The express lanes are
    /// closed while there is one, so all messages go to the router. Those that its full inbox cannot take are counted and not
    /// shown.
    pub fn observe(&self, observer: Option<Observer>) {
        let _ = self.ask(|answer| Control::Observe(observer, answer));
    }

    /// Waits for the answer; none when the router has stopped.
    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Control) -> Option<T> {
        let (sender, answer) = bounded(1);
        self.control.send(request(sender)).ok()?;
        answer.recv().ok()
    }
}

impl Transport for RouterHandle {
    fn send(&self, envelopes: &mut Vec<Envelope>) {
        if let Some(lanes) = &self.routes.lanes {
            lanes.read().send(&self.routes.counts, envelopes);
        }
        if envelopes.is_empty() {
            return;
        }
        match self.inbox.try_send(std::mem::take(envelopes)) {
            Ok(()) => {}
            Err(NotSent::Full(lost) | NotSent::Closed(lost)) => {
                self.routes.counts.sent(&lost);
                self.routes.counts.dropped(&lost);
            }
        }
    }

    fn dropped_by_receiver(&self, envelope: &Envelope) {
        self.routes.counts.dropped_by_receiver(envelope);
    }
}
