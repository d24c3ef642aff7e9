//! A quorum is lost for good: what `raftlab doctor` says of the files that are left, and `raftlab recover` does with them.

use std::fs;

use crate::{Folder, Ran, contents};

const SEGMENT: &str = "log-00000000000000000001.jsonl";

impl Folder {
    fn whole(&self, options: &[&str]) -> Ran {
        self.run(env!("CARGO_BIN_EXE_raftlab"), options, "")
    }

    /// Of a cluster of five that stopped politely, n1 and n3 are left. n1 missed the last entry.
    fn with_two_of_five() -> Folder {
        let folder = Folder::new();
        let lines = "timeout n3\nwait leader n3\ncreate a 1\nwait converged\nstop n1\nput b 2\n";
        folder.cluster(&["5", "--election", "3s..6s"], lines).exits(0);
        for gone in ["n2", "n4", "n5"] {
            fs::rename(folder.path(&format!("states/{gone}")), folder.path(gone)).expect("it can be moved");
        }
        folder
    }

    /// The bound for this survivor, as the doctor names it.
    fn bound(&self, node: &str) -> String {
        let told: serde_json::Value =
            serde_json::from_str(&self.whole(&["doctor", "--json"]).exits(1).out).expect("one JSON object");
        let choices = told["choices"].as_array().expect("a list");
        let choice = choices.iter().find(|choice| choice["node"] == node).expect("it can continue");
        choice["accept_loss"].as_str().expect("a bound").to_string()
    }
}

#[test]
fn with_a_quorum_nothing_is_lost() {
    let folder = Folder::new();
    folder.cluster(&["3"], "wait leader\ncreate a 1\nwait converged\n").exits(0);
    let before = contents(&folder.path("states"));
    let told = folder.whole(&["doctor"]).exits(0).out;
    assert!(told.contains("a quorum is here: start the cluster, nothing is lost"), "{told}");
    fs::remove_dir_all(folder.path("states/n2")).expect("a folder can be removed");
    folder.whole(&["doctor", "states/n1", "states/n3"]).exits(0);
    let refused = folder.whole(&["recover", "--from", "n1", "--accept-loss", "1.."]).exits(1);
    assert_eq!(refused.err, "error: a quorum is here: start the cluster, nothing is lost\n");
    let kept = contents(&folder.path("states"));
    assert!(kept.iter().all(|file| before.contains(file)), "nothing was written");
}

#[test]
fn without_a_quorum_it_says_what_is_certain_and_what_each_choice_costs() {
    let folder = Folder::with_two_of_five();
    let before = contents(&folder.path("states"));
    let told = folder.whole(&["doctor"]).exits(1).out;
    let expected = [
        "epoch 1: n1 n2 n3 n4 n5\n",
        "no quorum: 2 of 5 voters here, 3 are needed (without n2 n4 n5)\n",
        "certain: all entries up to 4 were committed\n",
        "not certain: the nodes that are gone may have committed other entries from 5 on, of which no file here tells\n",
        "if n3 continues:\n  entries up to 4 are kept, and were committed\n",
        "  raftlab recover states --from n3 --accept-loss 5..\n",
        "if n1 continues:\n  entries up to 3 are kept, and were committed\n  lost for certain: entry 4, which",
        "  raftlab recover states --from n1 --accept-loss 4..\n",
    ];
    for words in expected {
        assert!(told.contains(words), "{words:?} in\n{told}");
    }
    assert!(told.find("if n3 continues") < told.find("if n1 continues"), "the better one first: {told}");
    assert_eq!(folder.bound("n3"), "5..");
    assert!(before == contents(&folder.path("states")), "nothing is written");
}

