// What an address holds behind its `#`: a token of the program, or lines and a time to run, which run only when asked.
function readAddress(fragment) {
  const parts = new URLSearchParams(fragment.replace(/^#/, ''));
  const script = parts.get('script') ?? '';
  return {
    token: parts.get('token'),
    lines: script.split(/[;\n]/).map((line) => line.trim()).filter(Boolean).slice(0, 200),
    t: parts.has('t') && Number.isFinite(Number(parts.get('t'))) ? Number(parts.get('t')) * 1e6 : null,
    seed: parts.get('seed'),
    nodes: parts.get('nodes'),
  };
}
