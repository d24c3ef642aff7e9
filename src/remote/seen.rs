//! What a console has seen of a node, and what becomes of its questions.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::clock_offset::ClockOffset;
use super::protocol::Answer;
use crate::faults::SetVersion;
use crate::lab::{LabError, Life, NodeView};
use crate::links::Unreached;
use crate::server::Status;
use crate::text::layout::duration_shown;
use crate::types::{Member, NodeId, Time};

/// After this long without news, what was heard of a node is not taken for how it is.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Seen {
    /// Who is connected; none while no process is.
    pub member: Option<Member>,
    /// Why there is no connection.
    pub why: Unreached,
    /// It was not reached yet, and not failed to be.
    pub is_first_try: bool,
    pub heard: Instant,
    /// It did not answer when it was last asked how it is, or has not answered yet.
    pub is_silent: bool,
    pub view: NodeView,
    /// The clock of this life of its process.
    pub clock: ClockOffset,
    /// Which nodes it says there are, itself among them.
    pub nodes: BTreeSet<NodeId>,
    /// Which rules and settings it holds; none until it says so.
    pub held: Option<(SetVersion, SetVersion)>,
    pub last_question: u64,
    pub waiting: HashMap<u64, Sender<Reply>>,
}

/// What becomes of a question.
pub(super) type Reply = Result<Answer, Lost>;

/// Why a question is not answered any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lost {
    /// It was not sent.
    Unsent(String),
    /// The connection broke, for this reason: the node may have read it.
    Broken(String),
}

/// A question that was put to a node.
pub(super) struct Put {
    pub node: NodeId,
    pub is_order: bool,
    pub patience: Duration,
    pub deadline: Instant,
    pub id: u64,
    pub reply: Receiver<Reply>,
    pub shared: Arc<Mutex<Seen>>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            member: None,
            why: "it has not been reached so far".to_string().into(),
            is_first_try: true,
            heard: Instant::now(),
            is_silent: true,
            view: NodeView { life: Life::Up, status: Status::default(), disk_blocked: false },
            clock: ClockOffset::default(),
            nodes: BTreeSet::new(),
            held: None,
            last_question: 0,
            waiting: HashMap::new(),
        }
    }
}

impl Seen {
    /// Whether what was heard of it may be taken for how it is.
    pub fn is_fresh(&self) -> bool {
        self.member.is_some() && self.heard.elapsed() < FRESH
    }

    /// This is how the node is at this time of its own, which is now.
    pub fn see(&mut self, now: Time, its_time: Time, mut view: NodeView) {
        self.heard = Instant::now();
        self.is_silent = false;
        self.clock.note(now, its_time);
        view.status.since = self.clock.moved(view.status.since);
        self.view = view;
    }
}

pub(super) fn no_answer(node: NodeId, why: &str) -> LabError {
    LabError::new(format!("{node} does not answer: {why}")).advising(format!("start it: node {node}"))
}

impl Put {
    /// # Errors
    /// The node says no, or does not answer. Of an order that was sent and not answered it is not known whether it is executed.
    pub fn wait(self) -> Result<Answer, LabError> {
        let Put { node, is_order, .. } = self;
        let reply = self.reply.recv_deadline(self.deadline);
        let mut seen = self.shared.lock();
        seen.waiting.remove(&self.id);
        match reply {
            Ok(Ok(Answer::Refused(error))) => Err(error),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Lost::Broken(why))) if is_order => {
                let what = format!("the connection to {node} broke before it answered ({why})");
                Err(LabError::uncertain(format!("{what}; it may have done it")))
            }
            Ok(Err(Lost::Unsent(why) | Lost::Broken(why))) => Err(no_answer(node, &why)),
            Err(_) => {
                seen.is_silent = true;
                let within = duration_shown(self.patience);
                let what = format!("{node} did not answer within {within}");
                Err(if is_order {
                    LabError::uncertain(format!("{what}; it may do it later"))
                } else {
                    LabError::new(what)
                })
            }
        }
    }
}
