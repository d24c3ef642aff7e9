//! What is known about each verb, and how a verb is found by its name.

use std::borrow::Cow;

use super::vocabulary::{FAMILIAR, VOCABULARY};

/// A directive that can be read. What each does stands in [`VOCABULARY`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(
    missing_docs,
    reason = "each verb is documented where its entry stands, for readers of the help too"
)]
pub enum Verb {
    Status,
    Leader,
    Create,
    Read,
    Update,
    Delete,
    Put,
    Cas,
    Pipe,
    Load,
    Outcome,
    Keys,
    Dump,
    Diff,
    Crash,
    Restart,
    Stop,
    Pause,
    Resume,
    Partition,
    Heal,
    Reset,
    Isolate,
    Connect,
    Cut,
    Drop,
    Delay,
    Duplicate,
    Reorder,
    Net,
    SlowDisk,
    StallDisk,
    FillDisk,
    Snapshot,
    SkewClock,
    Timeout,
    AlignTimers,
    SpreadTimers,
    Speed,
    Step,
    Log,
    Logs,
    Events,
    Wait,
    Expect,
    Sleep,
    Run,
    Echo,
    Seed,
    Check,
    Help,
    History,
    Quit,
}

/// What verbs are grouped by in the help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Theme {
    /// Looking at the cluster.
    Look,
    /// A client's commands.
    Data,
    /// Nodes that fail and come back.
    Nodes,
    /// Messages that are lost or late.
    Network,
    /// Disks that fail.
    Disks,
    /// Timers and virtual time.
    Time,
    /// Scripts that test.
    Test,
    /// The session itself.
    Session,
}

/// One verb: all that parser, help and completion know about it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which verb.
    pub verb: Verb,
    /// Its group.
    pub theme: Theme,
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its other names.
    pub aliases: &'static [&'static str],
    /// What follows the name, without `for DURATION`.
    pub usage: &'static str,
    /// What it does, short enough for one line of the overview.
    pub summary: &'static str,
    /// A line that uses it.
    pub example: &'static str,
    /// The rule of Raft that it shows, with its section; empty for those that are about the session alone.
    pub rule: &'static str,
    /// Its options.
    pub options: &'static [OptionForm],
    /// Whether `for DURATION` may follow.
    pub lasting: bool,
    /// Whether every word that follows is text.
    pub free_text: bool,
}

/// An option of a verb.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptionForm {
    /// `--power`, or `@NODE`.
    pub name: &'static str,
    /// `-f`.
    pub short: Option<&'static str>,
    /// What value follows it.
    pub value: Option<&'static str>,
    /// What it changes.
    pub meaning: &'static str,
}

impl Theme {
    /// Every theme, in the order of the help.
    pub const ALL: [Theme; 8] = [
        Theme::Look,
        Theme::Data,
        Theme::Nodes,
        Theme::Network,
        Theme::Disks,
        Theme::Time,
        Theme::Test,
        Theme::Session,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Theme::Look => "Look",
            Theme::Data => "Data",
            Theme::Nodes => "Nodes",
            Theme::Network => "Network",
            Theme::Disks => "Disks",
            Theme::Time => "Time",
            Theme::Test => "Test",
            Theme::Session => "Session",
        }
    }
}

impl Entry {
    /// The whole form: `crash TARGET [--power] [for DURATION]`.
    pub fn usage(&self) -> String {
        let arguments = match self.usage {
            "" => Cow::Borrowed(self.name),
            arguments => Cow::Owned(format!("{} {arguments}", self.name)),
        };
        if self.lasting { format!("{arguments} [for DURATION]") } else { arguments.into_owned() }
    }

    /// Its option of this name.
    pub fn option(&self, name: &str) -> Option<&'static OptionForm> {
        self.options.iter().find(|form| form.name.eq_ignore_ascii_case(name))
    }

    /// Its option of this one-letter name.
    pub fn short_option(&self, name: &str) -> Option<&'static OptionForm> {
        self.options.iter().find(|form| form.short == Some(name))
    }

    /// Its name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// The entry of this verb or alias, in any case.
pub fn find(name: &str) -> Option<&'static Entry> {
    VOCABULARY.iter().find(|entry| entry.names().any(|known| known.eq_ignore_ascii_case(name)))
}

/// Every verb and alias.
pub fn all_names() -> impl Iterator<Item = &'static str> + Clone {
    VOCABULARY.iter().flat_map(Entry::names)
}

/// The verb for a word that other systems use.
pub fn familiar(word: &str) -> Option<&'static str> {
    FAMILIAR.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(word)).map(|(_, verb)| *verb)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::console::language::parse;

    #[test]
    fn each_entry_parses_from_its_own_example() {
        for entry in VOCABULARY {
            let line = parse(entry.example).unwrap().expect("an example is a directive");
            assert_eq!(line.directive.name(), entry.name, "{}", entry.example);
            for alias in entry.aliases {
                let spelled = entry.example.replacen(entry.name, alias, 1);
                assert_eq!(parse(&spelled).unwrap().as_ref(), Some(&line), "{spelled}");
            }
        }
    }

    #[test]
    fn no_two_entries_share_a_name() {
        let names: Vec<&str> = all_names().collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(distinct.len(), names.len());
        for (foreign, verb) in FAMILIAR {
            assert!(find(foreign).is_none(), "{foreign} is a verb itself");
            assert!(find(verb).is_some(), "{verb} exists");
        }
    }

    #[test]
    fn each_option_is_in_the_usage_and_is_accepted() {
        for entry in VOCABULARY {
            for option in entry.options {
                assert!(entry.usage.contains(option.name), "{} {}", entry.name, option.name);
            }
            assert_eq!(
                entry.usage.matches("--").count() + entry.usage.matches('@').count(),
                entry.options.len()
            );
        }
    }

    #[test]
    fn themes_stand_together_in_the_order_of_the_help() {
        let mut themes: Vec<Theme> = VOCABULARY.iter().map(|entry| entry.theme).collect();
        themes.dedup();
        assert_eq!(themes, Theme::ALL);
    }
}
