//! Linearizable reads without a log entry (section 8; D 6.4, read-index), at any node.
//!
//! A leader may have been deposed without knowing. So a read waits until a quorum has answered a heartbeat round that
//! began after the read, and until the no-op of the leader's term is committed: the state up to the commit index of
//! that moment then holds every write that was answered before.
//!
//! A follower asks its leader for that index, its read index, and answers from its own state once it has applied as far.
//! Its question has a number, and the answer serves every read that began before the question was first asked. So
//! questions and answers may be lost, repeated and reordered: what is unanswered is asked again, and an answer that
//! comes late is an answer to older reads only. When the leader or the term changes, or is doubted, all that wait are
//! rejected.

use std::collections::{BTreeMap, VecDeque};

use super::message::{Extra, ReadNumber};
use super::rounds::{Asker, ReadRequest, Rounds, WaitingRead};
use crate::raft::Raft;
use crate::raft::effects::{RejectReason, RequestId};
use crate::raft::event::Event;
use crate::raft::message::Body;
use crate::raft::role::{Leader, Role};
use crate::types::{LogIndex, Member, NodeId, Term, Time};

/// Reads that wait at a node at most; beyond, they are rejected.
const READS_MAX: usize = 1 << 16;

/// The first question's number is drawn below this, so that the numbers of two runs of a node do not meet.
const NUMBERS: u64 = 1 << 48;

/// A follower's reads that wait for its leader.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct FollowerReads {
    /// The leader that they wait for, and its term.
    leader: Option<(Term, NodeId)>,
    /// In the order in which they came: their numbers never go back.
    waiting: VecDeque<FollowerRead>,
    /// The newest question's number; none before the first one of this run.
    pub newest: Option<ReadNumber>,
    /// The newest question is not sent yet: later reads may join it.
    open: bool,
    /// The newest question is to be asked, for the first time or again.
    wanted: bool,
    sent: Time,
}

#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct FollowerRead {
    id: RequestId,
    /// The first question that was asked after it began.
    number: ReadNumber,
    /// Up to where it must see; none while the leader has not said.
    index: Option<LogIndex>,
}

impl FollowerReads {
    /// Whether one of them needs an answer of the leader.
    fn need_answer(&self) -> bool {
        self.waiting.iter().any(|read| read.index.is_none())
    }
}

impl Raft {
    /// Takes in the reads of a step. All that no lease answers share one round, or one question.
    pub(in crate::raft) fn read(&mut self, now: Time, requests: Vec<ReadRequest>) {
        let lease = requests.iter().any(|request| request.by_lease).then(|| self.want_lease(now)).flatten();
        for request in requests {
            match lease {
                Some(until) if request.by_lease => self.read_by_lease(now, until, request.id),
                _ => self.read_by_round(request),
            }
        }
    }

    fn read_by_round(&mut self, request: ReadRequest) {
        let (known, not_leader) = (self.leader(), self.not_leader());
        let reason = match (&mut self.role, known) {
            (Role::Leader(leader), _) => {
                if leader.await_round(Asker::Client(request.id), self.commit_index) {
                    return;
                }
                RejectReason::Busy
            }
            (_, Some(leader)) if request.here => {
                self.reject_reads_of_old_leader();
                if self.beyond.reads.waiting.len() < READS_MAX {
                    return self.ask(leader, request.id);
                }
                RejectReason::Busy
            }
            _ => not_leader,
        };
        self.reject(request.id, true, reason);
    }
}

impl Raft {
    /// Releases the reads whose round a quorum has answered.
    pub(in crate::raft) fn confirm_reads(&mut self) {
        let own = self.member();
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.rounds.reads.is_empty() {
            return;
        }
        let confirmed = leader.confirmed_round(self.configurations.effective(), own);
        let ready = |read: &mut WaitingRead| read.round <= confirmed && read.index <= self.commit_index;
        // The answer to a follower's newest question answers its earlier ones too.
        let mut followers = BTreeMap::new();
        while let Some(read) = leader.rounds.reads.pop_front_if(ready) {
            match read.asker {
                Asker::Client(id) => self.effects.reads.push((id, Ok(read.index))),
                Asker::Node(node, number) => {
                    let newest = followers.entry(node).or_insert((number, read.index));
                    if number >= newest.0 {
                        *newest = (number, read.index);
                    }
                }
            }
        }
        for (node, (number, index)) in followers {
            self.answer_question(node, number, Some(index));
        }
    }

