//! Load: many clients at once, what they ask, how fast, and what came of it.
//!
//! A [`Plan`] says what to do. [`Load`] carries it out, each client on a thread of its own, and gathers what they saw,
//! second by second. [`Experiment`] is a whole run: a cluster, a load, faults at their times, the checks at the end and a
//! [`Report`].
//!
//! All times that a run tells (rows, faults, leaders, outages) are seconds since the measured time began, which is when
//! the warm-up ends. A history keeps the cluster's clock, and marks that moment.
//!
//! Architecture invariant: a client's thread shares nothing with the others on its way but a few atomic numbers, and
//! what it measures costs less than what it asks for. No figure is a division by something that may be zero.

mod client;
mod collector;
mod expectation;
mod experiment;
mod faults;
mod keys;
mod numbers;
mod outage;
mod page;
mod plan;
mod plot;
mod report;
mod row;
mod sampling;
mod sweep;
mod tally;
mod usage;
mod workload;

pub use self::collector::{Event, Load, Outcome};
pub use self::expectation::{Expectation, Judgment};
pub use self::experiment::{Experiment, Listener, Progress, Trouble};
pub use self::faults::TimedLine;
pub use self::page::page;
pub use self::plan::{Amount, Plan};
pub use self::report::{FaultReport, LeaderReport, Report, VerdictReport};
pub use self::row::csv;
pub use self::sampling::{Judged, judge};
pub use self::sweep::{Sweep, table};
pub use self::tally::{Carried, Figures, Row};
pub use self::workload::{Mix, WorkloadSettings};
