//! What state machines apply: the committed entries in order, each command once (5.4.3, section 8).

use super::Safety;
use crate::ascending::Ascending;
use crate::check::property::Property;
use crate::check::window::Window;
use crate::raft::entry::Origin;
use crate::state_machine::AppliedEntry;
use crate::types::{EntryId, Member, NodeId, Serial};

/// Sessions that are followed at most; of more, the one that was opened first is not followed any longer.
const SESSIONS_MAX: usize = 100_000;

#[derive(Clone, Debug, Default)]
pub struct CarriedOut {
    /// The client has every answer below this serial: no command below it may be applied any more.
    acknowledged: Serial,
    /// Where its commands from that serial on were applied.
    places: Ascending<Serial, EntryId>,
}

impl Safety {
    /// A snapshot of everything up to this entry takes the place of the log: all of it must be committed.
    pub(super) fn check_covered(&mut self, node: NodeId, last: EntryId) {
        if self.committed.is_gone(last.index) || self.has_unseen(last.term) && last.index > self.committed() {
            return;
        }
        let committed = self.committed.get(last.index).map(|(term, _)| term);
        if committed != Some(last.term) {
            self.report(
                Property::StateMachineSafety,
                format!("{node} installs {last}, which is not committed"),
            );
        }
    }

    pub(super) fn check_applied(&mut self, member: Member, applied: &[AppliedEntry]) {
        let Some(last) = applied.last() else { return };
        let record = self.records.get_mut(&member).expect("observed just now");
        let mut before = std::mem::replace(&mut record.applied, last.entry.index);
        for AppliedEntry { entry, executed, .. } in applied {
            let expected = std::mem::replace(&mut before, entry.index).next();
            let canonical = self.committed.get(entry.index).map(|(term, _)| term);
            let checked = !self.committed.is_gone(entry.index);
            if entry.index != expected || checked && canonical != Some(entry.term) {
                let detail =
                    format!("{member} applied {entry} where {expected} of term {canonical:?} was due");
                self.report(Property::StateMachineSafety, detail);
            }
            let effective = executed.is_some();
            match self.effective.get(entry.index) {
                Some(first) if first == effective => {}
                Some(_) => {
                    let what = if effective { "applied" } else { "did not apply" };
                    let detail = format!(
                        "{member} {what} the command of {entry}, unlike the node that applied it first"
                    );
                    self.report(Property::StateMachineSafety, detail);
                }
                None if self.effective.is_gone(entry.index) => {}
                None => {
                    if entry.index != self.effective.last().next() {
                        // What was applied before it was not seen.
                        self.effective = Window::behind(entry.index.previous());
                    }
                    self.effective.push(effective);
                    if let Some(origin) = executed {
                        self.check_once(*origin, *entry);
                    }
                }
            }
        }
    }

    fn check_once(&mut self, origin: Origin, entry: EntryId) {
        let Origin { session, serial, acknowledged } = origin;
        if self.executed.len() > SESSIONS_MAX {
            self.executed.pop_first();
        }
        let known = self.executed.entry(session).or_default();
        let before = if serial < known.acknowledged {
            Some("before its answer was acknowledged".to_string())
        } else {
            known.places.insert(serial, entry).map(|before| format!("at {before}"))
        };
        known.acknowledged = known.acknowledged.max(acknowledged.min(serial));
        while known.places.first_key().is_some_and(|oldest| oldest < known.acknowledged) {
            known.places.pop_first();
        }
        if let Some(before) = before {
            let detail = format!("command {serial} of session {session} was applied {before} and at {entry}");
            self.report(Property::ExactlyOnce, detail);
        }
    }
}
