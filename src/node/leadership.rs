//! Tells listeners of each change of a cluster's leader.
//!
//! Each node's board reports when the node begins or ceases to lead. Of several nodes that think they lead, the one of the
//! newest term does, and an earlier term never leads again. Telling never blocks a node: a listener that falls behind
//! loses its oldest changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use derive_more::Debug;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::types::{NodeId, Term, Time};

/// The most changes that wait for a listener.
const CHANGES_MAX: usize = 256;

/// Another node leads than before, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeadershipChange {
    pub kind: LeadershipKind,
    /// The node that leads now; when leadership was lost, the one that led last.
    pub node: NodeId,
    /// The term that it leads, or led.
    pub term: Term,
    /// When the change was noticed.
    pub time: Time,
}

/// What happened to the leadership.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LeadershipKind {
    /// There was no leader, and this node leads.
    Gained,
    /// This node took over while another still thought that it led, or began a new term itself.
    Changed {
        /// Who led before.
        before: NodeId,
    },
    /// This node led, and no node does.
    Lost,
}

/// The changes of a cluster's leader, beginning with the leader that there is. It ends with the cluster.
///
/// At most 256 changes wait to be received; then the oldest are lost, so the last one received is always the newest.
#[derive(Debug)]
#[debug("Leadership({} waiting)", changes.len())]
pub struct Leadership {
    changes: Receiver<LeadershipChange>,
    /// Shows the sender that the listener still exists.
    _listening: Arc<()>,
}

/// Gathers who leads from the boards of all nodes, and tells the listeners.
#[derive(Debug)]
pub struct Leaders {
    clock: Clock,
    seen: Mutex<ClusterView>,
}

#[derive(Debug, Default)]
struct ClusterView {
    /// The nodes that think they lead, with their terms.
    leading: BTreeMap<NodeId, Term>,
    /// The newest term that was led.
    newest: Term,
    told: Option<LeadershipChange>,
    listeners: Vec<Listener>,
    closed: bool,
}

#[derive(Debug)]
struct Listener {
    sender: Sender<LeadershipChange>,
    /// The same channel's other end, to make room by taking out the oldest.
    oldest: Receiver<LeadershipChange>,
    listening: Weak<()>,
}

impl Leadership {
    /// The channel, for a `select!` or a wait with a deadline.
    pub fn receiver(&self) -> &Receiver<LeadershipChange> {
        &self.changes
    }
}

impl Iterator for Leadership {
    type Item = LeadershipChange;

    /// Waits for the next change; none when the cluster has ended.
    fn next(&mut self) -> Option<LeadershipChange> {
        self.changes.recv().ok()
    }
}

impl Leaders {
    /// Of a cluster without a leader.
    pub fn new(clock: Clock) -> Leaders {
        Leaders { clock, seen: Mutex::default() }
    }

    /// The changes from now on.
    pub fn listen(&self) -> Leadership {
        let (sender, changes) = bounded(CHANGES_MAX);
        let listening = Arc::new(());
        let mut seen = self.seen.lock();
        if let Some(told) = seen.told.filter(|told| told.kind != LeadershipKind::Lost) {
            let _ = sender.try_send(LeadershipChange { kind: LeadershipKind::Gained, ..told });
        }
        if !seen.closed {
            let (oldest, listening) = (changes.clone(), Arc::downgrade(&listening));
            seen.listeners.push(Listener { sender, oldest, listening });
        }
        Leadership { changes, _listening: listening }
    }

    /// The cluster has ended: the listeners are told nothing more.
    pub fn close(&self) {
        let mut seen = self.seen.lock();
        seen.closed = true;
        seen.listeners.clear();
    }

    /// From now on this node leads this term, or none.
    pub fn leads(&self, node: NodeId, term: Option<Term>) {
        let mut seen = self.seen.lock();
        match term {
            Some(term) => drop(seen.leading.insert(node, term)),
            None => drop(seen.leading.remove(&node)),
        }
        seen.newest = seen.newest.max(term.unwrap_or_default());
        let newest = seen.newest;
        let now = seen.leading.iter().find(|(_, term)| **term == newest).map(|(node, term)| (*node, *term));
        let before = seen.told.filter(|told| told.kind != LeadershipKind::Lost);
        let (kind, node, term) = match (before, now) {
            (None, Some((node, term))) => (LeadershipKind::Gained, node, term),
            (Some(before), Some((node, term))) if (before.node, before.term) != (node, term) => {
                (LeadershipKind::Changed { before: before.node }, node, term)
            }
            (Some(before), None) => (LeadershipKind::Lost, before.node, before.term),
            (Some(_), Some(_)) | (None, None) => return,
        };
        let change = LeadershipChange { kind, node, term, time: self.clock.now() };
        seen.told = Some(change);
        seen.listeners.retain(|listener| listener.tell(change));
    }
}

impl Listener {
    /// Tells this listener. False if it is gone.
    fn tell(&self, change: LeadershipChange) -> bool {
        while let Err(TrySendError::Full(_)) = self.sender.try_send(change) {
            let _ = self.oldest.try_recv();
        }
        self.listening.strong_count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(leadership: &Leadership) -> Vec<(LeadershipKind, u8, u64)> {
        let changes = leadership.receiver().try_iter();
        changes.map(|change| (change.kind, change.node.number(), change.term.0)).collect()
    }

    #[test]
    fn the_newest_term_leads_and_an_old_one_never_again() {
        let leaders = Leaders::new(Clock::start());
        let heard = leaders.listen();
        let [n1, n2] = [1, 2].map(NodeId::new);
        leaders.leads(n1, Some(Term(1)));
        leaders.leads(n2, Some(Term(2)));
        leaders.leads(n2, None);
        let before = n1;
        let expected = vec![
            (LeadershipKind::Gained, 1, 1),
            (LeadershipKind::Changed { before }, 2, 2),
            (LeadershipKind::Lost, 2, 2),
        ];
        assert_eq!(told(&heard), expected, "though n1 has not heard of term 2 yet");
        leaders.leads(n1, None);
        assert!(told(&heard).is_empty());
        leaders.leads(n1, Some(Term(3)));
        assert_eq!(told(&heard), told(&leaders.listen()), "a late listener hears who leads");
        leaders.close();
        let mut heard = heard;
        assert_eq!((heard.next(), leaders.listen().next().map(|change| change.node)), (None, Some(n1)));
    }

    #[test]
    fn a_listener_who_falls_behind_loses_the_oldest_and_one_who_is_gone_is_forgotten() {
        let leaders = Leaders::new(Clock::start());
        let (slow, gone) = (leaders.listen(), leaders.listen());
        drop(gone);
        let last = CHANGES_MAX as u64 + 10;
        for term in 1..=last {
            leaders.leads(NodeId::new(1), Some(Term(term)));
        }
        let terms: Vec<u64> = told(&slow).into_iter().map(|(_, _, term)| term).collect();
        assert_eq!(terms, (11..=last).collect::<Vec<_>>());
        assert_eq!(leaders.seen.lock().listeners.len(), 1);
    }
}
