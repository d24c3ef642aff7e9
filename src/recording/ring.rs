//! The newest steps of one node, in memory: frames, and behind each the steps that follow it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use derive_more::Debug;

use crate::state_machine::image::Image;
use crate::types::{NodeId, Time};

/// Bytes of steps that are handed on at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Steps are handed on at the latest after this time.
const CHUNK_TIME: Duration = Duration::from_secs(1);

/// A part of a recording. Copies share it.
#[derive(Clone, Debug)]
pub enum Piece {
    Frame {
        #[debug("{} bytes", bytes.len())]
        bytes: Arc<[u8]>,
        #[debug("{} items", image.size())]
        image: Arc<dyn Image>,
    },
    #[debug("Steps({} bytes)", _0.len())]
    Steps(Arc<[u8]>),
}

#[derive(Debug)]
struct Segment {
    frame: Piece,
    steps: Vec<Arc<[u8]>>,
    bytes: usize,
}

/// See the [head](self). A node's thread writes it; who dumps it or begins a recording reads it.
#[derive(Debug)]
pub struct Ring {
    node: NodeId,
    bytes_max: usize,
    segments: VecDeque<Segment>,
    /// Steps that no chunk holds yet.
    open: Vec<u8>,
    opened: Time,
    /// Where a recording is written to.
    writer: Option<Sender<(NodeId, Piece)>>,
    /// A frame is wanted that the writer gets.
    begins: bool,
    /// Steps that were not kept since the last frame.
    pub missed: u64,
}

impl Ring {
    pub fn new(node: NodeId, bytes_max: usize) -> Ring {
        Ring {
            node,
            bytes_max,
            segments: VecDeque::new(),
            open: Vec::new(),
            opened: Time::ZERO,
            writer: None,
            begins: false,
            missed: 0,
        }
    }

    /// Whether the next step should have a frame before it.
    pub fn wants_frame(&self) -> bool {
        let newest = self.segments.back();
        let is_due = || newest.is_none_or(|newest| newest.bytes > self.bytes_max / 2);
        self.begins || self.bytes_max > 0 && is_due()
    }

    /// Whether that is for a recording, which takes a frame of any size.
    pub fn begins(&self) -> bool {
        self.begins
    }

    /// Whether steps can be kept: there is a frame that they follow, here or in the recording.
    pub fn has_frame(&self) -> bool {
        !self.segments.is_empty() || self.writer.is_some() && !self.begins
    }

    /// Whether anybody wants what is kept.
    pub fn is_on(&self) -> bool {
        self.bytes_max > 0 || self.writer.is_some()
    }

    /// Whether a recording is written.
    pub fn is_recorded(&self) -> bool {
        self.writer.is_some()
    }

    /// Begins a recording at this writer, with a frame before the next step.
    pub fn attach(&mut self, writer: Sender<(NodeId, Piece)>) {
        self.close();
        self.writer = Some(writer);
        self.begins = true;
    }

    /// Ends the recording. What was kept is with the writer then.
    pub fn detach(&mut self) {
        self.close();
        self.writer = None;
        self.begins = false;
    }

    pub fn push_frame(&mut self, bytes: Vec<u8>, image: Arc<dyn Image>) {
        self.close();
        let count = bytes.len();
        let frame = Piece::Frame { bytes: Arc::from(bytes), image };
        self.begins = false;
        self.hand_on(&frame);
        self.segments.push_back(Segment { frame, steps: Vec::new(), bytes: count });
        // The newest whole segment stays, so that the ring always reaches back some way.
        while self.segments.len() > 2 {
            self.segments.pop_front();
        }
        self.missed = 0;
    }

    /// Keeps a step, or another event, of this time.
    pub fn push(&mut self, at: Time, event: &[u8]) {
        if self.open.is_empty() {
            self.opened = at;
        }
        self.open.extend_from_slice(event);
        if self.open.len() >= CHUNK_BYTES || at.since(self.opened) >= CHUNK_TIME {
            self.close();
        }
    }

    /// Makes a chunk of what is open.
    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let chunk: Arc<[u8]> = Arc::from(self.open.as_slice());
        self.open.clear();
        if !self.begins {
            self.hand_on(&Piece::Steps(Arc::clone(&chunk)));
        }
        let Some(newest) = self.segments.back_mut() else { return };
        newest.bytes += chunk.len();
        newest.steps.push(chunk);
        while self.segments.len() > 1 && self.bytes() > self.bytes_max {
            self.segments.pop_front();
        }
        if self.bytes() > 2 * self.bytes_max {
            // No frame could be made for too long: what is kept would grow without end.
            self.segments.clear();
        }
    }

    /// Keeps this many bytes from now on.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// A writer that cannot follow loses steps, and gets a frame before the next.
    fn hand_on(&mut self, piece: &Piece) {
        let Some(writer) = &self.writer else { return };
        match writer.try_send((self.node, piece.clone())) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.begins = true,
            Err(TrySendError::Disconnected(_)) => {
                self.writer = None;
                self.begins = false;
            }
        }
    }

    /// All that is kept, from the oldest.
    pub fn pieces(&mut self) -> Vec<Piece> {
        self.close();
        let pieces = self.segments.iter().flat_map(|segment| {
            let steps = segment.steps.iter().cloned().map(Piece::Steps);
            std::iter::once(segment.frame.clone()).chain(steps)
        });
        pieces.collect()
    }
}
