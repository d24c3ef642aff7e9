//! Who calls, and who answers.

use derive_more::Debug;
use serde::{Deserialize, Serialize};

use crate::storage::ClusterId;
use crate::types::{Addresses, Epoch, HostPort, Member, NodeId};

/// The oldest and the newest version of the frames that this program speaks.
pub const VERSIONS: (u16, u16) = (6, 6);

/// What the one that opened a connection says first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest and the newest version that it speaks.
    pub versions: (u16, u16),
    pub cluster: ClusterId,
    pub epoch: Epoch,
    /// The secret that all processes of a cluster share.
    #[debug(skip)]
    pub token: String,
    pub caller: Caller,
}

/// Who opened a connection, and to whom it believes to speak.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    Node {
        member: Member,
        /// Drawn when its process began: two processes with copies of the same files differ in it.
        life: u64,
        /// Where it can be called.
        address: HostPort,
        expects: NodeId,
        /// Counted in its life: a later connection takes the place of an earlier one.
        connection: u64,
    },
    Client {
        expects: NodeId,
    },
    Console {
        expects: NodeId,
        /// What its orders are logged under.
        name: String,
    },
    /// It only asks who is there.
    Probe {
        expects: NodeId,
    },
}

/// What the called says to a caller that it takes in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that both speak from here on.
    pub version: u16,
    pub member: Member,
    pub life: u64,
    /// Whether it has ever heard of a term: then its cluster has begun.
    pub has_run: bool,
    /// Where it knows nodes to be, itself among them, as `host:port`.
    pub nodes: Addresses,
}

/// The newest version that both speak.
///
/// # Errors
/// There is none, in the words of the one that says so.
pub fn common_version(mine: (u16, u16), theirs: (u16, u16)) -> Result<u16, String> {
    let newest = mine.1.min(theirs.1);
    if newest >= mine.0.max(theirs.0) {
        return Ok(newest);
    }
    let shown = |(oldest, newest): (u16, u16)| {
        if newest == oldest { format!("version {newest}") } else { format!("versions {oldest} to {newest}") }
    };
    Err(format!(
        "it speaks {} of the protocol, and this process {}: run releases that are closer to each other",
        shown(theirs),
        shown(mine)
    ))
}

impl Hello {
    /// What is wrong with its numbers.
    pub(super) fn problem(&self) -> Option<String> {
        let (oldest, newest) = self.versions;
        if newest < oldest {
            return Some(format!("its versions are {oldest} to {newest}"));
        }
        (!self.epoch.is_valid()).then(|| format!("epoch {} is out of range", self.epoch))
    }
}
