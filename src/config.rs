//! Settings: what may be chosen, the defaults, and the rules that choices must keep.
//!
//! A setting is a field here, with its default below. `file` has the comment that stands above it in a file, and
//! `rules` what it must keep. Text goes in and settings come out: nothing here reads a file, a clock or the environment.

#[cfg(feature = "cli")]
pub mod cluster_file;
#[cfg(feature = "cli")]
mod file;
#[cfg(feature = "cli")]
pub mod named;
mod rules;
mod times;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Serialize};

#[cfg(feature = "cli")]
pub use self::file::commented_defaults;
pub use self::rules::ConfigError;

use self::times::shown;
use crate::text::units::parse_duration;
use crate::types::NodeId;

/// The longest time that may be set; with the largest `time_scale` it still fits every counter of nanoseconds.
pub const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The smallest and the largest factor that times may be multiplied by.
pub const TIME_SCALE_RANGE: (f64, f64) = (0.01, 1000.0);

/// The default limit of the bytes in a value.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// The largest value, and the largest message between nodes, that may be allowed: a larger one would hold up all others for
/// too long.
pub const BYTES_LIMIT: usize = 64 << 20;

/// Everything that a cluster in one process can be configured with.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How many nodes: 1 to 99.
    #[serde(deserialize_with = "rules::node_count")]
    pub nodes: u8,
    /// The node that leads whenever it can; every node can be it. It counts for a new cluster: later ones have it in their
    /// files, where `prefer` changes it.
    pub preferred: Option<NodeId>,
    /// The seed of all chance in a run; a fresh one is drawn when there is none.
    pub seed: Option<u64>,
    /// The folder with one folder of state a node.
    pub states: PathBuf,
    /// The folder with one log file a node.
    pub logs: PathBuf,
    /// Keep nothing on disk.
    pub memory: bool,
    /// The consensus core's settings, before scaling.
    #[serde(flatten)]
    pub raft: RaftSettings,
    /// What every time is multiplied by: above 1 to watch slowly.
    pub time_scale: f64,
    /// Messages on links without a rule go straight to their destination, not through the router's thread.
    pub express: bool,
    /// The most groups of messages that wait at a node; beyond, they are dropped and counted.
    pub inbox_node: usize,
    /// The same at the router.
    pub inbox_router: usize,
    /// The same of answers at a client.
    pub inbox_client: usize,
    /// The most bytes of messages that wait at a node; beyond, they are dropped and counted. A larger message passes when
    /// nothing else waits.
    pub inbox_node_bytes: usize,
    /// The same at the router, and as many bytes again of what its rules hold back.
    pub inbox_router_bytes: usize,
    /// The same of answers at a client.
    pub inbox_client_bytes: usize,
    /// How long a client tries before it gives up, before scaling.
    #[serde(with = "times")]
    pub client_timeout: Duration,
    /// Bytes after which the log on disk begins a new file.
    pub segment_bytes: u64,
    /// The most bytes in a value of the key-value store: 1 to 64 MiB. It decides what is accepted, never what is applied.
    pub value_bytes_max: usize,
    /// Bytes of a node's newest steps that are kept in memory, to be replayed if something goes wrong; 0 keeps
    /// none.
    pub recorder_bytes: usize,
}

/// The consensus core's settings: times of section 5.6, limits, and the two extensions that can be turned off to
/// watch plain Figure 2.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct RaftSettings {
    /// How often a leader speaks to each follower.
    #[serde(with = "times")]
    pub heartbeat: Duration,
    /// The shortest election timeout; each is drawn from `election_min..=election_max` (5.2).
    #[serde(with = "times")]
    pub election_min: Duration,
    /// The longest election timeout.
    #[serde(with = "times")]
    pub election_max: Duration,
    /// How long a leader gathers commands before it sends them; zero sends at once.
    #[serde(with = "times")]
    pub batch_window: Duration,
    /// The most bytes of entries in one AppendEntries; a larger entry travels by itself.
    pub message_bytes_max: usize,
    /// The most AppendEntries with entries under way to one follower.
    pub in_flight_messages_max: usize,
    /// The most bytes of entries under way to one follower.
    pub in_flight_bytes_max: usize,
    /// The most bytes of uncommitted entries in a leader's log; beyond, commands are rejected as busy.
    pub uncommitted_bytes_max: usize,
    /// A node takes a snapshot when this many entries were applied since the last one (section 7) ...
    pub snapshot_entries: u64,
    /// ... or this many bytes of them. A snapshot of more than 64 KiB waits until sixteen times its size was logged, or
    /// these bytes; one that is itself larger, until as much was.
    pub snapshot_bytes: usize,
    /// Bytes of a snapshot in one InstallSnapshot.
    pub snapshot_part_bytes: usize,
    /// Entries that stay in the log although a snapshot covers them, so that a follower which is a little slow needs no
    /// snapshot.
    pub trailing_entries: u64,
    /// The most bytes of such entries.
    pub trailing_bytes: usize,
    /// A leader whose own disk has not completed a write for this long, or for `election_min` if that is longer, hands
    /// over, if a quorum of followers have shown better disks.
    #[serde(with = "times")]
    pub disk_patience: Duration,
    /// Ask before starting an election, so that a node that was cut off does not disturb the others (D 9.6).
    pub pre_vote: bool,
    /// A leader that a quorum no longer answers steps down (D 6.2).
    pub check_quorum: bool,
    /// The most sessions of clients that are open at once; for one more, the one that was used least recently expires.
    pub sessions_max: u64,
    /// How much faster one node's clock may run than another's, in percent. Reads by lease rely on it (D 6.4.1): a clock
    /// that breaks it can make them stale. Nothing else depends on clocks.
    pub clock_drift_percent: u32,
}

