//! A run in buckets of time, and in each what a few clients saw: as fine as a plot can show, and bounded however long the
//! run is. When there are too many buckets, several become one.

use hdrhistogram::Histogram;

use super::tally::{Figures, Latencies, Tally, latencies};
use crate::text::numbers::float;

/// The most buckets: a plot has not many more points.
const BUCKETS_MAX: usize = 600;

/// How many buckets become one, each time that there are too many: from tenths of a second to seconds, then to 5 s, 10 s,
/// a minute and so on.
const FACTORS: [usize; 7] = [10, 5, 2, 6, 5, 2, 6];

/// Clients of which a track is kept.
const CLIENTS_SEEN_MAX: usize = 12;

/// A stretch of a run and what ended in it, operations of the warm-up included. Times are in seconds since the measured
/// time began.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Bucket {
    pub begins: f64,
    pub length: f64,
    pub answered: u64,
    pub rejected: u64,
    pub unknown: u64,
    /// From sending to the answer.
    pub service: Option<Figures>,
    /// From the intended start to the answer.
    pub response: Option<Figures>,
    /// The same with what got no answer.
    pub all: Option<Figures>,
}

/// What one client saw, bucket by bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientSeen {
    /// Its number, from 1.
    pub number: usize,
    pub cells: Vec<Cell>,
}

/// What ended for a client in a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cell {
    pub answered: u64,
    pub rejected: u64,
    pub unknown: u64,
    /// At the end of the bucket it waited for an answer.
    pub waits: bool,
}

/// Gathers buckets while a load runs.
#[derive(Debug)]
pub(super) struct Buckets {
    clients: usize,
    /// How long a slice of time is, in seconds, and how many of them make a bucket now.
    slice: f64,
    slices: u64,
    merges: usize,
    kept: Vec<Kept>,
}

/// A bucket, with its latencies as values and how often each was measured.
#[derive(Clone, Debug, Default)]
struct Kept {
    ended: [u64; 3],
    service: Vec<(u64, u32)>,
    response: Vec<(u64, u32)>,
    lost: Vec<(u64, u32)>,
    cells: Vec<Cell>,
}

impl Cell {
    pub fn add(&mut self, later: Cell) {
        self.answered += later.answered;
        self.rejected += later.rejected;
        self.unknown += later.unknown;
        self.waits = later.waits;
    }
}

impl Buckets {
    /// For a load of this many clients that tells what it measured in slices of this many seconds.
    pub(super) fn new(clients: usize, slice: f64) -> Buckets {
        Buckets { clients, slice, slices: 1, merges: 0, kept: Vec::new() }
    }

    /// How many clients are looked at: a dozen, or all.
    pub(super) fn seen_count(&self) -> usize {
        self.clients.min(CLIENTS_SEEN_MAX)
    }

    /// The place of this client, from zero, among those that are looked at: they are spread evenly.
    pub(super) fn seen_at(&self, client: usize) -> Option<usize> {
        (0..self.seen_count()).find(|place| self.client_at(*place) == client)
    }

    fn client_at(&self, place: usize) -> usize {
        place * self.clients / self.seen_count().max(1)
    }

    /// Takes in the next slice of time. Slices come in order, beginning with the one of this number, and none is left out.
    pub(super) fn push(&mut self, number: u64, tally: &Tally, cells: Vec<Cell>) {
        let pairs = |latencies: &Latencies| -> Vec<(u64, u32)> {
            latencies.iter_recorded().map(|each| (each.value_iterated_to(), each.count_at_value())).collect()
        };
        let next = Kept {
            ended: tally.counts.ended(),
            service: pairs(&tally.service),
            response: pairs(&tally.response),
            lost: tally.lost.as_deref().map(pairs).unwrap_or_default(),
            cells,
        };
        match self.kept.last_mut() {
            Some(last) if !number.is_multiple_of(self.slices) => last.add(next),
            _ => self.kept.push(next),
        }
        if self.kept.len() > BUCKETS_MAX {
            self.merge();
        }
    }

    /// Makes fewer buckets of them.
    fn merge(&mut self) {
        let factor = FACTORS[self.merges % FACTORS.len()];
        self.merges += 1;
        self.slices *= factor as u64;
        let mut merged: Vec<Kept> = Vec::new();
        for (nth, kept) in std::mem::take(&mut self.kept).into_iter().enumerate() {
            match merged.last_mut() {
                Some(last) if !nth.is_multiple_of(factor) => last.add(kept),
                _ => merged.push(kept),
            }
        }
        self.kept = merged;
    }

