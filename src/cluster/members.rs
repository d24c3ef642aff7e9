//! Changes of the members, as methods for programs (section 6).

use std::time::Duration;

use super::Cluster;
use crate::lab::members::{ChangeDone, Members, MembersError, change_members};
use crate::raft::membership::request::Change;
use crate::server::Server;
use crate::state_machine::StateMachine;
use crate::types::NodeId;

/// How long a change is waited for. A new voter is sent the whole log, or a snapshot, first.
const PATIENCE: Duration = Duration::from_secs(30);

/// Changes of the members, while the cluster serves. Each waits for its end, and says which members there are then. No call
/// of a client fails because of one, and every client learns of new nodes by itself.
///
/// How a change comes along is told to an observer ([`Builder::observer`](crate::Builder::observer)): the events
/// `Members..` of [`Event`](crate::events::Event).
///
/// ```
/// use std::time::Duration;
///
/// use raftlab::kv::Command;
/// use raftlab::membership::{ChangeError, MembersError};
/// use raftlab::{Cluster, NodeId};
///
/// let n = NodeId::new;
/// let mut cluster = Cluster::builder().nodes(3).memory().start()?;
/// let client = cluster.client().with_timeout(Duration::from_secs(20));
/// client.submit(Command::put("x", "1"))?;
///
/// cluster.add(n(4))?;
/// cluster.replace(n(1), n(5))?;
/// let members = cluster.members().expect("a node leads");
/// assert_eq!(members.voters(), [2, 3, 4, 5].map(n));
///
/// // n1 runs on with its files until it is stopped, and is one of the nodes until it is forgotten.
/// assert_eq!(cluster.nodes(), [1, 2, 3, 4, 5].map(n));
/// cluster.stop(n(1))?;
/// cluster.forget(n(1))?;
///
/// // The leader may be removed, too.
/// let leader = cluster.wait_until_leader(Duration::from_secs(10)).expect("a leader in time");
/// let done = cluster.remove(leader)?;
/// assert!(!done.configuration.contains(leader));
///
/// let refused = cluster.remove(leader).expect_err("it is no member any more");
/// assert!(matches!(refused, MembersError::Refused(ChangeError::NoMember(..))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<M: StateMachine> Cluster<M> {
    /// The members, as the leader knows them; none while no node leads. [`Cluster::nodes`] are the nodes that there are,
    /// members or not.
    pub fn members(&self) -> Option<Members> {
        let leader = self.leader()?;
        let view = self.slots.get(&leader)?.node.as_ref()?.inspect(Server::members_view)?;
        Members::of(leader, view)
    }

    /// Starts a new node on new files and takes it in: it votes once it has caught up. What an earlier node left under the
    /// name is wiped.
    ///
    /// # Errors
    /// It is a member, a node of this name runs, or see [`MembersError`].
    pub fn add(&mut self, node: NodeId) -> Result<ChangeDone, MembersError> {
        self.change(Change::Add { new: node, learner: false }, false, PATIENCE)
    }

    /// Starts a new node on new files and takes it in without a vote: it is sent the log until [`Cluster::promote`] lets it
    /// vote.
    ///
    /// # Errors
    /// As [`Cluster::add`].
    pub fn add_learner(&mut self, node: NodeId) -> Result<ChangeDone, MembersError> {
        self.change(Change::Add { new: node, learner: true }, false, PATIENCE)
    }

    /// Leaves a node out, the leader too. The node runs on, with its files, and takes part in nothing: [`Cluster::stop`] ends
    /// it, [`Cluster::forget`] takes it from the nodes. A leader that is removed hands over.
    ///
    /// # Errors
    /// It is no member or the last voter, too few of the others answer, or see [`MembersError`].
    pub fn remove(&mut self, node: NodeId) -> Result<ChangeDone, MembersError> {
        self.change(Change::Remove(node), false, PATIENCE)
    }

    /// Takes a new node in and leaves another out, in one step: meanwhile the cluster tolerates as many faults as before.
    ///
    /// # Errors
    /// As [`Cluster::add`] and [`Cluster::remove`].
    pub fn replace(&mut self, old: NodeId, new: NodeId) -> Result<ChangeDone, MembersError> {
        self.change(Change::Replace { old, new }, false, PATIENCE)
    }

    /// Lets a learner vote once it has caught up.
    ///
    /// # Errors
    /// It is no learner, or see [`MembersError`].
    pub fn promote(&mut self, node: NodeId) -> Result<ChangeDone, MembersError> {
        self.change(Change::Promote(node), false, PATIENCE)
    }

    /// Makes a voter a learner.
    ///
    /// # Errors
    /// It is no voter or the last one, too few of the others answer, or see [`MembersError`].
    pub fn demote(&mut self, node: NodeId) -> Result<ChangeDone, MembersError> {
        self.change(Change::Demote(node), false, PATIENCE)
    }

    /// Says which node leads whenever it can, or that none is preferred: a leader hands over to it once it has answered ten
    /// heartbeats in a row.
    ///
    /// # Errors
    /// It is no voter, or see [`MembersError`].
    pub fn prefer(&mut self, node: Option<NodeId>) -> Result<ChangeDone, MembersError> {
        self.change(Change::Prefer(node), false, PATIENCE)
    }

    /// Takes the change back that is under way.
    ///
    /// # Errors
    /// None is under way, it is too late, or see [`MembersError`].
    pub fn cancel_change(&mut self) -> Result<ChangeDone, MembersError> {
        self.change(Change::Cancel, false, PATIENCE)
    }

    /// Makes a change and waits for its end, this long. With `force` it begins although too few voters answer: nothing is
    /// committed then until enough of them are back.
    ///
    /// # Errors
    /// It was refused, or is under way still when the time is over: then it continues.
    pub fn change(
        &mut self,
        change: Change<NodeId>,
        force: bool,
        timeout: Duration,
    ) -> Result<ChangeDone, MembersError> {
        change_members(self, change, force, timeout)
    }
}
