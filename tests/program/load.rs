//! `client_load` and the console's `load`: what cannot be is refused before anything starts, each mode ends with a whole
//! report, and nothing here depends on how fast the machine is.

use crate::{Folder, Ran, Running};

impl Folder {
    /// Two hundred operations on a cluster in memory, as these options have it.
    fn few(&self, options: &[&str]) -> Ran {
        self.client_load(&[&["--memory", "--count", "200", "--seed", "7"], options].concat())
    }
}

#[test]
fn what_cannot_be_carried_out_is_refused_before_anything_starts() {
    let folder = Folder::new();
    let long_fault = ["--memory", "--duration", "5s", "--at", "6s", "crash leader"];
    for (options, said) in [
        (&["--clients", "0"][..], "the number of clients must be above zero"),
        (&["--batch", "0"], "the batch must be above zero"),
        (&["--count", "0"], "the count must be above zero"),
        (&["--duration", "0s"], "the duration must be above zero"),
        (&["--keys", "0"], "the number of keys must be above zero"),
        (&["--rate", "0", "--count", "5"], "the rate must be above zero"),
        (&["--rate", "100"], "--rate needs --duration or --count"),
        (&["--pipeline", "3", "--batch", "4"], "has no room for a batch of 4"),
        (&["--nodes", "0"], "nodes"),
        (&["--reads", "120%"], "is not a percentage"),
        (&["--read-mode", "dirty"], "choose linearizable, lease, stale or serializable"),
        (&["--mix", "push=1"], "'push' is no command"),
        (&["--zipf", "11"], "Zipf"),
        (&["--sweep", "clients=0"], "whole numbers above zero"),
        (&["--sweep", "engine=raftlab,consul"], "write raftlab:3, etcd:3 or etcd=http://"),
        (&["--engine", "raftlab:0"], "'0' is no number of nodes here: write 1 to 99"),
        #[cfg(not(feature = "etcd"))]
        (&["--engine", "etcd:3"], "build it with --features etcd"),
        (&["--sweep", "nodes=100"], "nodes=100: "),
        (&["--sweep", "value-size=67108865"], "value-size=67108865: a value has at most"),
        (&["--sweep", "clients=1,2", "--states", "states"], "cannot be used with"),
        (&["--at", "1s", "crsh leader"], "did you mean 'crash'?"),
        (&["--at", "soon", "crash leader"], "'soon' is not a duration"),
        (&["--at", "1s", "crash n9"], "there is no n9: the nodes are n1 to n3"),
        (&["--memory", "--at", "1s", "fill-disk n1"], "there is no disk in memory"),
        (&long_fault, "the run ends after 5s"),
        (&["--report", "none/r.html"], "none/r.html cannot be written: "),
        (&["--csv", "none/r.csv"], "none/r.csv cannot be written: "),
        (&["--history", "none/h.jsonl"], "none/h.jsonl cannot be written: "),
        (&["--config", "none.toml"], "none.toml cannot be read: "),
        (&["--expect", "p99"], "'p99' has no operator: write one of < <= > >= =, as in p99<50ms"),
        (&["--expect", "p98<5ms"], "'p98' is no metric: did you mean 'p9"),
        (&["--expect", "failed=0", "--expect", "p99<50"], "'50' has no unit: write 50s or 50ms"),
        (&["--expect", "rate>=95%"], "a percentage is of --rate, which is not given"),
    ] {
        let reason = folder.client_load(options).refusal();
        assert!(reason.contains(said), "{options:?}: {reason}");
    }
    assert_eq!(crate::contents(folder.0.path()), [], "nothing was started");
}

#[test]
fn the_settings_of_a_file_hold_unless_an_option_says_otherwise() {
    let folder = Folder::new();
    folder.write("five.toml", "nodes = 5\nmemory = true\nclient_timeout = '700ms'\n");
    let run = ["--count", "20", "--json", "--config", "five.toml"];
    for (options, nodes) in [(&[][..], 5), (&["--nodes", "1"], 1), (&["1"], 1)] {
        let ran = folder.client_load(&[&run, options].concat()).exits(0);
        let report: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
        assert_eq!((&report["nodes"], &report["memory"]), (&nodes.into(), &true.into()), "{report}");
    }
    let refusal = folder.client_load(&["--states", "states", "--config", "five.toml"]).refusal();
    assert!(refusal.contains("the settings' file says memory = true"), "{refusal}");
}

