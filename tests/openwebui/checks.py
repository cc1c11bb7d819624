"""Checks a Pipelines server through Open WebUI's own API and socket, as its pages use them.

Runs in Open WebUI's virtual environment (aiohttp and socketio are there). Settings: README.md.
"""
import asyncio
import json
import os
import re
import sys
import time
import traceback
import uuid

import aiohttp
import socketio

BASE = os.environ.get('OPENWEBUI_URL', 'http://127.0.0.1:8080')
SERVER = os.environ.get('PIPEWRIGHT_URL', 'http://127.0.0.1:9099')
KEY = os.environ.get('PIPEWRIGHT_KEY', '0p3n-w3bu!')
PIPE = os.environ.get('PIPE', 'bedrock_models')
NAME = os.environ.get('ADMIN_NAME', 'Ada Ädmin')
EMAIL = os.environ.get('ADMIN_EMAIL', 'admin@example.org')
PASSWORD = os.environ.get('ADMIN_PASSWORD', 'only-for-tests-1')
PATIENCE = float(os.environ.get('PATIENCE', '60'))
LOG = os.environ.get('PIPEWRIGHT_LOG', '')
DATA = os.environ.get('PIPEWRIGHT_DATA', '')

MARKER = 'pelican'
SECRET = 'a-secret-for-tests'
MASK = '**********'
# The demo quotes about 120 characters, word by word: many short words make the longest answer there is.
LONG_PROMPT = os.environ.get('LONG_PROMPT', 'a b c d e f g h i j k l m n o p q r s t u v w x y z ' * 4)
# One red pixel.
PNG = ('data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC')


class Failed(Exception):
    """What a check expected and did not find."""


class Skipped(Exception):
    """Why a check has nothing to look at."""


def expect(condition, reason):
    if not condition:
        raise Failed(reason)


def short(value, limit=300):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[:limit] + '…'


# ---- Open WebUI, as its pages talk to it ---------------------------------------------------------------------------

class OpenWebUI:
    async def __aenter__(self):
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE * 2))
        self.token = self.user = None
        self.events = []
        self.socket = None
        return self

    async def __aexit__(self, *_):
        if self.socket:
            await self.socket.disconnect()
        await self.http.close()

    def headers(self):
        return {'Authorization': f'Bearer {self.token}'} if self.token else {}

    async def call(self, method, path, body=None):
        async with self.http.request(method, BASE + path, json=body, headers=self.headers()) as answer:
            text = await answer.text()
            try:
                return answer.status, json.loads(text)
            except ValueError:
                return answer.status, text

    async def get(self, path):
        status, answer = await self.call('GET', path)
        expect(status == 200, f'GET {path}: {status} {short(answer)}')
        return answer

    async def models(self):
        return [m for m in (await self.get('/api/models?refresh=true'))['data'] if m['id'].startswith(f'{PIPE}.')]

    async def join(self):
        self.socket = socketio.AsyncClient()
        self.socket.on('events', lambda event, *_: self.events.append(event))
        await self.socket.connect(BASE, socketio_path='/ws/socket.io', transports=['websocket'],
                                  auth={'token': self.token})
        await self.socket.emit('user-join', {'auth': {'token': self.token}})

    async def send(self, model, text, chat=None, tasks=(), files=(), params=None, edits=None, regenerates=None):
        """Posts what the chat page posts when a message is sent: after a turn, or in the place of one."""
        replaced = edits or regenerates
        asked, answered = regenerates.asked if regenerates else str(uuid.uuid4()), str(uuid.uuid4())
        parent = replaced.parent if replaced else chat.answered if chat else None
        chat = chat or replaced
        body = {
            'stream': True, 'model': model, 'params': params or {}, 'tool_ids': [], 'tool_servers': [],
            'messages': [{'role': 'user', 'content': text}],
            'features': {'voice': False, 'image_generation': False, 'code_interpreter': False, 'web_search': False},
            'variables': {'{{USER_NAME}}': NAME}, 'session_id': self.socket.sid, 'id': answered, 'parent_id': parent,
            'user_message': {'id': asked, 'parentId': parent, 'childrenIds': [answered], 'role': 'user', 'content': text,
                             'timestamp': int(time.time()), 'models': [model], **({'files': list(files)} if files else {})},
            'background_tasks': {task: True for task in tasks},
            **({'chat_id': chat.id} if chat else {}),
        }
        mark = len(self.events)
        status, answer = await self.call('POST', '/api/chat/completions', body)
        expect(status == 200 and answer.get('chat_id'), f'Open WebUI refused the message itself: {status} {short(answer)}')
        return Chat(self, answer['chat_id'], asked, parent, answered, mark)

    async def finished(self, *message, **more):
        chat = await self.send(*message, **more)
        await chat.until_it_ends()
        return chat


