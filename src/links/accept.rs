//! The end of links that is dialed: who may come in, and what each may send.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use derive_more::Debug;
use parking_lot::{Condvar, Mutex};

use super::channel::{Channel, close_gently};
use super::connection::Connection;
use super::dial::first_frame;
use super::lives::Lived;
use super::names::Names;
use super::outlet::Outgoing;
use super::{AddressBook, HANDSHAKE_PATIENCE, Lives, Notices};
use crate::net::Transport;
use crate::net::inbox::{Inbox, inbox};
use crate::net::router::RouterHandle;
use crate::protocol::{Address, Packet};
use crate::tls::Security;
use crate::types::{HostPort, NodeId};
use crate::wire::{
    Caller, Frame, FrameReader, HANDSHAKE_BYTES_MAX, Hello, MAGIC, PEER_BYTES_MAX, Welcome, encode,
};

/// Handshakes that may be unfinished. One more closes the oldest: those of honest callers take milliseconds.
const UNFINISHED_MAX: usize = 64;

/// Connections of clients and consoles.
const CLIENTS_MAX: usize = 1_024;
const CONSOLES_MAX: usize = 16;

/// Texts that may wait for a console: 10,000 events, and what it is answered. One that does not read its answers loses its
/// connection.
const TEXTS_MAX: usize = 11_000;

/// How long a listener rests that the system gives no more descriptors.
const REST: Duration = Duration::from_millis(100);

/// How long a process that ends waits for its consoles to have their answers.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// The process that is dialed.
pub trait Host: Send + Sync + 'static {
    /// Who answers this caller.
    ///
    /// # Errors
    /// Why it is not let in, in one sentence.
    fn welcome(&self, hello: &Hello) -> Result<Welcome, String>;

    /// Its logical clock: what arrives is earlier than what it does next.
    fn clock(&self) -> crate::clock::LogicalClock;

    /// Where it stands where nodes are, itself among them.
    fn book(&self) -> Arc<AddressBook>;

    /// A node has come in: it is there, and this is where it can be dialed.
    fn met(&self, node: NodeId, address: &HostPort);

    /// A console has come in. What it is told goes to the sender.
    fn attach(&self, name: &str, answers: Sender<String>) -> Box<dyn Attached>;
}

/// A console that has come in.
pub trait Attached {
    /// It asks this.
    ///
    /// # Errors
    /// It is not served any more, and why.
    fn asked(&mut self, question: &str) -> Result<(), String>;
}

/// Bounds of what waits for a connection, and of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    pub inbox_groups: usize,
    pub inbox_bytes: usize,
    pub client_frame: usize,
}

/// Accepts connections until it is dropped.
#[derive(Debug)]
pub struct Acceptor {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    #[debug(skip)]
    host: Arc<dyn Host>,
    #[debug(skip)]
    network: RouterHandle,
    own: NodeId,
    security: Security,
    bounds: Bounds,
    notices: Arc<Notices>,
    lives: Lives,
    stopped: AtomicBool,
    numbers: AtomicU64,
    /// Handshakes that have not ended, the oldest first.
    unfinished: Mutex<VecDeque<(u64, TcpStream)>>,
    /// The connections in use.
    open: Mutex<HashMap<u64, Open>>,
    /// One of them has ended.
    closed: Condvar,
    names: Names,
}

#[derive(Debug)]
struct Open {
    caller: Caller,
    socket: TcpStream,
    /// A node's.
    _lived: Option<Lived>,
}