    /// Rejects the reads that wait for rounds of a leader that leads no longer.
    pub(in crate::raft) fn reject_waiting_reads(&mut self, rounds: Rounds) {
        for read in rounds.reads {
            match read.asker {
                Asker::Client(id) => self.reject(id, true, RejectReason::NotLeader { leader: None }),
                Asker::Node(node, number) => self.answer_question(node, number, None),
            }
        }
    }

    /// A follower asks for the read index. Its question waits for a round as a client's read does.
    pub(super) fn handle_read_index(&mut self, from: Member, number: ReadNumber, stale: bool) {
        let taken = match &mut self.role {
            Role::Leader(leader) if !stale => {
                leader.await_round(Asker::Node(from, number), self.commit_index)
            }
            _ => false,
        };
        if !taken {
            self.answer_question(from, number, None);
        }
    }

    fn answer_question(&mut self, node: Member, number: ReadNumber, index: Option<LogIndex>) {
        self.reply(node, Body::Extra(Extra::ReadIndexReply { number, index }));
    }
}

impl Leader {
    /// Lets a read wait for the next round, if there is room for it.
    fn await_round(&mut self, asker: Asker, commit_index: LogIndex) -> bool {
        let rounds = &mut self.rounds;
        if rounds.reads.len() >= READS_MAX {
            return false;
        }
        rounds.wanted = true;
        let (round, index) = (rounds.newest + 1, commit_index.max(self.no_op));
        rounds.reads.push_back(WaitingRead { asker, round, index });
        true
    }
}

impl Raft {
    /// Lets a read wait for the read index of this leader.
    fn ask(&mut self, leader: NodeId, id: RequestId) {
        let reads = &mut self.beyond.reads;
        let number = match reads.newest {
            Some(number) if reads.open => number,
            Some(number) => number + 1,
            None => self.random.below(NUMBERS),
        };
        reads.newest = Some(number);
        (reads.open, reads.wanted) = (true, true);
        reads.leader = Some((self.current_term, leader));
        reads.waiting.push_back(FollowerRead { id, number, index: None });
    }

    /// Questions that went unanswered for a heartbeat are asked again, now that the leader spoke.
    pub(super) fn ask_again(&mut self, now: Time) {
        let reads = &mut self.beyond.reads;
        if reads.need_answer() && now >= reads.sent + self.settings.heartbeat {
            reads.wanted = true;
        }
    }

    pub(super) fn handle_read_index_reply(
        &mut self,
        from: NodeId,
        number: ReadNumber,
        index: Option<LogIndex>,
    ) {
        let reads = &mut self.beyond.reads;
        let oldest = reads.waiting.front().map(|read| read.number);
        // A number outside belongs to another run of this node, or to reads that have ended.
        let known = oldest.is_some_and(|oldest| oldest <= number) && reads.newest >= Some(number);
        if !known || reads.leader != Some((self.current_term, from)) {
            return;
        }
        let answered = |read: &FollowerRead| read.number <= number && read.index.is_none();
        if index.is_some() {
            let answered = reads.waiting.iter_mut().filter(|read| answered(read));
            answered.for_each(|read| read.index = index);
        } else {
            let (gone, kept) = reads.waiting.drain(..).partition(answered);
            reads.waiting = kept;
            self.reject_reads(gone);
        }
    }

