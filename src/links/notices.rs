//! What links have to say to a person: each new thing at once, the same thing again at growing intervals.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use derive_more::Debug;
use parking_lot::Mutex;

/// After how long the same is said a second time; then after twice as long, and so on.
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
const LONGEST_INTERVAL: Duration = Duration::from_secs(600);

/// How far apart two different things about one subject are said at least.
const APART: Duration = Duration::from_secs(1);

/// Subjects that are remembered at most: strangers could come from any number of places. Of others nothing is said.
const SUBJECTS_MAX: usize = 1_000;

/// Tells a person about each subject (a link, a stranger's host) what is wrong with it.
#[derive(Debug)]
pub struct Notices {
    #[debug(skip)]
    tell: Box<dyn Fn(&str) + Send + Sync>,
    said: Mutex<HashMap<String, Said>>,
}

#[derive(Debug)]
struct Said {
    text: String,
    last: Instant,
    next: Instant,
    interval: Duration,
}

impl Notices {
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Notices {
        Notices { tell: Box::new(tell), said: Mutex::default() }
    }

    /// This is how it is with the subject now.
    pub fn say(&self, subject: &str, text: &str) {
        if self.is_due(subject, text, Instant::now()) {
            (self.tell)(&printable(&format!("{subject}: {text}")));
        }
    }

    /// The subject is well again. What it says next is new.
    pub fn well(&self, subject: &str, text: &str) {
        if self.said.lock().remove(subject).is_some() {
            (self.tell)(&printable(&format!("{subject}: {text}")));
        }
    }

    fn is_due(&self, subject: &str, text: &str, now: Instant) -> bool {
        let mut all = self.said.lock();
        if let Some(said) = all.get_mut(subject).filter(|said| said.text == text) {
            let due = now >= said.next;
            if due {
                said.last = now;
                said.interval = (said.interval * 2).min(LONGEST_INTERVAL);
                said.next = now + said.interval;
            }
            return due;
        }
        // One that says something else each time is heard once a second.
        let is_early = all.get(subject).is_some_and(|said| now < said.last + APART);
        if is_early || all.len() >= SUBJECTS_MAX && !all.contains_key(subject) {
            return false;
        }
        let (next, interval) = (now + FIRST_INTERVAL, FIRST_INTERVAL);
        all.insert(subject.to_string(), Said { text: text.to_string(), last: now, next, interval });
        true
    }
}

/// Without what would begin a line of its own or move the cursor: a stranger may have written a part of it.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_again_after_twice_as_long_each_time() {
        let notices = Notices::new(|_| {});
        let start = Instant::now();
        let due = |seconds| notices.is_due("n2", "refused", start + Duration::from_secs(seconds));
        let said: Vec<u64> = (0..200).filter(|seconds| due(*seconds)).collect();
        assert_eq!(said, [0, 10, 30, 70, 150]);
        let later = start + Duration::from_secs(200);
        assert!(notices.is_due("n2", "another", later), "what is new is said at once");
        assert!(!notices.is_due("n2", "a third", later), "and not more often than once a second");
        assert!(notices.is_due("n3", "refused", start), "of another subject, too");
        assert_eq!(printable("x\n[9.999] n1 leads\u{1b}[2J"), "x [9.999] n1 leads [2J");
    }
}
