//! The plan of a load, and its limits.

use std::time::Duration;

use super::workload::WorkloadSettings;
use crate::client::{CALLS_MAX, GATHERED_MAX, gathered_max};
use crate::text::numbers::float;

/// The most clients: each is a thread.
const CLIENTS_MAX: usize = 10_000;

/// With more clients than this, each tells what it measured once a second: they would be woken too often.
const CLIENTS_IN_DETAIL_MAX: usize = 1_000;

/// A longer run is shown second by second.
const DETAIL_MAX: Duration = Duration::from_secs(60);

/// The most commands in one call, or in one entry.
const BATCH_MAX: u64 = 10_000;

const KEYS_MAX: u64 = 10_000_000;

const VALUE_BYTES_MAX: usize = 1 << 20;

const RATE_MAX: u64 = 100_000_000;

/// A load: how many clients, what they ask, how fast, for how long.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// How many clients, each on a thread of its own.
    pub clients: usize,
    /// The most commands in flight of a client; none: one batch, or with a rate as many calls as a client may have.
    pub pipeline: Option<u64>,
    /// Commands in one call, which are applied together.
    pub batch: u64,
    /// The most commands of calls that leave together and share an entry; with 1, each call has its own entry.
    pub gather: u64,
    pub amount: Amount,
    /// Operations a second of all clients together, independent of answers (an open loop); none: as fast as answers come.
    pub rate: Option<u64>,
    pub workload: WorkloadSettings,
    /// A time at the beginning in which calls are not counted.
    pub warm_up: Duration,
    /// How long a client tries before it gives up.
    pub timeout: Duration,
    /// Decides keys, commands and the times of an open loop.
    pub seed: u64,
    /// The most operations that are kept to be judged at the end; zero keeps none.
    pub kept_max: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    For(Duration),
    Count(u64),
    Unending,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            clients: 1,
            pipeline: None,
            batch: 1,
            gather: GATHERED_MAX as u64,
            amount: Amount::For(Duration::from_secs(10)),
            rate: None,
            workload: WorkloadSettings::default(),
            warm_up: Duration::ZERO,
            timeout: Duration::from_secs(2),
            seed: 1,
            kept_max: 200_000,
        }
    }
}

impl Plan {
    /// Checks the limits.
    ///
    /// # Errors
    /// One line: which limit is broken, and what to write instead.
    pub fn validate(&self) -> Result<(), String> {
        let Plan { clients, batch, workload, .. } = self;
        let within = |what: &str, number: u64, most: u64| match number {
            0 => Err(format!("{what} must be above zero")),
            _ if number > most => Err(format!("{what} must be {most} at most")),
            _ => Ok(()),
        };
        within("the number of clients", *clients as u64, CLIENTS_MAX as u64)?;
        within("the batch", *batch, BATCH_MAX)?;
        within("the number of commands that share an entry", self.gather, BATCH_MAX)?;
        within("the number of keys", workload.keys, KEYS_MAX)?;
        within("the timeout", u64::try_from(self.timeout.as_nanos()).unwrap_or(u64::MAX), u64::MAX)?;
        within("the rate", self.rate.unwrap_or(1), RATE_MAX)?;
        if let Some(pipeline) = self.pipeline {
            within("the pipeline", pipeline, batch * CALLS_MAX as u64)?;
            if pipeline < *batch {
                return Err(format!("a pipeline of {pipeline} has no room for a batch of {batch}"));
            }
        }
        if workload.value_bytes > VALUE_BYTES_MAX {
            return Err(format!("a value has at most {VALUE_BYTES_MAX} bytes"));
        }
        if workload.zipf.is_some_and(|exponent| !(0.0..=10.0).contains(&exponent)) {
            return Err("the exponent of Zipf's law must be between 0 and 10".to_string());
        }
        match self.amount {
            Amount::For(Duration::ZERO) => Err("the duration must be above zero".to_string()),
            Amount::Count(0) => {
                Err("the count must be above zero: there would be nothing to send".to_string())
            }
            Amount::For(_) | Amount::Count(_) | Amount::Unending => Ok(()),
        }
    }

    /// How many times a second each client tells what it measured.
    pub(super) fn slices_a_second(&self) -> u32 {
        let long = matches!(self.amount, Amount::For(duration) if duration > DETAIL_MAX);
        if long || self.clients > CLIENTS_IN_DETAIL_MAX { 1 } else { 10 }
    }

    /// The most operations in flight of a client.
    pub fn in_flight_max(&self) -> u64 {
        match (self.pipeline, self.rate) {
            (Some(pipeline), _) => pipeline,
            (None, Some(_)) => self.batch * CALLS_MAX as u64,
            (None, None) => self.batch,
        }
    }

    /// The most commands of several calls in an entry, when as many are in flight as may be.
    pub fn gathered_max(&self) -> u64 {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let in_flight = self.in_flight_max();
        in_flight.min(gathered_max(number(in_flight), number(self.gather)) as u64)
    }

    /// How many operations a call has on average.
    pub(super) fn operations_a_call(&self) -> f64 {
        let reads = f64::from(self.workload.reads_per_million) / 1e6;
        let batch = float(self.batch);
        // Of each operation that is read, a call; of each that is written, a part of one.
        1.0 / (reads + (1.0 - reads) / batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_carried_out_is_refused_in_one_line() {
        assert_eq!(Plan::default().validate(), Ok(()));
        let keys = |keys| WorkloadSettings { keys, ..WorkloadSettings::default() };
        let wrong = [
            Plan { clients: 0, ..Plan::default() },
            Plan { clients: 1_000_000, ..Plan::default() },
            Plan { batch: 0, ..Plan::default() },
            Plan { gather: 0, ..Plan::default() },
            Plan { pipeline: Some(0), ..Plan::default() },
            Plan { pipeline: Some(3), batch: 4, ..Plan::default() },
            Plan { pipeline: Some(1_000_000), ..Plan::default() },
            Plan { rate: Some(0), ..Plan::default() },
            Plan { amount: Amount::Count(0), ..Plan::default() },
            Plan { amount: Amount::For(Duration::ZERO), ..Plan::default() },
            Plan { timeout: Duration::ZERO, ..Plan::default() },
            Plan { workload: keys(0), ..Plan::default() },
        ];
        for plan in wrong {
            assert!(plan.validate().is_err_and(|reason| !reason.contains('\n')), "{plan:?}");
        }
    }
}
