//! One answer of a cluster, made of those of its nodes.

use std::collections::BTreeMap;

use super::protocol::Answer;
use crate::check::property::{Property, Verdict};
use crate::faults::End;
use crate::lab::LabError;
use crate::net::counts::LinkCounts;
use crate::text::joined;
use crate::types::NodeId;

/// What came of a question to all nodes.
#[derive(Default)]
pub(super) struct Replies {
    pub answers: Vec<(NodeId, Answer)>,
    pub failed: Vec<(NodeId, LabError)>,
}

impl Replies {
    /// Which nodes were not told; none when all were.
    ///
    /// # Errors
    /// No node was, and why the first was not.
    pub fn told(&self) -> Result<Option<String>, LabError> {
        match (self.failed.first(), self.answers.is_empty()) {
            (None, _) => Ok(None),
            (Some((_, why)), true) => Err(why.clone()),
            (Some(_), false) => {
                let names: Vec<NodeId> = self.failed.iter().map(|(node, _)| *node).collect();
                Ok(Some(format!("not told: {}", joined(&names, " "))))
            }
        }
    }

    /// The numbers of each link: what was sent is counted by the sender, what arrived by the receiver.
    pub fn counts(self) -> Vec<(End, End, LinkCounts)> {
        let mut all: BTreeMap<(End, End), LinkCounts> = BTreeMap::new();
        for (teller, answer) in self.answers {
            let Answer::NetworkCounts(counts) = answer else { continue };
            for (from, to, counts) in counts {
                let sum = all.entry((from, to)).or_default();
                let is_between_nodes = matches!((from, to), (End::Node(_), End::Node(_)));
                if !is_between_nodes {
                    *sum = counts;
                } else if from == End::Node(teller) {
                    *sum = LinkCounts { delivered: sum.delivered, ..counts };
                } else if to == End::Node(teller) {
                    sum.delivered = counts.delivered;
                }
            }
        }
        all.into_iter().map(|((from, to), counts)| (from, to, counts)).collect()
    }

    /// Each property, as far as the nodes can judge it by their own steps. What a node that does not answer has seen is open.
    pub fn verdicts(self) -> Vec<Verdict> {
        let all_answered = self.failed.is_empty();
        let told: Vec<(NodeId, Vec<Verdict>)> = self
            .answers
            .into_iter()
            .filter_map(|(node, answer)| match answer {
                Answer::Check(verdicts) => Some((node, verdicts)),
                _ => None,
            })
            .collect();
        let one = |(_, name): (Property, &'static str)| {
            let own =
                |verdicts: &[Verdict]| verdicts.iter().find(|verdict| verdict.property == name).cloned();
            let verdicts: Vec<(NodeId, Verdict)> =
                told.iter().filter_map(|(node, verdicts)| Some((*node, own(verdicts)?))).collect();
            let broken = |(node, verdict): &(NodeId, Verdict)| {
                verdict.violation.as_ref().map(|violation| format!("{node}: {violation}"))
            };
            let open = verdicts.iter().find_map(|(_, verdict)| verdict.open.clone());
            let unseen = (!all_answered).then(|| "not every node answers".into());
            let violation = verdicts.iter().find_map(broken);
            let verdict = Verdict { property: name.into(), violation, open: open.or(unseen) };
            (!verdicts.is_empty() || told.is_empty()).then_some(verdict)
        };
        Property::ALL.into_iter().filter_map(one).collect()
    }

    /// How often the disks were synced; none when a node does not say.
    pub fn disk_syncs(self) -> Option<u64> {
        let syncs = self.answers.into_iter().map(|(_, answer)| match answer {
            Answer::DiskSyncs(syncs) => syncs,
            _ => None,
        });
        if self.failed.is_empty() { syncs.sum() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(name: u8) -> End {
        End::Node(NodeId::new(name))
    }

    #[test]
    fn a_link_has_its_senders_numbers_and_what_its_receiver_took() {
        let at_sender = LinkCounts { sent: 9, delivered: 8, dropped: 1, ..LinkCounts::default() };
        let at_receiver = LinkCounts { sent: 7, delivered: 7, ..LinkCounts::default() };
        let link = |counts| Answer::NetworkCounts(vec![(n(1), n(2), counts)]);
        for (first, second) in [(1, 2), (2, 1)] {
            let told = |node| (NodeId::new(node), link(if node == 1 { at_sender } else { at_receiver }));
            let all = Replies { answers: vec![told(first), told(second)], failed: Vec::new() }.counts();
            let expected = LinkCounts { sent: 9, delivered: 7, dropped: 1, ..LinkCounts::default() };
            assert_eq!(all, [(n(1), n(2), expected)]);
        }
    }

    #[test]
    fn one_node_breaks_a_property_for_all_and_one_that_is_silent_leaves_it_open() {
        let verdict = |violation: Option<&str>| Verdict {
            property: "exactly once".into(),
            violation: violation.map(str::to_string),
            open: None,
        };
        let told = |node, violation| (NodeId::new(node), Answer::Check(vec![verdict(violation)]));
        let silent = (NodeId::new(3), LabError::new("silent"));
        let shown = |answers, all| {
            let failed = if all { Vec::new() } else { vec![silent.clone()] };
            Replies { answers, failed }
                .verdicts()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        assert_eq!(shown(vec![told(1, None), told(2, None)], true), "PASS exactly once");
        assert_eq!(shown(vec![told(1, None), told(2, Some("twice"))], true), "FAIL exactly once: n2: twice");
        assert_eq!(shown(vec![told(1, None)], false), "UNDECIDED exactly once: not every node answers");
    }
}
