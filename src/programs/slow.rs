//! `--slow`: a pace at which a class can follow each heartbeat and each message, made of what the console has anyway.

use std::time::Duration;

use crate::console::executor::{Console, parse};
use crate::text::units::duration_text;

/// How many times as long everything takes.
pub const FACTOR: f64 = 20.0;

/// How long a message takes, before everything takes longer: a fifth of a heartbeat.
const FLIGHT: Duration = Duration::from_millis(10);

/// Slows messages down and tells of each, on a cluster whose times are this many times as long. Says so.
pub fn begin(console: &mut Console, scale: f64) -> String {
    let flight = duration_text(FLIGHT.mul_f64(scale));
    execute(console, &[&format!("delay {flight}"), "events heartbeats"]);
    format!(
        "slow: times are {scale} times as long, a message takes {flight} ('delay 0' ends that), and each is told \
         ('events on' tells less)"
    )
}

/// The same in virtual time, which passes more slowly.
pub fn begin_in_virtual_time(console: &mut Console) -> String {
    let flight = duration_text(FLIGHT);
    execute(console, &[&format!("delay {flight}"), "events heartbeats", "speed 0.05"]);
    format!(
        "slow: time passes at a twentieth of its pace ('speed max' ends that), a message takes {flight}, and each is told \
         ('events on' tells less)"
    )
}

fn execute(console: &mut Console, lines: &[&str]) {
    for line in lines {
        let line = parse(line).ok().flatten().expect("these are directives");
        console.execute(&line);
    }
}
