//! The faults of the network: a pure, seeded decision on each message.
//!
//! A table holds the rules of every link, one way each. The router thread and the simulator ask it alike, so a fault
//! means the same on real threads and in virtual time. It never reads a clock and draws a random number only where
//! a rule needs one: the same seed, changes and messages give the same fates.
//!
//! Words and meaning follow netem. A link with a constant delay keeps its order; one with jitter does not, and neither
//! does a link whose delay was just shortened. Raft allows for both.

mod change;
mod layers;
mod link;
mod newcomers;
mod rule_set;
pub mod shapes;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::change::{NetChange, NetError};
pub use self::layers::EndId;
#[cfg(feature = "cli")]
pub(crate) use self::layers::Layers;
pub(crate) use self::link::LinkTable;
pub use self::link::{End, LinkScope};
pub use self::rule_set::{RuleSet, SetVersion};

use self::link::scopes;
use self::newcomers::{ClassRules, Partition};
use crate::protocol::Address;
use crate::text::joined;
use crate::types::{NodeId, Random};

/// A message that is reordered is held back at least this long ...
const HELD_BACK_MIN: Duration = Duration::from_millis(1);
/// ... and at most this long, beside the link's delay.
const HELD_BACK_MAX: Duration = Duration::from_millis(10);
const MILLION: u32 = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Dropped(DropReason),
    Delivered { delay: Duration, duplicate: Option<Duration> },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DropReason {
    Cut,
    Partition,
    /// The sender or the destination is isolated.
    Isolated,
    Loss,
    /// A queue on the way is full.
    Overflow,
    /// No node or client is registered at the destination.
    Down,
    /// A person chose this message.
    Chosen,
}

#[derive(Clone, Debug)]
pub struct Faults {
    links: LinkTable<Rules>,
    isolated: Vec<NodeId>,
    /// For as long as it is whole.
    partition: Option<Partition>,
    classes: ClassRules,
    /// No rule on any link: then no lookup is needed.
    all_clear: bool,
    random: Random,
}

/// The rules of one link, one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Rules {
    cut: bool,
    partitioned: bool,
    drop: u32,
    delay: Duration,
    jitter: Duration,
    duplicate: u32,
    reorder: u32,
}

impl Fate {
    pub const AT_ONCE: Fate = Fate::Delivered { delay: Duration::ZERO, duplicate: None };
}

impl Faults {
    /// No faults, on the links among these nodes and the clients.
    pub fn new(nodes: &[NodeId], random: Random) -> Faults {
        Faults {
            links: LinkTable::new(nodes, Rules::default),
            isolated: Vec::new(),
            partition: None,
            classes: ClassRules::default(),
            all_clear: true,
            random,
        }
    }

    pub fn decide(&mut self, from: Address, to: Address) -> Fate {
        if self.all_clear {
            return Fate::AT_ONCE;
        }
        let (from, to) = (from.into(), to.into());
        let rules = self.links.get(from, to).copied().unwrap_or_default();
        if self.is_isolated(from) || self.is_isolated(to) {
            Fate::Dropped(DropReason::Isolated)
        } else if rules.cut {
            Fate::Dropped(DropReason::Cut)
        } else if rules.partitioned {
            Fate::Dropped(DropReason::Partition)
        } else if self.random.chance(rules.drop) {
            Fate::Dropped(DropReason::Loss)
        } else {
            // A client's request comes over a connection, which delivers it once or not at all: only so is a refusal
            // final. Its retries are requests of their own.
            let duplicated = from != End::Clients && self.random.chance(rules.duplicate);
            let delay = self.delay(rules);
            Fate::Delivered { delay, duplicate: duplicated.then(|| self.delay(rules)) }
        }
    }

    /// Whether no rule touches the link: each message would arrive at once.
    pub fn is_clear(&self, from: End, to: End) -> bool {
        let untouched = || self.links.get(from, to).is_none_or(|rules| *rules == Rules::default());
        self.all_clear || (!self.is_isolated(from) && !self.is_isolated(to) && untouched())
    }

