//! Reading the nodes' logs as one, by time.
//!
//! Readers never write, and never fail on what a crash or a write under way has left: a last line that has no end yet
//! is not shown until it has one. A log that appears later, or is put in another's place, is read from its beginning.

use std::fmt;
use std::fs::{File, Metadata, metadata};
use std::io::{self, BufRead, BufReader};
use std::mem;
use std::path::{Path, PathBuf};

use super::logs::{LogsError, RUN_BEGINS, file_path};
use crate::quoting::visible;
use crate::types::NodeId;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    pub node: NodeId,
    /// When it was written, as the file has it; empty where the file has no time.
    pub time: String,
    pub text: String,
}

/// The lines of several logs by time. After it has returned none, it may be asked again: lines that were written in
/// the meantime follow.
#[derive(Debug)]
pub struct Merge {
    sources: Vec<Source>,
}

/// The lines of logs that are being written. Two nodes' lines reach their files a moment apart, so a line is held back
/// until a later look has found nothing that belongs before it.
#[derive(Debug)]
pub struct LogTail {
    merged: Merge,
    /// The lines of the last look, in order, each with its place in time.
    held: Vec<(String, LogLine)>,
}

/// Opens the nodes' logs. A node without a log has no lines until it has one.
///
/// # Errors
///
/// When a log is there but cannot be opened.
pub fn merge(folder: &Path, nodes: &[NodeId]) -> Result<Merge, LogsError> {
    let mut sources = Vec::new();
    for node in nodes {
        let mut source = Source::new(*node, file_path(folder, *node));
        match source.open() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(reason) => return Err(LogsError { path: source.path, doing: "read from", reason }),
        }
        sources.push(source);
    }
    Ok(Merge { sources })
}

impl Merge {
    pub fn found(&self) -> Vec<NodeId> {
        self.sources.iter().filter(|source| source.file.is_some()).map(|source| source.node).collect()
    }

    /// Follows the logs: from now on a line is given when two looks agree on its place.
    pub fn follow(self) -> LogTail {
        LogTail { merged: self, held: Vec::new() }
    }

    /// The next line, with the place in time that it has.
    fn next_placed(&mut self) -> Option<(String, LogLine)> {
        let ready = self.sources.iter_mut().filter_map(|source| source.fill().then_some(source));
        let first = ready.min_by(|one, other| one.time.cmp(&other.time))?;
        let line = first.next.take()?;
        Some((first.time.clone(), line))
    }
}

impl Iterator for Merge {
    type Item = LogLine;

    fn next(&mut self) -> Option<LogLine> {
        self.next_placed().map(|(_, line)| line)
    }
}

impl LogTail {
    /// Reads what was added, and returns the settled lines: a line that is read later belongs behind them, unless a node
    /// writes it later than the next look.
    pub fn look(&mut self) -> Vec<LogLine> {
        let horizon = self.held.last().map(|(time, _)| time.clone());
        let begun = self.held.len();
        while let Some(placed) = self.merged.next_placed() {
            self.held.push(placed);
        }
        let quiet = self.held.len() == begun;
        // Stable: the lines of one node keep their order.
        self.held.sort_by(|(one, _), (other, _)| one.cmp(other));
        let settled = match horizon {
            None => 0,
            Some(_) if quiet => self.held.len(),
            Some(horizon) => self.held.partition_point(|(time, _)| *time <= horizon),
        };
        self.held.drain(..settled).map(|(_, line)| line).collect()
    }

    /// The lines that are still held back, at the end.
    pub fn rest(&mut self) -> Vec<LogLine> {
        mem::take(&mut self.held).into_iter().map(|(_, line)| line).collect()
    }
}

#[derive(Debug)]
struct Source {
    node: NodeId,
    path: PathBuf,
    file: Option<OpenLog>,
    /// The bytes of a line whose end is not there yet.
    partial: Vec<u8>,
    /// The latest time read. A line without one, such as the rest of a torn line, keeps its place behind that.
    time: String,
    next: Option<LogLine>,
}

#[derive(Debug)]
struct OpenLog {
    reader: BufReader<File>,
    /// Tells the file from another of its name.
    identity: (u64, u64),
    /// How many bytes of it were read.
    read: u64,
}

impl Source {
    fn new(node: NodeId, path: PathBuf) -> Source {
        Source { node, path, file: None, partial: Vec::new(), time: String::new(), next: None }
    }

    fn open(&mut self) -> io::Result<()> {
        let file = File::open(&self.path)?;
        let identity = identity(&file.metadata()?);
        self.file = Some(OpenLog { reader: BufReader::new(file), identity, read: 0 });
        // The torn line of a file that is gone never gets its end.
        self.partial.clear();
        Ok(())
    }

    /// Reads a line ahead, if there is one. A log that cannot be read any further has ended.
    fn fill(&mut self) -> bool {
        while self.next.is_none() {
            if !self.read_line() {
                if !self.is_another() || self.open().is_err() {
                    return false;
                }
                continue;
            }
            let bytes = mem::take(&mut self.partial);
            self.next = self.parse(String::from_utf8_lossy(&bytes).trim_end());
        }
        true
    }

    /// Reads on to the end of a line, if that is there.
    fn read_line(&mut self) -> bool {
        let Some(open) = &mut self.file else { return false };
        match open.reader.read_until(b'\n', &mut self.partial) {
            Ok(count) => {
                open.read += count as u64;
                self.partial.last() == Some(&b'\n')
            }
            Err(_) => false,
        }
    }

