//! Settings: what may be chosen, the defaults, and the rules that choices must keep.

use std::time::Duration;

/// The consensus core's settings: times of section 5.6, limits, and the two extensions that can be turned off to
/// watch plain Figure 2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RaftSettings {
    /// How often a leader speaks to each follower.
    pub heartbeat: Duration,
    /// The shortest election timeout; each is drawn anew from `election_min..=election_max` (5.2).
    pub election_min: Duration,
    /// The longest election timeout.
    pub election_max: Duration,
    /// How long a leader gathers commands before it sends them; zero sends at once.
    pub batch_window: Duration,
    /// Bytes of entries in one AppendEntries at most; a single larger entry still travels, alone.
    pub message_bytes_max: usize,
    /// AppendEntries with entries under way to one follower at most.
    pub in_flight_messages_max: usize,
    /// Bytes of entries under way to one follower at most.
    pub in_flight_bytes_max: usize,
    /// Bytes of uncommitted entries in a leader's log at most; beyond, commands are refused as busy.
    pub uncommitted_bytes_max: usize,
    /// Ask before starting an election, so that a node cut off for a while disturbs nobody (9.6).
    pub pre_vote: bool,
    /// A leader that a quorum no longer answers steps down (6.2).
    pub check_quorum: bool,
}

impl Default for RaftSettings {
    fn default() -> RaftSettings {
        RaftSettings {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
            batch_window: Duration::ZERO,
            message_bytes_max: 1 << 20,
            in_flight_messages_max: 64,
            in_flight_bytes_max: 8 << 20,
            uncommitted_bytes_max: 64 << 20,
            pre_vote: true,
            check_quorum: true,
        }
    }
}
