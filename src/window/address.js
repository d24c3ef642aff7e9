// What an address holds behind its `#`: a token of the program, or lines to run, which run only when asked, and a time to go to.
function readAddress(fragment) {
  const parts = new URLSearchParams(fragment.replace(/^#/, ''));
  const script = parts.get('script') ?? '';
  return {
    token: parts.get('token'),
    lines: script.split(script.includes('\n') ? '\n' : ';').map((line) => line.trim()).filter(Boolean).slice(0, 200),
    t: parts.has('t') && Number.isFinite(Number(parts.get('t'))) ? Number(parts.get('t')) * 1e6 : null,
    seed: parts.get('seed'),
    nodes: parts.get('nodes'),
  };
}

// Lines that make nothing of a run: they act on the program or its past, or run others, which are told by themselves.
const NOT_OF_A_RUN = /^(rewind|step back|fork|trace|web|scenario|save-script|report|run|history|help|clear|quit|exit|q)\b/;
const PAUSE_MIN = 1000;

// What makes a run up to a time again, on a program that was started with its seed and its nodes. Time that was played is slept.
function writeAddress(trace, t) {
  const lines = [];
  const ends = new Map(trace.events.filter((event) => event.e === 'answer').map((event) => [event.number, event.t]));
  let clock = 0;
  const pause = (until) => {
    if (until - clock >= PAUSE_MIN) lines.push(`sleep ${Math.round(until - clock)}us`);
    clock = Math.max(clock, until);
  };
  for (const event of trace.told) {
    if (event.e === 'directive' && event.t <= t && !event.looks && !NOT_OF_A_RUN.test(event.line)) {
      pause(event.t);
      lines.push(event.line);
      clock = Math.max(clock, Math.min(ends.get(event.number) ?? t, t));
    }
  }
  pause(t);
  const parts = new URLSearchParams({ seed: trace.head.seed, nodes: trace.head.nodes.length, script: `${lines.join('\n')}\n`, t: t / 1e6 });
  return `#${parts}`;
}
