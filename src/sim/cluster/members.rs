//! Changes of the members and transfers of the leadership, in virtual time.

use std::time::Duration;

use super::SimulatedCluster;
use crate::lab::members::{ChangeDone, Members, MembersError, change_members};
use crate::lab::transfer::hand_over;
use crate::lab::{Lab, LabError};
use crate::raft::membership::request::Change;
use crate::state_machine::StateMachine;
use crate::types::NodeId;

/// How long a change is waited for, in virtual time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Changes of the members, as [`Cluster`](crate::Cluster) has them. Each lets time pass until it ends; calls that were begun
/// before continue meanwhile.
///
/// ```
/// use std::time::Duration;
///
/// use raftlab::NodeId;
/// use raftlab::kv::{Command, KeyValue};
/// use raftlab::membership::Change;
/// use raftlab::simulation::{Request, SimulatedCluster, SimulationSettings};
///
/// let n = NodeId::new;
/// let mut cluster = SimulatedCluster::new(SimulationSettings::new(3, 7), KeyValue::default);
/// let client = cluster.add_client();
/// cluster.call(client, Request::Command(Command::put("x", "0")));
///
/// cluster.begin(client, Request::Command(Command::put("x", "1")));
/// cluster.add(n(4))?;
/// cluster.replace(n(1), n(5))?;
/// cluster.change(Change::Demote(n(2)), false)?;
/// let leader = cluster.transfer(None)?;
/// cluster.remove(leader)?;
/// let members = cluster.members().expect("a node leads");
/// assert_eq!((members.voters().len(), members.learners()), (2, vec![n(2)]));
///
/// cluster.run_for(Duration::from_secs(1));
/// assert_eq!(cluster.violations(), Vec::<String>::new());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<M> SimulatedCluster<M>
where
    M: StateMachine<Command: Clone, Query: Clone, Answer: Clone + PartialEq>,
{
    /// The nodes that there are, members or not.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.simulation.nodes()
    }

    /// The members, as the leader knows them; none while no node leads.
    pub fn members(&mut self) -> Option<Members> {
        let leader = self.leader()?;
        let view = self.simulation.members_view(leader).ok()?;
        Members::of(leader, view)
    }

    /// Starts a new node on an empty disk and takes it in: it votes once it has caught up.
    ///
    /// # Errors
    /// It is a member, a node of this name runs, or see [`MembersError`].
    pub fn add(&mut self, node: NodeId) -> Result<ChangeDone, MembersError> {
        self.change(Change::Add { new: node, learner: false }, false)
    }

    /// Leaves a node out, the leader too. It runs on, and takes part in nothing.
    ///
    /// # Errors
    /// It is no member or the last voter, too few of the others answer, or see [`MembersError`].
    pub fn remove(&mut self, node: NodeId) -> Result<ChangeDone, MembersError> {
        self.change(Change::Remove(node), false)
    }

    /// Takes a new node in and leaves another out, in one step.
    ///
    /// # Errors
    /// As [`SimulatedCluster::add`] and [`SimulatedCluster::remove`].
    pub fn replace(&mut self, old: NodeId, new: NodeId) -> Result<ChangeDone, MembersError> {
        self.change(Change::Replace { old, new }, false)
    }

    /// Makes any change. With `force` it begins although too few voters answer: nothing is committed then until enough of
    /// them are back.
    ///
    /// # Errors
    /// It was refused, or is under way still after 30 s of virtual time: then it continues.
    pub fn change(&mut self, change: Change<NodeId>, force: bool) -> Result<ChangeDone, MembersError> {
        let done = change_members(&mut self.simulation, change, force, PATIENCE);
        self.note_ended();
        done
    }

    /// Lets the leader hand over, to this node or to any that fits. Returns who leads then.
    ///
    /// # Errors
    /// No node leads, or the leader leads on, and why.
    pub fn transfer(&mut self, to: Option<NodeId>) -> Result<NodeId, LabError> {
        let old = self.leader().ok_or_else(|| LabError::new("no node leads"))?;
        let led = hand_over(&mut self.simulation, old, to);
        self.note_ended();
        led
    }

    /// Forgets a node that does not run: it is not one of the nodes any more.
    ///
    /// # Errors
    /// It runs, there is no such node, or no other.
    pub fn forget(&mut self, node: NodeId) -> Result<(), LabError> {
        self.simulation.remove_node(node)
    }
}
