//! A transfer of the leadership, as a method for programs (D 3.10).

use std::time::Duration;

use super::Cluster;
use crate::lab::{Lab, LabError, NodeOrder};
use crate::state_machine::StateMachine;
use crate::types::NodeId;

/// How long a new leader is waited for. The old one gives up after the shortest election timeout; if it ends before, the others
/// elect one.
const PATIENCE: Duration = Duration::from_secs(10);

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
        let term = self.view(old).status.term;
        if to == Some(old) {
            return Ok(old);
        }
        self.order(old, NodeOrder::Transfer(to))?;
        let deadline = self.now() + PATIENCE;
        loop {
            match self.transferred(old, term) {
                Some(Ok((new, _))) if new != old && to.is_none_or(|to| to == new) => return Ok(new),
                Some(Ok((new, _))) => {
                    return Err(LabError::new(format!("{new} leads: another election came first")));
                }
                Some(Err(reason)) => return Err(LabError::new(format!("{old} leads on: {reason}"))),
                None if self.now() >= deadline => {
                    return Err(LabError::new(format!("{old} handed over, and no node has led since")));
                }
                None => self.wait(deadline),
            }
        }
    }
}
