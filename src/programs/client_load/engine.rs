//! What is put under load, and how its reads are judged, from the command line.

use super::Options;
use crate::experiment::Engine;
use crate::protocol::ReadMode;

/// How reads are asked and judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reads {
    pub mode: ReadMode,
    pub judges_stale: bool,
}

/// What is put under load. Options that say how raftlab's own nodes are to be cannot go with another engine.
pub(super) fn engine_of(options: &Options) -> Result<Engine, String> {
    let engine = options.engine.clone().unwrap_or_default();
    if matches!(engine, Engine::Raftlab(None)) {
        return Ok(engine);
    }
    let unfit = [
        (options.nodes.given()?.is_some(), "the number of nodes"),
        (options.config.is_some() && !matches!(engine, Engine::Raftlab(_)), "--config"),
        (options.election.is_some() && !matches!(engine, Engine::Raftlab(_)), "--election"),
    ];
    let unfit = unfit.into_iter().find(|(given, _)| *given);
    unfit.map_or(Ok(()), |(_, name)| Err(format!("--engine {engine} cannot go with {name}")))?;
    Ok(engine)
}

pub(super) fn reads(text: &str) -> Result<Reads, String> {
    let (mode, judges_stale) = match text {
        "linearizable" => (ReadMode::Linearizable, false),
        "lease" => (ReadMode::Lease, false),
        "stale" => (ReadMode::Stale, false),
        "serializable" => (ReadMode::Stale, true),
        _ => return Err("choose linearizable, lease, stale or serializable".to_string()),
    };
    Ok(Reads { mode, judges_stale })
}
