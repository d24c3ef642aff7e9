// Buttons. Each is one directive, and says which: a click is the same line as one typed at the prompt.
class Controls {
  constructor(send, complete) {
    this.send = send;
    this.complete = complete;
    this.puts = 0;
    this.names = [];
    this.look = '';
    this.listen('link-form', () => this.linkLine());
    this.listen('partition-form', () => this.partitionLine());
    this.listen('lesson-form', () => (byId('lesson').value ? `scenario ${byId('lesson').value}` : ''));
    byId('lesson-continue').addEventListener('click', () => send(''));
    byId('lesson-leave').addEventListener('click', () => send('q'));
    const choices = [['cut LINK', 'cut'], ['heal LINK', 'heal'], ['drop 20% LINK', 'drop 20%'], ['delay 100ms LINK', 'delay 100 ms'], ['duplicate 20% LINK', 'duplicate 20%']];
    byId('link-what').replaceChildren(...choices.map(([value, text]) => element('option', { value }, text)));
    this.drawNetwork();
  }

  // A form whose button says the line that it sends.
  listen(name, line) {
    const form = byId(name);
    const button = form.querySelector('button.directive');
    const refresh = () => {
      const text = line();
      setText(button, text || 'choose above');
      button.disabled = !text;
    };
    form.addEventListener('input', refresh);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (line()) this.send(line());
    });
    (this.refresh ??= []).push(refresh);
    refresh();
  }

  linkLine() {
    const [from, to, what] = ['link-from', 'link-to', 'link-what'].map((id) => byId(id).value);
    if (!from || !to || from === to) return '';
    const link = byId('link-what').value.startsWith('heal') ? `${from}<>${to}` : `${from}>${to}`;
    return what.replace('LINK', link);
  }

  partitionLine() {
    const boxes = [...byId('partition-nodes').querySelectorAll('input')];
    const side = (checked) => boxes.filter((box) => box.checked === checked).map((box) => box.value).join(' ');
    return side(true) && side(false) ? `partition ${side(true)} / ${side(false)}` : '';
  }

  setLink(from, to) {
    byId('link-from').value = from;
    byId('link-to').value = to;
    byId('link-form').closest('details').open = true;
    for (const refresh of this.refresh) refresh();
  }

  setNames(names) {
    if (names.join() === this.names.join()) return;
    this.names = names;
    for (const [id, chosen] of [['link-from', 0], ['link-to', 1]]) {
      byId(id).replaceChildren(...names.map((name) => element('option', { value: name }, name)));
      byId(id).selectedIndex = Math.min(chosen, names.length - 1);
    }
    byId('partition-nodes').replaceChildren(...names.map((name) => element('label', { class: 'toggle' }, element('input', { type: 'checkbox', value: name }), ` ${name}`)));
    for (const refresh of this.refresh) refresh();
  }

  async loadLessons() {
    const found = await this.complete('scenario ', 9);
    byId('lesson').replaceChildren(...found.map((name) => element('option', { value: name }, name)));
    for (const refresh of this.refresh) refresh();
  }

  drawNode(name, node) {
    const look = name ? `${name}|${node.life}|${node.role}` : '';
    if (look === this.look) return;
    this.look = look;
    setText(byId('node-title'), name ? `${name}, ${roleOf(node)}` : 'Select a node in the picture');
    this.fill('node-buttons', name ? nodeLines(name, node) : []);
  }

  drawNetwork() {
    this.fill('network-buttons', [() => `put x ${this.puts + 1}`, 'read x', 'crash leader', 'wait leader', 'restart all', 'isolate leader',
      'partition halves', 'drop 20%', 'delay 50ms jitter 20ms', 'heal', 'reset', 'check', 'why leader']);
  }

  // Focus stays on a button whose place is taken by another line.
  fill(place, lines) {
    const holder = byId(place);
    const focused = [...holder.children].indexOf(document.activeElement);
    holder.replaceChildren(...lines.map((line) => {
      const text = () => (typeof line === 'function' ? line() : line);
      const button = element('button', { type: 'button', class: 'directive' }, text());
      button.addEventListener('click', () => {
        this.send(text());
        if (typeof line !== 'function') return;
        this.puts += 1;
        setText(button, text());
      });
      return button;
    }));
    if (focused >= 0) holder.children[Math.min(focused, holder.children.length - 1)]?.focus();
  }
}

function nodeLines(name, node) {
  if (node.life === 'down') return [`restart ${name}`, `restart ${name} --wipe`];
  if (node.life === 'paused') return [`resume ${name}`, `crash ${name}`];
  const lines = [`crash ${name}`, `pause ${name}`, `isolate ${name}`, `stop ${name}`, `slow-disk ${name} 50ms`, `stall-disk ${name} 2s`, `snapshot ${name}`];
  return node.role === 'leader' ? [...lines, 'transfer any'] : [...lines, `timeout ${name}`, `transfer ${name}`];
}
