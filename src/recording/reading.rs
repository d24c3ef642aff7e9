//! Reads a recording: the events of all nodes in one order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::form::{Event, Frame, Head, Next, PieceKind, Rules, next_event};
use super::order::{Head as NextOf, first};
use super::{HEAD_FILE, NETWORK_FILE, VERSION};
use crate::check::records::{FRAME_BYTES, framed_length, unframe};
use crate::types::{NODES_MAX, NodeId, Time};

/// What a folder is no recording for, or not one that is read: one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct RecordingError(String);

/// A recording in a folder, or in the folders of a folder, one for each process.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    folder: PathBuf,
    files: Vec<NodeFile>,
    rules: Vec<Rules>,
    /// All nodes were in one process: their steps have numbers in the order in which they were made.
    is_of_one_process: bool,
    /// Nodes of which steps are missing, or of which the first is not the first of a life.
    partial: BTreeSet<NodeId>,
    missing: BTreeSet<NodeId>,
    /// The time of its last event.
    end: Time,
    steps: u64,
    bytes: u64,
}

/// The file of a node, and how much later its run began than the first one's.
#[derive(Clone, Debug)]
struct NodeFile {
    node: NodeId,
    path: PathBuf,
    shift: Duration,
}

impl Recording {
    /// Looks at all of a folder. Versions of the program are compared unless `any_version`.
    ///
    /// # Errors
    /// It is no recording, is of another version, or is damaged.
    pub fn open(folder: &Path, any_version: bool) -> Result<Recording, RecordingError> {
        let parts = parts_of(folder);
        let heads = parts.iter().map(|part| head_of(part, any_version)).collect::<Result<Vec<Head>, _>>()?;
        let first = heads.iter().map(|head| head.began).min().unwrap_or_default();
        let mut files = Vec::new();
        for (part, head) in parts.iter().zip(&heads) {
            let shift = Duration::from_nanos(head.began - first);
            files.extend(files_of(part).map(|(node, path)| NodeFile { node, path, shift }));
        }
        files.sort_by_key(|file| file.node);
        let mut rules = parts.first().map_or_else(|| Ok(Vec::new()), |part| rules_of(part))?;
        let shift = heads.first().map_or(Duration::ZERO, |head| Duration::from_nanos(head.began - first));
        for rules in &mut rules {
            rules.at = rules.at + shift;
        }
        let is_of_one_process = parts.len() == 1;
        let folder = folder.to_path_buf();
        let mut recording = Recording { folder, files, rules, is_of_one_process, ..Recording::default() };
        for file in recording.files.clone() {
            recording.bytes += file.path.metadata().map_or(0, |known| known.len());
            let mut stream = Stream::open(&file)?;
            while let Some(next) = stream.next()? {
                match &next {
                    Next::Frame(_, frame, _) => {
                        if frame.missed > 0 {
                            recording.partial.insert(file.node);
                        }
                    }
                    Next::Event(_, event) => {
                        recording.end = recording.end.max(event.place().1 + file.shift);
                        recording.steps += u64::from(matches!(event, Event::Step(_)));
                    }
                    Next::Rules(_) => {}
                }
            }
            if !stream.is_whole {
                recording.missing.insert(file.node);
            }
        }
        if recording.steps == 0 {
            return Err(RecordingError(format!("{} holds no step", recording.folder.display())));
        }
        Ok(recording)
    }

    pub fn end(&self) -> Time {
        self.end
    }

    /// Nodes of which the last steps are missing: a kill took them.
    pub fn missing(&self) -> &BTreeSet<NodeId> {
        &self.missing
    }

    /// Whether it holds each step of each node, from the first of a life.
    pub fn is_whole(&self) -> bool {
        self.partial.is_empty() && self.missing.is_empty()
    }

    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The nodes that have a file.
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.files.iter().map(|file| file.node).collect();
        // One that was a process has a file for each life.
        nodes.dedup();
        nodes
    }

    /// All of it from the beginning, in an order in which it may have happened.
    ///
    /// # Errors
    /// A file cannot be read, or is damaged.
    pub fn play(&self) -> Result<Playing, RecordingError> {
        let mut playing = Playing {
            streams: self.files.iter().map(Stream::open).collect::<Result<_, _>>()?,
            heads: BTreeMap::new(),
            is_of_one_process: self.is_of_one_process,
            rules: self.rules.iter().cloned().collect(),
        };
        for place in 0..playing.streams.len() {
            playing.read(place)?;
        }
        Ok(playing)
    }
}

