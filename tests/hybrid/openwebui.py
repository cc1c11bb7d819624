"""The hybrid router through the real Open WebUI while its local model is killed, restarted and frozen.

Run by tests/openwebui/run (CHECKS=hybrid), which tests/hybrid/run calls with all that has to be there.
"""
import asyncio
import os
import signal
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, '..', 'openwebui')]

import check  # noqa: E402
import checks  # noqa: E402
from checks import expect, short  # noqa: E402

SMART = f'{checks.PIPE}.hybrid-smart'
LOCAL = f'{checks.PIPE}.hybrid-local'


class Llama(check.Llama):
    """The local model that runs already, until it is killed."""

    def __init__(self, folder):
        super().__init__(folder)
        self.port, self.pid = int(os.environ['LLAMA_PORT']), int(os.environ['LLAMA_PID'])

    def signal(self, number):
        os.kill(self.process.pid if self.process else self.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)


class Crowd:
    """People at their chat pages, who send a message as soon as the last one is answered."""

    def __init__(self, owui, label, people=3):
        self.owui, self.label, self.over = owui, label, False
        self.answers = []
        self.people = [asyncio.ensure_future(self.chat(n)) for n in range(people)]

    async def chat(self, person):
        number = 0
        while not self.over:
            number += 1
            question = f'{self.label}-{person}-{number} is a pelican. Tell me a short story about it.'
            chat = await self.owui.finished(SMART, question, params={'max_tokens': 40})
            self.answers.append((question, ''.join(chat.words()), await chat.message()))

    def sides(self):
        return ['local' if answer.get('selectedModelId') == LOCAL else 'cloud' for _, _, answer in self.answers]

    async def until(self, what, condition, patience=90):
        for _ in range(patience * 20):
            if condition():
                return
            for person in self.people:
                if person.done():
                    person.result()
            await asyncio.sleep(0.05)
        expect(False, f'{what} did not happen in {patience} s: {self.sides()}')

    async def end(self):
        self.over = True
        await asyncio.gather(*self.people)
        for question, seen, answer in self.answers:
            self.check(question, seen, answer)
        sides = self.sides()
        cut = sum(1 for _, _, answer in self.answers if answer.get('error'))
        return f'{len(sides)} chats: {sides.count("local")} local ({cut} of them cut off), {sides.count("cloud")} cloud'

    @staticmethod
    def check(question, seen, answer):
        text, what = checks.text_of(answer), short(answer, 800)
        expect(answer.get('done') is True, f'the message is not marked as done: {what}')
        expect(text.strip(), f'a chat has no answer: {what}')
        expect(seen.strip() == text.strip(), f'the page saw {short(seen)!r}, and stored is {short(text)!r}')
        expect(answer.get('selectedModelId') in (LOCAL, check.CLOUD), f'who has answered is not told: {what}')
        if answer.get('error'):
            expect(answer['selectedModelId'] == LOCAL, f'a chat failed that the cloud could have answered: {what}')
        if answer['selectedModelId'] == check.CLOUD:
            expect(text.count(question.split()[0]) == 1, f'the cloud quotes its question once: {what}')


async def turn(**valves):
    port = int(checks.SERVER.rsplit(':', 1)[1])
    status, answer = await asyncio.to_thread(check.call, port, 'POST', f'/{checks.PIPE}/valves/update', valves)
    expect(status == 200, f'valves: {status} {answer}')


async def a_local_model_that_is_well_answers(owui, _llama):
    # A busy machine is not what is checked here.
    await turn(local_timeout_seconds=check.PATIENCE)
    crowd = Crowd(owui, 'well')
    await crowd.until('6 answers', lambda: len(crowd.answers) >= 6)
    told = await crowd.end()
    expect(set(crowd.sides()) == {'local'}, told)
    await turn(local_timeout_seconds=check.FIRST)
    return told


async def a_local_model_that_is_killed_and_restarted_is_not_missed(owui, llama):
    crowd = Crowd(owui, 'killed')
    await crowd.until('3 answers', lambda: len(crowd.answers) >= 3)
    llama.kill()
    await crowd.until('8 answers of the cloud', lambda: crowd.sides().count('cloud') >= 8)
    await asyncio.to_thread(llama.start)
    after = len(crowd.answers)
    await crowd.until('a local answer', lambda: 'local' in crowd.sides()[after:])
    return await crowd.end()


async def a_local_model_that_is_frozen_is_not_missed(owui, llama):
    crowd = Crowd(owui, 'frozen')
    await crowd.until('3 answers', lambda: len(crowd.answers) >= 3)
    llama.freeze()
    await crowd.until('8 answers of the cloud', lambda: crowd.sides().count('cloud') >= 8)
    llama.thaw()
    after = len(crowd.answers)
    await crowd.until('a local answer', lambda: 'local' in crowd.sides()[after:])
    return await crowd.end()


async def what_the_local_model_cannot_see_the_cloud_does(owui, _llama):
    chat = await owui.finished(SMART, 'What is this?', files=[{'type': 'image', 'url': checks.PNG}])
    message = await chat.message()
    expect(message.get('selectedModelId') == check.CLOUD and 'image' in checks.text_of(message), short(message, 800))
    return 'the cloud'


async def a_title_is_asked_locally(owui, _llama):
    await turn(local_timeout_seconds=check.PATIENCE)
    chat = await owui.finished(SMART, 'I saw a pelican.', tasks=('title_generation',))
    expect(not (await chat.message()).get('error'), short(await chat.message(), 800))
    _, report = await asyncio.to_thread(check.get, int(checks.SERVER.rsplit(':', 1)[1]), '/usage?by=task,side')
    titles = [row['side'] for row in report['rows'] if row.get('task') == 'title_generation']
    expect(titles == ['local'], f'titles: {report["rows"]}')
    return 'booked for the local side'


CHECKS = [
    a_local_model_that_is_well_answers,
    a_local_model_that_is_killed_and_restarted_is_not_missed,
    a_local_model_that_is_frozen_is_not_missed,
    what_the_local_model_cannot_see_the_cloud_does,
    a_title_is_asked_locally,
]


async def main():
    failed = 0
    check.KEY = checks.KEY
    llama = Llama(os.environ['SCREENSHOTS'])
    try:
        async with checks.OpenWebUI() as owui:
            await checks.the_first_user_signs_up_as_admin(owui)
            await owui.join()
            for one in CHECKS:
                name = one.__name__.replace('_', ' ')
                try:
                    print(f'ok – {name} ({await one(owui, llama)})', flush=True)
                except (checks.Failed, check.Failed) as reason:
                    failed += 1
                    print(f'FAILED – {name}: {reason}', flush=True)
                    llama.thaw()
    finally:
        llama.stop()
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(asyncio.run(main()))
