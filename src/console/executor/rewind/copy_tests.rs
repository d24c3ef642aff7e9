//! A run that is made again from a copy of it stands as one that is made again from its beginning.

use super::super::tests::Desk;
use super::copies::{Copies, KEPT_MAX};
use super::tests::{LIVELY, desk, now, standing};

/// A desk whose run is copied each time that this many events have passed.
fn copying(apart: u64) -> Desk {
    let mut desk = desk();
    desk.console().copies = Copies::apart(apart);
    desk
}

#[test]
fn from_any_copy_a_run_is_made_again_as_it_was() {
    for apart in [1, 15, 300] {
        let mut desk = copying(apart);
        let mut stood = Vec::new();
        for line in LIVELY.lines() {
            desk.lines(line);
            stood.push(standing(&mut desk));
        }
        let kept = desk.console().copies.len();
        assert!(0 < kept && kept <= KEPT_MAX, "{kept} copies");
        let last_of_its_time = stood.windows(2).filter(|pair| pair[0].1 < pair[1].1).map(|pair| &pair[0]);
        for expected in last_of_its_time.rev() {
            let said = desk.lines(&format!("rewind to {}ns", expected.1.as_nanos()));
            assert!(!said.contains("ERR"), "{said}");
            assert_eq!(&standing(&mut desk), expected);
        }
        desk.lines("rewind to end");
        assert_eq!(Some(&standing(&mut desk)), stood.last());
        assert_eq!(desk.console().copies.len(), kept, "none is made in the past");
    }
}

#[test]
fn what_follows_a_fork_is_the_same_with_copies_and_without() {
    let mut outcomes = Vec::new();
    for apart in [1, 40, u64::MAX] {
        let mut desk = copying(apart);
        desk.lines(LIVELY);
        let quarter = now(&mut desk).as_nanos() / 4;
        desk.lines(&format!("rewind to {}ns", 3 * quarter));
        desk.lines("fork\nput x 7\ncrash leader for 300ms\nsleep 1s");
        let forked = standing(&mut desk);
        desk.lines(&format!("rewind to {}ns", 2 * quarter));
        let back = standing(&mut desk);
        desk.lines("rewind to end");
        assert_eq!(standing(&mut desk), forked);
        outcomes.push((forked, back));
    }
    assert_eq!(outcomes[0], outcomes[2]);
    assert_eq!(outcomes[1], outcomes[2]);
}

#[test]
fn a_script_that_another_runs_is_saved_as_it_was_after_a_rewind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (inner, saved) = (folder.path().join("inner.raft"), folder.path().join("saved.raft"));
    std::fs::write(&inner, "put a 1\nsleep 1s\nput b 2\nsleep 1s\nput c 3\nsleep 1s\n").expect("written");
    let mut texts = Vec::new();
    for apart in [1, u64::MAX] {
        let mut desk = copying(apart);
        desk.lines(&format!("wait leader\nrun {}\nsleep 1s", inner.display()));
        desk.lines("rewind 1500ms\nfork");
        desk.lines(&format!("save-script {} --overwrite", saved.display()));
        texts.push(std::fs::read_to_string(&saved).expect("it was saved"));
    }
    assert!(texts[0].contains("put c 3"), "{}", texts[0]);
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn a_run_in_which_a_node_is_paused_is_copied_with_what_waits_for_it() {
    let lines = "wait leader\npause n2\nput x 1\nsleep 300ms\nput y 2\nsleep 300ms\nresume n2\nsleep 300ms";
    let mut straight = copying(u64::MAX);
    straight.lines(lines);
    let mut desk = copying(1);
    desk.lines("wait leader\npause n2\nput x 1\nsleep 300ms\nput y 2\nsleep 300ms");
    let kept = desk.console().copies.len();
    assert!(kept > 3, "{kept} copies: it is copied while n2 stands still");
    desk.lines("sleep 1ms\nrewind 1ms\nfork\nresume n2\nsleep 300ms");
    assert_eq!(standing(&mut desk), standing(&mut straight));
}
