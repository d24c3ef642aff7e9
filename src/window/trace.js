// A trace as it is read: its events by time, the flights of messages, the lanes of the timeline, and the state at any time.
const TRACE_VERSION = 1;
// A copy of the state is kept after this many events; a state between two is folded from the one before it.
const CHECKPOINT_EVENTS = 1000;
// Memory is bounded: beyond this many events the oldest quarter is forgotten.
const EVENTS_MAX = 300000;

class Trace {
  constructor() {
    this.head = null;
    this.damaged = 0;
    this.cut = false;
    this.refused = '';
    // The first line that the program still had, where that is not the first of the run.
    this.keptFrom = 0;
    // Called with each event as it is read.
    this.heard = null;
    this.clear();
  }

  clear() {
    this.events = [];
    this.told = [];
    this.lastNumber = 0;
    // The time that the run was rewound to; none at its end.
    this.past = null;
    this.flights = [];
    this.open = new Map();
    this.asked = new Map();
    this.longest = 0;
    this.lanes = new Lanes();
    this.front = newState(this.head?.nodes ?? []);
    this.checkpoints = [{ position: 0, state: newState(this.head?.nodes ?? []) }];
    this.at = null;
  }

  get end() { return this.events.at(-1)?.t ?? 0; }
  get begin() { return this.events[0]?.t ?? 0; }
  get isVirtual() { return this.head?.source === 'simulator'; }

  // Reads a whole file. A last line that is cut is left out.
  readAll(text) {
    const lines = text.split('\n');
    const rest = lines.pop();
    for (const line of lines) this.readLine(line);
    if (rest.trim() && !this.readLine(rest, true)) this.cut = true;
  }

  // Returns whether the line could be read.
  readLine(line, isLast = false) {
    if (!line.trim() || this.refused) return true;
    let event;
    try { event = JSON.parse(line); } catch { event = null; }
    if (event === null || typeof event !== 'object') {
      if (!isLast) this.damaged += 1;
      return false;
    }
    if ('trace' in event) this.setHead(event);
    else if (event.e === 'kept_from') this.keptFrom = event.k;
    else if (typeof event.t === 'number' && typeof event.k === 'number' && typeof event.e === 'string') this.add(event);
    else this.damaged += 1;
    return true;
  }

  setHead(head) {
    if (head.trace !== TRACE_VERSION) {
      this.refused = `This page reads traces of version ${TRACE_VERSION}; this one is of version ${head.trace}: open it with the ` +
        `program that wrote it (${head.program ?? 'unknown'}).`;
      return;
    }
    if (this.head) return;
    this.head = head;
    this.clear();
  }

  add(event) {
    if (event.k <= this.lastNumber) return undefined;
    this.lastNumber = event.k;
    // What a lesson's nodes do is no event of this run.
    if (event.e === 'lesson') return this.heard?.(event);
    if (event.e === 'forked') this.forget(event.from);
    this.complete(event);
    if (event.t < this.end) this.insert(event);
    else {
      this.events.push(event);
      if (isTold(event)) this.told.push(event);
    }
    this.index(event);
    if (this.events.length > EVENTS_MAX) this.thinOut();
    return this.heard?.(event);
  }

  // What an event leaves to those before it: a lost heartbeat is as quiet as its message, a leader's commit is its own.
  complete(event) {
    if (event.e === 'lost' || event.e === 'held') event.quiet = this.open.get(event.flight)?.sent.quiet ?? false;
    else if (event.e === 'rewound') this.past = event.to < this.end ? event.to : null;
    else if (event.e === 'forked') this.past = null;
    // There a line only looks.
    else if (event.e === 'directive') event.looks = this.past !== null;
    else if (event.e === 'commit_advanced') event.leads = this.front.nodes[event.at]?.role === 'leader';
  }

  // An event of an earlier time than the newest: a line typed while the run was rewound, or another thread's.
  insert(event) {
    const position = this.positionAt(event.t);
    this.events.splice(position, 0, event);
    if (isTold(event)) this.told.splice(upperBound(this.told, event.t), 0, event);
    while (this.checkpoints.at(-1).position > position) this.checkpoints.pop();
    if (this.at && this.at.position > position) this.at = null;
  }

  index(event) {
    fold(this.front, event);
    this.lanes.add(event, this.front);
    if (event.e === 'sent') {
      const flight = { sent: event, ends: [], held: [] };
      this.flights.push(flight);
      this.open.set(event.flight, flight);
      this.longest = Math.max(this.longest, (event.arrives ?? event.t) - event.t, event.delay ?? 0);
    } else if (event.e === 'arrived' || event.e === 'lost') {
      const flight = this.open.get(event.flight);
      if (!flight) return;
      flight.ends.push(event);
      this.longest = Math.max(this.longest, event.t - flight.sent.t);
      if (flight.ends.length >= (flight.sent.copies || 1)) this.open.delete(event.flight);
    }
    if (event.e === 'held') this.addHeld(event);
    if (event.e === 'request_received' || event.e === 'replied') this.addRequest(event);
    if (event.e === 'request_lost' || event.e === 'reply_lost') this.addLost(event);
    const last = this.checkpoints.at(-1);
    if (this.events.length - last.position >= CHECKPOINT_EVENTS && event === this.events.at(-1)) {
      this.checkpoints.push({ position: this.events.length, state: structuredClone(this.front) });
    }
  }

