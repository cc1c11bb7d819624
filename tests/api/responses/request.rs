//! The requests that models get for requests of the Responses API.

use super::{CLAUDE, NOVA, converted, look_tool, request_of, respond};
use crate::{
    bedrock::{emulator, host},
    support::{self, TestResponse},
};
use reqwest::Method;
use serde_json::{Value, json};

const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

#[actix_web::test]
async fn a_request_reaches_bedrock_as_the_chat_that_it_stands_for() {
    let text = |text: &str| json!({"text": text});
    let user = |parts: Value| json!({"role": "user", "content": parts});
    let bytes = PNG.split_once(',').unwrap().1;
    for (input, messages) in [
        (json!("hi"), json!([user(json!([text("hi")]))])),
        (json!([{"role": "user", "content": "hi"}]), json!([user(json!([text("hi")]))])),
        (
            json!([{"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "what?"},
                {"type": "input_image", "image_url": PNG, "detail": "auto"},
                {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="}]}]),
            json!([user(json!([
                text("what?"),
                {"image": {"format": "png", "source": {"bytes": bytes}}},
                {"document": {"format": "txt", "name": "a txt", "source": {"bytes": "aGVsbG8="}}}]))]),
        ),
        (
            json!([
                {"role": "user", "content": "a"},
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                 "content": [{"type": "output_text", "text": "b", "annotations": [], "logprobs": []}]},
                {"role": "user", "content": "c"}]),
            json!([user(json!([text("a")])), {"role": "assistant", "content": [text("b")]}, user(json!([text("c")]))]),
        ),
        (
            json!([
                {"role": "user", "content": "a"},
                {"type": "message", "role": "assistant", "content": "I look."},
                {"type": "function_call", "id": "fc_1", "call_id": "t1", "name": "look", "arguments": "{\"a\":1}"},
                {"type": "function_call", "call_id": "t2", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "t1", "output": "one"},
                {"type": "function_call_output", "call_id": "t2", "output": [{"type": "input_text", "text": "two"}]}]),
            json!([
                user(json!([text("a")])),
                {"role": "assistant", "content": [
                    text("I look."),
                    {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"a": 1}}},
                    {"toolUse": {"toolUseId": "t2", "name": "look", "input": {}}}]},
                user(json!([
                    {"toolResult": {"toolUseId": "t1", "content": [text("one")]}},
                    {"toolResult": {"toolUseId": "t2", "content": [text("two")]}}]))]),
        ),
    ] {
        let sent = converted(NOVA, json!({"input": input, "tools": [look_tool()]})).await;
        assert_eq!(sent["messages"], messages, "{input}");
    }
}

#[actix_web::test]
async fn instructions_lead_and_limits_and_samplers_go_along() {
    let fields = json!({
        "instructions": "Be brief.", "max_output_tokens": 77, "temperature": 0.5, "top_p": 0.25,
        "input": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "hi"}],
        "metadata": {"team": "a"}, "store": true, "truncation": "auto", "text": {"verbosity": "low"},
    });
    let sent = converted(NOVA, fields).await;
    assert_eq!(sent["system"], json!([{"text": "Be brief."}, {"text": "Be kind."}]));
    assert_eq!(sent["inferenceConfig"], json!({"maxTokens": 77, "temperature": 0.5, "topP": 0.25}));
    assert_eq!(sent["requestMetadata"], json!({"team": "a"}));
}

#[actix_web::test]
async fn tools_keep_the_order_of_their_schemas_and_are_chosen_as_asked() {
    for (choice, chosen) in [
        (json!("auto"), Value::Null),
        (json!("required"), json!({"any": {}})),
        (json!({"type": "function", "name": "look"}), json!({"tool": {"name": "look"}})),
        (
            json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]}),
            json!({"any": {}}),
        ),
    ] {
        let other = json!({"type": "function", "name": "other", "parameters": null});
        let fields = json!({"tools": [look_tool(), other], "tool_choice": choice});
        let sent = converted(NOVA, fields).await;
        let config = &sent["toolConfig"];
        assert_eq!(config["toolChoice"], chosen, "{choice}");
        let tools = config["tools"].as_array().unwrap();
        assert_eq!(tools.len(), if choice["type"] == "allowed_tools" { 1 } else { 2 });
        let schema = tools[0]["toolSpec"]["inputSchema"]["json"].to_string();
        assert_eq!(schema, look_tool()["parameters"].to_string());
    }
}

#[actix_web::test]
async fn a_schema_binds_the_answer_and_effort_makes_the_model_think() {
    let schema = json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "name": "shape", "strict": true, "schema": schema});
    let sent = converted(CLAUDE, json!({"text": {"format": format}})).await;
    let bound = &sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    assert_eq!(bound, &json!({"schema": schema.to_string(), "name": "shape"}));
    let sent = converted(CLAUDE, json!({"text": {"format": {"type": "text"}}})).await;
    assert_eq!(sent["outputConfig"], Value::Null);
    let sent = converted(CLAUDE, json!({"reasoning": {"effort": "low", "summary": "auto"}})).await;
    assert_eq!(sent["additionalModelRequestFields"]["thinking"]["budget_tokens"], 1024);
}

