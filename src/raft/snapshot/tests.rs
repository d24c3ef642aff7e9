//! InstallSnapshot, message by message: what is lost, late, doubled or out of order changes nothing that counts.

mod sending;

use std::sync::Arc;

use super::transfer::ROUNDS_PATIENT;
use super::{Needed, SnapshotReport, SnapshotTask};
use crate::config::RaftSettings;
use crate::raft::bench::{Bench, Said, entries, id, recovered};
use crate::raft::effects::Input;
use crate::raft::event::Event;
use crate::raft::membership::Configured;
use crate::raft::message::{Ack, AppendResult, Beat, Body, Files, InstallResult, Message};
use crate::raft::role::ProgressState;
use crate::types::{EntryId, LogIndex, NodeId, Term};

/// The configuration that the snapshots hold.
fn founders() -> Configured {
    Configured::founders(NodeId::first(3))
}

const PART: usize = 100;

/// No entry stays in a log that a snapshot covers, unless somebody needs it.
fn bare() -> RaftSettings {
    RaftSettings { trailing_entries: 0, ..RaftSettings::default() }
}

fn part(last: EntryId, offset: u64, done: bool) -> Body {
    Body::InstallSnapshot { last, offset, data: Arc::from([0; PART]), done }
}

fn receive(last: EntryId, offset: u64, done: bool) -> SnapshotTask {
    SnapshotTask::Receive { last, offset, data: Arc::from([0; PART]), done }
}

fn report(bench: &mut Bench, report: SnapshotReport) -> Said {
    bench.step(Input::Snapshot(report))
}

/// What a follower said of a snapshot, if it said one thing.
fn replied(said: &Said, to: u8) -> Option<InstallResult> {
    match said.to(to)[..] {
        [] => None,
        [Body::InstallReply { result, .. }] => Some(*result),
        ref other => panic!("one answer: {other:?}"),
    }
}

#[test]
fn parts_that_come_twice_or_out_of_order_are_taken_once_and_in_order() {
    let mut bench = Bench::follower(2, &bare(), recovered(EntryId::ZERO, 0, 1));
    let last = id(9, 1);
    let first = bench.hear(1, 1, part(last, 0, false));
    assert_eq!(first.tasks, [receive(last, 0, false)]);
    assert_eq!(replied(&first, 1), None, "it is acknowledged when it is written");
    for offset in [0, 200, 300] {
        let other = bench.hear(1, 1, part(last, offset, false));
        assert_eq!(other.tasks, [], "the part at {offset} is not the next one");
        assert_eq!(replied(&other, 1), Some(InstallResult::Next(100)));
    }
    assert_eq!(bench.hear(1, 1, part(last, 100, false)).tasks, [receive(last, 100, false)]);
    let written = report(&mut bench, SnapshotReport::Received { last, next: 200 });
    assert_eq!(replied(&written, 1), Some(InstallResult::Next(200)));
    let other = report(&mut bench, SnapshotReport::Received { last: id(8, 1), next: 100 });
    assert_eq!(replied(&other, 1), None, "of a snapshot that was given up nothing is said");
    assert_eq!(bench.hear(1, 1, part(last, 200, true)).tasks, [receive(last, 200, true)]);
    for offset in [0, 200] {
        let late = bench.hear(1, 1, part(last, offset, offset == 200));
        assert_eq!((&late.tasks[..], replied(&late, 1)), (&[][..], None), "it is being read");
    }
    let installed = report(&mut bench, SnapshotReport::Installed(last, founders()));
    assert_eq!(replied(&installed, 1), Some(InstallResult::Installed));
    assert_eq!((bench.raft.commit_index(), bench.raft.log().base()), (LogIndex(9), last));
    let late = bench.hear(1, 1, part(last, 0, false));
    assert_eq!((&late.tasks[..], replied(&late, 1)), (&[][..], Some(InstallResult::Installed)));
}

#[test]
fn a_first_part_restarts_and_another_leaders_transfer_does_not_continue_one() {
    let mut bench = Bench::follower(2, &bare(), recovered(EntryId::ZERO, 0, 1));
    let last = id(9, 1);
    bench.hear(1, 1, part(last, 0, false));
    bench.hear(1, 1, part(last, 100, false));
    let other = bench.hear(3, 2, part(last, 200, false));
    assert_eq!((&other.tasks[..], replied(&other, 3)), (&[][..], Some(InstallResult::Next(0))));
    assert_eq!(bench.hear(3, 2, part(last, 0, false)).tasks, [receive(last, 0, false)]);
    let late = bench.hear(1, 1, part(last, 100, false));
    assert_eq!((&late.tasks[..], replied(&late, 1)), (&[][..], Some(InstallResult::StaleTerm)));
    assert_eq!(bench.hear(3, 2, part(last, 100, false)).tasks, [receive(last, 100, false)]);
    let newer = id(12, 2);
    assert_eq!(replied(&bench.hear(3, 2, part(newer, 100, false)), 3), Some(InstallResult::Next(0)));
    assert_eq!(bench.hear(3, 2, part(newer, 0, false)).tasks, [receive(newer, 0, false)]);
    assert_eq!(replied(&bench.hear(3, 2, part(last, 200, false)), 3), Some(InstallResult::Next(0)));
}

