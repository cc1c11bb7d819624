//! Anthropic's Messages through the whole host: what its clients send and read, and what the model
//! gets.

use crate::{
    bedrock::{emulator, host, sent_bodies},
    support::{self, KEY, TestHost, TestResponse},
};
use bedrock_emulator::{
    ANY, BedrockException, Emulator, InjectedFault, ModelAnswer, Operation, Script, TokenUsage,
};
use reqwest::Method;
use serde_json::{Value, json};

const CLAUDE: &str = "bedrock_models.us.anthropic.claude-sonnet-4-5-20250929-v1:0";

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

fn request_with(messages: Value) -> Value {
    with_field(json!({"model": CLAUDE, "max_tokens": 2000}), "messages", messages)
}

fn question() -> Value {
    request_with(json!([{"role": "user", "content": "hi"}]))
}

fn with_field(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// The names and the data of a streamed answer's events.
async fn stream_events(host: &TestHost, body: Value) -> Vec<Value> {
    let answered = host.post("/v1/messages", &with_field(body, "stream", true.into())).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert!(answered.header("content-type").starts_with("text/event-stream"));
    let read = |event: &str| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"]);
        data
    };
    answered.text.split_terminator("\n\n").map(read).collect()
}

/// Returns the request that Bedrock gets for this one. Its answer does not matter.
async fn converted(body: &Value) -> Value {
    let emulator = emulator();
    let answered = host(&emulator).await.post("/messages", body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    last_converse_body(&emulator)
}

fn last_converse_body(emulator: &Emulator) -> Value {
    sent_bodies(emulator).pop().unwrap()
}

#[actix_web::test]
async fn a_message_is_answered_with_what_it_cost() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let usage = TokenUsage { input: 10, output: 7, cache_read: Some(100), cache_write: Some(5) };
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["Hel", "lo"]).usage(usage)));
    let mut message = host.post("/v1/messages", &question()).await.json;
    let id = message["id"].take();
    assert!(id.as_str().unwrap().starts_with("msg_"), "{id}");
    assert_eq!(
        message,
        json!({
            "id": null, "type": "message", "role": "assistant", "model": CLAUDE,
            "content": [{"type": "text", "text": "Hello"}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 7},
        })
    );
}

#[actix_web::test]
async fn a_streamed_answer_opens_fills_and_closes_its_blocks() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let usage = TokenUsage { input: 10, output: 7, cache_read: Some(100), cache_write: None };
    let answer = ModelAnswer::new()
        .reasoning(["Let me ", "see."], "c2lnbmVk")
        .redacted(b"hidden")
        .text(["I ask. "])
        .tool("t1", "weather", ["{\"city\":", "\"Rome\"}"])
        .tool("t2", "time", Vec::<String>::new())
        .usage(usage);
    emulator.script(ANY, Script::answer(answer.clone()));
    emulator.script(ANY, Script::answer(answer));
    let tools = json!([{"name": "weather", "input_schema": {"type": "object"}}, {"name": "time", "input_schema": {"type": "object"}}]);
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let body = with_field(with_field(question(), "tools", tools), "thinking", thinking);

    let mut events = stream_events(&host, body.clone()).await;
    events[0]["message"]["id"].take();
    let start = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u64, kind: &str, field: &str, text: &str| json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    // The prompt is an estimate: "hi", and the two tools.
    let nothing = json!({"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0});
    let call =
        |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    assert_eq!(
        events,
        [
            json!({"type": "message_start", "message": {"id": null, "type": "message", "role": "assistant", "model": CLAUDE, "content": [], "stop_reason": null, "stop_sequence": null, "usage": nothing}}),
            start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
            delta(0, "thinking_delta", "thinking", "Let me "),
            delta(0, "thinking_delta", "thinking", "see."),
            delta(0, "signature_delta", "signature", "c2lnbmVk"),
            stop(0),
            start(1, json!({"type": "redacted_thinking", "data": "aGlkZGVu"})),
            stop(1),
            start(2, json!({"type": "text", "text": ""})),
            delta(2, "text_delta", "text", "I ask. "),
            stop(2),
            start(3, call("t1", "weather")),
            delta(3, "input_json_delta", "partial_json", "{\"city\":"),
            delta(3, "input_json_delta", "partial_json", "\"Rome\"}"),
            stop(3),
            start(4, call("t2", "time")),
            delta(4, "input_json_delta", "partial_json", "{}"),
            stop(4),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 100, "output_tokens": 7}}),
            json!({"type": "message_stop"}),
        ]
    );

    let plain = host.post("/messages", &body).await.json;
    assert_eq!(
        plain["content"],
        json!([
            {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"},
            {"type": "redacted_thinking", "data": "aGlkZGVu"},
            {"type": "text", "text": "I ask. "},
            {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}},
            {"type": "tool_use", "id": "t2", "name": "time", "input": {}},
        ])
    );
    assert_eq!(plain["stop_reason"], "tool_use");
}

