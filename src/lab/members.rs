//! Changes of the members, from asking a leader until the last entry is committed.
//!
//! Who leads may change meanwhile: the members that the next leader commits say whether the change continues, is done, or
//! must be asked for again.

use std::sync::Arc;
use std::time::Duration;

use super::{Lab, LabError, Life, NodeOrder};
use crate::raft::effects::{ChangeError, ChangeRequest};
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::raft::membership::request::Change;
use crate::server::{MembersView, RoleName};
use crate::text::nodes::spaced;
use crate::text::numbers::grouped;
use crate::types::{LogIndex, Member, NodeId, Term, Time};

/// A change that is done: its last entry is committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeDone {
    pub leader: NodeId,
    pub term: Term,
    /// Where the configuration stands in the log.
    pub index: LogIndex,
    pub configuration: Arc<Configuration>,
    pub took: Duration,
}

/// Why a change is not done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MembersError {
    /// A leader refused it. Nothing has changed.
    #[error("{0}")]
    Refused(ChangeError),
    /// A node could not be made or reached. Nothing has changed.
    #[error("{0}")]
    Lab(#[from] LabError),
    /// No node led. Nothing has changed.
    #[error("no leader was found: 'wait leader' waits for one")]
    NoLeader,
    /// The leader took it back, since the new voters did not answer.
    #[error("the leader took the change back: its new voters do not answer")]
    TakenBack,
    /// It has begun, and continues: the time to wait for it is over.
    #[error(
        "it is not done yet, and continues: {waits_for}; 'members' shows it, 'cancel change' takes it back"
    )]
    UnderWay { waits_for: String },
}

/// Who belongs to a cluster, as its leader knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Members {
    pub leader: NodeId,
    /// Where the configuration stands in the log; zero while nothing was changed.
    pub index: LogIndex,
    /// The newest in the leader's log: it counts from there on, committed or not.
    pub configuration: Arc<Configuration>,
    pub committed: bool,
}

impl Members {
    pub(crate) fn of(leader: NodeId, view: MembersView) -> Option<Members> {
        let Configured { index, configuration } = view.newest?;
        Some(Members { leader, index, configuration, committed: view.committed })
    }

    /// Who votes; of a change of the voters, once it is done.
    pub fn voters(&self) -> Vec<NodeId> {
        self.configuration.voters.keys().copied().collect()
    }

    /// Who is sent the log and has no vote.
    pub fn learners(&self) -> Vec<NodeId> {
        self.configuration.learners.keys().copied().collect()
    }

    /// Whether nothing is under way: the configuration is committed, it is not joint, and no learner waits for its vote.
    pub fn is_settled(&self) -> bool {
        let waits = self.configuration.learners.values().any(|learner| learner.joins.is_some());
        self.committed && !self.configuration.is_joint() && !waits
    }
}

/// A leader that could not begin a change yet is asked again after this long: nothing may happen meanwhile that shows.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// A leader, and the members as it knows them.
struct Led {
    leader: NodeId,
    term: Term,
    view: MembersView,
}

/// Changes the members, and waits until that is done: each new node is made first, with new files.
///
/// `force` lets a change begin whose voters do not answer: until enough of them are back, nothing is committed.
///
/// # Errors
/// See [`MembersError`]: it says whether the change has begun.
pub fn change_members(
    lab: &mut dyn Lab,
    change: Change<NodeId>,
    force: bool,
    timeout: Duration,
) -> Result<ChangeDone, MembersError> {
    let begun = lab.now();
    let until = begun + timeout;
    let led = find_leader(lab, until).ok_or(MembersError::NoLeader)?;
    let newest = led.view.newest.clone().ok_or(MembersError::NoLeader)?;
    if let Some(node) = change.newcomer().filter(|node| newest.configuration.contains(*node)) {
        return Err(MembersError::Refused(ChangeError::IsMember(node)));
    }
    let made = change.newcomer().map(|node| lab.add_node(node)).transpose()?;
    let change = change.with(made);
    let done = ask_and_wait(lab, change, force, until);
    if let (Some(made), Err(MembersError::Refused(_) | MembersError::NoLeader)) = (made, &done) {
        // No entry names it: it would wait in vain. If its disk does not let it end, it stays.
        let _ = lab.order(made.node, NodeOrder::Stop).and_then(|_| lab.remove_node(made.node));
    }
    done.map(|(led, Configured { index, configuration })| ChangeDone {
        leader: led.leader,
        term: led.term,
        index,
        configuration,
        took: lab.now().since(begun),
    })
}