class Chat:
    """One turn of a chat: the answer under way, and what was stored of it."""

    def __init__(self, owui, id, asked, parent, answered, mark):
        self.owui, self.id, self.asked, self.parent, self.answered, self.mark = owui, id, asked, parent, answered, mark

    def events(self, kind=None):
        mine = [e['data'] for e in self.owui.events[self.mark:] if e.get('chat_id') == self.id and e.get('data')]
        return [e for e in mine if kind is None or e.get('type') == kind]

    def words(self):
        """The bits of text that the page has seen so far."""
        live = [e.get('data') or {} for e in self.events('response:completion')]
        return [bit['delta'] for bit in live if bit.get('type') == 'response.output_text.delta']

    def is_over(self):
        return any((e.get('data') or {}).get('active') is False for e in self.events('chat:active'))

    async def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            expect(time.monotonic() < end, f'{what} did not happen in {PATIENCE:.0f} s; events: {self.kinds()}')
            await asyncio.sleep(0.02)

    async def until_it_ends(self):
        await self.until(self.is_over, 'the end of the answer')

    async def stop(self):
        return await self.owui.call('POST', f'/api/tasks/chat/{self.id}/stop')

    def kinds(self):
        return sorted({e.get('type') or '?' for e in self.events()})

    async def stored(self):
        return (await self.owui.get(f'/api/v1/chats/{self.id}'))['chat']

    async def message(self):
        return (await self.stored())['history']['messages'][self.answered]

    async def text(self):
        return text_of(await self.message())


def text_of(message):
    """What the page draws: the output items if there are any, else the content."""
    texts = [part.get('text', '') for item in message.get('output') or [] if item.get('type') == 'message'
             for part in item.get('content') or []]
    return ''.join(texts) or message.get('content') or ''


def reason_of(message):
    """The error as the page shows it."""
    error = message.get('error')
    return (error.get('content') or error.get('message') or '') if isinstance(error, dict) else str(error or '')


def streamed(frames):
    return ''.join((f['choices'][0]['delta'].get('content') or '') for f in frames if f.get('choices'))


def answers_cut_short():
    """How many answers the server's log says were left before their end."""
    if not LOG:
        return 0
    with open(LOG, encoding='utf-8', errors='replace') as file:
        return sum('"complete":false' in line and 'chat/completions' in line for line in file)


# ---- which models to use -------------------------------------------------------------------------------------------

def can(model, capability):
    return ((model.get('info') or {}).get('meta') or {}).get('capabilities', {}).get(capability, True)


def first(models, *patterns, such=lambda model: True):
    """The first model whose id matches the first pattern that any id matches; all models may lack what is wanted."""
    expect(models, 'no model is listed')
    for pattern in patterns:
        for model in models:
            if re.search(pattern, model['id']) and such(model):
                return model['id']
    raise Skipped('none of the models is such')


async def a_model(owui):
    return os.environ.get('CHAT_MODEL') or first(await owui.models(), r'claude.*haiku', r'claude|nova', r'.')


async def a_model_that_sees(owui):
    return os.environ.get('VISION_MODEL') or first(await owui.models(), r'nova-lite', r'.', such=lambda m: can(m, 'vision'))


async def a_model_that_sees_not(owui):
    return first(await owui.models(), r'.', such=lambda m: not can(m, 'vision'))


# ---- the connection ------------------------------------------------------------------------------------------------

async def the_first_user_signs_up_as_admin(owui):
    status, user = await owui.call('POST', '/api/v1/auths/signup', {'name': NAME, 'email': EMAIL, 'password': PASSWORD})
    if status != 200:
        status, user = await owui.call('POST', '/api/v1/auths/signin', {'email': EMAIL, 'password': PASSWORD})
    expect(status == 200 and user.get('role') == 'admin', f'{status} {short(user)}')
    owui.token, owui.user = user['token'], user['id']


async def the_connection_is_verified_with_the_right_key(owui):
    status, answer = await owui.call('POST', '/openai/verify', {'url': SERVER, 'key': KEY})
    expect(status == 200 and answer.get('pipelines') and answer.get('data'), f'{status} {short(answer)}')


async def the_connection_is_refused_with_a_wrong_key(owui):
    status, answer = await owui.call('POST', '/openai/verify', {'url': SERVER, 'key': 'wrong'})
    expect(status in (401, 403) and not answer.get('data'), f'{status} {short(answer)}')


async def the_model_list_shows_models_with_a_pipeline(owui):
    models = await owui.models()
    expect(models, f'no model begins with "{PIPE}."')
    for model in models:
        expect(model.get('pipeline', {}).get('type') in ('pipe', 'manifold'), f'{model["id"]}: pipeline is {model.get("pipeline")}')
        expect(model.get('name') and model['name'] != '', f'{model["id"]} has no name')
        expect(not {'pipe', 'arena', 'preset', 'direct'} & set(model.get('openai', {})), f'{model["id"]} has keys that mislead Open WebUI')
    expect(len({m['id'] for m in models}) == len(models), 'an id is listed twice')


async def the_server_is_listed_as_a_pipelines_server(owui):
    found = (await owui.get('/api/v1/pipelines/list'))['data']
    expect(SERVER.rstrip('/') in [server['url'].rstrip('/') for server in found], f'listed: {short(found)}')


