//! What happened on each link, in numbers.
//!
//! For each link: sent + duplicated = delivered + dropped + in flight. Several threads count at once, so the numbers
//! are atomic; they order nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::faults::{End, LinkTable};
use crate::protocol::{Address, Envelope};
use crate::types::NodeId;

/// The numbers of one link, one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkCounts {
    pub sent: u64,
    /// Messages that reached the destination's inbox, duplicates included.
    pub delivered: u64,
    /// Messages that were lost, for any reason.
    pub dropped: u64,
    /// Messages that were held back on their way, duplicates included.
    pub delayed: u64,
    pub duplicated: u64,
    pub in_flight: u64,
}

#[derive(Debug)]
pub struct Counts(LinkTable<Row>);

/// One link's numbers, on a cache line of their own: several threads count at once, each on its own links.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Row {
    sent: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
    delayed: AtomicU64,
    duplicated: AtomicU64,
    in_flight: AtomicU64,
}

impl Counts {
    /// All zero, for the links among these nodes and the clients. Other links are not counted.
    pub fn new(nodes: &[NodeId]) -> Counts {
        Counts(LinkTable::new(nodes, Row::default))
    }

    pub fn sent(&self, envelopes: &[Envelope]) {
        self.each_link(envelopes, |row, count| add(&row.sent, count));
    }

    pub fn delivered(&self, envelopes: &[Envelope]) {
        self.each_link(envelopes, |row, count| add(&row.delivered, count));
    }

    pub fn dropped(&self, envelopes: &[Envelope]) {
        self.each_link(envelopes, |row, count| add(&row.dropped, count));
    }

    /// These were counted as delivered, but are lost. Delivery is counted first, so that a receiver finds its message in
    /// the numbers.
    pub fn not_delivered(&self, envelopes: &[Envelope]) {
        self.each_link(envelopes, |row, count| {
            row.delivered.fetch_sub(count, Ordering::Relaxed);
            add(&row.dropped, count);
        });
    }

    /// These were counted as sent and delivered, but take another way, where they are counted again.
    pub fn not_sent(&self, envelopes: &[Envelope]) {
        self.each_link(envelopes, |row, count| {
            row.sent.fetch_sub(count, Ordering::Relaxed);
            row.delivered.fetch_sub(count, Ordering::Relaxed);
        });
    }

    pub fn duplicated(&self, from: Address, to: Address) {
        self.row(from, to).inspect(|row| add(&row.duplicated, 1));
    }

    /// One is held back from now on.
    pub fn held_back(&self, from: Address, to: Address) {
        self.row(from, to).inspect(|row| {
            add(&row.delayed, 1);
            add(&row.in_flight, 1);
        });
    }

    /// One that was held back is no longer: it is delivered or dropped next.
    pub fn released(&self, from: Address, to: Address) {
        self.row(from, to).inspect(|row| {
            row.in_flight.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// The numbers of each link that was ever used, ordered by its ends.
    pub fn snapshot(&self) -> Vec<(End, End, LinkCounts)> {
        let read = |from, to| self.0.get(from, to).map(Row::read).unwrap_or_default();
        let all = self.0.links().into_iter().map(|(from, to)| (from, to, read(from, to)));
        all.filter(|(_, _, counts)| *counts != LinkCounts::default()).collect()
    }

    fn row(&self, from: Address, to: Address) -> Option<&Row> {
        self.0.get(from.into(), to.into())
    }

    /// Neighbors in a group mostly share a link: they are counted together.
    fn each_link(&self, envelopes: &[Envelope], count: impl Fn(&Row, u64)) {
        for run in envelopes.chunk_by(|one, next| one.from == next.from && one.to == next.to) {
            self.row(run[0].from, run[0].to).inspect(|row| count(row, run.len() as u64));
        }
    }
}

impl Row {
    fn read(&self) -> LinkCounts {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        LinkCounts {
            sent: read(&self.sent),
            delivered: read(&self.delivered),
            dropped: read(&self.dropped),
            delayed: read(&self.delayed),
            duplicated: read(&self.duplicated),
            in_flight: read(&self.in_flight),
        }
    }
}

fn add(number: &AtomicU64, count: u64) {
    number.fetch_add(count, Ordering::Relaxed);
}
