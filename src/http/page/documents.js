/** How many documents are shown at once, and how many are read at most. */
const SHOWN = 50;
const MOST = 20000;

const place = () => 'rag/' + encodeURIComponent(at('collection').value);
let collections = [];
let documents = [];
let isComplete = true;
let first = 0;
const selected = new Set();

const STATES = { ready: ['good', 'ready'], words_only: ['warn', 'words only'], failed: ['bad', 'failed'] };
const seenBy = audience => audience === 'everyone' ? 'everyone'
  : [...(audience.only.roles || []).map(role => 'role ' + role), ...(audience.only.users || []).map(user => 'user ' + user)].join(', ') || 'nobody';
const chosen = () => collections.find(({ name }) => name === at('collection').value);

async function open(wanted) {
  const before = wanted || at('collection').value;
  ({ collections } = await ask('GET', 'rag'));
  const names = collections.length ? collections.map(({ name }) => name) : ['documents'];
  at('collection').replaceChildren(...names.map(name => element('option', { selected: name === before }, name)));
  at('forget').disabled = !collections.length;
  await load();
}

async function load() {
  const collection = chosen();
  documents = [];
  say(at('trouble'), collection?.trouble || '', 'warn');
  if (!collection) {
    at('about').textContent = 'There is no collection yet. The first file that you add creates `documents`.';
    return list();
  }
  const by = collection.model ? `by words, and by meaning with ${collection.model}` : 'by words alone';
  at('about').textContent = `Searched ${by}. Chunks of up to ${collection.chunk_tokens} tokens, language ${collection.language}. Seen by ${seenBy(collection.audience)}.`;
  let after = '';
  while (after !== null && documents.length < MOST) {
    const page = await ask('GET', `${place()}/documents?after=${encodeURIComponent(after)}`);
    documents.push(...page.documents);
    after = page.next;
  }
  isComplete = after === null;
  for (const id of selected) if (!documents.some(document => document.id === id)) selected.delete(id);
  list();
}

function listed() {
  const [words, state] = [at('filter').value.toLowerCase(), at('state').value];
  return documents.filter(one => (!state || one.state === state) && (!words || `${one.title} ${one.id}`.toLowerCase().includes(words)));
}

function stateCell(one) {
  const [kind, word] = STATES[one.state];
  const notes = one.reason || (one.metadata['pipewright.notes'] || []).join(' ');
  return [element('span', { class: 'badge ' + kind }, word), notes && element('div', { class: 'small' }, notes)];
}

function list() {
  const all = listed();
  if (first >= all.length) first = 0;
  const page = all.slice(first, first + SHOWN);
  const row = one => [
    element('input', { type: 'checkbox', 'aria-label': `Select ${one.title}`, 'data-id': one.id, checked: selected.has(one.id), change: event => { if (event.target.checked) selected.add(one.id); else selected.delete(one.id); showSelection(); } }),
    [one.title, one.title === one.id ? '' : element('div', { class: 'small dim' }, one.id)],
    stateCell(one), one.chunks.toLocaleString('en'), seenBy(one.audience), when(one.stored_at),
    element('button', { type: 'button', class: 'tiny danger', 'aria-label': `Delete ${one.title}`, click: () => remove([one.id]) }, 'Delete'),
  ];
  at('title').textContent = `${count(documents.length, 'document')}${isComplete ? '' : ' (the first of more)'} in ${at('collection').value}`;
  at('documents').replaceChildren(page.length
    ? table([{ hidden: 'Selected' }, { name: 'Document', class: 'text title' }, { name: 'State', class: 'text state' }, { name: 'Chunks', class: 'number' }, { name: 'Seen by', class: 'seen' }, 'Stored', { hidden: 'Actions' }], page.map(row))
    : element('p', { class: 'dim' }, documents.length ? 'No document fits the filter.' : 'The collection is empty.'));
  at('place').textContent = all.length > SHOWN ? `${first + 1} to ${first + page.length} of ${all.length.toLocaleString('en')}` : '';
  for (const id of ['previous', 'next']) at(id).hidden = all.length <= SHOWN;
  at('previous').disabled = !first;
  at('next').disabled = first + SHOWN >= all.length;
  showSelection();
}

