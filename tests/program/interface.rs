//! What a person or a program gets to see: the run that the project promises, JSON, scripts, exit codes, repeatable
//! runs in virtual time.

use serde_json::Value;

use crate::Folder;

#[test]
fn a_leader_crashes_and_every_acknowledged_write_is_still_there() {
    let lines = "wait leader\ncreate x 1\ncrash leader\nwait leader\nread x\nrestart all\nwait converged\ncheck\nquit\n";
    let ran = Folder::new().cluster(&["3", "--fresh"], lines).exits(0);
    let answers: Vec<&str> = ran.out.lines().collect();
    assert!(answers[0].starts_with("OK created x=1 [n"), "{}", ran.out);
    assert!(answers[1].contains(" crashed (it led term 1): its memory is gone, "), "{}", ran.out);
    assert!(answers[2].starts_with("OK x=1 [n"), "{}", ran.out);
    let leader = |answer: &str| answer.split_once('[').map(|(_, place)| place[..2].to_string());
    assert_ne!(leader(answers[0]), leader(answers[2]), "another node leads now");
    assert!(answers[3].contains(" restarts: term "), "{}", ran.out);
    let verdicts = &answers[4..];
    assert!(verdicts.contains(&"PASS election safety") && verdicts.contains(&"PASS log matching"));
    assert!(verdicts.iter().all(|verdict| verdict.starts_with("PASS ")), "{}", ran.out);
}

#[test]
fn a_second_start_goes_on_from_the_first() {
    let folder = Folder::new();
    folder.cluster(&["3"], "wait leader\ncreate x 1\nupdate x 2\n").exits(0);
    let ran = folder.cluster(&["3"], "wait leader\nread x\n").exits(0);
    assert!(ran.out.starts_with("OK x=2 ") && ran.err.contains("continues from term 1 with 4 log entries"));
}

#[test]
fn with_json_every_directive_is_one_object() {
    let lines = "wait leader\ncreate j 1\ncreate j 2\nread j\ndelete j\nstatus\nleader\nkeys\ndump\ndiff\nnet\nlog\n\
                 crash n1\nrestart n1\npartition n1 / n2 n3\nheal\ndrop 5%\nreset\nwait converged\npipe 3\ncheck\nseed\n\
                 help\nhistory\necho hi\nsleep 1ms\nevents off\ncrsh\ncrash n9\nexpect keys 99\n";
    let ran = Folder::new().cluster(&["3", "--json", "--keep-going"], lines).exits(1);
    let objects: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(objects.len(), lines.lines().count(), "{}", ran.out);
    for (object, line) in objects.iter().zip(lines.lines()) {
        assert_eq!(object["v"], 1, "{object}");
        assert!(object["directive"].is_string() && object["ok"].is_boolean(), "{object}");
        let verb = line.split(' ').next().expect("a word");
        assert!(object["directive"] == verb || verb == "crsh", "{line}: {object}");
        let fails = ["create j 2", "crsh", "crash n9", "expect keys 99"].contains(&line);
        assert_eq!(object["ok"], !fails, "{line}: {object}");
        assert!(!fails || object["error"].is_string(), "{object}");
    }
    let created = &objects[1];
    assert_eq!(
        (&created["outcome"], &created["key"], &created["value"]),
        (&"committed".into(), &"j".into(), &"1".into())
    );
    assert!(created["node"].is_string() && created["term"].is_u64() && created["index"].is_u64());
    assert!(created["millis"].is_number(), "{created}");
}

#[test]
fn a_script_stops_at_its_first_failure_unless_told_to_go_on() {
    let folder = Folder::new();
    folder.write("a.raft", "# a comment\n\necho one\ncrash n9\necho two\n");
    let ran = folder.cluster(&["3", "--memory", "--script", "a.raft"], "").exits(1);
    assert_eq!(ran.out, "one\nERR line 4: there is no n9: the nodes are n1 to n3\n");
    assert!(ran.err.ends_with("stopped at line 4: crash n9\n"), "{}", ran.err);
    let ran = folder.cluster(&["3", "--memory", "--script", "a.raft", "--keep-going"], "").exits(1);
    assert!(ran.out.ends_with("two\n"), "{}", ran.out);
    folder.write("b.raft", "run a.raft\n");
    let ran = folder.cluster(&["3", "--memory", "--script", "b.raft"], "").exits(1);
    assert!(ran.err.contains("stopped at a.raft line 4: crash n9"), "{}", ran.err);
}

#[test]
fn an_echo_shows_the_lines_and_a_start_says_the_whole_command() {
    let folder = Folder::new();
    let ran = folder.cluster(&["3", "--memory", "--echo"], "echo hi\nsleep 1ms\n").exits(0);
    assert_eq!(ran.out, "hi\n> sleep 1ms\n");
    let seed = ran.err.lines().find_map(|line| line.strip_prefix("seed ")).expect("it says its seed");
    let (seed, rest) = seed.split_once(':').expect("and what it is for");
    assert!(rest.ends_with(&format!(" 3 --memory --echo --seed {seed}")), "{rest}");
    assert_eq!(folder.cluster(&["3", "--memory"], "sleep 1ms\n").exits(0).out, "", "piped, without an echo");
}

