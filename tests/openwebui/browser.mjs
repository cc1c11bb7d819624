// Checks a Pipelines server as a person does: Open WebUI's own pages in a real Chromium. Settings: README.md.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const env = (name, otherwise) => process.env[name] || otherwise;
const BASE = env('OPENWEBUI_URL', 'http://127.0.0.1:8080');
const SERVER = env('PIPEWRIGHT_URL', 'http://127.0.0.1:9099');
const KEY = env('PIPEWRIGHT_KEY', '0p3n-w3bu!');
const PIPE = env('PIPE', 'bedrock_models');
const NAME = env('ADMIN_NAME', 'Ada Ädmin');
const EMAIL = env('ADMIN_EMAIL', 'admin@example.org');
const PASSWORD = env('ADMIN_PASSWORD', 'only-for-tests-1');
const PATIENCE = Number(env('PATIENCE', '60')) * 1000;
const SCREENSHOTS = env('SCREENSHOTS', 'target/openwebui-screenshots');
const IMAGES = env('IMAGES', '');
const LONG_PROMPT = env('LONG_PROMPT', 'a b c d e f g h i j k l m n o p q r s t u v w x y z '.repeat(4));
const INSTALL_URL = env('INSTALL_URL', '');
const MARKER = 'pelican';

const { chromium } = createRequire(join(env('NODE_HOME', process.cwd()), 'x.js'))('playwright-core');

class Skipped extends Error {}

function expect(condition, reason) {
  if (!condition) throw new Error(reason);
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Asks until the answer is truthy. */
async function eventually(what, ask, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    expect(Date.now() < end, `${what} did not happen in ${patience / 1000} s`);
    await pause(30);
  }
}

// ---- Open WebUI beside the browser: what to look for, and to put things back -------------------------------------

let token;

async function call(method, path, body) {
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(BASE + path, { method, headers, body: body && JSON.stringify(body) });
  return { ok: answer.ok, data: await answer.json().catch(() => null) };
}

async function get(path) {
  const { ok, data } = await call('GET', path);
  expect(ok, `GET ${path}: ${JSON.stringify(data)}`);
  return data;
}

async function signUpUnlessThereIsTheAdmin() {
  const admin = { name: NAME, email: EMAIL, password: PASSWORD };
  let answer = await call('POST', '/api/v1/auths/signup', admin);
  if (!answer.ok) answer = await call('POST', '/api/v1/auths/signin', admin);
  expect(answer.ok, `neither sign-up nor sign-in: ${JSON.stringify(answer.data)}`);
  token = answer.data.token;
  // Its news would lie over the page, sooner or later.
  answer = await call('POST', '/api/v1/users/user/settings/update', { ui: { showChangelog: false } });
  expect(answer.ok, `settings: ${JSON.stringify(answer.data)}`);
}

/** Turns valves of a pipe of the server; answers what undoes it. */
async function turned(pipe, changes) {
  const index = (await get('/api/v1/pipelines/list')).data.find((server) => server.url.startsWith(SERVER)).idx;
  const path = `/api/v1/pipelines/${pipe}/valves`;
  const before = await get(`${path}?urlIdx=${index}`);
  const { ok, data } = await call('POST', `${path}/update?urlIdx=${index}`, { ...before, ...changes });
  expect(ok, `${pipe}: ${JSON.stringify(data)}`);
  return Object.fromEntries(Object.keys(changes).map((name) => [name, before[name]]));
}

/** The model with this id. */
async function listed(id) {
  const one = (await get('/api/models?refresh=true')).data.find((one) => one.id === id);
  expect(one, `${id} is not listed`);
  return one;
}

/** A model such as wanted whose name no other has, for the model picker shows names. */
async function model(pattern, such = () => true) {
  const all = (await get('/api/models?refresh=true')).data;
  const alone = (one) => all.filter((other) => other.name.includes(one.name)).length === 1;
  const fit = all.filter((one) => one.id.startsWith(`${PIPE}.`) && alone(one) && such(one) && !one.info?.meta?.hidden);
  expect(fit.length, 'no such model is listed');
  return fit.find((one) => pattern.test(one.id)) ?? fit[0];
}

const sees = (one) => one.info?.meta?.capabilities?.vision !== false;

async function pipeValves() {
  const index = (await get('/api/v1/pipelines/list')).data.find((server) => server.url.startsWith(SERVER)).idx;
  const path = `/api/v1/pipelines/${PIPE}/valves`;
  return {
    spec: (await get(`${path}/spec?urlIdx=${index}`)).properties,
    values: await get(`${path}?urlIdx=${index}`),
    putBack: (values) => call('POST', `${path}/update?urlIdx=${index}`, values),
  };
}

// ---- the page ----------------------------------------------------------------------------------------------------

let page;
let shots = 0;

async function screenshot(name) {
  await pause(400); // for what slides and fades
  await page.screenshot({ path: join(SCREENSHOTS, `${String(++shots).padStart(2, '0')}-${name}.png`) });
}

