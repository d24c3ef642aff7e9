//! What people ask for, and how a leader carries it through.
//!
//! A change is proposed only by a leader whose no-op is committed, while the newest configuration is committed and not
//! joint: before that it does not know which configurations others may use. What was asked for stands in the entry, so
//! that the next leader continues with it. `C_new` follows when `C_old,new` is committed; a leader asks in each step whether
//! it is, so none forgets it and none does it twice.
//!
//! A new voter is a learner first (D 4.2.1): it becomes a voter when it holds what was committed when the last round of
//! heartbeats began, and answers. One joint change continues at a time; of several that could begin, the one of the lowest
//! name is first.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Configured;
use super::configuration::{Configuration, Joins, Learner};
use super::request::{Change, ChangeError, ChangeRequest};
use crate::raft::Raft;
use crate::raft::entry::{Content, Entry};
use crate::raft::event::Event;
use crate::raft::role::{Progress, Role};
use crate::types::{LogIndex, Member, NODES_MAX, NodeId, Time};

impl Raft {
    /// Takes in what a person asks for.
    pub(in crate::raft) fn change(&mut self, now: Time, request: ChangeRequest) {
        let result = self.begin_change(now, request);
        if let Err(error) = &result {
            self.note(Event::ChangeRefused { error: error.clone() });
        }
        self.effects.changes.push(result);
    }

    fn begin_change(&mut self, now: Time, request: ChangeRequest) -> Result<LogIndex, ChangeError> {
        let Role::Leader(leader) = &self.role else {
            return Err(ChangeError::NotLeader { leader: self.leader() });
        };
        if self.commit_index < leader.no_op {
            return Err(ChangeError::TooSoon);
        }
        if self.hands_over() {
            return Err(ChangeError::HandsOver);
        }
        let newest = self.configurations.newest().cloned().ok_or(ChangeError::TooSoon)?;
        if request.change == Change::Cancel {
            return self.cancel(now, &newest);
        }
        if newest.index > self.commit_index || newest.configuration.is_joint() {
            return Err(ChangeError::UnderWay(newest.configuration));
        }
        if newest.index != request.made_for {
            return Err(ChangeError::OtherMembers(newest.configuration));
        }
        let mut next = newest.configuration.changed(request.change)?;
        next.addresses.extend(request.addresses);
        if next.is_joint() && !request.force {
            let silent = self.silent_without_whom(now, &next);
            if silent.iter().any(|node| self.is_yet_to_answer(now, *node)) {
                return Err(ChangeError::TooSoon);
            }
            if !silent.is_empty() {
                return Err(ChangeError::LosesQuorum(silent));
            }
        }
        let index = self.append_members(now, next);
        if let (true, Role::Leader(leader)) = (request.force, &mut self.role) {
            leader.change.forced = Some(index);
        }
        Ok(index)
    }

    /// Takes back a learner's wish to vote; or a joint configuration that this leader appended, while no one can have
    /// used it to decide alone: until `C_new` exists, every configuration needs a majority of `C_old`. An earlier leader's
    /// may be committed without this one's knowledge, or followed by a `C_new`, until the no-op of this term is committed.
    fn cancel(&mut self, now: Time, newest: &Configured) -> Result<LogIndex, ChangeError> {
        let configuration = &newest.configuration;
        if configuration.is_joint() {
            if newest.index <= self.commit_index {
                return Err(ChangeError::TooLate("both majorities hold it".into()));
            }
            if self.log.term_at(newest.index) != Some(self.current_term) {
                return Err(ChangeError::TooLate(
                    "an earlier leader proposed it, and it will be committed".into(),
                ));
            }
            return Ok(self.take_back(now, newest.index));
        }
        let mut next = Configuration::clone(configuration);
        next.learners.retain(|_, learner| learner.stays || learner.joins.is_none());
        next.learners.values_mut().for_each(|learner| learner.joins = None);
        if next == **configuration {
            return Err(if newest.index > self.commit_index {
                ChangeError::TooLate("only its last entry is not committed yet".into())
            } else {
                ChangeError::NothingToCancel
            });
        }
        if newest.index > self.commit_index {
            return Err(ChangeError::UnderWay(Arc::clone(configuration)));
        }
        Ok(self.append_members(now, next))
    }

