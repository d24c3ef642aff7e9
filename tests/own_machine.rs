//! The cluster in virtual time for machines of one's own notices machines that break the contract of a replicated state
//! machine.

use std::time::Duration;

use raftlab::StateMachine;
use raftlab::simulation::{Request, SimulatedCluster, SimulationSettings};

/// A counter; what breaks it is chosen by `F`.
#[derive(Default)]
struct Counter<const F: u8> {
    count: u64,
    restored: bool,
}

/// Keeps the contract.
const SOUND: u8 = 0;
/// Its snapshot leaves out a part of the state.
const FORGETFUL: u8 = 1;
/// After a restore it answers something else than the replica whose snapshot it took.
const CHANGED_BY_RESTORE: u8 = 2;

impl<const F: u8> StateMachine for Counter<F> {
    type Command = u64;
    type Query = ();
    type Answer = u64;
    type Snapshot = u64;

    fn apply(&mut self, added: &u64) -> u64 {
        self.count += added;
        self.query(&())
    }

    fn query(&self, (): &()) -> u64 {
        if F == CHANGED_BY_RESTORE && self.restored { self.count + 1 } else { self.count }
    }

    fn snapshot(&self) -> u64 {
        if F == FORGETFUL { self.count / 10 * 10 } else { self.count }
    }

    fn restore(&mut self, count: u64) {
        self.count = count;
        self.restored = true;
    }
}

/// What was broken in the first seed in which anything was, of twenty.
fn broken<const F: u8>() -> Option<Vec<String>> {
    (1..=20).find_map(|seed| {
        let mut settings = SimulationSettings::new(3, seed);
        settings.raft.snapshot_entries = 5;
        settings.raft.trailing_entries = 2;
        let mut cluster = SimulatedCluster::new(settings, Counter::<F>::default);
        let client = cluster.add_client();
        for _ in 0..20 {
            cluster.begin(client, Request::Command(1));
            cluster.begin(client, Request::Query(()));
            cluster.disturb();
            cluster.run_for(Duration::from_millis(100));
        }
        cluster.heal();
        assert!(cluster.call(client, Request::Query(())).is_some(), "seed {seed}: a healed cluster answers");
        let violations = cluster.violations();
        (!violations.is_empty()).then_some(violations)
    })
}

#[test]
fn a_sound_machine_passes() {
    assert_eq!(broken::<SOUND>(), None);
}

#[test]
fn a_snapshot_that_leaves_something_out_is_noticed() {
    let violations = broken::<FORGETFUL>().expect("some seed shows it");
    assert!(violations.iter().any(|one| one.starts_with("linearizable: ")), "{violations:?}");
}

#[test]
fn a_restore_that_changes_the_answers_is_noticed() {
    let violations = broken::<CHANGED_BY_RESTORE>().expect("some seed shows it");
    assert!(violations.iter().any(|one| one.starts_with("linearizable: ")), "{violations:?}");
}
