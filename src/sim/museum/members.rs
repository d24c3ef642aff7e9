//! Defects of who decides (section 6; chapter 4 of the dissertation): which configuration is used, and whose copies and
//! votes count by it. Most were found in other projects.

use std::collections::BTreeMap;

use super::Hook::{After, Arriving, Before, Other};
use super::logs::{commit, held, majority};
use super::{Specimen, arriving, keep_messages};
use crate::raft::entry::Content;
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::raft::message::{Body, Extra, Message};
use crate::raft::role::Role;
use crate::raft::{Raft, Recovered};
use crate::server::snapshots::SnapshotWork;
use crate::server::{Arrival, Outbox, Server};
use crate::sim::mutation::Mutation;
use crate::sim::seeds::Family;
use crate::types::{LogIndex, Member, NodeId, Term, Time};

/// What a quorum does that is too small, or of others.
const APART: &[&str] = &[
    "commit rule",
    "election safety",
    "leader completeness",
    "quorums overlap",
    "changes in order",
    "state machine safety",
    "log matching",
    "one vote a term",
    "node invariants",
];

/// What shows those that random runs seldom provoke.
pub(super) const SCHEDULE: &str = "a schedule of its own, message by message";

pub const SPECIMENS: &[Specimen] = &[
    Specimen::new("members-when-committed", "6")
        .defect("a node uses a configuration only when it is committed, and not as soon as it is in its log")
        .hook(Other(|| Box::new(Uses(|raft, used| used.retain(|one| one.index <= raft.commit_index())))))
        .caught(Family::Members, 1, APART),
    Specimen::new("members-forgotten-at-restart", "6")
        .defect("a node that restarts does not use the configurations that are not committed")
        .hook(Other(|| Box::<ForgetsAtRestart>::default()))
        .caught(Family::Members, 4, APART),
    Specimen::new("members-of-replaced-log", "7")
        .defect("a node that crashes once it has installed a snapshot uses the members of the replaced log")
        .hook(Other(|| Box::<KeepsReplaced>::default()))
        .caught_by_scenario(SCHEDULE),
    Specimen::new("members-not-truncated", "6")
        .defect("a configuration stays in use when its entry is removed from the log")
        .hook(Other(|| Box::<KeepsTruncated>::default()))
        .caught_by_scenario(SCHEDULE),
    Specimen::new("joint-taken-for-new", "6")
        .defect("the new members decide alone as soon as the joint entry is there")
        .hook(Other(|| Box::new(Uses(|_, used| newest(used, |newest| newest.outgoing = None)))))
        .caught(Family::Members, 2, APART),
    Specimen::new("old-majority-alone", "6")
        .defect("while the members are joint a majority of the old ones commits")
        .hook(After(|server, _| {
            commit_by(server.raft_mut(), |joint| Some(of(joint.outgoing.clone()?)));
        }))
        .caught(Family::Members, 1, APART),
    Specimen::new("new-majority-alone", "6")
        .defect("while the members are joint a majority of the new ones commits")
        .hook(After(|server, _| {
            commit_by(server.raft_mut(), |joint| joint.is_joint().then(|| of(joint.voters.clone())));
        }))
        .caught(Family::Members, 3, APART),
    Specimen::new("one-half-elects", "6")
        .defect("while the members are joint the votes of the new ones elect a leader")
        .hook(Other(|| {
            Box::new(Uses(|raft, used| {
                if asks_for_votes(raft) {
                    newest(used, |newest| newest.outgoing = None);
                }
            }))
        }))
        .caught(Family::Members, 2, APART),
    Specimen::new("learners-elect", "4.2.1 of the dissertation")
        .defect("a candidate is elected by learners' votes")
        .hook(Other(|| {
            Box::new(Uses(|raft, used| {
                if !matches!(raft.role(), Role::Leader(_)) {
                    newest(used, |newest| {
                        let learners =
                            newest.learners.iter().map(|(node, learner)| (*node, learner.store_id));
                        let own = newest.voters.get(&raft.id()).map(|files| (raft.id(), *files));
                        if !newest.learners.is_empty() {
                            newest.voters = learners.chain(own).collect();
                        }
                    });
                }
            }))
        }))
        .caught(Family::Members, 3, APART),
    Specimen::new("learner-counted-early", "4.2.1 of the dissertation")
        .defect("a learner's copy of an entry counts for the majority that commits it")
        .hook(After(|server, _| {
            let raft = server.raft_mut();
            commit_at(raft, majority(raft));
        }))
        .caught(Family::Members, 1, APART),
    Specimen::new("removed-leader-counts-itself", "4.2.2 of the dissertation")
        .defect("a leader that is left out counts its own copy of an entry")
        .hook(After(|server, _| {
            let raft = server.raft_mut();
            if !raft.configuration().is_joint() && !raft.configuration().is_voter(raft.member()) {
                commit_at(raft, majority(raft));
            }
        }))
        .caught(Family::Members, 3, APART),
    Specimen::new("quorum-remembered", "6")
        .defect("a leader decides by the members that there were when it was elected")
        .hook(Other(|| Box::<Remembers>::default()))
        .caught(Family::Members, 4, APART),
    Specimen::new("files-not-compared", "4.3 of the dissertation")
        .defect("what files say counts for those that were lost under the same name")
        .hook(Arriving(take_for_members))
        .caught(Family::Members, 2, APART),
    Specimen::new("vote-without-files", "4.3 of the dissertation")
        .defect("a vote is kept by the candidate's name: one that lost its files is given it again")
        .hook(Before(vote_by_name))
        .caught_by_scenario(SCHEDULE),
    Specimen::new("old-name-decides", "4.3 of the dissertation")
        .defect(
            "new files under an old name meet a configuration that names it, and campaign and decide by that",
        )
        .hook(Other(|| {
            Box::new(Uses(|raft, used| {
                let Member { node, store_id } = raft.member();
                newest(used, |newest| {
                    newest.voters.entry(node).and_modify(|files| *files = store_id);
                });
            }))
        }))
        .caught_by_scenario(SCHEDULE),
    Specimen::new("vote-only-for-known", "4.1 of the dissertation")
        .defect("a node votes only for members of the configuration that it knows")
        .hook(Before(|server, arrivals| {
            let raft = server.raft();
            keep_messages(arrivals, |message| {
                !is_for_votes(message) || raft.configuration().contains(message.from)
            });
        }))
        .caught_by_scenario(SCHEDULE),
    Specimen::new("learner-refuses-vote", "4.2.1 of the dissertation")
        .defect("a node that takes itself for a learner gives no vote")
        .hook(Before(|server, arrivals| {
            let votes = server.raft().configuration().is_voter(server.raft().member());
            keep_messages(arrivals, |message| votes || !is_for_votes(message));
        }))
        .caught_by_scenario(SCHEDULE),
    Specimen::new("snapshot-with-earlier-members", "7")
        .defect("a snapshot holds the members before the newest ones of what it covers")
        .hook(After(|server, outbox| {
            for work in &mut outbox.snapshots {
                if let SnapshotWork::Save { configured, .. } = work
                    && let Some(before) = configured.index.0.checked_sub(1)
                {
                    let before = server.raft().configuration_at(LogIndex(before));
                    *configured = before.unwrap_or(configured.clone());
                }
            }
        }))
        .caught(Family::Members, 1, &["snapshot"]),
    Specimen::new("members-of-snapshots-index", "7")
        .defect("a snapshot gives its members the index of the last entry that it covers")
        .hook(After(|_, outbox| {
            for work in &mut outbox.snapshots {
                if let SnapshotWork::Save { last, configured, .. } = work {
                    configured.index = last.index;
                }
            }
        }))
        .caught(Family::Members, 1, &["snapshot"]),
];