#[actix_web::test]
async fn a_model_of_another_pipe_answers_too_and_its_thoughts_are_unsigned() {
    let host = support::host().await;
    let body = with_field(question(), "model", "script.whole".into());
    let blocks = json!([
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "Hello \"wörld\"\n"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ]);
    let plain = host.post("/messages", &body).await.json;
    assert_eq!(plain["content"], blocks);
    assert_eq!(plain["usage"]["input_tokens"], 15);
    let events = stream_events(&host, body).await;
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let (block, delta) = (["content_block_start", "content_block_delta"], "content_block_delta");
    let text = [&block[..], &[delta, "content_block_stop"]].concat();
    let other = [&block[..], &["content_block_stop"]].concat();
    let expected =
        [&["message_start"], &other[..], &text, &other, &["message_delta", "message_stop"]];
    assert_eq!(kinds, expected.concat());
}

#[actix_web::test]
async fn each_end_has_its_reason() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for (ended, reason) in [
        ("end_turn", "end_turn"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "max_tokens"),
        ("guardrail_intervened", "refusal"),
    ] {
        let answer = || Script::answer(ModelAnswer::with_text(["Hello"]).stop(ended));
        emulator.script(ANY, answer());
        emulator.script(ANY, answer());
        assert_eq!(host.post("/messages", &question()).await.json["stop_reason"], reason);
        let events = stream_events(&host, question()).await;
        assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], reason);
    }
}

#[actix_web::test]
async fn sources_stand_with_the_text() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let cited = json!({"title": "Report", "source": "report", "sourceContent": [{"text": "It rains."}], "location": {"documentPage": {"documentIndex": 0, "start": 2, "end": 3}}});
    let answer =
        || Script::answer(ModelAnswer::new().text_with_citations(["It rains."], [cited.clone()]));
    emulator.script(ANY, answer());
    emulator.script(ANY, answer());
    let citation = json!({"type": "page_location", "cited_text": "It rains.", "document_index": 0, "document_title": "Report", "start_page_number": 2, "end_page_number": 3});
    let plain = host.post("/messages", &question()).await.json;
    assert_eq!(plain["content"][0]["citations"], json!([citation]));
    let events = stream_events(&host, question()).await;
    assert_eq!(events[3]["delta"], json!({"type": "citations_delta", "citation": citation}));
}

