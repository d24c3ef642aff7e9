// Requests of clients and their answers, as flights between the clients' place and a node. A node tells a request when it
// arrives and an answer when it leaves: each is drawn from then on.
function requestFlight(event) {
  return clientFlight(event, event.client, event.at, 'Request', event.text ?? `${event.client} -> ${event.at} ${event.call}`);
}

function replyFlight(event) {
  const text = `${event.at} -> ${event.client} answer to request ${event.attempt}: ${event.outcome}`;
  return clientFlight({ ...event, ok: event.outcome === 'done' }, event.at, event.client, 'RequestReply', text);
}

// A request or an answer that the network lost: it leaves when that is told.
function lostFlight(event) {
  const flight = event.e === 'request_lost' ? requestFlight(event) : replyFlight({ ...event, outcome: 'lost' });
  return { ...flight, ends: [{ e: 'lost', t: event.t, reason: event.reason }] };
}

function clientFlight(event, from, to, message, text) {
  const sent = { ...event, e: 'sent', flight: `c${event.k}`, at: from, to, message, text, term: 0, copies: 1 };
  return { sent, ends: [{ e: 'arrived', t: event.t }], held: [], answer: null };
}

function requestKey(event) {
  return `${event.client} ${event.attempt} ${event.at}`;
}

function isOfClient(sent) {
  return sent.message === 'Request' || sent.message === 'RequestReply';
}

// How many requests the trace left out before those that are shown: of many it tells a part.
function requestsLeftOut(flights) {
  return flights.reduce((sum, { flight }) => sum + (flight.sent.message === 'Request' ? flight.sent.left_out ?? 0 : 0), 0);
}

// What a message carried and what came of it, in words.
function describe({ flight, reason }) {
  const { sent } = flight;
  if (isOfClient(sent)) {
    const { answer } = flight;
    const became = sent.message === 'RequestReply' ? '' : answer ? `; answered at ${seconds(answer.t)}: ${answer.outcome}` : '; no answer so far';
    const lost = flight.ends[0].e === 'lost';
    return `${seconds(sent.t)} ${sent.text}${lost ? '' : became}`;
  }
  const end = flight.ends.map((event) => `${event.e} at ${seconds(event.t)}${event.reason ? ` (${event.reason})` : ''}`).join(', ');
  return `${seconds(sent.t)} ${sent.text ?? `${sent.at} -> ${sent.to} ${sent.message}`}; ${end || 'under way'}${reason && !end ? ` (${reason})` : ''}`;
}

// The question that a message leads to; none where what it carried says all.
function flightLine({ sent }, trace) {
  if (sent.message === 'AppendEntries' && sent.count && sent.first) {
    return isRemoved(sent, trace) ? `why lost ${sent.first}` : `why ${sent.first}`;
  }
  return sent.message === 'RequestVote' || sent.message === 'VoteReply' ? `why term ${sent.term}` : null;
}

// What a person does to a message that is under way, in virtual time, where the run stands.
function flightLines({ sent, ends }) {
  if (isOfClient(sent) || ends.length >= (sent.copies || 1)) return [];
  const link = `${sent.at}>${sent.to}`;
  return [`lose ${link} ${sent.flight}`, `hold ${link} 50ms ${sent.flight}`];
}

// Whether a node removed the first of the entries that this message carried: later, and the entry of that term.
function isRemoved({ at, t, first }, trace) {
  const term = trace.termAt(t, at, first);
  return term !== undefined && trace.told.some((event) => event.e === 'truncated' && event.from <= first && first <= event.to &&
    event.t > t && trace.termAt(event.t - 1, event.at, first) === term);
}

// The messages under way as a list of buttons: for those who use the keyboard, or hear the page. It stands still with the time.
const LISTED_MAX = 50;

function drawUnderWay(flights, moves, choose) {
  if (!byId('under-way').open) return;
  const list = byId('under-way-list');
  const shown = moves ? [] : flights.slice(0, LISTED_MAX);
  const empty = moves ? 'Pause: then each message can be chosen.' : 'No message is under way.';
  const texts = shown.map(describe);
  const look = shown.length ? texts.join('\n') : empty;
  if (list.dataset.look === look) return;
  list.dataset.look = look;
  const items = shown.map((one, nth) => {
    const button = element('button', { type: 'button' }, texts[nth]);
    button.addEventListener('click', () => choose(one));
    return element('li', {}, button);
  });
  if (flights.length > shown.length && shown.length) items.push(element('li', {}, `and ${flights.length - shown.length} more`));
  list.replaceChildren(...(items.length ? items : [element('li', {}, empty)]));
}
