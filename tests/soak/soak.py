"""A host under load for some minutes, with faults: `soak.py BINARY MINUTES`; `run` starts it.

An upstream of OpenAI's kind answers every prompt with the nonce that stands in it. One chat in twenty meets a fault (FAULTS), one in twenty has a
client that leaves. Chats come over three APIs, streamed and whole. What must hold:

- a chat without a fault is answered whole, with its own nonce, and with no other; at most one in a hundred may be refused in good order;
- a chat with a fault ends in a status or in an error event, and its body is whole;
- usage is what the upstream has served, to the token;
- afterwards nothing is under way, and descriptors, threads and memory are back where they were.

What is planned follows from a seed, so that a run can be repeated; what happens first does not, so that nothing is asked of it.
"""
import asyncio
import collections
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time

KEY = 'only-for-tests'
SEED = int(os.environ.get('SEED', '1'))
CLIENTS = int(os.environ.get('CLIENTS', '24'))
FAULTS = ['status', 'busy', 'page', 'reset', 'cut', 'error', 'garbage', 'silence']
USERS = 12
# In kB: what an allocator may keep after a load. A leak of 1 kB a chat is more than that within a minute.
KEPT = 60 << 10
NONCE = re.compile(r'n[0-9a-f]{16}')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


# The upstream.

served = collections.Counter()
upstream_writers = set()


def tokens_of(nonce):
    """What an answer costs follows from its nonce, so that no two sums are alike by chance."""
    number = int(nonce[1:5], 16)
    return 3 + number % 97, 5 + number % 89


def words_of(nonce):
    return [f'{nonce}.{n} ' for n in range(2 + int(nonce[5], 16))]


def chunk(delta, finish=None):
    return b'data: %s\n\n' % json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]}).encode()


async def upstream(reader, writer):
    upstream_writers.add(writer)
    try:
        while True:
            head = (await reader.readuntil(b'\r\n\r\n')).lower()
            if head.startswith(b'get'):
                models = json.dumps({'data': [{'id': 'soak'}]}).encode()
                writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s' % (len(models), models))
                await writer.drain()
                continue
            body = await reader.readexactly(int(head.split(b'content-length:')[1].split(b'\r\n')[0]))
            if not await answer(json.loads(body), reader, writer):
                return
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the host has what it wanted
    finally:
        upstream_writers.discard(writer)
        writer.close()


async def answer(body, reader, writer):
    """Answers one chat; says whether the connection may go on."""
    prompt = body['messages'][-1]['content']
    if not isinstance(prompt, str):
        prompt = ' '.join(part.get('text', '') for part in prompt)
    nonce, fault = prompt.split()[:2]

    def whole(status, kind, content, more=b''):
        writer.write(b'HTTP/1.1 %s\r\ncontent-type: %s\r\n%scontent-length: %d\r\n\r\n%s' % (status, kind, more, len(content), content))

    async def send(data):
        writer.write(b'%x\r\n%s\r\n' % (len(data), data))
        await writer.drain()

    if fault == 'status':
        whole(b'500 Oops', b'application/json', b'{"error":{"message":"oops"}}')
        return True
    if fault == 'busy':
        whole(b'429 Busy', b'application/json', b'{"error":{"message":"busy"}}', b'retry-after: 30\r\n')
        return True
    if fault == 'page':
        whole(b'200 OK', b'text/html', b'<html>Log in</html>')
        return True
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
    words = words_of(nonce)
    for place, word in enumerate(words):
        await send(chunk({'content': word}))
        await asyncio.sleep(0)
        if place == 1 and fault in FAULTS:
            if fault == 'reset':
                writer.transport.abort()
                return False
            if fault == 'cut':
                writer.write(b'0\r\n\r\n')
                return True
            if fault == 'error':
                await send(b'data: {"error":{"message":"overloaded","code":"x"}}\n\n')
                writer.write(b'0\r\n\r\n')
                return True
            if fault == 'garbage':
                await send(b'data: {"choices": [{]\n\n\xff\xfe\n\n')
                return False
            if fault == 'silence':
                # Until the host has had enough of it.
                await reader.read()
                return False
        if fault == 'slow':
            await asyncio.sleep(0.05)
    await send(chunk({}, 'stop'))
    read, written = tokens_of(nonce)
    usage = {'prompt_tokens': read, 'completion_tokens': written, 'total_tokens': read + written}
    await send(b'data: %s\n\n' % json.dumps({'choices': [], 'usage': usage}).encode())
    await send(b'data: [DONE]\n\n')
    writer.write(b'0\r\n\r\n')
    await writer.drain()
    served[nonce] += 1
    return True