/** Writes the picture of this name for the documents, where IMAGES says so. */
async function image(name) {
  if (IMAGES) await page.screenshot({ path: join(IMAGES, `${name}.png`) });
}

/** Opens the tab, with the form of this pipe: of none, the first of the list. */
async function openPipelinesTab(pipe = PIPE) {
  await page.goto(`${BASE}/?settings=admin:pipelines`);
  const form = page.locator('form', { has: page.locator('h2', { hasText: 'Pipelines' }) });
  await form.locator('#pipeline').waitFor();
  if (pipe) {
    const index = (await get('/api/v1/pipelines/list')).data.find((server) => server.url.startsWith(SERVER)).idx;
    const { name, type } = (await get(`/api/v1/pipelines/?urlIdx=${index}`)).data.find((one) => one.id === pipe);
    await form.locator('#pipeline').selectOption({ label: `${name} (${type})` });
    const { properties } = await get(`/api/v1/pipelines/${pipe}/valves/spec?urlIdx=${index}`);
    await row(form, Object.values(properties).at(-1).title).waitFor();
  }
  return form;
}

/** The part of the form that belongs to the valve with this title. */
const row = (form, title) => form.locator(`xpath=.//label[normalize-space()=${JSON.stringify(title)}]/ancestor::div[2]`).first();

async function newChatWith(one, pictured = false) {
  await page.goto(BASE);
  await page.locator('[id^="model-selector-"][id$="-button"]').first().click();
  await page.locator('#model-search-input').waitFor();
  if (pictured) await screenshot('model-list');
  await page.locator('#model-search-input').fill(one.name);
  const option = page.locator('#model-selector-list [role=option]', { hasText: one.name }).first();
  await option.waitFor();
  await option.click();
  await eventually(`"${one.name}" shown as the selected model`, async () =>
    (await page.locator('[id^="model-selector-"][id$="-button"]').first().innerText()).includes(one.name));
}

async function send(text) {
  await page.locator('#chat-input').click();
  await page.keyboard.insertText(text);
  await page.locator('#send-message-button').click();
}

const answers = () => page.locator('[id^="message-"] #response-content-container');
const lastAnswer = async () => ((await answers().count()) ? (await answers().last().innerText()).trim() : '');
const stopButton = () => page.getByRole('button', { name: 'Stop', exact: true });

/** Pictures that the browser itself draws: a chessboard, and a disc. */
const drawn = (name) => page.evaluate((name) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
  const context = canvas.getContext('2d');
  context.fillStyle = 'white';
  context.fillRect(0, 0, 64, 64);
  context.fillStyle = 'teal';
  if (name === 'disc') {
    context.arc(32, 32, 24, 0, 2 * Math.PI);
    context.fill();
  } else {
    for (let i = 0; i < 64; i++) if ((i + (i >> 3)) % 2) context.fillRect((i % 8) * 8, (i >> 3) * 8, 8, 8);
  }
  return canvas.toDataURL('image/png');
}, name);

async function attach(...names) {
  const files = [];
  for (const name of names) {
    files.push({ name: `${name}.png`, mimeType: 'image/png', buffer: Buffer.from((await drawn(name)).split(',')[1], 'base64') });
  }
  await page.locator('input[type=file][multiple]').first().setInputFiles(files);
  await eventually('the pictures beside the message', async () =>
    (await page.locator('#message-input-container img').count()) >= names.length);
}

/** The status lines of the last answer, from the chat as it is stored. */
async function statuses() {
  const { history } = (await get(`/api/v1/chats/${page.url().split('/c/')[1]}`)).chat;
  return (history.messages[history.currentId].statusHistory ?? []).map((status) => status.description);
}

/** Waits for the end of the answer; tells it, and how often it was seen to grow. */
async function answerToTheEnd() {
  const seen = new Set();
  await eventually('the end of the answer', async () => {
    const text = await lastAnswer();
    if (text) seen.add(text.length);
    return text && !(await stopButton().isVisible());
  });
  return { text: await lastAnswer(), growths: seen.size };
}

// ---- checks ------------------------------------------------------------------------------------------------------

async function the_admin_logs_in() {
  await page.goto(`${BASE}/auth`);
  await page.locator('#email').fill(EMAIL);
  await page.locator('#password').fill(PASSWORD);
  await page.locator('#auth-page button[type=submit]').click();
  await page.locator('#chat-input').waitFor();
}

