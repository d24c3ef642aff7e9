//! What a line asks for: the directives as data.
//!
//! A value of these types is well formed in itself; whether it fits the cluster (does `n7` exist, is it down) is
//! for the executor to say.

use std::time::Duration;

use super::condition::{Condition, Expectation};
use super::units::{Chance, Speed};
use crate::types::{NodeId, Token};

/// How many commands `pipe` sends when it is not told.
pub const PIPE_COUNT: usize = 40;

/// A directive, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// What to do.
    pub directive: Directive,
    /// `for 2s`: undo it after this time. Only faults carry it (see [`Directive::may_last`]).
    pub lasting: Option<Duration>,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Directive {
    /// A row for each node, or for one.
    Status {
        /// The one node.
        node: Option<NodeId>,
    },
    /// Who leads, since when, or why nobody does.
    Leader,
    /// A client's command.
    Data(DataDirective),
    /// Random commands, all at once, with their answers in order.
    Pipe {
        /// How many.
        count: usize,
    },
    /// Many clients at once, measured.
    Load(LoadDirective),
    /// End the load that runs beside the console.
    LoadStop,
    /// What became of a command whose outcome was unknown; if nothing did, nothing will.
    Outcome {
        /// Its name; without one, the newest.
        token: Option<Token>,
    },
    /// The keys and values that the leader has applied.
    Keys,
    /// Everything that a node, or each node, has applied.
    Dump {
        /// The one node.
        node: Option<NodeId>,
    },
    /// The nodes' states side by side, differences marked.
    Diff,
    /// End a node's thread without warning: what is in memory is lost.
    Crash {
        /// Which nodes.
        target: Target,
        /// Lose the writes that were not forced to disk too, as a power cut does.
        power: bool,
    },
    /// Start a node that is down, from its files.
    Restart {
        /// Which nodes.
        target: Target,
        /// Delete its files first.
        wipe: bool,
    },
    /// End a node politely.
    Stop {
        /// Which nodes.
        target: Target,
    },
    /// Freeze a node's thread; its inbox fills.
    Pause {
        /// Which nodes.
        target: Target,
    },
    /// Let a paused node go on.
    Resume {
        /// Which nodes.
        target: Target,
    },
    /// Let messages pass within groups only.
    Partition(PartitionShape),
    /// Undo partitions and cuts, of all links or of one.
    Heal {
        /// The one link.
        link: Option<Link>,
    },
    /// Undo every fault of network and disks.
    Reset,
    /// Cut all links between a node and everyone else, clients included.
    Isolate {
        /// Which nodes.
        target: Target,
    },
    /// Undo `isolate`.
    Connect {
        /// Which nodes.
        target: Target,
    },
    /// Let no message pass this link.
    Cut {
        /// Which link.
        link: Link,
    },
    /// Lose messages at random.
    Drop {
        /// How likely each is lost; zero ends it.
        chance: Chance,
        /// Which link; none is every link, the clients' too.
        link: Option<Link>,
    },
    /// Deliver messages later.
    Delay {
        /// How much later; zero ends it.
        delay: Duration,
        /// Up to this much more, drawn for each message.
        jitter: Option<Duration>,
        /// Which link; none is every link, the clients' too.
        link: Option<Link>,
    },
    /// Deliver messages twice at random.
    Duplicate {
        /// How likely each is doubled; zero ends it.
        chance: Chance,
        /// Which link; none is every link, the clients' too.
        link: Option<Link>,
    },
    /// Let later messages overtake at random.
    Reorder {
        /// How likely each is held back; zero ends it.
        chance: Chance,
        /// Which link; none is every link, the clients' too.
        link: Option<Link>,
    },
    /// The rules in force and each link's counts.
    Net,
    /// Make every write of a node's disk take longer.
    SlowDisk {
        /// Which nodes.
        target: Target,
        /// How much longer; zero ends it.
        delay: Duration,
    },
    /// Let a node's disk complete nothing for a time.
    StallDisk {
        /// Which nodes.
        target: Target,
        /// For how long.
        duration: Duration,
    },
    /// Let a node's disk refuse every further write as full.
    FillDisk {
        /// Which nodes.
        target: Target,
    },
    /// Let a node take a snapshot of its state.
    Snapshot {
        /// Which nodes.
        target: Target,
    },
    /// Set a node's clock ahead of the others'.
    SkewClock {
        /// Which nodes.
        target: Target,
        /// How far; zero ends it.
        ahead: Duration,
    },
    /// Let a node's election timer run out now.
    Timeout {
        /// Which nodes.
        target: Target,
    },
    /// Set all election timers to run out at the same moment, which splits the vote.
    AlignTimers,
    /// Set the election timers to run out one well after the other.
    SpreadTimers,
    /// How fast virtual time passes.
    Speed {
        /// The factor.
        speed: Speed,
    },
    /// Let virtual time pass by one event, or by a duration.
    Step {
        /// The duration.
        duration: Option<Duration>,
    },
    /// The logs as a matrix: a row for each node, the term of each entry.
    Log {
        /// Which nodes; none is all.
        target: Option<Target>,
        /// How many of the last entries; none is as many as fit.
        last: Option<usize>,
    },
    /// The nodes' log files, merged by time.
    Logs {
        /// Which nodes; none is all.
        target: Option<Target>,
        /// Go on showing what is added.
        follow: bool,
    },
    /// What is narrated above the prompt; without a filter, ask.
    Events {
        /// What to narrate from now on.
        filter: Option<EventFilter>,
    },
    /// Go on when a condition holds.
    Wait {
        /// The condition.
        condition: Condition,
        /// Give up after this time.
        within: Option<Duration>,
    },
    /// Fail unless it holds now.
    Expect {
        /// What must hold.
        expectation: Expectation,
    },
    /// Let time pass.
    Sleep {
        /// How much.
        duration: Duration,
    },
    /// Carry out the lines of a file.
    Run {
        /// The file's path.
        file: String,
    },
    /// Print a text.
    Echo {
        /// The text.
        text: String,
    },
    /// The seed that repeats this run.
    Seed,
    /// Check the safety properties on everything that has happened.
    Check,
    /// Explain the language, a verb or a topic.
    Help {
        /// A verb's name or one of [`super::help::TOPICS`].
        topic: Option<&'static str>,
    },
    /// The directives given so far.
    History,
    /// Stop the cluster and leave.
    Quit,
}

