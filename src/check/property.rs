//! The properties that are checked, by their names, and what is said of them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A property, named as in the paper's Figure 3 where it stands there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Property {
    /// At most one leader a term, elected by a quorum of the members in its log (5.2, section 6).
    ElectionSafety,
    /// A node votes for one candidate a term, across restarts too (5.2).
    OneVote,
    /// A leader never changes what stands in its log (5.3).
    LeaderAppendOnly,
    /// Logs that share an entry are the same up to it (5.3).
    LogMatching,
    /// A new leader's log holds everything committed (5.4).
    LeaderCompleteness,
    /// No two nodes apply different entries at an index (5.4.3).
    StateMachineSafety,
    /// A leader commits only an entry of its own term that a quorum of the members in its log holds durably (5.4.2,
    /// section 6).
    CommitRule,
    /// No message leaves before what it promises is durable (Figure 2, persistent state).
    NothingPromisedEarly,
    /// What was durable and committed is there after a restart.
    CommittedIsDurable,
    /// A client's command is applied at most once (section 8).
    ExactlyOnce,
    /// A snapshot equals the replay of what it covers, the members too (7).
    Snapshot,
    /// No two configurations that are in use can decide apart (section 6).
    QuorumsOverlap,
    /// A leader begins a change of the members when the one before is complete and its own term has begun, and a learner
    /// becomes a voter only while it answers (section 6, D 4.2.1, D 4.3).
    ChangesInOrder,
    /// A server starts an election with a quorum of pre-votes or on request, and never when it knows that it has no
    /// vote among the members (D 4.2.3, D 9.6).
    NoDisruption,
    /// No node found its own state to be impossible.
    NodeInvariants,
}

impl Property {
    /// All of them with their names, in the order of the paper.
    pub const ALL: [(Property, &'static str); 15] = [
        (Property::ElectionSafety, "election safety"),
        (Property::LeaderAppendOnly, "leader append-only"),
        (Property::LogMatching, "log matching"),
        (Property::LeaderCompleteness, "leader completeness"),
        (Property::StateMachineSafety, "state machine safety"),
        (Property::OneVote, "one vote a term"),
        (Property::CommitRule, "commit rule"),
        (Property::NothingPromisedEarly, "nothing promised early"),
        (Property::CommittedIsDurable, "committed is durable"),
        (Property::ExactlyOnce, "exactly once"),
        (Property::Snapshot, "snapshot"),
        (Property::QuorumsOverlap, "quorums overlap"),
        (Property::ChangesInOrder, "changes in order"),
        (Property::NoDisruption, "no disruption"),
        (Property::NodeInvariants, "node invariants"),
    ];

    /// Whether the steps of a single node can show that it is broken.
    pub fn is_of_one_node(self) -> bool {
        matches!(
            self,
            Property::LeaderAppendOnly
                | Property::OneVote
                | Property::NothingPromisedEarly
                | Property::ExactlyOnce
                | Property::Snapshot
                | Property::ChangesInOrder
                | Property::NodeInvariants
        )
    }

    /// Whether the records of all nodes together can show that it is broken: who asked for a command, who answered a leader
    /// when, and what snapshots hold does not stand in them.
    pub fn is_recorded(self) -> bool {
        !matches!(
            self,
            Property::ExactlyOnce | Property::Snapshot | Property::ChangesInOrder | Property::NodeInvariants
        )
    }

    pub fn name(self) -> &'static str {
        let own = Property::ALL.into_iter().find(|(property, _)| *property == self);
        own.expect("each has its name").1
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    pub property: Property,
    pub detail: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The property, by its name in the paper where it has one.
    pub property: Cow<'static, str>,
    /// What broke it and where; none when it held, as far as it was seen.
    pub violation: Option<String>,
    /// Why it was not seen whether it holds; none when it was.
    pub open: Option<Cow<'static, str>>,
}

impl Verdict {
    /// Whether the property held; none when that was not seen.
    pub fn pass(&self) -> Option<bool> {
        if self.violation.is_some() { Some(false) } else { self.open.is_none().then_some(true) }
    }
}

/// `PASS log matching`, `FAIL log matching: n1 holds ..`, `UNDECIDED log matching: it takes ..`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.violation, &self.open) {
            (Some(violation), _) => write!(f, "FAIL {}: {violation}", self.property),
            (None, Some(why)) => write!(f, "UNDECIDED {}: {why}", self.property),
            (None, None) => write!(f, "PASS {}", self.property),
        }
    }
}
