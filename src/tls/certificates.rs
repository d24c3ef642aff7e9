//! A process's own certificate and key, and the authority whose certificates it takes: files, which are read again on request.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::session::said;
use super::{Holder, Role, Session};
use crate::storage::{ClusterId, private};
use crate::types::NodeId;

/// The authority's certificate.
pub(super) const CA_CERTIFICATE: &str = "ca.crt";

/// Certificates of a process. What it has read holds for new connections; those that are open stay.
#[derive(derive_more::Debug)]
pub struct Certificates {
    cluster: ClusterId,
    folder: PathBuf,
    role: Role,
    #[debug(skip)]
    loaded: Mutex<Loaded>,
}

#[derive(Clone)]
struct Loaded {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    expires: SystemTime,
}

impl Certificates {
    /// Reads the holder's certificate and key, and the authority's certificate.
    ///
    /// # Errors
    /// One is missing, not what it should be, or has expired; or others can read the key.
    pub fn open(folder: &Path, holder: &Holder, cluster: ClusterId) -> Result<Certificates, String> {
        Certificates::open_at(folder, holder, cluster, UnixTime::now())
    }

    /// The same as if it were this time.
    pub(super) fn open_at(
        folder: &Path,
        holder: &Holder,
        cluster: ClusterId,
        now: UnixTime,
    ) -> Result<Certificates, String> {
        let role = chosen(folder, holder)?;
        let loaded = Mutex::new(Loaded::read(folder, &role, cluster, now)?);
        Ok(Certificates { cluster, folder: folder.to_path_buf(), role, loaded })
    }

    /// Reads the files again. What was read before stays when they are not right.
    ///
    /// # Errors
    /// As [`Certificates::open`].
    pub fn reload(&self) -> Result<(), String> {
        *self.loaded.lock() = Loaded::read(&self.folder, &self.role, self.cluster, UnixTime::now())?;
        Ok(())
    }

    /// When the certificate ends, or the authority's, whichever is first.
    pub fn expires(&self) -> SystemTime {
        self.loaded.lock().expires
    }

    pub(crate) fn dial(&self, node: NodeId) -> Result<Session, String> {
        let name = Role::Peer(node).dns_name(self.cluster);
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        let config = Arc::clone(&self.loaded.lock().client);
        let connection = ClientConnection::new(config, name).map_err(|error| said(&error))?;
        Ok(Session::new(Connection::Client(connection), self.cluster))
    }

    pub(crate) fn accept(&self) -> Result<Session, String> {
        let config = Arc::clone(&self.loaded.lock().server);
        let connection = ServerConnection::new(config).map_err(|error| said(&error))?;
        Ok(Session::new(Connection::Server(connection), self.cluster))
    }
}

impl Loaded {
    fn read(folder: &Path, role: &Role, cluster: ClusterId, now: UnixTime) -> Result<Loaded, String> {
        let path = |ending: &str| folder.join(format!("{}.{ending}", role.file_stem()));
        let (own, key) = (path("crt"), path("key"));
        let authority = certificates(&folder.join(CA_CERTIFICATE))?;
        let chain = certificates(&own)?;
        private::check(&key)?;
        let unreadable = |error| format!("{}: {error}", key.display());
        let key_problem = |error| match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("{} is not the key of {}", key.display(), own.display())
            }
            other => format!("{}: {other}", key.display()),
        };
        let secret = PrivateKeyDer::from_pem_file(&key).map_err(unreadable)?;
        let expires = validity(&chain, &authority, &role.dns_name(cluster), now)
            .map_err(|problem| format!("{}: {problem}", own.display()))?;
        let mut roots = RootCertStore::empty();
        for certificate in authority {
            roots.add(certificate).map_err(|error| said(&error))?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(provider());
        let asks = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let asks = asks.build().map_err(|error| error.to_string())?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let server = server.with_protocol_versions(&[&TLS13]).map_err(|error| said(&error))?;
        let server = server.with_client_cert_verifier(asks);
        let mut server = server.with_single_cert(chain.clone(), secret.clone_key()).map_err(key_problem)?;
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        let client = ClientConfig::builder_with_provider(provider);
        let client = client.with_protocol_versions(&[&TLS13]).map_err(|error| said(&error))?;
        let client = client.with_root_certificates(roots);
        let mut client = client.with_client_auth_cert(chain, secret).map_err(key_problem)?;
        client.resumption = Resumption::disabled();
        Ok(Loaded { client: Arc::new(client), server: Arc::new(server), expires })
    }
}

