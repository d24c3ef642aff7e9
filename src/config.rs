//! Settings: what may be chosen, the defaults, and the rules that choices must keep.
//!
//! Text goes in and settings come out: nothing here reads a file, a clock or the environment.

mod file;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::text::units::parse_duration;
use crate::types::NODES_MAX;

pub use self::file::commented_defaults;

/// The longest time that may be set; with the largest `time_scale` it still fits every counter of nanoseconds.
pub const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The smallest and the largest factor that times may be multiplied by.
pub const TIME_SCALE_RANGE: (f64, f64) = (0.01, 1000.0);

/// Bytes in a value at most, unless the settings say otherwise.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// The largest value that may be allowed: a larger one would stand in the way of all other messages for too long.
pub const VALUE_BYTES_LIMIT: usize = 64 << 20;

/// The shortest heartbeat after scaling: timers of an ordinary system overshoot by as much.
const HEARTBEAT_MIN: Duration = Duration::from_micros(100);

/// Everything that a cluster in one process can be configured with.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// How many nodes: 1 to 99.
    pub nodes: u8,
    /// The seed of all chance in a run; a fresh one is drawn when there is none.
    pub seed: Option<u64>,
    /// The folder with one folder of state a node.
    pub states: PathBuf,
    /// The folder with one log file a node.
    pub logs: PathBuf,
    /// Keep nothing on disk.
    pub memory: bool,
    /// The consensus core's settings, before scaling.
    pub raft: RaftSettings,
    /// What every time is multiplied by: above 1 to watch slowly.
    pub time_scale: f64,
    /// Messages on links without a rule go straight to their destination, not through the router's thread.
    pub express: bool,
    /// Groups of messages that wait at a node at most; beyond, they are dropped and counted.
    pub inbox_node: usize,
    /// Groups of messages that wait at the router at most; beyond, they are dropped and counted.
    pub inbox_router: usize,
    /// Groups of answers that wait at a client at most; beyond, they are dropped and counted.
    pub inbox_client: usize,
    /// Bytes of messages that wait at a node at most; beyond, they are dropped and counted. A larger message passes
    /// when nothing else waits.
    pub inbox_node_bytes: usize,
    /// The same at the router, and as many bytes again of what its rules hold back.
    pub inbox_router_bytes: usize,
    /// The same of answers at a client.
    pub inbox_client_bytes: usize,
    /// How long a client tries before it gives up, before scaling.
    pub client_timeout: Duration,
    /// Bytes after which the log on disk begins a new file.
    pub segment_bytes: u64,
    /// Bytes in a value of the key-value store at most: 1 to 64 MiB. It decides what is taken in, never what is applied.
    pub value_bytes_max: usize,
}

/// The consensus core's settings: times of section 5.6, limits, and the two extensions that can be turned off to
/// watch plain Figure 2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RaftSettings {
    /// How often a leader speaks to each follower.
    pub heartbeat: Duration,
    /// The shortest election timeout; each is drawn anew from `election_min..=election_max` (5.2).
    pub election_min: Duration,
    /// The longest election timeout.
    pub election_max: Duration,
    /// How long a leader gathers commands before it sends them; zero sends at once.
    pub batch_window: Duration,
    /// Bytes of entries in one AppendEntries at most; a single larger entry still travels, alone.
    pub message_bytes_max: usize,
    /// AppendEntries with entries under way to one follower at most.
    pub in_flight_messages_max: usize,
    /// Bytes of entries under way to one follower at most.
    pub in_flight_bytes_max: usize,
    /// Bytes of uncommitted entries in a leader's log at most; beyond, commands are refused as busy.
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
    /// Bytes of such entries at most.
    pub trailing_bytes: usize,
    /// A leader whose own disk has not completed a write for this long, or for `election_min` if that is longer, hands
    /// over, if a quorum of followers have shown better disks.
    pub disk_patience: Duration,
    /// Ask before starting an election, so that a node cut off for a while disturbs nobody (9.6).
    pub pre_vote: bool,
    /// A leader that a quorum no longer answers steps down (6.2).
    pub check_quorum: bool,
    /// Clients' sessions that may be open at once; for one more, the one that was used least recently expires.
    pub sessions_max: u64,
    /// How much faster one node's clock may run than another's, in percent. Reads by lease rely on it (6.4.1): a clock
    /// that breaks it can make them stale. Nothing else depends on clocks.
    pub clock_drift_percent: u32,
}

/// The shortest and the longest election timeout, written `150ms..300ms`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ElectionRange {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

