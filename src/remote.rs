//! A cluster of processes, as the process of a client or a console has it.

mod agreed;
pub mod clients;
mod clock_offset;
pub mod lab;
mod merging;
mod node_link;
pub mod protocol;
mod questions;
mod records;
mod respondents;
mod seen;

use derive_more::Debug;

use crate::config::Settings;
use crate::storage::ClusterId;
use crate::tls::Security;
use crate::types::{Addresses, Epoch};
use crate::wire::{Caller, Hello, VERSIONS};

/// What is known of a cluster before anything was said.
#[derive(Clone, Debug)]
pub struct RemoteCluster {
    pub cluster: ClusterId,
    pub security: Security,
    #[debug(skip)]
    pub token: String,
    pub addresses: Addresses,
    /// Unscaled, as the nodes have them.
    pub settings: Settings,
}

impl RemoteCluster {
    /// What this caller says first to a node.
    pub(crate) fn hello(&self, caller: Caller) -> Hello {
        Hello {
            versions: VERSIONS,
            cluster: self.cluster,
            epoch: Epoch::FIRST,
            token: self.token.clone(),
            caller,
        }
    }
}
