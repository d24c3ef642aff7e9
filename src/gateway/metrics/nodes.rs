//! What the nodes tell of themselves, as families of metrics: each with all nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::faults::End;
use crate::gateway::site::Site;
use crate::net::counts::LinkCounts;
use crate::node::{Durations, Measures};
use crate::server::{RoleName, Status};
use crate::text::numbers::float;
use crate::types::NodeId;

/// All nodes at one moment.
#[derive(Debug)]
pub(super) struct Nodes {
    statuses: BTreeMap<NodeId, Option<Status>>,
    measures: BTreeMap<NodeId, Measures>,
    messages: Vec<(NodeId, NodeId, LinkCounts)>,
}

/// The name of a family, what it is, and its value at a node.
type Row<T, V> = (&'static str, &'static str, fn(&T) -> V);

type DurationsRow = (&'static str, &'static str, for<'a> fn(&'a Measures) -> &'a Durations);

const GAUGES: &[Row<Status, u64>] = &[
    ("etcd_server_has_leader", "Whether the node knows a leader", |status| status.leader.is_some().into()),
    ("etcd_server_is_leader", "Whether the node leads", |status| (status.role == RoleName::Leader).into()),
    ("raftlab_term", "The latest term that the node has seen", |status| status.term.0),
    ("raftlab_log_last_index", "The last entry of the log", |status| status.last.index.0),
    ("raftlab_snapshot_index", "The last entry that the newest snapshot covers", |status| {
        status.snapshot.last.index.0
    }),
    ("raftlab_snapshot_size_bytes", "The size of the newest snapshot", |status| status.snapshot.bytes),
    ("raftlab_keys", "The keys in the store", |status| status.size as u64),
    ("etcd_server_proposals_pending", "Entries of the log that are not known to be committed", |status| {
        status.last.index.0.saturating_sub(status.commit.0)
    }),
];

/// Of the log: they are no smaller after a restart.
const INDICES: &[Row<Status, u64>] = &[
    ("etcd_server_proposals_committed", "The index up to which entries are committed", |status| {
        status.commit.0
    }),
    ("etcd_server_proposals_applied", "The index up to which entries are applied", |status| status.applied.0),
];

/// From the node's start on.
const COUNTERS: &[Row<Measures, u64>] = &[
    ("etcd_server_leader_changes_seen", "Leaders of newer terms that the node has heard of", |measures| {
        measures.leader_changes
    }),
    ("raftlab_snapshots_made", "Snapshots of the node's own that are durable", |measures| {
        measures.snapshots_made
    }),
    ("raftlab_snapshots_installed", "Snapshots of a leader that replaced the node's state", |measures| {
        measures.snapshots_installed
    }),
];

const DURATIONS: &[DurationsRow] = &[
    ("etcd_disk_wal_fsync_duration", "How long each sync of the log took", |measures| &measures.syncs),
    ("raftlab_commit_duration", "From appending an entry, as the leader, to its commit", |measures| {
        &measures.commits
    }),
];

const MESSAGES: &[Row<LinkCounts, u64>] = &[
    ("raftlab_network_messages_sent", "Messages from node to node", |counts| counts.sent),
    ("raftlab_network_messages_dropped", "Those that were lost, for any reason", |counts| counts.dropped),
];

impl Nodes {
    pub fn of(site: &Site) -> Nodes {
        let between = |(from, to, counts)| match (from, to) {
            (End::Node(from), End::Node(to)) => Some((from, to, counts)),
            _ => None,
        };
        Nodes {
            statuses: (site.statuses)(),
            measures: (site.measures)(),
            messages: (site.messages)().into_iter().filter_map(between).collect(),
        }
    }
}

impl Collector for Nodes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (gauge, counter) = (MetricType::Gauge, MetricType::Counter);
        let up = self.statuses.iter().map(|(node, status)| (node_label(*node), u64::from(status.is_some())));
        family(&mut encoder, "raftlab_up", "Whether the node runs", gauge, up)?;
        let ids = self.running().map(|(node, _)| (node_label(node), u64::from(node.number())));
        family(&mut encoder, "etcd_server_id", "The number of the node", gauge, ids)?;
        for (rows, kind) in [(GAUGES, gauge), (INDICES, counter)] {
            for (name, help, value) in rows {
                let values = self.running().map(|(node, status)| (node_label(node), value(status)));
                family(&mut encoder, name, help, kind, values)?;
            }
        }
        for (name, help, value) in COUNTERS {
            let values = self.measures.iter().map(|(node, measures)| (node_label(*node), value(measures)));
            family(&mut encoder, name, help, counter, values)?;
        }
        for (name, help, value) in MESSAGES {
            let labels = |from: NodeId, to: NodeId| [("from", from.to_string()), ("to", to.to_string())];
            let values = self.messages.iter().map(|(from, to, counts)| (labels(*from, *to), value(counts)));
            family(&mut encoder, name, help, counter, values)?;
        }
        for (name, help, value) in DURATIONS {
            let values = self.measures.iter().map(|(node, measures)| (node_label(*node), value(measures)));
            histograms(&mut encoder, name, help, values)?;
        }
        Ok(())
    }
}

impl Nodes {
    fn running(&self) -> impl Iterator<Item = (NodeId, &Status)> {
        self.statuses.iter().filter_map(|(node, status)| Some((*node, status.as_ref()?)))
    }
}

fn node_label(node: NodeId) -> [(&'static str, String); 1] {
    [("node", node.to_string())]
}

fn family<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    values: impl Iterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        let mut metric = family.encode_family(&labels)?;
        match kind {
            MetricType::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
            _ => metric.encode_gauge(&value)?,
        }
    }
    Ok(())
}

fn histograms<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (impl EncodeLabelSet, &'a Durations)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (labels, durations) in values {
        let ends = Durations::ends().map(in_seconds).chain([f64::INFINITY]);
        let classes: Vec<(f64, u64)> = ends.zip(durations.counts.iter().copied()).collect();
        let count = classes.iter().map(|(_, count)| count).sum();
        let mut metric = family.encode_family(&labels)?;
        metric.encode_histogram::<NoLabelSet>(durations.sum.as_secs_f64(), count, &classes, None)?;
    }
    Ok(())
}

/// From whole microseconds: 3.2 ms is written as 0.0032, and not with the many digits that a sum of fractions may have.
fn in_seconds(time: Duration) -> f64 {
    float(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)) / 1e6
}
