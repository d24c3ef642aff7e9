//! The records of several nodes, judged as far as they reach.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::form::{Cause, Record, Run, Seen, StepSeen, decode};
use super::unframe;
use crate::check::property::{Property, Verdict};
use crate::check::safety::{Safety, Standing, Step};
use crate::types::{NodeId, Term, Time};

/// Records that were read, and what they say of the properties so far.
#[derive(Debug)]
pub struct Following {
    safety: Safety,
    streams: BTreeMap<NodeId, Stream>,
    /// Nodes of which more may have been written down than was read.
    silent: BTreeSet<NodeId>,
    /// All that there will ever be was read.
    is_over: bool,
}

/// The records of one node.
#[derive(Debug, Default)]
struct Stream {
    /// The place behind what was read.
    end: u64,
    /// A record that has not arrived as a whole.
    partial: Vec<u8>,
    /// None where records are missing.
    waiting: VecDeque<Option<Record>>,
    has_begun: bool,
    /// Records are missing, and it has not said how it stands since.
    misses: bool,
    /// The clock of the record that was judged last.
    clock: u64,
    life: Option<u64>,
    /// Lives of its process that have ended.
    past_lives: BTreeSet<u64>,
    /// What will never be known of it.
    flaw: Option<String>,
    /// Why its bytes cannot be read any further.
    damage: Option<String>,
    /// Records at the end of an earlier life were lost: what others did by them may stand there without its reason.
    lost_its_end: bool,
    boot: Option<u64>,
    /// The term in which its records begin, and the first later one of which they tell.
    terms: (Term, Option<Term>),
    beginning: Beginning,
}

/// What stands before the first record that was read of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Beginning {
    /// Nothing: it is that of its first step.
    #[default]
    Whole,
    /// Records that were written over, whose clock it continues.
    Continued,
    /// Records that are lost, in terms up to this one.
    Lost(Term),
}

impl Default for Following {
    fn default() -> Following {
        Following {
            safety: Safety::of_records(),
            streams: BTreeMap::new(),
            silent: BTreeSet::new(),
            is_over: false,
        }
    }
}

