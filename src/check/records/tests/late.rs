//! A node whose records were lost begins them again, with a logical clock that begins again too: what it did before breaks
//! nothing, and what follows is judged as ever.

use super::*;

/// The node's records are lost, and it starts like this.
fn begins_again(written: &mut Written3, standing: &Standing) {
    written.records.remove(&standing.shown.member.node);
    written.writes.remove(&standing.shown.member.node);
    let clock = std::mem::replace(&mut written.clock, 0);
    written.stands(90, Cause::Start, standing);
    written.clock = clock;
}

/// Of a node that starts in this term, for whose leader it voted, with these entries.
fn with_files(name: u8, term: u64, leader: u8, entries: Vec<Appended>) -> Standing {
    Standing {
        shown: shown(name, term, Rank::Follower, 0),
        hard_state: voted(term, leader),
        durable_index: LogIndex(entries.len() as u64),
        entries,
        ..empty(name)
    }
}

/// The first leader's records are lost; it has its files still.
fn without_leader() -> Written3 {
    let mut written = Written3::committed();
    begins_again(&mut written, &with_files(1, 1, 1, vec![entry(1, 1, 7)]));
    written
}

#[track_caller]
fn assert_open(verdicts: &[Verdict], why: &str) {
    assert_eq!(failed(verdicts), [""; 0], "{verdicts:?}");
    let said = open(verdicts);
    assert!(said.len() == verdicts.len() && said.iter().all(|line| line.contains(why)), "{said:?}");
}

#[test]
fn what_a_node_did_before_its_records_begin_is_open() {
    let why = "n1's records begin in term 1: what it did before does not stand in them";
    assert_open(&without_leader().judged_without(&[]), why);
    let mut voter = Written3::committed();
    begins_again(&mut voter, &with_files(2, 1, 1, vec![entry(1, 1, 7)]));
    assert_open(&voter.judged_without(&[]), "n2's records begin in term 1");
}

#[test]
fn it_is_known_whether_all_records_begin_with_the_first_step() {
    let reaches_back = |written: &Written3| {
        let mut following = Following::default();
        written.read(&mut following, &[]);
        following.reaches_back()
    };
    assert!(reaches_back(&Written3::committed()));
    assert!(!reaches_back(&without_leader()));
}

#[test]
fn what_files_did_that_are_gone_with_their_records_is_open() {
    for lost in [1, 2] {
        let mut written = Written3::committed();
        let member = Member { node: n(lost), store_id: 95 };
        let hard_state = HardState { store_id: 95, ..HardState::default() };
        let new = Standing { shown: Shown { member, ..empty(lost).shown }, hard_state, ..empty(lost) };
        begins_again(&mut written, &Standing { configured: None, ..new });
        let why = format!(
            "n{lost}'s records begin with later files: what it did with those of n{lost}#1 does not stand in them"
        );
        assert_open(&written.judged_without(&[]), &why);
    }
}

#[test]
fn a_pre_vote_may_be_among_the_records_that_are_lost() {
    let mut written = without_leader();
    let candidate = Shown { pre_vote: true, ..shown(3, 5, Rank::Candidate, 0) };
    written.writes(candidate, Some(voted(5, 3)), Vec::new());
    let body = Body::RequestVote { last: EntryId::ZERO, cause: Reason::Timer };
    written.persists(candidate, vec![said(3, 2, 5, body)]);
    assert_open(&written.judged_without(&[]), "n1's records begin in term 1");
}

#[test]
fn what_is_committed_by_a_later_leader_may_be_missing_on_an_earlier_one() {
    let mut written = Written3::default();
    for name in [1, 2, 3] {
        written.starts(name);
    }
    written.votes(3, 2, 2);
    written.leads(2, 2);
    let at = EntryId::new(Term(1), LogIndex(1));
    let standing = Standing {
        base: at,
        committed: at,
        entries: vec![entry(3, 2, 8)],
        durable_index: LogIndex(2),
        applied: LogIndex(1),
        shown: shown(1, 3, Rank::Follower, 1),
        ..with_files(1, 3, 1, Vec::new())
    };
    begins_again(&mut written, &standing);
    assert_open(&written.judged_without(&[]), "n1's records begin in term 3");
}

#[test]
fn what_follows_in_later_terms_is_judged() {
    let found = |property: Property, breaks: &dyn Fn(&mut Written3)| {
        let mut written = without_leader();
        breaks(&mut written);
        let verdicts = written.judged_without(&[]);
        assert!(failed(&verdicts).contains(&property.name()), "{}: {verdicts:?}", property.name());
    };
    found(Property::ElectionSafety, &|w| w.leads(3, 2));
    found(Property::CommitRule, &|w| {
        w.copies(2, 2, entry(2, 2, 9));
        w.copies(3, 2, entry(1, 1, 7));
        w.copies(3, 2, entry(2, 2, 9));
        w.shows(shown(2, 2, Rank::Follower, 2), Vec::new());
    });
    found(Property::CommitRule, &|w| {
        w.votes(2, 2, 1);
        w.leads(1, 2);
        w.writes(shown(1, 2, Rank::Leader, 0), None, vec![entry(2, 2, 9)]);
        w.persists(shown(1, 2, Rank::Leader, 2), Vec::new());
    });
    found(Property::OneVote, &|w| {
        w.persists(shown(1, 1, Rank::Follower, 0), vec![vote(1, 3, 1)]);
    });
    found(Property::LogMatching, &|w| w.copies(3, 1, entry(1, 1, 8)));
}

#[test]
fn a_cluster_that_begins_from_files_without_records_is_judged_from_there_on() {
    let mut all = Written3::default();
    for name in [1, 2, 3] {
        all.stands(name.into(), Cause::Start, &with_files(name, 5, 1, vec![entry(1, 1, 7)]));
    }
    all.votes(2, 6, 1);
    all.leads(1, 6);
    assert_holds(&all.judged_without(&[]));
    let mut newcomer = Written3::default();
    let alone = Some(Configured::founders([n(1)]));
    let standing = with_files(1, 5, 1, vec![entry(1, 1, 7)]);
    newcomer.stands(1, Cause::Start, &Standing { configured: alone, ..standing });
    newcomer.stands(2, Cause::Start, &Standing { configured: None, ..empty(2) });
    newcomer.leads(1, 6);
    newcomer.shows(shown(2, 6, Rank::Follower, 0), Vec::new());
    assert_holds(&newcomer.judged_without(&[]));
}
