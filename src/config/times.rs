//! Times as people write them: `150ms`, `2s`, `1m 30s`. In a file a time is such a text.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

use crate::text::units::parse_duration;

pub(super) fn shown(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(time)
}

pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&shown(*time))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}
