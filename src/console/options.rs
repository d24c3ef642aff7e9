//! What the front doors share: options on the command line, settings from a file, and errors of one line.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::printer::{Output, Style};
use super::scripts;
use crate::cluster::entropy;
use crate::config::{ElectionRange, Settings};
use crate::storage::private;
use crate::text::shorten;
use crate::text::suggest::nearest;
use crate::text::units::parse_duration;
use crate::types::{NODES_MAX, NodeId};

/// The exit code of a command line or a setting that is wrong.
pub const USAGE: u8 = 2;

/// Options that settings can be changed with; what is absent changes nothing.
#[derive(Clone, PartialEq, Debug, Default, clap::Args)]
pub struct SettingOptions {
    /// How many nodes.
    #[command(flatten)]
    pub nodes: NodeCount,
    /// The node that leads whenever it can; counts for a new cluster only
    #[arg(long, value_name = "NODE")]
    pub preferred: Option<NodeId>,
    /// Seeds every random choice of the run; drawn and shown when absent
    #[arg(long, value_name = "N", value_parser = seed)]
    pub seed: Option<u64>,
    /// How often a leader speaks [default: 50ms]
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub heartbeat: Option<Duration>,
    /// The shortest and the longest election timeout [default: 150ms..300ms]
    #[arg(long, value_name = "MIN..MAX")]
    pub election: Option<ElectionRange>,
    /// How long a leader gathers commands before it sends them [default: 0]
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub batch_window: Option<Duration>,
}

/// How many nodes, the same in every program: `5` or `--nodes 5`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::Args)]
pub struct NodeCount {
    /// How many nodes: 1 to 99 [default: 3]
    #[arg(value_name = "NODES", value_parser = nodes)]
    nodes: Option<u8>,
    /// How many nodes, as an option
    #[arg(long = "nodes", value_name = "N", value_parser = nodes)]
    nodes_option: Option<u8>,
}

impl NodeCount {
    /// The number that was given, if any.
    ///
    /// # Errors
    /// Two different ones were given.
    pub fn given(self) -> Result<Option<u8>, String> {
        match (self.nodes, self.nodes_option) {
            (Some(one), Some(other)) if one != other => {
                Err(format!("{one} nodes, or --nodes {other}? give the number of nodes once"))
            }
            (one, other) => Ok(one.or(other)),
        }
    }
}

impl SettingOptions {
    /// These settings with the options over them.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn over(&self, base: Settings) -> Result<Settings, String> {
        let mut settings = base;
        settings.nodes = self.nodes.given()?.unwrap_or(settings.nodes);
        settings.preferred = self.preferred.or(settings.preferred);
        settings.seed = self.seed.or(settings.seed);
        settings.raft.heartbeat = self.heartbeat.unwrap_or(settings.raft.heartbeat);
        if let Some(ElectionRange { min, max }) = self.election {
            settings.raft.election_min = min;
            settings.raft.election_max = max;
        }
        settings.raft.batch_window = self.batch_window.unwrap_or(settings.raft.batch_window);
        Ok(settings)
    }
}

/// The settings of a file, or the defaults without one.
///
/// # Errors
/// One line that names the file and what is wrong with it.
pub fn settings_of(file: Option<&Path>) -> Result<Settings, String> {
    let Some(path) = file else { return Ok(Settings::default()) };
    let text = scripts::settings(path)?;
    Settings::from_toml(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Whether this file can be written, known before the work that it is for. What is there stays until there is something
/// better, and a start that is refused afterwards leaves no file behind.
///
/// # Errors
/// One line: it cannot.
pub fn writable(path: &Path) -> Result<(), String> {
    private::probe(path).map_err(|error| cannot_write(path, &error))
}

/// A new file, in place of one that is there only if that may be overwritten.
///
/// # Errors
/// One line: it is there already, or cannot be written.
pub fn create(path: &Path, overwrite: bool) -> Result<File, String> {
    // It holds what clients asked.
    let mut options = private::options();
    options.write(true).create(overwrite).truncate(overwrite).create_new(!overwrite);
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{} is there already: choose another name, or --overwrite it", path.display())
        }
        _ => cannot_write(path, &error),
    })
}

/// Why this file is not there, in one line.
pub fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be written: {error}", path.display())
}

/// A seed that is drawn: six digits, since a person may have to type it.
pub fn fresh_seed() -> u64 {
    entropy() % 1_000_000
}

/// Shows the cluster's events on standard error if the environment's `RUST_LOG` asks for it. Returns its filter, for log
/// files.
pub fn log_as_asked() -> Option<String> {
    let filter = std::env::var("RUST_LOG").ok()?;
    env_logger::Builder::new().parse_filters(&filter).init();
    Some(filter)
}

/// Prints what a command line of this program that is not understood, or asks for help, is answered with. Gives the exit
/// code.
pub fn refuse(error: &clap::Error, command: &clap::Command) -> u8 {
    let (text, code) = refusal(error, command);
    let output = Output::standard(Style::default());
    match code {
        0 => output.progress(&text),
        _ => output.warn(&text),
    }
    code
}

