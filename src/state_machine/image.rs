//! The state at one moment, apart from the running machine: a snapshot is made of it (section 7).
//!
//! Making an image must be cheap for a state of any size: it is made between two commands. Writing it is not, and happens
//! on another thread while the machine runs on.
//!
//! An image is written as `{"size":2,"sessions":[...],"state":...}`, each session and each member of the state on a
//! line of its own. It holds the sessions, too: a replica that started without them would apply a repeated command again
//! (section 8). `"epoch":2` stands before them once the cluster was recovered. The same state gives the same bytes on every
//! replica.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::io::{self, BufReader, BufWriter, Write};

use serde::{Deserialize, Serialize};
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::StateMachine;
use super::sessions::Sessions;
use crate::payload;
use crate::types::Epoch;

/// An image of a replica: the state machine's state and the clients' sessions.
pub trait Image: Send + Sync {
    /// Writes it as one value of JSON, piece by piece, never as a whole in memory.
    ///
    /// # Errors
    /// What `out` says.
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()>;

    /// Whether JSON can hold it, and give it back: to be asked before it is written, since a start from a state that does
    /// not come back would find no log to go by. Unless an image says otherwise, it can.
    ///
    /// # Errors
    /// Why not, in one line.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn size(&self) -> usize;

    /// For the replica that takes it over, and knows its type.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// Reads an image back from what [`Image::write`] wrote.
///
/// An error says in one line what is wrong with the text.
pub type LoadImage = fn(&mut dyn io::Read) -> Result<Box<dyn Image>, String>;

/// Bytes that are written or read at a time. Only a single text that is longer than this is written by itself.
const PIECE: usize = 1 << 16;

/// The image of a replica of this machine.
pub(super) struct ReplicaImage<M: StateMachine> {
    pub size: usize,
    pub sessions: Sessions,
    pub state: M::Snapshot,
}

/// What is written: the names of the members, and their order.
#[derive(Serialize)]
struct Written<'a, S> {
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    sessions: &'a Sessions,
    state: &'a S,
}

/// What is read: these members and no others, each once, in any order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<S> {
    size: usize,
    #[serde(default)]
    epoch: Option<Epoch>,
    sessions: Sessions,
    state: S,
}

/// The [`LoadImage`] for replicas of this machine.
///
/// # Errors
/// One line: what is wrong with the text.
pub fn load<M: StateMachine>(source: &mut dyn io::Read) -> Result<Box<dyn Image>, String> {
    let source = BufReader::with_capacity(PIECE, source);
    match serde_json::from_reader::<_, Read<M::Snapshot>>(source) {
        Ok(Read { size, epoch, mut sessions, state }) => {
            sessions.epoch = epoch;
            Ok(Box::new(ReplicaImage::<M> { size, sessions, state }))
        }
        // What is wrong may be quoted in the error, line breaks and all.
        Err(error) => Err(error.to_string().replace(char::is_control, " ")),
    }
}

impl<M: StateMachine> Image for ReplicaImage<M> {
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(PIECE, out);
        let (size, epoch) = (self.size, self.sessions.epoch);
        let written = Written { size, epoch, sessions: &self.sessions, state: &self.state };
        written.serialize(&mut Serializer::with_formatter(&mut out, Lines::default()))?;
        out.flush()
    }

    fn check(&self) -> Result<(), String> {
        // It is written inside an object.
        payload::check(&(&self.state,))
    }

    fn size(&self) -> usize {
        self.size
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// Breaks lines between sessions and between the members of the state, and nowhere else.
#[derive(Default)]
struct Lines {
    /// How many lists and objects are open.
    depth: usize,
    /// Whether the innermost of them holds anything yet.
    has_members: bool,
}

/// A session, or a member of the state, is a member of a member of the whole.
const LINE_DEPTH: usize = 2;

impl Lines {
    fn begin<W: Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_members = false;
        out.write_all(bracket)
    }

    fn begin_member<W: Write + ?Sized>(&mut self, out: &mut W, is_first: bool) -> io::Result<()> {
        self.has_members = true;
        if !is_first {
            out.write_all(b",")?;
        }
        if self.depth == LINE_DEPTH { out.write_all(b"\n") } else { Ok(()) }
    }

    fn end<W: Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        if self.depth == LINE_DEPTH && self.has_members {
            out.write_all(b"\n")?;
        }
        self.depth -= 1;
        // It is a member itself.
        self.has_members = true;
        out.write_all(bracket)
    }
}

impl Formatter for Lines {
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, is_first: bool) -> io::Result<()> {
        self.begin_member(out, is_first)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, is_first: bool) -> io::Result<()> {
        self.begin_member(out, is_first)
    }
}
