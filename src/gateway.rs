//! The gateway: HTTP that speaks etcd's JSON, so that any language reads and writes the store, and a program moves on to
//! etcd by another address.
//!
//! A thread for each connection, which stays open for further requests. All requests are answered by clients of the gateway's
//! own, so any node's gateway answers. It listens on the loopback interface alone, and browsers may show anyone's page: so a
//! request must come by a name of this machine, and from no page. Everything is bounded: connections, bytes, time.
//!
//! Architecture invariant: what is answered is known to have happened, or known not to have; an answer that did not come in time
//! says that nothing is known, and names the command.

#[cfg(not(feature = "http"))]
mod absent;
#[cfg(feature = "http")]
mod answers;
#[cfg(feature = "http")]
mod form;
#[cfg(feature = "http")]
mod header;
#[cfg(feature = "http")]
mod kv;
#[cfg(feature = "http")]
mod metrics;
#[cfg(feature = "http")]
mod places;
#[cfg(feature = "http")]
mod routes;
#[cfg(feature = "http")]
mod server;
#[cfg(feature = "http")]
mod sessions;
mod site;

#[cfg(not(feature = "http"))]
pub use self::absent::{Door, Gateway};
#[cfg(feature = "http")]
pub use self::server::{Door, Gateway};
pub use self::site::Site;
