//! What all consoles of a cluster make together: the rules of its network, and its settings.
//!
//! Each has a version. A console changes the newest that it has seen and gives the whole to every process, so two consoles do
//! not overwrite each other: a process does not take a change beside another one with the same number, and its console makes
//! it again on top of that. The newest is given to each node that holds an older one, empty rules too.

use std::collections::BTreeMap;
use std::time::Instant;

use derive_more::Debug;

use super::merging::Replies;
use super::node_link::NodeLink;
use super::protocol::{Answer, Question, VersionedSettings};
use crate::cluster::entropy;
use crate::faults::{EndId, Faults, NetChange, RuleSet, SetVersion};
use crate::lab::{LabError, LabSettings, Lasting};
use crate::text::units::duration_text;
use crate::types::{NodeId, Random};

/// How often a change is made again on top of others'.
const ATTEMPTS: usize = 16;

type Links = BTreeMap<NodeId, NodeLink>;

/// What of it this console has seen.
#[derive(Debug)]
pub(super) struct Agreed {
    /// This console, among those that make it.
    author: u64,
    set: RuleSet,
    /// Since when it is held: what ends by itself ends by that.
    since: Instant,
    /// The network as the set makes it.
    faults: Faults,
    settings: SetVersion,
}

impl Agreed {
    pub fn new(nodes: &[NodeId]) -> Agreed {
        Agreed {
            // It leaves room for the numbers of ends.
            author: entropy() >> 1,
            set: RuleSet::default(),
            since: Instant::now(),
            faults: Faults::new(nodes, Random::new(0)),
            settings: SetVersion::default(),
        }
    }

    pub fn add_node(&mut self, node: NodeId) {
        self.faults.add_node(node);
    }

    pub fn remove_node(&mut self, node: NodeId) {
        self.faults.remove_node(node);
    }

    /// The rules in force.
    pub fn rules(&mut self) -> Vec<NetChange> {
        let rules = NetChange::Replace(self.now().rules(&self.nodes()));
        // They name no node that is not known.
        let _ = self.faults.apply(&rules);
        self.faults.rules()
    }

    /// Brings this console and all nodes that speak to the newest rules and settings.
    pub fn agree(&mut self, links: &Links, settings: &mut LabSettings) {
        for link in links.values() {
            let Some((rules, held)) = link.held() else { continue };
            if rules > self.set.version() {
                self.hear(link.ask(Question::Rules));
            } else if rules < self.set.version() {
                self.hear(link.ask(Question::TakeRules { set: self.now(), change: None }));
                link.is_told((self.set.version(), held));
            }
            if held > self.settings {
                self.hear_settings(link.ask(Question::Settings), settings);
            } else if held < self.settings {
                let newest = VersionedSettings { version: self.settings, settings: settings.now.clone() };
                self.hear_settings(link.ask(Question::Configure(newest)), settings);
                link.is_told((self.set.version(), self.settings));
            }
        }
    }

    /// Changes the newest rules, and gives them to all nodes. Says what that did, and which nodes were not told.
    pub fn change_rules(
        &mut self,
        links: &Links,
        change: &NetChange,
        lasting: Option<Lasting>,
    ) -> Result<String, LabError> {
        let end = lasting.map(|lasting| (self.own(lasting.end), lasting.time));
        for _ in 0..ATTEMPTS {
            let before = self.rules();
            let mut faults = self.faults.clone();
            let said = faults.apply(change).map_err(|error| LabError::new(error.to_string()))?;
            let next = self.now().changed(self.author, before, change, end);
            let shown = lasting.map_or(change.to_string(), |lasting| {
                format!("{change} for {}", duration_text(lasting.time))
            });
            if let Some(not_told) = self.give(links, &next, &shown)? {
                let parts = [said, not_told].into_iter().filter(|part| !part.is_empty());
                return Ok(parts.collect::<Vec<_>>().join("; "));
            }
        }
        Err(LabError::new("other consoles change the rules at the same time").advising("try again"))
    }

