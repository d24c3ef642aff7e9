//! The text form of settings: a TOML file in which every setting stands under its own name, none of them required.
//!
//! Only the text is read here; whether the values go together is for the rules of [`Settings::validate`].

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::{ConfigError, RaftSettings, Settings, VALUE_BYTES_LIMIT, shown, wrong_nodes};
use crate::text::units::parse_duration;
use crate::types::NODES_MAX;

/// A configuration file with every setting at its default and a word on each. Reading it gives the defaults.
#[expect(clippy::too_many_lines, reason = "it is one text")]
pub fn commented_defaults() -> String {
    let settings = Settings::default();
    let raft = &settings.raft;
    let folder = |path: &PathBuf| path.display().to_string();
    format!(
        "\
# Settings of a raftlab cluster. Each line shows a default; what is left out keeps it.
# Times are written as 150ms, 2s or 1m.

# How many nodes, 1 to {NODES_MAX}. An odd number tolerates as many failures as the even one above it.
nodes = {nodes}

# The seed of all chance in a run. Without it a fresh one is drawn and shown.
# seed = 42

# Where nodes keep their state and their logs, one folder or file a node.
states = \"{states}\"
logs = \"{logs}\"

# Keep nothing on disk: a crash of the program then loses everything.
memory = {memory}

# Every time below is multiplied by this: 10 to watch slowly, 0.1 to hurry.
time_scale = {time_scale:?}

# How often a leader speaks to each follower. At most half of election_min.
heartbeat = \"{heartbeat}\"

# A follower that hears from no leader for a time drawn between these two starts an election (5.2).
election_min = \"{election_min}\"
election_max = \"{election_max}\"

# How long a leader gathers commands before it sends them. 0s sends at once. Below heartbeat.
batch_window = \"{batch_window}\"

# How long a client tries before it says that it does not know.
client_timeout = \"{client_timeout}\"

# Ask before starting an election, so that a node cut off for a while disturbs nobody (9.6).
pre_vote = {pre_vote}

# A leader that a quorum no longer answers steps down (6.2).
check_quorum = {check_quorum}

# How much faster one node's clock may run than another's, in percent, 0 to 100. Reads by lease rely on it (6.4.1): a
# clock that breaks it can make them stale. Nothing else depends on clocks.
clock_drift_percent = {clock_drift_percent}

# Bytes of entries in one message, messages and bytes under way to one follower, at most.
message_bytes_max = {message_bytes_max}
in_flight_messages_max = {in_flight_messages_max}
in_flight_bytes_max = {in_flight_bytes_max}

# Bytes of uncommitted entries in a leader's log at most. Beyond, it refuses commands as busy.
uncommitted_bytes_max = {uncommitted_bytes_max}

# A node takes a snapshot when this many entries, or bytes of them, were applied since the last one (section 7). One of more
# than 64 KiB waits until sixteen times its size was logged, or these bytes; one that is itself larger, until as much was.
snapshot_entries = {snapshot_entries}
snapshot_bytes = {snapshot_bytes}

# Bytes of a snapshot in one message to a follower that needs it.
snapshot_part_bytes = {snapshot_part_bytes}

# Entries, and bytes of them, that stay in the log although a snapshot covers them: a follower that is a little slow
# needs no snapshot then.
trailing_entries = {trailing_entries}
trailing_bytes = {trailing_bytes}

# A leader whose own disk has not completed a write for this long hands over to a follower, if most others have shown
# better disks. Below election_min it counts as election_min.
disk_patience = \"{disk_patience}\"

# Clients' sessions that may be open at once. For one more, the one that was used least recently expires.
sessions_max = {sessions_max}

# Messages on links without a rule skip the router's thread: faster, with more threads sending at once.
express = {express}

# Groups of messages that may wait at a node, at the router and at a client. Beyond, they are dropped and counted.
inbox_node = {inbox_node}
inbox_router = {inbox_router}
inbox_client = {inbox_client}

# Bytes of messages that may wait there. Beyond, they are dropped and counted; a larger message passes when nothing else
# waits. What delays hold back at the router is bounded by as many bytes again.
inbox_node_bytes = {inbox_node_bytes}
inbox_router_bytes = {inbox_router_bytes}
inbox_client_bytes = {inbox_client_bytes}

# Bytes after which a node's log begins a new file.
segment_bytes = {segment_bytes}

# Bytes in a value at most, 1 to {VALUE_BYTES_LIMIT}. Larger ones are refused; what is in the logs is applied all the same.
value_bytes_max = {value_bytes_max}
",
        nodes = settings.nodes,
        states = folder(&settings.states),
        logs = folder(&settings.logs),
        memory = settings.memory,
        time_scale = settings.time_scale,
        heartbeat = shown(raft.heartbeat),
        election_min = shown(raft.election_min),
        election_max = shown(raft.election_max),
        batch_window = shown(raft.batch_window),
        client_timeout = shown(settings.client_timeout),
        pre_vote = raft.pre_vote,
        check_quorum = raft.check_quorum,
        clock_drift_percent = raft.clock_drift_percent,
        message_bytes_max = raft.message_bytes_max,
        in_flight_messages_max = raft.in_flight_messages_max,
        in_flight_bytes_max = raft.in_flight_bytes_max,
        uncommitted_bytes_max = raft.uncommitted_bytes_max,
        snapshot_entries = raft.snapshot_entries,
        snapshot_bytes = raft.snapshot_bytes,
        snapshot_part_bytes = raft.snapshot_part_bytes,
        trailing_entries = raft.trailing_entries,
        trailing_bytes = raft.trailing_bytes,
        disk_patience = shown(raft.disk_patience),
        sessions_max = raft.sessions_max,
        express = settings.express,
        inbox_node = settings.inbox_node,
        inbox_router = settings.inbox_router,
        inbox_client = settings.inbox_client,
        inbox_node_bytes = settings.inbox_node_bytes,
        inbox_router_bytes = settings.inbox_router_bytes,
        inbox_client_bytes = settings.inbox_client_bytes,
        segment_bytes = settings.segment_bytes,
        value_bytes_max = settings.value_bytes_max,
    )
}

