//! Faults of the network, and `net`: its rules and its numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::links::{groups, links};
use super::notes;
use super::rows::{Row, Run, verb};
use super::slots::{ALL_LINKS, ANY_LINK, DURATION, JITTER, LINK, NODE, PERCENT, SHAPE, TARGET};
use super::target::{Fit, resolve};
use super::undo::{Ending, Work};
use super::{Console, not_done};
use crate::console::language::{Answer, Directive, Links, Outcome, PartitionShape, Target, Topic, form};
use crate::faults::{End, LinkScope, NetChange, shapes};
use crate::lab::{DiskChange, NodeOrder};
use crate::net::counts::LinkCounts;
use crate::raft::membership::configuration::Configuration;
use crate::text::fitted::{Column, fitted};
use crate::text::layout::{Align, wrap};
use crate::text::nodes::no_such_node;
use crate::text::{counted, joined};
use crate::types::NodeId;

/// More links are summed up in `net`, unless it is asked for all: ten nodes have as many.
const LINKS_MAX: usize = 110;

pub(super) const VERBS: &[Row<Run>] = &[
    verb(
        form("partition", Topic::Network, &[SHAPE])
            .does("lets messages pass within groups only", "partition n1 n2 / n3")
            .noting(notes::SHAPES)
            .shows("5.2, 5.3: only a side with a majority elects and commits")
            .lasting(),
        Console::partition,
    ),
    verb(
        form("heal", Topic::Network, &[ANY_LINK])
            .does("undoes partitions and cuts, of all links or of one", "heal n1<>n3")
            .shows("5.3: the leader overwrites what conflicts with its own log"),
        Console::heal,
    ),
    verb(
        form("reset", Topic::Network, &[])
            .does("undoes every fault of network and disks", "reset")
            .shows("5.5: requests are repeated until all logs agree"),
        Console::reset,
    ),
    verb(
        form("isolate", Topic::Network, &[TARGET])
            .does("cuts a node off from everyone, clients included", "isolate leader")
            .shows("D 9.6, D 6.2: cut off, it raises no term, and a leader steps down")
            .lasting(),
        |console, line| console.change_each(line, NetChange::Isolate),
    ),
    verb(
        form("connect", Topic::Network, &[TARGET])
            .does("undoes isolate", "connect n1")
            .shows("D 4.2.3: who returns deposes no leader that others hear"),
        Console::connect,
    ),
    verb(
        form("cut", Topic::Network, &[LINK])
            .does("lets no message pass one way; n1>clients loses answers", "cut n1>n2")
            .shows("D 6.2: a leader that sends but hears no answers must step down")
            .lasting(),
        |console, line| console.change_links(line, NetChange::Cut),
    ),
    verb(
        form("drop", Topic::Network, &[PERCENT, ANY_LINK])
            .does("loses messages at random", "drop 20% n1<>n3")
            .shows("5.1: a request that goes unanswered is sent again")
            .lasting(),
        |console, line| {
            let per_million = *line.need(&PERCENT);
            console.change_links(line, |scope| NetChange::Drop { per_million, scope })
        },
    ),
    verb(
        form("delay", Topic::Network, &[DURATION, JITTER, ANY_LINK])
            .does("delivers messages later", "delay 20ms jitter 5ms")
            .shows("5.6: broadcast time well below the election timeout, or no steady leader")
            .lasting(),
        Console::delay,
    ),
    verb(
        form("duplicate", Topic::Network, &[PERCENT, ANY_LINK])
            .does("delivers messages twice at random", "duplicate 5%")
            .shows("5.5: a request that arrives twice does no harm")
            .lasting(),
        |console, line| {
            let per_million = *line.need(&PERCENT);
            console.change_links(line, |scope| NetChange::Duplicate { per_million, scope })
        },
    ),
    verb(
        form("reorder", Topic::Network, &[PERCENT, ANY_LINK])
            .does("lets later messages overtake at random", "reorder 10%")
            .shows("5.3: the consistency check rejects entries that leave a gap")
            .lasting(),
        |console, line| {
            let per_million = *line.need(&PERCENT);
            console.change_links(line, |scope| NetChange::Reorder { per_million, scope })
        },
    ),
    verb(
        form("net", Topic::Look, &[NODE, ALL_LINKS])
            .does("the rules in force and what each link did to messages", "net")
            .noting(notes::NET)
            .shows("5.1: servers know one another only by messages"),
        Console::net,
    ),
];

