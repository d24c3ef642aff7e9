//! Broken rules for the museum: a way to put a defect into simulated nodes, and nowhere else.
//!
//! An exhibit changes what goes into a step, what comes out of it, or the state between steps. The core's own code
//! holds no switch for it, so no shipped path can be broken by one.

use crate::server::{Arrival, Outbox, Server};

/// A rule, broken.
pub trait Exhibit: Send {
    /// Before a node's step.
    fn before(&mut self, _server: &mut Server, _arrivals: &mut Vec<Arrival>) {}

    /// After a node's step, before the checks see it and before anything leaves.
    fn after(&mut self, _server: &mut Server, _outbox: &mut Outbox) {}
}
