#!/usr/bin/env python3
"""What readers cost that stop reading long answers: `slow_readers.py BINARY [READERS]`.

An upstream of OpenAI's kind sends without end, as fast as it is read, to that many clients of `openai_proxy` who read nothing. Prints the
memory of the process before and at its peak, and fails if a reader takes more than 64 kB, or if the upstream can send on and on. What is
read ahead of a fast upstream, and what waits to be written, are bounded (`http-client`, `src/http/sse_body.rs`).
"""
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile

MOST = 64
KEY = 'only-for-tests'
sent = 0


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def memory(process):
    """In kB."""
    with open(f'/proc/{process.pid}/status') as status:
        return int(next(line for line in status if line.startswith('VmRSS')).split()[1])


async def upstream(reader, writer):
    global sent
    try:
        head = (await reader.readuntil(b'\r\n\r\n')).lower()
        if head.startswith(b'get'):
            models = json.dumps({'data': [{'id': 'endless'}]}).encode()
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s' % (len(models), models))
            return await writer.drain()
        await reader.readexactly(int(head.split(b'content-length:')[1].split(b'\r\n')[0]))
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
        frame = b'data: %s\n\n' % json.dumps({'choices': [{'index': 0, 'delta': {'content': 'x' * 900}}]}).encode()
        while True:
            writer.write(b'%x\r\n%s\r\n' % (len(frame), frame))
            await writer.drain()
            sent += len(frame)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # it has what it wanted
    finally:
        writer.close()


async def stopped_reader(port):
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await loop.sock_connect(client, ('127.0.0.1', port))
    body = json.dumps({'model': 'openai_proxy.endless', 'stream': True, 'messages': [{'role': 'user', 'content': 'go on'}]})
    await loop.sock_sendall(client, (f'POST /chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n'
                                     f'content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}').encode())
    return client


async def is_up(port):
    for _ in range(600):
        try:
            (await asyncio.open_connection('127.0.0.1', port))[1].close()
            return
        except OSError:
            await asyncio.sleep(0.1)
    sys.exit('the host did not start')


async def main(binary, readers):
    behind, port = free_port(), free_port()
    await asyncio.start_server(upstream, '127.0.0.1', behind, backlog=1024)
    with tempfile.TemporaryDirectory() as folder:
        settings = {'HOST': '127.0.0.1', 'PORT': str(port), 'PIPELINES_API_KEY': KEY, 'PIPELINES_DIR': folder, 'DRAIN_SECONDS': '1',
                    'OPENAI_PROXY_API_BASE': f'http://127.0.0.1:{behind}/v1', 'OPENAI_PROXY_API_KEY': 'k',
                    'OPENAI_PROXY_RATE_LIMIT': '0'}
        host = subprocess.Popen([os.path.abspath(binary)], cwd=folder, env={**os.environ, **settings}, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        try:
            await is_up(port)
            await asyncio.sleep(3)
            before = memory(host)
            clients = [await stopped_reader(port) for _ in range(readers)]
            peak, last, still = before, -1, 0
            for _ in range(240):
                await asyncio.sleep(0.5)
                still = still + 1 if sent == last else 0
                peak, last = max(peak, memory(host)), sent
                if still == 10:
                    break
            grown, is_held_back = (peak - before) / readers, still == 10
            print(f'{readers} readers: {before / 1024:.0f} MB before, {peak / 1024:.0f} MB at most, {grown:.0f} kB each; '
                  f'the upstream could send {sent / readers / 1024:.0f} kB each' + ('' if is_held_back else ', and goes on'))
            began = all(client.recv(12) == b'HTTP/1.1 200' for client in clients)
            fine = began and grown <= MOST and is_held_back
            print(f'{int(fine)} passed, {int(not fine)} failed')
            return 0 if fine else 1
        finally:
            host.kill()
            host.wait()
            # The upstream's ends close by themselves.
            await asyncio.sleep(1)


if __name__ == '__main__':
    sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500)))
