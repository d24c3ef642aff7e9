//! What a console and a node say to each other: JSON, a text each.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::property::Verdict;
use crate::config::RaftSettings;
use crate::faults::{End, RuleSet, SetVersion};
use crate::lab::{LabError, NodeOrder, NodeView, Recorded};
use crate::net::counts::LinkCounts;
use crate::node::Measures;
use crate::server::{EntryView, LogView, MembersView, WhichEntry};
use crate::storage::glimpse::Glimpse;
use crate::storage::records::Page;
use crate::trace::{EventFilter, Remembered, Subject, TraceEvent};
use crate::types::{Addresses, Member, Time};

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
    /// A page of the state, from this place on; that of 0 belongs to the state as it is then, the others to the same.
    Items {
        from: usize,
    },
    Log,
    Entry(WhichEntry),
    Members,
    Stored {
        entries: usize,
    },
    Order {
        order: NodeOrder,
        /// After this time the process ends by its own clock what the order does.
        lasting: Option<Duration>,
    },
    TransferFailure,
    /// Start your node, which is down, on new files: the cluster is about to take it in.
    Renew,
    /// Hold this set of rules.
    TakeRules {
        set: RuleSet,
        /// What the console has just changed; none if it only tells what holds.
        change: Option<String>,
    },
    Rules,
    NetworkCounts,
    /// What your node has measured since it started.
    Measures,
    Settings,
    /// Run with these settings.
    Configure(VersionedSettings),
    Check,
    DiskSyncs,
    /// A page of a backup, from this byte on; that of 0 is of the state as it is then, the others of the same.
    Backup {
        from: usize,
    },
    /// What it wrote down of its steps, behind this place; what it writes next is later than this clock.
    Records {
        from: u64,
        clock: u64,
    },
    /// Record each step, in a folder of the node's name in this one.
    Record {
        folder: PathBuf,
        bytes_max: u64,
    },
    EndRecording,
    /// What of your events explains this.
    Remembered(Subject),
    /// Tell what this filter shows; messages and what the node is after each step, too, if they are followed.
    Watch {
        filter: EventFilter,
        follow: bool,
    },
}

/// Settings as a console has made them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct VersionedSettings {
    pub version: SetVersion,
    pub settings: RaftSettings,
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
    /// A page of the state.
    Items {
        items: Vec<(String, String)>,
        /// Where the next page begins.
        next: Option<usize>,
    },
    Log(LogView),
    Entry(Option<EntryView>),
    Members(MembersView),
    Stored(Glimpse),
    /// The node with the number of its new files.
    Renewed(Member),
    /// It did what was ordered. What there is to say of it.
    Done(String),
    TransferFailure(Option<String>),
    /// The rules that it holds: what was asked for, or what is newer than what it was to take.
    Rules(RuleSet),
    NetworkCounts(Vec<(End, End, LinkCounts)>),
    Measures(Measures),
    /// The settings that it holds: what was asked for, or what is newer than what it was to take.
    Settings(VersionedSettings),
    Check(Vec<Verdict>),
    DiskSyncs(Option<u64>),
    /// A page of a backup.
    Backup {
        text: String,
        /// Where the next page begins.
        next: Option<usize>,
    },
    Records(Page),
    /// By its own clock.
    Remembered(Remembered),
    /// What its recording holds, which has ended.
    Recorded(Recorded),
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
        nodes: Addresses,
        /// Which rules and settings it holds.
        rules: SetVersion,
        settings: SetVersion,
    },
    Event(TraceEvent),
    /// This number of events was left out: the console did not read them in time.
    LeftOut(u64),
}

impl Question {
    /// Whether it changes something, and takes as long as its node takes over it.
    pub fn is_order(&self) -> bool {
        matches!(
            self,
            Question::Order { .. } | Question::Renew | Question::TakeRules { .. } | Question::Configure(_)
        )
    }
}

#[cfg(test)]
mod tests;
