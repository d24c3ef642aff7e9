//! What `wait` waits for and `expect` demands.
//!
//! A number in a condition is reached with `wait` (at least that) and met with `expect` (exactly that): terms and
//! commit indexes may jump over a number that somebody waits for.

use std::fmt;

use super::arguments::Arguments;
use super::directive::Target;
use super::parse::ParseError;
use super::suggest::{advice, shorten};
use crate::quoting::word;
use crate::types::{LogIndex, NodeId, Term};

/// Something that holds or does not hold for the cluster at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// `leader [n2]`: a running node leads the newest term and a majority of all nodes, reached over links that
    /// are not cut, follows it; and it is this one.
    Leader {
        /// The one node.
        node: Option<NodeId>,
    },
    /// `no-leader`: the condition `leader` does not hold.
    NoLeader,
    /// `stable`: there is a leader, every running node that it reaches follows it, and its own term's first
    /// entry is committed.
    Stable,
    /// `converged`: there is a leader, and every running node has its last, commit and applied index and holds
    /// the same keys and values.
    Converged,
    /// `commit [n2] N`: this node's commit index, or the highest one of any running node.
    Commit {
        /// The one node.
        node: Option<NodeId>,
        /// The commit index.
        index: LogIndex,
    },
    /// `term [n2] N`: this node's term, or the highest one of any running node.
    Term {
        /// The one node.
        node: Option<NodeId>,
        /// The term.
        term: Term,
    },
    /// `last n3 N`: the index of the last entry in the node's log.
    Last {
        /// Whose log.
        node: NodeId,
        /// The last index.
        index: LogIndex,
    },
    /// `applied n3 N`: the index up to which the node's state machine has come.
    Applied {
        /// Whose state machine.
        node: NodeId,
        /// The applied index.
        index: LogIndex,
    },
    /// `role n2 follower`: the node runs in this role.
    Role {
        /// Which node.
        node: NodeId,
        /// Its role.
        role: RoleName,
    },
    /// `up n2`: each of these nodes runs, paused or not.
    Up {
        /// Which nodes; never drawn at random.
        target: Target,
    },
    /// `down n2`: each of these nodes is crashed or stopped.
    Down {
        /// Which nodes; never drawn at random.
        target: Target,
    },
    /// `paused n2`: each of these nodes is paused.
    Paused {
        /// Which nodes; never drawn at random.
        target: Target,
    },
    /// `key x 5 [@n3]`: the key holds this value.
    Key {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// In this node's own state; none reads as `read` does.
        at: Option<NodeId>,
    },
    /// `no-key x [@n3]`: the key is absent.
    NoKey {
        /// The key.
        key: String,
        /// In this node's own state; none reads as `read` does.
        at: Option<NodeId>,
    },
}

/// What `expect` demands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expectation {
    /// Something about the cluster, now.
    Cluster(Condition),
    /// `ok`, `err` or `unknown [TEXT]`: how the directive before was answered, and a text in its answer.
    Answer {
        /// How its answer begins.
        kind: AnswerKind,
        /// What its answer contains.
        containing: Option<String>,
    },
}

/// How an answer begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerKind {
    /// It succeeded.
    Ok,
    /// It was refused or failed.
    Err,
    /// Whether it happened is not known.
    Unknown,
}

/// A node's role, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoleName {
    /// Follows, or looks for a leader to follow.
    Follower,
    /// Asks who would vote for it (9.6).
    PreCandidate,
    /// Campaigns (5.2).
    Candidate,
    /// Leads.
    Leader,
}

/// A condition's form and meaning, for help and completion.
pub struct ConditionForm {
    /// How it is written; the first word names it.
    pub usage: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whether only `expect` knows it.
    pub expect_only: bool,
}

/// Every condition.
pub const CONDITIONS: &[ConditionForm] = &[
    form("leader [NODE]", "a leader (this one) that a reachable majority follows"),
    form("no-leader", "there is no such leader"),
    form("stable", "all that the leader reaches follow it; it has committed"),
    form("converged", "every running node holds the same log, commits and keys"),
    form("commit [NODE] N", "the node's commit index, or the highest of all"),
    form("term [NODE] N", "the node's term, or the highest of all"),
    form("last NODE N", "the index of the last entry in the node's log"),
    form("applied NODE N", "how far the node's state machine has come"),
    form("role NODE ROLE", "follower, pre-candidate, candidate or leader"),
    form("up TARGET", "each of these nodes runs, paused or not"),
    form("down TARGET", "each of these nodes is crashed or stopped"),
    form("paused TARGET", "each of these nodes is paused"),
    form("key KEY VALUE [@NODE]", "the key holds this value (in the node's own state)"),
    form("no-key KEY [@NODE]", "the key is absent (in the node's own state)"),
    expect_form("ok [TEXT]", "expect only: the line before succeeded, saying TEXT"),
    expect_form("err [TEXT]", "expect only: the line before was refused or failed"),
    expect_form("unknown [TEXT]", "expect only: nobody knows whether it happened"),
];

