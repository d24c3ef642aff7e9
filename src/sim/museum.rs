//! The museum of broken rules: defects that real implementations had, put back into simulated nodes to see who notices.
//!
//! Each specimen breaks one rule and nothing else, through a [`Mutation`]; the core knows nothing of it. Most are
//! caught by the random runs of [`seeds`], some only by a scenario of their own. A specimen that nothing catches has no
//! place here: it would show that the checks are blind.

#![allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]

mod altered;
mod acknowledgements;
mod candidates;
mod changes;
mod clients;
mod disks;
mod files;
mod leases;
mod logs;
mod members;
mod reads;
mod sessions;
mod snapshots;
mod transfers;
mod votes;

use std::time::Duration;

use self::altered::Altered;
use super::Simulation;
use super::mutation::{DiskUse, Mutation};
use super::seeds::{self, Family};
use crate::protocol::{Address, Envelope, Packet};
use crate::raft::entry::Entry;
use crate::raft::message::Message;
use crate::raft::{Raft, Recovered};
use crate::server::{Arrival, Outbox, Server};
use crate::state_machine::kv::KeyValue;
use crate::state_machine::sessions::Sessions;
use crate::state_machine::{Applied, Machine, Replica};
use crate::storage::simulated::SimulatedDisk;
use crate::types::{NodeId, Time};

#[derive(Clone, Copy, Debug)]
pub struct Specimen {
    pub name: &'static str,
    /// What it does wrong, in one sentence.
    pub defect: &'static str,
    /// The section of the paper whose rule it breaks.
    pub section: &'static str,
    pub caught: Caught,
    hook: Hook,
}

impl Specimen {
    const fn new(name: &'static str, section: &'static str) -> Specimen {
        let nothing = Hook::Before(|_, _| {});
        Specimen { name, defect: "", section, caught: Caught::ByScenario(""), hook: nothing }
    }

    const fn defect(self, defect: &'static str) -> Specimen {
        Specimen { defect, ..self }
    }

    const fn hook(self, hook: Hook) -> Specimen {
        Specimen { hook, ..self }
    }

    const fn caught(self, family: Family, first: u64, complaints: &'static [&'static str]) -> Specimen {
        Specimen { caught: Caught::BySeeds { family, first, complaints }, ..self }
    }

    const fn caught_by_scenario(self, scenario: &'static str) -> Specimen {
        Specimen { caught: Caught::ByScenario(scenario), ..self }
    }

    /// What puts it into nodes.
    pub fn mutation(&self) -> Box<dyn Mutation> {
        match self.hook {
            Hook::Other(make) => make(),
            hook => Box::new(hook),
        }
    }
}

/// Where a defect reaches into a node. All but the last have no memory from one step to the next.
#[derive(Clone, Copy, Debug)]
enum Hook {
    /// Each of the nodes' messages that arrives.
    Arriving(fn(&Raft, &mut Message)),
    /// Each message that leaves now, or waits for the disk.
    Leaving(fn(&Raft, &mut Message)),
    Before(fn(&mut Server, &mut Vec<Arrival>)),
    /// Before a step as well, with what the node's clock shows.
    Timed(fn(Time, &mut Server, &mut Vec<Arrival>)),
    After(fn(&mut Server, &mut Outbox)),
    Opening(fn(&mut SimulatedDisk)),
    Recovering(fn(&mut Recovered)),
    /// How a state machine applies an entry.
    Applying(fn(&mut Replica<KeyValue>, &Entry) -> Applied),
    /// The sessions in an image that is saved.
    Saving(fn(&mut Sessions)),
    /// The sessions that came with an image.
    Adopting(fn(&mut Sessions)),
    UseDisk(fn(&mut SimulatedDisk)),
    Syncing(DiskUse),
    Other(fn() -> Box<dyn Mutation>),
}

