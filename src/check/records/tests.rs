//! Records that a cluster of three may have written, and such as none may: a broken property is a FAIL, and what was not read
//! leaves it open.

mod bytes;
mod late;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::check::property::{Property, Verdict};
use crate::check::safety::{Appended, Rank, Shown, Standing, Step, Written};
use crate::raft::effects::HardState;
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::Configuration;
use crate::raft::message::{Ack, AppendResult, Body, Cause as Reason, Files, Message};
use crate::state_machine::AppliedEntry;
use crate::types::{EntryId, FOUNDERS_STORE, LogIndex, Member, NodeId, Origin, Term};

const ALL_READ: u64 = u64::MAX;

fn n(name: u8) -> NodeId {
    NodeId::new(name)
}

fn shown(name: u8, term: u64, role: Rank, commit: u64) -> Shown {
    let member = Member::founder(n(name));
    Shown { member, term: Term(term), role, commit: LogIndex(commit), pre_vote: false }
}

fn voted(term: u64, name: u8) -> HardState {
    let voted_for = Some(Member::founder(n(name)));
    HardState { current_term: Term(term), voted_for, store_id: FOUNDERS_STORE, ..HardState::default() }
}

fn entry(term: u64, index: u64, digest: u64) -> Appended {
    Appended { id: EntryId::new(Term(term), LogIndex(index)), digest, members: None }
}

fn empty(name: u8) -> Standing {
    Standing {
        shown: shown(name, 0, Rank::Follower, 0),
        base: EntryId::ZERO,
        entries: Vec::new(),
        committed: EntryId::ZERO,
        configured: Some(Configured::founders(NodeId::first(3))),
        hard_state: HardState { store_id: FOUNDERS_STORE, ..HardState::default() },
        durable_index: LogIndex(0),
        persisted: 0,
        pending: Vec::new(),
        applied: LogIndex(0),
    }
}

fn said(from: u8, to: u8, term: u64, body: Body) -> Message {
    let files = Files { sender: FOUNDERS_STORE, answered: FOUNDERS_STORE };
    Message { from: n(from), to: n(to), term: Term(term), files, body }
}

fn vote(from: u8, to: u8, term: u64) -> Message {
    said(from, to, term, Body::VoteReply { granted: true })
}

fn matched(from: u8, to: u8, term: u64, index: u64) -> Message {
    let result = AppendResult::Matched(LogIndex(index));
    said(from, to, term, Body::AppendReply { result, ack: Ack::default() })
}

/// What nodes wrote down, in the order in which they did.
#[derive(Clone, Default)]
struct Written3 {
    clock: u64,
    writes: BTreeMap<NodeId, u64>,
    records: BTreeMap<NodeId, Vec<u8>>,
}

impl Written3 {
    fn stands(&mut self, life: u64, cause: Cause, standing: &Standing) {
        self.clock += 1;
        let to = self.records.entry(standing.shown.member.node).or_default();
        frame(to, |to| encode_standing(self.clock, Run { life, boot: 1 }, cause, standing, to));
    }

    fn starts(&mut self, name: u8) {
        self.stands(name.into(), Cause::Start, &empty(name));
    }

    fn step(&mut self, step: &Step<'_>, sent: Vec<Message>) {
        self.clock += 1;
        let to = self.records.entry(step.shown.member.node).or_default();
        frame(to, |to| encode_step(self.clock, step, sent, to).expect("a small step"));
    }

    /// The node stands like this.
    fn shows(&mut self, shown: Shown, sent: Vec<Message>) {
        self.step(&Step::showing(shown), sent);
    }

    /// It gives something to its disk.
    fn writes(&mut self, shown: Shown, hard_state: Option<HardState>, entries: Vec<Appended>) -> u64 {
        let id = self.writes.entry(shown.member.node).or_default();
        *id += 1;
        let write = Written { id: *id, hard_state, entries, ..Written::default() };
        let id = *id;
        self.step(&Step { write: Some(write), ..Step::showing(shown) }, Vec::new());
        id
    }

