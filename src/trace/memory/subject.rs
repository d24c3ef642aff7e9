//! What is to be explained of a run, and which of its events tell of it.

use serde::{Deserialize, Serialize};

use super::Remembered;
use crate::raft::event::Event;
use crate::trace::{TraceEvent, What};
use crate::types::{LogIndex, Serial, SessionId};

/// An entry, and the command that it holds; neither if elections and faults are to be explained, which tell of all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Subject {
    pub entry: Option<LogIndex>,
    pub command: Option<(SessionId, Serial)>,
}

impl Remembered {
    /// What tells of this.
    #[must_use]
    pub fn about(mut self, subject: Subject) -> Remembered {
        self.moments.retain(|moment| {
            moment.is_turn()
                || matches!(moment.event.what, What::Raft(Event::ClientRejected { .. }))
                || subject.entry.is_some_and(|index| moment.event.concerns(index))
        });
        self.requests.retain(|asked| subject.command == Some((asked.session, asked.serial)));
        self
    }
}

impl TraceEvent {
    /// Whether it is about the entry at this index.
    pub fn concerns(&self, index: LogIndex) -> bool {
        let covers = |prev: LogIndex, count: usize| prev < index && index.0 <= prev.0 + count as u64;
        match &self.what {
            What::Applied { first, last } => *first <= index && index <= *last,
            What::LogDurable { to } => *to >= index,
            What::Raft(event) => match event {
                Event::NoOpAppended { entry } => entry.index == index,
                Event::CommandsAppended { first, last } => *first <= index && index <= *last,
                Event::MembersProposed { index: at, .. } => *at == index,
                Event::AppendSent { prev, count, .. } | Event::AppendReceived { prev, count, .. } => {
                    covers(prev.index, *count)
                }
                Event::AppendSucceeded { matched, .. } => *matched >= index,
                Event::CommitAdvanced { from, to } => *from < index && index <= *to,
                Event::Truncated { from, to } => *from <= index && index <= *to,
                Event::SnapshotInstalled { last, .. } => last.index >= index,
                _ => false,
            },
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Asked, Memory};
    use crate::types::{ClientId, NodeId, Term, Time};

    #[test]
    fn of_what_is_kept_only_what_tells_of_the_subject_is_taken() {
        let memory = Memory::default();
        let event = |event| TraceEvent { time: Time::ZERO, node: NodeId::new(1), what: What::Raft(event) };
        memory.observe(&event(Event::BecameLeader { term: Term(1) }));
        for index in 1..=3 {
            memory.observe(&event(Event::CommitAdvanced { from: LogIndex(index - 1), to: LogIndex(index) }));
        }
        let asked = |serial| Asked {
            time: Time::ZERO,
            node: NodeId::new(1),
            client: ClientId(1),
            session: SessionId(2),
            serial,
        };
        let known = Remembered { requests: vec![asked(1), asked(2)], ..memory.remembered() };
        let subject = Subject { entry: Some(LogIndex(2)), command: Some((SessionId(2), 2)) };
        let told = known.clone().about(subject);
        let sentences: Vec<String> = told.moments.iter().map(|moment| moment.event.to_string()).collect();
        assert_eq!(sentences, ["0.000000 n1 leads term 1", "0.000000 n1: commit index 1 -> 2"]);
        assert_eq!(told.requests, [asked(2)]);
        let of_elections = known.about(Subject::default());
        assert_eq!((of_elections.moments.len(), of_elections.requests.len()), (1, 0));
    }
}
