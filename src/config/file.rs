//! The text form of settings: a TOML file in which every setting stands under its own name, none of them required.
//!
//! Only the text is read here; whether the values go together is for the rules of [`Settings::validate`].

use std::fmt::Write as _;

use toml::Table;
use toml::de::DeTable;

use super::{ConfigError, RaftSettings, Settings};
use crate::text::suggest::advice;
use crate::types::NodeId;

const HEAD: &str = "\
# Settings of a raftlab cluster. Each line shows a default; what is left out keeps it.
# Times are written as 150ms, 2s or 1m.
";

/// Every setting, in the order of the commented file, and what stands above it there.
const SECTIONS: &[(&str, &[&str])] = &[
    (
        "How many nodes, 1 to 99. An odd number tolerates as many failures as the even one above it.",
        &["nodes"],
    ),
    (
        "The node that leads whenever it can, of those that begin. In files of an earlier run it stands already: there 'prefer'\n\
         changes it.",
        &["preferred"],
    ),
    ("Seeds every random choice of a run. Without it a fresh one is drawn and shown.", &["seed"]),
    ("Where nodes keep their state and their logs, one folder or file a node.", &["states", "logs"]),
    ("Keep nothing on disk: a crash of the program then loses everything.", &["memory"]),
    ("Every time below is multiplied by this: 10 to watch slowly, 0.1 to hurry.", &["time_scale"]),
    ("How often a leader speaks to each follower. At most half of election_min.", &["heartbeat"]),
    (
        "A follower that hears from no leader for a time drawn between these two starts an election (5.2).",
        &["election_min", "election_max"],
    ),
    (
        "How long a leader gathers commands before it sends them. 0s sends at once. Below heartbeat.",
        &["batch_window"],
    ),
    ("How long a client tries before it says that it does not know.", &["client_timeout"]),
    (
        "Ask before starting an election, so that a node that was cut off does not disturb the others (D 9.6).",
        &["pre_vote"],
    ),
    ("A leader that a quorum no longer answers steps down (D 6.2).", &["check_quorum"]),
    (
        "How much faster one node's clock may run than another's, in percent, 0 to 100. Reads by lease rely on it (D 6.4.1): a\n\
         clock that breaks it can make them stale. Nothing else depends on clocks.",
        &["clock_drift_percent"],
    ),
    (
        "The most bytes of entries in one message, and the most messages and bytes under way to one follower.",
        &["message_bytes_max", "in_flight_messages_max", "in_flight_bytes_max"],
    ),
    (
        "The most bytes of uncommitted entries in a leader's log. Beyond, it rejects commands as busy.",
        &["uncommitted_bytes_max"],
    ),
    (
        "A node takes a snapshot when this many entries, or bytes of them, were applied since the last one (section 7). One of more\n\
         than 64 KiB waits until sixteen times its size was logged, or these bytes; one that is itself larger, until as much was.",
        &["snapshot_entries", "snapshot_bytes"],
    ),
    ("Bytes of a snapshot in one message to a follower that needs it.", &["snapshot_part_bytes"]),
    (
        "Entries, and bytes of them, that stay in the log although a snapshot covers them: a follower that is a little slow\n\
         needs no snapshot then.",
        &["trailing_entries", "trailing_bytes"],
    ),
    (
        "A leader whose own disk has not completed a write for this long hands over to a follower, if most others have shown\n\
         better disks. Below election_min it counts as election_min.",
        &["disk_patience"],
    ),
    (
        "The most sessions of clients that are open at once. For one more, the one that was used least recently expires.",
        &["sessions_max"],
    ),
    (
        "Messages on links without a rule skip the router's thread: faster, with more threads sending at once.",
        &["express"],
    ),
    (
        "Groups of messages that may wait at a node, at the router and at a client. Beyond, they are dropped and counted.",
        &["inbox_node", "inbox_router", "inbox_client"],
    ),
    (
        "Bytes of messages that may wait there. Beyond, they are dropped and counted; a larger message passes when nothing else\n\
         waits. What delays hold back at the router is bounded by as many bytes again.",
        &["inbox_node_bytes", "inbox_router_bytes", "inbox_client_bytes"],
    ),
    ("Bytes after which a node's log begins a new file.", &["segment_bytes"]),
    (
        "The most bytes in a value, 1 to 67108864. Larger ones are rejected; what is in the logs is applied all the same.",
        &["value_bytes_max"],
    ),
    (
        "Bytes of a node's newest steps that are kept in memory, to be replayed if something goes wrong; 0 keeps none. All\n\
         nodes together keep at most 268435456.",
        &["recorder_bytes"],
    ),
];

/// What stands above a setting in the commented file.
pub(super) fn meaning(name: &str) -> &'static str {
    SECTIONS.iter().find(|(_, keys)| keys.contains(&name)).map_or("", |(comment, _)| comment)
}