/// Every role's name.
pub const ROLES: &[&str] = &["follower", "pre-candidate", "candidate", "leader"];

const fn form(usage: &'static str, meaning: &'static str) -> ConditionForm {
    ConditionForm { usage, meaning, expect_only: false }
}

const fn expect_form(usage: &'static str, meaning: &'static str) -> ConditionForm {
    ConditionForm { usage, meaning, expect_only: true }
}

impl ConditionForm {
    /// The word that names it.
    pub fn name(&self) -> &'static str {
        self.usage.split(' ').next().unwrap_or(self.usage)
    }
}

impl Condition {
    /// Reads a condition from a directive's arguments, up to where a duration may follow.
    pub(super) fn parse(arguments: &mut Arguments) -> Result<Condition, ParseError> {
        let at = arguments.at()?;
        let name = arguments.word("CONDITION")?.to_lowercase();
        if at.is_some() && !matches!(name.as_str(), "key" | "no-key") {
            return Err(ParseError::new(format!(
                "'@NODE' belongs to key and no-key, not to {}",
                shorten(&name)
            )));
        }
        match name.as_str() {
            "leader" => Ok(Condition::Leader { node: arguments.node_if_any() }),
            "no-leader" => Ok(Condition::NoLeader),
            "stable" => Ok(Condition::Stable),
            "converged" => Ok(Condition::Converged),
            "commit" => {
                let node = arguments.node_if_any();
                Ok(Condition::Commit { node, index: LogIndex(arguments.number("N")?) })
            }
            "term" => {
                let node = arguments.node_if_any();
                Ok(Condition::Term { node, term: Term(arguments.number("N")?) })
            }
            "last" => {
                let node = arguments.node("NODE")?;
                Ok(Condition::Last { node, index: LogIndex(arguments.number("N")?) })
            }
            "applied" => {
                let node = arguments.node("NODE")?;
                Ok(Condition::Applied { node, index: LogIndex(arguments.number("N")?) })
            }
            "role" => {
                let node = arguments.node("NODE")?;
                Ok(Condition::Role { node, role: RoleName::parse(&arguments.word("ROLE")?)? })
            }
            "up" => Ok(Condition::Up { target: arguments.certain_target()? }),
            "down" => Ok(Condition::Down { target: arguments.certain_target()? }),
            "paused" => Ok(Condition::Paused { target: arguments.certain_target()? }),
            "key" => {
                let key = arguments.key()?;
                Ok(Condition::Key { key, value: arguments.word("VALUE")?, at })
            }
            "no-key" => Ok(Condition::NoKey { key: arguments.key()?, at }),
            _ => Err(unknown(&name, arguments.verb() == "expect")),
        }
    }
}

impl Expectation {
    /// Reads what `expect` demands.
    pub(super) fn parse(arguments: &mut Arguments) -> Result<Expectation, ParseError> {
        let kind = match arguments.peek().map(str::to_lowercase).as_deref() {
            Some("ok") => AnswerKind::Ok,
            Some("err") => AnswerKind::Err,
            Some("unknown") => AnswerKind::Unknown,
            _ => return Condition::parse(arguments).map(Expectation::Cluster),
        };
        if arguments.at()?.is_some() {
            return Err(ParseError::new(
                "'@NODE' belongs to key and no-key; put quotes around a text with @",
            ));
        }
        arguments.word("CONDITION")?;
        let text = arguments.rest();
        Ok(Expectation::Answer { kind, containing: (!text.is_empty()).then_some(text) })
    }
}

impl RoleName {
    fn parse(text: &str) -> Result<RoleName, ParseError> {
        match text.to_lowercase().as_str() {
            "follower" => Ok(RoleName::Follower),
            "pre-candidate" => Ok(RoleName::PreCandidate),
            "candidate" => Ok(RoleName::Candidate),
            "leader" => Ok(RoleName::Leader),
            _ => {
                let advice = advice(text, &ROLES.iter().copied(), &format!("one of {}", ROLES.join(", ")));
                Err(ParseError::new(format!("unknown role '{}'{advice}", shorten(text))))
            }
        }
    }
}