# ---- valves --------------------------------------------------------------------------------------------------------

async def connection(owui):
    for server in (await owui.get('/api/v1/pipelines/list'))['data']:
        if server['url'].rstrip('/') == SERVER.rstrip('/'):
            return server['idx']
    raise Failed('the server is not listed')


async def pipelines(owui):
    return (await owui.get(f'/api/v1/pipelines/?urlIdx={await connection(owui)}'))['data']


async def valves_of(owui, pipe):
    index = await connection(owui)
    return (await owui.get(f'/api/v1/pipelines/{pipe}/valves/spec?urlIdx={index}'),
            await owui.get(f'/api/v1/pipelines/{pipe}/valves?urlIdx={index}'))


def as_the_page_sends(spec, values):
    """The page's own transform: lists become comma-separated text when shown, and lists of text when saved."""
    sent = dict(values)
    for name, property in spec['properties'].items():
        if property.get('type') == 'array':
            text = ','.join(str(item) for item in values[name]) if isinstance(values[name], list) else values[name]
            sent[name] = [item.strip() for item in (text or '').split(',')]
    return sent


async def save(owui, pipe, spec, values):
    """Saves as the page does; answers status and body."""
    return await owui.call('POST', f'/api/v1/pipelines/{pipe}/valves/update?urlIdx={await connection(owui)}',
                           as_the_page_sends(spec, values))


def is_secret(property):
    return property.get('format') == 'password' or property.get('writeOnly') is True


def kind_of(property):
    if is_secret(property):
        return 'secret'
    return 'enum' if property.get('enum') else property.get('type')


async def every_pipeline_is_listed_with_a_form_that_the_page_can_show(owui):
    listed = await pipelines(owui)
    expect(PIPE in [p['id'] for p in listed], f'listed: {short(listed)}')
    for pipe in listed:
        expect(pipe.get('name') and 'valves' in pipe, f'incomplete: {pipe}')
        if not pipe['valves']:
            continue
        spec, values = await valves_of(owui, pipe['id'])
        expect(isinstance(spec.get('properties'), dict), f'{pipe["id"]}: the spec has no properties')
        for name, property in spec['properties'].items():
            where, value = f'{pipe["id"]}.{name}', values.get(name)
            expect(property.get('title'), f'{where} has no title: the form shows no label')
            expect(property.get('type') or property.get('enum'), f'{where} has no type of its own')
            if property.get('type') == 'array':
                expect(isinstance(value, list) and value, f'{where} is {value}: the form breaks on null, and cannot save []')
            expect(value != '', f'{where} is empty: the form cannot be saved')
            if is_secret(property):
                expect(value in (None, MASK), f'{where} shows its secret')
                expect('default' not in property, f'{where} has a default in its spec')


async def saving_the_untouched_form_changes_nothing(owui):
    for pipe in await pipelines(owui):
        if pipe['valves']:
            spec, before = await valves_of(owui, pipe['id'])
            status, answer = await save(owui, pipe['id'], spec, before)
            expect(status == 200 and 'detail' not in answer, f'{pipe["id"]}: {status} {short(answer)}')
            _, after = await valves_of(owui, pipe['id'])
            changed = [name for name in before if before[name] != after.get(name)]
            expect(not changed, f'{pipe["id"]}: changed by themselves: {changed}')


async def the_long_form_has_all_valves(owui):
    await turned(owui, PIPE, show_advanced=False)
    short, _ = await valves_of(owui, PIPE)
    await turned(owui, PIPE, show_advanced=True)
    long, _ = await valves_of(owui, PIPE)
    # Valves that were saved once stay in the short form.
    expect(len(long['properties']) > len(short['properties']), f'{len(short["properties"])} valves, then {len(long["properties"])}')


async def the_short_form_is_back(owui):
    long, _ = await valves_of(owui, PIPE)
    await turned(owui, PIPE, show_advanced=False)
    short, _ = await valves_of(owui, PIPE)
    expect(len(short['properties']) < len(long['properties']), f'{len(short["properties"])} valves')


def another_text(name, _property, value):
    if 'region' in name:
        return 'us-west-2'
    return f'{value}-edited' if value else 'edited'


def another_number(_name, property, value):
    low, high = property.get('minimum', 0), property.get('maximum', 10**6)
    other = (value or low) + 1
    return other if other <= high else low


def another_choice(_name, property, value):
    return next(option for option in property['enum'] if option != value)


def one_item_less(_name, _property, value):
    return value[:-1] if len(value) > 1 else ['us-east-1', 'us-west-2']


# kind: (a new value, how the form sends it, how it reads back)
EDITS = {
    'string': (another_text, str, lambda new: new),
    'integer': (another_number, str, lambda new: new),
    'number': (another_number, str, lambda new: new),
    'boolean': (lambda _name, _property, value: not value, bool, lambda new: new),
    'enum': (another_choice, lambda new: new, lambda new: new),
    'array': (one_item_less, lambda new: new, lambda new: new),
    'secret': (lambda *_: SECRET, str, lambda _new: MASK),
}