impl Acceptor {
    /// Starts the thread that accepts.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(
        listener: TcpListener,
        (own, security): (NodeId, Security),
        host: Arc<dyn Host>,
        network: RouterHandle,
        bounds: Bounds,
        (notices, lives): (Arc<Notices>, Lives),
    ) -> io::Result<Acceptor> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            host,
            names: Names::new(network.clone()),
            network,
            own,
            security,
            bounds,
            notices,
            lives,
            stopped: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            unfinished: Mutex::default(),
            open: Mutex::default(),
            closed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::Builder::new().name("accept".to_string()).spawn(move || accept_all(&listener, &accepting))?;
        Ok(Acceptor { shared, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.let_consoles_go();
        let close = |socket: &TcpStream| drop(socket.shutdown(Shutdown::Both));
        self.shared.unfinished.lock().iter().for_each(|(_, socket)| close(socket));
        self.shared.open.lock().values().for_each(|open| close(&open.socket));
        // The listener wakes up for this one and ends.
        let _ = TcpStream::connect_timeout(&self.address, REST);
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        let taken = socket.and_then(|socket| {
            let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
            socket.set_nodelay(true)?;
            let mut unfinished = shared.unfinished.lock();
            if unfinished.len() >= UNFINISHED_MAX
                && let Some((_, oldest)) = unfinished.pop_front()
            {
                let _ = oldest.shutdown(Shutdown::Both);
            }
            unfinished.push_back((number, socket.try_clone()?));
            drop(unfinished);
            if shared.stopped.load(Ordering::Acquire) {
                let _ = socket.shutdown(Shutdown::Both);
            }
            let shared = Arc::clone(shared);
            let serve = move || shared.serve(number, socket);
            thread::Builder::new().name("link-reader".to_string()).spawn(serve).map(drop)
        });
        if let Err(error) = taken {
            shared.notices.say("connections", &format!("none can be accepted now: {error}"));
            let _ = crossbeam_channel::after(REST).recv();
        }
    }
}

impl Shared {
    /// A connection, from its first byte to its last.
    fn serve(&self, number: u64, socket: TcpStream) {
        let from =
            socket.peer_addr().map_or_else(|_| "a caller".to_string(), |address| address.ip().to_string());
        let deadline = Instant::now() + HANDSHAKE_PATIENCE;
        let _ = socket.set_write_timeout(Some(HANDSHAKE_PATIENCE));
        match Channel::accept(socket, &self.security, deadline) {
            Ok(channel) => self.serve_channel(number, channel, &from, deadline),
            Err(why) => self.notices.say(&from, &format!("not let in: {why}")),
        }
        self.finished(number);
        self.open.lock().remove(&number);
        self.closed.notify_all();
    }

    /// Takes no more questions, and waits until those that were asked are answered: an order may have ended the process.
    fn let_consoles_go(&self) {
        let is_console = |open: &Open| matches!(open.caller, Caller::Console { .. });
        let until = Instant::now() + ANSWERED_WITHIN;
        let mut open = self.open.lock();
        for console in open.values().filter(|open| is_console(open)) {
            let _ = console.socket.shutdown(Shutdown::Read);
        }
        while open.values().any(is_console) && !self.closed.wait_until(&mut open, until).timed_out() {}
    }

    fn serve_channel(&self, number: u64, mut channel: Channel, from: &str, deadline: Instant) {
        let Ok(mut writer) = channel.writer() else { return };
        let mut frames = FrameReader::new(HANDSHAKE_BYTES_MAX);
        let hello = first_frame(&mut channel, &mut frames, deadline);
        let admitted = hello.and_then(|frame| match frame {
            Frame::Hello(hello) => self.admit(number, &channel, hello),
            _ => Err("it does not say who it is".to_string()),
        });
        let mut first = MAGIC.to_vec();
        match admitted {
            Ok((caller, welcome)) => {
                self.finished(number);
                encode(&Frame::Welcome(welcome), &mut first);
                if writer.write_all(&first).is_ok() {
                    drop(writer);
                    self.serve_caller(number, channel, frames, &caller);
                }
            }
            Err(why) => {
                self.notices.say(from, &format!("not let in: {why}"));
                encode(&Frame::Refused(why), &mut first);
                let _ = writer.write_all(&first);
                writer.close();
                close_gently(channel.socket());
            }
        }
    }

    /// Its handshake is over.
    fn finished(&self, number: u64) {
        self.unfinished.lock().retain(|(other, _)| *other != number);
    }

    fn admit(&self, number: u64, channel: &Channel, hello: Hello) -> Result<(Caller, Welcome), String> {
        if let Some(role) = channel.role()? {
            role.permits(&hello.caller)?;
        }
        let welcome = self.host.welcome(&hello)?;
        let lived = match &hello.caller {
            Caller::Node { member, life, .. } => Some(self.lives.enter(member.node, *life)?),
            _ => None,
        };
        let mut open = self.open.lock();
        let like = |wanted: fn(&Caller) -> bool| open.values().filter(|open| wanted(&open.caller)).count();
        match &hello.caller {
            Caller::Node { member, connection, .. } => replace_older(&open, member.node, *connection)?,
            Caller::Client { .. }
                if like(|caller| matches!(caller, Caller::Client { .. })) >= CLIENTS_MAX =>
            {
                return Err(format!("{CLIENTS_MAX} connections of clients are open"));
            }
            Caller::Console { .. }
                if like(|caller| matches!(caller, Caller::Console { .. })) >= CONSOLES_MAX =>
            {
                return Err(format!("{CONSOLES_MAX} consoles are attached"));
            }
            Caller::Client { .. } | Caller::Console { .. } | Caller::Probe { .. } => {}
        }
        let kept = channel.socket().try_clone().map_err(|error| error.to_string())?;
        open.insert(number, Open { caller: hello.caller.clone(), socket: kept, _lived: lived });
        // An end of the acceptor closes what stands in the table before it, and is seen here after it.
        if self.stopped.load(Ordering::Acquire) {
            return Err("the process ends".to_string());
        }
        Ok((hello.caller, welcome))
    }

