//! The newest steps of one node, in memory: frames, and behind each the steps that follow it.
//!
//! They are kept as they are, sharing commands and data with the node's log; bytes are made of them where they are written,
//! on another thread than the node's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use derive_more::Debug;

use super::form::{Event, Frame, Step, bytes_of_log};
use crate::state_machine::image::Image;
use crate::types::{NodeId, Time};

/// Bytes of steps that are handed on at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A frame takes a node some milliseconds, so that the next one comes no earlier than this.
const FRAME_INTERVAL: Duration = Duration::from_millis(250);

/// Chunks that are let go of when one is made: freeing a whole segment at once would make the node wait.
const FREED_AT_ONCE: usize = 2;

/// Steps are handed on at the latest after this time.
const CHUNK_TIME: Duration = Duration::from_secs(1);

/// A part of a recording. Copies share it.
#[derive(Clone, Debug)]
pub enum Piece {
    Frame {
        frame: Arc<Frame>,
        #[debug("{} items", image.size())]
        image: Arc<dyn Image>,
    },
    #[debug("Steps({} events)", _0.len())]
    Steps(Arc<[Event]>),
}

#[derive(Debug)]
struct Segment {
    frame: Piece,
    steps: Vec<Arc<[Event]>>,
    bytes: usize,
}

/// See the [head](self). A node's thread writes it; who dumps it or begins a recording reads it.
#[derive(Debug)]
pub struct Ring {
    node: NodeId,
    bytes_max: usize,
    segments: VecDeque<Segment>,
    /// Steps that no chunk holds yet, and the bytes that they keep alive.
    open: Vec<Event>,
    open_bytes: usize,
    opened: Time,
    /// Chunks that are not kept any more, and not freed yet.
    old: Vec<Arc<[Event]>>,
    /// Where a recording is written to.
    writer: Option<Sender<(NodeId, Piece)>>,
    /// A frame is wanted that the writer gets.
    begins: bool,
    /// Steps that were not kept since the last frame.
    missed: u64,
    next_frame: Time,
}

impl Ring {
    pub fn new(node: NodeId, bytes_max: usize) -> Ring {
        Ring {
            node,
            bytes_max,
            segments: VecDeque::new(),
            open: Vec::new(),
            open_bytes: 0,
            opened: Time::ZERO,
            old: Vec::new(),
            writer: None,
            begins: false,
            missed: 0,
            next_frame: Time::ZERO,
        }
    }

    /// Whether the next step, at this time, should have a frame before it.
    pub fn wants_frame(&self, now: Time) -> bool {
        let newest = self.segments.back();
        let is_due = || newest.is_none_or(|newest| newest.bytes > self.bytes_max / 2);
        now >= self.next_frame && (self.begins || self.bytes_max > 0 && is_due())
    }

    /// Bytes that a frame may have; a part of all, since two of them are kept.
    pub fn frame_bytes_max(&self) -> usize {
        self.bytes_max / 4
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
        self.next_frame = Time::ZERO;
    }

    /// Ends the recording. What was kept is with the writer then.
    pub fn detach(&mut self) {
        self.close();
        self.writer = None;
        self.begins = false;
    }

    /// Keeps a frame, and says in it how many steps before it are missing.
    pub fn push_frame(&mut self, mut frame: Frame, image: Arc<dyn Image>) {
        self.close();
        frame.missed = self.missed;
        self.next_frame = frame.at + FRAME_INTERVAL;
        let bytes = bytes_of_log(frame.server.raft().log());
        let frame = Piece::Frame { frame: Arc::new(frame), image };
        self.begins = false;
        self.hand_on(&frame);
        if !self.begins {
            self.missed = 0;
        }
        self.segments.push_back(Segment { frame, steps: Vec::new(), bytes });
        // The newest whole segment stays, so that the ring always reaches back some way.
        while self.segments.len() > 2 {
            self.forget_oldest();
        }
    }

    /// A step is not kept.
    pub fn miss(&mut self) {
        self.missed += 1;
        self.free_some();
    }

    /// Keeps a step, or another event, of this time. What it carries weighs this many bytes.
    pub fn push(&mut self, at: Time, event: Event, carried: usize) {
        if self.open.is_empty() {
            self.opened = at;
        }
        self.open_bytes += size_of::<Event>() + size_of::<Step>() + carried;
        self.open.push(event);
        if self.open_bytes >= CHUNK_BYTES || at.since(self.opened) >= CHUNK_TIME {
            self.close();
        }
    }