def editing_a(kind):
    """A check that edits each valve of this kind as the form does, reads it back, and puts the old value back."""

    async def check(owui):
        spec, before = await valves_of(owui, PIPE)
        names = [name for name, property in spec['properties'].items() if kind_of(property) == kind]
        if not names:
            raise Skipped(f'{PIPE} has no {kind} valve')
        new, sent, read = EDITS[kind]
        saved, refusals = [], []
        for name in names:                  # some valves are pinned, or make sense only together with others
            value = new(name, spec['properties'][name], before[name])
            status, answer = await save(owui, PIPE, spec, {**before, name: sent(value)})
            if status != 200:
                refusals.append(f'{name} = {short(value)}: {status}')
                expect((await valves_of(owui, PIPE))[1] == before, f'{name} was refused, and yet valves have changed')
                continue
            try:
                _, after = await valves_of(owui, PIPE)
                expect(after[name] == read(value), f'{name} was set to {short(value)} and reads {short(after[name])}')
                others = [other for other in before if other != name and after.get(other) != before[other]]
                expect(not others, f'with {name}, these changed too: {others}')
            finally:
                status, answer = await save(owui, PIPE, spec, before)
            expect(status == 200, f'{name} could not be put back: {status} {short(answer)}')
            _, after = await valves_of(owui, PIPE)
            expect(after == before, f'{name} was put back, and reads {short(after[name])}')
            saved.append(name)
        expect(saved, f'every {kind} valve was refused: {"; ".join(refusals)}')

    check.__name__ = f'editing_{"an" if kind[0] in "aeiou" else "a"}_{kind}_valve_saves_it_and_nothing_else'
    return check


async def none_clears_an_optional_valve_and_resets_any_other(owui):
    """The form's "None" sends null, and "Custom" after it an empty text."""
    spec, before = await valves_of(owui, PIPE)
    optional = next(name for name, p in spec['properties'].items() if kind_of(p) == 'string' and name.endswith('external_id'))
    number = next(name for name, p in spec['properties'].items() if kind_of(p) == 'integer')
    switch = next(name for name, p in spec['properties'].items() if kind_of(p) == 'boolean')
    new = {optional: 'for-a-while', number: str(spec['properties'][number]['default'] + 1), switch: not spec['properties'][switch]['default']}
    try:
        for nothing in (None, ''):
            status, answer = await save(owui, PIPE, spec, {**before, **new})
            expect(status == 200, f'{status} {short(answer)}')
            status, answer = await save(owui, PIPE, spec, {**before, **dict.fromkeys(new, nothing)})
            expect(status == 200, f'{nothing!r}: {status} {short(answer)}')
            _, after = await valves_of(owui, PIPE)
            expected = {optional: None, **{name: spec['properties'][name]['default'] for name in (number, switch)}}
            for name, value in expected.items():
                expect(after[name] == value, f'{name} was set to {nothing!r} and reads {short(after[name])}')
    finally:
        await save(owui, PIPE, spec, before)


async def a_secret_that_comes_back_as_its_mask_stays_what_it_was(owui):
    spec, before = await valves_of(owui, PIPE)
    for name in (name for name, property in spec['properties'].items() if kind_of(property) == 'secret'):
        status, _ = await save(owui, PIPE, spec, {**before, name: SECRET})
        if status == 200:
            break
    else:
        raise Failed('every secret valve was refused')
    try:
        _, masked = await valves_of(owui, PIPE)
        expect(masked[name] == MASK, f'{name} reads {short(masked[name])}')
        status, answer = await save(owui, PIPE, spec, masked)
        expect(status == 200, f'{status} {short(answer)}')
        if DATA:
            with open(f'{DATA}/{PIPE}/valves.json', encoding='utf-8') as file:
                expect(json.load(file)[name] == SECRET, f'{name} was stored as something else')
    finally:
        status, answer = await save(owui, PIPE, spec, before)
    expect(status == 200, f'{name} could not be put back: {status} {short(answer)}')
    expect((await valves_of(owui, PIPE))[1] == before, f'{name} was not cleared again')


async def a_number_out_of_bounds_is_refused_and_changes_nothing(owui):
    spec, before = await valves_of(owui, PIPE)
    bound = [(name, p['maximum'] + 1) for name, p in spec['properties'].items() if 'maximum' in p]
    if not bound:
        raise Skipped('no valve has an upper bound')
    name, value = bound[0]
    status, answer = await save(owui, PIPE, spec, {**before, name: str(value)})
    expect(status >= 400, f'{name} = {value}: {status} {short(answer)}')
    expect((await valves_of(owui, PIPE))[1] == before, 'valves have changed')


async def the_models_are_back_after_the_valves_were_turned(owui):
    end = time.monotonic() + PATIENCE
    while not await owui.models():
        expect(time.monotonic() < end, 'no model is listed any more')
        await asyncio.sleep(0.5)