#[test]
fn what_nobody_knows_is_exit_code_three() {
    let lines = "wait leader\ncrash leader\ncrash random\nwait leader 400ms\n";
    let ran = Folder::new().cluster(&["3", "--memory"], lines).exits(3);
    let last = ran.out.lines().last().expect("an answer");
    assert!(last.starts_with("ERR line 4: ") && last.contains("2 of 3 down, no quorum"), "{last}");
    let lines = "wait leader\nisolate all\ncreate x 1 --timeout 300ms\n";
    Folder::new().cluster(&["3", "--memory"], lines).exits(3);
}

#[test]
fn each_program_tells_its_exit_codes() {
    for program in [
        env!("CARGO_BIN_EXE_cluster"),
        env!("CARGO_BIN_EXE_simulate"),
        env!("CARGO_BIN_EXE_client_load"),
        env!("CARGO_BIN_EXE_logs"),
        env!("CARGO_BIN_EXE_check_history"),
    ] {
        let help = Folder::new().run(program, &["--help"], "").exits(0).out;
        assert!(help.contains("\nExit code 0: ") && help.contains(" 2: "), "{help}");
    }
}

#[test]
fn color_is_for_terminals_and_for_those_who_ask() {
    let lines = "echo hi\ncrsh\n";
    let ran = Folder::new().cluster(&["3", "--memory"], lines).exits(1);
    assert!(!format!("{}{}", ran.out, ran.err).contains('\x1b'), "piped: no color");
    let ran = Folder::new().cluster(&["3", "--memory", "--color", "always"], lines).exits(1);
    assert!(ran.out.contains("\x1b[31mERR\x1b[0m"), "{:?}", ran.out);
}

#[test]
fn virtual_time_repeats_byte_for_byte() {
    let folder = Folder::new();
    folder.write(
        "a.raft",
        "wait leader\ncreate x 1\ncrash leader\nwait leader\nread x\nrestart all\ndrop 20%\npipe 10\nreset\nwait converged\nlog\ncheck\n",
    );
    for options in [&["--script", "a.raft", "--seed", "7"][..], &["--seed", "42"]] {
        let first = folder.simulate(options, "").exits(0).out;
        assert_eq!(first, folder.simulate(options, "").exits(0).out, "{options:?}");
        assert!(first.contains("leads term") && first.contains("PASS"), "{first}");
    }
    let other = folder.simulate(&["--script", "a.raft", "--seed", "8"], "").exits(0).out;
    assert_ne!(other, folder.simulate(&["--script", "a.raft", "--seed", "7"], "").out, "seeds matter");
    assert!(!folder.path("states").exists() && !folder.path("logs").exists(), "it leaves no files");
}

#[test]
fn a_reader_that_leaves_ends_the_run() {
    let folder = Folder::new();
    let mut running = folder.start(&["3", "--memory"]);
    running.say("echo one\n");
    running.answer("one");
    let order = format!("{} 3 --memory < lines.raft | head -n 1", env!("CARGO_BIN_EXE_cluster"));
    folder.write("lines.raft", &"echo again\n".repeat(100_000));
    let ran = folder.run("sh", &["-c", &order], "").exits(0);
    assert_eq!(ran.out, "again\n");
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

/// Right after a start a leader has applied nothing yet: what it shows must not look like a loss.
#[test]
fn a_leader_that_has_not_applied_its_log_yet_says_so() {
    let folder = Folder::new();
    folder.cluster(&["3"], "wait leader\ncreate x 1\nwait converged\n").exits(0);
    // No entry of the new term can be committed, and so none before it either (5.4.2). The timeouts lie far enough
    // apart that messages which take so long seldom split an election, and any number of splits is waited for.
    let lines = "delay 400ms\nwait leader 1m\nstall-disk all 1m\nkeys\n";
    let options = ["3", "--heartbeat", "1s", "--election", "2s..8s"];
    let ran = folder.cluster(&options, lines).exits(0);
    let last = ran.out.lines().last().expect("an answer");
    assert!(last.starts_with("0 keys at n") && last.ends_with("(0 of 4 entries applied so far)"), "{last}");
}

#[test]
fn every_node_answers_reads_each_in_its_way() {
    let script = "wait leader\ncreate x 1\nwait converged\nread x @n1\nread x @n2\nread x @n3\nread x --lease\n\
                  skew-clock n2 3s\nread x --lease\ncrash n2\nrestart n2\nwait converged\n\
                  wait key x 1 @n2\nread x @n2\nskew-clock n2 0\nsleep 500ms\nread x @n1 --stale\ncheck\n";
    let ran = Folder::new().cluster(&["3", "--memory"], script).exits(0);
    let reads: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("OK x=1")).collect();
    assert_eq!(reads.len(), 7, "{}", ran.out);
    for (read, node) in reads.iter().zip(["n1", "n2", "n3"]) {
        assert!(read.starts_with(&format!("OK x=1 [{node} term ")), "{read}");
    }
    assert!(reads[6].contains(" stale, at most "), "{}", reads[6]);
}