/// The shorter key first: it costs less and is long enough.
fn provider() -> CryptoProvider {
    use rustls::crypto::ring::cipher_suite::{
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    let cipher_suites =
        vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
    CryptoProvider { cipher_suites, ..ring::default_provider() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let text = fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("{shown} holds no certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{shown} is damaged: {error}")),
    }
}

/// Looks at the certificate as another process will, and tells when it ends.
fn validity(
    chain: &[CertificateDer<'static>],
    authority: &[CertificateDer<'static>],
    name: &str,
    now: UnixTime,
) -> Result<SystemTime, String> {
    let anchors: Result<Vec<_>, _> = authority.iter().map(webpki::anchor_from_trusted_cert).collect();
    let anchors = anchors.map_err(|error| error.to_string())?;
    let certificate = EndEntityCert::try_from(&chain[0]).map_err(|error| error.to_string())?;
    if !certificate.valid_dns_names().any(|shown| shown == name) {
        return Err(format!("it does not name {name}: make it with the cluster.toml of this cluster"));
    }
    let verified = |time: UnixTime| {
        let algorithms = provider().signature_verification_algorithms;
        let usage = KeyUsage::client_auth();
        certificate.verify_for_usage(algorithms.all, &anchors, &chain[1..], time, usage, None, None).map(drop)
    };
    match verified(now) {
        Ok(()) => {}
        Err(Error::CertExpired { .. }) => {
            return Err("it has expired: make a new one ('node certs')".to_string());
        }
        Err(Error::CertNotValidYet { .. }) => {
            return Err("it is not valid yet: compare the clocks".to_string());
        }
        Err(Error::UnknownIssuer) => {
            return Err(format!("the authority of {CA_CERTIFICATE} did not make it"));
        }
        Err(error) => return Err(error.to_string()),
    }
    // Nothing is valid at the end of time, and the refusal tells since when.
    match verified(UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX / 2))) {
        Err(Error::CertExpired { not_after, .. }) => {
            Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(not_after.as_secs()))
        }
        _ => Err("it never ends: make one that does".to_string()),
    }
}

/// The role whose files the holder has in the folder.
fn chosen(folder: &Path, holder: &Holder) -> Result<Role, String> {
    let wanted = match holder {
        Holder::Peer(node) => return Ok(Role::Peer(*node)),
        Holder::Person(wanted) => wanted,
    };
    let shown = folder.display();
    let found = fs::read_dir(folder).map_err(|error| format!("{shown}: {error}"))?;
    let names = found.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let roles = names.filter_map(|name| name.strip_suffix(".crt")?.parse().ok());
    let of = |role: &Role| match role {
        Role::Peer(_) => None,
        Role::Admin(name) | Role::Client(name) => Some(name.clone()),
    };
    let mut mine: Vec<Role> = roles.filter(|role| of(role).is_some()).collect();
    mine.retain(|role| wanted.is_none() || of(role) == *wanted);
    mine.sort_by_key(|role| (!matches!(role, Role::Admin(_)), of(role)));
    let mut holders: Vec<String> = mine.iter().filter_map(of).collect();
    holders.sort();
    holders.dedup();
    match (holders.as_slice(), wanted) {
        ([_], _) => Ok(mine.swap_remove(0)),
        ([], Some(name)) => {
            Err(format!("{shown} holds no certificate of {name}: 'node certs admin {name}' makes one"))
        }
        ([], None) => Err(format!(
            "{shown} holds no certificate of a client or an administrator: 'node certs admin NAME' makes one"
        )),
        (several, _) => {
            Err(format!("{shown} holds certificates of {}: choose one with --as", several.join(", ")))
        }
    }
}