# ---- chats as an API caller ----------------------------------------------------------------------------------------

async def a_plain_chat_is_answered(owui):
    body = {'model': await a_model(owui), 'stream': False, 'messages': [{'role': 'user', 'content': f'I saw a {MARKER}.'}]}
    status, answer = await owui.call('POST', '/api/chat/completions', body)
    expect(status == 200, f'{status} {short(answer)}')
    choice = answer['choices'][0]
    expect(MARKER in (choice['message']['content'] or ''), f'the answer does not quote the question: {short(choice)}')
    expect(choice['finish_reason'] == 'stop', f'finish_reason is {choice["finish_reason"]}')
    expect(answer['usage']['total_tokens'] > 0, f'usage is {answer.get("usage")}')


async def a_streamed_chat_is_answered_bit_by_bit(owui):
    body = {'model': await a_model(owui), 'stream': True, 'stream_options': {'include_usage': True},
            'messages': [{'role': 'user', 'content': f'I saw a {MARKER}.'}]}
    frames, times, done = [], [], False
    async with owui.http.post(BASE + '/api/chat/completions', json=body, headers=owui.headers()) as answer:
        expect(answer.status == 200, f'{answer.status} {await answer.text() if answer.status != 200 else ""}')
        expect('text/event-stream' in answer.headers['Content-Type'], answer.headers['Content-Type'])
        async for line in answer.content:
            line = line.decode().strip()
            if line == 'data: [DONE]':
                done = True
            elif line.startswith('data:'):
                frames.append(json.loads(line[5:]))
                times.append(time.monotonic())
    expect(MARKER in streamed(frames), f'streamed: {short(streamed(frames))}')
    expect(len(frames) > 3, f'only {len(frames)} frames')
    expect(times[-1] - times[0] > 0.05, 'all frames came at once: something buffers them')
    expect([f['choices'][0]['finish_reason'] for f in frames if f.get('choices')][-1] == 'stop', 'no finish reason at the end')
    expect(sum(1 for f in frames if f.get('usage')) == 1, 'usage must come exactly once: Open WebUI adds it up')
    expect(done, 'no [DONE]')


async def a_refused_chat_tells_an_api_caller_why(owui):
    for stream in (False, True):
        body = {'model': await a_model(owui), 'stream': stream, 'max_tokens': 0, 'messages': [{'role': 'user', 'content': 'hi'}]}
        status, answer = await owui.call('POST', '/api/chat/completions', body)
        expect(status >= 400, f'stream={stream}: {status} {short(answer)}')
        expect('max_tokens' in json.dumps(answer), f'stream={stream}: no reason: {short(answer)}')


async def an_image_reaches_the_model(owui):
    content = [{'type': 'text', 'text': f'What is this, a {MARKER}?'}, {'type': 'image_url', 'image_url': {'url': PNG}}]
    body = {'model': await a_model_that_sees(owui), 'stream': False, 'messages': [{'role': 'user', 'content': content}]}
    status, answer = await owui.call('POST', '/api/chat/completions', body)
    expect(status == 200, f'{status} {short(answer)}')
    expect('image' in answer['choices'][0]['message']['content'], f'the model saw no image: {short(answer["choices"])}')


async def a_text_is_embedded_and_found_again(owui):
    # Open WebUI's own retrieval, with a model that its picker does not list.
    texts = [f'{MARKER} nests on the roof of the library.', 'The tram to the harbour leaves at noon.']
    for text in texts:
        status, answer = await owui.call('POST', '/api/v1/retrieval/process/text', {'name': 'note', 'content': text})
        expect(status == 200 and answer.get('status') is True, f'{status} {short(answer)}')
        query = {'collection_name': answer['collection_name'], 'query': text, 'k': 1}
        status, found = await owui.call('POST', '/api/v1/retrieval/query/doc', query)
        expect(status == 200 and found['documents'] == [[text]], f'{status} {short(found)}')


async def a_model_that_paints(owui):
    return os.environ.get('IMAGE_MODEL') or first(await owui.models(), r'nova-canvas', r'stability')


async def picture_at(owui, url):
    async with owui.http.get(BASE + url, headers=owui.headers()) as answer:
        expect(answer.status == 200, f'{url}: {answer.status}')
        return await answer.read()


async def a_picture_is_made_by_the_image_engine(owui):
    status, answer = await owui.call('POST', '/api/v1/images/generations', {'prompt': f'a {MARKER}', 'n': 2})
    expect(status == 200 and len(answer) == 2, f'{status} {short(answer)}')
    for picture in answer:
        expect((await picture_at(owui, picture['url'])).startswith(b'\x89PNG'), f'no PNG: {picture}')


# ---- chats as the page holds them ----------------------------------------------------------------------------------

async def the_page_joins_the_socket(owui):
    await owui.join()


