//! The load on a system: clients in closed loops, and what they measured.
//!
//! Each client has its own latencies. They are added up at the end, so clients share nothing on their way.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::map::Put;

/// How long anything may take before a run counts as failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Keys that commands are about.
const KEYS: u64 = 10_000;

/// A load.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Clients, each a thread or tasks of its own.
    pub clients: usize,
    /// Commands in flight of each.
    pub window: usize,
    /// Connections that the clients share, of systems that have any.
    pub connections: usize,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// How long is counted.
    pub span: Duration,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figure {
    /// Commands answered a second.
    pub rate: f64,
    /// Half were answered within so many microseconds.
    pub p50: f64,
    /// 99 of a hundred were.
    pub p99: f64,
}

/// A client of a system, on a thread of its own.
pub trait Client: Send {
    /// Sends these commands. Their answers come in this order.
    fn send(&mut self, puts: Vec<Put>) -> Result<(), String>;

    /// Waits until some commands have been answered, and says how many.
    fn wait(&mut self) -> Result<usize, String>;
}

/// From when until when answers are counted.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    start: Instant,
    end: Instant,
}

/// What one client has seen.
#[derive(Debug)]
pub struct Tally {
    times: Times,
    /// Commands that were answered in time to count.
    counted: u64,
    /// All commands that were answered.
    answered: u64,
    /// In nanoseconds.
    latencies: Histogram<u64>,
}

impl Times {
    /// From now on, less a tenth of the span to warm up.
    pub fn of(plan: &Plan) -> Times {
        let start = Instant::now() + plan.span / 10;
        Times { start, end: start + plan.span }
    }

    /// Whether nothing more is to be sent.
    pub fn are_over(&self, now: Instant) -> bool {
        now >= self.end
    }
}

impl Tally {
    /// Of a client that has seen nothing yet.
    pub fn new(times: Times) -> Tally {
        Tally { times, counted: 0, answered: 0, latencies: latencies() }
    }

    /// A command that was sent then was answered now.
    pub fn note(&mut self, sent: Instant, now: Instant) {
        self.answered += 1;
        if (self.times.start..self.times.end).contains(&now) {
            self.counted += 1;
            let nanos = u64::try_from(now.duration_since(sent).as_nanos()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(nanos);
        }
    }

    /// Of all clients together: how many commands were answered in all, and what the run came to.
    pub fn sum(plan: &Plan, tallies: &[Tally]) -> (u64, Figure) {
        let mut all = latencies();
        for tally in tallies {
            all.add(&tally.latencies).expect("both have the same bounds");
        }
        let micros = |quantile| Duration::from_nanos(all.value_at_quantile(quantile)).as_secs_f64() * 1e6;
        let counted: u64 = tallies.iter().map(|tally| tally.counted).sum();
        let rate = float(counted) / plan.span.as_secs_f64();
        let answered = tallies.iter().map(|tally| tally.answered).sum();
        (answered, Figure { rate, p50: micros(0.5), p99: micros(0.99) })
    }
}

/// Beyond 2^53 it is rounded, which no figure shows.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn float(number: u64) -> f64 {
    number as f64
}

/// Within one percent, up to what anybody waits for.
fn latencies() -> Histogram<u64> {
    let bound = u64::try_from(PATIENCE.as_nanos()).expect("half a minute");
    Histogram::new_with_bounds(1, bound, 2).expect("these bounds are in order")
}

/// Runs each of these clients on a thread of its own until the plan is carried out and all is answered.
pub fn drive<C: Client>(plan: &Plan, clients: Vec<C>) -> Result<Vec<Tally>, String> {
    assert_eq!(clients.len(), plan.clients, "as many clients as were asked for");
    let times = Times::of(plan);
    let (window, value_bytes) = (plan.window, plan.value_bytes);
    thread::scope(|scope| {
        let start = |(number, client)| {
            let puts = Puts::new(number, value_bytes);
            scope.spawn(move || keep_full(client, puts, window, times))
        };
        let threads: Vec<_> = (1..).zip(clients).map(start).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err("a client's thread panicked".to_string()))
        };
        threads.into_iter().map(join).collect()
    })
}

/// A client's loop: what was answered is replaced at once, all of it together.
fn keep_full<C: Client>(mut client: C, mut puts: Puts, window: usize, times: Times) -> Result<Tally, String> {
    let mut tally = Tally::new(times);
    let mut sent = VecDeque::with_capacity(window);
    loop {
        let now = Instant::now();
        if !times.are_over(now) && sent.len() < window {
            let room = window - sent.len();
            client.send((0..room).map(|_| puts.draw()).collect())?;
            sent.extend(std::iter::repeat_n(now, room));
        }
        if sent.is_empty() {
            return Ok(tally);
        }
        let answered = client.wait()?;
        let now = Instant::now();
        for sent in sent.drain(..answered) {
            tally.note(sent, now);
        }
    }
}

/// One client's commands.
#[derive(Clone, Debug)]
pub struct Puts {
    random: u64,
    value_bytes: usize,
}

impl Puts {
    /// A stream of its own for each number.
    pub fn new(number: u64, value_bytes: usize) -> Puts {
        Puts { random: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, value_bytes }
    }

    /// The next one.
    pub fn draw(&mut self) -> Put {
        // Marsaglia's xorshift: keys need not be random for long.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Put {
            key: format!("k{}", self.random % KEYS),
            value: format!("{:01$x}", self.random, self.value_bytes),
        }
    }
}
