// The picture: nodes in a ring, the links between them, messages on their way. Drawn in pixels, so that text is not stretched.
// Above this many, links carry numbers instead of messages.
const FLIGHTS_MAX = 200;

class Ring {
  // `on` has `select(name)`, `link(from, to)`, `partition(groups)`, `message(flight)`.
  constructor(place, on) {
    this.on = on;
    this.svg = drawn('svg', { role: 'group', 'aria-label': 'Nodes, links and messages' });
    this.links = drawn('g', { class: 'links', 'aria-hidden': 'true' });
    this.arrows = drawn('g', { class: 'flights', 'aria-hidden': 'true' });
    this.group = drawn('g', { role: 'radiogroup', 'aria-label': 'Nodes' });
    this.drag = drawn('path', { class: 'drag' });
    this.svg.append(this.links, this.group, this.arrows, this.drag);
    place.append(this.svg);
    this.nodes = new Map();
    this.shown = new Map();
    this.names = [];
    this.selected = null;
    this.place = place;
    new ResizeObserver(() => { this.layOut(); this.on.resized(); }).observe(place);
    this.group.addEventListener('keydown', (event) => this.pressed(event));
    this.listenForDrags();
  }

  setNames(names) {
    if (names.join() === this.names.join()) return;
    this.names = names;
    this.selected = names.includes(this.selected) ? this.selected : null;
    this.group.replaceChildren();
    this.nodes.clear();
    for (const name of names) {
      const part = drawn('g', { role: 'radio', 'aria-checked': name === this.selected, tabindex: -1, class: 'node', 'data-node': name });
      part.addEventListener('click', () => this.select(name));
      this.group.append(part);
      this.nodes.set(name, { part, drawn: '' });
    }
    this.group.firstChild?.setAttribute('tabindex', 0);
    this.layOut();
  }

  layOut() {
    const { clientWidth: width, clientHeight: height } = this.place;
    if (!width || !height) return;
    [this.width, this.height] = [width, height];
    const count = Math.max(this.names.length, 1);
    const narrow = width < 480;
    this.isNarrow = narrow;
    // Letters and nodes grow together: on a projector both are larger.
    this.unit = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    this.radius = (narrow ? 23 : count > 7 ? 26 : 31) * this.unit;
    const around = this.names.map((_, nth) => (2 * Math.PI * nth) / count - Math.PI / 2);
    const [left, right] = extent(around.map(Math.cos));
    const [top, bottom] = extent(around.map(Math.sin));
    const vertical = Math.max(20, (height - 2 * this.radius - 72 * this.unit) / Math.max(bottom - top, 1));
    const horizontal = Math.min((width - 2 * this.radius - (narrow ? 100 : 150 * this.unit)) / Math.max(right - left, 0.1), vertical * 1.7);
    // Neighbors must not touch.
    const between = 2 * Math.min(horizontal, vertical) * Math.sin(Math.PI / Math.max(count, 2));
    this.radius = Math.max(13, Math.min(this.radius, between * 0.38));
    setAttribute(this.svg, 'width', width);
    setAttribute(this.svg, 'height', height);
    this.spots = new Map(this.names.map((name, nth) => {
      const angle = around[nth];
      const [x, y] = [Math.cos(angle) - (left + right) / 2, Math.sin(angle) - (top + bottom) / 2];
      return [name, { x: width / 2 + horizontal * x, y: height / 2 + Math.min(vertical, Math.max(horizontal * 1.2, 60)) * y, angle }];
    }));
    for (const one of this.nodes.values()) one.drawn = '';
    this.linksDrawn = '';
    this.drawLines();
  }

  select(name) {
    this.selected = name;
    for (const [other, { part }] of this.nodes) {
      setAttribute(part, 'aria-checked', other === name);
      setAttribute(part, 'tabindex', other === name ? 0 : -1);
    }
    this.on.select(name);
  }