    /// Appends `C_old` behind a joint configuration that is not committed.
    fn take_back(&mut self, now: Time, joint: LogIndex) -> LogIndex {
        let before = self.configurations.at(joint.previous()).expect("a joint configuration follows one");
        let before = Configuration::clone(&before.configuration);
        self.note(Event::MembersTakenBack { joint });
        self.append_members(now, before)
    }

    /// Proposes a configuration, which is used from now on.
    pub(crate) fn append_members(&mut self, now: Time, mut configuration: Configuration) -> LogIndex {
        let members = configuration.nodes();
        configuration.addresses.retain(|node, _| members.contains(node));
        let index = self.log.last().index.next();
        let content = Content::Members(Arc::new(configuration));
        self.append(Entry { index, term: self.current_term, content });
        self.fit_followers(now);
        if let Role::Leader(leader) = &mut self.role {
            leader.change.joint_since = now;
        }
        index
    }

    /// The voters that do not answer, if without them either half of a configuration has no majority.
    fn silent_without_whom(&self, now: Time, next: &Configuration) -> Vec<NodeId> {
        if next.reached(|member| self.answers(now, member)) {
            return Vec::new();
        }
        let voters = next.members().filter(|member| next.is_voter(*member) && !self.answers(now, *member));
        let mut silent: Vec<NodeId> = voters.map(|member| member.node).collect();
        silent.sort_unstable();
        silent.dedup();
        silent
    }

    /// Whether this leader has not followed the node for long enough to know whether it answers.
    fn is_yet_to_answer(&self, now: Time, node: NodeId) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        leader.followers.get(&node).is_some_and(|Progress { answers, .. }| {
            answers.answered.is_none() && now < answers.heard + self.settings.election_min
        })
    }

    /// Whether this member answered this leader within the shortest election timeout.
    fn answers(&self, now: Time, member: Member) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        member == self.member()
            || leader.progress_of(member).is_some_and(|progress| {
                progress.answers.answered.is_some_and(|at| now < at + self.settings.election_min)
            })
    }
}

impl Raft {
    /// Continues what is under way, in each step: `C_new` behind a joint configuration that is committed, and `C_old`
    /// behind one whose new voters have fallen silent.
    pub(in crate::raft) fn continue_change(&mut self, now: Time) {
        let Role::Leader(leader) = &self.role else { return };
        let Some(newest) = self.configurations.newest() else { return };
        if !newest.configuration.is_joint() || self.commit_index < leader.no_op || self.hands_over() {
            return;
        }
        if newest.index <= self.commit_index {
            self.append_members(now, newest.configuration.new_half());
            return;
        }
        let (index, change) = (newest.index, leader.change);
        let waited = now >= change.joint_since + self.settings.election_min;
        let own = self.log.term_at(index) == Some(self.current_term) && change.forced != Some(index);
        if waited && own && !newest.configuration.new_half().reached(|member| self.answers(now, member)) {
            self.take_back(now, index);
        }
    }

    /// A round of heartbeats begins: begins the next change that can. Learners that have caught up become voters, and new
    /// files under a member's name take the old ones' place.
    pub(in crate::raft) fn begin_next_change(&mut self, now: Time) {
        let Role::Leader(leader) = &mut self.role else { return };
        let caught_up = std::mem::replace(&mut leader.rounds.caught_up, self.commit_index);
        let Role::Leader(leader) = &self.role else { return };
        let Some(newest) = self.configurations.newest() else { return };
        let ready = newest.index <= self.commit_index
            && !newest.configuration.is_joint()
            && self.commit_index >= leader.no_op
            && !self.hands_over();
        if !ready {
            return;
        }
        let configuration = Arc::clone(&newest.configuration);
        // Before its no-op was committed, a leader did not know what was.
        let caught_up = caught_up.max(leader.no_op);
        let caught_up = |member: Member| leader.followers[&member.node].match_index >= caught_up;
        let is_safe =
            |next: &Configuration| !next.is_joint() || self.silent_without_whom(now, next).is_empty();
        let next = leader
            .followers
            .iter()
            .map(|(&node, progress)| Member { node, store_id: progress.answers.store_id })
            .filter(|member| self.answers(now, *member))
            .find_map(|member| configuration.with(member, || caught_up(member)).filter(is_safe));
        if let Some(next) = next {
            self.append_members(now, next);
        }
    }
}

