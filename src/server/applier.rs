//! The state machine's side of a server: its tasks, in order, and their results.
//!
//! Usually the node's own thread performs them at once. A slow machine is moved to a thread of its own: its tasks are
//! handed out and their results arrive later, so that heartbeats, votes and replication continue. Either way the order is
//! the log's, and a read sees everything before it.

use std::borrow::Borrow;
use std::time::Duration;
use std::vec::IntoIter;

use derive_more::Debug;

use crate::panics::caught;
use crate::payload::Payload;
use crate::protocol::Response;
use crate::raft::effects::RequestId;
use crate::raft::entry::{Content, Entry, Origin};
use crate::state_machine::image::Image;
use crate::state_machine::{Applied, Machine};
use crate::types::EntryId;

/// More entries than this are seldom applied at once.
const APPLIED_EXPECTED: usize = 4_096;

/// What the state machine is to do next.
#[derive(Debug)]
pub enum Task {
    /// Apply these committed entries. When applying stops early, the rest is moved, never copied.
    #[debug("Apply({} entries)", _0.len())]
    Apply(IntoIter<Entry>),
    #[debug("Query({request})")]
    Query { request: RequestId, query: Payload, staleness: Option<Duration> },
    /// Make an image of the state, for a snapshot.
    Image,
    #[debug("Adopt({last})")]
    Adopt { last: EntryId, image: Box<dyn Image> },
    #[debug("Look")]
    Look(Look),
}

/// A read-only callback on the state machine.
pub type Look = Box<dyn FnOnce(&dyn Machine) + Send>;

/// The result of a [`Task`].
#[derive(Debug)]
pub enum Done {
    /// Entries were applied, with these results, and now the state holds this many items.
    #[debug("Applied({} entries)", _0.len())]
    Applied(Vec<EntryResult>, usize),
    #[debug("Answered({_0})")]
    Answered(RequestId, Response),
    /// An image was made of the state after this entry.
    #[debug("Imaged({_0})")]
    Imaged(EntryId, Box<dyn Image>),
    /// The state is that of a snapshot of everything up to this entry, and holds this many items.
    Adopted(EntryId, usize),
    Looked,
    /// The state machine panicked: it must not be used any more.
    Failed(MachineFailure),
}

#[derive(Clone, Debug)]
pub struct MachineFailure {
    /// What was applied in the same task before.
    pub applied: Vec<EntryResult>,
    /// The entry that it was applying, if any.
    pub entry: Option<EntryId>,
    /// Where it panicked, and the text, in one line.
    pub reason: String,
}

#[derive(Clone, Debug)]
pub struct EntryResult {
    pub entry: EntryId,
    pub weight: usize,
    /// Whose command it holds, if it holds one.
    pub command: Option<Origin>,
    pub applied: Applied,
}

/// The state machine, owned by the thread that uses it.
pub struct Applier {
    machine: Box<dyn Machine>,
    /// Always empty: kept for its memory.
    results: Vec<EntryResult>,
}

impl Applier {
    pub(super) fn new(machine: Box<dyn Machine>) -> Applier {
        Applier { machine, results: Vec::new() }
    }

    pub fn machine(&self) -> &dyn Machine {
        &*self.machine
    }

    pub(super) fn reuse(&mut self, results: Vec<EntryResult>) {
        if results.capacity() <= APPLIED_EXPECTED {
            self.results = results;
        }
    }

