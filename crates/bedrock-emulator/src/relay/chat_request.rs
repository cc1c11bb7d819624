//! Converts a `Converse` body to an OpenAI chat completion request.

use crate::body::{self, list};
use aws_smithy_types::base64;
use serde_json::{Map, Value, json};

pub(super) fn from_converse(model: &str, body: &Value) -> Value {
    let mut request = json!({
        "model": model,
        "messages": messages(body),
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    let config = &body["inferenceConfig"];
    let tools: Vec<_> =
        list(&body["toolConfig"]["tools"]).iter().filter_map(tool_definition).collect();
    for (name, value) in [
        ("max_tokens", &config["maxTokens"]),
        ("temperature", &config["temperature"]),
        ("top_p", &config["topP"]),
        ("stop", &config["stopSequences"]),
        ("tool_choice", &tool_choice(&body["toolConfig"]["toolChoice"])),
        ("tools", &if tools.is_empty() { Value::Null } else { tools.into() }),
    ] {
        if !value.is_null() {
            request[name] = value.clone();
        }
    }
    request
}

/// Translates the messages of a Converse request into those of a chat.
fn messages(body: &Value) -> Vec<Value> {
    let system: Vec<_> =
        list(&body["system"]).iter().filter_map(|block| block["text"].as_str()).collect();
    let system =
        (!system.is_empty()).then(|| json!({ "role": "system", "content": system.join("\n\n") }));
    system.into_iter().chain(body::messages(body).iter().flat_map(convert_message)).collect()
}

fn convert_message(turn: &Value) -> Vec<Value> {
    let content = list(&turn["content"]);
    if turn["role"] == "assistant" {
        return vec![assistant_message(content)];
    }
    let results = content.iter().filter_map(|block| block.get("toolResult")).map(tool_message);
    let parts: Vec<_> = content.iter().filter_map(content_part).collect();
    let texts = (!parts.is_empty()).then(|| json!({ "role": turn["role"], "content": parts }));
    results.chain(texts).collect()
}

fn assistant_message(content: &[Value]) -> Value {
    let calls: Vec<_> =
        content.iter().filter_map(|block| block.get("toolUse")).map(to_openai_tool_call).collect();
    let mut message = Map::from_iter([
        ("role".to_owned(), json!("assistant")),
        ("content".to_owned(), json!(join_texts(content))),
    ]);
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    message.into()
}

/// Turns a `toolUse` block into a tool call of OpenAI's API.
fn to_openai_tool_call(call: &Value) -> Value {
    let function = json!({ "name": call["name"], "arguments": call["input"].to_string() });
    json!({ "id": call["toolUseId"], "type": "function", "function": function })
}

fn tool_message(result: &Value) -> Value {
    let content = list(&result["content"]);
    let data = content.iter().filter_map(|part| part.get("json")).map(Value::to_string);
    let texts = [join_texts(content)]
        .into_iter()
        .chain(data)
        .filter(|texts| !texts.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    json!({ "role": "tool", "tool_call_id": result["toolUseId"], "content": texts })
}

fn content_part(block: &Value) -> Option<Value> {
    if let Some(text) = block.get("text") {
        return Some(json!({ "type": "text", "text": text }));
    }
    if let Some(image) = block.get("image") {
        let (format, bytes) = (image["format"].as_str()?, image["source"]["bytes"].as_str()?);
        return Some(
            json!({ "type": "image_url", "image_url": { "url": format!("data:image/{format};base64,{bytes}") } }),
        );
    }
    let document = block.get("document")?;
    let bytes = base64::decode(document["source"]["bytes"].as_str()?).ok()?;
    let text =
        String::from_utf8(bytes).unwrap_or_else(|_| "(a document that is not text)".to_owned());
    Some(json!({ "type": "text", "text": format!("{}:\n\n{text}", document["name"].as_str()?) }))
}

fn join_texts(content: &[Value]) -> String {
    content.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
}

fn tool_definition(tool: &Value) -> Option<Value> {
    let spec = tool.get("toolSpec")?;
    let function = json!({ "name": spec["name"], "description": spec["description"], "parameters": spec["inputSchema"]["json"] });
    Some(json!({ "type": "function", "function": function }))
}

fn tool_choice(choice: &Value) -> Value {
    if choice.get("any").is_some() {
        return json!("required");
    }
    choice.get("tool").map_or(
        Value::Null,
        |tool| json!({ "type": "function", "function": { "name": tool["name"] } }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_become_messages_and_tool_results_come_first() {
        let body = json!({
            "system": [{ "text": "Be brief." }],
            "messages": [
                { "role": "user", "content": [{ "text": "See" }, { "image": { "format": "png", "source": { "bytes": "AA==" } } }] },
                { "role": "assistant", "content": [{ "toolUse": { "toolUseId": "t1", "name": "clock", "input": { "zone": "UTC" } } }] },
                { "role": "user", "content": [{ "toolResult": { "toolUseId": "t1", "content": [{ "json": { "hour": 9 } }] } }, { "text": "Well?" }] },
            ],
            "inferenceConfig": { "maxTokens": 9 },
            "toolConfig": { "tools": [{ "toolSpec": { "name": "clock", "inputSchema": { "json": { "type": "object" } } } }], "toolChoice": { "any": {} } },
        });
        let request = from_converse("llama", &body);
        assert_eq!(
            request["messages"],
            json!([
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": [{ "type": "text", "text": "See" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } }] },
                { "role": "assistant", "content": "", "tool_calls": [{ "id": "t1", "type": "function", "function": { "name": "clock", "arguments": "{\"zone\":\"UTC\"}" } }] },
                { "role": "tool", "tool_call_id": "t1", "content": "{\"hour\":9}" },
                { "role": "user", "content": [{ "type": "text", "text": "Well?" }] },
            ])
        );
        assert_eq!(
            (&request["max_tokens"], &request["tool_choice"]),
            (&json!(9), &json!("required"))
        );
        assert!(request.get("temperature").is_none());
    }
}
