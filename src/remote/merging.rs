//! One answer of a cluster, made of those of its nodes.

use std::collections::BTreeMap;

use super::node_link::NodeLink;
use super::protocol::{Answer, Question};
use super::questions::Questions;
use super::seen::Put;
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
    /// Asks all these nodes at once. Each may say no, or nothing.
    pub fn of<'a>(links: impl Iterator<Item = (&'a NodeId, &'a NodeLink)>, question: &Question) -> Replies {
        Replies::to(links.map(|(node, link)| (*node, link.questions())), question)
    }

    /// The same, for those who have no links.
    pub fn to<'a>(nodes: impl Iterator<Item = (NodeId, &'a Questions)>, question: &Question) -> Replies {
        let put = |(node, questions): (NodeId, &Questions)| (node, questions.put(question.clone()));
        let put: Vec<_> = nodes.map(put).collect();
        let mut replies = Replies::default();
        for (node, put) in put {
            replies.note(node, put.and_then(Put::wait));
        }
        replies
    }

    pub fn note(&mut self, node: NodeId, answer: Result<Answer, LabError>) {
        match answer {
            Ok(answer) => self.answers.push((node, answer)),
            Err(error) => self.failed.push((node, error)),
        }
    }

    /// Which nodes were not told; none when all were.
    ///
    /// # Errors
    /// No node was, and why the first was not.
    pub fn told(&self) -> Result<Option<String>, LabError> {
        let first = match (self.failed.first(), self.answers.is_empty()) {
            (None, _) => return Ok(None),
            (Some((_, why)), is_none_told) => is_none_told.then(|| why.clone()),
        };
        if let Some(why) = first {
            return Err(why);
        }
        let named = |is_uncertain: bool| {
            let failed = self.failed.iter().filter(|(_, error)| error.is_uncertain() == is_uncertain);
            let nodes: Vec<NodeId> = failed.map(|(node, _)| *node).collect();
            (!nodes.is_empty()).then(|| joined(&nodes, " "))
        };
        let not_told = named(false).map(|nodes| format!("not told: {nodes}"));
        let open = named(true).map(|nodes| format!("told without an answer: {nodes}"));
        Ok(Some(not_told.into_iter().chain(open).collect::<Vec<_>>().join("; ")))
    }

    /// The numbers of each link: what was sent is counted by the sender, what arrived by the receiver. What neither has is on
    /// its way, or was lost with a connection. Of a receiver that does not answer, the sender's numbers are all that is known.
    pub fn counts(self) -> Vec<(End, End, LinkCounts)> {
        let silent: Vec<End> = self.failed.iter().map(|(node, _)| End::Node(*node)).collect();
        let mut links: BTreeMap<(End, End), [Option<LinkCounts>; 2]> = BTreeMap::new();
        for (teller, answer) in self.answers {
            let Answer::NetworkCounts(counts) = answer else { continue };
            for (from, to, counts) in counts {
                let is_own = |end: End| end == End::Node(teller);
                // A client's link has one process that counts it.
                let is_receiver = is_own(to) && from != End::Clients;
                if is_own(from) || is_own(to) {
                    links.entry((from, to)).or_default()[usize::from(is_receiver)] = Some(counts);
                }
            }
        }
        let merged = links.into_iter().map(|((from, to), sides)| {
            let counts = match sides {
                [Some(sender), Some(receiver)] => merged(&sender, &receiver),
                // Nothing has arrived.
                [Some(sender), None]
                    if to != End::Clients && from != End::Clients && !silent.contains(&to) =>
                {
                    merged(&sender, &LinkCounts::default())
                }
                [one, other] => LinkCounts { before: 0, ..one.or(other).unwrap_or_default() },
            };
            (from, to, counts)
        });
        merged.collect()
    }

    /// Each property: as far as each node can judge it by its own steps, and by what all wrote down. What a node has seen that
    /// does not answer is open.
    pub fn verdicts(self, recorded: &[Verdict]) -> Vec<Verdict> {
        let all_answered = self.failed.is_empty();
        let told: Vec<(NodeId, Vec<Verdict>)> = self
            .answers
            .into_iter()
            .filter_map(|(node, answer)| match answer {
                Answer::Check(verdicts) => Some((node, verdicts)),
                _ => None,
            })
            .collect();
        let one = |(property, name): (Property, &'static str)| {
            let of = |verdicts: &[Verdict]| verdicts.iter().find(|verdict| verdict.property == name).cloned();
            let recorded = of(recorded);
            let own: Vec<(NodeId, Verdict)> =
                told.iter().filter_map(|(node, verdicts)| Some((*node, of(verdicts)?))).collect();
            let broken = |(node, verdict): &(NodeId, Verdict)| {
                verdict.violation.as_ref().map(|violation| format!("{node}: {violation}"))
            };
            let is_known = !own.is_empty() || told.is_empty() || recorded.is_some();
            let mut open = own.iter().find_map(|(_, verdict)| verdict.open.clone());
            open = open.or_else(|| (!all_answered).then(|| "not every node answers".into()));
            if recorded.is_some() && !property.is_of_one_node() {
                open = None;
            }
            let (violation, unseen) =
                recorded.map_or((None, None), |verdict| (verdict.violation, verdict.open));
            let violation = own.iter().find_map(broken).or(violation);
            is_known.then(|| Verdict { property: name.into(), violation, open: open.or(unseen) })
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

/// To a sender what it has handed to a connection is delivered; its receiver knows better. What a process counted that has ended
/// is as the other one knows it.
fn merged(sender: &LinkCounts, receiver: &LinkCounts) -> LinkCounts {
    let handed_over = sender.delivered.saturating_sub(sender.before);
    let arrived = (receiver.delivered + receiver.dropped).saturating_sub(receiver.before);
    LinkCounts {
        sent: sender.sent + receiver.before,
        delivered: receiver.delivered + sender.before,
        dropped: sender.dropped + receiver.dropped,
        under_way_or_lost: handed_over.saturating_sub(arrived),
        before: 0,
        ..*sender
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
        let at_receiver = LinkCounts { sent: 7, delivered: 5, dropped: 2, ..LinkCounts::default() };
        let link = |counts| Answer::NetworkCounts(vec![(n(1), n(2), counts)]);
        for (first, second) in [(1, 2), (2, 1)] {
            let told = |node| (NodeId::new(node), link(if node == 1 { at_sender } else { at_receiver }));
            let all = Replies { answers: vec![told(first), told(second)], failed: Vec::new() }.counts();
            let expected = LinkCounts {
                sent: 9,
                delivered: 5,
                dropped: 3,
                under_way_or_lost: 1,
                ..LinkCounts::default()
            };
            assert_eq!(all, [(n(1), n(2), expected)]);
        }
    }

    #[test]
    fn what_a_silent_receiver_has_is_not_lost_and_what_one_does_not_know_is() {
        let at_sender = LinkCounts { sent: 9, delivered: 8, dropped: 1, ..LinkCounts::default() };
        let answer = || (NodeId::new(1), Answer::NetworkCounts(vec![(n(1), n(2), at_sender)]));
        let told = |failed| Replies { answers: vec![answer()], failed }.counts()[0].2;
        assert_eq!(told(vec![(NodeId::new(2), LabError::new("silent"))]), at_sender);
        let nothing_came = LinkCounts { delivered: 0, under_way_or_lost: 8, ..at_sender };
        assert_eq!(told(Vec::new()), nothing_came);
    }

    #[test]
    fn what_ended_processes_had_is_not_lost() {
        let (sent, delivered) = (100, 100);
        let sender = LinkCounts { sent, delivered, ..LinkCounts::default() };
        let receiver = LinkCounts { sent: delivered, delivered: 98, dropped: 2, ..LinkCounts::default() };
        let shown = |sender: &LinkCounts, receiver: &LinkCounts| {
            let all = merged(sender, receiver);
            (all.sent, all.delivered, all.dropped, all.under_way_or_lost)
        };
        assert_eq!(shown(&sender, &receiver), (100, 98, 2, 0));
        // Ten more went to a receiver that counts from zero, and has eight of them.
        let sender = LinkCounts { sent: 110, delivered: 110, before: 100, ..sender };
        let latest = LinkCounts { sent: 8, delivered: 8, ..LinkCounts::default() };
        assert_eq!(shown(&sender, &latest), (110, 108, 0, 2));
        // Ten came from a sender that counts from zero, behind what the former one had sent.
        let latest = LinkCounts { sent: 10, delivered: 10, ..LinkCounts::default() };
        let receiver =
            LinkCounts { sent: 109, delivered: 107, dropped: 2, before: 100, ..LinkCounts::default() };
        assert_eq!(shown(&latest, &receiver), (110, 107, 2, 1));
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
                .verdicts(&[])
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