    /// Whether the path leads to another file than the one that was read to its end: the first one, a new one, or the
    /// same one emptied.
    fn is_another(&self) -> bool {
        let Ok(found) = metadata(&self.path) else { return false };
        match &self.file {
            None => true,
            Some(open) => found.len() < open.read || identity(&found) != open.identity,
        }
    }

    /// An empty line, as left by a repair, is none.
    fn parse(&mut self, line: &str) -> Option<LogLine> {
        let (time, text) = match line.split_once(' ') {
            Some((time, text)) if humantime::parse_rfc3339(time).is_ok() => (time, text),
            _ => ("", line),
        };
        if !time.is_empty() {
            self.time = time.to_string();
        }
        (!text.is_empty()).then(|| LogLine {
            node: self.node,
            time: time.to_string(),
            text: visible(text).into_owned(),
        })
    }
}

/// Tells a file from all others that exist at the same time.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Where the system does not tell, only a file that has become shorter is known to be another.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

impl LogLine {
    /// Whether a run of the cluster begins here, as the files of all its nodes say.
    pub fn begins_run(&self) -> bool {
        self.text.ends_with(RUN_BEGINS)
    }
}

impl fmt::Display for LogLine {
    /// `2026-07-30T12:00:00.000450Z n2 INFO  leads term 4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.time, self.node, self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{OpenOptions, rename, write};
    use std::io::Write;

    use super::*;

    fn texts(merged: &mut Merge) -> Vec<String> {
        merged.map(|line| format!("{} {}", line.node, line.text)).collect()
    }

    #[test]
    fn lines_come_by_time_and_a_half_written_one_when_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let [first, second] = [1, 2].map(|number| file_path(folder.path(), NodeId::new(number)));
        let time = |micros: u32| format!("2026-07-30T12:00:00.{micros:06}Z");
        write(&first, format!("{} INFO  a\n{} INFO  c\n", time(1), time(3))).expect("writable");
        write(&second, format!("{} INFO  b\n{} INF", time(2), time(4))).expect("writable");
        let mut merged = merge(folder.path(), &NodeId::first(3)).expect("readable");
        assert_eq!(texts(&mut merged), ["n1 INFO  a", "n2 INFO  b", "n1 INFO  c"]);
        let mut later = OpenOptions::new().append(true).open(&second).expect("writable");
        later.write_all(b"O  d\n").expect("writable");
        assert_eq!(texts(&mut merged), ["n2 INFO  d"]);
    }

    #[test]
    fn damaged_lines_are_shown_in_their_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file_path(folder.path(), NodeId::new(1));
        write(
            &path,
            b"2026-07-30T12:00:00.000001Z INFO  a\nhalf \xff\n\n2026-07-30T12:00:00.000002Z INFO  b\n",
        )
        .expect("writable");
        let mut merged = merge(folder.path(), &NodeId::first(1)).expect("readable");
        assert_eq!(texts(&mut merged), ["n1 INFO  a", "n1 half \u{fffd}", "n1 INFO  b"]);
    }

    #[test]
    fn a_log_that_appears_later_or_is_replaced_or_emptied_is_read_from_its_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = file_path(folder.path(), NodeId::new(1));
        let mut merged = merge(folder.path(), &NodeId::first(1)).expect("nothing is there to be refused");
        assert_eq!((merged.found(), texts(&mut merged)), (vec![], vec![]));
        write(&path, "2026-07-30T12:00:00.000001Z INFO  a\n2026-07-30T12:00:00.000002Z INF")
            .expect("writable");
        assert_eq!(texts(&mut merged), ["n1 INFO  a"]);
        assert_eq!(merged.found(), [NodeId::new(1)]);
        let other = folder.path().join("other");
        write(
            &other,
            "2026-07-30T12:00:01.000000Z INFO  b of a longer file\n2026-07-30T12:00:01.000001Z INFO  c\n",
        )
        .expect("writable");
        rename(&other, &path).expect("it takes the place");
        assert_eq!(texts(&mut merged), ["n1 INFO  b of a longer file", "n1 INFO  c"]);
        write(&path, "2026-07-30T12:00:02.000000Z INFO  d\n").expect("writable");
        assert_eq!(texts(&mut merged), ["n1 INFO  d"], "emptied in place, and shorter than before");
        std::fs::remove_file(&path).expect("it was there");
        assert_eq!(texts(&mut merged), Vec::<String>::new());
    }

    #[test]
    fn a_followed_line_waits_for_one_that_belongs_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let [first, second] = [1, 2].map(|number| file_path(folder.path(), NodeId::new(number)));
        write(&first, "2026-07-30T12:00:00.000002Z INFO  b\n").expect("writable");
        let mut following = merge(folder.path(), &NodeId::first(2)).expect("readable").follow();
        let shown =
            |lines: Vec<LogLine>| -> Vec<String> { lines.into_iter().map(|line| line.text).collect() };
        assert_eq!(shown(following.look()), Vec::<String>::new(), "it may come too early");
        write(&second, "2026-07-30T12:00:00.000001Z INFO  a\n2026-07-30T12:00:00.000003Z INFO  c\n")
            .expect("writable");
        assert_eq!(shown(following.look()), ["INFO  a", "INFO  b"]);
        assert_eq!(shown(following.look()), ["INFO  c"], "nothing came any more");
        assert_eq!(shown(following.rest()), Vec::<String>::new());
    }
}
