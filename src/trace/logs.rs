//! `logs/n1.log` and its siblings: one file a node, one line an event, filtered in the words of `RUST_LOG`.
//!
//! A file that cannot be opened is an error at the start. A write that fails later is noticed once and never stops a
//! node: logs explain a run, they do not keep its promises.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use derive_more::Debug;
use env_filter::Filter;
use log::{Level, LevelFilter, Metadata, Record};
use parking_lot::{Mutex, RwLock};

use super::{TraceEvent, target};
use crate::quoting::visible;
use crate::types::NodeId;

/// A node's records have this target and its name, as in `raftlab::n1`: filters go by it. A filter for `n1` means every
/// node whose name begins so.
pub const TARGET: &str = "raftlab::";

/// The filter when none is given.
const FILTER: &str = "info";

/// What stands in each file where a run of the cluster begins.
pub(super) const RUN_BEGINS: &str = "--- a run begins ---";

/// The log files of a cluster's nodes.
#[derive(Debug)]
#[debug("NodeLogs({:?})", files.read().keys())]
pub struct NodeLogs {
    folder: PathBuf,
    filter: Filter,
    level_max: LevelFilter,
    /// Those of the nodes that there are: nodes come and go.
    files: RwLock<BTreeMap<NodeId, Mutex<NodeFile>>>,
    notices: Mutex<Vec<String>>,
}

/// Why logs cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("logs cannot be {doing} {}: {reason}", path.display())]
pub struct LogsError {
    pub path: PathBuf,
    /// `written to` or `read from`.
    pub doing: &'static str,
    #[source]
    pub reason: io::Error,
}

struct NodeFile {
    path: PathBuf,
    file: File,
    /// Whole lines that are not in the file yet.
    waiting: String,
    /// The file may end within a line: the next line must not join it.
    torn: bool,
    /// A failure was noticed, and no write has succeeded since.
    failing: bool,
}

impl NodeLogs {
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens a file for each node, and the folder if there is none; lines go behind those that are there. The filter
    /// has the syntax of `RUST_LOG`: `debug`, or `info,raftlab::n2=trace`.
    ///
    /// # Errors
    ///
    /// When the folder or a file cannot be written.
    pub fn open(folder: &Path, nodes: &[NodeId], filter: Option<&str>) -> Result<NodeLogs, LogsError> {
        create_dir_all(folder).map_err(unwritable(folder))?;
        let filter = env_filter::Builder::new().parse(filter.unwrap_or(FILTER)).build();
        let level_max = filter.filter();
        let (folder, files, notices) = (folder.to_path_buf(), RwLock::default(), Mutex::default());
        let logs = NodeLogs { folder, filter, level_max, files, notices };
        nodes.iter().try_for_each(|node| logs.add(*node))?;
        Ok(logs)
    }

    /// Opens the file of a node that comes later; lines go behind those that are there.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn add(&self, node: NodeId) -> Result<(), LogsError> {
        let path = file_path(&self.folder, node);
        let opened = NodeFile::open(&path).map_err(unwritable(&path))?;
        self.files.write().insert(node, Mutex::new(opened));
        Ok(())
    }

    /// Closes the file of a node that goes. It stays where it is.
    pub fn remove(&self, node: NodeId) {
        self.files.write().remove(&node);
    }

    /// Marks where a run begins, in each file that takes anything.
    pub fn begin_run(&self) {
        let nodes: Vec<NodeId> = self.files.read().keys().copied().collect();
        for node in &nodes {
            let anything = Metadata::builder().target(target(*node)).level(Level::Error).build();
            if self.filter.enabled(&anything) {
                self.append(*node, Level::Info, RUN_BEGINS);
            }
        }
        self.flush_files(nodes);
    }

    /// Whether anything of this level may be written: asked before an event is made up.
    pub fn takes(&self, level: Level) -> bool {
        level <= self.level_max
    }

    /// Writes these events, those that the filter lets through, each to its node's file. They are in the files when
    /// this returns.
    pub fn record<'a>(&self, events: impl IntoIterator<Item = &'a TraceEvent>) {
        let mut last = None;
        for event in events.into_iter().filter(|event| self.takes(event.level())) {
            if last.is_some_and(|node| node != event.node) {
                self.flush_files(last);
            }
            let mut record = Record::builder();
            record.target(target(event.node)).level(event.level());
            self.write(event.node, &record.args(format_args!("{}", event.what)).build());
            last = Some(event.node);
        }
        self.flush_files(last);
    }

    /// The errors since the last call: a sentence for each file that could not be written, once until it can be written
    /// again.
    pub fn take_notices(&self) -> Vec<String> {
        mem::take(&mut self.notices.lock())
    }

    fn write(&self, node: NodeId, record: &Record<'_>) {
        if self.filter.matches(record) {
            self.append(node, record.level(), &record.args().to_string());
        }
    }

    fn append(&self, node: NodeId, level: Level, sentence: &str) {
        let files = self.files.read();
        let Some(file) = files.get(&node) else { return };
        let sentence = visible(sentence);
        let time = humantime::format_rfc3339_micros(SystemTime::now());
        writeln!(file.lock().waiting, "{time} {level:<5} {sentence}").expect("memory takes it");
    }

    fn flush_files(&self, nodes: impl IntoIterator<Item = NodeId>) {
        for node in nodes {
            let notice = self.files.read().get(&node).and_then(|file| file.lock().flush());
            self.notices.lock().extend(notice);
        }
    }
}