/// Lets nodes use other configurations than those of their logs.
struct Uses(fn(&Raft, &mut Vec<Configured>));

impl Mutation for Uses {
    fn before(&mut self, _now: Time, server: &mut Server, _arrivals: &mut Vec<Arrival>) {
        use_others(server.raft_mut(), self.0);
    }

    fn after(&mut self, server: &mut Server, _outbox: &mut Outbox) {
        use_those_of_log(server.raft_mut());
    }
}

fn use_others(raft: &mut Raft, change: impl Fn(&Raft, &mut Vec<Configured>)) {
    let mut used = raft.configurations().from(LogIndex(0)).to_vec();
    change(raft, &mut used);
    raft.configurations.forge(used);
}

fn use_those_of_log(raft: &mut Raft) {
    let mut used: Vec<Configured> =
        raft.configurations().from(LogIndex(0)).first().cloned().into_iter().collect();
    let first = used.first().map_or(LogIndex(0), |first| first.index);
    for entry in raft.log().range(raft.log().base().index.next(), raft.log().last().index) {
        if let (Content::Members(configuration), true) = (&entry.content, entry.index > first) {
            used.push(Configured { index: entry.index, configuration: configuration.clone() });
        }
    }
    raft.configurations.forge(used);
}

fn newest(used: &mut [Configured], change: impl FnOnce(&mut Configuration)) {
    if let Some(newest) = used.last_mut() {
        change(std::sync::Arc::make_mut(&mut newest.configuration));
    }
}

/// Up to where each node's log reached when it started.
#[derive(Default)]
struct ForgetsAtRestart(BTreeMap<NodeId, LogIndex>);

