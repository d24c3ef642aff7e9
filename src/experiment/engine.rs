//! What is put under load: raftlab's own cluster, or a real etcd; and what an etcd cannot take.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{Experiment, TimedLine};
#[cfg(feature = "etcd")]
use super::{Listener, Report, Scratch, Trouble};
use crate::client::GATHERED_MAX;
#[cfg(feature = "etcd")]
use crate::console::{narrator::Narrator, printer::Output};
#[cfg(feature = "etcd")]
use crate::etcd::{EtcdLab, Place};
#[cfg(feature = "etcd")]
use crate::interrupt::Interrupt;
use crate::protocol::ReadMode;
use crate::text::units::duration_text;
use crate::types::NODES_MAX;

/// The most members that are started.
const MEMBERS_MAX: u8 = 9;

/// What can be done to members.
const VERBS: [&str; 7] = ["crash", "kill", "pause", "restart", "resume", "stop", "transfer"];

/// What is put under load. As text: `raftlab:5`, `etcd:3`, `etcd=http://127.0.0.1:2379`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Engine {
    /// A cluster of raftlab; with a number, of as many nodes, else of as many as the settings say.
    Raftlab(Option<u8>),
    /// An etcd of this many members, which are started for the run.
    Etcd(u8),
    /// An etcd that runs, whose members listen there.
    EtcdAt(Vec<String>),
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::Raftlab(None)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Engine::Raftlab(None) => f.write_str("raftlab"),
            Engine::Raftlab(Some(nodes)) => write!(f, "raftlab:{nodes}"),
            Engine::Etcd(members) => write!(f, "etcd:{members}"),
            Engine::EtcdAt(addresses) => write!(f, "etcd={}", addresses.join(",")),
        }
    }
}

impl Serialize for Engine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Engine, String> {
        let count = |most: u8, number: &str| match number.parse() {
            Ok(count) if (1..=most).contains(&count) => Ok(count),
            _ => Err(format!("'{number}' is no number of nodes here: write 1 to {most}")),
        };
        let engine = match (text.split_once('='), text.split_once(':')) {
            (Some(("etcd", addresses)), _) => Engine::EtcdAt(addresses_of(addresses)?),
            (None, Some(("etcd", number))) => Engine::Etcd(count(MEMBERS_MAX, number)?),
            (None, Some(("raftlab", number))) => Engine::Raftlab(Some(count(NODES_MAX, number)?)),
            _ if text == "raftlab" => Engine::Raftlab(None),
            _ => {
                return Err("write raftlab:3, etcd:3 or etcd=http://127.0.0.1:2379,http://..".to_string());
            }
        };
        if engine.is_etcd() && !cfg!(feature = "etcd") {
            return Err("this program was built without etcd: build it with --features etcd".to_string());
        }
        Ok(engine)
    }
}

fn addresses_of(text: &str) -> Result<Vec<String>, String> {
    let address = |text: &str| {
        let address = text.trim_end_matches('/');
        match address.strip_prefix("http://") {
            Some(rest) if !rest.is_empty() && !rest.contains(['/', '@', '?', '#']) && rest.is_ascii() => {
                Ok(address.to_string())
            }
            _ if address.starts_with("https://") => {
                Err(format!("'{text}': an etcd behind TLS cannot be asked: name an address of http://"))
            }
            _ => Err(format!("'{text}' is no address of an etcd: write http://HOST:PORT")),
        }
    };
    let addresses: Vec<String> = text.split(',').map(address).collect::<Result<_, _>>()?;
    if addresses.len() > usize::from(MEMBERS_MAX) {
        return Err(format!("an etcd has at most {MEMBERS_MAX} addresses here"));
    }
    Ok(addresses)
}

impl Engine {
    pub(super) fn is_etcd(&self) -> bool {
        matches!(self, Engine::Etcd(_) | Engine::EtcdAt(_))
    }

    /// How many nodes it says that there are.
    pub(super) fn nodes(&self) -> Option<u8> {
        match self {
            Engine::Raftlab(nodes) => *nodes,
            Engine::Etcd(members) => Some(*members),
            Engine::EtcdAt(addresses) => u8::try_from(addresses.len()).ok(),
        }
    }
}

impl Experiment {
    /// This experiment on another engine.
    #[must_use]
    pub fn on(mut self, engine: Engine) -> Experiment {
        self.settings.nodes = engine.nodes().unwrap_or(self.settings.nodes);
        if engine.is_etcd() {
            // A client of an etcd makes one call at a time, in an open loop too.
            self.plan.pipeline = self.plan.pipeline.or(Some(1));
        }
        self.engine = engine;
        self
    }

