//! What the members say of themselves, each asked by a thread of its own, so that one that hangs delays no other.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use serde::Deserialize;

use super::gateway::{Failure, Gateway};
use super::requests::{Header, Number};
use crate::clock::Clock;
use crate::cluster::Leadership;
use crate::node::Leaders;
use crate::types::{LogIndex, NodeId, Term, Time};

/// How often a member is asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long it may take to answer: it asks no other for that.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks the members until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    /// Dropped, it ends the threads.
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    addresses: Arc<[String]>,
    leaders: Leaders,
    seen: Mutex<Vec<Seen>>,
    changed: Sender<()>,
}

/// What was heard of a member last.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Its newest answer.
    pub status: Option<MemberStatus>,
    /// When that came.
    pub at: Time,
    /// Why the newest question has no answer.
    pub trouble: Option<Failure>,
}

/// A member's answer.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(super) struct MemberStatus {
    header: Header,
    version: String,
    /// The member that it follows; zero when it knows none.
    #[serde(default)]
    leader: Number,
    #[serde(default, rename = "raftIndex")]
    index: Number,
    #[serde(default, rename = "raftTerm")]
    term: Number,
    #[serde(default, rename = "raftAppliedIndex")]
    applied: Number,
}

impl MemberStatus {
    pub fn member(&self) -> Number {
        self.header.member_id
    }

    pub fn leader(&self) -> Option<Number> {
        Some(self.leader).filter(|leader| leader.0 > 0)
    }

    pub fn leads(&self) -> bool {
        self.leader == self.member()
    }

    pub fn term(&self) -> Term {
        Term(self.term.0)
    }

    pub fn commit(&self) -> LogIndex {
        LogIndex(self.index.0)
    }

    pub fn applied(&self) -> LogIndex {
        LogIndex(self.applied.0)
    }

    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Watch {
    /// Begins to ask the members at these addresses. Whenever something was heard, the channel becomes ready.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(clock: Clock, addresses: Arc<[String]>) -> std::io::Result<(Watch, Receiver<()>)> {
        let (changed, hears) = bounded(1);
        let (stop, stopped) = bounded::<()>(0);
        let (leaders, seen) = (Leaders::new(clock), Mutex::new(vec![Seen::default(); addresses.len()]));
        let shared = Arc::new(Shared { clock, addresses, leaders, seen, changed });
        let mut watch = Watch { shared, stop: Some(stop), threads: Vec::new() };
        for (member, node) in watch.nodes().into_iter().enumerate() {
            let (shared, stopped) = (Arc::clone(&watch.shared), stopped.clone());
            let thread = thread::Builder::new().name(format!("{node}-status"));
            watch.threads.push(thread.spawn(move || shared.ask(member, node, &stopped))?);
        }
        Ok((watch, hears))
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        let count = self.shared.addresses.len();
        NodeId::first(u8::try_from(count).expect("as many members as nodes at most"))
    }

    pub fn leadership(&self) -> Leadership {
        self.shared.leaders.listen()
    }

    pub fn seen(&self, node: NodeId) -> Seen {
        let seen = self.shared.seen.lock();
        seen.get(usize::from(node.number()) - 1).cloned().unwrap_or_default()
    }

    /// The node with this number of a member, if it has said so.
    pub fn node_of(&self, member: Number) -> Option<NodeId> {
        let is_it = |node: &NodeId| self.seen(*node).status.is_some_and(|status| status.member() == member);
        self.nodes().into_iter().find(is_it)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    fn ask(&self, member: usize, node: NodeId, stopped: &Receiver<()>) {
        let gateway = Gateway::new();
        loop {
            let asked =
                gateway.ask::<MemberStatus>(&self.addresses[member], "maintenance/status", "{}", PATIENCE);
            let led = asked.as_ref().ok().filter(|status| status.leads()).map(MemberStatus::term);
            let now = self.clock.now();
            {
                let seen = &mut self.seen.lock()[member];
                match asked {
                    Ok(status) => *seen = Seen { status: Some(status), at: now, trouble: None },
                    Err(failure) => seen.trouble = Some(failure),
                }
            }
            self.leaders.leads(node, led);
            let _ = self.changed.try_send(());
            if stopped.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }
}