impl Mutation for ForgetsAtRestart {
    fn recovered(&mut self, node: NodeId, recovered: &mut Recovered) {
        let last = recovered.entries.last().map_or(recovered.base.index, |entry| entry.index);
        self.0.insert(node, last);
    }

    fn before(&mut self, _now: Time, server: &mut Server, _arrivals: &mut Vec<Arrival>) {
        let last = self.0.get(&server.raft().id()).copied().unwrap_or_default();
        use_others(server.raft_mut(), |raft, used| {
            used.retain(|one| one.index > last || one.index <= raft.commit_index());
        });
    }

    fn after(&mut self, server: &mut Server, _outbox: &mut Outbox) {
        use_those_of_log(server.raft_mut());
    }
}

/// The newest configuration that each node has used.
#[derive(Default)]
struct KeepsTruncated(BTreeMap<NodeId, Configured>);

impl Mutation for KeepsTruncated {
    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        let raft = server.raft_mut();
        let cut = outbox.write.as_ref().and_then(|write| write.truncate_from);
        let known =
            self.0.get(&raft.id()).filter(|known| cut.is_some_and(|from| from <= known.index)).cloned();
        use_others(raft, |_, used| used.extend(known.clone()));
        self.0.extend(raft.configurations().newest().map(|newest| (raft.id(), newest.clone())));
    }
}

/// The newest configuration of each node's log when it last made a step.
#[derive(Default)]
struct KeepsReplaced(BTreeMap<NodeId, Configured>);

impl Mutation for KeepsReplaced {
    fn after(&mut self, server: &mut Server, _outbox: &mut Outbox) {
        let raft = server.raft();
        self.0.extend(raft.configurations().newest().map(|newest| (raft.id(), newest.clone())));
    }

    fn recovered(&mut self, node: NodeId, recovered: &mut Recovered) {
        let known = self
            .0
            .get(&node)
            .filter(|known| recovered.configuration.as_ref().is_some_and(|found| found.index > known.index));
        recovered.configuration = known.cloned().or(recovered.configuration.take());
    }
}

/// The term that each node led last, and the members when it began.
#[derive(Default)]
struct Remembers(BTreeMap<NodeId, (Term, Configuration)>);

impl Mutation for Remembers {
    fn after(&mut self, server: &mut Server, _outbox: &mut Outbox) {
        let raft = server.raft_mut();
        let (node, term) = (raft.id(), raft.current_term());
        if matches!(raft.role, Role::Leader(_)) && self.0.get(&node).is_none_or(|(led, _)| *led != term) {
            self.0.insert(node, (term, raft.configuration().clone()));
        }
        let remembered = self.0.get(&node).map(|(_, members)| members.clone());
        commit_by(raft, |_| remembered);
    }
}

fn of(voters: crate::raft::membership::configuration::Voters) -> Configuration {
    Configuration { voters, ..Configuration::default() }
}

/// A leader commits what a quorum of this configuration holds.
fn commit_by(raft: &mut Raft, choose: impl FnOnce(&Configuration) -> Option<Configuration>) {
    let own = (raft.member(), raft.durable_index());
    let (Role::Leader(leader), Some(chosen)) = (&raft.role, choose(raft.configuration())) else { return };
    let index = leader.quorum_value(&chosen, own, |progress| progress.match_index);
    commit(raft, index);
}

/// A leader commits what this many nodes hold, of all that it knows.
fn commit_at(raft: &mut Raft, quorum: usize) {
    let Some(mut held) = held(raft, raft.durable_index()) else { return };
    held.sort_unstable_by(|a, b| b.cmp(a));
    if let Some(index) = held.get(quorum - 1) {
        commit(raft, *index);
    }
}

fn asks_for_votes(raft: &Raft) -> bool {
    matches!(raft.role(), Role::Candidate(_) | Role::PreCandidate { .. })
}

fn is_for_votes(message: &Message) -> bool {
    matches!(message.body, Body::RequestVote { .. } | Body::Extra(Extra::PreVote { .. }))
}

fn take_for_members(raft: &Raft, message: &mut Message) {
    let members = raft.configuration().halves().find_map(|voters| voters.get(&message.from));
    message.files.sender = members.copied().unwrap_or(message.files.sender);
    if message.files.answered != 0 {
        message.files.answered = raft.store_id();
    }
}

fn vote_by_name(server: &mut Server, arrivals: &mut Vec<Arrival>) {
    let raft = server.raft_mut();
    for message in arriving(arrivals).filter(|message| is_for_votes(message)) {
        if let Some(voted) = raft.voted_for.as_mut().filter(|voted| voted.node == message.from)
            && message.term == raft.current_term
        {
            voted.store_id = message.files.sender;
        }
    }
}
