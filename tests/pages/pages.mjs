// Drives the pages of a demo host; see run.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createRequire } from 'node:module';

const { BINARY, WORK, CHROMIUM, NODE_HOME, PIPEWRIGHT_KEY: KEY, IMAGES } = process.env;
const require = createRequire(path.join(NODE_HOME, 'node_modules/'));
const { chromium } = require('playwright-core');
const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

function expect(fact, words) { if (!fact) throw new Error(words); }

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise(resolve => server.close(resolve));
  return port;
}

// ---- the host ----------------------------------------------------------------------------------------------------

const port = await freePort();
const SERVER = `http://127.0.0.1:${port}`;
let host = null;

async function startHost() {
  const env = { ...process.env, HOST: '127.0.0.1', PORT: String(port), PIPELINES_API_KEY: KEY, PIPELINES_API_KEYS: 'ci=key of ci', PIPELINES_DIR: WORK, DRAIN_SECONDS: '1', OPENAI_PROXY_RATE_LIMIT: '60' };
  host = spawn(BINARY, ['--demo'], { cwd: WORK, env, stdio: ['ignore', fs.openSync(path.join(WORK, 'log'), 'a'), fs.openSync(path.join(WORK, 'log'), 'a')] });
  for (let tries = 0; tries < 200; tries++) {
    if (await fetch(`${SERVER}/health`).then(({ ok }) => ok, () => false)) return;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error('the host does not start: ' + fs.readFileSync(path.join(WORK, 'log'), 'utf8'));
}

async function stopHost() {
  const ended = new Promise(resolve => host.once('exit', resolve));
  host.kill('SIGKILL');
  await ended;
}

async function call(method, path, body, key = KEY) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const response = await fetch(SERVER + path, { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, json: await response.json().catch(() => ({})) };
}

async function fill() {
  const all = (await call('GET', '/v1/models?type=all')).json.data.map(({ id }) => id);
  const find = word => all.find(id => id.includes(word));
  const models = ['claude-sonnet-4-5', 'nova-pro', 'nova-lite', 'gpt-oss-120b', 'mistral-large'].map(find).filter(Boolean);
  const people = [{ id: 'u-1', name: 'Ann Archer' }, { id: 'u-2', name: 'Bob Baker' }, undefined];
  for (let number = 0; number < 30; number++) {
    const content = 'What is a pelican? ' + 'Please explain. '.repeat(number * 4);
    await call('POST', '/v1/chat/completions', { model: models[(number * number) % models.length], messages: [{ role: 'user', content }], user: people[number % 3] });
  }
  await call('POST', '/v1/embeddings', { model: find('titan-embed-text-v2'), input: ['brown pelicans', 'flamingos'] });
  await call('POST', '/v1/chat/completions', { model: 'nothing.here', messages: [{ role: 'user', content: 'hi' }] });
  const text = number => `# Chapter ${number}\nBrown pelicans of bay ${number} dive for menhaden and anchovies.\n`;
  const documents = Array.from({ length: 120 }, (_, number) => ({ id: `birds/chapter-${String(number).padStart(3, '0')}.md`, title: `Pelicans of bay ${number}`, text: text(number) }));
  await call('POST', '/rag/birds/documents', { documents });
}

// ---- the browser -------------------------------------------------------------------------------------------------

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
const problems = [];
let page = null;

async function newPage(options = {}) {
  await page?.context().close();
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light', ...options });
  page = await context.newPage();
  page.setDefaultTimeout(30000);
  page.on('pageerror', error => problems.push(`${page.url()}: ${error.message}`));
  page.on('console', message => { if (message.type() === 'error' && /Content Security Policy|Refused/.test(message.text())) problems.push(`${page.url()}: ${message.text()}`); });
}

async function open(path) {
  await page.goto(SERVER + path);
  const key = page.locator('#key');
  if (await key.isVisible().catch(() => false)) {
    await key.fill(KEY);
    await key.press('Enter');
    await page.locator('#content').waitFor();
  }
}

/** Fails unless all of these are within the window, and what is there is they. */
async function expectInSight(...selectors) {
  for (const selector of selectors) {
    const box = await page.locator(selector).boundingBox();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const isSeen = await page.evaluate(([selector, x, y]) => document.querySelector(selector).contains(document.elementFromPoint(x, y)), [selector, x, y]);
    expect(isSeen, `${selector} is out of sight`);
  }
}

async function picture(name) {
  if (IMAGES) await page.screenshot({ path: path.join(IMAGES, `${name}.png`) });
}

// ---- what the pages do -------------------------------------------------------------------------------------------

async function the_start_page_shows_what_to_enter_and_that_the_host_is_ready() {
  await page.goto(SERVER + '/');
  await page.getByText('The host is ready').waitFor();
  expect(!(await page.content()).includes(KEY), 'the page shows the key');
  expect((await page.locator('#openai').innerText()) === `${SERVER}/v1`, 'the URL is another one');
  await page.keyboard.press('Tab');
  expect((await page.evaluate(() => document.activeElement.textContent)) === 'Skip to the content', 'the keyboard does not begin with the skip link');
}

async function the_key_comes_first_and_a_wrong_one_is_told_in_a_sentence() {
  for (const path of ['/admin/', '/rag/', '/usage/']) {
    await newPage();
    await page.goto(SERVER + path);
    expect(!(await page.locator('#content').isVisible()), `${path} shows something before there is a key`);
    await page.locator('#key').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('This key does not open the host').waitFor();
    await page.locator('#key').fill('key of ci');
    await page.keyboard.press('Enter');
    await page.getByText('This key opens the models only').waitFor();
    await page.locator('#key').fill(KEY);
    await page.keyboard.press('Enter');
    await page.locator('#content').waitFor();
    expect(!(await page.content()).includes(KEY), `${path} holds the key`);
    await page.getByRole('button', { name: 'Forget key' }).click();
    expect(!(await page.locator('#content').isVisible()), `${path} shows something without the key`);
    expect((await page.evaluate(() => sessionStorage.length)) === 0, 'the key is still there');
  }
}

async function a_collection_is_made_by_enter_filled_filtered_and_emptied() {
  await newPage();
  await open('/rag/');
  await page.locator('#name').fill('letters');
  await page.keyboard.press('Enter');
  await page.getByText('0 documents in letters').waitFor();
  const file = (name, text) => ({ name, mimeType: 'text/markdown', buffer: Buffer.from(text) });
  await page.locator('#files').setInputFiles([file('good.md', '# Pelicans\nPelicans dive.'), file('empty.md', ''), file('worse.pdf', '\x01\x02'), file('text.pdf', 'No PDF.')]);
  await page.getByText('1 file stored. 3 not:').waitFor();
  const failures = await page.locator('#uploaded li').allInnerTexts();
  expect(failures.length === 3 && failures.every(text => text.includes(': ')), `failed uploads: ${failures}`);
  await page.locator('#state').selectOption('failed');
  expect((await page.locator('#documents tbody tr').count()) === 3, 'not only the failed ones are listed');
  await page.locator('#state').selectOption('');
  await page.locator('#collection').selectOption('birds');
  await page.getByText('120 documents in birds').waitFor();
  expect((await page.locator('#documents tbody tr').count()) === 50, 'there are no pages');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByText('51 to 100 of 120').waitFor();
  await page.locator('#filter').fill('bay 11');
  expect((await page.locator('#documents tbody tr').count()) === 11, 'the filter finds something else');
  await page.locator('#all').check();
  await page.getByRole('button', { name: 'Delete 11 documents' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Delete 11 documents' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('109 documents in birds').waitFor();
  await page.locator('#filter').fill('');
  await page.locator('#query').fill('What do pelicans dive for?');
  await page.keyboard.press('Enter');
  await page.locator('article mark').first().waitFor();
  await page.locator('#collection').selectOption('letters');
  await page.getByText('in letters').waitFor();
  await page.getByRole('button', { name: 'Delete collection' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.locator('#collection option[value=letters]').waitFor({ state: 'detached' });
}

async function valves_are_turned_refused_beside_their_field_and_taken_back() {
  await newPage();
  await open('/admin/');
  await page.getByRole('link', { name: /OpenAI proxy/ }).click();
  const pinned = page.locator('#valve-rate_limit');
  await pinned.waitFor();
  expect(await pinned.isDisabled(), 'a pinned valve can be edited');
  const pin = page.locator('[data-valve=rate_limit]');
  await pin.getByText('Pinned by OPENAI_PROXY_RATE_LIMIT').waitFor();
  await pin.getByText('Default: ').waitFor();
  await page.locator('#find').fill('api key');
  const secret = page.locator('#valve-api_key');
  expect((await secret.getAttribute('type')) === 'password', 'the secret is shown');
  await secret.fill('hunter2');
  await page.locator('#find').fill('');
  await page.locator('#valve-api_base').fill('no address');
  await page.getByRole('button', { name: 'Save 2 changes' }).click();
  await page.locator('#wrong-api_base').getByText('Not saved').waitFor();
  expect((await page.evaluate(() => document.activeElement.id)) === 'valve-api_base', 'the refused valve has no focus');
  await expectInSight('#valve-api_base', '#wrong-api_base', '#saved', '#save');
  // From elsewhere in the form, the reason is beside the button, and leads to the valve.
  await page.mouse.wheel(0, 4000);
  await expectInSight('#saved', '#save');
  await page.locator('#saved').getByRole('button').click();
  await expectInSight('#valve-api_base', '#wrong-api_base');
  await page.locator('#valve-api_base').fill('http://127.0.0.1:9/v1');
  await page.getByRole('button', { name: 'Save 2 changes' }).click();
  await page.locator('#saved', { hasText: 'Saved ' }).waitFor();
  expect((await page.locator('#valve-api_key').inputValue()) === '' && !(await page.content()).includes('hunter2'), 'the secret is in the page');
  const row = page.locator('[data-valve=api_key]');
  await row.getByText('Saved in the admin page').waitFor();
  await row.getByRole('button', { name: 'Remove' }).click();
  await page.locator('[data-valve=api_base]').getByRole('button', { name: 'Back to the default' }).click();
  await page.getByRole('button', { name: 'Save 2 changes' }).click();
  await page.locator('[data-valve=api_key]').getByText('Default').first().waitFor();
}

async function valves_stand_before_upstreams() {
  await newPage();
  await open('/admin/#bedrock_models');
  await page.locator('#valve-regions').waitFor();
  await expectInSight('#valve-regions', '#save');
  await page.getByRole('button', { name: /upstream/ }).click();
  expect((await page.evaluate(() => document.activeElement.textContent)) === 'Upstreams', 'the button does not lead to the upstreams');
  await page.getByRole('columnheader', { name: 'Circuit breaker' }).waitFor();
}

async function the_overview_names_upstreams_and_failed_requests() {
  await page.getByRole('link', { name: /Overview/ }).click();
  await page.locator('#detail').getByText('bedrock_models').first().waitFor();
  await page.getByText('nothing.here').first().waitFor();
  await page.getByText('requests in flight').waitFor();
}

async function usage_has_names_and_counts_embeddings_apart() {
  await newPage();
  await open('/usage/');
  await page.locator('#plot rect').first().waitFor();
  const card = async name => Number((await page.locator('.card', { has: page.getByText(name, { exact: true }) }).locator('b').innerText()).replaceAll(',', ''));
  expect((await card('answers')) === 30, `${await card('answers')} answers`);
  expect((await card('embeddings')) > 0, 'no embedding is counted');
  await page.selectOption('#by', 'user');
  const table = page.locator('#table');
  await table.getByText('Ann Archer').waitFor();
  await table.getByText('unknown').waitFor();
  expect(!/\bnone\b/.test(await table.innerText()), 'somebody is none');
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download CSV' }).click();
  const csv = fs.readFileSync(await (await download).path(), 'utf8');
  expect(csv.startsWith('day,user,user_name,requests,embeddings,'), csv.split('\n')[0]);
}

async function the_description_of_the_api_is_found_and_opened() {
  await newPage();
  await page.goto(SERVER + '/docs');
  await page.locator('#find').fill('embeddings');
  const operation = page.locator('details', { hasText: '/embeddings' }).first();
  await operation.locator('summary').click();
  await operation.getByText('EmbeddingsRequest').first().waitFor();
}

async function a_host_that_is_away_is_told_in_a_sentence_and_found_again() {
  await newPage();
  await open('/usage/');
  await page.locator('#plot rect').first().waitFor();
  await stopHost();
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByText('does not answer').waitFor();
  await startHost();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('does not answer').waitFor({ state: 'detached' });
}

// ---- how they look -----------------------------------------------------------------------------------------------

const LOOKS = {
  start: async () => { await open('/'); await page.getByText('The host is').waitFor(); },
  overview: async () => { await open('/admin/'); await page.getByText('requests in flight').waitFor(); },
  admin: async () => { await open('/admin/#bedrock_models'); await page.locator('#valve-regions').waitFor(); },
  documents: async () => { await open('/rag/'); await page.locator('#query').fill('What do pelicans dive for?'); await page.locator('#query').press('Enter'); await page.locator('article').first().waitFor(); },
  usage: async () => { await open('/usage/'); await page.locator('#plot svg').waitFor(); },
  api: async () => { await open('/docs'); await page.locator('details summary').nth(20).click(); },
  key: async () => { await page.goto(SERVER + '/usage/'); await page.locator('#key').waitFor(); },
};

async function every_page_fits_and_axe_finds_nothing() {
  const found = [];
  for (const colorScheme of ['light', 'dark']) for (const width of [1280, 390]) for (const [name, show] of Object.entries(LOOKS)) {
    await newPage({ colorScheme, viewport: { width, height: 900 } });
    await show();
    const place = `${name} ${colorScheme} ${width}`;
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) found.push(`${place}: ${wide} px wide`);
    if (process.env.SHOTS) await page.screenshot({ path: path.join(process.env.SHOTS, `${name}-${colorScheme}-${width}.png`), fullPage: true });
    if (colorScheme === 'light' && width === 1280 && ['admin', 'documents', 'usage', 'start'].includes(name)) await picture(name);
    // By the browser's debugger, which the page's policy does not bind.
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => axe.run());
    for (const { id, nodes } of violations) found.push(`${place}: ${id}: ${nodes.slice(0, 3).map(({ target }) => target).join(', ')}`);
  }
  expect(!found.length, found.join('\n'));
}

const CHECKS = [
  the_start_page_shows_what_to_enter_and_that_the_host_is_ready,
  the_key_comes_first_and_a_wrong_one_is_told_in_a_sentence,
  a_collection_is_made_by_enter_filled_filtered_and_emptied,
  valves_are_turned_refused_beside_their_field_and_taken_back,
  valves_stand_before_upstreams,
  the_overview_names_upstreams_and_failed_requests,
  usage_has_names_and_counts_embeddings_apart,
  the_description_of_the_api_is_found_and_opened,
  every_page_fits_and_axe_finds_nothing,
  a_host_that_is_away_is_told_in_a_sentence_and_found_again,
];

let failed = 0;
try {
  await startHost();
  await fill();
  await newPage();
  for (const check of CHECKS) {
    const name = check.name.replaceAll('_', ' ');
    try {
      await check();
      console.log(`ok    ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}\n${error.message}`);
    }
  }
  if (problems.length) { failed += 1; console.log(`FAILED no script has an error\n${[...new Set(problems)].join('\n')}`); }
} finally {
  await browser.close();
  await stopHost();
}
process.exit(failed ? 1 : 0);