/// The shortest and the longest election timeout, written `150ms..300ms`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Display)]
#[display("{}..{}", shown(*min), shown(*max))]
pub struct ElectionRange {
    pub min: Duration,
    pub max: Duration,
}

impl Settings {
    /// Reads the settings from TOML, with the feature `cli`. What the text leaves out keeps its default.
    ///
    /// # Errors
    /// The text is not TOML, names an unknown setting, gives a value of the wrong kind, or breaks a rule of
    /// [`Settings::validate`].
    #[cfg(feature = "cli")]
    pub fn from_toml(text: &str) -> Result<Settings, ConfigError> {
        let settings = file::read(text)?;
        settings.validate()?;
        Ok(settings)
    }

    /// The settings to run with: each time multiplied by `time_scale`, which is 1 afterwards.
    #[must_use]
    pub fn scaled(&self) -> Settings {
        let mut scaled = Settings { time_scale: 1.0, ..self.clone() };
        let raft = &mut scaled.raft;
        for time in [
            &mut raft.heartbeat,
            &mut raft.election_min,
            &mut raft.election_max,
            &mut raft.batch_window,
            &mut raft.disk_patience,
            &mut scaled.client_timeout,
        ] {
            *time = time.mul_f64(self.time_scale);
        }
        scaled
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            nodes: 3,
            preferred: None,
            seed: None,
            states: PathBuf::from("states"),
            logs: PathBuf::from("logs"),
            memory: false,
            raft: RaftSettings::default(),
            time_scale: 1.0,
            express: false,
            inbox_node: 1 << 14,
            inbox_router: 1 << 16,
            inbox_client: 1 << 12,
            inbox_node_bytes: 64 << 20,
            inbox_router_bytes: 128 << 20,
            inbox_client_bytes: 64 << 20,
            client_timeout: Duration::from_secs(2),
            segment_bytes: 8 << 20,
            value_bytes_max: VALUE_BYTES_MAX,
            recorder_bytes: 32 << 20,
        }
    }
}

impl RaftSettings {
    /// How long a lease lasts on the leader's clock from when its round began (D 6.4.1): the shortest election timeout,
    /// as the fastest clock counts it.
    pub fn lease(&self) -> Duration {
        self.election_min * 100 / (100 + self.clock_drift_percent)
    }
}

impl Default for RaftSettings {
    fn default() -> RaftSettings {
        RaftSettings {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
            batch_window: Duration::ZERO,
            message_bytes_max: 1 << 20,
            in_flight_messages_max: 64,
            in_flight_bytes_max: 8 << 20,
            uncommitted_bytes_max: 64 << 20,
            snapshot_entries: 10_000,
            snapshot_bytes: 64 << 20,
            snapshot_part_bytes: 256 << 10,
            trailing_entries: 5_000,
            trailing_bytes: 16 << 20,
            disk_patience: Duration::from_secs(1),
            pre_vote: true,
            check_quorum: true,
            sessions_max: 10_000,
            clock_drift_percent: 10,
        }
    }
}

impl FromStr for ElectionRange {
    type Err = String;

