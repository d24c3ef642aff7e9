//! The seam between the console and what it drives: real threads and virtual time answer the same questions and take
//! the same faults, so one language runs on both.
//!
//! Answers are facts, or one sentence where there is nothing else to say. Nothing here knows a directive.

pub(crate) mod dials;
mod error;
mod kind;
pub mod members;
mod order;
mod recorded;
pub(crate) mod transfer;
pub mod virtual_time;
pub(crate) mod waiting;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::error::LabError;
pub use self::kind::LabKind;
pub use self::order::{DiskChange, NodeOrder};
pub use self::recorded::Recorded;
use self::virtual_time::VirtualTime;

use crate::check::linearizability::Start;
use crate::check::property::Verdict;
use crate::client::{Ask, Ended, Pipeline};
use crate::config::RaftSettings;
use crate::faults::{End, EndId, NetChange};
use crate::net::counts::LinkCounts;
use crate::server::{EntryView, LogView, MembersView, RoleName, Status, WhichEntry};
use crate::storage::glimpse::Glimpse;
use crate::text::counted;
use crate::trace::{EventFilter, Remembered, Subject};
use crate::types::{Member, NodeId, Term, Time};

/// A cluster on which a person, or a script, experiments.
pub trait Lab {
    /// The nodes that there are now, running or not, in order.
    fn nodes(&self) -> Vec<NodeId>;

    /// Starts a new node of this name on new, empty files: it belongs to no configuration until a leader takes it in. What
    /// an earlier node left under the name is wiped. Returns the name with the number of its files.
    ///
    /// # Errors
    /// A node of this name runs, or its files cannot be made. Nothing has changed then.
    fn add_node(&mut self, node: NodeId) -> Result<Member, LabError>;

    /// Whether a node that does not run has left files under this name: [`Lab::add_node`] would wipe them.
    fn has_old_files(&mut self, node: NodeId) -> bool;

    /// Forgets a node that does not run: it is not one of the nodes any more, and the rules and numbers of its links are gone.
    /// Its files stay.
    ///
    /// # Errors
    /// It runs, there is no such node, or no other.
    fn remove_node(&mut self, node: NodeId) -> Result<(), LabError>;

    fn now(&self) -> Time;

    fn seed(&self) -> u64;

    /// Waits until something may have changed, but not beyond `until`. In virtual time this is the next event.
    fn wait(&mut self, until: Time);

    /// Looks after the nodes while nothing is asked of them: those that come back are told what holds.
    fn attend(&mut self) {}

    /// Whether a person asked to stop what is running (Ctrl-C). Reading it does not clear it.
    fn interrupted(&self) -> bool;

    /// Makes these calls at once, from one client, and waits until each has ended. The ends are in the order of the calls.
    fn ask(&mut self, asks: Vec<Ask>) -> Vec<Ended>;

    /// What the keys held when the run began.
    fn began_with(&self) -> Start;

    /// Whether [`Lab::check`] sees all that the nodes ever did.
    fn checks_from_beginning(&self) -> bool {
        self.began_with() == Start::Absent
    }

    /// What processes remember that explains this, and when the lab's time began by theirs: some of it may be older.
    fn remembered(&mut self, _: Subject) -> (Time, Vec<(NodeId, Remembered)>) {
        (Time::ZERO, Vec::new())
    }

    /// Whether others may write, too: what the calls of one console do not explain may then be theirs.
    fn others_write(&self) -> bool {
        false
    }

    /// Asked before each step of a long search, whether to continue: limited by steps in virtual time, else by time. A
    /// person can end it at once.
    fn patience(&self) -> Box<dyn FnMut() -> bool + '_>;

    fn view(&mut self, node: NodeId) -> NodeView;

    /// A running node's state as names and values, in order.
    fn items(&mut self, node: NodeId) -> Result<Vec<(String, String)>, LabError>;

    fn log(&mut self, node: NodeId) -> Result<LogView, LabError>;

    /// An entry of a node's log; none if the log does not have it.
    fn entry(&mut self, node: NodeId, which: WhichEntry) -> Result<Option<EntryView>, LabError>;

    /// The members, as this node knows them.
    fn members_view(&mut self, node: NodeId) -> Result<MembersView, LabError>;

    /// What a node has stored: its term and vote, and this many of its last entries. It need not run.
    fn stored(&mut self, node: NodeId, entries: usize) -> Result<Glimpse, LabError>;

    /// Does this to a node. Says what came of it, where there is something to say: what a crash left, what was reloaded,
    /// what waited, which faults of a disk ended.
    ///
    /// # Errors
    /// The node cannot do it now, and what to do instead; nothing has changed then.
    fn order(&mut self, node: NodeId, order: NodeOrder) -> Result<String, LabError>;

    /// Whether the nodes end by their own clocks what lasts a time, so that it ends without the console.
    fn ends_faults(&self) -> bool {
        false
    }

