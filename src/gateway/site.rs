//! The cluster behind a gateway.

use std::collections::BTreeMap;
use std::fmt;

use crate::client::Client;
use crate::faults::End;
use crate::net::counts::LinkCounts;
use crate::node::Measures;
use crate::server::Status;
use crate::state_machine::kv::KeyValue;
use crate::storage::ClusterId;
use crate::types::{Addresses, NodeId};

/// What a gateway is told of its cluster.
pub struct Site {
    pub cluster: ClusterId,
    /// The node in whose process it is; none where several nodes are.
    pub home: Option<NodeId>,
    /// Makes clients.
    pub clients: Box<dyn Fn() -> Client<KeyValue> + Send + Sync>,
    /// What the nodes know that this process sees; none of a node that has ended.
    pub statuses: Box<dyn Fn() -> BTreeMap<NodeId, Option<Status>> + Send + Sync>,
    /// What they have measured since they started, of those that answer.
    pub measures: Box<dyn Fn() -> BTreeMap<NodeId, Measures> + Send + Sync>,
    /// Where nodes listen for one another, as far as it is known.
    pub addresses: Box<dyn Fn() -> Addresses + Send + Sync>,
    /// What is counted of messages.
    pub messages: Box<dyn Fn() -> Vec<(End, End, LinkCounts)> + Send + Sync>,
}

#[cfg(feature = "http")]
impl Site {
    /// The status of the newest leader that is seen, else of any node that runs.
    pub(super) fn newest(&self) -> Option<(NodeId, Status)> {
        let statuses = (self.statuses)();
        let home = self.home.and_then(|home| Some((home, (*statuses.get(&home)?)?)));
        home.or_else(|| {
            let running = statuses.into_iter().filter_map(|(node, status)| Some((node, status?)));
            running.max_by_key(|(node, status)| (status.term, status.leader == Some(*node)))
        })
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("cluster", &self.cluster)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}