#[test]
fn a_part_that_is_written_after_another_leader_began_again_is_not_acknowledged() {
    let mut bench = Bench::follower(2, &bare(), recovered(EntryId::ZERO, 0, 1));
    let last = id(9, 1);
    bench.hear(1, 1, part(last, 0, false));
    bench.hear(1, 1, part(last, 100, false));
    bench.hear(3, 2, part(last, 0, false));
    let late = report(&mut bench, SnapshotReport::Received { last, next: 200 });
    assert_eq!(replied(&late, 3), None, "n3 would send what follows, and never the part that is needed");
    let written = report(&mut bench, SnapshotReport::Received { last, next: 100 });
    assert_eq!(replied(&written, 3), Some(InstallResult::Next(100)));
}

#[test]
fn a_damaged_snapshot_is_received_again() {
    let mut bench = Bench::follower(2, &bare(), recovered(EntryId::ZERO, 0, 1));
    let last = id(9, 1);
    bench.hear(1, 1, part(last, 0, true));
    let damaged = report(&mut bench, SnapshotReport::Unusable(last));
    assert!(damaged.events.contains(&Event::SnapshotUnusable { last }));
    assert_eq!(replied(&damaged, 1), Some(InstallResult::Unusable), "its leader hears of it");
    let late = report(&mut bench, SnapshotReport::Unusable(last));
    assert_eq!(replied(&late, 1), None, "of a snapshot that was given up nothing is said");
    assert_eq!(bench.raft.commit_index(), LogIndex(0), "nothing of it counts");
    assert_eq!(replied(&bench.hear(1, 1, part(last, 100, true)), 1), Some(InstallResult::Next(0)));
    assert_eq!(bench.hear(1, 1, part(last, 0, true)).tasks, [receive(last, 0, true)]);
}

#[test]
fn a_snapshot_waits_until_its_term_is_durable() {
    let mut bench = Bench::follower(2, &bare(), recovered(EntryId::ZERO, 0, 0));
    let last = id(9, 1);
    let early = bench.hear(1, 1, part(last, 0, true));
    assert_eq!((&early.tasks[..], replied(&early, 1)), (&[][..], None), "the step itself adopts term 1");
    assert_eq!(bench.hear(1, 1, part(last, 0, true)).tasks, [receive(last, 0, true)]);
}

#[test]
fn what_follows_a_shared_last_entry_stays_and_any_other_log_goes_whole() {
    // Figure 13, InstallSnapshot 6 and 7.
    for (last, kept) in [(id(3, 1), 2), (id(3, 2), 0), (id(5, 1), 0), (id(9, 1), 0)] {
        let mut bench = Bench::follower(2, &bare(), recovered(EntryId::ZERO, 5, 1));
        bench.step_all(vec![Input::Campaign, Input::Campaign]);
        bench.hear_entries(3, 3, EntryId::ZERO, Vec::new(), 0);
        bench.hear(3, 3, part(last, 0, true));
        let installed = report(&mut bench, SnapshotReport::Installed(last, founders()));
        assert!(installed.events.contains(&Event::SnapshotInstalled { last, kept }), "{installed:?}");
        assert_eq!((bench.raft.commit_index(), bench.raft.log().base()), (last.index, last));
        assert_eq!(bench.raft.log().last().index, LogIndex(last.index.0 + kept));
        assert_eq!(bench.raft.durable_index(), bench.raft.log().last().index, "all of it is on disk");
    }
}

#[test]
fn entries_that_come_in_the_step_in_which_a_snapshot_of_them_is_installed_reach_the_disk_first() {
    let mut bench = Bench::follower(2, &bare(), recovered(EntryId::ZERO, 2, 1));
    bench.hear(1, 1, part(id(4, 1), 0, true));
    let late = Body::AppendEntries {
        prev: id(2, 1),
        entries: entries(3, 5, 1),
        commit: LogIndex(2),
        beat: Beat { round: 1, ..Beat::default() },
    };
    let (from, to) = (NodeId::new(1), NodeId::new(2));
    let message = Input::Message(Message { from, to, term: Term(1), files: Files::FOUNDERS, body: late });
    let mut inputs = vec![message, Input::Snapshot(SnapshotReport::Installed(id(4, 1), founders()))];
    let effects = bench.raft.step(bench.now, &mut inputs);
    assert_eq!((bench.raft.commit_index(), bench.raft.snapshot()), (LogIndex(4), id(4, 1)));
    let written = effects.write.expect("the entries are written").entries;
    assert_eq!(written, entries(3, 5, 1), "what the snapshot covers of them too");
    assert_eq!(bench.raft.log().base(), id(2, 1), "the rest goes with the next snapshot");
    bench.hear_entries(1, 1, id(5, 1), Vec::new(), 5);
    report(&mut bench, SnapshotReport::Saved(id(5, 1)));
    assert_eq!(bench.raft.log().base(), id(5, 1));
}

#[test]
fn no_index_goes_back_for_a_snapshot_of_what_is_committed() {
    let mut bench = Bench::follower(2, &bare(), recovered(EntryId::ZERO, 5, 1));
    let (old, newest) = (id(3, 1), id(5, 1));
    bench.hear(1, 1, part(old, 0, true));
    // While it is read, entries are committed beyond it.
    bench.hear_entries(1, 1, newest, Vec::new(), 5);
    report(&mut bench, SnapshotReport::Saved(id(4, 1)));
    report(&mut bench, SnapshotReport::Installed(old, founders()));
    report(&mut bench, SnapshotReport::Saved(old));
    assert_eq!((bench.raft.commit_index(), bench.raft.log().last()), (LogIndex(5), newest));
    assert_eq!((bench.raft.snapshot(), bench.raft.log().base()), (id(4, 1), id(4, 1)));
}
