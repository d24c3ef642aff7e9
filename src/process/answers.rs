//! What a console asks of a node, and is answered; and what a gateway sees of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::consoles::Attachment;
use super::{Inside, Process};
use crate::cluster::Cluster;
use crate::faults::RuleSet;
use crate::lab::{Lab, LabError, Life, NodeOrder};
use crate::links::AddressBook;
use crate::net::router::RouterHandle;
use crate::node::Boards;
use crate::remote::protocol::{Answer, Question, VersionedSettings};
use crate::state_machine::StateMachine;
use crate::text::joined;
use crate::text::units::duration_text;
use crate::trace::What;
use crate::types::NodeId;

/// Bytes of a page of items, about.
const PAGE_BYTES: usize = 1 << 20;

/// Bytes of records in an answer.
const RECORDS_BYTES: usize = 256 << 10;

/// Entries of a log that are shown: the newest.
const ENTRIES_MAX: usize = 10_000;

/// Whether it breaks something on purpose.
fn is_fault(question: &Question) -> bool {
    match question {
        Question::TakeRules { .. } | Question::Renew => true,
        Question::Order { order, .. } => matches!(
            order,
            NodeOrder::Crash
                | NodeOrder::PowerCut
                | NodeOrder::Wipe
                | NodeOrder::Pause
                | NodeOrder::Kill
                | NodeOrder::Freeze
                | NodeOrder::SkewClock(_)
                | NodeOrder::SetElectionTimer(_)
                | NodeOrder::Disk(_)
        ),
        _ => false,
    }
}

/// A folder for this life of a node: `n1`, then `n1-2` and so on.
fn unused(folder: &Path, node: NodeId) -> PathBuf {
    let later = (2_u32..).map(|life| folder.join(format!("{node}-{life}")));
    let mut names = std::iter::once(folder.join(node.to_string())).chain(later);
    names.find(|name| !name.exists()).expect("the numbers do not end")
}

impl<M: StateMachine> Inside<M> {
    pub(super) fn answer(&self, console: &mut Attachment<M>, question: Question) -> Answer {
        if is_fault(&question) && !self.place.faults {
            let refused = LabError::new("faults are not allowed here");
            return Answer::Refused(refused.advising("'faults = true' in cluster.toml allows them"));
        }
        let answered = match question {
            Question::Order { order, lasting } => self.execute(&order, lasting, Some(&console.name)),
            Question::Renew => self.renew(&console.name),
            Question::TakeRules { set, change } => Ok(self.take_rules(set, change, &console.name)),
            Question::Rules => Ok(Answer::Rules(self.rules.lock().now(&self.known.nodes()).clone())),
            Question::Configure(settings) => self.take_settings(settings, &console.name),
            Question::Settings => Ok(Answer::Settings(self.settings.lock().clone())),
            Question::Items { from } => self.page(console, from),
            Question::Backup { from } => self.backup(console, from),
            Question::NetworkCounts => Ok(Answer::NetworkCounts(self.network.counts())),
            Question::Watch { filter, follow } => {
                self.watch(console.number, filter, follow);
                Ok(Answer::Done(String::new()))
            }
            question => self.look(&mut self.cluster.lock(), &question),
        };
        answered.unwrap_or_else(Answer::Refused)
    }

    fn look(&self, cluster: &mut Cluster<M>, question: &Question) -> Result<Answer, LabError> {
        let node = self.place.apart.node;
        Ok(match question {
            Question::View => Answer::View { now: cluster.now(), view: cluster.view(node) },
            Question::Log => Answer::Log(cluster.log(node)?.newest(ENTRIES_MAX)),
            Question::Entry(which) => Answer::Entry(cluster.entry(node, *which)?),
            Question::Members => Answer::Members(cluster.members_view(node)?),
            Question::Stored { entries } => Answer::Stored(cluster.stored(node, *entries)?),
            Question::TransferFailure => Answer::TransferFailure(cluster.transfer_failure(node)),
            Question::Check => Answer::Check(cluster.check()),
            Question::Record { folder, bytes_max } => {
                cluster.record(&unused(folder, node), *bytes_max)?;
                Answer::Done(String::new())
            }
            Question::Remembered(subject) => Answer::Remembered(self.consoles.remembered(*subject)),
            Question::EndRecording => Answer::Recorded(cluster.end_recording()?),
            Question::Measures => {
                let measures = cluster.boards().measures().remove(&node);
                Answer::Measures(measures.ok_or_else(|| LabError::down(node))?)
            }
            Question::DiskSyncs => Answer::DiskSyncs(cluster.disk_syncs()),
            Question::Records { from, clock } => match self.recorder.page(*from, RECORDS_BYTES, *clock) {
                Ok(page) => Answer::Records(page),
                Err(error) => return Err(LabError::new(format!("its records cannot be read: {error}"))),
            },
            _ => return Err(LabError::new("this is no question about how the node is")),
        })
    }