#[test]
fn a_signal_ends_the_wait_for_a_leader_and_leaves_no_folder() {
    let folder = Folder::new();
    let options = ["--election", "60s..90s", "--leader-within", "10m"];
    let mut command = folder.command(env!("CARGO_BIN_EXE_client_load"), &options);
    command.env("TMPDIR", folder.0.path());
    let mut running = Running::of(command);
    running.answer("ANSWERED/S");
    running.signal("INT");
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(130), "{rest:?}");
    assert_eq!(rest.last().map(String::as_str), Some("error: interrupted before a leader was elected"));
    assert_eq!(crate::contents(folder.0.path()), [], "its folder is gone");
}

#[test]
fn calls_that_were_due_and_never_had_room_are_reported() {
    // The call under way when all nodes crash takes up the only room until the time is over.
    let options = ["--memory", "--rate", "1000", "--pipeline", "1", "--duration", "1s", "--timeout", "1s"];
    let crash = ["--at", "100ms", "crash all", "--report", "r.html"];
    let folder = Folder::new();
    let ran = folder.client_load(&[&options[..], &crash].concat());
    let unsent = |text: &str| text.contains("due, but without room before the end");
    assert!(unsent(&ran.out) && unsent(&folder.read("r.html")), "{}{}", ran.out, ran.err);
}

#[test]
fn what_is_answered_in_the_measured_time_counts_whatever_the_warm_up_left() {
    // A rate far above what can be answered: in the warm-up more comes due than can be sent in the whole run.
    let options = ["--memory", "--clients", "4", "--rate", "100000000", "--duration", "600ms"];
    let folder = Folder::new();
    let more = ["--warm-up", "300ms", "--no-check", "--json", "--csv", "r.csv"];
    let ran = folder.client_load(&[&options[..], &more].concat()).exits(0);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    let number = |name: &str| report[name].as_u64().expect(name);
    assert!(number("sent") > 0 && number("answered") > 0 && number("unsent") > 0, "{report}");
    assert!(number("answered_in_time") > 0 && report["throughput"].as_f64() > Some(0.0), "{report}");
    assert_eq!(report["elapsed"].as_f64(), Some(0.6), "{report}");
    let answered: u64 = column(&folder.read("r.csv"), "answered").iter().map(|cell| number_of(cell)).sum();
    let warm_up = report["warm_up"]["answered"].as_u64().expect("a number");
    assert_eq!(answered, number("answered") + warm_up, "rows tell what ended, of the warm-up too: {report}");
}

#[test]
fn seconds_without_an_answer_are_empty_cells_and_nulls() {
    let folder = Folder::new();
    let options = ["--memory", "--clients", "2", "--duration", "2s", "--warm-up", "0s", "--timeout", "500ms"];
    let more = ["--at", "0s", "crash all", "--csv", "r.csv", "--report", "r.html", "--json"];
    let ran = folder.client_load(&[&options[..], &more].concat()).exits(3);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    let rows = report["rows"].as_array().expect("rows");
    let silent = rows.iter().find(|row| row["second"] == 2).expect("a second row");
    assert_eq!((&silent["answered"], &silent["latency"]["p99"]), (&0.into(), &serde_json::Value::Null));
    assert!(silent["all"]["p50"].as_f64() >= Some(495_000.0), "at the time-out: {silent}");
    let text = folder.read("r.csv");
    assert_eq!(column(&text, "second")[1], "2");
    assert_eq!((column(&text, "p99_us")[1], column(&text, "max_us")[1]), ("", ""), "{text}");
    assert!(!column(&text, "all_p99_us")[1].is_empty(), "{text}");
    assert!(folder.read("r.html").contains("<tr><td>2</td><td>0</td>"), "{}", folder.read("r.html"));
}

