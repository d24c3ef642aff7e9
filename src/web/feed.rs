//! The feed: the newest lines of the trace, from which each stream reads at its own pace.
//!
//! It is bounded in bytes, so that a run of any length can be watched. Of the oldest lines those stay that tell most, such as
//! elections, faults, directives and views; messages and single steps are left out first. Adding a line holds one short lock
//! and never waits for a reader.

use std::collections::{VecDeque, vec_deque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::console::tracer::TraceReader;
use crate::trace::Line;

/// Bytes of the newest lines, and of those kept from before.
const NEWEST_MAX: usize = 12 << 20;
const EARLY_MAX: usize = 4 << 20;

/// What is left out of the oldest lines: what happens at each message or command.
const PASSING: &[&str] = &[
    "append_failed",
    "append_received",
    "append_sent",
    "append_succeeded",
    "applied",
    "arrived",
    "client_rejected",
    "commands_appended",
    "commit_advanced",
    "follower_read",
    "lease_read",
    "lesson",
    "log_compacted",
    "lost",
    "replied",
    "request_received",
    "sent",
    "state",
];

/// What a line costs beside its text, roughly.
const LINE_COST: usize = 48;

/// The newest lines of a trace.
#[derive(Debug)]
pub struct Feed {
    kept: Mutex<Kept>,
    news: Condvar,
    newest_max: usize,
    early_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    head: Option<Arc<str>>,
    early: Lines,
    newest: Lines,
    /// The place of the first of the newest lines among all that there were.
    first: u64,
    /// Bytes of all lines that there were.
    bytes_ever: u64,
    /// Nothing more comes.
    closed: bool,
}

/// Lines with their `k`, in order.
#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<(u64, Arc<str>)>,
    bytes: usize,
}

/// Where a reader begins.
#[derive(Debug)]
pub struct Opening {
    pub head: Option<Arc<str>>,
    /// The `k` of the first of the newest lines, if the reader wanted earlier ones and not all of them are kept.
    pub kept_from: Option<u64>,
    /// All that is kept of what it wants.
    pub lines: Vec<Arc<str>>,
    /// Stands behind these lines.
    pub cursor: Cursor,
}

/// How far a reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The place of the next line among all that there were.
    next: u64,
    /// Bytes of all lines before it.
    bytes: u64,
}

/// The lines that a reader wanted next are not kept any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overtaken;

impl Feed {
    /// Without a head and without lines.
    pub fn new() -> Feed {
        Feed::bounded(NEWEST_MAX, EARLY_MAX)
    }

    fn bounded(newest_max: usize, early_max: usize) -> Feed {
        Feed { kept: Mutex::default(), news: Condvar::new(), newest_max, early_max }
    }

    /// Sets the line with which every stream begins. It has no end of line.
    pub fn head(&self, line: impl Into<Arc<str>>) {
        self.kept.lock().head = Some(line.into());
    }

    /// Adds the line that the trace counts as `k`, which grows from line to line. It has no end of line.
    pub fn push(&self, k: u64, line: impl Into<Arc<str>>) {
        let line = line.into();
        let mut kept = self.kept.lock();
        kept.bytes_ever += cost(&line) as u64;
        kept.newest.push(k, line);
        while kept.newest.is_over(self.newest_max) {
            let (k, left) = kept.newest.pop().expect("there are some");
            kept.first += 1;
            if !is_passing(&left) {
                kept.early.push(k, left);
            }
        }
        while kept.early.is_over(self.early_max) {
            kept.early.pop();
        }
        drop(kept);
        self.news.notify_all();
    }

    /// Where a reader begins who wants the lines from this `k` on.
    pub fn open(&self, from: u64) -> Opening {
        let kept = self.kept.lock();
        let kept_from = kept.newest.lines.front().map(|(k, _)| *k).filter(|k| kept.first > 0 && from < *k);
        let lines = kept.early.from(from).chain(kept.newest.from(from)).map(|(_, line)| Arc::clone(line));
        let cursor = Cursor { next: kept.first + kept.newest.lines.len() as u64, bytes: kept.bytes_ever };
        Opening { head: kept.head.clone(), kept_from, lines: lines.collect(), cursor }
    }

    /// The next lines of a reader, up to some bytes of them but at least one if there is any.
    ///
    /// # Errors
    /// Some of them are not kept any more.
    pub fn take(&self, cursor: &mut Cursor, bytes_max: usize) -> Result<Vec<Arc<str>>, Overtaken> {
        let kept = self.kept.lock();
        let behind = cursor.next.checked_sub(kept.first).ok_or(Overtaken)?;
        let mut taken = Vec::new();
        let mut bytes = 0;
        for (_, line) in kept.newest.lines.iter().skip(usize::try_from(behind).unwrap_or(usize::MAX)) {
            bytes += cost(line);
            if bytes > bytes_max && !taken.is_empty() {
                break;
            }
            cursor.next += 1;
            cursor.bytes += cost(line) as u64;
            taken.push(Arc::clone(line));
        }
        Ok(taken)
    }

    /// Bytes of the lines that wait for a reader, those that are not kept any more included.
    pub fn waiting(&self, cursor: &Cursor) -> u64 {
        self.kept.lock().bytes_ever - cursor.bytes
    }

    /// Waits until there is a line for this reader or none will come, but not longer than this.
    pub fn wait(&self, cursor: &Cursor, patience: Duration) {
        let mut kept = self.kept.lock();
        let is_idle = |kept: &mut Kept| kept.bytes_ever == cursor.bytes && !kept.closed;
        self.news.wait_while_for(&mut kept, is_idle, patience);
    }

