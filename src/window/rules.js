// What the rules in force do to each link, read from their lines: `partition n1 / n2 n3`, `delay 50ms n1>n2`.
const EVERYWHERE = 'everywhere';

// A map from `n1>n2` to whether the link is cut and what else is done there; under EVERYWHERE what holds for all links.
function linkEffects(rules, names) {
  const effects = new Map();
  const at = (key) => {
    if (!effects.has(key)) effects.set(key, { cut: false, texts: [] });
    return effects.get(key);
  };
  for (const rule of rules) {
    const words = rule.replace(/ for [\d.]+\S*( more)?$/, '').split(/\s+/);
    if (words[0] === 'partition') {
      for (const key of apart(words.slice(1).join(' '), names)) at(key).cut = true;
    } else if (words[0] === 'isolate') {
      for (const name of named(words.slice(1).join(' '), names)) {
        for (const other of names) if (other !== name) for (const key of [`${name}>${other}`, `${other}>${name}`]) at(key).cut = true;
      }
    } else {
      const link = words.slice(1).find((word) => word.includes('>'));
      const text = words.filter((word) => word !== link).join(' ');
      if (!link) at(EVERYWHERE).texts.push(rule);
      else for (const key of linksOf(link, names)) {
        if (words[0] === 'cut') at(key).cut = true;
        else at(key).texts.push(text);
      }
    }
  }
  return effects;
}

// The rules that say something of single links.
function linkRules(rules) {
  return rules.filter((rule) => /^(delay|drop|duplicate|reorder)\b.*>/.test(rule));
}

function named(text, names) {
  return text.split(/[\s,]+/).flatMap((word) => (word === 'all' ? names : names.filter((name) => name === word)));
}

function linksOf(link, names) {
  const both = link.includes('<');
  const [from, to] = link.split(/<?-?>/).map((side) => named(side, names));
  const keys = [];
  for (const one of from) {
    for (const other of to ?? []) {
      if (one === other) continue;
      keys.push(`${one}>${other}`);
      if (both) keys.push(`${other}>${one}`);
    }
  }
  return keys;
}

// Links between the groups of a partition; nodes that no group has form one more.
function apart(text, names) {
  if (!text.includes('/')) return [];
  const groups = text.split('/').map((group) => named(group, names));
  const rest = names.filter((name) => !groups.some((group) => group.includes(name)));
  if (rest.length) groups.push(rest);
  const group = (name) => groups.findIndex((one) => one.includes(name));
  return names.flatMap((from) => names.filter((to) => group(from) !== group(to)).map((to) => `${from}>${to}`));
}