async function the_pipelines_tab_shows_the_pipe_and_its_valves() {
  const form = await openPipelinesTab();
  const { spec, values } = await pipeValves();
  const listed = await form.locator('#pipeline option').allInnerTexts();
  expect(listed.some((name) => /\((pipe|manifold|filter)\)/.test(name)), `listed: ${listed}`);
  for (const [name, property] of Object.entries(spec)) {
    const part = row(form, property.title);
    await part.waitFor({ timeout: 5000 }).catch(() => expect(false, `${name} is not in the form`));
    const shown = values[name] !== null && property.type !== 'boolean' && !property.enum;
    if (shown) {
      const text = await part.locator('input').inputValue();
      expect(text === String(values[name]), `${name} is shown as "${text}"`);
      expect(text !== '', `${name} is empty: the form cannot be saved`);
      if (isSecret(property)) expect(text === '**********', `${name} is shown in clear text`);
    }
  }
  await screenshot('pipelines-list');
  await page.evaluate(() => document.activeElement.blur());
  const scrollTo = (part) => part.evaluate((element) => element.scrollIntoView({ block: 'start' }));
  const usual = page.viewportSize();
  await page.setViewportSize({ width: 1280, height: 940 });
  await scrollTo(row(form, Object.values(spec)[0].title));
  await screenshot('valves');
  await image('valves');
  await page.setViewportSize({ width: 1100, height: 1900 });
  await screenshot('pipelines-form');
  await page.setViewportSize(usual);
}

const ADVANCED = 'Show advanced settings';

async function advanced_valves_are_shown_once_they_are_switched_on() {
  const short = Object.keys((await pipeValves()).spec);
  let form = await openPipelinesTab();
  await row(form, ADVANCED).getByRole('switch').click();
  await form.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Valves updated successfully').waitFor({ timeout: 10000 });
  const { spec } = await pipeValves();
  expect(Object.keys(spec).length > short.length, `${short.length} valves, then ${Object.keys(spec).length}`);
  form = await openPipelinesTab();
  const last = Object.values(spec).at(-1).title;
  await row(form, last).waitFor({ timeout: 5000 }).catch(() => expect(false, `${last} is not in the form`));
  await screenshot('advanced');
}

const isSecret = (property) => property.format === 'password' || property.writeOnly === true;

/** Valves to edit: one of each kind that the form draws differently. */
function oneOfEachKind(spec) {
  const names = Object.keys(spec);
  // Of texts, one that any value suits.
  const find = (such) => {
    const fit = names.filter((name) => such(spec[name]));
    return fit.find((name) => /external_id|session_name/.test(name)) ?? fit[0];
  };
  return {
    text: env('VALVE_TEXT', find((p) => p.type === 'string' && !p.enum && !isSecret(p))),
    number: env('VALVE_NUMBER', find((p) => ['integer', 'number'].includes(p.type) && !p.enum)),
    boolean: env('VALVE_BOOLEAN', find((p) => p.type === 'boolean' && p.title !== ADVANCED)),
    choice: env('VALVE_CHOICE', find((p) => p.enum)),
  };
}

async function valves_edited_in_the_form_are_saved_and_shown_again() {
  const before = await pipeValves();
  const { spec, values } = before;
  const { text, number, boolean, choice } = oneOfEachKind(spec);
  const wanted = {};
  let form = await openPipelinesTab();
  try {
    if (text) {
      wanted[text] = 'edited-in-the-page';
      if (values[text] === null) await row(form, spec[text].title).locator('button', { hasText: 'None' }).click();
      await row(form, spec[text].title).locator('input').fill(wanted[text]);
    }
    if (number) {
      const higher = (values[number] ?? spec[number].minimum ?? 0) + 1;
      wanted[number] = higher > (spec[number].maximum ?? Infinity) ? spec[number].minimum : higher;
      await row(form, spec[number].title).locator('input').fill(String(wanted[number]));
    }
    if (boolean) {
      wanted[boolean] = !values[boolean];
      await row(form, spec[boolean].title).getByRole('switch').click();
    }
    if (choice) {
      wanted[choice] = spec[choice].enum.find((option) => option !== values[choice]);
      await row(form, spec[choice].title).locator('select').selectOption({ label: String(wanted[choice]) });
    }
    expect(Object.keys(wanted).length, 'there is no valve to edit');
    await form.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Valves updated successfully').waitFor({ timeout: 10000 });
    await screenshot('valves-saved');

    form = await openPipelinesTab();
    const shown = {};
    if (text) shown[text] = await row(form, spec[text].title).locator('input').inputValue();
    if (number) shown[number] = Number(await row(form, spec[number].title).locator('input').inputValue());
    if (boolean) shown[boolean] = (await row(form, spec[boolean].title).getByRole('switch').getAttribute('aria-checked')) === 'true';
    if (choice) shown[choice] = await row(form, spec[choice].title).locator('select option:checked').innerText();
    await screenshot('valves-shown-again');
    for (const name of Object.keys(wanted)) {
      expect(String(shown[name]).trim() === String(wanted[name]), `${name}: set ${wanted[name]}, shown ${shown[name]}`);
    }
    const stored = (await pipeValves()).values;
    for (const name of Object.keys(stored)) {
      const expected = name in wanted ? wanted[name] : values[name];
      expect(JSON.stringify(stored[name]) === JSON.stringify(expected), `${name}: stored ${JSON.stringify(stored[name])}`);
    }
  } finally {
    await before.putBack(values);
  }
}

