//! The rules of the network, as a process holds them: the newest set that it was given.

use std::time::Instant;

use crate::faults::{NetChange, RuleSet, SetVersion};
use crate::types::NodeId;

/// A set, and since when it is held.
#[derive(Debug)]
pub(super) struct HeldRules {
    set: RuleSet,
    since: Instant,
}

impl Default for HeldRules {
    /// A process that starts has no rules, until a console says otherwise.
    fn default() -> HeldRules {
        HeldRules { set: RuleSet::default(), since: Instant::now() }
    }
}

impl HeldRules {
    pub fn version(&self) -> SetVersion {
        self.set.version()
    }

    /// The set as it is now: what has ended is gone.
    pub fn now(&mut self, nodes: &[NodeId]) -> &RuleSet {
        let now = Instant::now();
        self.set = std::mem::take(&mut self.set).aged(now - self.since, nodes);
        self.since = now;
        &self.set
    }

    /// Takes a set if it is newer; whether it was. One that a console has just changed is not taken beside another change with its number: its
    /// console makes it again, on top of that.
    ///
    /// # Errors
    /// It is not newer, and which set is held.
    pub fn take(&mut self, set: RuleSet, is_change: bool, nodes: &[NodeId]) -> Result<bool, RuleSet> {
        let (held, new) = (self.version(), set.version());
        let is_newer = if is_change { new.number > held.number } else { new >= held };
        if !is_newer {
            return Err(self.now(nodes).clone());
        }
        if new > held {
            (self.set, self.since) = (set, Instant::now());
        }
        Ok(new > held)
    }

    /// All of them as one change of the network.
    pub fn change(&mut self, nodes: &[NodeId]) -> NetChange {
        NetChange::Replace(self.now(nodes).rules(nodes))
    }

    /// When the next rule ends by itself.
    pub fn next_end(&self) -> Option<Instant> {
        self.set.next_end().map(|left| self.since + left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_changes_with_one_number_the_second_is_made_again_on_top_of_the_first() {
        let nodes = NodeId::first(3);
        let isolate = |node: usize| NetChange::Isolate(nodes[node]);
        let mut held = HeldRules::default();
        let one = RuleSet::default().changed(1, Vec::new(), &isolate(0), None);
        let other = RuleSet::default().changed(2, Vec::new(), &isolate(1), None);
        assert_eq!(held.take(one, true, &nodes), Ok(true));
        let newer = held.take(other.clone(), true, &nodes).expect_err("another change has its number");
        let again = newer.changed(2, newer.rules(&nodes), &isolate(1), None);
        assert_eq!(held.take(again.clone(), true, &nodes), Ok(true));
        assert_eq!(held.take(again, false, &nodes), Ok(false));
        assert_eq!(held.change(&nodes), NetChange::Replace(vec![isolate(0), isolate(1)]));
        assert!(held.take(other, false, &nodes).is_err(), "an older set never comes back");
    }
}