function showSelection() {
  const all = listed();
  at('remove').disabled = !selected.size;
  at('remove').textContent = selected.size ? `Delete ${count(selected.size, 'document')}` : 'Delete selected';
  at('all').checked = all.length > 0 && all.every(one => selected.has(one.id));
  at('all').disabled = !all.length;
  for (const box of at('documents').querySelectorAll('[data-id]')) box.checked = selected.has(box.dataset.id);
}

async function remove(ids) {
  const name = ids.length === 1 ? `“${documents.find(one => one.id === ids[0]).title}”` : count(ids.length, 'document');
  if (!await confirmed(`Delete ${name} from ${at('collection').value}? This cannot be undone.`, 'Delete')) return;
  await attempt(at('list-message'), async () => {
    for (let start = 0; start < ids.length; start += 500) await ask('DELETE', `${place()}/documents`, { ids: ids.slice(start, start + 500) });
    for (const id of ids) selected.delete(id);
    await load();
  });
}

async function upload(files) {
  const failed = [];
  let stored = 0;
  say(at('uploaded'), '');
  for (const [number, file] of files.entries()) {
    at('progress').textContent = `${number + 1} of ${files.length}: ${file.name}`;
    const form = new FormData();
    form.append('id', file.webkitRelativePath || file.name);
    form.append('file', file, file.name);
    // One bad file does not stop the others.
    try {
      const { documents: results } = await ask('POST', `${place()}/documents`, form);
      stored += results.filter(({ outcome }) => outcome !== 'failed').length;
      failed.push(...results.filter(({ outcome }) => outcome === 'failed'));
    } catch (error) {
      if (error.documents) failed.push(...error.documents); else failed.push({ id: file.name, reason: error.message });
    }
  }
  at('progress').textContent = '';
  await open();
  say(at('uploaded'), `${count(stored, 'file')} stored.${failed.length ? ` ${failed.length} not:` : ''}`, failed.length ? 'bad' : 'good');
  if (failed.length) at('uploaded').append(element('ul', {}, failed.map(({ id, reason }) => element('li', {}, element('b', {}, id), ': ', reason))));
}

// ---- the search ----

function bar(kind, part) {
  const inner = element('b', { class: kind });
  inner.style.width = `${Math.round(100 * Math.max(0, Math.min(1, part)))}%`;
  return element('i', { 'aria-hidden': 'true' }, inner);
}

/** The text with the question's words in it marked. */
function marked(text, words) {
  const escaped = words.map(word => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).filter(Boolean);
  if (!escaped.length) return [text];
  const pattern = new RegExp(`(${escaped.join('|')})`, 'giu');
  return text.split(pattern).map((piece, number) => number % 2 ? element('mark', {}, piece) : piece);
}

function why(chunk) {
  const reasons = [];
  if (chunk.words_rank) reasons.push(`number ${chunk.words_rank} by its words (${chunk.matched.join(', ') || 'their forms'})`);
  if (chunk.meaning_rank) reasons.push(`number ${chunk.meaning_rank} by its meaning`);
  if (chunk.reranked !== null) reasons.push(`rated ${chunk.reranked.toFixed(3)} by the reranker`);
  return `Found because it is ${reasons.join(', and ')}.`;
}

