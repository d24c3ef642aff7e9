//! Defects of how changes of the members follow one another, and of those whom they leave out (section 6; chapter 4 of the
//! dissertation).

use super::Hook::{After, Before, Timed};
use super::members::SCHEDULE;
use super::{Specimen, keep_messages};
use crate::raft::Raft;
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::raft::role::{Follower, Role};
use crate::server::{Arrival, Server};
use crate::sim::seeds::Family;
use crate::types::Time;

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("joint-left-uncommitted", "6")
        .defect("a leader proposes the new members before the joint entry is committed")
        .hook(Timed(|now, server, _| {
            leave_joint(now, server.raft_mut(), |raft, joint| joint.index > raft.commit_index());
        }))
        .caught(Family::Members, 1, &["changes in order"]),
    Specimen::new("joint-left-before-no-op", "6")
        .defect("a new leader leaves an earlier leader's joint members before its own no-op is committed")
        .hook(Timed(|now, server, _| leave_joint(now, server.raft_mut(), is_inherited)))
        .caught(Family::Members, 2, &["changes in order"]),
    Specimen::new("taken-back-too-soon", "6")
        .defect("a new leader takes an earlier leader's joint entry back before its own no-op is committed")
        .hook(Timed(|now, server, _| {
            let raft = server.raft_mut();
            if let Some(outgoing) = joint_if(raft, is_inherited).and_then(|joint| joint.outgoing.clone()) {
                raft.append_members(now, Configuration { voters: outgoing, ..Configuration::default() });
            }
        }))
        .caught(Family::Members, 2, &["changes in order"]),
    Specimen::new("two-changes-at-once", "4.1 of the dissertation")
        .defect("a leader begins a change while the one before is not committed")
        .hook(Timed(|now, server, arrivals| {
            change_anyway(now, server, arrivals, |raft, newest| newest.index > raft.commit_index());
        }))
        .caught(Family::Members, 1, &["changes in order"]),
    Specimen::new("change-while-joint", "4.3 of the dissertation")
        .defect("a leader begins a change while the members are joint")
        .hook(Timed(|now, server, arrivals| {
            change_anyway(now, server, arrivals, |_, newest| newest.configuration.is_joint());
        }))
        .caught(Family::Members, 2, &["changes in order"]),
    Specimen::new("change-before-no-op", "4.1 of the dissertation")
        .defect("a new leader begins a change before an entry of its term is committed")
        .hook(Timed(|now, server, arrivals| {
            change_anyway(now, server, arrivals, |raft, _| !has_opened(raft));
        }))
        .caught(Family::Members, 3, &["changes in order"]),
    Specimen::new("voters-changed-at-once", "6")
        .defect("a leader goes from the old members to the new ones without a joint step")
        .hook(Timed(|now, server, arrivals| {
            change_anyway(now, server, arrivals, |_, _| true);
            let raft = server.raft_mut();
            leave_joint(now, raft, |_, _| true);
        }))
        .caught(Family::Members, 1, &["changes in order"]),
    Specimen::new("dead-learner-promoted", "4.2.1 of the dissertation")
        .defect("a learner that has caught up becomes a voter although it does not answer any more")
        .hook(Timed(|now, server, _| {
            let raft = server.raft_mut();
            let learners = raft.configuration().learners.clone();
            if let Role::Leader(leader) = &mut raft.role {
                for node in learners.keys() {
                    leader.followers.get_mut(node).map(|progress| progress.answers.answered.replace(now));
                }
            }
        }))
        .caught(Family::Members, 6, &["changes in order"]),
    Specimen::new("removed-leader-leaves-early", "4.2.2 of the dissertation")
        .defect("a leader that is left out steps down as soon as it has appended the new members")
        .hook(After(|server, _| {
            let raft = server.raft_mut();
            if !raft.configuration().names(raft.member()) && matches!(raft.role, Role::Leader(_)) {
                raft.role = Role::Follower(Follower::default());
            }
        }))
        .caught_by_scenario("a leader of two leaves itself out and is stopped when it leads no more"),
    Specimen::new("removed-node-silent", "4.2.2 of the dissertation")
        .defect("a node, the leader too, takes in no message while the newest entry of its log leaves it out")
        .hook(Before(|server, arrivals| {
            let raft = server.raft();
            let was =
                raft.committed_configuration().is_some_and(|was| was.configuration.names(raft.member()));
            let leaves = was && !raft.configuration().names(raft.member());
            keep_messages(arrivals, |_| !leaves);
        }))
        .caught_by_scenario(SCHEDULE),
    Specimen::new("retired-by-history", "4.2.3 of the dissertation")
        .defect(
            "new files that read of the removal of earlier ones under their name take themselves for removed",
        )
        .hook(After(|server, _| {
            let raft = server.raft_mut();
            let known = raft.committed_configuration();
            raft.retired |= known.is_some_and(|known| !known.configuration.contains(raft.id()));
        }))
        .caught(Family::Members, 1, &["not healed"]),
    Specimen::new("retired-forgotten-at-restart", "4.2.3 of the dissertation")
        .defect("a node does not store that it was removed, and starts again from its files")
        .hook(After(|_, outbox| {
            if let Some(hard_state) = outbox.write.as_mut().and_then(|write| write.hard_state.as_mut()) {
                hard_state.retired = false;
            }
        }))
        .caught(Family::Members, 1, &["no disruption"]),
];

/// Whether an entry of this leader's term is committed.
fn has_opened(raft: &Raft) -> bool {
    raft.log().term_at(raft.commit_index()) == Some(raft.current_term())
}

fn is_inherited(raft: &Raft, joint: &Configured) -> bool {
    !has_opened(raft) && raft.log().term_at(joint.index) < Some(raft.current_term())
}

/// The newest configuration of a leader, if it is joint and such.
fn joint_if(raft: &Raft, such: impl Fn(&Raft, &Configured) -> bool) -> Option<Configuration> {
    let newest = raft.configurations().newest().filter(|_| matches!(raft.role(), Role::Leader(_)))?;
    let joint = newest.configuration.is_joint() && such(raft, newest);
    joint.then(|| Configuration::clone(&newest.configuration))
}

fn leave_joint(now: Time, raft: &mut Raft, such: fn(&Raft, &Configured) -> bool) {
    if let Some(joint) = joint_if(raft, such) {
        raft.append_members(now, Configuration { outgoing: None, ..joint });
    }
}

/// A leader takes in a change that it has to refuse, as if the newest configuration were the one to change.
fn change_anyway(now: Time, server: &mut Server, arrivals: &[Arrival], such: fn(&Raft, &Configured) -> bool) {
    let raft = server.raft_mut();
    for arrival in arrivals {
        let (Arrival::Change(request), Role::Leader(_)) = (arrival, raft.role()) else { continue };
        let newest = raft.configurations().newest().filter(|newest| such(raft, newest));
        let next = newest.and_then(|newest| newest.configuration.changed(request.change).ok());
        if let Some(next) = next {
            raft.append_members(now, next);
        }
    }
}
