//! Golden scripts: transcripts in virtual time that are read beside the paper, and that must come out the same, byte
//! for byte.
//!
//! A script is a text under `tests/scripts`. It begins with comments: the claim, its section of the paper, and a line
//! of settings such as `# nodes 3, seed 1, pre_vote off`. Then come directives, on lines that begin with `> `, and
//! below each what was narrated while it ran and what it answered. Comments may stand between directives.
//!
//! `UPDATE=1 cargo test --test scripts` writes down what happens now; the difference is then to be read.

use std::fs;
use std::path::{Path, PathBuf};

use raftlab::config::{ElectionRange, Settings};
use raftlab::console::executor::{Console, Context, Script, parse};
use raftlab::console::language::Outcome;
use raftlab::console::narrator::Narrator;
use raftlab::console::printer::{Output, Style};
use raftlab::sim::{Simulation, SimulationSettings};
use raftlab::text::units::parse_duration;

const FOLDER: &str = "tests/scripts";
const UPDATE: &str = "UPDATE=1 cargo test --test scripts";

/// What a script asks for. Answers and narration are not kept: they come from running it.
#[derive(Debug)]
struct Golden {
    settings: SimulationSettings,
    /// Comments and directives, in order, with their line numbers.
    lines: Vec<(usize, Given)>,
}

#[derive(Debug)]
enum Given {
    Comment(String),
    Directive(String),
}

#[test]
fn election() {
    replay_all("election");
}

#[test]
fn replication() {
    replay_all("replication");
}

#[test]
fn persistence() {
    replay_all("persistence");
}

#[test]
fn client() {
    replay_all("client");
}

#[test]
fn snapshot() {
    replay_all("snapshot");
}

#[test]
fn members() {
    replay_all("members");
}

#[test]
fn why() {
    replay_all("why");
}

#[test]
fn figures() {
    replay_all("figures");
}

/// Runs every script of a folder and compares, or writes down what came out.
fn replay_all(group: &str) {
    let update = std::env::var_os("UPDATE").is_some();
    let paths = scripts_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(group));
    assert!(!paths.is_empty(), "{FOLDER}/{group} holds no script: nothing is shown");
    let complaints: Vec<String> = paths
        .iter()
        .filter_map(|path| {
            let name = path.file_name().expect("a file has a name").to_string_lossy();
            replay(path, update).err().map(|complaint| format!("{FOLDER}/{group}/{name}: {complaint}"))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

fn scripts_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut scripts: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    scripts.sort_unstable();
    scripts
}

fn replay(path: &Path, update: bool) -> Result<(), String> {
    let expected = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let golden = Golden::read(&expected)?;
    let (came, outcome) = golden.run();
    let (again, _) = golden.run();
    if came != again {
        return Err(format!("two runs differ:\n{}", difference(&came, &again)));
    }
    if update {
        fs::write(path, &came).map_err(|error| error.to_string())?;
    } else if came != expected {
        let shown = difference(&expected, &came);
        return Err(format!(
            "it came out otherwise (- expected, + came):\n{shown}\nif that is right: {UPDATE}"
        ));
    }
    outcome
}

impl Golden {
    fn read(text: &str) -> Result<Golden, String> {
        let mut settings = None;
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(directive) = line.strip_prefix("> ") {
                lines.push((number, Given::Directive(directive.to_string())));
            } else if line.starts_with('#') {
                let list = line.strip_prefix("# ").filter(|list| {
                    list.strip_prefix("nodes ")
                        .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))
                });
                if let Some(list) = list {
                    settings = Some(read_settings(list)?);
                }
                lines.push((number, Given::Comment(line.to_string())));
            }
        }
        let settings = settings.ok_or("no line of settings, such as '# nodes 3, seed 1'")?;
        let mut given = lines.iter().rev().filter_map(|(_, given)| given.directive()).peekable();
        given.next_if_eq(&"expect err");
        if given.next() != Some("check") {
            return Err("its last directive is not 'check'".to_string());
        }
        Ok(Golden { settings, lines })
    }

    /// The whole text as it comes out now, and whether every line went as it should.
    fn run(&self) -> (String, Result<(), String>) {
        let output = Output::memory(Style { transcript: true, ..Style::default() });
        let narrator = Narrator::direct(output.clone());
        let simulation = Simulation::new(self.settings.clone(), Some(narrator.observer()));
        let mut console = Console::new(simulation, Context::default(), output.clone(), narrator);
        let mut text = String::new();
        let mut outcome = Ok(());
        let mut was_comment = true;
        for (at, (number, given)) in self.lines.iter().enumerate() {
            match given {
                Given::Comment(comment) => {
                    if !was_comment {
                        text.push('\n');
                    }
                    text.push_str(comment);
                    text.push('\n');
                    was_comment = true;
                }
                Given::Directive(directive) => {
                    // A script of its own for each line: no line ends the others, and each tells how it went.
                    let mut script = Script::typed();
                    console.run_line(&mut script, Ok(directive));
                    console.settle(&mut script);
                    text.push_str(&output.take_transcript());
                    let next = self.lines[at + 1..].iter().find_map(|(_, given)| given.directive());
                    if outcome.is_ok() && script.worst() != Outcome::Ok && !may_fail(directive, next) {
                        outcome = Err(format!("line {number} failed: {directive}\n{text}"));
                    }
                    was_comment = false;
                }
            }
        }
        (text, outcome)
    }
}

