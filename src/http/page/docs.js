/** How deep the fields of a schema are shown. */
const DEEPEST = 5;
let api = null;

/** Text with code between backticks. */
const prose = text => text.split('`').map((piece, number) => number % 2 ? element('code', {}, piece) : piece);

const resolved = schema => schema?.$ref ? resolved(api.components.schemas[schema.$ref.split('/').at(-1)]) : schema || {};

/** The type of a schema in words. */
function typeOf(schema) {
  const name = schema?.$ref?.split('/').at(-1);
  const own = resolved(schema);
  if (own.const !== undefined) return JSON.stringify(own.const);
  if (own.enum) return own.enum.map(value => JSON.stringify(value)).join(' or ');
  if (own.anyOf) return [...new Set(own.anyOf.map(typeOf))].join(' or ');
  if (own.type === 'array') return `list of ${typeOf(own.items)}`;
  const bounds = own.minimum !== undefined || own.maximum !== undefined ? ` (${own.minimum ?? 'any'} to ${own.maximum ?? 'any'})` : '';
  return (name ? `${name} ` : '') + [own.type || 'any'].flat().join(' or ') + bounds;
}

/** The fields of a schema, of its items, and of the objects that it may be. */
function fields(schema, depth = 0) {
  const own = resolved(schema);
  if (depth > DEEPEST) return [];
  if (own.type === 'array') return fields(own.items, depth);
  if (own.anyOf) return own.anyOf.flatMap(one => fields(one, depth));
  if (!own.properties) return [];
  const entry = ([name, value]) => element('li', {}, element('code', {}, name), ' ', element('span', { class: 'small dim' }, typeOf(value), (own.required || []).includes(name) ? ', needed' : ''),
    resolved(value).description ? element('div', { class: 'small' }, prose(resolved(value).description)) : '', fields(value, depth + 1));
  return [element('ul', { class: 'schema' }, Object.entries(own.properties).map(entry))];
}

function content(contents = {}) {
  return Object.entries(contents).map(([kind, { schema }]) => element('div', {}, element('p', {}, element('code', {}, kind), ' ', element('span', { class: 'small dim' }, typeOf(schema))), fields(schema)));
}

function details(operation) {
  const parameters = operation.parameters.length ? [element('h3', {}, 'Parameters'), table(['Name', 'In', 'Type', { name: 'Meaning', class: 'text' }],
    operation.parameters.map(one => [element('code', {}, one.name), one.in + (one.required ? ', needed' : ''), typeOf(one.schema), prose(one.description || '')]))] : [];
  const body = operation.requestBody ? [element('h3', {}, 'Body'), ...content(operation.requestBody.content)] : [];
  const answers = [element('h3', {}, 'Responses'), ...Object.entries(operation.responses).map(([status, response]) =>
    status < '300' ? element('div', {}, element('p', {}, element('b', {}, status), ' ', prose(response.description)), content(response.content))
      : element('p', { class: 'small' }, element('b', {}, status), ' ', prose(response.description)))];
  return element('div', {}, element('p', { class: 'small dim' }, operation.security.length ? prose('Needs an API key, as `Authorization: Bearer …` or `x-api-key`.') : 'Needs no key.'), parameters, body, answers);
}

function draw() {
  const words = at('find').value.toLowerCase();
  const all = Object.entries(api.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, ...operation })));
  const fits = one => !words || `${one.method} ${one.path} ${one.summary} ${JSON.stringify(one.requestBody || '')}${one.requestBody ? JSON.stringify(resolved(Object.values(one.requestBody.content)[0].schema)) : ''}`.toLowerCase().includes(words);
  const shown = all.filter(fits);
  const row = one => {
    const node = element('details', { class: 'operation' }, element('summary', {}, element('span', { class: 'method ' + one.method }, one.method.toUpperCase()), element('code', {}, one.path), element('span', { class: 'small dim' }, one.summary)));
    // Made when it is opened: all of them are some ten thousand elements.
    node.addEventListener('toggle', () => { if (node.open && node.children.length === 1) node.append(details(one)); });
    return node;
  };
  at('operations').replaceChildren(...api.tags.flatMap(({ name, description }) => {
    const own = shown.filter(one => one.tags.includes(name));
    return own.length ? [element('h2', {}, name), element('p', { class: 'small dim' }, description), ...own.map(row)] : [];
  }));
  if (!shown.length) at('operations').append(element('p', { class: 'dim' }, 'No route fits.'));
}

at('find').addEventListener('input', () => api && draw());
attempt(at('message'), async () => {
  api = await (await request('GET', 'openapi.json', undefined, '')).json();
  at('about').replaceChildren(`${api.info.title} ${api.info.version}. `, ...prose(api.info.description));
  draw();
});
