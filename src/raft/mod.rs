//! The consensus core.

pub mod effects;
pub mod event;
pub mod log;
pub mod message;
