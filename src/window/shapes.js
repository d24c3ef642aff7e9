// What nodes and messages look like. A role is a shape and a letter, a term a number and a color, a message a shape.
const LETTERS = { leader: 'L', follower: 'F', candidate: 'C', pre_candidate: 'P' };

// Term 0 is before the first: it has no color of its own.
function termClass(term) {
  return term === 0 ? 'before-terms' : `t${((term % 6) + 6) % 6}`;
}

function letterOf(node) {
  if (node.life === 'down') return '\u00d7';
  if (node.life === 'paused') return '\u2016';
  if (node.life !== 'up') return '?';
  if (node.member !== 'voter' && node.role === 'follower') return node.member ? 'J' : '-';
  return LETTERS[node.role] ?? '?';
}

// Whether the node is there: a paused one is, and continues where it was.
function runs(node) {
  return node.life === 'up' || node.life === 'paused';
}

// In words: what a reader of the screen hears, and the table shows.
function roleOf(node) {
  if (!runs(node)) return node.life;
  const role = (node.member !== 'voter' && node.role === 'follower' ? node.member ?? 'no member' : node.role).replace('_', '-');
  return node.life === 'paused' ? `paused ${role}` : role;
}

function polygon(corners, radius, turn) {
  return Array.from({ length: corners }, (_, corner) => {
    const angle = turn + (2 * Math.PI * corner) / corners;
    return `${(radius * Math.cos(angle)).toFixed(1)},${(radius * Math.sin(angle)).toFixed(1)}`;
  }).join(' ');
}

function nodeShape(node, radius) {
  if (!runs(node)) {
    const half = radius * 0.8;
    return drawn('rect', { x: -half, y: -half, width: 2 * half, height: 2 * half, rx: 3, class: 'body down' });
  }
  const shape = { leader: 'hexagon', candidate: 'diamond', pre_candidate: 'diamond' }[node.role];
  const dashed = node.role === 'pre_candidate' ? ' dashed' : node.member !== 'voter' ? ' dotted' : '';
  const kind = `body ${node.role}${dashed}`;
  if (shape === 'hexagon') return drawn('polygon', { points: polygon(6, radius * 1.1, 0), class: kind });
  if (shape === 'diamond') return drawn('polygon', { points: polygon(4, radius * 1.2, 0), class: kind });
  return drawn('circle', { r: radius, class: kind });
}

// The figure of a message, around the origin.
function messageShape({ message, count = 0, quiet = false, ok, granted }) {
  if (/Reply$/.test(message)) {
    const yes = ok ?? granted;
    const sign = yes === undefined ? '' : yes ? '+' : '\u2212';
    return figure(`reply${quiet ? ' quiet' : ''}`, drawn('rect', { x: -6, y: -6, width: 12, height: 12, rx: 2 }), sign);
  }
  switch (message) {
    case 'RequestVote': return figure('vote', drawn('polygon', { points: polygon(3, 10, -Math.PI / 2) }), '');
    case 'PreVote': return figure('vote hollow', drawn('polygon', { points: polygon(3, 9, -Math.PI / 2) }), '');
    case 'InstallSnapshot': return figure('snapshot', drawn('rect', { x: -12, y: -11, width: 24, height: 22, rx: 3 }), 'S');
    case 'Request': return figure('request', drawn('circle', { r: 6 }), '');
    case 'ReadIndex': return figure('read', drawn('circle', { r: 8 }), '?');
    case 'AppendEntries':
      if (count) return figure('entries', drawn('rect', { x: -9, y: -8, width: 18, height: 16, rx: 3 }), String(count));
      return figure('heartbeat hollow', drawn('circle', { r: 4.5 }), '');
    case 'TimeoutNow': case 'Transfer': return figure('transfer', drawn('polygon', { points: polygon(4, 10, 0) }), '');
    default: return figure('other', drawn('circle', { r: 5 }), '');
  }
}