    /// The order of the two is a rule of [`RaftSettings::validate`], as in a file.
    fn from_str(text: &str) -> Result<ElectionRange, String> {
        let Some((min, max)) = text.split_once("..").or_else(|| text.split_once('-')) else {
            return Err(format!("'{text}' is not a range of times: write it as 150ms..300ms"));
        };
        Ok(ElectionRange { min: parse_duration(min.trim())?, max: parse_duration(max.trim())? })
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = Settings::from_toml(text).expect_err("refused").to_string();
        assert!(!error.contains('\n'), "one line: {error}");
        error
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(Settings::from_toml(""), Ok(Settings::default()));
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn each_rule_is_kept() {
        for (text, key, part) in [
            ("nodes = 0", "nodes", "1 to 99"),
            ("nodes = 100", "nodes", "1 to 99"),
            ("preferred = 'n4'", "preferred", "n4 does not begin: choose one of n1 to n3"),
            ("nodes = 1\npreferred = 'n2'", "preferred", "n1 is the only one"),
            ("heartbeat = '0s'", "heartbeat", "above"),
            ("election_min = '0s'", "election_min", "above"),
            ("election_min = '301ms'", "election_min", "election_max (300ms)"),
            ("election_min = '300ms'", "election_max", "split without end (5.2)"),
            ("heartbeat = '76ms'", "heartbeat", "half of election_min (150ms)"),
            ("batch_window = '50ms'", "batch_window", "heartbeat (50ms)"),
            ("election_max = '25h'", "election_max", "1day"),
            ("client_timeout = '0s'", "client_timeout", "above"),
            ("client_timeout = '999h'", "client_timeout", "1day"),
            ("time_scale = 0", "time_scale", "0.01 to 1000"),
            ("time_scale = 1000.1", "time_scale", "0.01 to 1000"),
            ("time_scale = nan", "time_scale", "0.01 to 1000"),
            ("time_scale = 0.01\nheartbeat = '9ms'", "time_scale", "90us"),
            ("message_bytes_max = 0", "message_bytes_max", "1 to 67108864 bytes"),
            ("message_bytes_max = 67108865", "message_bytes_max", "1 to 67108864 bytes"),
            ("snapshot_part_bytes = 67108865", "snapshot_part_bytes", "1 to 67108864 bytes"),
            ("in_flight_messages_max = 0", "in_flight_messages_max", "above"),
            ("in_flight_bytes_max = 0", "in_flight_bytes_max", "above"),
            ("uncommitted_bytes_max = 0", "uncommitted_bytes_max", "above"),
            ("sessions_max = 0", "sessions_max", "above"),
            ("inbox_node = 0", "inbox_node", "above"),
            ("inbox_router = 0", "inbox_router", "above"),
            ("inbox_client = 0", "inbox_client", "above"),
            ("inbox_node_bytes = 0", "inbox_node_bytes", "above"),
            ("inbox_router_bytes = 0", "inbox_router_bytes", "above"),
            ("inbox_client_bytes = 0", "inbox_client_bytes", "above"),
            ("segment_bytes = 0", "segment_bytes", "above"),
            ("value_bytes_max = 0", "value_bytes_max", "1 to 67108864 bytes"),
            ("value_bytes_max = 67108865", "value_bytes_max", "1 to 67108864 bytes"),
            ("states = ''", "states", "folder"),
            ("logs = ''", "logs", "folder"),
        ] {
            let error = refused(text);
            assert!(error.starts_with(&format!("{key}: ")), "{text:?} breaks a rule of {key}: {error}");
            assert!(error.contains(part), "{text:?} must be answered with {part:?}: {error}");
        }
    }

    #[test]
    fn the_edges_of_each_rule_are_allowed() {
        for text in [
            "nodes = 1",
            "nodes = 99",
            "nodes = 99\npreferred = 'n99'",
            "heartbeat = '75ms'",
            "election_min = '299ms'",
            "batch_window = '49ms'",
            "time_scale = 0.01",
            "time_scale = 1000",
            "value_bytes_max = 1",
            "value_bytes_max = 67108864",
            "message_bytes_max = 67108864\nsnapshot_part_bytes = 67108864",
            "client_timeout = '24h'\ntime_scale = 1000",
        ] {
            let settings = Settings::from_toml(text);
            assert!(settings.is_ok(), "{text:?}: {settings:?}");
        }
    }

    #[test]
    fn a_time_scale_multiplies_every_time() {
        let text = "time_scale = 10\nbatch_window = '1ms'";
        let scaled = Settings::from_toml(text).expect("valid").scaled();
        assert_eq!(scaled.raft.heartbeat, Duration::from_millis(500));
        assert_eq!(scaled.raft.election_min, Duration::from_millis(1500));
        assert_eq!(scaled.raft.election_max, Duration::from_secs(3));
        assert_eq!(scaled.raft.batch_window, Duration::from_millis(10));
        assert_eq!(scaled.client_timeout, Duration::from_secs(20));
        assert_eq!(scaled, scaled.scaled(), "scaled once, not again");
    }

    #[test]
    fn a_range_of_election_timeouts_is_read_as_it_is_shown() {
        let range: ElectionRange = "150ms..300ms".parse().expect("a range");
        assert_eq!((range.min, range.max), (Duration::from_millis(150), Duration::from_millis(300)));
        assert_eq!(range.to_string(), "150ms..300ms");
        assert_eq!("150ms-300ms".parse(), Ok(range), "as people write it");
        for wrong in ["", "150ms", "150..300", "150ms..", "..300ms", "a..b", "150ms...300ms", "-150ms"] {
            assert!(wrong.parse::<ElectionRange>().is_err(), "{wrong:?} is no range");
        }
    }
}
