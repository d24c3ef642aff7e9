//! Reading the nodes' logs as one, by time.
//!
//! Readers never write, and never fail on what a crash or a write under way has left: a last line that has no end yet
//! is not shown until it has one.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::mem;
use std::path::Path;

use super::logs::{LogsError, file_path};
use crate::types::NodeId;

/// One line of one node's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// Whose log.
    pub node: NodeId,
    /// When it was written, as the file has it; empty where the file has no time.
    pub time: String,
    /// The rest: level and sentence.
    pub text: String,
}

/// The lines of several logs by time. After it has returned none, it may be asked again: lines that were written in
/// the meantime follow.
#[derive(Debug)]
pub struct Merge {
    sources: Vec<Source>,
}

/// Opens the nodes' logs. A node without a log has no lines.
///
/// # Errors
///
/// When a log is there but cannot be opened.
pub fn merge(folder: &Path, nodes: &[NodeId]) -> Result<Merge, LogsError> {
    let mut sources = Vec::new();
    for node in nodes {
        let path = file_path(folder, *node);
        match File::open(&path) {
            Ok(file) => sources.push(Source::new(*node, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(reason) => return Err(LogsError { path, reason }),
        }
    }
    Ok(Merge { sources })
}

impl Iterator for Merge {
    type Item = LogLine;

    fn next(&mut self) -> Option<LogLine> {
        let ready = self.sources.iter_mut().filter_map(|source| source.fill().then_some(source));
        ready.min_by(|one, other| one.time.cmp(&other.time)).and_then(|source| source.next.take())
    }
}

/// One log, read line by line.
#[derive(Debug)]
struct Source {
    node: NodeId,
    reader: BufReader<File>,
    /// The bytes of a line whose end is not there yet.
    partial: Vec<u8>,
    /// The latest time read. A line without one, such as the rest of a torn line, keeps its place behind that.
    time: String,
    next: Option<LogLine>,
}

impl Source {
    fn new(node: NodeId, file: File) -> Source {
        let reader = BufReader::new(file);
        Source { node, reader, partial: Vec::new(), time: String::new(), next: None }
    }

    /// Reads a line ahead, if there is one. A log that cannot be read any further has ended.
    fn fill(&mut self) -> bool {
        while self.next.is_none() {
            let end_of_line = match self.reader.read_until(b'\n', &mut self.partial) {
                Ok(_) => self.partial.last() == Some(&b'\n'),
                Err(_) => false,
            };
            if !end_of_line {
                return false;
            }
            let bytes = mem::take(&mut self.partial);
            self.next = self.parse(String::from_utf8_lossy(&bytes).trim_end());
        }
        true
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
            text: text.to_string(),
        })
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
    use std::fs::{OpenOptions, write};
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
}
