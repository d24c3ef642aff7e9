//! The worst schedules of membership changes: each passes, and shows harm with a defect in it.

use raftlab::raft::effects::Change;
use raftlab::types::NodeId;

use super::table::{Table, n};

/// n1 leads n1 n2 n3.
pub fn led(defect: Option<&str>) -> Table {
    let mut table = Table::new(&[1, 2, 3], defect);
    table.campaign(1);
    table.talk(&[1, 2, 3]);
    table.lead(1, &[2, 3]);
    table
}

/// n1 leads n1 n2 n3 and has just proposed n1 n2 n3 -> n1 n2 n4: the messages that say so are on their way. The old
/// majority of n1 n3 and the new one of n2 n4 have no node in common. `stalled`: n1's disk has nothing of the change.
fn joint_proposed(defect: Option<&str>, stalled: bool) -> Table {
    let mut table = led(defect);
    if stalled {
        table.stall(1);
    }
    replaced(&mut table, 3, &[2, 3, 4]);
    table
}

/// n1 replaces this node with n4, up to the joint entry. These hear it until then.
fn replaced(table: &mut Table, old: u8, hear: &[u8]) {
    let new = table.add(4, 40);
    table.change(1, Change::Replace { old: n(old), new });
    for _ in 0..20 {
        table.tick(1);
        if table.raft(1).configuration().is_voter(new) {
            return;
        }
        table.talk(&[&[1], hear].concat());
    }
    panic!("n4 never catches up: {}", table.raft(1).configuration());
}

/// A candidate asks these for their votes.
pub fn elect(table: &mut Table, candidate: u8, voters: &[u8]) {
    table.campaign(candidate);
    for voter in voters {
        table.deliver(candidate, *voter);
        table.deliver(*voter, candidate);
    }
}

pub fn broken(table: &Table) -> Vec<&'static str> {
    table.violations().iter().map(|violation| violation.property.name()).collect()
}

pub fn voters(table: &Table, name: u8) -> Vec<u8> {
    table.raft(name).configuration().voters.keys().copied().map(NodeId::number).collect()
}

/// The joint entry is on n2's disk alone. n2 is elected and has n4; n1 and n3 have one another.
fn inherited(defect: Option<&str>) -> Table {
    let mut table = joint_proposed(defect, true);
    table.deliver(1, 2);
    table.lose_all();
    table.restart(1);
    elect(&mut table, 2, &[3, 4]);
    assert!(table.leads(2), "n2 n3 and n2 n4 elect it");
    table.lose_all();
    table.lead(2, &[4]);
    table.lose_all();
    elect(&mut table, 3, &[1]);
    assert!(table.leads(3), "n1 n3 know nothing of n4");
    table.lead(3, &[1]);
    table
}

#[test]
fn an_inherited_joint_entry_is_left_by_both_majorities() {
    let mut table = inherited(None);
    table.lead(3, &[1, 2, 4]);
    assert_eq!(
        (voters(&table, 2), broken(&table)),
        (vec![1, 2, 4], vec![]),
        "the wish is carried through again"
    );
}

/// n1 commits the joint entry, and its `C_new` is on n4 alone. n2 is elected, and is told to take the change back.
fn taken_back(defect: Option<&str>) -> Table {
    let mut table = joint_proposed(defect, false);
    table.stall(1);
    table.deliver(1, 2);
    table.deliver(1, 4);
    table.deliver(2, 1);
    assert!(!table.raft(1).configuration().is_joint(), "the joint entry is committed");
    table.deliver(1, 4);
    table.lose_all();
    table.restart(1);
    elect(&mut table, 2, &[1, 3]);
    assert!(table.leads(2), "n1 and n3 have no more than n2");
    table.lose_all();
    table.change(2, Change::Cancel);
    table.lead(2, &[3]);
    table.lose_all();
    // It has heard nothing of term 2: its first election is one too late.
    elect(&mut table, 4, &[1]);
    elect(&mut table, 4, &[1]);
    assert!(table.leads(4), "n1 n4 are a majority of n1 n2 n4");
    table.lead(4, &[1]);
    table
}

#[test]
fn a_change_is_not_taken_back_that_an_earlier_leader_may_have_completed() {
    let mut table = taken_back(None);
    table.lead(4, &[1, 2, 3]);
    assert_eq!((voters(&table, 2), broken(&table)), (vec![1, 2, 4], vec![]));
}