    /// Whether each link is free of rules now, as a table of its own.
    pub(crate) fn clear_links(&self) -> LinkTable<bool> {
        let mut table = LinkTable::like(&self.links, || true);
        for (from, to) in self.links.links() {
            let clear = table.get_mut(from, to).expect("both tables have the same links");
            *clear = self.is_clear(from, to);
        }
        table
    }

    /// Makes the change and says what it did: the sides of a partition, the links healed.
    ///
    /// # Errors
    ///
    /// When these nodes cannot have the change. Nothing has changed then.
    pub fn apply(&mut self, change: &NetChange) -> Result<String, NetError> {
        let answer = match change {
            NetChange::Partition(groups) => self.separate(groups),
            NetChange::Cut(scope) => self.cut(*scope),
            NetChange::Heal(scope) => self.heal(*scope),
            NetChange::Isolate(node) => self.isolate(*node),
            NetChange::Connect(node) => self.connect(*node),
            NetChange::Drop { per_million, scope } => {
                self.likely(change, *scope, *per_million, |rules, chance| rules.drop = chance)
            }
            NetChange::Duplicate { per_million, scope } => {
                self.likely(change, *scope, *per_million, |rules, chance| rules.duplicate = chance)
            }
            NetChange::Reorder { per_million, scope } => {
                self.likely(change, *scope, *per_million, |rules, chance| rules.reorder = chance)
            }
            NetChange::Delay { delay, jitter, scope } => self.on_each(change, *scope, |rules| {
                (rules.delay, rules.jitter) = (*delay, *jitter);
            }),
            NetChange::Reset => Ok(self.reset()),
            NetChange::Replace(rules) => self.replace(rules),
        }?;
        self.note_clear();
        Ok(answer)
    }

    fn note_clear(&mut self) {
        let clear = |(from, to): (End, End)| self.links.get(from, to) == Some(&Rules::default());
        self.all_clear = self.isolated.is_empty() && self.links.links().into_iter().all(clear);
    }

    /// The rules in force, as changes that would bring a network without faults to this state.
    pub fn rules(&self) -> Vec<NetChange> {
        let cuts = self.alike(|rules| rules.cut).into_iter();
        let cut = |(cut, scope)| if cut { NetChange::Cut(scope) } else { NetChange::Heal(scope) };
        let mut list: Vec<NetChange> = cuts.map(cut).collect();
        // Behind what heals single links: on a partition that would leave nothing but cuts.
        let whole = self.partition.iter().map(|partition| partition.groups.clone());
        list.extend(whole.map(NetChange::Partition));
        list.extend(self.isolated.iter().copied().map(NetChange::Isolate));
        let drops = self.alike(|rules| rules.drop).into_iter();
        list.extend(drops.map(|(per_million, scope)| NetChange::Drop { per_million, scope }));
        let delays = self.alike(|rules| (rules.delay, rules.jitter)).into_iter();
        list.extend(delays.map(|((delay, jitter), scope)| NetChange::Delay { delay, jitter, scope }));
        let duplicates = self.alike(|rules| rules.duplicate).into_iter();
        list.extend(duplicates.map(|(per_million, scope)| NetChange::Duplicate { per_million, scope }));
        let reorders = self.alike(|rules| rules.reorder).into_iter();
        list.extend(reorders.map(|(per_million, scope)| NetChange::Reorder { per_million, scope }));
        list
    }

    fn is_isolated(&self, end: End) -> bool {
        self.isolated.iter().any(|node| End::Node(*node) == end)
    }

    fn delay(&mut self, rules: Rules) -> Duration {
        let jitter = match rules.jitter {
            Duration::ZERO => Duration::ZERO,
            most => self.random.duration(Duration::ZERO, most),
        };
        let held_back = if self.random.chance(rules.reorder) {
            self.random.duration(HELD_BACK_MIN, HELD_BACK_MAX)
        } else {
            Duration::ZERO
        };
        rules.delay + jitter + held_back
    }

