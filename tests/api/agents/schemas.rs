//! Tools whose schemas a model does not accept as they come, and limits that a refusal names.

use super::{CLAUDE, NOVA, events, script_call, with_fields};
use crate::{
    bedrock::{emulator, host, sent_bodies},
    support,
};
use bedrock_emulator::{ANY, BedrockException, ModelAnswer, Script};
use serde_json::{Value, json};

fn function(name: &str, parameters: &Value) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": parameters}})
}

#[actix_web::test]
async fn properties_of_any_name_and_lists_reach_claude_and_calls_come_back_as_they_were_offered() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let filter = json!({"type": "object", "required": ["$filter"], "properties": {"$filter": {"type": "string"}, "top": {"type": "integer"}}});
    let tools = json!([
        function("query", &filter),
        function("tags", &json!({"type": "array", "items": {"type": "string"}})),
    ]);
    let past = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "query", "arguments": "{\"$filter\":\"x\"}"}},
            {"id": "b", "type": "function", "function": {"name": "tags", "arguments": "[\"x\"]"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"}]);
    let body = json!({"model": CLAUDE, "messages": past, "tools": tools});
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
    let answered = host.post("/chat/completions", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let told = sent_bodies(&emulator).pop().unwrap();
    let schema = &told["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"];
    let name = schema["required"][0].as_str().unwrap().to_owned();
    assert!(!name.contains('$') && schema["properties"][&name].is_object(), "{schema}");
    let calls_sent = &told["messages"][1]["content"];
    assert_eq!(calls_sent[0]["toolUse"]["input"][&name], "x");
    assert_eq!(calls_sent[1]["toolUse"]["input"], json!({"value": ["x"]}));

    for (tool, input, arguments) in [
        ("query", json!({name.as_str(): "y", "top": 3}), json!({"$filter": "y", "top": 3})),
        ("tags", json!({"value": ["y"]}), json!(["y"])),
    ] {
        for stream in [false, true] {
            emulator.script(ANY, script_call(tool, &input));
            let asked = with_fields(body.clone(), json!({"stream": stream}));
            let answered = host.post("/chat/completions", &asked).await;
            let given: String = if stream {
                let chunks = events(&answered.text);
                let pieces = chunks.iter().filter_map(|chunk| {
                    chunk.pointer("/choices/0/delta/tool_calls/0/function/arguments")?.as_str()
                });
                pieces.collect()
            } else {
                let call = &answered.json["choices"][0]["message"]["tool_calls"][0];
                call["function"]["arguments"].as_str().unwrap().to_owned()
            };
            assert_eq!(serde_json::from_str::<Value>(&given).unwrap(), arguments, "{stream}");
        }
    }
}

#[actix_web::test]
async fn a_schema_that_is_nested_very_deep_is_cut() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let deep = r#"{"type":"object","properties":{"a":"#.repeat(70) + "{}" + &"}}".repeat(70);
    let deep: Box<serde_json::value::RawValue> = serde_json::from_str(&deep).unwrap();
    for (model, path, tool) in [
        (
            CLAUDE,
            "/chat/completions",
            format!(r#"{{"type":"function","function":{{"name":"f","parameters":{deep}}}}}"#),
        ),
        (
            NOVA,
            "/chat/completions",
            format!(r#"{{"type":"function","function":{{"name":"f","parameters":{deep}}}}}"#),
        ),
        (CLAUDE, "/v1/messages", format!(r#"{{"name":"f","input_schema":{deep}}}"#)),
        (
            CLAUDE,
            "/v1/responses",
            format!(r#"{{"type":"function","name":"f","parameters":{deep}}}"#),
        ),
    ] {
        emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
        let said = match path {
            "/v1/responses" => r#""input":"hi""#,
            _ => r#""max_tokens":99,"messages":[{"role":"user","content":"hi"}]"#,
        };
        let body = format!(r#"{{"model":"{model}",{said},"tools":[{tool}]}}"#);
        let request = host.request(reqwest::Method::POST, path);
        let request = request.header("content-type", "application/json").body(body);
        let answered = support::TestResponse::read(request.send().await.unwrap()).await;
        assert_eq!(answered.status, 200, "{model} {path}: {}", answered.text);
    }
}

#[actix_web::test]
async fn an_answer_is_shortened_to_what_its_input_leaves_of_the_context() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let words = "The model returned the following errors: input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again";
    let body = with_fields(support::chat(CLAUDE, "hi"), json!({"max_tokens": 21333}));
    for expected in [11_760, 21_333] {
        if expected < 21_333 {
            emulator.script(ANY, Script::fault(BedrockException::validation(words)));
        }
        emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
        let answered = host.post("/chat/completions", &body).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let sent = sent_bodies(&emulator).pop().unwrap();
        assert_eq!(sent["inferenceConfig"]["maxTokens"], expected);
    }
}

#[actix_web::test]
async fn parts_of_unknown_types_in_a_chat_become_text() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let parts = json!([{"type": "text", "text": "hi"}, {"type": "hologram", "words": "shimmering"}, {"type": "blob", "number": 7}]);
    let body = json!({"model": NOVA, "messages": [{"role": "system", "content": parts}, {"role": "user", "content": parts}]});
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
    let answered = host.post("/chat/completions", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert!(sent_bodies(&emulator).pop().unwrap()["messages"].to_string().contains("shimmering"));
}
