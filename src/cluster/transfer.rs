//! A transfer of the leadership, as a method for programs (D 3.10).

use super::Cluster;
use crate::lab::LabError;
use crate::lab::transfer::hand_over;
use crate::state_machine::StateMachine;
use crate::types::NodeId;

impl<M: StateMachine> Cluster<M> {
    /// Lets the leader hand over, to this node or to any that fits, and waits until another node leads. No call fails for
    /// it: commands that come meanwhile wait for the new leader. Returns who leads.
    ///
    /// # Errors
    /// No node leads, or the leader leads on, and why: the target has not answered, trails, or did not lead in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use raftlab::Cluster;
    ///
    /// let mut cluster = Cluster::builder().nodes(3).memory().start()?;
    /// let old = cluster.wait_until_leader(Duration::from_secs(10)).expect("a leader in time");
    /// let new = cluster.transfer(None)?;
    /// assert_ne!(new, old);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transfer(&mut self, to: Option<NodeId>) -> Result<NodeId, LabError> {
        let old = self.leader().ok_or_else(|| LabError::new("no node leads"))?;
        hand_over(self, old, to)
    }
}
