//! Where a node can be reached.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use derive_more::Display;
use serde::{Deserialize, Serialize};

use super::NodeId;

/// Where nodes can be reached.
pub type Addresses = BTreeMap<NodeId, HostPort>;

/// An address, `host:port`: a name or a number, never resolved here. It has at most [`HostPort::BYTES_MAX`] bytes, all of
/// them printable ASCII characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Display, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort(Arc<str>);

impl HostPort {
    /// Bytes of the longest: a name has at most 253 (RFC 1035), a port five.
    pub const BYTES_MAX: usize = 259;
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<HostPort, String> {
        let is_plain = |host: &str| {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
        };
        let parts = text.rsplit_once(':').filter(|_| text.len() <= HostPort::BYTES_MAX);
        match parts {
            Some((host, port)) if is_plain(host) && port.parse::<u16>().is_ok() => Ok(HostPort(text.into())),
            _ => Err("no address: write it as \"host:port\"".to_string()),
        }
    }
}

impl TryFrom<String> for HostPort {
    type Error = String;

    fn try_from(text: String) -> Result<HostPort, String> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(address: HostPort) -> String {
        address.0.to_string()
    }
}

impl From<core::net::SocketAddr> for HostPort {
    fn from(address: core::net::SocketAddr) -> HostPort {
        HostPort(address.to_string().into())
    }
}

impl Deref for HostPort {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for right in ["127.0.0.1:7001", "[::1]:7001", "[fe80::1%eth0]:0", "n1.example.org:65535"] {
            assert_eq!(right.parse::<HostPort>().map(String::from).as_deref(), Ok(right));
        }
        let long = format!("{}:7001", "n".repeat(HostPort::BYTES_MAX));
        for wrong in ["", "host", ":7001", "host:", "host:65536", "ho st:1", "h\"t:1", "hé:1", "h\n:1", &long]
        {
            assert!(wrong.parse::<HostPort>().is_err(), "{wrong:?} is no address");
        }
    }
}
