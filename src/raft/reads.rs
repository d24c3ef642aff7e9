//! Linearizable reads without a log entry (section 8; the dissertation's 6.4, read-index), at any node.
//!
//! A leader may have been deposed without knowing. So a read waits until a quorum has answered a heartbeat round that
//! began after the read, and until the no-op of the leader's term is committed: the state up to the commit index of
//! that moment then holds every write that was answered before.
//!
//! A follower asks its leader for that index, its read index, and answers from its own state once it has applied as far.
//! Its question has a number, and the answer serves every read that began before the question was first asked. So
//! questions and answers may be lost, repeated and reordered: what is unanswered is asked again, and an answer that
//! comes late is an answer to older reads alone. When the leader or the term changes, or is doubted, nobody waits on.

use std::collections::{BTreeMap, VecDeque};

use super::Raft;
use super::effects::{ReadRequest, RejectReason, RequestId};
use super::event::Event;
use super::message::{Body, ReadNumber};
use super::role::{Asker, Leader, Role, WaitingRead};
use crate::types::{LogIndex, NodeId, Term, Time};

/// Reads that wait at a node at most; beyond, they are refused as busy.
const READS_MAX: usize = 1 << 16;

/// Numbers of questions begin below this: so many beginnings that two lives of a node do not meet.
const NUMBERS: u64 = 1 << 48;

/// A follower's reads that wait for its leader.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Whom they wait for, and in which term.
    leader: Option<(Term, NodeId)>,
    /// In the order in which they came: their numbers never go back.
    reads: VecDeque<AskedRead>,
    /// The newest question's number; none before the first one of this life.
    pub newest: Option<ReadNumber>,
    /// The newest question was never asked: reads that come now may join it.
    open: bool,
    /// The newest question is to be asked, for the first time or again.
    wanted: bool,
    /// When a question was last asked.
    sent: Time,
}

/// A read that waits at a follower.
#[derive(Clone, Copy, Debug)]
struct AskedRead {
    id: RequestId,
    /// The first question that was asked after it began.
    number: ReadNumber,
    /// Up to where it must see; none while the leader has not said.
    index: Option<LogIndex>,
}

impl Raft {
    /// Takes in a read. All reads of one step share one round, or one question.
    pub(super) fn read(&mut self, now: Time, request: ReadRequest) {
        if request.by_lease && self.read_by_lease(now) {
            self.effects.reads.push((request.id, Ok(self.commit_index)));
            return;
        }
        let (leader_known, term) = (self.leader(), self.current_term);
        let commit_index = self.commit_index;
        let reason = match (&mut self.role, leader_known) {
            (Role::Leader(leader), _) => {
                if leader.await_round(Asker::Client(request.id), commit_index) {
                    return;
                }
                RejectReason::Busy
            }
            (_, Some(leader)) if request.here => {
                self.drop_asked_of_another();
                if self.asked.reads.len() < READS_MAX {
                    return self.ask(term, leader, request.id);
                }
                RejectReason::Busy
            }
            _ => RejectReason::NotLeader { leader: leader_known },
        };
        self.reject_read(request.id, reason);
    }

    /// Releases the reads whose round a quorum has answered.
    pub(super) fn confirm_reads(&mut self) {
        if !matches!(&self.role, Role::Leader(leader) if !leader.reads.is_empty()) {
            return;
        }
        let confirmed = self.confirmed_round();
        let commit_index = self.commit_index;
        let Role::Leader(leader) = &mut self.role else { return };
        let ready = |read: &mut WaitingRead| read.round <= confirmed && read.index <= commit_index;
        // The answer to a follower's newest question answers its earlier ones too.
        let mut followers = BTreeMap::new();
        while let Some(read) = leader.reads.pop_front_if(ready) {
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
            self.send(node, Body::ReadIndexReply { number, index: Some(index) });
        }
    }

    /// A follower asks for the read index. Its question waits for a round as a client's read does.
    pub(super) fn handle_read_index(&mut self, from: NodeId, number: ReadNumber, stale: bool) {
        let commit_index = self.commit_index;
        let taken = match &mut self.role {
            Role::Leader(leader) if !stale => leader.await_round(Asker::Node(from, number), commit_index),
            _ => false,
        };
        if !taken {
            self.send(from, Body::ReadIndexReply { number, index: None });
        }
    }
}

impl Leader {
    /// Lets a read wait for the next round, if there is room for it.
    fn await_round(&mut self, asker: Asker, commit_index: LogIndex) -> bool {
        if self.reads.len() >= READS_MAX {
            return false;
        }
        self.round_wanted = true;
        let (round, index) = (self.round + 1, commit_index.max(self.no_op));
        self.reads.push_back(WaitingRead { asker, round, index });
        true
    }
}

