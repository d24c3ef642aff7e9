//! A load that runs: its clients' threads, and the thread that adds up what they measure, a row for each second and a
//! bucket for each slice of it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::buckets::{Buckets, Cell};
use super::caller::Caller;
use super::client::{Client, Common, Notice, SECOND};
use super::pace::Pace;
use super::plan::{Amount, Plan};
use super::sampling::{Recorder, Sample, Sampling};
use super::summary::{Curves, Summary};
use super::tally::{Counts, Figures, Latencies, Row, Slice, Tally, curve, latencies};
use super::workload::Workload;
use crate::history::HistoryFile;
use crate::text::numbers::{float, nanos, rate, ratio};
use crate::types::{Random, Time};

/// Clients' threads call little: they need no deep stack, and there may be thousands.
const STACK_BYTES: usize = 256 << 10;

/// A load that runs, or has ended. Dropping it ends it.
pub struct Load {
    common: Arc<Common>,
    collector: Option<JoinHandle<(Summary, Sample)>>,
    ended: Receiver<()>,
}

/// An event of a load, for a listener.
pub enum Event<'a> {
    Row(&'a Row),
    Ended,
}

struct Collector {
    common: Arc<Common>,
    told: Receiver<Notice>,
    on_event: Box<dyn FnMut(Event<'_>) + Send>,
    /// For each client the slice of time that it is in; none when it has ended.
    places: Vec<Option<u64>>,
    open: BTreeMap<u64, Open>,
    /// The second that is not over, with its number.
    second: Option<(u64, Tally)>,
    rows: Vec<Row>,
    buckets: Buckets,
    sums: Counts,
    service: Histogram<u64>,
    response: Histogram<u64>,
    lost: Histogram<u64>,
    recorders: Vec<Recorder>,
    last: Time,
}

/// A slice of time that is not over for all clients.
struct Open {
    tally: Tally,
    /// What those clients saw that are looked at.
    cells: Vec<Cell>,
}

impl Load {
    /// Starts the clients of a plan, each with its caller. `on_event` is called on a thread of its own for each
    /// second that is over, and at the end. With a file, the whole history is written.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(
        plan: &Plan,
        callers: Vec<impl Caller>,
        file: Option<HistoryFile>,
        on_event: impl FnMut(Event<'_>) + Send + 'static,
    ) -> io::Result<Load> {
        let begins = callers.first().map_or(Time::ZERO, Caller::now);
        let start = begins + plan.warm_up;
        let clients = callers.len();
        let common = Arc::new(Common::new(plan.clone(), start));
        let (sender, told) = unbounded();
        let file = file.map(|file| Arc::new(Mutex::new(file)));
        let sampling = Arc::new(Sampling::new(plan.workload.keys, plan.kept_max.div_ceil(clients.max(1))));
        let workloads = Workload::of_clients(&plan.workload, clients, plan.batch, plan.seed);
        let mut random = Random::new(plan.seed ^ 0x7061_6365);
        // If a step from here on fails, dropping the load ends the clients that run already.
        let (over, ended) = bounded::<()>(1);
        let mut load = Load { common: Arc::clone(&common), collector: None, ended };
        for (number, (caller, workload)) in callers.into_iter().zip(workloads).enumerate() {
            let mut recorder =
                Recorder::new(Arc::clone(&sampling), number, file.clone(), plan.workload.judges_stale);
            if number == 0 {
                recorder.mark_warm_up(start);
            }
            let client = Client {
                number,
                common: Arc::clone(&common),
                caller: caller.gathering(usize::try_from(plan.gather).unwrap_or(usize::MAX)),
                workload,
                recorder,
                told: sender.clone(),
                left: share(plan.amount, clients, number),
                pace: plan.rate.map(|rate| {
                    let calls = float(rate) / plan.operations_a_call();
                    Pace::new(begins, calls, clients, random.fork())
                }),
            };
            let thread = thread::Builder::new().name(format!("client-{number}")).stack_size(STACK_BYTES);
            if let Err(error) = thread.spawn(move || client.run()) {
                load.stop();
                return Err(error);
            }
        }
        drop(sender);
        let collector = Collector::new(common, told, clients, Box::new(on_event));
        load.collector =
            Some(thread::Builder::new().name("load".to_string()).spawn(move || collector.run(over))?);
        Ok(load)
    }

    /// Nothing more is sent; what is under way ends by its deadline.
    pub fn stop(&self) {
        self.common.stop.store(true, Ordering::Relaxed);
    }

    /// Becomes ready, by closing, when all clients have ended.
    pub fn ended(&self) -> &Receiver<()> {
        &self.ended
    }

    /// Something is done to the cluster now: the outages from here to the next mark are told apart.
    pub fn mark(&self, at: Time) {
        self.common.outages.lock().mark(at);
    }

