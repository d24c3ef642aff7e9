//! A leader that hands over and a node that is told to campaign, step by step.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::RaftSettings;
use crate::payload::Payload;
use crate::raft::Recovered;
use crate::raft::bench::{Bench, Said, id, recovered};
use crate::raft::effects::{HardState, Input, Proposal, ReadRequest, RejectReason, RequestId};
use crate::raft::entry::{Content, Entry, Origin};
use crate::raft::membership::configuration::Configuration;
use crate::raft::message::{Ack, AppendResult, Beat};
use crate::types::{LogIndex, SessionId};

const SHORTEST: Duration = Duration::from_millis(150);

/// n1 leads term 2 with entries 1 to 4, which n2 and n3 hold.
fn leader() -> Bench {
    let mut bench = Bench::leader(&RaftSettings::default(), recovered(EntryId::ZERO, 3, 1));
    assert_eq!(bench.raft.settings.election_min, SHORTEST);
    for follower in [2, 3] {
        hold(&mut bench, follower, 4);
    }
    bench
}

/// A follower answers that it holds the leader's log up to here.
fn hold(bench: &mut Bench, follower: u8, index: u64) -> Said {
    let ack = Ack::default();
    bench.answer(follower, ack, AppendResult::Matched(LogIndex(index)))
}

fn to(node: u8) -> Input {
    Input::Transfer(Some(NodeId::new(node)))
}

fn command(id: RequestId) -> Input {
    let origin = Origin { session: SessionId(1), serial: id, acknowledged: 0 };
    Input::Propose(Proposal { id, content: Content::Command { origin, command: Payload::from_text("[]") } })
}

/// How many TimeoutNow were sent to a node.
fn timeouts_now(said: &Said, node: u8) -> usize {
    let timeout_now = |body: &&&Body| matches!(body, Body::Extra(Extra::TimeoutNow { .. }));
    said.to(node).iter().filter(timeout_now).count()
}

/// The leaders that clients were told when their commands were rejected.
fn told(said: &Said) -> Vec<Option<u8>> {
    let named = |event: &Event| match event {
        Event::ClientRejected { reason: RejectReason::NotLeader { leader }, .. } => {
            Some(leader.map(NodeId::number))
        }
        _ => None,
    };
    said.events.iter().filter_map(named).collect()
}

#[test]
fn timeout_now_leaves_when_the_target_holds_the_whole_log_and_no_command_is_added() {
    let mut bench = leader();
    bench.step_all(vec![command(1), to(2), command(2)]);
    assert_eq!(bench.raft.log().last(), id(4, 2), "commands that come with the request wait, too");
    let mut bench = leader();
    bench.step(command(1));
    let said = bench.step_all(vec![to(2), command(2)]);
    assert_eq!((timeouts_now(&said, 2), bench.raft.log().last()), (0, id(5, 2)), "n2 lacks entry 5");
    let said = hold(&mut bench, 2, 5);
    let timeout_now = Body::Extra(Extra::TimeoutNow { round: bench.led().rounds.newest, last: id(5, 2) });
    assert!(said.to(2).contains(&&timeout_now), "{said:?}");
    assert_eq!(bench.raft.log().last(), id(5, 2), "command 2 is kept");
    assert_eq!(bench.raft.hands_over_to(), Some(NodeId::new(2)));
}

#[test]
fn timeout_now_is_repeated_at_each_heartbeat_and_not_between() {
    let mut bench = leader();
    let first = bench.step(to(2));
    let between = hold(&mut bench, 2, 4);
    let beat = bench.round();
    assert_eq!([&first, &between, &beat].map(|said| timeouts_now(said, 2)), [1, 0, 1]);
    assert_eq!(timeouts_now(&beat, 3), 0);
}