impl Configuration {
    /// The configuration that a request makes of this one: joint where the voters change.
    pub(crate) fn changed(self: &Arc<Self>, change: Change) -> Result<Configuration, ChangeError> {
        let mut next = Configuration::clone(self);
        let known = |node: NodeId| {
            if self.contains(node) { Ok(node) } else { Err(ChangeError::NoMember(node, Arc::clone(self))) }
        };
        match change {
            Change::Add { new, learner } => {
                next.learn(new, Learner { store_id: new.store_id, stays: learner, joins: None })?;
                if !learner {
                    next.join(new.node, None);
                }
            }
            Change::Replace { old, new } => {
                if !self.voters.contains_key(&known(old)?) {
                    return Err(ChangeError::IsLearner(old));
                }
                next.learn(new, Learner { store_id: new.store_id, stays: false, joins: None })?;
                next.join(new.node, Some(old));
            }
            Change::Promote(node) => {
                if self.voters.contains_key(&known(node)?) {
                    return Err(ChangeError::IsVoter(node));
                }
                next.join(node, None);
            }
            Change::Remove(node) => {
                if next.learners.remove(&known(node)?).is_none() {
                    next.leave(node)?;
                }
            }
            Change::Demote(node) => {
                let Some(&store_id) = self.voters.get(&known(node)?) else {
                    return Err(ChangeError::IsLearner(node));
                };
                next.leave(node)?;
                next.learners.insert(node, Learner { store_id, stays: true, joins: None });
            }
            Change::Prefer(None) => next.preferred = None,
            Change::Prefer(Some(node)) => {
                if !self.voters.contains_key(&known(node)?) {
                    return Err(ChangeError::IsLearner(node));
                }
                next.preferred = Some(node);
            }
            Change::Cancel => return Err(ChangeError::NothingToCancel),
        }
        next.preferred = next.preferred.filter(|node| next.voters.contains_key(node));
        Ok(next)
    }

    fn learn(&mut self, member: Member, learner: Learner) -> Result<(), ChangeError> {
        if self.contains(member.node) {
            return Err(ChangeError::IsMember(member.node));
        }
        if self.nodes().len() >= usize::from(NODES_MAX) {
            return Err(ChangeError::Full);
        }
        self.learners.insert(member.node, learner);
        Ok(())
    }

    fn join(&mut self, node: NodeId, instead_of: Option<NodeId>) {
        if let Some(learner) = self.learners.get_mut(&node) {
            learner.joins = Some(Joins { instead_of });
        }
    }

    /// Leaves a voter out, jointly.
    fn leave(&mut self, node: NodeId) -> Result<(), ChangeError> {
        let outgoing = self.voters.clone();
        self.voters.remove(&node);
        if self.voters.is_empty() {
            return Err(ChangeError::LastVoter(node));
        }
        self.outgoing = Some(outgoing);
        Ok(())
    }

