//! What the help of a verb says beyond its row: columns, shapes, defaults. Each line fits the help.

/// The columns of `status`.
pub(super) const STATUS: &[&str] = &[
    "ROLE      follower, pre-candidate, candidate, leader; or paused, crashed,",
    "          frozen (pause --process), silent (its process says nothing) ...",
    "TERM      the newest term that it knows; VOTED: whom it votes for in it",
    "LEADER    whom it takes for the leader of that term",
    "LAST      index of its last log entry; COMMIT: of the last one committed",
    "APPLIED   index of the last entry that its state machine has applied",
    "TRAILS    entries of the leader's log that it has not applied",
    "SNAPSHOT  index of the last entry that its snapshot covers; KEYS: how many",
    "LINKS     ok; isolated; 'no n3': nothing passes, '>n3': nothing to n3,",
    "          '<n3': nothing from n3; drop, delay ...: 'net' has the rules",
    "--all shows VOTED and SNAPSHOT, too, and what a narrow terminal leaves out.",
    "The last line says who leads and whether a command can commit now.",
];

/// Which messages are meant.
pub(super) const FLIGHTS: &[&str] = &[
    "In virtual time only, where 'step' shows each message on its way. Without",
    "FLIGHT it is the one that arrives next on that link; with the number of a",
    "flight, which a trace and the answers of 'lose' and 'hold' have, that one.",
];

/// What the past is for.
pub(super) const REWIND: &[&str] = &[
    "Seed and lines decide the run, so it is made again up to then. What followed",
    "is kept: 'rewind to' a later time goes forward along it, 'rewind to end'",
    "returns. A past is only looked at: 'fork' drops what followed and continues.",
    "'step back' goes to before the last event, 'step back 50ms' back so far; and",
    "'step' and 'step 50ms' forward through what is known.",
];

/// What a killed process loses.
pub(super) const KILL: &[&str] = &[
    "For the nodes of 'cluster --processes'. It is no power cut: the system",
    "keeps what was written and not synced yet; 'crash --power' loses that.",
    "'restart' starts the process again.",
];

/// The columns of `members`.
pub(super) const MEMBERS: &[&str] = &[
    "FILES     the number of the node's files: 1 for those of the founders",
    "ROLE      voter; learner: has the log, no vote; joining: votes once it has",
    "          caught up; leaving: votes until the joint configuration has ended",
    "MATCH     up to here it holds the leader's log; TRAILS: entries it lacks",
    "ANSWERED  when the leader last heard of it",
];

/// What every change of the members does.
pub(super) const CHANGES: &[&str] = &[
    "The answer comes when the last entry of the change is committed, after 30 s",
    "at most (DURATION); later it continues, and 'members' shows how far it is.",
    "A change that would lose the quorum is refused.",
];

/// What a preference does.
pub(super) const PREFER: &[&str] = &[
    "All leaders want the same: it stands in the log, with the members.",
    "A leader hands over to the preferred node when that has answered ten",
    "heartbeats and holds what is committed. After a transfer in vain it waits",
    "twice as long each time. Votes never look at it.",
    "After 'transfer n2' the preferred node leads again: 'prefer none' first.",
];

/// The lines and columns of `net`.
pub(super) const NET: &[&str] = &[
    "rule       a line that makes the rule again when it is typed",
    "LINK       n1>n2: from n1 to n2; all clients count as one end",
    "           n1>all: all that n1 has sent, in a cluster of more than ten nodes",
    "SENT       messages that were handed to the link",
    "DELIVERED  reached the destination's inbox, duplicates included",
    "DROPPED    lost: by a rule, at a full inbox, or at a receiver that is down",
    "DELAYED    held back by a rule, duplicates included",
    "DUPLICATED sent on twice by a rule",
    "IN FLIGHT  on their way now",
    "SENT + DUPLICATED = DELIVERED + DROPPED + IN FLIGHT; between processes also",
    "what is on a connection, or was lost with one: a line below says it.",
];

/// What ends with its console.
pub(super) const BY_THE_CONSOLE: &[&str] =
    &["The console does it: what was not done when it ends is not done at all."];

/// The shapes of a partition.
pub(super) const SHAPES: &[&str] = &[
    "n1 n2 / n3         these groups; nodes that no group has form one more",
    "leader / all       a word takes what it means of nodes no other group names",
    "halves             the first half of the nodes against the second",
    "minority           a minority, drawn from the seed, against the rest",
    "bridge n3          two halves that hear one another only through n3",
    "ring               each node hears its two neighbors (from 4 nodes on)",
    "Clients reach every node all the same: 'isolate' cuts them off, too.",
];

/// How long `wait` waits.
pub(super) const WAIT: &[&str] = &[
    "DURATION  how long it waits at most (10s); after that it answers ERR, and a",
    "          script ends with exit code 3: it may still come",
];

/// What `set` does by its arguments.
pub(super) const SET: &[&str] = &[
    "set              lists the settings: in force, at the start, by default",
    "set SETTING      says what one means",
    "They are those of --print-config, in real time also with --time-scale;",
    "election is election_min..election_max. Nodes that start later take them,",
    "the next run does not. A setting that breaks a rule is refused.",
];
