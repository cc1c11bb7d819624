//! Property tests: any chat becomes a body that passes the emulator's checks.

use super::{ChatInput, Inputs, Target, prepare_chat};
use crate::{family::model_kind, valves::BedrockValves};
use bedrock_emulator::{Catalogue, FoundationModel, validate};
use pipe_sdk::{Body, Call, ChatRef, Hints, ModelKind, PipeError, testing::ScriptedHost};
use proptest::{prelude::*, sample::select, strategy::Union};
use serde_json::{Value, json};
use std::sync::LazyLock;

const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/// Generates texts, blank ones among them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(" \n".into()), "[a-z \\n]{0,8}", any::<String>()]
}

/// Generates one of a few ids, so that several calls have the same.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "call_[0-2]", Just("odd id/ä".into()), Just("x".repeat(70))]
}

/// Generates names of tools, some of which Bedrock does not accept.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]", Just("server.tool".into()), Just("t".repeat(80)), Just("ä b".into())]
}

/// Generates one of these values, the first ones more often.
fn any_of(values: Vec<Value>) -> impl Strategy<Value = Value> {
    prop_oneof![2 => Just(Value::Null), 1 => select(values)]
}

/// Generates cache breakpoints.
fn marks() -> impl Strategy<Value = Value> {
    any_of(vec![json!({"type": "ephemeral"}), json!({"type": "ephemeral", "ttl": "1h"})])
}

/// Generates text parts.
fn words() -> impl Strategy<Value = Value> {
    (text(), marks())
        .prop_map(|(text, mark)| json!({"type": "text", "text": text, "cache_control": mark}))
}

/// Generates parts of a message.
fn part() -> impl Strategy<Value = Value> {
    let shown = select(vec![
        json!({"type": "image_url", "image_url": {"url": PNG}}),
        json!({"type": "image_url", "image_url": "data:image/png;base64,AAAA"}),
        json!({"type": "input_image", "image_url": PNG}),
        json!({"type": "file", "file": {"file_data": "data:text/plain;base64,aGVsbG8=", "filename": "a.txt"}}),
        json!({"type": "file", "file": {"file_data": "JVBERi0xLjcK", "filename": "ä  _.pdf"}, "citations": {"enabled": true}}),
        json!({"type": "document", "source": {"type": "text", "data": "hello"}, "title": "a"}),
        json!({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}),
        json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
        json!({"type": "thinking", "thinking": "hm", "signature": "s"}),
        json!({"type": "redacted_thinking", "data": "eA=="}),
        json!({"type": "nonsense"}),
    ]);
    prop_oneof![3 => words(), 1 => shown]
}

/// Generates contents of a message.
fn content() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        text().prop_map(Value::from),
        prop::collection::vec(words(), 0..3).prop_map(Value::from),
    ]
}

fn visible_part() -> impl Strategy<Value = Value> {
    prop_oneof![2 => content(), 1 => prop::collection::vec(part(), 0..4).prop_map(Value::from)]
}

/// Generates arguments of a call, some of which are no JSON object.
fn arguments() -> impl Strategy<Value = String> {
    const FIXED: &[&str] =
        &["", "{}", r#"{"a": [1, {"b": null}]}"#, "[]", "null", "{\"a\"", "{}{}", "\"x\""];
    prop_oneof![select(FIXED).prop_map(String::from), any::<String>()]
}

/// Generates reasoning of an assistant.
fn thoughts() -> impl Strategy<Value = Value> {
    any_of(vec![
        json!([{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}]),
        json!([{"type": "reasoning.text", "text": "hm", "format": "anthropic-claude-v1"}, {"type": "reasoning.encrypted", "data": "eA=="}]),
        json!([{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "google-gemini-v1"}]),
    ])
}

/// Generates messages of all roles.
fn message() -> impl Strategy<Value = Value> {
    let calls = (id(), name(), arguments()).prop_map(
        |(id, name, arguments)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}),
    );
    let calls = prop::collection::vec(calls, 0..3);
    let system = prop_oneof![Just("system"), Just("developer")];
    Union::new_weighted(vec![
        (2, (system, content(), marks()).prop_map(|(role, c, mark)| json!({"role": role, "content": c, "cache_control": mark})).boxed()),
        (4, (visible_part(), marks()).prop_map(|(c, mark)| json!({"role": "user", "content": c, "cache_control": mark})).boxed()),
        (4, (visible_part(), calls, thoughts(), marks()).prop_map(|(c, calls, thoughts, mark)| json!({"role": "assistant", "content": c, "tool_calls": calls, "reasoning_details": thoughts, "cache_control": mark})).boxed()),
        (4, (id(), visible_part(), marks()).prop_map(|(id, c, mark)| json!({"role": "tool", "tool_call_id": id, "content": c, "cache_control": mark})).boxed()),
        (1, (name(), content()).prop_map(|(name, c)| json!({"role": "function", "name": name, "content": c})).boxed()),
        (1, (name(), arguments()).prop_map(|(name, a)| json!({"role": "assistant", "content": null, "function_call": {"name": name, "arguments": a}})).boxed()),
    ])
}