async def a_new_chat_streams_and_gets_title_tags_and_follow_ups(owui):
    question = f'I saw a {MARKER} on the roof.'
    chat = await owui.finished(await a_model(owui), question,
                               tasks=('title_generation', 'tags_generation', 'follow_up_generation'))
    message = await chat.message()
    expect(not message.get('error'), f'error: {message.get("error")}')
    expect(message.get('done') is True, 'the message is not marked as done')
    expect(MARKER in text_of(message), f'stored: {short(text_of(message))}')
    expect(len(chat.words()) > 2, f'the page saw no streaming: {chat.kinds()}')
    expect((message.get('usage') or {}).get('total_tokens', 0) > 0, f'usage is {message.get("usage")}')
    titles = [e['data'] for e in chat.events('chat:title')]
    title = (await chat.stored())['title']
    expect(titles, f'no title came: {chat.kinds()}')
    expect(title == titles[-1] and title not in (question, 'New Chat'), f'the title is no model\'s: "{title}"')
    tags = [tag['name'] for tag in await owui.get(f'/api/v1/chats/{chat.id}/tags')]
    expect(tags and 'General' not in tags, f'tags: {tags}')
    expect(message.get('followUps'), f'no follow-ups: {chat.kinds()}')


async def a_second_turn_continues_the_chat(owui):
    model = await a_model(owui)
    turn = await owui.finished(model, f'I saw a {MARKER}.')
    turn = await owui.finished(model, 'And an otter.', chat=turn)
    message = await turn.message()
    expect(not message.get('error') and message.get('done') is True, f'error: {message.get("error")}')
    expect('otter' in text_of(message), f'stored: {short(text_of(message))}')
    expect(len((await turn.stored())['history']['messages']) == 4, 'the chat has not four messages')


async def an_image_in_a_chat_reaches_the_model(owui):
    chat = await owui.finished(await a_model_that_sees(owui), f'What is this, a {MARKER}?', files=[{'type': 'image', 'url': PNG}])
    message = await chat.message()
    expect(not message.get('error'), f'error: {message.get("error")}')
    expect('image' in text_of(message), f'the model saw no image: {short(text_of(message))}')


async def a_chat_with_a_model_that_paints_keeps_its_picture_as_a_file(owui):
    tasks = ('title_generation', 'tags_generation', 'follow_up_generation')
    turn = await owui.finished(await a_model_that_paints(owui), f'a {MARKER}', tasks=tasks)
    message = await turn.message()
    expect(not message.get('error') and message.get('done') is True, f'error: {message.get("error")}')
    pictures = [file['url'] for file in message.get('files') or [] if file.get('type') == 'image']
    expect(len(pictures) == 1 and not pictures[0].startswith('data:'), f'files: {short(message.get("files"))}')
    expect((await picture_at(owui, pictures[0])).startswith(b'\x89PNG'), 'the file is no PNG')
    expect(text_of(message) == f'a {MARKER}', f'stored: {short(text_of(message))}')
    expect((await turn.stored())['title'], 'the chat has no title')
    turn = await owui.finished(await a_model(owui), 'What did you paint?', chat=turn)
    message = await turn.message()
    expect(not message.get('error') and 'paint' in text_of(message), f'{message.get("error")} {short(text_of(message))}')


async def a_built_in_tool_is_called_and_its_result_answered(owui):
    tools = lambda model: can(model, 'builtin_tools')
    model = first(await owui.models(), r'claude.*haiku', r'claude|nova', r'.', such=tools)
    chat = await owui.finished(model, 'What time is it?')
    message = await chat.message()
    expect(not message.get('error'), f'error: {message.get("error")}')
    items = [item.get('type') for item in message.get('output') or []]
    if 'function_call' not in items:
        raise Skipped('the model called no tool')
    expect('function_call_output' in items, f'output: {items}')
    expect(text_of(message).strip(), f'no text after the tool: {short(message.get("output"))}')


async def a_refused_chat_shows_its_reason(owui):
    chat = await owui.finished(await a_model(owui), 'hi', params={'max_tokens': 0})
    message = await chat.message()
    expect('max_tokens' in reason_of(message), f'stored error: {message.get("error")}, text: {short(text_of(message))}')
    expect(message.get('done') is True, 'the message is not marked as done')


async def an_image_behind_a_link_is_refused_with_a_reason(owui):
    link = [{'type': 'image', 'url': 'http://127.0.0.1:9/x.png'}]       # Open WebUI cannot fetch it, and hands it on
    chat = await owui.finished(await a_model_that_sees(owui), 'What is this?', files=link)
    message = await chat.message()
    expect('links are not fetched' in reason_of(message), f'stored error: {message.get("error")}, text: {short(text_of(message))}')
    expect(message.get('done') is True, 'the message is not marked as done')


async def an_image_for_a_model_that_sees_not_is_refused_with_a_reason(owui):
    chat = await owui.finished(await a_model_that_sees_not(owui), 'What is this?', files=[{'type': 'image', 'url': PNG}])
    message = await chat.message()
    expect('image' in reason_of(message), f'stored error: {message.get("error")}, text: {short(text_of(message))}')


