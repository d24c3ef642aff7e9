//! The slots that directives and conditions are made of. The function of a verb asks for what stands in a slot by the
//! same name with which the verb's form lists it.

use crate::console::language::{Kind, Slot};
use crate::console::narrator::EventFilter;

pub(super) const NODE: Slot = Slot::optional("NODE", Kind::Node);
pub(super) const NODE_OR_ANY: Slot = Slot::needed("NODE | any", Kind::NodeOr("any"));
pub(super) const NODE_OR_NONE: Slot = Slot::needed("NODE | none", Kind::NodeOr("none"));
pub(super) const TARGET: Slot = Slot::needed("TARGET", Kind::Target);
pub(super) const ONE_NODE: Slot = Slot::needed("NODE", Kind::OneNode);
pub(super) const NEW_NODE: Slot = Slot::needed("NEW", Kind::Node);
pub(super) const WITH: Slot = Slot::needed("with", Kind::Word("with"));
pub(super) const CHANGE_WORD: Slot = Slot::needed("change", Kind::Word("change"));
pub(super) const LEARNER: Slot = Slot::flag("--learner", "it has the log and no vote, until 'promote'");
pub(super) const FORCE: Slot =
    Slot::flag("--force", "though too few voters answer: nothing commits until they are back");
pub(super) const ANY_TARGET: Slot = Slot::optional("TARGET", Kind::Target);
pub(super) const LINK: Slot = Slot::needed("LINK", Kind::Link);
pub(super) const ANY_LINK: Slot = Slot::optional("LINK", Kind::Link);
pub(super) const FLIGHT: Slot = Slot::optional("FLIGHT", Kind::Number);
pub(super) const PERCENT: Slot = Slot::needed("PERCENT", Kind::Percent);
pub(super) const DURATION: Slot = Slot::needed("DURATION", Kind::Duration);
pub(super) const ANY_DURATION: Slot = Slot::optional("DURATION", Kind::Duration);
pub(super) const TO_PLACE: Slot = Slot::if_fitting("to", Kind::Word("to"));
pub(super) const MOMENT: Slot = Slot::needed("DURATION | end", Kind::DurationOr("end"));
pub(super) const BACK: Slot = Slot::if_fitting("back", Kind::Word("back"));
pub(super) const JITTER: Slot = Slot::if_fitting("jitter DURATION", Kind::Named("jitter"));
pub(super) const SHAPE: Slot =
    Slot::needed("TARGET / TARGET [/ TARGET] | halves | minority | bridge NODE | ring", Kind::Shape);

pub(super) const KEY: Slot = Slot::needed("KEY", Kind::Key);
pub(super) const VALUE: Slot = Slot::needed("VALUE", Kind::Value);
pub(super) const EXPECTED: Slot = Slot::needed("EXPECTED", Kind::Value);
pub(super) const AT: Slot =
    Slot::option("@NODE", "NODE", Kind::OneNode, "asks only this node, leader or not");
pub(super) const TIMEOUT: Slot = Slot::option(
    "--timeout",
    "DURATION",
    Kind::DurationAboveZero,
    "how long the client tries (client_timeout, 2s)",
);
pub(super) const STALE: Slot =
    Slot::flag("--stale", "from the asked node's own state; it says how old at most");
pub(super) const LEASE: Slot =
    Slot::flag("--lease", "by the leader's lease, at once while clocks keep time").or(None, Some("--stale"));
pub(super) const COUNT: Slot = Slot::optional("N", Kind::Count);
pub(super) const TOKEN: Slot = Slot::optional("TOKEN", Kind::Token);

pub(super) const STOP: Slot = Slot::if_fitting("stop", Kind::Word("stop"));
pub(super) const BACKGROUND: Slot = Slot::if_fitting("&", Kind::Word("&"));
pub(super) const RATE: Slot =
    Slot::option("--rate", "R", Kind::Count, "this many a second, without waiting for answers");
pub(super) const CLIENTS: Slot = Slot::option("--clients", "C", Kind::Count, "how many clients at once (4)");
pub(super) const BATCH: Slot = Slot::option("--batch", "B", Kind::Count, "commands in one call (1)");
pub(super) const FOR: Slot =
    Slot::option("--duration", "DURATION", Kind::DurationAboveZero, "how long (10s)");
pub(super) const READS: Slot =
    Slot::option("--reads", "PERCENT", Kind::Percent, "how many of them are reads (0%)");

