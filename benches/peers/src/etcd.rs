//! etcd, as three processes on a disk, and clients that speak gRPC to its leader.
//!
//! The calls are made by hand, since a gRPC library would bring an asynchronous runtime and its cost: HTTP/2 without TLS,
//! header fields that are never indexed, and one frame of each kind a call (RFC 9113, RFC 7541; the fields are those of
//! etcd's `rpc.proto`). A call that fails has no message in its answer, so headers need not be read.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded};
use parking_lot::Mutex;

use crate::driver::{self, Client, Figure, PATIENCE, Plan, Tally};
use crate::map::Put;
use crate::process::{Child, Folder, free_addresses};

/// How often the servers are asked who leads.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const PUT: &str = "/etcdserverpb.KV/Put";
const STATUS: &str = "/etcdserverpb.Maintenance/Status";

/// Kinds of frames (RFC 9113, 6), and flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Three running servers. Dropping it ends them.
pub struct Etcd {
    servers: Vec<(SocketAddr, Child)>,
    _folder: Folder,
}

impl Etcd {
    /// Starts them, with these times between heartbeats and before elections in milliseconds, and waits for a leader.
    pub fn start(timing: (u32, u32)) -> Result<Etcd, String> {
        let folder = Folder::new()?;
        let (clients, peers) = (free_addresses(3)?, free_addresses(3)?);
        let url = |address: &SocketAddr| format!("http://{address}");
        let members: Vec<String> =
            peers.iter().enumerate().map(|(at, peer)| format!("n{at}={}", url(peer))).collect();
        let start = |(at, (client, peer)): (usize, (&SocketAddr, &SocketAddr))| {
            let mut command = Command::new("etcd");
            command.args(["--name", &format!("n{at}"), "--initial-cluster", &members.join(",")]);
            command.args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)]);
            command.args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)]);
            command.args(["--heartbeat-interval", &timing.0.to_string()]);
            command.args(["--election-timeout", &timing.1.to_string()]);
            command.args(["--logger", "zap", "--log-level", "error", "--initial-cluster-state", "new"]);
            command.arg("--data-dir").arg(folder.path().join(format!("n{at}")));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Child::start(&mut command).map(|child| (*client, child))
        };
        let servers = clients.iter().zip(&peers).enumerate().map(start).collect::<Result<Vec<_>, _>>()?;
        let etcd = Etcd { servers, _folder: folder };
        etcd.leader()?;
        Ok(etcd)
    }

    /// Which server leads, once one does.
    pub fn leader(&self) -> Result<usize, String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            for (at, (address, _)) in self.servers.iter().enumerate() {
                if Connection::open(*address).is_ok_and(|connection| connection.leads()) {
                    return Ok(at);
                }
            }
            let _ = after(LOOK_EVERY).recv();
        }
        Err("no server of etcd leads".to_string())
    }

    /// Where a server listens for clients.
    pub fn address(&self, at: usize) -> SocketAddr {
        self.servers[at].0
    }

    /// Kills this server.
    pub fn kill(&mut self, at: usize) {
        self.servers[at].1.kill();
    }
}

