//! The end of a connection that writes. A thread does it; where little is sent, whoever sends it does.
//!
//! To wake the thread takes longer than to write, so a lone command passes each link without it. Where many send at the same
//! time, they only leave it in the inbox, and one write of the thread carries it all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use parking_lot::Mutex;

use super::channel::Writer;
use super::{AddressBook, TICK};
use crate::clock::LogicalClock;
use crate::net::inbox::InboxReceiver;
use crate::wire::{Frame, encode};

/// Bytes after which what waits is written before more is taken.
const WRITTEN_AT_ONCE: usize = 256 << 10;

/// A buffer that a large message has made larger than this is given back.
const BUFFER_KEPT: usize = 4 << 20;

/// Who sends this soon after something was written leaves it to the thread.
const BUSY: Duration = Duration::from_micros(200);

/// Who sends more bytes than these leaves them to the thread: to encode them takes long beside heartbeats.
const LARGE: usize = 64 << 10;

/// What is to be written to a connection.
pub(super) enum Outgoing {
    /// With the logical clock of their process.
    Envelopes(InboxReceiver, LogicalClock),
    /// A client's answers, and where the nodes are.
    Answers(InboxReceiver, Arc<AddressBook>),
    /// What a console and its node say to each other.
    Texts(Receiver<String>),
}

/// The end of a connection that writes.
pub(super) struct Outlet {
    outgoing: Outgoing,
    /// Frames that arrived on this connection.
    pub received: AtomicU64,
    pen: Mutex<Pen>,
}

/// What one who writes has in hand.
struct Pen {
    writer: Writer,
    /// Frames that are not written yet.
    frames: Vec<u8>,
    /// The moment of the logical clock that was told last.
    told: u64,
    /// Groups of envelopes that were written together last, or are gathered now.
    groups: usize,
    /// When something was written last; none before the first time.
    written: Option<Instant>,
    /// Nothing comes any more.
    has_ended: bool,
}

impl Outlet {
    pub fn new(outgoing: Outgoing, writer: Writer) -> Outlet {
        let pen = Pen { writer, frames: Vec::new(), told: 0, groups: 0, written: None, has_ended: false };
        Outlet { outgoing, received: AtomicU64::new(0), pen: Mutex::new(pen) }
    }

    /// Writes what is to be written, and a tick when it is time, until the source has ended or the connection has.
    pub fn run(&self) {
        let mut tick = Instant::now() + TICK;
        let mut seen = 0;
        loop {
            self.wait(tick);
            let mut pen = self.pen.lock();
            pen.gather(&self.outgoing);
            if Instant::now() >= tick {
                self.tick(&mut seen, &mut pen.frames);
                tick = Instant::now() + TICK;
            }
            if pen.write_all().is_err() || pen.has_ended {
                return pen.writer.close();
            }
        }
    }

    /// Returns when something is to be written, or at this time.
    fn wait(&self, until: Instant) {
        match &self.outgoing {
            Outgoing::Envelopes(inbox, _) | Outgoing::Answers(inbox, _) => {
                let gathered = || {
                    let mut pen = self.pen.lock();
                    pen.gather(&self.outgoing);
                    pen.has_something().then_some(())
                };
                if inbox.sleep_unless(until, gathered).is_some() {
                    // Those who are about to send do so first: one write carries it all.
                    thread::yield_now();
                }
            }
            Outgoing::Texts(texts) => match texts.recv_deadline(until) {
                Ok(text) => encode(&Frame::Text(text), &mut self.pen.lock().frames),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.pen.lock().has_ended = true,
            },
        }
    }

    fn tick(&self, seen: &mut u64, frames: &mut Vec<u8>) {
        if let Outgoing::Answers(_, book) = &self.outgoing
            && let Some(nodes) = book.news(seen)
        {
            encode(&Frame::Nodes(nodes), frames);
        }
        encode(&Frame::Received(self.received.load(Ordering::Relaxed)), frames);
    }

    /// Somebody has just sent something: writes it, if that is better than to wake the thread and needs no waiting. False when
    /// the thread has something to do.
    pub fn write_now(&self) -> bool {
        let (Outgoing::Envelopes(inbox, _) | Outgoing::Answers(inbox, _)) = &self.outgoing else {
            return false;
        };
        let Some(mut pen) = self.pen.try_lock() else { return false };
        if pen.is_busy() || pen.has_something() || inbox.weight() > LARGE {
            return false;
        }
        pen.gather(&self.outgoing);
        pen.write_now()
    }
}

impl Pen {
    /// Whether much is sent.
    fn is_busy(&self) -> bool {
        self.groups > 1 || self.written.is_some_and(|written| written.elapsed() < BUSY)
    }

    /// Whether something is to be done that cannot wait.
    fn has_something(&self) -> bool {
        self.has_ended || !self.frames.is_empty() || self.writer.owes()
    }

