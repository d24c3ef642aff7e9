//! The rules that settings must keep, and how a broken one is reported.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::times::shown;
use super::{BYTES_LIMIT, RaftSettings, Settings, TIME_MAX, TIME_SCALE_RANGE, VALUE_BYTES_MAX};
use crate::types::{NODES_MAX, NodeId};

/// The shortest heartbeat after scaling: timers of an ordinary system overshoot by as much.
const HEARTBEAT_MIN: Duration = Duration::from_micros(100);

/// Why settings are rejected. Shown as one line that names the setting, or the line of the text, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("line {line}: {}{problem}", key.as_ref().map_or_else(String::new, |key| format!("{key}: ")))]
    Text {
        /// Counted from 1.
        line: usize,
        /// The setting on that line, if there is one.
        key: Option<String>,
        /// What is wrong, and what to write.
        problem: String,
    },
    #[error("{key}: {problem}")]
    Rule { key: &'static str, problem: String },
}

impl Settings {
    /// Checks that all rules are kept.
    ///
    /// # Errors
    /// The first rule that is broken, and what to do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=NODES_MAX).contains(&self.nodes) {
            return rule("nodes", nodes_problem(self.nodes.into()));
        }
        self.validate_preferred()?;
        let scale = self.time_scale;
        let (scale_min, scale_max) = TIME_SCALE_RANGE;
        if !(scale_min..=scale_max).contains(&scale) {
            return rule(
                "time_scale",
                format!("{scale} is not within {scale_min} to {scale_max}: 1 is real time"),
            );
        }
        self.raft.validate()?;
        let heartbeat = self.raft.heartbeat.mul_f64(scale);
        if heartbeat < HEARTBEAT_MIN {
            let (heartbeat, least) = (shown(heartbeat), shown(HEARTBEAT_MIN));
            return rule(
                "time_scale",
                format!(
                    "{scale} makes the heartbeat {heartbeat}, below the {least} that timers can keep: raise \
                     time_scale or heartbeat"
                ),
            );
        }
        positive_time("client_timeout", self.client_timeout)?;
        positive_limits([
            ("inbox_node", self.inbox_node),
            ("inbox_router", self.inbox_router),
            ("inbox_client", self.inbox_client),
            ("inbox_node_bytes", self.inbox_node_bytes),
            ("inbox_router_bytes", self.inbox_router_bytes),
            ("inbox_client_bytes", self.inbox_client_bytes),
            ("segment_bytes", count(self.segment_bytes)),
        ])?;
        bytes("value_bytes_max", self.value_bytes_max, VALUE_BYTES_MAX)?;
        for (key, folder) in [("states", &self.states), ("logs", &self.logs)] {
            if folder.as_os_str().is_empty() {
                return rule(key, format!("the folder has no name: choose one, such as \"{key}\""));
            }
        }
        Ok(())
    }
}

impl Settings {
    fn validate_preferred(&self) -> Result<(), ConfigError> {
        let Some(node) = self.preferred.filter(|node| !NodeId::first(self.nodes).contains(node)) else {
            return Ok(());
        };
        let advice = match self.nodes {
            1 => format!("{node} does not begin: n1 is the only one"),
            nodes => format!("{node} does not begin: choose one of n1 to n{nodes}"),
        };
        rule("preferred", format!("{advice}, or more nodes"))
    }
}

impl RaftSettings {
    /// Checks that all rules are kept.
    ///
    /// # Errors
    /// The first rule that is broken, and what to do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_times()?;
        positive_limits([
            ("in_flight_messages_max", self.in_flight_messages_max),
            ("in_flight_bytes_max", self.in_flight_bytes_max),
            ("uncommitted_bytes_max", self.uncommitted_bytes_max),
            ("snapshot_entries", count(self.snapshot_entries)),
            ("snapshot_bytes", self.snapshot_bytes),
            ("trailing_bytes", self.trailing_bytes),
            ("sessions_max", count(self.sessions_max)),
        ])?;
        let usual = RaftSettings::default();
        bytes("message_bytes_max", self.message_bytes_max, usual.message_bytes_max)?;
        bytes("snapshot_part_bytes", self.snapshot_part_bytes, usual.snapshot_part_bytes)?;
        if self.clock_drift_percent > 100 {
            let problem = format!("{} is not within 0 to 100: choose 10", self.clock_drift_percent);
            return rule("clock_drift_percent", problem);
        }
        Ok(())
    }

    fn validate_times(&self) -> Result<(), ConfigError> {
        positive_time("heartbeat", self.heartbeat)?;
        positive_time("election_min", self.election_min)?;
        positive_time("election_max", self.election_max)?;
        positive_time("disk_patience", self.disk_patience)?;
        let (heartbeat, window) = (shown(self.heartbeat), shown(self.batch_window));
        let (min, max, half) =
            (shown(self.election_min), shown(self.election_max), shown(self.election_min / 2));
        if self.election_min > self.election_max {
            rule(
                "election_min",
                format!("{min} is above election_max ({max}): lower it, or raise election_max"),
            )
        } else if self.election_min == self.election_max {
            let why = "with one timeout for all, elections can split without end (5.2): choose a longer election_max";
            rule("election_max", format!("it equals election_min ({min}); {why}"))
        } else if self.heartbeat > self.election_min / 2 {
            let why = "one lost or late heartbeat would start an election (5.6)";
            let remedy = format!("choose at most {half}, or a longer election_min");
            let problem = format!("{heartbeat} is above half of election_min ({min}); {why}: {remedy}");
            rule("heartbeat", problem)
        } else if self.batch_window >= self.heartbeat {
            let why = "commands would wait longer than followers do";
            let remedy = "choose a shorter window, or 0s to send at once";
            let problem = format!("{window} is not below heartbeat ({heartbeat}); {why}: {remedy}");
            rule("batch_window", problem)
        } else {
            Ok(())
        }
    }
}

/// Reads `nodes` from a file: a count beyond a `u8` breaks the same rule as 100.
pub(super) fn node_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let nodes = u64::deserialize(deserializer)?;
    u8::try_from(nodes).map_err(|_| serde::de::Error::custom(nodes_problem(nodes)))
}

fn nodes_problem(nodes: u64) -> String {
    format!("{nodes} is not within 1 to {NODES_MAX}: choose 3 or 5")
}

fn rule(key: &'static str, problem: String) -> Result<(), ConfigError> {
    Err(ConfigError::Rule { key, problem })
}

fn positive_time(key: &'static str, time: Duration) -> Result<(), ConfigError> {
    if time.is_zero() {
        return rule(key, "0s is no time: choose one above it".to_string());
    }
    if time > TIME_MAX {
        return rule(key, format!("{} is above {}: choose a shorter time", shown(time), shown(TIME_MAX)));
    }
    Ok(())
}

fn positive_limits<const N: usize>(limits: [(&'static str, usize); N]) -> Result<(), ConfigError> {
    match limits.into_iter().find(|(_, limit)| *limit == 0) {
        Some((key, _)) => {
            rule(key, "a limit of 0 lets nothing through: choose a number above it".to_string())
        }
        None => Ok(()),
    }
}

/// What travels as one piece is bounded: its receiver has to take it into memory.
fn bytes(key: &'static str, bytes: usize, usual: usize) -> Result<(), ConfigError> {
    if (1..=BYTES_LIMIT).contains(&bytes) {
        return Ok(());
    }
    rule(key, format!("{bytes} is not within 1 to {BYTES_LIMIT} bytes: {usual} is usual"))
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