pub(super) const POWER: Slot =
    Slot::flag("--power", "loses the writes that were not yet forced to disk, too");
pub(super) const PROCESS: Slot =
    Slot::flag("--process", "its whole process (SIGSTOP), of 'cluster --processes'");
pub(super) const WIPE: Slot = Slot::flag("--wipe", "deletes the node's files first: it forgets its votes");
pub(super) const LAST: Slot = Slot::option("--last", "N", Kind::Count, "shows the last N entries");
pub(super) const LAST_LINES: Slot = Slot::option("--last", "N", Kind::Count, "shows the last N lines (500)");
pub(super) const ALL_RUNS: Slot = Slot::flag("--all", "those of earlier runs too");
pub(super) const FOLLOW: Slot =
    Slot::flag("--follow", "also shows what is added later; also -f").or(Some("-f"), None);
pub(super) const ALL: Slot =
    Slot::flag("--all", "with votes and snapshots, and nothing left out for want of room");
pub(super) const ALL_LINKS: Slot = Slot::flag("--all", "a row for each link, in a large cluster too");
pub(super) const WATCH: Slot =
    Slot::flag("--watch", "draws it again at each change, until Ctrl-C; also -w").or(Some("-w"), None);
pub(super) const FILTER: Slot = Slot::optional(
    "on | off | election | client | net | all | heartbeats",
    Kind::Choice { name: "events", words: &EventFilter::NAMES },
);
pub(super) const AS_JSON: Slot = Slot::flag("--json", "one JSON object an event, as in a trace");
pub(super) const SPEED: Slot = Slot::needed("FACTOR", Kind::Speed);
pub(super) const SETTING: Slot = Slot::optional("SETTING", Kind::Setting);
pub(super) const TO: Slot = Slot::optional("VALUE", Kind::Value);
pub(super) const RESTORE: Slot = Slot::flag("--restore", "every setting is as it was at the start again");
pub(super) const SCRIPT: Slot = Slot::optional("SCRIPT", Kind::File);
pub(super) const PAGE: Slot = Slot::needed("FILE.html", Kind::Value);
pub(super) const LINE: Slot = Slot::needed("LINE", Kind::Line);
pub(super) const OVERWRITE: Slot = Slot::flag("--overwrite", "replaces a file that is there");
pub(super) const TRACE_FILE: Slot = Slot::optional("FILE", Kind::File);
pub(super) const FOLDER: Slot = Slot::optional("DIR", Kind::File);
pub(super) const MAX_MIB: Slot =
    Slot::option("--max", "MIB", Kind::Count, "ends it after this many MiB (4096)");
pub(super) const FILE: Slot = Slot::needed("FILE", Kind::File);
pub(super) const TEXT: Slot = Slot::optional("TEXT", Kind::Text);
pub(super) const SUBJECT: Slot = Slot::optional("VERB | THEME | TOPIC", Kind::Subject);

pub(super) const WAITED_FOR: Slot = Slot::needed("CONDITION", Kind::Condition { answers: false });
pub(super) const EXPECTED_NOW: Slot = Slot::needed("CONDITION", Kind::Condition { answers: true });
pub(super) const AT_OF_CONDITION: Slot =
    Slot::option("@NODE", "NODE", Kind::NodeOfCondition, "asks only this node, leader or not");
pub(super) const IF_NODE: Slot = Slot::if_fitting("NODE", Kind::Node);
pub(super) const THIS_NODE: Slot = Slot::needed("NODE", Kind::Node);
pub(super) const NOT: Slot = Slot::if_fitting("not", Kind::Word("not"));
pub(super) const QUESTION: Slot = Slot::if_fitting(
    "leader | term | slow | lost",
    Kind::Choice { name: "question", words: &["leader", "term", "slow", "lost"] },
);
pub(super) const WHICH: Slot = Slot::optional("N | TOKEN", Kind::Value);
pub(super) const NUMBER: Slot = Slot::needed("N", Kind::Number);
pub(super) const STEADY_TARGET: Slot = Slot::needed("TARGET", Kind::SteadyTarget);
pub(super) const MEMBERS: Slot = Slot::needed("NODES", Kind::Nodes);
pub(super) const ROLE: Slot = Slot::needed(
    "ROLE",
    Kind::Choice { name: "role", words: &["follower", "pre-candidate", "candidate", "leader"] },
);
