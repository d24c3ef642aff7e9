//! A load that runs: its clients' threads, and the one that gathers what they tell, a row for each second.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::client::{Client, Common, Pace, Told};
use super::numbers::float;
use super::plan::{Amount, Plan};
use super::sampling::{Kept, Recorder, Sampling};
use super::tally::{Figures, Latencies, Row, Slice};
use super::workload::Workload;
use crate::client::Pipeline;
use crate::console::history_file::HistoryFile;
use crate::types::{Random, Time};

/// Clients' threads call little: they need no deep stack, and there may be thousands.
const STACK_BYTES: usize = 256 << 10;

/// A load that runs, or has ended. Dropping it ends it.
pub struct Load {
    common: Arc<Common>,
    collector: Option<JoinHandle<Outcome>>,
    ended: Receiver<()>,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// A row for each second that was counted.
    pub rows: Vec<Row>,
    /// From when on was counted.
    pub start: Time,
    /// Until the last call that counted had ended.
    pub elapsed: Duration,
    /// Operations sent.
    pub sent: u64,
    /// Operations of an open loop that were due, and for which there was no room before the end.
    pub unsent: u64,
    /// Operations answered.
    pub answered: u64,
    /// Those of them that the store refused, such as creating a key that exists.
    pub refused: u64,
    /// Operations that were certainly not carried out, by the reason.
    pub failed: BTreeMap<&'static str, u64>,
    /// Operations of which nobody knows.
    pub unknown: u64,
    /// From sending to the answer.
    pub service: Figures,
    /// From the intended start to the answer.
    pub response: Figures,
    /// The longest time in which nobody was answered.
    pub outage: Duration,
    /// When that began.
    pub outage_began: Duration,
    /// What was kept to be judged.
    pub kept: Kept,
}