impl Console {
    fn partition(&mut self, line: &Directive) -> Answer {
        match self.groups(line.need(&SHAPE)) {
            Ok(groups) => self.change(line, vec![NetChange::Partition(groups)]),
            Err(reason) => Answer::failed(line.name(), reason),
        }
    }

    /// Names the rules that are left: who heals a network expects that it is well.
    fn heal(&mut self, line: &Directive) -> Answer {
        let mut answer = self.change_links(line, NetChange::Heal);
        let left: Vec<NetChange> = self.lab.network_rules().into_iter().filter(NetChange::is_soft).collect();
        if answer.outcome == Outcome::Ok && !left.is_empty() {
            let them = if left.len() == 1 { "it" } else { "them" };
            let left = joined(&left, ", ");
            answer.text = format!("{}; in force: {left} ('reset' removes {them})", answer.text);
            answer = answer.with("in_force", left);
        }
        answer
    }

    /// Who is named must be isolated; a word stands for those that are.
    fn connect(&mut self, line: &Directive) -> Answer {
        let named = matches!(line.get(&TARGET), Some(Target::Nodes(_)));
        let act = |console: &mut Self, node| {
            let isolated = console.lab.network_rules().contains(&NetChange::Isolate(node));
            if named || isolated {
                return console.change_network(&NetChange::Connect(node), None);
            }
            Ok(format!("{node} is not isolated"))
        };
        self.each(line, Fit::Any, act).0
    }

    fn delay(&mut self, line: &Directive) -> Answer {
        let (delay, jitter) = (*line.need(&DURATION), line.get(&JITTER).copied().unwrap_or_default());
        self.change_links(line, |scope| NetChange::Delay { delay, jitter, scope })
    }

    /// `majority side n1 n2`: which sides of the partition in force can decide, as the members are now.
    pub(super) fn majority_sides(&mut self) -> String {
        let newest = self.known_members().and_then(|view| view.newest);
        let all_vote = || Arc::new(Configuration::founders(self.lab.nodes()));
        let members = newest.map_or_else(all_vote, |newest| newest.configuration);
        let decides = |group: &Vec<NodeId>| members.reached(|member| group.contains(&member.node));
        let sides = self.lab.network_rules().into_iter().filter_map(|rule| match rule {
            NetChange::Partition(groups) => Some(groups),
            _ => None,
        });
        let sides: Vec<String> = sides.flatten().filter(decides).map(|group| joined(&group, " ")).collect();
        match sides.as_slice() {
            [] => "no side has a majority".to_string(),
            [one] => format!("majority side {one}"),
            several => format!("majority sides {}", several.join(" and ")),
        }
    }

    fn groups(&mut self, shape: &PartitionShape) -> Result<Vec<Vec<NodeId>>, String> {
        let nodes = self.lab.nodes();
        Ok(match shape {
            PartitionShape::Groups(named) => groups(named, &self.picture(), &mut self.course.random)?,
            PartitionShape::Halves => shapes::halves(&nodes),
            PartitionShape::Minority => {
                let chosen = resolve(&Target::Random, Fit::Any, &self.picture(), &mut self.course.random)?;
                shapes::minority(&nodes, chosen[0])
            }
            PartitionShape::Bridge(middle) => {
                let middle = resolve(middle, Fit::Any, &self.picture(), &mut self.course.random)?;
                shapes::bridge(&nodes, middle[0])
            }
            PartitionShape::Ring => shapes::ring(&nodes),
        })
    }

