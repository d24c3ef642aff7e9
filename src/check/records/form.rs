//! The bytes of a record: in `postcard`'s form, with entries and what was applied in runs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::binary::put;
use crate::check::safety::{Appended, Pending, Shown, Standing, Step, Written};
use crate::raft::effects::{HardState, WriteId};
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::{Configuration, text};
use crate::raft::message::{AppendResult, Body, Extra, InstallResult, Message};
use crate::state_machine::AppliedEntry;
use crate::types::{EntryId, LogIndex, Origin, Term};

/// Entries that a record may say to be applied: it takes memory for each.
const APPLIED_MAX: u32 = 1 << 20;

/// A record, and when it was written by its node's logical clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub clock: u64,
    pub seen: Seen,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    Standing { run: Run, cause: Cause, standing: Standing },
    Step(StepSeen),
}

/// A run of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// Drawn when the process began: two processes with copies of the same files differ in it.
    pub life: u64,
    /// Tells the times between two starts of the machine from each other; zero where the system does not say.
    pub boot: u64,
}

/// Why a record says how its node stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// It starts.
    Start,
    /// A file begins: who reads on from the one before knows it already.
    File,
    /// Steps before it could not be written down.
    Gap,
}

/// A step, and those of its messages that promise something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepSeen {
    pub shown: Shown,
    pub persisted: Option<WriteId>,
    pub write: Option<Written>,
    pub adopted: Vec<(usize, EntryId)>,
    pub applied: Vec<AppliedEntry>,
    pub sent: Vec<Message>,
}

#[derive(Serialize, Deserialize)]
struct Form {
    clock: u64,
    content: ContentForm,
}

#[derive(Serialize, Deserialize)]
enum ContentForm {
    Standing(StandingForm),
    Step(StepForm),
}

#[derive(Serialize, Deserialize)]
struct StandingForm {
    run: Run,
    cause: Cause,
    shown: Shown,
    base: EntryId,
    entries: Vec<EntriesForm>,
    committed: EntryId,
    configured: Option<ConfiguredForm>,
    hard_state: HardState,
    durable_index: LogIndex,
    persisted: WriteId,
    pending: Vec<Pending>,
    applied: LogIndex,
}

#[derive(Serialize, Deserialize)]
struct StepForm {
    shown: Shown,
    persisted: Option<WriteId>,
    write: Option<WriteForm>,
    adopted: Vec<(u32, EntryId)>,
    applied: Vec<AppliedForm>,
    sent: Vec<Message>,
}

#[derive(Serialize, Deserialize)]
struct WriteForm {
    id: WriteId,
    hard_state: Option<HardState>,
    reset: Option<(EntryId, Option<ConfiguredForm>)>,
    truncate_from: Option<LogIndex>,
    entries: Vec<EntriesForm>,
}

/// Entries of one term, one behind the other.
#[derive(Serialize, Deserialize)]
struct EntriesForm {
    first: EntryId,
    digests: Vec<[u8; 8]>,
    /// Configurations among them, each with its place.
    members: Vec<(u32, ConfigurationForm)>,
}

