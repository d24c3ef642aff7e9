//! How a program was started: its arguments, how it is called in messages, and the command that starts it again.
//!
//! Each program also takes `--generate`, which prints the completions of a shell or the manual page, made from the same
//! description of the options as the help.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, Parser, ValueEnum};
use clap_complete::Shell;

use crate::console::options;
use crate::console::printer::{Output, Style};
use crate::quoting::shell_word;
use crate::supervisor::Program;

/// The program of which all others are parts.
pub const WHOLE: &str = "raftlab";

/// A program as it was started: by itself, or as a part of `raftlab`.
#[derive(Clone, Debug)]
pub struct Start {
    name: &'static str,
    part: bool,
    arguments: Vec<OsString>,
}

/// What `--generate` prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Generated {
    Bash,
    Zsh,
    Fish,
    Man,
}

impl Start {
    /// A program that was started by itself.
    pub fn alone(name: &'static str) -> Start {
        Start { name, part: false, arguments: env::args_os().skip(1).collect() }
    }

    /// A part of `raftlab`, with the arguments behind its name.
    pub(super) fn part(name: &'static str, arguments: Vec<OsString>) -> Start {
        Start { name, part: true, arguments }
    }

    /// What begins with this word is a program of its own, called so.
    pub(super) fn behind(&self, word: &str, name: &'static str) -> Option<Start> {
        let (first, rest) = self.arguments.split_first()?;
        (*first == *word).then(|| Start { name, part: self.part, arguments: rest.to_vec() })
    }

    pub(super) fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// How this program starts a node in a process of its own: the program itself, with the word `node` first.
    pub(super) fn node_program(&self) -> io::Result<Program> {
        self.program_of(vec!["node".into()])
    }

    /// How this program starts a process that this word, behind its own name, makes what it is.
    pub(super) fn part_program(&self, word: &str) -> io::Result<Program> {
        let part = self.part.then(|| self.name.into());
        self.program_of(part.into_iter().chain([word.into()]).collect())
    }

    fn program_of(&self, words: Vec<OsString>) -> io::Result<Program> {
        let name = env::args_os().next().unwrap_or_else(|| self.name.into());
        // The very program that runs, even when its file was replaced meanwhile.
        let own = PathBuf::from("/proc/self/exe");
        let path = if own.exists() { own } else { env::current_exe()? };
        Ok(Program { path, name, words })
    }

    /// How it is called: `cluster` or `raftlab cluster`.
    pub(super) fn shown(&self) -> Cow<'static, str> {
        if self.part { format!("{WHOLE} {}", self.name).into() } else { self.name.into() }
    }

    /// What its command line says; or, when that was a question or is wrong, the exit code after the answer.
    pub(super) fn options<O: Parser>(&self) -> Result<O, ExitCode> {
        let mut command = with_generate(O::command().name(self.name)).bin_name(self.shown());
        let words = std::iter::once(OsString::from(self.name)).chain(self.arguments.iter().cloned());
        let parsed = command.try_get_matches_from_mut(words).and_then(|matches| {
            let options = match generated(&matches) {
                Some(wanted) => return Ok(Err(wanted)),
                None => O::from_arg_matches(&matches),
            };
            options.map(Ok).map_err(|error| error.format(&mut command))
        });
        match parsed {
            Ok(Ok(options)) => Ok(options),
            Ok(Err(wanted)) => Err(print_generated(wanted, command, self.name)),
            Err(error) => Err(ExitCode::from(options::refuse(&error, &command))),
        }
    }

    /// The command that starts it again in the same way, with these words added.
    pub(super) fn again(&self, added: &[String]) -> String {
        self.again_without("", added)
    }

    /// The same without this word.
    pub(super) fn again_without(&self, left_out: &str, added: &[String]) -> String {
        let given = self.arguments.iter().map(|argument| argument.to_string_lossy());
        let given = given.filter(|word| *word != left_out).map(|word| shell_word(&word).into_owned());
        let words = given.chain(added.iter().cloned());
        std::iter::once(self.command()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// What starts it, as it was started: by cargo, by its name or by its path.
    fn command(&self) -> String {
        self.command_of(self.name)
    }

    /// What starts another program in the same way.
    pub(super) fn command_of(&self, name: &str) -> String {
        let part = if self.part { format!(" {name}") } else { String::new() };
        // Cargo tells the program that it runs.
        if env::var_os("CARGO_PKG_NAME").is_some_and(|package| package == env!("CARGO_PKG_NAME")) {
            let program = if self.part { WHOLE } else { name };
            return format!("cargo run --release --bin {program} --{part}");
        }
        let started = PathBuf::from(env::args_os().next().unwrap_or_else(|| self.name.into()));
        let started = if self.part || name == self.name { started } else { started.with_file_name(name) };
        format!("{}{part}", shell_word(&started.to_string_lossy()))
    }
}

/// The command with the option that every program has.
pub(super) fn with_generate(command: Command) -> Command {
    command.arg(
        Arg::new("generate")
            .long("generate")
            .value_name("WHAT")
            .value_parser(clap::builder::EnumValueParser::<Generated>::new())
            .exclusive(true)
            .help("Prints the completions of a shell, or the manual page"),
    )
}

pub(super) fn generated(matches: &ArgMatches) -> Option<Generated> {
    matches.get_one::<Generated>("generate").copied()
}

/// Prints what was asked for, of this command by this name.
pub(super) fn print_generated(wanted: Generated, mut command: Command, name: &str) -> ExitCode {
    let mut text = Vec::new();
    let shell = match wanted {
        Generated::Bash => Some(Shell::Bash),
        Generated::Zsh => Some(Shell::Zsh),
        Generated::Fish => Some(Shell::Fish),
        Generated::Man => None,
    };
    match shell {
        Some(shell) => clap_complete::generate(shell, &mut command, name, &mut text),
        None => {
            clap_mangen::Man::new(command).render(&mut text).expect("memory can be written");
        }
    }
    Output::standard(Style::default()).progress(String::from_utf8_lossy(&text).trim_end());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_repeated_whole() {
        let words = ["3", "--memory", "--time-scale", "10"].map(OsString::from).to_vec();
        let again = Start::part("cluster", words).again(&["--seed 7".to_string()]);
        assert!(again.ends_with("cluster 3 --memory --time-scale 10 --seed 7"), "{again}");
        assert!(again.contains(WHOLE), "{again}");
    }
}
