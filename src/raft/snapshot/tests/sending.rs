//! The leader that sends a snapshot: which part goes when, and what answers ask for.

use super::*;

/// n1 leads term 2, with a snapshot up to 5 and the entries 6 to 8, of which n2 holds all; n3 has nothing, and is sent
/// the snapshot.
fn sending(settings: &RaftSettings) -> Bench {
    let mut bench = Bench::leader(settings, recovered(id(5, 1), 7, 1));
    bench.answer(2, ack(), AppendResult::Matched(LogIndex(8)));
    assert_eq!(bench.raft.commit_index(), LogIndex(8));
    let empty = AppendResult::Conflict { rejected: LogIndex(7), term: None, first: LogIndex(1) };
    let begun = bench.answer(3, ack(), empty);
    assert_eq!(begun.tasks, [read(0)]);
    bench
}

fn ack() -> Ack {
    Ack { round: 0, boot_id: 1 }
}

fn read(offset: u64) -> SnapshotTask {
    SnapshotTask::Read { to: NodeId::new(3), last: id(5, 1), offset }
}

fn forget(newest: u64, sent: &[u64]) -> SnapshotTask {
    let sent = sent.iter().copied().map(LogIndex).collect();
    SnapshotTask::Forget { but: Needed { newest: LogIndex(newest), sent } }
}

fn was_read(bench: &mut Bench, offset: u64, done: bool) -> Said {
    let (to, last, data) = (NodeId::new(3), id(5, 1), Arc::from([0; PART]));
    report(bench, SnapshotReport::Read { to, last, offset, data, done })
}

fn install_reply(bench: &mut Bench, last: EntryId, result: InstallResult) -> Said {
    let (ack, term) = (ack(), bench.raft.current_term().0);
    bench.hear(3, term, Body::InstallReply { last, result, ack })
}

fn parts(said: &Said) -> usize {
    said.to(3).iter().filter(|body| matches!(body, Body::InstallSnapshot { .. })).count()
}

#[test]
fn one_part_is_under_way_at_a_time_and_old_answers_ask_for_nothing() {
    let mut bench = sending(&bare());
    assert_eq!(parts(&was_read(&mut bench, 0, false)), 1);
    assert_eq!(parts(&was_read(&mut bench, 0, false)), 0, "it has been sent");
    assert_eq!(install_reply(&mut bench, id(5, 1), InstallResult::Next(100)).tasks, [read(100)]);
    for (last, next) in [(id(5, 1), 100), (id(5, 1), 200), (id(4, 1), 100), (id(4, 1), 0)] {
        let said = install_reply(&mut bench, last, InstallResult::Next(next));
        assert_eq!(said.tasks, [], "{next} of {last}: a part is being read");
    }
    assert_eq!(parts(&was_read(&mut bench, 0, false)), 0, "this one is not needed any more");
    assert_eq!(parts(&was_read(&mut bench, 100, false)), 1);
    let old = install_reply(&mut bench, id(5, 1), InstallResult::Next(100));
    assert_eq!(old.tasks, [], "that it needs this part was known");
    assert_eq!(install_reply(&mut bench, id(5, 1), InstallResult::StaleTerm).tasks, []);
}

#[test]
fn a_follower_that_lost_what_it_received_gets_it_from_the_start() {
    let mut bench = sending(&bare());
    was_read(&mut bench, 0, false);
    install_reply(&mut bench, id(5, 1), InstallResult::Next(100));
    was_read(&mut bench, 100, false);
    assert_eq!(install_reply(&mut bench, id(5, 1), InstallResult::Next(0)).tasks, [read(0)]);
    assert_eq!(parts(&was_read(&mut bench, 0, false)), 1);
}

#[test]
fn a_follower_that_needs_an_earlier_part_gets_it_once_another_was_sent_in_vain() {
    let mut bench = sending(&bare());
    was_read(&mut bench, 0, false);
    install_reply(&mut bench, id(5, 1), InstallResult::Next(200));
    was_read(&mut bench, 200, false);
    let earlier = InstallResult::Next(100);
    assert_eq!(install_reply(&mut bench, id(5, 1), earlier).tasks, [], "it may be an old answer");
    for _ in 0..ROUNDS_PATIENT {
        bench.round();
        bench.answer(2, ack(), AppendResult::Matched(LogIndex(8)));
    }
    was_read(&mut bench, 200, false);
    assert_eq!(install_reply(&mut bench, id(5, 1), earlier).tasks, [read(100)]);
}

