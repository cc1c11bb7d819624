const COLOURS = ['#4f7cff', '#e08a2e', '#27ae60', '#9b51e0', '#eb5757', '#2d9cdb', '#bb6bd9', '#8d99a6'];
const whole = value => value.toLocaleString('en');
const FORMS = {
  cost_usd: value => '$' + value.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: value < 1 ? 4 : 2 }),
  tokens: whole, requests: whole, embedded: whole,
};
const TITLES = { cost_usd: 'Cost', tokens: 'Tokens of answers', requests: 'Answers', embedded: 'Tokens of embeddings' };
const BY = { model: 'model', user: 'person', pipe: 'pipe', side: 'place', task: 'task', key: 'API key' };
/** What a row is called that has no value. */
const WITHOUT = { user: 'unknown', model: 'unknown', pipe: 'unknown', side: 'unknown', task: 'chats of people', key: 'the host\'s own key' };
const ZERO = { requests: 0, errors: 0, cancelled: 0, prompt: 0, cached: 0, completion: 0, reasoning: 0, cost_usd: 0, unpriced: 0, embeddings: 0, embedded: 0, rerankings: 0 };
let report = null;
const day = date => date.toISOString().slice(0, 10);

const amount = (sum, show) => show === 'tokens' ? sum.prompt + sum.completion : sum[show];

/** Sums of rows by what they are told apart by, the largest first. */
function totals(rows, by, show) {
  const sums = new Map();
  for (const row of rows) {
    const id = row[by] || '';
    const name = (by === 'user' && row.name) || (by === 'model' && row.model_name) || id || WITHOUT[by];
    const sum = sums.get(id) || { ...ZERO, id, name, days: new Map() };
    for (const key of Object.keys(ZERO)) sum[key] += row[key];
    sum.days.set(row.day, (sum.days.get(row.day) || 0) + amount(row, show));
    sums.set(id, sum);
  }
  return [...sums.values()].sort((a, b) => amount(b, show) - amount(a, show) || b.requests - a.requests);
}

function daysBetween(from, to) {
  const days = [];
  for (let date = new Date(from); day(date) <= to; date.setUTCDate(date.getUTCDate() + 1)) days.push(day(date));
  return days;
}

/** Round numbers from 0 to above the highest, three or four of them. */
function marks(highest) {
  const rough = highest / 3, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find(times => times * power >= rough);
  return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, place) => place * step);
}

