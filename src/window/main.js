// The page as a whole: a trace that stands in the page, or the program's as it comes, shown at one time.
const program = new Trace();
// What is shown: the program's run, or a lesson's while one is played.
let trace = program;
const clock = new Clock();
let address = readAddress(location.hash);
const isLive = document.body.classList.contains('live');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
// While time passes the picture is drawn at each frame, tables and texts this often, in milliseconds; and less often where they
// take long, so that they leave most of the time to the picture.
const TEXT_EACH = 100;
const TEXT_SHARE = 0.2;

const stream = new Stream({
  line: (line) => hear(line),
  group: () => changed(),
  next: () => program.lastNumber + 1,
  state: (text, isFault) => {
    setText(byId('connection'), text);
    setAttribute(byId('connection'), 'class', isFault ? 'fault' : '');
  },
});
const prompt = new Prompt({ send, stop: () => stream.post('/stop', {}), complete: (line, cursor) => completions(line, cursor) });
const controls = new Controls(send, async (line, cursor) => (await completions(line, cursor))?.candidates ?? []);
const ring = new Ring(byId('ring'), {
  select: () => changed(),
  resized: () => changed(),
  link: (from, to) => isLive && controls.setLink(from, to),
  message: (shown) => choose(shown),
  drags: (groups) => isLive && setText(byId('ring-note'), groups ? partition(groups) : ''),
  partition: (groups) => isLive && send(partition(groups)),
});
const log = new LogGrid(send);
const feed = new Feed(send, seek);
feed.on = () => changed();
const timeline = new Timeline({ seek, step: (forward) => step(forward), changed: () => changed() });

let pending = false;
let before = 0;
let textAt = 0;
let playsProgram = false;

function names() {
  const known = Object.keys(trace.front.nodes);
  return known.sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
}

function changed() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(frame);
}

function frame(now) {
  pending = false;
  clock.advance((now - before) / 1000, trace);
  before = now;
  const moves = clock.playing || (clock.follows && clock.t < trace.end);
  draw(now, moves);
  if (moves) changed();
}

function draw(now, moves) {
  const all = names();
  const state = trace.stateAt(clock.t);
  const t = clock.t;
  const least = clock.least(trace);
  const heartbeats = byId('heartbeats').checked;
  const flights = trace.flightsAt(t, least).filter(({ flight }) => heartbeats || !flight.sent.quiet);
  ring.setNames(all);
  // Without motion, messages stand half way until they end.
  const everywhere = ring.draw(state, t, calm.matches ? flights.map((one) => ({ ...one, way: 0.5 })) : flights) ?? [];
  if (moves && now < textAt) return;
  const began = performance.now();
  drawTexts(state, all, flights, everywhere, moves);
  textAt = now + Math.max(TEXT_EACH, (performance.now() - began) / TEXT_SHARE);
}

function drawTexts(state, all, flights, everywhere, moves) {
  const t = clock.t;
  drawNote(flights, everywhere);
  drawChosen();
  drawUnderWay(flights, moves, choose);
  controls.setNames(all);
  controls.drawNode(ring.selected, ring.selected ? state.nodes[ring.selected] ?? newNode() : null);
  drawStanding(trace, state, all, t);
  log.draw(state, all, isLive);
  feed.draw(trace, t, isLive, moves ? FEED_WHILE_MOVING : FEED_MAX);
  timeline.draw(trace, t, all, feed.shown.length ? sentence(feed.shown.at(-1)) : '');
  drawTransport();
}

function drawNote(flights, everywhere) {
  const parts = [];
  if (flights.length > FLIGHTS_MAX) parts.push(`${flights.length} flights not shown: the numbers say how many are on each link`);
  const leftOut = requestsLeftOut(flights);
  if (leftOut) parts.push(`${leftOut} requests of clients not shown: there are too many`);
  parts.push(...everywhere);
  if (isLive && trace === program && trace.isVirtual && trace.head && clock.follows && clock.t >= trace.end && !playsProgram) {
    parts.push('virtual time stands still: Play lets it pass, and so do lines that wait');
  }
  const note = parts.join(' \u00b7 ');
  if (note !== drawNote.last) setText(byId('ring-note'), note);
  drawNote.last = note;
}