#[test]
fn a_part_without_an_answer_is_sent_again_after_two_rounds() {
    let mut bench = sending(&bare());
    assert_eq!(bench.round().tasks, [], "it is being read: there is nothing to repeat");
    was_read(&mut bench, 0, false);
    for _ in 1..ROUNDS_PATIENT {
        let said = bench.round();
        assert_eq!((said.tasks.len(), parts(&said)), (0, 0), "an answer may be under way");
        bench.answer(2, ack(), AppendResult::Matched(LogIndex(8)));
    }
    assert_eq!(bench.round().tasks, [read(0)]);
    assert_eq!(parts(&was_read(&mut bench, 0, false)), 1);
    assert_eq!(bench.round().tasks, []);
}

#[test]
fn an_answer_counts_while_its_part_is_read_again() {
    // Else a part whose answer takes a little longer than two rounds would be sent again and again.
    let mut bench = sending(&bare());
    was_read(&mut bench, 0, false);
    for _ in 0..ROUNDS_PATIENT {
        bench.round();
        bench.answer(2, ack(), AppendResult::Matched(LogIndex(8)));
    }
    assert_eq!(install_reply(&mut bench, id(5, 1), InstallResult::Next(100)).tasks, [read(100)]);
    assert_eq!(parts(&was_read(&mut bench, 0, false)), 0, "it is not needed any more");
    assert_eq!(parts(&was_read(&mut bench, 100, false)), 1);
}

#[test]
fn a_newer_snapshot_does_not_restart_a_transfer_and_what_it_needs_is_kept() {
    let mut bench = sending(&bare());
    was_read(&mut bench, 0, false);
    let saved = report(&mut bench, SnapshotReport::Saved(id(6, 1)));
    assert_eq!(saved.tasks, [forget(6, &[5])], "the older snapshot is being sent: it is not forgotten");
    let saved = report(&mut bench, SnapshotReport::Saved(id(7, 1)));
    assert_eq!(bench.raft.snapshot(), id(7, 1));
    assert_eq!(saved.tasks, [forget(7, &[5])], "the one between is not needed");
    assert_eq!(bench.raft.log().base(), id(5, 1), "what follows the older one is needed behind it");
    assert_eq!(install_reply(&mut bench, id(5, 1), InstallResult::Next(100)).tasks, [read(100)]);
    was_read(&mut bench, 100, true);
    let installed = install_reply(&mut bench, id(5, 1), InstallResult::Installed);
    assert_eq!(installed.tasks, [forget(7, &[])]);
    let sent = installed.to(3);
    let [Body::AppendEntries { prev, entries, .. }] = sent[..] else { panic!("entries follow: {sent:?}") };
    assert_eq!((*prev, entries.len()), (id(5, 1), 3));
    assert_eq!(bench.progress(3).match_index, LogIndex(5));
}

#[test]
fn a_transfer_keeps_no_more_of_the_log_than_a_snapshot_may_weigh() {
    let mut settings = bare();
    settings.snapshot_bytes = entries(1, 1, 1)[0].weight();
    let mut bench = sending(&settings);
    report(&mut bench, SnapshotReport::Saved(id(7, 1)));
    assert_eq!(bench.raft.log().base(), id(6, 1), "a slow follower costs bounded memory");
}

#[test]
fn a_trailing_part_of_the_log_stays_within_its_limits() {
    let weight = entries(1, 1, 1)[0].weight();
    let base = |trailing_entries, trailing_bytes| {
        let settings = RaftSettings { trailing_entries, trailing_bytes, ..RaftSettings::default() };
        let mut bench = Bench::follower(2, &settings, recovered(EntryId::ZERO, 9, 1));
        bench.hear_entries(1, 1, id(9, 1), Vec::new(), 8);
        report(&mut bench, SnapshotReport::Saved(id(7, 1)));
        let compacted = bench.raft.log().base();
        assert_eq!(bench.raft.log().last(), id(9, 1), "what the snapshot does not cover stays");
        compacted.index.0
    };
    assert_eq!(base(0, 1 << 20), 7);
    assert_eq!(base(3, 1 << 20), 4);
    assert_eq!(base(3, 2 * weight), 5);
    assert_eq!(base(100, 1 << 20), 0);
}

