//! The end of a connection that writes: a thread, and the senders themselves while little is sent.
//!
//! It takes longer to wake a thread than to write. So a sender encodes and writes its group itself, without waiting, when nothing
//! was written for a moment and the last write carried one group. Otherwise it wakes the thread, whose write carries what
//! others send meanwhile.

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
use crate::net::inbox::{Inbox, InboxReceiver};
use crate::wire::{Frame, encode};

/// Bytes after which what waits is written before more is taken.
const WRITTEN_AT_ONCE: usize = 256 << 10;

/// A buffer that a large message has made larger than this is given back.
const BUFFER_KEPT: usize = 4 << 20;

/// A sender leaves to the thread what it sends this soon after something was written.
const BUSY: Duration = Duration::from_micros(200);

/// A sender leaves more bytes than these to the thread: to encode them takes long beside heartbeats.
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

    /// Lets senders to this inbox, whose receiver the outlet has, write.
    pub fn written_by_senders(self: &Arc<Outlet>, inbox: Inbox) -> Inbox {
        let outlet = Arc::downgrade(self);
        inbox.on_send(move || outlet.upgrade().is_some_and(|outlet| outlet.write_now()))
    }

    /// Writes what was just sent, unless that is left to the thread. False when the thread has something to do.
    fn write_now(&self) -> bool {
        let (Outgoing::Envelopes(inbox, _) | Outgoing::Answers(inbox, _)) = &self.outgoing else {
            return false;
        };
        let Some(mut pen) = self.pen.try_lock() else { return false };
        if pen.has_something() {
            return false;
        }
        // Another sender has written it meanwhile.
        if inbox.is_empty() {
            return true;
        }
        if pen.is_busy() || inbox.weight() > LARGE {
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
        done
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
    use std::net::TcpStream;

    use super::super::channel::Channel;
    use super::super::channel::tests::connected;
    use super::*;
    use crate::net::inbox::inbox;
    use crate::payload::Payload;
    use crate::protocol::{Call, Envelope, Packet, ReadMode, Request};
    use crate::tls::Security;
    use crate::types::{ClientId, NodeId};
    use crate::wire::FrameReader;

    fn outlet() -> (Arc<Outlet>, Inbox, TcpStream) {
        let (near, far) = connected();
        far.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        let channel = Channel::dial(near, NodeId::new(1), &Security::Loopback, Instant::now());
        let writer = channel.and_then(|channel| channel.writer().map_err(|error| error.to_string()));
        let (sender, receiver) = inbox(100, 1 << 20);
        let outgoing = Outgoing::Envelopes(receiver, LogicalClock::default());
        let outlet = Arc::new(Outlet::new(outgoing, writer.expect("a loopback needs no handshake")));
        let sender = outlet.written_by_senders(sender);
        (outlet, sender, far)
    }

    fn request(attempt: u64, bytes: usize) -> Vec<Envelope> {
        let query = Payload::from_text(format!("{:?}", "x".repeat(bytes)));
        let call = Call::Read { query, mode: ReadMode::Stale, here: true };
        let (from, to) = (ClientId(1).into(), NodeId::new(1).into());
        vec![Envelope::new(from, to, Packet::Request(Request { attempt, call }))]
    }

    /// The attempts of this number of requests that arrive next.
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_message_by_itself_is_written_by_its_sender() {
        let (outlet, sender, far) = outlet();
        sender.try_send(request(1, 10)).expect("room");
        assert_eq!(arrived(&far, &mut FrameReader::new(1 << 20), 1), [1], "no thread runs");
        drop(outlet);
    }

    #[test]
    fn a_large_message_is_left_to_the_thread_and_others_wait_behind_it() {
        let (outlet, sender, far) = outlet();
        sender.try_send(request(1, 2 * LARGE)).expect("room");
        sender.try_send(request(2, 10)).expect("room");
        assert_eq!(sender.len(), 2);
        let thread = thread::spawn(move || outlet.run());
        assert_eq!(arrived(&far, &mut FrameReader::new(1 << 20), 2), [1, 2]);
        drop(sender);
        thread.join().expect("it ends with the last sender");
    }

    #[test]
    fn the_messages_of_each_sender_arrive_once_and_in_their_order() {
        const EACH: u64 = 5_000;
        let (outlet, sender, far) = outlet();
        let thread = thread::spawn(move || outlet.run());
        let send = |first: u64, inbox: Inbox| {
            for attempt in first..first + EACH {
                while inbox.try_send(request(attempt, 10)).is_err() {
                    thread::yield_now();
                }
            }
        };
        let arrived = thread::scope(|scope| {
            for first in [0, EACH, 2 * EACH, 3 * EACH] {
                let inbox = sender.clone();
                scope.spawn(move || send(first, inbox));
            }
            arrived(&far, &mut FrameReader::new(1 << 20), 4 * 5_000)
        });
        for first in [0, EACH, 2 * EACH, 3 * EACH] {
            let of_one = arrived.iter().copied().filter(|attempt| (first..first + EACH).contains(attempt));
            assert_eq!(of_one.collect::<Vec<u64>>(), (first..first + EACH).collect::<Vec<u64>>());
        }
        drop(sender);
        thread.join().expect("it ends with the last sender");
    }
}
