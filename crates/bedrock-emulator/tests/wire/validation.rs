//! Validation: the emulator refuses the requests that Bedrock refuses, and accepts those that it
//! accepts.

use aws_smithy_types::base64;
use bedrock_emulator::{BedrockException, Catalogue, validate};
use serde_json::{Value, json};

const HAIKU_3: &str = "anthropic.claude-3-haiku-20240307-v1:0";
const SONNET_4_5: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const SONNET_4_6: &str = "anthropic.claude-sonnet-4-6";
const OPUS_4_7: &str = "anthropic.claude-opus-4-7";
const OPUS_5_5: &str = "anthropic.claude-opus-5-5";
const LITE: &str = "amazon.nova-lite-v1:0";
const LLAMA: &str = "meta.llama3-3-70b-instruct-v1:0";
const MISTRAL_7B: &str = "mistral.mistral-7b-instruct-v0:2";
const DEEPSEEK: &str = "deepseek.v3.2";

fn checked(model: &str, body: &Value) -> Result<(), BedrockException> {
    validate::check_converse(Catalogue::default().model(model).unwrap(), body)
}

/// Asserts that each body is refused with words like these, or taken where there are none.
fn table<const N: usize>(rows: [(&str, Value, &str); N]) {
    judged(&Catalogue::default(), rows);
}

/// The same, by the rules for the models of this catalogue.
pub fn judged<const N: usize>(catalogue: &Catalogue, rows: [(&str, Value, &str); N]) {
    for (id, body, words) in rows {
        match validate::check_converse(catalogue.model(id).unwrap(), &body) {
            Ok(()) => assert_eq!(words, "", "{id} took {body}"),
            Err(fault) => {
                let expected = !words.is_empty() && fault.message().contains(words);
                assert!(expected, "{id} {fault} {body}");
            }
        }
    }
}

pub fn turns(turns: &[(&str, Value)]) -> Value {
    json!({ "messages": turns.iter().map(|(role, content)| json!({ "role": role, "content": content })).collect::<Vec<_>>() })
}

pub fn text(text: &str) -> Value {
    json!([{ "text": text }])
}

