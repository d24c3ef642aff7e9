//! The conditions of `wait` and `expect`: each a row, beside the function that judges it.
//!
//! A number in a condition is reached with `wait` (at least that) and met with `expect` (exactly that): terms and
//! commit indexes may jump over a number that is waited for.

use std::sync::Arc;

use super::Console;
use super::picture::{is_paused, is_running, life_word};
use super::rows::{Judge, Row, Way, condition};
use super::slots::{AT, IF_NODE, KEY, MEMBERS, NUMBER, ROLE, STEADY_TARGET, TEXT, THIS_NODE, VALUE};
use super::target::{Fit, resolve};
use crate::console::language::{Answer, Condition, Form, Outcome, Slot, Target, Topic, Value, form};
use crate::lab::{Life, NodeView};
use crate::quoting::{ANSWER_LETTERS, pair, word};
use crate::raft::membership::configuration::Configuration;
use crate::text::nodes::no_such_node;
use crate::types::NodeId;

/// Every condition, in the order of the help.
pub(super) const CONDITIONS: &[Row<Judge>] = &[
    condition(
        about("leader", &[IF_NODE], "a leader (this one) that a reachable majority follows"),
        Console::judge_leader,
    ),
    condition(about("no-leader", &[], "there is no such leader"), Console::judge_no_leader),
    condition(
        about("stable", &[], "all that the leader reaches follow it; it has committed"),
        Console::judge_stable,
    ),
    condition(
        about("converged", &[], "the members that run hold the same log, commits, keys"),
        Console::judge_converged,
    ),
    condition(
        about("commit", &[IF_NODE, NUMBER], "the node's commit index, or the highest of all"),
        |console, condition, way| console.judge_number(condition, way, |view| view.status.commit.0),
    ),
    condition(
        about("term", &[IF_NODE, NUMBER], "the node's term, or the highest of all"),
        |console, condition, way| console.judge_number(condition, way, |view| view.status.term.0),
    ),
    condition(
        about("last", &[THIS_NODE, NUMBER], "the index of the last entry in the node's log"),
        |console, condition, way| console.judge_number(condition, way, |view| view.status.last.index.0),
    ),
    condition(
        about("applied", &[THIS_NODE, NUMBER], "how far the node's state machine has come"),
        |console, condition, way| console.judge_number(condition, way, |view| view.status.applied.0),
    ),
    condition(
        about("role", &[THIS_NODE, ROLE], "follower, pre-candidate, candidate or leader"),
        Console::judge_role,
    ),
    condition(
        about("up", &[STEADY_TARGET], "each of these nodes runs, paused or not"),
        |console, condition, _| console.judge_nodes(condition, is_running),
    ),
    condition(
        about("down", &[STEADY_TARGET], "each of these nodes is crashed or stopped"),
        |console, condition, _| console.judge_nodes(condition, |view| matches!(view.life, Life::Down(_))),
    ),
    condition(about("paused", &[STEADY_TARGET], "each of these nodes is paused"), |console, condition, _| {
        console.judge_nodes(condition, is_paused)
    }),
    condition(
        about("key", &[KEY, VALUE, AT], "the key holds this value (in the node's own state)"),
        Console::judge_key,
    ),
    condition(about("no-key", &[KEY, AT], "the key is absent (in the node's own state)"), Console::judge_key),
    condition(
        about("members", &[MEMBERS], "these nodes, and no others, vote; that is committed"),
        Console::judge_members,
    ),
    condition(answer("ok", "the line before succeeded, saying TEXT"), Console::judge_answer),
    condition(answer("err", "the line before was refused or failed"), Console::judge_answer),
    condition(answer("unknown", "it is not known whether it happened"), Console::judge_answer),
];

const fn about(name: &'static str, slots: &'static [Slot], meaning: &'static str) -> Form {
    form(name, Topic::Condition, slots).does(meaning, "")
}

const fn answer(name: &'static str, meaning: &'static str) -> Form {
    form(name, Topic::Answer, &[TEXT]).does(meaning, "")
}

pub(super) fn judge_of(condition: &Condition) -> Judge {
    CONDITIONS.iter().find(|row| row.form.name == condition.name()).expect("it was read by a form").run
}

