//! The museum of broken rules as a program shows it: a table, one specimen, and what to type to see it again.

use std::time::Duration;

use crate::Folder;

/// How long a run for each specimen may take.
const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn the_table_names_what_caught_each_specimen_and_fits_a_terminal() {
    let folder = Folder::new();
    let program = env!("CARGO_BIN_EXE_simulate");
    let ran = folder.run_within(PATIENCE, program, &["museum"], "").exits(0);
    let too_long = ran.out.lines().find(|line| line.chars().count() > 100);
    assert_eq!(too_long, None, "a line has 100 columns");
    let rows: Vec<&str> = ran.out.lines().skip(1).step_by(2).collect();
    let by_scenario = rows.iter().filter(|row| row.contains(" a scenario ")).count();
    assert!(rows.len() - by_scenario >= 75, "{by_scenario} of {} need a scenario", rows.len());
    let row = rows.iter().find(|row| row.starts_with("vote-given-twice ")).expect("it is on show");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[1..7], ["5.2", "one", "vote", "a", "term", "general"], "{row}");
    assert!(words[8].parse::<f64>().is_ok_and(|seconds| seconds > 0.0), "{row}");
    assert_eq!(ran.err, "", "what a broken node says of itself is no news here");
}

#[test]
fn one_specimen_is_shown_with_how_to_see_it_again() {
    let folder = Folder::new();
    let ran = folder.simulate(&["museum", "vote-given-twice"], "").exits(0);
    for said in [
        "vote-given-twice: a node that has voted votes for the next candidate of the term too (5.2)",
        "caught by seed 1 of the family general after ",
        "one vote a term: ",
        "simulate museum vote-given-twice --events",
        "simulate --family general --seed 1",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    let told = folder.simulate(&["museum", "vote-given-twice", "--events"], "").exits(0);
    assert!(told.out.contains("grants n") && told.out.lines().count() > 10, "{}", told.out);
    let counted = folder.simulate(&["museum", "vote-given-twice", "--seeds", "1..3"], "").exits(0);
    assert!(
        counted.out.contains(" of the 3 seeds of the family general; first by seed 1 "),
        "{}",
        counted.out
    );
    let json = folder.simulate(&["museum", "vote-given-twice", "--json"], "").exits(0);
    for said in ["\"specimen\":\"vote-given-twice\"", "\"property\":\"one vote a term\"", "\"seed\":1,"] {
        assert!(json.out.contains(said), "{said}: {}", json.out);
    }
    let scenario = folder.simulate(&["museum", "dead-leader-named"], "").exits(0);
    assert!(scenario.out.contains("caught by a scenario of the tests: a client asks"), "{}", scenario.out);
}

#[test]
fn a_name_that_is_not_there_is_answered_with_one_that_is() {
    let folder = Folder::new();
    let refusal = folder.simulate(&["museum", "vote-given-twic"], "").refusal();
    assert!(
        refusal.contains("there is no specimen 'vote-given-twic': did you mean 'vote-given-twice'?"),
        "{refusal}"
    );
    let refusal = folder.simulate(&["museum", "--seeds", "1..3"], "").refusal();
    assert!(refusal.contains("SPECIMEN"), "{refusal}");
}
