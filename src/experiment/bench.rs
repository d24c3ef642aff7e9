//! What an experiment needs of a cluster, beside what a console does: threads of this process have it, and processes.

use crate::cluster::{Cluster, Leadership};
use crate::lab::{Lab, Life};
use crate::remote::lab::RemoteLab;
use crate::types::NodeId;

/// A cluster that can be put under load.
pub(super) trait Bench: Lab + Sized + 'static {
    /// Each change of the leader from now on, beginning with the one that there is.
    fn leadership(&self) -> Leadership;

    /// Whether a node ran when it was last seen.
    fn life(&self, node: NodeId) -> Option<Life>;

    /// Messages that were sent so far.
    fn messages_sent(&mut self) -> u64;

    /// What a person has to know of its beginning.
    fn notices(&self) -> Vec<String>;

    /// Ends what the experiment has started.
    fn end(self);
}

impl Bench for Cluster {
    fn leadership(&self) -> Leadership {
        Cluster::leadership(self)
    }

    fn life(&self, node: NodeId) -> Option<Life> {
        Cluster::life(self, node)
    }

    fn messages_sent(&mut self) -> u64 {
        Cluster::messages_sent(self)
    }

    fn notices(&self) -> Vec<String> {
        Cluster::notices(self).iter().map(ToString::to_string).collect()
    }

    fn end(self) {
        self.shutdown();
    }
}

impl Bench for RemoteLab {
    fn leadership(&self) -> Leadership {
        RemoteLab::leadership(self)
    }

    fn life(&self, node: NodeId) -> Option<Life> {
        RemoteLab::life(self, node)
    }

    fn messages_sent(&mut self) -> u64 {
        self.network_counts().into_iter().map(|(_, _, counts)| counts.sent).sum()
    }

    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    fn end(self) {
        self.leave();
    }
}
