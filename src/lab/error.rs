//! Why something could not be done to a cluster.

use serde::{Deserialize, Serialize};

use super::NodeOrder;
use crate::text::nodes::no_such_node;
use crate::types::NodeId;

/// Why something could not be done, in one line that says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{what}")]
pub struct LabError {
    what: String,
    /// What to do, in the console's words.
    advice: Option<String>,
    /// Whether it was done is not known: it may have been, or may be yet.
    #[serde(default)]
    uncertain: bool,
}

impl LabError {
    pub(crate) fn new(what: impl Into<String>) -> LabError {
        LabError { what: what.into(), advice: None, uncertain: false }
    }

    /// An order that may have been executed, or may be yet.
    pub(crate) fn uncertain(what: impl Into<String>) -> LabError {
        LabError { uncertain: true, ..LabError::new(what) }
    }

    /// Whether what was ordered may have been done all the same.
    pub fn is_uncertain(&self) -> bool {
        self.uncertain
    }

    pub(crate) fn advising(self, advice: impl Into<String>) -> LabError {
        LabError { advice: Some(advice.into()), ..self }
    }

    /// With what to do at the console.
    #[cfg(feature = "cli")]
    pub(crate) fn with_advice(&self) -> String {
        match &self.advice {
            Some(advice) => format!("{}: {advice}", self.what),
            None => self.what.clone(),
        }
    }

    pub(crate) fn unknown(node: NodeId, nodes: &[NodeId]) -> LabError {
        LabError::new(no_such_node(node, nodes))
    }

    pub(crate) fn running(node: NodeId) -> LabError {
        LabError::new(format!("{node} is already running")).advising(format!("'stop {node}' first"))
    }

    /// Why a node that runs is not removed.
    pub(crate) fn not_removed(node: NodeId) -> LabError {
        LabError::new(format!("{node} runs")).advising(format!("'stop {node}' first"))
    }

    /// Why the last node is not removed.
    pub(crate) fn only(node: NodeId) -> LabError {
        LabError::new(format!("{node} is the only node"))
    }

    /// Why what is done to a process is not done to this node.
    pub(crate) fn no_process(node: NodeId, order: &NodeOrder) -> LabError {
        let here =
            if *order == NodeOrder::Kill { "'crash {node}' ends it" } else { "'pause {node}' pauses it" };
        let here = here.replace("{node}", &node.to_string());
        let advice = format!("{here}; nodes of 'cluster --processes' are processes");
        LabError::new(format!("{node} is no process that this program has started")).advising(advice)
    }

    /// Why a process that is frozen does nothing.
    pub(crate) fn frozen(node: NodeId) -> LabError {
        LabError::new(format!("{node}'s process is frozen")).advising(format!("'resume {node}' first"))
    }

    pub(crate) fn down(node: NodeId) -> LabError {
        LabError::new(format!("{node} is down")).advising(format!("'restart {node}' starts it"))
    }
}
