//! Which nodes a console has links to: those that it was told of, and those of which they tell.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{RemoteLab, unexpected};
use crate::lab::{LabError, Life};
use crate::links::Source;
use crate::node::Leadership;
use crate::remote::clock_offset::moved;
use crate::remote::node_link::{Listener, NodeLink};
use crate::remote::protocol::{Answer, Question};
use crate::server::{EntryView, LogView, WhichEntry};
use crate::supervisor::Supervisor;
use crate::trace::{Remembered, Subject};
use crate::types::{NodeId, Time};

/// How long a node that is there may take to let a console in.
const REACHED_WITHIN: Duration = Duration::from_millis(300);

impl RemoteLab {
    pub(super) fn link(&mut self, node: NodeId) -> io::Result<()> {
        let came_back = Arc::clone(&self.came_back);
        let clock = self.clients.clock();
        let listener = Listener {
            changes: Arc::clone(&self.changes),
            leaders: Arc::clone(&self.leaders),
            on_event: Arc::clone(&self.on_event),
            now: Arc::new(move || clock.now()),
            on_nodes: self.clients.listener(),
            on_up: Box::new(move |node| came_back.lock().push(node)),
            notices: Arc::clone(&self.notices),
        };
        let (book, notices) = (Arc::clone(&self.book), Arc::clone(&self.notices));
        let link = NodeLink::start(node, &self.remote, &self.name, book, notices, listener)?;
        let processes = self.supervisor.as_ref().map(Supervisor::table);
        let link = link.watching(processes);
        self.respondents.add(node, link.questions().clone());
        self.links.insert(node, link);
        Ok(())
    }

    /// Takes a node that is down from the nodes here.
    pub(super) fn forget(&mut self, node: NodeId) -> Result<(), LabError> {
        if !matches!(self.existing(node)?.view().life, Life::Down(_)) {
            return Err(LabError::not_removed(node));
        }
        if self.links.len() == 1 {
            return Err(LabError::only(node));
        }
        self.links.remove(&node);
        self.respondents.remove(node);
        self.agreed.remove_node(node);
        self.forgotten.insert(node);
        if let Some(supervisor) = &mut self.supervisor {
            supervisor.remove(node);
        }
        Ok(())
    }

    /// From now on it is one of the nodes.
    pub(super) fn follow(&mut self, node: NodeId) -> io::Result<()> {
        self.link(node)?;
        self.agreed.add_node(node);
        Ok(())
    }

    /// Follows the nodes that clients have heard of, tells those that came back what it wants to see, and brings all to the
    /// newest rules and settings.
    pub(super) fn catch_up(&mut self) {
        // What the processes themselves said goes before what others have heard of them.
        for (node, address) in self.supervisor.iter().flat_map(Supervisor::addresses) {
            self.book.note(Source::Itself, node, address);
        }
        self.forget_those_that_left();
        for node in self.clients.nodes() {
            let is_new = !self.links.contains_key(&node) && !self.forgotten.contains(&node);
            if is_new && !self.has_left(node) {
                // Without a thread for its link it is tried again.
                let _ = self.follow(node);
            }
        }
        let came_back = std::mem::take(&mut *self.came_back.lock());
        for link in came_back.iter().filter_map(|node| self.links.get(node)) {
            let _ = link.ask(self.watch());
            // One whose process has begun a new life records no longer; one that records says so.
            let _ = self.recording().map(|question| link.ask(question));
        }
        self.agreed.agree(&self.links, &mut self.settings);
    }

    /// Forgets each node that is down and of which no other knows any more: it was removed from the cluster.
    fn forget_those_that_left(&mut self) {
        let is_down = |link: &NodeLink| matches!(link.last_view().life, Life::Down(_));
        let down = self.links.iter().filter(|(_, link)| is_down(link)).map(|(node, _)| *node);
        for node in down.filter(|node| self.has_left(*node)).collect::<Vec<_>>() {
            let _ = self.forget(node);
        }
        // One that comes again is followed again.
        let gone: Vec<NodeId> = self.forgotten.iter().copied().filter(|node| self.has_left(*node)).collect();
        self.forgotten.retain(|node| !gone.contains(node));
    }