    /// What this configuration becomes since this follower is ready for it, if it is.
    fn with(&self, member: Member, caught_up: impl Fn() -> bool) -> Option<Configuration> {
        let Member { node, store_id } = member;
        let mut next = self.clone();
        if let Some(learner) = self.learners.get(&node) {
            match store_id.cmp(&learner.store_id) {
                // An earlier server of the name: it was removed, or its disk was put back.
                Ordering::Less => return None,
                Ordering::Equal => {}
                // A learner decides nothing: its new files take its place at once.
                Ordering::Greater => {
                    next.learners.insert(node, Learner { store_id, ..*learner });
                    return Some(next);
                }
            }
            let joins = learner.joins.filter(|_| caught_up())?;
            next.learners.remove(&node);
            next.voters.insert(node, store_id);
            if let Some(old) = joins.instead_of {
                next.voters.remove(&old);
            }
            next.outgoing = Some(self.voters.clone());
            return Some(next);
        }
        let newer = self.voters.get(&node).is_some_and(|voter| store_id > *voter);
        (newer && caught_up()).then(|| {
            next.voters.insert(node, store_id);
            next.outgoing = Some(self.voters.clone());
            next
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::config::RaftSettings;
    use crate::raft::Recovered;
    use crate::raft::bench::{Bench, recovered};
    use crate::raft::effects::Input;
    use crate::raft::message::{Ack, AppendResult};
    use crate::types::{Addresses, EntryId, Term};

    const FILES: u64 = 9;

    /// n1, n2 and n3, and n4, which votes once it has caught up.
    fn joining() -> Configuration {
        let learner = Learner { store_id: FILES, stays: false, joins: Some(Joins { instead_of: None }) };
        let learners = [(NodeId::new(4), learner)].into();
        Configuration { learners, ..Configuration::founders(NodeId::first(3)) }
    }

    #[test]
    fn only_the_files_that_a_learner_was_taken_in_with_get_its_vote() {
        let n4 = NodeId::new(4);
        let becomes = |store_id| joining().with(Member { node: n4, store_id }, || true);
        assert_eq!(becomes(FILES - 1), None, "an earlier server of its name has no part in it");
        let votes = becomes(FILES).expect("it has caught up");
        assert_eq!((votes.voters[&n4], votes.is_joint()), (FILES, true));
        let renewed = becomes(FILES + 1).expect("its files are new");
        assert_eq!((renewed.learners[&n4].store_id, renewed.is_joint()), (FILES + 1, false));
    }

    #[test]
    fn a_new_leader_takes_none_for_caught_up_before_it_knows_what_is_committed() {
        let configured = Configured { index: LogIndex(0), configuration: Arc::new(joining()) };
        let recovered = Recovered { configuration: Some(configured), ..recovered(EntryId::ZERO, 7, 1) };
        let mut bench = Bench::leader(&RaftSettings::default(), recovered);
        bench.round();
        let ack = Ack { round: 0, boot_id: 1 };
        bench.answer(2, ack, AppendResult::Matched(LogIndex(8)));
        assert_eq!(bench.raft.commit_index(), LogIndex(8));
        let empty = AppendResult::Conflict { rejected: LogIndex(7), term: None, first: LogIndex(1) };
        bench.answer_files(4, FILES, ack, empty);
        bench.round();
        assert_eq!(*bench.raft.configuration(), joining(), "n4 holds nothing");
    }

    #[test]
    fn the_newest_configuration_says_where_its_members_are_and_no_others() {
        let mut bench =
            Bench::leader(&RaftSettings::default(), recovered(EntryId::new(Term(1), LogIndex(5)), 7, 1));
        let ack = Ack { round: 0, boot_id: 1 };
        let holds = |index| AppendResult::Matched(LogIndex(index));
        for node in [2, 3] {
            bench.answer(node, ack, holds(8));
        }
        let addresses: Addresses = (7001..)
            .zip(NodeId::first(4))
            .map(|(port, node)| (node, SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()))
            .collect();
        let request = ChangeRequest::new(Change::Remove(NodeId::new(3)), LogIndex(0), false);
        bench.step(Input::Change(ChangeRequest { addresses, ..request }));
        let known = |bench: &Bench| bench.raft.configuration().addresses.keys().copied().collect::<Vec<_>>();
        assert_eq!(known(&bench), NodeId::first(3), "n3 has a part until C_new; n4 has none");
        bench.answer(2, ack, holds(9));
        assert!(!bench.raft.configuration().is_joint());
        assert_eq!(known(&bench), NodeId::first(2));
    }
}