#[test]
fn what_was_kept_is_sent_to_the_new_leader_once_that_is_known() {
    let mut bench = leader();
    bench.step_all(vec![to(2), command(7)]);
    let request = Body::RequestVote { last: id(4, 2), cause: Cause::Request };
    let said = bench.hear(2, 3, request);
    assert!(said.to(2).contains(&&Body::VoteReply { granted: true }), "{said:?}");
    assert_eq!(told(&said), [], "no leader is known yet");
    assert!(bench.raft.awaits_successor());
    assert_eq!(told(&bench.step(command(8))), [], "nor is this one told that there is none");
    let said = bench.hear_entries(2, 3, id(4, 2), Vec::new(), 4);
    assert_eq!(told(&said), [Some(2), Some(2)]);
    assert!(!bench.raft.awaits_successor());
}

#[test]
fn clients_wait_for_the_new_leaders_name_no_longer_than_an_election_takes() {
    let mut bench = leader();
    bench.step_all(vec![to(2), command(7)]);
    bench.hear(2, 3, Body::RequestVote { last: id(4, 2), cause: Cause::Request });
    bench.now = bench.now + SHORTEST;
    let said = bench.step(command(8));
    assert_eq!(told(&said), [None, None]);
}

#[test]
fn after_the_shortest_election_timeout_it_gives_up_and_appends_what_it_kept() {
    let mut bench = leader();
    bench.step_all(vec![to(2), command(7)]);
    let until = bench.now + SHORTEST;
    while bench.now < until {
        assert_eq!(bench.raft.log().last(), id(4, 2));
        bench.now = bench.raft.deadline();
        bench.step_all(Vec::new());
        for follower in [2, 3] {
            hold(&mut bench, follower, 4);
        }
    }
    assert_eq!(bench.now, until);
    assert_eq!((bench.raft.hands_over_to(), bench.raft.log().last()), (None, id(5, 2)));
    let error = TransferError::GivenUp { target: NodeId::new(2), after: SHORTEST, reason: Unfit::NotElected };
    assert_eq!(bench.raft.transfer_failure(), Some(&error));
    assert_eq!(error.to_string(), "n2 did not lead within 150 ms: it started no election, or lost it");
}

#[test]
fn of_those_that_fit_the_one_that_holds_most_is_chosen_and_refusals_name_each() {
    let chosen = |bench: &Bench, wanted: Option<u8>| {
        bench.raft.choose_target(bench.now, wanted.map(NodeId::new)).map(NodeId::number)
    };
    let mut bench = leader();
    assert_eq!(chosen(&bench, None), Ok(2), "both hold as much: the first by name");
    bench.step(command(1));
    hold(&mut bench, 3, 5);
    assert_eq!((chosen(&bench, None), chosen(&bench, Some(2))), (Ok(3), Ok(2)));
    assert_eq!(chosen(&bench, Some(1)), Err(TransferError::LeadsAlready(NodeId::new(1))));
    let stranger = NodeId::new(9);
    assert_eq!(chosen(&bench, Some(9)), Err(TransferError::Unfit(vec![(stranger, Unfit::NoMember)])));
    bench.now = bench.now + SHORTEST;
    let refused = chosen(&bench, None).map_err(|error| error.to_string());
    assert_eq!(refused, Err("n2 has not answered for 150 ms, n3 has not answered for 150 ms".to_string()));
    hold(&mut bench, 3, 5);
    assert_eq!(chosen(&bench, None), Ok(3));
    bench.step(to(3));
    assert_eq!(chosen(&bench, None), Err(TransferError::UnderWay(NodeId::new(3))));
    let follower = Bench::follower(1, &RaftSettings::default(), Recovered::default());
    assert_eq!(chosen(&follower, None), Err(TransferError::NotLeader { leader: None }));
}

#[test]
fn a_leader_that_has_heard_no_follower_yet_hands_over_to_the_first_that_holds_its_log() {
    let mut bench = Bench::leader(&RaftSettings::default(), recovered(EntryId::ZERO, 3, 1));
    let said = bench.step(Input::Transfer(None));
    assert_eq!((bench.raft.hands_over_to(), timeouts_now(&said, 2)), (Some(NodeId::new(2)), 0));
    assert_eq!(timeouts_now(&hold(&mut bench, 3, 4), 3), 1);
    assert_eq!(bench.raft.hands_over_to(), Some(NodeId::new(3)));
}