/// A load. What is not said is for the executor to choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LoadDirective {
    /// `--rate 100`: operations a second.
    pub rate: Option<usize>,
    /// `--clients 8`: how many at once.
    pub clients: Option<usize>,
    /// `--batch 16`: commands in one call.
    pub batch: Option<usize>,
    /// `--duration 10s`: how long.
    pub duration: Option<Duration>,
    /// `--reads 50%`: how many of them are reads.
    pub reads: Option<Chance>,
    /// `&`: go on beside the console.
    pub background: bool,
}

/// A client's command, and how to send it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataDirective {
    /// The command.
    pub operation: DataOperation,
    /// `@n2`: ask this node first, whoever leads.
    pub at: Option<NodeId>,
    /// `--timeout 2s`: the client's deadline.
    pub timeout: Option<Duration>,
}

/// The commands of the key-value store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataOperation {
    /// Set a key that must be absent.
    Create {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Look a key up.
    Read {
        /// The key.
        key: String,
        /// How fresh the answer must be.
        mode: ReadMode,
    },
    /// Set a key that must be there.
    Update {
        /// The key.
        key: String,
        /// Its new value.
        value: String,
    },
    /// Remove a key that must be there.
    Delete {
        /// The key.
        key: String,
    },
    /// Set a key, there or not.
    Put {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Set a key if it holds the expected value.
    Cas {
        /// The key.
        key: String,
        /// What it must hold.
        expected: String,
        /// Its new value.
        value: String,
    },
}

impl DataOperation {
    /// The verb.
    pub fn name(&self) -> &'static str {
        match self {
            DataOperation::Create { .. } => "create",
            DataOperation::Read { .. } => "read",
            DataOperation::Update { .. } => "update",
            DataOperation::Delete { .. } => "delete",
            DataOperation::Put { .. } => "put",
            DataOperation::Cas { .. } => "cas",
        }
    }

    /// The key that it is about.
    pub fn key(&self) -> &str {
        match self {
            DataOperation::Create { key, .. }
            | DataOperation::Read { key, .. }
            | DataOperation::Update { key, .. }
            | DataOperation::Delete { key }
            | DataOperation::Put { key, .. }
            | DataOperation::Cas { key, .. } => key,
        }
    }
}

