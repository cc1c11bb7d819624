#!/usr/bin/env python3
"""What large bodies cost: `body_memory.py BINARY [BODIES [MEGABYTES]]`.

Sends that many bodies of several kinds at once to a host of its own, and asks for `/health` all the while. Prints for each kind the statuses,
the memory of the process at its peak and afterwards, and how long `/health` took. Fails if the process takes more than 1 GB, if 99 of 100
answers of `/health` take more than 100 ms, or if the memory is not given back.
"""
import asyncio
import collections
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

KEY = 'only-for-tests'
MOST, LATEST, LEFT = 1024, 100, 100  # MB, ms, MB


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def memory(process, what='VmRSS'):
    """In MB."""
    with open(f'/proc/{process.pid}/status') as status:
        return int(re.search(rf'{what}:\s+(\d+)', status.read())[1]) / 1024


def filled(before, piece, after, size):
    return before + b','.join([piece] * ((size - len(before) - len(after)) // (len(piece) + 1))) + after


def kinds(size):
    chat = b'{"model":"openai_proxy.reader","messages":[{"role":"user","content":'
    image = b'data:image/png;base64,' + b'iVBORw0KGgoAAAAN' * ((size - 300) // 16)
    return {
        'tiny parts': ('/chat/completions', filled(chat + b'[', b'{"type":"text","text":"a"}', b']}]}', size)),
        'as many parts as there may be': ('/chat/completions', filled(chat + b'[', b'{"type":"text","text":"a"}', b']}]}', 20_000 * 27)),
        'empty messages': ('/chat/completions', filled(b'{"model":"m","messages":[', b'{}', b']}', size)),
        'tools': ('/chat/completions', filled(chat + b'"a"}],"tools":[', b'{"type":"function","function":{"name":"a"}}', b']}', size)),
        'numbers': ('/embeddings', filled(b'{"model":"m","input":[', b'1', b']}', min(size, 15 << 20))),
        'one text': ('/chat/completions', chat + b'"' + b'a' * (size - 300) + b'"}]}'),
        'escapes': ('/chat/completions', chat + b'"' + b'\\n' * (size // 2 - 150) + b'"}]}'),
        'one image': ('/chat/completions', chat + b'[{"type":"image_url","image_url":{"url":"' + image + b'"}}]}]}'),
        'one image for Claude': ('/messages', b'{"max_tokens":5,' + chat[1:] + b'[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"'
                                 + image[22:] + b'"}}]}]}'),
        'many texts below a MiB': ('/chat/completions', chat + b'"' + b'a' * min(size - 300, 1_000_000) + b'"}]}'),
        'a filter': ('/rate_limit/filter/inlet', b'{"body":' + chat + b'"' + b'a' * (size - 300) + b'"}]}}'),
    }


async def request(port, method, path, body=b''):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    try:
        writer.write(f'{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {KEY}\r\n'
                     f'content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n'.encode())
        try:
            for start in range(0, len(body), 1 << 16):
                writer.write(body[start:start + (1 << 16)])
                await writer.drain()
        except ConnectionError:
            pass  # it has answered before the end
        head = await reader.readuntil(b'\r\n')
        return int(head.split()[1])
    except (ConnectionError, asyncio.IncompleteReadError):
        return 0  # the answer was lost with the rest of the body
    finally:
        writer.close()


async def probe(port, times):
    while True:
        began = time.monotonic()
        await request(port, 'GET', '/health')
        times.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(0.01)


async def up(port):
    for _ in range(600):
        try:
            return await request(port, 'GET', '/models')
        except OSError:
            await asyncio.sleep(0.1)
    sys.exit('the host did not start')


async def watch(process, peak):
    while True:
        peak.append(memory(process))
        await asyncio.sleep(0.02)


async def main(binary, bodies, size):
    port, behind = free_port(), free_port()
    upstream = subprocess.Popen([sys.executable, __file__, '--upstream', str(behind)])
    with tempfile.TemporaryDirectory() as folder:
        settings = {'HOST': '127.0.0.1', 'PORT': str(port), 'PIPELINES_API_KEY': KEY, 'PIPELINES_DIR': folder, 'DRAIN_SECONDS': '1',
                    'OPENAI_PROXY_API_BASE': f'http://127.0.0.1:{behind}/v1', 'OPENAI_PROXY_API_KEY': 'k', 'OPENAI_PROXY_RATE_LIMIT': '0'}
        # Upstream and senders are processes of their own, so that they do not count as the host's latency.
        host = subprocess.Popen([os.path.abspath(binary)], cwd=folder, env={**os.environ, **settings}, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        failed = 0
        try:
            await up(port)
            await asyncio.sleep(2)
            start = memory(host)
            print(f"{start:.0f} MB before", flush=True)
            for name, (path, body) in kinds(size).items():
                count = bodies * 40 if name.startswith('many') else bodies
                with open(os.path.join(folder, 'body'), 'wb') as file:
                    file.write(body)
                times, peak = [], []
                tasks = [asyncio.create_task(probe(port, times)), asyncio.create_task(watch(host, peak))]
                began = time.monotonic()
                sender = await asyncio.create_subprocess_exec(sys.executable, __file__, '--send', str(port), path, str(count),
                                                              os.path.join(folder, 'body'), stdout=subprocess.PIPE)
                statuses = (await sender.communicate())[0].decode().strip()
                took = time.monotonic() - began
                await asyncio.sleep(2)
                for task in tasks:
                    task.cancel()
                after = memory(host)
                late = sorted(times)[int(len(times) * 0.99)]
                fine = max(peak) <= MOST and late <= LATEST and after - start <= LEFT
                failed += not fine
                print(f'{count} x {len(body) / 1e6:.1f} MB, {name}: {statuses} in {took:.1f} s; {max(peak):.0f} MB at most, {after:.0f} MB '
                      f'afterwards; /health {late:.0f} ms (99 %), {max(times):.0f} ms at most' + ('' if fine else '  <- FAILED'), flush=True)
            print(f'{len(kinds(1000)) - failed} passed, {failed} failed')
            return 1 if failed else 0
        finally:
            host.kill()
            host.wait()
            upstream.kill()
            upstream.wait()


async def read_away(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b'\r\n\r\n')).lower()
            rest = int(head.split(b'content-length:')[1].split(b'\r\n')[0]) if b'content-length:' in head else 0
            while rest:
                rest -= len(await reader.read(min(rest, 1 << 20)))
            answer = {'data': [{'id': 'reader'}], 'choices': [{'index': 0, 'finish_reason': 'stop', 'message': {'role': 'assistant', 'content': 'Read.'}}]}
            answer = json.dumps(answer).encode()
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s' % (len(answer), answer))
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        writer.close()


async def serve(port):
    server = await asyncio.start_server(read_away, '127.0.0.1', port, limit=1 << 20)
    await server.serve_forever()


async def send(port, path, bodies, file):
    with open(file, 'rb') as file:
        body = file.read()
    statuses = await asyncio.gather(*(request(port, 'POST', path, body) for _ in range(bodies)))
    print(', '.join(f'{count} x {status}' for status, count in sorted(collections.Counter(statuses).items())))


if __name__ == '__main__':
    if sys.argv[1] == '--upstream':
        asyncio.run(serve(int(sys.argv[2])))
    elif sys.argv[1] == '--send':
        asyncio.run(send(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]))
    else:
        numbers = [int(number) for number in sys.argv[2:]] + [8, 59][len(sys.argv) - 2:]
        sys.exit(asyncio.run(main(sys.argv[1], numbers[0], numbers[1] * 1_000_000)))
