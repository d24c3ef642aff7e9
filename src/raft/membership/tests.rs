//! Changes of the members over a small network of cores, which delivers all that is not cut off.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::request::{Change, ChangeError, ChangeRequest};
use super::{Configured, MemberRole};
use crate::config::RaftSettings;
use crate::raft::effects::{HardState, Input, Proposal, RejectReason};
use crate::raft::entry::Content;
use crate::raft::event::Event;
use crate::raft::message::{Body, Extra, Message};
use crate::raft::role::Role;
use crate::raft::{Raft, Recovered};
use crate::types::{ClientId, FOUNDERS_STORE, LogIndex, Member, NodeId, Random, StoreId, Term, Time};

struct Net {
    nodes: BTreeMap<NodeId, Raft>,
    now: Time,
    /// Nodes that hear none, and are not heard.
    cut: BTreeSet<NodeId>,
    /// A node hears nothing more once its configuration is joint.
    deaf_when_joint: Option<NodeId>,
    events: Vec<(NodeId, Event)>,
}

fn n(number: u8) -> NodeId {
    NodeId::new(number)
}

fn settings() -> RaftSettings {
    RaftSettings::default()
}

/// New files under a name, which know of no members.
fn newcomer(node: NodeId, store_id: StoreId, now: Time) -> Raft {
    let hard_state = HardState { store_id, ..HardState::default() };
    let recovered = Recovered { hard_state, ..Recovered::default() };
    Raft::new(node, settings(), recovered, Random::new(store_id), now)
}

impl Net {
    /// A cluster of this many, led by n1.
    fn new(count: u8) -> Net {
        let founders = NodeId::first(count);
        let start = |&node: &NodeId| {
            let recovered = Recovered::founder(founders.clone());
            let random = Random::new(node.number().into());
            (node, Raft::new(node, settings(), recovered, random, Time::ZERO))
        };
        let nodes = founders.iter().map(start).collect();
        let mut net =
            Net { nodes, now: Time::ZERO, cut: BTreeSet::new(), deaf_when_joint: None, events: Vec::new() };
        net.input(n(1), Input::Campaign);
        assert!(net.leads(1));
        net
    }

    fn leads(&self, number: u8) -> bool {
        matches!(self.nodes[&n(number)].role(), Role::Leader(_))
    }

    fn leader(&self) -> Option<NodeId> {
        let leaders = self.nodes.values().filter(|node| matches!(node.role(), Role::Leader(_)));
        leaders.max_by_key(|node| node.current_term()).map(Raft::id)
    }

    fn step(
        &mut self,
        node: NodeId,
        mut inputs: Vec<Input>,
    ) -> (Vec<Message>, Vec<Result<LogIndex, ChangeError>>) {
        let raft = self.nodes.get_mut(&node).expect("a node of this network");
        let (mut messages, mut changes) = (Vec::new(), Vec::new());
        loop {
            let mut effects = raft.step(self.now, &mut inputs);
            messages.append(&mut effects.messages);
            changes.append(&mut effects.changes);
            self.events.extend(effects.events.into_iter().map(|event| (node, event)));
            let Some(write) = effects.write else { return (messages, changes) };
            messages.extend(write.then);
            inputs = vec![Input::Persisted(write.id)];
        }
    }

    /// A node takes this in, and all messages that follow arrive.
    fn input(&mut self, node: NodeId, input: Input) -> Vec<Result<LogIndex, ChangeError>> {
        let (messages, changes) = self.step(node, vec![input]);
        self.deliver(messages);
        changes
    }

    fn deliver(&mut self, messages: Vec<Message>) {
        let mut queue = VecDeque::from(messages);
        while let Some(message) = queue.pop_front() {
            let silent = self.cut.contains(&message.from) || self.cut.contains(&message.to);
            let deaf = self.deaf_when_joint == Some(message.to)
                && self.nodes[&message.to].configuration().is_joint();
            if !silent && !deaf && self.nodes.contains_key(&message.to) {
                queue.extend(self.step(message.to, vec![Input::Message(message)]).0);
            }
        }
    }

