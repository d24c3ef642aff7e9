// The logs side by side: a row a node, the term in each cell.
const COLUMNS_MAX = 60;

class LogGrid {
  constructor(why) {
    this.table = byId('log-table');
    this.scroll = byId('log-scroll');
    this.columns = '';
    this.rows = new Map();
    this.committed = 0;
    this.table.addEventListener('keydown', (event) => moveFocus(event, [...this.table.querySelectorAll('th button')]));
    this.table.addEventListener('click', (event) => {
      const index = event.target.closest('[data-index]')?.dataset.index;
      // What is not committed is asked for otherwise: what does it wait for?
      if (index) why(Number(index) <= this.committed ? `why ${index}` : `why not ${index}`);
    });
  }

  draw(state, names, canAsk) {
    const nodes = names.map((name) => state.nodes[name] ?? newNode());
    const last = Math.max(0, ...nodes.map((node) => node.last.index));
    this.committed = Math.max(0, ...nodes.map((node) => node.commit));
    const first = Math.max(1, last - COLUMNS_MAX + 1);
    const leader = leaderOf(state);
    this.drawHead(first, last, names, canAsk);
    names.forEach((name, nth) => this.drawRow(name, nodes[nth], leader, first, last));
    setText(byId('log-note'), last === 0 ? 'no entries yet' : first > 1 ? `the last ${COLUMNS_MAX} of ${last} entries` : 'dashed: not known to be committed');
  }

  drawHead(first, last, names, canAsk) {
    const columns = `${first}-${last}-${names.join()}-${canAsk}`;
    if (columns === this.columns) return;
    const atEnd = this.scroll.scrollLeft + this.scroll.clientWidth >= this.scroll.scrollWidth - 40;
    this.columns = columns;
    const row = element('tr', {}, element('td', { class: 'corner' }));
    for (let index = first; index <= last; index += 1) {
      const head = element('th', { scope: 'col' });
      if (canAsk) head.append(element('button', { type: 'button', 'data-index': index, tabindex: index === last ? 0 : -1, 'aria-label': `entry ${index}: why?`, title: `entry ${index}: why?` }, String(index)));
      else head.textContent = index;
      row.append(head);
    }
    this.rows = new Map(names.map((name) => [name, { row: element('tr'), look: '' }]));
    this.table.replaceChildren(element('thead', {}, row), element('tbody', {}, ...[...this.rows.values()].map((one) => one.row)));
    this.atEnd = atEnd;
  }

  drawRow(name, node, leader, first, last) {
    const one = this.rows.get(name);
    const next = nextOf(leader, name);
    const look = JSON.stringify([node.life, node.role, node.member, node.term, node.last, node.base, node.snapshot, node.commit, node.terms,
      leader?.terms.slice(-40), next, first, last]);
    if (one.look === look) return;
    one.look = look;
    const head = element('th', { scope: 'row', class: termClass(node.term) }, element('span', { class: 'who' }, name),
      element('span', { class: `badge ${node.life} ${node.role}`, title: roleOf(node) }, `${letterOf(node)}`));
    const cells = [];
    for (let index = first; index <= last; index += 1) cells.push(cell(node, leader, index, index === next));
    one.row.replaceChildren(head, ...cells);
    if (this.atEnd) this.scroll.scrollLeft = this.scroll.scrollWidth;
  }
}

function cell(node, leader, index, isNext) {
  if (index > node.last.index) return element('td', isNext ? { class: 'none next', title: WORDS.next } : { class: 'none' });
  const term = termAt(node, index);
  const made = element('td', { 'data-index': index });
  const states = [];
  if (index <= node.snapshot.index || index <= node.base.index) states.push('covered');
  if (index <= node.commit) states.push('committed');
  else states.push('open');
  const theirs = leader && leader !== node ? termAt(leader, index) : undefined;
  if (term !== undefined && index > node.commit && leader && leader !== node && leader.term >= node.term &&
    (theirs !== undefined ? theirs !== term : index > leader.last.index)) states.push('conflict');
  if (index === node.commit) states.push('edge');
  if (isNext) states.push('next');
  made.className = [term === undefined ? 'gone' : termClass(term), ...states].join(' ');
  made.textContent = term ?? 's';
  made.title = [`entry ${index}`, term === undefined ? 'in the snapshot' : `term ${term}`,
    ...states.filter((one) => one !== 'edge').map((one) => WORDS[one])].join(', ');
  return made;
}

const WORDS = {
  next: 'the leader sends from here next', covered: 'covered by a snapshot', committed: 'committed', open: 'not known to be committed',
  conflict: 'differs from the leader\u2019s log',
};
