// Which events people read, by kind, and what `why` can be asked about one.
const KINDS = {
  election: ['pre_vote_started', 'election_started', 'vote_decided', 'became_leader', 'stepped_down', 'quorum_lost',
    'election_held_back', 'transfer_started', 'transfer_ordered', 'transfer_given_up', 'transfer_refused'],
  log: ['no_op_appended', 'commands_appended', 'truncated', 'commit_advanced', 'log_compacted', 'snapshot_created',
    'snapshot_sending', 'snapshot_sent', 'snapshot_installed', 'members_proposed', 'members_committed', 'members_truncated'],
  network: ['rules'],
  nodes: ['started', 'stopped', 'crashed', 'panicked', 'machine_failed', 'storage_failed', 'paused', 'resumed', 'added',
    'life', 'disk', 'ordered', 'fault_ended', 'machine_slow'],
  console: ['directive', 'answer', 'said', 'rewound', 'forked', 'gap'],
  checks: ['property'],
  messages: ['sent', 'lost', 'held', 'request_lost', 'reply_lost'],
};

// Kinds that are shown from the beginning. Of the others there are many: each message, each answer of a disk.
const KINDS_FIRST = ['election', 'log', 'network', 'nodes', 'console', 'checks'];

const KIND_OF = new Map(Object.entries(KINDS).flatMap(([kind, names]) => names.map((name) => [name, kind])));

// What a reader of the screen is told as it happens.
const NARRATED = new Set(['became_leader', 'election_started', 'stepped_down', 'crashed', 'started', 'stopped', 'paused', 'resumed',
  'panicked', 'storage_failed', 'machine_failed', 'answer', 'said', 'property']);

// A follower hears from its leader how far the log is committed: that is a detail, the leader's own commit is not.
function kindOf(event) {
  if (event.e === 'commit_advanced' && !event.leads) return 'detail';
  return KIND_OF.get(event.e) ?? 'detail';
}

// States, arrivals and heartbeats are in the picture only, and properties that hold in the lamps. Many lines have no answer but that
// they have ended.
function isTold(event) {
  if (event.e === 'property') return event.holds === false;
  if (event.e === 'answer' || event.e === 'directive') return Boolean(event.e === 'answer' ? event.text : event.line);
  return !['view', 'state', 'arrived', 'replied'].includes(event.e) && !event.quiet;
}

function wordless(event) {
  switch (event.e) {
    case 'rules': return event.rules?.length ? `rules in force: ${event.rules.join(', ')}` : 'no rule is in force';
    case 'gap': return `${event.count} events did not fit and are left out`;
    case 'rewound': return `the run stands at ${seconds(event.to)}`;
    case 'forked': return `the run goes its own way from ${seconds(event.from)}`;
    default: return event.e.replaceAll('_', ' ');
  }
}

// The sentence of an event, with its subject.
function sentence(event) {
  const [text, ...more] = (event.text ?? wordless(event)).trim().split('\n');
  if (more.length) return `${text} (and ${more.length} more lines)`;
  return /^n\d/.test(event.at) && !text.startsWith(event.at) ? `${event.at}: ${text}` : text;
}

function whyLine(event) {
  switch (event.e) {
    case 'truncated': return `why lost ${event.from}`;
    case 'no_op_appended': return `why ${event.entry.index}`;
    case 'commands_appended': return `why ${event.last}`;
    case 'members_proposed': return `why ${event.index}`;
    case 'commit_advanced': return `why ${event.to}`;
    case 'became_leader': case 'election_started': case 'vote_decided': case 'stepped_down': return `why term ${event.term}`;
    default: return null;
  }
}
