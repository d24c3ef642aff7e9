//! One connection after its handshake: the thread that reads. What is written goes through an `Outlet`.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use super::SILENCE;
use super::channel::{Channel, close_gently};
use super::outlet::{Outgoing, Outlet};
use crate::clock::LogicalClock;
use crate::protocol::Envelope;
use crate::text::plain;
use crate::wire::{Frame, FrameReader};

/// The stack of a thread that only moves bytes.
const STACK_BYTES: usize = 256 << 10;

/// A connection in use.
pub(super) struct Connection {
    channel: Channel,
    frames: FrameReader,
    pub outlet: Arc<Outlet>,
    /// That of a process whose node hears another node here.
    clock: Option<LogicalClock>,
    /// All that it was told is written before it ends.
    drains: bool,
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
        let outlet = Arc::new(Outlet::new(outgoing, channel.writer()?));
        let writing = Arc::clone(&outlet);
        let writer = thread::Builder::new().name("link-writer".to_string()).stack_size(STACK_BYTES);
        let writer = writer.spawn(move || writing.run())?;
        Ok(Connection { channel, frames, outlet, clock: None, drains: false, writer })
    }

    /// The other end is a node: what it says of its logical clock is earlier than what this process does next.
    pub fn hearing(self, clock: LogicalClock) -> Connection {
        Connection { clock: Some(clock), ..self }
    }

    /// When nothing more is read, all that it was told is written before it ends; what tells it ends with `take`.
    pub fn draining(self) -> Connection {
        Connection { drains: true, ..self }
    }

    /// Reads until the connection ends, and hands each frame but ticks to `take`. The messages that it takes of frames that came
    /// together go to `send`, which empties the group. Returns why the connection ended.
    pub fn read(
        mut self,
        mut take: impl FnMut(Frame) -> Result<Option<Envelope>, String>,
        mut send: impl FnMut(&mut Vec<Envelope>),
    ) -> String {
        let mut group = Vec::new();
        let mut drains = false;
        let why = loop {
            let taken = self.next_frames(&mut take, &mut group);
            send(&mut group);
            if let Err(why) = taken {
                break why;
            }
            match self.frames.read_from(&mut self.channel) {
                Ok(0) => {
                    drains = self.drains;
                    break "it closed the connection".to_string();
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    break format!("nothing was heard of it for {} s", SILENCE.as_secs());
                }
                Err(error) => break plain(&error),
            }
        };
        drop(take);
        let socket = self.channel.socket();
        if drains {
            // One that does not read what it is told loses it.
            let _ = socket.set_write_timeout(Some(SILENCE));
            let _ = self.writer.join();
            close_gently(socket);
        } else {
            let _ = socket.shutdown(Shutdown::Both);
            let _ = self.writer.join();
        }
        why
    }

    fn next_frames(
        &mut self,
        take: &mut impl FnMut(Frame) -> Result<Option<Envelope>, String>,
        group: &mut Vec<Envelope>,
    ) -> Result<(), String> {
        while let Some(frame) = self.frames.next_frame().map_err(|error| error.to_string())? {
            self.outlet.received.fetch_add(1, Ordering::Relaxed);
            match (frame, &self.clock) {
                (Frame::Received(_), _) => {}
                (Frame::Clock(moment), Some(clock)) => clock.see(moment),
                (frame, _) => group.extend(take(frame)?),
            }
        }
        Ok(())
    }
}
