//! Links between processes: sockets that stand behind a router, as the inboxes of threads do.
//!
//! Each process dials the nodes that it sends to, and answers take the way of the question, so two nodes have a connection for
//! each direction, and a client or console has one. To the router a link is one more inbox: bounds, faults and counted drops
//! are the same as in one process. Nothing is ever sent twice: what was in a connection that broke is lost.
//!
//! Both ends speak at least once in [`TICK`]. An end that hears nothing for [`SILENCE`] closes the connection and dials again:
//! no time-out of the system, which may take a quarter of an hour, decides when a healed network is used again.

mod accept;
mod book;
mod channel;
mod connection;
mod dial;
mod lives;
mod names;
mod notices;
mod outlet;

use std::time::Duration;

pub use self::accept::{Acceptor, Attached, Bounds, Host};
pub use self::book::{AddressBook, Source};
pub use self::dial::{Dialer, Heard, LinkEvent, Target, Traffic, Unreached, probe};
pub use self::lives::Lives;
pub use self::notices::Notices;

/// How often each end of a connection speaks at least.
pub const TICK: Duration = Duration::from_millis(250);

/// How long the other end may say nothing.
pub const SILENCE: Duration = Duration::from_secs(2);

/// How long a handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(2);
