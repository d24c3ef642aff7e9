//! A configuration at its place in the log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use crate::raft::entry::{Content, Entry};
use crate::types::{LogIndex, NodeId};

/// A configuration and the index of the entry that holds it; that of the founders stands at index 0.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Configured {
    pub index: LogIndex,
    #[serde(with = "super::configuration::text")]
    pub configuration: Arc<Configuration>,
}

impl Configured {
    /// That of this entry, if it holds one.
    pub fn of(entry: &Entry) -> Option<Configured> {
        match &entry.content {
            Content::Members(configuration) => {
                Some(Configured { index: entry.index, configuration: Arc::clone(configuration) })
            }
            _ => None,
        }
    }

    /// What a cluster begins with, before its first entry.
    pub fn founders(nodes: impl IntoIterator<Item = NodeId>) -> Configured {
        Configured { index: LogIndex(0), configuration: Arc::new(Configuration::founders(nodes)) }
    }
}
