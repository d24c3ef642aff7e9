//! What an experiment needs of a cluster, beside what a console does: threads of this process have it, processes, and an etcd.

use std::time::Duration;

use super::usage;
use crate::client::Pipeline;
use crate::cluster::{Cluster, Leadership};
use crate::lab::LabError;
use crate::lab::{Lab, Life};
use crate::load::Caller;
use crate::remote::lab::RemoteLab;
use crate::types::NodeId;

/// A cluster that can be put under load.
pub(super) trait Bench: Lab + Sized + 'static {
    /// A client of a load.
    type Caller: Caller;

    /// A client of its own, the one of this number.
    fn caller(&self, number: usize) -> Result<Self::Caller, LabError>;

    /// What it is, if it is no cluster of raftlab's.
    fn described(&self) -> Option<String> {
        None
    }

    /// Whether a node leads, though no change was heard that told so.
    ///
    /// # Errors
    /// None ever will, and why.
    fn is_led(&self) -> Result<bool, String> {
        Ok(false)
    }

    /// Why no node leads, or what to look at.
    fn why_no_leader(&self) -> String {
        "can a majority of the nodes start?".to_string()
    }

    /// The processor's time that it took so far, together with this process; none when that is not known.
    fn cpu(&self) -> Option<Duration> {
        usage::cpu()
    }

    /// The most memory that it took, together with this process; none when that is not known.
    fn memory_max(&self) -> Option<u64> {
        usage::memory_max()
    }

    /// Whether the steps of its nodes are seen, so that they can be checked.
    fn shows_steps(&self) -> bool {
        true
    }

    /// Each change of the leader from now on, beginning with the one that there is.
    fn leadership(&self) -> Leadership;

    /// Whether a node ran when it was last seen.
    fn life(&self, node: NodeId) -> Option<Life>;

    /// Messages that were sent so far; none when that is not known.
    fn messages_sent(&mut self) -> Option<u64>;

    /// What a person has to know of its beginning.
    fn notices(&self) -> Vec<String>;

    /// Ends what the experiment has started.
    fn end(self);
}

impl Bench for Cluster {
    type Caller = Pipeline;

    fn caller(&self, _: usize) -> Result<Pipeline, LabError> {
        self.pipeline()
    }

    fn leadership(&self) -> Leadership {
        Cluster::leadership(self)
    }

    fn life(&self, node: NodeId) -> Option<Life> {
        Cluster::life(self, node)
    }

    fn messages_sent(&mut self) -> Option<u64> {
        Some(Cluster::messages_sent(self))
    }

    fn notices(&self) -> Vec<String> {
        Cluster::notices(self).iter().map(ToString::to_string).collect()
    }

    fn end(self) {
        self.shutdown();
    }
}

impl Bench for RemoteLab {
    type Caller = Pipeline;

    fn caller(&self, _: usize) -> Result<Pipeline, LabError> {
        self.pipeline()
    }

    fn leadership(&self) -> Leadership {
        RemoteLab::leadership(self)
    }

    fn life(&self, node: NodeId) -> Option<Life> {
        RemoteLab::life(self, node)
    }

    fn messages_sent(&mut self) -> Option<u64> {
        Some(self.network_counts().into_iter().map(|(_, _, counts)| counts.sent).sum())
    }

    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    fn end(self) {
        self.leave();
    }
}

#[cfg(feature = "etcd")]
impl Bench for crate::etcd::EtcdLab {
    type Caller = crate::etcd::EtcdCaller;

    fn caller(&self, number: usize) -> Result<Self::Caller, LabError> {
        Ok(self.client(number))
    }

    fn described(&self) -> Option<String> {
        Some(self.in_words())
    }

    fn is_led(&self) -> Result<bool, String> {
        self.knows_leader()
    }

    fn why_no_leader(&self) -> String {
        let troubles = self.troubles();
        if troubles.is_empty() { "its members elect none".to_string() } else { troubles.join("; ") }
    }

    fn cpu(&self) -> Option<Duration> {
        let members = self.processes()?.into_iter().map(usage::cpu_of).sum::<Option<Duration>>()?;
        Some(usage::cpu()? + members)
    }

    /// Of this process it says nothing about an etcd.
    fn memory_max(&self) -> Option<u64> {
        None
    }

    fn shows_steps(&self) -> bool {
        false
    }

    fn leadership(&self) -> Leadership {
        self.changes()
    }

    fn life(&self, node: NodeId) -> Option<Life> {
        Some(self.life_of(node))
    }

    fn messages_sent(&mut self) -> Option<u64> {
        None
    }

    fn notices(&self) -> Vec<String> {
        let limit = "an etcd does not show what its members do: its answers are all that is judged";
        std::iter::once(limit.to_string()).chain(self.troubles()).collect()
    }

    fn end(self) {}
}