#[test]
fn calls_without_an_answer_count_at_their_time_out_beside_the_answers() {
    let options = ["--memory", "--rate", "500", "--clients", "2", "--duration", "1500ms", "--warm-up", "0s"];
    let crash = ["--timeout", "600ms", "--at", "300ms", "crash all", "--expect", "answers.p50<600ms"];
    let expect = ["--expect", "p99 < 600ms", "--expect", "failed=0", "--expect", "outage<1s"];
    let folder = Folder::new();
    let run = [&options[..], &crash, &expect, &["--report", "r.html"]].concat();
    let ran = folder.client_load(&run).exits(1);
    let line = |begin: &str| {
        let found = ran.out.lines().find(|line| line.starts_with(begin));
        found.unwrap_or_else(|| panic!("no {begin:?} in {}{}", ran.out, ran.err)).to_string()
    };
    line("all, with unanswered");
    line("PASS answers.p50 < 600ms: ");
    line("FAIL p99 < 600ms: ");
    line("FAIL failed = 0: ");
    line("FAIL outage < 1s: ");
    assert!(line("longest outage").ends_with("% of the measured time"), "{}", ran.out);
    line("note: without service for ");
    let table = ran.out.lines().skip_while(|line| *line != "    AT  OUTAGE  WHAT WAS DONE").nth(1);
    assert!(table.is_some_and(|row| row.starts_with("0.3") && row.ends_with(" s  crash all")), "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.len() <= 80 || line.starts_with("again: ")), "{}", ran.out);
    line("PASS linearizable (");
    let page = folder.read("r.html");
    assert!(page.contains("</i> FAIL failed = 0: ") && page.contains("without service for"), "{page}");
    let json = folder.client_load(&[&run[..], &["--json"]].concat()).exits(1);
    let report: serde_json::Value = serde_json::from_str(&json.out).expect("one JSON object");
    assert_eq!(report["expectations"].as_array().map(Vec::len), Some(4), "{report}");
    assert_eq!(report["expectations"][2]["expectation"], "failed = 0", "{report}");
    assert_eq!(report["expectations"][2]["pass"], false, "{report}");
    assert!(report["faults"][0]["outage"].as_f64() > Some(1.0), "{report}");
    assert!(page.contains("<th>outage</th><th>what was done</th>"), "{page}");
}

#[test]
fn expectations_that_hold_are_told_and_all_is_well() {
    let expect = ["--expect", "failed=0", "--expect", "answered>=100%", "--expect", "rate>1"];
    let folder = Folder::new();
    let ran = folder.few(&expect).exits(0);
    for line in
        ["\nPASS failed = 0: 0 (0.0 %)\n", "\nPASS answered >= 100%: 200 (100.0 %)\n", "\nPASS rate > 1: "]
    {
        assert!(ran.out.contains(line), "no {line:?} in {}", ran.out);
    }
    let options =
        ["--sweep", "batch=1,10", "--expect", "failed=0", "--expect", "answered<5", "--report", "s.html"];
    let ran = folder.few(&options).exits(1);
    for line in ["PASS batch=1: failed = 0: 0", "FAIL batch=10: answered < 5: 200", " EXPECT\n"] {
        assert!(ran.out.contains(line), "no {line:?} in {}", ran.out);
    }
    assert!(folder.read("s.html").contains("FAIL batch=10: answered &lt; 5: 200"));
    let rates = ["--sweep", "rate=2000,4000", "--expect", "rate>=0%"];
    let ran = folder.few(&rates).exits(0);
    assert!(ran.out.contains("\nPASS rate=4000: rate >= 0%: "), "each run has its rate: {}", ran.out);
}

#[test]
fn all_times_count_from_the_end_of_the_warm_up_and_the_history_marks_it() {
    let folder = Folder::new();
    let options = ["--memory", "--duration", "1s", "--warm-up", "1500ms", "--history", "h.jsonl", "--json"];
    let ran = folder.client_load(&[&options[..], &["--at", "100ms", "crash leader for 200ms"]].concat());
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    let at = report["faults"][0]["at"].as_f64().expect("a time");
    // A stamp has whole milliseconds, the rest cut off.
    let stamp = (at * 1e3).floor() / 1e3;
    assert!(ran.err.contains(&format!("[{stamp:.3}] crash leader for 200ms: n")), "{}", ran.err);
    // The end of the fault is told by the console, its beginning by the run.
    let mut told = ran.err.lines().filter_map(|line| line.strip_prefix('[')?.split_once("] "));
    let restarts = told.find(|(_, said)| said.contains(" restarts after 200 ms ("));
    let (restarted, _) = restarts.expect("it ends by itself");
    // By the cluster's own clock it would be later than the warm-up is long.
    let restarted: f64 = restarted.parse().expect("seconds");
    assert!((at..1.5).contains(&restarted), "{at} s: {}", ran.err);
    let until = report["outage_began"].as_f64().zip(report["outage"].as_f64());
    assert!(until.is_some_and(|(began, length)| began >= 0.0 && began + length > at), "{report}");
    let history = folder.read("h.jsonl");
    let values = history.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let lines: Vec<serde_json::Value> = values.collect();
    let ends = lines[0]["warm_up_ends_ns"].as_u64().expect("the mark comes first");
    let called: Vec<u64> = lines[1..].iter().filter_map(|line| line["call_ns"].as_u64()).collect();
    let measured = called.iter().filter(|called| **called >= ends).count();
    assert!(measured > 0 && measured < called.len(), "operations on both sides of the mark");
    let sent = report["sent"].as_u64().expect("a number");
    assert!(sent.abs_diff(measured as u64) <= 1, "what left from then on was counted: {sent}, {measured}");
    folder.run(env!("CARGO_BIN_EXE_check_history"), &["h.jsonl"], "").exits(0);
}

/// The cells of a column, without its head.
fn column<'a>(csv: &'a str, name: &str) -> Vec<&'a str> {
    let place = csv.lines().next().and_then(|head| head.split(',').position(|cell| cell == name));
    let place = place.expect("a column of this name");
    csv.lines().skip(1).map(|row| row.split(',').nth(place).expect("a cell")).collect()
}

