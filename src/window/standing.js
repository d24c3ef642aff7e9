// How the cluster stands, in one sentence, in lamps and in a table.
function drawStanding(trace, state, names, t) {
  const nodes = names.map((name) => [name, state.nodes[name] ?? newNode()]);
  const up = nodes.filter(([, node]) => node.life === 'up');
  const leaders = up.filter(([, node]) => node.role === 'leader').sort(([, one], [, other]) => other.term - one.term);
  const quorum = Math.floor(names.length / 2) + 1;
  const said = leaders.map(([name, node]) => `${name} leads term ${node.term}`);
  setText(byId('standing'), names.length === 0 ? 'no run is here yet'
    : `${said.length ? said.join(', ') : 'no leader'} \u00b7 ${up.length} of ${names.length} up \u00b7 quorum ${quorum}`);
  const source = { simulator: 'virtual time', threads: 'threads', processes: 'processes' }[trace.head?.source] ?? '';
  const seed = trace.head?.seed === undefined || trace.head.seed === null ? '' : ` \u00b7 seed ${trace.head.seed}`;
  const lesson = trace.lesson ? `lesson ${trace.lesson} \u00b7 ` : '';
  const kept = trace.keptFrom ? ` \u00b7 kept from ${seconds(trace.begin)}` : '';
  setText(byId('moment'), `${lesson}${source}${trace.isVirtual ? seed : ''}${kept}`);
  setText(byId('clock'), seconds(t));
  drawLamps(state.properties);
  if (byId('twin').open) drawTwin(nodes, leaderOf(state));
}

// A property that was not seen to hold or to be broken has no lamp.
const LAMPS = new Map([[true, ['holds', '\u2713']], [false, ['broken', '\u2717']]]);

function drawLamps(properties) {
  const all = Object.entries(properties);
  const broken = all.filter(([, { holds }]) => holds === false);
  const held = all.filter(([, { holds }]) => holds);
  const sum = all.length === 0 ? 'no verdict yet' : broken.length ? `\u2717 ${broken.length} of ${all.length} broken` : `\u2713 ${held.length} of ${all.length} hold`;
  setText(byId('lamps-sum'), sum);
  setAttribute(byId('lamps'), 'class', `pop${broken.length ? ' broken' : all.length ? ' holds' : ''}`);
  const look = JSON.stringify(all);
  const list = byId('lamps-list');
  if (list.dataset.look === look) return;
  list.dataset.look = look;
  list.replaceChildren(...(all.length ? all.map(([name, { holds, text }]) =>
    element('li', { class: LAMPS.get(holds)?.[0] ?? 'soft', title: text }, `${LAMPS.get(holds)?.[1] ?? '?'} ${name}`))
    : [element('li', {}, 'The directive check judges the run.')]));
}

function drawTwin(nodes, leader) {
  const columns = ['node', 'role', 'term', 'leader', 'vote', 'votes held', 'last', 'commit', 'applied', 'durable', 'next', 'disk'];
  const head = element('tr', {}, ...columns.map((name) => element('th', { scope: 'col' }, name)));
  const rows = nodes.map(([name, node]) => element('tr', {}, element('th', { scope: 'row' }, name),
    ...[roleOf(node), node.term, node.leader ?? '-', node.vote ?? '-', node.votes.join(' ') || '-', `${node.last.index}@${node.last.term}`,
      node.commit, node.applied, node.durable, nextOf(leader, name) ?? '-', diskOf(node) || '-'].map((value) => element('td', {}, String(value)))));
  const look = rows.map((row) => row.textContent).join('|');
  const table = byId('twin-table');
  if (table.dataset.look === look) return;
  table.dataset.look = look;
  table.replaceChildren(element('caption', { class: 'unseen' }, 'What each node is'), element('thead', {}, head), element('tbody', {}, ...rows));
}
