// The state at a time is the last view with the changes after it folded in: docs/TRACE.md.
const NOWHERE = { term: 0, index: 0 };

// Whether a node runs stands in no view: these events tell it.
const LIFE = {
  started: 'up', resumed: 'up', paused: 'paused',
  added: 'down', stopped: 'down', crashed: 'down', panicked: 'down', machine_failed: 'down', storage_failed: 'down',
};

function newNode() {
  return {
    // Unknown until the node is heard of.
    life: 'unknown', role: 'follower', term: 0, vote: null, leader: null, member: 'voter',
    last: NOWHERE, base: NOWHERE, snapshot: NOWHERE, commit: 0, applied: 0, durable: 0,
    // When the election timer runs out, and when that was set: the arc shows what is left.
    due: 0, dueSince: 0, votes: [], followers: {}, terms: [],
    // Its disk completes no write.
    blocked: false,
  };
}

const NODE_FIELDS = Object.keys(newNode()).filter((field) => field !== 'dueSince');

function newState(names) {
  const nodes = {};
  for (const name of names) nodes[name] = newNode();
  return { nodes, rules: [], properties: {} };
}

function fold(state, event) {
  if (/^n\d/.test(event.at)) foldNode((state.nodes[event.at] ??= newNode()), event);
  else if (event.e === 'rules') state.rules = event.rules ?? [];
  else if (event.e === 'property') state.properties[event.name] = { holds: event.holds, text: event.text ?? '' };
}

function foldNode(node, event) {
  if (event.e in LIFE) node.life = LIFE[event.e];
  else if (event.e === 'life') node.life = event.life;
  else if (event.e === 'disk') node.blocked = event.blocked;
  else if (node.life === 'unknown') node.life = 'up';
  if (event.e !== 'view' && event.e !== 'state') return;
  if (event.due && event.due !== node.due) node.dueSince = event.t;
  // What an event holds is never changed, so states may share it.
  for (const field of NODE_FIELDS) if (field in event) node[field] = event[field] ?? newNode()[field];
}

// The term of an entry, where it is among the newest that a view tells.
function termAt(node, index) {
  return node.terms.find((run) => run.first <= index && index <= run.last)?.term;
}
