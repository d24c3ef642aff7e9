//! Writes a recording to a folder, on a thread of its own: no node waits for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::form::{Head, PieceKind, Rules, put_event};
use super::ring::Piece;
use super::{HEAD_FILE, NETWORK_FILE};
use crate::check::records::frame;
use crate::lab::Recorded;
use crate::storage::private;
use crate::types::NodeId;

/// Pieces that wait at most: some 32 MiB.
const PIECES_MAX: usize = 512;

/// A recording that is being written.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    pieces: Sender<(NodeId, Piece)>,
    rules: Sender<Rules>,
    thread: JoinHandle<Recorded>,
}

impl Writer {
    /// Begins to write at most this many bytes.
    pub fn start(folder: &Path, head: &Head, bytes_max: u64) -> io::Result<Writer> {
        begin(folder, head)?;
        let network = rules_file(folder)?;
        let (pieces, receiver) = bounded(PIECES_MAX);
        let (rules, rules_receiver) = unbounded();
        let to = folder.to_path_buf();
        let work = move || write(&to, network, bytes_max, &receiver, &rules_receiver);
        let thread = thread::Builder::new().name("record".to_string()).spawn(work)?;
        Ok(Writer { folder: folder.to_path_buf(), pieces, rules, thread })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn pieces(&self) -> Sender<(NodeId, Piece)> {
        self.pieces.clone()
    }

    pub fn rules(&self, rules: &Rules) {
        // A writer that has stopped says so at the end.
        let _ = self.rules.send(rules.clone());
    }

    /// Waits until all is written. No ring may have a sender any more.
    pub fn finish(self) -> Recorded {
        drop((self.pieces, self.rules));
        let panicked =
            || Recorded { trouble: Some("its thread has ended".to_string()), ..Recorded::default() };
        self.thread.join().unwrap_or_else(|_| panicked())
    }
}

fn write(
    folder: &Path,
    mut network: File,
    bytes_max: u64,
    pieces: &Receiver<(NodeId, Piece)>,
    rules: &Receiver<Rules>,
) -> Recorded {
    let mut files: BTreeMap<NodeId, BufWriter<File>> = BTreeMap::new();
    let mut bytes = 0;
    let mut take = |node: NodeId, piece: &Piece| -> io::Result<()> {
        let file = match files.entry(node) {
            std::collections::btree_map::Entry::Occupied(file) => file.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(node_file(folder, node)?),
        };
        bytes += write_piece(file, piece)?;
        // What a kill leaves ends with a whole piece.
        file.flush()?;
        if bytes > bytes_max {
            return Err(io::Error::other(format!("it has its most of {} MiB", bytes_max >> 20)));
        }
        Ok(())
    };
    let mut trouble = None;
    for (node, piece) in pieces {
        let noted = rules.try_iter().try_for_each(|rules| write_rules(&mut network, &rules));
        if let Err(error) = noted.and_then(|()| take(node, &piece)) {
            trouble = Some(error.to_string());
            log::warn!(target: "raftlab::record", "{}: the recording ends here: {error}", folder.display());
            break;
        }
    }
    let noted = rules.try_iter().try_for_each(|rules| write_rules(&mut network, &rules));
    let ended = if trouble.is_none() { files.values_mut().try_for_each(write_end) } else { Ok(()) };
    let trouble = trouble.or(noted.and(ended).err().map(|error| error.to_string()));
    Recorded { nodes: files.len(), bytes, trouble }
}

/// Makes the folder of a recording, with its head.
pub fn begin(folder: &Path, head: &Head) -> io::Result<()> {
    private::create_folders(folder)?;
    if folder.read_dir()?.next().is_some() {
        return Err(io::Error::other("it is not empty: name a new folder"));
    }
    let mut file = private::create(&folder.join(HEAD_FILE))?;
    serde_json::to_writer(&mut file, head)?;
    file.write_all(b"\n")
}

pub fn node_file(folder: &Path, node: NodeId) -> io::Result<BufWriter<File>> {
    private::create(&folder.join(format!("{node}.steps"))).map(BufWriter::new)
}

pub fn rules_file(folder: &Path) -> io::Result<File> {
    private::create(&folder.join(NETWORK_FILE))
}

/// Returns how many bytes that took.
pub fn write_piece(file: &mut impl Write, piece: &Piece) -> io::Result<u64> {
    let mut bytes = Vec::new();
    match piece {
        Piece::Steps(steps) => frame(&mut bytes, |to| {
            to.push(PieceKind::Steps as u8);
            steps.iter().for_each(|event| put_event(to, event));
        }),
        Piece::Frame { frame: server, image } => {
            frame(&mut bytes, |to| to.append(&mut server.bytes()));
            let mut text = vec![PieceKind::Image as u8];
            image.write(&mut text)?;
            frame(&mut bytes, |to| to.append(&mut text));
        }
    }
    file.write_all(&bytes)?;
    Ok(bytes.len() as u64)
}

/// Says that nothing is missing at the end.
pub fn write_end(file: &mut impl Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    frame(&mut bytes, |to| to.push(PieceKind::End as u8));
    file.write_all(&bytes)?;
    file.flush()
}

pub fn write_rules(file: &mut impl Write, rules: &Rules) -> io::Result<()> {
    serde_json::to_writer(&mut *file, rules)?;
    file.write_all(b"\n")
}
