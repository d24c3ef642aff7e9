//! A run in a line.

use super::Experiment;
use crate::load::Plan;
use crate::protocol::ReadMode;
use crate::text::counted;
use crate::text::numbers::grouped;

impl Experiment {
    /// `3 nodes in memory, 64 clients with 1 in flight, 50 % linearizable reads`.
    pub(super) fn setup(&self, nodes: usize, described: Option<String>) -> String {
        let Plan { clients, batch, rate, workload, .. } = &self.plan;
        let place = match (&self.remote, self.settings.memory, self.settings.express) {
            (Some(_), ..) => "in processes",
            (None, true, true) => "in memory, express",
            (None, true, false) => "in memory",
            (None, false, true) => "on disk, express",
            (None, false, false) => "on disk",
        };
        let speed = match rate {
            Some(rate) => format!("{}/s wanted", grouped(*rate)),
            None => format!("{} in flight each", self.plan.in_flight_max()),
        };
        let mode = match workload.read_mode {
            ReadMode::Linearizable => "linearizable",
            ReadMode::Lease => "lease",
            ReadMode::Stale if workload.judges_stale => "serializable",
            ReadMode::Stale => "stale",
        };
        let reads = f64::from(workload.reads_per_million) / 10_000.0;
        let reads =
            if workload.reads_per_million > 0 { format!(", {reads} % {mode} reads") } else { String::new() };
        let batches = if *batch > 1 { format!(", batches of {batch}") } else { String::new() };
        let gather = self.plan.gathered_max();
        let shared = if gather > *batch { format!(", up to {gather} to an entry") } else { String::new() };
        let keys = workload.zipf.map_or("uniform".to_string(), |exponent| format!("zipfian {exponent}"));
        let system = described.unwrap_or_else(|| format!("{} {place}", counted(nodes, "node")));
        let clients = counted(*clients, "client");
        let (count, bytes) = (workload.keys, counted(workload.value_bytes, "byte"));
        let plural = if count == 1 { "key" } else { "keys" };
        format!(
            "{system}; {clients}, {speed}{batches}{shared}{reads}; {} {keys} {plural}, values of {bytes}",
            grouped(count)
        )
    }
}