async function a_refused_valve_says_so_and_is_not_saved() {
  const { spec, values } = await pipeValves();
  const number = Object.keys(spec).find((name) => spec[name].maximum !== undefined);
  if (!number) throw new Skipped('no valve has an upper bound');
  const form = await openPipelinesTab();
  await row(form, spec[number].title).locator('input').fill(String(spec[number].maximum + 1));
  await form.getByRole('button', { name: 'Save' }).click();
  await page.locator('[data-sonner-toast][data-type=error]').first().waitFor({ timeout: 10000 });
  await row(form, spec[number].title).locator('input').scrollIntoViewIfNeeded();
  await screenshot('valve-refused');
  expect((await pipeValves()).values[number] === values[number], `${number} was saved`);
  const again = row(await openPipelinesTab(), spec[number].title);
  await again.getByText(/NOT SAVED \d\d:\d\d UTC: must be between/).waitFor({ timeout: 5000 });
  await again.scrollIntoViewIfNeeded();
  await screenshot('valve-refused-reason');
}

async function a_model_is_picked_and_its_answer_streams_into_the_page() {
  await newChatWith(await model(/claude-sonnet-4-5/), true);
  await screenshot('model-picked');
  const question = `Brown ${MARKER}s in Florida – what do they eat?`;
  await send(question);
  const { text, growths } = await answerToTheEnd();
  expect(text.includes(MARKER), `the answer does not quote the question: ${text}`);
  expect(growths > 2, `the answer was seen in ${growths} state(s): it did not stream`);
  await screenshot('answer');
  const id = page.url().split('/c/')[1];
  const title = await eventually('a title from the model', async () => {
    const { title } = (await get(`/api/v1/chats/${id}`)).chat;
    return !['New Chat', question].includes(title) && title;
  });
  await page.locator('#sidebar, nav').getByText(title).first().waitFor({ state: 'attached', timeout: 10000 });
  await pause(2000); // for the follow-ups
  const usual = page.viewportSize();
  await page.setViewportSize({ width: 1100, height: 620 });
  await screenshot('chat');
  await image('chat');
  await page.setViewportSize(usual);
}

async function a_chat_shown_again_has_the_same_answer() {
  const before = await lastAnswer();
  await page.reload();
  const after = await eventually('the answer', lastAnswer);
  expect(after === before, `before: ${before}\nafter: ${after}`);
}

async function stop_ends_a_long_answer() {
  await newChatWith(await model(/claude.*haiku|claude|nova/));
  await send(LONG_PROMPT);
  const whole = (await answerToTheEnd()).text;
  const before = await answers().count();
  await send(LONG_PROMPT);
  await eventually('the beginning of the answer', async () => (await answers().count()) > before && (await lastAnswer()));
  await stopButton().click({ timeout: 5000 }).catch(() => expect(false, 'no Stop button: the answer was over too soon'));
  await eventually('the end of the answer', async () => !(await stopButton().isVisible()), 10000);
  await pause(1000);
  const text = await lastAnswer();
  await screenshot('stopped');
  expect(text.length < 0.9 * whole.length, `${text.length} of ${whole.length} characters came although it was stopped`);
  await send(`I saw a ${MARKER}.`);
  expect((await answerToTheEnd()).text.includes(MARKER), 'after Stop, the next message is not answered');
}

async function an_attached_image_reaches_the_model() {
  await newChatWith(await model(/nova-lite|claude/, sees));
  await attach('chessboard');
  await send('What is this?');
  const { text } = await answerToTheEnd();
  await screenshot('image');
  expect(text.includes('image'), `the model saw no image: ${text}`);
}

async function a_refused_chat_shows_its_reason() {
  await newChatWith(await model(/claude.*haiku|claude|nova/));
  // As if the user had set "max_tokens" so in the chat's controls.
  await page.route('**/api/chat/completions', (route) => {
    const body = route.request().postDataJSON();
    route.continue({ postData: JSON.stringify({ ...body, params: { ...body.params, max_tokens: 0 } }) });
  });
  await send('hi');
  await page.locator('[id^="message-"]').getByText('max_tokens').waitFor({ timeout: 15000 });
  await screenshot('refused');
  await page.unroute('**/api/chat/completions');
}

// ---- conversations that the server keeps ---------------------------------------------------------------------------