#[actix_web::test]
async fn blocks_reach_the_model_as_what_they_are() {
    let cached = json!({"type": "ephemeral"});
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}});
    let shown = json!({"image": {"format": "png", "source": {"bytes": PNG}}});
    let body = request_with(json!([
        {"role": "user", "content": [
            image,
            {"type": "document", "title": "Notes", "context": "Of a meeting.", "citations": {"enabled": true}, "source": {"type": "text", "media_type": "text/plain", "data": "We met."}},
            {"type": "text", "text": "What is it?", "cache_control": cached},
        ]},
        {"role": "assistant", "content": [
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {"z": 1.0, "a": [2]}},
            {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "This:"}, image]},
            {"type": "tool_result", "tool_use_id": "t2", "content": "no light", "is_error": true, "cache_control": cached},
            {"type": "text", "text": "And?"},
        ]},
    ]));
    let system = json!([{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be brief.", "cache_control": cached}]);
    let tools = json!([{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}, "cache_control": cached}]);
    let told = converted(&with_field(with_field(body, "system", system), "tools", tools)).await;
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!(told["system"], json!([{"text": "Be kind."}, {"text": "Be brief."}, point]));
    assert_eq!(told["toolConfig"]["tools"][1], point);
    let messages = &told["messages"];
    let document = json!({"format": "txt", "name": "Notes", "source": {"text": "We met."}, "context": "Of a meeting.", "citations": {"enabled": true}});
    assert_eq!(
        messages[0]["content"],
        json!([shown, {"document": document}, {"text": "What is it?"}, point])
    );
    assert_eq!(
        messages[1]["content"],
        json!([
            {"text": "I look."},
            {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"z": 1.0, "a": [2]}}},
            {"toolUse": {"toolUseId": "t2", "name": "look", "input": {}}},
        ])
    );
    assert_eq!(
        messages[2]["content"],
        json!([
            {"toolResult": {"toolUseId": "t1", "content": [{"text": "This:"}, shown]}},
            {"toolResult": {"toolUseId": "t2", "content": [{"text": "no light"}], "status": "error"}},
            point,
            {"text": "And?"},
        ])
    );
}

#[actix_web::test]
async fn fields_reach_the_model_as_what_they_mean() {
    let tools = || {
        with_field(question(), "tools", json!([{"name": "f", "input_schema": {"type": "object"}}]))
    };
    let format = json!({"type": "json_schema", "schema": {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}});
    for (body, place, value) in [
        (question(), "/inferenceConfig/maxTokens", json!(2000)),
        (
            with_field(question(), "temperature", json!(0.5)),
            "/inferenceConfig/temperature",
            json!(0.5),
        ),
        (with_field(question(), "top_p", json!(0.5)), "/inferenceConfig/topP", json!(0.5)),
        (
            with_field(question(), "stop_sequences", json!(["END"])),
            "/inferenceConfig/stopSequences",
            json!(["END"]),
        ),
        (
            with_field(question(), "top_k", json!(5)),
            "/additionalModelRequestFields/top_k",
            json!(5),
        ),
        (
            with_field(question(), "thinking", json!({"type": "enabled", "budget_tokens": 1500})),
            "/additionalModelRequestFields/thinking/budget_tokens",
            json!(1500),
        ),
        (
            with_field(question(), "output_config", json!({"effort": "low"})),
            "/additionalModelRequestFields/thinking/budget_tokens",
            json!(1024),
        ),
        (
            with_field(question(), "output_config", json!({"format": format})),
            "/outputConfig/textFormat/type",
            json!("json_schema"),
        ),
        (
            with_field(question(), "output_format", format.clone()),
            "/outputConfig/textFormat/type",
            json!("json_schema"),
        ),
        (with_field(question(), "system", json!("Be kind.")), "/system/0/text", json!("Be kind.")),
        (
            with_field(question(), "service_tier", json!("standard_only")),
            "/serviceTier/type",
            json!("default"),
        ),
        (with_field(question(), "service_tier", json!("auto")), "/serviceTier", Value::Null),
        (
            with_field(tools(), "tool_choice", json!({"type": "auto"})),
            "/toolConfig/toolChoice",
            Value::Null,
        ),
        (
            with_field(tools(), "tool_choice", json!({"type": "any"})),
            "/toolConfig/toolChoice",
            json!({"any": {}}),
        ),
        (
            with_field(tools(), "tool_choice", json!({"type": "tool", "name": "f"})),
            "/toolConfig/toolChoice",
            json!({"tool": {"name": "f"}}),
        ),
        (with_field(tools(), "tool_choice", json!({"type": "none"})), "/toolConfig", Value::Null),
        (
            with_field(
                tools(),
                "tool_choice",
                json!({"type": "auto", "disable_parallel_tool_use": true}),
            ),
            "/additionalModelRequestFields/tool_choice/disable_parallel_tool_use",
            json!(true),
        ),
        (
            with_field(question(), "cache_control", json!({"type": "ephemeral", "ttl": "1h"})),
            "/messages/0/content/1",
            json!({"cachePoint": {"type": "default", "ttl": "1h"}}),
        ),
        (
            with_field(question(), "metadata", json!({"user_id": "u"})),
            "/requestMetadata",
            Value::Null,
        ),
        (with_field(question(), "never_heard_of", json!({"a": 1})), "/never_heard_of", Value::Null),
    ] {
        let told = converted(&body).await;
        assert_eq!(told.pointer(place).unwrap_or(&Value::Null), &value, "{place} of {body}");
    }
}

