//! How patient a client is, and what it does when there is no room for a call.

use std::time::Duration;

use super::session::UNDER_WAY_MAX;
use crate::config::RaftSettings;

/// Calls of one client that may be in flight: sent, and not ended.
///
/// It suffices for a full pipeline to a fast cluster, bounds the memory that a silent cluster costs, and keeps commands
/// within the window of answers that the servers keep.
pub const CALLS_MAX: usize = 2_048;

const _: () = assert!(CALLS_MAX as u64 <= UNDER_WAY_MAX, "commands stay within the servers' window");

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientSettings {
    /// How long one node may take to answer before another is asked; above zero.
    pub attempt_timeout: Duration,
    /// The first back-off of a call is at most this long; above zero.
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// How many nodes are asked at a time; above zero. More than one find a new leader sooner and send each command more
    /// than once, which does no harm.
    pub copies: usize,
    /// What a call does when the leader is busy.
    pub when_full: WhenFull,
}

/// What a call does when there is no room for it: the leader is busy, or too many calls of its client are in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenFull {
    /// Waits for room, and tries again, until its deadline.
    #[default]
    Wait,
    /// Ends at once, as [`Rejection::Busy`](super::Rejection::Busy) or [`Rejection::Full`](super::Rejection::Full).
    /// Only if it certainly had no effect: a command that an earlier attempt may have put into a log is retried until its
    /// deadline.
    Reject,
}

impl ClientSettings {
    /// Settings that suit a cluster's times: after the longest election timeout another node may lead, and back-offs are
    /// short beside an election.
    pub fn suited_to(raft: &RaftSettings) -> ClientSettings {
        let least = Duration::from_micros(100);
        let backoff_min = (raft.heartbeat / 10).max(least);
        ClientSettings {
            attempt_timeout: raft.election_max.max(least),
            backoff_min,
            backoff_max: (raft.election_min / 4).max(backoff_min),
            copies: 1,
            when_full: WhenFull::default(),
        }
    }

    /// The longest that a call's back-off may last after it backed off this often.
    pub(super) fn backoff(&self, pauses: u32) -> Duration {
        let doubled = 2_u32.checked_pow(pauses).and_then(|factor| self.backoff_min.checked_mul(factor));
        doubled.map_or(self.backoff_max, |backoff| backoff.min(self.backoff_max))
    }
}

impl Default for ClientSettings {
    /// What suits the default times of Raft.
    fn default() -> ClientSettings {
        ClientSettings::suited_to(&RaftSettings::default())
    }
}
