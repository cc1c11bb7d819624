//! Chats of clients that mix the shapes of several APIs.

use super::{CLAUDE, with_fields};
use crate::{
    bedrock::{emulator, host, sent_bodies},
    openai_proxy,
    support::TestHost,
};
use bedrock_emulator::Emulator;
use serde_json::{Value, json};

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/// A host before Bedrock and before an OpenAI-compatible server.
struct Rig {
    emulator: Emulator,
    bedrock: TestHost,
    server: openai_proxy::server::Server,
    proxy: TestHost,
}

impl Rig {
    async fn start() -> Self {
        let emulator = emulator();
        let bedrock = host(&emulator).await;
        let (server, proxy) = openai_proxy::server_and_host().await;
        Self { emulator, bedrock, server, proxy }
    }

    /// Returns what Bedrock and the server get for a chat with these fields.
    async fn send_to_both(&self, fields: &Value) -> (Value, Value) {
        let chat = |model: &str| {
            let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
            with_fields(body, fields.clone())
        };
        for (host, model) in [(&self.bedrock, CLAUDE), (&self.proxy, "openai_proxy.m")] {
            let answered = host.post("/chat/completions", &chat(model)).await;
            assert_eq!(answered.status, 200, "{fields}: {}", answered.text);
        }
        (
            sent_bodies(&self.emulator).pop().unwrap(),
            self.server.chat_requests().pop().unwrap().body,
        )
    }
}

fn look() -> Value {
    json!({"type": "object", "properties": {"at": {"type": "string"}}})
}

#[actix_web::test]
async fn a_schema_is_found_under_each_of_its_names() {
    let rig = Rig::start().await;
    let tool = |name: &str| with_fields(json!({"name": "look"}), json!({name: look()}));
    for name in ["parameters", "input_schema", "inputSchema"] {
        for offered in [json!({"type": "function", "function": tool(name)}), tool(name)] {
            let (bedrock, server) = rig.send_to_both(&json!({"tools": [offered]})).await;
            let spec = &bedrock["toolConfig"]["tools"][0]["toolSpec"];
            assert_eq!(spec["inputSchema"]["json"], look(), "{offered}");
            assert_eq!(server["tools"][0]["function"]["parameters"], look(), "{offered}");
        }
    }
}

#[actix_web::test]
async fn a_choice_of_a_tool_is_understood_in_each_shape() {
    let rig = Rig::start().await;
    let tools = json!([{"type": "function", "function": {"name": "look", "parameters": look()}}, {"type": "custom", "custom": {"name": "patch"}}]);
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    for (choice, name) in [
        (named("look"), "look"),
        (json!({"type": "function", "name": "look"}), "look"),
        (json!({"function": {"name": "look"}}), "look"),
        (json!({"type": "tool", "name": "look"}), "look"),
        (json!({"type": "custom", "custom": {"name": "patch"}}), "patch"),
        (json!({"type": "custom", "name": "patch"}), "patch"),
    ] {
        let (bedrock, server) =
            rig.send_to_both(&json!({"tools": tools, "tool_choice": choice})).await;
        assert_eq!(bedrock["toolConfig"]["toolChoice"], json!({"tool": {"name": name}}));
        assert_eq!(server["tool_choice"], named(name), "{choice}");
    }
    for choice in [json!(""), json!({})] {
        let (bedrock, server) =
            rig.send_to_both(&json!({"tools": tools, "tool_choice": choice})).await;
        assert!(bedrock["toolConfig"].get("toolChoice").is_none(), "{bedrock}");
        assert!(server.get("tool_choice").is_none(), "{server}");
    }
    for entries in [
        json!([{"type": "custom", "custom": {"name": "patch"}}]),
        json!([{"type": "custom", "name": "patch"}]),
    ] {
        for choice in [
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": entries}}),
            json!({"type": "allowed_tools", "mode": "required", "tools": entries}),
        ] {
            let (bedrock, server) =
                rig.send_to_both(&json!({"tools": tools, "tool_choice": choice})).await;
            let specs = bedrock["toolConfig"]["tools"].as_array().unwrap();
            let names: Vec<_> =
                specs.iter().filter_map(|tool| tool["toolSpec"]["name"].as_str()).collect();
            assert_eq!(names, ["patch"], "{choice}");
            assert_eq!(bedrock["toolConfig"]["toolChoice"], json!({"any": {}}));
            assert_eq!(server["tools"].as_array().unwrap().len(), 1, "{server}");
            assert_eq!(server["tool_choice"], "required");
        }
    }
}

