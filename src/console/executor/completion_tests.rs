//! What the language offers: completions, hints and help.

use std::collections::BTreeSet;

use super::verbs::LANGUAGE;
use crate::console::language::{Names, subjects};
use crate::types::NodeId;

fn at_end(line: &str) -> (usize, Vec<String>) {
    let keys = vec!["x".to_string(), "x y".to_string(), "z".to_string()];
    let names = Names { nodes: NodeId::first(3), keys, files: vec!["demo.raft".to_string()] };
    LANGUAGE.complete(line, line.len(), &names)
}

fn offered(line: &str) -> Vec<String> {
    at_end(line).1
}

#[test]
fn verbs_are_completed() {
    assert_eq!(at_end("cra"), (0, vec!["crash".to_string()]));
    assert_eq!(
        at_end("  RE"),
        (
            2,
            [
                "read", "record", "remove", "reorder", "replace", "report", "reset", "restart", "resume",
                "rewind"
            ]
            .map(String::from)
            .to_vec()
        )
    );
    assert_eq!(offered("snap"), ["snapshot"]);
    assert!(offered("").len() > 40);
}

#[test]
fn arguments_are_completed_by_their_kind() {
    for (line, expected) in [
        ("crash ", "n1 n2 n3 leader followers random minority majority all"),
        ("crash n1,", "n1,n2 n1,n3"),
        ("crash l", "leader"),
        ("crash n2 ", "for"),
        ("crash n2 for 5", "500ms 5s"),
        ("crash n2 -", "--power"),
        ("status n", "n1 n2 n3"),
        ("cut n1", "n1> n1<>"),
        ("cut l", "leader> leader<>"),
        ("cut n1<>n", "n1<>n2 n1<>n3"),
        ("cut n1>c", "n1>clients"),
        ("drop 20% leader<>f", "leader<>followers"),
        ("delay 2ms j", "jitter"),
        ("partition ha", "halves"),
        ("partition n1 ", "n2 n3 leader followers random minority majority all / for"),
        ("partition leader / f", "followers"),
        ("partition minority ", "/ for"),
        ("partition bridge n", "n1 n2 n3"),
        ("read @", "@n1 @n2 @n3 @leader @random"),
        ("read x --timeout ", "100ms 500ms 1s 2s 5s"),
        ("wait n", "no-leader no-key"),
        ("wait o", ""),
        ("expect o", "ok"),
        ("expect role n1 c", "candidate"),
        ("expect key z", "z"),
        ("events e", "election"),
        ("help cond", "conditions"),
        ("run d", "demo.raft"),
        ("# cra", ""),
        ("xyzzy n", ""),
    ] {
        assert_eq!(offered(line).join(" "), expected, "{line}");
    }
}

#[test]
fn keys_with_spaces_are_offered_in_quotes_and_found_from_an_open_quote() {
    assert_eq!(offered("read x"), ["x", "\"x y\""]);
    assert_eq!(at_end("read \"x "), (5, vec!["\"x y\"".to_string()]));
}

#[test]
fn a_cursor_anywhere_is_accepted() {
    let names = Names::default();
    assert_eq!(LANGUAGE.complete("crash n1", 2, &names).1, ["crash", "create"]);
    for cursor in 0..20 {
        let _ = LANGUAGE.complete("pút x é", cursor, &names);
    }
}

#[test]
fn a_hint_shows_what_is_still_wanted() {
    for (line, hinted) in [
        ("create", Some(" KEY VALUE [@NODE] [--timeout DURATION]")),
        ("create ", Some("KEY VALUE [@NODE] [--timeout DURATION]")),
        ("create x", Some(" VALUE [@NODE] [--timeout DURATION]")),
        ("create x 5 @n2 ", Some("[--timeout DURATION]")),
        ("create x 5 --timeout 2s @n1", None),
        ("crash n2 ", Some("[--power] [for DURATION]")),
        ("read x --stale ", Some("[@NODE] [--timeout DURATION]")),
        (
            "partition ",
            Some("TARGET / TARGET [/ TARGET] | halves | minority | bridge NODE | ring [for DURATION]"),
        ),
        ("partition n1 ", None),
        ("parti", Some("tion")),
        ("re", None),
        ("leader", None),
        ("xyzzy", None),
        ("", None),
        ("create 'a", None),
    ] {
        assert_eq!(LANGUAGE.hint(line).as_deref(), hinted, "{line}");
    }
}

#[test]
fn all_help_fits_eighty_columns_and_names_each_verb() {
    let names = LANGUAGE.verbs().map(|form| form.name).chain(subjects());
    for text in names.map(|name| LANGUAGE.help(Some(name))).chain([LANGUAGE.help(None)]) {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }
    let overview = LANGUAGE.help(None);
    assert!(overview.lines().count() < 24, "it fits a screen with the prompt below:\n{overview}");
    for form in LANGUAGE.verbs() {
        assert!(overview.contains(&format!(" {}", form.name)), "{}", form.name);
        let themes = subjects().filter(|subject| *subject != "all");
        let explained =
            themes.filter(|theme| LANGUAGE.help(Some(theme)).contains(&format!("\n  {:<14} ", form.name)));
        assert_eq!(explained.count(), 1, "{} has one theme", form.name);
    }
}

#[test]
fn a_verb_is_explained_with_example_and_rule() {
    assert_eq!(
        LANGUAGE.help(Some("crash")),
        "crash TARGET [--power] [for DURATION]\n\
         \x20 ends a node without warning: its memory is gone, its disk stays\n\
         \x20   --power       loses the writes that were not yet forced to disk, too\n\
         \x20   for DURATION  undoes it after this time\n\
         \x20 example  crash leader for 2s\n\
         \x20 shows    5.2: followers that hear no leader for a timeout elect another\n\
         \x20 see also 'help targets'"
    );
}

#[test]
fn a_fault_of_a_disk_says_what_undoes_it() {
    for fault in ["slow-disk", "stall-disk", "fill-disk"] {
        assert!(LANGUAGE.help(Some(fault)).contains("\n  undone   by 'reset'"), "{fault}");
    }
    assert!(!LANGUAGE.help(Some("snapshot")).contains("undone"));
}

#[test]
fn every_topic_is_explained_in_its_own_words() {
    let texts: BTreeSet<String> = subjects().map(|topic| LANGUAGE.help(Some(topic))).collect();
    assert_eq!(texts.len(), subjects().count());
    assert!(LANGUAGE.help(Some("conditions")).contains("no-leader"));
}
