//! Answers in JSON, by whichever way the family can be brought to it.

use super::*;

fn schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string", "minLength": 1}, "where": {"type": "object", "properties": {"x": {"type": "integer"}}}}, "required": ["city"]})
}

/// Returns a chat whose answer is to follow this schema.
fn chat_with_schema(schema: Value) -> Value {
    chat_with(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "my place", "description": "A place.", "strict": true, "schema": schema}}}),
    )
}

fn any_json() -> Value {
    chat_with(json!({"response_format": {"type": "json_object"}}))
}

/// Returns the way in which a family is brought to a schema.
fn schema_method(sent: &Value) -> &'static str {
    let format = &sent["outputConfig"]["textFormat"];
    let choice = &sent["toolConfig"]["toolChoice"]["tool"]["name"];
    let told = sent.to_string().contains("that follows this JSON Schema");
    match (format.is_object(), choice == "json_tool_call", told) {
        (true, false, false) => "native",
        (false, true, false) => "tool",
        (false, false, true) => "told",
        _ => "none",
    }
}

#[actix_web::test]
async fn each_family_is_brought_to_a_schema_in_its_way() {
    let rig = rig().await;
    for (model, expected) in [
        (HAIKU_4_5, "native"),
        (SONNET_4_5, "native"),
        ("anthropic.claude-opus-4-5-20251101-v1:0", "native"),
        ("anthropic.claude-sonnet-4-6", "native"),
        ("anthropic.claude-opus-4-6-v1", "native"),
        ("anthropic.claude-mythos-5", "native"),
        ("deepseek.v3.2", "native"),
        ("qwen.qwen3-32b-v1:0", "native"),
        ("qwen.qwen3-vl-235b-a22b", "native"),
        ("mistral.ministral-3-8b-instruct", "native"),
        ("mistral.mistral-large-3-675b-instruct", "native"),
        ("mistral.voxtral-mini-3b-2507", "native"),
        (HAIKU_3, "tool"),
        ("anthropic.claude-opus-4-7", "tool"),
        ("anthropic.claude-opus-5", "tool"),
        (NOVA, "tool"),
        ("openai.gpt-oss-20b-1:0", "tool"),
        ("anthropic.claude-opus-5-5", "told"),
        (LLAMA, "told"),
        ("cohere.command-r-v1:0", "told"),
        (MISTRAL_7B, "told"),
        ("us.deepseek.r1-v1:0", "told"),
    ] {
        assert_eq!(
            schema_method(&rig.sent_body(model, chat_with_schema(schema())).await),
            expected,
            "{model}"
        );
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn claude_is_bound_to_a_schema_whose_objects_are_closed_and_that_it_knows() {
    let rig = rig().await;
    let sent = rig.sent_body(SONNET_4_5, chat_with_schema(schema())).await;
    let format = &sent["outputConfig"]["textFormat"];
    let bound = &format["structure"]["jsonSchema"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(bound["description"], "A place.");
    let name = bound["name"].as_str().unwrap();
    assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "{name}");
    assert_eq!(
        bound["schema"],
        r#"{"type":"object","properties":{"city":{"type":"string"},"where":{"type":"object","properties":{"x":{"type":"integer"}},"additionalProperties":false}},"required":["city"],"additionalProperties":false}"#
    );
    let sent = rig.sent_body("deepseek.v3.2", chat_with_schema(schema())).await;
    let bound = sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"].as_str();
    assert!(bound.unwrap().contains("minLength"));
}

#[actix_web::test]
async fn a_model_that_thinks_is_not_made_to_call_for_its_shape() {
    let rig = rig().await;
    for (model, expected) in [(SONNET_4_5, "native"), (SONNET_3_7, "told"), (OPUS_4_8, "told")] {
        let mut body = chat_with_schema(schema());
        body["reasoning_effort"] = "low".into();
        assert_eq!(schema_method(&rig.sent_body(model, body).await), expected, "{model}");
    }
}

#[actix_web::test]
async fn an_answer_in_a_shape_is_plain_json_in_every_way_streamed_and_not() {
    let rig = rig().await;
    let json = r#"{"city":"Ulm"}"#;
    let parts = [r#"{"city""#, r#":"Ulm"}"#];
    for (model, answer) in [
        (SONNET_4_5, ModelAnswer::with_text(parts)),
        (NOVA, ModelAnswer::new().tool("t", "json_tool_call", parts)),
        (NOVA, ModelAnswer::with_text(["Here it is: "]).tool("t", "json_tool_call", parts)),
        (LLAMA, ModelAnswer::with_text(parts)),
        (LLAMA, ModelAnswer::with_text(["```json\n", parts[0], parts[1], "\n```"])),
        (LLAMA, ModelAnswer::with_text(["``", "`\n", parts[0], parts[1], "\n`", "``\n"])),
    ] {
        rig.script(answer.clone());
        let answered = rig.ask(model, chat_with_schema(schema())).await.json;
        let choice = &answered["choices"][0];
        assert_eq!(choice["message"], json!({"role": "assistant", "content": json}), "{model}");
        assert_eq!(choice["finish_reason"], "stop", "{model}");
        rig.script(answer);
        let chunks = rig.chunks(model, chat_with_schema(schema())).await;
        assert_eq!((&*text_of(&chunks), finish_of(&chunks)), (json, Some("stop")), "{model}");
        let tools = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"]);
        assert!(tools.into_iter().all(Value::is_null), "{model}");
    }
}

#[actix_web::test]
async fn an_answer_in_a_shape_comes_step_by_step() {
    let rig = rig().await;
    rig.script(ModelAnswer::new().tool("t", "json_tool_call", [r#"{"city""#, r#":"Ulm"}"#]));
    let chunks = rig.chunks(NOVA, chat_with_schema(schema())).await;
    let texts = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
    assert!(texts.filter(|text| !text.is_empty()).count() > 1, "{chunks:?}");
}

#[actix_web::test]
async fn a_clients_own_tools_may_be_called_in_place_of_the_answer() {
    let rig = rig().await;
    let mut body = chat_with_schema(schema());
    body["tools"] = json!([tool("weather")]);
    let sent = rig.sent_body(NOVA, body.clone()).await;
    assert_eq!(sent["toolConfig"]["toolChoice"], json!({"any": {}}));
    rig.script(ModelAnswer::new().tool("t", "weather", ["{}"]));
    let answered = rig.ask(NOVA, body).await.json;
    let choice = &answered["choices"][0];
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["name"], "weather");
    assert_eq!(choice["finish_reason"], "tool_calls");
}

#[actix_web::test]
async fn any_json_is_asked_for_in_words_and_a_fence_around_all_of_it_is_taken_away() {
    let rig = rig().await;
    for model in [NOVA, SONNET_4_5, MISTRAL_7B] {
        let sent = rig.sent_body(model, any_json()).await;
        assert!(sent.to_string().contains("one valid JSON object"), "{model}: {sent}");
        assert_eq!(schema_method(&sent), "none", "{model}");
    }
    for (said, told) in [
        ("```json\n{\"a\": 1}\n```", "{\"a\": 1}"),
        ("```\n{}\n```\n", "{}"),
        ("{\"a\": \"```\"}", "{\"a\": \"```\"}"),
        ("See:\n```json\n{}\n```", "See:\n```json\n{}\n```"),
    ] {
        rig.script(ModelAnswer::with_text([said]));
        let answered = rig.ask(NOVA, any_json()).await.json;
        assert_eq!(answered["choices"][0]["message"]["content"], told, "{said}");
        rig.script(ModelAnswer::with_text(said.split_inclusive('`')));
        assert_eq!(text_of(&rig.chunks(NOVA, any_json()).await), told, "{said}");
    }
}

#[actix_web::test]
async fn a_fence_stays_where_no_json_was_asked_for() {
    let rig = rig().await;
    rig.script(ModelAnswer::with_text(["```json\n{}\n```"]));
    let answered =
        rig.ask(NOVA, chat_with(json!({"response_format": {"type": "text"}}))).await.json;
    assert_eq!(answered["choices"][0]["message"]["content"], "```json\n{}\n```");
}

#[actix_web::test]
async fn schemas_that_cannot_be_bound_are_asked_for_in_another_way() {
    let rig = rig().await;
    let open = json!({"type": "object", "additionalProperties": {"type": "integer"}});
    for (model, schema, expected) in [
        (SONNET_4_5, open.clone(), "tool"),
        (SONNET_4_5, json!({"type": "array", "items": {"type": "string"}}), "told"),
        (SONNET_4_5, json!({"anyOf": [{"type": "object", "properties": {}}]}), "told"),
        (LLAMA, open, "told"),
    ] {
        assert_eq!(
            schema_method(&rig.sent_body(model, chat_with_schema(schema.clone())).await),
            expected,
            "{schema}"
        );
    }
}

#[actix_web::test]
async fn formats_that_are_none_are_refused_with_their_field() {
    let rig = rig().await;
    for (format, field) in [
        (json!("json"), "response_format"),
        (json!({"type": "xml"}), "response_format.type"),
        (json!({}), "response_format.type"),
        (json!({"type": "json_schema"}), "response_format.json_schema"),
        (
            json!({"type": "json_schema", "json_schema": {"schema": "x"}}),
            "response_format.json_schema.schema",
        ),
    ] {
        let body = chat_with(json!({"response_format": format}));
        assert_eq!(rig.refused_field(NOVA, body).await, field, "{format}");
    }
}

#[actix_web::test]
async fn objects_within_a_schema_are_closed_too_however_they_say_what_they_are() {
    let rig = rig().await;
    for inner in [
        json!({"type": ["object", "null"], "properties": {"c": {"type": "string"}}}),
        json!({"properties": {"c": {"type": "string"}}}),
    ] {
        let schema = json!({"type": "object", "properties": {"a": inner}});
        let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        let sent = rig.sent_body(SONNET_4_5, chat_with(json!({"response_format": format}))).await;
        let text = &sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
        let schema: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        assert_eq!(schema["properties"]["a"]["additionalProperties"], false);
    }
}

#[actix_web::test]
async fn a_client_may_have_a_tool_of_our_own_name() {
    let rig = rig().await;
    let tools = json!([{"type": "function", "function": {"name": "json_tool_call"}}]);
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let sent =
        rig.sent_body(NOVA, chat_with(json!({"tools": tools, "response_format": format}))).await;
    let tools = sent["toolConfig"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1, "the shape is asked for in words: {tools:?}");
}
