// The run as a file of the reader's: its lines, or a page that shows it and needs no program.
async function saveLines(stream) {
  offerFile('run.jsonl', await stream.read('/trace'));
}

async function savePage(stream) {
  const [page, lines] = await Promise.all([stream.read('/'), stream.read('/trace')]);
  offerFile('run.html', recordedPage(page, lines));
}

// The page of a program becomes one of a trace, as the program itself writes it.
function recordedPage(page, lines) {
  const end = page.lastIndexOf('</body>');
  const body = page.slice(0, end).replace('<body class="live">', '<body class="recorded">');
  const inert = lines.replaceAll('<', '\\u003c');
  return `${body}<script type="application/json" id="trace">\n${inert}<${'/'}script></body></html>\n`;
}

function offerFile(name, text) {
  const address = URL.createObjectURL(new Blob([text]));
  element('a', { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