fn number_of(cell: &str) -> u64 {
    cell.parse().expect("a number")
}

#[test]
fn a_person_who_ends_an_open_loop_finds_nothing_unsent() {
    let folder = Folder::new();
    let run = ["--memory", "--rate", "300", "--clients", "3", "--duration", "10m", "--warm-up", "0s"];
    let more = ["--expect", "unsent=0", "--expect", "answered>100%"];
    let mut running =
        Running::of(folder.command(env!("CARGO_BIN_EXE_client_load"), &[&run[..], &more].concat()));
    running.answer("    1 ");
    running.signal("INT");
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(130), "what failed is told, and is no verdict on half a run: {rest:?}");
    let has = |begin: &str| rest.iter().any(|line| line.starts_with(begin));
    assert!(has("PASS unsent = 0: 0") && has("FAIL answered > 100%: ") && !has("unsent "), "{rest:?}");
}

#[test]
fn a_cluster_that_gets_no_leader_is_said() {
    let options = ["--memory", "--election", "60s..90s", "--leader-within", "300ms"];
    let ran = Folder::new().client_load(&options).exits(3);
    assert_eq!(ran.err, "error: no leader after 0.3 s: can a majority of the nodes start?\n");
}

#[test]
fn a_run_in_which_nothing_is_sent_says_so() {
    let options = ["--memory", "--rate", "1", "--duration", "1ms", "--seed", "7"];
    let ran = Folder::new().client_load(&options).exits(3);
    assert!(ran.out.contains("\nnote: nothing was sent\n"), "{}", ran.out);
    assert!(ran.out.contains("\nUNDECIDED linearizable: nothing was asked, "), "{}", ran.out);
    assert!(ran.out.contains("nothing was ever answered"), "{}", ran.out);
    assert!(!ran.out.contains("NaN") && !ran.out.contains("inf"), "{}", ran.out);
}

