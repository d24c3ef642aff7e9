//! Who may speak to whom beyond one machine: certificates, what they let their holders do, and encrypted connections.
//!
//! A process that has certificates speaks TLS 1.3 only, asks each caller for a certificate of the cluster's own authority, and
//! reads in it what the caller is: a node, an administrator or a client. The one that dials looks for the node's name, never
//! for a host's, so a node may move to another address. Without the feature `tls` there are no certificates.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
pub mod issue;
mod role;
#[cfg(feature = "tls")]
mod session;
#[cfg(all(test, feature = "tls"))]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

#[cfg(not(feature = "tls"))]
pub use self::absent::{Certificates, Session};
#[cfg(feature = "tls")]
pub use self::certificates::Certificates;
pub use self::role::{Holder, Role};
#[cfg(feature = "tls")]
pub use self::session::Session;

/// How the connections of a process are protected.
#[derive(Clone, Debug, Default)]
pub enum Security {
    /// They stay on this machine, and are not encrypted.
    #[default]
    Loopback,
    /// Both ends show certificates.
    Certificates(Arc<Certificates>),
}

impl Security {
    /// Why a connection must not be made with this address.
    ///
    /// # Errors
    /// It is another machine's, and there are no certificates.
    pub fn permits(&self, address: IpAddr) -> Result<(), String> {
        match self {
            Security::Loopback if !address.is_loopback() => Err(format!(
                "{address} can be reached by others, and connections are not encrypted: use 127.0.0.1, or {}",
                remedy(cfg!(feature = "tls"))
            )),
            Security::Loopback | Security::Certificates(_) => Ok(()),
        }
    }
}

fn remedy(has_tls: bool) -> &'static str {
    if has_tls {
        "name certificates in the cluster's file ('node certs --help')"
    } else {
        "build with --features tls and name certificates in the cluster's file"
    }
}

/// Before progress on a handshake ends: what one end has to say.
pub(crate) const HANDSHAKE_BYTES_MAX: usize = 16 << 10;

/// What came out of encrypted bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    pub bytes: usize,
    /// The other end says that nothing follows.
    pub is_end: bool,
}
