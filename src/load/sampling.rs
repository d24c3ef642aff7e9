//! The sample of a load's history that is kept to be judged: bounded, and still a sound history.
//!
//! Judging needs all operations on a key from the beginning, but not all keys. Each client keeps what it asked of the
//! *sampled* keys: at first all keys are. When a client keeps too much, half of the keys are no longer sampled, for all
//! clients, and their operations are dropped. A few keys that are still too much are kept up to a moment, the *cut*: an
//! answer before the cut can only depend on operations that were called before it, so later ones may be missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::check::history::{Action, Operation, Outcome};
use crate::check::linearizability::{self, Start, Verdict};
use crate::check::property;
use crate::client::{Ask, Ended};
use crate::history::{Callers, HistoryFile, Pending};
use crate::quoting::{CELL_LETTERS, brief};
use crate::text::counted;
use crate::text::numbers::grouped;
use crate::types::Time;

/// At least this many keys are sampled, if there are as many.
const KEYS_MIN: u64 = 8;

/// How long the search for an order may take.
const SEARCH_TIME: Duration = Duration::from_secs(30);

/// How far apart the numbers of two clients' callers begin.
const CALLERS_APART: u64 = 1 << 32;

/// Which keys are sampled, and until when: the same for all clients of a load.
#[derive(Debug)]
pub(super) struct Sampling {
    /// A key is sampled when none of these bits is set in its hash. Bits are only added.
    mask: AtomicU64,
    /// Only operations that were called before this are kept, in nanoseconds.
    cut: AtomicU64,
    keys: u64,
    kept_max: usize,
}

#[derive(Debug)]
pub(super) struct Recorder {
    sampling: Arc<Sampling>,
    callers: Callers,
    kept: Vec<Operation>,
    /// The mask by which `kept` was last sorted out.
    mask: u64,
    file: Option<Arc<Mutex<HistoryFile>>>,
    trouble: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    pub(super) operations: Vec<Operation>,
    /// Not all keys were sampled, or not to the end.
    pub(super) partial: bool,
    pub(crate) trouble: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SampleVerdict {
    /// Whether there is an order; none when it took too long to say, or when there is nothing to judge.
    pub pass: Option<bool>,
    /// One line: of how many operations, and what contradicts.
    pub text: String,
    pub operations: u64,
}

impl Sampling {
    /// Sampling of this many keys, of which each client keeps at most this many operations.
    pub(super) fn new(keys: u64, kept_max: usize) -> Sampling {
        Sampling { mask: AtomicU64::new(0), cut: AtomicU64::new(u64::MAX), keys, kept_max }
    }

    fn mask(&self) -> u64 {
        self.mask.load(Ordering::Acquire)
    }

    fn cut(&self) -> u64 {
        self.cut.load(Ordering::Acquire)
    }

    /// Stops sampling half of the keys; if they are few already, stops keeping operations from now on.
    fn narrow(&self, mask: u64, now: Time) {
        if self.keys / (2 * (mask + 1)) >= KEYS_MIN {
            // If another client was faster, this has happened.
            let _ = self.mask.compare_exchange(mask, 2 * mask + 1, Ordering::AcqRel, Ordering::Acquire);
        } else {
            self.cut.fetch_min(now.as_nanos(), Ordering::AcqRel);
        }
    }
}

impl Recorder {
    pub(super) fn new(
        sampling: Arc<Sampling>,
        client: usize,
        file: Option<Arc<Mutex<HistoryFile>>>,
        judges_stale: bool,
    ) -> Recorder {
        let callers = Callers::after(client as u64 * CALLERS_APART).judging_stale(judges_stale);
        Recorder { sampling, callers, kept: Vec::new(), mask: 0, file, trouble: None }
    }

    /// Marks in the history's file when the warm-up ends.
    pub(super) fn mark_warm_up(&mut self, ends: Time) {
        if let Some(file) = &self.file
            && let Err(trouble) = file.lock().mark_warm_up(ends)
        {
            self.trouble = Some(trouble);
        }
    }

    /// The operations to be kept of a call that begins now.
    pub(super) fn begin(&mut self, ask: &Ask, now: Time) -> Pending {
        if self.file.is_some() {
            return self.callers.begin(ask, now);
        }
        if now.as_nanos() >= self.sampling.cut() || self.sampling.kept_max == 0 {
            return Pending::default();
        }
        let mask = self.sampling.mask();
        self.callers.begin_on(ask, now, |key| is_sampled(key, mask))
    }