    /// Checks that the engine can take what it is to be asked.
    ///
    /// # Errors
    /// One line: what it cannot take.
    pub(super) fn check_engine(&self) -> Result<(), String> {
        let Experiment { engine, settings, plan, .. } = self;
        if !engine.is_etcd() {
            return Ok(());
        }
        let unfit = [
            (self.remote.is_some(), "--connect"),
            (settings.memory, "--memory"),
            (settings.express, "--express"),
            (self.states.is_some(), "--states"),
            (self.messages, "--messages"),
            (plan.batch > 1, "--batch"),
            (plan.pipeline.is_some_and(|pipeline| pipeline > 1), "--pipeline"),
            (plan.gather != GATHERED_MAX as u64, "--gather"),
            (plan.workload.read_mode == ReadMode::Lease, "--read-mode lease"),
        ];
        let unfit: Vec<&str> = unfit.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect();
        if !unfit.is_empty() {
            return Err(format!("{engine} cannot go with {}: an etcd has no such thing", unfit.join(", ")));
        }
        self.faults.iter().try_for_each(|line| check_fault(engine, line))
    }
}

#[cfg(feature = "etcd")]
impl Experiment {
    /// Makes the run on an etcd.
    pub(super) fn run_on_etcd(
        &self,
        said: Output,
        narrator: Narrator,
        interrupt: &Interrupt,
        listener: Listener<'_>,
    ) -> Result<Report, Trouble> {
        let failed = |text: String| Trouble { text, code: 1 };
        let scratch = Scratch::new().map_err(failed)?;
        let place = match (&self.engine, &self.member) {
            (Engine::EtcdAt(addresses), _) => Place::At(addresses),
            (Engine::Etcd(count), Some(program)) => Place::New(*count, &scratch.0, program),
            _ => return Err(failed("no program is named that starts an etcd's members".to_string())),
        };
        let lab = EtcdLab::open(place, self.plan.seed, self.leader_within, interrupt).map_err(failed)?;
        self.run_on(lab, said, narrator, interrupt, listener)
    }
}

fn check_fault(engine: &Engine, fault: &TimedLine) -> Result<(), String> {
    let place = format!("--at {} '{}'", duration_text(fault.at), fault.line);
    if !matches!(engine, Engine::Etcd(_)) {
        return Err(format!(
            "{place}: this etcd runs elsewhere; --engine etcd:3 starts one that can be broken"
        ));
    }
    let line = fault.line.to_string();
    let special = line.split_whitespace().find(|word| matches!(*word, "--power" | "--wipe"));
    match special {
        Some(word) => Err(format!("{place}: an etcd's member has no '{word}'")),
        None if VERBS.contains(&fault.line.name()) => Ok(()),
        None => Err(format!("{place}: an etcd takes {}, and nothing else", VERBS.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_read_or_refused_in_one_line() {
        assert_eq!("raftlab".parse(), Ok(Engine::Raftlab(None)));
        assert_eq!("raftlab:5".parse(), Ok(Engine::Raftlab(Some(5))));
        let wrong = ["", "consul", "etcd", "etcd:", "etcd:0", "etcd:10", "raftlab:100", "etcd=", "etcd=2379"];
        let more = ["etcd=https://h:1", "etcd=http://", "etcd=http://h/v3", "etcd=http://a:1,,http://b:1"];
        for text in wrong.into_iter().chain(more) {
            let refused = text.parse::<Engine>();
            assert!(refused.is_err_and(|reason| !reason.contains('\n')), "{text}");
        }
    }

    #[cfg(feature = "etcd")]
    #[test]
    fn an_etcd_has_members_or_addresses() {
        assert_eq!("etcd:3".parse(), Ok(Engine::Etcd(3)));
        let addresses = ["http://127.0.0.1:2379", "http://n2:1"].map(str::to_string);
        let engine: Engine = "etcd=http://127.0.0.1:2379/,http://n2:1".parse().expect("two addresses");
        assert_eq!(engine, Engine::EtcdAt(addresses.into()));
        assert_eq!(engine.to_string().parse(), Ok(engine));
    }

    #[cfg(not(feature = "etcd"))]
    #[test]
    fn a_build_without_etcd_names_the_feature() {
        for text in ["etcd:3", "etcd=http://127.0.0.1:2379"] {
            assert!(text.parse::<Engine>().is_err_and(|reason| reason.contains("--features etcd")));
        }
    }
}