/// Reads the text over the defaults.
pub(super) fn read(text: &str) -> Result<Settings, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| in_text(text, &error))?;
    file.over(Settings::default())
}

/// What a configuration file may hold: every setting by its own name, none of them required.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    nodes: Option<u64>,
    seed: Option<u64>,
    states: Option<PathBuf>,
    logs: Option<PathBuf>,
    memory: Option<bool>,
    time_scale: Option<f64>,
    heartbeat: Option<Written>,
    election_min: Option<Written>,
    election_max: Option<Written>,
    batch_window: Option<Written>,
    client_timeout: Option<Written>,
    pre_vote: Option<bool>,
    check_quorum: Option<bool>,
    clock_drift_percent: Option<u32>,
    message_bytes_max: Option<usize>,
    in_flight_messages_max: Option<usize>,
    in_flight_bytes_max: Option<usize>,
    uncommitted_bytes_max: Option<usize>,
    snapshot_entries: Option<u64>,
    snapshot_bytes: Option<usize>,
    snapshot_part_bytes: Option<usize>,
    trailing_entries: Option<u64>,
    trailing_bytes: Option<usize>,
    disk_patience: Option<Written>,
    sessions_max: Option<u64>,
    express: Option<bool>,
    inbox_node: Option<usize>,
    inbox_router: Option<usize>,
    inbox_client: Option<usize>,
    inbox_node_bytes: Option<usize>,
    inbox_router_bytes: Option<usize>,
    inbox_client_bytes: Option<usize>,
    segment_bytes: Option<u64>,
    value_bytes_max: Option<usize>,
}

/// A time as people write it.
struct Written(Duration);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Written, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Written).map_err(serde::de::Error::custom)
    }
}

