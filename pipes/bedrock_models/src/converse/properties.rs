//! Whatever a client sends, Bedrock gets a body that it takes; the emulator's checks decide.

use super::{Target, request};
use crate::family::Family;
use bedrock_emulator::{Catalogue, validate};
use pipe_sdk::{Body, PipeError};
use proptest::prelude::*;
use serde_json::{Value, json};

const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(" \n".into()), "[a-z \\n]{0,8}", any::<String>()]
}

/// Few ids and names, so that they meet.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "call_[0-2]", Just("odd id/ä".into()), Just("x".repeat(70))]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]", Just("server.tool".into()), Just("t".repeat(80)), Just("ä b".into())]
}

fn content() -> impl Strategy<Value = Value> {
    let part = text().prop_map(|text| json!({"type": "text", "text": text}));
    prop_oneof![
        Just(Value::Null),
        text().prop_map(Value::from),
        prop::collection::vec(part, 0..3).prop_map(Value::from),
    ]
}

fn seen() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => content(),
        1 => text().prop_map(|text| json!([{"type": "text", "text": text}, {"type": "image_url", "image_url": PNG}])),
    ]
}

fn arguments() -> impl Strategy<Value = String> {
    const FIXED: &[&str] =
        &["", "{}", r#"{"a": [1, {"b": null}]}"#, "[]", "null", "{\"a\"", "{}{}", "\"x\""];
    prop_oneof![prop::sample::select(FIXED).prop_map(String::from), any::<String>()]
}

fn message() -> impl Strategy<Value = Value> {
    let calls = (id(), name(), arguments()).prop_map(
        |(id, name, arguments)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}),
    );
    let calls = prop::collection::vec(calls, 0..3);
    prop_oneof![
        1 => content().prop_map(|c| json!({"role": "system", "content": c})),
        4 => seen().prop_map(|c| json!({"role": "user", "content": c})),
        4 => (content(), calls).prop_map(|(c, calls)| json!({"role": "assistant", "content": c, "tool_calls": calls})),
        4 => (id(), seen()).prop_map(|(id, c)| json!({"role": "tool", "tool_call_id": id, "content": c})),
        1 => content().prop_map(|c| json!({"role": "tool", "content": c})),
    ]
}

fn tools() -> impl Strategy<Value = Vec<Value>> {
    let parameters = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
    ];
    let description = prop_oneof![Just(Value::Null), text().prop_map(Value::from)];
    let tool = (name(), description, parameters).prop_map(
        |(name, description, parameters)| json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}),
    );
    prop::collection::vec(tool, 0..3)
}

fn chat() -> impl Strategy<Value = Value> {
    let choice =
        prop::sample::select(vec![json!("none"), json!("auto"), json!("required"), Value::Null]);
    let number = || prop_oneof![Just(Value::Null), (0.0..2.0f64).prop_map(Value::from)];
    let stop = prop::collection::vec(text(), 0..3);
    (prop::collection::vec(message(), 0..10), tools(), choice, number(), number(), stop).prop_map(
        |(messages, tools, choice, temperature, top_p, stop)| {
            json!({"model": "m", "messages": messages, "tools": tools, "tool_choice": choice, "temperature": temperature, "top_p": top_p, "stop": stop})
        },
    )
}

/// Models of every kind of family.
const MODELS: &[&str] = &[
    "anthropic.claude-3-haiku-20240307-v1:0",
    "anthropic.claude-haiku-4-5-20251001-v1:0",
    "anthropic.claude-opus-4-7",
    "anthropic.claude-opus-5-5",
    "amazon.nova-lite-v1:0",
    "amazon.titan-text-lite-v1",
    "meta.llama4-maverick-17b-instruct-v1:0",
    "mistral.mistral-7b-instruct-v0:2",
    "mistral.mistral-large-2402-v1:0",
    "deepseek.r1-v1:0",
    "cohere.command-r-v1:0",
    "openai.gpt-oss-20b-1:0",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_conversation_becomes_a_body_that_bedrock_takes(chat in chat(), model in prop::sample::select(MODELS)) {
        let catalogue = Catalogue::default();
        let model = catalogue.model(model).unwrap();
        let vision = Some(model.input.iter().any(|kind| kind == "IMAGE"));
        let target = Target { id: model.id.clone(), family: Family::of(&model.id), vision };
        let body: Body = serde_json::from_str(&chat.to_string()).unwrap();
        match request(&body, &target) {
            Ok(sent) => {
                let json = serde_json::from_slice(&sent.body).unwrap();
                prop_assert_eq!(validate::converse_stream(model, &json), Ok(()), "{}", json);
                prop_assert_eq!(&sent.body, &request(&body, &target).unwrap().body);
            }
            Err(error) => {
                let named = matches!(&error, PipeError::BadRequest { param: Some(_), .. });
                prop_assert!(named, "{error:?}");
            }
        }
    }
}
