// What happened, in sentences, up to the time that is shown.
const FEED_MAX = 150;
const FEED_WHILE_MOVING = 40;

class Feed {
  constructor(why, seek) {
    this.list = byId('feed-list');
    this.kinds = new Set(KINDS_FIRST);
    this.shown = [];
    this.why = why;
    this.seek = seek;
    for (const kind of [...Object.keys(KINDS), 'detail']) {
      const button = element('button', { type: 'button', class: 'filter', 'aria-pressed': this.kinds.has(kind) }, kind);
      button.addEventListener('click', () => {
        if (!this.kinds.delete(kind)) this.kinds.add(kind);
        button.setAttribute('aria-pressed', this.kinds.has(kind));
        this.shown = [];
        this.on?.();
      });
      byId('filters').append(button);
    }
  }

  draw(trace, t, canAsk, most) {
    const wanted = [];
    const { told } = trace;
    for (let at = upperBound(told, t) - 1; at >= 0 && wanted.length < most; at -= 1) {
      if (this.kinds.has(kindOf(told[at]))) wanted.push(told[at]);
    }
    wanted.reverse();
    const same = wanted.length === this.shown.length && wanted.every((event, nth) => event === this.shown[nth]);
    if (same) return;
    const atEnd = this.list.scrollTop + this.list.clientHeight >= this.list.scrollHeight - 30;
    this.replace(wanted, canAsk);
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  // Keeps the items that stay: most often only the end is new.
  replace(wanted, canAsk) {
    const kept = new Map(this.shown.map((event, nth) => [event, this.list.children[nth]]));
    this.list.replaceChildren(...wanted.map((event) => kept.get(event) ?? this.item(event, canAsk)));
    this.shown = wanted;
  }

  item(event, canAsk) {
    const time = element('button', { type: 'button', class: 'time', tabindex: -1, title: 'go to this time' }, (event.t / 1e6).toFixed(3));
    time.addEventListener('click', () => this.seek(event.t));
    const text = element('span', { class: 'text' }, sentence(event));
    const item = element('li', { class: `of-${kindOf(event)}${isFault(event) ? ' fault' : ''}` }, time, text);
    if (event.section) item.append(element('span', { class: 'section', title: sectionTitle(event.section) }, event.section));
    const line = canAsk && whyLine(event);
    if (line) {
      const ask = element('button', { type: 'button', class: 'why', title: line, 'aria-label': line, tabindex: -1 }, 'why?');
      ask.addEventListener('click', () => this.why(line));
      item.append(ask);
    }
    return item;
  }
}

function sectionTitle(section) {
  return section.startsWith('D ') ? `section ${section.slice(2)} of the dissertation` : `section ${section} of the paper`;
}

function isFault(event) {
  return (event.e === 'property' && event.holds === false) || event.outcome === 'failed' ||
    ['crashed', 'panicked', 'machine_failed', 'storage_failed'].includes(event.e);
}
