"""Chats with the hybrid router while its local model is killed, frozen, slowed and restarted. Settings come from `run`.

A chat may end in one way only: answered whole, by one side, or, if its first token was out when the local model died, cut off with an
error. Each has a person of its own, so that the books show who was paid for it.
"""
import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

KEY = 'only-for-tests'
PIPE = 'hybrid_router'
SMART = f'{PIPE}.hybrid-smart'
CLOUD = 'bedrock_models.amazon.nova-lite-v1:0'
PATIENCE = 120
# How long the router waits for a first local token, and for a next one.
FIRST, IDLE, REST = 4, 6, 2


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Failed(Exception):
    """What a check expected and did not find."""


def expect(condition, reason):
    if not condition:
        raise Failed(reason)


def eventually(what, ask, patience=60):
    end = time.monotonic() + patience
    while not ask():
        expect(time.monotonic() < end, f'{what} did not happen in {patience} s')
        time.sleep(0.05)


# ---- what runs, and ends with us -----------------------------------------------------------------------------------

class Llama:
    """The real local model, and what may happen to it."""

    def __init__(self, folder):
        self.port, self.folder, self.process = free_port(), folder, None
        self.pid_file = os.path.join(folder, 'llama.pid')

    def start(self):
        command = shlex.split(os.environ['LLAMA']) + [
            '-m', os.environ['MODEL'], '-t', '1', '-c', '8192', '-np', '4', '--host', '127.0.0.1', '--port', str(self.port)]
        with open(os.path.join(self.folder, 'llama.log'), 'ab') as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually('the start of the local model', self.is_up)

    def is_up(self):
        try:
            return get(self.port, '/health')[0] == 200
        except OSError:
            return False

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def slow(self, seconds, share=0.1):
        """For so long, it runs only this share of the time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.freeze()
            time.sleep(0.2 * (1 - share))
            self.thaw()
            time.sleep(0.2 * share)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Pipewright:
    """The host, with a stand-in for Bedrock as the cloud."""

    def __init__(self, folder):
        self.port, self.folder = free_port(), folder
        self.log = os.path.join(folder, 'pipewright.log')

    def start(self):
        settings = {'HOST': '127.0.0.1', 'PORT': str(self.port), 'PIPELINES_API_KEY': KEY, 'PIPELINES_DIR': self.folder,
                    'VALVES_FILE': os.path.join(self.folder, 'valves.toml'), 'DRAIN_SECONDS': '1'}
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen([os.environ['PIPEWRIGHT_BIN'], '--demo'], cwd=self.folder, stdout=log, stderr=log,
                                            env={**os.environ, **settings})
        eventually('the start of pipewright', self.is_up)

    def is_up(self):
        try:
            return get(self.port, '/health')[0] == 200
        except OSError:
            return False

    def turn(self, **valves):
        status, answer = call(self.port, 'POST', f'/{PIPE}/valves/update', valves)
        expect(status == 200, f'valves: {status} {answer}')

    def booked(self):
        """What was paid for each person, by side: only answers that have cost tokens."""
        _, report = get(self.port, '/usage?by=user,side&limit=10000')
        paid = {}
        for row in report['rows']:
            if row['prompt'] or row['completion']:
                paid.setdefault(row.get('user'), []).append((row['side'], row['requests']))
        return paid

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()


def call(port, method, path, body=None, timeout=PATIENCE):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=timeout)
    try:
        headers = {'Authorization': f'Bearer {KEY}', 'Content-Type': 'application/json'}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors='replace')
    finally:
        connection.close()


def get(port, path):
    return call(port, 'GET', path, timeout=5)


# ---- chats ---------------------------------------------------------------------------------------------------------

class Chat:
    """One streamed chat, and all that a client has seen of it."""

    def __init__(self, port, user, words=40, begun=lambda chat: None):
        self.user = user
        self.text, self.finishes, self.dones, self.errors, self.selected = '', 0, 0, [], []
        self.status = self.side = self.first = None
        self.began = time.monotonic()
        begun(self)
        body = {'model': SMART, 'stream': True, 'stream_options': {'include_usage': True}, 'max_tokens': words, 'user': {'id': user},
                'messages': [{'role': 'user', 'content': f'{user} is a pelican. Tell me a short story about it.'}]}
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=PATIENCE)
        try:
            headers = {'Authorization': f'Bearer {KEY}', 'Content-Type': 'application/json'}
            connection.request('POST', '/chat/completions', json.dumps(body), headers)
            answer = connection.getresponse()
            self.status, self.side = answer.status, answer.getheader('x-pipewright-side')
            for line in answer:
                self.read(line.decode().strip())
        finally:
            connection.close()
        self.took = time.monotonic() - self.began

    def read(self, line):
        if self.status != 200:
            self.errors.append(line)
        elif line == 'data: [DONE]':
            self.dones += 1
        elif line.startswith('data:'):
            frame = json.loads(line[5:])
            if frame.get('error'):
                self.errors.append(frame['error']['message'])
            if frame.get('selected_model_id'):
                self.selected.append(frame['selected_model_id'])
            for choice in frame.get('choices') or []:
                content = choice['delta'].get('content') or ''
                if content and self.first is None:
                    self.first = time.monotonic() - self.began
                self.text += content
                self.finishes += choice.get('finish_reason') is not None

    def is_half_said(self):
        return self.side == 'local' and len(self.text) > 10 and not self.finishes and not self.errors

    def check(self):
        """Raises unless it was answered exactly once, or was cut off after its first local token."""
        what = f'{self.user}: {vars(self)}'
        expect(self.status == 200, f'a chat failed that the cloud could have answered: {what}')
        expect(self.dones == 1, f'not one end: {what}')
        expect(self.selected == [CLOUD if self.side == 'cloud' else f'{PIPE}.hybrid-local'], f'who answered is not told once: {what}')
        if self.errors:
            expect(self.side == 'local' and self.text and self.finishes == 0 and len(self.errors) == 1, f'an error that need not be: {what}')
        else:
            expect(self.text and self.finishes == 1, f'not answered whole and once: {what}')
        if self.side == 'cloud':
            expect(self.text.count(self.user) == 1, f'the cloud quotes its question once: {what}')


class Crowd:
    """People who chat without a pause until they are stopped."""

    def __init__(self, port, label, people=4):
        self.port, self.label = port, label
        self.chats, self.troubles, self.over = [], [], threading.Event()
        self.under_way = {}
        self.threads = [threading.Thread(target=self.chat, args=(n,), daemon=True) for n in range(people)]
        for thread in self.threads:
            thread.start()

    def chat(self, person):
        number = 0
        while not self.over.is_set():
            number += 1
            try:
                begun = lambda chat: self.under_way.update({person: chat})
                self.chats.append(Chat(self.port, f'{self.label}-{person}-{number}', begun=begun))
            except Exception as trouble:  # a client that is cut off is a finding like any other
                self.troubles.append(f'{self.label}-{person}-{number}: {trouble!r}')
            time.sleep(0.05)

    def sides(self):
        return [chat.side for chat in list(self.chats)]

    def is_in_the_middle(self):
        return len(self.chats) >= 4 and any(chat.is_half_said() for chat in list(self.under_way.values()))

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE)
        expect(not self.troubles, f'connections broke: {self.troubles}')
        for chat in self.chats:
            chat.check()
        return self.chats


def summary(chats):
    cut = sum(1 for chat in chats if chat.errors)
    sides = [chat.side for chat in chats]
    firsts = sorted(chat.first for chat in chats if chat.first is not None)
    return f'{len(chats)} chats: {sides.count("local")} local ({cut} of them cut off), {sides.count("cloud")} cloud; first token after {firsts[len(firsts) // 2]:.2f} s, at most {firsts[-1]:.2f} s'


def paid_once(host, chats, by_both=False):
    paid = host.booked()
    for chat in chats:
        sides = paid.get(chat.user, [])
        fine = len(sides) == 1 and sides[0] == (chat.side, 1)
        # In a race that was asked for, the side that loses may have cost something.
        fine = fine or (by_both and (chat.side, 1) in sides and len(sides) <= 2)
        expect(fine, f'{chat.user} was answered by {chat.side} and paid for {sides}')


# ---- what is checked -----------------------------------------------------------------------------------------------

def a_model_that_is_well_answers_everything(host, llama):
    # A busy machine is not what is checked here.
    host.turn(local_timeout_seconds=PATIENCE)
    crowd = Crowd(host.port, 'well')
    eventually('12 answers', lambda: len(crowd.chats) >= 12)
    chats = crowd.end()
    host.turn(local_timeout_seconds=FIRST)
    expect(set(crowd.sides()) == {'local'}, f'{crowd.sides()}')
    paid_once(host, chats)
    return chats


def a_model_that_is_killed_is_not_missed_and_after_a_restart_it_answers_again(host, llama):
    crowd = Crowd(host.port, 'killed')
    eventually('the middle of an answer', crowd.is_in_the_middle)
    llama.kill()
    dead = time.monotonic()
    eventually('20 answers of the cloud', lambda: crowd.sides().count('cloud') >= 20)
    after, restarted = len(crowd.chats), time.monotonic()
    llama.start()
    eventually('a local answer', lambda: 'local' in crowd.sides()[after:])
    eventually('8 more answers', lambda: len(crowd.chats) >= after + 12)
    chats = crowd.end()
    cut = [chat for chat in chats if chat.errors]
    expect(1 <= len(cut) <= 4, f'{len(cut)} answers were cut off, and 1 to 4 must have been under way')
    slow = [chat for chat in chats if dead < chat.began < restarted and chat.first > 2]
    expect(not slow, f'a dead server costs time: {[chat.first for chat in slow]}')
    paid_once(host, chats)
    return chats


def a_model_that_is_frozen_costs_one_wait_and_no_more(host, llama):
    crowd = Crowd(host.port, 'frozen')
    eventually('the middle of an answer', crowd.is_in_the_middle)
    llama.freeze()
    frozen = time.monotonic()
    eventually('20 answers of the cloud', lambda: crowd.sides().count('cloud') >= 20)
    time.sleep(FIRST + REST + 2)  # it is tried, in vain
    after, thawed = len(crowd.chats), time.monotonic()
    llama.thaw()
    eventually('a local answer', lambda: 'local' in crowd.sides()[after:])
    chats = crowd.end()
    cut = [chat for chat in chats if chat.errors]
    expect(1 <= len(cut) <= 4, f'{len(cut)} answers fell silent, and 1 to 4 must have been under way')
    waited = [chat for chat in chats if chat.side == 'cloud' and chat.first > 2 and frozen < chat.began + chat.first and chat.began < thawed]
    expect(len(waited) <= 4, f'{len(waited)} chats waited for the frozen model, and only 4 can have been under way')
    expect(all(chat.first < FIRST + 2 for chat in waited), f'{[chat.first for chat in waited]}')
    paid_once(host, chats)
    return chats


def a_model_that_is_slowed_answers_late_or_not_at_all_but_never_twice(host, llama):
    crowd = Crowd(host.port, 'slowed')
    eventually('4 answers', lambda: len(crowd.chats) >= 4)
    llama.slow(15)
    chats = crowd.end()
    paid_once(host, chats)
    return chats


def in_a_race_a_frozen_model_costs_no_more_than_the_delay(host, llama):
    host.turn(hedge_after_ms=300)
    llama.freeze()
    crowd = Crowd(host.port, 'raced')
    eventually('8 answers', lambda: len(crowd.chats) >= 8)
    after, thawed = len(crowd.chats), time.monotonic()
    llama.thaw()
    # Now it may take its time, so that it wins a race on a busy machine too.
    host.turn(hedge_after_ms=10_000, local_timeout_seconds=PATIENCE)
    eventually('a local answer', lambda: 'local' in crowd.sides()[after:])
    chats = crowd.end()
    host.turn(hedge_after_ms=None, local_timeout_seconds=FIRST)
    late = [chat.first for chat in chats if chat.began < thawed and chat.first > 2]
    expect(not late, f'{late}')
    paid_once(host, chats, by_both=True)
    return chats


def without_the_fallback_a_dead_model_is_a_clear_error(host, llama):
    host.turn(cloud_fallback=False)
    llama.kill()
    chat = Chat(host.port, 'alone')
    host.turn(cloud_fallback=True)
    llama.start()
    expect(chat.status == 502 and 'cannot be reached' in chat.errors[0] and str(llama.port) not in chat.errors[0], f'{vars(chat)}')
    return [chat]


CHECKS = [
    a_model_that_is_well_answers_everything,
    a_model_that_is_killed_is_not_missed_and_after_a_restart_it_answers_again,
    a_model_that_is_frozen_costs_one_wait_and_no_more,
    a_model_that_is_slowed_answers_late_or_not_at_all_but_never_twice,
    in_a_race_a_frozen_model_costs_no_more_than_the_delay,
    without_the_fallback_a_dead_model_is_a_clear_error,
]


def through_openwebui(host, llama):
    """The same kinds of mishap, with Open WebUI in between: tests/openwebui sets it up and runs openwebui.py."""
    shots = os.path.join(os.path.dirname(os.environ['MODEL']), 'openwebui')
    settings = {'PIPEWRIGHT_URL': f'http://127.0.0.1:{host.port}', 'PIPEWRIGHT_KEY': KEY, 'PIPEWRIGHT_LOG': host.log, 'CHECKS': 'hybrid',
                'LLAMA_PID': str(llama.process.pid), 'LLAMA_PORT': str(llama.port), 'PIPE': PIPE, 'SCREENSHOTS': shots}
    return subprocess.call([os.environ['OPENWEBUI']], env={**os.environ, **settings})


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        host, llama = Pipewright(folder), Llama(folder)
        try:
            llama.start()
            host.start()
            host.turn(local_endpoint=f'http://127.0.0.1:{llama.port}', cloud_model=CLOUD, cost_tracking=True, local_timeout_seconds=FIRST,
                      local_idle_seconds=IDLE, breaker_seconds=REST)
            for check in CHECKS:
                name = check.__name__.replace('_', ' ')
                try:
                    chats = check(host, llama)
                    passed += 1
                    print(f'ok – {name}' + (f' ({summary(chats)})' if len(chats) > 1 else ''), flush=True)
                except Failed as reason:
                    failed += 1
                    print(f'FAILED – {name}: {reason}', flush=True)
                    llama.thaw()
                    if not llama.is_up():
                        llama.stop()
                        llama.start()
                    host.turn(hedge_after_ms=None, cloud_fallback=True, local_timeout_seconds=FIRST)
                    time.sleep(2 * REST)
            if os.environ.get('OPENWEBUI'):
                failed += through_openwebui(host, llama) not in (0, 77)
        except Failed as reason:
            failed += 1
            print(f'FAILED – {reason}', flush=True)
        finally:
            llama.stop()
            host.stop()
        if failed:
            for log in ('pipewright.log', 'llama.log'):
                with open(os.path.join(folder, log), errors='replace') as file:
                    print(f'---- {log}', *file.readlines()[-30:], sep='\n', flush=True)
    print(f'{passed} passed, {failed} failed', flush=True)
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