function figure(kind, shape, text) {
  const made = drawn('g', { class: `figure ${kind}` }, shape);
  if (text) {
    const label = drawn('text', { 'text-anchor': 'middle', y: 3.8 });
    label.textContent = text;
    made.append(label);
  }
  return made;
}

// What a disk does not do, in words; nothing where it keeps up.
function diskOf(node) {
  if (!runs(node)) return '';
  if (node.blocked) return 'stalled';
  const owed = node.last.index - Math.min(node.durable, node.last.index);
  return owed && node.durable ? `owes ${owed}` : '';
}

function diskWords(node) {
  const words = diskOf(node).replace('owes', 'has still to write');
  return words && `, disk ${words}`;
}

// A drum: empty where the disk is stalled, half full where it is behind.
function diskShape(node) {
  const drum = drawn('path', { d: 'M-8,-4A8,3 0 0 1 8,-4V5A8,3 0 0 1 -8,5ZM-8,-4A8,3 0 0 0 8,-4', class: 'drum' });
  const inside = node.blocked ? drawn('path', { d: 'M-4,-1L4,7M-4,7L4,-1', class: 'stalled' }) : drawn('path', { d: 'M-5,5H5', class: 'behind' });
  return drawn('g', {}, drum, inside);
}

// The leader of the newest term that runs.
function leaderOf(state) {
  return Object.values(state.nodes).filter((node) => node.role === 'leader' && node.life === 'up').sort((one, other) => other.term - one.term)[0];
}

// The entry from which the leader sends to a node.
function nextOf(leader, name) {
  return leader?.followers?.[name]?.next;
}

const CROSS = 'M-6,-6L6,6M-6,6L6,-6';

const LEGEND_MESSAGES = [
  [{ message: 'RequestVote' }, 'request for a vote'], [{ message: 'PreVote' }, 'request for a pre-vote'],
  [{ message: 'AppendEntries', count: 3 }, 'entries, and how many'], [{ message: 'AppendEntries' }, 'heartbeat'],
  [{ message: 'VoteReply', granted: true }, 'reply: yes'], [{ message: 'VoteReply', granted: false }, 'reply: no'],
  [{ message: 'InstallSnapshot' }, 'part of a snapshot'], [{ message: 'ReadIndex' }, 'question for the read index'],
  [{ message: 'Request' }, 'request of a client'],
];
const LEGEND_NODES = [
  [{ life: 'up', role: 'leader', member: 'voter' }, 'leader'], [{ life: 'up', role: 'follower', member: 'voter' }, 'follower'],
  [{ life: 'up', role: 'candidate', member: 'voter' }, 'candidate'], [{ life: 'up', role: 'pre_candidate', member: 'voter' }, 'pre-candidate'],
  [{ life: 'down', role: 'follower', member: 'voter' }, 'down'], [{ life: 'paused', role: 'follower', member: 'voter' }, 'paused'],
  [{ life: 'up', role: 'follower', member: 'joining' }, 'joins, without a vote'],
];

function drawLegend(place) {
  const row = (shape, text, letter) => {
    const picture = drawn('svg', { viewBox: '-15 -15 30 30', width: 30, height: 30, class: 't1' }, shape);
    if (letter) {
      const label = drawn('text', { class: 'letter', 'text-anchor': 'middle', y: 4.5 });
      label.textContent = letter;
      picture.append(label);
    }
    return element('li', {}, picture, text);
  };
  const nodes = LEGEND_NODES.map(([node, text]) => row(nodeShape(node, 11), text, letterOf(node)));
  const messages = LEGEND_MESSAGES.map(([message, text]) => row(messageShape(message), text));
  messages.push(row(drawn('path', { d: CROSS, class: 'cross' }), 'lost'));
  place.replaceChildren(
    element('ul', {}, ...nodes), element('ul', {}, ...messages),
    element('p', { class: 'soft' }, 'Color and number: the term. Arc: what is left of the election timer. Dots: votes. ' +
      'A message is shown for 0.16 s at least, also where it took less.'),
  );
}