impl Following {
    /// The nodes whose records were read.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.streams.keys().copied()
    }

    /// Whether each node's records that were read begin with its first step.
    pub fn reaches_back(&self) -> bool {
        self.streams
            .values()
            .filter(|stream| stream.has_begun)
            .all(|stream| stream.beginning == Beginning::Whole)
    }

    /// The place up to which this node's records were read.
    pub fn end(&self, node: NodeId) -> u64 {
        self.streams.get(&node).map_or(0, |stream| stream.end)
    }

    /// Takes what stands in a node's records from this place on.
    pub fn take(&mut self, node: NodeId, from: u64, bytes: &[u8]) {
        let stream = self.streams.entry(node).or_default();
        if stream.damage.is_some() {
            return;
        }
        let is_new = stream.end == 0 && stream.waiting.is_empty();
        if from != stream.end {
            if !is_new {
                let flaw = match from.checked_sub(stream.end) {
                    Some(bytes) => {
                        format!("{bytes} bytes of {node}'s records were overwritten before they were read")
                    }
                    None => format!("the end of {node}'s records was lost"),
                };
                stream.lost_its_end |= from < stream.end;
                stream.miss(flaw);
            }
            stream.end = from;
        }
        stream.end += bytes.len() as u64;
        stream.partial.extend_from_slice(bytes);
        let (mut rest, mut taken) = (&stream.partial[..], 0);
        loop {
            let unframed = unframe(rest);
            let record = unframed.and_then(|found| {
                found.map(|(content, length)| decode(content).map(|record| (record, length))).transpose()
            });
            match record {
                Ok(Some((record, length))) => {
                    stream.waiting.push_back(Some(record));
                    (rest, taken) = (&rest[length..], taken + length);
                }
                Ok(None) => break,
                Err(problem) => {
                    let at = stream.end - rest.len() as u64;
                    stream.damage = Some(format!("{node}'s records are damaged at byte {at}: {problem}"));
                    break;
                }
            }
        }
        stream.partial.drain(..taken);
    }

    /// All records of this node that there were have been taken, and it runs in this life.
    pub fn note_life(&mut self, node: NodeId, life: u64) {
        let Some(stream) = self.streams.get_mut(&node) else { return };
        let newest = stream.waiting.iter().rev().find_map(|read| match read {
            Some(Record { seen: Seen::Standing { run, .. }, .. }) => Some(run.life),
            _ => None,
        });
        if newest.or(stream.life).is_some_and(|known| known != life) {
            stream.lost_its_end = true;
            stream.miss(format!("{node}'s records do not continue those that were read: the end of these was lost, or its folder is a copy"));
        }
    }

    /// Judges all that there is, when no node runs any more. The end of each may be lost: what a node wrote last says nothing of
    /// what it did then.
    pub fn judge_all(&mut self, silent: &[(NodeId, String)]) -> Vec<Verdict> {
        self.is_over = true;
        self.judge(u64::MAX, silent)
    }

    /// Judges what was written down up to this moment of the logical clocks, of which nothing is missing but the records of
    /// these nodes, for these reasons.
    pub fn judge(&mut self, until: u64, silent: &[(NodeId, String)]) -> Vec<Verdict> {
        let damaged =
            self.streams.iter().filter(|(_, stream)| stream.damage.is_some()).map(|(node, _)| *node);
        self.silent = silent.iter().map(|(node, _)| *node).chain(damaged).collect();
        self.lose_sight();
        let mut begins_late = false;
        while let Some((node, read)) = self.next(until) {
            match read {
                None => {
                    self.streams.entry(node).or_default().misses = true;
                    self.lose_sight();
                }
                Some(Record { clock, seen: Seen::Standing { run, cause, standing } }) => {
                    begins_late |= self.begin(node, clock, (run, cause), &standing);
                }
                Some(Record { clock, seen: Seen::Step(step) }) => self.observe(node, clock, &step),
            }
        }
        if begins_late {
            self.safety.forget_doubts();
        }
        self.safety.settle();
        self.verdicts(silent)
    }

    /// What a node may have done that was not read breaks nothing.
    fn lose_sight(&mut self) {
        let is_over = |stream: &Stream| self.is_over && stream.waiting.is_empty();
        let is_lost = |stream: &Stream| stream.misses || stream.lost_its_end || is_over(stream);
        let missed = self.streams.iter().filter(|(_, stream)| is_lost(stream)).map(|(node, _)| *node);
        self.safety.lose_sight(self.silent.iter().copied().chain(missed).collect());
    }

    /// The next record of all in their order.
    fn next(&mut self, until: u64) -> Option<(NodeId, Option<Record>)> {
        let first = |(node, stream): (&NodeId, &Stream)| match stream.waiting.front()? {
            None => Some((0, *node)),
            Some(record) => (record.clock <= until).then_some((record.clock, *node)),
        };
        let (_, node) = self.streams.iter().filter_map(first).min()?;
        let read = self.streams.get_mut(&node)?.waiting.pop_front()?;
        if self.is_over && self.streams[&node].waiting.is_empty() {
            self.lose_sight();
        }
        Some((node, read))
    }

    /// Returns whether the node has steps behind it that were not seen.
    fn begin(&mut self, node: NodeId, clock: u64, (run, cause): (Run, Cause), standing: &Standing) -> bool {
        let Run { life, boot } = run;
        let stream = self.streams.entry(node).or_default();
        let is_known = stream.life == Some(life) || stream.past_lives.contains(&life);
        if stream.misses && is_known && clock <= stream.clock {
            // It was read before the gap.
            return false;
        }
        stream.clock = clock;
        if let Some(before) = stream.life.replace(life).filter(|before| *before != life) {
            stream.past_lives.insert(before);
        }
        if stream.past_lives.contains(&life) {
            let detail = format!(
                "two processes ran as {node} at one time, from copied files: life {life:016x} is not over"
            );
            self.safety.report(Property::OneVote, detail);
        }
        if stream.boot.replace(boot).is_some_and(|before| before != boot) {
            stream.lost_its_end = true;
            let flaw =
                format!("{node}'s machine was started again: the end of what it wrote before may be lost");
            stream.flaw = Some(flaw);
        }
        let is_first = !std::mem::replace(&mut stream.has_begun, true);
        let was_missed = std::mem::take(&mut stream.misses);
        if cause == Cause::File && !is_first && !was_missed {
            return false;
        }
        if cause == Cause::Gap {
            stream.flaw = Some(format!("{node} could not write down each step: its log says why"));
        }
        let term = standing.shown.term;
        if is_first {
            stream.terms = (term, None);
            stream.beginning = Beginning::of(cause, term);
        }
        let beginning = stream.beginning;
        let is_late = is_first && beginning != Beginning::Whole;
        stream.note_term(term);
        self.lose_sight();
        if is_first && matches!(beginning, Beginning::Lost(_)) {
            self.safety.begin_unplaced(standing);
        } else if is_late || was_missed || cause != Cause::Start {
            self.safety.begin_midway(standing);
        } else {
            self.safety.begin(standing);
        }
        is_late
    }

    fn observe(&mut self, node: NodeId, clock: u64, seen: &StepSeen) {
        let stream = self.streams.entry(node).or_default();
        if !stream.has_begun || stream.misses {
            // It is not known what its steps begin with.
            return;
        }
        stream.clock = clock;
        stream.note_term(seen.shown.term);
        let step = Step {
            shown: seen.shown,
            now: Time::from_nanos(clock),
            answering: &[],
            election_min: std::time::Duration::ZERO,
            persisted: seen.persisted,
            write: seen.write.clone(),
            adopted: &seen.adopted,
            applied: &seen.applied,
        };
        self.safety.observe(&step, seen.sent.iter());
    }

    /// Whose earlier records are lost. Where those of no other node reach back before it, nothing that was read depends on them.
    fn lost(&self) -> Option<String> {
        let begins_late = self.streams.iter().find_map(|(node, stream)| {
            let Beginning::Lost(until) = stream.beginning else { return None };
            let mut others = self.streams.iter().filter(|(other, _)| *other != node);
            let reaches_back = others.any(|(_, other)| other.terms.1.is_some_and(|term| term <= until));
            reaches_back.then(|| {
                format!("{node}'s records begin in term {until}: what it did before does not stand in them")
            })
        });
        let lost_files = || {
            let member = self.safety.lost_files()?;
            Some(format!(
                "{}'s records begin with later files: what it did with those of {member} does not stand in them",
                member.node
            ))
        };
        begins_late.or_else(lost_files)
    }

    /// Each property that records can decide. One that was not broken is open while something of a node may be missing.
    fn verdicts(&self, silent: &[(NodeId, String)]) -> Vec<Verdict> {
        let flaw = self.streams.values().find_map(|stream| stream.damage.clone().or(stream.flaw.clone()));
        let members = self.safety.members();
        let counts = |node: &NodeId| members.is_empty() || members.contains(node);
        let silent = silent.iter().find(|(node, _)| counts(node));
        let silent = silent.map(|(node, why)| format!("not all records of {node} were read: {why}"));
        let begun = |node: &NodeId| self.streams.get(node).is_some_and(|stream| stream.has_begun);
        let unread = members.iter().find(|node| !begun(node));
        let unread =
            unread.map(|node| format!("{node} is a member or was one, and no record of it was read"));
        let nothing = self.streams.values().all(|stream| !stream.has_begun);
        let nothing = nothing.then(|| "no record was read".to_string());
        let why = flaw.or_else(|| self.lost()).or(silent).or(unread).or(nothing);
        let recorded = |verdict: &Verdict| {
            Property::ALL.iter().any(|(property, name)| *name == verdict.property && property.is_recorded())
        };
        let mut verdicts = self.safety.verdicts();
        verdicts.retain(recorded);
        for verdict in &mut verdicts {
            if let Some(why) = &why {
                verdict.open = Some(why.clone().into());
            }
        }
        verdicts
    }
}

impl Beginning {
    fn of(first: Cause, term: Term) -> Beginning {
        match first {
            Cause::Start if term == Term(0) => Beginning::Whole,
            Cause::File => Beginning::Continued,
            Cause::Start | Cause::Gap => Beginning::Lost(term),
        }
    }
}

impl Stream {
    fn note_term(&mut self, term: Term) {
        if term > self.terms.0 {
            self.terms.1.get_or_insert(term);
        }
    }

    /// Records are missing behind those that were read.
    fn miss(&mut self, flaw: String) {
        self.flaw = Some(flaw);
        self.partial.clear();
        self.waiting.push_back(None);
    }
}
