//! Every verb of the language, once: the list from which parser, help, completion and suggestions are fed.
//!
//! A new directive begins here. Section numbers are those of the Raft paper; those above 8, and 4.2.3, 6.2 and
//! 6.4, are the dissertation's.

use super::verbs::{Entry, OptionForm, Theme, Verb};

const AT: OptionForm = option("@NODE", "asks this node and no other, whoever leads");
const TIMEOUT: OptionForm = option("--timeout", "how long the client tries").taking("DURATION");
const POWER: OptionForm = option("--power", "loses the writes that were not yet forced to disk, too");
const WIPE: OptionForm = option("--wipe", "deletes the node's files first: it forgets its votes");
const STALE: OptionForm = option("--stale", "from the asked node's own state; it says how old at most");
const LEASE: OptionForm = option("--lease", "by the leader's lease, at once while clocks keep time");
const LAST: OptionForm = option("--last", "shows the last N entries").taking("N");
const RATE: OptionForm = option("--rate", "so many a second, whatever the answers").taking("R");
const CLIENTS: OptionForm = option("--clients", "how many clients at once (4)").taking("C");
const BATCH: OptionForm = option("--batch", "commands in one call (1)").taking("B");
const DURATION: OptionForm = option("--duration", "how long (10s)").taking("DURATION");
const READS: OptionForm = option("--reads", "how many of them are reads (0%)").taking("PERCENT");
const FOLLOW: OptionForm = option("--follow", "goes on with what is added; also -f").or("-f");