    fn serve_caller(&self, number: u64, channel: Channel, mut frames: FrameReader, caller: &Caller) {
        match caller {
            Caller::Node { member, address, .. } => {
                self.host.met(member.node, address);
                frames.set_limit(PEER_BYTES_MAX);
                // Nothing but ticks goes back.
                let (_open, none) = bounded(0);
                let Ok(connection) = Connection::start(channel, frames, Outgoing::Texts(none)) else {
                    return;
                };
                self.read_node(connection.hearing(self.host.clock()), member.node);
            }
            // It has heard what it asked.
            Caller::Probe { .. } => close_gently(channel.socket()),
            Caller::Client { .. } => {
                frames.set_limit(self.bounds.client_frame);
                let (sender, waiting) = inbox(self.bounds.inbox_groups, self.bounds.inbox_bytes);
                let outgoing = Outgoing::Answers(waiting, self.host.book());
                let connection = Connection::start(channel, frames, outgoing);
                let Ok(connection) = connection else { return };
                let answers = connection.outlet.written_by_senders(sender);
                self.read_clients(number, connection, &answers);
            }
            Caller::Console { name, .. } => {
                frames.set_limit(self.bounds.client_frame);
                let (answers, waiting): (Sender<String>, Receiver<String>) = bounded(TEXTS_MAX);
                let Ok(connection) = Connection::start(channel, frames, Outgoing::Texts(waiting)) else {
                    return;
                };
                let mut attached = self.host.attach(name, answers);
                let take = move |frame| match frame {
                    Frame::Text(question) => attached.asked(&question).map(|()| None),
                    _ => Err("it is a console, and sent something else than a question".to_string()),
                };
                connection.draining().read(take, |_| {});
            }
        }
    }

    fn read_node(&self, connection: Connection, node: NodeId) {
        let (from, to) = (Address::Node(node), Address::Node(self.own));
        let take = |frame| match frame {
            Frame::Envelope(envelope) if (envelope.from, envelope.to) == (from, to) => Ok(Some(envelope)),
            _ => Err(format!("it is {node}, and sent something else than {node}'s messages to {}", self.own)),
        };
        let why = connection.read(take, |group| self.network.send(group));
        log::debug!(target: "raftlab::links", "the link of {node} has ended: {why}");
    }

    /// Each client that is named on this connection is answered on it.
    fn read_clients(&self, number: u64, connection: Connection, answers: &Inbox) {
        let mut own = VecDeque::new();
        let take = |frame| match frame {
            Frame::Envelope(envelope) if matches!(envelope.packet, Packet::Request(_)) => {
                let (Address::Client(client), Address::Node(to)) = (envelope.from, envelope.to) else {
                    return Err("it is a client, and sent something else than requests".to_string());
                };
                if to != self.own {
                    return Err(format!("it asks {to}, and this is {}", self.own));
                }
                self.names.take(number, client, answers, &mut own)?;
                Ok(Some(envelope))
            }
            _ => Err("it is a client, and sent something else than requests".to_string()),
        };
        connection.read(take, |group| self.network.send(group));
        for client in own {
            self.names.forget(number, client);
        }
    }
}

/// A newer connection of a process takes the place of the older.
///
/// # Errors
/// The newer one is open already.
fn replace_older(open: &HashMap<u64, Open>, node: NodeId, connection: u64) -> Result<(), String> {
    for other in open.values() {
        let Caller::Node { member, connection: known, .. } = &other.caller else { continue };
        if member.node == node && *known > connection {
            return Err(format!("a newer connection of {node} is open"));
        }
        if member.node == node {
            let _ = other.socket.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