async def turned(owui, pipe, **changes):
    """Turns valves as the page does; answers what undoes it."""
    spec, before = await valves_of(owui, pipe)
    status, answer = await save(owui, pipe, spec, {**before, **changes})
    expect(status == 200 and 'detail' not in answer, f'{pipe}: {status} {short(answer)}')
    return {name: before[name] for name in changes}


async def an_image_for_a_model_that_sees_not_is_described_to_it(owui):
    model = await a_model_that_sees_not(owui)
    undo = await turned(owui, 'multimodal', image_model=await a_model_that_sees(owui), describe_images_for=model)
    try:
        listed = next(m for m in await owui.models() if m['id'] == model)
        expect(can(listed, 'vision'), 'the page would let nobody attach an image')
        # The demo's models quote the question: here with the description in it.
        chat = await owui.finished(model, 'What is this?', files=[{'type': 'image', 'url': PNG}])
        message = await chat.message()
        expect(not message.get('error'), f'error: {message.get("error")}')
        expect('Image 1, as another model' in text_of(message), f'stored: {short(text_of(message))}')
        expect([s['description'] for s in message.get('statusHistory') or []][-1:] == ['The images are described'],
               f'statuses: {short(message.get("statusHistory"))}')
        turn = await owui.finished(model, f'Is it a {MARKER}?', chat=chat)
        message = await turn.message()
        expect(not message.get('error') and MARKER in text_of(message), f'{message.get("error")} {short(text_of(message))}')
    finally:
        await turned(owui, 'multimodal', **undo)


async def remembered(owui, chat):
    """The user's messages that the host keeps of a chat."""
    url, headers = f'{SERVER}/conversations/{chat.id}?user={owui.user}', {'Authorization': f'Bearer {KEY}'}
    async with owui.http.get(url, headers=headers) as answer:
        kept = await answer.json()
    expect(answer.status == 200, f'{url}: {answer.status} {short(kept)}')
    return [m['content'] for m in kept['messages'] if m['role'] == 'user']


async def edits_regenerated_answers_and_branches_replace_what_is_remembered(owui):
    base = await a_model(owui)
    undo = await turned(owui, 'conversation', models=base)
    try:
        await owui.models()
        model = f'conversation.{base}'
        first_turn = await owui.finished(model, 'One.')
        second = await owui.finished(model, 'Two.', chat=first_turn)
        expect(await remembered(owui, second) == ['One.', 'Two.'], f'{await remembered(owui, second)}')
        again = await owui.finished(model, 'Two.', regenerates=second)
        expect(await remembered(owui, again) == ['One.', 'Two.'], f'regenerated: {await remembered(owui, again)}')
        edited = await owui.finished(model, 'Three.', edits=second)
        expect(await remembered(owui, edited) == ['One.', 'Three.'], f'edited: {await remembered(owui, edited)}')
        branch = await owui.finished(model, 'Four.', chat=again)
        expect(await remembered(owui, branch) == ['One.', 'Two.', 'Four.'], f'branch: {await remembered(owui, branch)}')
        tabs = await asyncio.gather(owui.finished(model, 'Left.', chat=edited), owui.finished(model, 'Right.', chat=branch))
        for tab in tabs:
            message = await tab.message()
            expect(not message.get('error') and message.get('done') is True, f'error: {message.get("error")}')
        kept = await remembered(owui, branch)
        expect(kept in (['One.', 'Three.', 'Left.'], ['One.', 'Two.', 'Four.', 'Right.']), f'two tabs: {kept}')
    finally:
        await turned(owui, 'conversation', **undo)


async def after_a_refusal_the_chat_goes_on(owui):
    model = await a_model(owui)
    turn = await owui.finished(model, 'hi', params={'max_tokens': 0})
    turn = await owui.finished(model, f'I saw a {MARKER}.', chat=turn)
    message = await turn.message()
    expect(not message.get('error') and MARKER in text_of(message), f'{message.get("error")} {short(text_of(message))}')


async def stop_ends_the_answer(owui):
    model = await a_model(owui)
    whole = await (await owui.finished(model, LONG_PROMPT)).text()
    cut_before = answers_cut_short()
    chat = await owui.send(model, LONG_PROMPT)
    await chat.until(lambda: chat.words() or chat.is_over(), 'the beginning of the answer')
    expect(not chat.is_over(), 'the answer was over before it could be stopped: LONG_PROMPT must ask for a longer one')
    started = time.monotonic()
    status, answer = await chat.stop()
    expect(status == 200, f'{status} {short(answer)}')
    await chat.until_it_ends()
    took = time.monotonic() - started
    await asyncio.sleep(0.5)
    text = await chat.text()
    expect(len(text) < 0.9 * len(whole), f'{len(text)} of {len(whole)} characters were stored although it was stopped')
    expect(took < 5, f'it took {took:.1f} s to stop')
    if LOG:
        expect(answers_cut_short() == cut_before + 1, 'the server did not notice: its log has no answer that was cut short')


