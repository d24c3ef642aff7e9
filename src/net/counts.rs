//! What happened on each link, in numbers.
//!
//! For each link: sent + duplicated = delivered + dropped + in flight. Several threads count at once, so the numbers
//! are atomic; they order nothing. Nodes come and go while they count, so the rows of a sender are made when it first
//! sends, for every node that there may be.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use derive_more::AddAssign;
use serde::{Deserialize, Serialize};

use crate::faults::End;
use crate::protocol::{Address, Envelope};
use crate::types::{NODES_MAX, NodeId};

/// The places of ends: those of the nodes, and one for the clients.
const PLACES: usize = NODES_MAX as usize + 1;

/// The numbers of one link, one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, AddAssign, Serialize, Deserialize)]
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
    /// Between processes: messages that left and have not arrived. A connection that broke took them with it, or they arrive
    /// yet.
    #[serde(default)]
    pub under_way_or_lost: u64,
    /// Between processes, at either end of a link: what came out of it with an earlier life of the process at the other end,
    /// which counts it no more.
    #[serde(default)]
    pub before: u64,
}

#[derive(Debug)]
pub struct Counts {
    /// The rows of each sender, by the place of its end.
    rows: Box<[OnceLock<Box<[Row]>>]>,
    /// Messages that were sent on links before these were counted from zero again.
    past: AtomicU64,
}

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
    before: AtomicU64,
}

impl Clone for Counts {
    fn clone(&self) -> Counts {
        let past = AtomicU64::new(self.past.load(Ordering::Relaxed));
        Counts { rows: self.rows.clone(), past }
    }
}

impl Clone for Row {
    fn clone(&self) -> Row {
        let same = |number: &AtomicU64| AtomicU64::new(number.load(Ordering::Relaxed));
        Row {
            sent: same(&self.sent),
            delivered: same(&self.delivered),
            dropped: same(&self.dropped),
            delayed: same(&self.delayed),
            duplicated: same(&self.duplicated),
            in_flight: same(&self.in_flight),
            before: same(&self.before),
        }
    }
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { rows: (0..PLACES).map(|_| OnceLock::new()).collect(), past: AtomicU64::new(0) }
    }
}

impl Counts {
    /// Counts the links of a node from zero: what an earlier node of its name sent and was sent is not its own. What is on
    /// its way still arrives.
    pub fn restart(&self, node: NodeId) {
        let own = End::Node(node).place();
        let sent = self.rows[own].get().into_iter().flatten();
        let received = self.rows.iter().filter_map(OnceLock::get).map(|rows| &rows[own]);
        for row in sent.chain(received) {
            add(&self.past, row.restart());
        }
    }

    /// A process counts the links of this node from zero again, which another process did until now.
    pub fn note_new_life(&self, node: NodeId) {
        let place = End::Node(node).place();
        let received = self.rows[place].get().into_iter().flatten();
        let sent = self.rows.iter().filter_map(OnceLock::get).map(|rows| &rows[place]);
        for row in received {
            let counts = row.read();
            row.before.store(counts.delivered + counts.dropped, Ordering::Relaxed);
        }
        for row in sent {
            row.before.store(row.read().delivered, Ordering::Relaxed);
        }
    }

    /// Messages that were ever sent, by nodes that are gone, too.
    pub fn ever_sent(&self) -> u64 {
        let rows = self.rows.iter().filter_map(OnceLock::get).flatten();
        self.past.load(Ordering::Relaxed) + rows.map(|row| row.sent.load(Ordering::Relaxed)).sum::<u64>()
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

    /// This one was counted as delivered, and its receiver has dropped it since. What was delivered before the link was
    /// counted from zero again is not counted.
    pub fn dropped_by_receiver(&self, envelope: &Envelope) {
        let row = self.row(envelope.from, envelope.to);
        let one_less = |delivered: u64| delivered.checked_sub(1);
        if row.delivered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            add(&row.dropped, 1);
        }
    }

    /// These were counted as sent and delivered, but take another way, where they are counted again.
    pub fn not_sent(&self, envelopes: &[Envelope]) {
        self.each_link(envelopes, |row, count| {
            row.sent.fetch_sub(count, Ordering::Relaxed);
            row.delivered.fetch_sub(count, Ordering::Relaxed);
        });
    }

    pub fn duplicated(&self, from: Address, to: Address) {
        add(&self.row(from, to).duplicated, 1);
    }

    /// One is held back from now on.
    pub fn held_back(&self, from: Address, to: Address) {
        let row = self.row(from, to);
        add(&row.delayed, 1);
        add(&row.in_flight, 1);
    }

    /// One that was held back is no longer: it is delivered or dropped next.
    pub fn released(&self, from: Address, to: Address) {
        self.row(from, to).in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// The numbers of each link between these ends that was ever used, in the order of the ends.
    pub fn snapshot(&self, ends: &[End]) -> Vec<(End, End, LinkCounts)> {
        let mut all = Vec::new();
        for from in ends {
            let Some(rows) = self.rows[from.place()].get() else { continue };
            all.extend(ends.iter().map(|to| (*from, *to, rows[to.place()].read())));
        }
        all.retain(|(_, _, counts)| *counts != LinkCounts::default());
        all
    }

    fn row(&self, from: Address, to: Address) -> &Row {
        let rows =
            self.rows[End::from(from).place()].get_or_init(|| (0..PLACES).map(|_| Row::default()).collect());
        &rows[End::from(to).place()]
    }

    /// Neighbors in a group mostly share a link: they are counted together.
    fn each_link(&self, envelopes: &[Envelope], count: impl Fn(&Row, u64)) {
        for run in envelopes.chunk_by(|one, next| one.from == next.from && one.to == next.to) {
            count(self.row(run[0].from, run[0].to), run.len() as u64);
        }
    }
}

impl Row {
    /// Counts only what is on its way. Returns how many of the messages sent are not counted any more.
    fn restart(&self) -> u64 {
        let under_way = self.in_flight.load(Ordering::Relaxed);
        self.delayed.store(under_way, Ordering::Relaxed);
        for number in [&self.delivered, &self.dropped, &self.duplicated, &self.before] {
            number.store(0, Ordering::Relaxed);
        }
        self.sent.swap(under_way, Ordering::Relaxed).saturating_sub(under_way)
    }

    fn read(&self) -> LinkCounts {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        LinkCounts {
            sent: read(&self.sent),
            delivered: read(&self.delivered),
            dropped: read(&self.dropped),
            delayed: read(&self.delayed),
            duplicated: read(&self.duplicated),
            in_flight: read(&self.in_flight),
            under_way_or_lost: 0,
            before: read(&self.before),
        }
    }
}

fn add(number: &AtomicU64, count: u64) {
    number.fetch_add(count, Ordering::Relaxed);
}
