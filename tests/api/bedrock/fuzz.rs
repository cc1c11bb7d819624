//! Whatever a client sends, it is answered or told why not, and Bedrock gets nothing that is out of
//! form.

use super::*;
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseError, TestRunner},
};

/// Returns a value of any type, for places that expect another.
fn any_type() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(true),
        json!(7),
        json!(-1.5),
        json!(""),
        json!("x"),
        json!(" \n"),
        json!([]),
        json!([1, null]),
        json!({}),
        json!({"type": "text"}),
    ])
}

/// Mostly one of these.
fn mostly_one_of(values: Vec<Value>) -> BoxedStrategy<Value> {
    prop_oneof![60 => select(values), 1 => any_type()].boxed()
}

fn mark() -> BoxedStrategy<Value> {
    let marks =
        vec![json!(null), json!({"type": "ephemeral"}), json!({"type": "ephemeral", "ttl": "1h"})];
    mostly_one_of(marks)
}

fn word() -> BoxedStrategy<Value> {
    mostly_one_of(["Hi", "", " ", "a\n", "ä🦀", "c0", "c1"].map(Value::from).into())
}

/// Returns an object with these members, of which a few are missing.
fn object(members: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    members_of(0.98, members)
}

/// Returns an object with some of these members.
fn members_of(
    share: f64,
    members: Vec<(&'static str, BoxedStrategy<Value>)>,
) -> BoxedStrategy<Value> {
    let member = |(name, value): (&'static str, BoxedStrategy<Value>)| {
        prop::option::weighted(share, value).prop_map(move |value| (name.to_owned(), value))
    };
    let members: Vec<_> = members.into_iter().map(member).collect();
    let all = |members: Vec<(String, Option<Value>)>| {
        members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    };
    members.prop_map(all).boxed()
}

fn list(item: BoxedStrategy<Value>, most: usize) -> BoxedStrategy<Value> {
    let list = prop::collection::vec(item, 0..most).prop_map(Value::from);
    prop_oneof![60 => list, 1 => any_type()].boxed()
}

fn part() -> BoxedStrategy<Value> {
    let png = format!("data:image/png;base64,{PNG}");
    let url = mostly_one_of(vec![
        png.clone().into(),
        json!({"url": png}),
        json!({"url": "https://example.com"}),
    ]);
    let data = mostly_one_of(vec![
        json!("data:text/plain;base64,aGk="),
        json!("JVBERi0xLjcK"),
        png.into(),
    ]);
    let file = object(vec![
        ("file_data", data),
        ("filename", mostly_one_of(vec![json!("a.pdf"), json!("b.txt")])),
    ]);
    let source = mostly_one_of(vec![
        json!({"type": "text", "data": "hello"}),
        json!({"type": "base64", "media_type": "image/png", "data": PNG}),
    ]);
    let audio =
        mostly_one_of(vec![json!({"data": "AAAA", "format": "wav"}), json!({"data": "AAAA"})]);
    let of_type = |kind: &str| mostly_one_of(vec![kind.into()]);
    let known = prop_oneof![
        8 => object(vec![("type", of_type("text")), ("text", word()), ("cache_control", mark())]),
        1 => object(vec![("type", of_type("image_url")), ("image_url", url.clone())]),
        1 => object(vec![("type", of_type("input_image")), ("image_url", url)]),
        1 => object(vec![("type", of_type("file")), ("file", file), ("citations", any_type().boxed())]),
        1 => object(vec![("type", of_type("document")), ("source", source.clone()), ("title", word())]),
        1 => object(vec![("type", of_type("image")), ("source", source)]),
        1 => object(vec![("type", of_type("video_url")), ("video_url", mostly_one_of(vec![json!({"url": "data:video/mp4;base64,AAAA"})]))]),
        1 => object(vec![("type", of_type("input_audio")), ("input_audio", audio)]),
        1 => object(vec![("type", of_type("thinking")), ("thinking", word()), ("signature", word())]),
        1 => object(vec![("type", of_type("redacted_thinking")), ("data", mostly_one_of(vec![json!("eA==")]))]),
    ];
    prop_oneof![60 => known, 1 => any_type()].boxed()
}

fn name() -> BoxedStrategy<Value> {
    mostly_one_of(["weather", "time", "my.tool", "json_tool", "ä"].map(Value::from).into())
}

fn call() -> BoxedStrategy<Value> {
    let arguments = mostly_one_of(vec![
        json!("{}"),
        json!(r#"{"a":1}"#),
        json!("{"),
        json!("[]"),
        json!({"a": 1}),
    ]);
    let function = object(vec![("name", name()), ("arguments", arguments)]);
    object(vec![
        ("id", word()),
        ("type", mostly_one_of(vec![json!("function")])),
        ("function", function),
    ])
}

fn message() -> BoxedStrategy<Value> {
    let roles = [
        "system",
        "developer",
        "user",
        "user",
        "assistant",
        "assistant",
        "tool",
        "tool",
        "function",
    ];
    // A role that is none is refused by itself, so it is rare.
    let role = prop_oneof![60 => select(roles.map(Value::from).to_vec()), 1 => any_type()].boxed();
    let content = prop_oneof![2 => word(), 3 => list(part(), 4)].boxed();
    let details = list(
        mostly_one_of(vec![
            json!({"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"}),
            json!({"type": "reasoning.encrypted", "data": "eA=="}),
        ]),
        3,
    );
    let rest = members_of(
        0.4,
        vec![
            ("content", content),
            ("tool_calls", list(call(), 3)),
            ("tool_call_id", word()),
            ("name", name()),
            ("function_call", mostly_one_of(vec![json!({"name": "time", "arguments": "{}"})])),
            ("reasoning_details", details),
            ("reasoning_content", word()),
            ("refusal", word()),
            ("cache_control", mark()),
        ],
    );
    (role, rest)
        .prop_map(|(role, mut message)| {
            message["role"] = role;
            message
        })
        .boxed()
}

fn tools() -> BoxedStrategy<Value> {
    let parameters = mostly_one_of(vec![
        json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        json!({"$schema": "x", "properties": {}}),
        json!({"anyOf": [{"type": "object", "properties": {"a": {}}}]}),
    ]);
    let function = object(vec![
        ("name", name()),
        ("description", word()),
        ("parameters", parameters),
        ("strict", mostly_one_of(vec![json!(true)])),
    ]);
    let nested = object(vec![
        ("type", mostly_one_of(vec![json!("function")])),
        ("function", function.clone()),
        ("cache_control", mark()),
    ]);
    list(prop_oneof![3 => nested, 1 => function].boxed(), 4)
}

fn settings() -> BoxedStrategy<Value> {
    let number = || mostly_one_of(vec![json!(0), json!(0.5), json!(2), json!("0.3")]);
    let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"].map(Value::from);
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}});
    let named = json!({"type": "function", "function": {"name": "time"}});
    let allowed =
        json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}});
    let formats = vec![
        json!({"type": "json_object"}),
        json!({"type": "json_schema", "json_schema": {"name": "x y", "schema": schema}}),
    ];
    let thinking = [
        json!({"type": "enabled", "budget_tokens": 2000}),
        json!({"type": "adaptive"}),
        json!({"type": "disabled"}),
    ];
    members_of(
        0.2,
        vec![
            ("temperature", number()),
            ("top_p", number()),
            ("top_k", mostly_one_of(vec![json!(5), json!("5")])),
            ("max_tokens", mostly_one_of(vec![json!(1), json!(1025), json!(100_000)])),
            ("max_completion_tokens", mostly_one_of(vec![json!(null), json!(500)])),
            ("stop", mostly_one_of(vec![json!("END"), json!(["END", " ", ""])])),
            ("n", mostly_one_of(vec![json!(1)])),
            ("stream", mostly_one_of(vec![json!(true), json!(false)])),
            ("stream_options", mostly_one_of(vec![json!({"include_usage": true})])),
            ("tools", tools()),
            ("functions", any_type().boxed()),
            (
                "tool_choice",
                mostly_one_of(vec![
                    json!("auto"),
                    json!("none"),
                    json!("required"),
                    named,
                    allowed,
                ]),
            ),
            ("parallel_tool_calls", mostly_one_of(vec![json!(true), json!(false)])),
            ("reasoning_effort", mostly_one_of(efforts.into())),
            (
                "thinking",
                mostly_one_of(vec![
                    thinking[0].clone(),
                    thinking[1].clone(),
                    thinking[2].clone(),
                    json!(null),
                    json!(null),
                ]),
            ),
            ("response_format", mostly_one_of(formats)),
            ("metadata", mostly_one_of(vec![json!({"team": "a"})])),
            ("user", mostly_one_of(vec![json!("u"), json!({"id": "u"})])),
            ("service_tier", mostly_one_of(vec![json!("auto"), json!("flex")])),
            (
                "prompt_caching",
                mostly_one_of(vec![json!({"messages": true}), json!({"system": false})]),
            ),
            (
                "anthropic_beta",
                mostly_one_of(vec![json!(["interleaved-thinking-2025-05-14", "unheard-of"])]),
            ),
            ("extra_body", mostly_one_of(vec![json!({"top_k": 3})])),
            ("seed", any_type().boxed()),
        ],
    )
}