    /// Makes a change on each link that a directive names; without one, on every link, the clients' too.
    fn change_links(&mut self, line: &Directive, change: impl Fn(LinkScope) -> NetChange) -> Answer {
        let scopes = match line.get::<Links>(&LINK) {
            Some(named) => links(named, &self.picture(), &mut self.course.random),
            None => Ok(vec![LinkScope::All]),
        };
        match scopes {
            Ok(scopes) => self.change(line, scopes.into_iter().map(change).collect()),
            Err(reason) => Answer::failed(line.name(), reason),
        }
    }

    /// Makes changes, a line of answer each; those that last are undone together when their time has come.
    fn change(&mut self, line: &Directive, changes: Vec<NetChange>) -> Answer {
        let end = self.end_after(line.lasting);
        let (mut said, mut done): (Vec<String>, Vec<NetChange>) = (Vec::new(), Vec::new());
        let mut failed = None;
        for change in changes {
            match self.change_network(&change, end) {
                Ok(answer) if said.contains(&answer) => {}
                Ok(answer) => said.push(answer),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
            done.push(change);
        }
        self.undo_changes(done, end);
        match failed {
            None => Answer::ok(line.name(), said.join("\n")),
            Some(error) => not_done(line.name(), &error),
        }
    }

    fn undo_changes(&mut self, changes: Vec<NetChange>, end: Option<Ending>) {
        // The rules show a partition with every node in a group.
        let is_partition = |rule: &NetChange| matches!(rule, NetChange::Partition(_));
        let shown = self.lab.network_rules().into_iter().find(is_partition);
        let changes = match (changes.as_slice(), shown) {
            ([NetChange::Partition(_)], Some(shown)) => vec![shown],
            _ => changes,
        };
        self.undo_after(end, Work::Network(changes));
    }

    fn change_each(&mut self, line: &Directive, change: fn(NodeId) -> NetChange) -> Answer {
        let act = |console: &mut Self, node| {
            let end = console.end_after(line.lasting);
            let said = console.change_network(&change(node), end)?;
            console.undo_changes(vec![change(node)], end);
            Ok(said)
        };
        self.each(line, Fit::Any, act).0
    }

    /// No fault of network or disks; nodes that are down or paused stay so. Says what it undid.
    fn reset(&mut self, _: &Directive) -> Answer {
        let rules = self.lab.network_rules();
        if let Err(error) = self.change_network(&NetChange::Reset, None) {
            return not_done("reset", &error);
        }
        let mut undone = Vec::new();
        if !rules.is_empty() {
            undone.push(format!("removed {}", joined(&rules, ", ")));
        }
        for node in self.lab.nodes() {
            // A node in memory has no disk to repair.
            let faults = self.order(node, &NodeOrder::Disk(DiskChange::Mend), None).unwrap_or_default();
            if !faults.is_empty() {
                undone.push(format!("repaired the disk of {node} ({faults})"));
            }
        }
        if undone.is_empty() {
            undone.push("nothing to undo: network and disks have no fault".to_string());
        }
        Answer::ok("reset", undone.join("; "))
            .with("rules", rules.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    /// The rules in force, and what became of the messages on each link.
    fn net(&mut self, line: &Directive) -> Answer {
        let rules: Vec<String> = self.lab.network_rules().iter().map(ToString::to_string).collect();
        let mut counts = self.lab.network_counts();
        if let Some(&node) = line.get::<NodeId>(&NODE) {
            let nodes = self.lab.nodes();
            if !nodes.contains(&node) {
                return Answer::failed(line.name(), no_such_node(node, &nodes));
            }
            counts.retain(|(from, to, _)| [from, to].contains(&&End::Node(node)));
        }
        let room = self.context.columns.unwrap_or(usize::MAX);
        let is_known = !self.lab.ends_faults() || self.picture().up_count() > 0;
        if counts.is_empty() && !is_known {
            return Answer::failed("net", "no node answers that could say it: start them");
        }
        let mut lines = match rules.as_slice() {
            [] => vec!["no rules: every message passes".to_string()],
            rules => rules.iter().flat_map(|rule| wrap(&format!("rule  {rule}"), room)).collect(),
        };
        let short = counts.len() > LINKS_MAX && !line.has(&ALL_LINKS);
        if counts.is_empty() {
            lines.push("no message was sent yet".to_string());
        } else if short {
            lines.extend(link_table(&by_sender(&counts), self.context.columns));
            let rest = format!(
                "{}: 'net n1' shows those of one node, 'net --all' each",
                counted(counts.len(), "link")
            );
            lines.extend(wrap(&rest, room));
        } else {
            let named = counts.iter().map(|(from, to, count)| (format!("{from}>{to}"), *count));
            lines.extend(link_table(&named.collect::<Vec<_>>(), self.context.columns));
            lines.extend(missing(&counts).into_iter().flat_map(|text| wrap(&text, room)));
        }
        let details = counts.iter().map(|(from, to, count)| {
            json!({
                "from": from.to_string(), "to": to.to_string(), "sent": count.sent, "delivered": count.delivered,
                "dropped": count.dropped, "delayed": count.delayed, "duplicated": count.duplicated,
                "in_flight": count.in_flight, "under_way_or_lost": count.under_way_or_lost,
            })
        });
        let details: Vec<Value> = details.collect();
        Answer::ok("net", lines.join("\n")).with("rules", rules).with("links", details)
    }
}

/// What neither of two processes has: `on a connection, or lost with one: n1>n2 3`.
fn missing(counts: &[(End, End, LinkCounts)]) -> Option<String> {
    let missing = counts.iter().filter(|(_, _, count)| count.under_way_or_lost > 0);
    let missing: Vec<String> =
        missing.map(|(from, to, count)| format!("{from}>{to} {}", count.under_way_or_lost)).collect();
    (!missing.is_empty()).then(|| format!("on a connection, or lost with one: {}", missing.join(", ")))
}

/// What each end has sent, to all others together.
fn by_sender(counts: &[(End, End, LinkCounts)]) -> Vec<(String, LinkCounts)> {
    let mut sums: BTreeMap<End, LinkCounts> = BTreeMap::new();
    for (from, _, count) in counts {
        *sums.entry(*from).or_default() += *count;
    }
    sums.into_iter().map(|(from, sum)| (format!("{from}>all"), sum)).collect()
}

/// What became of the messages, a row for each link. For want of room, columns in which every number is 0 are left out.
fn link_table(counts: &[(String, LinkCounts)], within: Option<usize>) -> Vec<String> {
    let names = ["SENT", "DELIVERED", "DROPPED", "DELAYED", "DUPLICATED", "IN FLIGHT"];
    let numbers = |count: &LinkCounts| {
        [count.sent, count.delivered, count.dropped, count.delayed, count.duplicated, count.in_flight]
    };
    let is_zero = |at: usize| counts.iter().all(|(_, count)| numbers(count)[at] == 0);
    let column = |(at, name)| Column { name, align: Align::Right, spare: is_zero(at).then_some(0) };
    let link = Column { name: "LINK", align: Align::Left, spare: None };
    let columns: Vec<Column> =
        std::iter::once(link).chain(names.into_iter().enumerate().map(column)).collect();
    let row = |(link, count): &(String, LinkCounts)| {
        std::iter::once(link.clone()).chain(numbers(count).map(|number| number.to_string())).collect()
    };
    let rows: Vec<Vec<String>> = counts.iter().map(row).collect();
    let table = fitted(&columns, &rows, within);
    let zero =
        (!table.left_out.is_empty()).then(|| format!("0 on every link: {}", joined(&table.left_out, ", ")));
    table.lines.into_iter().chain(zero).collect()
}