  // An answer that left is found again: it does not arrive.
  addLost(event) {
    const lost = lostFlight(event);
    const recent = this.flights.slice(-RECENT_FLIGHTS);
    const left = event.e === 'reply_lost' &&
      recent.findLast(({ sent }) => sent.message === 'RequestReply' && sent.client === event.client && sent.attempt === event.attempt && sent.at === event.at);
    if (left) Object.assign(left, { ends: lost.ends, sent: { ...left.sent, text: lost.sent.text } });
    else this.flights.push(lost);
  }

  addHeld(event) {
    const flight = this.open.get(event.flight);
    if (!flight) return;
    flight.held.push(event);
    this.longest = Math.max(this.longest, event.arrives - flight.sent.t);
  }

  addRequest(event) {
    if (event.attempt === undefined) return;
    if (event.e === 'replied') {
      const asked = this.asked.get(requestKey(event));
      if (asked) asked.answer = event;
      this.asked.delete(requestKey(event));
      this.flights.push(replyFlight(event));
      return;
    }
    const flight = requestFlight(event);
    this.flights.push(flight);
    this.asked.set(requestKey(event), flight);
  }

  // A fork: what followed this time is gone.
  forget(from) {
    this.rebuild(this.events.filter((event) => event.t <= from), newState(this.head?.nodes ?? []));
  }

  thinOut() {
    const first = this.checkpoints.find((kept) => kept.position >= EVENTS_MAX / 4);
    if (first) this.rebuild(this.events.slice(first.position), first.state);
  }

  rebuild(events, state) {
    const number = this.lastNumber;
    this.clear();
    this.checkpoints[0].state = structuredClone(state);
    this.front = structuredClone(state);
    for (const event of events) {
      this.events.push(event);
      if (isTold(event)) this.told.push(event);
      this.index(event);
    }
    this.lastNumber = number;
  }

  // How many events are not later than this time.
  positionAt(t) { return upperBound(this.events, t); }

  // The state is of the trace: a caller reads it until it asks again, and changes nothing.
  stateAt(t) {
    const position = this.positionAt(t);
    if (!this.at || this.at.position > position || position - this.at.position > CHECKPOINT_EVENTS) {
      const kept = this.checkpoints.findLast((one) => one.position <= position);
      this.at = { position: kept.position, state: structuredClone(kept.state) };
    }
    while (this.at.position < position) fold(this.at.state, this.events[this.at.position++]);
    return this.at.state;
  }

  // The term of an entry of a node at this time; none where the trace does not tell it.
  termAt(t, name, index) {
    const node = this.stateAt(t).nodes[name];
    return node && termAt(node, index);
  }

  // The time of the next event that a person steps to, or of the one before.
  stepFrom(t, forward) {
    if (forward) {
      const next = this.events.slice(this.positionAt(t)).find(isStep);
      return next ? next.t : this.end;
    }
    const before = this.events.findLast((event) => event.t < t && isStep(event));
    return before ? before.t : this.begin;
  }

  // Flights under way at this time. Those shorter than `least` are shown that long, or no eye would see them.
  flightsAt(t, least) {
    const found = [];
    const reach = Math.max(this.longest, least) + LOST_SHOWN;
    for (let at = upperBound(this.flights, t, (flight) => flight.sent.t) - 1; at >= 0; at -= 1) {
      const flight = this.flights[at];
      if (flight.sent.t < t - reach) break;
      const copies = flight.ends.length || 1;
      for (let copy = 0; copy < copies; copy += 1) {
        const shown = shownFlight(flight, copy, t, least);
        if (shown) found.push(shown);
      }
    }
    return found;
  }
}

// Flights among which an answer is sought that was lost.
const RECENT_FLIGHTS = 1000;

// A message that was lost leaves a cross for this long, in microseconds of the run.
const LOST_SHOWN = 200000;

function shownFlight(flight, copy, t, least) {
  const end = flight.ends[copy];
  const lost = end?.e === 'lost';
  const begin = flight.sent.t;
  const ended = end?.t ?? flight.held.at(-1)?.arrives ?? flight.sent.arrives;
  if (ended === undefined) {
    // Its end is not known yet: it slows down before its receiver.
    const age = (t - begin) / Math.max(least, 1);
    return { flight, copy, lost: false, way: Math.min(0.9, age / (1 + age)) };
  }
  const until = Math.max(ended, begin + least);
  const way = Math.min(1, (t - begin) / Math.max(until - begin, 1));
  if (lost) {
    if (t > until + LOST_SHOWN) return null;
    return { flight, copy, lost: t >= begin + (until - begin) / 2, way: Math.min(0.5, way), reason: end.reason ?? '' };
  }
  return t > until ? null : { flight, copy, lost: false, way };
}

// The position behind the last item that is not later than this time.
function upperBound(items, t, time = (item) => item.t) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time(items[middle]) <= t) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isStep(event) {
  return isTold(event) && kindOf(event) !== 'detail';
}