/// The folder, or those in it if each has a recording of one process.
fn parts_of(folder: &Path) -> Vec<PathBuf> {
    let has_head = |folder: &Path| folder.join(HEAD_FILE).exists();
    if has_head(folder) {
        return vec![folder.to_path_buf()];
    }
    let inside = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let mut parts: Vec<PathBuf> = inside.filter(|part| has_head(part)).collect();
    parts.sort();
    if parts.is_empty() { vec![folder.to_path_buf()] } else { parts }
}

fn head_of(folder: &Path, any_version: bool) -> Result<Head, RecordingError> {
    let shown = folder.display();
    let text = fs::read_to_string(folder.join(HEAD_FILE)).map_err(|error| {
        RecordingError(format!("{shown} is no recording: its {HEAD_FILE} cannot be read: {error}"))
    })?;
    let versions: Versions = serde_json::from_str(&text)
        .map_err(|error| RecordingError(format!("{shown}: its {HEAD_FILE} is damaged: {error}")))?;
    if versions.record != VERSION {
        return Err(RecordingError(format!(
            "{shown} is a recording of version {}, and this program reads version {VERSION}: replay it with raftlab {}",
            versions.record, versions.program
        )));
    }
    if versions.program != env!("CARGO_PKG_VERSION") && !any_version {
        return Err(RecordingError(format!(
            "{shown} was recorded by raftlab {}, whose steps may differ from this one's: --try replays it until the first \
             difference",
            versions.program
        )));
    }
    serde_json::from_str(&text)
        .map_err(|error| RecordingError(format!("{shown}: its {HEAD_FILE} is damaged: {error}")))
}

/// What the head of any version has.
#[derive(Deserialize)]
struct Versions {
    record: u32,
    program: String,
}

fn files_of(folder: &Path) -> impl Iterator<Item = (NodeId, PathBuf)> {
    let all = (1..=NODES_MAX).map(NodeId::new);
    let named = |node: NodeId| (node, folder.join(format!("{node}.steps")));
    all.map(named).filter(|(_, path)| path.exists()).collect::<Vec<_>>().into_iter()
}

fn rules_of(folder: &Path) -> Result<Vec<Rules>, RecordingError> {
    let path = folder.join(NETWORK_FILE);
    let text = fs::read_to_string(&path).unwrap_or_default();
    // A kill may have left a part of the last line.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let read = whole.lines().enumerate().map(|(number, line)| {
        serde_json::from_str(line)
            .map_err(|error| RecordingError(format!("{}:{}: {error}", path.display(), number + 1)))
    });
    read.collect()
}

/// A recording that is being played.
#[derive(Debug)]
pub struct Playing {
    streams: Vec<Stream>,
    /// What comes next of each stream.
    heads: BTreeMap<usize, NextOf>,
    is_of_one_process: bool,
    rules: VecDeque<Rules>,
}

impl Playing {
    fn read(&mut self, place: usize) -> Result<(), RecordingError> {
        let Some(next) = self.streams[place].next()? else { return Ok(()) };
        let (order, at) = match &next {
            Next::Frame(_, frame, _) => (frame.order, frame.at),
            Next::Event(_, event) => event.place(),
            Next::Rules(rules) => (rules.order, rules.at),
        };
        let Stream { node, shift, .. } = self.streams[place];
        self.heads.insert(place, NextOf { node, order, time: at + shift, next });
        Ok(())
    }

    /// When the next thing happened; none at the end.
    pub fn next_at(&self, is_sent: &dyn Fn(NodeId, NodeId, u64) -> bool) -> Option<Time> {
        self.first(is_sent).map(|place| self.heads[&place].time)
    }

