//! Reasoning: how each family is asked for it, and how Claude's comes back to it.

use super::*;

const FIELDS: &str = "additionalModelRequestFields";

fn every_claude() -> Vec<FoundationModel> {
    let models = Catalogue::all_chat_models().models.into_iter();
    models.filter(|model| model.id.starts_with("anthropic.claude")).collect()
}

/// The way in which Claude of an id thinks (`docs/reference/bedrock.md`, "Model families").
#[derive(Clone, Copy, Debug, PartialEq)]
enum ThinkingMode {
    No,
    Budget,
    Adaptive { xhigh: bool, always: bool },
}

fn thinking_mode(id: &str) -> ThinkingMode {
    let is = |names: &[&str]| is_claude(id, names);
    if is(&[
        "3-7",
        "sonnet-4-2025",
        "opus-4-2025",
        "opus-4-1",
        "haiku-4-5",
        "sonnet-4-5",
        "opus-4-5",
    ]) {
        ThinkingMode::Budget
    } else if is(&["3-", "instant", "v1", "v2"]) {
        ThinkingMode::No
    } else if is(&["sonnet-4-6", "opus-4-6"]) {
        ThinkingMode::Adaptive { xhigh: false, always: false }
    } else {
        ThinkingMode::Adaptive {
            xhigh: true,
            always: is(&["fable", "mythos", "opus-5-5", "sonnet-5-5"]),
        }
    }
}

fn budget(tokens: u64) -> Value {
    json!({"thinking": {"type": "enabled", "budget_tokens": tokens}})
}

fn adaptive(effort: &str) -> Value {
    json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}})
}