/// Why settings are refused. Shown as one line that names the setting, or the line of the text, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// The text cannot be read.
    Text {
        /// The line, from 1.
        line: usize,
        /// The setting on that line, if there is one.
        key: Option<String>,
        /// What is wrong.
        problem: String,
    },
    /// A setting breaks a rule.
    Rule {
        /// The setting.
        key: &'static str,
        /// The rule, and what to do.
        problem: String,
    },
}

impl Settings {
    /// Reads the settings from TOML. What the text leaves out keeps its default.
    ///
    /// # Errors
    /// The text is not TOML, names an unknown setting, gives a value of the wrong kind, or breaks a rule of
    /// [`Settings::validate`].
    pub fn from_toml(text: &str) -> Result<Settings, ConfigError> {
        let settings = file::read(text)?;
        settings.validate()?;
        Ok(settings)
    }

    /// Whether all rules are kept.
    ///
    /// # Errors
    /// The first rule that is broken, and what to do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=NODES_MAX).contains(&self.nodes) {
            return Err(wrong_nodes(self.nodes.into()));
        }
        let (scale_min, scale_max) = TIME_SCALE_RANGE;
        if !(scale_min..=scale_max).contains(&self.time_scale) {
            let problem =
                format!("{} is not within {scale_min} to {scale_max}: 1 is real time", self.time_scale);
            return rule("time_scale", problem);
        }
        self.raft.validate()?;
        let heartbeat = self.raft.heartbeat.mul_f64(self.time_scale);
        if heartbeat < HEARTBEAT_MIN {
            return rule(
                "time_scale",
                format!(
                    "{} makes the heartbeat {}, below the {} that timers can keep: raise time_scale or heartbeat",
                    self.time_scale,
                    shown(heartbeat),
                    shown(HEARTBEAT_MIN)
                ),
            );
        }
        positive_time("client_timeout", self.client_timeout)?;
        positive_limit("inbox_node", self.inbox_node)?;
        positive_limit("inbox_router", self.inbox_router)?;
        positive_limit("inbox_client", self.inbox_client)?;
        positive_limit("inbox_node_bytes", self.inbox_node_bytes)?;
        positive_limit("inbox_router_bytes", self.inbox_router_bytes)?;
        positive_limit("inbox_client_bytes", self.inbox_client_bytes)?;
        positive_limit("segment_bytes", usize::try_from(self.segment_bytes).unwrap_or(usize::MAX))?;
        if !(1..=VALUE_BYTES_LIMIT).contains(&self.value_bytes_max) {
            let bytes = self.value_bytes_max;
            let problem =
                format!("{bytes} is not within 1 to {VALUE_BYTES_LIMIT} bytes: {VALUE_BYTES_MAX} is usual");
            return rule("value_bytes_max", problem);
        }
        for (key, folder) in [("states", &self.states), ("logs", &self.logs)] {
            if folder.as_os_str().is_empty() {
                return rule(key, format!("the folder has no name: choose one, such as \"{key}\""));
            }
        }
        Ok(())
    }

    /// The settings to run with: each time multiplied by `time_scale`, which is 1 afterwards.
    #[must_use]
    pub fn scaled(&self) -> Settings {
        let scale = |time: Duration| time.mul_f64(self.time_scale);
        let mut scaled = self.clone();
        scaled.raft.heartbeat = scale(self.raft.heartbeat);
        scaled.raft.election_min = scale(self.raft.election_min);
        scaled.raft.election_max = scale(self.raft.election_max);
        scaled.raft.batch_window = scale(self.raft.batch_window);
        scaled.raft.disk_patience = scale(self.raft.disk_patience);
        scaled.client_timeout = scale(self.client_timeout);
        scaled.time_scale = 1.0;
        scaled
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            nodes: 3,
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
        }
    }
}

