//! The museum of broken rules: defects that real implementations had, put back into simulated nodes to see who notices.
//!
//! Each specimen breaks one rule and nothing else, through an [`Exhibit`]; the core knows nothing of it. Most are
//! caught by the random runs of [`seeds`], some only by a scenario of their own. A specimen that nothing catches has no
//! place here: it would show that the checks are blind.

mod altered;
#[allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]
mod acknowledgements;
#[allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]
mod candidates;
mod clients;
mod disks;
mod files;
#[allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]
mod joining;
#[allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]
mod leases;
#[allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]
mod logs;
#[allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]
mod reads;
mod sessions;
#[allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]
mod snapshots;
#[allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]
mod transfers;
#[allow(clippy::ptr_arg, reason = "one shape for all: some of them add or remove arrivals")]
mod votes;

use std::time::Duration;

use super::Simulation;
use super::exhibit::Exhibit;
use super::seeds::{self, Family};
use crate::protocol::{Address, Envelope, Packet};
use crate::raft::message::Message;
use crate::server::{Arrival, Outbox, Server};

#[derive(Clone, Copy, Debug)]
pub struct Specimen {
    pub name: &'static str,
    /// What it does wrong, in one sentence.
    pub defect: &'static str,
    /// The section of the paper whose rule it breaks.
    pub section: &'static str,
    pub caught: Caught,
    /// Makes the exhibit that puts it into nodes.
    pub exhibit: fn() -> Box<dyn Exhibit>,
}

const GENERAL: Family = Family::General;

const SNAPSHOTS: Family = Family::Snapshots;

/// Random runs in which nodes lose their files.
const JOINING: Family = Family::Joining;

/// Random runs with small tables of sessions.
const SESSIONS: Family = Family::Sessions;

/// Random runs in which files are damaged.
const DAMAGE: Family = Family::Damage;

/// Random runs in which old leaders are asked.
const READS: Family = Family::Reads;

const VOTES: Family = Family::Votes;

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
        joining::SPECIMENS,
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
        simulation.break_rule((specimen.exhibit)());
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

/// An exhibit without memory that acts before each step.
struct Before(fn(&mut Server, &mut Vec<Arrival>));

impl Exhibit for Before {
    fn before(&mut self, server: &mut Server, arrivals: &mut Vec<Arrival>) {
        (self.0)(server, arrivals);
    }
}

/// An exhibit without memory that acts after each step.
struct After(fn(&mut Server, &mut Outbox));

impl Exhibit for After {
    fn after(&mut self, server: &mut Server, outbox: &mut Outbox) {
        (self.0)(server, outbox);
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
    arrivals.retain(|arrival| match arrival {
        Arrival::Envelope(envelope) => message(&envelope.packet).is_none_or(&passes),
        _ => true,
    });
}

/// The messages that leave now, and those that wait for the disk.
fn leaving<'a>(server: &'a mut Server, outbox: &'a mut Outbox) -> impl Iterator<Item = &'a mut Message> {
    let now = outbox.envelopes.iter_mut().filter_map(|envelope| message_mut(&mut envelope.packet));
    now.chain(server.held.iter_mut().flat_map(|(_, messages)| messages))
}

fn message(packet: &Packet) -> Option<&Message> {
    match packet {
        Packet::Raft(message) => Some(message),
        Packet::Request(_) | Packet::Reply(_) => None,
    }
}

fn message_mut(packet: &mut Packet) -> Option<&mut Message> {
    match packet {
        Packet::Raft(message) => Some(message),
        Packet::Request(_) | Packet::Reply(_) => None,
    }
}

fn sent(message: Message) -> Envelope {
    let (from, to) = (Address::Node(message.from), Address::Node(message.to));
    Envelope::new(from, to, Packet::Raft(message))
}
