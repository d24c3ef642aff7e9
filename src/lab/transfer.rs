//! A transfer of the leadership, from asking the leader until another one leads (D 3.10).

use std::time::Duration;

use super::{Lab, LabError, NodeOrder};
use crate::types::NodeId;

/// How long a new leader is waited for. The old one gives up after the shortest election timeout; if it ends before, the others
/// elect one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets the leader `old` hand over, to this node or to any that fits, and waits until another one leads. Returns who leads.
///
/// # Errors
/// It leads on, and why: the target has not answered, trails, or did not lead in time.
pub(crate) fn hand_over(lab: &mut dyn Lab, old: NodeId, to: Option<NodeId>) -> Result<NodeId, LabError> {
    let term = lab.view(old).status.term;
    if to == Some(old) {
        return Ok(old);
    }
    lab.order(old, NodeOrder::Transfer(to))?;
    let deadline = lab.now() + PATIENCE;
    loop {
        match lab.transferred(old, term) {
            Some(Ok((new, _))) if new != old && to.is_none_or(|to| to == new) => return Ok(new),
            Some(Ok((new, _))) => {
                return Err(LabError::new(format!("{new} leads: another election came first")));
            }
            Some(Err(reason)) => return Err(LabError::new(format!("{old} leads on: {reason}"))),
            None if lab.now() >= deadline => {
                return Err(LabError::new(format!("{old} handed over, and no node has led since")));
            }
            None => lab.wait(deadline),
        }
    }
}