#[actix_web::test]
async fn stop_sequences_are_those_of_either_api() {
    let rig = Rig::start().await;
    for (fields, stops) in [
        (json!({"stop_sequences": ["END"]}), json!(["END"])),
        (json!({"stop_sequences": "END"}), json!(["END"])),
        (json!({"stop": ["A"], "stop_sequences": ["END"]}), json!(["A"])),
    ] {
        let (bedrock, server) = rig.send_to_both(&fields).await;
        assert_eq!(bedrock["inferenceConfig"]["stopSequences"], stops, "{fields}");
        assert_eq!(server["stop"], stops, "{fields}");
        assert!(server.get("stop_sequences").is_none(), "{server}");
    }
}

#[actix_web::test]
async fn a_tool_without_a_name_is_left_out_with_a_note() {
    let rig = Rig::start().await;
    let offered = json!([{"googleSearch": {}}, {"type": "function", "function": {"name": "look", "parameters": look()}}]);
    let (bedrock, server) = rig.send_to_both(&json!({"tools": offered})).await;
    assert_eq!(bedrock["toolConfig"]["tools"][0]["toolSpec"]["name"], "look");
    assert_eq!(server["tools"].as_array().unwrap().len(), 1, "{server}");
    let body =
        json!({"model": CLAUDE, "messages": [{"role": "user", "content": "hi"}], "tools": offered});
    let answered = rig.bedrock.post("/chat/completions", &body).await;
    assert!(answered.header("x-pipewright-notes").contains("googleSearch"), "{}", answered.text);
}

/// A request in the form of the Responses API, as Cursor sends it to the path of chats.
fn cursor(model: &str) -> Value {
    json!({"model": model, "instructions": "Be kind.", "store": false, "include": ["reasoning.encrypted_content"],
    "text": {"verbosity": "low"}, "stream_options": {"include_usage": true}, "tool_choice": "auto",
    "tools": [
        {"type": "function", "name": "look", "parameters": look()},
        {"name": "see", "input_schema": look()},
        {"type": "function", "function": {"name": "hear", "parameters": look()}},
        {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
    ],
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": {"at": "x"}},
        {"type": "function_call_output", "call_id": "c1", "output": "seen"},
    ]})
}

