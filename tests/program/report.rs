//! Reports of runs: the directive `report`, and `simulate --report` for a script and for a seed.

use crate::Folder;

#[test]
fn a_report_tells_what_was_typed_seen_and_sent() {
    let folder = Folder::new();
    let lines = "put x 1\ncrash leader\nput y 2\nevents all\nput z 3\ncreate x 9\nreport run.html\n";
    let ran = folder.cluster(&["3", "--memory", "--seed", "7"], lines).exits(0);
    let said = ran.out.lines().last().unwrap_or_default();
    assert!(said.starts_with("run.html written: 5 directives, 4 operations, "), "{said}");
    let page = folder.read("run.html");
    for part in [
        "PASS safety (",
        "PASS linearizable (4 operations on 3 keys)",
        ">crash leader</span>",
        "c1 put x=1",
        "c1 create x=9, called at ",
        "class=\"refused\"",
        "class=\"stop of-entries\"",
        "events all\nput z 3",
    ] {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
    assert!(page.contains(" AppendEntries prev=") && page.contains(", arrives at "), "{page}");
}

#[test]
fn a_report_replaces_an_older_one_and_nothing_else() {
    let folder = Folder::new();
    folder.write("notes.html", "mine");
    let run = ["3", "--seed", "7", "--script", "-", "--keep-going"];
    let ran = folder
        .simulate(&run, "report notes.html\nreport a.html\nreport a.html\nreport none/a.html\n")
        .exits(1);
    let answers: Vec<&str> = ran.out.lines().filter(|line| !line.starts_with('>')).collect();
    assert!(
        answers[0].contains("notes.html is there and is no report of raftlab: choose another name"),
        "{}",
        ran.out
    );
    assert!(
        answers[1].starts_with("a.html written: ") && answers[2].starts_with("a.html written: "),
        "{}",
        ran.out
    );
    assert!(answers[3].contains("none/a.html cannot be written: "), "{}", ran.out);
    assert_eq!(folder.read("notes.html"), "mine");
    for program in [
        folder.simulate(&["--seed", "4", "--report", "notes.html"], ""),
        folder.client_load(&["--report", "notes.html"]),
    ] {
        assert!(program.refusal().contains("notes.html is there and is no report"));
    }
}

#[test]
fn a_report_that_cannot_be_written_in_the_end_is_a_failure_of_the_run() {
    let folder = Folder::new();
    let run = ["3", "--seed", "7", "--script", "-", "--report", "r.html"];
    let ran = folder.simulate(&run, "wait leader\nsave-script r.html\n").exits(1);
    assert!(ran.err.contains("r.html is there and is no report"), "{}", ran.err);
    assert!(folder.read("r.html").contains("wait leader"), "it stays");
}

#[test]
fn a_script_and_a_seed_have_their_page_and_the_same_seed_has_the_same() {
    let folder = Folder::new();
    folder.write("crash.raft", "wait leader\ncrash leader for 1s\nput x 1\nsleep 2s\n");
    let ran =
        folder.simulate(&["3", "--script", "crash.raft", "--seed", "3", "--report", "a.html"], "").exits(0);
    assert!(ran.err.contains("a.html written: "), "{}", ran.err);
    let page = folder.read("a.html");
    assert!(page.contains("class=\"fault-band\"") && page.contains("candidate in term "), "{page}");
    let pictures = ["b.html", "c.html"].map(|name| {
        folder.simulate(&["--seed", "42", "--report", name], "").exits(0);
        let page = folder.read(name);
        let begin = page.find("<figure class=\"scene\"").expect("the messages");
        assert!(page.contains("PASS every property held") && page.contains("messages left out"), "{page}");
        assert!(page.len() < 1 << 20, "{} bytes", page.len());
        page[begin..page.find("<h2>About").expect("its end")].to_string()
    });
    assert_eq!(pictures[0], pictures[1]);
}

#[test]
fn a_load_at_the_prompt_is_in_the_report() {
    let folder = Folder::new();
    let lines = "load --clients 2 --duration 300ms\nreport run.html\n";
    folder.cluster(&["3", "--memory"], lines).exits(0);
    let page = folder.read("run.html");
    for part in ["<span>throughput</span>", "What each client of the load saw", "Latency by percentile"] {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
}