    /// Keeps the operations of a call that has ended.
    pub(super) fn end(&mut self, pending: Pending, ended: &Ended) {
        let operations = self.callers.end(pending, ended);
        if operations.is_empty() {
            return;
        }
        if let Some(file) = &self.file
            && let Err(trouble) = file.lock().write(&operations)
        {
            self.trouble = Some(trouble);
        }
        if self.sampling.kept_max == 0 {
            return;
        }
        let (mask, cut) = (self.sampling.mask(), self.sampling.cut());
        let wanted =
            |operation: &Operation| operation.called.as_nanos() < cut && is_sampled(&operation.key, mask);
        self.kept.extend(operations.into_iter().filter(wanted));
        if mask != self.mask {
            self.mask = mask;
            self.kept.retain(|operation| is_sampled(&operation.key, mask));
        }
        if self.kept.len() > self.sampling.kept_max && cut == u64::MAX {
            self.sampling.narrow(mask, ended.returned());
        }
    }

    pub(super) fn merge(recorders: Vec<Recorder>) -> Sample {
        let mut all = Sample::default();
        for recorder in recorders {
            let (mask, cut) = (recorder.sampling.mask(), recorder.sampling.cut());
            all.partial |= mask != 0 || cut != u64::MAX;
            all.trouble = all.trouble.or(recorder.trouble);
            let kept = recorder.kept.into_iter().filter(|operation| is_sampled(&operation.key, mask));
            all.operations.extend(kept.filter_map(|operation| before(operation, Time::from_nanos(cut))));
        }
        all
    }
}

fn is_sampled(key: &str, mask: u64) -> bool {
    mask == 0 || u64::from(crc32fast::hash(key.as_bytes())) & mask == 0
}

/// An operation as it was known at the cut; none if it was called later, or was a read without its answer then.
fn before(operation: Operation, cut: Time) -> Option<Operation> {
    let told = operation.returned.is_none_or(|returned| returned < cut);
    match operation {
        operation if operation.called >= cut => None,
        operation if told => Some(operation),
        Operation { action: Action::Read, .. } => None,
        operation => {
            // This client has no later operation: they are missing in any case.
            Some(Operation { returned: None, outcome: Outcome::Unknown, index: None, ..operation })
        }
    }
}

/// What a report says of the properties of a run, line by line, and whether they held; none when that is not known of each.
pub fn safety_lines(from_beginning: bool, verdicts: &[property::Verdict]) -> (Option<bool>, Vec<String>) {
    let broken = verdicts.iter().filter(|verdict| verdict.pass() == Some(false));
    let broken: Vec<String> = broken.map(ToString::to_string).collect();
    if !broken.is_empty() {
        return (Some(false), broken);
    }
    if verdicts.is_empty() {
        return (None, vec!["UNDECIDED safety: no property was checked".to_string()]);
    }
    let limit = if from_beginning { "" } else { "; what was committed before this run is not known to it" };
    let open: Vec<&str> = verdicts.iter().filter_map(|verdict| verdict.open.as_deref()).collect();
    let held = verdicts.len() - open.len();
    if let Some(why) = open.first() {
        let text = format!("UNDECIDED safety: {} of {} properties: {why}", open.len(), verdicts.len());
        return (None, vec![text]);
    }
    let text = format!("PASS safety ({held} properties, after every step{limit})");
    (Some(true), vec![text])
}

/// Judges a sample of a history that begins like this and had this many operations, until `go_on` says no.
pub fn judge(start: Start, kept: &Sample, asked: u64, go_on: impl Fn() -> bool) -> SampleVerdict {
    let Sample { operations, partial, .. } = kept;
    let begun = Instant::now();
    let keys = linearizability::keys(operations).len();
    let count = operations.len();
    let all = if *partial {
        format!(" of {}, sampled by key", grouped(asked.max(count as u64)))
    } else {
        String::new()
    };
    let size = format!("{} on {}{all}", counted(count, "operation"), counted(keys, "key"));
    let verdict = linearizability::check(start, operations, || begun.elapsed() < SEARCH_TIME && go_on());
    let (pass, text) = match verdict {
        Verdict::Linearizable if !operations.iter().any(|operation| operation.outcome.is_answer()) => {
            let why = match (operations.len(), asked) {
                (0, 0) => "nothing was asked",
                (0, _) => "no operation was kept",
                _ => "nothing was answered",
            };
            (None, format!("UNDECIDED linearizable: {why}, so there is nothing to judge ({size})"))
        }
        Verdict::Linearizable => (Some(true), format!("PASS linearizable ({size})")),
        Verdict::Violation(found) => {
            (Some(false), format!("FAIL linearizable: {} ({size})", found.explanation))
        }
        Verdict::Undecided { key, limit } => {
            let key = brief(&key, CELL_LETTERS);
            (None, format!("UNDECIDED linearizable: {key}: {limit} ({size})"))
        }
    };
    SampleVerdict { pass, text, operations: count as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Answered, CallId, Outcome as CallOutcome, What};
    use crate::payload::Payload;
    use crate::state_machine::kv::{Answer, Command};
    use crate::types::{ClientId, LogIndex, NodeId, Term};

    #[test]
    fn safety_is_judged_by_what_was_checked() {
        let held = property::Verdict { property: "Log Matching".into(), violation: None, open: None };
        let broken = property::Verdict {
            property: "Log Matching".into(),
            violation: Some("entry 3".to_string()),
            open: None,
        };
        let said = |from_beginning, verdicts: &[property::Verdict]| {
            let (pass, lines) = safety_lines(from_beginning, verdicts);
            (pass, lines.join("\n"))
        };
        let passed = "PASS safety (1 properties, after every step".to_string();
        let limit = "; what was committed before this run is not known to it)";
        assert_eq!(said(true, std::slice::from_ref(&held)), (Some(true), format!("{passed})")));
        assert_eq!(said(false, std::slice::from_ref(&held)), (Some(true), passed + limit));
        assert_eq!(
            said(true, &[held.clone(), broken]),
            (Some(false), "FAIL Log Matching: entry 3".to_string())
        );
        let open = |property: &'static str| property::Verdict {
            property: property.into(),
            violation: None,
            open: Some("not all records of n2 were read: it is down".into()),
        };
        let said_open = |verdicts: &[property::Verdict]| said(true, verdicts);
        let why = "properties: not all records of n2 were read: it is down";
        let undecided = |count: &str| (None, format!("UNDECIDED safety: {count} {why}"));
        assert_eq!(said_open(&[open("Log Matching"), open("Commit Rule")]), undecided("2 of 2"));
        assert_eq!(said_open(&[held.clone(), open("Commit Rule")]), undecided("1 of 2"));
        let (pass, line) = said(true, &[]);
        assert!(pass.is_none() && line.starts_with("UNDECIDED"), "{line}");
    }