function plot(sums, days, show) {
  const [width, height, left, bottom] = [Math.max(at('plot').clientWidth, 240), 260, 72, 22];
  const shown = sums.filter(sum => amount(sum, show) > 0).slice(0, COLOURS.length - 1);
  const rest = sums.filter(sum => amount(sum, show) > 0).slice(COLOURS.length - 1);
  if (rest.length) {
    const days = new Map();
    for (const sum of rest) for (const [day, value] of sum.days) days.set(day, (days.get(day) || 0) + value);
    shown.push({ name: count(rest.length, 'other'), days });
  }
  const heights = days.map(day => shown.reduce((sum, { days }) => sum + (days.get(day) || 0), 0));
  const scale = marks(Math.max(...heights) || 1), top = scale.at(-1);
  const highest = days[heights.indexOf(Math.max(...heights))];
  const svg = element('svg:svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${at('title').textContent}: ${FORMS[show](heights.reduce((a, b) => a + b, 0))} in all, most on ${highest}. The table below has the numbers.` });
  for (const mark of scale) {
    const y = 10 + (height - bottom - 10) * (1 - mark / top);
    svg.append(element('svg:line', { x1: left, x2: width, y1: y, y2: y }), element('svg:text', { x: left - 8, y: y + 4, 'text-anchor': 'end' }, FORMS[show](mark)));
  }
  const step = (width - left) / days.length;
  days.forEach((day, place) => {
    let y = height - bottom;
    shown.forEach(({ name, days }, colour) => {
      const value = days.get(day) || 0, tall = (height - bottom - 10) * value / top;
      if (!value) return;
      y -= tall;
      const bar = element('svg:rect', { x: left + place * step + step * .12, y, width: step * .76, height: tall, fill: COLOURS[colour] });
      bar.append(element('svg:title', {}, `${day}  ${name}: ${FORMS[show](value)}`));
      svg.append(bar);
    });
    const every = Math.ceil(days.length / Math.floor((width - left) / 60));
    if (place % every === 0) svg.append(element('svg:text', { x: left + (place + .5) * step, y: height - 5, 'text-anchor': 'middle' }, day.slice(5)));
  });
  at('plot').replaceChildren(svg);
  at('legend').replaceChildren(...shown.map(({ name }, colour) => {
    const sample = element('i', { 'aria-hidden': 'true' });
    sample.style.background = COLOURS[colour];
    return element('li', {}, sample, name);
  }));
}

/** The columns after the name; one that is 0 everywhere and optional is left out. */
const COLUMNS = [
  ['answers', 'requests'], ['failed', 'errors'], ['cancelled', 'cancelled', true], ['tokens read', 'prompt'], ['from cache', 'cached', true], ['tokens written', 'completion'],
  ['reasoning', 'reasoning', true], ['embeddings', 'embeddings', true], ['tokens embedded', 'embedded', true], ['rerankings', 'rerankings', true],
];

function drawTable(sums, by) {
  const columns = COLUMNS.filter(([, key, isOptional]) => !isOptional || sums.some(sum => sum[key]));
  const hasUnpriced = sums.some(sum => sum.unpriced);
  // As many digits in every row, so that they line up.
  const digits = sums.some(sum => sum.cost_usd && sum.cost_usd < 1) ? 4 : 2;
  const price = value => '$' + value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const asked = sum => sum.requests + sum.embeddings + sum.rerankings;
  const heads = [{ name: BY[by], class: 'text name' }, ...columns.map(([name]) => ({ name, class: 'number' })), { name: 'cost', class: 'number' }, ...hasUnpriced ? [{ name: 'no price', class: 'number' }] : []];
  const rows = sums.map(sum => [
    [sum.name, sum.id && sum.id !== sum.name ? element('div', { class: 'small dim' }, sum.id) : ''],
    ...columns.map(([, key]) => whole(sum[key])), sum.unpriced < asked(sum) ? price(sum.cost_usd) : '–', ...hasUnpriced ? [whole(sum.unpriced)] : []]);
  at('table').replaceChildren(table(heads, rows));
}

function cards(sums) {
  const all = key => sums.reduce((sum, values) => sum + values[key], 0);
  const read = all('prompt');
  const facts = [[FORMS.cost_usd(all('cost_usd')), 'cost'], [whole(all('requests')), 'answers'], [whole(read), 'tokens read'], [whole(all('completion')), 'tokens written'],
    [read ? Math.round(100 * all('cached') / read) + ' %' : '–', 'of them from a cache'], [whole(all('embeddings')), 'embeddings'], [whole(all('embedded')), 'tokens embedded']];
  at('cards').replaceChildren(...facts.map(([value, name]) => element('div', { class: 'card' }, element('b', {}, value), element('span', {}, name))));
}

function draw() {
  const { rows, from, to, by, show } = report;
  at('report').hidden = !rows.length;
  at('nothing').hidden = rows.length > 0;
  if (!rows.length) return;
  const sums = totals(rows, by, show);
  at('title').textContent = `${TITLES[show]} a day, by ${BY[by]}`;
  cards(sums);
  plot(sums, daysBetween(from, to), show);
  drawTable(sums, by);
}

const query = (by, format) => 'usage?' + new URLSearchParams({ from: at('from').value, to: at('to').value, by: `day,${by}`, format });

async function show() {
  const [by, show] = [at('by').value, at('show').value];
  report = { ...await ask('GET', query(by, 'json')), by, show };
  draw();
}

async function download() {
  const response = await request('GET', query(at('by').value, 'csv'));
  const link = element('a', { href: URL.createObjectURL(await response.blob()), download: `usage-${at('from').value}-${at('to').value}.csv` });
  link.click();
  URL.revokeObjectURL(link.href);
}

at('to').value = day(new Date());
at('from').value = day(new Date(Date.now() - 29 * 864e5));
at('form').addEventListener('submit', event => { event.preventDefault(); attempt(at('message'), show); });
at('csv').addEventListener('click', () => attempt(at('message'), download));
for (const id of ['by', 'show', 'from', 'to']) at(id).addEventListener('change', () => attempt(at('message'), show));
addEventListener('resize', () => report && draw());
withKey('usage?limit=1', () => attempt(at('message'), show));