#[actix_web::test]
async fn a_format_that_is_a_word_is_passed_over_with_a_note() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let answered =
        host.post("/messages", &with_field(question(), "output_format", "markdown".into())).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert!(answered.header("x-pipewright-notes").contains("output_format"));
    assert!(last_converse_body(&emulator).get("outputConfig").is_none());
}

#[actix_web::test]
async fn a_schema_keeps_the_text_in_which_it_came() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let schema = r#"{"type":"object","properties":{ "z": {"type":"number", "default": 1.0},"a":{"type":"integer","maximum":1e3}}}"#;
    let body = format!(
        r#"{{"model":"{CLAUDE}","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}],"tools":[{{"name":"f","input_schema":{schema}}}]}}"#
    );
    let request =
        host.request(Method::POST, "/messages").header("content-type", "application/json");
    assert_eq!(request.body(body).send().await.unwrap().status().as_u16(), 200);
    let requests = emulator.requests();
    let sent = String::from_utf8_lossy(&requests.last().unwrap().body).into_owned();
    assert!(sent.contains(schema), "{sent}");
}

#[actix_web::test]
async fn an_answer_can_be_sent_back_with_its_signed_thoughts() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let answer = ModelAnswer::new().reasoning(["I need it."], "c2lnbmVk").tool(
        "t1",
        "weather",
        ["{\"city\":\"Rome\"}"],
    );
    emulator.script(ANY, Script::answer(answer));
    let tools = json!([{"name": "weather", "input_schema": {"type": "object"}}]);
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let mut body = with_field(with_field(question(), "tools", tools), "thinking", thinking);
    let message = host.post("/messages", &body).await.json;
    let turns = body["messages"].as_array_mut().unwrap();
    turns.push(json!({"role": "assistant", "content": message["content"]}));
    turns.push(json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]}));
    let answered = host.post("/messages", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let told = last_converse_body(&emulator);
    assert_eq!(
        told["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "I need it.", "signature": "c2lnbmVk"}}},
            {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Rome"}}},
        ])
    );
    assert_eq!(told["additionalModelRequestFields"]["thinking"]["type"], "enabled");
}

#[actix_web::test]
async fn thoughts_of_others_are_not_sent_back() {
    let told = converted(&request_with(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "Hello"}]},
        {"role": "user", "content": "And?"},
    ])))
    .await;
    assert_eq!(told["messages"][1]["content"], json!([{"text": "Hello"}]));
}

#[actix_web::test]
async fn the_betas_of_the_header_reach_the_model_if_they_are_allowed() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let request = host.request(Method::POST, "/v1/messages").json(&question());
    let request = request.header("anthropic-version", "2023-06-01");
    let request =
        request.header("anthropic-beta", "interleaved-thinking-2025-05-14,never-heard-of");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
    let betas = &last_converse_body(&emulator)["additionalModelRequestFields"]["anthropic_beta"];
    assert_eq!(*betas, json!(["interleaved-thinking-2025-05-14"]));
}