    /// Applies these entries, and stops after the one at which it is late.
    pub(super) fn apply<E: Borrow<Entry>>(
        &mut self,
        entries: impl Iterator<Item = E>,
        is_late: &dyn Fn() -> bool,
    ) -> Done {
        let mut results = std::mem::take(&mut self.results);
        results.reserve(entries.size_hint().0.min(APPLIED_EXPECTED));
        let mut at = None;
        let applied = caught(|| {
            for entry in entries {
                let entry = entry.borrow();
                let command = match &entry.content {
                    Content::Command { origin, .. } => Some(*origin),
                    _ => None,
                };
                at = Some(entry.id());
                let applied = self.machine.apply(entry);
                results.push(EntryResult { entry: entry.id(), weight: entry.weight(), command, applied });
                if is_late() {
                    break;
                }
            }
            self.machine.size()
        });
        match applied {
            Ok(size) => Done::Applied(results, size),
            Err(panic) => {
                let place = at.map_or("no entry".to_string(), |entry| format!("entry {}", entry.index));
                let reason = format!("its state machine panicked at {place}: {panic}");
                // An entry with a result is not the one that failed.
                let entry = at.filter(|at| results.last().is_none_or(|last| last.entry != *at));
                Done::Failed(MachineFailure { applied: results, entry, reason })
            }
        }
    }

    /// Performs this task. Applying stops after the entry at which it is late; the rest is returned, and is the next task.
    pub fn perform(&mut self, task: Task, is_late: &dyn Fn() -> bool) -> (Done, Option<Task>) {
        let done = match task {
            Task::Apply(mut entries) => {
                let done = self.apply(entries.by_ref(), is_late);
                let rest = (entries.len() > 0).then(|| Task::Apply(entries));
                return (done, rest);
            }
            // A query changes nothing, so its panic is an answer: other nodes would only panic as well.
            Task::Query { request, query, staleness } => {
                let response = match caught(|| self.machine.query(&query)) {
                    Ok(Ok(answer)) => {
                        Response::Read { applied: self.machine.applied().index, staleness, answer }
                    }
                    Ok(Err(reason)) => Response::Invalid(reason),
                    Err(reason) => Response::Panicked { entry: None, reason },
                };
                Done::Answered(request, response)
            }
            Task::Image => match caught(|| self.machine.image()) {
                Ok(image) => Done::Imaged(self.machine.applied(), image),
                Err(panic) => Done::failed("when it was to hand out its state for a snapshot", &panic),
            },
            Task::Adopt { last, image } => {
                let machine = &mut self.machine;
                let adopted = caught(|| {
                    machine.adopt(last, image);
                    machine.size()
                });
                match adopted {
                    Ok(size) => Done::Adopted(last, size),
                    Err(panic) => Done::failed("when it took over the state of a snapshot", &panic),
                }
            }
            Task::Look(look) => {
                // The caller finds that there is no answer.
                let _ = caught(|| look(&*self.machine));
                Done::Looked
            }
        };
        (done, None)
    }
}

impl Done {
    fn failed(at: &str, panic: &str) -> Done {
        let reason = format!("its state machine panicked {at}: {panic}");
        Done::Failed(MachineFailure { applied: Vec::new(), entry: None, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_machine::Replica;
    use crate::state_machine::kv::KeyValue;
    use crate::types::{LogIndex, Term};

    #[test]
    fn what_is_left_of_a_task_is_handed_on_and_never_copied() {
        const ENTRIES: u64 = 100_000;
        let entry = |index| Entry { index: LogIndex(index), term: Term(1), content: Content::NoOp };
        let entries: Vec<Entry> = (1..=ENTRIES).map(entry).collect();
        let place = entries.as_ptr();
        let mut applier = Applier::new(Box::new(Replica::new(KeyValue::default())));
        let mut next = Some(Task::Apply(entries.into_iter()));
        let mut told = 0;
        while let Some(task) = next.take() {
            let (done, rest) = applier.perform(task, &|| true);
            told += 1;
            assert!(matches!(done, Done::Applied(results, _) if results.len() == 1), "it left off each time");
            if let Some(Task::Apply(rest)) = &rest {
                let skipped = usize::try_from(told).expect("a small number");
                assert_eq!(rest.as_slice().as_ptr(), place.wrapping_add(skipped), "the rest stays in place");
            }
            next = rest;
        }
        assert_eq!((told, applier.machine().applied().index), (ENTRIES, LogIndex(ENTRIES)));
    }
}