    /// Its disk has all that it was given.
    fn persists(&mut self, shown: Shown, sent: Vec<Message>) {
        let persisted = self.writes.get(&shown.member.node).copied();
        self.step(&Step { persisted, ..Step::showing(shown) }, sent);
    }

    fn votes(&mut self, name: u8, term: u64, candidate: u8) {
        let shown = shown(name, term, Rank::Follower, 0);
        self.writes(shown, Some(voted(term, candidate)), Vec::new());
        self.persists(shown, vec![vote(name, candidate, term)]);
    }

    /// It votes for itself, and leads.
    fn leads(&mut self, name: u8, term: u64) {
        let candidate = shown(name, term, Rank::Candidate, 0);
        self.writes(candidate, Some(voted(term, name)), Vec::new());
        self.persists(candidate, Vec::new());
        self.shows(shown(name, term, Rank::Leader, 0), Vec::new());
    }

    fn copies(&mut self, name: u8, term: u64, entry: Appended) {
        let shown = shown(name, term, Rank::Follower, 0);
        let (index, leader) = (entry.id.index.0, 1);
        self.writes(shown, None, vec![entry]);
        self.persists(shown, vec![matched(name, leader, term, index)]);
    }

    fn commits(&mut self, shown: Shown) {
        let entry = EntryId::new(Term(1), LogIndex(1));
        let applied =
            [AppliedEntry { entry, executed: Some(Origin::default()), repetition: false, expired: false }];
        self.step(&Step { applied: &applied, ..Step::showing(shown) }, Vec::new());
    }

    /// n1 is elected by n2's vote.
    fn elected() -> Written3 {
        let mut written = Written3::default();
        for name in [1, 2, 3] {
            written.starts(name);
        }
        written.votes(2, 1, 1);
        written.leads(1, 1);
        let leader = shown(1, 1, Rank::Leader, 0);
        written.writes(leader, None, vec![entry(1, 1, 7)]);
        written.persists(leader, Vec::new());
        written
    }

    /// And commits its first entry, with n2's copy.
    fn committed() -> Written3 {
        let mut written = Written3::elected();
        written.copies(2, 1, entry(1, 1, 7));
        written.commits(shown(1, 1, Rank::Leader, 1));
        written.commits(shown(2, 1, Rank::Follower, 1));
        written
    }

    /// What is said of them when the records of these nodes were not read.
    fn judged_without(&self, silent: &[u8]) -> Vec<Verdict> {
        let mut following = Following::default();
        self.read(&mut following, silent)
    }

    fn read(&self, following: &mut Following, silent: &[u8]) -> Vec<Verdict> {
        for (node, bytes) in self.records.iter().filter(|(node, _)| !silent.contains(&node.number())) {
            let end = usize::try_from(following.end(*node)).expect("a length in memory");
            following.take(*node, end as u64, &bytes[end..]);
        }
        let silent: Vec<_> = silent.iter().map(|name| (n(*name), "it is down".to_string())).collect();
        following.judge(ALL_READ, &silent)
    }
}

fn failed(verdicts: &[Verdict]) -> Vec<&str> {
    verdicts.iter().filter(|one| one.pass() == Some(false)).map(|one| &*one.property).collect()
}

fn open(verdicts: &[Verdict]) -> Vec<String> {
    verdicts.iter().filter(|one| one.pass().is_none()).map(ToString::to_string).collect()
}

#[track_caller]
fn assert_holds(verdicts: &[Verdict]) {
    assert_eq!(failed(verdicts), [""; 0], "{verdicts:?}");
    assert_eq!(open(verdicts), [""; 0]);
    assert!(verdicts.len() >= 10, "{verdicts:?}");
}

#[test]
fn what_a_healthy_cluster_wrote_down_holds() {
    assert_holds(&Written3::committed().judged_without(&[]));
}