    fn separate(&mut self, groups: &[Vec<NodeId>]) -> Result<String, NetError> {
        groups.iter().flatten().try_for_each(|node| self.check_node(*node))?;
        let partition = Partition::of(groups, self.nodes());
        let apart = |(from, to): &(End, End)| partition.separates(*from, *to);
        let (separated, together): (Vec<_>, Vec<_>) = self.links.links().into_iter().partition(apart);
        if separated.is_empty() {
            return Err(NetError::CutsNothing);
        }
        self.change_links(&separated, |rules| rules.partitioned = true);
        self.change_links(&together, |rules| rules.partitioned = false);
        let sides: Vec<String> =
            partition.groups.iter().map(|group| format!("[{}]", joined(group, " "))).collect();
        self.partition = Some(partition);
        Ok(sides.join(" x "))
    }

    fn cut(&mut self, scope: LinkScope) -> Result<String, NetError> {
        let links = self.covered(scope)?;
        self.change_links(&links, |rules| rules.cut = true);
        self.classes.change(scope, |rules| rules.cut = true);
        Ok(format!("cut {}", words(&scopes(&links))))
    }

    fn heal(&mut self, scope: LinkScope) -> Result<String, NetError> {
        let mut links = self.covered(scope)?;
        let broken = |rules: &Rules| rules.cut || rules.partitioned;
        links.retain(|(from, to)| self.links.get(*from, *to).is_some_and(broken));
        if links.iter().any(|(from, to)| self.links.get(*from, *to).is_some_and(|rules| rules.partitioned)) {
            // What is left of it are cuts: no later partition takes them away.
            self.partition = None;
            self.change_links(&self.links.links(), |rules| {
                (rules.cut, rules.partitioned) = (rules.cut || rules.partitioned, false);
            });
        }
        self.change_links(&links, |rules| rules.cut = false);
        self.classes.change(scope, |rules| rules.cut = false);
        let mut answer: Vec<String> = Vec::new();
        if !links.is_empty() {
            answer.push(format!("healed {}", words(&scopes(&links))));
        }
        if scope == LinkScope::All && !self.isolated.is_empty() {
            answer.push(format!("connected {}", joined(&std::mem::take(&mut self.isolated), " ")));
        }
        let ends = scope.ends().into_iter().flat_map(|(one, other)| [one, other]);
        let alone = ends.filter(|end| self.is_isolated(*end));
        answer.extend(alone.map(|node| format!("{node} is still isolated: `connect {node}` undoes that")));
        Ok(if answer.is_empty() { "no partition or cut to heal".to_string() } else { answer.join("; ") })
    }

    fn isolate(&mut self, node: NodeId) -> Result<String, NetError> {
        self.check_node(node)?;
        if self.isolated.contains(&node) {
            return Ok(format!("{node} is isolated already"));
        }
        self.isolated.push(node);
        self.isolated.sort_unstable();
        Ok(format!("isolated {node} from nodes and clients"))
    }

    fn connect(&mut self, node: NodeId) -> Result<String, NetError> {
        self.check_node(node)?;
        let place = self.isolated.iter().position(|isolated| *isolated == node);
        self.isolated.remove(place.ok_or(NetError::NotIsolated(node))?);
        Ok(format!("connected {node}"))
    }

    fn likely(
        &mut self,
        change: &NetChange,
        scope: LinkScope,
        per_million: u32,
        set: fn(&mut Rules, u32),
    ) -> Result<String, NetError> {
        if per_million > MILLION {
            return Err(NetError::OverOne(per_million));
        }
        self.on_each(change, scope, |rules| set(rules, per_million))
    }