    /// Ends a step: rejects the reads that wait for an old leader, answers those whose index is committed here, and asks
    /// for the others.
    pub(in crate::raft) fn serve_follower_reads(&mut self, now: Time) {
        if self.beyond.reads.waiting.is_empty() {
            self.beyond.reads.wanted = false;
            return;
        }
        self.reject_reads_of_old_leader();
        let reads = &mut self.beyond.reads;
        let mut count = 0;
        let mut answered = LogIndex(0);
        let reached = |read: &mut FollowerRead| read.index.is_some_and(|index| index <= self.commit_index);
        while let Some(read) = reads.waiting.pop_front_if(reached) {
            let index = read.index.expect("only a read with an index has reached it");
            self.effects.reads.push((read.id, Ok(index)));
            (count, answered) = (count + 1, index);
        }
        if count > 0 {
            self.effects.events.push(Event::FollowerRead { count, index: answered });
        }
        if let (true, Some(number), Some((_, leader))) =
            (std::mem::take(&mut reads.wanted), reads.newest, reads.leader)
            && reads.need_answer()
        {
            (reads.open, reads.sent) = (false, now);
            self.send(leader, Body::Extra(Extra::ReadIndex { number }));
        }
    }

    /// Rejects the reads that wait for a leader that this node does not follow any more in this term.
    fn reject_reads_of_old_leader(&mut self) {
        let followed = self.leader().map(|leader| (self.current_term, leader));
        let reads = &mut self.beyond.reads;
        if !reads.waiting.is_empty() && reads.leader != followed {
            let gone = std::mem::take(&mut reads.waiting);
            self.reject_reads(gone);
        }
    }

