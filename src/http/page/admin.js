let overview = null;
let shown = null;

const chosen = () => decodeURIComponent(location.hash.replace(/^#/, ''));
const facts = (...all) => element('div', { class: 'cards' }, all.map(([value, name]) => element('div', { class: 'card' }, element('b', {}, value), element('span', {}, name))));
const STATES = { closed: ['good', 'calls go through'], open: ['bad', 'calls are refused: it keeps failing'], half_open: ['warn', 'one call tries whether it works again'] };

function duration(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  return days ? `${days} d ${hours} h` : hours ? `${hours} h ${minutes} min` : `${minutes} min`;
}

/** The list of pipes at the side. */
function listPipes() {
  const entry = (id, name, below, dot) => element('a', { href: '#' + encodeURIComponent(id), 'aria-current': chosen() === id ? 'page' : undefined },
    element('span', { class: 'dot ' + dot, 'aria-hidden': 'true' }), element('span', {}, name, element('span', { class: 'small' }, below)));
  at('pipes').replaceChildren(entry('', 'Overview', 'upstreams, recent errors', 'none'),
    ...overview.pipes.map(pipe => entry(pipe.id, pipe.name, pipe.problem ? `${pipe.id}: needs attention` : pipe.id, pipe.problem ? 'bad' : '')));
}

function upstreamsTable(rows) {
  if (!rows.length) return element('p', { class: 'dim' }, 'No upstream has been called yet.');
  const failures = all => Object.entries(all).filter(([, number]) => number).map(([kind, number]) => `${number.toLocaleString('en')} ${kind.replaceAll('_', ' ')}`).join(', ') || 'none';
  return table(['Upstream', 'Circuit breaker', { name: 'Under way', class: 'number' }, { name: 'Calls', class: 'number' }, { name: 'Retries', class: 'number' }, { name: 'Failures', class: 'text' }, { name: 'Refused', class: 'number' }],
    rows.map(({ pipe, name, breaker, in_flight, calls, retries, shed, refused, failures: all }) => [
      [element('div', { class: 'parts' }, name.split('/').map((part, place, parts) => element('span', {}, part + (place + 1 < parts.length ? '/' : '')))), pipe && element('div', { class: 'small dim' }, pipe)],
      element('span', { class: 'badge ' + STATES[breaker][0], title: STATES[breaker][1] }, breaker.replace('_', ' ')),
      in_flight.toLocaleString('en'), calls.toLocaleString('en'), retries.toLocaleString('en'), failures(all), (shed + refused).toLocaleString('en')]));
}

function errorsTable(errors) {
  if (!errors.length) return element('p', { class: 'dim' }, 'No request has failed since the host was started.');
  return table([{ name: 'Time', class: 'time' }, { name: 'Status', class: 'number' }, { name: 'Request', class: 'text route' }, { name: 'Why', class: 'text why' }],
    errors.map(({ at: time, status, method, path, model, key, reason, request_id: id }) => [
      when(time / 1000), String(status), [`${method} ${path}`, element('div', { class: 'small dim' }, [model, key && `key ${key}`].filter(Boolean).join(' · '))],
      [reason, element('div', { class: 'small dim mono' }, id)]]));
}

function showOverview() {
  const sick = overview.pipes.filter(pipe => pipe.problem);
  const upstreams = overview.pipes.flatMap(pipe => pipe.upstreams.map(upstream => ({ ...upstream, pipe: pipe.id })));
  const problems = [...sick.map(({ name, problem }) => `${name}: ${problem}`), ...overview.store_problem ? [`Store: ${overview.store_problem}`] : []];
  at('detail').replaceChildren(
    element('div', { class: 'head' }, element('h2', {}, 'Overview'), element('button', { type: 'button', class: 'tiny', click: () => attempt(at('message'), refresh) }, 'Refresh'),
      element('button', { type: 'button', class: 'tiny', click: reload }, 'Reload files'), element('span', { id: 'reloaded', class: 'small dim', role: 'status' })),
    facts([overview.version, 'version'], [duration(overview.uptime_seconds), 'since the start'], [`${overview.pipes.length - sick.length} of ${overview.pipes.length}`, 'pipes run well'], [String(overview.in_flight), 'requests in flight']),
    problems.length ? element('div', { class: 'note bad' }, 'In need of attention', element('ul', {}, problems.map(text => element('li', {}, text)))) : '',
    overview.is_default_key ? element('div', { class: 'note warn' }, 'The API key is the default that everybody knows. Start the host with PIPELINES_API_KEY set to a key of your own before others can reach it.') : '',
    element('h2', {}, 'Upstreams'), upstreamsTable(upstreams),
    element('h2', {}, 'Recent errors'), errorsTable(overview.errors),
    element('p', { class: 'small dim' }, 'The newest 100 since the start. Words of upstreams and pipes are left out, because they may quote a chat; the client has them, and the log at the level DEBUG.'));
}

async function reload() {
  await attempt(at('message'), async () => {
    await ask('POST', 'pipelines/reload');
    await refresh();
    at('reloaded').textContent = 'valves.toml, saved valves and Python files were read again.';
  });
}

// ---- the form of one pipe ----

const sources = {
  default: () => 'Default',
  default_variable: valve => `Default, from ${valve.source_name}`,
  file: () => 'From valves.toml',
  saved: () => 'Saved in the admin page',
  pinned: valve => `Pinned by ${valve.source_name}: change it there`,
};

const asText = value => value === null || value === undefined ? '' : Array.isArray(value) ? value.join('\n') : String(value);

/** The default of a valve for people, where it may have another value; never that of a secret. */
function defaultOf({ kind, source, default: value }) {
  if (kind === 'secret' || !['saved', 'pinned'].includes(source)) return '';
  if (kind === 'boolean') return `Default: ${value ? 'on' : 'off'}`;
  const shown = Array.isArray(value) ? value.join(', ') : asText(value);
  return `Default: ${shown || 'not set'}`;
}

/** A control with `read()`, which returns the value to post, and `id` for its label. */
function control(valve) {
  const { name, kind, value, minimum, maximum, choices, is_set: isSet, is_nullable: isNullable } = valve;
  const pinned = valve.source === 'pinned';
  const common = { id: 'valve-' + name, 'aria-describedby': `help-${name} wrong-${name}`, disabled: pinned };
  if (kind === 'boolean') {
    const node = element('input', { ...common, type: 'checkbox' });
    node.checked = value === true;
    return { node, read: () => node.checked };
  }
  if (kind === 'choice') {
    const options = [...isNullable || value === null ? [''] : [], ...choices.map(String)];
    const node = element('select', common, options.map(choice => element('option', { value: choice, selected: asText(value) === choice }, choice || 'not set')));
    return { node, read: () => node.value || null };
  }
  if (kind === 'integer' || kind === 'number') {
    const node = element('input', { ...common, type: 'number', min: minimum, max: maximum, step: kind === 'integer' ? 1 : 'any', value: asText(value), placeholder: 'not set' });
    return { node, read: () => node.value === '' ? node.validity.badInput ? 'not a number' : null : Number(node.value) };
  }
  if (kind === 'secret') {
    const node = element('input', { ...common, type: 'password', autocomplete: 'new-password', placeholder: !isSet ? 'not set' : pinned ? 'set' : 'set: enter another one to replace it' });
    return { node, read: () => node.value || undefined };
  }
  if (kind === 'list') {
    const node = element('textarea', { ...common, rows: Math.min(8, Math.max(2, (value || []).length + 1)), placeholder: 'one a line, or with commas between' }, asText(value));
    return { node, read: () => node.value.split(/[\n,]/).map(item => item.trim()).filter(Boolean) };
  }
  const long = kind === 'json' || asText(value).length > 60 || asText(value).includes('\n');
  const node = long ? element('textarea', { ...common, rows: 3 }, asText(value)) : element('input', { ...common, type: 'text', value: asText(value), placeholder: 'not set', autocomplete: 'off', spellcheck: 'false' });
  return { node, read: () => node.value === '' ? null : node.value };
}

function valveRow(valve, edits) {
  const field = control(valve);
  const first = JSON.stringify(field.read());
  const row = element('div', { class: 'valve', 'data-valve': valve.name });
  const actions = element('div', { class: 'actions' });
  const change = (value, isEdited) => {
    row.classList.toggle('edited', isEdited);
    if (isEdited) edits.set(valve.name, value); else edits.delete(valve.name);
    at('wrong-' + valve.name).textContent = '';
    field.node.removeAttribute('aria-invalid');
    showEdits(edits);
  };
  field.node.addEventListener('input', () => change(field.read(), JSON.stringify(field.read()) !== first));
  const clears = valve.kind === 'secret' ? valve.is_set : true;
  if (valve.source === 'saved' && clears) {
    const label = valve.kind === 'secret' ? 'Remove' : 'Back to the default';
    actions.append(element('button', { type: 'button', class: 'tiny', 'aria-label': `${label}: ${valve.title}`, click: () => {
      // `null` takes back what was saved, except where it means that the valve has no value.
      const isNone = valve.kind !== 'secret' && valve.is_nullable && valve.default !== null;
      change(isNone ? valve.default : null, true);
      if (valve.kind === 'boolean') field.node.checked = valve.default === true; else field.node.value = valve.kind === 'secret' ? '' : asText(valve.default);
    } }, label));
  }
  row.append(
    element('div', {}, element('label', { class: 'name', for: field.node.id }, valve.title), element('div', { class: 'from' }, element('code', {}, valve.name)), element('div', { class: 'from' }, sources[valve.source](valve)), element('div', { class: 'from' }, defaultOf(valve))),
    element('div', {}, field.node, element('p', { id: 'wrong-' + valve.name, class: 'wrong' }), element('p', { class: 'help', id: 'help-' + valve.name }, valve.description || ''), actions));
  return row;
}

function showEdits(edits) {
  at('save').disabled = !edits.size;
  at('discard').disabled = !edits.size;
  at('save').textContent = edits.size ? `Save ${count(edits.size, 'change')}` : 'Save';
}

/** Says beside the refused valves and at the button why nothing was saved, and goes to the first of them. */
function showErrors(error) {
  const fields = error.fields.filter(({ field }) => at('wrong-' + field));
  if (!fields.length) throw error;
  const goTo = field => { at('valve-' + field).focus({ preventScroll: true }); at('valve-' + field).closest('.valve').scrollIntoView({ block: 'center' }); };
  for (const { field, message } of fields) {
    at('wrong-' + field).textContent = `Not saved: ${message}`;
    at('valve-' + field).setAttribute('aria-invalid', 'true');
    at('valve-' + field).closest('.valve').hidden = false;
    at('valve-' + field).closest('fieldset').hidden = false;
  }
  const entry = ({ field, message }) => element('li', {}, element('button', { type: 'button', class: 'link', click: () => goTo(field) }, shown.valves.find(({ name }) => name === field).title), `: ${message}`);
  say(at('saved'), 'Nothing was saved.', 'bad');
  at('saved').append(element('ul', {}, fields.map(entry)));
  goTo(fields[0].field);
}

function filterValves(edits) {
  const [words, set] = [at('find').value.toLowerCase(), at('only-set').checked];
  for (const fieldset of at('valves').querySelectorAll('fieldset')) {
    let visible = 0;
    for (const row of fieldset.querySelectorAll('.valve')) {
      const valve = shown.valves.find(({ name }) => name === row.dataset.valve);
      const isSet = !['default', 'default_variable'].includes(valve.source) || edits.has(valve.name);
      row.hidden = (set && !isSet) || !`${valve.section} ${valve.title} ${valve.name} ${valve.description}`.toLowerCase().includes(words);
      visible += !row.hidden;
    }
    fieldset.hidden = !visible;
  }
  at('no-valve').hidden = [...at('valves').querySelectorAll('fieldset')].some(fieldset => !fieldset.hidden);
}

async function showPipe(id, message = '') {
  shown = await ask('GET', 'admin/pipes/' + encodeURIComponent(id));
  const pipe = overview.pipes.find(one => one.id === id);
  const edits = new Map();
  const sections = Map.groupBy ? Map.groupBy(shown.valves, ({ section }) => section) : shown.valves.reduce((all, valve) => all.set(valve.section, [...all.get(valve.section) || [], valve]), new Map());
  const form = element('form', { id: 'valves', novalidate: true },
    element('div', { class: 'tools row' },
      element('label', { class: 'grow' }, 'Find a valve', element('input', { id: 'find', type: 'search', input: () => filterValves(edits) })),
      element('label', { class: 'check' }, element('input', { id: 'only-set', type: 'checkbox', change: () => filterValves(edits) }), 'only those that are set')),
    element('p', { id: 'no-valve', class: 'dim', hidden: true }, 'No valve fits.'),
    [...sections].map(([name, valves]) => element('fieldset', {}, element('legend', {}, name), valves.map(valve => valveRow(valve, edits)))),
    // It stays in sight, so that a refusal is read where the button is.
    element('div', { class: 'save-bar' }, element('div', { id: 'saved', role: 'alert' }),
      element('div', { class: 'row' }, element('button', { id: 'save', class: 'primary' }, 'Save'), element('button', { id: 'discard', type: 'button', click: () => showPipe(id) }, 'Discard'))));
  form.addEventListener('submit', event => {
    event.preventDefault();
    attempt(at('saved'), async () => {
      const names = [...edits.keys()];
      try { await ask('POST', `${encodeURIComponent(id)}/valves/update`, Object.fromEntries(edits)); } catch (error) { return showErrors(error); }
      await loadOverview();
      await showPipe(id, `Saved ${names.join(', ')}. The pipe runs with it now.`);
    });
  });
  const failing = pipe?.upstreams.filter(({ breaker }) => breaker !== 'closed').length;
  const upstreams = pipe?.upstreams.length ? element('section', {}, element('h2', { tabindex: '-1' }, 'Upstreams'), upstreamsTable(pipe.upstreams.map(one => ({ ...one, pipe: '' })))) : '';
  at('detail').replaceChildren(
    element('div', { class: 'head' }, element('h2', {}, shown.name), element('code', {}, id), element('span', { class: 'badge' }, shown.type || 'not running'), element('span', { class: 'badge ' + (shown.problem ? 'bad' : 'good') }, shown.problem ? 'needs attention' : 'runs'),
      pipe?.upstreams.length ? element('button', { type: 'button', class: 'tiny ' + (failing ? 'danger' : ''), click: () => { upstreams.scrollIntoView(); upstreams.querySelector('h2').focus(); } }, failing ? `${failing} of ${count(pipe.upstreams.length, 'upstream')} failing` : count(pipe.upstreams.length, 'upstream')) : ''),
    shown.problem ? element('div', { class: 'note bad' }, shown.problem) : '',
    shown.missing_models.length ? element('div', { class: 'note warn' }, `Valves name models that the host does not have: ${shown.missing_models.join(', ')}.`) : '',
    form, upstreams);
  showEdits(edits);
  if (message) say(at('saved'), message, 'good');
}

async function loadOverview() {
  overview = await ask('GET', 'admin');
  listPipes();
}

async function refresh() {
  await loadOverview();
  const id = chosen();
  if (!overview.pipes.some(pipe => pipe.id === id)) return showOverview();
  await showPipe(id);
}

addEventListener('hashchange', () => readKey() && attempt(at('message'), refresh));
withKey('admin', () => attempt(at('message'), refresh));