impl File {
    fn over(self, base: Settings) -> Result<Settings, ConfigError> {
        let time = |written: Option<Written>, base: Duration| written.map_or(base, |written| written.0);
        let raft = base.raft;
        let nodes = self.nodes.unwrap_or(base.nodes.into());
        Ok(Settings {
            nodes: u8::try_from(nodes).map_err(|_| wrong_nodes(nodes))?,
            seed: self.seed.or(base.seed),
            states: self.states.unwrap_or(base.states),
            logs: self.logs.unwrap_or(base.logs),
            memory: self.memory.unwrap_or(base.memory),
            raft: RaftSettings {
                heartbeat: time(self.heartbeat, raft.heartbeat),
                election_min: time(self.election_min, raft.election_min),
                election_max: time(self.election_max, raft.election_max),
                batch_window: time(self.batch_window, raft.batch_window),
                message_bytes_max: self.message_bytes_max.unwrap_or(raft.message_bytes_max),
                in_flight_messages_max: self.in_flight_messages_max.unwrap_or(raft.in_flight_messages_max),
                in_flight_bytes_max: self.in_flight_bytes_max.unwrap_or(raft.in_flight_bytes_max),
                uncommitted_bytes_max: self.uncommitted_bytes_max.unwrap_or(raft.uncommitted_bytes_max),
                snapshot_entries: self.snapshot_entries.unwrap_or(raft.snapshot_entries),
                snapshot_bytes: self.snapshot_bytes.unwrap_or(raft.snapshot_bytes),
                snapshot_part_bytes: self.snapshot_part_bytes.unwrap_or(raft.snapshot_part_bytes),
                trailing_entries: self.trailing_entries.unwrap_or(raft.trailing_entries),
                trailing_bytes: self.trailing_bytes.unwrap_or(raft.trailing_bytes),
                disk_patience: time(self.disk_patience, raft.disk_patience),
                pre_vote: self.pre_vote.unwrap_or(raft.pre_vote),
                check_quorum: self.check_quorum.unwrap_or(raft.check_quorum),
                sessions_max: self.sessions_max.unwrap_or(raft.sessions_max),
                clock_drift_percent: self.clock_drift_percent.unwrap_or(raft.clock_drift_percent),
            },
            time_scale: self.time_scale.unwrap_or(base.time_scale),
            express: self.express.unwrap_or(base.express),
            inbox_node: self.inbox_node.unwrap_or(base.inbox_node),
            inbox_router: self.inbox_router.unwrap_or(base.inbox_router),
            inbox_client: self.inbox_client.unwrap_or(base.inbox_client),
            inbox_node_bytes: self.inbox_node_bytes.unwrap_or(base.inbox_node_bytes),
            inbox_router_bytes: self.inbox_router_bytes.unwrap_or(base.inbox_router_bytes),
            inbox_client_bytes: self.inbox_client_bytes.unwrap_or(base.inbox_client_bytes),
            client_timeout: time(self.client_timeout, base.client_timeout),
            segment_bytes: self.segment_bytes.unwrap_or(base.segment_bytes),
            value_bytes_max: self.value_bytes_max.unwrap_or(base.value_bytes_max),
        })
    }
}