/// A configuration file with every setting at its default and a comment on each. Reading it gives the defaults.
pub fn commented_defaults() -> String {
    let table = |settings| Table::try_from(settings).expect("settings are a table of plain values");
    let defaults = table(Settings::default());
    let preferred = Some(NodeId::new(1));
    let examples = table(Settings { seed: Some(42), preferred, ..Settings::default() });
    let mut text = HEAD.to_string();
    for (comment, keys) in SECTIONS {
        let _ = writeln!(text, "\n# {}", comment.replace('\n', "\n# "));
        for key in *keys {
            // A setting without a default stands there as a comment.
            let mark = if defaults.contains_key(*key) { "" } else { "# " };
            let _ = writeln!(text, "{mark}{key} = {}", examples[*key]);
        }
    }
    text
}

pub(super) fn read(text: &str) -> Result<Settings, ConfigError> {
    read_with(text, &[])
}

/// Reads the settings of a file in which these keys stand beside them.
pub(super) fn read_with(text: &str, beside: &'static [&'static str]) -> Result<Settings, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| in_text(text, &error))?;
    let known = SECTIONS.iter().flat_map(|(_, keys)| *keys).chain(beside).copied();
    let unknown = table.get_ref().keys().filter(|key| !known.clone().any(|name| name == key.get_ref()));
    if let Some(key) = unknown.min_by_key(|key| key.span().start) {
        let name = key.get_ref();
        let advice = advice(name, &known, "--print-config shows the settings that there are");
        let problem = format!("unknown setting{advice}");
        return Err(ConfigError::Text {
            line: line_of(text, key.span().start),
            key: Some(name.to_string()),
            problem,
        });
    }
    toml::from_str(text).map_err(|error| {
        // What is wrong with a flattened setting is told without its place in the text.
        let placed = toml::from_str::<RaftSettings>(text).err();
        in_text(text, &placed.unwrap_or(error))
    })
}

/// Finds the line and the setting that a reader of TOML complains about.
pub(super) fn in_text(text: &str, error: &toml::de::Error) -> ConfigError {
    let line = line_of(text, error.span().map_or(0, |span| span.start));
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

/// The line of a place in the text, from 1.
fn line_of(text: &str, place: usize) -> usize {
    text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
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
        let all = printed.replace("# seed", "seed").replace("# preferred", "preferred");
        let read = Settings::from_toml(&all).expect("valid");
        assert_eq!((read.seed, read.preferred), (Some(42), Some(NodeId::new(1))));
    }

    #[test]
    fn every_setting_has_its_comment_and_every_comment_its_setting() {
        let all = Settings { seed: Some(1), preferred: Some(NodeId::new(1)), ..Settings::default() };
        let settings = Table::try_from(all).expect("a table");
        let mut commented: Vec<&str> = SECTIONS.iter().flat_map(|(_, keys)| *keys).copied().collect();
        commented.sort_unstable();
        assert_eq!(commented, settings.keys().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn every_setting_can_be_chosen() {
        let text = "
            nodes = 5
            preferred = 'n4'
            seed = 7
            states = 'a'
            logs = 'b'
            memory = true
            time_scale = 2.0
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
            recorder_bytes = 1
        ";
        let read = Table::try_from(Settings::from_toml(text).expect("valid")).expect("a table");
        let defaults = Table::try_from(Settings::default()).expect("a table");
        assert_eq!(read, text.parse::<Table>().expect("valid"));
        assert_eq!(read.len(), defaults.len() + 2, "each setting, and the two without a default");
        assert!(defaults.iter().all(|(key, value)| read[key] != *value), "none has its default");
    }

    #[test]
    fn a_refusal_names_the_line_the_setting_and_the_rule() {
        for (text, parts) in [
            ("\nheartbaet = '50ms'", ["line 2: heartbaet", "unknown", "did you mean 'heartbeat'?"]),
            ("nodes = 3\ncolour = 1\nelection = 2", ["line 2: colour", "unknown", "--print-config"]),
            ("nodes = 'three'", ["line 1", "nodes", "a whole number"]),
            ("preferred = 1", ["line 1", "preferred", "a string"]),
            ("preferred = 'x1'", ["line 1", "preferred", "'x1'"]),
            ("nodes = 300", ["nodes", "300", "1 to 99"]),
            ("seed = -1", ["line 1", "seed", "0 or above"]),
            ("nodes = 3\nheartbeat = '50'", ["line 2", "heartbeat", "write 50s or 50ms"]),
            ("heartbeat = 50", ["line 1", "heartbeat", "integer `50`, expected a time such as \"150ms\""]),
            ("nodes = 3\nnodes = 4", ["line 2", "nodes", "duplicate"]),
            ("nodes =", ["line 1", "nodes", ""]),
            ("election_max = -1\nnodes = 1", ["line 1", "election_max", "integer"]),
            ("nodes = 1\nsessions_max = -1", ["line 2", "sessions_max", "a whole number, 0 or above"]),
            ("[cluster]", ["line 1", "cluster", "unknown"]),
        ] {
            let error = refused(text);
            for part in parts {
                assert!(error.contains(part), "{text:?} must be answered with {part:?}: {error}");
            }
        }
    }
}