/// What happens in a load, for whoever watches.
pub enum Event<'a> {
    /// A second is over.
    Row(&'a Row),
    /// All clients have ended.
    Ended(&'a Outcome),
}

/// What is gathered.
struct Collector {
    common: Arc<Common>,
    told: Receiver<Told>,
    on_event: Box<dyn FnMut(Event<'_>) + Send>,
    /// For each client the second that it is in; none when it has ended.
    seconds: Vec<Option<u64>>,
    open: BTreeMap<u64, Slice>,
    rows: Vec<Row>,
    sums: Slice,
    service: Histogram<u64>,
    response: Histogram<u64>,
    recorders: Vec<Recorder>,
    last: Time,
}

impl Load {
    /// Starts the clients of a plan, each with its pipeline. `on_event` is called on a thread of its own for each
    /// second that is over, and at the end. With a file, the whole history is written.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(
        plan: &Plan,
        pipelines: Vec<Pipeline>,
        file: Option<HistoryFile>,
        on_event: impl FnMut(Event<'_>) + Send + 'static,
    ) -> io::Result<Load> {
        let begins = pipelines.first().map_or(Time::ZERO, Pipeline::now);
        let start = begins + plan.warm_up;
        let clients = pipelines.len();
        let common = Arc::new(Common::new(plan.clone(), start));
        let (sender, told) = unbounded();
        let file = file.map(|file| Arc::new(Mutex::new(file)));
        let sampling = Arc::new(Sampling::new(plan.workload.keys, plan.kept_max.div_ceil(clients.max(1))));
        let workloads = Workload::of_clients(&plan.workload, clients, plan.batch, plan.seed);
        let mut random = Random::new(plan.seed ^ 0x7061_6365);
        // From here on whoever fails has the clients that run already ended.
        let (over, ended) = bounded::<()>(1);
        let mut load = Load { common: Arc::clone(&common), collector: None, ended };
        for (number, (pipeline, workload)) in pipelines.into_iter().zip(workloads).enumerate() {
            let client = Client {
                number,
                common: Arc::clone(&common),
                pipeline: pipeline.gathering(usize::try_from(plan.gather).unwrap_or(usize::MAX)),
                workload,
                recorder: Recorder::new(Arc::clone(&sampling), number, file.clone()),
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

    /// Whether all clients have ended.
    pub fn is_over(&self) -> bool {
        self.collector.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// From when on is counted.
    pub fn start_time(&self) -> Time {
        self.common.start
    }

    /// Waits until all clients have ended.
    pub fn join(mut self) -> Outcome {
        match self.collector.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Outcome::default(),
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

/// The operations that are this client's to send.
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
        told: Receiver<Told>,
        clients: usize,
        on_event: Box<dyn FnMut(Event<'_>) + Send>,
    ) -> Collector {
        let wide = |narrow: &Latencies| {
            Histogram::new_with_bounds(narrow.low(), narrow.high(), narrow.sigfig()).expect("the same bounds")
        };
        let sums = Slice::new();
        Collector {
            last: common.start,
            common,
            told,
            on_event,
            seconds: vec![Some(0); clients],
            open: BTreeMap::new(),
            rows: Vec::new(),
            service: wide(&sums.service),
            response: wide(&sums.response),
            sums,
            recorders: Vec::new(),
        }
    }

    /// `over` is dropped at the end, which closes its channel.
    fn run(mut self, over: Sender<()>) -> Outcome {
        while let Ok(told) = self.told.recv() {
            match told {
                Told::Slice { client, second, slice } => {
                    match self.open.get_mut(&second) {
                        Some(sum) => sum.add(&slice),
                        None => drop(self.open.insert(second, *slice)),
                    }
                    self.seconds[client] = Some(second + 1);
                }
                Told::Ended { client, recorder, last } => {
                    self.seconds[client] = None;
                    self.recorders.push(*recorder);
                    self.last = self.last.max(last);
                }
            }
            let reached = self.seconds.iter().flatten().min().copied().unwrap_or(u64::MAX);
            while let Some(first) = self.open.first_entry()
                && *first.key() < reached
            {
                let (second, slice) = first.remove_entry();
                self.close(second, &slice);
            }
        }
        let mut on_event = std::mem::replace(&mut self.on_event, Box::new(|_| {}));
        let outcome = self.outcome();
        on_event(Event::Ended(&outcome));
        // Whoever waits for the end finds that everything was told: what tells goes first.
        drop(on_event);
        drop(over);
        outcome
    }

    /// A second is over for all clients.
    fn close(&mut self, second: u64, slice: &Slice) {
        let Slice { sent, unsent, answered, refused, unknown, failed, service, response } = slice;
        let nothing = *sent == 0 && *answered == 0 && *unknown == 0 && failed.is_empty();
        if !(nothing && self.seconds.iter().all(Option::is_none)) {
            let row = slice.row(second);
            (self.on_event)(Event::Row(&row));
            self.rows.push(row);
        }
        self.sums.sent += sent;
        self.sums.unsent += unsent;
        self.sums.answered += answered;
        self.sums.refused += refused;
        self.sums.unknown += unknown;
        for (kind, number) in failed {
            *self.sums.failed.entry(kind).or_default() += number;
        }
        for (sum, part) in [(&mut self.service, service), (&mut self.response, response)] {
            for value in part.iter_recorded() {
                let count = u64::from(value.count_at_value());
                sum.saturating_record_n(value.value_iterated_to(), count);
            }
        }
    }

    fn outcome(self) -> Outcome {
        let Collector { common, rows, sums, service, response, recorders, last, .. } = self;
        common.note_answer(last);
        let (outage_began, outage) = common.outage();
        Outcome {
            rows,
            start: common.start,
            elapsed: last.since(common.start),
            sent: sums.sent,
            unsent: sums.unsent,
            answered: sums.answered,
            refused: sums.refused,
            failed: sums.failed,
            unknown: sums.unknown,
            service: Figures::of(&service),
            response: Figures::of(&response),
            outage,
            outage_began: outage_began.since(common.start),
            kept: Recorder::merge(recorders),
        }
    }
}
