// The time that is shown. It follows the newest event, or stands in the past, or plays.
const SPEEDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, Infinity];

// A picture that follows is at most this many seconds of watching behind; then it jumps. Virtual time may come in large pieces,
// which are worth seeing; real time comes as it passes, and what is behind catches up.
const BEHIND_MAX = { virtual: 4, real: 1.5 };
const BEHIND_MEANT = 0.15;

// The time between two pictures counts as at most this many seconds of watching, so that nothing is skipped where a picture comes
// late. Of real time that is followed all counts: it passes without pictures, too.
const PASSED_MAX = 0.1;

// Messages are shown at least this long, in seconds of watching.
const FLIGHT_SHOWN = 0.16;

class Clock {
  constructor() {
    this.t = 0;
    this.playing = false;
    this.follows = false;
    this.speed = 0.1;
  }

  // Passes the seconds since the last picture.
  advance(elapsed, trace) {
    if (!this.playing && !this.follows) return;
    const before = this.t;
    const passed = this.follows && !trace.isVirtual ? elapsed : Math.min(elapsed, PASSED_MAX);
    const [end, pace] = [trace.end, this.pace(trace)];
    let next = pace === Infinity ? end : this.t + passed * pace * 1e6;
    if (this.follows && pace !== Infinity) {
      const behind = (end - next) / (pace * 1e6);
      if (!trace.isVirtual) next += passed * Math.max(0, behind - BEHIND_MEANT) * pace * 1e6;
      next = Math.max(next, end - (trace.isVirtual ? BEHIND_MAX.virtual : BEHIND_MAX.real) * pace * 1e6);
    }
    this.t = Math.max(Math.min(next, end), Math.min(before, end));
    if (this.t >= end && !this.follows) this.playing = false;
  }

  // Microseconds of the run that a message is shown at least.
  least(trace) {
    const pace = this.pace(trace);
    return FLIGHT_SHOWN * 1e6 * (pace === Infinity ? 1 : pace);
  }

  // Real time passes by itself: who follows it cannot be slower.
  pace(trace) {
    return this.follows && !trace.isVirtual ? Math.max(1, this.speed) : this.speed;
  }

  seek(t, trace) {
    this.t = Math.max(trace.begin, Math.min(t, trace.end));
    this.follows = false;
    this.playing = false;
  }

  live(trace) {
    this.t = trace.end;
    this.follows = true;
    this.playing = false;
  }
}
