//! How long writes are not answered after the leader's process was killed, at equal election timeouts.
//!
//! raftlab: one blocking client puts as fast as it is answered; the longest time between two answers. etcd: a put every
//! two milliseconds to each server that is left; the time from the kill to the first that is answered.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, unbounded};

use crate::driver::{PATIENCE, Puts};
use crate::etcd::{Connection, Etcd};
use crate::options::{Options, SYSTEMS, System, VALUE_BYTES};
use crate::over_tcp::{self, Links, Processes};

/// Heartbeats and the shortest election timeout, in milliseconds; the longest is twice as long, as etcd has it.
const TIMING: (u32, u32) = (50, 300);

/// How long the load runs before the kill.
const BEFORE: Duration = Duration::from_secs(1);

/// How long it runs after the kill.
const AFTER: Duration = Duration::from_millis(2_500);

/// A table, and what failed.
pub fn measure(options: &Options) -> (String, Vec<String>) {
    let (heartbeat, shortest) = TIMING;
    let mut text = format!(
        "{} trials, heartbeats {heartbeat} ms, elections {shortest} to {} ms: no write is answered for\n\n\
         {:<16} {:>10} {:>10} {:>10}\n",
        options.rounds,
        2 * shortest,
        "system",
        "median",
        "least",
        "most"
    );
    let mut failures = Vec::new();
    let systems: Vec<System> = SYSTEMS.into_iter().filter(|system| options.wants_system(*system)).collect();
    let mut outages: Vec<Vec<f64>> = vec![Vec::new(); systems.len()];
    for round in 1..=options.rounds {
        for (system, outages) in systems.iter().zip(&mut outages) {
            let told = format!("trial {round}: {:<10}", system.name());
            let outage = match system {
                System::Etcd => etcd(),
                System::OverTls => raftlab(Links::Encrypted),
                _ => raftlab(Links::Plain),
            };
            match outage {
                Ok(outage) => {
                    let millis = outage.as_secs_f64() * 1_000.0;
                    eprintln!("{told} {millis:>6.0} ms");
                    outages.push(millis);
                }
                Err(why) => failures.push(format!("{told} {why}")),
            }
        }
    }
    for (system, mut outages) in systems.into_iter().zip(outages) {
        outages.sort_unstable_by(f64::total_cmp);
        let (Some(least), Some(most)) = (outages.first(), outages.last()) else { continue };
        let median = f64::midpoint(outages[(outages.len() - 1) / 2], outages[outages.len() / 2]);
        let _ = writeln!(text, "{:<16} {median:>7.0} ms {least:>7.0} ms {most:>7.0} ms", system.name());
    }
    (text, failures)
}

fn raftlab(links: Links) -> Result<Duration, String> {
    let (heartbeat, shortest) = TIMING;
    let longest = 2 * shortest;
    let settings = format!(
        "heartbeat = \"{heartbeat}ms\"\nelection_min = \"{shortest}ms\"\nelection_max = \"{longest}ms\"\n"
    );
    let mut processes = Processes::start(&settings, links)?;
    let clients = processes.clients()?;
    let client = clients.client().with_timeout(PATIENCE);
    let mut puts = Puts::new(1, VALUE_BYTES);
    let until = Instant::now() + BEFORE;
    let mut leader = over_tcp::put(&client, puts.draw())?;
    while Instant::now() < until {
        leader = over_tcp::put(&client, puts.draw())?;
    }
    let killed = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| processes.kill(leader));
        let mut last = killed;
        let mut longest = Duration::ZERO;
        while killed.elapsed() < AFTER {
            over_tcp::put(&client, puts.draw())?;
            let answered = Instant::now();
            longest = longest.max(answered - last);
            last = answered;
        }
        Ok(longest)
    })
}

fn etcd() -> Result<Duration, String> {
    let mut etcd = Etcd::start(TIMING)?;
    let mut puts = Puts::new(1, VALUE_BYTES);
    let leader = etcd.leader()?;
    let left = (0..3).filter(|at| *at != leader).map(|at| Connection::open(etcd.address(at)));
    let left = left.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let until = Instant::now() + BEFORE;
    while Instant::now() < until {
        let (sender, answer) = bounded(1);
        left[0].put(&puts.draw(), sender).map_err(|error| error.to_string())?;
        answer.recv_timeout(PATIENCE).map_err(|_| "etcd does not answer".to_string())?;
    }
    let killed = Instant::now();
    etcd.kill(leader);
    let (sender, answers) = unbounded();
    while killed.elapsed() < PATIENCE {
        for connection in &left {
            connection.put(&puts.draw(), sender.clone()).map_err(|error| error.to_string())?;
        }
        if answered(&answers, Duration::from_millis(2)) {
            return Ok(killed.elapsed());
        }
    }
    Err("etcd did not recover".to_string())
}

/// Whether a put succeeds within this time. One that fails has an empty answer.
fn answered(answers: &Receiver<Vec<u8>>, within: Duration) -> bool {
    let until = Instant::now() + within;
    while let Ok(answer) = answers.recv_deadline(until) {
        if !answer.is_empty() {
            return true;
        }
    }
    false
}
