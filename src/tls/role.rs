//! What a certificate says that its holder is: a DNS name such as `n2.peer.00000000000000a1.raftlab`.

use std::str::FromStr;

use derive_more::Display;

use crate::storage::ClusterId;
use crate::types::NodeId;
use crate::wire::Caller;

/// The last part of all names.
const SUFFIX: &str = "raftlab";

/// The longest part of a DNS name.
const LABEL_MAX: usize = 63;

/// What its certificate lets a process do.
#[derive(Clone, PartialEq, Eq, Debug, Display)]
pub enum Role {
    /// It speaks as this node, and may be a client as well.
    #[display("node {_0}")]
    Peer(NodeId),
    /// It attaches a console, and may be a client as well.
    #[display("administrator {_0}")]
    Admin(String),
    /// It reads and writes data.
    #[display("client {_0}")]
    Client(String),
}

impl Role {
    /// The name in the certificate.
    pub fn dns_name(&self, cluster: ClusterId) -> String {
        let (name, kind) = self.parts();
        format!("{name}.{kind}.{cluster}.{SUFFIX}")
    }

    /// The name of its files, without what tells a certificate from a key.
    pub fn file_stem(&self) -> String {
        let (name, kind) = self.parts();
        format!("{name}.{kind}")
    }

    fn parts(&self) -> (String, &'static str) {
        match self {
            Role::Peer(node) => (node.to_string(), "peer"),
            Role::Admin(name) => (name.clone(), "admin"),
            Role::Client(name) => (name.clone(), "client"),
        }
    }

    /// What a name in a certificate says; none when it is not about this cluster.
    pub fn of_dns_name(text: &str, cluster: ClusterId) -> Option<Role> {
        let stem = text.strip_suffix(SUFFIX)?.strip_suffix('.')?.strip_suffix(&cluster.to_string())?;
        stem.strip_suffix('.')?.parse().ok()
    }

    /// Whether it may come in as this caller.
    ///
    /// # Errors
    /// It may not, and why.
    pub fn permits(&self, caller: &Caller) -> Result<(), String> {
        match (self, caller) {
            (Role::Peer(node), Caller::Node { member, .. }) if *node == member.node => Ok(()),
            // A node has clients of its own, for its gateway.
            (Role::Admin(_), Caller::Console { .. }) | (_, Caller::Client { .. } | Caller::Probe { .. }) => {
                Ok(())
            }
            (_, Caller::Node { member, .. }) => {
                Err(format!("its certificate is that of {self}, and it speaks as node {}", member.node))
            }
            (_, Caller::Console { .. }) => {
                Err(format!("its certificate is that of {self}: a console shows an administrator's"))
            }
        }
    }
}

/// Reads `n2.peer`, `ann.admin` or `ann.client`.
impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        let (name, kind) = text.rsplit_once('.').ok_or_else(|| format!("'{text}' names no role"))?;
        match kind {
            "peer" => name.parse().map(Role::Peer),
            "admin" => holder_name(name).map(Role::Admin),
            "client" => holder_name(name).map(Role::Client),
            _ => Err(format!("'{kind}' is no role: peer, admin or client")),
        }
    }
}

/// Checks the name of a person or program.
///
/// # Errors
/// It could not stand in a certificate.
pub(super) fn holder_name(name: &str) -> Result<String, String> {
    let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let good = name.bytes().all(|byte| letter(byte) || byte == b'-')
        && name.bytes().next().is_some_and(letter)
        && name.bytes().last().is_some_and(letter)
        && name.len() <= LABEL_MAX;
    if good {
        return Ok(name.to_string());
    }
    Err(format!(
        "'{name}' cannot stand in a certificate: use up to {LABEL_MAX} small letters, digits and '-'"
    ))
}

/// Whose certificate a process takes from the folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    Peer(NodeId),
    /// A person or program: its administrator's certificate, else its client's. Without a name, the only one that is there.
    Person(Option<String>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Member;

    const CLUSTER: ClusterId = ClusterId(0xa1);

    fn node(number: u8) -> NodeId {
        NodeId::new(number)
    }

    #[test]
    fn a_name_says_the_role_and_its_cluster() {
        for role in [Role::Peer(node(2)), Role::Admin("ann".into()), Role::Client("web-1".into())] {
            let name = role.dns_name(CLUSTER);
            assert_eq!(Role::of_dns_name(&name, CLUSTER), Some(role), "{name}");
            assert_eq!(Role::of_dns_name(&name, ClusterId(0xa2)), None, "{name}");
        }
        assert_eq!(Role::Peer(node(2)).dns_name(CLUSTER), "n2.peer.00000000000000a1.raftlab");
        for other in ["n2.peer.00000000000000a1.raftlab.org", "x.n2.peer.00000000000000a1.raftlab", "n2", ""]
        {
            assert_eq!(Role::of_dns_name(other, CLUSTER), None, "{other}");
        }
        for name in ["", "-ann", "Ann", "a.b", "a b", &"a".repeat(64)] {
            assert!(holder_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn each_role_comes_in_as_what_it_is() {
        let expects = node(1);
        let peer = |member| Caller::Node {
            member: Member::founder(member),
            life: 1,
            address: "[::1]:7001".parse().expect("an address"),
            expects,
            connection: 0,
        };
        let console = Caller::Console { expects, name: "ann".into() };
        let (client, probe) = (Caller::Client { expects }, Caller::Probe { expects });
        let callers = [peer(node(2)), peer(node(3)), console, client, probe];
        for (role, let_in) in [
            (Role::Peer(node(2)), [true, false, false, true, true]),
            (Role::Admin("ann".into()), [false, false, true, true, true]),
            (Role::Client("ann".into()), [false, false, false, true, true]),
        ] {
            for (caller, let_in) in callers.iter().zip(let_in) {
                assert_eq!(role.permits(caller).is_ok(), let_in, "{role}: {caller:?}");
            }
        }
    }
}
