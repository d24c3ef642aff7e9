//! The museum of broken rules as a program shows it: one specimen, and what to type to see it again. `tests/museum` reads its
//! table.

use crate::Folder;

#[test]
fn one_specimen_is_shown_with_how_to_see_it_again() {
    let folder = Folder::new();
    let ran = folder.simulate(&["museum", "vote-given-twice"], "").exits(0);
    for said in [
        "vote-given-twice: a node that has voted votes for the next candidate of the term too (5.2)",
        "caught by seed 2 of the family general after ",
        "one vote a term: ",
        "simulate museum vote-given-twice --events",
        "simulate --family general --seed 2",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    let told = folder.simulate(&["museum", "vote-given-twice", "--events"], "").exits(0);
    assert!(told.out.contains("grants n") && told.out.lines().count() > 10, "{}", told.out);
    let counted = folder.simulate(&["museum", "vote-given-twice", "--seeds", "1..3"], "").exits(0);
    assert!(
        counted.out.contains(" of the 3 seeds of the family general; first by seed 2 "),
        "{}",
        counted.out
    );
    let json = folder.simulate(&["museum", "vote-given-twice", "--json"], "").exits(0);
    for said in ["\"specimen\":\"vote-given-twice\"", "\"property\":\"one vote a term\"", "\"seed\":2,"] {
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