/// Asks leaders until one has begun the change, and waits for its end.
fn ask_and_wait(
    lab: &mut dyn Lab,
    change: Change,
    force: bool,
    until: Time,
) -> Result<(Led, Configured), MembersError> {
    // The term in which the change was last asked for, and where its first entry stands.
    let mut asked: Option<(Term, LogIndex)> = None;
    // Why the last leader did not begin it, if that passes.
    let mut not_yet: Option<ChangeError> = None;
    let mut waits_for = "no leader is found".to_string();
    loop {
        if let Some(led) = current_leader(lab)
            && let Some(newest) = led.view.newest.clone()
        {
            let configuration = &newest.configuration;
            let settled = led.view.committed && !configuration.is_joint();
            let stage = change.stage(configuration);
            let begun = asked.is_some_and(|(term, index)| term == led.term && newest.index >= index);
            match stage {
                Stage::Done if settled && (begun || asked.is_some() || change.repeats()) => {
                    return Ok((led, newest));
                }
                Stage::Done | Stage::Continues if asked.is_some() => waits_for = led.waits_for(lab, change),
                // What this leader had begun is gone again.
                Stage::NotBegun if settled && begun => return Err(MembersError::TakenBack),
                _ if !begun && (settled || change == Change::Cancel) => {
                    let request = ChangeRequest::new(change, newest.index, force);
                    match ask(lab, led.leader, request) {
                        Ok(index) => {
                            asked = Some((led.term, index));
                            continue;
                        }
                        Err(error) if error.passes() => {
                            waits_for = error.to_string();
                            not_yet = Some(error);
                        }
                        Err(error) if asked.is_none() => return Err(MembersError::Refused(error)),
                        Err(error) => waits_for = error.to_string(),
                    }
                }
                _ if asked.is_none() && configuration.is_joint() => {
                    return Err(MembersError::Refused(ChangeError::UnderWay(Arc::clone(configuration))));
                }
                _ => {}
            }
        }
        if lab.now() >= until || lab.interrupted() {
            return Err(match asked {
                Some(_) => MembersError::UnderWay { waits_for },
                None => not_yet.map_or(MembersError::NoLeader, MembersError::Refused),
            });
        }
        let again = not_yet.as_ref().map_or(until, |_| lab.now() + ASK_AGAIN);
        lab.wait(again.min(until));
    }
}

fn ask(lab: &mut dyn Lab, leader: NodeId, request: ChangeRequest) -> Result<LogIndex, ChangeError> {
    let refused = |_| ChangeError::NotLeader { leader: None };
    lab.order(leader, NodeOrder::Change(request)).map_err(refused)?;
    lab.members_view(leader).ok().and_then(|view| view.changed).unwrap_or(Err(ChangeError::TooSoon))
}

fn find_leader(lab: &mut dyn Lab, until: Time) -> Option<Led> {
    loop {
        let led = current_leader(lab).filter(|led| led.view.newest.is_some());
        if led.is_some() || lab.now() >= until || lab.interrupted() {
            return led;
        }
        lab.wait(until);
    }
}

/// The node that leads the newest term, by its own word.
fn current_leader(lab: &mut dyn Lab) -> Option<Led> {
    let views = lab.nodes().into_iter().map(|node| (node, lab.view(node)));
    let leading = views.filter(|(_, view)| view.life == Life::Up && view.status.role == RoleName::Leader);
    let (leader, view) = leading.max_by_key(|(_, view)| view.status.term)?;
    let term = view.status.term;
    lab.members_view(leader).ok().map(|view| Led { leader, term, view })
}

/// How far a change has come in a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    NotBegun,
    Continues,
    Done,
}

