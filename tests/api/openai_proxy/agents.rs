//! The requests of coding agents and SDKs, towards upstreams that accept only what OpenAI
//! documents.

use super::{
    MODEL, chat_body, rig,
    server::{answer, delta, end, json_of, stream},
};
use crate::rig::{ClientAnswer, with_stream};
use serde_json::{Value, json};

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/// A refusal in OpenAI's words.
fn refusal(message: &str, param: Option<&str>) -> Vec<super::server::ResponseStep> {
    let error =
        json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
    json_of("400 Bad Request", "", &json!({"error": error}))
}

#[actix_web::test]
async fn documents_pictures_and_unknown_blocks_reach_a_server_in_its_words() {
    let rig = rig(json!({})).await;
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}});
    let messages = json!([
        {"role": "user", "content": [
            {"type": "text", "text": "Read these."},
            {"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "plain words"}},
            {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjcK"}},
            {"type": "container_upload", "file_id": "f"},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "weather"}},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "screen"}},
            {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [image]},
            {"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": "no such screen"},
            {"type": "text", "text": "and now?"},
        ]},
    ]);
    let body = json!({"model": MODEL, "max_tokens": 9, "messages": messages,
        "tools": [{"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}]});
    let answered = rig.host.post("/v1/messages", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let sent = rig.server.chat_requests()[0].body["messages"].clone();
    let parts = sent[0]["content"].as_array().unwrap();
    assert_eq!(parts[1], json!({"type": "text", "text": "Document `Notes`:\n\nplain words"}));
    let file =
        json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjcK"});
    assert_eq!(parts[2], json!({"type": "file", "file": file}));
    assert_eq!(parts.len(), 3, "{sent}");
    assert!(sent[1]["content"].to_string().contains("weather"), "{sent}");
    assert_eq!(sent[1]["tool_calls"].as_array().unwrap().len(), 2);
    // Tools' messages are text only; the picture is in the user's next one.
    assert_eq!((&sent[2]["role"], &sent[3]["role"]), (&json!("tool"), &json!("tool")));
    assert!(sent[2]["content"].is_string(), "{sent}");
    assert_eq!(sent[3]["content"], "The tool has failed: no such screen");
    let last = sent[4]["content"].as_array().unwrap();
    assert_eq!(last[1]["image_url"]["url"], format!("data:image/png;base64,{PNG}"));
    assert_eq!(last[2]["text"], "and now?");
    assert_eq!(sent.as_array().unwrap().len(), 5, "{sent}");
}

#[actix_web::test]
async fn a_server_that_takes_no_files_is_asked_without_them_from_then_on() {
    let rig = rig(json!({})).await;
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjcK"}});
    let text = json!({"type": "file", "file": {"filename": "a.csv", "file_data": "data:text/csv;base64,YSxiCjEsMg=="}});
    let body = chat_body(
        &json!({"messages": [{"role": "user", "content": [file, text, {"type": "hologram", "words": "shimmering"}]}]}),
    );
    rig.server.script(refusal("Unknown part type: file", None));
    for _ in 0..2 {
        assert_eq!(rig.post(&body).await.status, 200);
    }
    let asked = rig.server.chat_requests();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].body["messages"][0]["content"][0]["type"], "file");
    for asked in &asked[1..] {
        let parts = asked.body["messages"][0]["content"].clone();
        assert!(parts[0]["text"].as_str().unwrap().contains("a.pdf"), "{parts}");
        assert!(parts[1]["text"].as_str().unwrap().ends_with("a,b\n1,2"), "{parts}");
        assert_eq!(parts[2]["text"], "[hologram] shimmering");
    }
}

#[actix_web::test]
async fn names_and_schemas_of_the_wild_go_out_in_openai_s_form_and_calls_come_back_in_the_client_s()
{
    let rig = rig(json!({})).await;
    let long = "a_very_long_name_of_a_tool_".repeat(4);
    let tools = json!([
        {"type": "function", "function": {"name": "server.tools/list", "parameters": {"type": ["object", "null"], "properties": [], "required": null}}},
        {"type": "function", "function": {"name": long, "parameters": {"anyOf": [{"type": "object", "properties": {"a": {"type": "array"}}}, {"type": "object", "properties": {"b": {}}}]}}},
        {"type": "function", "function": {"name": "many", "parameters": {"type": "array", "items": {"type": "string"}}}},
    ]);
    let past = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "server.tools/list", "arguments": "{broken"}},
            {"id": "2", "type": "function", "function": {"name": "many", "arguments": "[\"x\"]"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "a"}, {"role": "tool", "tool_call_id": "2", "content": "b"}]);
    let body = chat_body(
        &json!({"messages": past, "tools": tools, "tool_choice": {"type": "function", "function": {"name": long}}}),
    );
    let sent = rig.sent_body(&body).await;
    let name = |place: usize| sent["tools"][place]["function"]["name"].as_str().unwrap().to_owned();
    for place in 0..3 {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        assert!(name(place).len() <= 64 && name(place).chars().all(fits), "{sent}");
        let schema = &sent["tools"][place]["function"]["parameters"];
        assert_eq!(schema["type"], "object", "{schema}");
        assert!(schema["properties"].is_object() && schema.get("anyOf").is_none(), "{schema}");
        assert!(schema.get("required").is_none_or(Value::is_array), "{schema}");
    }
    assert_eq!(sent["tool_choice"]["function"]["name"], name(1));
    let calls = &sent["messages"][1]["tool_calls"];
    assert_eq!(calls[0]["function"]["name"], name(0));
    assert!(
        serde_json::from_str::<Value>(calls[0]["function"]["arguments"].as_str().unwrap()).is_ok()
    );
    assert_eq!(calls[1]["function"]["arguments"], r#"{"value":["x"]}"#);

    let call = |place: usize, name: &str, arguments: &str| json!({"index": place, "id": format!("c{place}"), "type": "function", "function": {"name": name, "arguments": arguments}});
    let calls = json!([call(0, &name(0), "{}"), call(1, &name(2), r#"{"value": ["y"]}"#)]);
    let whole = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": calls}, "finish_reason": "tool_calls"}]});
    let pieces = [
        delta(json!({"role": "assistant", "tool_calls": [call(0, &name(0), "{}")]})),
        delta(json!({"tool_calls": [call(1, &name(2), r#"{"val"#)]})),
        delta(json!({"tool_calls": [{"index": 1, "function": {"arguments": r#"ue": ["y"]}"#}}]})),
        end("tool_calls"),
    ];
    for (streamed, script) in [(false, json_of("200 OK", "", &whole)), (true, stream(&pieces))] {
        rig.server.script(script);
        let told = ClientAnswer::read(&rig.post(&with_stream(body.clone(), streamed)).await);
        let calls: Vec<_> = told
            .calls
            .iter()
            .map(|[_, name, arguments]| (name.as_str(), arguments.as_str()))
            .collect();
        assert_eq!(calls, [("server.tools/list", "{}"), ("many", r#"["y"]"#)], "{streamed}");
    }
}

#[actix_web::test]
async fn tools_of_the_server_s_own_are_left_out_where_it_has_none_unless_one_is_demanded() {
    let rig = rig(json!({})).await;
    let hosted = json!({"type": "web_search", "web_search": {"enable": true}});
    let body = chat_body(&json!({"tools": [hosted.clone(), crate::rig::tool("f")]}));
    assert_eq!(rig.sent_body(&body).await["tools"][0], hosted);
    let words = "Invalid value: 'web_search'. Supported values are: 'function' and 'custom'.";
    rig.server.script(refusal(words, Some("tools[0].type")));
    for _ in 0..2 {
        let answered = rig.post(&body).await;
        assert_eq!(answered.json["x_left_out_tools"], json!(["web_search"]), "{}", answered.text);
    }
    let asked = rig.server.chat_requests();
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[3].body["tools"], json!([crate::rig::tool("f")]));
    let demanded = chat_body(&json!({"tools": [hosted], "tool_choice": "required"}));
    let refused = rig.post(&demanded).await;
    assert!(refused.error_message(400).contains("web_search"), "{}", refused.text);
}

#[actix_web::test]
async fn a_server_that_refuses_a_schema_gets_a_plainer_one() {
    let rig = rig(json!({})).await;
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "object", "properties": {"b": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}}}});
    let body = chat_body(
        &json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}),
    );
    rig.server.script(refusal("JSON schema conversion failed: Unrecognized schema", None));
    assert_eq!(rig.post(&body).await.status, 200);
    let asked = rig.server.chat_requests();
    assert_eq!(asked[0].body["tools"][0]["function"]["parameters"], schema);
    let plain = asked[1].body["tools"][0]["function"]["parameters"].to_string();
    assert!(!plain.contains("$ref") && !plain.contains("oneOf"), "{plain}");
    assert!(plain.contains(r#""b""#), "{plain}");
}

#[actix_web::test]
async fn an_answer_is_asked_for_within_the_limits_that_a_server_names() {
    let rig = rig(json!({})).await;
    let asks = async |tokens: u64| {
        let before = rig.server.chat_requests().len();
        let answered = rig.post(&chat_body(&json!({"max_tokens": tokens}))).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let asked = rig.server.chat_requests();
        asked[before..].iter().map(|asked| asked.body["max_tokens"].clone()).collect::<Vec<_>>()
    };
    // The number of tokens that this input leaves is about this chat only.
    rig.server.script(refusal("This model's maximum context length is 8192 tokens. However, you requested 14000 tokens (6000 in the messages, 8000 in the completion). Please reduce the length of the messages or completion.", Some("messages")));
    assert_eq!(asks(8000).await, [json!(8000), json!(2192)]);
    assert_eq!(asks(8000).await, [json!(8000)]);
    rig.server.script(refusal("max_tokens is too large: 8000. This model supports at most 4096 completion tokens, whereas you provided 8000.", Some("max_tokens")));
    assert_eq!(asks(8000).await, [json!(8000), json!(4096)]);
    assert_eq!(asks(8000).await, [json!(4096)]);
    // An input that leaves nothing is an error of its own.
    rig.server.script(refusal("This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.", Some("messages")));
    let refused = rig.post(&chat_body(&json!({"max_tokens": 5}))).await;
    assert_eq!(refused.json["error"]["code"], "context_length_exceeded", "{}", refused.text);
}

#[actix_web::test]
async fn probabilities_of_tokens_are_asked_for_and_told() {
    let rig = rig(json!({})).await;
    let token = |text: &str| json!({"token": text, "logprob": -0.5, "bytes": null, "top_logprobs": [{"token": text, "logprob": -0.5, "bytes": [104]}]});
    let body = chat_body(&json!({"logprobs": true, "top_logprobs": 1}));
    let choice = |part: &str, content: Value, finish: Value, text: &str| json!({"choices": [{"index": 0, part: content, "finish_reason": finish, "logprobs": {"content": [token(text)], "canary": 1}}]});
    let whole =
        choice("message", json!({"role": "assistant", "content": "hi"}), "stop".into(), "hi");
    rig.server.script(answer("200 OK", "content-type: application/json\r\n", &whole.to_string()));
    let told = rig.post(&body).await;
    let sent = &rig.server.chat_requests()[0].body;
    assert_eq!((&sent["logprobs"], &sent["top_logprobs"]), (&json!(true), &json!(1)));
    assert_eq!(
        told.json["choices"][0]["logprobs"],
        json!({"content": [token("hi")], "refusal": null})
    );

    rig.server.script(stream(&[
        choice("delta", json!({"content": "h"}), Value::Null, "h"),
        choice("delta", json!({"content": "i"}), Value::Null, "i"),
        end("stop"),
    ]));
    let streamed = rig.post(&with_stream(body, true)).await;
    let tokens: Vec<Value> = crate::rig::chunks(&streamed)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array().cloned())
        .flatten()
        .collect();
    assert_eq!(tokens, [token("h"), token("i")]);
    assert!(!streamed.text.contains("canary"));
}

#[actix_web::test]
async fn fields_that_only_other_apis_have_are_left_out_where_a_server_refuses_them() {
    let rig = rig(json!({})).await;
    let message = json!({"model": MODEL, "max_tokens": 2000, "top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "hi"}]});
    let forbidden = |name: &str| json!({"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"});
    for name in ["thinking", "top_k"] {
        let detail = json!({"detail": [forbidden(name)]});
        rig.server.script(json_of("422 Unprocessable Entity", "", &detail));
    }
    for _ in 0..2 {
        let answered = rig.host.post("/v1/messages", &message).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
    }
    let asked = rig.server.chat_requests();
    assert_eq!(asked.len(), 4);
    assert!(asked[0].body["thinking"].is_object() && asked[0].body["top_k"] == 5);
    for asked in &asked[2..] {
        assert!(asked.body.get("thinking").is_none() && asked.body.get("top_k").is_none());
    }
}

#[actix_web::test]
async fn a_server_that_limits_tools_gets_the_ones_that_matter_and_the_answer_names_the_rest() {
    let rig = rig(json!({})).await;
    let tool = |place: usize| crate::rig::tool(&format!("f{place}"));
    let tools: Vec<Value> = (0..140).map(tool).collect();
    let called = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f139", "arguments": "{}"}}]});
    let body = chat_body(&json!({"tools": tools, "messages": [
        {"role": "user", "content": "hi"}, called, {"role": "tool", "tool_call_id": "a", "content": "1"}],
        "tool_choice": {"type": "function", "function": {"name": "f138"}}}));
    rig.server.script(refusal("Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 140 instead.", Some("tools")));
    for _ in 0..2 {
        let answered = rig.post(&body).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let left_out = answered.json["x_left_out_tools"].as_array().unwrap();
        assert_eq!((left_out.len(), &left_out[0]), (12, &json!("f126")));
    }
    let asked = rig.server.chat_requests();
    assert_eq!(asked.len(), 3);
    let sent = asked[2].body["tools"].as_array().unwrap();
    let names: Vec<_> = sent.iter().map(|tool| tool["function"]["name"].clone()).collect();
    assert_eq!((names.len(), &names[0], &names[125]), (128, &json!("f0"), &json!("f125")));
    assert_eq!((&names[126], &names[127]), (&json!("f138"), &json!("f139")));
}

#[actix_web::test]
async fn stop_sequences_that_are_too_many_for_a_server_end_the_answer_all_the_same() {
    let rig = rig(json!({})).await;
    let stops: Vec<String> = (0..6).map(|number| format!("END{number}")).collect();
    let body = chat_body(&json!({"stop": stops}));
    rig.server.script(refusal("Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 6 instead.", Some("stop")));
    for streamed in [false, true] {
        rig.server.script(stream(&[
            delta(json!({"content": "one EN"})),
            delta(json!({"content": "D5 two"})),
            end("length"),
        ]));
        let told = ClientAnswer::read(&rig.post(&with_stream(body.clone(), streamed)).await);
        assert_eq!((told.content.as_str(), told.finish.as_deref()), ("one ", Some("stop")));
    }
    let asked = rig.server.chat_requests();
    let sent: Vec<_> =
        asked.iter().map(|asked| asked.body["stop"].as_array().unwrap().len()).collect();
    assert_eq!(sent, [6, 4, 4]);
}

#[actix_web::test]
async fn a_description_that_is_too_long_for_a_server_is_told_as_a_system_message() {
    let rig = rig(json!({})).await;
    let text = "w".repeat(1100) + " the end";
    let body = chat_body(
        &json!({"tools": [{"type": "function", "function": {"name": "f", "description": text, "parameters": {"type": "object", "properties": {}}}}]}),
    );
    rig.server.script(refusal("Invalid 'tools[0].function.description': string too long. Expected a string with maximum length 1024, but got a string with length 1108 instead.", Some("tools[0].function.description")));
    assert_eq!(rig.post(&body).await.status, 200);
    let sent = rig.server.chat_requests()[1].body.clone();
    assert_eq!(sent["tools"][0]["function"]["description"], "w".repeat(1024));
    assert_eq!(sent["messages"][0]["role"], "system");
    assert!(sent["messages"][0]["content"].as_str().unwrap().ends_with("the end"), "{sent}");
}

#[actix_web::test]
async fn exact_schemas_are_asked_for_where_they_leave_nothing_open() {
    let rig = rig(json!({})).await;
    let open = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]});
    let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    for (schema, strict) in [(open, false), (closed, true)] {
        let function = json!({"name": "f", "parameters": schema, "strict": true});
        let format = json!({"type": "json_schema", "json_schema": {"name": "an answer", "schema": schema, "strict": true}});
        let body = chat_body(
            &json!({"tools": [{"type": "function", "function": function}], "response_format": format, "top_logprobs": 0}),
        );
        assert_eq!(rig.post(&body).await.status, 200);
        let sent = rig.server.chat_requests().pop().unwrap().body;
        let format = &sent["response_format"]["json_schema"];
        assert_eq!((&format["strict"], &format["schema"]), (&json!(strict), &schema));
        assert!(!format["name"].as_str().unwrap().contains(' '), "{format}");
        let told = sent["tools"][0]["function"]["strict"].as_bool();
        assert_eq!(told, strict.then_some(true));
        assert!(sent.get("top_logprobs").is_none(), "{sent}");
    }
}

#[actix_web::test]
async fn marks_of_caches_and_long_ids_are_left_out_where_a_server_refuses_them() {
    let rig = rig(json!({})).await;
    let (id, mark) = ("call_".to_owned() + &"x".repeat(60), json!({"type": "ephemeral"}));
    let body = json!({"model": MODEL, "max_tokens": 9, "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": mark}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "1"}]}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": mark}]});
    rig.server.script(refusal(
        "Unknown parameter: 'tools[0].cache_control'.",
        Some("tools[0].cache_control"),
    ));
    rig.server.script(refusal("Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got a string with length 65 instead.", None));
    let answered = rig.host.post("/v1/messages", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let asked = rig.server.chat_requests();
    assert_eq!(asked.len(), 3);
    assert!(asked[0].body.to_string().contains("cache_control"));
    let sent = &asked[2].body;
    assert!(!sent.to_string().contains("cache_control"), "{sent}");
    let sent_id = sent["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!((sent_id.len(), &sent["messages"][2]["tool_call_id"]), (40, &json!(sent_id)));
}
