//! The header of etcd's answers: who answered, and how new the store was.

use super::form::Object;
use super::site::Site;
use crate::types::{NodeId, Term};

/// What stands first in each answer of etcd's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub node: NodeId,
    pub term: Term,
    pub revision: u64,
}

impl Header {
    pub fn object(self, site: &Site) -> Object {
        let member = site.home.unwrap_or(self.node).number();
        Object::default()
            .number("cluster_id", site.cluster.0)
            .number("member_id", u64::from(member))
            .number("revision", self.revision)
            .number("raft_term", self.term.0)
    }
}