/** The user's messages that the server keeps of the chat on the page. */
async function remembered() {
  const { id } = await get('/api/v1/auths/');
  const url = `${SERVER}/conversations/${page.url().split('/c/')[1]}?user=${id}`;
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${KEY}` } });
  expect(answer.ok, `${url}: ${answer.status}`);
  return (await answer.json()).messages.filter((one) => one.role === 'user').map((one) => one.content);
}

async function expectRemembered(what, wanted) {
  let kept;
  await eventually(`${what}: ${JSON.stringify(wanted)}`, async () => {
    kept = await remembered();
    return JSON.stringify(kept) === JSON.stringify(wanted);
  }, 10000).catch((error) => expect(false, `${error.message}; kept: ${JSON.stringify(kept)}`));
}

async function ask(text) {
  const before = await answers().count();
  await send(text);
  await eventually(`an answer to "${text}"`, async () => (await answers().count()) > before && (await lastAnswer()));
  await answerToTheEnd();
}

async function edited_messages_other_answers_branches_and_two_tabs_keep_one_history() {
  const { id } = await model(/claude.*haiku|claude|nova/);
  const undo = await turned('conversation', { models: id });
  try {
    await newChatWith(await listed(`conversation.${id}`));
    await ask('One.');
    await ask('Two.');
    await expectRemembered('two turns', ['One.', 'Two.']);

    await page.locator('.regenerate-response-button').last().evaluate((button) => button.click());
    await page.getByText('2/2').waitFor();
    await answerToTheEnd();
    await expectRemembered('another answer', ['One.', 'Two.']);
    await screenshot('conversation-regenerated');

    const asked = page.locator('.user-message', { hasText: 'Two.' });
    await asked.hover();
    await asked.locator('.edit-user-message-button').click();
    await page.locator('textarea[id^="message-edit-"]').fill('Three.');
    await page.locator('#confirm-edit-message-button').click();
    await page.locator('.user-message', { hasText: 'Three.' }).waitFor();
    await answerToTheEnd();
    await expectRemembered('an edited message', ['One.', 'Three.']);
    await screenshot('conversation-edited');

    const edited = page.locator('.user-message', { hasText: 'Three.' });
    await edited.hover();
    await edited.getByRole('button', { name: 'Previous message' }).click();
    await page.locator('.user-message', { hasText: 'Two.' }).waitFor();
    await ask('Four.');
    await expectRemembered('a branch', ['One.', 'Two.', 'Four.']);
    await screenshot('conversation-branch');

    // The same chat in two tabs, each with a message that the other has not seen.
    const [left, url] = [page, page.url()];
    const right = await page.context().newPage();
    right.setDefaultTimeout(PATIENCE / 2);
    try {
      await right.goto(url);
      await right.locator('.user-message', { hasText: 'Four.' }).waitFor();
      await ask('Left.');
      page = right;
      await right.locator('#chat-input').click();
      await right.keyboard.insertText('Right.');
      await right.locator('#send-message-button').click();
      await right.locator('.user-message', { hasText: 'Right.' }).waitFor();
      await answerToTheEnd();
      const kept = await remembered();
      expect(kept.at(-1) === 'Right.' && kept.length === new Set(kept).size, `two tabs: ${JSON.stringify(kept)}`);
      await screenshot('conversation-two-tabs');
    } finally {
      page = left;
      await right.close();
    }
  } finally {
    await turned('conversation', undo);
  }
}

// ---- images and text by different models -----------------------------------------------------------------------------

async function an_image_is_described_to_a_model_that_takes_none() {
  const blind = await model(/./, (one) => !sees(one));
  const seeing = await model(/nova-lite|claude/, sees);
  const undo = await turned('multimodal', { image_model: seeing.id, describe_images_for: blind.id });
  try {
    await newChatWith(await listed(blind.id));
    await attach('chessboard');
    await send('What is on the board?');
    const { text } = await answerToTheEnd();
    await screenshot('image-described');
    // The demo's models say how many images they got.
    expect(text && !text.includes('I got'), `the model got the image itself: ${text}`);
    const lines = await eventually('status lines', async () => (await statuses()).length && statuses());
    expect(lines.at(-1) === 'The images are described', `status lines: ${lines}`);
    await page.getByText('The images are described').first().waitFor();
    await ask(`Is there a ${MARKER} on it?`);
    expect((await lastAnswer()).includes(MARKER), 'the chat does not go on');
  } finally {
    await turned('multimodal', undo);
  }
}

async function text_and_images_are_read_by_different_models_at_once() {
  const blind = await model(/./, (one) => !sees(one));
  const seeing = await model(/nova-lite|claude/, sees);
  const undo = await turned('multimodal', { image_model: seeing.id, text_model: blind.id });
  try {
    await newChatWith(await listed('multimodal'));
    await attach('chessboard', 'disc');
    await send(`Where would a ${MARKER} sit?`);
    await eventually('both answers', async () => /TEXT:[^]*IMAGES:|IMAGES:[^]*TEXT:/.test(await lastAnswer()));
    const { text } = await answerToTheEnd();
    await screenshot('multimodal');
    expect(text.includes('I got 2 images'), `the images were not read: ${text}`);
    const lines = await eventually('status lines', async () => (await statuses()).length > 1 && statuses());
    expect(lines[0] === 'Reading text and images' && lines.includes('The images are read'), `status lines: ${lines}`);
  } finally {
    await turned('multimodal', undo);
  }
}

// ---- Python pipelines ----------------------------------------------------------------------------------------------

const PYTHON = `from pydantic import BaseModel, Field


class Pipeline:
    class Valves(BaseModel):
        greeting: str = Field("Hello", description="The first word of each answer.")
        api_key: str = ""
        times: int = Field(1, ge=1, le=3)

    def __init__(self):
        self.name = "Greeter"
        self.valves = self.Valves()

    def pipe(self, user_message, model_id, messages, body):
        for _ in range(self.valves.times):
            yield self.valves.greeting + ", "
        yield user_message
`;

const pythonFile = (name, text) => ({ name, mimeType: 'text/x-python', buffer: Buffer.from(text) });
const listedPipes = async (form) => (await form.locator('#pipeline option').allInnerTexts()).map((name) => name.trim());

/** Chooses a pipe, and waits for its valves, which the form fetches again. */
async function choosePipe(form, label) {
  const values = page.waitForResponse((answer) => /\/valves\?urlIdx=/.test(answer.url()));
  await form.locator('#pipeline').selectOption({ label });
  await (await values).finished();
  await pause(100);
}

async function upload(form, file) {
  await form.locator('#pipelines-upload-input').setInputFiles(file);
  await form.getByText('1 pipeline(s) selected').waitFor();
  await form.getByRole('button', { name: 'Upload', exact: true }).click();
}

/** Whether the server runs Python files. */
async function runsPython() {
  const answer = await fetch(`${SERVER}/pipelines/upload`, { method: 'POST', headers: { Authorization: `Bearer ${KEY}` } });
  return answer.status !== 409;
}

async function a_python_file_is_uploaded_configured_asked_and_deleted() {
  if (!(await runsPython())) throw new Skipped('PYTHON_PIPELINES is not `on`');
  let form = await openPipelinesTab(null);
  const before = await listedPipes(form);
  await upload(form, pythonFile('greeter.py', PYTHON));
  await page.getByText('Pipeline downloaded successfully').waitFor();
  await form.locator('#pipeline option').filter({ hasText: 'Greeter' }).waitFor({ state: 'attached' });
  const [label] = await listedPipes(form);
  expect(label === 'Greeter (pipe)' && !before.includes(label), `the file is not the first: ${await listedPipes(form)}`);
  await row(form, 'Greeting').locator('input').fill('Ahoy');
  await screenshot('python-listed');
  await row(form, 'Api Key').locator('button', { hasText: 'None' }).click();
  await row(form, 'Api Key').locator('input').fill('a-secret-for-tests');
  await row(form, 'Times').locator('input').fill('2');
  await screenshot('python-valves');
  await form.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Valves updated successfully').waitFor();
  form = await openPipelinesTab(null);
  await choosePipe(form, label);
  const shown = {};
  for (const title of ['Greeting', 'Api Key', 'Times']) {
    shown[title] = await row(form, title).locator('input').inputValue();
  }
  expect(shown.Greeting === 'Ahoy' && shown.Times === '2', `saved: ${JSON.stringify(shown)}`);
  expect(shown['Api Key'] === '**********', 'the secret is shown');

  await row(form, 'Times').locator('input').fill('7');
  await form.getByRole('button', { name: 'Save' }).click();
  await page.locator('[data-sonner-toast][data-type=error]').first().waitFor();
  await screenshot('python-valve-refused');

  await newChatWith(await listed('greeter'));
  await send(`a ${MARKER}.`);
  const { text } = await answerToTheEnd();
  await screenshot('python-chat');
  expect(text === `Ahoy, Ahoy, a ${MARKER}.`, `answer: ${text}`);

  form = await openPipelinesTab(null);
  await choosePipe(form, label);
  await form.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByText('Pipeline deleted successfully').waitFor();
  form = await openPipelinesTab(null);
  expect(JSON.stringify(await listedPipes(form)) === JSON.stringify(before), `left: ${await listedPipes(form)}`);
  expect(!(await get('/api/models?refresh=true')).data.some((one) => one.id === 'greeter'), 'the model is still listed');
}

async function a_python_file_that_cannot_be_loaded_is_listed_with_its_problem() {
  if (!(await runsPython())) throw new Skipped('PYTHON_PIPELINES is not `on`');
  let form = await openPipelinesTab(null);
  const before = await listedPipes(form);
  await upload(form, pythonFile('broken.py', 'import no_such_module_anywhere\n'));
  await page.locator('[data-sonner-toast][data-type=error]').first().waitFor();
  form = await openPipelinesTab(null);
  const label = (await listedPipes(form)).find((name) => !before.includes(name));
  expect(label, `the file is not listed: ${await listedPipes(form)}`);
  await choosePipe(form, label);
  await screenshot('python-broken');
  expect(/not running: .*no_such_module/.test(label), `the list does not say why it does not run: ${label}`);
  await form.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByText('Pipeline deleted successfully').waitFor();
}

async function a_python_file_is_installed_from_a_link_asked_and_deleted() {
  if (!INSTALL_URL) throw new Skipped('INSTALL_URL names no Python file');
  let form = await openPipelinesTab(null);
  const before = await listedPipes(form);
  await form.getByPlaceholder('Enter GitHub Raw URL').fill(INSTALL_URL);
  await form.getByRole('button', { name: 'Install', exact: true }).click();
  await page.getByText('Pipeline downloaded successfully').waitFor();
  form = await openPipelinesTab(null);
  const [label] = await listedPipes(form);
  expect(!before.includes(label), `the file is not the first: ${await listedPipes(form)}`);
  await screenshot('python-installed');
  await newChatWith(await listed(INSTALL_URL.split('/').at(-1).replace(/\.py.*/, '')));
  await send(`a ${MARKER}.`);
  const { text } = await answerToTheEnd();
  await screenshot('python-installed-chat');
  expect(text.includes(MARKER), `answer: ${text}`);
  form = await openPipelinesTab(null);
  await choosePipe(form, label);
  await form.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByText('Pipeline deleted successfully').waitFor();
  const after = await listedPipes(await openPipelinesTab(null));
  expect(JSON.stringify(after) === JSON.stringify(before), `left: ${after}`);
}

async function a_python_file_of_a_private_address_is_not_installed() {
  if (!(await runsPython())) throw new Skipped('PYTHON_PIPELINES is not `on`');
  const form = await openPipelinesTab(null);
  const before = await listedPipes(form);
  await form.getByPlaceholder('Enter GitHub Raw URL').fill('https://127.0.0.1/greeter.py');
  await form.getByRole('button', { name: 'Install', exact: true }).click();
  // The page shows no reason, whatever the server says.
  await page.locator('[data-sonner-toast][data-type=error]').first().waitFor();
  const after = await listedPipes(await openPipelinesTab(null));
  expect(JSON.stringify(after) === JSON.stringify(before), `listed: ${after}`);
}

// ---- answers from documents --------------------------------------------------------------------------------------

const GUIDE = '# Pelicans\n\nBrown pelicans dive for menhaden and anchovies.\n\n# Flamingos\n\nFlamingos filter brine shrimp from shallow lagoons.\n';
const FLIGHT = '# Departures\n\nSea planes leave the pier at eight and at noon.\n';

async function serverCall(path, body) {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${KEY}` };
  const answer = await fetch(SERVER + path, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(answer.ok, `${path}: ${await answer.text()}`);
}

