//! Load: many clients at once, what they ask, how fast, and what came of it.
//!
//! A [`Plan`] says what to do. [`Load`] does it, each client on a thread of its own, and gathers what they saw, second by
//! second, into a [`Summary`]. A whole run with a cluster of its own is an
//! [`Experiment`](crate::experiment::Experiment).
//!
//! All times are seconds since the measured time began, which is when the warm-up ends. A history keeps the cluster's
//! clock, and marks that moment.
//!
//! Architecture invariant: clients' threads share only a few atomic numbers, and what a client measures costs less than
//! what it asks for. No figure is a division by something that may be zero. Nothing here knows of a console.

mod buckets;
mod caller;
mod client;
mod collector;
mod keys;
mod outage;
mod pace;
mod plan;
mod row;
mod sampling;
mod summary;
mod tally;
mod workload;

pub use self::buckets::{Bucket, Cell, ClientSeen};
pub use self::caller::Caller;
pub use self::collector::{Event, Load};
pub use self::plan::{Amount, Plan};
pub use self::row::csv;
pub use self::sampling::{Sample, SampleVerdict, judge, safety_lines};
pub use self::summary::{Curves, Summary};
pub(crate) use self::summary::{figures_shown, note_shown};
pub use self::tally::{CarryOver, Figures, Row};
pub use self::workload::{Mix, WorkloadSettings};
