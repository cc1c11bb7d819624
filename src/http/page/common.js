'use strict';
const at = id => document.getElementById(id);
const ROOT = new URL(document.body.dataset.root || './', location.href);
const KEY = 'key';

/** Returns an element of this name with these attributes and children; texts are only ever texts. */
function element(name, attributes = {}, ...children) {
  const node = name.startsWith('svg:') ? document.createElementNS('http://www.w3.org/2000/svg', name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') node.addEventListener(key, value); else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

const count = (number, one, many = one + 's') => `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
const when = seconds => new Date(seconds * 1000).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });

/** An error of the host, with the status and what it says of single fields. */
class HostError extends Error {
  constructor(message, status, fields = []) { super(message); Object.assign(this, { status, fields }); }
}

const readKey = () => sessionStorage.getItem(KEY) || '';

/** Asks the host with the key. Returns the response, or throws a sentence that says what to do. */
async function request(method, path, body, key = readKey()) {
  const headers = key ? { authorization: 'Bearer ' + key } : {};
  if (body && !(body instanceof FormData)) { headers['content-type'] = 'application/json'; body = JSON.stringify(body); }
  let response;
  try {
    response = await fetch(new URL(path, ROOT), { method, headers, body });
  } catch {
    throw new HostError(`The host at ${ROOT.host} does not answer: it is stopped or being restarted, or the network is down. Try again when it runs.`, 0);
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  if (response.status === 422 && told.documents) throw Object.assign(new HostError('', 422), told);
  const message = {
    401: 'This key does not open the host. Enter the value of PIPELINES_API_KEY, which the host was started with.',
    403: 'This key opens the models only. Enter the host\'s own key (PIPELINES_API_KEY).',
  }[response.status];
  throw new HostError(response.status === 401 && told.detail && !/^Invalid/.test(told.detail) ? told.detail : message || told.detail || `The host answers ${response.status} ${response.statusText}.`, response.status, told.errors || []);
}

async function ask(method, path, body) {
  const response = await request(method, path, body);
  return response.status === 204 ? {} : response.json();
}

/** Shows a sentence in an element, as an error or not. */
function say(node, text, kind = '') {
  node.className = text ? `note ${kind}` : '';
  node.replaceChildren(...(text ? [text] : []));
}

/** Does the work, and says beside it what went wrong. A wrong key brings the form for the key back. */
async function attempt(node, work) {
  try {
    say(node, '');
    return await work();
  } catch (error) {
    if ((error.status === 401 || error.status === 403) && at('key-panel')) return askForKey(error.message);
    say(node, error.message, 'bad');
    if (!error.status) node.append(' ', element('button', { type: 'button', class: 'tiny', click: () => attempt(node, work) }, 'Try again'));
  }
}

/** Asks whether something is to be done that cannot be undone. */
function confirmed(question, action) {
  return new Promise(resolve => {
    const dialog = element('dialog', { 'aria-labelledby': 'question' },
      element('p', { id: 'question' }, question),
      element('form', { method: 'dialog', class: 'row' }, element('button', { value: '' }, 'Cancel'), element('button', { value: 'yes', class: 'danger' }, action)));
    dialog.addEventListener('close', () => { resolve(dialog.returnValue === 'yes'); dialog.remove(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

let opened = null;

/** Shows the form for the key in place of the page. */
function askForKey(message = '') {
  sessionStorage.removeItem(KEY);
  at('sign-out').hidden = true;
  at('content').hidden = true;
  at('key-panel').hidden = false;
  say(at('key-message'), message, 'bad');
  at('key').value = '';
  at('key').focus();
}

/** Runs the page once a key opens it: `check` is the path that the key must open. */
function withKey(check, open) {
  opened = async () => {
    at('key-panel').hidden = true;
    at('content').hidden = false;
    at('sign-out').hidden = false;
    await open();
  };
  const panel = element('form', { id: 'key-panel', class: 'panel' },
    element('div', { class: 'row' },
      element('label', { class: 'grow' }, 'API key', element('input', { id: 'key', type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'key-help' })),
      element('button', { class: 'primary' }, 'Open')),
    element('p', { id: 'key-help', class: 'small dim' }, 'The host\'s own key: the value of PIPELINES_API_KEY. This tab remembers it until it is closed.'),
    element('div', { id: 'key-message', role: 'alert' }));
  at('content').before(panel);
  panel.addEventListener('submit', event => {
    event.preventDefault();
    attempt(at('key-message'), async () => {
      await request('GET', check, undefined, at('key').value);
      sessionStorage.setItem(KEY, at('key').value);
      await opened();
    });
  });
  at('sign-out').addEventListener('click', () => askForKey());
  if (!readKey()) return askForKey();
  panel.hidden = true;
  opened();
}

/** Returns a table that becomes a list of cards where it is narrow. Columns are names, or `{name, class}`. */
function table(columns, rows, attributes = {}) {
  const heads = columns.map(column => typeof column === 'string' ? { name: column } : column);
  const cell = (content, place) => {
    const { name, class: kind } = heads[place];
    return element('td', { 'data-label': place && name ? name : undefined, class: kind }, element('div', {}, content));
  };
  return element('table', { class: 'stack', ...attributes },
    element('thead', {}, element('tr', {}, heads.map(({ name, class: kind, hidden }) => element('th', { scope: 'col', class: kind }, name || element('span', { class: 'dim' }, hidden || ' '))))),
    element('tbody', {}, rows.map(row => element('tr', {}, row.map(cell)))));
}

for (const link of document.querySelectorAll('nav [data-page]')) if (document.title.startsWith(link.dataset.page + ' ')) link.setAttribute('aria-current', 'page');
