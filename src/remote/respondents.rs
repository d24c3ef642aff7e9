//! The nodes of a console's cluster, as threads other than the console's see them. All share one list, which changes as nodes
//! come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::merging::Replies;
use super::protocol::{Answer, Question};
use super::questions::Questions;
use crate::faults::End;
use crate::net::counts::LinkCounts;
use crate::node::Measures;
use crate::server::Status;
use crate::types::NodeId;

/// Clones share the nodes.
#[derive(Clone, Debug, Default)]
pub struct Respondents(Arc<Mutex<BTreeMap<NodeId, Questions>>>);

impl Respondents {
    pub(super) fn add(&self, node: NodeId, questions: Questions) {
        self.0.lock().insert(node, questions);
    }

    pub(super) fn remove(&self, node: NodeId) {
        self.0.lock().remove(&node);
    }

    /// What is seen of each node; none of one that is not reached.
    pub fn statuses(&self) -> BTreeMap<NodeId, Option<Status>> {
        self.0.lock().iter().map(|(node, questions)| (*node, questions.status())).collect()
    }

    /// What each node has measured since it started, of those that answer.
    pub fn measures(&self) -> BTreeMap<NodeId, Measures> {
        let measured = |(node, answer)| match answer {
            Answer::Measures(measures) => Some((node, measures)),
            _ => None,
        };
        self.ask(&Question::Measures).answers.into_iter().filter_map(measured).collect()
    }

    /// The network's numbers, as those nodes know them that answer.
    pub fn network_counts(&self) -> Vec<(End, End, LinkCounts)> {
        self.ask(&Question::NetworkCounts).counts()
    }

    /// Asks those that are not silent.
    fn ask(&self, question: &Question) -> Replies {
        let nodes = self.0.lock().clone();
        let answering = nodes.iter().filter(|(_, questions)| !questions.is_silent());
        Replies::to(answering.map(|(node, questions)| (*node, questions)), question)
    }
}