/// The follower's side.
impl Raft {
    /// Lets a read wait for the read index of this leader.
    fn ask(&mut self, term: Term, leader: NodeId, id: RequestId) {
        let asked = &mut self.asked;
        let number = match asked.newest {
            Some(number) if asked.open => number,
            Some(number) => number + 1,
            None => self.random.below(NUMBERS),
        };
        asked.newest = Some(number);
        (asked.open, asked.wanted) = (true, true);
        asked.leader = Some((term, leader));
        asked.reads.push_back(AskedRead { id, number, index: None });
    }

    /// Questions that went unanswered for a heartbeat are asked again, now that the leader spoke.
    pub(super) fn ask_again(&mut self, now: Time) {
        let waiting = self.asked.reads.iter().any(|read| read.index.is_none());
        if waiting && now >= self.asked.sent + self.settings.heartbeat {
            self.asked.wanted = true;
        }
    }

    /// The leader answered a question.
    pub(super) fn handle_read_index_reply(
        &mut self,
        from: NodeId,
        number: ReadNumber,
        index: Option<LogIndex>,
    ) {
        let asked = &mut self.asked;
        let oldest = asked.reads.front().map(|read| read.number);
        // A number outside belongs to another life of this node, or to nobody who still waits.
        let known = oldest.is_some_and(|oldest| oldest <= number) && asked.newest >= Some(number);
        if !known || asked.leader != Some((self.current_term, from)) {
            return;
        }
        let answered = |read: &AskedRead| read.number <= number && read.index.is_none();
        if index.is_some() {
            let reads = asked.reads.iter_mut().filter(|read| answered(read));
            reads.for_each(|read| read.index = index);
        } else {
            let (gone, kept): (Vec<_>, Vec<_>) = asked.reads.drain(..).partition(answered);
            asked.reads = kept.into();
            self.refuse_asked(gone);
        }
    }

    /// Ends a step: nobody waits for a leader that is not followed any more, what is applied is answered, and what is
    /// not asked yet is asked.
    pub(super) fn look_after_asked(&mut self, now: Time) {
        if self.asked.reads.is_empty() {
            self.asked.wanted = false;
            return;
        }
        self.drop_asked_of_another();
        let commit_index = self.commit_index;
        let mut count = 0;
        let mut answered = LogIndex(0);
        let known = |read: &mut AskedRead| read.index.is_some_and(|index| index <= commit_index);
        while let Some(read) = self.asked.reads.pop_front_if(known) {
            let index = read.index.expect("only what is known is answered");
            self.effects.reads.push((read.id, Ok(index)));
            (count, answered) = (count + 1, index);
        }
        if count > 0 {
            self.effects.events.push(Event::FollowerRead { count, index: answered });
        }
        if let (true, Some(number), Some((_, leader))) =
            (std::mem::take(&mut self.asked.wanted), self.asked.newest, self.asked.leader)
            && self.asked.reads.iter().any(|read| read.index.is_none())
        {
            (self.asked.open, self.asked.sent) = (false, now);
            self.send(leader, Body::ReadIndex { number });
        }
    }

    /// Refuses the reads that wait for a leader that this node does not follow, or follows no more, in this term.
    fn drop_asked_of_another(&mut self) {
        let followed = self.leader().map(|leader| (self.current_term, leader));
        if !self.asked.reads.is_empty() && self.asked.leader != followed {
            let gone = self.asked.reads.drain(..).collect();
            self.refuse_asked(gone);
        }
    }

    fn refuse_asked(&mut self, reads: Vec<AskedRead>) {
        for read in reads {
            self.reject_read(read.id, RejectReason::NotLeader { leader: None });
        }
    }