#[actix_web::test]
async fn a_request_in_the_form_of_responses_is_answered_with_a_completion() {
    let rig = Rig::start().await;
    for (host, model) in [(&rig.bedrock, CLAUDE), (&rig.proxy, "openai_proxy.m")] {
        for (messages, streamed) in [(None, false), (Some(json!([])), false), (None, true)] {
            let mut body = with_fields(cursor(model), json!({"stream": streamed}));
            if let Some(messages) = messages {
                body["messages"] = messages;
            }
            let answered = host.post("/chat/completions", &body).await;
            assert_eq!(answered.status, 200, "{}", answered.text);
            if streamed {
                let chunks = super::events(&answered.text);
                assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
                // The other server tells no usage.
                let usage = &chunks.last().unwrap()["usage"];
                assert_eq!(usage["prompt_tokens"].is_u64(), model == CLAUDE, "{}", answered.text);
            } else {
                assert_eq!(answered.json["object"], "chat.completion", "{}", answered.text);
            }
        }
    }
    let server = rig.server.chat_requests().pop().unwrap().body;
    let names: Vec<_> = server["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| (&tool["function"]["name"], &tool["function"]["parameters"]["properties"]))
        .collect();
    for (place, name) in ["look", "see", "hear"].iter().enumerate() {
        assert_eq!(names[place], (&json!(name), &look()["properties"]));
    }
    assert_eq!(names[3].0, "patch");
    let bedrock = sent_bodies(&rig.emulator).pop().unwrap();
    assert_eq!(bedrock["system"][0]["text"], "Be kind.");
    assert_eq!(bedrock["messages"][1]["content"][0]["toolUse"]["input"], json!({"at": "x"}));
    let result = &bedrock["messages"][2]["content"][0]["toolResult"];
    assert_eq!(result["content"][0]["text"], "seen", "{bedrock}");
}

#[actix_web::test]
async fn what_is_wrong_in_such_a_request_is_told_of_its_own_fields() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for (body, field) in [
        (json!({"model": CLAUDE}), "messages"),
        (
            json!({"model": CLAUDE, "input": [{"type": "function_call", "name": "f"}]}),
            "input[0].call_id",
        ),
        (json!({"model": CLAUDE, "input": "hi", "temperature": "hot"}), "temperature"),
        (json!({"model": CLAUDE, "input": "hi", "messages": "hi"}), "messages"),
    ] {
        let refused = host.post("/chat/completions", &body).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(refused.json["error"]["param"], field, "{}", refused.text);
    }
}

#[actix_web::test]
async fn calls_without_arguments_stop_no_session() {
    let rig = Rig::start().await;
    for (path, body) in [
        (
            "/responses",
            json!({"input": [{"role": "user", "content": "hi"}, {"type": "function_call", "call_id": "c", "name": "look"}, {"type": "function_call_output", "call_id": "c", "output": "1"}]}),
        ),
        (
            "/v1/messages",
            json!({"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "look", "input": null}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "1"}]}]}),
        ),
    ] {
        for (host, model) in [(&rig.bedrock, CLAUDE), (&rig.proxy, "openai_proxy.m")] {
            let answered =
                host.post(path, &with_fields(json!({"model": model}), body.clone())).await;
            assert_eq!(answered.status, 200, "{path} {model}: {}", answered.text);
        }
        let bedrock = sent_bodies(&rig.emulator).pop().unwrap();
        assert_eq!(bedrock["messages"][1]["content"][0]["toolUse"]["input"], json!({}));
        let server = rig.server.chat_requests().pop().unwrap().body;
        assert_eq!(server["messages"][1]["tool_calls"][0]["function"]["arguments"], "{}");
    }
}

#[actix_web::test]
async fn a_tool_that_shows_a_picture_stops_no_session_with_a_model_that_sees_none() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let model = "bedrock_models.us.meta.llama3-3-70b-instruct-v1:0";
    let source = json!({"type": "base64", "media_type": "image/png", "data": PNG});
    let shown = json!([{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "a.png"}, {"type": "image", "source": source}]}]);
    let used = json!([{"type": "tool_use", "id": "c", "name": "look", "input": {}}]);
    let messages = |last: Value| json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": used}, {"role": "user", "content": last}]);
    let body = |last: Value| json!({"model": model, "max_tokens": 9, "messages": messages(last), "tools": [{"name": "look", "input_schema": look()}]});
    let answered = host.post("/v1/messages", &body(shown.clone())).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let sent = sent_bodies(&emulator).pop().unwrap();
    let result = &sent["messages"][2]["content"][0]["toolResult"]["content"];
    assert_eq!(result[0]["text"], "a.png");
    assert!(result[1]["text"].as_str().unwrap().contains("left out"), "{sent}");
    // What a person sends is theirs to leave out.
    let mut own = shown;
    own.as_array_mut().unwrap().push(json!({"type": "image", "source": source}));
    let refused = host.post("/v1/messages", &body(own)).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
}