/// How fresh a read must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReadMode {
    /// Linearizable: the leader confirms that it leads (section 8).
    #[default]
    Linearizable,
    /// From the asked node's own state, however old.
    Stale,
    /// Linearizable as long as clocks keep their bound: the leader trusts its lease (6.4).
    Lease,
}

/// Which nodes a directive is about. What stands for nodes is resolved when the directive runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// These, in order and each once; never none.
    Nodes(Vec<NodeId>),
    /// The node that leads.
    Leader,
    /// Every running node but the leader.
    Followers,
    /// One of the running nodes, drawn from the seed.
    Random,
    /// The largest number of nodes that is no majority, drawn from the seed.
    Minority,
    /// The smallest majority, drawn from the seed.
    Majority,
    /// Every node.
    All,
}

/// Which way messages take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// `n1>n3`: from the first to the second.
    OneWay {
        /// The sender.
        from: LinkEnd,
        /// The receiver.
        to: LinkEnd,
    },
    /// `n1<>n3`: both ways.
    BothWays {
        /// One end.
        one: LinkEnd,
        /// The other end.
        other: LinkEnd,
    },
    /// `clients`: between all clients and all nodes, both ways.
    Clients,
}

/// One end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkEnd {
    /// A node.
    Node(NodeId),
    /// `clients`: all clients together.
    Clients,
}

/// Who still reaches whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PartitionShape {
    /// These groups, two or more, without a node in common. Nodes that no group names form one more group.
    Groups(Vec<Vec<NodeId>>),
    /// Two halves, as even as can be.
    Halves,
    /// A minority, drawn from the seed, against the rest.
    Minority,
    /// Two halves that both reach this node.
    Bridge(NodeId),
    /// Each node reaches its two neighbors only.
    Ring,
}

/// What is narrated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventFilter {
    /// What changes something: elections, crashes, faults.
    On,
    /// Nothing.
    Off,
    /// Terms, votes, leaders.
    Election,
    /// What becomes of messages.
    Net,
    /// Everything but heartbeats.
    All,
}

impl Directive {
    /// Whether `for DURATION` may follow: it is a fault that can be undone.
    pub fn may_last(&self) -> bool {
        super::verbs::find(self.name()).is_some_and(|entry| entry.lasting)
    }

    /// The verb, as it stands in answers.
    pub fn name(&self) -> &'static str {
        match self {
            Directive::Status { .. } => "status",
            Directive::Leader => "leader",
            Directive::Data(data) => data.operation.name(),
            Directive::Pipe { .. } => "pipe",
            Directive::Load(_) | Directive::LoadStop => "load",
            Directive::Outcome { .. } => "outcome",
            Directive::Keys => "keys",
            Directive::Dump { .. } => "dump",
            Directive::Diff => "diff",
            Directive::Crash { .. } => "crash",
            Directive::Restart { .. } => "restart",
            Directive::Stop { .. } => "stop",
            Directive::Pause { .. } => "pause",
            Directive::Resume { .. } => "resume",
            Directive::Partition(_) => "partition",
            Directive::Heal { .. } => "heal",
            Directive::Reset => "reset",
            Directive::Isolate { .. } => "isolate",
            Directive::Connect { .. } => "connect",
            Directive::Cut { .. } => "cut",
            Directive::Drop { .. } => "drop",
            Directive::Delay { .. } => "delay",
            Directive::Duplicate { .. } => "duplicate",
            Directive::Reorder { .. } => "reorder",
            Directive::Net => "net",
            Directive::SlowDisk { .. } => "slow-disk",
            Directive::StallDisk { .. } => "stall-disk",
            Directive::FillDisk { .. } => "fill-disk",
            Directive::Snapshot { .. } => "snapshot",
            Directive::SkewClock { .. } => "skew-clock",
            Directive::Timeout { .. } => "timeout",
            Directive::AlignTimers => "align-timers",
            Directive::SpreadTimers => "spread-timers",
            Directive::Speed { .. } => "speed",
            Directive::Step { .. } => "step",
            Directive::Log { .. } => "log",
            Directive::Logs { .. } => "logs",
            Directive::Events { .. } => "events",
            Directive::Wait { .. } => "wait",
            Directive::Expect { .. } => "expect",
            Directive::Sleep { .. } => "sleep",
            Directive::Run { .. } => "run",
            Directive::Echo { .. } => "echo",
            Directive::Seed => "seed",
            Directive::Check => "check",
            Directive::Help { .. } => "help",
            Directive::History => "history",
            Directive::Quit => "quit",
        }
    }
}