/// n3 elects n2 and commits with it. n2 loses its files, and the deposed n1 proposes its new ones: they campaign in the
/// term in which the lost ones lead.
fn name_twice(defect: Option<&str>) -> Table {
    let mut table = led(defect);
    elect(&mut table, 2, &[3]);
    assert!(table.leads(2));
    table.talk(&[2, 3]);
    table.lose_all();
    table.add(2, 95);
    for _ in 0..2 {
        table.tick(1);
        table.talk(&[1, 2]);
    }
    assert!(table.raft(2).configuration().is_voter(table.raft(2).member()), "n1 proposes n2#95");
    elect(&mut table, 2, &[1, 3]);
    assert_eq!(table.raft(2).current_term(), table.raft(3).current_term());
    table
}

#[test]
fn a_vote_for_lost_files_is_none_for_those_that_replace_them() {
    let table = name_twice(None);
    assert_eq!((table.leads(2), broken(&table)), (false, vec![]), "n3 voted for n2#1");
}

/// A cluster that began as n1 gives it up, and takes it in again with new files. They read their cluster's history up to
/// where n1 decided alone, and are cut off.
fn history(defect: Option<&str>) -> Table {
    let mut table = Table::new(&[1], defect);
    table.campaign(1);
    table.lead(1, &[]);
    let new = table.add(2, 50);
    table.change(1, Change::Add { new, learner: false });
    table.lead(1, &[2]);
    assert_eq!(voters(&table, 1), [1, 2]);
    elect(&mut table, 2, &[1]);
    table.lead(2, &[1]);
    table.change(2, Change::Remove(n(1)));
    table.lead(2, &[1]);
    assert_eq!(voters(&table, 2), [2]);
    let new = table.add(1, 95);
    table.change(2, Change::Add { new, learner: false });
    for _ in 0..40 {
        if voters(&table, 1) == [1] {
            break;
        }
        if !table.deliver_one(2, 1) {
            table.deliver(1, 2);
            table.tick(2);
        }
    }
    assert_eq!(voters(&table, 1), [1], "the history up to the first entry that names members");
    table.lose_all();
    table.campaign(1);
    table
}

#[test]
fn new_files_under_an_old_name_have_no_part_in_its_history() {
    let table = history(None);
    assert_eq!((table.leads(1), broken(&table)), (false, vec![]), "n1#1 decided alone, not n1#95");
}

/// n1 hears from this node alone.
fn acknowledged(table: &mut Table, by: u8) {
    table.lose_all();
    table.tick(1);
    table.talk(&[1, by]);
}

/// The joint entry is on n2 too; n1 is gone, and n2 asks these for their votes.
fn asked(defect: Option<&str>, voters: &[u8]) -> Table {
    let mut table = joint_proposed(defect, false);
    table.deliver(1, 2);
    table.lose_all();
    elect(&mut table, 2, voters);
    table
}

/// n1 proposes the joint entry, and one more node holds it.
fn held(defect: Option<&str>, by: u8) -> Table {
    let mut table = joint_proposed(defect, false);
    table.talk(&[1, by]);
    table
}

/// n1 leaves itself out: `C_new` is on n2 too, and not on n3.
fn left_out(defect: Option<&str>) -> Table {
    let mut table = led(defect);
    table.change(1, Change::Remove(n(1)));
    table.deliver(1, 3);
    table.deliver(3, 1);
    table.talk(&[1, 2]);
    table
}

/// Two changes that n1 is asked for at once.
fn changed_twice(defect: Option<&str>, first: Change, second: Change) -> Table {
    let mut table = led(defect);
    table.change(1, first);
    table.change(1, second);
    table
}

/// n2 saves a snapshot of two changes of the members and of what it appended behind them.
fn saved(defect: Option<&str>) -> Table {
    let mut table = led(defect);
    for preferred in [Some(n(1)), None] {
        table.change(1, Change::Prefer(preferred));
        table.lead(1, &[2, 3]);
    }
    elect(&mut table, 2, &[3]);
    table.lead(2, &[3]);
    table.take_snapshot(2);
    table
}

/// The only defect is in its place, and what it breaks is noticed.
type Schedule = (&'static str, fn(Option<&str>) -> Table, &'static str);

