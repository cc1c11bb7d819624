//! Values that cannot be so: each ends in a refusal that names its field, in every face.

use crate::support::{TestHost, TestResponse, host};
use reqwest::Method;
use serde_json::{Value, json};

/// A request with these fields in place of its own.
fn with_fields(mut body: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Posts this, which must be refused with a message that begins with the field and then says the
/// rule.
async fn assert_refused(
    host: &TestHost,
    path: &str,
    body: &Value,
    field: &str,
    rule: &str,
) -> TestResponse {
    let answered = host.post(path, body).await;
    assert_eq!(answered.status, 400, "{body}: {}", answered.text);
    let message = answered.json["error"]["message"].as_str().unwrap();
    let words =
        message.strip_prefix(&format!("{field}: ")).unwrap_or_else(|| panic!("{body}: {message}"));
    assert!(words.contains(rule), "{body}: {message}");
    answered
}

/// Posts the body with each row's fields to a face of OpenAI's, where `param` is the field.
async fn assert_all_refused(path: &str, body: &Value, rows: &[(Value, &str, &str)]) {
    let host = host().await;
    for (fields, field, rule) in rows {
        let answered =
            assert_refused(&host, path, &with_fields(body.clone(), fields), field, rule).await;
        assert_eq!(answered.json["error"]["param"], *field, "{fields}");
    }
}

fn chat_with_message(message: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": "hi"}, message]})
}

fn chat_with_part(part: &Value) -> Value {
    chat_with_message(&json!({"role": "user", "content": [{"type": "text", "text": "hi"}, part]}))
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

#[actix_web::test]
async fn in_chats() {
    let call = |function: Value| {
        chat_with_message(
            &json!({"role": "assistant", "tool_calls": [{"id": "t", "type": "function", "function": function}]}),
        )
    };
    let chat = json!({"model": "typed", "messages": [{"role": "user", "content": "hi"}]});
    let rows = [
        (json!({"model": null}), "model", "is missing"),
        (json!({"model": 5}), "model", "must be a text"),
        (json!({"messages": {"role": "user"}}), "messages", "must be a list of messages"),
        (json!({"messages": [["user", "hi"]]}), "messages[0]", "must be an object"),
        (json!({"messages": [null]}), "messages[0]", "must be an object"),
        (json!({"messages": [{"content": "hi"}]}), "messages[0].role", "is missing"),
        (
            chat_with_message(&json!({"role": "user", "content": {"a": 1}})),
            "messages[1].content",
            "must be a text or a list of parts",
        ),
        (
            chat_with_message(&json!({"role": "user", "content": "a", "name": 5})),
            "messages[1].name",
            "must be a text",
        ),
        (
            chat_with_message(&json!({"role": "tool", "content": "a", "tool_call_id": 5})),
            "messages[1].tool_call_id",
            "must be a text",
        ),
        (chat_with_part(&json!({"type": 5})), "messages[1].content[1].type", "must be a text"),
        (chat_with_part(&json!(["text", "hi"])), "messages[1].content[1]", "must be an object"),
        (
            chat_with_part(&json!({"type": "text", "text": 5})),
            "messages[1].content[1].text",
            "must be a text",
        ),
        (
            chat_with_part(&json!({"type": "image_url"})),
            "messages[1].content[1].image_url",
            "is missing",
        ),
        (
            chat_with_part(&json!({"type": "image_url", "image_url": {"url": 5}})),
            "messages[1].content[1].image_url.url",
            "must be a text",
        ),
        (
            chat_with_part(&json!({"type": "image_url", "image_url": {}})),
            "messages[1].content[1].image_url.url",
            "is missing",
        ),
        (
            chat_with_part(&json!({"type": "file", "file": []})),
            "messages[1].content[1].file",
            "must be an object",
        ),
        (
            chat_with_part(&json!({"type": "input_audio", "input_audio": {"data": 5}})),
            "messages[1].content[1].input_audio.data",
            "must be a text",
        ),
        (
            chat_with_part(&json!({"type": "text", "text": "a", "cache_control": 5})),
            "messages[1].content[1].cache_control",
            "must be an object",
        ),
        (
            chat_with_message(&json!({"role": "assistant", "tool_calls": [["t"]]})),
            "messages[1].tool_calls[0]",
            "must be an object",
        ),
        (
            chat_with_message(&json!({"role": "assistant", "tool_calls": [{"id": "t"}]})),
            "messages[1].tool_calls[0].function",
            "is missing",
        ),
        (call(json!({"arguments": "{}"})), "messages[1].tool_calls[0].function.name", "is missing"),
        (
            call(json!({"name": "f", "arguments": 5})),
            "messages[1].tool_calls[0].function.arguments",
            "must be a text or an object",
        ),
        (json!({"stream": "true"}), "stream", "must be true or false"),
        (json!({"stream_options": []}), "stream_options", "must be an object"),
        (
            json!({"stream_options": {"include_usage": 1}}),
            "stream_options.include_usage",
            "must be true or false",
        ),
        (json!({"temperature": -1}), "temperature", "must be a number from 0 to 2"),
        (
            json!({"temperature": 18_446_744_073_709_551_616_f64}),
            "temperature",
            "must be a number from 0 to 2",
        ),
        (json!({"temperature": []}), "temperature", "must be a number from 0 to 2"),
        (json!({"top_p": 1.5}), "top_p", "must be a number from 0 to 1"),
        (
            json!({"frequency_penalty": "much"}),
            "frequency_penalty",
            "must be a number from -2 to 2",
        ),
        (json!({"max_tokens": ""}), "max_tokens", "must be a whole number, 0 or more"),
        (json!({"max_tokens": -1}), "max_tokens", "must be a whole number, 0 or more"),
        (
            json!({"max_completion_tokens": 1.5}),
            "max_completion_tokens",
            "must be a whole number, 0 or more",
        ),
        (json!({"n": []}), "n", "must be a number"),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}),
            "response_format.json_schema.schema",
            "is missing",
        ),
        (json!({"n": 9}), "n", "must be a whole number from 1 to 8"),
        (json!({"seed": []}), "seed", "must be a whole number"),
        (json!({"stop": {"a": 1}}), "stop", "must be a text or a list of texts"),
        (json!({"stop": ["a", 5]}), "stop[1]", "must be a text"),
        (json!({"tools": 5}), "tools", "must be a list of tools"),
        (json!({"tools": [[]]}), "tools[0]", "must be an object"),
        (json!({"tools": [{"type": 5}]}), "tools[0].type", "must be a text"),
        (
            json!({"tools": [{"type": "function", "function": []}]}),
            "tools[0].function",
            "must be an object",
        ),
        (
            json!({"tools": [{"type": "function", "function": {}}]}),
            "tools[0].function.name",
            "is missing",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]}),
            "tools[0].function.parameters",
            "must be an object",
        ),
        (json!({"tool_choice": []}), "tool_choice", "must be a text or an object"),
        (
            json!({"tool_choice": "some"}),
            "tool_choice",
            "must be `none`, `auto`, `required`, or an object",
        ),
        (json!({"tool_choice": "required"}), "tool_choice", "no `tools`"),
        (
            json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": []}}}),
            "tool_choice",
            "no `tools`",
        ),
        (json!({"tool_choice": tool("f")}), "tool_choice.function.name", "not in `tools`"),
        (
            json!({"tools": [tool("f")], "tool_choice": tool("g")}),
            "tool_choice.function.name",
            "not in `tools`",
        ),
        (
            json!({"tools": [tool("f")], "tool_choice": {"type": "function"}}),
            "tool_choice.name",
            "name the tool",
        ),
        (
            json!({"tools": [tool("f")], "tool_choice": {"type": "function", "name": "g"}}),
            "tool_choice.name",
            "not in `tools`",
        ),
        (json!({"functions": 5}), "functions", "must be a list of functions"),
        (json!({"function_call": {"name": "f"}}), "function_call.name", "not in `tools`"),
        (json!({"parallel_tool_calls": "x"}), "parallel_tool_calls", "must be true or false"),
        (json!({"response_format": "json"}), "response_format", "must be an object"),
        (
            json!({"response_format": {"type": "yaml"}}),
            "response_format.type",
            "must be `text` or `json_object` or `json_schema`",
        ),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "response_format.json_schema",
            "is missing",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": 5}}}),
            "response_format.json_schema.schema",
            "must be an object",
        ),
        (json!({"reasoning": 5}), "reasoning", "must be an object"),
        (json!({"reasoning_effort": []}), "reasoning_effort", "must be a text or a whole number"),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": "many"}}),
            "thinking.budget_tokens",
            "must be a whole number",
        ),
        (json!({"metadata": 5}), "metadata", "must be an object"),
        (json!({"metadata": [null]}), "metadata", "must be an object"),
        (json!({"logit_bias": {"5": "x"}}), "logit_bias.5", "must be a number from -100 to 100"),
        (json!({"user": 5}), "user", "must be a text or an object"),
        (json!({"service_tier": 5}), "service_tier", "must be a text or an object"),
    ];
    assert_all_refused("/chat/completions", &chat, &rows).await;
}