#[actix_web::test]
async fn every_claude_is_asked_for_an_effort_in_its_way() {
    let rig = rig().await;
    for model in every_claude() {
        for (effort, tokens, word) in [
            ("minimal", 1024, "low"),
            ("low", 1024, "low"),
            ("medium", 2048, "medium"),
            ("high", 4096, "high"),
            ("xhigh", 8192, "xhigh"),
            ("max", 16384, "max"),
        ] {
            let sent =
                rig.sent_body(&model.id, chat_with(json!({"reasoning_effort": effort}))).await;
            let (fields, most) = match thinking_mode(&model.id) {
                ThinkingMode::No => (Value::Null, Value::Null),
                ThinkingMode::Budget => (budget(tokens), json!(tokens + 4096)),
                ThinkingMode::Adaptive { xhigh: false, .. } if word == "xhigh" => {
                    (adaptive("high"), Value::Null)
                }
                ThinkingMode::Adaptive { .. } => (adaptive(word), Value::Null),
            };
            assert_eq!(sent[FIELDS], fields, "{} {effort}", model.id);
            assert_eq!(sent["inferenceConfig"]["maxTokens"], most, "{} {effort}", model.id);
            let counted = if fields.is_null() {
                Value::Null
            } else {
                json!(["/usage/output_tokens_details"])
            };
            assert_eq!(sent["additionalModelResponseFieldPaths"], counted, "{} {effort}", model.id);
        }
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn every_claude_is_told_not_to_think_in_its_way() {
    let rig = rig().await;
    for model in every_claude() {
        let fields = match thinking_mode(&model.id) {
            ThinkingMode::Adaptive { always: false, .. } => {
                json!({"thinking": {"type": "disabled"}})
            }
            _ => Value::Null,
        };
        for wish in [
            json!({"reasoning_effort": "none"}),
            json!({"thinking": {"type": "disabled"}}),
            json!({"reasoning": {"enabled": false}}),
        ] {
            assert_eq!(
                rig.sent_body(&model.id, chat_with(wish)).await[FIELDS],
                fields,
                "{}",
                model.id
            );
        }
        assert_eq!(
            rig.sent_body(&model.id, chat_with(json!({}))).await[FIELDS],
            Value::Null,
            "{}",
            model.id
        );
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn every_claude_understands_its_own_field_in_the_older_and_in_the_newer_form() {
    let rig = rig().await;
    let enabled =
        json!({"thinking": {"type": "enabled", "budget_tokens": 3000}, "max_tokens": 9000});
    for model in every_claude() {
        let of = |older: Value, newer: Value| match thinking_mode(&model.id) {
            ThinkingMode::No => Value::Null,
            ThinkingMode::Budget => older,
            ThinkingMode::Adaptive { .. } => newer,
        };
        let nested = json!({"extra_body": enabled});
        let renamed = json!({"reasoning_config": enabled["thinking"], "max_tokens": 9000});
        for (wish, fields) in [
            (enabled.clone(), of(budget(3000), adaptive("medium"))),
            (nested, of(budget(3000), adaptive("medium"))),
            (renamed, of(budget(3000), adaptive("medium"))),
            (
                json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
                of(budget(4096), adaptive("high")),
            ),
        ] {
            assert_eq!(
                rig.sent_body(&model.id, chat_with(wish.clone())).await[FIELDS],
                fields,
                "{} {wish}",
                model.id
            );
        }
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn claude_that_thinks_gets_no_sampler_that_hinders_it() {
    let rig = rig().await;
    let samplers = json!({"temperature": 0.3, "top_p": 0.5, "top_k": 5, "reasoning_effort": "low"});
    for model in every_claude().iter().filter(|model| thinking_mode(&model.id) != ThinkingMode::No)
    {
        let sent = rig.sent_body(&model.id, chat_with(samplers.clone())).await;
        for name in ["temperature", "topP"] {
            assert_eq!(sent["inferenceConfig"][name], Value::Null, "{}", model.id);
        }
        assert_eq!(sent[FIELDS]["top_k"], Value::Null, "{}", model.id);
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn a_budget_is_at_least_1024_and_less_than_all_that_may_be_said() {
    let rig = rig().await;
    for (wish, tokens) in [
        (json!({"reasoning_effort": "high", "max_tokens": 2000}), json!(1999)),
        (json!({"reasoning_effort": "high", "max_tokens": 1024}), Value::Null),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 10}}), json!(1024)),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 9000}, "max_tokens": 3000}),
            json!(2999),
        ),
    ] {
        let sent = rig.sent_body(SONNET_3_7, chat_with(wish.clone())).await;
        assert_eq!(sent[FIELDS]["thinking"]["budget_tokens"], tokens, "{wish}");
    }
    let small = json!({"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 500});
    assert_eq!(rig.refused_field(SONNET_3_7, chat_with(small)).await, "max_tokens");
}

#[actix_web::test]
async fn other_families_are_asked_for_an_effort_each_in_its_way() {
    let rig = rig().await;
    let nova =
        |word: &str| json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}});
    let plain = |word: &str| json!({"reasoning_effort": word});
    let object = |word: &str| json!({"reasoning": {"effort": word}});
    for (model, of) in [
        (NOVA_2, &nova as &dyn Fn(&str) -> Value),
        ("deepseek.v3-v1:0", &plain),
        ("deepseek.v3.2", &plain),
        ("qwen.qwen3-32b-v1:0", &plain),
        ("openai.gpt-oss-20b-1:0", &plain),
        ("openai.gpt-oss-120b-1:0", &plain),
        ("openai.gpt-oss-safeguard-20b", &plain),
        ("openai.gpt-5.4", &object),
        ("openai.gpt-6-sol", &object),
        ("xai.grok-4.7", &object),
    ] {
        for (effort, word) in [
            ("none", None),
            ("minimal", Some("low")),
            ("low", Some("low")),
            ("medium", Some("medium")),
            ("high", Some("high")),
            ("max", Some("high")),
        ] {
            let sent = rig.sent_body(model, chat_with(json!({"reasoning_effort": effort}))).await;
            assert_eq!(sent[FIELDS], word.map_or(Value::Null, of), "{model} {effort}");
        }
    }
    for model in [NOVA, LLAMA, "us.deepseek.r1-v1:0", "mistral.mistral-large-2407-v1:0"] {
        let sent = rig.sent_body(model, chat_with(json!({"reasoning_effort": "high"}))).await;
        assert_eq!(sent[FIELDS], Value::Null, "{model}");
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn nova_that_thinks_hard_is_left_to_itself() {
    let rig = rig().await;
    let wish = |effort: &str| {
        chat_with(
            json!({"reasoning_effort": effort, "temperature": 0.3, "top_p": 0.5, "max_tokens": 900}),
        )
    };
    assert_eq!(rig.sent_body(NOVA_2, wish("high")).await["inferenceConfig"], Value::Null);
    let config = json!({"maxTokens": 900, "temperature": 0.3, "topP": 0.5});
    assert_eq!(rig.sent_body(NOVA_2, wish("low")).await["inferenceConfig"], config);
}

#[actix_web::test]
async fn grok_that_thinks_gets_no_samplers() {
    let rig = rig().await;
    let wish = |effort: &str| chat_with(json!({"reasoning_effort": effort, "temperature": 0.3}));
    assert_eq!(rig.sent_body("xai.grok-4.7", wish("low")).await["inferenceConfig"], Value::Null);
    let config = rig.sent_body("xai.grok-4.7", wish("none")).await["inferenceConfig"].clone();
    assert_eq!(config, json!({"temperature": 0.3}));
}

#[actix_web::test]
async fn words_that_are_no_effort_are_refused() {
    let rig = rig().await;
    for (wish, field) in [
        (json!({"reasoning_effort": "hard"}), "reasoning_effort"),
        (json!({"reasoning_effort": [1]}), "reasoning_effort"),
        (json!({"thinking": {"type": "maybe"}}), "thinking.type"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": "x"}}), "thinking.budget_tokens"),
    ] {
        assert_eq!(rig.refused_field(SONNET_4_5, chat_with(wish)).await, field);
    }
}

/// Returns a question that Claude thinks about with a tool at hand.
fn chat_after_reasoning(messages: &[Value]) -> Value {
    json!({"messages": messages, "tools": [tool("weather")], "reasoning_effort": "low"})
}

#[actix_web::test]
async fn signed_reasoning_comes_back_before_text_and_calls_through_a_loop_of_tools() {
    let rig = rig().await;
    for model in [SONNET_3_7, SONNET_4_5, "anthropic.claude-sonnet-4-6", OPUS_4_8] {
        let mut messages = vec![json!({"role": "user", "content": "Weather?"})];
        for step in 0..3 {
            let (thought, signature) = (format!("thought {step}"), format!("sig{step}=="));
            let answer = ModelAnswer::new()
                .reasoning([&*thought], &signature)
                .redacted(b"hidden")
                .text(["I look."]);
            rig.script(answer.tool(&format!("call_{step}"), "weather", ["{}"]));
            let answered = rig.ask(model, chat_after_reasoning(&messages)).await;
            assert_eq!(answered.status, 200, "{}", answered.text);
            let message = answered.json["choices"][0]["message"].clone();
            assert_eq!(message["reasoning_content"], thought);
            messages.push(message);
            messages.push(tool_result(&format!("call_{step}"), "rain"));
        }
        let sent = rig.sent_body(model, chat_after_reasoning(&messages)).await;
        for step in 0..3 {
            let content = &sent["messages"][1 + 2 * step]["content"];
            let signed =
                json!({"text": format!("thought {step}"), "signature": format!("sig{step}==")});
            assert_eq!(content[0]["reasoningContent"]["reasoningText"], signed, "{model}");
            assert!(content[1]["reasoningContent"]["redactedContent"].is_string(), "{model}");
            assert_eq!(content[2]["text"], "I look.", "{model}");
            assert!(content[3]["toolUse"].is_object(), "{model}");
        }
        assert!(sent[FIELDS]["thinking"].is_object(), "{model}");
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn signed_reasoning_comes_back_in_every_shape_that_clients_send() {
    let rig = rig().await;
    let (thought, redacted) = ("hm", "aGlkZGVu");
    let details = json!([
        {"type": "reasoning.text", "text": thought, "signature": "s==", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": redacted, "format": "anthropic-claude-v1"},
    ]);
    let blocks = json!([
        {"type": "thinking", "thinking": thought, "signature": "s=="},
        {"type": "redacted_thinking", "data": redacted},
    ]);
    let mut parts = blocks.as_array().unwrap().clone();
    parts.push(json!({"type": "text", "text": "Well."}));
    for message in [
        json!({"role": "assistant", "content": "Well.", "reasoning_details": details}),
        json!({"role": "assistant", "content": "Well.", "thinking_blocks": blocks}),
        json!({"role": "assistant", "content": "Well.", "reasoning_details": details, "thinking_blocks": blocks, "reasoning_content": thought}),
        json!({"role": "assistant", "content": parts}),
    ] {
        let body = chat_of_messages(
            json!([{"role": "user", "content": "?"}, message, {"role": "user", "content": "More"}]),
        );
        let sent = rig.sent_body(SONNET_4_5, body.clone()).await;
        assert_eq!(
            sent["messages"][1]["content"],
            json!([
                {"reasoningContent": {"reasoningText": {"text": thought, "signature": "s=="}}},
                {"reasoningContent": {"redactedContent": redacted}},
                {"text": "Well."},
            ])
        );
        for model in [NOVA_2, "openai.gpt-oss-20b-1:0", "us.deepseek.r1-v1:0"] {
            let sent = rig.sent_body(model, body.clone()).await;
            assert_eq!(sent["messages"][1]["content"], json!([{"text": "Well."}]), "{model}");
        }
    }
}

#[actix_web::test]
async fn reasoning_that_is_not_signed_or_anothers_is_left_out() {
    let rig = rig().await;
    for message in [
        json!({"role": "assistant", "content": "Well.", "reasoning_content": "hm"}),
        json!({"role": "assistant", "content": "Well.", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}),
        json!({"role": "assistant", "content": "Well.", "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": ""}]}),
        json!({"role": "assistant", "content": "Well.", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "google-gemini-v1"}]}),
    ] {
        let body = chat_of_messages(
            json!([{"role": "user", "content": "?"}, message, {"role": "user", "content": "More"}]),
        );
        let sent = rig.sent_body(SONNET_4_5, body).await;
        assert_eq!(sent["messages"][1]["content"], json!([{"text": "Well."}]));
    }
}

#[actix_web::test]
async fn claude_with_a_budget_does_not_think_on_in_a_loop_whose_reasoning_is_lost() {
    let rig = rig().await;
    let lost = [
        json!({"role": "user", "content": "Weather?"}),
        json!({"role": "assistant", "content": null, "tool_calls": [tool_call("a", "weather", "{}")]}),
        tool_result("a", "rain"),
    ];
    assert_eq!(rig.sent_body(SONNET_4_5, chat_after_reasoning(&lost)).await[FIELDS], Value::Null);
    assert_eq!(rig.sent_body(OPUS_4_8, chat_after_reasoning(&lost)).await[FIELDS], adaptive("low"));
    let over = [
        &lost[..],
        &[
            json!({"role": "assistant", "content": "Rain."}),
            json!({"role": "user", "content": "?"}),
        ],
    ]
    .concat();
    assert_eq!(rig.sent_body(SONNET_4_5, chat_after_reasoning(&over)).await[FIELDS], budget(1024));
}

#[actix_web::test]
async fn betas_are_those_that_the_request_names_and_the_admin_allows() {
    let rig = rig().await;
    let (thinking, context) = ("interleaved-thinking-2025-05-14", "context-1m-2025-08-07");
    for betas in [
        json!([thinking, "unheard-of", context, thinking]),
        json!(format!("{thinking}, {context}")),
    ] {
        for fields in
            [json!({"anthropic_beta": betas}), json!({"extra_body": {"anthropic_beta": betas}})]
        {
            let sent = rig.sent_body(SONNET_4_5, chat_with(fields.clone())).await;
            assert_eq!(sent[FIELDS], json!({"anthropic_beta": [thinking, context]}));
            assert_eq!(rig.sent_body(NOVA, chat_with(fields)).await[FIELDS], Value::Null);
        }
    }
    let strict = rig_with(&[("anthropic_betas", context)]).await;
    let fields = json!({"anthropic_beta": [thinking, context]});
    let sent = strict.sent_body(SONNET_4_5, chat_with(fields)).await;
    assert_eq!(sent[FIELDS], json!({"anthropic_beta": [context]}));
}

#[actix_web::test]
async fn claude_counts_the_tokens_that_it_has_thought_with() {
    let rig = rig().await;
    let fields = json!({"usage": {"output_tokens_details": {"thinking_tokens": 5}}});
    rig.script(ModelAnswer::with_text(["x"]).response_fields(fields));
    let answered = rig.ask(SONNET_4_5, chat_with(json!({"reasoning_effort": "low"}))).await.json;
    assert_eq!(answered["usage"]["completion_tokens_details"]["reasoning_tokens"], 5);
}