    fn on_each(
        &mut self,
        change: &NetChange,
        scope: LinkScope,
        mut set: impl FnMut(&mut Rules),
    ) -> Result<String, NetError> {
        let links = self.covered(scope)?;
        self.change_links(&links, &mut set);
        self.classes.change(scope, set);
        Ok(match (change.ended(), scope) {
            (Some(ended), LinkScope::All) => format!("{ended} on all links any more"),
            (Some(ended), links) => format!("{ended} on {links} any more"),
            (None, LinkScope::All) => format!("{change} on all links"),
            (None, _) => change.to_string(),
        })
    }

    fn reset(&mut self) -> String {
        let removed: Vec<String> = self.rules().iter().map(NetChange::to_string).collect();
        let links = self.links.links();
        self.change_links(&links, |rules| *rules = Rules::default());
        self.classes = ClassRules::default();
        self.isolated.clear();
        self.partition = None;
        match removed.as_slice() {
            [] => "no rule was in force".to_string(),
            rules => format!("removed {}", rules.join("; ")),
        }
    }

    fn replace(&mut self, rules: &[NetChange]) -> Result<String, NetError> {
        let mut other = self.clone();
        other.reset();
        rules.iter().try_for_each(|rule| other.apply(rule).map(drop))?;
        other.keep_side_of_newcomers(self);
        *self = other;
        Ok(match rules {
            [] => "no rule is in force".to_string(),
            rules => format!("in force: {}", joined(rules, "; ")),
        })
    }

    fn change_links(&mut self, links: &[(End, End)], mut set: impl FnMut(&mut Rules)) {
        for (from, to) in links {
            set(self.links.get_mut(*from, *to).expect("links are taken from the table"));
        }
    }

    /// The links of this set, or what is wrong with it.
    fn covered(&self, scope: LinkScope) -> Result<Vec<(End, End)>, NetError> {
        if let Some((one, other)) = scope.ends() {
            self.check_end(one)?;
            self.check_end(other)?;
            if one == other {
                return Err(NetError::LinkToItself(scope));
            }
        }
        let mut links = self.links.links();
        links.retain(|(from, to)| scope.covers(*from, *to));
        Ok(links)
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.links.ends().iter().filter_map(|end| end.node())
    }

    fn check_end(&self, end: End) -> Result<(), NetError> {
        match end {
            End::Node(node) => self.check_node(node),
            End::Clients => Ok(()),
        }
    }

    fn check_node(&self, node: NodeId) -> Result<(), NetError> {
        if self.nodes().any(|known| known == node) {
            Ok(())
        } else {
            Err(NetError::UnknownNode { node, nodes: self.nodes().collect() })
        }
    }

    /// Which links have which value, as changes that make it so: first whole classes of links, newcomers' links among them,
    /// then the links that differ from their class.
    fn alike<V: Default + Copy + Ord>(&self, of: impl Fn(&Rules) -> V) -> Vec<(V, LinkScope)> {
        let mut list = self.classes.listed(&of);
        let mut exceptions: BTreeMap<V, Vec<(End, End)>> = BTreeMap::new();
        for (from, to) in self.links.links() {
            let value = self.links.get(from, to).map(&of).unwrap_or_default();
            if value != of(&self.classes.of(from, to)) {
                exceptions.entry(value).or_default().push((from, to));
            }
        }
        let named = |(value, links): (V, Vec<(End, End)>)| {
            scopes(&links).into_iter().map(move |scope| (value, scope)).collect::<Vec<_>>()
        };
        list.extend(exceptions.into_iter().flat_map(named));
        list
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            DropReason::Cut => "link cut",
            DropReason::Partition => "partition",
            DropReason::Isolated => "isolated",
            DropReason::Loss => "lost",
            DropReason::Overflow => "queue full",
            DropReason::Down => "destination down",
            DropReason::Chosen => "by hand",
        })
    }
}

fn words(scopes: &[LinkScope]) -> String {
    scopes.iter().map(LinkScope::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
