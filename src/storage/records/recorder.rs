//! What writes a node's records, and lets others read them.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{FILE_BYTES, Found, Ring, forget, read_from};
use crate::check::records::{Cause, Run, decode, encode_standing, encode_step, frame, is_noted};
use crate::check::safety::{Shown, Standing, Step};
use crate::clock::LogicalClock;
use crate::raft::message::{AppendResult, Body, Files, Message};
use crate::text::hex;
use crate::types::{NodeId, Term};

/// A part of a node's records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Page {
    /// The life of the process that answers.
    pub life: u64,
    /// Where the part begins: later than asked for when that was overwritten.
    pub from: u64,
    #[serde(with = "hex")]
    pub bytes: Vec<u8>,
    /// The place behind the last record.
    pub end: u64,
    pub clock: u64,
}

/// Writes down what a node does. Clones write to the same files.
#[derive(Clone, Debug)]
pub struct Recorder {
    folder: PathBuf,
    run: Run,
    clock: LogicalClock,
    writing: Arc<Mutex<Writing>>,
}

#[derive(Debug)]
struct Writing {
    ring: Ring,
    buffer: Vec<u8>,
    shown: Option<Shown>,
    /// What was acknowledged last, and to whom: each heartbeat is answered with the same.
    acknowledged: Option<(NodeId, Term, Files, AppendResult)>,
    /// A record could not be written.
    has_gap: bool,
}

impl Recorder {
    /// Continues the records in a node's folder, in this life of its process. Files that are damaged, or of another version,
    /// make room for new ones.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn open(folder: &Path, life: u64) -> io::Result<Recorder> {
        Recorder::with_files_of(folder, life, FILE_BYTES)
    }

    pub(super) fn with_files_of(folder: &Path, life: u64, file_bytes: u64) -> io::Result<Recorder> {
        let open = || -> io::Result<(Ring, u64)> {
            let (ring, last) = Ring::open(folder, file_bytes)?;
            let invalid = |problem| io::Error::new(ErrorKind::InvalidData, problem);
            let last = last.map(|last| decode(&last).map_err(invalid)).transpose()?;
            Ok((ring, last.map_or(0, |last| last.clock)))
        };
        let (ring, moment) = match open() {
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                log::warn!(target: "raftlab::records", "{}: its records begin again: {error}", folder.display());
                forget(folder)?;
                open()?
            }
            opened => opened?,
        };
        let clock = LogicalClock::default();
        clock.see(moment);
        let writing = Writing { ring, buffer: Vec::new(), shown: None, acknowledged: None, has_gap: false };
        let run = Run { life, boot: boot() };
        Ok(Recorder { folder: folder.to_path_buf(), run, clock, writing: Arc::new(Mutex::new(writing)) })
    }

    pub fn life(&self) -> u64 {
        self.run.life
    }

    pub fn clock(&self) -> LogicalClock {
        self.clock.clone()
    }

    /// The node starts.
    pub fn begin(&self, standing: &Standing) {
        let mut writing = self.writing.lock();
        writing.shown = Some(standing.shown);
        writing.stand(self, Cause::Start, standing);
    }

    /// The node made a step and is about to send these messages. `standing` says how it stands, if that is wanted.
    pub fn observe<'a>(
        &self,
        step: &Step<'_>,
        sent: impl Iterator<Item = &'a Message>,
        standing: impl FnOnce() -> Option<Standing>,
    ) {
        let mut writing = self.writing.lock();
        let sent: Vec<Message> = sent.filter(|message| writing.is_news(message)).cloned().collect();
        let is_idle = step.persisted.is_none()
            && step.write.is_none()
            && step.applied.is_empty()
            && step.adopted.is_empty()
            && sent.is_empty()
            && writing.shown == Some(step.shown);
        if is_idle && !writing.has_gap {
            return;
        }
        writing.shown = Some(step.shown);
        let Writing { ring, buffer, has_gap, .. } = &mut *writing;
        buffer.clear();
        let (clock, mut encoded) = (self.clock.next(), Ok(()));
        frame(buffer, |buffer| encoded = encode_step(clock, step, sent, buffer));
        let is_lost = *has_gap || encoded.is_err() || ring.append(buffer).is_err();
        if (is_lost || ring.is_full())
            && let Some(standing) = standing()
        {
            let cause = if is_lost { Cause::Gap } else { Cause::File };
            writing.stand(self, cause, &standing);
        }
    }

    /// What stands behind a place, up to this many bytes. All that is written from now on is later than this moment.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn page(&self, from: u64, most: usize, moment: u64) -> io::Result<Page> {
        let (place, end, clock) = {
            let writing = self.writing.lock();
            self.clock.see(moment);
            (writing.ring.place_of(from), writing.ring.end(), self.clock.now())
        };
        let mut page = Page { life: self.run.life, from, bytes: Vec::new(), end, clock };
        if let Some((file, offset)) = place {
            page.from = file.base + offset;
            page.bytes = read_from(&self.folder, &file, offset, most)?;
            let writing = self.writing.lock();
            let is_there = |found: &Found| (found.name, found.base) == (file.name, file.base);
            if !writing.ring.files().any(is_there) {
                // It was overwritten meanwhile.
                page.bytes = Vec::new();
            }
        }
        Ok(page)
    }
}

impl Writing {
    /// Whether a message promises what was not promised just before.
    fn is_news(&mut self, message: &Message) -> bool {
        let Body::AppendReply { result, .. } = &message.body else { return is_noted(message) };
        let acknowledged = Some((message.to, message.term, message.files, *result));
        let is_news = is_noted(message) && self.acknowledged != acknowledged;
        self.acknowledged = acknowledged;
        is_news
    }

    /// Writes down how the node stands: in a file of its own when the one in use is full.
    fn stand(&mut self, recorder: &Recorder, cause: Cause, standing: &Standing) {
        self.buffer.clear();
        let clock = recorder.clock.next();
        frame(&mut self.buffer, |buffer| encode_standing(clock, recorder.run, cause, standing, buffer));
        let is_full = self.ring.is_full();
        let written = if is_full { self.ring.turn(&self.buffer) } else { self.ring.append(&self.buffer) };
        if let Err(error) = &written
            && !self.has_gap
        {
            let folder = recorder.folder.display();
            log::warn!(target: "raftlab::records", "{folder}: a step cannot be written down: {error}");
        }
        self.has_gap = written.is_err();
    }
}

/// Tells the times between two starts of the machine from each other: what was not synced is lost when it goes down.
fn boot() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    crc32fast::hash(text.as_bytes()).into()
}
