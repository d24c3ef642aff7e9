// Readings on hover and by keyboard. What it shows stands in the titles: without it nothing is missing.
for (const figure of document.querySelectorAll('[data-readable]')) {
  const stops = [...figure.querySelectorAll('.stop')];
  const reading = figure.querySelector('.reading');
  if (!stops.length || !reading) continue;
  const hint = reading.textContent = 'Point at it, or use the arrow keys, to read values.';
  let at = -1;
  const show = (next) => {
    if (at >= 0) stops[at].classList.remove('at');
    at = next;
    if (at >= 0) stops[at].classList.add('at');
    reading.textContent = at >= 0 ? stops[at].querySelector('title').textContent : hint;
  };
  figure.addEventListener('pointermove', (event) => {
    const stop = stops.indexOf(event.target.closest('.stop'));
    if (stop >= 0 && stop !== at) show(stop);
  });
  figure.addEventListener('pointerleave', () => show(-1));
  figure.addEventListener('blur', () => show(-1));
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
  figure.addEventListener('keydown', (event) => {
    const last = stops.length - 1;
    let next;
    if (event.key in steps) next = at < 0 && steps[event.key] < 0 ? last : at + steps[event.key];
    else if (event.key === 'Home') next = 0;
    else if (event.key === 'End') next = last;
    else if (event.key === 'Escape') { show(-1); return; }
    else return;
    event.preventDefault();
    show(Math.min(last, Math.max(0, next)));
    const box = stops[at].getBoundingClientRect();
    const scroll = figure.querySelector('.scene-scroll');
    if (scroll) scroll.scrollTop += box.top - scroll.getBoundingClientRect().top - scroll.clientHeight / 2;
  });
}