/// Every verb, grouped by theme in the order of the help.
pub const VOCABULARY: &[Entry] = &[
    entry(Verb::Status, Theme::Look, "status", "[NODE]")
        .does("roles, terms, logs and links, a row for each node", "status")
        .shows("Figure 2: the state that each server keeps")
        .also(&["ls"]),
    entry(Verb::Leader, Theme::Look, "leader", "")
        .does("who leads and since when, or why nobody does", "leader")
        .shows("Election Safety (5.2): at most one leader in a term"),
    entry(Verb::Keys, Theme::Look, "keys", "")
        .does("the keys and values that the leader has applied", "keys")
        .shows("5.3: only committed entries reach the state machine"),
    entry(Verb::Dump, Theme::Look, "dump", "[NODE]")
        .does("all that a node, or each node, has applied", "dump n2")
        .shows("State Machine Safety (5.4.3): the same commands in the same order"),
    entry(Verb::Diff, Theme::Look, "diff", "")
        .does("the nodes' states side by side, differences marked", "diff")
        .shows("State Machine Safety (5.4.3): a node may lag, never differ"),
    entry(Verb::Log, Theme::Look, "log", "[TARGET] [--last N]")
        .does("the logs as a matrix: a row a node, a term a cell", "log --last 20")
        .shows("Log Matching (5.3): the same index and term, the same log up to there")
        .with(&[LAST]),
    entry(Verb::Logs, Theme::Look, "logs", "[TARGET] [--follow]")
        .does("the nodes' log files, merged by time", "logs n1,n2")
        .shows("5.2, 5.3: each decision with its reason")
        .with(&[FOLLOW]),
    entry(Verb::Events, Theme::Look, "events", "[on | off | election | net | all]")
        .does("what is narrated above the prompt", "events election")
        .shows("5.2: who asked for votes, who gave them, who won"),
    entry(Verb::Net, Theme::Look, "net", "")
        .does("the rules in force and what each link did to messages", "net")
        .shows("5.1: servers know one another by messages alone"),
    entry(Verb::Create, Theme::Data, "create", "KEY VALUE [@NODE] [--timeout DURATION]")
        .does("sets a key that must be absent", "create x 5")
        .shows("5.3: committed once a majority stores the entry, and only then answered")
        .with(&[AT, TIMEOUT]),
    entry(Verb::Read, Theme::Data, "read", "KEY [@NODE] [--stale | --lease] [--timeout DURATION]")
        .does("looks a key up", "read x")
        .shows("8, 6.4: a leader confirms that it still leads; a follower asks it how far to read")
        .with(&[AT, STALE, LEASE, TIMEOUT])
        .also(&["get"]),
    entry(Verb::Update, Theme::Data, "update", "KEY VALUE [@NODE] [--timeout DURATION]")
        .does("sets a key that must be there", "update x 6")
        .shows("5.3: every state machine applies the log in its order, so all agree")
        .with(&[AT, TIMEOUT]),
    entry(Verb::Delete, Theme::Data, "delete", "KEY [@NODE] [--timeout DURATION]")
        .does("removes a key that must be there", "delete x")
        .shows("5.3: a deletion is an entry like any other")
        .with(&[AT, TIMEOUT])
        .also(&["del"]),
    entry(Verb::Put, Theme::Data, "put", "KEY VALUE [@NODE] [--timeout DURATION]")
        .does("sets a key, there or not", "put x 'two words'")
        .shows("8: without an answer a command may still have been applied")
        .with(&[AT, TIMEOUT]),
    entry(Verb::Cas, Theme::Data, "cas", "KEY EXPECTED VALUE [@NODE] [--timeout DURATION]")
        .does("sets a key if it holds the expected value", "cas x 5 6")
        .shows("5.3: the log orders all commands, so comparing and setting needs no lock")
        .with(&[AT, TIMEOUT]),
    entry(Verb::Outcome, Theme::Data, "outcome", "[TOKEN]")
        .does("whether the last (or this) unanswered command was applied", "outcome")
        .shows("6.3 of the dissertation: a session keeps each answer until its client needs it no more"),
    entry(Verb::Pipe, Theme::Data, "pipe", "[N]")
        .does("N (40) random commands at once, answers in order", "pipe 100")
        .shows("10.2.2: entries follow one another without waiting for answers"),
    entry(
        Verb::Load,
        Theme::Data,
        "load",
        "[stop] [--rate R] [--clients C] [--batch B] [--duration DURATION] [--reads PERCENT] [&]",
    )
    .does("many clients at once, measured; & goes on beside the console", "load --clients 8 --duration 2s")
    .shows("5.3, 10.2: what a leader can commit, and how long each command takes")
    .with(&[RATE, CLIENTS, BATCH, DURATION, READS]),
    entry(Verb::Crash, Theme::Nodes, "crash", "TARGET [--power]")
        .does("ends a node without warning: its memory is lost", "crash leader for 2s")
        .shows("5.2: followers that hear no leader for a timeout elect another")
        .also(&["kill"])
        .with(&[POWER])
        .lasting(),
    entry(Verb::Restart, Theme::Nodes, "restart", "TARGET [--wipe]")
        .does("starts a node that is down, from its files", "restart all")
        .shows("Figure 2: term, vote and log are on disk before any answer that needs them")
        .also(&["start"])
        .with(&[WIPE]),
    entry(Verb::Stop, Theme::Nodes, "stop", "TARGET")
        .does("ends a node politely: all it has is on disk", "stop n3")
        .shows("5.5: the leader goes on sending until the follower is back"),
    entry(Verb::Pause, Theme::Nodes, "pause", "TARGET")
        .does("freezes a node; its inbox fills", "pause leader for 1s")
        .shows("8: a leader may be deposed without knowing it")
        .lasting(),
    entry(Verb::Resume, Theme::Nodes, "resume", "TARGET")
        .does("lets a paused node go on", "resume n1")
        .shows("5.1: a message of a newer term turns a late leader into a follower"),
    entry(
        Verb::Partition,
        Theme::Network,
        "partition",
        "NODES / NODES [/ NODES] | halves | minority | bridge NODE | ring",
    )
    .does("lets messages pass within groups only", "partition n1 n2 / n3")
    .shows("5.2, 5.3: only a side with a majority elects and commits")
    .lasting(),
    entry(Verb::Heal, Theme::Network, "heal", "[LINK]")
        .does("undoes partitions and cuts, of all links or of one", "heal n1<>n3")
        .shows("5.3: the leader overwrites what conflicts with its own log"),
    entry(Verb::Reset, Theme::Network, "reset", "")
        .does("undoes every fault of network and disks", "reset")
        .shows("5.5: requests are repeated until all logs agree"),
    entry(Verb::Isolate, Theme::Network, "isolate", "TARGET")
        .does("cuts a node off from everyone, clients included", "isolate leader")
        .shows("9.6, 6.2: alone it raises no term, and a leader steps down")
        .lasting(),
    entry(Verb::Connect, Theme::Network, "connect", "TARGET")
        .does("undoes isolate", "connect n1")
        .shows("4.2.3: who returns deposes no leader that others hear"),
    entry(Verb::Cut, Theme::Network, "cut", "LINK")
        .does("lets no message pass one way; n1>clients loses answers", "cut n1>n2")
        .shows("6.2: a leader that sends but hears nobody must not lead on")
        .lasting(),
    entry(Verb::Drop, Theme::Network, "drop", "PERCENT [LINK]")
        .does("loses messages at random", "drop 20% n1<>n3")
        .shows("5.1: a request that goes unanswered is sent again")
        .lasting(),
    entry(Verb::Delay, Theme::Network, "delay", "DURATION [jitter DURATION] [LINK]")
        .does("delivers messages later", "delay 20ms jitter 5ms")
        .shows("5.6: broadcast time well below the election timeout, or no steady leader")
        .lasting(),
    entry(Verb::Duplicate, Theme::Network, "duplicate", "PERCENT [LINK]")
        .does("delivers messages twice at random", "duplicate 5%")
        .shows("5.5: a request that arrives twice does no harm")
        .lasting(),
    entry(Verb::Reorder, Theme::Network, "reorder", "PERCENT [LINK]")
        .does("lets later messages overtake at random", "reorder 10%")
        .shows("5.3: the consistency check refuses entries that leave a gap")
        .lasting(),
    entry(Verb::SlowDisk, Theme::Disks, "slow-disk", "TARGET DURATION")
        .does("makes each write of a node's disk take longer", "slow-disk leader 30ms")
        .shows("10.2.1: the leader sends entries while its own disk still writes")
        .lasting(),
    entry(Verb::StallDisk, Theme::Disks, "stall-disk", "TARGET DURATION")
        .does("lets a node's disk complete nothing for a time", "stall-disk n2 500ms")
        .shows("10.2.1: a majority of disks commits, whichever they are"),
    entry(Verb::FillDisk, Theme::Disks, "fill-disk", "TARGET")
        .does("lets a node's disk refuse every write as full", "fill-disk n3")
        .shows("Figure 2: a node that cannot save its state must not answer")
        .lasting(),
    entry(Verb::Snapshot, Theme::Disks, "snapshot", "TARGET")
        .does("saves what a node has applied, and drops the log that led to it", "snapshot n1")
        .shows("7: a snapshot replaces the entries that it covers"),
    entry(Verb::Timeout, Theme::Time, "timeout", "TARGET")
        .does("lets a node's election timer run out now", "timeout n3")
        .shows("5.2: a candidate needs the votes of a majority in its term")
        .also(&["campaign"]),
    entry(Verb::AlignTimers, Theme::Time, "align-timers", "")
        .does("sets all election timers to the same moment", "align-timers")
        .shows("5.2: candidates at the same time split the vote"),
    entry(Verb::SpreadTimers, Theme::Time, "spread-timers", "")
        .does("sets the election timers far apart", "spread-timers")
        .shows("5.2: timeouts drawn at random make split votes rare"),
    entry(Verb::SkewClock, Theme::Time, "skew-clock", "TARGET DURATION")
        .does("sets a node's clock ahead; 0 holds it until time catches up", "skew-clock n2 100ms")
        .shows("6.4.1: reads by lease need clocks that agree; nothing else does")
        .lasting(),
    entry(Verb::Speed, Theme::Time, "speed", "FACTOR")
        .does("how fast virtual time passes: 1 is real time, or max", "speed 0.5")
        .shows("5.6: safety must not depend on timing"),
    entry(Verb::Step, Theme::Time, "step", "[DURATION]")
        .does("lets virtual time pass by one event, or by a time", "step 50ms")
        .shows("5.6: time decides when a leader is found, never what is true"),
    entry(Verb::Wait, Theme::Test, "wait", "CONDITION [@NODE] [DURATION]")
        .does("goes on when a condition holds", "wait leader 5s")
        .shows("5.6: a majority that can talk elects a leader sooner or later")
        .with(&[AT]),
    entry(Verb::Expect, Theme::Test, "expect", "CONDITION [@NODE]")
        .does("fails unless a condition holds now", "expect leader n1")
        .shows("Figure 3: what must hold at any moment")
        .with(&[AT]),
    entry(Verb::Sleep, Theme::Test, "sleep", "DURATION").does("lets time pass", "sleep 200ms"),
    entry(Verb::Check, Theme::Test, "check", "")
        .does("checks safety, and that the data commands are linearizable", "check")
        .shows("Figure 3: the five properties, by name; 8: linearizable semantics"),
    entry(Verb::Run, Theme::Test, "run", "FILE")
        .does("carries out the lines of a file", "run scripts/demo.raft"),
    entry(Verb::Echo, Theme::Test, "echo", "[TEXT]").does("prints a text", "echo the leader is gone").text(),
    entry(Verb::Seed, Theme::Session, "seed", "").does("the seed that repeats this run", "seed"),
    entry(Verb::Help, Theme::Session, "help", "[VERB | TOPIC]")
        .does("explains a verb or a topic", "help crash"),
    entry(Verb::History, Theme::Session, "history", "").does("the directives given so far", "history"),
    entry(Verb::Quit, Theme::Session, "quit", "")
        .does("stops the cluster and leaves", "quit")
        .also(&["exit"]),
];