fn chat() -> BoxedStrategy<Value> {
    (settings(), prop::collection::vec(message(), 1..8))
        .prop_map(|(mut chat, messages)| {
            chat["messages"] = messages.into();
            chat
        })
        .boxed()
}

#[test]
fn any_request_is_answered_or_refused_for_a_reason_and_bedrock_gets_none_out_of_form() {
    let system = actix_web::rt::System::new();
    let rig =
        system.block_on(rig_with(&[("files_everywhere", "false"), ("image_hosts", "example.org")]));
    let models: Vec<_> = families::all_chat_models().into_iter().map(|(id, _)| id).collect();
    let config = Config {
        cases: 300,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let all = TestRunner::new(config).run(&(chat(), select(models)), |(chat, model)| {
        let before = chats(&rig.bedrock).len();
        let answered = system.block_on(rig.ask(&model, chat));
        prop_assert!(matches!(answered.status, 200 | 400), "{model}: {}", answered.text);
        prop_assert!(!answered.text.contains("server_error"), "{model}: {}", answered.text);
        let asked = chats(&rig.bedrock).split_off(before);
        prop_assert!(answered.status == 400 || !asked.is_empty(), "{model}: {}", answered.text);
        match asked.iter().find_map(|chat| refusal(&rig.bedrock, chat)) {
            None => Ok(()),
            Some(refusal) => Err(TestCaseError::fail(refusal)),
        }
    });
    all.unwrap();
    let taken = chats(&rig.bedrock).len();
    assert!(taken > 50, "too few chats reach Bedrock: {taken}");
}
