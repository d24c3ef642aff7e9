//! What of a node can be set, such as its clock or its disk, and which settings lie over one another.
//!
//! A dial stands where the newest of its settings still alive put it. So what is left when one ends is what the others
//! alone would have made, in whichever order they began and end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{DiskChange, NodeOrder};
use crate::faults::EndId;
use crate::types::NodeId;

/// What ends a setting, and the order that made it.
type Setting = (Option<EndId>, NodeOrder);

/// The settings of each dial, in order, and what ends each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dials(BTreeMap<(NodeId, Dial), Vec<Setting>>);

/// What of a node can be set, and be set back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Dial {
    Clock,
    SlowDisk,
    StalledDisk,
    FullDisk,
}

impl Dial {
    /// The dial that an order sets.
    pub fn of(order: &NodeOrder) -> Option<Dial> {
        Some(match order {
            NodeOrder::SkewClock(_) => Dial::Clock,
            NodeOrder::Disk(DiskChange::Slow(_)) => Dial::SlowDisk,
            NodeOrder::Disk(DiskChange::Stall(_)) => Dial::StalledDisk,
            NodeOrder::Disk(DiskChange::Full(_)) => Dial::FullDisk,
            _ => return None,
        })
    }

    /// The order that sets it to no fault.
    pub fn mended(self) -> NodeOrder {
        let zero = Duration::ZERO;
        match self {
            Dial::Clock => NodeOrder::SkewClock(zero),
            Dial::SlowDisk => NodeOrder::Disk(DiskChange::Slow(zero)),
            Dial::StalledDisk => NodeOrder::Disk(DiskChange::Stall(zero)),
            Dial::FullDisk => NodeOrder::Disk(DiskChange::Full(false)),
        }
    }
}

impl Dials {
    /// Notes an order that was executed. One that lasts settles earlier ones for good.
    pub fn set(&mut self, node: NodeId, order: &NodeOrder, end: Option<EndId>) {
        if *order == NodeOrder::Disk(DiskChange::Mend) {
            self.0.retain(|(of, dial), _| *of != node || *dial == Dial::Clock);
        }
        let Some(dial) = Dial::of(order) else { return };
        let settings = self.0.entry((node, dial)).or_default();
        if end.is_none() {
            settings.clear();
        }
        // A stall without an end of ours ends by itself: nothing may bring it back.
        if end.is_some() || dial != Dial::StalledDisk {
            settings.push((end, order.clone()));
        }
    }

    /// Ends a setting; the order that makes the dial as the others set it, unless it is so.
    pub fn end(&mut self, ended: EndId, node: NodeId, dial: Dial) -> Option<NodeOrder> {
        let settings = self.0.get_mut(&(node, dial))?;
        let was_newest = settings.last().is_some_and(|(end, _)| *end == Some(ended));
        settings.retain(|(end, _)| *end != Some(ended));
        was_newest.then(|| settings.last().map_or(dial.mended(), |(_, order)| order.clone()))
    }

    /// Whether a setting that this ends is still alive.
    #[cfg(feature = "cli")]
    pub fn has(&self, wanted: EndId, node: NodeId, dial: Dial) -> bool {
        let settings = self.0.get(&(node, dial));
        settings.is_some_and(|settings| settings.iter().any(|(end, _)| *end == Some(wanted)))
    }
}
