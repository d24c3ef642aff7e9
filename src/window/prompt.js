// The prompt of the page: history, completion, answers, and the lines that wait behind one that runs.
const ANSWERS_MAX = 200;

class Prompt {
  // `on` has `send(line)`, `stop()` and `complete(line, cursor)`, which gives where to replace and with what.
  constructor(on) {
    this.on = on;
    this.input = byId('prompt-line');
    this.candidates = byId('candidates');
    this.history = [];
    this.place = 0;
    this.waiting = new Map();
    this.asked = new Map();
    byId('stop').addEventListener('click', on.stop);
    byId('prompt').addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    this.input.addEventListener('keydown', (event) => this.pressed(event));
    this.input.addEventListener('input', () => this.hide());
    this.input.addEventListener('blur', () => this.hide());
    this.candidates.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      const nth = [...this.candidates.children].indexOf(event.target);
      if (nth >= 0) this.choose(nth);
    });
  }

  submit() {
    const line = this.input.value;
    this.input.value = '';
    this.hide();
    if (line.trim()) this.history.push(line);
    this.place = this.history.length;
    this.on.send(line);
  }

  pressed(event) {
    const open = !this.candidates.hidden;
    if (event.key === 'Tab' && !event.shiftKey && (open || (this.input.value.trim() && !this.left))) {
      event.preventDefault();
      if (open) this.mark(this.marked + 1);
      else this.ask();
    } else if (event.key === 'Escape') {
      // The next Tab leaves the prompt, as everywhere on a page.
      this.hide();
      this.left = true;
    } else if (open && event.key === 'Enter') {
      event.preventDefault();
      this.choose(this.marked);
    } else if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      event.preventDefault();
      const by = event.key === 'ArrowUp' ? -1 : 1;
      if (open) this.mark(this.marked + by);
      else this.recall(by);
    } else if (event.key === 'c' && event.ctrlKey && this.input.selectionStart === this.input.selectionEnd) {
      event.preventDefault();
      if (this.input.value) this.input.value = '';
      else this.on.stop();
    } else this.left = false;
  }

  recall(by) {
    this.place = Math.max(0, Math.min(this.history.length, this.place + by));
    this.input.value = this.history[this.place] ?? '';
  }

  async ask() {
    const line = this.input.value;
    const cursor = this.input.selectionStart;
    const found = await this.on.complete(line, bytes(line.slice(0, cursor)));
    if (!found || this.input.value !== line || !found.candidates.length) return;
    // The program counts bytes.
    let start = 0;
    while (start < cursor && bytes(line.slice(0, start)) < found.start) start += 1;
    this.found = { start, cursor };
    const common = found.candidates.reduce((one, other) => {
      let at = 0;
      while (at < one.length && one[at] === other[at]) at += 1;
      return one.slice(0, at);
    });
    const typed = line.slice(start, cursor);
    if (found.candidates.length === 1) this.insert(found.candidates[0]);
    else {
      if (common.length > typed.length) this.insert(common);
      this.show(found.candidates);
    }
  }

  show(candidates) {
    this.candidates.replaceChildren(...candidates.slice(0, 40).map((text, nth) => element('li', { role: 'option', id: `candidate-${nth}` }, text)));
    this.candidates.hidden = false;
    this.input.setAttribute('aria-expanded', true);
    this.mark(0);
  }

  mark(nth) {
    const items = [...this.candidates.children];
    this.marked = (nth + items.length) % items.length;
    items.forEach((item, at) => item.setAttribute('aria-selected', at === this.marked));
    items[this.marked].scrollIntoView({ block: 'nearest' });
    this.input.setAttribute('aria-activedescendant', items[this.marked].id);
  }

  choose(nth) {
    this.insert(this.candidates.children[nth].textContent);
    this.hide();
  }

  insert(text) {
    const { start, cursor } = this.found;
    const { value } = this.input;
    const before = value.slice(0, start) + text;
    this.input.value = before + value.slice(cursor);
    this.input.setSelectionRange(before.length, before.length);
    this.found.cursor = before.length;
  }

  hide() {
    this.candidates.hidden = true;
    this.input.setAttribute('aria-expanded', false);
    this.input.removeAttribute('aria-activedescendant');
  }

  // A line was taken into the queue under this number.
  taken(number, line) {
    this.waiting.set(number, line);
    this.drawQueue();
  }

  // Events of the console, as they arrive.
  hear(event) {
    if (event.e === 'directive') {
      this.waiting.delete(event.number);
      this.asked.set(event.number, event.line);
      if (event.line) this.write('asked', `> ${event.line}`);
    } else if (event.e === 'answer') {
      this.waiting.delete(event.number);
      this.asked.delete(event.number);
      if (event.text) this.write(event.outcome === 'ok' ? 'answered' : 'not-ok', event.text);
    } else if (event.e === 'said') this.write('said', event.text ?? '');
    else return;
    this.drawQueue();
  }

  write(kind, text) {
    const place = byId('answers');
    // What is laid out in columns keeps its lines.
    place.append(element('p', { class: text.includes('\n') ? `${kind} laid-out` : kind }, text));
    while (place.children.length > ANSWERS_MAX) place.firstChild.remove();
    place.scrollTop = place.scrollHeight;
  }

  drawQueue() {
    const items = [...[...this.asked.values()].map((line) => element('li', { class: 'runs' }, `runs: ${line}`)),
      ...[...this.waiting.values()].map((line) => element('li', {}, `waits: ${line}`))];
    byId('queue').hidden = items.length === 0;
    byId('queue-list').replaceChildren(...items);
  }
}

function bytes(text) {
  return new TextEncoder().encode(text).length;
}