# The clients.

async def request(port, method, path, body=None, user=None, leaves=False):
    """The status and the text of an answer; `None` for a client that has left."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    try:
        data = json.dumps(body).encode() if body is not None else b''
        who = f'x-openwebui-user-id: {user}\r\n' if user else ''
        writer.write(f'{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {KEY}\r\n{who}'
                     f'content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n'.encode() + data)
        if leaves:
            # Before, or in the middle of, the answer.
            try:
                await asyncio.wait_for(reader.readuntil(b'.1 '), leaves)
            except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                pass
            return None
        head = (await reader.readuntil(b'\r\n\r\n')).decode()
        status, low = int(head.split(' ', 2)[1]), head.lower()
        if 'transfer-encoding: chunked' in low:
            parts = []
            while length := int(await reader.readuntil(b'\r\n'), 16):
                parts.append((await reader.readexactly(length + 2))[:-2])
            await reader.readexactly(2)
            content = b''.join(parts)
        else:
            content = await reader.readexactly(int(low.split('content-length: ')[1].split('\r\n')[0]))
        return status, content.decode()
    finally:
        writer.close()


def asked(api, stream, prompt):
    messages = [{'role': 'user', 'content': prompt}]
    if api == 'chat':
        return '/v1/chat/completions', {'model': 'openai_proxy.soak', 'stream': stream, 'messages': messages}
    if api == 'messages':
        return '/v1/messages', {'model': 'openai_proxy.soak', 'stream': stream, 'messages': messages, 'max_tokens': 500}
    return '/v1/responses', {'model': 'openai_proxy.soak', 'stream': stream, 'input': prompt}


# What stands in a stream that has ended well, and in one that has not.
ENDS = {'chat': '"finish_reason":"stop"', 'messages': 'message_stop', 'responses': 'response.completed'}


def is_whole(api, stream, text):
    return ENDS[api] in text if stream else True


class Soak:
    def __init__(self, port, host):
        self.port, self.host = port, host
        self.random = random.Random(SEED)
        self.count = collections.Counter()
        self.expected = collections.defaultdict(collections.Counter)
        self.wrong = []

    def plan(self):
        plan = self.random
        kind = plan.random()
        fault = plan.choice(FAULTS) if kind < 0.05 else 'slow' if kind < 0.10 else '-'
        leaves = plan.uniform(0.001, 0.2) if 0.05 <= kind < 0.10 else 0
        nonce = 'n%016x' % plan.getrandbits(64)
        return nonce, fault, leaves, plan.choice(list(ENDS)), plan.random() < 0.7, plan.randrange(USERS)

    async def chat(self):
        nonce, fault, leaves, api, stream, user = self.plan()
        path, body = asked(api, stream, f'{nonce} {fault} please')
        sort = 'leaver' if leaves else 'faulted' if fault in FAULTS else 'user'
        self.count[fault] += 1
        outcome = await asyncio.wait_for(request(self.port, 'POST', path, body, f'{sort}-{user}', leaves), 60)
        if outcome is None:
            return
        status, text = outcome
        place = f'{api}{" stream" if stream else ""} {nonce} {fault}: {status} {text[-400:]}'
        # An error may name its request; only answers hold nonces.
        if others := set(NONCE.findall(text)) - {nonce}:
            self.wrong.append(f'crossed with {others}: {place}')
        if sort == 'faulted':
            if status == 200 and (not stream or is_whole(api, stream, text)):
                self.wrong.append(f'taken for whole: {place}')
            if status == 200 and 'error' not in text and 'response.failed' not in text:
                self.wrong.append(f'no error: {place}')
            return
        if status in (429, 503) and 'error' in text:
            self.count['refused'] += 1
        elif status != 200 or not is_whole(api, stream, text) or '"error":{' in text:
            self.wrong.append(f'not answered: {place}')
        elif [word for word in words_of(nonce) if word.strip() not in text]:
            self.wrong.append(f'not whole: {place}')
        else:
            read, written = tokens_of(nonce)
            self.count['answered'] += 1
            self.expected[f'user-{user}'].update(requests=1, prompt=read, completion=written)

    async def client(self, until):
        while time.monotonic() < until:
            try:
                await self.chat()
            except (OSError, EOFError, ValueError, IndexError, TimeoutError, asyncio.LimitOverrunError) as error:
                self.wrong.append(f'a connection broke: {error!r}')
                return

    async def load(self, seconds):
        until = time.monotonic() + seconds
        await asyncio.gather(*(self.client(until) for _ in range(CLIENTS)))

    def footprint(self):
        with open(f'/proc/{self.host.pid}/status') as status:
            lines = dict(line.split(':', 1) for line in status)
        descriptors = len(os.listdir(f'/proc/{self.host.pid}/fd'))
        return descriptors, int(lines['Threads']), int(lines['VmRSS'].split()[0])

    async def in_flight(self):
        _, metrics = await request(self.port, 'GET', '/metrics')
        return sum(float(value) for value in re.findall(r'^pipelines_in_flight\{.*\} (\S+)$', metrics, re.M))

    async def rest(self):
        """Waits until nothing is under way; an upstream that closes lets go of connections that are kept."""
        for _ in range(120):
            if not await self.in_flight():
                break
            await asyncio.sleep(0.5)
        for writer in list(upstream_writers):
            writer.close()
        await asyncio.sleep(0.5)

    async def usage(self):
        _, report = await request(self.port, 'GET', '/usage?by=user')
        rows = {row['user']: row for row in json.loads(report)['rows']}
        fields = ('requests', 'prompt', 'completion')
        return {user: {field: rows.get(user, {}).get(field) for field in fields} for user in self.expected}

    async def run(self, minutes):
        # What a first load takes, for good.
        await self.load(min(10, minutes * 20))
        await self.rest()
        before = self.footprint()
        await self.load(minutes * 60)
        await self.rest()
        for _ in range(120):
            after = self.footprint()
            under_way, usage = await self.in_flight(), await self.usage()
            booked = usage == {user: dict(expected) for user, expected in self.expected.items()}
            is_back = after[0] <= before[0] + 4 and after[1] <= before[1] + 4 and after[2] <= before[2] + KEPT
            if booked and is_back and not under_way:
                break
            await asyncio.sleep(0.5)
        answered, refused = self.count['answered'], self.count['refused']
        checks = {
            'no answer is lost, crossed or half': not self.wrong,
            'chats without a fault are answered': answered > 20 and refused <= answered / 100,
            'each kind of fault was met': all(self.count[fault] for fault in FAULTS) or minutes < 1,
            'nothing is under way': not under_way,
            'usage is what was served': booked,
            'descriptors, threads and memory are back': is_back,
        }
        print(f'seed {SEED}, {minutes} min: {dict(self.count)}')
        print(f'descriptors, threads, kB: {before} before, {after} after')
        for line in self.wrong[:10]:
            print(f'  {line}')
        if not booked:
            print(f'  expected {dict(self.expected)}\n  booked {usage}')
        for check, holds in checks.items():
            print(f'{"ok" if holds else "FAILED"}: {check}')
        return all(checks.values())


async def main(binary, minutes):
    behind, port = free_port(), free_port()
    server = await asyncio.start_server(upstream, '127.0.0.1', behind, backlog=1024)
    with tempfile.TemporaryDirectory() as folder:
        settings = {'HOST': '127.0.0.1', 'PORT': str(port), 'PIPELINES_API_KEY': KEY, 'PIPELINES_DIR': folder, 'DRAIN_SECONDS': '5',
                    'OPENAI_PROXY_API_BASE': f'http://127.0.0.1:{behind}/v1', 'OPENAI_PROXY_API_KEY': 'k', 'OPENAI_PROXY_RATE_LIMIT': '0',
                    'OPENAI_PROXY_IDLE_TIMEOUT_SECONDS': '5', 'GLOBAL_LOG_LEVEL': 'INFO'}
        log = open(os.path.join(folder, 'log'), 'wb')
        host = subprocess.Popen([binary], cwd=folder, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=log)
        try:
            for _ in range(600):
                try:
                    if (await request(port, 'GET', '/v1/models'))[1].count('soak'):
                        break
                except OSError:
                    pass
                await asyncio.sleep(0.1)
            fine = await Soak(port, host).run(minutes)
            host.terminate()
            code = await asyncio.to_thread(host.wait, 30)
            print(f'{"ok" if code == 0 else "FAILED"}: the host ends in order')
            with open(os.path.join(folder, 'log')) as lines:
                text = lines.read()
            is_clean = 'panic' not in text and not NONCE.search(text)
            print(f'{"ok" if is_clean else "FAILED"}: the log holds no panic and no prompt')
            return 0 if fine and code == 0 and is_clean else 1
        finally:
            host.kill()
            host.wait()
            server.close()


if __name__ == '__main__':
    sys.exit(asyncio.run(main(sys.argv[1], float(sys.argv[2]))))
