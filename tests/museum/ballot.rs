//! A candidate's files change under it: it installs a snapshot with joint members, of whom it is no voter any more.

use raftlab::raft::effects::Change;
use raftlab::raft::membership::MemberRole;
use raftlab::types::{EntryId, LogIndex, Term};

use super::members::{broken, elect, led};
use super::table::{Table, n};

/// n1 makes n3 a learner, of which n3 hears nothing until it is sent a snapshot that ends with `C_old,new`. It votes for
/// itself while its disk is slow. Then the snapshot has its name, and n3 crashes before its log is the snapshot's.
fn renamed(defect: Option<&str>) -> Table {
    let mut table = led(defect);
    table.change(1, Change::Demote(n(3)));
    table.deliver(1, 2);
    table.deliver(2, 1);
    table.take_snapshot(1);
    table.lose_all();
    table.slow_snapshots(3);
    for _ in 0..2 {
        table.tick(1);
        table.talk(&[1, 3]);
    }
    table.lose_all();
    table.campaign(3);
    assert_eq!(table.raft(3).snapshot(), EntryId::ZERO, "n3 is a candidate by its own log");
    assert_eq!(table.raft(3).voted_for(), Some(table.raft(3).member()));
    table.end_behind_snapshots(3);
    table.lose_all();
    table.restart(3);
    assert_eq!(
        table.raft(3).snapshot(),
        EntryId::new(Term(1), LogIndex(2)),
        "that is whole and has its name"
    );
    table
}

/// n3 wakes. n2 asks it for its vote of the term in which it was a candidate, and it asks n2 for one of the next.
fn ballot(defect: Option<&str>) -> Table {
    let mut table = renamed(defect);
    elect(&mut table, 2, &[3]);
    table.lose_all();
    elect(&mut table, 3, &[2]);
    table
}

#[test]
fn a_candidate_that_wakes_with_the_members_of_a_snapshot_keeps_its_vote_and_counts_by_them() {
    let table = renamed(None);
    assert!(table.raft(3).configuration().is_joint());
    assert_eq!(table.raft(3).member_role(), MemberRole::Leaves, "a learner of the new members");
    let table = ballot(None);
    assert_eq!((table.leads(2), table.leads(3), broken(&table)), (false, false, vec![]));
}

#[test]
fn a_candidate_that_wakes_with_the_members_of_its_own_log_leads_by_itself_and_n2() {
    let table = ballot(Some("members-of-replaced-log"));
    assert!(table.leads(3), "n1 and n2 alone are the new members");
    assert_eq!(broken(&table), ["snapshot"]);
}

#[test]
fn a_candidate_that_wakes_without_its_vote_gives_it_to_another() {
    assert!(broken(&ballot(Some("vote-forgotten-at-restart"))).contains(&"one vote a term"));
}
