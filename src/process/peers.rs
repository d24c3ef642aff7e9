//! The links to the other nodes, and where those are.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Dialers, Inside};
use crate::cluster::entropy;
use crate::lab::Lab;
use crate::links::{Dialer, LinkEvent, Source, Target, Traffic};
use crate::raft::event::Event;
use crate::server::MembersView;
use crate::state_machine::StateMachine;
use crate::trace::{TraceEvent, What};
use crate::types::{Addresses, Epoch, Member, NodeId};
use crate::wire::{Caller, Hello, PEER_BYTES_MAX, VERSIONS};

/// Notes that the node uses other members after this event, as it may.
pub(super) fn note_event(members_changed: &AtomicBool, event: &TraceEvent) {
    if let What::Raft(
        Event::MembersProposed { .. }
        | Event::MembersAppended { .. }
        | Event::MembersTruncated { .. }
        | Event::SnapshotInstalled { .. },
    ) = &event.what
    {
        members_changed.store(true, Ordering::Release);
    }
}

impl<M: StateMachine> Inside<M> {
    /// Keeps a link to this node from now on.
    pub(super) fn dial(&self, dialers: &mut Dialers, node: NodeId) -> io::Result<()> {
        if dialers.contains_key(&node) {
            return Ok(());
        }
        if self.known.hear_of(node) {
            // The rules that are held may name it.
            self.apply(&mut self.rules.lock());
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
            let Some(inside) = this.upgrade() else { return };
            match event {
                LinkEvent::Up(welcome) => inside.learn(node, &welcome.nodes),
                LinkEvent::Unreached => inside.forget_stranger(node),
                LinkEvent::Nodes(_) | LinkEvent::Lost => {}
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
    fn learn(&self, teller: NodeId, nodes: &Addresses) {
        self.book.hear(teller, nodes);
        let _ = self.dial_all();
    }

    /// Where the members are stands in the newest configuration of the node's log.
    pub(super) fn note_members(&self) {
        if self.members_changed.swap(false, Ordering::AcqRel)
            && let view = self.cluster.lock().members_view(self.place.apart.node)
            && let Ok(MembersView { newest: Some(newest), .. }) = view
        {
            self.book.note_all(Source::Members, &newest.configuration.addresses);
            *self.members.lock() = newest.configuration.nodes();
            let _ = self.dial_all();
        }
    }

    /// A node that is no member and cannot be reached has left, and is forgotten until it calls.
    fn forget_stranger(&self, node: NodeId) {
        let mut dialers = self.dialers.lock();
        let members = self.members.lock();
        if !members.is_empty() && !members.contains(&node) && !self.lives.has(node) {
            dialers.remove(&node);
            self.book.forget(node);
            self.known.forget(node);
        }
    }

    /// Keeps a link to each node whose address is known. Those without a thread are tried again.
    pub(super) fn dial_all(&self) -> io::Result<()> {
        let mut dialers = self.dialers.lock();
        let others = self.book.all().into_keys().filter(|node| *node != self.place.apart.node);
        others.map(|node| self.dial(&mut dialers, node)).fold(Ok(()), io::Result::and)
    }
}
