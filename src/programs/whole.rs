//! `raftlab PROGRAM ...`: all programs in one, to be installed.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Command, CommandFactory};

use super::start::{Generated, Start, WHOLE, generated, print_generated, with_generate};
use super::{
    backup, check_history, client, client_load, cluster, doctor, logs, node, recover, replay, simulate,
};
use crate::console::options;
use crate::console::printer::{Output, Style};

struct Part {
    name: &'static str,
    /// How its manual page is called.
    page: &'static str,
    also: Option<&'static str>,
    command: fn() -> Command,
    main: fn(&Start) -> ExitCode,
}

const PARTS: [Part; 12] = [
    Part {
        name: "cluster",
        page: "raftlab-cluster",
        also: None,
        command: cluster::Options::command,
        main: cluster::main,
    },
    Part {
        name: "simulate",
        page: "raftlab-simulate",
        also: None,
        command: simulate::Options::command,
        main: simulate::main,
    },
    Part {
        name: "replay",
        page: "raftlab-replay",
        also: None,
        command: replay::Options::command,
        main: replay::main,
    },
    Part {
        name: "client_load",
        page: "raftlab-client_load",
        also: Some("client-load"),
        command: client_load::Options::command,
        main: client_load::main,
    },
    Part {
        name: "check_history",
        page: "raftlab-check_history",
        also: Some("check-history"),
        command: check_history::Options::command,
        main: check_history::main,
    },
    Part {
        name: "logs",
        page: "raftlab-logs",
        also: None,
        command: logs::Options::command,
        main: logs::main,
    },
    Part {
        name: "client",
        page: "raftlab-client",
        also: None,
        command: client::Options::command,
        main: client::main,
    },
    Part {
        name: "node",
        page: "raftlab-node",
        also: None,
        command: node::Options::command,
        main: node::main,
    },
    Part {
        name: "doctor",
        page: "raftlab-doctor",
        also: None,
        command: doctor::Options::command,
        main: doctor::main,
    },
    Part {
        name: "recover",
        page: "raftlab-recover",
        also: None,
        command: recover::Options::command,
        main: recover::main,
    },
    Part {
        name: "backup",
        page: "raftlab-backup",
        also: None,
        command: backup::BackupOptions::command,
        main: backup::back_up,
    },
    Part {
        name: "restore",
        page: "raftlab-restore",
        also: None,
        command: backup::RestoreOptions::command,
        main: backup::restore,
    },
];

/// Starts the part that the first word names; without one it explains itself.
pub fn main(start: &Start) -> ExitCode {
    let (first, rest) =
        start.arguments().split_first().map_or((None, &[][..]), |(first, rest)| (Some(first), rest));
    let named = |part: &&Part| {
        first.is_some_and(|word| *word == *part.name || part.also.is_some_and(|also| *word == *also))
    };
    // What is generated is about the whole, and so is what no part is named for.
    let whole = rest.iter().any(|word| word.to_string_lossy().starts_with("--generate"));
    match PARTS.iter().find(named) {
        Some(part) if !whole => (part.main)(&Start::part(part.name, rest.to_vec())),
        _ => explain(start.arguments()),
    }
}

fn explain(arguments: &[OsString]) -> ExitCode {
    let mut command = command();
    let question = OsString::from("--help");
    let arguments = if arguments.is_empty() { std::slice::from_ref(&question) } else { arguments };
    let words = std::iter::once(OsString::from(WHOLE)).chain(arguments.iter().cloned());
    let matches = match command.try_get_matches_from_mut(words) {
        Ok(matches) => matches,
        Err(error) => return ExitCode::from(options::refuse(&error, &command)),
    };
    let of_part = matches.subcommand().and_then(|(name, matches)| Some((name, generated(matches)?)));
    match (generated(&matches), of_part) {
        (None, Some((name, Generated::Man))) => {
            let part = PARTS.iter().find(|part| part.name == name).expect("a part of the description");
            print_generated(Generated::Man, with_generate((part.command)()).name(part.page), part.page)
        }
        (Some(wanted), _) | (None, Some((_, wanted))) => print_generated(wanted, command, WHOLE),
        (None, None) => {
            Output::standard(Style::default()).warn("error: name a program (--help shows them)");
            ExitCode::from(options::USAGE)
        }
    }
}

fn command() -> Command {
    let parts = PARTS.iter().map(|part| {
        let command = with_generate((part.command)().name(part.name));
        command.aliases(part.also)
    });
    with_generate(Command::new(WHOLE))
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .max_term_width(100)
        .args_conflicts_with_subcommands(true)
        .after_help("'raftlab cluster 3' starts three nodes and a prompt; 'raftlab PROGRAM --help' explains a program.")
        .subcommands(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_all_options_is_consistent() {
        command().debug_assert();
    }
}