/// Runs the plan on servers of their own.
pub fn run(plan: &Plan) -> Result<Figure, String> {
    let etcd = Etcd::start((100, 1_000))?;
    let leader = etcd.address(etcd.leader()?);
    let connections: Vec<Arc<Connection>> = (0..plan.connections)
        .map(|_| Connection::open(leader).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    let clients = (0..plan.clients).map(|at| Caller::new(&connections[at % connections.len()]));
    let tallies = driver::drive(plan, clients.collect())?;
    Ok(Tally::sum(plan, &tallies).1)
}

/// A connection that several callers share.
pub struct Connection {
    /// And the number of the next stream.
    writer: Mutex<(TcpStream, u32)>,
    waiting: Mutex<HashMap<u32, Waiting>>,
}

/// A call that has not ended.
struct Waiting {
    answer: Vec<u8>,
    /// Told the message of the answer; an empty one when the call failed.
    caller: Sender<Vec<u8>>,
}

impl Connection {
    /// Connects, and starts the thread that reads.
    pub fn open(address: SocketAddr) -> io::Result<Arc<Connection>> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame(&mut first, SETTINGS, 0, 0, &[]);
        // Answers are small: the window of the whole connection never runs out.
        frame(&mut first, WINDOW_UPDATE, 0, 0, &(i32::MAX - 65_535).to_be_bytes());
        (&socket).write_all(&first)?;
        let reader = socket.try_clone()?;
        let connection = Arc::new(Connection { writer: Mutex::new((socket, 1)), waiting: Mutex::default() });
        let reading = Arc::downgrade(&connection);
        thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            while let Ok((kind, flags, stream, payload)) = read_frame(&mut reader) {
                let Some(connection) = reading.upgrade() else { return };
                if connection.take(kind, flags, stream, &payload).is_err() {
                    break;
                }
            }
            if let Some(connection) = reading.upgrade() {
                connection.waiting.lock().clear();
            }
        });
        Ok(connection)
    }

    fn take(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        if matches!(kind, PING | SETTINGS) && flags & ACK == 0 {
            let mut answer = Vec::new();
            frame(&mut answer, kind, ACK, 0, if kind == PING { payload } else { &[] });
            return self.writer.lock().0.write_all(&answer);
        }
        let ended = kind == RST_STREAM || matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        let mut waiting = self.waiting.lock();
        if kind == DATA
            && let Some(call) = waiting.get_mut(&stream)
        {
            call.answer.extend_from_slice(payload);
        }
        if ended && let Some(call) = waiting.remove(&stream) {
            let _ = call.caller.try_send(call.answer);
        }
        Ok(())
    }

    /// Begins a call. Its answer goes to the sender, which is dropped when the connection breaks.
    pub fn call(&self, path: &str, message: &[u8], caller: Sender<Vec<u8>>) -> io::Result<()> {
        let mut text = Vec::with_capacity(256);
        let mut writer = self.writer.lock();
        let stream = writer.1;
        writer.1 += 2;
        frame(&mut text, HEADERS, END_HEADERS, stream, &head(path));
        let mut body = vec![0];
        body.extend(u32::try_from(message.len()).expect("a small message").to_be_bytes());
        body.extend_from_slice(message);
        frame(&mut text, DATA, END_STREAM, stream, &body);
        self.waiting.lock().insert(stream, Waiting { answer: Vec::new(), caller });
        writer.0.write_all(&text)
    }

    /// Begins a put.
    pub fn put(&self, put: &Put, caller: Sender<Vec<u8>>) -> io::Result<()> {
        let mut message = Vec::with_capacity(128);
        for (field, text) in [(1, &put.key), (2, &put.value)] {
            message.extend([field << 3 | 2, u8::try_from(text.len()).expect("a short text")]);
            message.extend_from_slice(text.as_bytes());
        }
        self.call(PUT, &message, caller)
    }

    /// Whether the server says that it leads.
    fn leads(&self) -> bool {
        let (sender, answer) = bounded(1);
        let asked = self.call(STATUS, &[], sender);
        let status = asked.ok().and_then(|()| answer.recv_timeout(PATIENCE).ok()).unwrap_or_default();
        let fields = fields(status.get(5..).unwrap_or_default());
        let number = |fields: &[(u64, Field<'_>)], wanted| {
            fields.iter().find_map(|(number, field)| match field {
                Field::Number(value) if *number == wanted => Some(*value),
                _ => None,
            })
        };
        let header = fields.iter().find_map(|(number, field)| match field {
            Field::Bytes(bytes) if *number == 1 => Some(self::fields(bytes)),
            _ => None,
        });
        let own = header.and_then(|header| number(&header, 2));
        own.is_some() && own == number(&fields, 4)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.writer.lock().0.shutdown(Shutdown::Both);
    }
}

/// The head of a call: fields of the static table by their numbers, the rest written out.
fn head(path: &str) -> Vec<u8> {
    let mut head = vec![0x83, 0x86];
    let mut literal = |name: &[u8], value: &str| {
        head.extend_from_slice(name);
        head.push(u8::try_from(value.len()).expect("a short field"));
        head.extend_from_slice(value.as_bytes());
    };
    literal(&[0x04], path);
    literal(&[0x01], "etcd");
    literal(&[0x0f, 0x10], "application/grpc");
    literal(&[0x00, 2, b't', b'e'], "trailers");
    head
}

fn frame(text: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    text.extend_from_slice(&length[1..]);
    text.extend([kind, flags]);
    text.extend(stream.to_be_bytes());
    text.extend_from_slice(payload);
}

/// Kind, flags, stream, payload.
fn read_frame(reader: &mut impl Read) -> io::Result<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    reader.read_exact(&mut head)?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    reader.read_exact(&mut payload)?;
    Ok((kind, flags, u32::from_be_bytes(stream) & 0x7fff_ffff, payload))
}

/// A field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers, up to the first that is not understood.
fn fields(mut message: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut all = Vec::new();
    while let Some(tag) = varint(&mut message) {
        let field = match tag & 7 {
            0 => varint(&mut message).map(Field::Number),
            2 => varint(&mut message).and_then(|length| {
                let (bytes, rest) = message.split_at_checked(usize::try_from(length).ok()?)?;
                message = rest;
                Some(Field::Bytes(bytes))
            }),
            _ => None,
        };
        let Some(field) = field else { break };
        all.push((tag >> 3, field));
    }
    all
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A blocking client.
struct Caller {
    connection: Arc<Connection>,
    sender: Sender<Vec<u8>>,
    answers: Receiver<Vec<u8>>,
}

impl Caller {
    fn new(connection: &Arc<Connection>) -> Caller {
        let (sender, answers) = bounded(1);
        Caller { connection: Arc::clone(connection), sender, answers }
    }
}

impl Client for Caller {
    fn send(&mut self, puts: Vec<Put>) -> Result<(), String> {
        puts.iter()
            .try_for_each(|put| self.connection.put(put, self.sender.clone()))
            .map_err(|error| error.to_string())
    }

    fn wait(&mut self) -> Result<usize, String> {
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) if !answer.is_empty() => Ok(1),
            Ok(_) => Err("etcd refused a put".to_string()),
            Err(_) => Err("etcd does not answer".to_string()),
        }
    }
}