    /// Ends a change of this console before its time; at its time the processes do. Whether the rules are others without it.
    pub fn end_change(&mut self, links: &Links, end: EndId) -> Result<bool, LabError> {
        let end = self.own(end);
        for _ in 0..ATTEMPTS {
            let nodes = self.nodes();
            if !self.now().has(end) {
                let without = self.set.ended(self.author, &nodes, end);
                return Ok(without.rules(&nodes) != self.set.rules(&nodes));
            }
            let next = self.now().ended(self.author, &nodes, end);
            if self.give(links, &next, "a fault ends before its time")?.is_some() {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Gives the settings to all nodes, under a new version.
    pub fn configure(&mut self, links: &Links, settings: &mut LabSettings) -> Result<(), LabError> {
        let version = self.settings.next(self.author);
        let new = VersionedSettings { version, settings: settings.now.clone() };
        let replies = Replies::of(links.iter(), &Question::Configure(new));
        replies.told()?;
        let newer = replies.answers.iter().find(|(_, answer)| matches!(answer, Answer::Settings(_)));
        if let Some((_, newer)) = newer {
            self.hear_settings(Ok(newer.clone()), settings);
            let what = "another console has changed the settings at the same time";
            return Err(LabError::new(what).advising("'set' shows them; say it again"));
        }
        self.settings = version;
        self.note_told(links, &replies);
        Ok(())
    }

    /// Gives a set to all nodes: first to one, which shows whether another console was faster. Then nothing has changed, and the
    /// newer set is known; otherwise which nodes were not told.
    fn give(&mut self, links: &Links, set: &RuleSet, change: &str) -> Result<Option<String>, LabError> {
        let question = Question::TakeRules { set: set.clone(), change: Some(change.to_string()) };
        let mut replies = Replies::default();
        let mut left = links.iter();
        for (node, link) in left.by_ref() {
            let answer = link.ask(question.clone());
            let is_told = answer.is_ok();
            replies.note(*node, answer);
            if is_told {
                break;
            }
        }
        if !self.hear_newer(&replies) {
            let others = Replies::of(left, &question);
            replies.answers.extend(others.answers);
            replies.failed.extend(others.failed);
        }
        let not_told = replies.told()?;
        if self.hear_newer(&replies) {
            return Ok(None);
        }
        self.hold(set.clone());
        self.note_told(links, &replies);
        Ok(Some(not_told.unwrap_or_default()))
    }

    /// These have answered: they hold what this console does.
    fn note_told(&self, links: &Links, replies: &Replies) {
        for (node, _) in &replies.answers {
            if let Some(link) = links.get(node) {
                link.is_told((self.set.version(), self.settings));
            }
        }
    }

    fn hear_newer(&mut self, replies: &Replies) -> bool {
        let before = self.set.version();
        let newer = replies.answers.iter().filter(|(_, answer)| matches!(answer, Answer::Rules(_)));
        let newer: Vec<Answer> = newer.map(|(_, answer)| answer.clone()).collect();
        let is_any = !newer.is_empty();
        for answer in newer {
            self.hear(Ok(answer));
        }
        is_any || before != self.set.version()
    }

    fn hear(&mut self, answer: Result<Answer, LabError>) {
        if let Ok(Answer::Rules(set)) = answer
            && set.version() > self.set.version()
        {
            self.hold(set);
        }
    }

    fn hear_settings(&mut self, answer: Result<Answer, LabError>, settings: &mut LabSettings) {
        if let Ok(Answer::Settings(newer)) = answer
            && newer.version > self.settings
            && settings.change(newer.settings).is_ok()
        {
            self.settings = newer.version;
        }
    }

    fn hold(&mut self, set: RuleSet) {
        (self.set, self.since) = (set, Instant::now());
    }

    /// The set as it is now: what has ended is gone.
    fn now(&self) -> RuleSet {
        self.set.clone().aged(self.since.elapsed(), &self.nodes())
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.faults.ends().iter().filter_map(|end| end.node()).collect()
    }

    /// The name of an end among those of all consoles.
    fn own(&self, end: EndId) -> EndId {
        self.author.wrapping_add(end)
    }
}