    /// Does something to a node that lasts a time. Unless the nodes end it, the caller has to.
    ///
    /// # Errors
    /// As for [`Lab::order`].
    fn order_for(&mut self, node: NodeId, order: NodeOrder, _lasting: Lasting) -> Result<String, LabError> {
        self.order(node, order)
    }

    /// Changes the network for a time. Unless the nodes end that, the caller has to.
    ///
    /// # Errors
    /// As for [`Lab::change_network`].
    fn change_network_for(&mut self, change: &NetChange, _lasting: Lasting) -> Result<String, LabError> {
        self.change_network(change)
    }

    /// Ends a change of the network that the nodes would end, if its time has not come yet. Whether the rules are others without
    /// it.
    ///
    /// # Errors
    /// No node can be told.
    fn end_change(&mut self, _end: EndId) -> Result<bool, LabError> {
        Ok(false)
    }

    /// Why a node refused, or gave up, the newest transfer of its leadership; none while it may still succeed.
    fn transfer_failure(&mut self, node: NodeId) -> Option<String>;

    /// What became of a transfer that this leader of a term was told to make: who leads a later term, or why the leader
    /// leads on. None while that is open, or the old leader has not sent its clients to the new one yet.
    fn transferred(&mut self, from: NodeId, term: Term) -> Option<Result<(NodeId, Term), String>> {
        let NodeView { life, status, .. } = self.view(from);
        for node in self.nodes() {
            let NodeView { life: new_life, status: new, .. } = self.view(node);
            if new_life == Life::Up && new.role == RoleName::Leader && new.term > term {
                let told = life != Life::Up || status.leader.is_some();
                return told.then_some(Ok((node, new.term)));
            }
        }
        let leads_on = status.role == RoleName::Leader && status.hands_over_to.is_none();
        leads_on
            .then(|| Err(self.transfer_failure(from).unwrap_or_else(|| "it was not asked to".to_string())))
    }

    /// Changes the network. Says what that did.
    fn change_network(&mut self, change: &NetChange) -> Result<String, LabError>;

    /// Works towards the session of the client behind [`Lab::ask`], ahead of its first command, without waiting. Says
    /// whether there is nothing more to do. In virtual time the first command opens it.
    fn open_session(&mut self) -> bool {
        true
    }

    fn network_rules(&mut self) -> Vec<NetChange>;

    /// The network's counters, for each link that was used.
    fn network_counts(&mut self) -> Vec<(End, End, LinkCounts)>;

    /// The core's settings in force, and those that the run began with.
    fn settings(&self) -> &LabSettings;

    /// Lets every node run with these settings from now on, those that start later too. When this returns, each running node
    /// has taken them; one that is frozen takes them when it is resumed, before all that arrives later.
    ///
    /// # Errors
    /// The rule that they break. Nothing has changed then.
    fn configure(&mut self, settings: RaftSettings) -> Result<(), LabError>;

    /// Whether the properties of the run have held so far, each by name.
    fn check(&mut self) -> Vec<Verdict>;

    /// A client of its own that keeps many calls under way, for a thread of its own. Only a cluster on threads has one.
    fn pipeline(&self) -> Result<Pipeline, LabError> {
        let text = "load needs real threads: run the script with `cluster`; 'pipe' sends many commands here";
        Err(LabError::new(text.to_string()))
    }

    /// Whether the nodes have disks, whose faults can be made.
    fn has_disks(&self) -> bool {
        true
    }

    /// How often the nodes have forced something to disk; none in virtual time, which does not count it.
    fn disk_syncs(&self) -> Option<u64> {
        None
    }

    /// Tells the observer what this filter shows, and the turning points of the run. On threads and processes that costs, so it
    /// is asked for; in virtual time everything is told.
    fn watch_events(&mut self, _filter: EventFilter) {}

    fn kind(&self) -> LabKind;

    /// Tells the observer every message, and what a node is after each step that changed it, from each one's next step on; or no
    /// longer. On threads and processes that costs, so it is asked for.
    fn follow_steps(&mut self, follow: bool);

    /// Whether time passes by a clock, so that a person can watch what happens. Virtual time can run ahead of any clock.
    fn has_clock(&self) -> bool {
        true
    }

    /// Records, in this new folder, what goes into each step, until that many bytes are written: the steps can be made again.
    ///
    /// # Errors
    /// A recording runs already, the folder cannot be written, or the lab needs none: seed and lines make its run again.
    fn record(&mut self, _folder: &Path, _bytes_max: u64) -> Result<(), LabError> {
        let text =
            "virtual time needs no recording: seed and lines make the run again ('rewind', 'save-script')";
        Err(LabError::new(text.to_string()))
    }

    /// The folder of the recording that runs; none if none does.
    fn records_to(&self) -> Option<PathBuf> {
        None
    }

    /// Ends the recording, with all of it in its folder.
    ///
    /// # Errors
    /// None runs.
    fn end_recording(&mut self) -> Result<Recorded, LabError> {
        Err(LabError::new("no recording runs".to_string()))
    }

