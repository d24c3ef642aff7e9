//! The family of damaged files: between a node's end and its next start, what its disk holds changes.
//!
//! The start must refuse, or repair without losing what was durable. When it refuses, the run does as an operator would:
//! the node's files go, and it joins again. So only one node at a time is damaged, and none while another joins; where
//! members change, any whose files no configuration needs.
//!
//! Limit: the end of the log beyond what `state.json` records cannot be missed. Lines are cut off only where the files claim
//! them.

use std::time::Duration;

use super::draw::Scenario;
use super::{Run, ms};
use crate::lab::{Lab, NodeOrder};
use crate::server::EndReason;
use crate::sim::lives::Begin;
use crate::storage::StorageError;
use crate::storage::claims::would_be_missed;
use crate::storage::disk::Disk;
use crate::storage::simulated::SimulatedDisk;
use crate::types::{NodeId, Random};

impl Scenario {
    /// Many restarts, logs of several segments, snapshots in half of the runs.
    pub(super) fn draw_damage(&mut self, random: &mut Random) {
        self.faulty = Duration::from_secs(12);
        self.clients = random.within(2, 4);
        self.settings.nodes = *random.pick(&[3, 3, 3, 4, 5]).expect("there are sizes");
        if random.chance(500_000) {
            let raft = &mut self.settings.raft;
            raft.snapshot_entries = random.within(10, 120);
            raft.trailing_entries = random.below(60);
        }
        self.classes.crashes = true;
        self.classes.power_cuts = true;
        self.classes.failing_disks = false;
        self.classes.damages = true;
        self.pause_max = ms(500);
    }
}

impl Run<'_> {
    /// A node crashes, its files are damaged, and it starts again.
    pub(super) fn damage(&mut self) {
        let name = *self.random.pick(&self.names).expect("a cluster has nodes");
        if !self.classes.members && self.joins() || !self.may_be_lost(name) {
            return;
        }
        if self.simulation.node(name).is_running() {
            let power = self.random.chance(300_000);
            if self.random.chance(300_000) {
                // A polite end: all that it had is on its disk.
                let _ = self.simulation.order(name, NodeOrder::Stop);
            } else {
                self.simulation.end(name, EndReason::Crashed { power });
            }
        }
        if self.simulation.node(name).has_failed_disk() {
            return;
        }
        let disk = self.simulation.node(name).disk.clone();
        self.damage_disk(&disk);
        match self.simulation.start(name, Begin::Again) {
            Ok(_) | Err(StorageError::Retired { .. }) => {}
            Err(StorageError::Io { .. } | StorageError::NoSpace { .. }) => self.revive(name),
            Err(_) => {
                self.simulation.tally.refused_starts += 1;
                self.put_aside(name);
                self.start_afresh(name);
            }
        }
    }

    fn damage_disk(&mut self, disk: &SimulatedDisk) {
        let mut names = disk.list().unwrap_or_default();
        names.retain(|name| name.strip_suffix(".new").is_none());
        let Some(name) = self.random.pick(&names).cloned() else { return };
        let bytes = disk.read(&name).unwrap_or_default();
        let place =
            |random: &mut Random| usize::try_from(random.below(bytes.len().max(1) as u64)).expect("a place");
        let length = match self.random.below(5) {
            0 | 1 if !bytes.is_empty() => {
                let (place, bit) = (place(&mut self.random), self.random.below(8));
                return disk.flip(&name, place, 1 << bit);
            }
            2 => None,
            3 => Some(0),
            _ => {
                let place = place(&mut self.random);
                let line = bytes[..place].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                Some(if self.random.chance(700_000) { line } else { place })
            }
        };
        if would_be_missed(disk, &name, length.unwrap_or(0)) {
            match length {
                Some(length) => disk.cut(&name, length),
                None => disk.lose(&name),
            }
        }
    }

    /// A node starts as one that has lost its files.
    pub(super) fn start_afresh(&mut self, name: NodeId) {
        if let Err(error) = self.simulation.start(name, Begin::Wiped) {
            self.workload.contradictions.push(format!("{name} cannot start afresh: {error}"));
        }
    }
}