    fn reject_reads(&mut self, reads: VecDeque<FollowerRead>) {
        for read in reads {
            self.reject(read.id, true, RejectReason::NotLeader { leader: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::RaftSettings;
    use crate::raft::Recovered;
    use crate::raft::bench::{Bench, entries, founder_of_three};
    use crate::raft::effects::Input;
    use crate::raft::message::{Beat, Files, Message};
    use crate::types::{EntryId, NodeId, Random};

    const HEARTBEAT: Duration = Duration::from_millis(50);

    /// n3, a follower of n1 in term 1, which it has just heard.
    fn follower() -> Bench {
        let settings = RaftSettings { heartbeat: HEARTBEAT, ..RaftSettings::default() };
        let mut bench = Bench::follower(3, &settings, Recovered::default());
        bench.step(heartbeat(0));
        bench
    }

    /// The number of the question that the step asked.
    fn asked(bench: &mut Bench, inputs: Vec<Input>) -> Option<ReadNumber> {
        bench.step_all(inputs).messages.into_iter().find_map(|message| match message.body {
            Body::Extra(Extra::ReadIndex { number }) => Some(number),
            _ => None,
        })
    }

    /// The reads that the step ended, and whether they may be served.
    fn ended(bench: &mut Bench, inputs: Vec<Input>) -> Vec<(RequestId, bool)> {
        let said = bench.step_all(inputs);
        let served = said.reads.into_iter().map(|id| (id, true));
        served.chain(said.rejected.into_iter().map(|id| (id, false))).collect()
    }

    fn of_leader(body: Body) -> Input {
        Input::Message(Message {
            from: NodeId::new(1),
            to: NodeId::new(3),
            term: Term(1),
            files: Files::FOUNDERS,
            body,
        })
    }

    fn heartbeat(commit: u64) -> Input {
        let (prev, entries, beat) = (EntryId::ZERO, Vec::new(), Beat { round: 1, ..Beat::default() });
        of_leader(Body::AppendEntries { prev, entries, commit: LogIndex(commit), beat })
    }

    fn reply(number: ReadNumber, index: Option<u64>) -> Input {
        of_leader(Body::Extra(Extra::ReadIndexReply { number, index: index.map(LogIndex) }))
    }

    fn read(id: RequestId) -> Input {
        Input::Read(ReadRequest { id, here: true, by_lease: false })
    }

    #[test]
    fn an_answer_serves_the_reads_that_began_before_its_question_and_no_later_one() {
        let mut bench = follower();
        let first = asked(&mut bench, vec![read(1), read(2)]).expect("a question for both");
        let second = asked(&mut bench, vec![read(3)]).expect("another question");
        assert!(second > first);
        assert_eq!(ended(&mut bench, vec![reply(first, Some(0))]), [(1, true), (2, true)]);
        assert_eq!(ended(&mut bench, vec![reply(first, Some(0))]), [], "the same answer again is old");
        assert_eq!(ended(&mut bench, vec![reply(second, Some(0))]), [(3, true)]);
    }

    #[test]
    fn a_read_never_joins_a_question_that_was_asked_before_it_began() {
        let mut bench = follower();
        let first = asked(&mut bench, vec![read(1)]).expect("a question");
        bench.now = bench.now + HEARTBEAT;
        // The question is due again in the step in which another read begins.
        let second = asked(&mut bench, vec![heartbeat(0), read(2)]).expect("a question for both");
        assert!(second > first);
        assert_eq!(ended(&mut bench, vec![reply(first, Some(0))]), [(1, true)]);
        assert_eq!(ended(&mut bench, vec![reply(second, Some(0))]), [(2, true)]);
    }

    #[test]
    fn what_goes_unanswered_is_asked_again_once_a_heartbeat() {
        let mut bench = follower();
        let number = asked(&mut bench, vec![read(1)]);
        assert!(number.is_some());
        assert_eq!(asked(&mut bench, vec![heartbeat(0)]), None, "it has only just been asked");
        bench.now = bench.now + HEARTBEAT;
        assert_eq!(asked(&mut bench, vec![heartbeat(0)]), number);
        assert_eq!(asked(&mut bench, vec![heartbeat(0)]), None);
    }

    #[test]
    fn a_number_of_another_run_serves_no_read() {
        let mut bench = follower();
        let number = asked(&mut bench, vec![read(1)]).expect("a question");
        for other in [0, number - 1, number + 1, ReadNumber::MAX] {
            assert_eq!(ended(&mut bench, vec![reply(other, Some(0))]), []);
        }
        let again = Raft::new(
            NodeId::new(3),
            RaftSettings::default(),
            founder_of_three(Recovered::default()),
            Random::new(2),
            Time::ZERO,
        );
        let mut again = Bench { raft: again, now: Time::ZERO };
        again.step(heartbeat(0));
        assert_ne!(asked(&mut again, vec![read(1)]), Some(number), "another run begins elsewhere");
    }

    #[test]
    fn no_read_waits_for_a_leader_that_is_doubted_or_deposed() {
        let mut bench = follower();
        bench.step(read(1));
        bench.now = bench.now + Duration::from_secs(1);
        assert_eq!(ended(&mut bench, Vec::new()), [(1, false)], "its election timer ran out");
        let mut bench = follower();
        let number = asked(&mut bench, vec![read(1)]).expect("a question");
        let body = Body::Extra(Extra::PreVoteReply { next_term: Term(3), granted: false });
        let newer =
            Message { from: NodeId::new(2), to: NodeId::new(3), term: Term(2), files: Files::FOUNDERS, body };
        assert_eq!(ended(&mut bench, vec![Input::Message(newer)]), [(1, false)], "its leader's term is over");
        assert_eq!(ended(&mut bench, vec![reply(number, Some(0))]), []);
    }

    #[test]
    fn a_follower_that_is_behind_answers_when_it_has_caught_up() {
        let mut bench = follower();
        let number = asked(&mut bench, vec![read(1)]).expect("a question");
        assert_eq!(ended(&mut bench, vec![reply(number, Some(1))]), [], "it has applied nothing");
        let body = Body::AppendEntries {
            prev: EntryId::ZERO,
            entries: entries(1, 1, 1),
            commit: LogIndex(1),
            beat: Beat { round: 2, ..Beat::default() },
        };
        assert_eq!(ended(&mut bench, vec![of_leader(body)]), [(1, true)]);
    }
}