    fn put(recorder: &mut Recorder, key: u64, at: u64) {
        let what = What::commands([Command::put(format!("k{key}"), at.to_string())]);
        let ask = Ask { what, at: None, timeout: Duration::from_secs(1) };
        let began = Time::from_nanos(at);
        let pending = recorder.begin(&ask, began);
        let answer = Payload::batch([Answer::Put]);
        let (node, term, index) = (NodeId::new(1), Term(1), LogIndex(at));
        let outcome =
            CallOutcome::Answered(Answered { answer, node, term, index, staleness: None, part: None });
        recorder.end(pending, &Ended { call_id: CallId(1), outcome, began, took: Duration::from_nanos(1) });
    }

    #[test]
    fn too_much_drops_whole_keys_and_stays_linearizable() {
        let sampling = Arc::new(Sampling::new(1_000, 100));
        let mut recorders = [0, 1].map(|client| Recorder::new(Arc::clone(&sampling), client, None, false));
        for at in 0..5_000 {
            put(&mut recorders[usize::from(at % 2 == 0)], at % 1_000, at);
        }
        let kept = Recorder::merge(recorders.into());
        assert!(kept.partial && (8..=300).contains(&kept.operations.len()), "{}", kept.operations.len());
        let keys = linearizability::keys(&kept.operations);
        assert!(keys.values().all(|places| places.len() == 5), "each key is kept whole");
        assert_eq!(judge(Start::Absent, &kept, 5_000, || true).pass, Some(true));
    }

    #[test]
    fn a_load_without_an_answer_is_not_judged() {
        let unanswered = |outcome| Operation {
            client: ClientId(1),
            key: "k".to_string(),
            action: Action::Put("1".to_string()),
            called: Time::from_nanos(1),
            returned: None,
            outcome,
            index: None,
        };
        let mut kept = Sample { operations: vec![unanswered(Outcome::Unknown)], ..Sample::default() };
        for (operations, asked, why) in
            [(1, 1, "nothing was answered"), (0, 1, "no operation was kept"), (0, 0, "nothing was asked")]
        {
            kept.operations.truncate(operations);
            let judged = judge(Start::Absent, &kept, asked, || true);
            assert_eq!(judged.pass, None);
            assert!(judged.text.starts_with(&format!("UNDECIDED linearizable: {why}, ")), "{}", judged.text);
        }
    }

    #[test]
    fn a_single_key_is_kept_up_to_a_moment() {
        let sampling = Arc::new(Sampling::new(1, 100));
        let mut recorder = Recorder::new(sampling, 0, None, false);
        (0..1_000).for_each(|at| put(&mut recorder, 0, at));
        let kept = Recorder::merge(vec![recorder]);
        assert!(kept.partial && kept.operations.len() <= 101, "{}", kept.operations.len());
        let judged = judge(Start::Absent, &kept, 1_000, || true);
        assert_eq!(judged.pass, Some(true), "{}", judged.text);
    }
}