#[test]
fn each_mode_ends_with_a_whole_report() {
    for options in [
        &[][..],
        &["--express", "--clients", "4"],
        &["--clients", "2", "--pipeline", "16"],
        &["--batch", "10", "--pipeline", "40"],
        &["--reads", "50%", "--clients", "3"],
        &["--reads", "50%", "--read-mode", "lease"],
        &["--reads", "50%", "--read-mode", "stale"],
        &["--keys", "5", "--zipf", "--mix", "put=2,create=1,update=1,delete=1,cas=1", "--reads", "20%"],
        &["--rate", "2000", "--clients", "2"],
        &["--nodes", "1", "--value-size", "1000", "--warm-up", "10ms"],
        &["--judge", "20"],
    ] {
        let ran = Folder::new().few(options).exits(0);
        let has = |line: &str| assert!(ran.out.contains(line), "{options:?}: no {line:?} in\n{}", ran.out);
        has("\nsent                  200\n");
        has("200 (100.0 %)");
        has("\nPASS safety (");
        has("\nPASS linearizable (");
        has("p99.9      max\n");
        has("again: cargo run --release --bin client_load -- --memory --count 200 --seed 7");
    }
}

#[test]
fn on_disk_syncs_are_counted_and_the_folder_is_kept_only_if_it_was_named() {
    let folder = Folder::new();
    let ran = folder.client_load(&["--count", "50", "--clients", "2"]).exits(0);
    assert!(ran.out.contains("fsyncs per command"), "{}", ran.out);
    assert_eq!(crate::contents(folder.0.path()), [], "its folder was another, and is gone");
    // Keys are drawn: of ten, fifty commands leave one out now and then, of two never.
    let options = ["--count", "50", "--states", "states", "--mix", "create", "--keys", "2"];
    folder.client_load(&options).exits(0);
    let again = folder.client_load(&options).exits(0);
    assert!(again.out.contains("refused by the store  50 (100.0 %)"), "it goes on:\n{}", again.out);
}

#[test]
fn without_a_check_nothing_is_claimed() {
    let ran = Folder::new().few(&["--no-check"]).exits(0);
    assert!(!ran.out.contains("PASS"), "{}", ran.out);
}