  pressed(event) {
    const parts = [...this.nodes.values()].map(({ part }) => part);
    if (event.key === ' ' || event.key === 'Enter') {
      event.preventDefault();
      if (document.activeElement?.dataset?.node) this.select(document.activeElement.dataset.node);
      return;
    }
    const reached = moveFocus(event, parts);
    if (reached) this.select(reached.dataset.node);
  }

  draw(state, t, flights) {
    if (!this.spots) return;
    const effects = linkEffects(state.rules, this.names);
    this.drawLinks(effects, state.rules.join('\n'));
    const everywhere = effects.get(EVERYWHERE)?.texts ?? [];
    const leader = leaderOf(state);
    for (const name of this.names) {
      const node = state.nodes[name] ?? newNode();
      const next = nextOf(leader, name);
      this.drawNode(name, node, t, next <= node.last.index ? next : undefined);
    }
    this.drawFlights(flights);
    // What stands on no link stands below the picture.
    return [...everywhere.map((text) => `on all links: ${text}`), ...(this.isNarrow ? linkRules(state.rules) : [])];
  }

  // `next` is from where the leader sends to it, if it has that entry already: from there on the two logs may differ.
  drawNode(name, node, t, next) {
    const one = this.nodes.get(name);
    const look = [node.life, node.role, node.member, node.term, node.votes.join(), node.commit, node.last.index, node.durable,
      node.blocked, next ?? '',
      this.names.length].join('|');
    if (one.drawn !== look) {
      one.drawn = look;
      this.rebuildNode(one, name, node, next);
    }
    const left = node.life === 'up' && node.due > t && node.due > node.dueSince ? (node.due - t) / (node.due - node.dueSince) : 0;
    setAttribute(one.arc, 'd', arc(this.radius + 6, Math.min(left, 1)));
  }

  rebuildNode(one, name, node, next) {
    const { x, y, angle } = this.spots.get(name);
    const radius = this.radius;
    setAttribute(one.part, 'transform', `translate(${x.toFixed(1)},${y.toFixed(1)})`);
    setAttribute(one.part, 'class', `node ${termClass(node.term)} ${node.life}`);
    setAttribute(one.part, 'aria-label', `${name}: ${roleOf(node)}, term ${node.term}, commit ${node.commit}, last entry ${node.last.index}${diskWords(node)}${next ? `, the leader sends it entry ${next} next` : ''}`);
    const ring = drawn('circle', { r: radius + 12, class: 'halo' });
    one.arc = drawn('path', { class: 'timer' });
    const text = (kind, content, at) => {
      const made = drawn('text', { class: kind, ...at });
      made.textContent = content;
      return made;
    };
    const down = !runs(node);
    const parts = [ring, one.arc, nodeShape(node, radius),
      text('letter', letterOf(node), { 'text-anchor': 'middle', y: (down ? 7 : 0) * this.unit })];
    if (!down) parts.push(text('term', `t${node.term}`, { 'text-anchor': 'middle', y: 14 * this.unit }));
    const campaigns = node.life === 'up' && (node.role === 'candidate' || node.role === 'pre_candidate');
    if (campaigns) parts.push(this.voteDots(node));
    if (diskOf(node)) parts.push(drawn('g', { class: 'disk', transform: `translate(${this.radius * 0.8},${-this.radius * 0.8})` }, diskShape(node)));
    parts.push(...this.labels(name, node, angle, campaigns, text, next));
    one.part.replaceChildren(...parts);
  }

  // The name outside the ring, with how far the node has come below it.
  labels(name, node, angle, campaigns, text, next) {
    const side = Math.cos(angle) > 0.25 ? 1 : Math.cos(angle) < -0.25 ? -1 : 0;
    const anchor = ['end', 'middle', 'start'][side + 1];
    const reach = this.radius + 16 * this.unit;
    const above = Math.sin(angle) < 0;
    const x = side * reach;
    const y = side ? -2 : above ? -reach - 9 * this.unit : reach + (campaigns ? 18 : 6);
    const second = !runs(node) ? node.life : diskOf(node) || `${node.commit}/${node.last.index}${next ? ` \u2190 ${next}` : ''}`;
    return [text('name', name, { 'text-anchor': anchor, x, y }), text('progress', second, { 'text-anchor': anchor, x, y: y + 14 * this.unit })];
  }

