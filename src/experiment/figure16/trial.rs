//! One trial: a leader whose followers' logs all differ in length crashes, and the time runs until another leads.

use std::time::Duration;

use crate::client::{Ask, Outcome, What};
use crate::console::session::Ending;
use crate::faults::{End, LinkScope, NetChange};
use crate::lab::{Lab, LabError, Life, NodeOrder};
use crate::server::RoleName;
use crate::state_machine::kv::Command;
use crate::types::{NodeId, Random, Term};

/// How often a trial is prepared again because another leader was elected meanwhile.
const ATTEMPTS: usize = 200;

/// How long an election, and a command, may take while a trial is prepared.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a command may take that cannot be committed: long enough to reach the one follower that gets it.
const IN_VAIN: Duration = Duration::from_millis(40);

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TrialError {
    /// No leader stayed long enough to be crashed.
    #[error("no leader stays long enough to be crashed")]
    Unsteady,
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Rejected(#[from] LabError),
}

impl TrialError {
    /// The exit code of a program that ends with it.
    pub fn code(&self) -> u8 {
        match self {
            TrialError::Unsteady => 3,
            TrialError::Interrupted => Ending::Interrupted.code(),
            TrialError::Rejected(_) => 1,
        }
    }
}

/// Crashes a leader and waits until another leads: how long that took, or none if it took longer than the limit. All
/// nodes run at the beginning; the leader is down at the end, and the network as it was then.
///
/// # Errors
/// See [`TrialError`].
pub fn replace_leader<L: Lab>(
    lab: &mut L,
    heartbeat: Duration,
    limit: Duration,
    random: &mut Random,
) -> Result<Option<Duration>, TrialError> {
    let names = lab.nodes();
    let first = *random.pick(&names).expect("a cluster has nodes");
    lab.order(first, NodeOrder::Campaign)?;
    for _ in 0..ATTEMPTS {
        let Some((leader, term)) = await_leader(lab)? else { continue };
        let mut followers: Vec<NodeId> = names.iter().copied().filter(|name| *name != leader).collect();
        shuffle(&mut followers, random);
        if !spread_logs(lab, leader, &followers)? {
            continue;
        }
        // Every follower hears a heartbeat; then comes a moment within the next interval.
        let until = lab.now() + 2 * heartbeat + random.duration(Duration::ZERO, heartbeat);
        while lab.now() < until {
            heed(lab)?;
            lab.wait(until);
        }
        if !is_ready(lab, leader, term) {
            continue;
        }
        lab.order(leader, NodeOrder::Crash)?;
        return await_successor(lab, term, limit);
    }
    Err(TrialError::Unsteady)
}

fn heed<L: Lab>(lab: &L) -> Result<(), TrialError> {
    if lab.interrupted() { Err(TrialError::Interrupted) } else { Ok(()) }
}

fn shuffle(names: &mut [NodeId], random: &mut Random) {
    for last in (1..names.len()).rev() {
        let other = random.below(last as u64 + 1);
        names.swap(last, usize::try_from(other).expect("below a length in memory"));
    }
}

/// A leader that all others follow, with logs as long as its own.
fn await_leader<L: Lab>(lab: &mut L) -> Result<Option<(NodeId, Term)>, TrialError> {
    lab.change_network(&NetChange::Reset)?;
    let until = lab.now() + PATIENCE;
    while lab.now() < until {
        heed(lab)?;
        if let Some((leader, term)) = leading(lab, Term(0))
            && follow(lab, leader, term)
        {
            let last = lab.view(leader).status.last;
            if lab.nodes().iter().all(|node| lab.view(*node).status.last == last) {
                return Ok(Some((leader, term)));
            }
        }
        lab.wait(until);
    }
    Ok(None)
}

/// Gives each follower a log of another length: the first has all entries, the last the fewest. Messages to it are lost
/// while the others get the next entry; then it hears the leader again, but cannot tell it what it lacks.
fn spread_logs<L: Lab>(lab: &mut L, leader: NodeId, followers: &[NodeId]) -> Result<bool, TrialError> {
    if !put(lab, leader, PATIENCE)? {
        return Ok(false);
    }
    let quorum = lab.nodes().len() / 2 + 1;
    for (place, follower) in followers.iter().enumerate().skip(1).rev() {
        lab.change_network(&NetChange::Cut(both(leader, *follower)))?;
        lab.order(*follower, NodeOrder::SetElectionTimer(2 * PATIENCE))?;
        // The leader and the followers before this one hold the entry.
        let held = place + 1;
        if held >= quorum {
            if !put(lab, leader, PATIENCE)? {
                return Ok(false);
            }
        } else {
            put(lab, leader, IN_VAIN)?;
        }
    }
    for follower in &followers[1..] {
        let (from, to) = (End::Node(leader), End::Node(*follower));
        lab.change_network(&NetChange::Heal(LinkScope::OneWay(from, to)))?;
    }
    Ok(true)
}

fn both(one: NodeId, other: NodeId) -> LinkScope {
    LinkScope::Both(End::Node(one), End::Node(other))
}

fn put<L: Lab>(lab: &mut L, leader: NodeId, timeout: Duration) -> Result<bool, TrialError> {
    heed(lab)?;
    let what = What::commands([Command::put("leader", leader.to_string())]);
    let ended = lab.ask(vec![Ask { what, at: Some(leader), timeout }]);
    Ok(ended.iter().all(|ended| matches!(ended.outcome, Outcome::Answered(_))))
}

/// Whether the leader still leads this term, and its followers' logs are all of different lengths.
fn is_ready<L: Lab>(lab: &mut L, leader: NodeId, term: Term) -> bool {
    let mut lengths: Vec<u64> = lab.nodes().iter().map(|node| lab.view(*node).status.last.index.0).collect();
    lengths.sort_unstable();
    // The leader's own log is as long as the longest of the others.
    lengths.pop();
    let differ = lengths.windows(2).all(|pair| pair[0] < pair[1]);
    differ && leading(lab, Term(0)) == Some((leader, term)) && follow(lab, leader, term)
}

/// The leader of the newest term above this one.
fn leading<L: Lab>(lab: &mut L, above: Term) -> Option<(NodeId, Term)> {
    let views = lab.nodes().into_iter().map(|node| (node, lab.view(node)));
    let leaders = views.filter(|(_, view)| view.life == Life::Up && view.status.role == RoleName::Leader);
    let newest = leaders.map(|(node, view)| (view.status.term, node)).max();
    newest.filter(|(term, _)| *term > above).map(|(term, node)| (node, term))
}

/// Whether all follow this leader in this term.
fn follow<L: Lab>(lab: &mut L, leader: NodeId, term: Term) -> bool {
    let names = lab.nodes();
    names.into_iter().all(|node| {
        let view = lab.view(node);
        let follows = node == leader || view.status.leader == Some(leader);
        view.life == Life::Up && view.status.term == term && follows
    })
}

fn await_successor<L: Lab>(lab: &mut L, term: Term, limit: Duration) -> Result<Option<Duration>, TrialError> {
    let crashed = lab.now();
    let until = crashed + limit;
    loop {
        if leading(lab, term).is_some() {
            return Ok(Some(lab.now().since(crashed)));
        }
        if lab.now() >= until {
            return Ok(None);
        }
        heed(lab)?;
        lab.wait(until);
    }
}
