"""Calls every operation of the emulator with boto3, and asserts what botocore's own parser made of the answers.

usage: boto3_client.py ENDPOINT KEY_ID SECRET BEARER_TOKEN
"""

import json
import struct
import sys
import zlib

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.eventstream import ChecksumMismatch
from botocore.exceptions import ClientError, EventStreamError

ENDPOINT, KEY, SECRET, TOKEN = sys.argv[1:]
HAIKU = "anthropic.claude-3-haiku-20240307-v1:0"
LITE = "amazon.nova-lite-v1:0"
ONCE = Config(retries={"total_max_attempts": 1})


def client(service, region="us-east-1", key=KEY, secret=SECRET, token=None):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=ENDPOINT,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=ONCE,
    )


def png(width=2, height=2):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + b"\xff\0\0" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def user(*content):
    return [{"role": "user", "content": [{"text": part} if isinstance(part, str) else part for part in content]}]


def refused(call, code, status, *parts):
    try:
        call()
    except ClientError as error:
        response = error.response
        told = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
        assert told == (code, status), response
        assert all(part in response["Error"]["Message"] for part in parts), response
        assert len(response["ResponseMetadata"]["RequestId"]) == 36, response
        return
    raise AssertionError(f"{code} was not raised")


def streamed(model, messages=None, **rest):
    response = runtime.converse_stream(modelId=model, messages=messages or user("hi"), **rest)
    return list(response["stream"])


def names(events):
    return [next(iter(event)) for event in events]


control, runtime = client("bedrock"), client("bedrock-runtime")
west, west_runtime = client("bedrock", "us-west-2"), client("bedrock-runtime", "us-west-2")


def models_differ_by_region_and_can_be_filtered():
    east_models = {model["modelId"]: model for model in control.list_foundation_models()["modelSummaries"]}
    west_models = {model["modelId"] for model in west.list_foundation_models()["modelSummaries"]}
    assert HAIKU in east_models and HAIKU in west_models
    assert "deepseek.r1-v1:0" in west_models - set(east_models)
    haiku = east_models[HAIKU]
    assert haiku["modelArn"] == f"arn:aws:bedrock:us-east-1::foundation-model/{HAIKU}"
    assert haiku["inputModalities"] == ["TEXT", "IMAGE"] and haiku["responseStreamingSupported"] is True
    assert haiku["modelLifecycle"]["status"] == "ACTIVE"
    assert any(model["modelLifecycle"]["status"] == "LEGACY" for model in east_models.values())
    for filter, check in [
        ({"byProvider": "meta"}, lambda model: model["providerName"] == "Meta"),
        ({"byOutputModality": "EMBEDDING"}, lambda model: model["outputModalities"] == ["EMBEDDING"]),
        ({"byInferenceType": "PROVISIONED"}, lambda model: "PROVISIONED" in model["inferenceTypesSupported"]),
        ({"byCustomizationType": "DISTILLATION"}, lambda model: "DISTILLATION" in model["customizationsSupported"]),
    ]:
        found = control.list_foundation_models(**filter)["modelSummaries"]
        assert found and all(map(check, found)), filter


def single_models_can_be_looked_up():
    assert control.get_foundation_model(modelIdentifier=LITE)["modelDetails"]["modelName"] == "Nova Lite"
    assert control.get_foundation_model_availability(modelId=LITE)["authorizationStatus"] == "AUTHORIZED"
    refused(lambda: control.get_foundation_model(modelIdentifier="no.such"), "ValidationException", 400, "invalid")


