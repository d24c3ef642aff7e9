//! One encrypted connection, without its socket: bytes go in and come out, and no call waits.

use std::io::{self, ErrorKind, Read, Write};

use parking_lot::Mutex;
use rustls::{AlertDescription, CertificateError, Connection, Error};
use webpki::EndEntityCert;

use super::{Opened, Role};
use crate::storage::ClusterId;

/// What is encrypted while the lock is held once: the reader waits for no longer.
const SEALED_AT_ONCE: usize = 64 << 10;

/// The state that both directions share.
#[derive(derive_more::Debug)]
pub struct Session {
    #[debug(skip)]
    connection: Mutex<Connection>,
    cluster: ClusterId,
}

impl Session {
    pub(super) fn new(mut connection: Connection, cluster: ClusterId) -> Session {
        // The links bound what waits: nothing is to be cut off here.
        connection.set_buffer_limit(None);
        Session { connection: Mutex::new(connection), cluster }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.lock().is_handshaking()
    }

    /// Takes bytes of the handshake; what comes behind it stays.
    ///
    /// # Errors
    /// The handshake has failed, and why.
    pub(crate) fn advance(&self, sealed: &mut &[u8]) -> Result<(), String> {
        let mut connection = self.connection.lock();
        while connection.is_handshaking() && !sealed.is_empty() {
            connection.read_tls(sealed).map_err(|error| error.to_string())?;
            connection.process_new_packets().map_err(|error| said(&error))?;
        }
        Ok(())
    }

    /// Decrypts as much as there is room for.
    ///
    /// # Errors
    /// The other end has broken the protocol, or ended the connection by an alert.
    pub(crate) fn open(&self, sealed: &mut &[u8], into: &mut [u8]) -> io::Result<Opened> {
        let mut connection = self.connection.lock();
        let mut bytes = 0;
        while bytes < into.len() {
            match connection.reader().read(&mut into[bytes..]) {
                Ok(0) => return Ok(Opened { bytes, is_end: true }),
                Ok(count) => {
                    bytes += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if sealed.is_empty() {
                break;
            }
            connection.read_tls(sealed)?;
            connection.process_new_packets().map_err(|error| io::Error::other(said(&error)))?;
        }
        Ok(Opened { bytes, is_end: false })
    }

    /// Encrypts, behind what the session itself has to say.
    pub(crate) fn seal(&self, mut plain: &[u8], sealed: &mut Vec<u8>) {
        loop {
            let (now, later) = plain.split_at(plain.len().min(SEALED_AT_ONCE));
            let mut connection = self.connection.lock();
            connection.writer().write_all(now).expect("its buffer has no limit");
            take(&mut connection, sealed);
            if later.is_empty() {
                return;
            }
            plain = later;
        }
    }

    /// Says that nothing follows.
    pub(crate) fn close(&self, sealed: &mut Vec<u8>) {
        let mut connection = self.connection.lock();
        connection.send_close_notify();
        take(&mut connection, sealed);
    }

    /// What the other end's certificate says.
    ///
    /// # Errors
    /// It says nothing about this cluster.
    pub(crate) fn role(&self) -> Result<Role, String> {
        let connection = self.connection.lock();
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        let shown = shown.ok_or_else(|| "it shows no certificate".to_string())?;
        let certificate = EndEntityCert::try_from(shown).map_err(|error| error.to_string())?;
        let mut roles =
            certificate.valid_dns_names().filter_map(|name| Role::of_dns_name(name, self.cluster));
        match (roles.next(), roles.next()) {
            (Some(role), None) => Ok(role),
            (None, _) => Err(format!("its certificate names no role in cluster {}", self.cluster)),
            (Some(one), Some(other)) => Err(format!("its certificate names two roles: {one} and {other}")),
        }
    }
}

fn take(connection: &mut Connection, sealed: &mut Vec<u8>) {
    while connection.wants_write() {
        connection.write_tls(sealed).expect("memory takes it");
    }
}

/// The library's errors in the words of this program.
pub(super) fn said(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired: make a new one ('node certs')".to_string()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: compare the clocks".to_string()
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is of another authority: use the certificates of one 'node certs new-ca'"
                    .to_string()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is another node's".to_string()
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "its certificate is no node's".to_string()
            }
            other => format!("its certificate is not valid: {other:?}"),
        },
        Error::NoCertificatesPresented => "it shows no certificate".to_string(),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateExpired => {
                "it does not take this certificate: it has expired, or is not valid yet".to_string()
            }
            AlertDescription::UnknownCA => {
                "it does not take this certificate: another authority made it".to_string()
            }
            AlertDescription::CertificateRequired => "it asks for a certificate".to_string(),
            other => format!("it has ended the connection: {other:?}"),
        },
        other => format!("it does not speak TLS as a node does: {other}"),
    }
}
