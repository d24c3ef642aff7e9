//! What a console and a node say to each other: JSON, a text each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::property::Verdict;
use crate::config::RaftSettings;
use crate::faults::{End, NetChange};
use crate::lab::{LabError, NodeOrder, NodeView};
use crate::net::counts::LinkCounts;
use crate::server::{LogView, MembersView};
use crate::storage::glimpse::Glimpse;
use crate::trace::TraceEvent;
use crate::types::{Member, NodeId, Time};

/// A question with the console's own number, which its answer returns.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub id: u64,
    pub question: Question,
}

/// What a console asks of one node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    View,
    Items,
    Log,
    Members,
    Stored { entries: usize },
    Order(NodeOrder),
    TransferFailure,
    ChangeNetwork(NetChange),
    NetworkRules,
    NetworkCounts,
    Settings,
    Configure(RaftSettings),
    Check,
    DiskSyncs,
    WatchMessages(bool),
}

/// A node's answer to a question of the same name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How the node is now, by its own clock.
    View {
        now: Time,
        view: NodeView,
    },
    Items(Vec<(String, String)>),
    Log(LogView),
    Members(MembersView),
    Stored(Glimpse),
    /// It did what was ordered. What there is to say of it.
    Done(String),
    TransferFailure(Option<String>),
    NetworkRules(Vec<NetChange>),
    NetworkCounts(Vec<(End, End, LinkCounts)>),
    Settings(RaftSettings),
    Check(Vec<Verdict>),
    DiskSyncs(Option<u64>),
    /// It did not, and why.
    Refused(LabError),
}

/// What a node tells a console.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Answer {
        id: u64,
        answer: Answer,
    },
    /// How the node is now, by its own clock.
    View {
        member: Member,
        now: Time,
        view: NodeView,
        /// Where it knows nodes to be, as `host:port`.
        nodes: BTreeMap<NodeId, String>,
    },
    Event(TraceEvent),
}

impl Question {
    /// Whether it takes as long as its node takes to carry it out.
    pub fn is_order(&self) -> bool {
        matches!(self, Question::Order(_) | Question::ChangeNetwork(_) | Question::Configure(_))
    }
}

#[cfg(test)]
mod tests;
