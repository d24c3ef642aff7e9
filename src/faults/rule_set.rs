//! The rules of a network whose nodes are processes, as one set with a version.
//!
//! A console takes the newest set that it has seen, changes it, and gives the whole set to every process; each process
//! holds the newest that it was given. A change whose end is known ends in each process by its own steady clock.

use std::collections::BTreeMap;
use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use super::layers::Layers;
use super::{EndId, NetChange};
use crate::types::NodeId;

/// Which of two sets, of rules or of settings, is newer. Of two with one number, made at the same time, that of the higher
/// author.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Display, Serialize, Deserialize,
)]
#[display("{number}")]
pub struct SetVersion {
    /// 0: no console has ever made one.
    pub number: u64,
    /// The console that made the set, by a number that it has drawn.
    pub author: u64,
}

/// All rules of the network, and when those end that end by themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RuleSet {
    version: SetVersion,
    layers: Layers,
    /// How much longer each change lasts that ends by itself.
    left: BTreeMap<EndId, Duration>,
}

impl SetVersion {
    /// The version of what this console makes of it.
    #[must_use]
    pub fn next(self, author: u64) -> SetVersion {
        SetVersion { number: self.number + 1, author }
    }
}

impl RuleSet {
    /// The set's version.
    pub fn version(&self) -> SetVersion {
        self.version
    }

    /// The rules that it makes on a network of these nodes.
    pub fn rules(&self, nodes: &[NodeId]) -> Vec<NetChange> {
        self.layers.rules(nodes)
    }

    /// The set that a console makes of this one by a change, with its end if that is known. `before` are the rules in force.
    #[must_use]
    pub fn changed(
        &self,
        author: u64,
        before: Vec<NetChange>,
        change: &NetChange,
        end: Option<(EndId, Duration)>,
    ) -> RuleSet {
        let mut next = self.next(author);
        next.layers.change(before, change, end.map(|(id, _)| id));
        next.left.extend(end);
        next.left.retain(|id, _| next.layers.has(*id));
        next
    }

    /// The set that a console makes of this one by ending changes before their time.
    #[must_use]
    pub fn ended(&self, author: u64, nodes: &[NodeId], end: EndId) -> RuleSet {
        let mut next = self.next(author);
        next.end(end, nodes);
        next
    }

    /// What is left of it after some time: the changes that ended are gone. It is still the same version.
    #[must_use]
    pub fn aged(mut self, by: Duration, nodes: &[NodeId]) -> RuleSet {
        let over: Vec<EndId> = self.left.iter().filter(|(_, left)| **left <= by).map(|(id, _)| *id).collect();
        for id in over {
            self.end(id, nodes);
        }
        self.left.values_mut().for_each(|left| *left -= by);
        self
    }

    /// Whether a change with this end is still in force.
    pub fn has(&self, end: EndId) -> bool {
        self.left.contains_key(&end)
    }

    /// After which time the next change ends by itself; none when none does.
    pub fn next_end(&self) -> Option<Duration> {
        self.left.values().min().copied()
    }

    fn next(&self, author: u64) -> RuleSet {
        RuleSet { version: self.version.next(author), ..self.clone() }
    }

    fn end(&mut self, end: EndId, nodes: &[NodeId]) {
        self.layers.end(end, nodes);
        self.left.remove(&end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::LinkScope;

    fn drop(percent: u32) -> NetChange {
        NetChange::Drop { per_million: percent * 10_000, scope: LinkScope::All }
    }

    fn changed(set: &RuleSet, by: u64, change: &NetChange, end: Option<(EndId, Duration)>) -> RuleSet {
        set.changed(by, set.rules(&NodeId::first(3)), change, end)
    }

    fn shown(set: &RuleSet) -> Vec<String> {
        set.rules(&NodeId::first(3)).iter().map(NetChange::to_string).collect()
    }

    #[test]
    fn what_ends_by_itself_leaves_what_the_others_made() {
        let nodes = NodeId::first(3);
        let seconds = Duration::from_secs;
        let cut = NetChange::Cut(LinkScope::OneWay(nodes[0].into(), nodes[2].into()));
        let set = changed(&RuleSet::default(), 1, &drop(20), None);
        let set = changed(&set, 1, &cut, Some((7, seconds(2))));
        let set = changed(&set, 2, &drop(50), Some((8, seconds(1))));
        assert_eq!(shown(&set), ["cut n1>n3", "drop 50%"]);
        assert_eq!(set.next_end(), Some(seconds(1)));
        let later = set.clone().aged(seconds(1), &nodes);
        assert_eq!(shown(&later), ["cut n1>n3", "drop 20%"]);
        assert_eq!((later.version(), later.next_end()), (set.version(), Some(seconds(1))));
        assert_eq!(shown(&later.clone().aged(seconds(5), &nodes)), ["drop 20%"]);
        assert_eq!(shown(&set.ended(1, &nodes, 7)), ["drop 50%"]);
        let reset = changed(&set, 1, &NetChange::Reset, None);
        assert!(shown(&reset).is_empty() && reset.next_end().is_none());
        assert!(reset.version() > set.version(), "a reset is newer than what it ends");
    }

    #[test]
    fn of_two_sets_with_one_number_that_of_the_higher_author_is_newer() {
        let one = changed(&RuleSet::default(), 1, &drop(10), None);
        let other = changed(&RuleSet::default(), 2, &drop(20), None);
        assert!(other.version() > one.version() && one.version() > RuleSet::default().version());
        let text = serde_json::to_string(&one).expect("it has a text");
        assert_eq!(serde_json::from_str::<RuleSet>(&text).expect("and comes back"), one);
    }
}
