//! A node that lost its files comes back under its name: it joins again as one that has no say, and is readmitted.
//!
//! It does not know for whom it voted, nor which entries it held. If it voted again, it could vote twice in a term; if
//! its copies counted, or it were elected, a committed entry could be lost. So it starts as a node that *joins*: it
//! votes for nobody, campaigns never, and what it holds counts for no quorum. When it has caught up, the leader appends
//! an entry that readmits it, by its incarnation: the files that it has now. It votes again once it knows this entry to
//! be committed.
//!
//! Why this is safe: suppose that the entry is committed in term t, by a majority C without the node; and that a vote
//! which the node gave before it lost its files counts for a candidate of a later term u, with a majority V. C and V
//! share a member other than the node. If that member held the entry first, it refuses a candidate without it, and a
//! candidate that holds it began its election after the entry was appended, when the node had lost its files already.
//! If it voted first, it was in term u, and took no entry of term t any more. So no such candidate wins: whatever the
//! node voted before, for itself too, elects nobody, and it may vote anew even in a term in which it voted once.
//!
//! A vote that another node gave *to* it before may still arrive and count. That voter's log held nothing then that the
//! node's did not, and it took nothing of an earlier term since; what of it is committed lies before the readmission,
//! by the same argument, and the node holds that again.

use super::Raft;
use super::effects::Incarnation;
use super::event::Event;
use super::log::{Content, Entry};
use super::message::Answerer;
use super::role::{Progress, Role};
use crate::types::{LogIndex, NodeId, Time};

/// The node that comes back.
impl Raft {
    /// Whether this node has no say: it lost its files and is not readmitted yet.
    pub fn joins(&self) -> bool {
        self.joining
    }

    /// Tells this node's files from others that were under its name.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// What its answers say of itself.
    pub(super) fn answerer(&self) -> Answerer {
        Answerer { life: self.life, incarnation: self.incarnation, joining: self.joining }
    }

    /// Entries were committed: is one of them this node's readmission?
    pub(super) fn note_readmission(&mut self, first: LogIndex, last: LogIndex) {
        if !self.joining {
            return;
        }
        let (node, incarnation) = (self.id, self.incarnation);
        let readmits = |entry: &Entry| entry.content == Content::Readmit { node, incarnation };
        if self.log.range(first, last).any(readmits) {
            self.joining = false;
            self.effects.events.push(Event::Readmitted);
        }
    }
}

/// The leader's side.
impl Raft {
    /// Readmits those that have caught up with what was committed when the last round began.
    pub(super) fn readmit(&mut self) {
        let (term, next_index, commit_index) =
            (self.current_term, self.log.last().index.next(), self.commit_index);
        let covered = self.snapshot.index;
        let Role::Leader(leader) = &mut self.role else { return };
        let caught_up = std::mem::replace(&mut leader.caught_up, commit_index);
        let ready = |(_, progress): &(&NodeId, &mut Progress)| {
            // A node that got its entry within a snapshot does not see it, and needs another.
            let pending = progress.readmitted_by.is_some_and(|index| index > covered);
            progress.joining && !pending && progress.match_index >= caught_up
        };
        let Some((&node, progress)) = leader.followers.iter_mut().find(ready) else { return };
        progress.readmitted_by = Some(next_index);
        let incarnation = progress.incarnation;
        let content = Content::Readmit { node, incarnation };
        self.log.append(Entry { index: next_index, term, content });
        self.effects.events.push(Event::Readmitting { node });
    }
}

impl Progress {
    /// Takes in what an answer says of its sender. False when the answer comes from files that are gone: it says
    /// nothing about the node that has their place now.
    pub(super) fn admit(&mut self, answerer: Answerer, next_index: LogIndex, now: Time) -> bool {
        if answerer.incarnation < self.incarnation {
            return false;
        }
        if answerer.incarnation > self.incarnation {
            if self.incarnation > 0 {
                *self = Progress::new(next_index, now);
            }
            self.incarnation = answerer.incarnation;
            self.joining = answerer.joining;
        }
        // Who has been readmitted is for good: an older answer does not undo it.
        self.joining &= answerer.joining;
        self.heard = self.heard.max(now);
        true
    }
}
