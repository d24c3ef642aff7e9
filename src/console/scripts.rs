//! The scripts that have a name: where they are looked for, what they say of themselves, and their text.
//!
//! A script is named as a path, or by its name alone, with or without its ending: `run tour`. A name is looked for in this
//! folder, then in a folder `scripts` here or above, then among the scripts that the program carries with it, so that an
//! installed program needs no folder. Files of settings that belong to a script are found the same way.
//!
//! A script begins with two comments: the command that runs it, and one sentence that says what it shows and ends in the
//! sections that it belongs to:
//!
//! ```text
//! # cluster 3 --memory --script scripts/tour.raft
//! # A leader crashes, is cut off and returns: nothing that was answered is lost (5.2, 5.3).
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::text::shorten;
use crate::text::suggest::advice;
use crate::types::NODES_MAX;

/// The folder of scripts, here or above.
const FOLDER: &str = "scripts";

/// What the name of a script ends in.
const ENDING: &str = "raft";

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../scripts/", $name)))),*]
    };
}

/// The scripts and their settings, as they were when the program was built.
const EMBEDDED: &[(&str, &str)] = embedded![
    "crashes.raft",
    "demo.raft",
    "demo2.raft",
    "exactly-once.raft",
    "figure-7.raft",
    "figure-7.toml",
    "figure-8.raft",
    "figure-8.toml",
    "leader-minority.raft",
    "lease.raft",
    "lease.toml",
    "log-repair.raft",
    "lost-power.raft",
    "new-members.raft",
    "no-pre-vote.raft",
    "no-pre-vote.toml",
    "pre-vote.raft",
    "slow-disk.raft",
    "snapshot.raft",
    "snapshot.toml",
    "split-vote.raft",
    "stale-read.raft",
    "tour.raft",
    "why.raft",
    "wiped-node.raft",
];

/// What a script says of itself in its first two lines. What it does not say is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The command that runs it: `cluster 3 --memory --script scripts/tour.raft`.
    pub command: String,
    /// What it shows, in one sentence without the sections.
    pub title: String,
    /// The sections that it shows: `5.2, 5.3`.
    pub sections: String,
    /// How many lines of the script say it.
    pub lines: usize,
}

/// A script that can be run by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedScript {
    /// Without its ending: `tour`.
    pub name: String,
    /// What it says of itself.
    pub head: Head,
}

/// Where a text was found.
enum Found {
    File(PathBuf),
    Embedded(&'static str),
}

impl Head {
    /// The head of a script with this text.
    pub fn of(text: &str) -> Head {
        let mut comments = text.lines().map_while(|line| line.strip_prefix("# "));
        let command = comments.next().filter(|line| line.starts_with("cluster ")).unwrap_or_default();
        let told = comments.next().filter(|_| !command.is_empty());
        let lines = usize::from(!command.is_empty()) + usize::from(told.is_some());
        let said = told.unwrap_or_default().trim_end_matches('.');
        let (title, sections) =
            said.strip_suffix(')').and_then(|said| said.rsplit_once(" (")).unwrap_or((said, ""));
        Head { command: command.to_string(), title: title.to_string(), sections: sections.to_string(), lines }
    }

    /// The head of the script that begins here; takes nothing from the input.
    pub fn ahead(input: &mut impl BufRead) -> Head {
        // What cannot be read is told when it is read.
        input.fill_buf().map(|bytes| Head::of(&String::from_utf8_lossy(bytes))).unwrap_or_default()
    }

    /// For how many nodes it is written, where it says so.
    ///
    /// # Errors
    /// One line: no cluster has that number of them.
    pub fn nodes(&self) -> Result<Option<u8>, String> {
        let word = self.command.split(' ').nth(1).unwrap_or_default();
        if !word.starts_with(|letter: char| letter.is_ascii_digit()) {
            return Ok(None);
        }
        let number = word.parse().ok().filter(|number| (1..=NODES_MAX).contains(number));
        let wrong =
            || format!("its first line asks for '{}' nodes: a cluster has 1 to {NODES_MAX}", shorten(word));
        number.map(Some).ok_or_else(wrong)
    }
}

/// Every script that can be run by its name, in order.
pub fn all() -> Vec<NamedScript> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for folder in folders() {
        for name in names_in(&folder) {
            if let Ok(text) = fs::read_to_string(folder.join(format!("{name}.{ENDING}"))) {
                texts.entry(name).or_insert(text);
            }
        }
    }
    for (file, text) in EMBEDDED {
        if let Some(name) = stem(Path::new(file)) {
            texts.entry(name).or_insert_with(|| (*text).to_string());
        }
    }
    texts.into_iter().map(|(name, text)| NamedScript { name, head: Head::of(&text) }).collect()
}

