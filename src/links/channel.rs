//! The bytes of one connection, encrypted or not: the socket's calls stand outside the lock of what encrypts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::HANDSHAKE_PATIENCE;
use crate::text::plain;
use crate::tls::{HANDSHAKE_BYTES_MAX, Opened, Role, Security, Session};
use crate::types::NodeId;
use crate::wire::MAGIC;

/// How much is read at once, before the handshake has ended and after.
const READ_IN_HANDSHAKE: usize = 4 << 10;
const READ_AT_ONCE: usize = 64 << 10;

/// A buffer that a large message has made larger than this is given back.
const SEALED_KEPT: usize = 1 << 20;

const PLAIN: &str =
    "it speaks without TLS: its cluster.toml names no certificates, or it is no process of this program";

/// How long the end of a connection waits for what is under way.
pub(super) const CLOSING: Duration = Duration::from_secs(1);

/// The end that reads.
pub(super) struct Channel {
    socket: TcpStream,
    secured: Option<Secured>,
}

struct Secured {
    session: Arc<Session>,
    /// What was read and not decrypted yet lies from `start` to `end`.
    sealed: Vec<u8>,
    start: usize,
    end: usize,
}

/// The end that writes.
pub(super) struct Writer {
    socket: TcpStream,
    session: Option<Arc<Session>>,
    sealed: Vec<u8>,
    /// How many bytes at the end of `sealed` are still to be written.
    owed: usize,
}

impl Channel {
    /// To a node, whose name the certificate must bear.
    pub fn dial(
        socket: TcpStream,
        node: NodeId,
        security: &Security,
        deadline: Instant,
    ) -> Result<Channel, String> {
        match security {
            Security::Loopback => Ok(Channel { socket, secured: None }),
            Security::Certificates(certificates) => {
                Channel::secure(socket, certificates.dial(node)?, deadline)
            }
        }
    }

    /// From a caller, who must show a certificate.
    pub fn accept(socket: TcpStream, security: &Security, deadline: Instant) -> Result<Channel, String> {
        match security {
            Security::Loopback => Ok(Channel { socket, secured: None }),
            Security::Certificates(certificates) => Channel::secure(socket, certificates.accept()?, deadline),
        }
    }

    fn secure(socket: TcpStream, session: Session, deadline: Instant) -> Result<Channel, String> {
        let mut secured =
            Secured { session: Arc::new(session), sealed: vec![0; READ_IN_HANDSHAKE], start: 0, end: 0 };
        let shaken = secured.shake(&socket, deadline);
        if shaken.is_err() {
            // The alert says to the other end why.
            let mut alert = Vec::new();
            secured.session.close(&mut alert);
            let _ = (&socket).write_all(&alert);
            close_gently(&socket);
        }
        shaken.map(|()| Channel { socket, secured: Some(secured) })
    }

    /// What the other end's certificate says; none where there are no certificates.
    pub fn role(&self) -> Result<Option<Role>, String> {
        self.secured.as_ref().map(|secured| secured.session.role()).transpose()
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub fn writer(&self) -> io::Result<Writer> {
        let session = self.secured.as_ref().map(|secured| Arc::clone(&secured.session));
        Ok(Writer { socket: self.socket.try_clone()?, session, sealed: Vec::new(), owed: 0 })
    }
}

/// One read of the socket at most. `Interrupted` says that what came is not enough for anything yet.
impl Read for Channel {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(secured) = &mut self.secured else { return self.socket.read(into) };
        let earlier = secured.open(into)?;
        if earlier.bytes > 0 || earlier.is_end {
            return Ok(earlier.bytes);
        }
        secured.sealed.resize(READ_AT_ONCE, 0);
        secured.start = 0;
        secured.end = self.socket.read(&mut secured.sealed)?;
        if secured.end == 0 {
            return Ok(0);
        }
        let opened = secured.open(into)?;
        if opened.bytes == 0 && !opened.is_end {
            Err(ErrorKind::Interrupted.into())
        } else {
            Ok(opened.bytes)
        }
    }
}

impl Secured {
    fn open(&mut self, into: &mut [u8]) -> io::Result<Opened> {
        let mut rest = &self.sealed[self.start..self.end];
        let opened = self.session.open(&mut rest, into);
        self.start = self.end - rest.len();
        opened
    }

    /// The handshake of TLS: it takes no more time and bytes than one of this program's.
    fn shake(&mut self, mut socket: &TcpStream, deadline: Instant) -> Result<(), String> {
        let told = |error: io::Error| format!("the handshake failed: {}", said(&error));
        socket.set_write_timeout(Some(HANDSHAKE_PATIENCE)).map_err(told)?;
        let mut taken = 0;
        loop {
            let mut answer = Vec::new();
            self.session.seal(&[], &mut answer);
            socket.write_all(&answer).map_err(told)?;
            if !self.session.is_handshaking() {
                return Ok(());
            }
            patient_until(socket, deadline)?;
            let count = socket.read(&mut self.sealed).map_err(told)?;
            if count == 0 {
                return Err("it closed the connection before the handshake ended".to_string());
            }
            let came = &self.sealed[..count];
            if taken == 0 && MAGIC.starts_with(&came[..count.min(MAGIC.len())]) {
                return Err(PLAIN.to_string());
            }
            taken += count;
            if taken > HANDSHAKE_BYTES_MAX {
                return Err("its handshake is too long".to_string());
            }
            let mut rest = came;
            self.session.advance(&mut rest)?;
            (self.start, self.end) = (count - rest.len(), count);
        }
    }
}

