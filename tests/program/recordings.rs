//! `record` and `replay`: a run is recorded at the prompt, made again by another program, looked at and forked.

use crate::Folder;

const REPLAY: &str = env!("CARGO_BIN_EXE_replay");

#[test]
fn a_recorded_run_is_made_again_looked_at_and_forked() {
    let folder = Folder::new();
    let lines = "wait leader\nrecord\ncreate x 5\ncrash leader\nwait leader\nupdate x 6\nrestart all\nwait converged\n\
                 record other\nrecord stop\n";
    let ran = folder.cluster(&["3", "--record", "run", "--keep-going"], lines).exits(1);
    assert!(ran.out.contains("run is written until 'record stop'"), "{}", ran.out);
    assert!(ran.out.contains("a recording runs: it is written to run"), "{}", ran.out);
    assert!(ran.out.contains("of 3 nodes: 'replay run' makes the run again"), "{}", ran.out);

    let lines = "status\nread x\nexpect err\nrewind 100ms\nstatus\nstep back\nrewind to end\ncheck\nrecord more\nexpect err\n\
                 fork\nread x\nupdate x 7\ncrash leader\nwait leader\nread x\nrestart all\nwait converged\ncheck\n\
                 rewind 50ms\nrewind to 1ms\nexpect err\nrewind to end\n";
    let ran = folder.run(REPLAY, &["run"], lines).exits(0);
    assert!(
        ran.out.contains(" steps of 3 nodes until ") && ran.out.contains("each came out as it was recorded")
    );
    assert!(ran.out.contains("a replay does only what was recorded: 'fork'"), "{}", ran.out);
    assert!(ran.out.contains("a run of its own from "), "{}", ran.out);
    assert!(ran.out.contains("OK x=6 ") && ran.out.contains("OK x=7 "), "{}", ran.out);
    assert!(ran.out.contains("this run was forked from a recording at "), "{}", ran.out);
    assert!(!ran.out.contains("FAIL"), "{}", ran.out);

    assert!(folder.run(REPLAY, &["nowhere"], "").refusal().contains("nowhere is no recording"));
    let taken = folder.cluster(&["3", "--fresh", "--record", "run"], "").exits(2);
    assert!(taken.err.contains("run cannot be written: it is not empty: name a new folder"), "{}", taken.err);
    assert!(folder.simulate(&[], "record run2\n").exits(1).out.contains("virtual time needs no recording"));
}

#[cfg(unix)]
#[test]
fn nodes_in_processes_record_each_of_their_lives() {
    let folder = Folder::in_memory();
    let lines = "wait leader\nrecord run\ncreate x 5\nkill leader\nwait leader\nupdate x 6\nrestart all\nwait converged\n\
                 partition n1 / n2 n3 for 200ms\nsleep 400ms\nupdate x 7\nwait converged\nrecord stop\n";
    let ran = folder.cluster(&["3", "--processes"], lines).exits(0);
    assert!(ran.out.contains(" of 3 nodes: 'replay "), "{}", ran.out);
    let ran = folder.run(REPLAY, &["run"], "status\nnet\ncheck\nfork\nwait leader\nread x\n").exits(0);
    assert!(ran.out.contains("each came out as it was recorded"), "{}", ran.out);
    assert!(ran.out.contains("OK x=7 ") && !ran.out.contains("FAIL"), "{}", ran.out);
}