/// Words that other systems use for what is called otherwise here.
pub(super) const FAMILIAR: &[(&str, &str)] = &[
    ("set", "put"),
    ("write", "put"),
    ("insert", "create"),
    ("rm", "delete"),
    ("nodes", "status"),
    ("ps", "status"),
    ("latency", "delay"),
    ("loss", "drop"),
    ("shutdown", "quit"),
    ("unpause", "resume"),
    ("split", "partition"),
    ("assert", "expect"),
    ("source", "run"),
    ("print", "echo"),
];

const fn entry(verb: Verb, theme: Theme, name: &'static str, usage: &'static str) -> Entry {
    Entry {
        verb,
        theme,
        name,
        aliases: &[],
        usage,
        summary: "",
        example: "",
        rule: "",
        options: &[],
        lasting: false,
        free_text: false,
    }
}

impl Entry {
    const fn does(self, summary: &'static str, example: &'static str) -> Entry {
        Entry { summary, example, ..self }
    }

    const fn shows(self, rule: &'static str) -> Entry {
        Entry { rule, ..self }
    }

    const fn also(self, aliases: &'static [&'static str]) -> Entry {
        Entry { aliases, ..self }
    }

    const fn with(self, options: &'static [OptionForm]) -> Entry {
        Entry { options, ..self }
    }

    const fn lasting(self) -> Entry {
        Entry { lasting: true, ..self }
    }

    const fn text(self) -> Entry {
        Entry { free_text: true, ..self }
    }
}

const fn option(name: &'static str, meaning: &'static str) -> OptionForm {
    OptionForm { name, short: None, value: None, meaning }
}

impl OptionForm {
    const fn taking(self, value: &'static str) -> OptionForm {
        OptionForm { value: Some(value), ..self }
    }

    const fn or(self, short: &'static str) -> OptionForm {
        OptionForm { short: Some(short), ..self }
    }
}