    /// Whether nodes answer, and none of them knows of this one.
    fn has_left(&self, node: NodeId) -> bool {
        let mut said = self.links.values().filter_map(|link| link.knows(node)).peekable();
        said.peek().is_some() && said.all(|knows| !knows)
    }

    /// Each change of the leader, as the nodes tell it.
    pub fn leadership(&self) -> Leadership {
        self.leaders.listen()
    }

    /// Whether a node ran when it was last heard of.
    pub fn life(&self, node: NodeId) -> Option<Life> {
        self.links.get(&node).map(|link| link.last_view().life)
    }

    /// What the nodes are to tell.
    pub(super) fn watch(&self) -> Question {
        let (filter, follow) = self.watched;
        Question::Watch { filter, follow }
    }

    /// An entry of a node's log.
    pub(super) fn entry_of(&self, node: NodeId, which: WhichEntry) -> Result<Option<EntryView>, LabError> {
        match self.existing(node)?.ask(Question::Entry(which))? {
            Answer::Entry(entry) => Ok(entry),
            other => Err(unexpected(node, &other)),
        }
    }

    /// What the processes that answer remember of themselves. Times count from the first of it, if that was before this console's
    /// clock began.
    pub(super) fn remembered_of(&self, subject: Subject) -> (Time, Vec<(NodeId, Remembered)>) {
        let answers = self.ask_all(&Question::Remembered(subject)).answers;
        let told = |(node, answer): (NodeId, Answer)| match answer {
            Answer::Remembered(own) => Some((node, self.links[&node].clock_ahead(), own)),
            _ => None,
        };
        let told: Vec<_> = answers.into_iter().filter_map(told).collect();
        let first = |(_, ahead, own): &(NodeId, i128, Remembered)| {
            Some(i128::from(own.moments.first()?.event.time.as_nanos()) + ahead)
        };
        let before = -told.iter().filter_map(first).min().unwrap_or(0).min(0);
        let by_one_clock = |(node, ahead, own): (NodeId, i128, Remembered)| {
            (node, own.by_clock(|time| moved(time, ahead + before)))
        };
        (moved(Time::ZERO, before), told.into_iter().map(by_one_clock).collect())
    }

    pub(super) fn log_of(&self, node: NodeId) -> Result<LogView, LabError> {
        match self.existing(node)?.ask(Question::Log)? {
            Answer::Log(log) => Ok(log),
            other => Err(unexpected(node, &other)),
        }
    }

    /// The whole state of a node, page by page.
    pub(super) fn pages(&self, node: NodeId) -> Result<Vec<(String, String)>, LabError> {
        let link = self.existing(node)?;
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(place) = from {
            match link.ask(Question::Items { from: place })? {
                Answer::Items { items, next } => {
                    all.extend(items);
                    from = next;
                }
                other => return Err(unexpected(node, &other)),
            }
        }
        Ok(all)
    }

    /// Why no node lets this program in, if that is so.
    pub fn refused(&self) -> Option<String> {
        let refusal = |(node, link): (&NodeId, &NodeLink)| {
            link.refused().map(|why| format!("{node} does not let this program in: {why}"))
        };
        (!self.answers()).then(|| self.links.iter().find_map(refusal)).flatten()
    }

    /// Dials the nodes that do not answer, and waits a moment for them: one that has come back may not be dialed yet.
    pub(super) fn reach_all(&self) {
        let is_away = |link: &&NodeLink| link.member().is_none() && link.without_process().is_none();
        let away: Vec<&NodeLink> = self.links.values().filter(is_away).collect();
        let changed = self.changes.listen();
        for link in &away {
            link.dial();
        }
        let until = Instant::now() + REACHED_WITHIN;
        while away.iter().any(|link| link.member().is_none()) && Instant::now() < until {
            let _ = changed.recv_deadline(until);
        }
    }

    /// Whether any node answers.
    pub fn answers(&self) -> bool {
        self.links.values().any(|link| link.member().is_some())
    }
}