    /// Makes a chunk of what is open.
    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.open_bytes);
        let chunk: Arc<[Event]> = self.open.drain(..).collect();
        if !self.begins {
            self.hand_on(&Piece::Steps(Arc::clone(&chunk)));
        }
        if self.begins {
            // The recording lacks them.
            self.missed += chunk.len() as u64;
        }
        self.free_some();
        let Some(newest) = self.segments.back_mut() else { return };
        newest.bytes += bytes;
        newest.steps.push(chunk);
        while self.segments.len() > 1 && self.bytes() > self.bytes_max {
            self.forget_oldest();
        }
        if self.bytes() > 2 * self.bytes_max {
            // No frame could be made for too long: what is kept would grow without end.
            self.forget_oldest();
        }
    }

    fn free_some(&mut self) {
        self.old.truncate(self.old.len().saturating_sub(FREED_AT_ONCE));
    }

    fn forget_oldest(&mut self) {
        let oldest = self.segments.pop_front();
        self.old.extend(oldest.into_iter().flat_map(|oldest| oldest.steps));
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

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::recording::form::{After, Arrived, Before, MachineMove, Made};
    use crate::server::LeftOff;
    use crate::server::shape::Shape;
    use crate::sim::{Simulation, SimulationSettings};

    const BYTES_MAX: usize = 1 << 20;
    const STEP_BYTES: usize = 150 << 10;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn push_frame(ring: &mut Ring, millis: u64) {
        let mut simulation = Simulation::new(SimulationSettings::new(1, 1), None);
        let (server, image) = simulation.server_mut(NodeId::new(1)).frame(&[]).expect("its machine is there");
        let frame = Frame { at: at(millis), order: 0, missed: 0, started: None, server };
        ring.push_frame(frame, Arc::from(image));
    }

    fn push_step(ring: &mut Ring, millis: u64) {
        let (at, machine) = (at(millis), MachineMove::Stayed);
        let made = Made::Step { left_off: LeftOff::default(), shape: Shape::default() };
        let step = Step {
            before: Before { at, now: at, machine },
            arrivals: smallvec![Arrived::Campaign],
            after: After { order: 0, result: made },
        };
        ring.push(at, Event::Step(Box::new(step)), STEP_BYTES);
    }

    /// The times at which segments begin that are kept.
    fn kept(ring: &mut Ring) -> Vec<Time> {
        let frames = ring.pieces().into_iter().filter_map(|piece| match piece {
            Piece::Frame { frame, .. } => Some(frame.at),
            Piece::Steps(_) => None,
        });
        frames.collect()
    }

    #[test]
    fn the_oldest_steps_go_when_the_newest_need_their_room() {
        let mut ring = Ring::new(NodeId::new(1), BYTES_MAX);
        assert!(ring.wants_frame(at(0)) && !ring.has_frame());
        for second in 0..4 {
            push_frame(&mut ring, second * 1_000);
            assert!(!ring.wants_frame(at(second * 1_000 + 1)));
            for step in 0..5 {
                push_step(&mut ring, second * 1_000 + step);
            }
            assert!(ring.wants_frame(at(second * 1_000 + 999)), "half of it is full");
            assert!(ring.bytes() <= BYTES_MAX + BYTES_MAX / 2, "{} bytes", ring.bytes());
        }
        assert_eq!(kept(&mut ring), [at(3_000)]);
    }

    #[test]
    fn frames_are_apart_and_what_no_frame_leads_to_is_not_kept() {
        let mut ring = Ring::new(NodeId::new(1), BYTES_MAX);
        push_frame(&mut ring, 0);
        for step in 0..30 {
            push_step(&mut ring, step);
        }
        assert!(!ring.has_frame(), "it would have become too large");
        assert_eq!(kept(&mut ring), []);
        assert!(!ring.wants_frame(at(249)));
        assert!(ring.wants_frame(at(250)));
    }

    #[test]
    fn a_writer_that_cannot_follow_is_told_how_much_it_lacks() {
        let mut ring = Ring::new(NodeId::new(1), BYTES_MAX);
        let (sender, receiver) = crossbeam_channel::bounded(2);
        ring.attach(sender);
        push_frame(&mut ring, 0);
        for step in 0..4 {
            push_step(&mut ring, step);
        }
        assert!(!ring.wants_frame(at(4)) && ring.wants_frame(at(250)), "it needs another frame");
        let written = || -> Vec<Piece> { receiver.try_iter().map(|(_, piece)| piece).collect() };
        let first = written();
        assert!(matches!(first.as_slice(), [Piece::Frame { .. }, Piece::Steps(_)]), "{first:?}");
        push_frame(&mut ring, 250);
        let written = written();
        let [Piece::Frame { frame, .. }] = written.as_slice() else { panic!("{written:?}") };
        assert_eq!(frame.missed, 3);
    }

    #[test]
    fn what_a_frame_lacks_is_told_by_the_next_if_the_writer_did_not_get_it() {
        let mut ring = Ring::new(NodeId::new(1), BYTES_MAX);
        let (sender, receiver) = crossbeam_channel::bounded(1);
        ring.attach(sender);
        push_frame(&mut ring, 0);
        push_step(&mut ring, 0);
        push_frame(&mut ring, 250);
        assert!(!ring.wants_frame(at(251)), "frames are apart, though the writer lacks one");
        assert!(ring.wants_frame(at(500)));
        assert_eq!(receiver.try_iter().count(), 1);
        push_frame(&mut ring, 500);
        let written = receiver.try_recv().expect("there is room").1;
        assert!(matches!(written, Piece::Frame { frame, .. } if frame.missed == 1));
    }

    #[test]
    fn what_is_not_kept_frees_old_steps_too() {
        let mut ring = Ring::new(NodeId::new(1), BYTES_MAX);
        push_frame(&mut ring, 0);
        for step in 0..30 {
            push_step(&mut ring, step);
        }
        while !ring.old.is_empty() {
            let before = ring.old.len();
            ring.miss();
            assert!(ring.old.len() < before);
        }
    }

    #[test]
    fn old_steps_are_freed_bit_by_bit() {
        let mut ring = Ring::new(NodeId::new(1), BYTES_MAX);
        push_frame(&mut ring, 0);
        for step in 0..6 {
            push_step(&mut ring, step);
        }
        push_frame(&mut ring, 1_000);
        push_step(&mut ring, 1_000);
        let before = ring.old.len();
        assert!(before > FREED_AT_ONCE, "{before} chunks");
        push_step(&mut ring, 1_001);
        assert_eq!(ring.old.len(), before - FREED_AT_ONCE);
    }
}