def profiles_come_in_pages():
    pages = list(control.get_paginator("list_inference_profiles").paginate(PaginationConfig={"PageSize": 7}))
    profiles = [profile for page in pages for profile in page["inferenceProfileSummaries"]]
    whole = control.list_inference_profiles()["inferenceProfileSummaries"]
    assert len(pages) > 2 and profiles == whole
    assert {profile["type"] for profile in whole} == {"SYSTEM_DEFINED", "APPLICATION"}
    own = control.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"]
    assert [profile["inferenceProfileName"] for profile in own] == ["support-desk"]
    arn = own[0]["inferenceProfileArn"]
    assert control.get_inference_profile(inferenceProfileIdentifier=arn)["inferenceProfileArn"] == arn
    found = control.get_inference_profile(inferenceProfileIdentifier="us." + LITE)
    assert len(found["models"]) == 3 and found["createdAt"].year == 2025
    missing = lambda: control.get_inference_profile(inferenceProfileIdentifier="us.nothing")
    refused(missing, "ResourceNotFoundException", 404)
    assert runtime.converse(modelId=arn, messages=user("hi"))["stopReason"] == "tool_use"


def an_account_has_models_of_its_own():
    names = lambda summaries, name: [summary[name] for summary in summaries]
    imported = control.list_imported_models()["modelSummaries"]
    assert {model["modelName"]: model["instructSupported"] for model in imported} == {"house-llama": True, "raw-llama": False}
    assert imported[0]["modelArchitecture"] == "llama3" and imported[0]["creationTime"].year == 2025
    assert runtime.converse(modelId=imported[0]["modelArn"], messages=user("hi"))["output"]
    refused(lambda: runtime.converse(modelId=imported[1]["modelArn"], messages=user("hi")), "ValidationException", 400, "Converse")
    bought = control.list_provisioned_model_throughputs()["provisionedModelSummaries"]
    assert {model["provisionedModelName"]: model["status"] for model in bought} == {"fast-haiku": "InService", "coming-soon": "Creating"}
    assert bought[0]["foundationModelArn"].endswith(HAIKU + ":48k")
    refused(lambda: runtime.converse(modelId=bought[1]["provisionedModelArn"], messages=user("hi")), "ModelNotReadyException", 429)
    in_service = control.list_provisioned_model_throughputs(statusEquals="InService")["provisionedModelSummaries"]
    assert names(in_service, "provisionedModelName") == ["fast-haiku"]
    pages = list(control.get_paginator("list_provisioned_model_throughputs").paginate(PaginationConfig={"PageSize": 1}))
    assert [page["provisionedModelSummaries"] for page in pages] == [[model] for model in bought]
    (deployed,) = control.list_custom_model_deployments()["modelDeploymentSummaries"]
    assert deployed["status"] == "Active" and f"custom-model/{LITE}/" in deployed["modelArn"]
    assert control.list_marketplace_model_endpoints()["marketplaceModelEndpoints"] == []
    (endpoint,) = west.list_marketplace_model_endpoints()["marketplaceModelEndpoints"]
    assert endpoint["status"] == "REGISTERED" and endpoint["endpointArn"].startswith("arn:aws:sagemaker:us-west-2:")
    assert west_runtime.converse(modelId=endpoint["endpointArn"], messages=user("hi"))["output"]
    (router,) = control.list_prompt_routers()["promptRouterSummaries"]
    assert router["promptRouterArn"].endswith(":default-prompt-router/anthropic.claude:1") and len(router["models"]) == 2
    assert router["fallbackModel"] == router["models"][0] and router["routingCriteria"]["responseQualityDifference"] == 0.25
    assert names(west.list_prompt_routers(type="custom")["promptRouterSummaries"], "promptRouterName") == ["cheap or good"]
    assert west.list_prompt_routers(type="default")["promptRouterSummaries"] == []


def converse_reads_text_pictures_documents_and_tools():
    answer = runtime.converse(
        modelId=LITE,
        system=[{"text": "Be kind."}],
        messages=user(
            "What is this?",
            {"image": {"format": "png", "source": {"bytes": png()}}},
            {"document": {"format": "md", "name": "notes", "source": {"bytes": b"# Notes"}}},
        ),
    )
    text = answer["output"]["message"]["content"][0]["text"]
    for part in ["Nova Lite", "us-east-1", "What is this?", "png", "notes (md, 7 bytes)", "system prompt"]:
        assert part in text, text
    assert answer["stopReason"] == "end_turn" and answer["usage"]["totalTokens"] > 0
    assert "us-west-2" in west_runtime.converse(modelId=LITE, messages=user("hi"))["output"]["message"]["content"][0]["text"]
    tools = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}}]}
    turns = user("How is the weather in Lisbon?")
    called = runtime.converse(modelId=LITE, messages=turns, toolConfig=tools)["output"]["message"]
    call = called["content"][0]["toolUse"]
    assert call["input"] == {"city": "Lisbon"}, call
    result = {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"json": {"sky": "blue"}}]}}
    answer = runtime.converse(modelId=LITE, messages=turns + [called] + user(result), toolConfig=tools)
    assert "blue" in answer["output"]["message"]["content"][0]["text"]