#[actix_web::test]
async fn in_responses() {
    let item = |item: Value| json!({"input": [{"role": "user", "content": "hi"}, item]});
    let rows = [
        (json!({"model": null}), "model", "is missing"),
        (json!({"input": null}), "input", "is missing"),
        (json!({"input": {"role": "user"}}), "input", "must be a text or a list of items"),
        (item(json!(["user", "hi"])), "input[1]", "must be an object"),
        (item(json!({"type": 5})), "input[1].type", "must be a text"),
        (
            item(json!({"role": "user", "content": [["text"]]})),
            "input[1].content[0]",
            "must be an object",
        ),
        (
            item(json!({"role": "user", "content": [{"type": "input_text"}]})),
            "input[1].content[0].text",
            "is missing",
        ),
        (
            item(json!({"role": "user", "content": [{"type": "input_image", "image_url": 5}]})),
            "input[1].content[0].image_url",
            "must be a text",
        ),
        (
            item(json!({"type": "function_call", "call_id": "t", "name": "f", "arguments": 5})),
            "input[1].arguments",
            "must be a text",
        ),
        (
            item(json!({"type": "function_call_output", "call_id": "t"})),
            "input[1].output",
            "is missing",
        ),
        (
            item(json!({"type": "reasoning", "summary": 5})),
            "input[1].summary",
            "must be a list of parts",
        ),
        (json!({"instructions": 5}), "instructions", "must be a text"),
        (json!({"stream": "x"}), "stream", "must be true or false"),
        (json!({"temperature": 3}), "temperature", "must be a number from 0 to 2"),
        (json!({"max_output_tokens": ""}), "max_output_tokens", "must be a whole number"),
        (json!({"tools": [[]]}), "tools[0]", "must be an object"),
        (
            json!({"tools": [{"type": "function", "name": "f", "parameters": []}]}),
            "tools[0].parameters",
            "must be an object",
        ),
        (json!({"tool_choice": "required"}), "tool_choice", "no `tools`"),
        (
            json!({"tool_choice": {"type": "function", "name": "f"}}),
            "tool_choice.name",
            "not in `tools`",
        ),
        (json!({"parallel_tool_calls": "x"}), "parallel_tool_calls", "must be true or false"),
        (json!({"text": "json"}), "text", "must be an object"),
        (json!({"text": {"format": 5}}), "text.format", "must be an object"),
        (json!({"text": {"format": "json"}}), "text.format", "must be an object"),
        (json!({"text": {"format": {"type": "json_schema"}}}), "text.format.schema", "is missing"),
        (json!({"reasoning": []}), "reasoning", "must be an object"),
        (json!({"reasoning": {"summary": 5}}), "reasoning.summary", "must be a text"),
        (json!({"include": "reasoning.encrypted_content"}), "include", "must be a list of texts"),
        (json!({"metadata": 5}), "metadata", "must be an object"),
        (json!({"background": "x"}), "background", "must be true or false"),
        (json!({"store": "x"}), "store", "must be true or false"),
        (json!({"truncation": "some"}), "truncation", "must be `auto` or `disabled`"),
    ];
    assert_all_refused("/responses", &json!({"model": "typed", "input": "hi"}), &rows).await;
}

