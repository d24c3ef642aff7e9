//! The `log` crate: each event is a record with its node's target, `raftlab::n1`, for the program's own logger.

use std::sync::LazyLock;

use log::{Level, log, log_enabled};

use super::{TARGET, TraceEvent};
use crate::types::{NODES_MAX, NodeId};

/// Of each node, so that a record needs no memory.
static TARGETS: LazyLock<Vec<String>> =
    LazyLock::new(|| NodeId::first(NODES_MAX).iter().map(|node| format!("{TARGET}{node}")).collect());

pub(crate) fn target(node: NodeId) -> &'static str {
    &TARGETS[usize::from(node.number()) - 1]
}

/// Whether the program's logger takes records of this level from one of these nodes. Without a logger this costs one load.
pub(crate) fn is_logged(level: Level, nodes: &[NodeId]) -> bool {
    level <= log::max_level() && nodes.iter().any(|node| log_enabled!(target: target(*node), level))
}

/// Hands an event of this level to the program's logger, which decides whether it is formatted.
pub(crate) fn log_event(event: &TraceEvent, level: Level) {
    if level <= log::max_level() {
        log!(target: target(event.node), level, "{}", event.what);
    }
}