    /// Time passes: each node wakes when it is due.
    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some((due, node)) = self.nodes.values().map(|node| (node.deadline(), node.id())).min()
            && due <= until
        {
            self.now = self.now.max(due);
            let (messages, _) = self.step(node, Vec::new());
            self.deliver(messages);
        }
        self.now = until;
    }

    fn ask(&mut self, change: Change) -> Result<LogIndex, ChangeError> {
        self.ask_with(change, false)
    }

    /// Asks for a change, and waits for its end.
    fn complete(&mut self, change: Change) {
        self.ask(change).expect("nothing is in its way");
        self.pass(LONG);
    }

    fn ask_with(&mut self, change: Change, force: bool) -> Result<LogIndex, ChangeError> {
        let leader = self.leader().expect("a leader");
        let made_for = self.nodes[&leader].configurations().newest().expect("it knows the members").index;
        let request = ChangeRequest::new(change, made_for, force);
        self.input(leader, Input::Change(request)).pop().expect("an answer")
    }

    fn add(&mut self, number: u8, store_id: StoreId) -> Member {
        self.nodes.insert(n(number), newcomer(n(number), store_id, self.now));
        Member { node: n(number), store_id }
    }

    fn propose(&mut self) {
        let leader = self.leader().expect("a leader");
        let content = Content::Open { client: ClientId(1), sessions_max: 9 };
        self.input(leader, Input::Propose(Proposal { id: 1, content }));
    }

    /// The members as the leader knows them to be committed.
    fn members(&self) -> String {
        let leader = &self.nodes[&self.leader().expect("a leader")];
        leader.committed_configuration().expect("known").configuration.to_string()
    }

    fn happened(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| wanted(event)).count()
    }
}

const LONG: Duration = Duration::from_secs(2);

#[test]
fn a_node_that_is_added_votes_once_it_has_caught_up() {
    let mut net = Net::new(3);
    net.propose();
    let new = net.add(4, 95);
    net.ask(Change::Add { new, learner: false }).expect("nothing is under way");
    assert_eq!(net.members(), "n1 n2 n3, learner n4");
    net.pass(LONG);
    assert_eq!(net.members(), "n1 n2 n3 n4");
    assert_eq!(net.nodes[&n(4)].member_role(), MemberRole::Voter);
    let joint = |event: &Event| matches!(event, Event::MembersProposed { configuration, .. } if configuration.is_joint());
    assert_eq!(net.happened(joint), 1, "by way of C_old,new, once");
    assert!(net.leads(1));
}

#[test]
fn a_learner_that_stays_one_decides_nothing() {
    let mut net = Net::new(2);
    let new = net.add(3, 95);
    net.complete(Change::Add { new, learner: true });
    assert_eq!(net.members(), "n1 n2, learner n3");
    net.cut.insert(n(2));
    let before = net.nodes[&n(1)].commit_index();
    net.propose();
    assert_eq!(net.nodes[&n(1)].commit_index(), before, "n1 and the learner are no majority");
    net.cut.clear();
    net.pass(LONG);
    net.complete(Change::Promote(n(3)));
    assert_eq!(net.members(), "n1 n2 n3");
}

#[test]
fn a_leader_that_is_removed_hands_over() {
    let mut net = Net::new(3);
    net.ask(Change::Remove(n(1))).expect("nothing is under way");
    net.pass(Duration::from_millis(100));
    let leader = net.leader().expect("another leads at once");
    assert_ne!(leader, n(1));
    assert_eq!(net.members(), "n2 n3");
    assert_eq!(net.nodes[&n(1)].member_role(), MemberRole::Retired);
    let term = net.nodes[&leader].current_term();
    net.pass(LONG);
    assert_eq!(net.nodes[&leader].current_term(), term, "who is retired deposes none");
    let reason = net.nodes[&n(1)].not_leader();
    assert_eq!(reason, RejectReason::Retired { member: Some(n(2)) }, "it has not heard of a leader for long");
}