async function documents_are_uploaded_on_their_page_and_a_question_shows_why_each_chunk_ranks() {
  const byMeaning = env('DOCUMENTS_BY', '');
  const { generators } = await (await fetch(`${SERVER}/rag/valves`, { headers: { Authorization: `Bearer ${KEY}` } })).json();
  // The demo has one that cannot be turned.
  const generator = !generators && (await model(/claude-sonnet-4-5/)).id;
  await serverCall('/rag/valves/update', { ...(generator && { generators: generator }), ...(byMeaning && { embedding_model: byMeaning }) });
  await page.goto(`${SERVER}/rag/`);
  await page.locator('#key').fill(KEY);
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByText('There is no collection yet').waitFor();
  const file = (name, text) => ({ name, mimeType: 'text/markdown', buffer: Buffer.from(text) });
  await page.locator('#files').setInputFiles([file('birds.md', GUIDE), file('flights.md', FLIGHT), file('empty.md', '')]);
  await page.locator('.badge.good', { hasText: 'ready' }).nth(1).waitFor({ timeout: 120000 });
  await page.locator('.badge.bad', { hasText: 'failed' }).waitFor();
  if (byMeaning) await page.locator('#about', { hasText: 'by meaning' }).waitFor();
  expect((await page.locator('#uploaded li').innerText()).includes('empty.md'), 'the page does not say which file failed');
  await page.locator('#query').fill('What do pelicans dive for?');
  await page.getByRole('button', { name: 'Search' }).click();
  const first = page.locator('article').first();
  await first.waitFor();
  const text = await first.innerText();
  for (const wanted of ['menhaden', 'Words (BM25)', 'number 1 by its words', 'birds.md', ...(byMeaning ? ['number 1 by its meaning'] : [])]) {
    expect(text.includes(wanted), `"${wanted}" is not in: ${text}`);
  }
  expect((await first.locator('mark').allInnerTexts()).some((word) => /pelican/i.test(word)), 'no word is marked');
  const usual = page.viewportSize();
  await page.setViewportSize({ width: 1100, height: 1000 });
  await screenshot('documents');
  await page.setViewportSize(usual);
  const gone = page.locator('tr', { hasText: 'empty.md' });
  await gone.getByRole('button', { name: 'Delete' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Delete' }).click();
  await gone.waitFor({ state: 'detached' });
}

async function an_answer_from_documents_shows_sources_that_open() {
  const one = (await get('/api/models?refresh=true')).data.find((one) => one.id.startsWith('rag.'));
  expect(one, 'the model with documents is not listed');
  await newChatWith(one);
  await send('What do pelicans dive for?');
  await answerToTheEnd();
  await page.getByText(/Found \d documents?/).first().waitFor();
  const stored = await eventually('stored sources', async () => {
    const { history } = (await get(`/api/v1/chats/${page.url().split('/c/')[1]}`)).chat;
    return Object.values(history.messages).find((message) => message.sources?.length)?.sources;
  });
  expect(stored[0].source.name === 'Pelicans', `stored: ${JSON.stringify(stored)}`);
  await page.locator('button', { hasText: /\d Sources?/ }).first().click();
  await screenshot('sources');
  await page.locator('button', { hasText: /Pelicans/ }).last().click();
  await page.getByText('Brown pelicans dive for menhaden').last().waitFor();
  await screenshot('source-opened');
}

// ---- usage -------------------------------------------------------------------------------------------------------

async function the_usage_page_draws_what_was_answered() {
  await page.goto(`${SERVER}/usage/`);
  // The page of documents has kept the key in this tab.
  await page.evaluate(() => sessionStorage.clear());
  await page.reload();
  const shown = page.locator('#report');
  expect(!(await shown.isVisible()), 'there is a report before a key');
  await page.fill('#key', `not ${KEY}`);
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByText('This key does not open the host').waitFor();
  expect(!(await shown.isVisible()), 'there is a report by a wrong key');
  await page.fill('#key', KEY);
  await page.getByRole('button', { name: 'Open' }).click();
  await shown.waitFor();
  const answers = Number((await page.locator('.card', { has: page.getByText('answers', { exact: true }) }).locator('b').innerText()).replaceAll(',', ''));
  expect(answers > 0 && (await page.locator('#plot rect').count()) > 0, `${answers} answers, and no bar`);
  expect((await page.locator('#table').innerText()).includes(`${PIPE}.`), 'no model is named');
  await page.selectOption('#by', 'user');
  await page.locator('#table').getByText(NAME).waitFor();
  await screenshot('usage');
  const download = page.waitForEvent('download');
  await page.click('#csv');
  expect(/^usage-.*\.csv$/.test((await download).suggestedFilename()), 'the table has no name');
  const before = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 800 });
  const [wide, first] = await page.evaluate(() => [document.documentElement.scrollWidth, document.querySelector('tbody td').clientWidth]);
  expect(wide <= 390 && first >= 120, `on a telephone the page is ${wide} wide, and the first column ${first}`);
  await screenshot('usage-narrow');
  await page.setViewportSize(before);
}