    fn reject_read(&mut self, id: RequestId, reason: RejectReason) {
        self.effects.events.push(Event::ClientRejected { read: true, reason });
        self.effects.reads.push((id, Err(reason)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RaftSettings;
    use crate::raft::Recovered;
    use crate::raft::effects::{Effects, Input};
    use crate::raft::message::{Message, Standing};
    use crate::types::{EntryId, Random};

    const HEARTBEAT: std::time::Duration = std::time::Duration::from_millis(50);

    /// A follower of n1 in term 1, which has heard it at the start.
    struct Bench {
        raft: Raft,
        now: Time,
    }

    impl Bench {
        fn new() -> Bench {
            let settings = RaftSettings { heartbeat: HEARTBEAT, ..RaftSettings::default() };
            let (id, members) = (NodeId::new(3), NodeId::first(3));
            let raft = Raft::new(id, members, settings, Recovered::default(), Random::new(1), Time::ZERO);
            let mut bench = Bench { raft, now: Time::ZERO };
            bench.step(vec![heartbeat(0)]);
            bench
        }

        fn step(&mut self, mut inputs: Vec<Input>) -> Effects {
            self.raft.step(self.now, &mut inputs)
        }

        /// The number of the question that the step asked.
        fn asked(&mut self, inputs: Vec<Input>) -> Option<ReadNumber> {
            let effects = self.step(inputs);
            let waiting = effects.write.into_iter().flat_map(|write| write.then);
            effects.messages.into_iter().chain(waiting).find_map(|message| match message.body {
                Body::ReadIndex { number } => Some(number),
                _ => None,
            })
        }

        /// The reads that the step answered or refused.
        fn ended(&mut self, inputs: Vec<Input>) -> Vec<(RequestId, bool)> {
            self.step(inputs).reads.into_iter().map(|(id, result)| (id, result.is_ok())).collect()
        }
    }

    fn of_leader(body: Body) -> Input {
        Input::Message(Message { from: NodeId::new(1), to: NodeId::new(3), term: Term(1), body })
    }

    fn heartbeat(commit: u64) -> Input {
        let (prev, entries, standing) = (EntryId::ZERO, Vec::new(), Standing::default());
        of_leader(Body::AppendEntries { prev, entries, commit: LogIndex(commit), round: 1, standing })
    }

    fn reply(number: ReadNumber, index: Option<u64>) -> Input {
        of_leader(Body::ReadIndexReply { number, index: index.map(LogIndex) })
    }

    fn read(id: RequestId) -> Input {
        Input::Read(ReadRequest { id, here: true, by_lease: false })
    }

    #[test]
    fn an_answer_serves_the_reads_that_began_before_its_question_and_no_later_one() {
        let mut bench = Bench::new();
        let first = bench.asked(vec![read(1), read(2)]).expect("a question for both");
        let second = bench.asked(vec![read(3)]).expect("another question");
        assert!(second > first);
        assert_eq!(bench.ended(vec![reply(first, Some(0))]), [(1, true), (2, true)]);
        assert_eq!(bench.ended(vec![reply(first, Some(0))]), [], "the same answer again is old");
        assert_eq!(bench.ended(vec![reply(second, Some(0))]), [(3, true)]);
    }

    #[test]
    fn a_read_never_joins_a_question_that_was_asked_before_it_began() {
        let mut bench = Bench::new();
        let first = bench.asked(vec![read(1)]).expect("a question");
        bench.now = bench.now + HEARTBEAT;
        // The question is due again in the step in which another read begins.
        let second = bench.asked(vec![heartbeat(0), read(2)]).expect("a question for both");
        assert!(second > first);
        assert_eq!(bench.ended(vec![reply(first, Some(0))]), [(1, true)]);
        assert_eq!(bench.ended(vec![reply(second, Some(0))]), [(2, true)]);
    }

    #[test]
    fn what_goes_unanswered_is_asked_again_once_a_heartbeat() {
        let mut bench = Bench::new();
        let number = bench.asked(vec![read(1)]);
        assert!(number.is_some());
        assert_eq!(bench.asked(vec![heartbeat(0)]), None, "it has only just been asked");
        bench.now = bench.now + HEARTBEAT;
        assert_eq!(bench.asked(vec![heartbeat(0)]), number);
        assert_eq!(bench.asked(vec![heartbeat(0)]), None);
    }

    #[test]
    fn a_number_of_another_life_is_nobodys() {
        let mut bench = Bench::new();
        let number = bench.asked(vec![read(1)]).expect("a question");
        for other in [0, number - 1, number + 1, ReadNumber::MAX] {
            assert_eq!(bench.ended(vec![reply(other, Some(0))]), []);
        }
        let again = Raft::new(
            NodeId::new(3),
            NodeId::first(3),
            RaftSettings::default(),
            Recovered::default(),
            Random::new(2),
            Time::ZERO,
        );
        let mut again = Bench { raft: again, now: Time::ZERO };
        again.step(vec![heartbeat(0)]);
        assert_ne!(again.asked(vec![read(1)]), Some(number), "another life begins elsewhere");
    }

    #[test]
    fn nobody_waits_for_a_leader_that_is_doubted_or_deposed() {
        let mut bench = Bench::new();
        bench.step(vec![read(1)]);
        bench.now = bench.now + std::time::Duration::from_secs(1);
        assert_eq!(bench.ended(Vec::new()), [(1, false)], "its election timer ran out");
        let mut bench = Bench::new();
        let number = bench.asked(vec![read(1)]).expect("a question");
        let body = Body::PreVoteReply { next_term: Term(3), granted: false };
        let newer = Message { from: NodeId::new(2), to: NodeId::new(3), term: Term(2), body };
        assert_eq!(bench.ended(vec![Input::Message(newer)]), [(1, false)], "its leader's term is over");
        assert_eq!(bench.ended(vec![reply(number, Some(0))]), []);
    }

    #[test]
    fn a_follower_that_is_behind_answers_when_it_has_caught_up() {
        let mut bench = Bench::new();
        let number = bench.asked(vec![read(1)]).expect("a question");
        assert_eq!(bench.ended(vec![reply(number, Some(1))]), [], "it has applied nothing");
        let entry = crate::raft::log::Entry {
            index: LogIndex(1),
            term: Term(1),
            content: crate::raft::log::Content::NoOp,
        };
        let standing = Standing::default();
        let body = Body::AppendEntries {
            prev: EntryId::ZERO,
            entries: vec![entry],
            commit: LogIndex(1),
            round: 2,
            standing,
        };
        assert_eq!(bench.ended(vec![of_leader(body)]), [(1, true)]);
    }
}