#[expect(clippy::needless_pass_by_value, reason = "the tables read better")]
pub fn hello(extra: Value) -> Value {
    let mut body = turns(&[("user", text("hi"))]);
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

pub fn tools(names: &[&str]) -> Value {
    let spec = |name: &&str| json!({ "toolSpec": { "name": name, "inputSchema": { "json": { "type": "object" } } } });
    json!({ "tools": names.iter().map(spec).collect::<Vec<_>>() })
}

#[test]
fn turns_alternate_and_say_something() {
    table([
        (LITE, turns(&[("user", text("hi")), ("assistant", text("ho")), ("user", text("hi"))]), ""),
        (LITE, turns(&[("assistant", text("ho"))]), "must start with a user message"),
        (
            LITE,
            turns(&[("user", text("hi")), ("user", text("hi"))]),
            "must alternate between user and assistant",
        ),
        (
            LITE,
            turns(&[("user", json!([]))]),
            "content field in the Message object at messages.0 is empty",
        ),
        (
            LITE,
            turns(&[("user", text(" \n"))]),
            "ContentBlock object at messages.0.content.0 is blank",
        ),
        (LITE, hello(json!({ "system": [{ "text": " " }] })), "at system.0 is blank"),
        (
            LITE,
            turns(&[("user", text("hi")), ("system", text("be kind"))]),
            "role 'system' is not supported",
        ),
        (
            OPUS_5_5,
            turns(&[
                ("user", text("hi")),
                ("assistant", text("ho")),
                ("system", text("now rhyme")),
                ("user", text("hi")),
            ]),
            "",
        ),
        (
            MISTRAL_7B,
            hello(json!({ "system": [{ "text": "be kind" }] })),
            "doesn't support system messages",
        ),
        ("cohere.rerank-v3-5:0", hello(json!({})), "doesn't support the model that you provided"),
        (
            "amazon.titan-embed-text-v2:0",
            hello(json!({})),
            "doesn't support the model that you provided",
        ),
    ]);
}

#[test]
fn an_answer_is_begun_only_where_the_family_allows() {
    let begun = |start: &str| turns(&[("user", text("hi")), ("assistant", text(start))]);
    table([
        (SONNET_4_5, begun("Once"), ""),
        (SONNET_4_5, begun("Once "), "cannot end with trailing whitespace"),
        (SONNET_4_6, begun("Once"), "does not support assistant message prefill"),
        (DEEPSEEK, begun("Once"), "does not support assistant message prefill"),
    ]);
}

#[test]
fn calls_and_results_are_pairs() {
    let call = |id: &str| json!({ "toolUse": { "toolUseId": id, "name": "clock", "input": {} } });
    let result =
        |id: &str| json!({ "toolResult": { "toolUseId": id, "content": [{ "text": "9" }] } });
    let chat = |calls: Value, results: Value| {
        let mut body = turns(&[("user", text("hi")), ("assistant", calls), ("user", results)]);
        body["toolConfig"] = tools(&["clock"]);
        body
    };
    let mut without_config = chat(json!([call("a")]), json!([result("a")]));
    without_config.as_object_mut().unwrap().remove("toolConfig");
    let odd_input = json!([{ "toolUse": { "toolUseId": "a", "name": "clock", "input": "9" } }]);
    table([
        (
            LITE,
            chat(
                json!([call("a"), call("b")]),
                json!([result("a"), result("b"), { "text": "so?" }]),
            ),
            "",
        ),
        (LITE, without_config, "toolConfig field must be defined"),
        (
            LITE,
            chat(json!([call("a")]), text("no")),
            "Expected toolResult blocks at messages.2.content for the following Ids: a",
        ),
        (
            LITE,
            chat(json!([call("a"), call("b")]), json!([result("b"), result("a")])),
            "for the following Ids: a, b",
        ),
        (
            LITE,
            chat(text("ho"), json!([result("a")])),
            "toolResult blocks at messages.2.content exceeds the number of toolUse",
        ),
        (
            LITE,
            chat(json!([call("a"), call("a")]), json!([result("a"), result("a")])),
            "ids must be unique",
        ),
        (
            LITE,
            chat(json!([call("a")]), json!([{ "text": "so?" }, result("a")])),
            "must come first",
        ),
        (
            LITE,
            chat(odd_input, json!([result("a")])),
            "messages.1.content.0.toolUse.input is invalid",
        ),
    ]);
}

#[test]
fn tools_are_offered_only_to_those_who_take_them() {
    let offered = |names: &[&str], choice: Value| {
        let mut config = tools(names);
        if !choice.is_null() {
            config["toolChoice"] = choice;
        }
        hello(json!({ "toolConfig": config }))
    };
    let untyped = json!({ "toolConfig": { "tools": [{ "toolSpec": { "name": "clock", "inputSchema": { "json": {} } } }] } });
    let strict = json!({ "toolConfig": { "tools": [{ "toolSpec": { "name": "clock", "strict": true, "inputSchema": { "json": { "type": "object" } } } }] } });
    table([
        (LITE, offered(&["clock"], json!({ "tool": { "name": "clock" } })), ""),
        (
            LITE,
            offered(&["clock"], json!({ "tool": { "name": "radio" } })),
            "is not defined in toolConfig.tools",
        ),
        (LITE, offered(&["clock", "clock"], json!(null)), "already used"),
        (LITE, hello(untyped), "inputSchema.json.type must be one of the following: object"),
        (LITE, hello(strict.clone()), "strict"),
        (SONNET_4_5, hello(strict), ""),
        (MISTRAL_7B, offered(&["clock"], json!(null)), "doesn't support tool use"),
        (LLAMA, offered(&["clock"], json!(null)), ""),
        (LLAMA, offered(&["clock"], json!({ "auto": {} })), "toolConfig.toolChoice.auto field"),
        (OPUS_5_5, offered(&["clock"], json!({ "any": {} })), "toolConfig.toolChoice.any field"),
    ]);
    let llama = Catalogue::default().model(LLAMA).unwrap().clone();
    let fault =
        validate::check_converse_stream(&llama, &offered(&["clock"], json!(null))).unwrap_err();
    assert_eq!(fault.message(), "This model doesn't support tool use in streaming mode.");
}

#[test]
fn media_are_what_they_say() {
    let image = |format: &str, bytes: &[u8]| json!({ "image": { "format": format, "source": { "bytes": base64::encode(bytes) } } });
    let file = |name: &str| json!({ "document": { "format": "txt", "name": name, "source": { "bytes": base64::encode("hi") } } });
    let user = |content: Value| turns(&[("user", content)]);
    let png = || image("png", b"\x89PNG\r\n\x1a\n0000");
    table([
        (LITE, user(json!([png()])), ""),
        (
            LITE,
            user(json!([image("jpeg", b"\x89PNG\r\n\x1a\n0000")])),
            "does not match the provided media type image/jpeg",
        ),
        (
            LITE,
            user(json!([image("bmp", b"BM")])),
            "Member must satisfy enum value set: [png, jpeg, gif, webp]",
        ),
        (LITE, user(vec![png(); 21].into()), "too many images and documents: 21 + 0"),
        (LITE, user(json!([image("png", &[0; 4_000_000])])), "exceeds the maximum of 3.75 MB"),
        (DEEPSEEK, user(json!([png()])), "doesn't support the image field"),
        (
            SONNET_4_5,
            turns(&[("user", text("hi")), ("assistant", json!([png()])), ("user", text("hi"))]),
            "only supported in user messages",
        ),
        (LITE, user(json!([{ "text": "see" }, file("a"), file("b")])), ""),
        (LITE, user(json!([{ "text": "see" }, file("a"), file("a")])), "names must be unique"),
        (
            LITE,
            user(json!([{ "text": "see" }, file("a.txt")])),
            "document file name can only contain",
        ),
        (LITE, user(json!([file("a")])), "has a document but no text"),
    ]);
}

#[test]
fn cache_points_stand_where_they_may() {
    let point = json!({ "cachePoint": { "type": "default" } });
    let hour = json!({ "cachePoint": { "type": "default", "ttl": "1h" } });
    let user = |content: Value| turns(&[("user", content)]);
    let mut cached_tools = tools(&["clock"]);
    cached_tools["tools"].as_array_mut().unwrap().push(point.clone());
    let cached_tools = hello(json!({ "toolConfig": cached_tools }));
    let many: Vec<_> = (0..5).flat_map(|_| [json!({ "text": "a" }), point.clone()]).collect();
    let not_allowed = "did not allow prompt caching";
    table([
        (SONNET_4_5, user(json!([{ "text": "a" }, point])), ""),
        (SONNET_4_5, user(json!([{ "text": "a" }, hour])), ""),
        (LITE, user(json!([{ "text": "a" }, hour])), "cachePoint.ttl value 1h"),
        (SONNET_4_5, cached_tools.clone(), ""),
        (LITE, cached_tools, not_allowed),
        (HAIKU_3, user(json!([{ "text": "a" }, point])), not_allowed),
        (SONNET_4_5, user(json!([point, { "text": "a" }])), "cannot stand first"),
        (
            SONNET_4_5,
            user(many.into()),
            "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        ),
    ]);
    assert_eq!(checked(HAIKU_3, &user(json!([{ "text": "a" }, point]))).unwrap_err().status(), 403);
}

#[test]
fn samplers_depend_on_the_family() {
    let sampled = |config: Value| hello(json!({ "inferenceConfig": config }));
    let both = json!({ "temperature": 0.5, "topP": 0.9 });
    table([
        (HAIKU_3, sampled(both.clone()), ""),
        (SONNET_4_5, sampled(both), "`temperature` and `top_p` cannot both be specified"),
        (SONNET_4_5, sampled(json!({ "temperature": 0.5 })), ""),
        (OPUS_4_7, sampled(json!({ "temperature": 1 })), ""),
        (OPUS_4_7, sampled(json!({ "temperature": 0.5 })), "`temperature` is deprecated"),
        (OPUS_4_7, sampled(json!({ "topP": 0.5 })), "`top_p` is deprecated"),
        (
            OPUS_4_7,
            hello(json!({ "additionalModelRequestFields": { "top_k": 5 } })),
            "`top_k` is deprecated",
        ),
        (
            LITE,
            hello(json!({ "additionalModelRequestFields": { "top_k": 5 } })),
            "extraneous key [top_k]",
        ),
        (
            LITE,
            hello(json!({ "additionalModelRequestFields": { "inferenceConfig": { "topK": 5 } } })),
            "",
        ),
    ]);
}

#[test]
fn thinking_depends_on_the_family() {
    let thinking = |kind: Value, extra: Value| {
        let mut body = hello(extra);
        body["additionalModelRequestFields"] = json!({ "thinking": kind });
        body
    };
    let budget = |tokens: u32| json!({ "type": "enabled", "budget_tokens": tokens });
    let adaptive = || json!({ "type": "adaptive" });
    let disabled = || json!({ "type": "disabled" });
    let mut forced = tools(&["clock"]);
    forced["toolChoice"] = json!({ "any": {} });
    table([
        (SONNET_4_5, thinking(budget(1024), json!({})), ""),
        (SONNET_4_5, thinking(budget(1023), json!({})), "greater than or equal to 1024"),
        (
            SONNET_4_5,
            thinking(budget(2048), json!({ "inferenceConfig": { "maxTokens": 2048 } })),
            "`max_tokens` must be greater",
        ),
        (
            SONNET_4_5,
            thinking(budget(1024), json!({ "inferenceConfig": { "temperature": 0.2 } })),
            "may only be set to 1",
        ),
        (
            SONNET_4_5,
            thinking(budget(1024), json!({ "inferenceConfig": { "topP": 0.5 } })),
            "greater than or equal to 0.95",
        ),
        (
            SONNET_4_5,
            thinking(budget(1024), json!({ "toolConfig": forced })),
            "tool_choice forces tool use",
        ),
        (SONNET_4_5, thinking(adaptive(), json!({})), "adaptive thinking is not supported"),
        (HAIKU_3, thinking(budget(1024), json!({})), "Extra inputs are not permitted"),
        (SONNET_4_6, thinking(budget(1024), json!({})), ""),
        (SONNET_4_6, thinking(adaptive(), json!({})), ""),
        (OPUS_4_7, thinking(budget(1024), json!({})), "Use \"thinking.type.adaptive\""),
        (OPUS_4_7, thinking(disabled(), json!({})), ""),
        (OPUS_5_5, thinking(disabled(), json!({})), "\"thinking.type.disabled\" is not supported"),
        (SONNET_4_6, hello(json!({ "outputConfig": { "effort": "max" } })), ""),
        (
            SONNET_4_6,
            hello(json!({ "outputConfig": { "effort": "xhigh" } })),
            "does not support the effort 'xhigh'",
        ),
        (
            SONNET_4_5,
            hello(json!({ "outputConfig": { "effort": "low" } })),
            "does not support the effort 'low'",
        ),
    ]);
}

#[test]
fn an_answers_schema_is_closed() {
    let shaped = |schema: Value| {
        let format = json!({ "type": "json_schema", "structure": { "jsonSchema": { "schema": schema.to_string(), "name": "s" } } });
        hello(json!({ "outputConfig": { "textFormat": format } }))
    };
    let closed = || json!({ "type": "object", "properties": {}, "additionalProperties": false });
    table([
        (SONNET_4_5, shaped(closed()), ""),
        (
            SONNET_4_5,
            shaped(json!({ "type": "object", "properties": {} })),
            "must be explicitly set to false",
        ),
        (LITE, shaped(closed()), "doesn't support the outputConfig.textFormat field"),
    ]);
}