#[test]
fn json_rows_history_and_page_hold_the_same_run() {
    let folder = Folder::new();
    let files = ["--json", "--csv", "r.csv", "--history", "h.jsonl", "--report", "r.html"];
    let ran = folder.few(&files).exits(0);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    assert_eq!((&report["answered"], &report["verdict"]["pass"]), (&200.into(), &true.into()), "{report}");
    let rows = folder.read("r.csv");
    let answered: u64 = rows
        .lines()
        .skip(1)
        .map(|row| row.split(',').nth(2).and_then(|cell| cell.parse::<u64>().ok()).expect("a number"))
        .sum();
    assert_eq!(answered, 200, "{rows}");
    let history = folder.read("h.jsonl");
    assert!(history.starts_with("{\"warm_up_ends_ns\":") && history.lines().count() == 201, "{history}");
    let judged = folder.run(env!("CARGO_BIN_EXE_check_history"), &["h.jsonl"], "").exits(0);
    assert!(judged.out.starts_with("PASS 200 operations"), "{}", judged.out);
    let page = folder.read("r.html");
    assert!(page.starts_with("<!doctype html>") && page.contains("<svg"), "{page}");
    for outside in ["http", "src=", "href=", "import(", "fetch("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn faults_are_carried_out_at_their_times_and_reported() {
    let folder = Folder::new();
    let run = ["--memory", "--clients", "4", "--duration", "1500ms", "--json", "--report", "r.html"];
    let faults =
        ["--at", "200ms", "crash leader", "--at", "900ms", "restart all", "--at", "1400ms", "expect up all"];
    let ran = folder.client_load(&[&run[..], &faults].concat()).exits(0);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    let executed = report["faults"].as_array().expect("a list");
    assert_eq!(executed.len(), 3, "{report}");
    assert!(executed.iter().all(|fault| fault["ok"] == true), "{report}");
    assert!(report["leaders"].as_array().is_some_and(|changes| !changes.is_empty()), "{report}");
    assert_eq!(report["verdict"]["pass"], true, "{report}");
    let page = folder.read("r.html");
    assert!(page.contains("class=\"fault-band\"") && page.contains("crash leader"), "{page}");
}

#[test]
fn a_fault_that_fails_is_told_and_is_no_success() {
    let options = [
        "--memory",
        "--duration",
        "400ms",
        "--at",
        "100ms",
        "expect leader n3",
        "--at",
        "200ms",
        "expect no-leader",
    ];
    let ran = Folder::new().client_load(&options).exits(1);
    assert!(ran.err.contains("ERR expected no-leader"), "{}", ran.err);
}

#[test]
fn a_sweep_prints_one_table_and_one_page() {
    let folder = Folder::new();
    let ran = folder.few(&["--sweep", "clients=1,2,4", "--report", "s.html"]).exits(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines.len() == 4 && lines[0].starts_with("CLIENTS  ANSWERED/S"), "{}", ran.out);
    assert!(lines[1..].iter().all(|line| line.ends_with("PASS")), "{}", ran.out);
    assert!(folder.read("s.html").contains("by clients"));
    let json = folder.few(&["--sweep", "batch=1,10", "--json"]).exits(0);
    let sweep: serde_json::Value = serde_json::from_str(&json.out).expect("one JSON object");
    assert_eq!(sweep["reports"].as_array().map(Vec::len), Some(2), "{sweep}");
}

#[test]
fn the_console_runs_a_load_before_it_or_beside_it() {
    let lines = "wait leader\nload --clients 2 --duration 200ms --reads 50%\nload --batch 5 &\nload\n\
                 read load1-0\ncheck\nload stop\nload stop\n";
    let ran = Folder::new().cluster(&["3", "--memory", "--keep-going"], lines).exits(1);
    let said: Vec<&str> = ran.out.lines().collect();
    let has =
        |line: &str| assert!(said.iter().any(|said| said.starts_with(line)), "no {line:?} in {said:#?}");
    has("  SEC  ANSWERED/S");
    has("throughput");
    has("PASS linearizable (");
    has("the load runs: 'load stop' ends it");
    has("ERR line 4: a load runs already: 'load stop' ends it");
    has("PASS linearizable (0 operations on 0 keys)");
    has("ERR line 8: no load runs: 'load &' begins one");
    assert_eq!(said.iter().filter(|line| line.starts_with("longest outage")).count(), 2, "{said:#?}");
}

#[test]
fn a_load_of_which_nothing_is_answered_is_undecided() {
    let lines = "wait leader\nisolate all\nload --clients 2 --duration 200ms\n";
    let ran = Folder::new().cluster(&["3", "--memory"], lines).exits(3);
    assert!(ran.out.contains("\nUNDECIDED linearizable: nothing was answered, "), "{}", ran.out);
    assert!(!ran.out.contains("PASS"), "{}", ran.out);
}

#[test]
fn a_load_in_the_background_is_summed_up_at_the_end() {
    for end in ["", "quit\n"] {
        let lines = format!("wait leader\nload --clients 2 --duration 1m &\nput x 1\nsleep 200ms\n{end}");
        let ran = Folder::new().cluster(&["3", "--memory"], &lines).exits(0);
        assert!(
            ran.out.contains("\nlongest outage ") && ran.out.contains("\nPASS linearizable ("),
            "{}",
            ran.out
        );
    }
}

#[test]
fn virtual_time_has_no_load() {
    let ran = Folder::new().simulate(&["--seed", "7", "--prompt"], "wait leader\nload\n").exits(1);
    assert!(ran.out.contains("ERR line 2: load needs real threads"), "{}", ran.out);
}