impl Console {
    /// Whether all nodes that a condition names exist.
    pub(super) fn check_names(&mut self, condition: &Condition) -> Result<(), String> {
        let picture = self.picture();
        let mut named = condition.values().flat_map(|value| match value {
            Value::Node(node) => vec![*node],
            Value::Target(Target::Nodes(nodes)) => nodes.clone(),
            _ => Vec::new(),
        });
        let unknown = named.find(|node| picture.view(*node).is_none());
        unknown.map_or(Ok(()), |node| Err(no_such_node(node, &picture.names())))
    }

    fn judge_leader(&mut self, condition: &Condition, _: Way) -> Result<(), String> {
        let picture = self.picture();
        let leader = picture.leader().ok_or_else(|| picture.why_no_leader())?;
        match condition.get(&IF_NODE) {
            Some(wanted) if leader != *wanted => Err(leader.to_string()),
            _ => Ok(()),
        }
    }

    fn judge_no_leader(&mut self, _: &Condition, _: Way) -> Result<(), String> {
        self.picture().leader().map_or(Ok(()), |leader| Err(format!("leader {leader}")))
    }

    /// A number of one node, or the highest of all that run.
    fn judge_number(
        &mut self,
        condition: &Condition,
        way: Way,
        number: fn(&NodeView) -> u64,
    ) -> Result<(), String> {
        let picture = self.picture();
        let running = || picture.nodes().iter().map(|(_, view)| view).filter(|view| is_running(view));
        let got = match condition.get(&IF_NODE) {
            Some(node) => picture.view(*node).map_or(0, number),
            None => running().map(number).max().unwrap_or(0),
        };
        let wanted: u64 = *condition.need(&NUMBER);
        let holds = match way {
            Way::Reached { .. } => got >= wanted,
            Way::Exactly => got == wanted,
        };
        if holds { Ok(()) } else { Err(got.to_string()) }
    }

    fn judge_role(&mut self, condition: &Condition, _: Way) -> Result<(), String> {
        let picture = self.picture();
        let node = *condition.need(&THIS_NODE);
        let view = picture.view(node).ok_or_else(|| no_such_node(node, &picture.names()))?;
        let got = life(view, &view.status.role.to_string());
        if got == *condition.need::<&'static str>(&ROLE) { Ok(()) } else { Err(got) }
    }

    /// Whether each node of the target is so, or which one is not.
    fn judge_nodes(&mut self, condition: &Condition, is_so: fn(&NodeView) -> bool) -> Result<(), String> {
        let picture = self.picture();
        let nodes = resolve(condition.need(&STEADY_TARGET), Fit::Any, &picture, &mut self.course.random)?;
        let others = nodes.into_iter().filter_map(|node| {
            let view = picture.view(node)?;
            (!is_so(view)).then(|| format!("{node} {}", life(view, "up")))
        });
        let others: Vec<String> = others.collect();
        if others.is_empty() { Ok(()) } else { Err(others.join(", ")) }
    }

    fn judge_stable(&mut self, _: &Condition, _: Way) -> Result<(), String> {
        let picture = &self.picture();
        let leader = picture.leader().ok_or_else(|| picture.why_no_leader())?;
        let status = picture.view(leader).expect("the leader is one of the nodes").status;
        let members = self.members_of(leader)?;
        let astray =
            picture.nodes().iter().filter(|(node, _)| members.contains(*node)).find(|(node, view)| {
                let follows = view.status.term == status.term && view.status.leader == Some(leader);
                *node != leader && view.life == Life::Up && picture.connected(leader, *node) && !follows
            });
        if let Some((node, _)) = astray {
            return Err(format!("{node} does not follow {leader} yet"));
        }
        let log = self.lab.log(leader).map_err(|error| error.with_advice())?;
        // 5.4.2: what is committed is known only once an entry of the leader's own term is.
        let committed = match status.commit.0.checked_sub(log.base.index.0 + 1) {
            None => log.base.term,
            Some(at) => {
                usize::try_from(at).ok().and_then(|at| log.terms.get(at)).copied().unwrap_or_default()
            }
        };
        if committed == status.term {
            Ok(())
        } else {
            Err(format!("{leader} has committed nothing of term {} yet", status.term))
        }
    }

