//! Configurations (section 6), followed from the entries that hold them: who decides is counted here, and the core's own
//! counting is what is judged.
//!
//! A configuration is in use on a node from the moment at which its entry is in the log. Those in use at one time, the
//! newest committed one and all behind it on any server that runs or could start again, must overlap: otherwise two
//! quorums that know nothing of each other decide. A log that lacks the last committed entry elects no leader, which
//! leader completeness checks, so its configurations are not in use.

use std::collections::{BTreeMap, BTreeSet};

use super::Safety;
use super::record::Record;
use super::step::Shown;
use crate::check::property::Property;
use crate::raft::membership::Configured;
use crate::raft::membership::configuration::{Configuration, Voters};
use crate::types::{LogIndex, Member, NodeId, Term};

/// Whether more than half of the voters satisfy this: of both sets while it is joint.
pub fn is_quorum(configuration: &Configuration, satisfies: impl Fn(Member) -> bool) -> bool {
    configuration
        .halves()
        .all(|voters| 2 * members(voters).filter(|member| satisfies(*member)).count() > voters.len())
}

/// Whether `C_old` stands again behind a joint configuration.
pub fn is_taken_back(before: &Configuration, after: &Configuration) -> bool {
    !after.is_joint() && before.outgoing.as_ref() == Some(&after.voters)
}

/// As `n1 n2 -> n1 n2#95`: with the files that decide, where they are not a founder's.
pub fn named(configuration: &Configuration) -> String {
    let one = |member: Member| {
        if member == Member::founder(member.node) { member.node.to_string() } else { member.to_string() }
    };
    let set = |voters: &Voters| members(voters).map(one).collect::<Vec<_>>().join(" ");
    let outgoing = configuration.outgoing.as_ref().map(set);
    outgoing.into_iter().chain([set(&configuration.voters)]).collect::<Vec<_>>().join(" -> ")
}

fn members(voters: &Voters) -> impl Iterator<Item = Member> {
    voters.iter().map(|(&node, &store_id)| Member { node, store_id })
}

/// Whether each quorum of the one shares a member with each quorum of the other.
fn overlap(one: &Configuration, other: &Configuration) -> bool {
    let sets = [Some(&one.voters), one.outgoing.as_ref(), Some(&other.voters), other.outgoing.as_ref()];
    let all: BTreeSet<Member> = sets.into_iter().flatten().flat_map(members).collect();
    // Members of the same sets are alike: only their number counts.
    let mut kinds: BTreeMap<[bool; 4], usize> = BTreeMap::new();
    for member in all {
        let has = |voters: &Voters| voters.get(&member.node) == Some(&member.store_id);
        *kinds.entry(sets.map(|set| set.is_some_and(has))).or_default() += 1;
    }
    let kinds: Vec<_> = kinds.into_iter().collect();
    !splits(&kinds, sets.map(|set| set.map_or(0, |voters| voters.len() / 2 + 1)))
}

/// Whether the members of these kinds can be divided into two sides, of which one holds as many as are wanted of the first
/// two sets, and the other of the last two. Tries every division.
fn splits(kinds: &[([bool; 4], usize)], wanted: [usize; 4]) -> bool {
    let Some(((kind, count), rest)) = kinds.split_first() else { return wanted == [0; 4] };
    let (first, last) = (kind[0] || kind[1], kind[2] || kind[3]);
    let fewest = if last { 0 } else { *count };
    let most = if first { *count } else { 0 };
    (fewest..=most).any(|taken| {
        let mut wanted = wanted;
        for (set, _) in kind.iter().enumerate().filter(|(_, has)| **has) {
            wanted[set] = wanted[set].saturating_sub(if set < 2 { taken } else { count - taken });
        }
        splits(rest, wanted)
    })
}

impl Safety {
    /// The configuration that the committed entries up to this one give, if they are known.
    pub(super) fn committed_configuration(&self, index: LogIndex) -> Option<&Configured> {
        let known = self.configurations.partition_point(|configured| configured.index <= index);
        self.configurations[..known].last()
    }

    /// A snapshot up to this index holds this configuration.
    pub fn check_configured(&mut self, node: NodeId, last: LogIndex, found: Option<&Configured>) {
        let expected = self.committed_configuration(last);
        if self.committed.is_gone(last) || expected.is_none() || found == expected {
            return;
        }
        let shown = |configured: Option<&Configured>| match configured {
            Some(Configured { index, configuration }) => {
                format!("{}, of index {index}", named(configuration))
            }
            None => "none".to_string(),
        };
        let (found, expected) = (shown(found), shown(expected));
        let detail = format!("{node}'s snapshot at {last}: its members are {found}, the log says {expected}");
        self.report(Property::Snapshot, detail);
    }

