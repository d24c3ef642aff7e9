//! Cluster membership changes (section 6; D 4).

pub mod configuration;
