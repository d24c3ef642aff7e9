//! One connection after its handshake: a thread that writes, and one that reads.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::channel::{Channel, Writer};
use super::{AddressBook, SILENCE, TICK};
use crate::clock::LogicalClock;
use crate::net::inbox::InboxReceiver;
use crate::protocol::Envelope;
use crate::text::plain;
use crate::wire::{Frame, FrameReader, encode};

/// Bytes after which what waits is written before more is taken.
const WRITTEN_AT_ONCE: usize = 256 << 10;

/// A buffer that a large message has made larger than this is given back.
const BUFFER_KEPT: usize = 4 << 20;

/// The stack of a thread that only moves bytes.
const STACK_BYTES: usize = 256 << 10;

/// What is to be written to a connection.
pub(super) enum Outgoing {
    /// With the logical clock of their process.
    Envelopes(InboxReceiver, LogicalClock),
    /// A client's answers, and where the nodes are.
    Answers(InboxReceiver, Arc<AddressBook>),
    /// What a console and its node say to each other.
    Texts(Receiver<String>),
}

/// A connection in use.
pub(super) struct Connection {
    channel: Channel,
    frames: FrameReader,
    /// Frames that arrived.
    received: Arc<AtomicU64>,
    /// That of a process whose node hears another node here.
    clock: Option<LogicalClock>,
    writer: JoinHandle<()>,
}

impl Connection {
    /// Begins to write. `frames` may hold what came right behind the handshake.
    ///
    /// # Errors
    /// The system has no more threads or descriptors.
    pub fn start(channel: Channel, frames: FrameReader, outgoing: Outgoing) -> io::Result<Connection> {
        channel.socket().set_read_timeout(Some(SILENCE))?;
        channel.socket().set_write_timeout(None)?;
        let received = Arc::new(AtomicU64::new(0));
        let (mut writer, count) = (channel.writer()?, Arc::clone(&received));
        let write = move || {
            write_all(&mut writer, &outgoing, &count);
            writer.close();
        };
        let writer = thread::Builder::new().name("link-writer".to_string()).stack_size(STACK_BYTES);
        let writer = writer.spawn(write)?;
        Ok(Connection { channel, frames, received, clock: None, writer })
    }

    /// The other end is a node: what it says of its logical clock is earlier than what this process does next.
    pub fn hearing(self, clock: LogicalClock) -> Connection {
        Connection { clock: Some(clock), ..self }
    }

    /// Reads until the connection ends, hands each frame but ticks to `take`, and after those that came together calls
    /// `flush`. Returns why it ended.
    pub fn read(
        mut self,
        mut take: impl FnMut(Frame) -> Result<(), String>,
        mut flush: impl FnMut(),
    ) -> String {
        let why = loop {
            match self.next_frames(&mut take) {
                Ok(()) => flush(),
                Err(why) => break why,
            }
            match self.frames.read_from(&mut self.channel) {
                Ok(0) => break "it closed the connection".to_string(),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    break format!("nothing was heard of it for {} s", SILENCE.as_secs());
                }
                Err(error) => break plain(&error),
            }
        };
        flush();
        let _ = self.channel.socket().shutdown(Shutdown::Both);
        let _ = self.writer.join();
        why
    }

    fn next_frames(&mut self, take: &mut impl FnMut(Frame) -> Result<(), String>) -> Result<(), String> {
        while let Some(frame) = self.frames.next_frame().map_err(|error| error.to_string())? {
            self.received.fetch_add(1, Ordering::Relaxed);
            match (frame, &self.clock) {
                (Frame::Received(_), _) => {}
                (Frame::Clock(moment), Some(clock)) => clock.see(moment),
                (frame, _) => take(frame)?,
            }
        }
        Ok(())
    }
}

/// Writes what is to be written, and a tick when it is time, until the source has ended or the connection has.
fn write_all(writer: &mut Writer, outgoing: &Outgoing, received: &AtomicU64) {
    let mut buffer = Vec::new();
    let mut tick = Instant::now() + TICK;
    let (mut seen, mut clock) = (0, 0);
    loop {
        let is_open = gather(outgoing, tick, &mut clock, &mut buffer);
        if Instant::now() >= tick {
            if let Outgoing::Answers(_, book) = outgoing
                && let Some(nodes) = book.news(&mut seen)
            {
                encode(&Frame::Nodes(nodes), &mut buffer);
            }
            encode(&Frame::Received(received.load(Ordering::Relaxed)), &mut buffer);
            tick = Instant::now() + TICK;
        }
        if writer.write_all(&buffer).is_err() || !is_open {
            return;
        }
        buffer.clear();
        if buffer.capacity() > BUFFER_KEPT {
            buffer = Vec::new();
        }
    }
}

/// Waits for something to write, and takes what else waits, up to a bound. False when nothing comes any more.
fn gather(outgoing: &Outgoing, until: Instant, clock: &mut u64, buffer: &mut Vec<u8>) -> bool {
    match outgoing {
        Outgoing::Envelopes(inbox, _) | Outgoing::Answers(inbox, _) => {
            let mut next = match inbox.recv_deadline(until) {
                Ok(group) => Some(group),
                Err(error) => return error == RecvTimeoutError::Timeout,
            };
            // Those who are about to send do so first: one write carries it all.
            thread::yield_now();
            while let Some(group) = next {
                if let Outgoing::Envelopes(_, own) = outgoing {
                    // Read behind the group: not before the step that sent it.
                    tell(own.now(), clock, buffer);
                }
                put(group, buffer);
                next = (buffer.len() < WRITTEN_AT_ONCE).then(|| inbox.try_recv().ok()).flatten();
            }
        }
        Outgoing::Texts(texts) => match texts.recv_deadline(until) {
            Ok(text) => encode(&Frame::Text(text), buffer),
            Err(error) => return error == RecvTimeoutError::Timeout,
        },
    }
    true
}

/// Says at which moment of the logical clock the next envelopes leave, unless that was said.
fn tell(now: u64, told: &mut u64, buffer: &mut Vec<u8>) {
    if now > *told {
        encode(&Frame::Clock(now), buffer);
        *told = now;
    }
}

fn put(group: Vec<Envelope>, buffer: &mut Vec<u8>) {
    for envelope in group {
        encode(&Frame::Envelope(envelope), buffer);
    }
}
