//! The trace as a reader wants it: as a stream of what happens, or all that is kept, as a file.
//!
//! A stream goes at its reader's pace and holds nothing up: it reads from the feed, and is cut when too much waits. The
//! reader then asks again from the last line that it has.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::feed::{Cursor, Feed, Opening};
use super::response::{Response, head_of_stream, is_late, write_patiently};

/// What the lines of a trace are.
const KIND: &str = "application/x-ndjson";

/// Bytes that may come while a reader takes what it was sent.
const WAITING_MAX: u64 = 4 << 20;

/// Bytes of lines in one group.
const GROUP_MAX: usize = 64 << 10;

/// Lines that come within this time are sent together.
const GROUP_EVERY: Duration = Duration::from_millis(50);

/// The last chunk: by it a reader knows that nothing is missing.
const END: &[u8] = b"0\r\n\r\n";

/// How often a connection without news is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Sends the lines from this `k` on, and then each as it comes, until the run ends.
///
/// # Errors
/// The reader goes away or is too slow: the stream is cut.
pub(super) fn follow(connection: &mut TcpStream, feed: &Feed, from: u64) -> io::Result<()> {
    let Opening { head, kept_from, lines, mut cursor } = feed.open(from);
    let is_behind = |cursor: &Cursor| feed.waiting(cursor) > WAITING_MAX;
    write_patiently(connection, head_of_stream(KIND).as_bytes(), || false)?;
    let kept: Vec<Arc<str>> = head.into_iter().chain(kept_from.map(kept_from_line)).chain(lines).collect();
    let mut rest = &kept[..];
    while !rest.is_empty() {
        let (group, left) = rest.split_at(group_length(rest));
        send(connection, group, || is_behind(&cursor))?;
        rest = left;
    }
    drop(kept);
    loop {
        let lines = feed.take(&mut cursor, GROUP_MAX).map_err(|_| io::ErrorKind::TimedOut)?;
        send(connection, &lines, || is_behind(&cursor))?;
        if feed.is_over(&cursor) {
            return write_patiently(connection, END, || false);
        }
        if feed.waiting(&cursor) == 0 {
            feed.wait(&cursor, LOOK_EVERY);
            // What comes next waits for more, and a reader who went away is seen.
            pause(connection)?;
        }
    }
}

/// All that is kept.
pub(super) fn file(feed: &Feed) -> Response {
    let Opening { head, kept_from, lines, .. } = feed.open(0);
    let mut body = Vec::new();
    for line in head.iter().chain(&kept_from.map(kept_from_line)).chain(&lines) {
        body.extend_from_slice(line.as_bytes());
        body.push(b'\n');
    }
    Response { status: 200, kind: KIND, policy: None, file: Some("trace.jsonl"), body }
}

fn kept_from_line(k: u64) -> Arc<str> {
    format!("{{\"e\":\"kept_from\",\"k\":{k}}}").into()
}

/// How many of these lines make a group.
fn group_length(lines: &[Arc<str>]) -> usize {
    let fits = |bytes: &mut usize, line: &Arc<str>| {
        *bytes += line.len();
        (*bytes <= GROUP_MAX).then_some(())
    };
    lines.iter().scan(0, fits).count().max(1)
}

/// Sends lines as one chunk.
fn send(connection: &mut TcpStream, lines: &[Arc<str>], cut: impl FnMut() -> bool) -> io::Result<()> {
    let length: usize = lines.iter().map(|line| line.len() + 1).sum();
    if length == 0 {
        return Ok(());
    }
    let mut chunk = format!("{length:x}\r\n").into_bytes();
    for line in lines {
        chunk.extend_from_slice(line.as_bytes());
        chunk.push(b'\n');
    }
    chunk.extend_from_slice(b"\r\n");
    write_patiently(connection, &chunk, cut)
}

/// Lets a moment pass.
///
/// # Errors
/// The reader has gone, or talks where it has nothing to say.
fn pause(connection: &mut TcpStream) -> io::Result<()> {
    connection.set_read_timeout(Some(GROUP_EVERY))?;
    match connection.read(&mut [0]) {
        Err(error) if is_late(&error) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}