impl Change<NodeId> {
    /// The node that must be made first.
    fn newcomer(self) -> Option<NodeId> {
        match self {
            Change::Add { new, .. } | Change::Replace { new, .. } => Some(new),
            _ => None,
        }
    }

    fn with(self, made: Option<Member>) -> Change {
        let made = || made.expect("a newcomer was made");
        match self {
            Change::Add { learner, .. } => Change::Add { new: made(), learner },
            Change::Replace { old, .. } => Change::Replace { old, new: made() },
            Change::Remove(node) => Change::Remove(node),
            Change::Promote(node) => Change::Promote(node),
            Change::Demote(node) => Change::Demote(node),
            Change::Prefer(node) => Change::Prefer(node),
            Change::Cancel => Change::Cancel,
        }
    }
}

impl Change {
    /// Whether asking again for what is so already is no mistake.
    fn repeats(self) -> bool {
        matches!(self, Change::Prefer(_))
    }

    fn stage(self, configuration: &Configuration) -> Stage {
        let votes = |node: NodeId| configuration.voters.contains_key(&node);
        let joins =
            |node: NodeId| configuration.learners.get(&node).is_some_and(|learner| learner.joins.is_some());
        let leaves =
            |node: NodeId| configuration.outgoing.as_ref().is_some_and(|voters| voters.contains_key(&node));
        let (done, continues) = match self {
            Change::Add { new, learner: true } => (configuration.names(new), false),
            Change::Add { new, .. } | Change::Replace { new, .. } => {
                (configuration.voters.get(&new.node) == Some(&new.store_id), joins(new.node))
            }
            Change::Promote(node) => (votes(node), joins(node)),
            Change::Demote(node) => (!votes(node) && configuration.learners.contains_key(&node), false),
            Change::Remove(node) => {
                let left = !votes(node) && !configuration.learners.contains_key(&node);
                (left, left && leaves(node))
            }
            Change::Prefer(node) => (configuration.preferred == node, false),
            Change::Cancel => {
                let pending = configuration.learners.values().any(|learner| learner.joins.is_some());
                (!configuration.is_joint() && !pending, false)
            }
        };
        match (done, continues) {
            (true, _) => Stage::Done,
            (false, true) => Stage::Continues,
            (false, false) => Stage::NotBegun,
        }
    }
}

impl ChangeError {
    /// Whether it passes by itself.
    fn passes(&self) -> bool {
        matches!(
            self,
            ChangeError::NotLeader { .. }
                | ChangeError::TooSoon
                | ChangeError::HandsOver
                | ChangeError::OtherMembers(_)
        )
    }
}

impl Led {
    /// What a change that continues waits for.
    fn waits_for(&self, lab: &dyn Lab, change: Change) -> String {
        let Some(newest) = &self.view.newest else { return "no configuration is known".to_string() };
        let patience = lab.settings().now.election_min;
        let now = lab.now();
        let silent = |member: &Member| {
            *member != self.view.own
                && !self.view.followers.get(&member.node).is_some_and(|follower| {
                    follower.store_id == member.store_id
                        && follower.answered.is_some_and(|at| now < at + patience)
                })
        };
        if newest.configuration.is_joint() || !self.view.committed {
            let voters =
                newest.configuration.members().filter(|member| newest.configuration.is_voter(*member));
            let mut silent: Vec<NodeId> = voters.filter(silent).map(|member| member.node).collect();
            silent.sort_unstable();
            silent.dedup();
            let what = format!("{} is not committed", newest.configuration);
            return match &silent[..] {
                [] => what,
                [one] => format!("{what}: {one} does not answer"),
                many => format!("{what}: {} do not answer", spaced(many, |node| node.to_string())),
            };
        }
        let newcomer = match change {
            Change::Add { new, .. } | Change::Replace { new, .. } => new.node,
            Change::Promote(node) => node,
            _ => return "the leader continues with it".to_string(),
        };
        match self.view.followers.get(&newcomer) {
            Some(follower) if follower.answered.is_some() => {
                let behind = self.view.last.0.saturating_sub(follower.matched.0);
                format!("{newcomer} trails by {}", grouped(behind))
            }
            _ => format!("{newcomer} does not answer"),
        }
    }
}
