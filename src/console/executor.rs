//! Carries out directives on any [`Lab`]: real threads or virtual time.
//!
//! A directive is one question or one order; what it means for running nodes is decided here and in the files below,
//! by theme. Loops wait for the lab, never for a clock of their own, so that the same script runs at any speed.
//!
//! Architecture invariant: nothing here knows which kind of lab it drives, and nothing here prints except through
//! [`Output`].

mod condition;
mod data;
mod inspect;
mod load;
mod matrix;
mod network;
mod nodes;
mod outcome;
mod picture;
mod record;
mod script;
mod target;
#[cfg(test)]
mod tests;
mod undo;
mod viewer;
mod wait;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use self::load::Loads;
use self::record::Record;
use self::script::line_shown;
use self::undo::Undo;
use super::language::answer::{Answer, Outcome};
use super::language::complete::Names;
use super::language::directive::{DataDirective, Directive, EventFilter, Line};
use super::language::help::help;
use super::narrator::Narrator;
use super::printer::Output;
use crate::lab::Lab;
use crate::quoting::visible;
use crate::types::{NodeId, Random, Time, Token};

pub use self::script::{Flow, Script, open};

/// Directives that `history` remembers.
const HISTORY_MAX: usize = 1_000;

/// Keys that completion offers at most: more are not read by anybody.
const KEYS_OFFERED_MAX: usize = 500;

/// What a console is told about its surroundings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Surroundings {
    /// How long a data command tries, unless it says otherwise.
    pub client_timeout: Duration,
    /// Go on after a directive that failed.
    pub keep_going: bool,
    /// Columns that tables should fit into; none when nobody looks.
    pub columns: Option<usize>,
    /// A person is there: what has no end of its own may run until it is interrupted.
    pub attended: bool,
    /// Where the nodes' log files are, if there are any.
    pub logs: Option<PathBuf>,
}

/// A lab with its console: the state that directives share.
#[derive(Debug)]
pub struct Console<L> {
    lab: L,
    surroundings: Surroundings,
    output: Output,
    narrator: Narrator,
    /// Draws `random`, `minority` and the commands of `pipe`.
    random: Random,
    undos: Vec<Undo>,
    record: Record,
    history: Vec<String>,
    /// The answer before, for `expect ok` and its like.
    last: Option<Answer>,
    /// The commands whose outcome is unknown, the newest last.
    unknown: BTreeMap<Token, DataDirective>,
    /// The files that are being run, the outermost first.
    running: Vec<String>,
    loads: Loads,
    /// From when on it counts the times that it tells by itself.
    zero: Time,
    quitting: bool,
}

impl Default for Surroundings {
    fn default() -> Surroundings {
        Surroundings {
            client_timeout: Duration::from_secs(2),
            keep_going: false,
            columns: None,
            attended: false,
            logs: None,
        }
    }
}

impl<L: Lab> Console<L> {
    /// A console for this lab. Its draws are those of the lab's seed.
    pub fn new(lab: L, surroundings: Surroundings, output: Output, narrator: Narrator) -> Console<L> {
        // Another stream than the lab's own: both begin with the same seed.
        let random = Random::new(lab.seed() ^ 0x636f_6e73_6f6c_6531);
        Console {
            lab,
            surroundings,
            output,
            narrator,
            random,
            undos: Vec::new(),
            record: Record::default(),
            history: Vec::new(),
            last: None,
            unknown: BTreeMap::new(),
            running: Vec::new(),
            loads: Loads::default(),
            zero: Time::ZERO,
            quitting: false,
        }
    }

    /// Counts the times that it tells by itself from this one on, as the rest of a load's output does.
    pub fn count_from(&mut self, zero: Time) {
        self.zero = zero;
    }

    /// The lab, to look at it or to end it.
    pub fn lab(&self) -> &L {
        &self.lab
    }