const SCHEDULES: &[Schedule] = &[
    ("members-when-committed", |defect| asked(defect, &[3]), "election safety"),
    (
        "members-forgotten-at-restart",
        |defect| {
            let mut table = joint_proposed(defect, false);
            table.deliver(1, 2);
            table.lose_all();
            table.restart(2);
            elect(&mut table, 2, &[3]);
            table
        },
        "election safety",
    ),
    (
        "members-not-truncated",
        |defect| {
            let mut table = inherited(defect);
            // n2 hears n3, and its joint entry goes. When it leads again there is no change to complete.
            table.lead(3, &[2]);
            elect(&mut table, 2, &[1, 3]);
            table.lead(2, &[1, 3]);
            table
        },
        "changes in order",
    ),
    ("joint-taken-for-new", |defect| asked(defect, &[4]), "election safety"),
    ("one-half-elects", |defect| asked(defect, &[4]), "election safety"),
    (
        "learners-elect",
        |defect| {
            let mut table = led(defect);
            let new = table.add(4, 40);
            table.change(1, Change::Add { new, learner: true });
            table.lead(1, &[2, 3, 4]);
            elect(&mut table, 2, &[4]);
            table
        },
        "election safety",
    ),
    ("old-majority-alone", |defect| held(defect, 3), "commit rule"),
    ("new-majority-alone", |defect| held(defect, 4), "commit rule"),
    ("quorum-remembered", |defect| held(defect, 3), "commit rule"),
    (
        "learner-counted-early",
        |defect| {
            let mut table = led(defect);
            let new = table.add(4, 40);
            table.change(1, Change::Add { new, learner: true });
            acknowledged(&mut table, 4);
            table
        },
        "commit rule",
    ),
    (
        "dead-learner-promoted",
        |defect| {
            let mut table = led(defect);
            let new = table.add(4, 40);
            table.change(1, Change::Add { new, learner: true });
            table.lead(1, &[2, 3, 4]);
            table.lead(1, &[2, 3]);
            table.change(1, Change::Promote(n(4)));
            table.lead(1, &[2, 3]);
            table
        },
        "changes in order",
    ),
    ("removed-leader-counts-itself", left_out, "commit rule"),
    (
        "files-not-compared",
        |defect| {
            let mut table = led(defect);
            table.add(2, 95);
            elect(&mut table, 3, &[2]);
            table
        },
        "election safety",
    ),
    ("vote-without-files", name_twice, "one vote a term"),
    ("old-name-decides", history, "election safety"),
    ("joint-left-uncommitted", |defect| held(defect, 3), "changes in order"),
    ("joint-left-before-no-op", inherited, "leader completeness"),
    ("taken-back-too-soon", taken_back, "leader completeness"),
    (
        "two-changes-at-once",
        |defect| changed_twice(defect, Change::Prefer(Some(n(2))), Change::Remove(n(3))),
        "changes in order",
    ),
    (
        "change-while-joint",
        |defect| changed_twice(defect, Change::Remove(n(3)), Change::Remove(n(2))),
        "changes in order",
    ),
    (
        "change-before-no-op",
        |defect| {
            let mut table = Table::new(&[1, 2, 3], defect);
            elect(&mut table, 1, &[2]);
            table.change(1, Change::Remove(n(3)));
            table
        },
        "changes in order",
    ),
    (
        "voters-changed-at-once",
        |defect| changed_twice(defect, Change::Remove(n(3)), Change::Cancel),
        "changes in order",
    ),
    ("snapshot-with-earlier-members", saved, "snapshot"),
    ("members-of-snapshots-index", saved, "snapshot"),
    (
        "retired-forgotten-at-restart",
        |defect| {
            let mut table = led(defect);
            table.change(1, Change::Remove(n(3)));
            table.lead(1, &[2, 3]);
            table.restart(3);
            table
        },
        "no disruption",
    ),
];

#[test]
fn each_defect_is_noticed_in_its_schedule_and_without_it_nothing_is_wrong() {
    for (name, schedule, property) in SCHEDULES {
        assert_eq!(broken(&schedule(None)), Vec::<&str>::new(), "{name}: the schedule without the defect");
        let found = broken(&schedule(Some(name)));
        assert!(found.contains(property), "{name}: not {property} but {found:?}");
    }
}

