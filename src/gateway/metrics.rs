//! `/metrics`, in the form of `OpenMetrics`: etcd's names and units where it has them.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::site::Site;
use crate::faults::End;
use crate::server::{RoleName, Status};
use crate::types::NodeId;
use crate::web::response::Response;

type Labels = Vec<(&'static str, String)>;

/// What the gateway counts by itself.
#[derive(Debug)]
pub(super) struct Metrics {
    requests: Family<Labels, Counter>,
    durations: Family<Labels, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics { requests: Family::default(), durations: Family::new_with_constructor(durations) }
    }
}

/// From 0.1 ms to 3 s.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 16))
}

impl Metrics {
    /// A request that named no path was refused.
    pub fn malformed(&self, status: u16) {
        let labels = vec![("route", "malformed".to_string()), ("status", status.to_string())];
        self.requests.get_or_create_owned(&labels).inc();
    }

    pub fn answered(&self, route: &'static str, status: u16, took: Duration) {
        let labels = vec![("route", route.to_string()), ("status", status.to_string())];
        self.requests.get_or_create_owned(&labels).inc();
        self.durations.get_or_create_owned(&vec![("route", route.to_string())]).observe(took.as_secs_f64());
    }

    /// All that there is at this moment.
    pub fn page(&self, site: &Site) -> Response {
        let mut registry = Registry::default();
        let help = "Requests that the gateway has answered";
        registry.register("raftlab_http_requests", help, self.requests.clone());
        let help = "From the whole request to its answer";
        registry.register_with_unit(
            "raftlab_http_request_duration",
            help,
            Unit::Seconds,
            self.durations.clone(),
        );
        for (node, status) in (site.statuses)() {
            let up = Gauge::<i64>::default();
            up.set(status.is_some().into());
            let labelled = registry.sub_registry_with_label(("node".into(), node.to_string().into()));
            labelled.register("raftlab_up", "Whether the node runs", up);
            if let Some(status) = status {
                register_node(labelled, node, &status);
            }
        }
        register_messages(&mut registry, site);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a text can be written");
        let kind = "application/openmetrics-text; version=1.0.0";
        Response { status: 200, kind, policy: None, file: None, body: text.into_bytes() }
    }
}

fn register_node(registry: &mut Registry, node: NodeId, status: &Status) {
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("etcd_server_has_leader", "Whether the node knows a leader", status.leader.is_some().into());
    gauge("etcd_server_is_leader", "Whether the node leads", u64::from(status.role == RoleName::Leader));
    gauge("etcd_server_id", "The number of the node", node.number().into());
    gauge("raftlab_term", "The latest term that the node has seen", status.term.0);
    gauge("raftlab_log_last_index", "The last entry of the log", status.last.index.0);
    gauge(
        "raftlab_snapshot_index",
        "The last entry that the newest snapshot covers",
        status.snapshot.last.index.0,
    );
    gauge("raftlab_snapshot_size_bytes", "The size of the newest snapshot", status.snapshot.bytes);
    gauge("raftlab_keys", "The keys in the store", status.size as u64);
    let pending = status.last.index.0.saturating_sub(status.commit.0);
    gauge("etcd_server_proposals_pending", "Entries of the log that are not known to be committed", pending);
    let mut counter = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstCounter::new(value));
    };
    counter(
        "etcd_server_proposals_committed",
        "The index up to which entries are committed",
        status.commit.0,
    );
    counter("etcd_server_proposals_applied", "The index up to which entries are applied", status.applied.0);
}

fn register_messages(registry: &mut Registry, site: &Site) {
    let (sent, dropped): (Family<Labels, Counter>, Family<Labels, Counter>) = Default::default();
    for (from, to, counts) in (site.messages)() {
        let (End::Node(from), End::Node(to)) = (from, to) else { continue };
        let labels = vec![("from", from.to_string()), ("to", to.to_string())];
        sent.get_or_create_owned(&labels).inc_by(counts.sent);
        dropped.get_or_create_owned(&labels).inc_by(counts.dropped);
    }
    registry.register("raftlab_network_messages_sent", "Messages from node to node", sent);
    registry.register("raftlab_network_messages_dropped", "Those that were lost, for any reason", dropped);
}
