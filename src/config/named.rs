//! Settings of the core by their names, as they are changed while a cluster runs: texts in, texts out.
//!
//! The names are those of a file of settings; `election` stands for both ends of the election timeouts.

use serde_json::{Map, Value};

use super::file::meaning;
use super::times::shown;
use super::{ConfigError, ElectionRange, RaftSettings};
use crate::text::units::{duration_text, parse_duration};

/// Both election timeouts by one name.
const ELECTION: &str = "election";

/// What may change while a cluster runs. A snapshot in transfer is read in parts of one size, so that size is chosen at
/// the start.
pub const NAMES: [&str; 18] = [
    "heartbeat",
    ELECTION,
    "election_min",
    "election_max",
    "batch_window",
    "pre_vote",
    "check_quorum",
    "clock_drift_percent",
    "message_bytes_max",
    "in_flight_messages_max",
    "in_flight_bytes_max",
    "uncommitted_bytes_max",
    "snapshot_entries",
    "snapshot_bytes",
    "trailing_entries",
    "trailing_bytes",
    "disk_patience",
    "sessions_max",
];

impl RaftSettings {
    /// A setting as it is written: `150ms`, `on`, `64`. None by a name that is not one of [`NAMES`].
    pub fn named(&self, name: &str) -> Option<String> {
        if name == ELECTION {
            let ElectionRange { min, max } = self.election();
            return Some(format!("{}..{}", duration_text(min), duration_text(max)));
        }
        NAMES.iter().find(|known| **known == name)?;
        Some(match self.fields().get(name)? {
            Value::Bool(true) => "on".to_string(),
            Value::Bool(false) => "off".to_string(),
            Value::String(text) => parse_duration(text).map_or_else(|_| text.clone(), duration_text),
            other => other.to_string(),
        })
    }

    /// These settings with one of [`NAMES`] changed. Whether they go together is for [`RaftSettings::validate`].
    ///
    /// # Errors
    /// What the text is not, and what to write.
    pub fn with_named(&self, name: &'static str, text: &str) -> Result<RaftSettings, ConfigError> {
        let wrong = |problem: String| ConfigError::Rule { key: name, problem };
        if name == ELECTION {
            let ElectionRange { min, max } = text.parse().map_err(wrong)?;
            return Ok(RaftSettings { election_min: min, election_max: max, ..self.clone() });
        }
        let mut fields = self.fields();
        let field = fields.get_mut(name).expect("each name is a setting");
        *field = match field {
            Value::Bool(_) => match text.to_lowercase().as_str() {
                "on" | "true" => Value::Bool(true),
                "off" | "false" => Value::Bool(false),
                _ => return Err(wrong(format!("'{text}' is neither on nor off"))),
            },
            Value::String(_) => Value::String(shown(parse_duration(text).map_err(wrong)?).to_string()),
            _ => match text.parse::<u64>() {
                Ok(number) => Value::from(number),
                Err(_) => return Err(wrong(format!("'{text}' is not a whole number, 0 or above"))),
            },
        };
        serde_json::from_value(Value::Object(fields)).map_err(|_| wrong(format!("{text} is too large")))
    }

    fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => unreachable!("settings are named numbers, times and switches"),
        }
    }

    fn election(&self) -> ElectionRange {
        ElectionRange { min: self.election_min, max: self.election_max }
    }
}

/// What a setting means, in a file's words.
pub fn meaning_of(name: &str) -> String {
    meaning(if name == ELECTION { "election_min" } else { name }).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_setting_of_the_core_but_one_has_its_name() {
        let mut names: Vec<String> = RaftSettings::default().fields().keys().cloned().collect();
        names.extend([ELECTION.to_string()]);
        names.retain(|name| name != "snapshot_part_bytes");
        names.sort_unstable();
        let mut known = NAMES.to_vec();
        known.sort_unstable();
        assert_eq!(known, names);
        assert!(NAMES.iter().all(|name| !meaning_of(name).is_empty()));
    }

    #[test]
    fn what_is_shown_of_a_setting_sets_it() {
        let settings = RaftSettings { election_min: Duration::from_secs(1), ..RaftSettings::default() };
        for name in NAMES {
            let text = settings.named(name).expect("it has a name");
            assert_eq!(settings.with_named(name, &text), Ok(settings.clone()), "{name}");
        }
        assert_eq!(settings.named("snapshot_part_bytes"), None);
    }

    #[test]
    fn a_wrong_value_is_answered_with_what_to_write() {
        let settings = RaftSettings::default();
        for (name, text, said) in [
            ("heartbeat", "100", "heartbeat: '100' has no unit: write 100s or 100ms"),
            ("election", "1s", "election: '1s' is not a range of times: write it as 150ms..300ms"),
            ("pre_vote", "maybe", "pre_vote: 'maybe' is neither on nor off"),
            ("sessions_max", "-1", "sessions_max: '-1' is not a whole number, 0 or above"),
            ("clock_drift_percent", "99999999999", "clock_drift_percent: 99999999999 is too large"),
        ] {
            assert_eq!(settings.with_named(name, text).expect_err(name).to_string(), said);
        }
        let range = settings.with_named("election", "200ms-400ms").expect("a range");
        assert_eq!(range.named("election").as_deref(), Some("200ms..400ms"));
    }
}
