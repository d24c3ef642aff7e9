//! Figure 16 as the programs offer it: a table beside the paper's figures, and a plot.

use std::time::Duration;

use crate::Folder;

/// How long nine trials on threads may take before they count as hanging: each ends by itself after 15 s without a leader,
/// and may be prepared more than once.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn virtual_time_gives_the_same_table_and_plot_for_the_same_seed() {
    let folder = Folder::new();
    let ran = folder.simulate(&["figure16", "--trials", "5"], "").exits(0);
    let rows: Vec<&str> = ran.out.lines().collect();
    assert_eq!(rows.len(), 11, "{}", ran.out);
    assert!(rows[0].starts_with("timeouts") && rows[1].starts_with("150-150 ms"), "{}", ran.out);
    assert!(rows[1].contains(">15000") && rows[1].ends_with("all > 10000"), "{}", ran.out);
    let plot = folder.read("figure16.svg");
    assert!(plot.starts_with("<svg ") && plot.ends_with("</svg>\n"));
    let again =
        folder.simulate(&["figure16", "--trials", "5", "--seed", "1", "--svg", "other.svg"], "").exits(0);
    assert_eq!((again.out, folder.read("other.svg")), (ran.out, plot));
    let other = folder.simulate(&["figure16", "--trials", "5", "--seed", "2"], "").exits(0);
    assert_ne!(folder.read("figure16.svg"), folder.read("other.svg"), "{}", other.out);
}

#[test]
fn threads_find_a_leader_in_every_range_that_they_can_try() {
    let folder = Folder::new();
    let program = env!("CARGO_BIN_EXE_client_load");
    let ran = folder.run_within(PATIENCE, program, &["figure16", "--trials", "1"], "").exits(0);
    assert_eq!(ran.out.lines().count(), 10, "{}", ran.out);
    assert!(!ran.out.contains("150-150 ms"), "{}", ran.out);
    assert!(folder.read("figure16.svg").contains("150-300 ms"));
}

#[test]
fn a_load_and_figure_16_have_no_options_in_common() {
    let folder = Folder::new();
    for (options, said) in [
        (&["--memory", "figure16"][..], "'figure16' comes first"),
        (&["--at", "1s", "crash leader", "figure16"], "'figure16' comes first"),
        (&["figure16", "--clients", "8"], "'--clients'"),
        (&["figure16", "--trials", "many"], "'many'"),
        (&["figure17"], "'figure17'"),
    ] {
        let refusal = folder.client_load(options).refusal();
        assert!(refusal.contains(said), "{options:?}: {refusal}");
    }
    let help = folder.client_load(&["figure16", "--help"]).exits(0);
    assert!(help.out.contains("--trials <N>") && !help.out.contains("--clients"), "{}", help.out);
    assert_eq!(crate::contents(folder.0.path()), [], "nothing was started");
}

#[test]
fn a_plot_that_cannot_be_written_is_refused_before_the_work() {
    let folder = Folder::new();
    let refusal = folder.simulate(&["figure16", "--svg", "nowhere/f.svg"], "").refusal();
    assert!(refusal.contains("nowhere/f.svg cannot be written"), "{refusal}");
    assert!(folder.simulate(&["figure16", "--trials", "0"], "").refusal().contains("'0'"));
}
