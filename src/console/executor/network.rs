//! Orders to the network, and `net`: its rules and its numbers.

use std::time::Duration;

use serde_json::{Value, json};

use super::Console;
use super::target::{Fit, resolve};
use super::undo::{Undone, Work};
use crate::console::language::answer::Answer;
use crate::console::language::directive::{Directive, Link, LinkEnd, PartitionShape, Target};
use crate::console::language::layout::{Align, table};
use crate::faults::{End, LinkScope, NetChange, shapes};
use crate::lab::{DiskChange, Lab, NodeOrder};
use crate::types::NodeId;

impl<L: Lab> Console<L> {
    /// Carries out an order to the network; what lasts is undone when its time has come.
    pub(super) fn order_network(&mut self, directive: &Directive, lasting: Option<Duration>) -> Answer {
        let verb = directive.name();
        match directive {
            Directive::Partition(shape) => match self.groups(shape) {
                Ok(groups) => self.change(verb, NetChange::Partition(groups), lasting),
                Err(reason) => Answer::failed(verb, reason),
            },
            Directive::Heal { link } => {
                let answer = self.change(verb, NetChange::Heal(scope(*link)), None);
                if link.is_none() {
                    self.forget_undos(Undone::Separations);
                }
                answer
            }
            Directive::Reset => self.reset(),
            Directive::Isolate { target } => self.each_link(verb, target, lasting, NetChange::Isolate),
            Directive::Connect { target } => self.each_link(verb, target, None, NetChange::Connect),
            Directive::Cut { link } => self.change(verb, NetChange::Cut(scope(Some(*link))), lasting),
            Directive::Drop { chance, link } => {
                let change = NetChange::Drop { per_million: chance.per_million(), scope: scope(*link) };
                self.change(verb, change, lasting)
            }
            Directive::Duplicate { chance, link } => {
                let change = NetChange::Duplicate { per_million: chance.per_million(), scope: scope(*link) };
                self.change(verb, change, lasting)
            }
            Directive::Reorder { chance, link } => {
                let change = NetChange::Reorder { per_million: chance.per_million(), scope: scope(*link) };
                self.change(verb, change, lasting)
            }
            Directive::Delay { delay, jitter, link } => {
                let jitter = jitter.unwrap_or_default();
                let change = NetChange::Delay { delay: *delay, jitter, scope: scope(*link) };
                self.change(verb, change, lasting)
            }
            other => Answer::failed(verb, format!("'{other}' is no order to the network")),
        }
    }

    fn groups(&mut self, shape: &PartitionShape) -> Result<Vec<Vec<NodeId>>, String> {
        let nodes = self.lab.nodes();
        Ok(match shape {
            PartitionShape::Groups(groups) => groups.clone(),
            PartitionShape::Halves => shapes::halves(&nodes),
            PartitionShape::Minority => {
                let chosen = resolve(&Target::Random, Fit::Any, &self.picture(), &mut self.random)?;
                shapes::minority(&nodes, chosen[0])
            }
            PartitionShape::Bridge(node) => {
                resolve(&Target::Nodes(vec![*node]), Fit::Any, &self.picture(), &mut self.random)?;
                shapes::bridge(&nodes, *node)
            }
            PartitionShape::Ring => shapes::ring(&nodes),
        })
    }

    fn change(&mut self, verb: &'static str, change: NetChange, lasting: Option<Duration>) -> Answer {
        let before = self.lab.network_rules();
        match self.lab.change_network(&change) {
            Ok(said) => {
                self.undo_change(change, before, lasting);
                Answer::ok(verb, said)
            }
            Err(error) => Answer::failed(verb, error),
        }
    }

    fn undo_change(&mut self, change: NetChange, before: Vec<NetChange>, lasting: Option<Duration>) {
        if lasting.is_none() {
            return;
        }
        // The rules show a partition with every node in a group: that is how it is recognized later.
        let is_partition = |rule: &NetChange| matches!(rule, NetChange::Partition(_));
        let shown = self.lab.network_rules().into_iter().find(is_partition);
        let change = match (&change, shown) {
            (NetChange::Partition(_), Some(shown)) => shown,
            _ => change,
        };
        self.undo_after(lasting, Work::Network { change, before });
    }

    fn each_link(
        &mut self,
        verb: &'static str,
        target: &Target,
        lasting: Option<Duration>,
        change: fn(NodeId) -> NetChange,
    ) -> Answer {
        let act = |console: &mut Self, node| console.lab.change_network(&change(node));
        let (answer, done) = self.each(verb, target, Fit::Any, act);
        for node in done {
            self.undo_change(change(node), Vec::new(), lasting);
        }
        answer
    }

    /// No fault of network or disks; nodes that are down or paused stay so.
    fn reset(&mut self) -> Answer {
        for node in self.lab.nodes() {
            for mended in
                [DiskChange::Slow(Duration::ZERO), DiskChange::Stall(Duration::ZERO), DiskChange::Full(false)]
            {
                // A disk without a fault, or of a node that is gone, needs no mending.
                let _ = self.lab.order(node, NodeOrder::Disk(mended));
            }
        }
        self.forget_undos(Undone::Everything);
        match self.lab.change_network(&NetChange::Reset) {
            Ok(_) => Answer::ok("reset", "no faults of network or disks"),
            Err(error) => Answer::failed("reset", error),
        }
    }

    /// The rules in force, and what became of the messages on each link.
    pub(super) fn net(&mut self) -> Answer {
        let rules: Vec<String> = self.lab.network_rules().iter().map(ToString::to_string).collect();
        let counts = self.lab.network_counts();
        let mut lines = match rules.as_slice() {
            [] => vec!["no rules: every message passes".to_string()],
            rules => rules.iter().map(|rule| format!("rule  {rule}")).collect(),
        };
        let head = ["LINK", "SENT", "DELIVERED", "DROPPED", "DELAYED", "DUPLICATED", "IN FLIGHT"];
        let mut rows: Vec<Vec<String>> = vec![head.iter().map(ToString::to_string).collect()];
        let mut details: Vec<Value> = Vec::new();
        for (from, to, count) in &counts {
            let numbers = [
                count.sent,
                count.delivered,
                count.dropped,
                count.delayed,
                count.duplicated,
                count.in_flight,
            ];
            let link = link_shown(*from, *to);
            rows.push(std::iter::once(link).chain(numbers.iter().map(u64::to_string)).collect());
            details.push(json!({
                "from": from.to_string(), "to": to.to_string(), "sent": count.sent, "delivered": count.delivered,
                "dropped": count.dropped, "delayed": count.delayed, "duplicated": count.duplicated,
                "in_flight": count.in_flight,
            }));
        }
        if counts.is_empty() {
            lines.push("no message was sent yet".to_string());
        } else {
            let right = [Align::Right; 6];
            let aligns: Vec<Align> = std::iter::once(Align::Left).chain(right).collect();
            lines.extend(table(&rows, &aligns));
        }
        Answer::ok("net", lines.join("\n")).with("rules", rules).with("links", details)
    }
}

fn link_shown(from: End, to: End) -> String {
    format!("{from}>{to}")
}

fn scope(link: Option<Link>) -> LinkScope {
    match link {
        None => LinkScope::All,
        Some(Link::OneWay { from, to }) => LinkScope::OneWay(end(from), end(to)),
        Some(Link::BothWays { one, other }) => LinkScope::Both(end(one), end(other)),
        Some(Link::Clients) => LinkScope::Clients,
    }
}

fn end(end: LinkEnd) -> End {
    match end {
        LinkEnd::Node(node) => End::Node(node),
        LinkEnd::Clients => End::Clients,
    }
}