def a_stream_carries_every_kind_of_block():
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    events = streamed(model)
    deltas = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
    kinds = [(delta["contentBlockIndex"], *delta["delta"]) for delta in deltas]
    assert kinds == [(0, "reasoningContent")] * 3 + [(1, "reasoningContent")] + [(2, "text")] * 2 + [(5, "toolUse")] * 2, kinds
    assert deltas[3]["delta"]["reasoningContent"]["redactedContent"] == b"hidden"
    assert json.loads("".join(delta["delta"]["toolUse"]["input"] for delta in deltas[6:])) == {"zone": "UTC"}
    starts = [event["contentBlockStart"] for event in events if "contentBlockStart" in event]
    assert starts == [{"start": {"toolUse": {"toolUseId": "tooluse_1", "name": "clock"}}, "contentBlockIndex": 5}]
    assert names(events)[0] == "messageStart" and names(events)[-2:] == ["messageStop", "metadata"]
    usage = events[-1]["metadata"]["usage"]
    assert (usage["cacheReadInputTokens"], usage["cacheWriteInputTokens"], usage["totalTokens"]) == (100, 20, 127)


def an_unknown_event_does_not_end_a_stream():
    events = streamed("amazon.nova-micro-v1:0")
    assert names(events)[-1] == "metadata", events


def a_stream_can_fail_midway():
    for model, code in [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "modelStreamErrorException"),
        ("us.amazon.nova-premier-v1:0", "Oops"),
    ]:
        try:
            streamed(model)
        except EventStreamError as error:
            assert error.response["Error"]["Code"] == code, error.response
        else:
            raise AssertionError(model)
    for model in ["us.anthropic.claude-opus-4-7", "us.anthropic.claude-opus-5-5"]:
        try:
            streamed(model)
        except ChecksumMismatch:
            continue
        raise AssertionError(model)


def errors_have_their_codes():
    talk = lambda model, **rest: lambda: runtime.converse(modelId=model, messages=user("hi"), **rest)
    refused(talk("us.anthropic.claude-sonnet-5"), "ThrottlingException", 429, "Too many requests")
    refused(talk("us.anthropic.claude-sonnet-4-6"), "ModelErrorException", 424, "teapot")
    refused(talk("no.such-model"), "ValidationException", 400, "The provided model identifier is invalid.")
    refused(talk("anthropic.claude-sonnet-4-6"), "ValidationException", 400, "on-demand throughput isn’t supported")
    refused(talk(LITE, inferenceConfig={"temperature": 1.5}), "ValidationException", 400, "'inferenceConfig.temperature'")
    cached = user("hi", {"cachePoint": {"type": "default"}})
    refused(lambda: runtime.converse(modelId=HAIKU, messages=cached), "AccessDeniedException", 403, "prompt caching")
    jpeg = user("See", {"image": {"format": "jpeg", "source": {"bytes": png()}}})
    refused(lambda: runtime.converse(modelId=LITE, messages=jpeg), "ValidationException", 400, "does not match")
    try:
        talk("us.meta.llama4-maverick-17b-instruct-v1:0")()
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 502, error.response
    else:
        raise AssertionError("502 was not raised")
    refused(client("bedrock", "eu-north-1").list_foundation_models, "AccessDeniedException", 403, "not in this region")