function drawTransport() {
  const plays = clock.playing || playsProgram;
  const button = byId('play');
  setText(button, plays ? '\u23f8\ufe0e' : '\u25b6\ufe0e');
  setAttribute(button, 'aria-label', plays ? 'Pause' : 'Play');
  const atEnd = clock.follows || clock.t >= trace.end;
  setText(byId('live'), isLive ? 'live' : 'to the end');
  setAttribute(byId('live'), 'aria-pressed', atEnd);
  byId('fork').hidden = !(isLive && trace === program && trace.isVirtual && !atEnd);
  byId('share').hidden = !(isLive && trace === program && trace.isVirtual && trace.head);
  byId('lesson-continue').disabled = byId('lesson-leave').disabled = trace === program || trace.hasEnded;
  byId('fork').title = `rewind to ${pointInTime(clock.t)}, then fork`;
}

// The message that was chosen, and when: what can be done to it goes when it has ended, or time passes.
let chosen = null;

// A message that is chosen says what it carried, and is asked about where a question fits.
function choose(shown) {
  setText(byId('ring-note'), describe(shown));
  chosen = { flight: shown.flight, t: clock.t, lines: null };
  drawChosen();
  if (chosen && byId('under-way').open) {
    // The list lies over the buttons.
    byId('under-way').open = false;
    byId('flight-buttons').firstElementChild.focus();
  }
  const line = flightLine(shown.flight, trace);
  if (isLive && line) send(line);
}

function drawChosen() {
  if (!chosen) return;
  const stands = isLive && trace === program && trace.isVirtual && program.past === null && clock.t >= trace.end && clock.t === chosen.t;
  const lines = stands ? flightLines(chosen.flight) : [];
  if (lines.join() !== chosen.lines) controls.fill('flight-buttons', lines);
  chosen.lines = lines.join();
  if (!lines.length) chosen = null;
}

function partition(groups) {
  return `partition ${groups.map((group) => group.join(' ')).join(' / ')}`;
}

function pointInTime(t) {
  return `${(Math.ceil(t) / 1e6).toFixed(6).replace(/\.?0+$/, '')}s`;
}

function seek(t) {
  stopProgram();
  clock.seek(t, trace);
  changed();
}

// Where the picture shows where the run stands, a step is the run's: from its end, or through the past that it was rewound to.
function step(forward) {
  const { past, end } = program;
  if (isLive && trace === program && trace.isVirtual && clock.t === (past ?? end) && (forward || past !== null)) {
    send(forward ? 'step' : 'step back');
    return;
  }
  seek(trace.stepFrom(clock.t, forward));
}

// Behind the newest event, play shows what is known; at it, in virtual time, play lets the program's time pass.
function play() {
  if (clock.playing || playsProgram) {
    clock.playing = false;
    stopProgram();
  } else if (isLive && trace === program && trace.isVirtual && clock.t >= trace.end) {
    playsProgram = true;
    clock.follows = true;
    tellPace();
  } else {
    if (clock.t >= trace.end) clock.t = trace.begin;
    clock.follows = false;
    clock.playing = true;
  }
  changed();
}

function stopProgram() {
  if (!playsProgram) return;
  playsProgram = false;
  stream.post('/clock', { play: false, speed: 1 });
}

async function tellPace() {
  const said = await stream.post('/clock', { play: true, speed: clock.speed === Infinity ? 100 : clock.speed });
  if (!said.error) return;
  playsProgram = false;
  notice(said.error);
}

function notice(text) {
  setText(byId('notice'), text);
  byId('notice').hidden = !text;
}

async function send(line) {
  if (!isLive) return;
  if (trace.hasEnded) leaveLesson();
  if (!clock.follows && !movesInTime(line)) clock.live(trace);
  const said = await stream.post('/directive', { line });
  if (said.error) prompt.write('not-ok', `${line ? `${line}: ` : ''}${said.error}`);
  else if (!heard.has(said.number)) prompt.taken(said.number, line);
  changed();
}

function movesInTime(line) {
  return /^(rewind|fork)\b/.test(line) || (program.past !== null && /^step\b/.test(line));
}

async function completions(line, cursor) {
  const said = await stream.post('/complete', { line, cursor });
  return said.error ? null : said;
}

async function fork() {
  const to = pointInTime(clock.t);
  await send(`rewind to ${to}`);
  await send('fork');
}

// Numbers of lines whose begin was told before the answer to their request arrived.
const heard = new Set();

function hear(line) {
  const isFirst = !program.head;
  program.readLine(line);
  if (program.refused) notice(program.refused);
  if (isFirst && program.head) setPace();
}