function hit(chunk, number, most) {
  const title = chunk.url && /^https?:/i.test(chunk.url) ? element('a', { href: chunk.url, rel: 'noreferrer' }, chunk.title) : chunk.title;
  const legs = element('div', { class: 'legs' });
  const leg = (name, kind, part, value) => legs.append(element('span', {}, name), bar(kind, part), element('span', {}, value));
  const rank = place => place ? `, number ${place}` : '';
  leg('Together', 'all', chunk.score / most.score, chunk.score.toFixed(3));
  leg('Words (BM25)', 'words', chunk.words / most.words, chunk.words.toFixed(2) + rank(chunk.words_rank));
  if (chunk.meaning !== null) leg('Meaning (cosine)', 'meaning', chunk.meaning, chunk.meaning.toFixed(3) + rank(chunk.meaning_rank));
  return element('article', {},
    element('header', {}, element('b', {}, `${number}. `, title), element('span', { class: 'small dim' }, `${chunk.heading} · ${chunk.document} · chunk ${chunk.chunk}${chunk.page ? ` · page ${chunk.page}` : ''} · ${chunk.tokens} tokens`)),
    legs, element('p', { class: 'small' }, why(chunk)), element('pre', { tabindex: '0', 'aria-label': `Text of result ${number}` }, marked(chunk.text, chunk.matched)));
}

async function search() {
  const body = { query: at('query').value, top_k: Number(at('most').value) || 5 };
  if (at('as').value === 'everything') body.everything = true;
  if (at('as').value === 'user') body.user = { id: at('user').value, role: at('role').value || 'user' };
  const { chunks, notes } = await ask('POST', `${place()}/search`, body);
  const highest = part => Math.max(...chunks.map(chunk => chunk[part])) || 1;
  const most = { score: highest('score'), words: highest('words') };
  at('found').replaceChildren(...notes.map(note => element('p', { class: 'small dim' }, note)), ...chunks.map((chunk, number) => hit(chunk, number + 1, most)));
  if (!chunks.length) at('found').append(element('p', {}, 'Nothing was found for this question.'));
}

// ---- events ----

at('collection').addEventListener('change', () => { selected.clear(); first = 0; attempt(at('message'), load); });
at('new').addEventListener('submit', event => {
  event.preventDefault();
  attempt(at('new-message'), async () => {
    const roles = at('roles').value.split(',').map(role => role.trim()).filter(Boolean);
    await ask('POST', 'rag', { name: at('name').value, ...(roles.length ? { audience: { only: { roles } } } : {}) });
    await open(at('name').value);
    at('name').value = at('roles').value = '';
  });
});
at('forget').addEventListener('click', async () => {
  if (await confirmed(`Delete the collection ${at('collection').value} and ${documents.length === 1 ? 'its document' : `all ${documents.length.toLocaleString('en')} documents`} in it? This cannot be undone.`, 'Delete')) {
    attempt(at('message'), async () => { await ask('DELETE', place()); await open(); });
  }
});
at('ask').addEventListener('submit', event => { event.preventDefault(); attempt(at('ask-message'), search); });
at('as').addEventListener('change', () => { for (const label of document.querySelectorAll('[data-user]')) label.hidden = at('as').value !== 'user'; });
at('files').addEventListener('change', event => attempt(at('uploaded'), async () => { await upload([...event.target.files]); event.target.value = ''; }));
for (const kind of ['dragover', 'dragleave', 'drop']) at('drop').addEventListener(kind, event => {
  event.preventDefault();
  at('drop').classList.toggle('over', kind === 'dragover');
  if (kind === 'drop') attempt(at('uploaded'), () => upload([...event.dataTransfer.files]));
});
for (const [id, event] of [['filter', 'input'], ['state', 'change']]) at(id).addEventListener(event, () => { first = 0; list(); });
at('previous').addEventListener('click', () => { first -= SHOWN; list(); });
at('next').addEventListener('click', () => { first += SHOWN; list(); });
at('all').addEventListener('change', () => {
  for (const one of listed()) if (at('all').checked) selected.add(one.id); else selected.delete(one.id);
  showSelection();
});
at('remove').addEventListener('click', () => remove([...selected]));

withKey('rag', () => attempt(at('message'), () => open()));
// What is being embedded becomes ready by itself.
setInterval(() => {
  const waits = chosen() && !chosen().trouble && documents.length < 2000 && documents.some(({ state }) => state === 'words_only');
  // A collection has its model from its first vectors on.
  if (waits && !document.hidden && readKey()) (chosen().model ? load() : open()).catch(() => {});
}, 4000);