#[test]
fn a_follower_that_is_removed_is_told_so_and_campaigns_no_more() {
    let mut net = Net::new(3);
    net.complete(Change::Remove(n(3)));
    assert_eq!(net.nodes[&n(3)].member_role(), MemberRole::Retired);
    assert!(net.nodes[&n(3)].hard_state().retired);
    assert_eq!(net.nodes[&n(1)].current_term(), Term(1));
    let Role::Leader(leader) = net.nodes[&n(1)].role() else { panic!("it leads on") };
    assert_eq!(leader.followers.keys().copied().collect::<Vec<_>>(), [n(2)], "n3 is sent nothing more");
}

#[test]
fn a_cluster_shrinks_to_one_and_grows_again() {
    let mut net = Net::new(3);
    for gone in [2, 3] {
        net.complete(Change::Remove(n(gone)));
    }
    assert_eq!(net.members(), "n1");
    assert!(net.nodes[&n(1)].is_alone());
    assert!(matches!(net.ask(Change::Remove(n(1))), Err(ChangeError::LastVoter(_))));
    let new = net.add(2, 95);
    net.complete(Change::Add { new, learner: false });
    assert_eq!(net.members(), "n1 n2");
    assert!(!net.nodes[&n(1)].is_alone());
}

#[test]
fn changes_that_cannot_be_are_refused() {
    let mut net = Net::new(3);
    let member = |number: u8| Member { node: n(number), store_id: 95 };
    let refusals = [
        (Change::Add { new: member(2), learner: false }, ChangeError::IsMember(n(2))),
        (Change::Promote(n(2)), ChangeError::IsVoter(n(2))),
        (Change::Cancel, ChangeError::NothingToCancel),
    ];
    for (change, error) in refusals {
        assert_eq!(net.ask(change), Err(error));
    }
    assert!(matches!(net.ask(Change::Remove(n(9))), Err(ChangeError::NoMember(_, _))));
    net.cut.insert(n(3));
    net.pass(Duration::from_millis(200));
    assert_eq!(net.ask(Change::Remove(n(2))), Err(ChangeError::LosesQuorum(vec![n(3)])));
    let request = ChangeRequest::new(Change::Remove(n(3)), LogIndex(77), false);
    let stale = net.input(n(1), Input::Change(request)).pop();
    assert!(matches!(stale, Some(Err(ChangeError::OtherMembers(_)))), "{stale:?}");
    net.complete(Change::Remove(n(3)));
    assert_eq!(net.members(), "n1 n2");
}

#[test]
fn a_new_leader_waits_for_first_answers_before_it_calls_a_node_silent() {
    let mut net = Net::new(3);
    net.cut.insert(n(3));
    net.input(n(1), Input::Transfer(Some(n(2))));
    assert!(net.leads(2), "n1 and n2 elect it");
    assert_eq!(net.ask(Change::Remove(n(1))), Err(ChangeError::TooSoon));
    net.pass(Duration::from_millis(200));
    assert_eq!(net.ask(Change::Remove(n(1))), Err(ChangeError::LosesQuorum(vec![n(3)])));
}

#[test]
fn a_learner_that_is_silent_is_not_promoted() {
    let mut net = Net::new(3);
    let new = net.add(4, 95);
    net.complete(Change::Add { new, learner: true });
    // On an idle cluster it holds all that there is.
    net.cut.insert(n(4));
    net.pass(Duration::from_millis(200));
    net.complete(Change::Promote(n(4)));
    assert_eq!(net.members(), "n1 n2 n3, learner n4");
    net.ask(Change::Cancel).expect("its wish is taken back");
    net.cut.clear();
    net.pass(LONG);
    assert_eq!(net.members(), "n1 n2 n3, learner n4");
    net.complete(Change::Promote(n(4)));
    assert_eq!(net.members(), "n1 n2 n3 n4");
}

