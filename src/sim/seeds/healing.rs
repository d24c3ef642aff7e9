//! The second phase: the faults end, and the cluster must elect, commit and agree.

use std::time::Duration;

use super::Run;
use super::agenda::Agenda;
use crate::faults::NetChange;
use crate::lab::{Lab, NodeOrder};
use crate::server::{EndReason, RoleName};
use crate::types::{NodeId, Time};

/// How long a healed cluster may take until it serves and agrees: many election timeouts of the slowest clock.
const HEALING_MAX: Duration = Duration::from_secs(20);

/// Without pre-votes, an election takes up to eight times as long as the slowest disk takes to store a vote
/// ([`raft::stall`](crate::raft)), and a cluster of which only a majority is left needs some elections.
const HEALING_DISK_TIMES: u32 = 64;

impl Run<'_> {
    /// Ends the faults and says what is still wrong when time is up.
    pub(super) fn heal(&mut self) -> Option<String> {
        self.agenda = Agenda::default();
        self.workload.ask_at(None);
        self.change(&NetChange::Reset);
        let healed = if self.classes.members { self.choose_survivors() } else { self.choose_majority() };
        let slow_for_good = self.classes.slow_for_good;
        for &name in &healed {
            let node = self.simulation.node(name);
            if !slow_for_good {
                node.slow = Duration::ZERO;
            }
            node.stalled_until = Time::ZERO;
            node.disk.heal();
            if !node.is_running() {
                self.revive(name);
            }
            let _ = self.simulation.order(name, NodeOrder::Resume);
        }
        self.workload.become_patient();
        let begun = self.simulation.now();
        let answered_before = self.workload.counts.answered;
        let healing_max = self.healing_max();
        let deadline = begun + healing_max;
        let mut calling = true;
        while self.simulation.now() < deadline && self.simulation.broken_at().is_none() {
            let until = if calling { self.workload.next_call().min(deadline) } else { deadline };
            self.simulation.advance(until);
            self.work(calling);
            // Serve afresh for a while, then stop and let all catch up.
            let served = self.workload.counts.answered >= answered_before + 20;
            calling = calling && !(served && self.simulation.now() > begun + Duration::from_secs(1));
            if !calling
                && self.workload.is_idle()
                && self.agrees(&healed)
                && self.unsettled(&healed).is_none()
            {
                return self.wrong_at_end(&healed);
            }
        }
        if self.simulation.broken_at().is_some() {
            return None;
        }
        let answered = self.workload.counts.answered - answered_before;
        let unsettled = self.unsettled(&healed).map(|what| format!(", {what}")).unwrap_or_default();
        Some(format!("not healed after {} s: {answered} calls answered{unsettled}", healing_max.as_secs()))
    }

    /// The nodes that run from now on: all, or only a majority. The others stay as they are, for good.
    fn choose_majority(&mut self) -> Vec<NodeId> {
        let mut healed = self.names.clone();
        // New files have no say yet: with them, a majority of the others makes no quorum.
        if self.random.chance(300_000) && !self.joins() {
            let majority = healed.len() / 2 + 1;
            while healed.len() > majority {
                let at = usize::try_from(self.random.below(healed.len() as u64)).expect("a small number");
                let name = healed.remove(at);
                if self.simulation.node(name).is_running() {
                    self.simulation.end(name, EndReason::Crashed { power: false });
                }
            }
        }
        healed
    }

    fn healing_max(&mut self) -> Duration {
        if self.pre_vote {
            return HEALING_MAX;
        }
        let slowest = self.names.clone().into_iter().map(|name| self.simulation.node(name).slow).max();
        HEALING_MAX + slowest.unwrap_or_default() * HEALING_DISK_TIMES
    }

    /// Whether one of these leads, and all of them have applied all of its log.
    fn agrees(&mut self, healed: &[NodeId]) -> bool {
        let named = self.named(healed);
        let statuses: Vec<_> = named.iter().map(|&name| self.simulation.node(name).status).collect();
        let leader = statuses.iter().find(|status| status.role == RoleName::Leader);
        leader.is_some_and(|leader| statuses.iter().all(|status| status.applied == leader.last.index))
    }

    /// What of the members is not in order yet.
    fn unsettled(&mut self, healed: &[NodeId]) -> Option<String> {
        if self.classes.members {
            return self.unsettled_members(healed);
        }
        healed.iter().any(|&name| self.lost_files(name)).then(|| "a node still joins".to_string())
    }

    fn wrong_at_end(&mut self, healed: &[NodeId]) -> Option<String> {
        let wrong = if self.classes.members { self.wrong_with_changes() } else { None };
        let named = self.named(healed);
        wrong.or_else(|| self.lost(&named))
    }

    fn lost(&mut self, healed: &[NodeId]) -> Option<String> {
        let states: Vec<_> =
            healed.iter().map(|&name| self.simulation.items(name).unwrap_or_default()).collect();
        if states.iter().any(|state| *state != states[0]) {
            return Some("nodes that applied the same log hold different states".to_string());
        }
        self.workload.audit(&states[0], self.simulation.now());
        self.workload.lost_or_phantom_keys(&states[0]).into_iter().next()
    }
}