    /// From now on no line comes.
    pub fn close(&self) {
        self.kept.lock().closed = true;
        self.news.notify_all();
    }

    /// Whether a reader has all lines, and no more come.
    pub fn is_over(&self, cursor: &Cursor) -> bool {
        let kept = self.kept.lock();
        kept.closed && kept.bytes_ever == cursor.bytes
    }
}

impl Lines {
    fn push(&mut self, k: u64, line: Arc<str>) {
        self.bytes += cost(&line);
        self.lines.push_back((k, line));
    }

    fn pop(&mut self) -> Option<(u64, Arc<str>)> {
        let (k, line) = self.lines.pop_front()?;
        self.bytes -= cost(&line);
        Some((k, line))
    }

    /// Whether they have more bytes than this, and are not one line.
    fn is_over(&self, max: usize) -> bool {
        self.bytes > max && self.lines.len() > 1
    }

    fn from(&self, from: u64) -> vec_deque::Iter<'_, (u64, Arc<str>)> {
        self.lines.range(self.lines.partition_point(|(k, _)| *k < from)..)
    }
}

fn cost(line: &str) -> usize {
    line.len() + LINE_COST
}

/// Whether a line tells of one of many messages or steps. The event's name stands before all that users can choose.
fn is_passing(line: &str) -> bool {
    let name = line.split_once("\"e\":\"").and_then(|(_, rest)| rest.split_once('"'));
    name.is_some_and(|(name, _)| PASSING.binary_search(&name).is_ok())
}

impl TraceReader for Arc<Feed> {
    fn take(&mut self, line: &Line) -> bool {
        self.push(line.count, Arc::clone(&line.text));
        true
    }
}

impl Default for Feed {
    fn default() -> Feed {
        Feed::new()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn texts(feed: &Feed, cursor: &mut Cursor) -> Vec<String> {
        let lines = feed.take(cursor, usize::MAX).expect("all are kept");
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_reader_gets_each_line_once_from_where_it_asked() {
        let feed = Feed::new();
        feed.head("head");
        for k in 1..=5 {
            feed.push(k, format!("line {k}"));
        }
        let Opening { head, kept_from, lines, mut cursor } = feed.open(4);
        assert_eq!((head.as_deref(), kept_from), (Some("head"), None));
        assert_eq!(lines.iter().map(ToString::to_string).collect::<Vec<_>>(), ["line 4", "line 5"]);
        assert_eq!(feed.waiting(&cursor), 0);
        assert_eq!(texts(&feed, &mut cursor), Vec::<String>::new());
        feed.push(6, "line 6");
        assert!(feed.waiting(&cursor) > 0);
        assert_eq!(texts(&feed, &mut cursor), ["line 6"]);
        let Opening { lines, cursor: mut beyond, .. } = feed.open(100);
        feed.push(7, "line 7");
        assert_eq!((lines.len(), texts(&feed, &mut beyond)), (0, vec!["line 7".to_string()]));
    }

    #[test]
    fn lines_are_taken_in_groups_of_some_bytes() {
        let feed = Feed::new();
        let mut cursor = feed.open(0).cursor;
        for k in 1..=3 {
            feed.push(k, "x".repeat(1_000));
        }
        let taken = |cursor: &mut Cursor, max| feed.take(cursor, max).expect("all are kept").len();
        assert_eq!(taken(&mut cursor, 10), 1, "a line that is longer is a group of its own");
        assert_eq!(taken(&mut cursor, 3_000), 2);
        assert_eq!(taken(&mut cursor, 3_000), 0);
    }

    #[test]
    fn of_the_oldest_lines_those_stay_that_tell_most() {
        let feed = Feed::bounded(1_000, 500);
        let mut slow = feed.open(0).cursor;
        assert_eq!(feed.open(0).kept_from, None);
        for k in 1..=100 {
            let name = if k % 10 == 0 { "became_leader" } else { "sent" };
            feed.push(k, format!("{{\"k\":{k},\"at\":\"n1\",\"e\":\"{name}\"}}"));
        }
        assert_eq!(feed.take(&mut slow, usize::MAX), Err(Overtaken), "a reader who wanted all is told");
        assert!(feed.waiting(&slow) > 1_000, "those that are left out count too");
        let Opening { kept_from, lines, .. } = feed.open(0);
        let first = kept_from.expect("a hundred lines do not fit");
        assert!(first > 80, "{first}");
        let newest = usize::try_from(101 - first).expect("a few");
        let (early, lines) = lines.split_at(lines.len() - newest);
        assert!((2..8).contains(&early.len()) && early.iter().all(|line| line.contains("became_leader")));
        assert!(lines[0].starts_with(&format!("{{\"k\":{first},")));
        let Opening { kept_from, lines, .. } = feed.open(first);
        assert_eq!((kept_from, lines.len()), (None, newest), "who has the lines before it misses none");
    }

    #[test]
    fn the_names_that_are_left_out_are_in_order() {
        assert!(PASSING.is_sorted());
        assert!(is_passing("{\"t\":1,\"k\":1,\"at\":\"n1\",\"e\":\"sent\",\"to\":\"n2\"}"));
        assert!(!is_passing("{\"e\":\"directive\",\"line\":\"echo \\\"e\\\":\\\"sent\\\"\"}"));
    }

    #[test]
    fn a_line_wakes_the_readers_that_wait() {
        let feed = Feed::new();
        let mut cursor = feed.open(0).cursor;
        thread::scope(|scope| {
            let waits = scope.spawn(|| {
                feed.wait(&cursor, Duration::from_secs(20));
                texts(&feed, &mut cursor)
            });
            feed.push(1, "line");
            assert_eq!(waits.join().expect("it reads"), ["line"]);
        });
    }
}
