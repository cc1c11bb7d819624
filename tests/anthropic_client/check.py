"""Checks the Messages API of a server with the `anthropic` package: its typed models, its stream parser, its exceptions.

PIPEWRIGHT_URL and PIPEWRIGHT_KEY name the server; MODEL names the model, else it is picked from the list.
"""
import asyncio
import base64
import json
import os
import re
import sys
import urllib.request

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message, MessageTokensCount, ModelInfo, RawMessageStreamEvent
from pydantic import TypeAdapter

SERVER = {'base_url': os.environ['PIPEWRIGHT_URL'].rstrip('/'), 'max_retries': 0, 'timeout': 60}
KEY = os.environ.get('PIPEWRIGHT_KEY', '0p3n-w3bu!')
client = Anthropic(api_key=KEY, **SERVER)

MARKER = 'pelican'
QUESTION = [{'role': 'user', 'content': f'I saw a {MARKER} on the roof.'}]
# One red pixel.
PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC'
IMAGE = {'type': 'image', 'source': {'type': 'base64', 'media_type': 'image/png', 'data': PNG}}
WEATHER = {'name': 'get_weather', 'description': 'The weather in a city.',
           'input_schema': {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']}}
THINKING = {'type': 'enabled', 'budget_tokens': 1024}


def expect(condition, reason):
    if not condition:
        raise AssertionError(reason)


def strictly(kind, answer):
    """Checks every field against the package's own types, which it does not do by itself."""
    TypeAdapter(kind).validate_python(answer.model_dump(mode='json', exclude_unset=True), strict=False)
    return answer


def refusal(exception, call, **kwargs):
    try:
        call(**kwargs)
    except exception as error:
        body = error.body
        expect(isinstance(body, dict) and body['type'] == 'error' and body['error']['message'], f'no reason: {body}')
        expect(error.request_id and error.request_id == body['request_id'], f'request id: {error.request_id} {body}')
        return error
    raise AssertionError(f'no {exception.__name__}')


def a_model():
    if 'MODEL' not in os.environ:
        request = urllib.request.Request(f'{SERVER["base_url"]}/v1/models', headers={'x-api-key': KEY})
        with urllib.request.urlopen(request) as answer:
            ids = [model['id'] for model in json.load(answer)['data']]
        os.environ['MODEL'] = next((name for name in ids if re.search(r'us\..*claude.*(haiku|sonnet)-4-5', name)), ids[0])
    return os.environ['MODEL']


def message(**more):
    return client.messages.create(**{'model': a_model(), 'max_tokens': 2000, 'messages': QUESTION, **more})


def streamed(**more):
    return client.messages.stream(**{'model': a_model(), 'max_tokens': 2000, 'messages': QUESTION, **more})


def read(usage):
    return usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens


def text(answer):
    return ''.join(block.text for block in answer.content if block.type == 'text')


# ---- checks --------------------------------------------------------------------------------------------------------

def models_are_listed_and_found():
    listed = [strictly(ModelInfo, model) for model in client.models.list()]
    ids = [model.id for model in listed]
    expect(a_model() in ids and all(model.display_name for model in listed), f'{listed[:3]}')
    expect([model.id for model in client.models.list(limit=3)] == ids, 'pages do not add up')
    found = strictly(ModelInfo, client.models.retrieve(a_model()))
    expect(found == listed[ids.index(a_model())], f'{found}')
    refusal(anthropic.NotFoundError, client.models.retrieve, model_id='no_such_pipe.no-such-model')
    keyless = Anthropic(api_key='wrong', **SERVER)
    refusal(anthropic.AuthenticationError, keyless.models.list)


def a_message_is_answered():
    answer = strictly(Message, message())
    expect(answer.type == 'message' and answer.role == 'assistant' and answer.id.startswith('msg_'), f'{answer}')
    expect(answer.model == a_model() and MARKER in text(answer) and answer.stop_reason == 'end_turn', f'{answer}')
    expect(read(answer.usage) > 0 and answer.usage.output_tokens > 0, f'{answer.usage}')
    expect(answer._request_id, 'no request id')


def a_system_prompt_is_kept_to():
    for system in ('Be kind.', [{'type': 'text', 'text': 'Be kind.', 'cache_control': {'type': 'ephemeral'}}]):
        expect('system prompt' in text(message(system=system)), f'{system}')


def raw_events_are_of_the_packages_types():
    events = [strictly(RawMessageStreamEvent, event) for event in message(stream=True)]
    kinds = [event.type for event in events]
    expect(kinds[:2] == ['message_start', 'content_block_start'], f'{kinds}')
    expect(kinds[-3:] == ['content_block_stop', 'message_delta', 'message_stop'], f'{kinds}')
    said = ''.join(event.delta.text for event in events if event.type == 'content_block_delta')
    expect(MARKER in said, said)
    expect(events[-2].usage.output_tokens > 0 and events[-2].delta.stop_reason == 'end_turn', f'{events[-2]}')


def the_package_folds_a_stream_into_one_message():
    with streamed() as stream:
        said = ''.join(stream.text_stream)
        answer = strictly(Message, stream.get_final_message())
    expect(said == text(answer) and MARKER in said, f'{said} {answer}')
    expect(read(answer.usage) > 0 and answer.usage.output_tokens > 0, f'{answer.usage}')


def a_loop_of_tools_comes_to_its_end():
    messages = [{'role': 'user', 'content': 'How is the weather in Lisbon?'}]
    with streamed(messages=messages, tools=[WEATHER]) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_message()
    expect('input_json' in kinds and answer.stop_reason == 'tool_use', f'{kinds} {answer}')
    call = answer.content[-1]
    expect(call.name == 'get_weather' and call.input == {'city': 'Lisbon'}, f'{call}')
    result = {'type': 'tool_result', 'tool_use_id': call.id, 'content': [{'type': 'text', 'text': 'sunny, 21 degrees'}]}
    messages += [{'role': 'assistant', 'content': answer.content}, {'role': 'user', 'content': [result]}]
    expect('sunny' in text(message(messages=messages, tools=[WEATHER])), 'the result is lost')
    messages[-1]['content'][0] |= {'content': [{'type': 'text', 'text': 'broken'}, IMAGE], 'is_error': True}
    expect('broken' in text(message(messages=messages, tools=[WEATHER])), 'the failure is lost')


def a_tool_is_called_if_it_must_be():
    for choice in ({'type': 'any'}, {'type': 'tool', 'name': 'get_weather', 'disable_parallel_tool_use': True}):
        answer = strictly(Message, message(tools=[WEATHER], tool_choice=choice))
        expect(answer.stop_reason == 'tool_use' and answer.content[-1].name == 'get_weather', f'{choice}: {answer}')
    answer = message(tools=[WEATHER], tool_choice={'type': 'none'})
    expect(answer.stop_reason == 'end_turn', f'{answer}')


def thoughts_are_signed_and_can_be_sent_back():
    messages = [{'role': 'user', 'content': 'How is the weather in Lisbon?'}]
    with streamed(messages=messages, tools=[WEATHER], thinking=THINKING) as stream:
        kinds = {event.type for event in stream}
        answer = strictly(Message, stream.get_final_message())
    thought = answer.content[0]
    expect({'thinking', 'signature'} <= kinds, f'{kinds}')
    expect(thought.type == 'thinking' and thought.thinking and thought.signature, f'{thought}')
    result = {'type': 'tool_result', 'tool_use_id': answer.content[-1].id, 'content': 'sunny'}
    messages += [{'role': 'assistant', 'content': answer.content}, {'role': 'user', 'content': [result]}]
    # Only a loop that begins with its signed thoughts is thought about to its end.
    again = message(messages=messages, tools=[WEATHER], thinking=THINKING)
    expect([block.type for block in again.content] == ['thinking', 'text'], f'{again}')


def what_is_marked_is_cached():
    long = [{'type': 'text', 'text': f'{MARKER} ' * 9000, 'cache_control': {'type': 'ephemeral'}}]
    first, second = (message(system=long).usage for _ in range(2))
    expect(first.cache_creation_input_tokens > 0 or first.cache_read_input_tokens > 0, f'{first}')
    expect(second.cache_read_input_tokens > 0 and second.input_tokens < 1000, f'{second}')


def an_image_and_a_document_reach_the_model():
    pdf = base64.b64encode(b'%PDF-1.7\n').decode()
    documents = [{'type': 'document', 'title': 'Report', 'source': {'type': 'base64', 'media_type': 'application/pdf', 'data': pdf}},
                 {'type': 'document', 'title': 'Notes', 'source': {'type': 'text', 'media_type': 'text/plain', 'data': 'We met.'}}]
    answer = text(message(messages=[{'role': 'user', 'content': [IMAGE, *documents, {'type': 'text', 'text': 'What is this?'}]}]))
    expect('1 image: png' in answer and '2 documents: Report (pdf' in answer and 'Notes (txt' in answer, answer)


def an_answer_ends_where_it_is_told():
    expect(message(max_tokens=2).stop_reason == 'max_tokens', 'max_tokens')
    expect(message(stop_sequences=[MARKER]).stop_reason == 'stop_sequence', 'stop_sequences')


def tokens_are_counted():
    few, more = (strictly(MessageTokensCount, client.messages.count_tokens(
        model=a_model(), messages=[{'role': 'user', 'content': f'{MARKER} ' * times}], tools=[WEATHER])).input_tokens for times in (1, 100))
    expect(0 < few < more, f'{few} {more}')


def the_beta_client_may_ask_too():
    answer = client.beta.messages.create(model=a_model(), max_tokens=100, messages=QUESTION, betas=['interleaved-thinking-2025-05-14'])
    expect(MARKER in text(answer), f'{answer}')


def the_async_client_may_leave_in_the_middle():
    async def leave():
        async with AsyncAnthropic(api_key=KEY, **SERVER) as other:
            async with other.messages.stream(model=a_model(), max_tokens=100, messages=QUESTION) as stream:
                async for _ in stream:
                    break
    asyncio.run(leave())
    expect(MARKER in text(message()), 'no answer afterwards')


def a_bearer_opens_too():
    bearer = Anthropic(auth_token=KEY, api_key=None, **SERVER)
    expect(MARKER in text(bearer.messages.create(model=a_model(), max_tokens=100, messages=QUESTION)), 'no answer')


def errors_are_the_packages_exceptions():
    stranger = Anthropic(api_key='wrong', **SERVER)
    error = refusal(anthropic.AuthenticationError, stranger.messages.create, model='any', max_tokens=9, messages=QUESTION)
    expect(error.type == 'authentication_error', f'{error.body}')
    error = refusal(anthropic.NotFoundError, message, model='no_such_pipe.no-such-model')
    expect(error.type == 'not_found_error', f'{error.body}')
    refusal(anthropic.NotFoundError, message, model='no_such_pipe.no-such-model', stream=True)
    for name, more in {'max_tokens': {'max_tokens': 0}, 'messages': {'messages': []}, 'temperature': {'extra_body': {'temperature': 'hot'}},
                       'messages[0].content[0].text': {'messages': [{'role': 'user', 'content': [{'type': 'text', 'text': 5}]}]}}.items():
        for stream in (False, True):
            error = refusal(anthropic.BadRequestError, message, stream=stream, **more)
            expect(error.type == 'invalid_request_error' and name in error.body['error']['message'], f'{name}: {error.body}')


CHECKS = [
    models_are_listed_and_found,
    a_message_is_answered,
    a_system_prompt_is_kept_to,
    raw_events_are_of_the_packages_types,
    the_package_folds_a_stream_into_one_message,
    a_loop_of_tools_comes_to_its_end,
    a_tool_is_called_if_it_must_be,
    thoughts_are_signed_and_can_be_sent_back,
    what_is_marked_is_cached,
    an_image_and_a_document_reach_the_model,
    an_answer_ends_where_it_is_told,
    tokens_are_counted,
    the_beta_client_may_ask_too,
    the_async_client_may_leave_in_the_middle,
    a_bearer_opens_too,
    errors_are_the_packages_exceptions,
]


def main():
    passed = failed = 0
    for check in CHECKS:
        name = check.__name__.replace('_', ' ')
        try:
            check()
            passed += 1
            print(f'ok – {name}', flush=True)
        except Exception as error:
            failed += 1
            print(f'FAILED – {name}: {type(error).__name__}: {error}', flush=True)
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
