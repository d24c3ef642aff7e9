// What the page and the program say to one another. Events come as lines; after a break the page asks on from the last one.
const KEY = 'raftlab-key';
const RETRY_FIRST = 500;
const RETRY_MAX = 8000;

class Stream {
  // `on.line(text)` takes a line, `on.group()` is called behind each piece of the stream, `on.state(text, isFault)`.
  constructor(on) {
    this.on = on;
    this.wait = RETRY_FIRST;
    document.addEventListener('visibilitychange', () => (document.hidden ? this.pause() : this.open()));
  }

  // The token of the fragment is exchanged for a key once, and leaves the address bar. Returns why there is no key.
  async unlock(token) {
    const said = token ? await this.exchange(token) : {};
    if (said.key) sessionStorage.setItem(KEY, said.key);
    this.key = sessionStorage.getItem(KEY);
    if (said.error && said.status !== 401) return `This page has got no key: ${said.error}. Load it again.`;
    if (token) history.replaceState(null, '', location.pathname + location.search);
    return this.key ? '' : 'This page needs the address that the program prints, with its token. Type web at the prompt for a fresh one.';
  }

  // A program that is busy may close a connection without an answer: the question is repeated, at most four times.
  async exchange(token) {
    for (let wait = RETRY_FIRST; ; wait *= 2) {
      const said = await this.post('/key', { token });
      if (!said.error || said.status === 401 || wait === RETRY_MAX) return said;
      await new Promise((done) => setTimeout(done, wait));
    }
  }

  async open() {
    if (this.control || document.hidden || !this.key) return;
    const control = new AbortController();
    this.control = control;
    try {
      const answer = await fetch(`/events?from=${this.on.next()}`, { headers: { 'Raftlab-Key': this.key }, signal: control.signal, cache: 'no-store' });
      if (answer.status === 401) {
        this.on.state('This address is used up. Type web at the prompt for a fresh one.', true);
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      this.on.state('', false);
      this.wait = RETRY_FIRST;
      await this.follow(answer.body.getReader());
    } catch { /* told below, like an end of the stream */ }
    if (this.control === control) this.again();
  }

  async follow(reader) {
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop();
      for (const line of lines) this.on.line(line);
      if (lines.length) this.on.group();
    }
  }

  again() {
    this.control = null;
    if (document.hidden) return;
    this.on.state('The program does not answer. The page tries again.', true);
    setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(this.wait * 2, RETRY_MAX);
  }

  // A hidden page takes no connection from the others; it resumes when it is seen.
  pause() {
    const control = this.control;
    this.control = null;
    control?.abort();
  }

  // What the program answers to this question, as text.
  async read(path) {
    const answer = await fetch(path, { headers: { 'Raftlab-Key': this.key ?? '' }, cache: 'no-store' });
    if (!answer.ok) throw new Error(`the program answered ${answer.status}`);
    return answer.text();
  }

  // Returns the answer's JSON, or an error's text in `error`, with the status if there was an answer.
  async post(path, body) {
    try {
      const answer = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json', 'Raftlab-Key': this.key ?? '' }, body: JSON.stringify(body) });
      const text = await answer.text();
      const said = text ? JSON.parse(text) : {};
      return answer.ok ? said : { error: said.error ?? `the program answered ${answer.status}`, status: answer.status };
    } catch {
      return { error: 'the program does not answer' };
    }
  }
}