/// The names of all scripts, in order; reads no script.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = folders().iter().flat_map(|folder| names_in(folder)).collect();
    names.extend(EMBEDDED.iter().filter_map(|(file, _)| stem(Path::new(file))));
    names.sort_unstable();
    names.dedup();
    names
}

/// The lines of a script, by its path or its name.
///
/// # Errors
/// One line that says what was not found, where it was looked for, and which script was probably meant.
pub fn open(name: &Path) -> Result<Box<dyn BufRead + Send>, String> {
    let shown = name.display();
    match find(name, ENDING) {
        Some(Found::Embedded(text)) => Ok(Box::new(Cursor::new(text))),
        Some(Found::File(path)) => match File::open(path) {
            Ok(file) => Ok(Box::new(BufReader::new(file))),
            Err(error) => Err(unreadable(name, &error)),
        },
        None if name.is_dir() => Err(format!("{shown} is a folder: name a file in it")),
        None => Err(missing(name)),
    }
}

/// The whole text of a script, by its path or its name.
///
/// # Errors
/// As [`open`]; or it is no text.
pub fn text(name: &Path) -> Result<String, String> {
    let mut text = String::new();
    open(name)?.read_to_string(&mut text).map_err(|error| unreadable(name, &error))?;
    Ok(text)
}

/// The text of a file of settings, by its path, or by the name of one that belongs to a script.
///
/// # Errors
/// One line: it cannot be read, and why.
pub fn settings(name: &Path) -> Result<String, String> {
    match find(name, "toml") {
        Some(Found::Embedded(text)) => Ok(text.to_string()),
        Some(Found::File(path)) => fs::read_to_string(path).map_err(|error| unreadable(name, &error)),
        None => fs::read_to_string(name).map_err(|error| unreadable(name, &error)),
    }
}

/// The file, or the embedded text, that is meant: the path as it is comes first.
fn find(name: &Path, ending: &str) -> Option<Found> {
    let with_ending = match name.extension() {
        Some(extension) if extension == ending => None,
        _ => Some(PathBuf::from(format!("{}.{ending}", name.display()))),
    };
    let spelled = || std::iter::once(name).chain(with_ending.as_deref());
    let bare = spelled().map(|path| path.strip_prefix(FOLDER).unwrap_or(path));
    let bare: Vec<&Path> = bare.filter(|path| path.components().count() == 1).collect();
    let elsewhere = folders().into_iter().flat_map(|folder| bare.iter().map(move |file| folder.join(file)));
    if let Some(path) = spelled().map(Path::to_path_buf).chain(elsewhere).find(|path| path.is_file()) {
        return Some(Found::File(path));
    }
    let embedded = |(file, _): &&(&str, &str)| bare.contains(&Path::new(file));
    EMBEDDED.iter().find(embedded).map(|(_, text)| Found::Embedded(text))
}

/// This folder, and the nearest folder of scripts.
fn folders() -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let scripts = here.ancestors().map(|folder| folder.join(FOLDER)).find(|folder| folder.is_dir());
    std::iter::once(here).chain(scripts).collect()
}

/// The names of the scripts in a folder. One that cannot be read has none.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| stem(&entry.path())).collect()
}

/// `tour` of `tour.raft`; none of another file.
fn stem(path: &Path) -> Option<String> {
    let ends = path.extension().is_some_and(|extension| extension == ENDING);
    path.file_stem().filter(|_| ends).and_then(|stem| stem.to_str()).map(str::to_string)
}

