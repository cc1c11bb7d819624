"""Checks an OpenAI-compatible server with the `openai` package: its typed models, its stream parser, its exceptions.

PIPEWRIGHT_URL and PIPEWRIGHT_KEY name the server; MODEL, VISION_MODEL and THINKING_MODEL the models, else they are picked from the list.
"""
import asyncio
import json
import os
import re
import sys

import openai
from openai import AsyncOpenAI, OpenAI
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


def listed(pattern, such=lambda model: True):
    ids = [model.id for model in client.models.list() if such(model)]
    expect(ids, 'no such model is listed')
    return next((name for name in ids if re.search(pattern, name)), ids[0])


def a_model():
    return os.environ.get('MODEL') or listed(r'claude.*haiku|claude|nova')


def a_model_that_sees():
    sees = lambda model: (getattr(model, 'info', None) or {}).get('meta', {}).get('capabilities', {}).get('vision', True)
    return os.environ.get('VISION_MODEL') or listed(r'nova-lite|claude', sees)


def chat(**more):
    return client.chat.completions.create(**{'model': a_model(), 'messages': QUESTION, **more})


def a_model_that_thinks():
    return os.environ.get('THINKING_MODEL') or listed(r'claude-(sonnet|haiku)-4-5')


def respond(**more):
    return client.responses.create(**{'model': a_model(), 'input': QUESTION[0]['content'], **more})


# ---- checks --------------------------------------------------------------------------------------------------------

def models_are_listed():
    models = list(client.models.list())
    expect(models, 'none')
    for model in models:
        expect(model.object == 'model' and isinstance(model.created, int) and model.owned_by, f'{model}')


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


def an_image_reaches_the_model():
    content = [{'type': 'text', 'text': 'What is this?'}, {'type': 'image_url', 'image_url': {'url': PNG, 'detail': 'low'}}]
    answer = chat(model=a_model_that_sees(), messages=[{'role': 'user', 'content': content}])
    expect('image' in answer.choices[0].message.content, f'{answer.choices[0]}')


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


def no_key_is_a_permission_error():
    keyless = {'extra_headers': {'Authorization': openai.Omit()}}
    error = refusal(openai.PermissionDeniedError, chat, **keyless)
    expect(error.status_code == 403, f'{error.status_code}')
    refusal(openai.PermissionDeniedError, client.models.list, **keyless)


def an_image_behind_a_link_is_refused():
    content = [{'type': 'text', 'text': 'What is this?'}, {'type': 'image_url', 'image_url': {'url': 'http://127.0.0.1:9/x.png'}}]
    error = refusal(openai.BadRequestError, chat, model=a_model_that_sees(), messages=[{'role': 'user', 'content': content}])
    expect('data URL' in error.message and error.param == 'messages[0].content[1]', f'{error.body}')


def a_bad_request_is_refused_with_its_reason():
    for name, more in {'max_tokens': {'max_tokens': 0}, 'messages': {'messages': []}, 'temperature': {'temperature': 'hot'}}.items():
        for stream in (False, True):
            error = refusal(openai.BadRequestError, chat, stream=stream, **more)
            expect(error.status_code == 400 and error.type == 'invalid_request_error', f'{name}: {error.body}')
            expect(name in error.message, f'{name}: {error.message}')


def an_embedding_is_made():
    names = [model.id for model in client.models.list() if 'embed' in model.id]
    if not names:
        raise Skipped('no such model is listed')
    # The package asks for base64 and decodes it by itself, unless told otherwise.
    one, two = (client.embeddings.create(model=names[0], input=MARKER, **more).data[0].embedding
                for more in ({}, {'encoding_format': 'float'}))
    expect(len(one) == len(two) > 8 and all(abs(a - b) < 1e-4 for a, b in zip(one, two)), f'{one[:4]} {two[:4]}')


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
                       'tools[0]': {'tools': [{'type': 'web_search'}]}, 'max_output_tokens': {'max_output_tokens': 0}}.items():
        error = refusal(openai.BadRequestError, respond, **more)
        expect(error.param == name and error.type == 'invalid_request_error', f'{name}: {error.body}')
    refusal(openai.NotFoundError, respond, model='no_such_pipe.no-such-model', stream=True)
    refusal(openai.AuthenticationError, stranger.responses.create, model='any', input='hi')


CHECKS = [
    models_are_listed,
    a_model_is_retrieved_by_its_id,
    a_plain_chat_is_answered,
    a_plain_chat_tells_its_usage,
    a_chat_is_streamed_in_chunks_of_one_answer,
    usage_is_streamed_once_when_asked_for,
    the_package_folds_a_stream_into_one_answer,
    a_tool_call_is_streamed_and_its_result_answered,
    a_tool_is_called_in_a_plain_chat,
    an_image_reaches_the_model,
    an_answer_ends_at_its_limit,
    the_async_client_may_leave_in_the_middle,
    an_unknown_model_is_not_found,
    a_wrong_key_is_an_authentication_error,
    no_key_is_a_permission_error,
    an_image_behind_a_link_is_refused,
    a_bad_request_is_refused_with_its_reason,
    an_embedding_is_made,
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
