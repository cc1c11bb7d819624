"""How long the binary takes from its start as a Lambda function to its first answer, and how much memory that takes.

    python3 deploy/lambda/cold_start.py target/release/pipewright

Plays Lambda's runtime API; a chat is answered by the emulator of `--demo`, so the time holds no network.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RUNS = int(os.environ.get('RUNS', '20'))
CHAT = {'model': 'bedrock_models.amazon.nova-lite-v1:0', 'messages': [{'role': 'user', 'content': 'hi'}]}


def request(method, path, body=None):
    return {'version': '2.0', 'rawPath': path, 'rawQueryString': '', 'isBase64Encoded': False, 'body': body and json.dumps(body),
            'headers': {'authorization': 'Bearer k', 'content-type': 'application/json'},
            'requestContext': {'http': {'method': method, 'path': path}, 'stage': '$default', 'timeEpoch': 0}}


EVENTS = {'an event that is no request': {'msg': 'hello'}, 'GET /health': request('GET', '/health'),
          'a chat': request('POST', '/v1/chat/completions', CHAT)}


class Runtime(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        event, self.server.event = self.server.event, None
        if event is None:
            self.server.over.wait()
            self.close_connection = True
            return
        body = json.dumps(event).encode()
        self.send_response(200)
        for name, value in {'Lambda-Runtime-Aws-Request-Id': '1', 'Lambda-Runtime-Deadline-Ms': '4102444800000', 'Lambda-Runtime-Trace-Id': 'Root=1',
                            'Lambda-Runtime-Invoked-Function-Arn': 'arn:aws:lambda:us-east-1:123456789012:function:chat', 'Content-Length': len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        while size := int(self.rfile.readline().strip() or b'0', 16):
            self.server.said += self.rfile.read(size)
            self.rfile.readline()
        self.server.answered.set()
        self.send_response(202)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *_):
        pass


def once(binary, event):
    server = ThreadingHTTPServer(('127.0.0.1', 0), Runtime)
    server.event, server.said, server.answered, server.over = event, b'', threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {'AWS_LAMBDA_RUNTIME_API': f'127.0.0.1:{server.server_port}', 'AWS_LAMBDA_FUNCTION_NAME': 'chat', 'PIPELINES_API_KEY': 'k',
                 'AWS_LAMBDA_FUNCTION_MEMORY_SIZE': '512', 'AWS_LAMBDA_FUNCTION_VERSION': '1'}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen([binary, '--demo'], cwd=folder, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        answered = server.answered.wait(30)
        took = (time.perf_counter() - started) * 1000
        with open(f'/proc/{process.pid}/status', encoding='ascii') as status:
            memory = int(re.search(r'VmHWM:\s+(\d+)', status.read())[1]) / 1024
        process.kill()
        process.wait()
    server.over.set()
    server.shutdown()
    assert answered and b'"statusCode":200' in server.said, server.said[:300]
    return took, memory


def main():
    binary = os.path.abspath(sys.argv[1])
    print(f'{os.path.getsize(binary) / 1e6:.1f} MB, {RUNS} runs')
    for name, event in EVENTS.items():
        times, memory = zip(*(once(binary, event) for _ in range(RUNS)))
        print(f'{name}: median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms, {max(memory):.0f} MB at most')


if __name__ == '__main__':
    main()
