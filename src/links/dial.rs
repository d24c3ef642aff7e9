//! The end of a link that dials: it connects, says who it is, and dials again whenever the connection has ended.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use derive_more::{Debug, Display, From};
use parking_lot::Mutex;

use super::channel::{Channel, patient_until, said};
use super::connection::Connection;
use super::outlet::Outgoing;
use super::{AddressBook, HANDSHAKE_PATIENCE, Lives, Notices};
use crate::clock::LogicalClock;
use crate::net::Transport;
use crate::net::inbox::inbox;
use crate::net::router::RouterHandle;
use crate::protocol::Address;
use crate::text::plain;
use crate::tls::Security;
use crate::types::{Addresses, HostPort, NodeId, Random};
use crate::wire::{Frame, FrameReader, Hello, MAGIC, Welcome, encode};

/// How long one address of a host may take to answer.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Bytes of a welcome: it names all nodes.
const WELCOME_BYTES_MAX: usize = 64 << 10;

/// Why there is no connection.
#[derive(Clone, PartialEq, Eq, Debug, Display, From)]
pub enum Unreached {
    /// The other side does not let this process in.
    #[display("it refuses the connection: {_0}")]
    #[from(ignore)]
    Refused(String),
    #[display("{_0}")]
    Failed(String),
}

/// What a link is for.
#[derive(Debug)]
pub struct Target {
    pub node: NodeId,
    pub book: Arc<AddressBook>,
    /// What is said first, each time.
    #[debug(skip)]
    pub hello: Box<dyn Fn() -> Hello + Send>,
    #[debug(skip)]
    pub traffic: Traffic,
    pub notices: Arc<Notices>,
    pub security: Security,
    /// Which processes speak for nodes.
    pub lives: Lives,
}

/// What goes through a link.
pub enum Traffic {
    /// What the router has for the node, and its answers.
    Envelopes {
        network: RouterHandle,
        /// Groups and bytes that may wait for the connection.
        inbox: (usize, usize),
        /// What the node sends is later than this says.
        clock: LogicalClock,
        /// Bytes of a frame.
        frame_max: usize,
        /// Whether the node answers on this connection. What it sends to a node goes by a connection of its own.
        answers: bool,
        told: Box<dyn Fn(LinkEvent) + Send>,
    },
    /// A console's questions.
    Texts { questions: Receiver<String>, heard: Box<dyn Fn(Heard) + Send> },
}

/// What happens to a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkEvent {
    Up(Welcome),
    /// The node says where nodes are.
    Nodes(Addresses),
    /// It was up. What was under way may have arrived.
    Lost,
    /// The node could not be reached.
    Unreached,
}

/// What a console's link has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    Up(Welcome),
    Text(String),
    /// It is down, and why.
    Down(Unreached),
}

/// A link that dials. Dropping it closes the connection.
#[derive(Debug)]
pub struct Dialer {
    /// Closed when the link is to end.
    stop: Option<Sender<()>>,
    wake: Sender<()>,
    open: Arc<Mutex<Option<TcpStream>>>,
}

impl Dialer {
    /// Starts the thread of this link.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(target: Target, seed: u64) -> io::Result<Dialer> {
        let (stop, stopped) = bounded(0);
        let (wake, woken) = bounded(1);
        let open = Arc::new(Mutex::new(None));
        let mut dialing = Dialing { target, stopped, woken, open: Arc::clone(&open) };
        let name = format!("link-{}", dialing.target.node);
        thread::Builder::new().name(name).spawn(move || dialing.run(&mut Random::new(seed)))?;
        Ok(Dialer { stop: Some(stop), wake, open })
    }

    /// Dials now: the node has just shown that it is there.
    pub fn wake(&self) {
        let _ = self.wake.try_send(());
    }
}