#[actix_web::test]
async fn what_cannot_be_served_is_refused_by_field() {
    let host = support::host().await;
    let user = |part: Value| json!({"input": [{"role": "user", "content": [part]}]});
    for (fields, field) in [
        (json!({"model": ""}), "model"),
        (json!({"input": ""}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": ["hi"]}), "input[0]"),
        (json!({"input": [{"role": "tool", "content": "hi"}]}), "input[0].role"),
        (json!({"input": [{"role": "user", "content": 7}]}), "input[0].content"),
        (json!({"input": [{"type": "item_reference", "id": "msg_1"}]}), "input[0]"),
        (json!({"input": [{"type": "computer_call_output"}]}), "input[0].call_id"),
        (json!({"input": [{"type": "function_call_output", "output": "x"}]}), "input[0].call_id"),
        (user(json!({"type": "input_image", "file_id": "file-1"})), "input[0].content[0]"),
        (user(json!({"type": "input_file", "file_id": "file-1"})), "input[0].content[0]"),
        (user(json!({"text": "hi"})), "input[0].content[0].type"),
        (json!({"previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"conversation": "conv_1"}), "conversation"),
        (json!({"prompt": {"id": "pmpt_1"}}), "prompt"),
        (json!({"background": true}), "background"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"tool_choice": {"type": "web_search"}}), "tool_choice"),
        (
            json!({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}),
            "tool_choice",
        ),
        (json!({"tools": [{"type": "web_search"}], "tool_choice": "required"}), "tool_choice"),
        (json!({"tool_choice": {"type": "function"}}), "tool_choice.name"),
        (
            json!({"tool_choice": {"type": "allowed_tools", "tools": ["look"]}}),
            "tool_choice.tools[0]",
        ),
        (json!({"text": {"format": {"type": "grammar"}}}), "text.format.type"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"max_output_tokens": -1}), "max_output_tokens"),
    ] {
        let answered = host.post("/responses", &request_of("script.whole", fields.clone())).await;
        let said = answered.error_message(400);
        assert!(said.starts_with(field), "{fields}: {said}");
        assert_eq!(answered.json["error"]["param"], field, "{fields}");
    }
    let hot =
        host.post("/responses", &request_of("script.whole", json!({"temperature": "hot"}))).await;
    assert_eq!(hot.error_message(400), "temperature: must be a number from 0 to 2");
}

#[actix_web::test]
async fn a_schema_that_no_reader_takes_is_refused_by_its_place() {
    let host = support::host().await;
    let request = host.request(Method::POST, "/responses");
    let body = r#"{"model": "m", "input": "x", "tools": [{"type": "function", "name": "f", "parameters": {"x": 1e400}}]}"#;
    let request = request.header("content-type", "application/json").body(body);
    let answered = TestResponse::read(request.send().await.unwrap()).await;
    assert_eq!(answered.json["error"]["param"], "tools[0].parameters", "{}", answered.text);
    answered.error_message(400);
}

#[actix_web::test]
async fn what_the_pipe_refuses_is_named_as_in_the_request() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let image = json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"});
    let asks = json!({"role": "user", "content": [{"type": "input_text", "text": "?"}, image]});
    let calls =
        json!({"type": "function_call", "call_id": "t1", "name": "look", "arguments": "{}"});
    let others = json!({"type": "allowed_tools", "tools": [{"type": "function", "name": "other"}]});
    let shows = json!({"type": "function_call_output", "call_id": "t1", "output": [image]});
    for (fields, field) in [
        (json!({"instructions": "x", "input": [asks]}), "input[0].content[1]"),
        (json!({"input": [{"role": "user", "content": "a"}, calls, shows]}), "input[2].output[0]"),
        (json!({"max_output_tokens": 0}), "max_output_tokens"),
        (json!({"reasoning": {"effort": "hard"}}), "reasoning.effort"),
        (json!({"tools": [look_tool()], "tool_choice": others}), "tool_choice.tools"),
    ] {
        let answered = host.post("/responses", &request_of(NOVA, fields)).await;
        answered.error_message(400);
        assert_eq!(answered.json["error"]["param"], field, "{}", answered.text);
    }
}

#[actix_web::test]
async fn what_stands_empty_is_as_good_as_missing() {
    let host = support::host().await;
    let nothing = json!({
        "instructions": null, "stream": null, "tools": null, "tool_choice": null, "text": null, "reasoning": {"effort": null},
        "include": null, "previous_response_id": null, "conversation": null, "background": false, "metadata": null,
        "parallel_tool_calls": null, "store": null, "temperature": null, "max_output_tokens": null, "service_tier": null,
    });
    let response = respond(&host, "script.whole", nothing).await;
    assert_eq!(response["metadata"], json!({}));
    assert_eq!(response["parallel_tool_calls"], true);
    assert_eq!(response["tool_choice"], "auto");
}

#[actix_web::test]
async fn who_asks_reaches_the_pipe() {
    let host = support::host().await;
    for field in ["user", "safety_identifier"] {
        let mut fields = json!({"input": "who"});
        fields[field] = "u7".into();
        let response = respond(&host, "typed", fields).await;
        assert_eq!(response["output"][0]["content"][0]["text"], "u7||", "{field}");
    }
    let idle = json!({"input": "rest", "store": true, "truncation": "auto", "stream_options": {}, "stop": "x", "messages": [], "guardrailConfig": {}});
    let response = respond(&host, "typed", idle).await;
    assert_eq!(response["output"][0]["content"][0]["text"], "guardrailConfig");
}

#[actix_web::test]
async fn the_path_is_served_with_its_prefix_and_behind_the_key() {
    let host = support::host().await;
    let request = request_of("typed", json!({}));
    assert_eq!(host.post("/v1/responses", &request).await.status, 200);
    let bare = host.request_without_key(reqwest::Method::POST, "/v1/responses").json(&request);
    assert_eq!(TestResponse::read(bare.send().await.unwrap()).await.status, 401);
}