    /// A leader appends a configuration behind this one. A change begins when the one before is complete, and when the
    /// leader's no-op is committed: before that an earlier leader's change may be committed without its knowledge.
    pub(super) fn check_change(
        &mut self,
        shown: &Shown,
        record: &Record,
        before: &Configured,
        next: &Configured,
    ) {
        let Configured { index, configuration } = before;
        let Shown { member, commit, term, .. } = *shown;
        let settled = *index <= commit;
        let opened = record.id_at(commit).term == term;
        let after = &next.configuration;
        let wrong = if is_taken_back(configuration, after) {
            let own = record.id_at(*index).term == term;
            // Once C_old is used again, its majority may commit the joint entry in the same step.
            (*index <= record.commit || !own).then_some("takes back a change that others may have completed")
        } else if !opened {
            Some("changes the members before the no-op of its term is committed")
        } else if !settled {
            Some("changes the members while the change before is not committed")
        } else if configuration.is_joint() {
            let left = !after.is_joint() && after.voters == configuration.voters;
            (!left).then_some("begins a change while the members are joint")
        } else {
            let old = after.outgoing.as_ref().unwrap_or(&after.voters);
            (*old != configuration.voters).then_some("changes the voters without a joint step")
        };
        if let Some(wrong) = wrong {
            let (node, before, after) = (member.node, named(configuration), named(after));
            let detail = format!("{node} in term {term} {wrong}: {before}, then {after} at {}", next.index);
            self.report(Property::ChangesInOrder, detail);
        }
    }

    /// The configurations by which these servers could decide: the newest committed one, and those behind it in the logs
    /// that could still elect a leader.
    pub fn in_use(&self, counted: impl Fn(Member) -> bool) -> Vec<&Configured> {
        let committed = self.committed();
        let mut live: Vec<&Configured> = self.committed_configuration(committed).into_iter().collect();
        let entry = self.committed.get(committed);
        let could_lead = |record: &&Record| committed == LogIndex(0) || record.chain.get(committed) == entry;
        let records =
            self.records.iter().filter(|(member, _)| counted(**member)).map(|(_, record)| &**record);
        for record in records.filter(could_lead) {
            for configured in record.configurations.iter().filter(|configured| configured.index > committed) {
                if !live.contains(&configured) {
                    live.push(configured);
                }
            }
        }
        live
    }

    /// The configurations that are in use may have changed.
    pub(super) fn check_overlap(&mut self) {
        let live = self.in_use(|_| true);
        let mut apart = None;
        for (place, one) in live.iter().enumerate() {
            let other = live[..place].iter().find(|other| !overlap(&other.configuration, &one.configuration));
            apart = apart.or(other.map(|other| (*other, *one)));
        }
        let newest = self.committed.get(self.committed()).map_or(Term(0), |(term, _)| term);
        if self.has_unseen(newest) {
            // What they have done since may have ended the use of one.
            self.members_moved = true;
        } else if let Some((one, other)) = apart {
            let shown = |Configured { index, configuration }: &Configured| {
                format!("{} (index {index})", named(configuration))
            };
            let detail = format!("{} and {} are in use, and can decide apart", shown(one), shown(other));
            self.report(Property::QuorumsOverlap, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FOUNDERS_STORE;

    fn voters(names: &[u8]) -> Voters {
        names.iter().map(|name| (NodeId::new(*name), FOUNDERS_STORE)).collect()
    }

    fn only(names: &[u8]) -> Configuration {
        Configuration { voters: voters(names), ..Configuration::default() }
    }

    fn joint(old: &[u8], new: &[u8]) -> Configuration {
        Configuration { outgoing: Some(voters(old)), ..only(new) }
    }

    /// Tries each set of members as a quorum of the one, and what is left as one of the other.
    fn overlap_by_trying(one: &Configuration, other: &Configuration) -> bool {
        let all: BTreeSet<Member> = one.members().chain(other.members()).collect();
        (0_u32..1 << all.len()).all(|chosen| {
            let side: BTreeSet<Member> = all
                .iter()
                .enumerate()
                .filter(|(place, _)| chosen >> place & 1 == 1)
                .map(|(_, member)| *member)
                .collect();
            !(is_quorum(one, |member| side.contains(&member))
                && is_quorum(other, |member| !side.contains(&member)))
        })
    }

    #[test]
    fn configurations_overlap_when_no_two_of_their_quorums_are_apart() {
        assert!(overlap(&only(&[1, 2, 3]), &only(&[1, 2, 3, 4])), "one more voter");
        assert!(!overlap(&only(&[1, 2, 3]), &only(&[3, 4, 5])), "two of three replaced");
        assert!(overlap(&only(&[1, 2, 3]), &joint(&[1, 2, 3], &[4, 5])));
        assert!(overlap(&joint(&[1, 2, 3], &[4, 5]), &only(&[4, 5])));
        let sets: Vec<Vec<u8>> =
            (1_u8..32).map(|bits| (1..=5).filter(|name| bits >> (name - 1) & 1 == 1).collect()).collect();
        let mut all: Vec<Configuration> = sets.iter().map(|set| only(set)).collect();
        all.extend(sets.iter().zip(sets.iter().skip(9)).map(|(old, new)| joint(old, new)));
        all.extend(sets.iter().zip(sets.iter().skip(20)).map(|(old, new)| joint(new, old)));
        for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
            assert_eq!(overlap(one, other), overlap_by_trying(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn the_same_name_with_other_files_is_another_voter() {
        let wiped = Configuration { voters: [(NodeId::new(1), 95)].into(), ..Configuration::default() };
        assert!(!overlap(&only(&[1]), &wiped));
        assert!(!is_quorum(&wiped, |member| member == Member::founder(NodeId::new(1))));
    }

    #[test]
    fn a_quorum_of_99_voters_is_found_out_at_once() {
        let all: Vec<u8> = (1..=99).collect();
        assert!(overlap(&joint(&all[..98], &all[..97]), &joint(&all[..98], &all)));
        assert!(!overlap(&only(&all[..50]), &only(&all[26..])));
    }
}