/// n1 commits the joint entry, its `C_new` reaches n3 alone, which it leaves out, and n1 is gone: only n3 can win.
fn newest_left_out(defect: Option<&str>) -> Table {
    let mut table = joint_proposed(defect, false);
    for name in [2, 3, 4] {
        table.deliver(1, name);
    }
    table.deliver(2, 1);
    table.deliver(1, 3);
    table.lose_all();
    elect(&mut table, 3, &[2, 4]);
    table.lead(3, &[2, 4]);
    table
}

#[test]
fn a_node_that_is_left_out_wins_once_more_when_it_alone_has_the_entry_that_says_so() {
    let mut table = newest_left_out(None);
    assert!(table.raft(3).is_retired() && !table.leads(3), "it committed C_new, and handed over");
    assert!(table.leads(2) || table.leads(4), "to one of those that stay");
    table.restart(1);
    let leader = if table.leads(2) { 2 } else { 4 };
    table.lead(leader, &[1, 2, 4]);
    assert_eq!((voters(&table, 1), broken(&table)), (vec![1, 2, 4], vec![]));
    let table = newest_left_out(Some("removed-node-silent"));
    assert!(
        ![2, 3, 4].into_iter().any(|name| table.leads(name)),
        "it cannot win, and the others cannot without it"
    );
}

#[test]
fn a_leader_that_is_left_out_hears_who_holds_the_entry_that_says_so() {
    let committed = |defect| {
        let mut table = led(defect);
        table.change(1, Change::Remove(n(1)));
        table.lead(1, &[2, 3]);
        table.raft(2).committed_configuration().expect("it knows the members").configuration.to_string()
    };
    assert_eq!(committed(None), "n2 n3");
    assert_eq!(committed(Some("removed-node-silent")), "n1 n2 n3 -> n2 n3");
}

#[test]
fn a_node_votes_that_takes_itself_for_a_learner() {
    let leads = |defect| asked(defect, &[3, 4]).leads(2);
    assert!(leads(None), "n4 does not know yet that its vote counts");
    assert!(!leads(Some("learner-refuses-vote")));
}

#[test]
fn a_node_votes_for_candidates_that_it_has_not_heard_of() {
    // n3 has nothing of the change: the entry that takes n4 in is on n1 n2 n4. n1 is gone.
    let leads = |defect| {
        let mut table = led(defect);
        replaced(&mut table, 1, &[2, 4]);
        table.deliver(1, 2);
        table.deliver(1, 4);
        table.lose_all();
        elect(&mut table, 4, &[2, 3]);
        (table.leads(4), broken(&table))
    };
    assert_eq!(leads(None), (true, vec![]));
    assert_eq!(leads(Some("vote-only-for-known")), (false, vec![]));
}

#[test]
fn new_files_are_not_removed_by_what_they_read_of_earlier_ones() {
    let leads = |defect| {
        let mut table = history(defect);
        for _ in 0..6 {
            table.lead(2, &[1]);
        }
        assert_eq!(voters(&table, 2), [1, 2]);
        table.change(2, Change::Remove(n(2)));
        table.lead(2, &[1]);
        (voters(&table, 1), table.leads(1), broken(&table))
    };
    assert_eq!(leads(None), (vec![1], true, vec![]));
    assert_eq!(
        leads(Some("retired-by-history")),
        (vec![1], false, vec![]),
        "n2 left it alone, and it never campaigns"
    );
}

#[test]
fn a_leader_that_is_left_out_leads_until_the_others_can_without_it() {
    // Once it leads no more, it may be stopped at any moment.
    let others_lead = |defect| {
        let mut table = Table::new(&[1, 2], defect);
        elect(&mut table, 1, &[2]);
        table.lead(1, &[2]);
        table.change(1, Change::Remove(n(1)));
        for _ in 0..40 {
            if !table.leads(1) {
                break;
            }
            if !(table.deliver_one(1, 2) || table.deliver_one(2, 1)) {
                table.tick(1);
            }
        }
        table.lose_all();
        table.campaign(2);
        assert!(!table.leads(1));
        table.leads(2)
    };
    assert!(others_lead(None));
    assert!(!others_lead(Some("removed-leader-leaves-early")));
}
