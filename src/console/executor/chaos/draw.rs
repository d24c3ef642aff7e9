//! Draws one fault that the situation allows, as the directive that makes it.
//!
//! Pure. A fault that takes nodes takes no more than there are to spare, and one of a kind is in force at a time where
//! two would end one another's rules.

use std::fmt;
use std::mem::discriminant;
use std::time::Duration;

use crate::faults::{LinkScope, NetChange};
use crate::text::joined;
use crate::text::units::duration_text;
use crate::types::{NodeId, Random};

/// The kinds of faults, by the names of their directives.
pub(in super::super) const KINDS: [&str; 13] = [
    "crash",
    "power-cut",
    "pause",
    "isolate",
    "partition",
    "cut",
    "drop",
    "delay",
    "duplicate",
    "reorder",
    "slow-disk",
    "stall-disk",
    "skew-clock",
];

/// What a draw goes by.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub nodes: Vec<NodeId>,
    /// The nodes that run, have a vote, and reach one another.
    pub healthy: Vec<NodeId>,
    /// How many of them may be taken.
    pub spare: usize,
    pub rules: Vec<NetChange>,
    /// The shortest and the longest election timeout: what is long and what is short.
    pub election: (Duration, Duration),
}

/// A fault and how long it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Draw {
    fault: String,
    joint: &'static str,
    pub span: Duration,
    /// The node whose disk it stalls: no rule shows that.
    pub stalled: Option<NodeId>,
}

impl fmt::Display for Draw {
    /// The directive.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.fault, self.joint, duration_text(self.span))
    }
}

/// One of these kinds of faults; none when none of them can be made now.
pub(super) fn draw(
    random: &mut Random,
    kinds: &[&'static str],
    situation: &Situation,
    span: Duration,
) -> Option<Draw> {
    let mut left = kinds.to_vec();
    while !left.is_empty() {
        let kind = left.remove(below(random, left.len()));
        if let Some(fault) = situation.fault(kind, random) {
            return Some(Draw { fault, joint: "for ", span, stalled: None });
        }
        if kind == "stall-disk"
            && let Some(node) = situation.victim(random)
        {
            let fault = format!("stall-disk {node}");
            return Some(Draw { fault, joint: "", span, stalled: Some(node) });
        }
    }
    None
}

impl Situation {
    /// A fault of this kind that lasts for a time, without the time.
    fn fault(&self, kind: &str, random: &mut Random) -> Option<String> {
        let any = |random: &mut Random| random.pick(&self.nodes).copied();
        let (shortest, longest) = self.election;
        Some(match kind {
            "crash" | "pause" | "isolate" => format!("{kind} {}", self.victim(random)?),
            "power-cut" => format!("crash {} --power", self.victim(random)?),
            "partition" => self.partition(random)?,
            "cut" => self.cut(random)?,
            "drop" => self.at_random(random, kind, 20)?,
            "duplicate" | "reorder" => self.at_random(random, kind, 30)?,
            "delay" if !self.has(&delay()) => {
                let (delay, jitter) = (millis(random, shortest / 10), millis(random, shortest / 10));
                format!(
                    "delay {} jitter {}{}",
                    duration_text(delay),
                    duration_text(jitter),
                    self.link(random)
                )
            }
            "slow-disk" => {
                format!("slow-disk {} {}", any(random)?, duration_text(millis(random, shortest / 5)))
            }
            "skew-clock" => format!("skew-clock {} {}", any(random)?, duration_text(millis(random, longest))),
            _ => return None,
        })
    }

    fn victim(&self, random: &mut Random) -> Option<NodeId> {
        if self.spare == 0 { None } else { random.pick(&self.healthy).copied() }
    }

    /// Some nodes against all others.
    fn partition(&self, random: &mut Random) -> Option<String> {
        let most = self.spare.min(self.nodes.len() - 1);
        if most == 0 || self.has(&partition()) || self.has(&cut()) {
            return None;
        }
        let count = 1 + below(random, most);
        let mut few = self.healthy.clone();
        while few.len() > count {
            few.remove(below(random, few.len()));
        }
        let many: Vec<NodeId> = self.nodes.iter().copied().filter(|node| !few.contains(node)).collect();
        Some(format!("partition {} / {}", joined(&few, " "), joined(&many, " ")))
    }

    /// A link of a node that may be taken: the link's two ends no longer reach one another.
    fn cut(&self, random: &mut Random) -> Option<String> {
        if self.has(&cut()) || self.has(&partition()) {
            return None;
        }
        let victim = self.victim(random)?;
        let others: Vec<NodeId> = self.nodes.iter().copied().filter(|node| *node != victim).collect();
        let other = random.pick(&others)?;
        Some(match random.below(3) {
            0 => format!("cut {victim}>{other}"),
            1 => format!("cut {other}>{victim}"),
            _ => format!("cut {victim}<>{other}"),
        })
    }

    fn at_random(&self, random: &mut Random, kind: &str, percent_max: u64) -> Option<String> {
        let scope = LinkScope::All;
        let rule = match kind {
            "drop" => NetChange::Drop { per_million: 0, scope },
            "duplicate" => NetChange::Duplicate { per_million: 0, scope },
            _ => NetChange::Reorder { per_million: 0, scope },
        };
        let percent = random.within(1, percent_max);
        (!self.has(&rule)).then(|| format!("{kind} {percent}%{}", self.link(random)))
    }

    /// Every link, the clients' or one between two nodes.
    fn link(&self, random: &mut Random) -> String {
        let one = below(random, self.nodes.len());
        match (random.below(3), self.nodes.len()) {
            (0, 2..) => {
                let other = (one + 1 + below(random, self.nodes.len() - 1)) % self.nodes.len();
                format!(" {}<>{}", self.nodes[one], self.nodes[other])
            }
            (1, _) => " clients".to_string(),
            _ => String::new(),
        }
    }

    /// Whether a rule of this one's kind is in force.
    fn has(&self, rule: &NetChange) -> bool {
        self.rules.iter().any(|other| discriminant(other) == discriminant(rule))
    }
}

fn partition() -> NetChange {
    NetChange::Partition(Vec::new())
}

fn cut() -> NetChange {
    NetChange::Cut(LinkScope::All)
}

fn delay() -> NetChange {
    NetChange::Delay { delay: Duration::ZERO, jitter: Duration::ZERO, scope: LinkScope::All }
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).expect("below a length in memory")
}