/// Help as it is, an error on one line; and the exit code.
fn refusal(error: &clap::Error, command: &clap::Command) -> (String, u8) {
    let rendered = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return (rendered.trim_end().to_string(), 0);
    }
    let said = unknown_word(error).or_else(|| unknown_part(error, command)).unwrap_or_else(|| {
        let lines = rendered
            .lines()
            .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
            .map(str::trim)
            .filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("; ").replace(":; ", ": ")
    });
    (format!("{said} (--help shows the options)"), USAGE)
}

/// `unknown option '--sede': did you mean '--seed'?`; none when something else is wrong.
fn unknown_word(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let (wrong, near) = match error.kind() {
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
        _ => return None,
    };
    let wrong = text(wrong)?;
    let what = if wrong.starts_with('-') { "unknown option" } else { "unexpected" };
    let advice = text(near).map(|near| format!(": did you mean '{near}'?")).unwrap_or_default();
    Some(format!("error: {what} '{}'{advice}", shorten(&wrong)))
}

/// `A..B` as a range of seeds, the last one included.
///
/// # Errors
/// The form, when the text has another.
pub fn seed_range(text: &str) -> Result<(u64, u64), String> {
    let ends =
        text.split_once("..").and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    match ends {
        Some((first, last)) if first <= last => Ok((first, last)),
        _ => Err("write the first and the last seed, as in 1..300".to_string()),
    }
}

/// A word that stands where the number of nodes may, and looks like a part of the program.
fn unknown_part(error: &clap::Error, command: &clap::Command) -> Option<String> {
    let (Some(ContextValue::String(place)), Some(ContextValue::String(wrong))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return None;
    };
    if place.starts_with('-') {
        return None;
    }
    let parts: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let near = nearest(wrong, &parts.into_iter())?;
    if near == wrong {
        return Some(format!("error: '{near}' comes first, and has options of its own"));
    }
    Some(format!("error: unexpected '{}': did you mean '{near}'?", shorten(wrong)))
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number, 0 to {}", u64::MAX))
}

fn nodes(text: &str) -> Result<u8, String> {
    match text.parse::<u8>() {
        Ok(count) if (1..=NODES_MAX).contains(&count) => Ok(count),
        _ => Err(format!("a cluster has 1 to {NODES_MAX} nodes: try 3 or 5")),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser, Debug)]
    struct Front {
        #[command(flatten)]
        settings: SettingOptions,
    }

    fn refused(arguments: &[&str]) -> String {
        let error = Front::try_parse_from(std::iter::once(&"cluster").chain(arguments)).expect_err("refused");
        let (text, code) = refusal(&error, &Front::command());
        assert_eq!(code, USAGE);
        assert!(!text.contains('\n'), "one line: {text}");
        text
    }

    #[test]
    fn a_wrong_command_line_is_one_line_that_says_what_to_do() {
        for count in ["0", "abc", "100", "-1"] {
            let text = refused(&[count]);
            assert!(text.starts_with("error: ") && text.contains(count), "{text}");
        }
        assert!(refused(&["0"]).contains("1 to 99 nodes: try 3 or 5"));
        assert!(refused(&["--election", "1s"]).contains("150ms..300ms"));
        assert_eq!(
            refused(&["--seeed", "1"]),
            "error: unknown option '--seeed': did you mean '--seed'? (--help shows the options)"
        );
        assert_eq!(refused(&["3", "4"]), "error: unexpected '4' (--help shows the options)");
        assert_eq!(refused(&["--xyzzy"]), "error: unknown option '--xyzzy' (--help shows the options)");
    }

    #[test]
    fn the_number_of_nodes_is_an_argument_or_an_option() {
        let nodes = |arguments: &[&str]| {
            let front =
                Front::try_parse_from(std::iter::once(&"cluster").chain(arguments)).expect("accepted");
            front.settings.over(Settings::default()).map(|settings| settings.nodes)
        };
        assert_eq!(nodes(&[]), Ok(3));
        assert_eq!(
            (nodes(&["5"]), nodes(&["--nodes", "5"]), nodes(&["5", "--nodes=5"])),
            (Ok(5), Ok(5), Ok(5))
        );
        let twice = "5 nodes, or --nodes 3? give the number of nodes once".to_string();
        assert_eq!(nodes(&["5", "--nodes", "3"]), Err(twice));
    }

    #[test]
    fn options_go_over_the_file_and_the_file_over_the_defaults() {
        let front = Front::try_parse_from(["cluster", "5", "--election", "200ms..400ms"]).expect("accepted");
        let preferred = Some(NodeId::new(2));
        let file = Settings { seed: Some(7), nodes: 4, preferred, ..Settings::default() };
        let settings = front.settings.over(file).expect("no contradiction");
        assert_eq!((settings.nodes, settings.seed, settings.preferred), (5, Some(7), preferred));
        assert_eq!(settings.raft.election_max, Duration::from_millis(400));
        assert_eq!(settings.raft.heartbeat, Settings::default().raft.heartbeat);
    }

    #[test]
    fn ranges_of_seeds_have_both_ends() {
        assert_eq!(seed_range("1..300"), Ok((1, 300)));
        assert!(seed_range("3..1").is_err() && seed_range("1").is_err());
    }
}