fn unreadable(name: &Path, error: &io::Error) -> String {
    let why = match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_string(),
        ErrorKind::InvalidData => "it is not UTF-8 text".to_string(),
        ErrorKind::IsADirectory => "it is a folder".to_string(),
        ErrorKind::PermissionDenied => "permission denied".to_string(),
        _ => error.to_string(),
    };
    format!("{} cannot be read: {why}", name.display())
}

fn missing(name: &Path) -> String {
    let shown = name.display().to_string();
    let names = names();
    let wanted = stem(name).unwrap_or_else(|| shown.clone());
    let known = names.iter().map(String::as_str);
    let advice = advice(&wanted, &known, "'run' at the prompt lists the scripts");
    format!("no script '{}' in this folder, in scripts, or built in{advice}", shorten(&shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_the_command_and_a_sentence_with_its_sections() {
        let head = Head::of("# cluster 5 --memory\n# Votes are split (5.2, Figure 6).\necho x\n");
        let said = |text: &str| text.to_string();
        assert_eq!((head.nodes(), head.lines), (Ok(Some(5)), 2));
        assert_eq!((head.title, head.sections), (said("Votes are split"), said("5.2, Figure 6")));
        assert_eq!(Head::of("# Notes of mine\necho x\n"), Head::default());
        assert_eq!(Head::of("# cluster 3\n# Without a section.\n").title, "Without a section");
        assert_eq!(Head::of(""), Head::default());
        assert_eq!(Head::of("# cluster 3\nwait leader\n").lines, 1);
    }

    #[test]
    fn a_head_asks_for_as_many_nodes_as_a_cluster_may_have() {
        let nodes = |command: &str| Head::of(&format!("# {command}\n")).nodes();
        assert_eq!(nodes("cluster 99"), Ok(Some(99)));
        assert_eq!(nodes("cluster --memory"), Ok(None));
        assert_eq!(nodes("cluster "), Ok(None));
        for wrong in ["0", "100", "200", "300", "3x"] {
            let said = format!("its first line asks for '{wrong}' nodes: a cluster has 1 to 99");
            assert_eq!(nodes(&format!("cluster {wrong}")), Err(said));
        }
    }

    #[test]
    fn every_script_of_the_folder_is_embedded_and_says_what_it_shows() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
        let entries = fs::read_dir(folder).expect("the scripts' folder");
        let names = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("a text"));
        let mut files: Vec<String> = names.collect();
        files.sort_unstable();
        let known: Vec<&str> = EMBEDDED.iter().map(|(file, _)| *file).collect();
        assert_eq!(known, files, "EMBEDDED lists the folder {FOLDER}");
        for (file, text) in EMBEDDED.iter().filter(|(file, _)| file.ends_with(ENDING)) {
            let Head { command, title, sections, .. } = Head::of(text);
            assert!(command.ends_with(&format!("--script scripts/{file}")), "{file}: {command}");
            assert!(!title.is_empty() && !sections.is_empty(), "{file}: its second line says what it shows");
            assert!(title.len() + sections.len() <= 53, "{file}: short enough for a list");
        }
    }

    #[test]
    fn a_script_is_found_by_its_name_with_or_without_its_ending_and_folder() {
        let whole = text(Path::new("scripts/tour.raft")).expect("it is embedded");
        for name in ["tour", "tour.raft", "scripts/tour"] {
            assert_eq!(text(Path::new(name)).as_ref(), Ok(&whole), "{name}");
        }
        assert!(
            settings(Path::new("scripts/snapshot.toml")).is_ok_and(|text| text.contains("trailing_entries"))
        );
        let read: Vec<String> = all().into_iter().map(|script| script.name).collect();
        assert_eq!(read, names());
    }

    #[test]
    fn a_script_that_is_missing_is_answered_with_the_nearest() {
        let refused = |name: &str| text(Path::new(name)).expect_err("there is none");
        assert_eq!(
            refused("tuor"),
            "no script 'tuor' in this folder, in scripts, or built in: did you mean 'tour'?"
        );
        assert_eq!(
            refused("nowhere/missing.raft"),
            "no script 'nowhere/missing.raft' in this folder, in scripts, or built in: \
             'run' at the prompt lists the scripts"
        );
        assert!(refused("src").contains("is a folder"));
    }
}
