//! The catalogue of broken rules from the histories of other implementations, and the specimen that shows each.

use std::collections::BTreeSet;

use raftlab::sim::museum::{self, Caught, Specimen};

/// How many rules the catalogue has.
const RULES: u8 = 30;

/// The number of a rule, what breaks it, and the specimen.
const CATALOGUE: &[(u8, &str, &str)] = &[
    (1, "the vote is cleared when stepping down in the same term", "vote-cleared-on-following"),
    (2, "vote replies are counted without their term", "vote-replies-without-term"),
    (3, "a vote is granted twice", "vote-given-twice"),
    (4, "an entry of an old term is committed by counting (Figure 8)", "old-term-committed-by-counting"),
    (5, "the new leader's no-op is counted before its own fsync", "own-copy-before-fsync"),
    (6, "a reply leaves before the fsync", "reply-before-fsync"),
    (7, "everything behind the previous entry is deleted before appending", "cut-behind-previous"),
    (8, "the follower's last index is acknowledged", "last-index-acknowledged"),
    (9, "a stale negative reply lowers what is known to match", "stale-refusal-lowers-next"),
    (11, "the commit index comes from unsorted match indexes", "unsorted-match-indexes"),
    (12, "term 0 is sent for a compacted previous entry", "compacted-previous-without-term"),
    (13, "replaying the log brings truncated entries back", "truncated-entries-come-back"),
    (14, "a snapshot older than the log wipes newer entries", "old-snapshot-wipes-log"),
    (15, "a trailing log is kept beside a foreign snapshot", "foreign-suffix-kept"),
    (16, "an install sets the applied index back", "applied-set-back"),
    (17, "a snapshot is saved without the table of sessions", "snapshot-without-sessions"),
    (18, "an idle leader that compacted to its tip never sends a snapshot", "idle-tip-not-sent"),
    (19, "a read is served before the no-op of the term commits", "read-before-no-op"),
    (20, "answers to an older round confirm a read round", "answers-without-round"),
    (21, "a lease is kept after a transfer is ordered", "lease-kept-while-handing-over"),
    (22, "a pre-vote does not compare terms before logs", "refused-pre-vote-without-term"),
    (23, "followers are loyal to a leader without check-quorum", "loyal-without-check-quorum"),
    (24, "the applied index is saved apart from its data", "applied-index-apart"),
    (25, "a folder is not synced", "no-folder-fsync"),
    (26, "an fsync is tried again after it failed", "fsync-tried-again"),
    (27, "the table of sessions does not come back with the snapshot", "sessions-not-restored"),
    (28, "completions of the disk are taken out of order", "completions-out-of-order"),
    (29, "backing off cannot pass 50 conflicting entries", "short-back-off"),
    (30, "a damaged entry is cut off on a minority that then leads", "damaged-line-cut-off"),
];

/// Rules without a specimen, and why.
const ELSEWHERE: &[(u8, &str)] =
    &[(10, "the core alone shows it: an_acknowledgement_of_an_earlier_term_commits_nothing")];

#[test]
fn each_specimen_says_what_it_does_and_what_catches_it() {
    for specimen in museum::specimens() {
        let Specimen { name, defect, section, caught, .. } = specimen;
        let by = match caught {
            Caught::BySeeds { complaints, .. } => complaints.concat(),
            Caught::ByScenario(scenario) => (*scenario).to_string(),
        };
        assert!(![*defect, *section, &by].contains(&""), "{name} lacks a word: {specimen:?}");
    }
}

#[test]
fn each_rule_of_the_catalogue_has_its_specimen() {
    for (number, broken, name) in CATALOGUE {
        assert!(museum::specimen(name).is_some(), "{number}, {broken}: the museum has no '{name}'");
    }
    let shown = CATALOGUE.iter().map(|(number, _, _)| *number);
    let elsewhere = ELSEWHERE.iter().map(|(number, why)| {
        assert!(!why.is_empty(), "{number} is shown in another way, which is told");
        *number
    });
    let numbers: Vec<u8> = shown.chain(elsewhere).collect();
    let distinct: BTreeSet<u8> = numbers.iter().copied().collect();
    assert_eq!(distinct, (1..=RULES).collect(), "each rule is shown");
    assert_eq!(distinct.len(), numbers.len(), "each rule is listed once");
    let names: BTreeSet<&str> = CATALOGUE.iter().map(|(_, _, name)| *name).collect();
    assert_eq!(names.len(), CATALOGUE.len(), "no specimen stands for two rules");
}
