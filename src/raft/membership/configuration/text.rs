//! A configuration between processes: its JSON, as in the log's files. It has fields that are left out.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::Configuration;

pub fn serialize<S: Serializer>(members: &Arc<Configuration>, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        return members.serialize(serializer);
    }
    let text = serde_json::to_string(members).map_err(ser::Error::custom)?;
    serializer.serialize_str(&text)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Configuration>, D::Error> {
    if deserializer.is_human_readable() {
        return Arc::deserialize(deserializer);
    }
    serde_json::from_str(<&str>::deserialize(deserializer)?).map(Arc::new).map_err(de::Error::custom)
}