#[test]
fn damaged_and_missing_files_are_told_and_the_rest_is_read() {
    let folder = Folder::with_two_of_five();
    let log = format!("states/n3/{SEGMENT}");
    folder.write(&log, &folder.read(&log).replacen("\"1\"", "\"2\"", 1));
    let told = folder.whole(&["doctor"]).exits(1).out;
    assert!(told.contains(&format!("{log}: entry 3: its checksum is ")), "{told}");
    assert!(told.contains("damaged") && !told.contains("if n3 continues"), "{told}");
    assert!(told.contains("certain: all entries up to 4"), "n3's state.json still proves it: {told}");
    let refused = folder.whole(&["recover", "--from", "n3", "--accept-loss", "5.."]).exits(1).err;
    assert!(refused.starts_with("error: n3 cannot continue: its files are damaged: "), "{refused}");
    folder.write("states/n3/state.json", "{}");
    let alone = folder.whole(&["doctor", "states/n3"]).exits(1).err;
    assert!(
        alone.contains("no node's state.json can be read") && alone.contains("states/n3/state.json: "),
        "{alone}"
    );
    fs::create_dir(folder.path("empty")).expect("a folder");
    for (options, code, words) in [
        (&["doctor", "nowhere"][..], 2, "error: nowhere is no folder"),
        (&["doctor", "states/n3", "empty"], 2, "error: empty holds no node's files"),
        (&["doctor", "states", "states/n1"], 2, "both hold files of n1: name the folder that counts"),
        (&["recover", "--from", "n2"], 2, "error: no folder holds files of n2"),
        (
            &["recover", "--from", "n1", "--accept-loss", "4"],
            2,
            "name the first entry, and all behind it: 791..",
        ),
    ] {
        let ran = folder.whole(options).exits(code);
        assert!(ran.err.contains(words), "{options:?}: {}", ran.err);
    }
}

#[test]
fn a_survivor_continues_only_when_the_exact_loss_is_accepted() {
    let folder = Folder::with_two_of_five();
    let before = contents(&folder.path("states"));
    for (bound, words) in [
        (&[][..], "nothing was written. To accept this loss: --accept-loss 5..\n"),
        (&["--accept-loss", "4.."], "entry 4 is not the bound of n3: from entry 5 on"),
        (&["--accept-loss", "6.."], "entry 6 is not the bound of n3: from entry 5 on"),
    ] {
        let options = [&["recover", "--from", "n3"], bound].concat();
        let refused = folder.whole(&options).exits(1);
        assert!(refused.out.contains("entries up to 4 are kept, and were committed"), "{}", refused.out);
        assert!(refused.err.contains(words), "{}", refused.err);
    }
    let running = folder.start(&["5"]);
    running.warning("n2 is down: its files are missing");
    let refused = folder.whole(&["recover", "--from", "n3", "--accept-loss", "5.."]).exits(1).err;
    assert!(
        refused.contains("is in use by process") && refused.contains("stop that node first"),
        "{refused}"
    );
    drop(running);
    let names = |files: Vec<(std::path::PathBuf, Vec<u8>)>| {
        files.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(names(before), names(contents(&folder.path("states"))));

    let bound = folder.bound("n3");
    let done = folder.whole(&["recover", "--from", "n3", "--accept-loss", &bound]).exits(0).out;
    assert!(
        done.contains("n3 is a cluster of one in epoch 2; its record: states/n3/recovered-2.json."),
        "{done}"
    );
    assert!(
        folder
            .read("states/n3/recovered-2.json")
            .contains("perhaps lost: what only the nodes that are gone hold")
    );
    let told = folder.whole(&["doctor"]).exits(0).out;
    assert!(
        told.contains("epoch 2: n3\n") && told.contains("of an earlier epoch: counts for nothing"),
        "{told}"
    );
    let lines = "wait leader n3\nread b\nput c 3\nadd n1\nwait converged\nread c @n1\nmembers\noutcome 2.1\n";
    let ran = folder.cluster(&[], lines).exits(3);
    let lost = "UNKNOWN 2.1 is of epoch 1, and the cluster was recovered since (epoch 2): what the command did may be lost, \
                and it will not be applied later; 'read' shows what is there\n";
    assert!(ran.out.ends_with(lost), "{}", ran.out);
    assert!(
        ran.err.contains("n1 is down: states/n1/state.json is of epoch 1, and the cluster is in epoch 2"),
        "{}",
        ran.err
    );
    assert!(ran.out.starts_with("OK b=2 ") && ran.out.contains("OK c=3 "), "{}", ran.out);
    // What n3 holds tells of other files of n1, too.
    folder.cluster(&["--election", "3s..6s"], "timeout n3\nwait leader n3\nread c\nput d 4\n").exits(0);
    fs::rename(folder.path("n2"), folder.path("states/n2")).expect("it can be moved");
    let told = folder.whole(&["doctor"]).exits(0).out;
    assert!(
        told.contains("epoch 2: n1 n3\n") && told.contains("of an earlier epoch"),
        "an old disk is put back: {told}"
    );
    let again = folder.whole(&["recover", "--from", "n2", "--accept-loss", "5.."]).exits(1).err;
    assert!(again.contains("n2 cannot continue: its files are of an earlier epoch than 2"), "{again}");
}