    /// The lab itself; the console ends.
    pub fn into_lab(self) -> L {
        self.lab
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> u8 {
        u8::try_from(self.lab.nodes().len()).unwrap_or(u8::MAX)
    }

    /// `raftlab: n1, n2, n3` and, where there is state of an earlier run, from where it goes on.
    pub fn greeting(&mut self) -> String {
        let picture = self.picture();
        let names: Vec<String> = picture.names().iter().map(NodeId::to_string).collect();
        let nodes = match names.as_slice() {
            [first, .., last] if names.len() > 5 => format!("{} nodes, {first} to {last}", names.len()),
            _ => format!("nodes {}", names.join(", ")),
        };
        let last = picture.nodes().iter().map(|(_, view)| view.status.last.index).max().unwrap_or_default();
        match last.0 {
            0 => format!("raftlab: {nodes}"),
            last => format!("raftlab: {nodes}; goes on from term {} with {last} log entries", picture.term()),
        }
    }

    /// `n2 is down: why`, for each node that something keeps from running.
    pub fn nodes_missing(&mut self) -> Vec<String> {
        inspect::nodes_missing(&self.picture(), None)
    }

    /// Where answers go.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// What is narrated.
    pub fn narrator(&self) -> &Narrator {
        &self.narrator
    }

    /// What the console was told about its surroundings.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Carries out a directive and says what came of it. Prints nothing but what is shown while it runs.
    pub fn execute(&mut self, line: &Line) -> Answer {
        self.undo_due();
        let lasting = line.lasting;
        match &line.directive {
            Directive::Status { node } => self.status(*node),
            Directive::Leader => self.leader(),
            Directive::Data(data) => self.data(data),
            Directive::Pipe { count } => self.pipe(*count),
            Directive::Load(load) => self.load(*load),
            Directive::LoadStop => self.stop_load(),
            Directive::Outcome { token } => self.outcome(*token),
            Directive::Keys => self.keys(),
            Directive::Dump { node } => self.dump(*node),
            Directive::Diff => self.diff(),
            Directive::Log { target, last } => self.log(target.as_ref(), *last),
            Directive::Logs { target, follow } => self.logs(target.as_ref(), *follow),
            Directive::Net => self.net(),
            Directive::Check => self.check(),
            directive @ (Directive::Crash { .. }
            | Directive::Restart { .. }
            | Directive::Stop { .. }
            | Directive::Pause { .. }
            | Directive::Resume { .. }
            | Directive::SlowDisk { .. }
            | Directive::StallDisk { .. }
            | Directive::FillDisk { .. }
            | Directive::Snapshot { .. }
            | Directive::SkewClock { .. }
            | Directive::Timeout { .. }
            | Directive::AlignTimers
            | Directive::SpreadTimers) => self.order_nodes(directive, lasting),
            directive @ (Directive::Partition(_)
            | Directive::Heal { .. }
            | Directive::Reset
            | Directive::Isolate { .. }
            | Directive::Connect { .. }
            | Directive::Cut { .. }
            | Directive::Drop { .. }
            | Directive::Delay { .. }
            | Directive::Duplicate { .. }
            | Directive::Reorder { .. }) => self.order_network(directive, lasting),
            Directive::Speed { speed } => self.speed(*speed),
            Directive::Step { duration } => self.step(*duration),
            Directive::Wait { condition, within } => self.wait(condition, *within),
            Directive::Expect { expectation } => self.expect(expectation),
            Directive::Sleep { duration } => self.sleep(*duration),
            Directive::Run { file } => self.run_file(file),
            directive => self.session(directive),
        }
    }

    /// What is about the session alone.
    fn session(&mut self, directive: &Directive) -> Answer {
        let verb = directive.name();
        match directive {
            Directive::Events { filter: None } => {
                Answer::ok(verb, format!("events {}", self.narrator.filter()))
                    .with("filter", self.narrator.filter().to_string())
            }
            Directive::Events { filter: Some(filter) } => {
                self.lab.watch_messages(matches!(filter, EventFilter::Net | EventFilter::All));
                self.narrator.set_filter(*filter);
                Answer::ok(verb, narrated(*filter)).with("filter", filter.to_string())
            }
            Directive::Echo { text } => Answer::ok(verb, visible(text)),
            Directive::Seed => {
                let seed = self.lab.seed();
                Answer::ok(verb, format!("{seed} ('--seed {seed}' repeats it)")).with("seed", seed)
            }
            Directive::Help { topic } => Answer::ok(verb, help(*topic)),
            Directive::History => {
                let width = self.history.len().to_string().len();
                let numbered =
                    (1..).zip(&self.history).map(|(at, line)| format!("{at:width$}  {}", line_shown(line)));
                Answer::ok(verb, numbered.collect::<Vec<_>>().join("\n"))
                    .with("directives", self.history.clone())
            }
            Directive::Quit => {
                self.quitting = true;
                Answer::ok(verb, "")
            }
            other => Answer::failed(verb, format!("'{other}' belongs to another part of the console")),
        }
    }

    fn remember(&mut self, line: &str) {
        if self.history.len() == HISTORY_MAX {
            self.history.remove(0);
        }
        self.history.push(line.to_string());
    }

    /// What completion may offer now.
    pub fn names(&mut self) -> Names {
        let picture = self.picture();
        let small =
            |node: &NodeId| picture.view(*node).is_some_and(|view| view.status.size <= KEYS_OFFERED_MAX);
        let source = picture.leading().filter(small);
        let items = source.and_then(|node| self.lab.items(node).ok()).unwrap_or_default();
        let keys = items.into_iter().map(|(key, _)| key).collect();
        Names { nodes: self.lab.nodes(), keys, files: script::script_files() }
    }

    /// `raft 3/3 leader=n2 term=4> `.
    pub fn prompt(&mut self) -> String {
        let picture = self.picture();
        let leader = picture.leader().map_or("none".to_string(), |node| node.to_string());
        format!("raft {}/{} leader={leader} term={}> ", picture.up_count(), picture.count(), picture.term())
    }

    /// When the next fault ends by itself.
    pub fn next_undo(&self) -> Option<Time> {
        self.undos.iter().map(Undo::due).min()
    }

    /// A directive was interrupted by a person.
    fn interrupted(verb: &'static str, after: Duration) -> Answer {
        let after = super::language::layout::duration_shown(after);
        Answer::failed(verb, format!("interrupted after {after}"))
    }
}

fn narrated(filter: EventFilter) -> &'static str {
    match filter {
        EventFilter::On => "events on: elections, leaders and trouble",
        EventFilter::Off => "events off: nothing is narrated",
        EventFilter::Election => "events election: terms, votes and leaders",
        EventFilter::Net => "events net: messages, without heartbeats",
        EventFilter::All => "events all: everything but heartbeats",
    }
}

/// The worse of two outcomes, as exit codes rank them.
pub(super) fn worse(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome| match outcome {
        Outcome::Ok | Outcome::Refused => 0,
        Outcome::Unknown => 1,
        Outcome::Failed => 2,
    };
    if rank(other) > rank(one) { other } else { one }
}
