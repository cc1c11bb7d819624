"""Checks an OpenAI-compatible server with the `openai` package: its typed models, its stream parser, its exceptions.

PIPEWRIGHT_URL and PIPEWRIGHT_KEY name the server; MODEL, VISION_MODEL, REASONING_MODEL, EMBEDDING_MODEL and IMAGE_MODEL the models, else they are picked from the list.
"""
import asyncio
import base64
import json
import os
import re
import struct
import sys
import zlib
from typing import Literal

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types import ImagesResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

SERVER = {'base_url': os.environ['PIPEWRIGHT_URL'].rstrip('/') + '/v1', 'max_retries': 0, 'timeout': 60}
KEY = os.environ.get('PIPEWRIGHT_KEY', '0p3n-w3bu!')
client = OpenAI(api_key=KEY, **SERVER)
stranger = OpenAI(api_key='wrong', **SERVER)

MARKER = 'pelican'
QUESTION = [{'role': 'user', 'content': f'I saw a {MARKER} on the roof.'}]
# One red pixel.
PNG = ('data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC')
WEATHER = {'type': 'function', 'function': {
    'name': 'get_weather', 'description': 'The weather in a city.',
    'parameters': {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']}}}
TIME = {'type': 'function', 'function': {
    'name': 'get_time', 'description': 'The time in a city.', 'parameters': WEATHER['function']['parameters']}}


class Trip(BaseModel):
    """What a question about a trip is to be answered with."""
    city: str
    days: int
    by: Literal['train', 'boat']
    stops: list[str]
    booked: bool
LOOK = {'type': 'function', **WEATHER['function'], 'strict': False}


class Weather(BaseModel):
    city: str
    degrees: int


class Skipped(Exception):
    """Why a check has nothing to look at."""


def expect(condition, reason):
    if not condition:
        raise AssertionError(reason)


def strictly(kind, answer):
    """Checks every field against the package's own types, which it does not do by itself."""
    kind.model_validate(answer.model_dump(mode='json', exclude_unset=True), strict=False)
    return answer


def refusal(exception, call, **kwargs):
    try:
        call(**kwargs)
    except exception as error:
        expect(error.message and isinstance(error.body, dict) and error.body.get('message'), f'no reason: {error.body}')
        return error
    raise AssertionError(f'no {exception.__name__}')


def makes(model, what):
    """Whether a model makes this, as far as the server tells."""
    return what in (getattr(model, 'architecture', None) or {}).get('output_modalities', ['text'])


def listed(pattern, such=lambda model: True):
    ids = [model.id for model in client.models.list() if makes(model, 'text') and such(model)]
    expect(ids, 'no such model is listed')
    return next((name for name in ids if re.search(pattern, name)), ids[0])


def a_model():
    return os.environ.get('MODEL') or listed(r'claude.*haiku|claude|nova')


def a_model_that_sees():
    sees = lambda model: (getattr(model, 'info', None) or {}).get('meta', {}).get('capabilities', {}).get('vision', True)
    return os.environ.get('VISION_MODEL') or listed(r'nova-lite|claude', sees)


def a_model_that_reads():
    """What sees and takes files too."""
    return os.environ.get('VISION_MODEL') or listed(r'claude-haiku-4-5|nova-lite')


def a_model_that_thinks():
    return os.environ.get('REASONING_MODEL') or listed(r'claude-haiku-4-5|claude.*(sonnet|opus)-4')


def models_of_each_kind():
    """Where a schema is the model's own, and where it has to be asked for in another way."""
    if 'MODEL' in os.environ:
        return [a_model()]
    return sorted({listed(r'claude-haiku-4-5'), listed(r'nova-lite'), listed(r'deepseek\.v3')})


def called(id, tool, **arguments):
    return {'id': id, 'type': 'function', 'function': {'name': tool['function']['name'], 'arguments': json.dumps(arguments)}}


def result(id, text):
    return {'role': 'tool', 'tool_call_id': id, 'content': text}


def chat(**more):
    return client.chat.completions.create(**{'model': a_model(), 'messages': QUESTION, **more})


def respond(**more):
    return client.responses.create(**{'model': a_model(), 'input': QUESTION[0]['content'], **more})


# ---- checks --------------------------------------------------------------------------------------------------------

def models_are_listed():
    models = list(client.models.list())
    expect(models, 'none')
    for model in models:
        strictly(Model, model)
        expect(model.object == 'model' and isinstance(model.created, int) and model.owned_by, f'{model}')


def models_tell_what_they_make_and_take():
    models = list(client.models.list())
    if not any(makes(model, 'embeddings') for model in models):
        raise Skipped('no embedding model is listed')
    expect(any(makes(model, 'text') for model in models), 'no chat model is listed')
    tools = [model for model in models if 'tools' in (getattr(model, 'supported_parameters', None) or [])]
    expect(tools and all(makes(model, 'text') for model in tools), f'{tools}')
    expect(any(getattr(model, 'context_length', 0) >= 200_000 for model in tools), 'no context length is told')


def an_id_needs_no_prefix():
    if 'MODEL' in os.environ:
        raise Skipped('it is not known what the prefix is')
    name = a_model().split('.', 1)[1]
    expect(client.models.retrieve(name).id == name, name)
    answer = strictly(ChatCompletion, chat(model=name))
    expect(answer.model == name and not hasattr(answer, 'selected_model_id'), f'{answer}')


def a_model_is_retrieved_by_its_id():
    for model in client.models.list():
        expect(client.models.retrieve(model.id).id == model.id, model.id)


def a_plain_chat_is_answered():
    answer = strictly(ChatCompletion, chat())
    choice = answer.choices[0]
    expect(answer.object == 'chat.completion' and answer.id and answer.model == a_model(), f'{answer}')
    expect(MARKER in choice.message.content and choice.message.role == 'assistant', f'{choice}')
    expect(choice.finish_reason == 'stop' and choice.index == 0, f'{choice}')


def a_plain_chat_tells_its_usage():
    usage = chat().usage
    expect(usage.prompt_tokens > 0 and usage.completion_tokens > 0, f'{usage}')
    expect(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f'{usage}')


def a_chat_is_streamed_in_chunks_of_one_answer():
    chunks = [strictly(ChatCompletionChunk, chunk) for chunk in chat(stream=True)]
    expect(len(chunks) > 3 and {chunk.object for chunk in chunks} == {'chat.completion.chunk'}, f'{len(chunks)} chunks')
    expect(len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1, 'id, created or model change on the way')
    expect(chunks[0].choices[0].delta.role == 'assistant', 'the first chunk has no role')
    expect(MARKER in ''.join(chunk.choices[0].delta.content or '' for chunk in chunks if chunk.choices), 'no quote')
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    expect(reasons[-1] == 'stop' and not any(reasons[:-1]), f'finish reasons: {reasons}')
    expect(not any(chunk.usage for chunk in chunks), 'usage came unasked')


def usage_is_streamed_once_when_asked_for():
    chunks = list(chat(stream=True, stream_options={'include_usage': True}))
    told = [chunk for chunk in chunks if chunk.usage]
    expect(len(told) == 1 and told[0] is chunks[-1], f'usage in {len(told)} chunks of {len(chunks)}')
    expect(told[0].choices == [], f'choices beside usage: {told[0].choices}')
    expect(told[0].usage.total_tokens > 0, f'{told[0].usage}')


def the_package_folds_a_stream_into_one_answer():
    with client.chat.completions.stream(model=a_model(), messages=QUESTION) as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_completion()
    expect({'content.delta', 'content.done'} <= set(kinds), f'events: {sorted(set(kinds))}')
    expect(MARKER in answer.choices[0].message.content, f'{answer}')


def a_tool_call_is_streamed_and_its_result_answered():
    messages = [{'role': 'user', 'content': 'How is the weather in Lisbon?'}]
    with client.chat.completions.stream(model=a_model(), messages=messages, tools=[WEATHER]) as stream:
        kinds = [event.type for event in stream]
        choice = stream.get_final_completion().choices[0]
    expect('tool_calls.function.arguments.delta' in kinds, f'events: {sorted(set(kinds))}')
    expect(choice.finish_reason == 'tool_calls', f'finish reason: {choice.finish_reason}')
    call = choice.message.tool_calls[0]
    expect(call.id and call.function.name == 'get_weather', f'{call}')
    expect('city' in json.loads(call.function.arguments), f'arguments: {call.function.arguments}')
    messages += [{'role': 'assistant', 'content': None, 'tool_calls': [{'id': call.id, 'type': 'function', 'function': {
                     'name': call.function.name, 'arguments': call.function.arguments}}]},
                 {'role': 'tool', 'tool_call_id': call.id, 'content': 'sunny, 21 degrees'}]
    answer = chat(messages=messages, tools=[WEATHER])
    expect('sunny' in (answer.choices[0].message.content or ''), f'{answer.choices[0]}')


def a_tool_is_called_in_a_plain_chat():
    for choice in ('required', {'type': 'function', 'function': {'name': 'get_weather'}}):
        answer = strictly(ChatCompletion, chat(tools=[WEATHER], tool_choice=choice)).choices[0]
        expect(answer.finish_reason == 'tool_calls', f'tool_choice {choice}: {answer}')
        expect(answer.message.tool_calls[0].function.name == 'get_weather', f'tool_choice {choice}: {answer}')


def the_results_of_two_calls_at_once_are_answered():
    messages = [{'role': 'user', 'content': 'How is the weather in Lisbon, and what time is it?'},
                {'role': 'assistant', 'content': 'I look.', 'tool_calls': [called('call_w', WEATHER, city='Lisbon'), called('call_t', TIME, city='Lisbon')]},
                result('call_t', 'half past nine'), result('call_w', 'sunny, 21 degrees')]
    for stream in (False, True):
        answer = chat(messages=messages, tools=[WEATHER, TIME], stream=stream)
        text = answer.choices[0].message.content if not stream else ''.join(
            chunk.choices[0].delta.content or '' for chunk in answer if chunk.choices)
        expect('sunny' in text and 'half past nine' in text, f'stream {stream}: {text}')


def an_answer_in_a_schema_is_parsed():
    question = {'messages': [{'role': 'user', 'content': 'Plan a trip that begins in Lisbon.'}], 'response_format': Trip}
    for model in models_of_each_kind():
        plain = client.chat.completions.parse(model=model, **question).choices[0]
        with client.chat.completions.stream(model=model, **question) as stream:
            kinds = {event.type for event in stream}
            streamed = stream.get_final_completion().choices[0]
        expect('content.delta' in kinds, f'{model}: events: {sorted(kinds)}')
        for way, choice in {'plain': plain, 'streamed': streamed}.items():
            expect(isinstance(choice.message.parsed, Trip), f'{model}, {way}: {choice}')
            expect(choice.finish_reason == 'stop' and not choice.message.tool_calls, f'{model}, {way}: {choice}')
            expect(choice.message.parsed.by in ('train', 'boat'), f'{model}, {way}: {choice.message.parsed}')


def arguments_of_a_tool_are_parsed():
    tool = openai.pydantic_function_tool(Trip, name='plan_trip', description='Plans a trip.')
    answer = client.chat.completions.parse(model=a_model(), messages=QUESTION, tools=[tool], tool_choice='required')
    call = answer.choices[0].message.tool_calls[0]
    expect(isinstance(call.function.parsed_arguments, Trip), f'{call}')


def reasoning_is_read_beside_the_answer():
    thinking = {'model': a_model_that_thinks(), 'reasoning_effort': 'low'}
    plain = strictly(ChatCompletion, chat(**thinking)).choices[0].message
    expect(plain.reasoning_content and plain.reasoning_content not in plain.content, f'{plain}')
    expect(MARKER in plain.content, f'{plain}')
    chunks = [strictly(ChatCompletionChunk, chunk) for chunk in chat(stream=True, **thinking)]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    thoughts = [place for place, delta in enumerate(deltas) if getattr(delta, 'reasoning_content', None)]
    words = [place for place, delta in enumerate(deltas) if delta.content]
    expect(len(thoughts) > 1 and thoughts[-1] < words[0], f'thoughts at {thoughts}, words at {words}')
    expect(''.join(deltas[place].reasoning_content for place in thoughts) == plain.reasoning_content, 'streamed thoughts differ')
    with client.chat.completions.stream(messages=QUESTION, **thinking) as stream:
        stream.until_done()
        folded = stream.get_final_completion().choices[0].message
    for field in ('reasoning_content', 'reasoning_details'):
        expect(getattr(folded, field) == getattr(plain, field), f'{field}: {getattr(folded, field)} {getattr(plain, field)}')


def reasoning_goes_back_with_the_results_of_tools():
    thinking = {'model': a_model_that_thinks(), 'reasoning_effort': 'low', 'tools': [WEATHER]}
    for fields in (['reasoning_details'], ['thinking_blocks'], []):
        messages = [{'role': 'user', 'content': 'How is the weather in Lisbon?'}]
        with client.chat.completions.stream(messages=messages, **thinking) as stream:
            stream.until_done()
            said = stream.get_final_completion().choices[0].message
        call = said.tool_calls[0]
        back = {field: getattr(said, field) for field in fields}
        messages += [{'role': 'assistant', 'content': said.content, 'tool_calls': [called(call.id, WEATHER, city='Lisbon')], **back},
                     result(call.id, 'sunny, 21 degrees')]
        answer = chat(messages=messages, **thinking).choices[0].message
        expect('sunny' in answer.content, f'{fields}: {answer}')


def an_image_reaches_the_model():
    content = [{'type': 'text', 'text': 'What is this?'}, {'type': 'image_url', 'image_url': {'url': PNG, 'detail': 'low'}}]
    answer = chat(model=a_model_that_sees(), messages=[{'role': 'user', 'content': content}])
    expect('image' in answer.choices[0].message.content, f'{answer.choices[0]}')


def an_image_and_a_file_reach_the_model_together():
    def told(filename, data):
        content = [{'type': 'text', 'text': 'What are these?'}, {'type': 'image_url', 'image_url': {'url': PNG}},
                   {'type': 'file', 'file': {'filename': filename, 'file_data': data}}]
        answer = chat(model=a_model_that_reads(), messages=[{'role': 'user', 'content': content}]).choices[0].message.content
        expect('1 image' in answer, answer)
        return answer
    notes, page = (base64.b64encode(data).decode() for data in (b'Feed it at noon.', b'%PDF-1.4\n%%EOF\n'))
    # A text may come as a file or as text; a page of PDF is a file.
    for data in (f'data:text/plain;base64,{notes}', notes):
        answer = told('notes.txt', data)
        expect('at noon' in answer or '1 document' in answer, answer)
    for data in (f'data:application/pdf;base64,{page}', page):
        answer = told('page.pdf', data)
        expect('1 document' in answer, answer)


def usage_is_the_same_folded_and_plain():
    more = {'model': a_model(), 'messages': QUESTION, 'extra_body': {'prompt_caching': {'system': False, 'messages': False}}}
    with client.chat.completions.stream(**more, stream_options={'include_usage': True}) as stream:
        stream.until_done()
        folded = stream.get_final_completion().usage
    plain = client.chat.completions.create(**more).usage
    for field in ('prompt_tokens', 'total_tokens'):
        expect(getattr(folded, field) > 0, f'{folded}')
    expect(folded.prompt_tokens == plain.prompt_tokens, f'{folded} {plain}')
    with client.chat.completions.stream(**more) as stream:
        stream.until_done()
        expect(stream.get_final_completion().usage is None, 'usage came unasked')


def an_answer_ends_at_its_limit():
    answer = chat(max_tokens=2).choices[0]
    expect(answer.finish_reason == 'length', f'{answer}')
    newer = chat(max_completion_tokens=2).choices[0]
    expect(newer.finish_reason == 'length', f'max_completion_tokens: {newer}')


def the_async_client_may_leave_in_the_middle():
    async def leave():
        async with AsyncOpenAI(api_key=KEY, **SERVER) as other:
            stream = await other.chat.completions.create(model=a_model(), messages=QUESTION, stream=True)
            async for _ in stream:
                await stream.close()
                break
    asyncio.run(leave())
    expect(MARKER in chat().choices[0].message.content, 'no answer afterwards')


def an_unknown_model_is_not_found():
    error = refusal(openai.NotFoundError, chat, model='no_such_pipe.no-such-model')
    expect(error.status_code == 404 and error.code == 'model_not_found', f'{error.body}')
    refusal(openai.NotFoundError, chat, model='no_such_pipe.no-such-model', stream=True)
    refusal(openai.NotFoundError, client.models.retrieve, model='no_such_pipe.no-such-model')


def a_wrong_key_is_an_authentication_error():
    error = refusal(openai.AuthenticationError, stranger.chat.completions.create, model='any', messages=QUESTION)
    expect(error.status_code == 401, f'{error.status_code}')
    refusal(openai.AuthenticationError, lambda: list(stranger.models.list()))


def no_key_is_an_authentication_error():
    keyless = {'extra_headers': {'Authorization': openai.Omit()}}
    error = refusal(openai.AuthenticationError, chat, **keyless)
    expect(error.code == 'invalid_api_key' and error.response.headers['www-authenticate'] == 'Bearer', f'{error.body}')
    refusal(openai.AuthenticationError, client.models.list, **keyless)


def an_image_behind_a_link_is_refused():
    content = [{'type': 'text', 'text': 'What is this?'}, {'type': 'image_url', 'image_url': {'url': 'http://127.0.0.1:9/x.png'}}]
    error = refusal(openai.BadRequestError, chat, model=a_model_that_sees(), messages=[{'role': 'user', 'content': content}])
    expect('https://' in error.message and error.param == 'messages[0].content[1]', f'{error.body}')


def a_bad_request_is_refused_with_its_reason():
    for name, more in {'max_tokens': {'max_tokens': 0}, 'messages': {'messages': []}, 'temperature': {'temperature': 'hot'}}.items():
        for stream in (False, True):
            error = refusal(openai.BadRequestError, chat, stream=stream, **more)
            expect(error.status_code == 400 and error.type == 'invalid_request_error', f'{name}: {error.body}')
            expect(name in error.message, f'{name}: {error.message}')


def a_refusal_names_the_field_at_fault():
    content = [{'type': 'text', 'text': 'What is this?'}, {'type': 'image_url', 'image_url': {'url': 'data:image/png;base64,QUJD'}}]
    for param, more in {
        'messages': {'messages': []},
        'messages[0].content[1]': {'model': a_model_that_sees(), 'messages': [{'role': 'user', 'content': content}]},
        'max_tokens': {'max_tokens': 0},
        'n': {'n': 9},
        'reasoning_effort': {'model': a_model_that_thinks(), 'reasoning_effort': 'hard'},
        'response_format.type': {'response_format': {'type': 'yaml'}},
        'service_tier': {'service_tier': 'first class'},
        'tool_choice.function.name': {'tools': [WEATHER], 'tool_choice': {'type': 'function', 'function': {'name': 'no_such_tool'}}},
        'tools[0].function.name': {'tools': [{'type': 'function', 'function': {'name': '', 'parameters': {}}}]},
    }.items():
        error = refusal(openai.BadRequestError, chat, **more)
        expect(error.param == param, f'{param}: {error.param}: {error.message}')
        expect(error.type == 'invalid_request_error', f'{param}: {error.body}')


def a_busy_model_is_a_rate_limit_error():
    for stream in (False, True):
        error = refusal(openai.RateLimitError, chat, stream=stream, extra_headers={'x-pipewright-fail': '*'})
        expect(error.status_code == 429 and error.code == 'rate_limit_exceeded', f'{error.body}')
        expect(int(error.response.headers['retry-after']) > 0, f'{error.response.headers}')


def a_stand_in_is_named():
    if 'HAS_FALLBACK' not in os.environ:
        raise Skipped('it is not known who could stand in for the model')
    model = listed(r'\.amazon\.nova-micro')
    failing = {'x-pipewright-fail': 'amazon.nova-micro*'}
    raw = client.chat.completions.with_raw_response.create(model=model, messages=QUESTION, extra_headers=failing)
    answer = strictly(ChatCompletion, raw.parse())
    expect(answer.model == model != answer.selected_model_id == raw.headers['x-pipewright-model'], f'{answer}')
    chunks = [strictly(ChatCompletionChunk, chunk) for chunk in chat(model=model, stream=True, extra_headers=failing)]
    selected = [chunk for chunk in chunks if getattr(chunk, 'selected_model_id', None)]
    expect([chunk.selected_model_id for chunk in selected] == [answer.selected_model_id], f'{selected}')
    expect(selected[0].choices == [] and {chunk.model for chunk in chunks} == {model}, f'{selected}')


def embeddings_are_made():
    names = [model.id for model in client.models.list() if makes(model, 'embeddings')]
    name = os.environ.get('EMBEDDING_MODEL') or next((name for name in names if re.search('titan-embed-text-v2', name)), None)
    if not name:
        raise Skipped('no such model is listed')
    texts = [MARKER, 'another text', MARKER]
    # The package asks for base64 and decodes it by itself, unless told otherwise.
    one, two = (client.embeddings.create(model=name, input=texts, dimensions=256, **more)
                for more in ({}, {'encoding_format': 'float'}))
    for answer in (one, two):
        expect([item.index for item in answer.data] == [0, 1, 2], f'{[item.index for item in answer.data]}')
        expect({len(item.embedding) for item in answer.data} == {256}, 'the dimensions are not those that were wished')
        expect(answer.usage.prompt_tokens == answer.usage.total_tokens, f'{answer.usage}')
    expect(one.usage.total_tokens > 0, f'{one.usage}')
    for a, b in zip(one.data, two.data):
        expect(all(abs(x - y) < 1e-6 for x, y in zip(a.embedding, b.embedding)), f'{a.embedding[:4]} {b.embedding[:4]}')
    expect(one.data[0].embedding == one.data[2].embedding != one.data[1].embedding, 'the order is lost')
    try:
        client.embeddings.create(model=name, input=['a', ''])
        expect(False, 'an empty text was embedded')
    except openai.BadRequestError as error:
        expect(error.param == 'input[1]', f'{error}')


def size_of_png(picture):
    """Width and height, of a file whose every part is looked at."""
    expect(picture.startswith(b'\x89PNG\r\n\x1a\n'), f'no PNG: {picture[:8]}')
    at, packed, size = 8, b'', None
    while at < len(picture):
        length, kind = struct.unpack('>I4s', picture[at:at + 8])
        data = picture[at + 8:at + 8 + length]
        (sum_,) = struct.unpack('>I', picture[at + 8 + length:at + 12 + length])
        expect(zlib.crc32(kind + data) == sum_, f'{kind} is broken')
        size = struct.unpack('>II', data[:8]) if kind == b'IHDR' else size
        packed += data if kind == b'IDAT' else b''
        at += 12 + length
    expect(len(zlib.decompress(packed)) >= size[1], 'there are rows missing')
    return size


def a_painter():
    name = os.environ.get('IMAGE_MODEL') or next((model.id for model in client.models.list() if makes(model, 'image')), None)
    if not name:
        raise Skipped('no model makes pictures')
    return name


def images_are_generated():
    name = a_painter()
    paint = lambda **more: strictly(ImagesResponse, client.images.generate(model=name, prompt=f'a {MARKER}', **more))
    answer = paint(n=2, size='1024x1024', quality='standard', style='vivid')
    expect(len(answer.data) == 2 and answer.created > 0 and answer.output_format == 'png', f'{answer.created}')
    for item in answer.data:
        expect(size_of_png(base64.b64decode(item.b64_json)) == (1024, 1024) and item.url is None, 'another size')
    (item,) = paint(response_format='url').data
    expect(item.url.startswith('data:image/png;base64,') and item.b64_json is None, f'{item.url[:40]}')
    error = refusal(openai.BadRequestError, client.images.generate, model=name, prompt='a', background='transparent')
    expect(error.param == 'background' and error.type == 'invalid_request_error', f'{error.body}')
    refusal(openai.NotFoundError, client.images.generate, model='no_such_pipe.no-such-model', prompt='a')


def a_chat_is_answered_with_a_picture():
    name = a_painter()
    asked = {'model': name, 'messages': [{'role': 'user', 'content': f'a {MARKER}'}]}
    answer = strictly(ChatCompletion, client.chat.completions.create(**asked))
    with client.chat.completions.stream(**asked) as stream:
        streamed = stream.get_final_completion()
    for message in [answer.choices[0].message, streamed.choices[0].message]:
        (image,) = message.images
        url = image['image_url']['url']
        expect(message.content == f'a {MARKER}' and size_of_png(base64.b64decode(url.split(',')[1])), f'{message.content}')


def a_plain_response_is_answered():
    answer = strictly(Response, respond(instructions='Be brief.', metadata={'team': 'a'}, store=True))
    expect(answer.object == 'response' and answer.id.startswith('resp_') and answer.model == a_model(), f'{answer}')
    expect(answer.status == 'completed' and MARKER in answer.output_text, f'{answer}')
    expect(answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0, f'{answer.usage}')
    expect(answer.instructions == 'Be brief.' and answer.metadata == {'team': 'a'} and answer.store is False, f'{answer}')


def a_response_is_streamed_in_events_of_one_answer():
    events = list(respond(stream=True))
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event.model_dump(mode='json', exclude_unset=True))
    kinds = [event.type for event in events]
    expect(kinds[:2] == ['response.created', 'response.in_progress'] and kinds[-1] == 'response.completed', f'{kinds}')
    expect([event.sequence_number for event in events] == list(range(len(events))), 'numbers have gaps')
    said = ''.join(event.delta for event in events if event.type == 'response.output_text.delta')
    expect(MARKER in said and said == events[-1].response.output_text, f'{said}')


def the_package_folds_events_into_one_response():
    with client.responses.stream(model=a_model(), input=QUESTION) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_response()
    expect({'response.output_text.delta', 'response.output_text.done', 'response.completed'} <= kinds, f'{sorted(kinds)}')
    expect(MARKER in answer.output_text, f'{answer}')


def a_response_is_parsed_into_a_type():
    asked = {'model': a_model_that_thinks(), 'input': 'How is the weather in Lisbon?', 'text_format': Weather}
    expect(isinstance(client.responses.parse(**asked).output_parsed, Weather), 'nothing was parsed')
    with client.responses.stream(**asked) as stream:
        stream.until_done()
        expect(isinstance(stream.get_final_response().output_parsed, Weather), 'nothing was parsed of the stream')


def a_tool_loop_of_responses_keeps_its_reasoning():
    asked = {'model': a_model_that_thinks(), 'tools': [LOOK], 'reasoning': {'effort': 'low', 'summary': 'auto'},
             'include': ['reasoning.encrypted_content'], 'store': False}
    for streamed in (False, True):
        messages = [{'role': 'user', 'content': 'How is the weather in Lisbon?'}]
        if streamed:
            with client.responses.stream(**asked, input=messages) as stream:
                kinds = {event.type for event in stream}
                answer = stream.get_final_response()
            expect({'response.reasoning_summary_text.delta', 'response.function_call_arguments.delta'} <= kinds, f'{sorted(kinds)}')
        else:
            answer = strictly(Response, respond(**asked, input=messages))
        thought, call = answer.output[0], answer.output[-1]
        expect(thought.type == 'reasoning' and thought.summary[0].text and thought.encrypted_content, f'{thought}')
        expect(call.type == 'function_call' and call.name == 'get_weather' and 'city' in json.loads(call.arguments), f'{call}')
        items = [item.model_dump(mode='json', exclude_unset=True) for item in answer.output]
        for item in items:
            item.pop('parsed_arguments', None)
        messages += [*items, {'type': 'function_call_output', 'call_id': call.call_id, 'output': 'sunny, 21 degrees'}]
        answer = respond(**asked, input=messages)
        expect('sunny' in answer.output_text, f'{answer}')
        # A model that thinks in budgets goes on thinking only where its signed reasoning came back.
        expect(answer.output[0].type == 'reasoning', f'it thought no further: {answer.output}')


def a_response_ends_at_its_limit():
    answer = respond(max_output_tokens=2)
    expect(answer.status == 'incomplete' and answer.incomplete_details.reason == 'max_output_tokens', f'{answer}')
    kinds = [event.type for event in respond(max_output_tokens=2, stream=True)]
    expect(kinds[-1] == 'response.incomplete', f'{kinds}')


def an_image_and_a_file_reach_the_model_in_a_response():
    content = [{'type': 'input_text', 'text': 'What is this?'}, {'type': 'input_image', 'image_url': PNG, 'detail': 'low'},
               {'type': 'input_file', 'filename': 'a.txt', 'file_data': 'data:text/plain;base64,aGVsbG8='}]
    answer = respond(model=a_model_that_sees(), input=[{'role': 'user', 'content': content}])
    # A model that takes no files reads a text among the words.
    expect('image' in answer.output_text and re.search('document|hello', answer.output_text), answer.output_text)


def a_response_that_cannot_be_is_refused_with_its_reason():
    for name, more in {'previous_response_id': {'previous_response_id': 'resp_1'}, 'background': {'background': True},
                       'tool_choice': {'tools': [{'type': 'web_search'}], 'tool_choice': {'type': 'web_search'}}, 'max_output_tokens': {'max_output_tokens': 0}}.items():
        error = refusal(openai.BadRequestError, respond, **more)
        expect(error.param == name and error.type == 'invalid_request_error', f'{name}: {error.body}')
    refusal(openai.NotFoundError, respond, model='no_such_pipe.no-such-model', stream=True)
    refusal(openai.AuthenticationError, stranger.responses.create, model='any', input='hi')


CHECKS = [
    models_are_listed,
    models_tell_what_they_make_and_take,
    an_id_needs_no_prefix,
    a_model_is_retrieved_by_its_id,
    a_plain_chat_is_answered,
    a_plain_chat_tells_its_usage,
    a_chat_is_streamed_in_chunks_of_one_answer,
    usage_is_streamed_once_when_asked_for,
    usage_is_the_same_folded_and_plain,
    the_package_folds_a_stream_into_one_answer,
    a_tool_call_is_streamed_and_its_result_answered,
    a_tool_is_called_in_a_plain_chat,
    the_results_of_two_calls_at_once_are_answered,
    an_answer_in_a_schema_is_parsed,
    arguments_of_a_tool_are_parsed,
    reasoning_is_read_beside_the_answer,
    reasoning_goes_back_with_the_results_of_tools,
    an_image_reaches_the_model,
    an_image_and_a_file_reach_the_model_together,
    an_answer_ends_at_its_limit,
    the_async_client_may_leave_in_the_middle,
    an_unknown_model_is_not_found,
    a_wrong_key_is_an_authentication_error,
    no_key_is_an_authentication_error,
    an_image_behind_a_link_is_refused,
    a_bad_request_is_refused_with_its_reason,
    a_refusal_names_the_field_at_fault,
    a_busy_model_is_a_rate_limit_error,
    a_stand_in_is_named,
    embeddings_are_made,
    images_are_generated,
    a_chat_is_answered_with_a_picture,
    a_plain_response_is_answered,
    a_response_is_streamed_in_events_of_one_answer,
    the_package_folds_events_into_one_response,
    a_response_is_parsed_into_a_type,
    a_tool_loop_of_responses_keeps_its_reasoning,
    a_response_ends_at_its_limit,
    an_image_and_a_file_reach_the_model_in_a_response,
    a_response_that_cannot_be_is_refused_with_its_reason,
]


def main():
    passed = failed = skipped = 0
    for check in CHECKS:
        name = check.__name__.replace('_', ' ')
        try:
            check()
            passed += 1
            print(f'ok – {name}', flush=True)
        except Skipped as reason:
            skipped += 1
            print(f'skipped – {name}: {reason}', flush=True)
        except Exception as error:
            failed += 1
            print(f'FAILED – {name}: {type(error).__name__}: {error}', flush=True)
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