    /// Until when the run was recorded that this one makes again; none if it makes none again.
    fn recorded_until(&self) -> Option<Time> {
        None
    }

    /// Runs time at this multiple of the clock's. Only virtual time can.
    fn set_speed(&mut self, _factor: f64) -> Result<(), LabError> {
        Err(only_in_virtual_time("speed"))
    }

    /// Lets virtual time pass up to this moment, at no clock's pace.
    ///
    /// # Errors
    /// Time is not virtual.
    fn pass_to(&mut self, _until: Time) -> Result<(), LabError> {
        Err(only_in_virtual_time("play"))
    }

    /// The run as one that can be made again; none on threads and processes.
    fn virtual_time(&mut self) -> Option<&mut dyn VirtualTime> {
        None
    }
}

/// The core's settings in the course of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabSettings {
    /// Those in force.
    pub now: RaftSettings,
    /// Those that the run began with.
    pub at_start: RaftSettings,
}

impl LabSettings {
    pub(crate) fn new(settings: RaftSettings) -> LabSettings {
        LabSettings { now: settings.clone(), at_start: settings }
    }

    /// Changes those in force.
    ///
    /// # Errors
    /// The rule that they break.
    pub(crate) fn change(&mut self, settings: RaftSettings) -> Result<(), LabError> {
        settings.validate().map_err(|error| LabError::new(error.to_string()))?;
        self.now = settings;
        Ok(())
    }
}

/// How long a fault lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lasting {
    /// Names what ends it.
    pub end: EndId,
    pub time: Duration,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeView {
    pub life: Life,
    /// What it knows: now, or when it was last seen running.
    pub status: Status,
    /// Whether its disk completes no write now: it is stalled, or full.
    pub disk_blocked: bool,
}

/// Whether a node runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Life {
    /// It runs.
    Up,
    /// It is paused: it makes no step.
    Paused,
    /// Its whole process makes no step, for so long.
    Frozen(Duration),
    /// Its process has said nothing for so long: whether it runs is not known.
    Silent(Duration),
    /// It does not run, and why: `crashed`, `stopped`, or what went wrong.
    Down(String),
}

/// What a crash leaves of what a node knew: `all 3 entries are on its disk`.
pub(crate) fn left_by_crash(known: &Status, stored: &Glimpse) -> String {
    let kept = stored.last().max(stored.snapshot.index).0;
    let lost = known.last.index.0.saturating_sub(kept);
    let vote = stored
        .hard_state
        .map_or((Term(0), None), |state| (state.current_term, state.voted_for.map(|vote| vote.node)));
    let vote_lost = vote != (known.term, known.voted_for);
    if lost == 0 && !vote_lost {
        return match kept {
            0 => "its log was empty".to_string(),
            1 => "its only entry is on its disk".to_string(),
            count => format!("all {count} entries are on its disk"),
        };
    }
    let entries = |count| if count == 1 { "1 entry".to_string() } else { format!("{count} entries") };
    let parts =
        [(lost > 0).then(|| entries(lost)), vote_lost.then(|| "its newest term and vote".to_string())];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let were = if lost == 1 && !vote_lost { "was" } else { "were" };
    let rest = match kept {
        0 => String::new(),
        1 => ", 1 entry is".to_string(),
        count => format!(", {count} entries are"),
    };
    format!("{} {were} not on its disk yet{rest}", parts.join(" and "))
}

/// What a node says that is resumed.
pub(crate) fn waited(messages: usize) -> String {
    format!("{} waited in its inbox", counted(messages, "message"))
}

pub(crate) fn only_in_virtual_time(verb: &str) -> LabError {
    LabError::new(format!("'{verb}' needs virtual time, which `simulate` has"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::effects::HardState;
    use crate::types::{EntryId, LogIndex};

    #[test]
    fn what_a_crash_leaves_is_said_in_a_sentence() {
        let said = |known: u64, stored: usize, term: u64| {
            let known = Status {
                last: EntryId::new(Term(1), LogIndex(known)),
                term: Term(term),
                ..Status::default()
            };
            let hard_state = HardState { current_term: Term(1), ..HardState::default() };
            let terms = vec![Some(Term(1)); stored];
            left_by_crash(&known, &Glimpse { hard_state: Some(hard_state), terms, ..Glimpse::default() })
        };
        assert_eq!(said(0, 0, 1), "its log was empty");
        assert_eq!(said(1, 1, 1), "its only entry is on its disk");
        assert_eq!(said(3, 3, 1), "all 3 entries are on its disk");
        assert_eq!(said(3, 2, 1), "1 entry was not on its disk yet, 2 entries are");
        assert_eq!(said(2, 0, 1), "2 entries were not on its disk yet");
        assert_eq!(said(1, 1, 2), "its newest term and vote were not on its disk yet, 1 entry is");
        assert_eq!(
            said(3, 2, 2),
            "1 entry and its newest term and vote were not on its disk yet, 2 entries are"
        );
    }
}
