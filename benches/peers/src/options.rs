//! What is measured: the systems, the forms of the load, and what the command line chooses of them.

use std::time::Duration;

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum System {
    /// raftlab, all messages through the router's thread.
    Router,
    /// raftlab, messages past the router.
    Express,
    /// The same, without the recorder's ring of each node's newest steps.
    Bare,
    /// As `Express`, and all threads have clones of one client.
    Shared,
    /// The crate `raft`.
    RaftRs,
    /// The crate `openraft`, a task for each command in flight.
    OpenRaft,
    /// The same, commands in flight handed over in groups.
    OpenRaftGroups,
    /// raftlab, three processes on a disk.
    OverTcp,
    /// The same, connections encrypted.
    OverTls,
    /// etcd, three processes on a disk.
    Etcd,
}

/// In the order of the table.
pub const SYSTEMS: [System; 10] = [
    System::Router,
    System::Express,
    System::Bare,
    System::Shared,
    System::RaftRs,
    System::OpenRaft,
    System::OpenRaftGroups,
    System::OverTcp,
    System::OverTls,
    System::Etcd,
];

/// Bytes of a value that is put over TCP. In memory it has sixteen.
pub const VALUE_BYTES: usize = 64;

impl System {
    /// As it is shown and chosen.
    pub fn name(self) -> &'static str {
        match self {
            System::Router => "router",
            System::Express => "express",
            System::Bare => "bare",
            System::Shared => "shared",
            System::RaftRs => "raft-rs",
            System::OpenRaft => "openraft",
            System::OpenRaftGroups => "openraft-groups",
            System::OverTcp => "over-tcp",
            System::OverTls => "over-tls",
            System::Etcd => "etcd",
        }
    }

    /// Whether it is three processes on a disk.
    pub fn is_processes(self) -> bool {
        matches!(self, System::OverTcp | System::OverTls | System::Etcd)
    }

    /// Whether it has anything of its own to show in this form.
    pub fn knows(self, form: &Form) -> bool {
        match self {
            System::Shared => form.window == 1 && form.clients > 1,
            System::OpenRaftGroups => form.window > 1,
            System::OverTcp | System::OverTls | System::Etcd => form.window == 1,
            _ => true,
        }
    }

    /// Whether it is one that raftlab is compared with.
    pub fn is_peer(self) -> bool {
        matches!(self, System::RaftRs | System::OpenRaft | System::OpenRaftGroups | System::Etcd)
    }
}

/// How many clients there are, and how many commands each keeps in flight.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// As it is shown and chosen.
    pub name: &'static str,
    /// Clients.
    pub clients: usize,
    /// Commands in flight of each.
    pub window: usize,
}

/// In the order of the table.
pub const FORMS: [Form; 6] = [
    Form { name: "1x1", clients: 1, window: 1 },
    Form { name: "64x1", clients: 64, window: 1 },
    Form { name: "256x1", clients: 256, window: 1 },
    Form { name: "1000x1", clients: 1_000, window: 1 },
    Form { name: "2x32", clients: 2, window: 32 },
    Form { name: "4x1024", clients: 4, window: 1024 },
];

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    words: Vec<String>,
    /// Three processes on a disk each, instead of one process in memory.
    pub processes: bool,
    /// How long writes are not answered when the leader is killed, instead of how many are.
    pub fail_over: bool,
    /// Connections of the clients to each process, if there are as many clients.
    pub connections: usize,
    /// How often each is measured.
    pub rounds: u32,
    /// How long, after a tenth of it that does not count.
    pub span: Duration,
}

impl Options {
    /// From the words behind the program's name. Refused with one line that says what may be written.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            words: Vec::new(),
            processes: false,
            fail_over: false,
            connections: 8,
            rounds: 5,
            span: Duration::from_secs(2),
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let known = FORMS.iter().map(|form| form.name).chain(SYSTEMS.map(System::name));
            let mut known = known.collect::<Vec<&str>>();
            match word.as_str() {
                "--rounds" => {
                    let rounds = words.next().and_then(|text| text.parse().ok());
                    options.rounds = rounds.filter(|rounds| *rounds > 0).ok_or("--rounds needs a number")?;
                }
                "--seconds" => {
                    let seconds = words.next().and_then(|text| text.parse().ok());
                    let seconds = seconds.filter(|seconds| (0.1..3_600.0).contains(seconds));
                    options.span =
                        Duration::from_secs_f64(seconds.ok_or("--seconds needs a number, 0.1 or more")?);
                }
                "--connections" => {
                    let number = words.next().and_then(|text| text.parse().ok());
                    let number = number.filter(|number| *number > 0);
                    options.connections = number.ok_or("--connections needs a number")?;
                }
                "--processes" => options.processes = true,
                "--fail-over" => (options.processes, options.fail_over) = (true, true),
                word if known.contains(&word) => options.words.push(word.to_string()),
                _ => {
                    known.extend([
                        "--processes",
                        "--fail-over",
                        "--connections N",
                        "--rounds N",
                        "--seconds S",
                    ]);
                    return Err(format!("'{word}' is unknown: write any of {}", known.join(", ")));
                }
            }
        }
        Ok(options)
    }

    /// Whether this form is to be measured: all are unless some are named.
    pub fn wants_form(&self, form: &Form) -> bool {
        self.wants(form.name, |word| FORMS.iter().any(|form| form.name == word))
    }

    /// Whether this system is to be measured: all of its kind are unless some are named.
    pub fn wants_system(&self, system: System) -> bool {
        system.is_processes() == self.processes
            && self.wants(system.name(), |word| SYSTEMS.iter().any(|system| system.name() == word))
    }

    fn wants(&self, name: &str, is_of_kind: impl Fn(&str) -> bool) -> bool {
        let mut named = self.words.iter().filter(|word| is_of_kind(word)).peekable();
        named.peek().is_none() || named.any(|word| word == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_and_none_chooses_all() {
        let parse = |line: &str| Options::parse(line.split_whitespace().map(str::to_string));
        let all = parse("").expect("nothing need be said");
        assert!(FORMS.iter().all(|form| all.wants_form(form)));
        let some = parse("1x1 raft-rs --rounds 2").expect("a form and a system");
        assert!(some.wants_form(&FORMS[0]) && !some.wants_form(&FORMS[1]));
        assert!(some.wants_system(System::RaftRs) && !some.wants_system(System::Router));
        let processes = parse("--processes").expect("a word");
        assert!(processes.wants_system(System::Etcd) && !processes.wants_system(System::RaftRs));
        assert!(parse("raft").is_err() && parse("--rounds 0").is_err() && parse("--seconds").is_err());
    }
}