impl Given {
    fn directive(&self) -> Option<&str> {
        match self {
            Given::Directive(directive) => Some(directive),
            Given::Comment(_) => None,
        }
    }
}

/// A client's command may go unanswered, which its transcript shows. Anything else may fail only if the next line
/// expects it to.
fn may_fail(directive: &str, next: Option<&str>) -> bool {
    const DATA: [&str; 6] = ["create", "read", "update", "delete", "put", "cas"];
    let is_data = matches!(parse(directive), Ok(Some(line)) if DATA.contains(&line.name()));
    is_data || next.is_some_and(|next| next.starts_with("expect err") || next.starts_with("expect unknown"))
}

/// `nodes 3, seed 1, pre_vote off`. What is not about the simulation is a setting of Raft, by its name in a
/// configuration file.
fn read_settings(list: &str) -> Result<SimulationSettings, String> {
    let mut settings = SimulationSettings::new(3, 1);
    let mut lines = Vec::new();
    for item in list.split(',').map(str::trim) {
        let wrong = || format!("'{item}' is no setting");
        let (key, value) = item.split_once(' ').ok_or_else(wrong)?;
        match key {
            "nodes" => settings.nodes = value.parse().map_err(|_| wrong())?,
            "seed" => settings.seed = value.parse().map_err(|_| wrong())?,
            "disk_delay" => settings.disk_delay = parse_duration(value)?,
            "machine_delay" => settings.machine_delay = parse_duration(value)?,
            "election" => {
                let ElectionRange { min, max } = value.parse()?;
                lines.push(format!("election_min = '{}us'", min.as_micros()));
                lines.push(format!("election_max = '{}us'", max.as_micros()));
            }
            _ => lines.push(format!("{key} = {}", toml_value(value))),
        }
    }
    let mut read = Settings::from_toml(&lines.join("\n")).map_err(|error| error.to_string())?;
    settings.raft = std::mem::take(&mut read.raft);
    if read != Settings::default() {
        return Err(format!("one of these is no setting of a simulation: {list}"));
    }
    Ok(settings)
}

/// A value as a configuration file has it.
fn toml_value(value: &str) -> String {
    match value {
        "on" => "true".to_string(),
        "off" => "false".to_string(),
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => number.to_string(),
        duration => format!("'{duration}'"),
    }
}

/// The lines that only one of two texts has, with a few around them.
fn difference(old: &str, new: &str) -> String {
    const AROUND: usize = 2;
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // How many lines two tails have in common at most.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let same = old[i] == new[j];
            common[i][j] =
                if same { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    let near = |at: usize| {
        let span = at.saturating_sub(AROUND)..(at + AROUND + 1).min(lines.len());
        lines[span].iter().any(|(mark, _)| *mark != ' ')
    };
    let shown = lines.iter().enumerate().filter(|(at, _)| near(*at));
    let shown: Vec<String> = shown.map(|(_, (mark, line))| format!("{mark} {line}")).collect();
    shown.join("\n")
}

#[test]
fn a_difference_shows_what_changed_and_little_around_it() {
    let old = "a\nb\nc\nd\ne\nf\n";
    assert_eq!(difference(old, old), "");
    assert_eq!(difference(old, "a\nb\nc\nd\nx\nf\n"), "  c\n  d\n- e\n+ x\n  f");
}

#[test]
fn a_script_without_settings_or_check_is_refused() {
    assert!(Golden::read("# a claim\n> check\n").is_err_and(|error| error.contains("settings")));
    assert!(Golden::read("# nodes 3, seed 1\n> leader\n").is_err_and(|error| error.contains("check")));
    assert!(Golden::read("# nodes 3, sead 1\n> check\n").is_err_and(|error| error.contains("sead")));
    let of_threads = Golden::read("# nodes 3, memory on\n> check\n");
    assert!(of_threads.is_err_and(|error| error.contains("no setting of a simulation")));
}

#[test]
fn an_expectation_that_fails_is_never_taken_for_golden() {
    let golden = Golden::read("# nodes 3, seed 1\n> expect leader n1\n> check\n").expect("well formed");
    assert!(golden.run().1.is_err_and(|error| error.contains("line 2 failed")));
    let forgiven =
        Golden::read("# nodes 3, seed 1\n> crash n9\n> expect err\n> check\n").expect("well formed");
    assert_eq!(forgiven.run().1, Ok(()));
}
