//! The bytes of records: as they are written, cut off, and made by strangers.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

const GOLDEN: &str = include_str!("golden.txt");

/// Where these change, the version has to.
#[test]
fn the_bytes_of_records_stay_as_they_are() {
    let written = Written3::committed();
    let mut shown = String::new();
    for (node, bytes) in &written.records {
        let mut rest = &bytes[..];
        while let Some((_, length)) = unframe(rest).expect("whole records") {
            let mut digits = String::new();
            for byte in &rest[..length] {
                write!(digits, "{byte:02x}").expect("memory takes it");
            }
            writeln!(shown, "{node} {digits}").expect("memory takes it");
            rest = &rest[length..];
        }
    }
    assert_eq!(shown, GOLDEN, "src/check/records/tests/golden.txt has what is written");
}

#[test]
fn a_record_that_is_cut_off_is_waited_for() {
    let written = Written3::committed();
    let bytes = &written.records[&n(1)];
    for cut in 0..bytes.len() {
        let mut following = Following::default();
        following.take(n(1), 0, &bytes[..cut]);
        following.take(n(1), cut as u64, &bytes[cut..]);
        assert_holds(&written.read(&mut following, &[]));
    }
}

#[test]
fn a_bit_that_is_flipped_anywhere_is_told_in_a_line() {
    let written = Written3::committed();
    let whole = &written.records[&n(1)];
    for (place, bit) in (0..whole.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let mut following = Following::default();
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << bit;
        following.take(n(1), 0, &bytes);
        let verdicts = written.read(&mut following, &[1]);
        assert_eq!(failed(&verdicts), [""; 0]);
        let said = open(&verdicts);
        assert!(said.iter().all(|line| line.contains("n1's records are damaged at byte")), "{said:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What stands behind a good checksum is judged without harm, be it what it may.
    #[test]
    fn any_content_is_read_without_harm(
        record in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let written = Written3::committed();
        let mut changed = Written3::default();
        for (node, bytes) in &written.records {
            let mut records = Vec::new();
            let mut rest = &bytes[..];
            while let Some((content, length)) = unframe(rest).expect("whole records") {
                records.push(content.to_vec());
                rest = &rest[length..];
            }
            let chosen = record.index(records.len());
            let chosen = &mut records[chosen];
            for (place, byte) in &changes {
                let place = place.index(chosen.len());
                chosen[place] = *byte;
            }
            let to = changed.records.entry(*node).or_default();
            for record in &records {
                frame(to, |to| to.extend_from_slice(record));
            }
        }
        for verdict in changed.judged_without(&[]) {
            prop_assert!(!verdict.to_string().contains('\n'));
        }
    }
}