    /// Does what is ordered, by a console or by the process itself, and ends it by its own clock if it lasts a time.
    pub(super) fn execute(
        &self,
        order: &NodeOrder,
        lasting: Option<Duration>,
        by: Option<&str>,
    ) -> Result<Answer, LabError> {
        let node = self.place.apart.node;
        if matches!(order, NodeOrder::Crash | NodeOrder::PowerCut | NodeOrder::Stop) {
            self.ends_by_order.store(true, Ordering::Release);
        }
        let mut cluster = self.cluster.lock();
        if let Some(by) = by {
            let what =
                lasting.map_or(order.to_string(), |time| format!("{order} for {}", duration_text(time)));
            cluster.note(node, What::Ordered { by: by.to_string(), what });
        }
        let done = cluster.order(node, order.clone());
        if done.is_ok() && by.is_some() {
            self.endings.lock().note(node, order, lasting);
            self.wake();
        }
        self.note_own(&cluster);
        done.map(Answer::Done)
    }

    fn renew(&self, by: &str) -> Result<Answer, LabError> {
        let node = self.place.apart.node;
        let mut cluster = self.cluster.lock();
        cluster.note(node, What::Ordered { by: by.to_string(), what: "start on new files".to_string() });
        let member = cluster.add_node(node)?;
        self.endings.lock().note(node, &NodeOrder::Wipe, None);
        self.note_own(&cluster);
        Ok(Answer::Renewed(member))
    }

    /// Notes which files the node has, and that it runs.
    fn note_own(&self, cluster: &Cluster<M>) {
        if let Some(own) = cluster.own_files() {
            *self.own.lock() = own;
        }
        if cluster.life(self.place.apart.node) == Some(Life::Up) {
            self.ends_by_order.store(false, Ordering::Release);
        }
    }

    fn take_rules(&self, set: RuleSet, change: Option<String>, by: &str) -> Answer {
        let nodes = self.known.nodes();
        let mut rules = self.rules.lock();
        match rules.take(set, change.is_some(), &nodes) {
            Ok(true) => {}
            Ok(false) => return Answer::Done(String::new()),
            Err(held) => return Answer::Rules(held),
        }
        let in_force = rules.now(&nodes).rules(&nodes);
        self.apply(&mut rules);
        let version = rules.version();
        drop(rules);
        self.wake();
        let what = match (change, in_force.as_slice()) {
            (Some(change), _) => format!("{change} (rules {version})"),
            (None, []) => format!("rules {version}: none"),
            (None, rules) => format!("rules {version}: {}", joined(rules, "; ")),
        };
        let cluster = self.cluster.lock();
        cluster.note_rules();
        cluster.note(self.place.apart.node, What::Ordered { by: by.to_string(), what });
        Answer::Done(String::new())
    }

    fn take_settings(&self, new: VersionedSettings, by: &str) -> Result<Answer, LabError> {
        let mut cluster = self.cluster.lock();
        let mut held = self.settings.lock();
        if new.version < held.version {
            return Ok(Answer::Settings(held.clone()));
        }
        if new.version == held.version {
            return Ok(Answer::Done(String::new()));
        }
        cluster.configure(new.settings.clone())?;
        let what = format!("settings {}", new.version);
        cluster.note(self.place.apart.node, What::Ordered { by: by.to_string(), what });
        *held = new;
        Ok(Answer::Done(String::new()))
    }

    /// A page of a backup of the state as it was when the first one was asked for.
    fn backup(&self, console: &mut Attachment<M>, from: usize) -> Result<Answer, LabError> {
        if from == 0 {
            console.backup = self.cluster.lock().backup(self.place.apart.cluster)?;
        }
        let rest = console.backup.get(from..).ok_or_else(|| LabError::new("no page begins there"))?;
        let mut length = rest.len().min(PAGE_BYTES);
        while !rest.is_char_boundary(length) {
            length -= 1;
        }
        let text = rest[..length].to_string();
        let next = (length < rest.len()).then_some(from + length);
        if next.is_none() {
            console.backup = String::new();
        }
        Ok(Answer::Backup { text, next })
    }

    /// A page of the state as it was when the first one was asked for.
    fn page(&self, console: &mut Attachment<M>, from: usize) -> Result<Answer, LabError> {
        if from == 0 {
            console.items = self.cluster.lock().items(self.place.apart.node)?;
        }
        let mut bytes = 0;
        let fits = |(key, value): &&(String, String)| {
            let has_room = bytes < PAGE_BYTES;
            bytes += key.len() + value.len();
            has_room
        };
        let items: Vec<_> = console.items.iter().skip(from).take_while(fits).cloned().collect();
        let next = (from + items.len() < console.items.len()).then(|| from + items.len());
        if next.is_none() {
            console.items = Vec::new();
        }
        Ok(Answer::Items { items, next })
    }
}

impl<M: StateMachine> Process<M> {
    /// What its node knows, what it counts of messages, and where nodes are.
    pub fn seen(&self) -> (Arc<Boards>, RouterHandle, Arc<AddressBook>) {
        let Inside { network, book, .. } = &*self.inside;
        (self.inside.cluster.lock().boards(), network.clone(), Arc::clone(book))
    }
}