    pub fn is_over(&self) -> bool {
        self.collector.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub fn start_time(&self) -> Time {
        self.common.start
    }

    /// Waits until all clients have ended. Returns what was measured, and the sample of the history to be judged.
    pub fn join(mut self) -> (Summary, Sample) {
        match self.collector.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Default::default(),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("is_over", &self.is_over()).finish_non_exhaustive()
    }
}

fn share(amount: Amount, clients: usize, number: usize) -> u64 {
    match amount {
        Amount::Count(count) => {
            let (clients, number) = (clients as u64, number as u64);
            count / clients + u64::from(number < count % clients)
        }
        Amount::For(_) | Amount::Unending => u64::MAX,
    }
}

impl Collector {
    fn new(
        common: Arc<Common>,
        told: Receiver<Notice>,
        clients: usize,
        on_event: Box<dyn FnMut(Event<'_>) + Send>,
    ) -> Collector {
        let wide = |narrow: &Latencies| {
            Histogram::new_with_bounds(narrow.low(), narrow.high(), narrow.sigfig()).expect("the same bounds")
        };
        let narrow = latencies();
        Collector {
            last: common.start,
            told,
            on_event,
            places: vec![Some(0); clients],
            open: BTreeMap::new(),
            second: None,
            rows: Vec::new(),
            buckets: Buckets::new(clients, common.slice.as_secs_f64()),
            service: wide(&narrow),
            response: wide(&narrow),
            lost: wide(&narrow),
            sums: Counts::default(),
            recorders: Vec::new(),
            common,
        }
    }

    /// `over` is dropped at the end, which closes its channel.
    fn run(mut self, over: Sender<()>) -> (Summary, Sample) {
        while let Ok(told) = self.told.recv() {
            match told {
                Notice::Slice { client, number, slice } => {
                    self.take(client, number, &slice);
                    self.places[client] = Some(number + 1);
                }
                Notice::Ended { client, recorder, last } => {
                    self.places[client] = None;
                    self.recorders.push(*recorder);
                    self.last = self.last.max(last);
                }
            }
            let reached = self.places.iter().flatten().min().copied().unwrap_or(u64::MAX);
            while let Some(first) = self.open.first_entry()
                && *first.key() < reached
            {
                let (number, open) = first.remove_entry();
                self.close(number, open);
            }
        }
        self.close_second();
        let mut on_event = std::mem::replace(&mut self.on_event, Box::new(|_| {}));
        let ended = self.summary();
        on_event(Event::Ended);
        // At the end of the load everything has been told: the listener goes first.
        drop(on_event);
        drop(over);
        ended
    }

    fn take(&mut self, client: usize, number: u64, slice: &Slice) {
        let seen = self.buckets.seen_count();
        let new = || Open { tally: Tally::new(), cells: vec![Cell::default(); seen] };
        let open = self.open.entry(number).or_insert_with(new);
        open.tally.note(slice);
        if let Some(place) = self.buckets.seen_at(client) {
            let [answered, rejected, unknown] = slice.counts.ended();
            open.cells[place] = Cell { answered, rejected, unknown, waits: slice.waits };
        }
    }

    /// A slice of time is over for all clients.
    fn close(&mut self, number: u64, open: Open) {
        let Open { tally, cells } = open;
        let slices = u64::from(self.common.plan.slices_a_second());
        self.sums.add(&tally.counts);
        let parts = [
            (&mut self.service, Some(&tally.service)),
            (&mut self.response, Some(&tally.response)),
            (&mut self.lost, tally.lost.as_deref()),
        ];
        for (sum, part) in parts.into_iter().filter_map(|(sum, part)| Some((sum, part?))) {
            for value in part.iter_recorded() {
                let count = u64::from(value.count_at_value());
                sum.saturating_record_n(value.value_iterated_to(), count);
            }
        }
        self.buckets.push(number, &tally, cells);
        match &mut self.second {
            Some((_, second)) => second.add(&tally),
            second @ None => *second = Some((number / slices, tally)),
        }
        if (number + 1).is_multiple_of(slices) {
            self.close_second();
        }
    }

    /// A second is over for all clients.
    fn close_second(&mut self) {
        let Some((second, tally)) = self.second.take() else { return };
        let begins = self.common.start + SECOND * u32::try_from(second).unwrap_or(u32::MAX);
        let after_end = begins >= self.common.measured_until();
        // A row behind the end only exists if calls ended in it.
        if !tally.counts.is_idle() || !(after_end || self.places.iter().all(Option::is_none)) {
            let row = tally.row(second, after_end);
            (self.on_event)(Event::Row(&row));
            self.rows.push(row);
        }
    }

    fn summary(self) -> (Summary, Sample) {
        let Collector { common, rows, buckets, sums, service, response, lost, recorders, last, .. } = self;
        let plan = &common.plan;
        let until = match common.measured_until() {
            Time::NEVER => last,
            until => until.max(common.start),
        };
        let elapsed = until.since(common.start);
        let (outage_began, outage) = common.outages.lock().longest(until);
        let outages_after = common.outages.lock().parts();
        let mut all = response.clone();
        all.add(&lost).expect("both have the same bounds");
        if sums.unsent > 0 {
            // Unsent operations would have waited longer than all that were sent.
            all.saturating_record_n(nanos(plan.timeout).max(all.max()), sums.unsent);
        }
        let ended = last.max(until).since(common.start).as_secs_f64();
        let (buckets, seen) = buckets.finish(ended);
        let summary = Summary {
            clients: plan.clients,
            batch: plan.batch,
            gather: plan.gather,
            pipeline: plan.in_flight_max(),
            rate: plan.rate,
            seed: plan.seed,
            elapsed: elapsed.as_secs_f64(),
            ended,
            sent: sums.sent,
            unsent: sums.unsent,
            answered: sums.answered,
            refused: sums.refused,
            failed: sums.rejections() + sums.unknown,
            unknown: sums.unknown,
            answered_in_time: sums.in_time,
            throughput: rate(sums.in_time, elapsed),
            warm_up: sums.carried,
            service: Figures::of(&service),
            response: Figures::of(&response),
            all: Figures::of(&all),
            outage: outage.as_secs_f64(),
            outage_began: outage_began.since(common.start).as_secs_f64(),
            outage_share: ratio(outage.as_secs_f64(), elapsed.as_secs_f64()),
            outages_after,
            rejected: sums.rejected,
            curves: Curves { service: curve(&service), response: curve(&response), all: curve(&all) },
            rows,
            buckets,
            seen,
        };
        (summary, Recorder::merge(recorders))
    }
}