fn unknown(name: &str, expected: bool) -> ParseError {
    let known = CONDITIONS.iter().filter(|form| expected || !form.expect_only).map(ConditionForm::name);
    let misplaced = CONDITIONS.iter().any(|form| form.expect_only && form.name() == name);
    if misplaced {
        return ParseError::new(format!("'{name}' is about the answer before: use 'expect {name}'"));
    }
    let advice = advice(name, &known, "try 'help conditions'");
    ParseError::new(format!("unknown condition '{}'{advice}", shorten(name)))
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |f: &mut fmt::Formatter<'_>, name: &str, node: &Option<NodeId>| match node {
            Some(node) => write!(f, "{name} {node}"),
            None => f.write_str(name),
        };
        let placed = |f: &mut fmt::Formatter<'_>, at: &Option<NodeId>| match at {
            Some(node) => write!(f, " @{node}"),
            None => Ok(()),
        };
        match self {
            Condition::Leader { node } => named(f, "leader", node),
            Condition::NoLeader => f.write_str("no-leader"),
            Condition::Stable => f.write_str("stable"),
            Condition::Converged => f.write_str("converged"),
            Condition::Commit { node, index } => {
                named(f, "commit", node)?;
                write!(f, " {index}")
            }
            Condition::Term { node, term } => {
                named(f, "term", node)?;
                write!(f, " {term}")
            }
            Condition::Last { node, index } => write!(f, "last {node} {index}"),
            Condition::Applied { node, index } => write!(f, "applied {node} {index}"),
            Condition::Role { node, role } => write!(f, "role {node} {role}"),
            Condition::Up { target } => write!(f, "up {target}"),
            Condition::Down { target } => write!(f, "down {target}"),
            Condition::Paused { target } => write!(f, "paused {target}"),
            Condition::Key { key, value, at } => {
                write!(f, "key {} {}", word(key), word(value))?;
                placed(f, at)
            }
            Condition::NoKey { key, at } => {
                write!(f, "no-key {}", word(key))?;
                placed(f, at)
            }
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Cluster(condition) => condition.fmt(f),
            Expectation::Answer { kind, containing: None } => kind.fmt(f),
            Expectation::Answer { kind, containing: Some(text) } => {
                write!(f, "{kind} {}", super::display::text(text))
            }
        }
    }
}

impl fmt::Display for AnswerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AnswerKind::Ok => "ok",
            AnswerKind::Err => "err",
            AnswerKind::Unknown => "unknown",
        })
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RoleName::Follower => "follower",
            RoleName::PreCandidate => "pre-candidate",
            RoleName::Candidate => "candidate",
            RoleName::Leader => "leader",
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::console::language::parse;

    #[test]
    fn every_condition_is_read_and_shown_alike() {
        for line in [
            "wait leader",
            "wait leader n2 5s",
            "wait no-leader",
            "wait stable 1.5s",
            "wait converged",
            "wait commit 7",
            "wait commit n2 7 2s",
            "wait term 4",
            "wait key x 5s 2s",
            "expect leader n1",
            "expect term n3 4",
            "expect last n3 5",
            "expect applied n3 5",
            "expect role n2 pre-candidate",
            "expect up n1,n3",
            "expect down all",
            "expect paused followers",
            "expect key x \"\"",
            "expect key x 1 @n3",
            "expect no-key x @n3",
            "expect ok",
            "expect err already running",
            "expect unknown",
        ] {
            let parsed = parse(line).unwrap().unwrap();
            assert_eq!(parsed.to_string(), line);
        }
    }

    #[test]
    fn a_wrong_condition_says_what_to_do() {
        let error = |line: &str| parse(line).unwrap_err().to_string();
        assert_eq!(error("wait ledaer"), "unknown condition 'ledaer': did you mean 'leader'?");
        assert_eq!(error("wait xyzzy"), "unknown condition 'xyzzy': try 'help conditions'");
        assert_eq!(error("wait ok"), "'ok' is about the answer before: use 'expect ok'");
        assert_eq!(
            error("expect role n1 boss"),
            "unknown role 'boss': one of follower, pre-candidate, candidate, leader"
        );
        assert!(error("expect up random").contains("the same nodes each time"));
        assert!(error("expect term four").contains("'four' is not a number"));
        assert!(error("expect term 4 @n1").contains("belongs to key and no-key"));
        assert!(error("wait leader n2 5s 6s").starts_with("unexpected '6s'"));
    }
}