impl NodeFile {
    fn open(path: &Path) -> io::Result<NodeFile> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        let torn = last != [b'\n'];
        Ok(NodeFile { path: path.to_path_buf(), file, waiting: String::new(), torn, failing: false })
    }

    /// Writes the waiting lines; lines that cannot be written are lost. Returns a notice at the first failure of a row.
    fn flush(&mut self) -> Option<String> {
        if self.waiting.is_empty() {
            return None;
        }
        if self.torn {
            self.waiting.insert(0, '\n');
        }
        let written = self.file.write_all(self.waiting.as_bytes());
        self.waiting.clear();
        self.torn = written.is_err();
        let failed_before = mem::replace(&mut self.failing, written.is_err());
        let reason = written.err().filter(|_| !failed_before)?;
        let path = self.path.display();
        Some(format!("{path} cannot be written and has gaps from here on: {reason}"))
    }
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> LogsError {
    let path = path.to_path_buf();
    move |reason| LogsError { path, doing: "written to", reason }
}

/// Where the logs of these nodes are.
pub(crate) fn log_files(folder: &Path, nodes: &[NodeId]) -> impl Iterator<Item = PathBuf> {
    nodes.iter().map(|node| file_path(folder, *node))
}

pub(super) fn file_path(folder: &Path, node: NodeId) -> PathBuf {
    folder.join(format!("{node}.log"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::raft::event::Event;
    use crate::trace::What;
    use crate::types::{LogIndex, Term, Time};

    fn leads(node: u8) -> TraceEvent {
        let what = What::Raft(Event::BecameLeader { term: Term(4) });
        TraceEvent { time: Time::ZERO, node: NodeId::new(node), what }
    }

    fn applied(node: u8) -> TraceEvent {
        let what = What::Applied { first: LogIndex(1), last: LogIndex(3) };
        TraceEvent { time: Time::ZERO, node: NodeId::new(node), what }
    }

    /// The lines of a node's file, without their times.
    fn lines(folder: &Path, node: u8) -> Vec<String> {
        let text = fs::read_to_string(file_path(folder, NodeId::new(node))).expect("the file was made");
        let behind_time = |line: &str| line.split_once(' ').map(|(_, rest)| rest.to_string());
        text.lines().map(|line| behind_time(line).expect("a line begins with its time")).collect()
    }

    #[test]
    fn each_node_has_its_file_and_the_filter_decides() {
        let folder = tempfile::tempdir().expect("a folder");
        let nodes = NodeId::first(2);
        let logs = NodeLogs::open(folder.path(), &nodes, None).expect("a writable folder");
        logs.record(&[leads(1), applied(1), leads(2)]);
        assert_eq!(lines(folder.path(), 1), ["INFO  leads term 4"]);
        assert_eq!(lines(folder.path(), 2), ["INFO  leads term 4"]);
        let chosen = NodeLogs::open(folder.path(), &nodes, Some("off,raftlab::n2=debug")).expect("writable");
        assert!(chosen.takes(Level::Debug) && !chosen.takes(Level::Trace));
        chosen.record(&[leads(1), applied(2)]);
        assert_eq!(lines(folder.path(), 1).len(), 1, "n1 is filtered out");
        assert_eq!(lines(folder.path(), 2)[1], "DEBUG applied a batch of 3: entries 1..3");
    }

    #[test]
    fn a_node_that_comes_later_has_its_file_until_it_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = NodeLogs::open(folder.path(), &NodeId::first(1), None).expect("a writable folder");
        logs.record(&[leads(7)]);
        logs.add(NodeId::new(7)).expect("a writable folder");
        logs.record(&[leads(7)]);
        logs.remove(NodeId::new(7));
        logs.record(&[leads(7)]);
        assert_eq!(lines(folder.path(), 7), ["INFO  leads term 4"]);
    }

    #[test]
    fn a_run_is_marked_where_a_file_takes_anything() {
        let folder = tempfile::tempdir().expect("a folder");
        let nodes = NodeId::first(2);
        let filter = Some("error,raftlab::n2=off");
        NodeLogs::open(folder.path(), &nodes, filter).expect("writable").begin_run();
        assert_eq!(lines(folder.path(), 1), [format!("INFO  {RUN_BEGINS}")]);
        assert_eq!(lines(folder.path(), 2), Vec::<String>::new());
    }

    #[test]
    fn a_line_never_joins_a_torn_one() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(file_path(folder.path(), NodeId::new(1)), "time half a li").expect("a writable folder");
        let logs = NodeLogs::open(folder.path(), &NodeId::first(1), None).expect("a writable folder");
        logs.record(&[leads(1)]);
        assert_eq!(lines(folder.path(), 1), ["half a li", "INFO  leads term 4"]);
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("a writable folder");
        let error =
            NodeLogs::open(&file.join("logs"), &NodeId::first(1), None).expect_err("a file is no folder");
        assert!(error.to_string().contains("file/logs"), "{error}");
    }

    #[test]
    fn a_failing_write_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = NodeLogs::open(folder.path(), &NodeId::first(1), None).expect("a writable folder");
        let path = file_path(folder.path(), NodeId::new(1));
        let read_only = File::open(&path).expect("the file was made");
        let put = |file| mem::replace(&mut logs.files.read()[&NodeId::new(1)].lock().file, file);
        let writable = put(read_only);
        logs.record(&[leads(1)]);
        logs.record(&[leads(1)]);
        let notices = logs.take_notices();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].contains("n1.log"), "{notices:?}");
        put(writable);
        logs.record(&[applied(1), leads(1)]);
        assert!(logs.take_notices().is_empty());
        let text = fs::read_to_string(&path).expect("the file was made");
        assert!(text.starts_with('\n') && text.ends_with("INFO  leads term 4\n"), "{text:?}");
    }
}