impl Writer {
    /// Writes all of it, and what the session itself has to say.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pay()?;
        let Some(session) = &self.session else { return self.socket.write_all(bytes) };
        self.sealed.clear();
        session.seal(bytes, &mut self.sealed);
        let written = self.socket.write_all(&self.sealed);
        self.sealed.shrink_to(SEALED_KEPT);
        written
    }

    /// Writes as much of it as needs no waiting, and owes the rest. Whether nothing is left. It owes nothing before.
    pub fn write_now(&mut self, bytes: &[u8]) -> bool {
        assert!(!self.owes(), "what is owed is written first");
        self.sealed.clear();
        match &self.session {
            Some(session) => session.seal(bytes, &mut self.sealed),
            None => self.sealed.extend_from_slice(bytes),
        }
        self.owed = self.sealed.len() - send_now(&self.socket, &self.sealed);
        self.owed == 0
    }

    /// Whether something is left of what was to be written.
    pub fn owes(&self) -> bool {
        self.owed > 0
    }

    fn pay(&mut self) -> io::Result<()> {
        let owed = std::mem::take(&mut self.owed);
        let written = self.socket.write_all(&self.sealed[self.sealed.len() - owed..]);
        self.sealed.shrink_to(SEALED_KEPT);
        written
    }

    /// Says that nothing follows. What was written last can still be read.
    pub fn close(&mut self) {
        if let Some(session) = &self.session {
            self.sealed.clear();
            session.close(&mut self.sealed);
            let _ = self.socket.write_all(&self.sealed);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
        let _ = self.socket.set_read_timeout(Some(CLOSING));
    }
}

/// Hands the system what it takes at once, and returns how much that was: nothing if the connection is broken, which the
/// next write tells. Elsewhere than on Linux the thread writes all.
#[cfg(target_os = "linux")]
fn send_now(socket: &TcpStream, bytes: &[u8]) -> usize {
    use rustix::net::{SendFlags, send};
    send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn send_now(_: &TcpStream, _: &[u8]) -> usize {
    0
}

/// Closes a connection so that what was written last is read: a close with unread bytes would reset it.
pub(super) fn close_gently(mut socket: &TcpStream) {
    let _ = socket.shutdown(Shutdown::Write);
    let until = Instant::now() + CLOSING;
    let mut dropped = [0; 4096];
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        let _ = socket.set_read_timeout(Some(left));
        if !matches!(socket.read(&mut dropped), Ok(count) if count > 0) {
            return;
        }
    }
}

pub(super) fn patient_until(socket: &TcpStream, deadline: Instant) -> Result<(), String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err("the handshake took too long".to_string());
    }
    socket.set_read_timeout(Some(left)).map_err(|error| error.to_string())
}

/// An error of a socket, in the words of this program.
pub(super) fn said(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there".to_string(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "it does not answer".to_string(),
        _ => plain(error),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Two ends of a connection, each on this machine.
    pub fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let dialed = TcpStream::connect(listener.local_addr().expect("its address")).expect("it listens");
        (dialed, listener.accept().expect("it dialed").0)
    }

    /// Writes until something is owed, then the rest; what arrives is all of it, in its order.
    fn write_more_than_the_system_takes(dialing: &Security, accepting: Security) {
        let (near, far) = connected();
        let until = Instant::now() + Duration::from_secs(20);
        let far = thread::spawn(move || Channel::accept(far, &accepting, until));
        let near = Channel::dial(near, NodeId::new(1), dialing, until).expect("it is n1");
        let mut far = far.join().expect("it ends").expect("it may come in");
        let mut writer = near.writer().expect("a descriptor");
        let mut bytes = (0u8..251).cycle();
        let mut written = Vec::new();
        while !writer.owes() {
            let piece: Vec<u8> = bytes.by_ref().take(100_000).collect();
            writer.write_now(&piece);
            written.extend(piece);
        }
        let reader = thread::spawn(move || {
            let mut read = Vec::new();
            far.read_to_end(&mut read).map(|_| read)
        });
        writer.write_all(b"the last").expect("it is read");
        assert!(!writer.owes());
        writer.close();
        written.extend(b"the last");
        assert!(reader.join().expect("it ends").expect("it was closed") == written);
    }

    #[test]
    fn what_the_system_does_not_take_at_once_comes_later_in_its_order() {
        write_more_than_the_system_takes(&Security::Loopback, Security::Loopback);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn encrypted_bytes_that_the_system_does_not_take_come_later_too() {
        use crate::storage::ClusterId;
        use crate::tls::issue::{Validity, certificate, new_authority};
        use crate::tls::{Certificates, Holder};

        let (folder, cluster) = (tempfile::tempdir().expect("a folder for a test"), ClusterId(0xa1));
        new_authority(folder.path(), cluster).expect("an empty folder");
        let [dialing, accepting] = [2, 1].map(|number| {
            let node = NodeId::new(number);
            certificate(folder.path(), &Role::Peer(node), cluster, Validity::days(3)).expect("an authority");
            let certificates = Certificates::open(folder.path(), &Holder::Peer(node), cluster);
            Security::Certificates(Arc::new(certificates.expect("it has just been made")))
        });
        write_more_than_the_system_takes(&dialing, accepting);
    }
}