/// Each is broken by what the last steps say, and by nothing that stands there without them.
#[test]
fn each_property_that_records_break_is_found() {
    let found = |property: Property, mut written: Written3, breaks: &dyn Fn(&mut Written3)| {
        assert_holds(&written.judged_without(&[]));
        breaks(&mut written);
        let verdicts = written.judged_without(&[]);
        assert!(failed(&verdicts).contains(&property.name()), "{}: {verdicts:?}", property.name());
    };
    found(Property::ElectionSafety, Written3::committed(), &|w| {
        w.shows(shown(3, 1, Rank::Leader, 0), Vec::new());
    });
    found(Property::OneVote, Written3::elected(), &|w| {
        w.persists(shown(2, 1, Rank::Follower, 0), vec![vote(2, 3, 1)]);
    });
    found(Property::LogMatching, Written3::elected(), &|w| {
        w.copies(2, 1, entry(1, 1, 8));
    });
    found(Property::CommitRule, Written3::elected(), &|w| {
        w.commits(shown(1, 1, Rank::Leader, 1));
    });
    found(Property::LeaderCompleteness, Written3::committed(), &|w| {
        w.votes(2, 2, 3);
        w.leads(3, 2);
    });
    found(Property::StateMachineSafety, Written3::committed(), &|w| {
        w.writes(shown(3, 2, Rank::Follower, 0), None, vec![entry(2, 1, 7)]);
        w.shows(shown(3, 2, Rank::Follower, 1), Vec::new());
    });
    found(Property::NothingPromisedEarly, Written3::committed(), &|w| {
        w.shows(shown(3, 1, Rank::Follower, 0), vec![matched(3, 1, 1, 1)]);
    });
    found(Property::QuorumsOverlap, Written3::committed(), &|w| {
        let members = Some(Arc::new(Configuration::founders([n(4), n(5)])));
        w.writes(shown(1, 1, Rank::Leader, 1), None, vec![Appended { members, ..entry(1, 2, 9) }]);
    });
    found(Property::NoDisruption, Written3::committed(), &|w| {
        let candidate = Shown { pre_vote: true, ..shown(3, 2, Rank::Candidate, 0) };
        w.writes(candidate, Some(voted(2, 3)), Vec::new());
        let body = Body::RequestVote { last: EntryId::ZERO, cause: Reason::Timer };
        w.persists(candidate, vec![said(3, 1, 2, body)]);
    });
    let restarts =
        |standing: Standing| move |written: &mut Written3| written.stands(2, Cause::Start, &standing);
    let durable = |hard_state, entries: Vec<Appended>| Standing {
        shown: shown(2, 1, Rank::Follower, 0),
        durable_index: LogIndex(entries.len() as u64),
        hard_state,
        entries,
        ..empty(2)
    };
    let forgot = HardState { voted_for: None, ..voted(1, 1) };
    found(Property::OneVote, Written3::committed(), &restarts(durable(forgot, vec![entry(1, 1, 7)])));
    found(Property::CommittedIsDurable, Written3::committed(), &restarts(durable(voted(1, 1), Vec::new())));
}

#[test]
fn what_was_not_read_breaks_nothing_and_is_judged_when_it_comes() {
    for silent in [vec![1], vec![2], vec![3], vec![1, 2], vec![2, 3], vec![1, 2, 3]] {
        let written = Written3::committed();
        let mut following = Following::default();
        let verdicts = written.read(&mut following, &silent);
        assert_eq!(failed(&verdicts), [""; 0], "{silent:?}: {verdicts:?}");
        assert_eq!(open(&verdicts).len(), verdicts.len(), "{silent:?}: {verdicts:?}");
        assert_holds(&written.read(&mut following, &[]));
    }
}

