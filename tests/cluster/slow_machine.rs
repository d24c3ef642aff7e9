//! A state machine that takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use raftlab::StateMachine;
use serde::{Deserialize, Serialize};

/// Counts its commands.
#[derive(Default)]
pub struct Slow {
    count: u64,
    /// Microseconds that a command takes.
    pause: Arc<AtomicU64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Count;

impl Slow {
    pub fn new(pause: &Arc<AtomicU64>) -> Slow {
        Slow { count: 0, pause: Arc::clone(pause) }
    }
}

impl StateMachine for Slow {
    type Command = Count;
    type Query = Count;
    type Answer = u64;
    type Snapshot = u64;

    fn apply(&mut self, _command: &Count) -> u64 {
        let until = Instant::now() + Duration::from_micros(self.pause.load(Ordering::Relaxed));
        while Instant::now() < until {
            thread::yield_now();
        }
        self.count += 1;
        self.count
    }

    fn query(&self, _query: &Count) -> u64 {
        self.count
    }

    fn snapshot(&self) -> u64 {
        self.count
    }

    fn restore(&mut self, count: u64) {
        self.count = count;
    }

    fn items(&self) -> Vec<(String, String)> {
        vec![("thread".to_string(), thread::current().name().unwrap_or_default().to_string())]
    }
}