/// Whole milliseconds, one at least and this at most.
fn millis(random: &mut Random, most: Duration) -> Duration {
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(random.within(1, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::executor::parse;

    const SPAN: Duration = Duration::from_millis(700);

    fn situation(nodes: u8, spare: usize) -> Situation {
        let nodes = NodeId::first(nodes);
        let election = (Duration::from_millis(150), Duration::from_millis(300));
        Situation { healthy: nodes.clone(), nodes, spare, rules: Vec::new(), election }
    }

    #[test]
    fn each_kind_is_drawn_and_is_a_directive_that_ends_by_itself() {
        let situation = situation(5, 2);
        for kind in KINDS {
            for seed in 0..20 {
                let drawn = draw(&mut Random::new(seed), &[kind], &situation, SPAN).expect(kind);
                let text = drawn.to_string();
                let line = parse(&text).expect(&text).expect("a directive");
                assert_eq!(line.to_string(), text, "in its own words");
                assert_eq!(line.lasting, (kind != "stall-disk").then_some(SPAN), "{text}");
            }
        }
    }

    #[test]
    fn with_no_node_to_spare_none_is_taken() {
        let situation = situation(3, 0);
        for seed in 0..200 {
            let drawn = draw(&mut Random::new(seed), &KINDS, &situation, SPAN).expect("links can be bad");
            let text = drawn.to_string();
            let verb = text.split(' ').next().unwrap_or_default();
            assert!(
                ["drop", "delay", "duplicate", "reorder", "slow-disk", "skew-clock"].contains(&verb),
                "{text}"
            );
        }
        let takers = ["crash", "power-cut", "pause", "isolate", "partition", "cut", "stall-disk"];
        assert_eq!(draw(&mut Random::new(1), &takers, &situation, SPAN), None);
    }

    #[test]
    fn a_partition_leaves_the_majority_together() {
        for seed in 0..100 {
            let drawn =
                draw(&mut Random::new(seed), &["partition"], &situation(5, 2), SPAN).expect("a partition");
            let sides = drawn.fault.strip_prefix("partition ").and_then(|sides| sides.split_once(" / "));
            let (few, many) = sides.expect("two sides");
            let (few, many) = (few.split(' ').count(), many.split(' ').count());
            assert!(few <= 2 && few + many == 5, "{}", drawn.fault);
        }
    }

    #[test]
    fn what_would_end_the_rule_of_another_waits_for_its_end() {
        let mut situation = situation(5, 2);
        situation.rules = vec![cut(), delay()];
        for kind in ["cut", "partition", "delay"] {
            assert_eq!(draw(&mut Random::new(1), &[kind], &situation, SPAN), None, "{kind}");
        }
    }
}