  voteDots(node) {
    const voters = this.names.length;
    const dots = drawn('g', { class: 'votes', transform: `translate(${-(voters - 1) * 5},${this.radius * 1.2 + 10})` });
    for (let nth = 0; nth < voters; nth += 1) dots.append(drawn('circle', { cx: nth * 10, r: 3.6, class: nth < node.votes.length ? 'held' : '' }));
    return dots;
  }

  drawLines() {
    this.lines = new Map();
    this.links.replaceChildren(this.drawDoor());
    this.names.forEach((from, nth) => {
      for (const to of this.names.slice(nth + 1)) {
        const d = this.path(from, to);
        const [line, wide, marks] = [drawn('path', { d, class: 'link' }), drawn('path', { d, class: 'link-hit' }), drawn('g')];
        wide.addEventListener('click', () => this.on.link(from, to));
        this.links.append(line, wide, marks);
        this.lines.set(`${from}>${to}`, { from, to, line, marks });
      }
    });
  }

  // Where clients stand, outside of the ring. Its name stands above: messages come and go below and to the right.
  drawDoor() {
    this.door = { x: 14 * this.unit, y: 32 * this.unit };
    const label = drawn('text', { x: 2 * this.unit, y: 14 * this.unit });
    label.textContent = 'clients';
    return drawn('g', { class: 'door' }, drawn('circle', { cx: this.door.x, cy: this.door.y, r: 5 * this.unit }), label);
  }

  path(from, to) {
    const [a, b] = [this.spots.get(from), this.spots.get(to)];
    return `M${a.x.toFixed(1)},${a.y.toFixed(1)}L${b.x.toFixed(1)},${b.y.toFixed(1)}`;
  }

  drawLinks(effects, rules) {
    if (this.linksDrawn === rules) return;
    this.linksDrawn = rules;
    for (const { from, to, line, marks } of this.lines.values()) {
      const [there, back] = [effects.get(`${from}>${to}`), effects.get(`${to}>${from}`)];
      const cut = Number(Boolean(there?.cut)) + Number(Boolean(back?.cut));
      setAttribute(line, 'class', `link${cut === 2 ? ' cut' : cut ? ' half-cut' : there || back ? ' ruled' : ''}`);
      marks.replaceChildren();
      if (cut === 2) marks.append(this.mark(from, to, 0.5, 0));
      else if (there?.cut) marks.append(this.mark(from, to, 0.66, 11));
      else if (back?.cut) marks.append(this.mark(to, from, 0.66, 11));
      const texts = [...new Set([...(there?.texts ?? []), ...(back?.texts ?? [])])];
      if (texts.length && !this.isNarrow) {
        const [x, y] = this.spot(from, to, 0.5, 0);
        const label = drawn('text', { x, y: y - 6, 'text-anchor': 'middle', class: 'rule' });
        label.textContent = texts.join(', ');
        marks.append(label);
      }
    }
  }

  mark(from, to, way, aside) {
    const [x, y] = this.spot(from, to, way, aside);
    return drawn('path', { d: CROSS, class: 'cross', transform: `translate(${x.toFixed(1)},${y.toFixed(1)})` });
  }

  // A point on the way from one node to another, a little to the right of the link.
  spot(from, to, way, aside) {
    const center = { x: this.width / 2, y: this.height / 2 };
    const place = (name) => this.spots.get(name) ?? (/^c\d/.test(name) ? this.door : center);
    const [a, b] = [place(from), place(to)];
    const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
    const [x, y] = [(b.x - a.x) / length, (b.y - a.y) / length];
    const margin = Math.min(this.radius + 4, length / 2);
    const along = margin + (length - 2 * margin) * way;
    return [a.x + x * along - y * aside, a.y + y * along + x * aside];
  }