    /// The buckets of a run that ended then, in seconds, and what the clients saw that are looked at.
    pub(super) fn finish(self, ended: f64) -> (Vec<Bucket>, Vec<ClientSeen>) {
        let length = self.slice * float(self.slices);
        let begins = |place: usize| length * float(place as u64);
        let bucket =
            |(place, kept): (usize, &Kept)| kept.bucket(begins(place), length.min(ended - begins(place)));
        let buckets = self.kept.iter().enumerate().map(bucket).filter(|bucket| bucket.length > 0.0).collect();
        let seen = |place: usize| ClientSeen {
            number: self.client_at(place) + 1,
            cells: self.kept.iter().filter_map(|kept| kept.cells.get(place).copied()).collect(),
        };
        (buckets, (0..self.seen_count()).map(seen).collect())
    }
}

impl Kept {
    fn add(&mut self, later: Kept) {
        for (sum, part) in self.ended.iter_mut().zip(later.ended) {
            *sum += part;
        }
        join(&mut self.service, later.service);
        join(&mut self.response, later.response);
        join(&mut self.lost, later.lost);
        for (sum, part) in self.cells.iter_mut().zip(later.cells) {
            sum.add(part);
        }
    }

    fn bucket(&self, begins: f64, length: f64) -> Bucket {
        let [answered, rejected, unknown] = self.ended;
        let [service, response] = [&self.service, &self.response].map(|pairs| Figures::of(&histogram(pairs)));
        let mut all = histogram(&self.response);
        all.add(histogram(&self.lost)).expect("both have the same bounds");
        Bucket { begins, length, answered, rejected, unknown, service, response, all: Figures::of(&all) }
    }
}

/// Adds the later pairs, each value once.
fn join(pairs: &mut Vec<(u64, u32)>, later: Vec<(u64, u32)>) {
    pairs.extend(later);
    pairs.sort_unstable();
    pairs.dedup_by(|next, sum| {
        let same = next.0 == sum.0;
        if same {
            sum.1 = sum.1.saturating_add(next.1);
        }
        same
    });
}

fn histogram(pairs: &[(u64, u32)]) -> Histogram<u32> {
    let mut histogram = latencies();
    for (value, count) in pairs {
        histogram.saturating_record_n(*value, *count);
    }
    histogram
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tally::{CallTimes, Slice};
    use super::*;
    use crate::client::{Outcome, Rejection};

    /// A slice in which one call was turned down after this many milliseconds.
    fn tally(millis: u64) -> Tally {
        let (took, mut slice, mut tally) = (Duration::from_millis(millis), Slice::default(), Tally::new());
        let times = CallTimes { service: took, response: took, timeout: Duration::ZERO };
        slice.note(&Outcome::Rejected(Rejection::Busy), 1, times);
        tally.note(&slice);
        tally
    }

    #[test]
    fn buckets_are_bounded_and_lose_nothing() {
        let mut buckets = Buckets::new(1, 0.1);
        let cell = Cell { rejected: 1, ..Cell::default() };
        for number in 0..100_000 {
            buckets.push(number, &tally(1 + number % 3), vec![cell]);
        }
        let (all, seen) = buckets.finish(9_999.95);
        assert!((60..=BUCKETS_MAX).contains(&all.len()), "{}", all.len());
        assert_eq!(all.iter().map(|bucket| bucket.rejected).sum::<u64>(), 100_000);
        assert_eq!(seen[0].cells.iter().map(|cell| cell.rejected).sum::<u64>(), 100_000);
        let (first, last) = (&all[0], &all[all.len() - 1]);
        assert!((first.length - 60.0).abs() < 1e-9 && first.response.is_none(), "{first:?}");
        assert!(last.length < first.length && last.begins + last.length <= 9_999.96, "{last:?}");
        let figures = first.all.expect("calls ended");
        assert!((1_950.0..2_050.0).contains(&figures.p50) && figures.max > 2_900.0, "{figures:?}");
    }

    #[test]
    fn a_dozen_clients_are_looked_at_spread_evenly() {
        let buckets = Buckets::new(64, 0.1);
        let seen: Vec<usize> = (0..64).filter(|client| buckets.seen_at(*client).is_some()).collect();
        assert_eq!(seen, [0, 5, 10, 16, 21, 26, 32, 37, 42, 48, 53, 58]);
        let few = Buckets::new(3, 0.1);
        assert_eq!([0, 1, 2].map(|client| few.seen_at(client)), [Some(0), Some(1), Some(2)]);
    }
}
