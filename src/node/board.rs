//! What a node shows of itself while it runs and after it has ended, and who is woken when that changes.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::leadership::Leaders;
use super::measures::{Measures, Meters};
use crate::server::{EndReason, Status};
use crate::types::NodeId;

/// Wakes those who wait for a change in any node of a cluster.
#[derive(Debug, Default)]
pub struct Changes(RwLock<Vec<Sender<()>>>);

/// The boards of a cluster's nodes, of those that run and those that have ended.
#[derive(Debug, Default)]
pub struct Boards(Mutex<BTreeMap<NodeId, Arc<Board>>>);

/// One node's board. It outlives the node's thread.
#[derive(Debug)]
pub struct Board {
    node: NodeId,
    pub(super) meters: Arc<Meters>,
    shown: Mutex<Content>,
    changes: Arc<Changes>,
    leaders: Arc<Leaders>,
}

#[derive(Debug, Default)]
struct Content {
    status: Status,
    ended: Option<Ended>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    pub why: EndReason,
    /// What its disk had not taken, though it was handed over.
    pub lost: Losses,
}

/// What had been handed to a disk that did not take it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    pub entries: usize,
    pub hard_states: usize,
}

impl Changes {
    /// Wakes the listeners. One that has not looked since the last change is not woken twice.
    pub fn announce(&self) {
        let mut gone = false;
        for listener in &*self.0.read() {
            gone |= matches!(listener.try_send(()), Err(TrySendError::Disconnected(())));
        }
        if gone {
            // A full channel has a receiver; this finds those that have none.
            self.0
                .write()
                .retain(|listener| !matches!(listener.try_send(()), Err(TrySendError::Disconnected(()))));
        }
    }

    /// Becomes ready when something has changed since it was last received from.
    pub fn listen(&self) -> Receiver<()> {
        let (sender, receiver) = bounded(1);
        self.0.write().push(sender);
        receiver
    }
}

impl Boards {
    /// A node starts, in place of an earlier one of its name.
    pub(super) fn add(&self, board: Arc<Board>) {
        self.0.lock().insert(board.node, board);
    }

    /// There is no node of this name any more.
    pub fn remove(&self, node: NodeId) {
        self.0.lock().remove(&node);
    }

    /// What each node knows; none for one that has ended.
    pub fn statuses(&self) -> BTreeMap<NodeId, Option<Status>> {
        let shown = |board: &Arc<Board>| board.ended().is_none().then(|| board.status());
        self.0.lock().iter().map(|(node, board)| (*node, shown(board))).collect()
    }

    /// What each node that runs has measured since it started.
    pub fn measures(&self) -> BTreeMap<NodeId, Measures> {
        let boards = self.0.lock();
        let running = boards.iter().filter(|(_, board)| board.ended().is_none());
        running.map(|(node, board)| (*node, board.meters.read())).collect()
    }
}

impl Board {
    /// The board of a node that starts with this status.
    pub fn new(node: NodeId, status: Status, changes: Arc<Changes>, leaders: Arc<Leaders>) -> Board {
        let shown = Mutex::new(Content { status, ended: None });
        Board { node, meters: Arc::default(), shown, changes, leaders }
    }

    /// What the node knew when it last looked.
    pub fn status(&self) -> Status {
        self.shown.lock().status
    }

    /// How it ended; none while it runs.
    pub fn ended(&self) -> Option<Ended> {
        self.shown.lock().ended.clone()
    }

    pub(super) fn show(&self, status: Status) {
        let before = std::mem::replace(&mut self.shown.lock().status, status);
        if before.led() != status.led() {
            self.leaders.leads(self.node, status.led());
        }
        if before != status {
            self.changes.announce();
        }
    }

    /// The node has ended, and nothing of it is left but its files.
    pub(super) fn end(&self, ended: Ended) {
        self.shown.lock().ended = Some(ended);
        self.leaders.leads(self.node, None);
        self.changes.announce();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::types::LogIndex;

    #[test]
    fn each_listener_hears_of_a_change_once() {
        let changes = Arc::new(Changes::default());
        let (one, other) = (changes.listen(), changes.listen());
        let board = {
            let leaders = Arc::new(Leaders::new(Clock::start()));
            Board::new(NodeId::new(1), Status::default(), Arc::clone(&changes), leaders)
        };
        board.show(Status::default());
        assert!(one.try_recv().is_err(), "nothing changed");
        board.show(Status { commit: LogIndex(1), ..Status::default() });
        board.show(Status { commit: LogIndex(2), ..Status::default() });
        for listener in [&one, &other] {
            assert!(listener.try_recv().is_ok() && listener.try_recv().is_err());
        }
        drop(one);
        board.show(Status { commit: LogIndex(3), ..Status::default() });
        assert_eq!(changes.0.read().len(), 1, "who is gone is forgotten");
        assert!(other.try_recv().is_ok());
    }
}