#[test]
fn a_commit_without_copies_is_a_fail_once_all_was_read() {
    let mut written = Written3::elected();
    written.commits(shown(1, 1, Rank::Leader, 1));
    let mut following = Following::default();
    let verdicts = written.read(&mut following, &[2, 3]);
    assert_eq!(failed(&verdicts), [""; 0], "n2 may have had a copy");
    assert_eq!(failed(&written.read(&mut following, &[3])), [""; 0], "n3 may have had one");
    assert_eq!(failed(&written.read(&mut following, &[])), ["commit rule"]);
}

#[test]
fn what_two_nodes_contradict_each_other_in_is_a_fail_although_another_is_silent() {
    let mut written = Written3::elected();
    written.shows(shown(3, 1, Rank::Leader, 0), Vec::new());
    assert_eq!(failed(&written.judged_without(&[2])), ["election safety"]);
}

#[test]
fn records_that_were_overwritten_leave_everything_open() {
    let written = Written3::committed();
    let mut following = Following::default();
    assert_holds(&written.read(&mut following, &[]));
    let mut later = Written3 { clock: written.clock, ..Written3::default() };
    let standing = Standing {
        shown: shown(1, 1, Rank::Leader, 4),
        base: EntryId::new(Term(1), LogIndex(4)),
        committed: EntryId::new(Term(1), LogIndex(4)),
        hard_state: voted(1, 1),
        durable_index: LogIndex(4),
        applied: LogIndex(4),
        ..empty(1)
    };
    later.stands(1, Cause::File, &standing);
    let from = following.end(n(1)) + 1_000;
    following.take(n(1), from, &later.records[&n(1)]);
    let verdicts = following.judge(ALL_READ, &[]);
    assert_eq!(failed(&verdicts), [""; 0]);
    let said = open(&verdicts);
    assert!(said.iter().all(|line| line.contains("1000 bytes of n1's records were overwritten")), "{said:?}");
}

#[test]
fn a_reader_that_comes_late_begins_where_the_records_do() {
    let mut written = Written3::default();
    let at = EntryId::new(Term(3), LogIndex(50));
    for name in [1, 2, 3] {
        let role = if name == 1 { Rank::Leader } else { Rank::Follower };
        let standing = Standing {
            shown: shown(name, 3, role, 50),
            base: at,
            committed: at,
            hard_state: voted(3, 1),
            durable_index: LogIndex(50),
            applied: LogIndex(50),
            ..empty(name)
        };
        written.stands(name.into(), Cause::File, &standing);
    }
    written.writes(shown(1, 3, Rank::Leader, 50), None, vec![entry(3, 51, 7)]);
    written.writes(shown(2, 3, Rank::Follower, 50), None, vec![entry(3, 51, 7)]);
    for (name, role, commit) in [(1, Rank::Leader, 50), (2, Rank::Follower, 50), (1, Rank::Leader, 51)] {
        written.persists(shown(name, 3, role, commit), Vec::new());
    }
    assert_holds(&written.judged_without(&[]));
    written.writes(shown(3, 3, Rank::Follower, 50), None, vec![entry(3, 51, 8)]);
    assert_eq!(failed(&written.judged_without(&[])), ["log matching"]);
}

#[test]
fn a_node_that_runs_twice_from_copied_files_shows() {
    let mut written = Written3::committed();
    let again = Standing {
        shown: shown(2, 1, Rank::Follower, 0),
        hard_state: voted(1, 1),
        entries: vec![entry(1, 1, 7)],
        durable_index: LogIndex(1),
        ..empty(2)
    };
    written.stands(90, Cause::Start, &again);
    assert_holds(&written.judged_without(&[]));
    let mut following = Following::default();
    written.read(&mut following, &[]);
    following.note_life(n(2), 91);
    let said = open(&following.judge(ALL_READ, &[]));
    assert!(
        said.iter().any(|line| line.contains("n2's records do not continue those that were read")),
        "{said:?}"
    );
    written.stands(2, Cause::Start, &again);
    assert_eq!(failed(&written.judged_without(&[])), ["one vote a term"], "the first life speaks again");
}