#[test]
fn where_any_will_do_another_one_is_told_at_the_next_heartbeat() {
    let mut bench = leader();
    let said = [bench.step(Input::Transfer(None)), bench.round(), bench.round()];
    assert_eq!(
        said.each_ref().map(|said| (timeouts_now(said, 2), timeouts_now(said, 3))),
        [(1, 0), (0, 1), (1, 0)]
    );
}

/// The leader of the bench holds a lease, by the answer to a round that claimed one.
fn read_by_lease(bench: &mut Bench, id: RequestId) -> bool {
    bench.step(Input::Read(ReadRequest { id, here: false, by_lease: true })).reads == [id]
}

#[test]
fn a_leader_that_hands_over_reads_by_rounds_and_claims_its_lease_again_with_later_ones() {
    let mut bench = leader();
    assert!(!read_by_lease(&mut bench, 1), "this read asks for a lease");
    bench.round();
    hold(&mut bench, 2, 4);
    assert!(read_by_lease(&mut bench, 2));
    let said = bench.step(to(2));
    let [.., Body::Extra(Extra::TimeoutNow { round: waived, .. })] = said.to(2)[..] else {
        panic!("{said:?}")
    };
    assert!(!read_by_lease(&mut bench, 3), "no lease rests on a waived round");
    assert_eq!(hold(&mut bench, 2, 4).reads, [3], "but a round shows that it leads");
    bench.now = bench.now + SHORTEST;
    bench.step_all(Vec::new());
    bench.round();
    hold(&mut bench, 2, 4);
    assert!(read_by_lease(&mut bench, 4), "it has given up, and claims a lease again");
    assert!(bench.led().rounds.lease_from > Some(*waived));
}

/// n3, which heard this round of n1 in term 2, with a claim of a lease, and holds entries 1 to 4.
fn follower(round: Round) -> Bench {
    let mut bench = Bench::follower(3, &RaftSettings::default(), recovered(EntryId::ZERO, 4, 2));
    claim(&mut bench, 1, 2, round);
    bench
}

/// The leader of a term begins a round that claims a lease.
fn claim(bench: &mut Bench, leader: u8, term: u64, round: Round) {
    let beat = Beat { round, lease: Some(SHORTEST), ..Beat::default() };
    let body = Body::AppendEntries { prev: id(4, 2), entries: Vec::new(), commit: LogIndex(4), beat };
    bench.hear(leader, term, body);
}

fn timeout_now(round: Round) -> Body {
    Body::Extra(Extra::TimeoutNow { round, last: id(4, 2) })
}

fn ignored(said: &Said) -> Option<TimeoutNowIgnored> {
    said.events.iter().find_map(|event| match event {
        Event::TimeoutNowIgnored { reason, .. } => Some(*reason),
        _ => None,
    })
}

#[test]
fn timeout_now_starts_an_election_at_once_and_frees_the_targets_own_vote() {
    let mut bench = follower(7);
    let said = bench.hear(1, 2, timeout_now(7));
    let waiver = Waiver { term: Term(2), round: 7 };
    assert_eq!(said.to(2), [&Body::RequestVote { last: id(4, 2), cause: Cause::Transfer(waiver) }]);
    assert_eq!(bench.raft.current_term(), Term(3));
}

#[test]
fn new_files_that_handed_over_under_a_members_name_are_sent_the_log_as_before() {
    const NEW: u64 = 95;
    let mut bench = Bench::follower(3, &RaftSettings::default(), recovered(EntryId::ZERO, 4, 2));
    bench.hear_files(1, NEW, 2, timeout_now(7));
    bench.hear(2, 3, Body::VoteReply { granted: true });
    hold(&mut bench, 2, 5);
    bench.answer_files(1, NEW, Ack::default(), AppendResult::Matched(LogIndex(5)));
    assert_eq!(bench.raft.commit_index(), LogIndex(5));
    let said = bench.round();
    assert!(!said.to(1).is_empty(), "n1 is a member: a change will name its new files");
}