impl Mutation for Hook {
    fn before(&mut self, now: Time, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        match self {
            Hook::Arriving(change) => {
                arriving(arrivals).for_each(|message| change(server.raft(), message));
            }
            Hook::Before(change) => change(server, arrivals),
            Hook::Timed(change) => change(now, server, arrivals),
            _ => {}
        }
    }

    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        match self {
            Hook::Leaving(change) => {
                let mut held = std::mem::take(&mut server.ledger.held);
                let now =
                    outbox.envelopes.iter_mut().filter_map(|envelope| message_mut(&mut envelope.packet));
                let later = held.iter_mut().flat_map(|(_, messages)| messages);
                now.chain(later).for_each(|message| change(server.raft(), message));
                server.ledger.held = held;
            }
            Hook::After(change) => change(server, outbox),
            _ => {}
        }
    }

    fn opening(&mut self, disk: &mut SimulatedDisk) {
        if let Hook::Opening(change) = self {
            change(disk);
        }
    }

    fn recovered(&mut self, _node: NodeId, recovered: &mut Recovered) {
        if let Hook::Recovering(change) = self {
            change(recovered);
        }
    }

    fn machine(&self, replica: Replica<KeyValue>) -> Box<dyn Machine> {
        Box::new(Altered { replica, hook: *self })
    }

    fn use_disk(&mut self, disk: &mut SimulatedDisk) {
        if let Hook::UseDisk(change) = self {
            change(disk);
        }
    }

    fn disk_use(&self) -> DiskUse {
        if let Hook::Syncing(how) = self { *how } else { DiskUse::Proper }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caught {
    BySeeds {
        family: Family,
        /// The seed to begin with: it caught the defect when this was written.
        first: u64,
        /// What the complaint begins with: one of these.
        complaints: &'static [&'static str],
    },
    /// By a scenario that provokes it; the text says which.
    ByScenario(&'static str),
}

/// How a random run caught a specimen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catch {
    pub seed: u64,
    /// The virtual time until it was noticed.
    pub after: Duration,
    pub complaint: String,
}

pub fn specimens() -> impl Iterator<Item = &'static Specimen> + Clone {
    [
        votes::SPECIMENS,
        candidates::SPECIMENS,
        logs::SPECIMENS,
        acknowledgements::SPECIMENS,
        disks::SPECIMENS,
        clients::SPECIMENS,
        reads::SPECIMENS,
        leases::SPECIMENS,
        snapshots::SPECIMENS,
        transfers::SPECIMENS,
        members::SPECIMENS,
        changes::SPECIMENS,
        sessions::SPECIMENS,
        files::SPECIMENS,
    ]
    .into_iter()
    .flatten()
}

pub fn specimen(name: &str) -> Option<&'static Specimen> {
    specimens().find(|specimen| specimen.name == name)
}

/// Runs seeds with the defect until one notices it as is expected, this many at most and one to begin with.
pub fn hunt(specimen: &Specimen, seeds_max: u64) -> Option<Catch> {
    let Caught::BySeeds { family, first, .. } = specimen.caught else { return None };
    [first].into_iter().chain(1..=seeds_max).find_map(|seed| hunt_in(specimen, family, seed, |_| {}))
}

/// Runs one seed of a family with the defect, on a simulation that was prepared. None when it is not noticed as is
/// expected.
pub fn hunt_in(
    specimen: &Specimen,
    family: Family,
    seed: u64,
    prepare: impl FnOnce(&mut Simulation),
) -> Option<Catch> {
    let Caught::BySeeds { complaints, .. } = specimen.caught else { return None };
    let report = seeds::run_with(family, seed, |simulation| {
        prepare(simulation);
        simulation.break_rule(specimen.mutation());
    });
    let complaint = report.violations.into_iter().next()?;
    let expected = complaints.iter().any(|start| complaint.starts_with(start));
    expected.then_some(Catch { seed, after: report.broken_at.unwrap_or(report.length), complaint })
}

impl Catch {
    /// The property that was broken, in a word or two.
    pub fn property(&self) -> &str {
        match self.complaint.split_once(": ") {
            _ if self.complaint.starts_with("not healed") => "not healed",
            Some((property, _)) if !property.contains(|letter: char| letter.is_ascii_digit()) => property,
            _ => "what clients are told",
        }
    }
}

fn arriving(arrivals: &mut [Arrival]) -> impl Iterator<Item = &mut Message> {
    arrivals.iter_mut().filter_map(|arrival| match arrival {
        Arrival::Envelope(envelope) => message_mut(&mut envelope.packet),
        _ => None,
    })
}

/// Lets only those of the nodes' messages arrive that pass.
fn keep_messages(arrivals: &mut Vec<Arrival>, passes: impl Fn(&Message) -> bool) {
    arrivals.retain(|arrival| arrival.message().is_none_or(&passes));
}

fn message_mut(packet: &mut Packet) -> Option<&mut Message> {
    match packet {
        Packet::Raft(message) => Some(message),
        Packet::Request(_) | Packet::Reply(_) | Packet::ConnectionLost => None,
    }
}

fn sent(message: Message) -> Envelope {
    let (from, to) = (Address::Node(message.from), Address::Node(message.to));
    Envelope::new(from, to, Packet::Raft(message))
}
