// The run from left to right: what each node was, rules in force, lines, commits and answers; and the head that is dragged.
const LANE = 20;
const CHART = 34;
const MARK_LETTERS = 24;

class Timeline {
  // `on.seek(t)` takes the head elsewhere, `on.step(forward)` to the next event.
  constructor(on) {
    this.input = byId('seek');
    this.drawing = byId('lane-drawing');
    this.zoom = 0;
    this.input.addEventListener('input', () => on.seek(Number(this.input.value)));
    this.input.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
        event.preventDefault();
        on.step(event.key === 'ArrowRight');
      }
    });
    byId('zoom').addEventListener('change', (event) => {
      this.setZoom(Number(event.target.value));
      on.changed();
    });
  }

  setZoom(length) {
    byId('zoom').value = String(length);
    this.zoom = length * 1e6;
    this.look = '';
  }

  // The range that is shown: all of the run, or a part of it that holds the head.
  range(trace, t) {
    const whole = Math.max(trace.end - trace.begin, 1);
    if (!this.zoom || this.zoom >= whole) return [trace.begin, trace.begin + whole];
    if (this.kept && this.kept[1] - this.kept[0] === this.zoom && t >= this.kept[0] && t < this.kept[1] - this.zoom * 0.02 && trace.end > this.kept[1]) return this.kept;
    const from = Math.max(trace.begin, Math.min(t - this.zoom * 0.75, trace.end - this.zoom));
    this.kept = [from, from + this.zoom];
    return this.kept;
  }

  draw(trace, t, names, told) {
    const [from, to] = this.range(trace, t);
    const look = `${from}|${to}|${trace.events.length}|${names.join()}`;
    if (look !== this.look) {
      this.look = look;
      this.redraw(trace, names, from, to);
    }
    byId('lane-head').style.left = `${(100 * (t - from)) / (to - from)}%`;
    setAttribute(this.input, 'min', Math.floor(from));
    setAttribute(this.input, 'max', Math.ceil(to));
    this.input.value = t;
    setAttribute(this.input, 'aria-valuetext', told ? `${seconds(t)}: ${told}` : seconds(t));
  }

  redraw(trace, names, from, to) {
    const x = (t) => Math.max(0, Math.min(1000, (1000 * (t - from)) / (to - from)));
    const [commits, answers] = [rates(trace.lanes.commits, from, to), trace.lanes.answers.filter((one) => one.t >= from && one.t <= to)];
    const charts = (commits.most ? 1 : 0) + (answers.length ? 1 : 0);
    const height = names.length * LANE + charts * CHART;
    setAttribute(this.drawing, 'viewBox', `0 0 1000 ${height}`);
    this.drawing.style.height = `${height}px`;
    const parts = [];
    for (const band of trace.lanes.bands) {
      if (band.to < from || band.from > to) continue;
      const made = drawn('rect', { x: x(band.from), y: 0, width: Math.max(1, x(Math.min(band.to, trace.end)) - x(band.from)), height, class: 'band' });
      made.append(drawn('title'));
      made.firstChild.textContent = band.text;
      parts.push(made);
    }
    names.forEach((name, nth) => parts.push(...spans(trace.lanes.spans[name] ?? [], nth * LANE + LANE / 2, x, from, Math.min(to, trace.end))));
    const labels = names.map((name) => element('span', {}, name));
    let y = names.length * LANE;
    if (commits.most) {
      parts.push(...bars(commits, y, x));
      labels.push(element('span', { class: 'chart' }, `${compact(commits.most)}/s`, element('small', {}, 'commits')));
      y += CHART;
    }
    if (answers.length) {
      const most = Math.max(...answers.map((one) => one.took), 1);
      parts.push(...dots(answers, most, y, x));
      labels.push(element('span', { class: 'chart' }, shortTime(most), element('small', {}, 'answers')));
    }
    this.drawing.replaceChildren(...parts);
    byId('lane-names').replaceChildren(...labels);
    this.drawMarks(trace.lanes.lines, from, to);
    if (trace.events.length) drawAxis(from, to);
  }

  // The lines that were typed, as far as there is room for their words.
  drawMarks(lines, from, to) {
    const width = byId('lane-area').clientWidth || 600;
    let free = -1;
    const marks = lines.filter(({ t }) => t >= from && t <= to).slice(-200).map(({ t, text }) => {
      const at = ((t - from) / (to - from)) * width;
      const short = text.length > MARK_LETTERS ? `${text.slice(0, MARK_LETTERS - 1)}\u2026` : text;
      const wide = 7 * short.length + 14;
      const leftward = at + wide > width;
      const fits = leftward ? at - wide >= free : at >= free;
      if (fits) free = leftward ? at + 4 : at + wide;
      const mark = element('span', { title: `${seconds(t)} > ${text}`, class: fits && leftward ? 'leftward' : '' }, fits ? short : '');
      mark.style.left = `${(100 * (t - from)) / (to - from)}%`;
      return mark;
    });
    byId('lane-marks').replaceChildren(...marks);
  }
}