def who_one_is_must_be_proved():
    list_as = lambda **who: client("bedrock", **who).list_foundation_models
    refused(list_as(secret="wrong"), "InvalidSignatureException", 403, "does not match")
    refused(list_as(key="AKIANOBODY"), "UnrecognizedClientException", 403, "invalid")
    refused(list_as(key="ASIASESSION", secret="secret"), "UnrecognizedClientException", 403)
    assert list_as(key="ASIASESSION", secret="secret", token="token")()["modelSummaries"]
    text = bearer(TOKEN).converse(modelId=LITE, messages=user("hi"))["output"]["message"]["content"][0]["text"]
    assert "us-east-1" in text, "a bearer token names no region"
    refused(lambda: bearer("wrong").converse(modelId=LITE, messages=user("hi")), "AccessDeniedException", 403, "API Key")


def bearer(token):
    """A client with a bearer token. botocore signs with one over https alone, so the header is put in by hand."""
    unsigned = boto3.client(
        "bedrock-runtime", region_name="us-west-2", endpoint_url=ENDPOINT, config=ONCE.merge(Config(signature_version=UNSIGNED))
    )
    add_token = lambda request, **_: request.headers.update(Authorization=f"Bearer {token}")
    unsigned.meta.events.register("before-send.bedrock-runtime.*", add_token)
    return unsigned


def models_can_be_invoked_in_their_own_words():
    def invoke(model, body):
        response = runtime.invoke_model(modelId=model, body=json.dumps(body))
        headers = response["ResponseMetadata"]["HTTPHeaders"]
        assert int(headers["x-amzn-bedrock-input-token-count"]) > 0, headers
        return json.loads(response["body"].read())

    titan = invoke("amazon.titan-embed-text-v2:0", {"inputText": "The cat sat.", "dimensions": 256})
    assert len(titan["embedding"]) == 256 and titan["inputTextTokenCount"] == 3
    cohere = invoke("cohere.embed-english-v3", {"texts": ["a", "b"], "input_type": "search_query"})
    assert [len(vector) for vector in cohere["embeddings"]] == [1024, 1024]
    ranked = invoke("cohere.rerank-v3-5:0", {"query": "sky", "documents": ["sea", "blue sky"], "api_version": 2})
    assert ranked["results"][0]["index"] == 1
    claude = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
    assert "Claude 3 Haiku" in invoke(HAIKU, claude)["content"][0]["text"]
    refused(lambda: invoke("amazon.titan-embed-text-v1", {}), "ValidationException", 400, "inputText")
    stream = runtime.invoke_model_with_response_stream(modelId=HAIKU, body=json.dumps(claude))["body"]
    parts = [json.loads(event["chunk"]["bytes"]) for event in stream]
    assert [parts[0]["type"], parts[-1]["type"]] == ["message_start", "message_stop"]
    assert parts[-1]["amazon-bedrock-invocationMetrics"]["inputTokenCount"] > 0


def tokens_are_counted_and_guardrails_let_pass():
    count = lambda model: runtime.count_tokens(modelId=model, input={"converse": {"messages": user("12345678")}})
    assert count(HAIKU)["inputTokens"] == 3  # eight letters and "user"
    refused(lambda: count("us." + LITE), "ValidationException", 400)
    content = [{"text": {"text": "hi"}}]
    guarded = runtime.apply_guardrail(guardrailIdentifier="g1", guardrailVersion="DRAFT", source="INPUT", content=content)
    assert (guarded["action"], guarded["outputs"], guarded["assessments"]) == ("NONE", [], [])


for check in [
    models_differ_by_region_and_can_be_filtered,
    single_models_can_be_looked_up,
    profiles_come_in_pages,
    an_account_has_models_of_its_own,
    converse_reads_text_pictures_documents_and_tools,
    a_stream_carries_every_kind_of_block,
    an_unknown_event_does_not_end_a_stream,
    a_stream_can_fail_midway,
    errors_have_their_codes,
    who_one_is_must_be_proved,
    models_can_be_invoked_in_their_own_words,
    tokens_are_counted_and_guardrails_let_pass,
]:
    check()
    print("ok", check.__name__)