  drawFlights(flights) {
    const many = flights.length > FLIGHTS_MAX;
    const kept = new Set();
    if (!many) {
      for (const shown of flights) {
        const key = `${shown.flight.sent.flight}:${shown.copy}`;
        kept.add(key);
        this.drawFlight(key, shown);
      }
    }
    for (const [key, { part }] of this.shown) {
      if (kept.has(key)) continue;
      part.remove();
      this.shown.delete(key);
    }
    this.drawCounts(many ? flights : []);
  }

  drawFlight(key, shown) {
    const { sent } = shown.flight;
    let one = this.shown.get(key);
    if (!one || one.lost !== shown.lost) {
      one?.part.remove();
      const part = drawn('g', { class: `flight ${isOfClient(sent) ? 'of-client' : termClass(sent.term ?? 0)}${sent.quiet ? ' quiet' : ''}${shown.lost ? ' lost' : ''}`, 'data-message': sent.message });
      part.append(drawn('circle', { r: 14, class: 'flight-hit' }), messageShape(sent));
      if (shown.lost) part.append(drawn('path', { d: CROSS, class: 'cross' }));
      part.addEventListener('click', () => this.on.message(shown));
      this.arrows.append(part);
      one = { part, lost: shown.lost };
      this.shown.set(key, one);
    }
    const [x, y] = this.spot(sent.at, sent.to, shown.way, 10);
    one.part.setAttribute('transform', `translate(${x.toFixed(1)},${y.toFixed(1)}) scale(${this.unit.toFixed(2)})`);
  }

  // Too many to draw: each link says how many are on it.
  drawCounts(flights) {
    const counts = new Map();
    for (const { flight: { sent } } of flights) {
      const key = `${sent.at}>${sent.to}`.replace(/c\d+/, 'c0');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    this.numbers?.remove();
    if (!counts.size) return;
    this.numbers = drawn('g', { class: 'numbers' });
    for (const [key, count] of counts) {
      const [from, to] = key.split('>');
      const [x, y] = this.spot(from, to, 0.36, 11);
      const label = drawn('text', { x, y: y + 4, 'text-anchor': 'middle' });
      label.textContent = count;
      this.numbers.append(label);
    }
    this.arrows.append(this.numbers);
  }

  // A stroke across the picture parts the nodes on its two sides.
  listenForDrags() {
    let from = null;
    const at = (event) => {
      const box = this.svg.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    this.svg.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || event.target.closest('.node, .flight')) return;
      from = at(event);
    });
    this.svg.addEventListener('pointermove', (event) => {
      if (!from) return;
      const to = at(event);
      const groups = this.parted(from, to);
      this.drag.setAttribute('d', groups ? `M${from.x},${from.y}L${to.x},${to.y}` : '');
      if (groups) this.on.drags(groups);
    });
    const end = (event) => {
      if (!from) return;
      const groups = event.type === 'pointerup' ? this.parted(from, at(event)) : null;
      from = null;
      this.drag.setAttribute('d', '');
      this.on.drags(null);
      if (groups) this.on.partition(groups);
    };
    this.svg.addEventListener('pointerup', end);
    this.svg.addEventListener('pointercancel', end);
    this.svg.addEventListener('pointerleave', end);
  }

  parted(from, to) {
    if (Math.hypot(to.x - from.x, to.y - from.y) < 40) return null;
    const left = [];
    const right = [];
    for (const name of this.names) {
      const { x, y } = this.spots.get(name);
      const side = (to.x - from.x) * (y - from.y) - (to.y - from.y) * (x - from.x);
      (side < 0 ? left : right).push(name);
    }
    return left.length && right.length ? [left, right] : null;
  }
}

function extent(values) {
  return [Math.min(...values), Math.max(...values)];
}

// A part of a circle, clockwise from its top.
function arc(radius, part) {
  if (part <= 0) return '';
  const angle = Math.min(part, 0.9999) * 2 * Math.PI;
  const [x, y] = [radius * Math.sin(angle), -radius * Math.cos(angle)];
  return `M0,${-radius}A${radius},${radius} 0 ${angle > Math.PI ? 1 : 0} 1 ${x.toFixed(1)},${y.toFixed(1)}`;
}
