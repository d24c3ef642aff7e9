//! The feed: the newest lines of the trace, from which each stream reads at its own pace.
//!
//! It is bounded in bytes, so that a run of any length can be watched: the oldest lines are left out first. Adding a line
//! holds one short lock and never waits for a reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::console::tracer::TraceReader;
use crate::trace::Line;

/// Bytes of lines that are kept.
const KEPT_MAX: usize = 16 << 20;

/// What a line costs beside its text, roughly.
const LINE_COST: usize = 48;

/// The newest lines of a trace.
#[derive(Debug)]
pub struct Feed {
    kept: Mutex<Kept>,
    news: Condvar,
    /// Bytes that may be kept.
    max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    head: Option<Arc<str>>,
    lines: VecDeque<(u64, Arc<str>)>,
    /// The place of the first of these lines among all that there were.
    first: u64,
    /// Bytes of these lines.
    bytes: usize,
    /// Bytes of all lines that there were.
    bytes_ever: u64,
    /// Nothing more comes.
    closed: bool,
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
        Feed::bounded(KEPT_MAX)
    }

    fn bounded(max: usize) -> Feed {
        Feed { kept: Mutex::default(), news: Condvar::new(), max }
    }

    /// Sets the line with which every stream begins. It has no end of line.
    pub fn head(&self, line: impl Into<Arc<str>>) {
        self.kept.lock().head = Some(line.into());
    }

    /// Adds the line that the trace counts as `k`, which grows from line to line. It has no end of line.
    pub fn push(&self, k: u64, line: impl Into<Arc<str>>) {
        let line = line.into();
        let mut kept = self.kept.lock();
        let cost = line.len() + LINE_COST;
        kept.bytes += cost;
        kept.bytes_ever += cost as u64;
        kept.lines.push_back((k, line));
        while kept.bytes > self.max && kept.lines.len() > 1 {
            let (_, left_out) = kept.lines.pop_front().expect("there are two");
            kept.bytes -= left_out.len() + LINE_COST;
            kept.first += 1;
        }
        drop(kept);
        self.news.notify_all();
    }

    /// The first `k` that is kept, if earlier lines are not.
    pub fn dropped_before(&self) -> Option<u64> {
        let kept = self.kept.lock();
        let (k, _) = kept.lines.front()?;
        (kept.first > 0).then_some(*k)
    }

    /// The head, and where a reader stands who wants the lines from this `k` on.
    pub fn open(&self, from: u64) -> (Option<Arc<str>>, Cursor) {
        let kept = self.kept.lock();
        let before = kept.lines.partition_point(|(k, _)| *k < from);
        let left: usize = kept.lines.range(before..).map(|(_, line)| line.len() + LINE_COST).sum();
        let cursor = Cursor { next: kept.first + before as u64, bytes: kept.bytes_ever - left as u64 };
        (kept.head.clone(), cursor)
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
        for (_, line) in kept.lines.iter().skip(usize::try_from(behind).unwrap_or(usize::MAX)) {
            bytes += line.len() + LINE_COST;
            if bytes > bytes_max && !taken.is_empty() {
                break;
            }
            cursor.next += 1;
            cursor.bytes += (line.len() + LINE_COST) as u64;
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
        let (head, mut cursor) = feed.open(4);
        assert_eq!(head.as_deref(), Some("head"));
        assert_eq!(texts(&feed, &mut cursor), ["line 4", "line 5"]);
        assert_eq!(feed.waiting(&cursor), 0);
        assert_eq!(texts(&feed, &mut cursor), Vec::<String>::new());
        feed.push(6, "line 6");
        assert!(feed.waiting(&cursor) > 0);
        assert_eq!(texts(&feed, &mut cursor), ["line 6"]);
        let (_, mut beyond) = feed.open(100);
        feed.push(7, "line 7");
        assert_eq!(texts(&feed, &mut beyond), ["line 7"], "what is newer than all that it asked to skip");
    }

    #[test]
    fn lines_are_taken_in_groups_of_some_bytes() {
        let feed = Feed::new();
        for k in 1..=3 {
            feed.push(k, "x".repeat(1_000));
        }
        let (_, mut cursor) = feed.open(0);
        let taken = |cursor: &mut Cursor, max| feed.take(cursor, max).expect("all are kept").len();
        assert_eq!(taken(&mut cursor, 10), 1, "a line that is longer is a group of its own");
        assert_eq!(taken(&mut cursor, 3_000), 2);
        assert_eq!(taken(&mut cursor, 3_000), 0);
    }

    #[test]
    fn the_oldest_lines_are_left_out_and_a_reader_who_wanted_them_is_told() {
        let feed = Feed::bounded(1_000);
        let (_, mut slow) = feed.open(0);
        assert_eq!(feed.dropped_before(), None);
        for k in 1..=100 {
            feed.push(k, format!("line {k}"));
        }
        let first = feed.dropped_before().expect("a hundred lines do not fit");
        assert!(first > 80, "{first}");
        assert_eq!(feed.take(&mut slow, usize::MAX), Err(Overtaken));
        assert!(feed.waiting(&slow) > 1_000, "those that are left out count too");
        let (_, mut late) = feed.open(0);
        let lines = texts(&feed, &mut late);
        assert_eq!(lines.first(), Some(&format!("line {first}")));
        assert_eq!(lines.last().map(String::as_str), Some("line 100"));
    }

    #[test]
    fn a_line_wakes_the_readers_that_wait() {
        let feed = Feed::new();
        let (_, mut cursor) = feed.open(0);
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
