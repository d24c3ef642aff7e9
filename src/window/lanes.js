// What the timeline shows, kept while events are read: what each node was, rules in force, lines, commits, answers.
// Lines whose time to the answer is that of a call: others wait for something else.
const CALL = /^(create|read|update|delete|put|cas)\b/;

class Lanes {
  constructor() {
    this.spans = {};
    this.bands = [];
    this.lines = [];
    this.commits = [];
    this.answers = [];
    this.started = new Map();
  }

  // After the event has been folded into this state.
  add(event, state) {
    const node = state.nodes[event.at];
    if (node) this.addSpan(event, node);
    if (event.e === 'rules') this.addBand(event);
    else if (event.e === 'directive') {
      this.lines.push({ t: event.t, text: event.line ?? '' });
      if (CALL.test(event.line)) this.started.set(event.number, event.t);
    } else if (event.e === 'answer') {
      const began = this.started.get(event.number);
      this.started.delete(event.number);
      if (began !== undefined) this.answers.push({ t: event.t, took: event.t - began, ok: event.outcome === 'ok' });
    } else if (event.e === 'commit_advanced') {
      const most = this.commits.at(-1)?.index ?? 0;
      if (event.to > most) this.commits.push({ t: event.t, index: event.to, added: event.to - most });
    }
  }

  addSpan(event, { life, role, term }) {
    const spans = (this.spans[event.at] ??= []);
    const last = spans.at(-1);
    if (last && last.life === life && last.role === role && last.term === term) return;
    if (last) last.to = event.t;
    spans.push({ from: event.t, to: Infinity, life, role, term });
  }

  addBand(event) {
    const last = this.bands.at(-1);
    if (last && last.to === Infinity) last.to = event.t;
    if (event.rules?.length) this.bands.push({ from: event.t, to: Infinity, text: event.rules.join(', ') });
  }
}
