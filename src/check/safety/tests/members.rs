//! Configurations: who decides by them, in which order they follow each other, what snapshots say of them, and who may
//! disturb a cluster that has left it behind.

use std::time::Duration;

use super::*;
use crate::check::safety::Appended;
use crate::config::RaftSettings;
use crate::raft::membership::configuration::Learner;
use crate::raft::membership::configuration::Voters;
use crate::raft::message::Cause;
use crate::raft::message::Extra;

fn voters(names: &[u8]) -> Voters {
    names.iter().map(|name| (NodeId::new(*name), FOUNDERS_STORE)).collect()
}

fn members(names: &[u8]) -> Configuration {
    Configuration { voters: voters(names), ..Configuration::default() }
}

fn joint(old: &[u8], new: &[u8]) -> Configuration {
    Configuration { outgoing: Some(voters(old)), ..members(new) }
}

fn at(index: u64, term: u64, configuration: Configuration) -> Entry {
    let content = Content::Members(Arc::new(configuration));
    Entry { index: LogIndex(index), term: Term(term), content }
}

/// n1 leads term 2 of n1 n2 n3, of which n2 has the no-op too, which is committed.
struct Led {
    safety: Safety,
    n1: Raft,
    writes: u64,
}

impl Led {
    fn new() -> Led {
        let (safety, n1) = elected();
        let mut led = Led { safety, n1, writes: 1 };
        led.copy(2, 9);
        led.commit(9);
        assert_eq!(led.safety.violations(), []);
        led
    }

    fn append(&mut self, configuration: Configuration) {
        self.append_at(Time::ZERO, configuration);
    }

    fn append_at(&mut self, now: Time, configuration: Configuration) {
        let entry = at(self.n1.log().last().index.next().0, 2, configuration);
        self.n1.log.append(entry.clone());
        self.writes += 1;
        let write = Write { id: self.writes, entries: vec![entry], ..Write::default() };
        let step = Step {
            now,
            persisted: Some(self.writes),
            write: Some(Written::of(&self.n1, &write)),
            ..idle(&self.n1)
        };
        self.safety.observe(&step, std::iter::empty());
    }

    /// This node holds n1's log up to here.
    fn copy(&mut self, name: u8, last: u64) {
        let log = self.n1.log().range(LogIndex(9), LogIndex(last)).cloned().collect();
        self.safety.started(&follower(name, FOUNDERS_STORE, log));
    }

    fn commit(&mut self, index: u64) {
        self.n1.commit_index = LogIndex(index);
        self.safety.observe(&idle(&self.n1), std::iter::empty());
    }

    fn found(&self) -> Option<Property> {
        found(&self.safety)
    }
}

#[test]
fn joint_members_commit_by_both_majorities() {
    let complaint = |holders: &[u8]| {
        let mut led = Led::new();
        led.append(joint(&[1, 2, 3], &[3, 4, 5]));
        for name in holders {
            led.copy(*name, 10);
        }
        led.commit(10);
        led.found()
    };
    assert_eq!(complaint(&[2]), Some(Property::CommitRule), "n1 n2 are a majority of n1 n2 n3 alone");
    assert_eq!(complaint(&[4, 5]), Some(Property::CommitRule), "n4 n5 are one of n3 n4 n5 alone");
    assert_eq!(complaint(&[2, 4, 5]), None);
}

#[test]
fn a_leader_that_is_left_out_does_not_count_its_own_copy() {
    let complaint = |holders: &[u8]| {
        let mut led = Led::new();
        led.append(joint(&[1, 2, 3], &[2, 3]));
        led.copy(2, 10);
        led.copy(3, 10);
        led.commit(10);
        led.append(members(&[2, 3]));
        for name in holders {
            led.copy(*name, 11);
        }
        led.commit(11);
        led.found()
    };
    assert_eq!(complaint(&[2]), Some(Property::CommitRule));
    assert_eq!(complaint(&[2, 3]), None);
}

#[test]
fn c_old_decides_as_soon_as_it_stands_again() {
    let complaint = |newest: Configuration, holders: &[u8]| {
        let mut led = Led::new();
        let command = Entry { index: LogIndex(10), ..no_op_of_2() };
        let change = at(11, 2, joint(&[1, 2, 3], &[4, 5]));
        for (id, entry) in [command, change].into_iter().enumerate() {
            led.n1.log.append(entry.clone());
            let write = Write { id: 7 + id as u64, entries: vec![entry], ..Write::default() };
            led.safety.observe(
                &Step {
                    write: Some(Written::of(&led.n1, &write)),
                    persisted: Some(write.id),
                    ..idle(&led.n1)
                },
                std::iter::empty(),
            );
        }
        for name in holders {
            led.copy(*name, 10);
        }
        let entry = at(12, 2, newest);
        led.n1.log.append(entry.clone());
        led.n1.commit_index = LogIndex(10);
        let write = Write { id: 9, entries: vec![entry], ..Write::default() };
        led.safety.observe(
            &Step { write: Some(Written::of(&led.n1, &write)), ..idle(&led.n1) },
            std::iter::empty(),
        );
        led.safety.violations().iter().any(|violation| violation.property == Property::CommitRule)
    };
    assert!(
        !complaint(members(&[1, 2, 3]), &[2]),
        "n1 n2 decide by n1 n2 n3, in the step that takes the change back"
    );
    assert!(complaint(members(&[4, 5]), &[4, 5]), "C_new decides nothing in the step that appends it");
}