#[actix_web::test]
async fn in_messages() {
    let says = |block: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, block]}]});
    let calls = |input: Value| {
        let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": input});
        json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [call]}]})
    };
    let source = |kind: &str, source: Value| says(json!({"type": kind, "source": source}));
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let rows = [
        (json!({"model": null}), "model", "is missing"),
        (json!({"messages": [["user", "hi"]]}), "messages[0]", "must be an object"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content", "is missing"),
        (
            json!({"system": {"type": "text", "text": "a"}}),
            "system",
            "must be a text or a list of blocks",
        ),
        (says(json!(["text", "hi"])), "messages[0].content[1]", "must be an object"),
        (says(json!({"text": "hi"})), "messages[0].content[1].type", "is missing"),
        (says(json!({"type": "text"})), "messages[0].content[1].text", "is missing"),
        (
            says(json!({"type": "text", "text": "hi", "cache_control": 5})),
            "messages[0].content[1].cache_control",
            "must be an object",
        ),
        (
            says(json!({"type": "text", "text": "hi", "cache_control": {"type": "forever"}})),
            "messages[0].content[1].cache_control.type",
            "must be `ephemeral`",
        ),
        (
            says(json!({"type": "tool_result", "content": "a"})),
            "messages[0].content[1].tool_use_id",
            "is missing",
        ),
        (says(json!({"type": "document"})), "messages[0].content[1].source", "is missing"),
        (
            says(json!({"type": "search_result", "source": "https://a", "content": []})),
            "messages[0].content[1].title",
            "is missing",
        ),
        (
            source("document", json!({"type": "content", "content": []})),
            "messages[0].content[1].source.content",
            "must not be empty",
        ),
        (json!({"messages": [{"role": "user", "content": []}]}), "messages[0].content", "empty"),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 5}}),
            "thinking.budget_tokens",
            "must be a whole number, 1024 or more",
        ),
        (
            says(
                json!({"type": "document", "citations": 5, "source": {"type": "url", "url": "x"}}),
            ),
            "messages[0].content[1].citations",
            "must be an object or a list",
        ),
        (
            says(
                json!({"type": "document", "citations": [], "source": {"type": "url", "url": "x"}}),
            ),
            "messages[0].content[1].citations",
            "must be an object",
        ),
        (
            source("document", json!({"type": "scroll", "media_type": "text/plain", "data": "a"})),
            "messages[0].content[1].source.type",
            "must be `base64` or `text` or `url` or `content`",
        ),
        (
            source("document", json!({"type": "text", "media_type": "text/scroll", "data": "a"})),
            "messages[0].content[1].source.media_type",
            "must be `text/plain`",
        ),
        (
            source("document", json!({"type": "base64", "media_type": "pdf", "data": "AAAA"})),
            "messages[0].content[1].source.media_type",
            "must be a media type",
        ),
        (
            source("image", json!(["base64"])),
            "messages[0].content[1].source",
            "must be a text or an object",
        ),
        (
            source("image", json!({"type": "text", "media_type": "text/plain", "data": "a"})),
            "messages[0].content[1].source.type",
            "must be `base64` or `url`",
        ),
        (
            source("image", json!({"type": "base64", "media_type": "image/tiff", "data": "AAAA"})),
            "messages[0].content[1].source.media_type",
            "must be one of image/jpeg",
        ),
        (
            source("image", json!({"type": "base64", "media_type": "image/png", "data": 5})),
            "messages[0].content[1].source.data",
            "must be a text",
        ),
        (
            source("image", json!({"type": "base64", "media_type": "image/png", "data": ""})),
            "messages[0].content[1].source.data",
            "must not be empty",
        ),
        (
            source("image", json!({"type": "base64", "media_type": "image/png", "data": "?!"})),
            "messages[0].content[1].source.data",
            "must be base64",
        ),
        (
            source("image", json!({"type": "url"})),
            "messages[0].content[1].source.url",
            "is missing",
        ),
        (calls(json!("a")), "messages[1].content[0].input", "must be an object"),
        (calls(json!([1])), "messages[1].content[0].input", "must be an object"),
        (json!({"tools": [["f"]]}), "tools[0]", "must be an object"),
        (json!({"tools": [{"name": "f"}]}), "tools[0].input_schema", "is missing"),
        (
            json!({"tools": [{"name": "f", "input_schema": 5}]}),
            "tools[0].input_schema",
            "must be an object",
        ),
        (json!({"tool_choice": {"type": "any"}}), "tool_choice", "no `tools`"),
        (json!({"tool_choice": {"type": "tool"}}), "tool_choice.name", "is missing"),
        (
            json!({"tool_choice": {"type": "tool", "name": "f"}}),
            "tool_choice.name",
            "not in `tools`",
        ),
        (
            json!({"tools": tools, "tool_choice": {"type": "tool", "name": "g"}}),
            "tool_choice.name",
            "not in `tools`",
        ),
        (json!({"tool_choice": "auto"}), "tool_choice", "must be an object"),
        (json!({"thinking": "zzz"}), "thinking", "must be an object"),
        (
            json!({"thinking": {"type": "zzz"}}),
            "thinking.type",
            "must be `enabled` or `disabled` or `adaptive`",
        ),
        (json!({"thinking": {"type": "enabled"}}), "thinking.budget_tokens", "is missing"),
        (json!({"output_config": {"effort": 5}}), "output_config.effort", "must be `low` or"),
        (
            json!({"output_config": {"format": {"type": "json_schema"}}}),
            "output_config.format.schema",
            "is missing",
        ),
        (json!({"metadata": [null]}), "metadata", "must be an object"),
        (json!({"metadata": {"user_id": 5}}), "metadata.user_id", "must be a text"),
        (json!({"temperature": 1.5}), "temperature", "must be a number from 0 to 1"),
        (json!({"top_k": -1}), "top_k", "must be a whole number"),
        (json!({"stop_sequences": "END"}), "stop_sequences", "must be a list of texts"),
        (json!({"stream": "x"}), "stream", "must be true or false"),
        (json!({"service_tier": 5}), "service_tier", "must be a text"),
        (json!({"mcp_servers": 5}), "mcp_servers", "must be a list"),
    ];
    let host = host().await;
    let asked =
        json!({"model": "typed", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    for path in ["/messages", "/messages/count_tokens"] {
        for (fields, field, rule) in &rows {
            assert_refused(&host, path, &with_fields(asked.clone(), fields), field, rule).await;
        }
    }
}

#[actix_web::test]
async fn in_embeddings_rerankings_and_pictures() {
    let rows = [
        (json!({"model": null}), "model", "is missing"),
        (json!({"input": {"a": 1}}), "input", "must be a text, a list of texts, or tokens"),
        (json!({"input": ["a", null]}), "input[1]", "must be a text or a list of tokens"),
        (json!({"dimensions": 0}), "dimensions", "must be a whole number, 1 or more"),
        (json!({"encoding_format": 5}), "encoding_format", "must be a text"),
        (json!({"user": []}), "user", "must be a text or an object"),
    ];
    assert_all_refused("/embeddings", &json!({"model": "typed", "input": "hi"}), &rows).await;
    let rows = [
        (json!({"model": null}), "model", "is missing"),
        (json!({"documents": "a"}), "documents", "must be a list of documents"),
        (json!({"documents": ["a", ["b"]]}), "documents[1]", "must be a text or an object"),
        (json!({"documents": [{"title": "a"}]}), "documents[0].text", "is missing"),
        (json!({"top_n": 0}), "top_n", "must be a whole number, 1 or more"),
        (json!({"return_documents": "x"}), "return_documents", "must be true or false"),
        (json!({"rank_fields": 5}), "rank_fields", "must be a list of texts"),
    ];
    let asked = json!({"model": "typed", "query": "a", "documents": ["a"]});
    assert_all_refused("/rerank", &asked, &rows).await;
    let rows = [
        (json!({"model": null}), "model", "is missing"),
        (json!({"prompt": ["a"]}), "prompt", "must be a text"),
        (json!({"stream": "x"}), "stream", "must be true or false"),
        (json!({"n": []}), "n", "must be a whole number from 1 to 10"),
        (json!({"response_format": {}}), "response_format", "must be a text"),
        (json!({"moderation": 5}), "moderation", "must be `auto` or `low`"),
    ];
    assert_all_refused("/images/generations", &json!({"model": "typed", "prompt": "a fox"}), &rows)
        .await;
}

#[actix_web::test]
async fn nulls_numbers_as_text_and_what_nobody_knows_are_taken() {
    let host = host().await;
    let chat =
        json!({"model": "typed", "messages": [{"role": "user", "content": "hi", "name": null}]});
    for fields in [
        json!({"temperature": null, "stop": null, "tools": null, "tool_choice": null, "metadata": null, "stream_options": null}),
        json!({"temperature": "0.5", "max_tokens": "7", "top_p": 1, "seed": -7, "n": "1", "top_k": "40"}),
        json!({"tools": [tool("f")], "tool_choice": tool("f"), "parallel_tool_calls": false}),
        json!({"tool_choice": "auto"}),
        json!({"tools": [], "tool_choice": "none"}),
        json!({"chat_id": 5, "features": {"web_search": true}, "files": [{"id": "f"}], "my_own": [[1]]}),
    ] {
        let answered = host.post("/chat/completions", &with_fields(chat.clone(), &fields)).await;
        assert_eq!(answered.status, 200, "{fields}: {}", answered.text);
    }
}

/// A schema that is nested this deep.
fn schema(depth: usize) -> String {
    format!(
        r#"{}{{"type": "string"}}{}"#,
        r#"{"type": "array", "items": "#.repeat(depth - 1),
        "}".repeat(depth - 1)
    )
}

#[actix_web::test]
async fn a_schema_that_is_nested_too_deep_is_cut() {
    let emulator = crate::bedrock::emulator();
    let host = crate::bedrock::host(&emulator).await;
    let claude = "bedrock_models.us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let faces = [
        (
            "/chat/completions",
            r#""messages": [{"role": "user", "content": "hi"}], "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]"#,
        ),
        (
            "/responses",
            r#""input": "hi", "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]"#,
        ),
        (
            "/messages",
            r#""max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "f", "input_schema": SCHEMA}]"#,
        ),
    ];
    for (path, fields) in faces {
        for depth in [101, 113, 126] {
            let fields = fields.replace("SCHEMA", &schema(depth));
            let request =
                host.request(Method::POST, path).header("content-type", "application/json");
            let request = request.body(format!(r#"{{"model": "{claude}", {fields}}}"#));
            let answered = TestResponse::read(request.send().await.unwrap()).await;
            assert_eq!(answered.status, 200, "{path} {depth}: {}", answered.text);
        }
    }
}

#[actix_web::test]
async fn a_number_that_nothing_can_hold_hides_nothing_behind_it() {
    let host = crate::support::host().await;
    for (path, fields) in [
        ("/messages", r#""max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]"#),
        ("/chat/completions", r#""messages": [{"role": "user", "content": "hi"}]"#),
        ("/responses", r#""input": "hi""#),
    ] {
        let body = format!(r#"{{"metadata": 1e400, "model": "m", {fields}, "temperature": 55}}"#);
        let request = host.request(Method::POST, path).header("content-type", "application/json");
        let answered = TestResponse::read(request.body(body).send().await.unwrap()).await;
        assert_eq!(answered.status, 400, "{path}: {}", answered.text);
        assert!(answered.text.contains("metadata: the number is too large"), "{}", answered.text);
    }
}