    fn first(&self, is_sent: &dyn Fn(NodeId, NodeId, u64) -> bool) -> Option<usize> {
        if self.is_of_one_process {
            let by_order = self.heads.iter().min_by_key(|(place, head)| (head.order, **place));
            return by_order.map(|(place, _)| *place);
        }
        first(&self.heads, is_sent)
    }

    /// Takes the next thing. `is_sent` says of a node's message to another, by its flight, whether the step that sent it was
    /// taken.
    ///
    /// # Errors
    /// What is wrong with what follows.
    pub fn take(
        &mut self,
        is_sent: &dyn Fn(NodeId, NodeId, u64) -> bool,
    ) -> Result<Option<Next>, RecordingError> {
        let Some(place) = self.first(is_sent) else { return Ok(None) };
        let NextOf { order, time, .. } = self.heads[&place];
        let is_before =
            |rules: &mut Rules| if self.is_of_one_process { rules.order < order } else { rules.at <= time };
        if let Some(rules) = self.rules.pop_front_if(is_before) {
            return Ok(Some(Next::Rules(rules)));
        }
        let NextOf { next, .. } = self.heads.remove(&place).expect("seen above");
        self.read(place)?;
        Ok(Some(next))
    }
}

/// The file of a node, piece by piece.
#[derive(Debug)]
struct Stream {
    node: NodeId,
    path: PathBuf,
    shift: Duration,
    file: BufReader<File>,
    events: VecDeque<Event>,
    /// Its last piece was read, and says that nothing is missing.
    is_whole: bool,
    has_begun: bool,
}

impl Stream {
    fn open(of: &NodeFile) -> Result<Stream, RecordingError> {
        let NodeFile { node, path, shift } = of.clone();
        let file = File::open(&path)
            .map_err(|error| RecordingError(format!("{} cannot be read: {error}", path.display())))?;
        Ok(Stream {
            node,
            path,
            shift,
            file: BufReader::new(file),
            events: VecDeque::new(),
            is_whole: false,
            has_begun: false,
        })
    }

    fn next(&mut self) -> Result<Option<Next>, RecordingError> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(Next::Event(self.node, event)));
        }
        let Some((kind, content)) = self.piece()? else { return Ok(None) };
        let damaged =
            |problem: String| RecordingError(format!("{} is damaged: {problem}", self.path.display()));
        if kind == PieceKind::Frame as u8 {
            let mut frame = Frame::read(&content).map_err(damaged)?;
            if !std::mem::replace(&mut self.has_begun, true) && frame.started.is_none() {
                // Another file of the node may come before this one, and does not lead to it.
                frame.missed = frame.missed.max(1);
            }
            // A kill may have left no image behind it: then there is nothing to go by.
            let Some((_, image)) = self.piece()? else { return Ok(None) };
            return Ok(Some(Next::Frame(self.node, Box::new(frame), image)));
        }
        if kind == PieceKind::End as u8 {
            self.is_whole = true;
            return Ok(None);
        }
        if kind != PieceKind::Steps as u8 {
            return Err(damaged(format!("a piece of kind {kind}, which no recording has here")));
        }
        let mut rest = &content[..];
        let mut events = VecDeque::new();
        while let Some(event) = next_event(&mut rest).map_err(damaged)? {
            events.push_back(event);
        }
        self.events = events;
        self.next()
    }

    /// The kind of the next whole piece, and its content; none at the end, where a kill may have left a part of one.
    fn piece(&mut self) -> Result<Option<(u8, Vec<u8>)>, RecordingError> {
        let damaged = |problem| RecordingError(format!("{} is damaged: {problem}", self.path.display()));
        let unreadable = |error| RecordingError(format!("{} cannot be read: {error}", self.path.display()));
        let mut head = [0; FRAME_BYTES];
        match self.file.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(unreadable)?,
        }
        let length = framed_length(&head).map_err(damaged)?;
        let mut bytes = head.to_vec();
        self.file.by_ref().take(length as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        let Some((content, _)) = unframe(&bytes).map_err(damaged)? else { return Ok(None) };
        let (kind, content) = content.split_first().ok_or_else(|| damaged("a piece is empty".to_string()))?;
        Ok(Some((*kind, content.to_vec())))
    }
}
