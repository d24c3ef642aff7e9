//! Who is elected, by whose votes, and who may ask for them (5.2, 5.4; D 9.6, D 4.2.3).
//!
//! Votes and leaders are servers: names with their files. A node that lost its files may vote again in a term in which the
//! lost ones voted.

use super::Safety;
use super::members::{is_quorum, named};
use super::record::{Campaign, Record};
use super::step::{Rank, Shown, Written};
use super::unseen::{Doubt, Matter};
use std::sync::Arc;

use crate::check::property::Property;
use crate::raft::effects::HardState;
use crate::types::{LogIndex, Member, Term};

impl Safety {
    pub(super) fn check_leader(&mut self, shown: &Shown, record: &mut Record) {
        let Shown { member, term, .. } = *shown;
        let leads = shown.leads().then_some(term);
        if leads.is_some() && leads != record.led {
            self.note_leader(term, member);
            self.check_elected(term, member, record);
            // One that is elected late, when a later term has begun elsewhere, need not know what was committed there.
            let last = self.committed_in.range(..term).next_back().map_or(LogIndex(0), |(_, last)| *last);
            let committed = self.committed.get(last);
            if committed.is_some() && !record.chain.is_gone(last) && record.chain.get(last) != committed {
                let detail = format!("{member} leads term {term} without the committed entry {last}");
                self.report(Property::LeaderCompleteness, detail);
            }
        }
        record.led = leads;
    }

    pub(super) fn note_leader(&mut self, term: Term, member: Member) {
        let known = *self.leaders.entry(term).or_insert(member);
        if known != member {
            self.report(Property::ElectionSafety, format!("{known} and {member} both lead term {term}"));
        }
    }

    /// The votes of a quorum made it leader, by the newest configuration in its log.
    fn check_elected(&mut self, term: Term, member: Member, record: &Record) {
        let HardState { current_term, voted_for, .. } = record.durable_hard_state;
        let own = (current_term, voted_for) == (term, Some(member));
        let voted = |voter: Member| voter == member && own || self.votes.get(&(voter, term)) == Some(&member);
        let detail = match record.configuration() {
            Some(configured) if is_quorum(&configured.configuration, voted) => return,
            Some(configured) => format!("the votes of a quorum of {}", named(&configured.configuration)),
            None => "knowing any member".to_string(),
        };
        let detail = format!("{member} leads term {term} without {detail}");
        let configuration = record.configuration().map(|known| Arc::clone(&known.configuration));
        self.doubt(Doubt {
            matter: Matter::Elected { term, member },
            used: configuration.into_iter().collect(),
            detail,
        });
    }

    /// A message with its vote is about to leave.
    pub(super) fn check_vote(&mut self, voter: Member, term: Term, candidate: Member) {
        let known = *self.votes.entry((voter, term)).or_insert(candidate);
        if known != candidate {
            let detail = format!("{voter} voted for {known} and for {candidate} in term {term}");
            self.report(Property::OneVote, detail);
        }
        let HardState { current_term, voted_for, .. } = self.records[&voter].durable_hard_state;
        if current_term < term || (current_term == term && voted_for != Some(candidate)) {
            let detail = format!("{voter}'s vote for {candidate} in term {term} left before it was durable");
            self.report(Property::NothingPromisedEarly, detail);
        }
    }

    /// The voter would vote for it in this term.
    pub(super) fn note_pre_vote(&mut self, voter: Member, candidate: Member, term: Term) {
        self.pre_votes.entry((candidate, term)).or_default().insert(voter);
    }

    /// Notes whether a server that raises its own term has a right to.
    pub(super) fn note_campaign(&mut self, shown: &Shown, record: &mut Record) {
        let Shown { member, term, .. } = *shown;
        if term > std::mem::replace(&mut record.term, term) && shown.role == Rank::Candidate {
            // Given before a crash, perhaps: then it may have forgotten this term, and begins it again.
            self.pre_votes.retain(|(candidate, asked), _| *candidate != member || *asked >= term);
            let given = self.pre_votes.get(&(member, term));
            let would_vote = |voter: Member| {
                voter == member
                    || given.is_some_and(|voters| voters.contains(&voter))
                    || self.may_have_said(voter, term.previous())
                    || self.is_unplaced(voter)
            };
            let by_quorum = |configured| is_quorum(configured, would_vote);
            let configuration = record.configuration().map(|configured| &*configured.configuration);
            let supported = !shown.pre_vote || configuration.is_some_and(by_quorum);
            let settled = record.configuration().filter(|newest| newest.index <= record.commit);
            let no_vote = settled.is_some_and(|newest| !newest.configuration.is_voter(member));
            record.campaign = Some(Campaign { term, no_vote: record.retired || no_vote, supported });
        }
    }

    /// It asks for votes: others adopt its term. `ordered` says that a person, or a leader that hands over, wants that.
    pub(super) fn check_campaign(&mut self, member: Member, term: Term, ordered: bool) {
        let campaign = self.records.get_mut(&member).expect("observed just now").campaign;
        let wrong = match campaign.filter(|campaign| campaign.term == term) {
            Some(Campaign { no_vote: true, .. }) => "it knows that it has no vote among the members",
            Some(Campaign { supported: false, .. }) if !ordered => {
                "neither a quorum of pre-votes nor an order stands behind it"
            }
            _ => return,
        };
        self.records.get_mut(&member).expect("observed just now").campaign = None;
        self.report(Property::NoDisruption, format!("{member} asks for votes in term {term}: {wrong}"));
    }

    /// A server that knows that it is left out stores this with all that it stores from then on.
    pub(super) fn check_retired(&mut self, member: Member, write: &Written) {
        let forgets = write.hard_state.is_some_and(|stored| !stored.retired);
        if self.records[&member].retired && forgets {
            let detail = format!("{member} knows that it is left out of the members, and does not store it");
            self.report(Property::NoDisruption, detail);
        }
    }
}
