//! Puts questions to one node, from any thread of a console's program.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use super::protocol::{Answer, Asked, Question};
use super::seen::{Put, Seen, no_answer};
use crate::lab::{LabError, Life};
use crate::server::Status;
use crate::supervisor::Table;
use crate::types::NodeId;

/// How long a node may take to answer what it only looks up.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// How long it may take over an order: to stop, or to open its files.
const ORDER_PATIENCE: Duration = Duration::from_secs(6);

/// Clones ask the same node, by the same connection.
#[derive(Clone, Debug)]
pub(super) struct Questions {
    node: NodeId,
    shared: Arc<Mutex<Seen>>,
    sender: Sender<String>,
    /// Which processes run, if this program has started them.
    processes: Option<Table>,
}

impl Questions {
    pub fn new(node: NodeId, shared: Arc<Mutex<Seen>>, sender: Sender<String>) -> Questions {
        Questions { node, shared, sender, processes: None }
    }

    /// Whether the node's process runs is to be seen in this table.
    pub fn watching(self, processes: Option<Table>) -> Questions {
        Questions { processes, ..self }
    }

    /// How it is that no process answers; none when one may.
    pub fn without_process(&self) -> Option<Life> {
        self.processes.as_ref()?.life(self.node)
    }

    /// Whether this program has started its process, or should have.
    pub fn has_process(&self) -> bool {
        self.processes.as_ref().is_some_and(|processes| processes.has(self.node))
    }

    /// What the node said of itself a moment ago; none while it does not run or says nothing.
    pub fn status(&self) -> Option<Status> {
        if self.without_process().is_some() {
            return None;
        }
        let seen = self.shared.lock();
        (seen.is_fresh() && seen.view.life == Life::Up).then_some(seen.view.status)
    }

    /// It did not answer when it was last asked, or has not answered yet.
    pub fn is_silent(&self) -> bool {
        self.shared.lock().is_silent
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The node says no, or does not answer. Of an order that was sent and not answered it is not known whether it is executed.
    pub fn ask(&self, question: Question) -> Result<Answer, LabError> {
        self.put(question)?.wait()
    }

    /// Asks, and does not wait.
    ///
    /// # Errors
    /// There is no connection to ask by.
    pub fn put(&self, question: Question) -> Result<Put, LabError> {
        let (node, is_order) = (self.node, question.is_order());
        match self.without_process() {
            None => {}
            Some(Life::Frozen(_)) => return Err(LabError::frozen(node)),
            Some(_) => return Err(LabError::down(node)),
        }
        let patience = if is_order { ORDER_PATIENCE } else { LOOK_PATIENCE };
        let (sender, reply) = bounded(1);
        // Under the lock: what is put before a connection ends is drained with it.
        let mut seen = self.shared.lock();
        if seen.member.is_none() {
            return Err(no_answer(node, &seen.why.to_string()));
        }
        seen.last_question += 1;
        let id = seen.last_question;
        let text = serde_json::to_string(&Asked { id, question }).expect("questions have a text");
        if self.sender.try_send(text).is_err() {
            return Err(no_answer(node, "too many questions wait"));
        }
        seen.waiting.insert(id, sender);
        let shared = Arc::clone(&self.shared);
        Ok(Put { node, is_order, patience, deadline: Instant::now() + patience, id, reply, shared })
    }
}