    fn judge_converged(&mut self, _: &Condition, _: Way) -> Result<(), String> {
        let picture = &self.picture();
        let leader = picture.leader().ok_or_else(|| picture.why_no_leader())?;
        let status = picture.view(leader).expect("the leader is one of the nodes").status;
        let members = self.members_of(leader)?;
        let nodes = || picture.nodes().iter().filter(|(node, _)| members.contains(*node));
        for (node, view) in nodes().filter(|(_, view)| is_running(view)) {
            let pairs = [
                ("last entry", view.status.last.index, status.last.index),
                ("commit index", view.status.commit, status.last.index),
                ("applied index", view.status.applied, status.last.index),
            ];
            if let Some((name, own, wanted)) = pairs.into_iter().find(|(_, own, wanted)| own != wanted) {
                return Err(format!("{node} with {name} {own}, the leader's last entry is {wanted}"));
            }
            if view.status.last.term != status.last.term {
                return Err(format!("{node} with another last entry than {leader}"));
            }
        }
        let expected = self.lab.items(leader).map_err(|error| error.with_advice())?;
        for (node, _) in nodes().filter(|(_, view)| view.life == Life::Up) {
            if self.lab.items(*node).map_err(|error| error.with_advice())? != expected {
                return Err(format!("{node} with other keys or values than {leader}: 'diff' shows them"));
            }
        }
        Ok(())
    }

    /// Whom this leader sends its log. Others that run need not hold it.
    fn members_of(&mut self, leader: NodeId) -> Result<Arc<Configuration>, String> {
        let view = self.lab.members_view(leader).map_err(|error| error.with_advice())?;
        Ok(view.newest.map_or_else(Arc::default, |newest| newest.configuration))
    }

    fn judge_key(&mut self, condition: &Condition, way: Way) -> Result<(), String> {
        let key: &String = condition.need(&KEY);
        let wanted: Option<&String> = condition.get(&VALUE);
        let at = self.one_node(condition.get(&AT))?;
        let picture = self.picture();
        let local = |console: &mut Self, node| {
            let items = console.lab.items(node).map_err(|error| error.with_advice())?;
            Ok::<_, String>(items.into_iter().find(|(known, _)| known == key).map(|(_, value)| value))
        };
        let compare = |found: Option<String>| match (found, wanted) {
            (found, wanted) if found.as_ref() == wanted => Ok(()),
            (Some(found), _) => Err(pair(key, &found, ANSWER_LETTERS)),
            (None, _) => Err(format!("no key {}", word(key))),
        };
        match (at, way) {
            (Some(node), _) => compare(local(self, node)?),
            (None, Way::Exactly) => {
                let timeout = self.context.client_timeout;
                compare(self.read(key, timeout)?)
            }
            (None, Way::Reached { deadline }) => {
                // The leader's state comes first: a read for each change would itself change something.
                let leader = picture.leader().ok_or_else(|| picture.why_no_leader())?;
                compare(local(self, leader)?)?;
                let timeout = self.context.client_timeout.min(deadline.since(self.lab.now()));
                compare(self.read(key, timeout)?)
            }
        }
    }

    /// How the answer before begins, and what it contains.
    fn judge_answer(&mut self, condition: &Condition, _: Way) -> Result<(), String> {
        let Some(last) = self.course.last.get() else {
            return Err("nothing: no directive came before".to_string());
        };
        let came = expected_of(last);
        let contained = condition.get::<String>(&TEXT).is_none_or(|text| last.text.contains(text));
        if came == condition.name() && contained {
            return Ok(());
        }
        Err(match last.text.lines().next() {
            None => format!("{came} without a word"),
            Some(line) => format!("\"{line}\""),
        })
    }
}

/// The condition that an answer meets: `expect unknown`.
pub(super) fn expected_of(answer: &Answer) -> &'static str {
    match answer.outcome {
        Outcome::Ok => "ok",
        Outcome::Unknown if answer.text.starts_with("UNKNOWN") => "unknown",
        Outcome::Refused | Outcome::Failed | Outcome::Unknown => "err",
    }
}

/// What a node is: this when it is up.
fn life(view: &NodeView, up: &str) -> String {
    match &view.life {
        Life::Up => up.to_string(),
        Life::Down(reason) => reason.clone(),
        Life::Paused | Life::Frozen(_) | Life::Silent(_) => life_word(view).to_string(),
    }
}
