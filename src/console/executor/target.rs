//! From a target's word to nodes, at the moment at which the directive runs.
//!
//! What a person names is taken at their word: `crash n2` of a node that is down is an error. A word that stands for
//! nodes means those for which the directive makes sense: `restart all` starts the nodes that are down.

use super::Console;
use super::picture::{Picture, is_paused, is_running};
use super::slots::TARGET;
use crate::console::language::{Directive, Target};
use crate::lab::{Life, NodeView};
use crate::text::nodes::no_such_node;
use crate::types::{NodeId, Random};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// Those that run, paused or not.
    Running,
    /// Those that run and are not paused.
    Awake,
    Paused,
    Down,
    Any,
}

impl Fit {
    fn holds(self, view: &NodeView) -> bool {
        match self {
            Fit::Running => is_running(view),
            Fit::Awake => view.life == Life::Up,
            Fit::Paused => is_paused(view),
            Fit::Down => matches!(view.life, Life::Down(_)),
            Fit::Any => true,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Fit::Running | Fit::Awake => "runs",
            Fit::Paused => "is paused",
            Fit::Down => "is down",
            Fit::Any => "is there",
        }
    }
}

impl Console {
    /// The nodes that a directive is about; every fitting one if it names none.
    pub(super) fn targeted(&mut self, line: &Directive, fit: Fit) -> Result<Vec<NodeId>, String> {
        let target = line.get(&TARGET).unwrap_or(&Target::All);
        resolve(target, fit, &self.picture(), &mut self.course.random)
    }

    /// The one node that a target means, if there is a target.
    pub(super) fn one_node(&mut self, target: Option<&Target>) -> Result<Option<NodeId>, String> {
        let resolved =
            target.map(|target| resolve(target, Fit::Any, &self.picture(), &mut self.course.random));
        Ok(resolved.transpose()?.and_then(|nodes| nodes.first().copied()))
    }
}

/// The nodes that are meant, in order; never none.
pub(super) fn resolve(
    target: &Target,
    fit: Fit,
    picture: &Picture,
    random: &mut Random,
) -> Result<Vec<NodeId>, String> {
    let fitting: Vec<NodeId> =
        picture.nodes().iter().filter(|(_, view)| fit.holds(view)).map(|(node, _)| *node).collect();
    let nothing = || format!("nothing to do: no node {}", fit.word());
    let chosen = match target {
        Target::Nodes(nodes) => {
            let unknown = nodes.iter().find(|node| picture.view(**node).is_none());
            return unknown.map_or(Ok(nodes.clone()), |node| Err(no_such_node(*node, &picture.names())));
        }
        Target::Leader => {
            let leader = picture.leader().or(picture.leading());
            return leader.map(|node| vec![node]).ok_or_else(|| {
                format!("there is no leader ({}): 'wait leader' waits for one", picture.why_no_leader())
            });
        }
        Target::Followers => {
            let leader = picture.leader().or(picture.leading());
            fitting.into_iter().filter(|node| Some(*node) != leader).collect()
        }
        Target::All => fitting,
        Target::Random => draw(fitting, 1, random),
        Target::Minority => draw(fitting, (picture.count() - 1) / 2, random),
        Target::Majority => draw(fitting, picture.quorum(), random),
    };
    match (chosen.is_empty(), target) {
        (false, _) => Ok(chosen),
        (true, Target::Minority) if picture.count() < 3 => {
            Err(format!("{} of {0} nodes are no minority: it takes 3 nodes or more", picture.count()))
        }
        (true, _) => Err(nothing()),
    }
}

/// This many of them, in order; all when there are no more.
pub(super) fn draw(mut from: Vec<NodeId>, count: usize, random: &mut Random) -> Vec<NodeId> {
    while from.len() > count {
        let at = random.below(from.len() as u64);
        from.remove(usize::try_from(at).expect("below a length in memory"));
    }
    from
}