/// Finds the line and the setting that a reader of TOML complains about.
fn in_text(text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
    let key = text
        .lines()
        .nth(line - 1)
        .and_then(|content| content.split_once('='))
        .map(|(key, _)| key.trim().to_string())
        .filter(|key| !key.is_empty());
    let mut problem = error.message().lines().collect::<Vec<_>>().join("; ");
    // The reader names Rust's types, which say nothing to a person who writes a file.
    for (kind, words) in [
        ("u64", "a whole number"),
        ("u32", "a whole number"),
        ("usize", "a whole number"),
        ("f64", "a number"),
    ] {
        if let Some(start) = problem.strip_suffix(&format!("expected {kind}")) {
            problem = format!("{start}expected {words}, 0 or above");
        }
    }
    ConfigError::Text { line, key, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = Settings::from_toml(text).expect_err("refused").to_string();
        assert!(!error.contains('\n'), "one line: {error}");
        error
    }

    #[test]
    fn the_printed_defaults_read_back_as_the_defaults() {
        let printed = commented_defaults();
        assert_eq!(Settings::from_toml(&printed), Ok(Settings::default()));
        let with_seed = printed.replace("# seed", "seed");
        assert_eq!(Settings::from_toml(&with_seed).expect("valid").seed, Some(42));
    }

    #[test]
    fn the_printed_defaults_show_every_setting() {
        // The refusal of an unknown setting lists all known ones.
        let known = refused("nonsense = 1");
        let printed = commented_defaults();
        let names: Vec<&str> = known.split('`').skip(3).step_by(2).collect();
        assert!(names.len() >= 20 && names.contains(&"segment_bytes"), "all names: {known}");
        for name in names {
            let shown = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{name} = "));
            assert!(printed.lines().any(shown), "{name} is missing in the printed defaults");
        }
    }

    #[test]
    fn every_setting_can_be_chosen() {
        let text = "
            nodes = 5
            seed = 7
            states = 'a'
            logs = 'b'
            memory = true
            time_scale = 2
            heartbeat = '20ms'
            election_min = '100ms'
            election_max = '1s 500ms'
            batch_window = '5ms'
            client_timeout = '1m'
            pre_vote = false
            check_quorum = false
            message_bytes_max = 1
            in_flight_messages_max = 2
            in_flight_bytes_max = 3
            uncommitted_bytes_max = 4
            sessions_max = 9
            snapshot_entries = 10
            snapshot_bytes = 11
            snapshot_part_bytes = 12
            trailing_entries = 13
            trailing_bytes = 14
            disk_patience = '3s'
            clock_drift_percent = 50
            express = true
            inbox_node = 5
            inbox_router = 6
            inbox_client = 7
            inbox_node_bytes = 10
            inbox_router_bytes = 11
            inbox_client_bytes = 12
            segment_bytes = 8
            value_bytes_max = 9
        ";
        let expected = Settings {
            nodes: 5,
            seed: Some(7),
            states: PathBuf::from("a"),
            logs: PathBuf::from("b"),
            memory: true,
            raft: RaftSettings {
                heartbeat: Duration::from_millis(20),
                election_min: Duration::from_millis(100),
                election_max: Duration::from_millis(1500),
                batch_window: Duration::from_millis(5),
                message_bytes_max: 1,
                in_flight_messages_max: 2,
                in_flight_bytes_max: 3,
                uncommitted_bytes_max: 4,
                snapshot_entries: 10,
                snapshot_bytes: 11,
                snapshot_part_bytes: 12,
                trailing_entries: 13,
                trailing_bytes: 14,
                disk_patience: Duration::from_secs(3),
                pre_vote: false,
                check_quorum: false,
                sessions_max: 9,
                clock_drift_percent: 50,
            },
            time_scale: 2.0,
            express: true,
            inbox_node: 5,
            inbox_router: 6,
            inbox_client: 7,
            inbox_node_bytes: 10,
            inbox_router_bytes: 11,
            inbox_client_bytes: 12,
            client_timeout: Duration::from_secs(60),
            segment_bytes: 8,
            value_bytes_max: 9,
        };
        assert_eq!(Settings::from_toml(text), Ok(expected));
    }

    #[test]
    fn a_refusal_names_the_line_the_setting_and_the_rule() {
        for (text, parts) in [
            ("\nheartbaet = '50ms'", ["line 2", "heartbaet", "unknown"]),
            ("nodes = 'three'", ["line 1", "nodes", "a whole number"]),
            ("nodes = 300", ["nodes", "300", "1 to 99"]),
            ("seed = -1", ["line 1", "seed", "0 or above"]),
            ("nodes = 3\nheartbeat = '50'", ["line 2", "heartbeat", "150ms, 2s, 1.5s"]),
            ("heartbeat = 50", ["line 1", "heartbeat", "integer"]),
            ("nodes = 3\nnodes = 4", ["line 2", "nodes", "duplicate"]),
            ("nodes =", ["line 1", "nodes", ""]),
            ("[cluster]", ["line 1", "cluster", "unknown"]),
        ] {
            let error = refused(text);
            for part in parts {
                assert!(error.contains(part), "{text:?} must be answered with {part:?}: {error}");
            }
        }
    }
}