#[actix_web::test]
async fn a_fault_names_its_field() {
    let host = support::host().await;
    let says = |content: Value| {
        request_with(
            json!([{"role": "user", "content": "a"}, {"role": "user", "content": content}]),
        )
    };
    // An item that is kept as text must not hide an error elsewhere.
    let kept = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let called = json!([{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]}]);
    let hot =
        with_field(with_field(request_with(called), "tools", kept), "temperature", json!("hot"));
    for (body, words) in [
        (hot, "temperature: must be a number"),
        (with_field(question(), "max_tokens", Value::Null), "max_tokens: say how many"),
        (with_field(question(), "max_tokens", json!(0)), "max_tokens: must be at least 1"),
        (
            with_field(question(), "max_tokens", json!("many")),
            "max_tokens: must be a whole number, 0 or more",
        ),
        (with_field(question(), "model", json!("")), "model: name a model"),
        (request_with(json!([])), "messages: send at least one"),
        (
            request_with(json!([{"role": "robot", "content": "a"}])),
            "messages[0].role: must be one of",
        ),
        (says(json!(7)), "messages[1].content: must be a text or a list of blocks"),
        (says(json!([{"text": "a"}])), "messages[1].content[0].type: is missing"),
        (says(json!([{"type": "text", "text": 7}])), "messages[1].content[0].text: must be a text"),
        (
            says(json!([{"type": "image", "source": {"type": "file", "file_id": "f"}}])),
            "messages[1].content[0].source.type: must be `base64`",
        ),
        (
            says(json!([{"type": "tool_use", "id": "t", "name": "f", "input": {}}])),
            "messages[1].content[0].type: blocks of type `tool_use`",
        ),
        (
            says(json!([{"type": "tool_result", "content": "a"}])),
            "messages[1].content[0].tool_use_id: is missing",
        ),
        (
            with_field(question(), "system", json!([{"type": "hologram"}])),
            "system[0].type: system messages",
        ),
        (with_field(question(), "tools", json!([{}])), "tools[0].name: is missing"),
        (
            with_field(question(), "tool_choice", json!({"type": "tool"})),
            "tool_choice.name: is missing",
        ),
        (
            with_field(question(), "tool_choice", json!({"type": "some"})),
            "tool_choice.type: must be `auto` or",
        ),
    ] {
        let answered = host.post("/messages", &body).await;
        let error = &answered.json["error"];
        let message = error["message"].as_str().unwrap_or(&answered.text);
        assert!(message.starts_with(words), "{message} of {body}");
        assert_eq!((answered.status, &error["type"]), (400, &json!("invalid_request_error")));
    }
}

#[actix_web::test]
async fn what_the_pipe_refuses_is_said_of_where_the_client_has_put_it() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let broken = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let fine = json!({"type": "text", "text": "a"});
    let call = json!([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}]);
    let result = json!([fine, {"type": "tool_result", "tool_use_id": "t", "content": [fine, broken]}, broken]);
    let body = request_with(
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": call}, {"role": "user", "content": result}]),
    );
    let body = with_field(body, "system", "Be kind.".into());
    for path in ["/messages", "/messages/count_tokens"] {
        let message = host.post(path, &body).await.json["error"]["message"].take();
        let place = "messages[2].content[1].content[1]: the image must be";
        assert!(message.as_str().unwrap().starts_with(place), "{message}");
    }
    let body = request_with(
        json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}, fine, broken]}]),
    );
    let message = host.post("/messages", &body).await.json["error"]["message"].take();
    assert!(message.as_str().unwrap().starts_with("messages[0].content[2]: "), "{message}");
    let body = with_field(question(), "stop_sequences", vec!["END"; 5000].into());
    let message = host.post("/messages", &body).await.json["error"]["message"].take();
    assert_eq!(message, "stop_sequences: send 2500 texts at most");
}

#[actix_web::test]
async fn errors_are_told_in_anthropics_words() {
    let host = support::host().await;
    let body = |model: &str| with_field(question(), "model", model.into());
    for (model, status, kind) in [
        ("nowhere.model", 404, "not_found_error"),
        ("script.throttled", 429, "rate_limit_error"),
        ("script.first-error", 504, "timeout_error"),
        ("script.empty", 502, "api_error"),
        ("script.unfinished", 502, "api_error"),
        ("script.panics", 500, "api_error"),
    ] {
        let answered = host.post("/v1/messages", &body(model)).await;
        error(&answered, status, kind);
    }
    let throttled = host.post("/messages", &body("script.throttled")).await;
    assert_eq!(
        (throttled.header("retry-after"), &throttled.json["error"]["message"]),
        ("7", &json!("Slow down"))
    );
}

fn error(answered: &TestResponse, status: u16, kind: &str) {
    assert_eq!(answered.status, status, "{}", answered.text);
    let id = answered.header("request-id");
    assert!(!id.is_empty() && id == answered.header("x-request-id"));
    let message = &answered.json["error"]["message"];
    let expected =
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": id});
    assert_eq!(answered.json, expected);
}

