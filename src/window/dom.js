// Elements by name, and elements made. Text is only ever set as text.
const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Sets what differs, so that a reader of the screen is not told the same again.
function setText(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function setAttribute(place, name, value) {
  if (place.getAttribute(name) !== String(value)) place.setAttribute(name, value);
}

function seconds(microseconds, digits = 3) {
  return `${(microseconds / 1e6).toFixed(digits)} s`;
}

// Roving focus: of these elements one is in the order of Tab, and arrow keys move among them.
function moveFocus(event, items) {
  const at = items.indexOf(document.activeElement);
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const to = { Home: 0, End: items.length - 1 }[event.key] ?? (by && (at + by + items.length) % items.length);
  if (at < 0 || to === undefined) return null;
  event.preventDefault();
  items[at].tabIndex = -1;
  items[to].tabIndex = 0;
  items[to].focus();
  return items[to];
}