#[test]
fn changes_follow_one_another_in_order() {
    let complaint = |steps: &[(Configuration, bool)]| {
        let mut led = Led::new();
        for (configuration, committed) in steps {
            led.append(configuration.clone());
            if *committed {
                let last = led.n1.log().last().index.0;
                (2..=5).for_each(|name| led.copy(name, last));
                led.commit(last);
            }
        }
        led.found()
    };
    let learner = {
        let learner =
            crate::raft::membership::configuration::Learner { store_id: 7, stays: true, joins: None };
        Configuration { learners: BTreeMap::from([(NodeId::new(9), learner)]), ..members(&[1, 2, 3]) }
    };
    let (begun, done) = (joint(&[1, 2, 3], &[1, 2, 4]), members(&[1, 2, 4]));
    assert_eq!(
        complaint(&[(begun.clone(), true), (done.clone(), true), (joint(&[1, 2, 4], &[1, 2]), false)]),
        None
    );
    assert_eq!(
        complaint(&[(learner.clone(), true), (begun.clone(), false), (members(&[1, 2, 3]), true)]),
        None,
        "taken back"
    );
    let wrong = Some(Property::ChangesInOrder);
    assert_eq!(
        complaint(&[(begun.clone(), false), (done.clone(), false)]),
        wrong,
        "C_new before C_old,new is committed"
    );
    assert_eq!(complaint(&[(learner, false), (begun.clone(), false)]), wrong, "the learner is not committed");
    assert_eq!(
        complaint(&[(begun.clone(), true), (joint(&[1, 2, 4], &[1, 2]), false)]),
        wrong,
        "a joint one behind another"
    );
    assert_eq!(
        complaint(&[(begun.clone(), true), (members(&[1, 2, 3]), false)]),
        wrong,
        "taken back too late"
    );
    assert_eq!(complaint(&[(done, false)]), wrong, "without a joint step");
}

#[test]
fn a_change_begins_when_the_terms_own_entry_is_committed() {
    let (safety, n1) = elected();
    let mut led = Led { safety, n1, writes: 1 };
    led.append(joint(&[1, 2, 3], &[1, 2, 4]));
    assert_eq!(led.found(), Some(Property::ChangesInOrder));
}

#[test]
fn configurations_in_use_overlap_on_all_disks() {
    let complaint = |before: u64, names: &[u8]| {
        let mut led = Led::new();
        let before = Entry { index: LogIndex(9), term: Term(before), content: Content::NoOp };
        led.safety.started(&follower(4, FOUNDERS_STORE, vec![before, at(10, 3, members(names))]));
        led.append(joint(&[1, 2, 3], &[1, 2]));
        led.found()
    };
    assert_eq!(complaint(2, &[1, 2, 3, 4]), None);
    assert_eq!(complaint(2, &[3, 4, 5]), Some(Property::QuorumsOverlap), "n4 could lead by n4 n5");
    assert_eq!(complaint(1, &[3, 4, 5]), None, "n4 lacks the committed entry 9");
}

#[test]
fn a_snapshot_has_the_members_of_what_it_covers() {
    let complaint = |configured: Option<Configured>| {
        let mut led = Led::new();
        led.append(joint(&[1, 2, 3], &[1, 2]));
        led.copy(2, 10);
        led.commit(10);
        let mut saved = led.safety.clone();
        saved.check_configured(NodeId::new(2), LogIndex(10), configured.as_ref());
        let last = EntryId::new(Term(2), LogIndex(10));
        let recovered =
            Recovered { hard_state: in_term(2), snapshot: last, base: last, ..Recovered::default() };
        led.safety.started(&started(5, Recovered { configuration: configured, ..recovered }));
        assert_eq!(found(&saved), led.found(), "when it is saved, and when a node starts from it");
        led.found()
    };
    let configured = |index, configuration| {
        Some(Configured { index: LogIndex(index), configuration: Arc::new(configuration) })
    };
    assert_eq!(complaint(configured(10, joint(&[1, 2, 3], &[1, 2]))), None);
    let wrong = Some(Property::Snapshot);
    assert_eq!(complaint(configured(9, joint(&[1, 2, 3], &[1, 2]))), wrong, "another index");
    assert_eq!(complaint(configured(10, members(&[1, 2, 3]))), wrong, "other members");
    assert_eq!(complaint(None), wrong);
}