#[test]
fn a_joint_configuration_whose_new_half_is_silent_is_taken_back() {
    let mut net = Net::new(3);
    // Without n1, n2 and n3 are the new half: n3 is cut off right when the change begins.
    net.cut.insert(n(3));
    net.ask(Change::Remove(n(2))).expect("n3 answered just now");
    assert!(net.nodes[&n(1)].configuration().is_joint());
    net.pass(LONG);
    assert_eq!(net.members(), "n1 n2 n3");
    assert_eq!(net.happened(|event| matches!(event, Event::MembersTakenBack { .. })), 1);
    assert!(net.leads(1), "it costs no leader");
    net.propose();
}

#[test]
fn a_forced_change_waits_for_the_silent_ones() {
    let mut net = Net::new(3);
    net.cut.insert(n(3));
    net.ask_with(Change::Remove(n(2)), true).expect("it is forced");
    net.pass(Duration::from_millis(150));
    assert!(net.nodes[&n(1)].configuration().is_joint());
    net.cut.clear();
    net.pass(LONG);
    assert_eq!(net.members(), "n1 n3");
}

#[test]
fn a_new_leader_goes_on_with_a_joint_configuration() {
    let mut net = Net::new(3);
    let new = net.add(4, 95);
    net.ask(Change::Add { new, learner: false }).expect("nothing is under way");
    // The joint entry is everywhere, and n1 does not hear that.
    net.deaf_when_joint = Some(n(1));
    for _ in 0..50 {
        if net.nodes[&n(1)].configuration().is_joint() {
            break;
        }
        net.pass(Duration::from_millis(10));
    }
    assert!(net.nodes[&n(2)].configuration().is_joint());
    net.cut.insert(n(1));
    net.pass(LONG);
    assert_ne!(net.leader(), Some(n(1)));
    assert_eq!(net.members(), "n1 n2 n3 n4");
    net.cut.clear();
    net.deaf_when_joint = None;
    net.pass(LONG);
    assert_eq!(net.nodes[&n(1)].configuration().to_string(), "n1 n2 n3 n4");
}

#[test]
fn a_node_without_a_vote_is_answered_and_starts_no_election() {
    let mut net = Net::new(3);
    net.add(4, 95);
    let body = Body::Extra(Extra::PreVote { next_term: Term(5), last: crate::types::EntryId::ZERO });
    let files = crate::raft::message::Files::FOUNDERS;
    let message = Message { from: n(2), to: n(4), term: Term(4), files, body };
    let (answers, _) = net.step(n(4), vec![Input::Message(message)]);
    assert_eq!(answers.len(), 1, "{answers:?}");
    net.input(n(4), Input::Campaign);
    assert!(net.events.contains(&(n(4), Event::CampaignRejected)));
    net.pass(LONG);
    assert_eq!(net.nodes[&n(4)].current_term(), Term(0));
}

#[test]
fn a_name_is_used_again_with_other_files() {
    let mut net = Net::new(3);
    net.complete(Change::Remove(n(3)));
    let new = net.add(3, 95);
    net.complete(Change::Add { new, learner: false });
    assert_eq!(net.members(), "n1 n2 n3");
    assert_eq!(net.nodes[&n(3)].member_role(), MemberRole::Voter, "the earlier removal is not its own");
    // The old disk is put back.
    let hard_state = HardState { store_id: FOUNDERS_STORE, current_term: Term(1), ..HardState::default() };
    let configuration = Some(Configured::founders(NodeId::first(3)));
    let recovered = Recovered { hard_state, configuration, ..Recovered::default() };
    let old = Raft::new(n(3), settings(), recovered, Random::new(7), net.now);
    net.nodes.insert(n(3), old);
    net.cut.insert(n(2));
    let before = net.nodes[&n(1)].commit_index();
    net.propose();
    net.pass(Duration::from_millis(100));
    assert_eq!(net.nodes[&n(1)].commit_index(), before, "its copies count for nothing");
}
