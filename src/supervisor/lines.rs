//! What a supervisor and its children say to each other: a line of JSON each, over the pipes that a child has as standard input
//! and output.
//!
//! A child first says where it listens, and waits: no port is guessed. The supervisor's line tells it the rest, and it starts its
//! node. The end of its input is the end of its supervisor.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::faults::NetChange;
use crate::storage::ClusterId;
use crate::types::{Addresses, Epoch, Member, NodeId};

/// What a child is told before its node starts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Begin {
    pub cluster: ClusterId,
    pub epoch: Epoch,
    /// What every connection shows. It stands in no command line, which others could read.
    pub token: String,
    pub settings: Settings,
    /// The nodes that there are.
    pub nodes: Vec<NodeId>,
    /// Where they listen, as far as that is known.
    pub addresses: Addresses,
    /// The network's rules: they hold from the node's first message.
    pub rules: Vec<NetChange>,
    /// Whether it makes new files first, which the cluster has to take in.
    pub wipe: bool,
}

/// What a child says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It listens here, and waits.
    Listens(SocketAddr),
    /// Its node runs.
    Runs {
        member: Member,
        /// What its files held.
        loaded: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::LinkScope;

    #[test]
    fn each_line_comes_back_as_it_was() {
        let n1 = NodeId::new(1);
        let begin = Begin {
            cluster: ClusterId(7),
            epoch: Epoch::FIRST,
            token: "secret".to_string(),
            settings: Settings { seed: Some(3), time_scale: 2.5, ..Settings::default() },
            nodes: NodeId::first(3),
            addresses: [(n1, "127.0.0.1:1".parse().expect("an address"))].into(),
            rules: vec![NetChange::Cut(LinkScope::All)],
            wipe: true,
        };
        let line = serde_json::to_string(&begin).expect("it has a text");
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Begin>(&line).expect("its own text"), begin);
        let runs = Said::Runs { member: Member::founder(n1), loaded: "term 1".to_string() };
        for said in [Said::Listens("127.0.0.1:80".parse().expect("an address")), runs] {
            let line = serde_json::to_string(&said).expect("it has a text");
            assert_eq!(serde_json::from_str::<Said>(&line).expect("its own text"), said);
        }
    }
}
