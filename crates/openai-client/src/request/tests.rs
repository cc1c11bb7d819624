//! Tests of the requests that are sent.

#![expect(clippy::needless_pass_by_value, reason = "a test writes `json!` where it is read")]

use super::*;
use serde_json::json;

fn sent_to(vendor: Vendor, model: &str, body: Value) -> Value {
    let body: Body = serde_json::from_value(body).unwrap();
    serde_json::from_slice(
        &serialize_chat(&body, model, vendor, Quirks::default(), Delivery::Stream).unwrap().json,
    )
    .unwrap()
}

/// Returns the request for a chat with these fields, without the fields that every request has.
fn sent(fields: Value) -> Value {
    let mut body = json!({"model": "m", "messages": []});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut sent = sent_to(Vendor::Other, "m", body);
    for name in ["model", "messages", "stream", "stream_options"] {
        sent.as_object_mut().unwrap().remove(name).unwrap();
    }
    sent
}

/// Returns a message as it is sent.
fn message(vendor: Vendor, message: Value) -> Value {
    sent_to(vendor, "m", json!({"model": "m", "messages": [message]}))["messages"][0].clone()
}

#[test]
fn a_streamed_chat_asks_for_its_usage_and_a_whole_one_has_it_anyway() {
    let plain = json!({"model": "x.m", "messages": [{"role": "user", "content": "hi"}]});
    let streamed = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true, "stream_options": {"include_usage": true}});
    assert_eq!(sent_to(Vendor::OpenAi, "m", plain.clone()), streamed);
    let body: Body = serde_json::from_value(plain).unwrap();
    let (vendor, quirks) = (Vendor::OpenAi, Quirks::default());
    let whole = serialize_chat(&body, "m", vendor, quirks, Delivery::Whole).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&whole.json).unwrap(),
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": false})
    );
}

#[test]
fn the_user_s_own_parameters_go_out_and_open_webui_s_do_not() {
    let own = json!({"temperature": 0.5, "seed": 7, "top_k": 40, "reasoning_effort": "low", "response_format": {"type": "json_object"}, "chat_template_kwargs": {"enable_thinking": false}, "stop": ["END"]});
    let mut all = own.clone();
    for name in HOST_FIELDS {
        all[name] = json!({"x": 1});
    }
    all["frequency_penalty"] = Value::Null;
    assert_eq!(sent(all), own);
}

#[test]
fn what_needs_tools_goes_out_with_tools_only() {
    let choice = json!({"tool_choice": "auto", "parallel_tool_calls": false});
    assert_eq!(sent(choice.clone()), json!({}));
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"z": 1, "type": "object"}}});
    let mut with_tools = choice;
    with_tools["tools"] = json!([tool]);
    assert_eq!(sent(with_tools.clone()), with_tools);
}

#[test]
fn fields_of_anthropic_s_api_do_not_go_to_openai() {
    let own = json!({"thinking": {"type": "enabled"}, "top_k": 5, "context_management": {}, "mcp_servers": [], "anthropic_beta": ["x"]});
    assert_eq!(sent(own.clone()), own);
    let mut body = json!({"model": "m", "messages": []});
    body.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    for vendor in [Vendor::OpenAi, Vendor::Azure] {
        let sent = sent_to(vendor, "m", body.clone());
        let names: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["model", "messages", "stream", "stream_options"]);
    }
}

#[test]
fn a_choice_among_some_tools_sends_these_alone() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}});
    let named = json!([{"type": "function", "function": {"name": "server.b"}}]);
    for mode in ["auto", "required"] {
        let sent = sent(json!({
            "tools": [tool("a"), tool("server.b"), {"type": "web_search"}],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}},
        }));
        assert_eq!(sent["tool_choice"], mode);
        let tools = sent["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 1, "{sent}");
        assert!(tools[0]["function"]["name"].as_str().unwrap().starts_with("server_b"), "{sent}");
    }
}

#[test]
fn the_limit_of_tokens_has_the_name_that_the_model_knows() {
    for (model, name, sent) in [
        ("gpt-4o", "max_tokens", "max_tokens"),
        ("llama3", "max_completion_tokens", "max_tokens"),
        ("gpt-5-mini", "max_tokens", "max_completion_tokens"),
        ("o3", "max_tokens", "max_completion_tokens"),
        ("openai/o4-mini", "max_tokens", "max_completion_tokens"),
        ("olmo", "max_tokens", "max_tokens"),
    ] {
        let body = sent_to(Vendor::Other, model, json!({"model": "m", "messages": [], name: 7}));
        assert_eq!(body[sent], 7, "{model}: {body}");
    }
}

#[test]
fn messages_hold_only_what_servers_know() {
    let all = json!({"role": "assistant", "content": "a", "name": "n", "id": "1", "timestamp": 2, "files": [], "sources": [], "info": {}, "output": [], "thinking_blocks": [], "reasoning_content": "hm"});
    assert_eq!(
        message(Vendor::OpenAi, all.clone()),
        json!({"role": "assistant", "content": "a", "name": "n"})
    );
    assert_eq!(
        message(Vendor::Other, all),
        json!({"role": "assistant", "content": "a", "name": "n", "reasoning_content": "hm"})
    );
}

#[test]
fn messages_are_written_as_openai_has_them() {
    for (from, to) in [
        (
            json!({"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "image_url", "image_url": "data:x"}, {"type": "input_audio", "input_audio": {"data": "x"}}]}),
            json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:x"}}, {"type": "input_audio", "input_audio": {"data": "x"}}]}),
        ),
        (
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": ""}}]}),
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
        ),
        (
            json!({"role": "developer", "content": "a"}),
            json!({"role": "developer", "content": "a"}),
        ),
    ] {
        assert_eq!(message(Vendor::Azure, from), to);
    }
    let developer = json!({"role": "developer", "content": "a"});
    assert_eq!(message(Vendor::Other, developer)["role"], "system");
}

#[test]
fn each_call_has_its_result_and_each_result_its_call() {
    let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let messages = json!([
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": null},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "user", "content": "stop"},
        {"role": "tool", "tool_call_id": "9", "content": "late"},
        {"role": "user", "content": "and?"},
    ]);
    let sent = sent_to(Vendor::Other, "m", json!({"model": "m", "messages": messages}));
    let no_result =
        json!({"role": "tool", "tool_call_id": "1_2", "content": "(There is no result.)"});
    let mut second = messages[2].clone();
    second["tool_calls"][0]["id"] = "1_2".into();
    let told = json!([{"type": "text", "text": "[The tool has shown this:]"}, {"type": "text", "text": "late"}, {"type": "text", "text": "and?"}]);
    assert_eq!(
        sent["messages"],
        json!([
            messages[0], {"role": "tool", "tool_call_id": "1", "content": ""},
            second, no_result, {"role": "user", "content": "stop"},
            {"role": "user", "content": told},
        ])
    );
}