#[test]
fn entries_and_founders_that_differ_in_their_members_alone_are_told_apart() {
    let complaint = |one: Recovered, other: Recovered| {
        let mut safety = Safety::default();
        safety.started(&started(1, one));
        safety.started(&started(2, other));
        found(&safety)
    };
    let of = |configuration, entries: Vec<Entry>| Recovered {
        hard_state: in_term(1),
        entries,
        configuration,
        ..Recovered::default()
    };
    let entry = |names: &[u8]| vec![at(1, 1, members(names))];
    assert_eq!(complaint(of(Some(founders()), entry(&[1, 2])), of(None, entry(&[1, 2]))), None);
    let differs = Some(Property::LogMatching);
    assert_eq!(
        complaint(of(Some(founders()), entry(&[1, 2])), of(Some(founders()), entry(&[1, 3]))),
        differs
    );
    let others = Some(Configured::founders(NodeId::first(4)));
    assert_eq!(complaint(of(Some(founders()), Vec::new()), of(others, Vec::new())), differs);
}

/// n2 asks for votes in term 3: after these nodes would vote for it, or on request.
fn campaigns(hard_state: HardState, given: &[u8], transfer: bool) -> Safety {
    let (mut safety, _) = elected();
    let n2 = |hard_state| {
        started(2, Recovered { hard_state, configuration: Some(founders()), ..Recovered::default() })
    };
    safety.started(&n2(hard_state));
    for &name in given {
        let raft = node(name, 0, 0, Vec::new());
        let granted = Body::Extra(Extra::PreVoteReply { next_term: Term(3), granted: true });
        let answer = Message { from: raft.id(), to: NodeId::new(2), ..said(2, granted) };
        safety.observe(&idle(&raft), [answer].iter());
    }
    let mut candidate = n2(HardState { retired: false, ..hard_state });
    let write = candidate.step(Time::ZERO, &mut vec![Input::Campaign]).write.expect("it votes for itself");
    let cause = if transfer { Cause::Request } else { Cause::Timer };
    let asked = Message { to: NodeId::new(3), ..said(3, Body::RequestVote { last: EntryId::ZERO, cause }) };
    let step =
        Step { write: Some(Written::of(&candidate, &write)), persisted: Some(write.id), ..idle(&candidate) };
    safety.observe(&step, [asked.clone(), asked].iter());
    safety
}

#[test]
fn an_election_has_pre_votes_or_an_order_behind_it() {
    let complaint = |given: &[u8], transfer| found(&campaigns(in_term(2), given, transfer));
    assert_eq!(complaint(&[3], false), None, "n2 n3 are a majority");
    assert_eq!(complaint(&[], true), None);
    assert_eq!(complaint(&[], false), Some(Property::NoDisruption));
    assert_eq!(complaint(&[4], false), Some(Property::NoDisruption), "n4 is no member");
    assert_eq!(campaigns(in_term(2), &[], false).violations().len(), 1, "one election, one complaint");
}

#[test]
fn a_server_that_knows_that_it_left_never_campaigns() {
    let retired = HardState { retired: true, ..in_term(2) };
    assert_eq!(found(&campaigns(retired, &[3], false)), Some(Property::NoDisruption));
    assert_eq!(found(&campaigns(retired, &[], true)), Some(Property::NoDisruption));
    let (mut safety, _) = elected();
    for hard_state in [retired, in_term(2)] {
        safety.started(&started(2, Recovered { hard_state, ..Recovered::default() }));
    }
    assert_eq!(found(&safety), Some(Property::NoDisruption), "it forgot that it left");
}

#[test]
fn a_server_learns_from_the_commit_index_that_it_left() {
    let complaint = |member: Member| {
        let mut record = crate::check::safety::record::Record::default();
        let left = [members(&[1, 2, 3]), joint(&[1, 2, 3], &[1, 2]), members(&[1, 2])];
        for (entry, hash) in left.into_iter().zip(1..).map(|(left, index)| (at(index, 1, left), index)) {
            record.append(&Appended::of(&entry), hash);
        }
        let retired = [1, 2, 3].map(|commit| {
            record.learn_commit(member, LogIndex(commit));
            record.forget_settled();
            record.retired
        });
        (retired, record.configurations.len())
    };
    assert_eq!(complaint(founder(3)), ([false, false, true], 1));
    assert_eq!(complaint(founder(2)), ([false; 3], 1));
    assert_eq!(complaint(Member { store_id: 95, ..founder(3) }), ([false; 3], 1), "n3#95 never was a member");
}

#[test]
fn a_learner_becomes_a_voter_while_it_answers() {
    let n4 = Member::founder(NodeId::new(4));
    let learner = Learner { store_id: n4.store_id, stays: false, joins: None };
    let learns = Configuration { learners: [(n4.node, learner)].into(), ..members(&[1, 2, 3]) };
    let shortest = RaftSettings::default().election_min;
    let promoted = |answered: bool, after: Duration| {
        let mut led = Led::new();
        led.append(learns.clone());
        led.copy(2, 10);
        led.commit(10);
        let answering: &[Member] = if answered { &[n4] } else { &[] };
        led.safety.observe(&Step { answering, ..idle(&led.n1) }, std::iter::empty());
        led.append_at(Time::ZERO + after, joint(&[1, 2, 3], &[1, 2, 3, 4]));
        found(&led.safety)
    };
    assert_eq!(promoted(true, shortest / 2), None);
    assert_eq!(promoted(true, shortest), Some(Property::ChangesInOrder), "it is silent by now");
    assert_eq!(promoted(false, Duration::ZERO), Some(Property::ChangesInOrder));
}
