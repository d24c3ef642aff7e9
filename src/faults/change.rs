//! A change to the network's faults, and its words.
//!
//! The words are those of the console, so that a list of changes is a script that makes them again.

use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use super::link::LinkScope;
use crate::text::joined;
use crate::text::nodes::no_such_node;
use crate::text::units::{duration_text, percent_text};
use crate::types::NodeId;

/// One change. A later change of the same kind replaces an earlier one on every link that it covers.
#[derive(Clone, PartialEq, Eq, Debug, Display, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NetChange {
    /// Two nodes hear one another only when a group holds both. Nodes that no group names form one more group.
    /// Groups may overlap: that makes bridges and rings. Replaces the partition before; clients reach every node.
    #[display("partition {}", _0.iter().map(|group| joined(group, ",")).collect::<Vec<_>>().join(" / "))]
    Partition(Vec<Vec<NodeId>>),
    /// Nothing passes these links.
    #[display("cut {_0}")]
    Cut(LinkScope),
    /// Undoes cuts and partitions on these links; on all of them, isolations too.
    #[display("heal{}", on(*_0))]
    Heal(LinkScope),
    /// Nothing passes to or from this node, clients' messages included. The node itself runs on.
    #[display("isolate {_0}")]
    Isolate(NodeId),
    /// Undoes the isolation of this node.
    #[display("connect {_0}")]
    Connect(NodeId),
    /// Each message is lost with this probability, in parts of a million.
    #[display("drop {}{}", percent_text(*per_million), on(*scope))]
    Drop { per_million: u32, scope: LinkScope },
    /// Each message takes between `delay` and `delay + jitter`, each time as likely. With jitter, messages overtake
    /// one another; without it, a link keeps its order.
    #[display("delay {}{}{}", duration_text(*delay), match *jitter {
        Duration::ZERO => String::new(),
        jitter => format!(" jitter {}", duration_text(jitter)),
    }, on(*scope))]
    Delay {
        /// The least time.
        delay: Duration,
        /// The most that comes on top.
        jitter: Duration,
        scope: LinkScope,
    },
    /// Each message arrives twice with this probability, in parts of a million; a client's request never does.
    #[display("duplicate {}{}", percent_text(*per_million), on(*scope))]
    Duplicate { per_million: u32, scope: LinkScope },
    /// Each message is held back a few milliseconds with this probability, so that later ones overtake it.
    #[display("reorder {}{}", percent_text(*per_million), on(*scope))]
    Reorder { per_million: u32, scope: LinkScope },
    /// No fault of any kind on any link.
    #[display("reset")]
    Reset,
    /// These rules, and no others, from one message to the next.
    #[display("reset; {}", joined(_0, "; "))]
    Replace(Vec<NetChange>),
}

/// Why a change was rejected. The network is as before.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NetError {
    #[error("{}", no_such_node(*.node, .nodes))]
    UnknownNode {
        node: NodeId,
        /// The nodes of the cluster.
        nodes: Vec<NodeId>,
    },
    /// There is no isolation to undo.
    #[error("{0} is not isolated")]
    NotIsolated(NodeId),
    #[error("{0} is no link: name two different ends")]
    LinkToItself(LinkScope),
    #[error("these groups leave all nodes together: name at least two sides, as in n1,n2 / n3")]
    CutsNothing,
    #[error("{} is more than 100%: give a probability of 0% to 100%", percent_text(*.0))]
    OverOne(u32),
    #[error("the network has stopped")]
    Stopped,
}

impl NetChange {
    /// The links that it is about; none of a change that is about nodes, or about everything.
    pub fn scope(&self) -> Option<LinkScope> {
        match self {
            NetChange::Cut(scope)
            | NetChange::Heal(scope)
            | NetChange::Drop { scope, .. }
            | NetChange::Delay { scope, .. }
            | NetChange::Duplicate { scope, .. }
            | NetChange::Reorder { scope, .. } => Some(*scope),
            NetChange::Partition(_)
            | NetChange::Isolate(_)
            | NetChange::Connect(_)
            | NetChange::Reset
            | NetChange::Replace(_) => None,
        }
    }

    /// `drops nothing`: what a change says that ends the rule of its kind; none if it begins one.
    pub(super) fn ended(&self) -> Option<&'static str> {
        match self {
            NetChange::Drop { per_million: 0, .. } => Some("drops nothing"),
            NetChange::Duplicate { per_million: 0, .. } => Some("duplicates nothing"),
            NetChange::Reorder { per_million: 0, .. } => Some("reorders nothing"),
            NetChange::Delay { delay, jitter, .. } if delay.is_zero() && jitter.is_zero() => {
                Some("delays nothing")
            }
            _ => None,
        }
    }

    /// Whether it is a rule that `heal` leaves in force: the links still deliver.
    #[cfg(feature = "cli")]
    pub(crate) fn is_soft(&self) -> bool {
        matches!(
            self,
            NetChange::Drop { .. }
                | NetChange::Delay { .. }
                | NetChange::Duplicate { .. }
                | NetChange::Reorder { .. }
        )
    }
}

/// Without a name, all links are meant.
fn on(scope: LinkScope) -> String {
    match scope {
        LinkScope::All => String::new(),
        named => format!(" {named}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_as_the_directive_that_makes_it() {
        let [n1, n2, n3] = [1, 2, 3].map(NodeId::new);
        let one_way = LinkScope::OneWay(n1.into(), n2.into());
        let ms = Duration::from_millis;
        let delay = NetChange::Delay { delay: ms(1500), jitter: ms(20), scope: LinkScope::Clients };
        for (change, directive) in [
            (NetChange::Partition(vec![vec![n1, n2], vec![n3]]), "partition n1,n2 / n3"),
            (NetChange::Cut(one_way), "cut n1>n2"),
            (NetChange::Heal(LinkScope::All), "heal"),
            (NetChange::Drop { per_million: 5_000, scope: LinkScope::All }, "drop 0.5%"),
            (NetChange::Reorder { per_million: 200_000, scope: one_way }, "reorder 20% n1>n2"),
            (delay, "delay 1.5s jitter 20ms clients"),
        ] {
            assert_eq!(change.to_string(), directive);
        }
    }
}