function spans(all, middle, x, from, to) {
  const parts = [];
  for (const span of all) {
    const until = Math.min(span.to, to);
    if (until < from || span.from > to) continue;
    const leads = span.life === 'up' && span.role === 'leader';
    const campaigns = span.role === 'candidate' || span.role === 'pre_candidate';
    const high = !runs(span) ? 1.5 : leads ? 14 : campaigns ? 10 : 5;
    const kind = span.life === 'up' ? `span ${termClass(span.term)} ${span.role}` : `span ${runs(span) ? 'paused' : 'down'}`;
    parts.push(drawn('rect', { x: x(span.from), y: middle - high / 2, width: Math.max(0.8, x(until) - x(span.from)), height: high, class: kind }));
  }
  return parts;
}

// Entries committed a second, in a hundred parts of the range.
function rates(commits, from, to) {
  const parts = new Array(100).fill(0);
  for (const { t, added } of commits) if (t >= from && t <= to) parts[Math.min(99, Math.floor((100 * (t - from)) / (to - from)))] += added;
  const each = (to - from) / 1e8;
  const values = parts.map((count) => count / each);
  return { values, most: Math.max(...values) };
}

function bars({ values, most }, y) {
  return values.flatMap((value, nth) => (value ? [drawn('rect', { x: nth * 10, width: 9, y: y + CHART - 2 - (value / most) * (CHART - 8), height: (value / most) * (CHART - 8), class: 'bar' })] : []));
}

function dots(answers, most, y, x) {
  return answers.map(({ t, took, ok }) => drawn('rect', { x: x(t) - 2, width: 4, y: y + CHART - 6 - (took / most) * (CHART - 12), height: 4, class: ok ? 'dot' : 'dot fault' }));
}

function drawAxis(from, to) {
  const width = byId('lane-area').clientWidth || 600;
  const wish = (to - from) / Math.max(2, width / 90);
  const power = 10 ** Math.floor(Math.log10(wish));
  const each = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= wish) ?? wish;
  const digits = Math.max(0, Math.min(6, 6 - Math.floor(Math.log10(each) + 1e-9)));
  const ticks = [];
  for (let t = Math.ceil(from / each) * each; t <= to; t += each) {
    const tick = element('span', {}, `${(t / 1e6).toFixed(digits)}`);
    tick.style.left = `${(100 * (t - from)) / (to - from)}%`;
    ticks.push(tick);
  }
  byId('lane-axis').replaceChildren(...ticks);
}

function compact(value) {
  return value >= 10000 ? `${Math.round(value / 1000)}k` : value >= 10 ? String(Math.round(value)) : value.toFixed(1);
}

function shortTime(microseconds) {
  return microseconds >= 1e6 ? `${(microseconds / 1e6).toFixed(1)} s` : `${compact(microseconds / 1000)} ms`;
}