#[test]
fn a_late_timeout_now_is_ignored() {
    let other_last = Body::Extra(Extra::TimeoutNow { round: 7, last: id(5, 2) });
    let ours = TimeoutNowIgnored::OtherLast { theirs: id(5, 2), ours: id(4, 2) };
    for (body, reason) in [(timeout_now(6), TimeoutNowIgnored::LaterRound), (other_last, ours)] {
        let mut bench = follower(7);
        let said = bench.hear(1, 2, body);
        assert_eq!((ignored(&said), bench.raft.current_term()), (Some(reason), Term(2)));
    }
    let mut bench = follower(7);
    let said = bench.hear(1, 1, timeout_now(7));
    assert_eq!((said.messages, bench.raft.current_term()), (vec![], Term(2)), "of an earlier term");
}

/// Whether a node votes for n2, which was told to campaign after this waiver.
fn votes(bench: &mut Bench, term: u64, round: Round) -> bool {
    let cause = Cause::Transfer(Waiver { term: Term(term), round });
    let asked = bench.raft.current_term().next().0;
    let said = bench.hear(2, asked, Body::RequestVote { last: id(9, 9), cause });
    said.to(2).contains(&&Body::VoteReply { granted: true })
}

#[test]
fn a_waiver_frees_a_vote_that_was_withheld_for_one_of_its_rounds_and_no_other() {
    assert!(votes(&mut follower(7), 2, 7));
    assert!(votes(&mut follower(7), 2, 9));
    assert!(!votes(&mut follower(7), 2, 6), "a lease was claimed since");
    assert!(!votes(&mut follower(7), 1, 7), "by the leader of another term");
    let mut later = follower(7);
    claim(&mut later, 2, 3, 1);
    assert!(!votes(&mut later, 3, 1), "the promise to n1 outlives its term");
    later.now = later.now + SHORTEST;
    assert!(votes(&mut later, 3, 1));
}

#[test]
fn a_promise_from_before_a_restart_is_freed_by_no_waiver() {
    let hard_state =
        HardState { current_term: Term(2), withheld_votes: true, store_id: 1, ..HardState::default() };
    let recovered = Recovered { hard_state, ..recovered(EntryId::ZERO, 4, 2) };
    let mut bench = Bench::follower(3, &RaftSettings::default(), recovered);
    assert!(!votes(&mut bench, 2, 7));
    claim(&mut bench, 1, 2, 7);
    let said = bench.hear(1, 2, timeout_now(7));
    assert_eq!(ignored(&said), Some(TimeoutNowIgnored::Withheld), "nor does it campaign itself");
}

#[test]
fn a_leader_hands_over_to_a_preferred_node_that_was_ready_for_ten_heartbeats_and_waits_longer_after_a_failure()
 {
    let mut bench = leader();
    let preferred = Configuration { preferred: Some(NodeId::new(3)), ..bench.raft.configuration().clone() };
    bench.raft.beyond.transfers.committed = bench.raft.commit_index();
    let entry =
        |index| Entry { index, term: Term(2), content: Content::Members(Arc::new(preferred.clone())) };
    bench.raft.append(entry(LogIndex(5)));
    // Heartbeats until it hands over to n3, which starts no election.
    let mut heartbeats = || {
        let mut count = 0;
        while bench.raft.hands_over_to().is_none() {
            bench.round();
            count += 1;
            hold(&mut bench, 2, 5);
            hold(&mut bench, 3, 5);
            assert!(count < 200, "it never hands over");
        }
        assert_eq!(bench.raft.hands_over_to(), Some(NodeId::new(3)));
        while bench.raft.hands_over_to().is_some() {
            bench.now = bench.raft.deadline();
            bench.step_all(Vec::new());
            hold(&mut bench, 2, 5);
            hold(&mut bench, 3, 5);
        }
        count
    };
    let counts = [heartbeats(), heartbeats(), heartbeats()];
    assert!((10..=12).contains(&counts[0]), "{counts:?}");
    assert!(counts[1] >= 20 && counts[2] >= 40, "{counts:?}");
}