impl RaftSettings {
    /// Whether all rules are kept.
    ///
    /// # Errors
    /// The first rule that is broken, and what to do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        positive_time("heartbeat", self.heartbeat)?;
        positive_time("election_min", self.election_min)?;
        positive_time("election_max", self.election_max)?;
        let (min, max) = (shown(self.election_min), shown(self.election_max));
        if self.election_min > self.election_max {
            return rule("election_min", format!("{min} is above election_max ({max}): exchange the two"));
        }
        if self.election_min == self.election_max {
            let why =
                "with one timeout for all, elections can split for ever (5.2): choose a longer election_max";
            return rule("election_max", format!("it equals election_min ({min}); {why}"));
        }
        let heartbeat = shown(self.heartbeat);
        if self.heartbeat > self.election_min / 2 {
            let why = "one lost or late heartbeat would start an election (5.6)";
            let remedy = format!("choose at most {}, or a longer election_min", shown(self.election_min / 2));
            return rule(
                "heartbeat",
                format!("{heartbeat} is above half of election_min ({min}); {why}: {remedy}"),
            );
        }
        if self.batch_window >= self.heartbeat {
            let problem = format!(
                "{} is not below heartbeat ({heartbeat}); commands would wait longer than followers do: choose a \
                 shorter window, or 0s to send at once",
                shown(self.batch_window)
            );
            return rule("batch_window", problem);
        }
        positive_limit("message_bytes_max", self.message_bytes_max)?;
        positive_limit("in_flight_messages_max", self.in_flight_messages_max)?;
        positive_limit("in_flight_bytes_max", self.in_flight_bytes_max)?;
        positive_limit("uncommitted_bytes_max", self.uncommitted_bytes_max)?;
        positive_limit("snapshot_entries", usize::try_from(self.snapshot_entries).unwrap_or(usize::MAX))?;
        positive_limit("snapshot_bytes", self.snapshot_bytes)?;
        positive_limit("snapshot_part_bytes", self.snapshot_part_bytes)?;
        positive_limit("trailing_bytes", self.trailing_bytes)?;
        positive_time("disk_patience", self.disk_patience)?;
        positive_limit("sessions_max", usize::try_from(self.sessions_max).unwrap_or(usize::MAX))?;
        if self.clock_drift_percent > 100 {
            let problem = format!("{} is not within 0 to 100: choose 10", self.clock_drift_percent);
            return rule("clock_drift_percent", problem);
        }
        Ok(())
    }

    /// How long a lease lasts on the leader's clock from when its round began (6.4.1): the shortest election timeout,
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
        let Some((min, max)) = text.split_once("..") else {
            return Err(format!("'{text}' is not a range of times: write it as 150ms..300ms"));
        };
        Ok(ElectionRange { min: parse_duration(min.trim())?, max: parse_duration(max.trim())? })
    }
}

impl fmt::Display for ElectionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", shown(self.min), shown(self.max))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Text { line, key: Some(key), problem } => write!(f, "line {line}: {key}: {problem}"),
            ConfigError::Text { line, key: None, problem } => write!(f, "line {line}: {problem}"),
            ConfigError::Rule { key, problem } => write!(f, "{key}: {problem}"),
        }
    }
}

impl std::error::Error for ConfigError {}

fn wrong_nodes(nodes: u64) -> ConfigError {
    let problem = format!("{nodes} is not within 1 to {NODES_MAX}: choose 3 or 5");
    ConfigError::Rule { key: "nodes", problem }
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

fn positive_limit(key: &'static str, limit: usize) -> Result<(), ConfigError> {
    if limit == 0 {
        return rule(key, "a limit of 0 lets nothing through: choose a number above it".to_string());
    }
    Ok(())
}

fn shown(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(time)
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
    fn nothing_said_is_the_default() {
        assert_eq!(Settings::from_toml(""), Ok(Settings::default()));
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn each_rule_is_kept() {
        for (text, key, part) in [
            ("nodes = 0", "nodes", "1 to 99"),
            ("nodes = 100", "nodes", "1 to 99"),
            ("heartbeat = '0s'", "heartbeat", "above"),
            ("election_min = '0s'", "election_min", "above"),
            ("election_min = '301ms'", "election_min", "election_max (300ms)"),
            ("election_min = '300ms'", "election_max", "split for ever (5.2)"),
            ("heartbeat = '76ms'", "heartbeat", "half of election_min (150ms)"),
            ("batch_window = '50ms'", "batch_window", "heartbeat (50ms)"),
            ("election_max = '25h'", "election_max", "1day"),
            ("client_timeout = '0s'", "client_timeout", "above"),
            ("client_timeout = '999h'", "client_timeout", "1day"),
            ("time_scale = 0", "time_scale", "0.01 to 1000"),
            ("time_scale = 1000.1", "time_scale", "0.01 to 1000"),
            ("time_scale = nan", "time_scale", "0.01 to 1000"),
            ("time_scale = 0.01\nheartbeat = '9ms'", "time_scale", "90us"),
            ("message_bytes_max = 0", "message_bytes_max", "above"),
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
            "heartbeat = '75ms'",
            "election_min = '299ms'",
            "batch_window = '49ms'",
            "time_scale = 0.01",
            "time_scale = 1000",
            "value_bytes_max = 1",
            "value_bytes_max = 67108864",
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
        for wrong in ["", "150ms", "150..300", "150ms..", "..300ms", "a..b", "150ms...300ms"] {
            assert!(wrong.parse::<ElectionRange>().is_err(), "{wrong:?} is no range");
        }
    }
}