// ---- in this order -----------------------------------------------------------------------------------------------

const CHECKS = [
  the_admin_logs_in,
  the_pipelines_tab_shows_the_pipe_and_its_valves,
  advanced_valves_are_shown_once_they_are_switched_on,
  valves_edited_in_the_form_are_saved_and_shown_again,
  a_refused_valve_says_so_and_is_not_saved,
  a_model_is_picked_and_its_answer_streams_into_the_page,
  a_chat_shown_again_has_the_same_answer,
  stop_ends_a_long_answer,
  an_attached_image_reaches_the_model,
  a_refused_chat_shows_its_reason,
  edited_messages_other_answers_branches_and_two_tabs_keep_one_history,
  an_image_is_described_to_a_model_that_takes_none,
  text_and_images_are_read_by_different_models_at_once,
  a_python_file_is_uploaded_configured_asked_and_deleted,
  a_python_file_that_cannot_be_loaded_is_listed_with_its_problem,
  a_python_file_is_installed_from_a_link_asked_and_deleted,
  a_python_file_of_a_private_address_is_not_installed,
  documents_are_uploaded_on_their_page_and_a_question_shows_why_each_chunk_ranks,
  an_answer_from_documents_shows_sources_that_open,
  the_usage_page_draws_what_was_answered,
].filter((check) => check === the_admin_logs_in || check.name.includes(env('ONLY', '')));

mkdirSync(SCREENSHOTS, { recursive: true });
await signUpUnlessThereIsTheAdmin();
const browser = await chromium.launch({
  executablePath: env('CHROMIUM', '/usr/bin/chromium'),
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-US' })).newPage();
page.setDefaultTimeout(PATIENCE / 2);
let [passed, failed, skipped] = [0, 0, 0];
for (const check of CHECKS) {
  const name = check.name.replaceAll('_', ' ');
  try {
    await check();
    passed++;
    console.log(`ok – ${name}`);
  } catch (error) {
    if (error instanceof Skipped) {
      skipped++;
      console.log(`skipped – ${name}: ${error.message}`);
      continue;
    }
    failed++;
    console.log(`FAILED – ${name}: ${error.message}`);
    await screenshot(`failed-${check.name}`).catch(() => {});
    if (check === the_admin_logs_in) break;
  }
}
await browser.close();
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
process.exit(failed ? 1 : 0);