impl Drop for Dialer {
    fn drop(&mut self) {
        // First of all: what ends then has ended by this.
        self.stop = None;
        if let Some(socket) = self.open.lock().take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

struct Dialing {
    target: Target,
    stopped: Receiver<()>,
    woken: Receiver<()>,
    open: Arc<Mutex<Option<TcpStream>>>,
}

impl Dialing {
    fn run(&mut self, random: &mut Random) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let dialed = self.dial();
            if self.is_stopped() {
                return;
            }
            let connected = dialed.is_ok();
            let why = dialed.map_or_else(|why| why, Unreached::Failed);
            self.target.notices.say(&self.subject(), &why.to_string());
            match &self.target.traffic {
                Traffic::Texts { heard, .. } => heard(Heard::Down(why)),
                Traffic::Envelopes { told, .. } if !connected => told(LinkEvent::Unreached),
                Traffic::Envelopes { .. } => {}
            }
            backoff = if connected { BACKOFF_MIN } else { (backoff * 2).min(BACKOFF_MAX) };
            let jitter = random.below(u64::try_from(backoff.as_micros()).unwrap_or(u64::MAX) / 2 + 1);
            let pause = crossbeam_channel::after(backoff / 2 + Duration::from_micros(jitter));
            select! {
                recv(pause) -> _ => {}
                recv(self.woken) -> _ => {}
                recv(self.stopped) -> _ => return,
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected)
    }

    fn subject(&self) -> String {
        let node = self.target.node;
        match self.target.book.of(node).first() {
            Some(address) => format!("{node} at {address}"),
            None => node.to_string(),
        }
    }

    /// Connects to this address of the node, and hears that it is there.
    fn call(&self, address: &HostPort) -> Result<(Channel, Welcome, FrameReader), Unreached> {
        let Target { node, security, .. } = &self.target;
        let socket = connect(address, security)?;
        *self.open.lock() = Some(socket.try_clone().map_err(|error| error.to_string())?);
        if self.is_stopped() {
            return Err("the link has ended".to_string().into());
        }
        let shaken = shake(socket, *node, security, (self.target.hello)())?;
        let answers = shaken.1.member.node;
        if answers == *node { Ok(shaken) } else { Err(format!("{answers} answers there").into()) }
    }

    /// Connects and stays until the connection ends. Returns why it did.
    ///
    /// # Errors
    /// There was no connection, and why.
    fn dial(&self) -> Result<String, Unreached> {
        let node = self.target.node;
        let mut tried = self.target.book.of(node).into_iter().map(|address| self.call(&address));
        let first = tried.next().unwrap_or_else(|| Err("its address is not known".to_string().into()));
        // The first address is the best known: what is wrong there is what is told.
        let (channel, welcome, mut frames) = first.or_else(|why| tried.find_map(Result::ok).ok_or(why))?;
        let _lived = self.target.lives.enter(node, welcome.life)?;
        self.target.notices.well(&self.subject(), "connected");
        match &self.target.traffic {
            Traffic::Envelopes { network, inbox: (groups, bytes), clock, frame_max, answers, told } => {
                frames.set_limit(*frame_max);
                let (sender, waiting) = inbox(*groups, *bytes);
                let connection =
                    Connection::start(channel, frames, Outgoing::Envelopes(waiting, clock.clone()));
                let connection = connection.map_err(|error| error.to_string())?;
                told(LinkEvent::Up(welcome));
                network.register(Address::Node(node), connection.outlet.written_by_senders(sender));
                let told_nodes = |nodes| told(LinkEvent::Nodes(nodes));
                let why = read_envelopes(connection, node, *answers, network, told_nodes);
                network.unregister(Address::Node(node));
                told(LinkEvent::Lost);
                Ok(why)
            }
            Traffic::Texts { questions, heard } => {
                frames.set_limit(usize::MAX);
                let outgoing = Outgoing::Texts(questions.clone());
                let connection = Connection::start(channel, frames, outgoing);
                let connection = connection.map_err(|error| error.to_string())?;
                heard(Heard::Up(welcome));
                let take = |frame| match frame {
                    Frame::Text(text) => {
                        heard(Heard::Text(text));
                        Ok(None)
                    }
                    _ => Err("it sent what a console is not sent".to_string()),
                };
                Ok(connection.read(take, |_| {}))
            }
        }
    }
}

/// Hands on what the node answers.
fn read_envelopes(
    connection: Connection,
    node: NodeId,
    answers: bool,
    network: &RouterHandle,
    told_nodes: impl Fn(Addresses),
) -> String {
    let take = |frame| match frame {
        Frame::Envelope(envelope) if answers && envelope.from == Address::Node(node) => Ok(Some(envelope)),
        Frame::Nodes(nodes) if answers => {
            told_nodes(nodes);
            Ok(None)
        }
        _ => Err("it sent what does not belong on this link".to_string()),
    };
    connection.read(take, |group| network.send(group))
}

/// Asks who is there, and hangs up. None when nothing can be reached at the address.
///
/// # Errors
/// The caller was not let in, or what is there is no node.
pub fn probe(
    address: &str,
    node: NodeId,
    security: &Security,
    hello: Hello,
) -> Result<Option<Welcome>, String> {
    let Ok(socket) = connect(address, security) else { return Ok(None) };
    let shaken = shake(socket, node, security, hello).map_err(|why| why.to_string())?;
    Ok(Some(shaken.1))
}

/// Tries each address that this name has now.
fn connect(address: &str, security: &Security) -> Result<TcpStream, String> {
    let found =
        address.to_socket_addrs().map_err(|error| format!("its name does not resolve: {}", plain(&error)))?;
    let mut failed = "its name has no address".to_string();
    for address in found {
        if let Err(why) = security.permits(address.ip()) {
            failed = why;
            continue;
        }
        match TcpStream::connect_timeout(&address, CONNECT_PATIENCE) {
            Ok(socket) => {
                socket.set_nodelay(true).map_err(|error| error.to_string())?;
                return Ok(socket);
            }
            Err(error) => failed = said(&error),
        }
    }
    Err(failed)
}

/// Says who this is, and hears who is there.
fn shake(
    socket: TcpStream,
    node: NodeId,
    security: &Security,
    hello: Hello,
) -> Result<(Channel, Welcome, FrameReader), Unreached> {
    let deadline = Instant::now() + HANDSHAKE_PATIENCE;
    let told = |error: io::Error| format!("the handshake failed: {}", said(&error));
    socket.set_write_timeout(Some(HANDSHAKE_PATIENCE)).map_err(told)?;
    let mut channel = Channel::dial(socket, node, security, deadline)?;
    let mut first = MAGIC.to_vec();
    encode(&Frame::Hello(hello), &mut first);
    channel.writer().and_then(|mut writer| writer.write_all(&first)).map_err(told)?;
    let mut frames = FrameReader::new(WELCOME_BYTES_MAX);
    match first_frame(&mut channel, &mut frames, deadline)? {
        Frame::Welcome(welcome) => Ok((channel, welcome, frames)),
        Frame::Refused(why) => Err(Unreached::Refused(of_this_process(&why))),
        _ => Err("it does not speak as a node does".to_string().into()),
    }
}

/// What the other side says of its caller, said by the caller.
fn of_this_process(why: &str) -> String {
    let why = why.replace("this process", "the other");
    let its = why.strip_prefix("its ").map(|rest| format!("this process's {rest}"));
    its.or_else(|| why.strip_prefix("it ").map(|rest| format!("this process {rest}"))).unwrap_or(why)
}

/// The first frame of a connection, behind the bytes that every connection begins with.
pub(super) fn first_frame(
    channel: &mut Channel,
    frames: &mut FrameReader,
    deadline: Instant,
) -> Result<Frame, String> {
    let mut has_begun = false;
    loop {
        has_begun = has_begun || frames.take_magic().map_err(|error| error.to_string())?;
        if has_begun && let Some(frame) = frames.next_frame().map_err(|error| error.to_string())? {
            return Ok(frame);
        }
        patient_until(channel.socket(), deadline)?;
        match frames.read_from(channel) {
            Ok(0) => return Err("it closed the connection before the handshake ended".to_string()),
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(format!("the handshake failed: {}", said(&error)));
            }
            _ => {}
        }
    }
}
