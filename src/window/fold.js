// The state at a time is the last view with the events after it folded in: the table of docs/TRACE.md.
const NOWHERE = { term: 0, index: 0 };

function newNode() {
  return {
    life: 'down', role: 'follower', term: 0, vote: null, leader: null, member: 'voter',
    last: NOWHERE, base: NOWHERE, snapshot: NOWHERE, commit: 0, applied: 0, durable: 0,
    // When the election timer runs out, and when that was set: the arc shows what is left.
    due: 0, dueSince: 0, votes: [], followers: {}, terms: [],
  };
}

function newState(names) {
  const nodes = {};
  for (const name of names) nodes[name] = newNode();
  return { nodes, rules: [], properties: {}, lines: {} };
}

function fold(state, event) {
  const node = state.nodes[event.at];
  if (node) foldNode(node, event);
  else if (/^n\d/.test(event.at)) foldNode((state.nodes[event.at] = newNode()), event);
  else foldRun(state, event);
}

function foldRun(state, event) {
  if (event.e === 'rules') state.rules = event.rules ?? [];
  else if (event.e === 'property') state.properties[event.name] = { holds: event.holds, text: event.text ?? '' };
  else if (event.e === 'directive') state.lines[event.number] = { line: event.line, by: event.by, t: event.t };
  else if (event.e === 'answer') delete state.lines[event.number];
}

// Copies what the event has of these fields.
function take(node, event, ...fields) {
  for (const field of fields) if (field in event) node[field] = event[field];
}

function setDue(node, event) {
  if (event.due === undefined || event.due === node.due) return;
  node.due = event.due;
  node.dueSince = event.t;
}

function foldNode(node, event) {
  switch (event.e) {
    case 'view':
      setDue(node, event);
      take(node, event, 'life', 'role', 'term', 'vote', 'leader', 'member', 'last', 'base', 'snapshot', 'commit', 'applied',
        'durable', 'followers');
      node.vote = event.vote ?? null;
      node.leader = event.leader ?? null;
      node.votes = [...(event.votes ?? [])];
      node.terms = (event.terms ?? []).map((run) => ({ ...run }));
      node.followers = Object.fromEntries(Object.entries(event.followers ?? {}).map(([name, of]) => [name, { ...of }]));
      break;
    case 'started':
      Object.assign(node, { life: 'up', role: 'follower', leader: null, votes: [] });
      take(node, event, 'term', 'last');
      node.vote = event.vote ?? null;
      break;
    case 'stopped': case 'crashed': case 'panicked': case 'machine_failed': case 'storage_failed':
      node.life = 'down';
      break;
    case 'paused':
      node.life = 'paused';
      break;
    case 'resumed':
      node.life = 'up';
      break;
    case 'term_advanced':
      Object.assign(node, { term: event.to, vote: null, role: 'follower', leader: null, votes: [] });
      break;
    case 'pre_vote_started':
      Object.assign(node, { role: 'pre_candidate', leader: null, votes: [] });
      setDue(node, event);
      break;
    case 'election_started':
      Object.assign(node, { role: 'candidate', leader: null, term: event.term, vote: event.at, votes: [] });
      setDue(node, event);
      break;
    case 'vote_decided':
      if (!event.pre && event.granted) node.vote = event.candidate;
      setDue(node, event);
      break;
    case 'vote_received':
      if (event.granted && !node.votes.includes(event.from)) node.votes.push(event.from);
      break;
    case 'became_leader':
      Object.assign(node, { role: 'leader', leader: event.at, votes: [], due: 0 });
      take(node, event, 'term');
      break;
    case 'following':
      Object.assign(node, { role: 'follower', leader: event.leader, votes: [] });
      take(node, event, 'term');
      break;
    case 'stepped_down':
      Object.assign(node, { role: 'follower', leader: null, votes: [] });
      break;
    default:
      foldLog(node, event);
  }
}

function foldLog(node, event) {
  switch (event.e) {
    case 'append_received':
      setDue(node, event);
      if (event.appended) {
        cutLog(node, event.prev.index + 1);
        for (const run of event.appended) growLog(node, run.term, run.first, run.last);
      }
      break;
    case 'no_op_appended':
      growLog(node, event.entry.term, event.entry.index, event.entry.index);
      break;
    case 'commands_appended':
      growLog(node, event.term ?? node.term, event.first, event.last);
      break;
    case 'members_proposed':
      growLog(node, event.term ?? node.term, event.index, event.index);
      break;
    case 'truncated':
      cutLog(node, event.from);
      break;
    case 'log_compacted':
      compact(node, event.base);
      break;
    case 'snapshot_created':
      node.snapshot = event.last;
      break;
    case 'snapshot_installed':
      node.snapshot = event.last;
      compact(node, event.last);
      node.commit = Math.max(node.commit, event.last.index);
      node.applied = Math.max(node.applied, event.last.index);
      break;
    case 'log_durable':
      node.durable = event.to;
      break;
    case 'commit_advanced':
      node.commit = event.to;
      break;
    case 'applied':
      node.applied = event.last;
      break;
    case 'append_succeeded': {
      const follower = (node.followers[event.from] ??= { next: 0, matched: 0 });
      follower.matched = event.matched;
      break;
    }
  }
}

// Adds entries of one term to the runs of equal terms.
function growLog(node, term, first, last) {
  cutLog(node, first);
  const run = node.terms.at(-1);
  if (run && run.term === term && run.last === first - 1) run.last = last;
  else node.terms.push({ term, first, last });
  node.last = { term, index: last };
}

// Removes the entries from this index on.
function cutLog(node, from) {
  if (node.last.index < from) return;
  while (node.terms.length && node.terms.at(-1).first >= from) node.terms.pop();
  const run = node.terms.at(-1);
  if (run) run.last = Math.min(run.last, from - 1);
  node.last = run ? { term: run.term, index: run.last } : node.base;
  node.durable = Math.min(node.durable, from - 1);
}

// Drops the entries up to the base.
function compact(node, base) {
  node.base = base;
  node.terms = node.terms.filter((run) => run.last > base.index);
  if (node.terms.length) node.terms[0].first = Math.max(node.terms[0].first, base.index + 1);
  if (node.last.index < base.index) node.last = base;
}

// The term of an entry, where the log keeps it.
function termAt(node, index) {
  return node.terms.find((run) => run.first <= index && index <= run.last)?.term;
}