    /// Takes what was sent, up to a bound.
    fn gather(&mut self, outgoing: &Outgoing) {
        let (inbox, clock) = match outgoing {
            Outgoing::Envelopes(inbox, clock) => (inbox, Some(clock)),
            Outgoing::Answers(inbox, _) => (inbox, None),
            Outgoing::Texts(_) => return,
        };
        if self.frames.is_empty() && !inbox.is_empty() {
            self.groups = 0;
        }
        while self.frames.len() < WRITTEN_AT_ONCE {
            let group = match inbox.try_recv() {
                Ok(group) => group,
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.has_ended = true;
                    return;
                }
            };
            if let Some(clock) = clock {
                // Read behind the group: not before the step that sent it.
                self.tell(clock.now());
            }
            self.groups += 1;
            for envelope in group {
                encode(&Frame::Envelope(envelope), &mut self.frames);
            }
        }
    }

    /// Says at which moment of the logical clock the next envelopes leave, unless that was said.
    fn tell(&mut self, now: u64) {
        if now > self.told {
            encode(&Frame::Clock(now), &mut self.frames);
            self.told = now;
        }
    }

    fn write_all(&mut self) -> io::Result<()> {
        self.writer.write_all(&self.frames)?;
        self.wrote();
        Ok(())
    }

    fn write_now(&mut self) -> bool {
        let done = self.writer.write_now(&self.frames);
        self.wrote();
        done && !self.has_ended
    }

    fn wrote(&mut self) {
        self.written = Some(Instant::now());
        self.frames.clear();
        if self.frames.capacity() > BUFFER_KEPT {
            self.frames = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::channel::Channel;
    use super::*;
    use crate::net::inbox::{Inbox, inbox};
    use crate::payload::Payload;
    use crate::protocol::{Call, Envelope, Packet, ReadMode, Request};
    use crate::tls::Security;
    use crate::types::{ClientId, NodeId};
    use crate::wire::FrameReader;

    /// Two ends of a connection, each on this machine.
    fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let dialed = TcpStream::connect(listener.local_addr().expect("its address")).expect("it listens");
        (dialed, listener.accept().expect("it dialed").0)
    }

    fn outlet() -> (Arc<Outlet>, Inbox, TcpStream) {
        let (near, far) = connected();
        let channel = Channel::dial(near, NodeId::new(1), &Security::Loopback, Instant::now());
        let writer = channel.and_then(|channel| channel.writer().map_err(|error| error.to_string()));
        let (sender, receiver) = inbox(100, 1 << 20);
        let outgoing = Outgoing::Envelopes(receiver, LogicalClock::default());
        let outlet = Arc::new(Outlet::new(outgoing, writer.expect("a loopback needs no handshake")));
        let writing = Arc::downgrade(&outlet);
        let sender = sender.emptied_by(move || writing.upgrade().is_some_and(|outlet| outlet.write_now()));
        (outlet, sender, far)
    }

    fn request(attempt: u64, bytes: usize) -> Vec<Envelope> {
        let query = Payload::from_text(format!("{:?}", "x".repeat(bytes)));
        let call = Call::Read { query, mode: ReadMode::Stale, here: true };
        let (from, to) = (ClientId(1).into(), NodeId::new(1).into());
        vec![Envelope::new(from, to, Packet::Request(Request { attempt, call }))]
    }

    /// The attempts of the next requests that arrive, so many.
    fn arrived(mut far: &TcpStream, frames: &mut FrameReader, count: usize) -> Vec<u64> {
        let mut attempts = Vec::new();
        while attempts.len() < count {
            match frames.next_frame().expect("a frame") {
                Some(Frame::Envelope(Envelope { packet: Packet::Request(request), .. })) => {
                    attempts.push(request.attempt);
                }
                Some(_) => {}
                None => assert!(frames.read_from(&mut far).expect("more comes") > 0),
            }
        }
        attempts
    }

    /// Other systems have no call that writes without waiting.
    #[cfg(unix)]
    #[test]
    fn a_lone_message_is_written_by_its_sender_and_others_follow_in_their_order() {
        let (outlet, sender, far) = outlet();
        let mut frames = FrameReader::new(1 << 20);
        sender.try_send(request(1, 10)).expect("room");
        assert_eq!(arrived(&far, &mut frames, 1), [1], "no thread runs");
        // A large one is left to the thread, and what comes behind it waits for it.
        sender.try_send(request(2, 2 * LARGE)).expect("room");
        sender.try_send(request(3, 10)).expect("room");
        assert_eq!(sender.len(), 2);
        let thread = thread::spawn(move || outlet.run());
        (4..50).for_each(|attempt| sender.try_send(request(attempt, 10)).expect("room"));
        assert_eq!(arrived(&far, &mut frames, 48), (2..50).collect::<Vec<_>>());
        drop(sender);
        thread.join().expect("it ends with the last sender");
    }

    #[test]
    fn what_the_system_does_not_take_at_once_comes_later_in_its_order() {
        let (near, far) = connected();
        let channel = Channel::dial(near, NodeId::new(1), &Security::Loopback, Instant::now());
        let mut writer = channel.expect("no handshake").writer().expect("a descriptor");
        let mut bytes = (0u8..251).cycle();
        let mut written = Vec::new();
        while !writer.owes() {
            let piece: Vec<u8> = bytes.by_ref().take(100_000).collect();
            writer.write_now(&piece);
            written.extend(piece);
        }
        let reader = thread::spawn(move || {
            let mut read = Vec::new();
            io::Read::read_to_end(&mut (&far), &mut read).map(|_| read)
        });
        writer.write_all(b"the last").expect("it is read");
        assert!(!writer.owes());
        writer.close();
        written.extend(b"the last");
        assert!(reader.join().expect("it ends").expect("it was closed") == written);
    }
}