/// Entries of one term, one behind the other, of which those at these places changed nothing.
#[derive(Serialize, Deserialize)]
struct AppliedForm {
    first: EntryId,
    count: u32,
    without: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct ConfiguredForm {
    index: LogIndex,
    configuration: ConfigurationForm,
}

#[derive(Serialize, Deserialize)]
struct ConfigurationForm(#[serde(with = "text")] Arc<Configuration>);

/// Whether a message promises what the records are judged by.
pub fn is_noted(message: &Message) -> bool {
    matches!(
        message.body,
        Body::VoteReply { granted: true }
            | Body::RequestVote { .. }
            | Body::Extra(Extra::PreVoteReply { granted: true, .. })
            | Body::AppendReply { result: AppendResult::Matched(_), .. }
            | Body::InstallReply { result: InstallResult::Installed, .. }
    )
}

/// Appends the bytes of a record that says how a node stands.
pub fn encode_standing(clock: u64, run: Run, cause: Cause, standing: &Standing, to: &mut Vec<u8>) {
    let form = StandingForm {
        run,
        cause,
        shown: standing.shown,
        base: standing.base,
        entries: entries_form(&standing.entries),
        committed: standing.committed,
        configured: standing.configured.as_ref().map(ConfiguredForm::of),
        hard_state: standing.hard_state,
        durable_index: standing.durable_index,
        persisted: standing.persisted,
        pending: standing.pending.clone(),
        applied: standing.applied,
    };
    put(to, &Form { clock, content: ContentForm::Standing(form) });
}

/// Appends the bytes of a record of a step.
///
/// # Errors
/// It is too large for a record.
pub fn encode_step(clock: u64, step: &Step<'_>, sent: Vec<Message>, to: &mut Vec<u8>) -> Result<(), String> {
    if step.applied.len() >= APPLIED_MAX as usize {
        return Err(format!("a step applied {} entries", step.applied.len()));
    }
    let form = StepForm {
        shown: step.shown,
        persisted: step.persisted,
        write: step.write.as_ref().map(WriteForm::of),
        adopted: step.adopted.iter().map(|(before, id)| (place(*before), *id)).collect(),
        applied: applied_form(step.applied),
        sent,
    };
    put(to, &Form { clock, content: ContentForm::Step(form) });
    Ok(())
}

/// A place in a list that is bounded far below.
fn place(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn entries_form(entries: &[Appended]) -> Vec<EntriesForm> {
    let mut runs: Vec<EntriesForm> = Vec::new();
    for entry in entries {
        let continues = |run: &&mut EntriesForm| {
            let next = run.first.index.0 + run.digests.len() as u64;
            run.first.term == entry.id.term && next == entry.id.index.0
        };
        let run = match runs.last_mut().filter(continues) {
            Some(run) => run,
            None => runs.push_mut(EntriesForm { first: entry.id, digests: Vec::new(), members: Vec::new() }),
        };
        if let Some(configuration) = &entry.members {
            let at = place(run.digests.len());
            run.members.push((at, ConfigurationForm(Arc::clone(configuration))));
        }
        run.digests.push(entry.digest.to_le_bytes());
    }
    runs
}

fn applied_form(applied: &[AppliedEntry]) -> Vec<AppliedForm> {
    let mut runs: Vec<AppliedForm> = Vec::new();
    for AppliedEntry { entry, executed, .. } in applied {
        let continues = |run: &&mut AppliedForm| {
            run.first.term == entry.term && run.first.index.0 + u64::from(run.count) == entry.index.0
        };
        let run = match runs.last_mut().filter(continues) {
            Some(run) => run,
            None => runs.push_mut(AppliedForm { first: *entry, count: 0, without: Vec::new() }),
        };
        if executed.is_none() {
            run.without.push(run.count);
        }
        run.count += 1;
    }
    runs
}

impl ConfiguredForm {
    fn of(configured: &Configured) -> ConfiguredForm {
        let configuration = ConfigurationForm(Arc::clone(&configured.configuration));
        ConfiguredForm { index: configured.index, configuration }
    }

    fn read(self) -> Result<Configured, String> {
        let ConfiguredForm { index: at, configuration: ConfigurationForm(configuration) } = self;
        index(at)?;
        Ok(Configured { index: at, configuration })
    }
}

impl WriteForm {
    fn of(write: &Written) -> WriteForm {
        let reset = write.reset.as_ref();
        WriteForm {
            id: write.id,
            hard_state: write.hard_state,
            reset: reset.map(|(base, configured)| (*base, configured.as_ref().map(ConfiguredForm::of))),
            truncate_from: write.truncate_from,
            entries: entries_form(&write.entries),
        }
    }

    fn read(self) -> Result<Written, String> {
        let reset = match self.reset {
            Some((base, configured)) => {
                entry(base)?;
                Some((base, configured.map(ConfiguredForm::read).transpose()?))
            }
            None => None,
        };
        if let Some(from) = self.truncate_from {
            entry(EntryId::new(Term(0), from))?;
        }
        Ok(Written {
            id: self.id,
            hard_state: self.hard_state,
            reset,
            truncate_from: self.truncate_from,
            entries: entries_read(self.entries)?,
        })
    }
}

/// The record that these bytes are, of which nothing is believed but what can be so.
///
/// # Errors
/// What is wrong with it.
pub fn decode(bytes: &[u8]) -> Result<Record, String> {
    let form = match postcard::take_from_bytes(bytes) {
        Ok((form, [])) => form,
        Ok((Form { .. }, rest)) => return Err(format!("{} bytes follow a record", rest.len())),
        Err(_) => return Err("it is no record of this version".to_string()),
    };
    let seen = match form.content {
        ContentForm::Standing(form) => standing_read(form)?,
        ContentForm::Step(form) => Seen::Step(step_read(form)?),
    };
    Ok(Record { clock: form.clock, seen })
}

fn standing_read(form: StandingForm) -> Result<Seen, String> {
    shown(&form.shown)?;
    [form.base, form.committed].into_iter().try_for_each(id)?;
    [form.durable_index, form.applied].into_iter().try_for_each(index)?;
    form.pending.iter().try_for_each(|pending| index(pending.length))?;
    let standing = Standing {
        shown: form.shown,
        base: form.base,
        entries: entries_read(form.entries)?,
        committed: form.committed,
        configured: form.configured.map(ConfiguredForm::read).transpose()?,
        hard_state: form.hard_state,
        durable_index: form.durable_index,
        persisted: form.persisted,
        pending: form.pending,
        applied: form.applied,
    };
    let last = standing.entries.last().map_or(form.base, |last| last.id);
    if standing.entries.first().is_some_and(|first| first.id.index != form.base.index.next())
        || !(form.base.index..=last.index).contains(&form.committed.index)
    {
        return Err("a log that does not hold together".to_string());
    }
    Ok(Seen::Standing { run: form.run, cause: form.cause, standing })
}

fn step_read(form: StepForm) -> Result<StepSeen, String> {
    shown(&form.shown)?;
    let applied = applied_read(form.applied)?;
    let mut adopted = Vec::new();
    for (before, last) in form.adopted {
        id(last)?;
        let before = usize::try_from(before).unwrap_or(usize::MAX);
        let earlier = adopted.last().map_or(0, |(earlier, _)| *earlier);
        if !(earlier..=applied.len()).contains(&before) {
            return Err("a snapshot out of its order".to_string());
        }
        adopted.push((before, last));
    }
    let write = form.write.map(WriteForm::read).transpose()?;
    Ok(StepSeen { shown: form.shown, persisted: form.persisted, write, adopted, applied, sent: form.sent })
}

fn entries_read(runs: Vec<EntriesForm>) -> Result<Vec<Appended>, String> {
    let mut entries = Vec::new();
    for EntriesForm { first, digests, members } in runs {
        entry(first)?;
        index(LogIndex(first.index.0 + digests.len() as u64))?;
        let mut members = members.into_iter().peekable();
        for ((at, digest), number) in (0_u32..).zip(digests).zip(first.index.0..) {
            let found = members.next_if(|(place, _)| *place == at);
            entries.push(Appended {
                id: EntryId::new(first.term, LogIndex(number)),
                digest: u64::from_le_bytes(digest),
                members: found.map(|(_, ConfigurationForm(configuration))| configuration),
            });
        }
        if members.next().is_some() {
            return Err("a configuration without its entry".to_string());
        }
    }
    Ok(entries)
}

fn applied_read(runs: Vec<AppliedForm>) -> Result<Vec<AppliedEntry>, String> {
    let total = runs.iter().fold(0_u32, |total, run| total.saturating_add(run.count));
    if total > APPLIED_MAX {
        return Err(format!("a step that applies {total} entries"));
    }
    let mut applied = Vec::new();
    for AppliedForm { first, count, without } in runs {
        entry(first)?;
        index(LogIndex(first.index.0 + u64::from(count)))?;
        let mut without = without.into_iter().peekable();
        for (at, number) in (0..count).zip(first.index.0..) {
            let executed = without.next_if_eq(&at).is_none().then(Origin::default);
            let entry = EntryId::new(first.term, LogIndex(number));
            applied.push(AppliedEntry { entry, executed, repetition: false, expired: false });
        }
    }
    Ok(applied)
}

fn shown(shown: &Shown) -> Result<(), String> {
    index(shown.commit)
}

fn index(index: LogIndex) -> Result<(), String> {
    if index.is_valid() { Ok(()) } else { Err(format!("index {index} is out of range")) }
}

/// A place in a log: only the one before the first entry has no index.
fn id(id: EntryId) -> Result<(), String> {
    if id == EntryId::ZERO { Ok(()) } else { entry(id) }
}

fn entry(id: EntryId) -> Result<(), String> {
    if id.index == LogIndex(0) { Err(format!("entry {id} has no index")) } else { index(id.index) }
}
