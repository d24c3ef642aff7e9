//! S1, S2, S3, S5, S12, S13, S14, S15: what was answered is true and stays.

use std::panic::{AssertUnwindSafe, catch_unwind};

use raftlab::config::RaftSettings;
use raftlab::raft::effects::Input;
use raftlab::raft::entry::{Content, Entry};
use raftlab::raft::message::{Beat, Body, Files, Message};
use raftlab::raft::{Raft, Recovered};
use raftlab::types::{EntryId, LogIndex, NodeId, Random, Term};

use crate::{START, is_caught};

#[test]
fn s1_a_waiting_client_is_never_told_another_commands_result() {
    is_caught("waiting-by-index-alone");
}

#[test]
fn s2_only_what_was_sent_and_is_durable_is_acknowledged() {
    is_caught("last-index-acknowledged");
}

#[test]
fn s3_a_suffix_of_another_term_is_not_kept() {
    is_caught("suffix-kept-without-term");
}

#[test]
fn s5_a_power_cut_takes_no_vote_and_no_acknowledged_entry() {
    is_caught("no-fsync");
    is_caught("vote-forgotten-at-restart");
}

#[test]
fn s12_a_repeated_command_is_applied_once_and_gets_its_first_answer() {
    is_caught("repetitions-carried-out");
}

#[test]
fn s13_a_late_message_moves_nothing_back() {
    is_caught("commit-goes-back");
}

#[test]
fn s14_a_majority_of_an_even_cluster_is_more_than_half() {
    is_caught("half-is-a-majority");
}

/// Sends AppendEntries to a follower.
type Scenario = fn(Take<'_>);

/// Something that takes AppendEntries: who leads which term, the previous entry, what follows, the commit index.
type Take<'a> = &'a mut dyn FnMut(NodeId, Term, EntryId, &[EntryId], LogIndex);

#[test]
fn s15_a_second_leader_or_the_removal_of_a_committed_entry_stops_the_node() {
    let scenarios: [(Scenario, &str); 2] = [
        (second_leader, "at most one leader a term"),
        (removal_of_a_committed_entry, "a committed entry is never removed"),
    ];
    for (scenario, reason) in scenarios {
        let mut raft = follower();
        let mut take = |leader, term, prev, entries: &[EntryId], commit| {
            append(&mut raft, leader, term, prev, entries, commit);
        };
        let refusal =
            refusal(scenario, &mut take).expect("a violation of Figure 3 stops the node that sees it");
        assert!(refusal.contains(reason), "it stops for the right reason: {refusal}");

        // The original's follower: it truncates and appends whatever comes, from whomever.
        let mut log: Vec<EntryId> = Vec::new();
        let mut take = |_, _, prev: EntryId, entries: &[EntryId], _| {
            log.truncate(usize::try_from(prev.index.0).expect("a short log"));
            log.extend_from_slice(entries);
        };
        assert_eq!(self::refusal(scenario, &mut take), None, "the defect shows: the violation stays hidden");
    }
}

/// Why the scenario was stopped; none if it was not.
fn refusal(scenario: Scenario, take: Take<'_>) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| scenario(take))).err()?;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).map(str::to_string)
}

fn second_leader(take: Take<'_>) {
    take(NodeId::new(1), Term(1), EntryId::ZERO, &[entry(1, 1)], LogIndex(0));
    take(NodeId::new(3), Term(1), entry(1, 1), &[entry(2, 1)], LogIndex(0));
}

fn removal_of_a_committed_entry(take: Take<'_>) {
    take(NodeId::new(1), Term(1), EntryId::ZERO, &[entry(1, 1), entry(2, 1)], LogIndex(2));
    take(NodeId::new(3), Term(2), entry(1, 1), &[entry(2, 2)], LogIndex(1));
}

fn entry(index: u64, term: u64) -> EntryId {
    EntryId::new(Term(term), LogIndex(index))
}

fn follower() -> Raft {
    let random = Random::new(1);
    let settings = RaftSettings::default();
    Raft::new(NodeId::new(2), settings, Recovered::founder(NodeId::first(3)), random, START)
}

fn append(raft: &mut Raft, from: NodeId, term: Term, prev: EntryId, entries: &[EntryId], commit: LogIndex) {
    let no_op = |id: &EntryId| Entry { index: id.index, term: id.term, content: Content::NoOp };
    let entries = entries.iter().map(no_op).collect();
    let body = Body::AppendEntries { prev, entries, commit, beat: Beat { round: 1, ..Beat::default() } };
    raft.step(
        START,
        &mut vec![Input::Message(Message { from, to: NodeId::new(2), term, files: Files::FOUNDERS, body })],
    );
}