#[actix_web::test]
async fn what_is_wrong_before_the_body_is_read_is_told_in_the_same_words() {
    let host = support::host().await;
    let sent = async |request: reqwest::RequestBuilder| {
        TestResponse::read(request.send().await.unwrap()).await
    };
    let to = |path: &str| host.request(Method::POST, path);
    let stranger = host.request_without_key(Method::POST, "/v1/messages").json(&question());
    error(&sent(stranger).await, 401, "authentication_error");
    let wrong =
        host.request_without_key(Method::POST, "/messages/count_tokens").bearer_auth("wrong");
    error(&sent(wrong).await, 401, "authentication_error");
    error(&sent(to("/v1/messages").body("{}")).await, 415, "invalid_request_error");
    error(&sent(to("/v1/messages/batches").json(&json!({}))).await, 404, "not_found_error");
    error(&sent(host.request(Method::GET, "/messages")).await, 405, "invalid_request_error");
    let broken = to("/messages").header("content-type", "application/json").body("{");
    error(&sent(broken).await, 400, "invalid_request_error");
    let other = sent(to("/messagesque").json(&json!({}))).await;
    assert_eq!(other.error_message(404), "Not Found");
}

#[actix_web::test]
async fn a_late_error_is_an_event() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let broken = Script::answer(ModelAnswer::with_text(["one ", "two ", "three"]))
        .fail_after(3, InjectedFault::Exception(BedrockException::throttling("slow")));
    emulator.script(ANY, broken);
    let events = stream_events(&host, question()).await;
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["error"]["type"]),
        (&json!("error"), &json!("rate_limit_error"))
    );
    assert!(events.iter().all(|event| event["type"] != "message_stop"));
}

#[actix_web::test]
async fn the_key_may_come_as_anthropics_clients_send_it() {
    let host = support::host().await;
    for (key, status) in [(KEY, 200), ("wrong", 401)] {
        let request = host.request_without_key(Method::GET, "/v1/models").header("x-api-key", key);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status);
    }
}

#[actix_web::test]
async fn tokens_are_counted_by_the_model_behind_a_profile() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let body = json!({"model": CLAUDE, "system": "Be kind.", "messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "f", "input_schema": {"type": "object"}}], "thinking": {"type": "enabled", "budget_tokens": 1024}});
    let counted = host.post("/v1/messages/count_tokens", &body).await;
    assert!(counted.json["input_tokens"].as_u64().unwrap() > 0, "{}", counted.text);
    let requests = emulator.requests();
    let request = requests.iter().find(|r| r.operation == Some(Operation::CountTokens)).unwrap();
    assert_eq!(request.target.as_deref(), Some("anthropic.claude-sonnet-4-5-20250929-v1:0"));
    let converse = request.json["input"]["converse"].as_object().unwrap();
    let fields: Vec<_> = converse.keys().map(String::as_str).collect();
    assert_eq!(fields, ["toolConfig", "system", "messages", "additionalModelRequestFields"]);
}

#[actix_web::test]
async fn tokens_are_estimated_for_a_model_that_does_not_count() {
    let host = support::host().await;
    let body = with_field(question(), "model", "script.whole".into());
    let body = with_field(body, "system", "w".repeat(4000).into());
    let answered = host.post("/messages/count_tokens", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let tokens = answered.json["input_tokens"].as_u64().unwrap();
    assert!((1000..1100).contains(&tokens), "{tokens}");
    assert!(answered.header("x-pipewright-notes").contains("estimate"));
    let asked = json!({"model": "script.whole", "input": "w".repeat(4000)});
    let answered = host.post("/responses/input_tokens", &asked).await;
    assert!(answered.json["input_tokens"].as_u64().unwrap() >= 1000, "{}", answered.text);
    assert!(answered.header("x-pipewright-notes").contains("estimate"));
    let unknown = with_field(question(), "model", "nowhere.model".into());
    error(&host.post("/messages/count_tokens", &unknown).await, 404, "not_found_error");
}
