//! Who belongs to the cluster, and who decides in it (section 6).

pub(crate) mod text;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::nodes::spaced;
use crate::types::{Addresses, Epoch, FOUNDERS_STORE, Member, NodeId, StoreId};

/// The voters of one configuration, each with the files that count.
pub type Voters = BTreeMap<NodeId, StoreId>;

/// A cluster's members. An entry of the log holds one; each node uses the newest one in its log, committed or not.
///
/// It is *joint* (`C_old,new`) while it has outgoing voters: every decision then needs a majority of both.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// `C_new` while it is joint.
    pub voters: Voters,
    /// `C_old` while it is joint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<Voters>,
    /// Who is sent the log, and decides nothing (D 4.2.1). A voter that is demoted is here and in `outgoing`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub learners: BTreeMap<NodeId, Learner>,
    /// Who leads, if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<NodeId>,
    /// The epoch, once one survivor continued alone. Where it first stands, all sessions end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Where members that are processes can be reached, as far as it is known. Nothing is decided by it.
    #[serde(default, skip_serializing_if = "Addresses::is_empty")]
    pub addresses: Addresses,
}

/// A member without a vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learner {
    #[serde(rename = "files")]
    pub store_id: StoreId,
    /// It is a learner until it is told otherwise; if not, only until it votes.
    pub stays: bool,
    /// It becomes a voter once it has caught up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joins: Option<Joins>,
}

/// A learner's way to its vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joins {
    /// The voter whose place it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<NodeId>,
}

impl Configuration {
    /// The configuration of a cluster whose nodes begin together, with their first files.
    pub fn founders(nodes: impl IntoIterator<Item = NodeId>) -> Configuration {
        let voters = nodes.into_iter().map(|node| (node, FOUNDERS_STORE)).collect();
        Configuration { voters, ..Configuration::default() }
    }

    /// `C_new` of a joint configuration.
    #[must_use]
    pub fn new_half(&self) -> Configuration {
        Configuration { outgoing: None, ..self.clone() }
    }

    pub fn is_joint(&self) -> bool {
        self.outgoing.is_some()
    }

    /// The sets of voters of which each decision needs a majority: one, or two while it is joint.
    pub fn halves(&self) -> impl Iterator<Item = &Voters> {
        [Some(&self.voters), self.outgoing.as_ref()].into_iter().flatten()
    }

    /// The largest value that a majority has reached: of the voters, and while it is joint of the outgoing ones too.
    /// Everything that is decided by majority is decided here. Without voters nothing is reached.
    pub fn quorum_value<T: Copy + Ord + Default>(&self, of: impl Fn(Member) -> T) -> T {
        let reached = |voters: &Voters| {
            let mut values: smallvec::SmallVec<[T; 8]> =
                voters.iter().map(|(&node, &store_id)| of(Member { node, store_id })).collect();
            let quorum = values.len() / 2 + 1;
            if values.len() < quorum {
                return T::default();
            }
            // Each step asks several times: only the value at the quorum's place need be in order.
            *values.select_nth_unstable_by(quorum - 1, |a, b| b.cmp(a)).1
        };
        self.halves().map(reached).min().unwrap_or_default()
    }

    /// Whether a majority satisfies this: of the voters, and while it is joint of the outgoing ones too.
    pub fn reached(&self, by: impl Fn(Member) -> bool) -> bool {
        self.quorum_value(by)
    }

    /// How many satisfy this, and how many are needed: of the half that lacks more.
    pub fn tally(&self, by: impl Fn(Member) -> bool) -> (usize, usize) {
        let count = |voters: &Voters| {
            let members = voters.iter().map(|(&node, &store_id)| Member { node, store_id });
            (members.filter(|member| by(*member)).count(), voters.len() / 2 + 1)
        };
        let lacks = |&(count, needed): &(usize, usize)| needed.saturating_sub(count);
        self.halves().map(count).max_by_key(lacks).unwrap_or((0, 1))
    }

    /// Whether this member votes, in either half.
    pub fn is_voter(&self, member: Member) -> bool {
        self.halves().any(|voters| voters.get(&member.node) == Some(&member.store_id))
    }

    /// Whether this member decides alone.
    pub fn is_alone(&self, member: Member) -> bool {
        self.halves().all(|voters| voters.len() == 1) && self.reached(|voter| voter == member)
    }

    /// Every node that has a part in it, in order, each once.
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.halves().flat_map(BTreeMap::keys).copied().collect();
        nodes.extend(self.learners.keys());
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Every member, in either half or a learner. A name whose files are replaced comes twice.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        let voters = self.halves().flatten().map(|(&node, &store_id)| Member { node, store_id });
        let learners =
            self.learners.iter().map(|(&node, learner)| Member { node, store_id: learner.store_id });
        voters.chain(learners)
    }

    pub fn contains(&self, node: NodeId) -> bool {
        self.halves().any(|voters| voters.contains_key(&node)) || self.learners.contains_key(&node)
    }

    /// Whether these files under this name have any part in it.
    pub fn names(&self, member: Member) -> bool {
        let learner = self.learners.get(&member.node).map(|learner| learner.store_id);
        self.is_voter(member) || learner == Some(member.store_id)
    }

    /// Whether these files had a part in it before the change that a joint configuration is about: they keep it if that is
    /// taken back.
    pub fn named_before(&self, member: Member) -> bool {
        let learner = self.learners.get(&member.node).map(|learner| learner.store_id);
        let old = self.outgoing.as_ref().unwrap_or(&self.voters);
        old.get(&member.node) == Some(&member.store_id) || learner == Some(member.store_id)
    }

    /// Bytes that it weighs in limits and queues.
    pub fn weight(&self) -> usize {
        const EACH: usize = 16;
        let addresses: usize = self.addresses.values().map(|address| address.len() + EACH).sum();
        addresses + EACH * (self.halves().map(BTreeMap::len).sum::<usize>() + self.learners.len())
    }
}

/// `n1 n2 n3`, and while it is joint `n1 n2 n3 -> n1 n3 n4`; learners behind: `n1 n2 n3, learner n4`. Files are named
/// where only they differ: `n1 n2#1 -> n1 n2#95`. Of many, those in a row are named by its ends: `n1 to n47`.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replaced = |node: NodeId| {
            let files = self.voters.get(&node);
            let old = self.outgoing.as_ref().and_then(|old| old.get(&node));
            old.is_some_and(|old| files.is_some_and(|new| new != old))
        };
        let names = |voters: &Voters| {
            let name = |node| match voters.get(&node) {
                Some(store_id) if replaced(node) => format!("{node}#{store_id}"),
                _ => node.to_string(),
            };
            match voters.len() {
                0 => "no members known".to_string(),
                _ => spaced(&voters.keys().copied().collect::<Vec<_>>(), name),
            }
        };
        if let Some(outgoing) = &self.outgoing {
            write!(f, "{} -> ", names(outgoing))?;
        }
        f.write_str(&names(&self.voters))?;
        let learners: Vec<NodeId> = self.learners.keys().copied().collect();
        let learners = match &learners[..] {
            [] => String::new(),
            [one] => format!(", learner {one}"),
            several => format!(", learners {}", spaced(several, |node| node.to_string())),
        };
        f.write_str(&learners)
    }
}