fn check() -> SnapshotTask {
    SnapshotTask::Check { to: NodeId::new(3), last: id(5, 1) }
}

/// Heartbeats until the leader reads a snapshot again, and which.
fn pause(bench: &mut Bench) -> (usize, EntryId) {
    for heartbeats in 1..200 {
        let said = bench.round();
        bench.answer(2, ack(), AppendResult::Matched(LogIndex(8)));
        match said.tasks[..] {
            [] => {}
            [SnapshotTask::Read { last, offset: 0, .. }] => return (heartbeats, last),
            ref other => panic!("the first part is read: {other:?}"),
        }
    }
    panic!("it is not sent again");
}

#[test]
fn a_snapshot_that_arrives_unusable_is_checked_and_sent_again_ever_more_seldom() {
    let mut bench = sending(&bare());
    let mut pauses = Vec::new();
    for _ in 0..8 {
        was_read(&mut bench, 0, true);
        let other = install_reply(&mut bench, id(4, 1), InstallResult::Unusable);
        assert_eq!(other.tasks, [], "another snapshot was");
        let rejected = install_reply(&mut bench, id(5, 1), InstallResult::Unusable);
        assert_eq!(rejected.tasks, [check()]);
        for late in [InstallResult::Unusable, InstallResult::Next(0), InstallResult::Next(100)] {
            assert_eq!(install_reply(&mut bench, id(5, 1), late).tasks, [], "{late:?} asks for nothing");
        }
        assert_eq!(bench.round().tasks, [], "a file that may be damaged is not sent");
        bench.answer(2, ack(), AppendResult::Matched(LogIndex(8)));
        report(&mut bench, SnapshotReport::Whole { to: NodeId::new(3), last: id(5, 1) });
        let (heartbeats, last) = pause(&mut bench);
        assert_eq!(last, id(5, 1));
        pauses.push(heartbeats);
    }
    assert!(pauses.is_sorted() && pauses[7] > 60 && pauses[7] <= 64, "{pauses:?}");
}

#[test]
fn of_what_arrives_unusable_the_newest_snapshot_is_sent_next() {
    let mut bench = sending(&bare());
    was_read(&mut bench, 0, true);
    report(&mut bench, SnapshotReport::Saved(id(7, 1)));
    let rejected = install_reply(&mut bench, id(5, 1), InstallResult::Unusable);
    assert_eq!(rejected.tasks, [forget(7, &[])], "the older one goes, damaged or not");
    assert_eq!(pause(&mut bench).1, id(7, 1));
    // One that is saved while the file is checked is as good.
    let mut bench = sending(&bare());
    was_read(&mut bench, 0, true);
    assert_eq!(install_reply(&mut bench, id(5, 1), InstallResult::Unusable).tasks, [check()]);
    report(&mut bench, SnapshotReport::Saved(id(7, 1)));
    report(&mut bench, SnapshotReport::Whole { to: NodeId::new(3), last: id(5, 1) });
    assert_eq!(pause(&mut bench).1, id(7, 1));
}

#[test]
fn entries_that_arrive_otherwise_end_a_transfer() {
    let mut bench = sending(&bare());
    was_read(&mut bench, 0, false);
    // An answer to what an earlier probe sent: it holds more than the snapshot covers.
    bench.answer(3, ack(), AppendResult::Matched(LogIndex(6)));
    assert!(matches!(bench.progress(3).state, ProgressState::Replicate { .. }));
    assert_eq!(install_reply(&mut bench, id(5, 1), InstallResult::Next(100)).tasks, []);
    assert_eq!(bench.progress(3).match_index, LogIndex(6));
    install_reply(&mut bench, id(5, 1), InstallResult::Installed);
    assert_eq!(bench.progress(3).match_index, LogIndex(6), "what is known to match never goes back");
}

#[test]
fn a_leader_that_is_deposed_sends_no_part_any_more() {
    let mut bench = sending(&bare());
    bench.hear_entries(2, 3, id(8, 2), Vec::new(), 8);
    assert_eq!(parts(&was_read(&mut bench, 0, false)), 0);
}
