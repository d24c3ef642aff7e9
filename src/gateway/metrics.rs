//! `/metrics`, in the form of `OpenMetrics`: etcd's names and units where it has them.

mod nodes;

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use self::nodes::Nodes;
use super::site::Site;
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
        registry.register_collector(Box::new(Nodes::of(site)));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a text can be written");
        let kind = "application/openmetrics-text; version=1.0.0";
        Response { status: 200, kind, policy: None, file: None, body: text.into_bytes() }
    }
}