function hearEvent(event) {
  if (event.e === 'lesson') return hearLesson(event);
  // Lines and answers are told of the program's run: in a lesson they are shown at the lesson's time.
  if (trace !== program && event.at === 'console') trace.add({ ...event, t: trace.end, k: trace.lastNumber + 1 });
  if (event.e === 'directive') heard.add(event.number);
  hearTravel(event);
  if (event.at === 'console') prompt.hear(event);
  if (NARRATED.has(event.e) && clock.follows) setText(byId('told'), event.text ?? '');
}

function hearTravel(event) {
  if (event.e === 'rewound' && event.to < trace.end) clock.seek(event.to, trace);
  else if (event.e === 'rewound' || event.e === 'forked') clock.live(trace);
}

// A lesson has a cluster and a time of its own. Its last picture stays until another line is sent.
function hearLesson({ head, event, ended, name }) {
  if (head) {
    trace = new Trace();
    trace.setHead(head);
    trace.lesson = name;
    clock.t = 0;
    clock.follows = true;
    setPace();
    feed.shown = [];
  } else if (event) {
    trace.add({ ...event, k: trace.lastNumber + 1 });
    hearTravel(event);
  } else if (ended) trace.hasEnded = true;
}

function leaveLesson() {
  trace = program;
  feed.shown = [];
  setPace();
  clock.live(trace);
}

// Real time passes by itself; virtual time can be watched slowly.
function setPace() {
  clock.speed = isLive && !trace.isVirtual ? 1 : trace.lesson ? 0.3 : 0.1;
  byId('speed').value = String(clock.speed);
  // Of a run that does not end, the last minute is of interest.
  if (isLive && !trace.isVirtual) timeline.setZoom(60);
}

function listen() {
  byId('play').addEventListener('click', play);
  byId('step-back').addEventListener('click', () => step(false));
  byId('step-on').addEventListener('click', () => step(true));
  byId('live').addEventListener('click', () => {
    clock.live(trace);
    changed();
  });
  byId('fork').addEventListener('click', fork);
  byId('share').addEventListener('click', () => {
    history.replaceState(null, '', writeAddress(trace, clock.t));
    notice('The address bar has what makes this run again: another window of the same seed and number of nodes runs it.');
  });
  byId('save').addEventListener('click', () => savePage(stream).catch((error) => notice(error.message)));
  byId('save-lines').addEventListener('click', () => saveLines(stream).catch((error) => notice(error.message)));
  byId('heartbeats').addEventListener('change', changed);
  for (const name of ['twin', 'under-way']) byId(name).addEventListener('toggle', changed);
  byId('speed').replaceChildren(...SPEEDS.map((speed) => element('option', { value: speed }, speed === Infinity ? 'max' : `${speed}x`)));
  byId('speed').addEventListener('change', (event) => {
    clock.speed = Number(event.target.value);
    if (playsProgram) tellPace();
    changed();
  });
  addEventListener('resize', () => {
    timeline.look = '';
    changed();
  });
}

// Lines of an address are shown; they run when the button is pressed.
function offer() {
  byId('offer').hidden = address.lines.length === 0;
  const made = [address.nodes && `nodes ${address.nodes}`, address.seed && `seed ${address.seed}`].filter(Boolean).join(', ');
  setText(byId('offer-lines'), `${made ? `# made for: ${made}\n` : ''}${address.lines.join('\n')}`);
}

function listenForOffers() {
  byId('offer-run').addEventListener('click', async () => {
    byId('offer').hidden = true;
    for (const line of address.lines) await send(line);
  });
  byId('offer-leave').addEventListener('click', () => { byId('offer').hidden = true; });
  // An address that is put in place of this one, in the same page.
  addEventListener('hashchange', () => {
    address = readAddress(location.hash);
    offer();
  });
}

async function begin() {
  listen();
  drawLegend(byId('legend'));
  if (!isLive) {
    trace.readAll(byId('trace').textContent);
    const said = [trace.refused, trace.damaged && `${trace.damaged} damaged lines were left out`, trace.cut && 'the last line is cut, and was left out'];
    notice(said.filter(Boolean).join('; '));
    clock.t = address.t ?? trace.begin;
    clock.seek(clock.t, trace);
    setPace();
  } else {
    clock.follows = true;
    program.heard = hearEvent;
    listenForOffers();
    offer();
    const reason = await stream.unlock(address.token);
    if (reason) notice(reason);
    if (stream.key) {
      stream.open();
      controls.loadLessons();
    }
  }
  changed();
}

// A recorded trace stands behind the script.
if (isLive) begin();
else document.addEventListener('DOMContentLoaded', begin);