async def an_approach_is_picked_watched_and_stopped(owui):
    base = await a_model(owui)
    model = f'optimizer.moa-{base}'
    undo = await turned(owui, 'optimizer', listed_models=f'moa-{base}')
    try:
        listed = (await owui.get('/api/models?refresh=true'))['data']
        expect(model in [m['id'] for m in listed], f'the picker has no {model}')
        chat = await owui.finished(model, f'Is it a {MARKER}?')
        message = await chat.message()
        expect(not message.get('error') and text_of(message).strip(), f'{message.get("error")} {short(text_of(message))}')
        shown = [status['description'] for status in message.get('statusHistory') or []]
        expect(any('proposals' in line for line in shown), f'no progress: {shown}')
        expect(shown[-1:] == ['Answered by moa with 5 calls'], f'the last status: {shown}')
        cut_before = answers_cut_short()
        chat = await owui.send(model, LONG_PROMPT)
        await chat.until(lambda: chat.events('status') or chat.is_over(), 'the first progress')
        expect(not chat.is_over(), 'the answer was over before it could be stopped')
        started = time.monotonic()
        status, answer = await chat.stop()
        expect(status == 200, f'{status} {short(answer)}')
        await chat.until_it_ends()
        expect(time.monotonic() - started < 5, f'it took {time.monotonic() - started:.1f} s to stop')
        await asyncio.sleep(0.5)
        shown = [status['description'] for status in (await chat.message()).get('statusHistory') or []]
        expect(not any(line.startswith('Answered') for line in shown), f'it went on: {shown}')
        if LOG:
            expect(answers_cut_short() == cut_before + 1, 'the server did not notice: its log has no answer that was cut short')
    finally:
        await turned(owui, 'optimizer', **undo)


async def the_log_of_the_server_holds_neither_questions_nor_secrets(_owui):
    if not LOG:
        raise Skipped('PIPEWRIGHT_LOG names no file')
    with open(LOG, encoding='utf-8', errors='replace') as file:
        text = file.read()
    expect(text, 'the log is empty')
    found = [word for word in (MARKER, SECRET) if word in text]
    expect(not found, f'found: {found}')


# ---- in this order -------------------------------------------------------------------------------------------------

CHECKS = [
    the_first_user_signs_up_as_admin,
    the_connection_is_verified_with_the_right_key,
    the_connection_is_refused_with_a_wrong_key,
    the_model_list_shows_models_with_a_pipeline,
    the_server_is_listed_as_a_pipelines_server,
    every_pipeline_is_listed_with_a_form_that_the_page_can_show,
    saving_the_untouched_form_changes_nothing,
    the_long_form_has_all_valves,
    *[editing_a(kind) for kind in EDITS],
    none_clears_an_optional_valve_and_resets_any_other,
    a_secret_that_comes_back_as_its_mask_stays_what_it_was,
    a_number_out_of_bounds_is_refused_and_changes_nothing,
    the_short_form_is_back,
    the_models_are_back_after_the_valves_were_turned,
    a_plain_chat_is_answered,
    a_streamed_chat_is_answered_bit_by_bit,
    a_refused_chat_tells_an_api_caller_why,
    an_image_reaches_the_model,
    a_text_is_embedded_and_found_again,
    a_picture_is_made_by_the_image_engine,
    the_page_joins_the_socket,
    a_new_chat_streams_and_gets_title_tags_and_follow_ups,
    a_second_turn_continues_the_chat,
    an_image_in_a_chat_reaches_the_model,
    a_chat_with_a_model_that_paints_keeps_its_picture_as_a_file,
    a_built_in_tool_is_called_and_its_result_answered,
    a_refused_chat_shows_its_reason,
    an_image_behind_a_link_is_refused_with_a_reason,
    an_image_for_a_model_that_sees_not_is_refused_with_a_reason,
    an_image_for_a_model_that_sees_not_is_described_to_it,
    edits_regenerated_answers_and_branches_replace_what_is_remembered,
    after_a_refusal_the_chat_goes_on,
    stop_ends_the_answer,
    an_approach_is_picked_watched_and_stopped,
    the_log_of_the_server_holds_neither_questions_nor_secrets,
]


async def main():
    only = os.environ.get('ONLY', '')
    passed, failed, skipped = 0, 0, 0
    async with OpenWebUI() as owui:
        for number, check in enumerate(CHECKS):
            needed = number == 0 or check is the_page_joins_the_socket
            if only not in check.__name__ and not needed:
                continue
            name = check.__name__.replace('_', ' ')
            try:
                await asyncio.wait_for(check(owui), PATIENCE * 4)
                passed += 1
                print(f'ok – {name}', flush=True)
            except Skipped as reason:
                skipped += 1
                print(f'skipped – {name}: {reason}', flush=True)
            except Failed as reason:
                failed += 1
                print(f'FAILED – {name}: {reason}', flush=True)
            except Exception as error:
                failed += 1
                print(f'FAILED – {name}: {type(error).__name__}: {error}', flush=True)
                traceback.print_exc()
            if number == 0 and failed:
                break
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''), flush=True)
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(asyncio.run(main()))