/// Generates lists of tools.
fn tools() -> impl Strategy<Value = Vec<Value>> {
    let parameters = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
        Just(json!({"$schema": "x", "properties": {}})),
        Just(json!({"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]})),
        Just(
            json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?!a)"}}})
        ),
    ];
    let description = prop_oneof![Just(Value::Null), text().prop_map(Value::from)];
    let strict = any_of(vec![json!(true), json!(false)]);
    let flat = (name(), parameters.clone(), marks()).prop_map(
        |(name, parameters, mark)| json!({"type": "function", "name": name, "parameters": parameters, "cache_control": mark}),
    );
    let tool = (name(), description, parameters, strict, marks()).prop_map(
        |(name, description, parameters, strict, mark)| json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters, "strict": strict}, "cache_control": mark}),
    );
    prop::collection::vec(prop_oneof![4 => tool, 1 => flat], 0..7)
}

/// Returns the fields beside the conversation and the tools.
fn settings() -> impl Strategy<Value = Value> {
    let number = || prop_oneof![Just(Value::Null), (0.0..2.0f64).prop_map(Value::from)];
    let stop = prop::collection::vec(text(), 0..3);
    let choice = any_of(vec![
        json!("none"),
        json!("auto"),
        json!("required"),
        json!({"type": "function", "function": {"name": "a"}}),
        json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "a"}}]}}),
    ]);
    let effort = any_of(
        ["none", "minimal", "low", "medium", "high", "xhigh", "max"].map(Value::from).to_vec(),
    );
    let thinking = any_of(vec![
        json!({"type": "enabled", "budget_tokens": 2000}),
        json!({"type": "adaptive"}),
        json!({"type": "disabled"}),
    ]);
    let inner = json!({"type": ["object", "null"], "properties": {"c": {"properties": {}}}});
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}, "b": inner}});
    let format = any_of(vec![
        json!({"type": "json_object"}),
        json!({"type": "json_schema", "json_schema": {"name": "x y", "schema": schema}}),
        json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}),
    ]);
    let most = any_of(vec![json!(1), json!(500), json!(1025), json!(100_000)]);
    let parallel = any_of(vec![json!(true), json!(false)]);
    let betas = any_of(vec![json!(["interleaved-thinking-2025-05-14", "unheard-of"])]);
    let top_k = any_of(vec![json!(5)]);
    let samplers = (number(), number(), top_k, stop).prop_map(|(temperature, top_p, top_k, stop)| {
        json!({"temperature": temperature, "top_p": top_p, "top_k": top_k, "stop": stop})
    });
    (samplers, choice, effort, thinking, format, most, parallel, betas).prop_map(
        |(mut all, choice, effort, thinking, format, most, parallel, betas)| {
            all["tool_choice"] = choice;
            all["reasoning_effort"] = effort;
            all["thinking"] = thinking;
            all["response_format"] = format;
            all["max_completion_tokens"] = most;
            all["parallel_tool_calls"] = parallel;
            all["anthropic_beta"] = betas;
            all
        },
    )
}

/// Generates chats.
fn chat() -> impl Strategy<Value = Value> {
    (prop::collection::vec(message(), 0..10), tools(), settings()).prop_map(
        |(messages, tools, mut all)| {
            all["model"] = "m".into();
            all["messages"] = messages.into();
            all["tools"] = tools.into();
            all
        },
    )
}

static EVERY: LazyLock<Catalogue> = LazyLock::new(Catalogue::all_chat_models);

/// Generates chat models of the catalogue.
fn model() -> impl Strategy<Value = &'static FoundationModel> {
    let speaks = |model: &&FoundationModel| {
        model.output.iter().any(|kind| kind == "TEXT")
            && model_kind(&model.id) == Some(ModelKind::Chat)
    };
    select(EVERY.models.iter().filter(speaks).collect::<Vec<_>>())
}

fn call(chat: &Value) -> Call {
    Call {
        model: "m".into(),
        body: serde_json::from_str::<Body>(&chat.to_string()).unwrap(),
        user: None,
        chat: ChatRef::default().into(),
        hints: Hints::default(),
        host: ScriptedHost::new().host(),
    }
}

/// Returns the target of a request to this model.
fn target(model: &FoundationModel, valves: &BedrockValves) -> Target {
    let reads = |kind: &str| Some(model.input.iter().any(|input| input == kind));
    let inputs = Inputs { image: reads("IMAGE"), video: reads("VIDEO"), audio: reads("SPEECH") };
    let mut target = Target::for_model(&model.id, &model.id, inputs, valves);
    target.family.streaming &= model.streaming;
    target
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_conversation_becomes_a_body_that_bedrock_takes(chat in chat(), model in model()) {
        let valves = BedrockValves { files_everywhere: false, ..BedrockValves::default() };
        let call = call(&chat);
        let target = target(model, &valves);
        let input = ChatInput { call: &call, target: &target, valves: &valves };
        match prepare_chat(&input) {
            Ok(sent) => {
                let json = serde_json::from_slice(&sent.body).unwrap();
                let valid = if sent.is_streamed {
                    validate::check_converse_stream(model, &json)
                } else {
                    validate::check_converse(model, &json)
                };
                prop_assert_eq!(valid, Ok(()), "{} {}", model.id, json);
                prop_assert_eq!(&sent.body, &prepare_chat(&input).unwrap().body);
            }
            Err(error) => {
                let named = matches!(&error, PipeError::BadRequest { param: Some(_), .. });
                prop_assert!(named, "{error:?}");
            }
        }
    }
}
