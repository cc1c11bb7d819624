//! Parameters of a request: limits, samplers, stop sequences, and fields that Bedrock has nothing
//! for.

use super::*;

#[actix_web::test]
async fn the_newer_limit_wins_and_none_is_left_to_the_service() {
    let rig = rig().await;
    for (fields, sent) in [
        (json!({}), Value::Null),
        (json!({"max_tokens": 50}), json!(50)),
        (json!({"max_tokens": "50"}), json!(50)),
        (json!({"max_tokens": 50, "max_completion_tokens": 7}), json!(7)),
        (json!({"max_tokens": null, "max_completion_tokens": 1}), json!(1)),
        (json!({"max_tokens": 1_u64 << 40}), json!(10_000)),
    ] {
        let body = rig.sent_body(NOVA, chat_with(fields.clone())).await;
        assert_eq!(body["inferenceConfig"]["maxTokens"], sent, "{fields}");
    }
    // The limit of this model is not known.
    let body = rig.sent_body("deepseek.v3.2", chat_with(json!({"max_tokens": 1_u64 << 40}))).await;
    assert_eq!(body["inferenceConfig"]["maxTokens"], i32::MAX);
    for field in ["max_tokens", "max_completion_tokens"] {
        assert_eq!(rig.refused_field(NOVA, chat_with(json!({field: 0}))).await, field);
    }
}

#[actix_web::test]
async fn families_that_want_room_for_sixteen_tokens_get_it() {
    let rig = rig().await;
    for model in ["openai.gpt-5.4", "openai.gpt-6-sol", "xai.grok-4.7", "moonshotai.kimi-k3"] {
        let body = rig.sent_body(model, chat_with(json!({"max_tokens": 5}))).await;
        assert_eq!(body["inferenceConfig"]["maxTokens"], 16, "{model}");
    }
}

#[actix_web::test]
async fn each_family_gets_the_samplers_that_it_takes() {
    let rig = rig().await;
    let one = json!({"temperature": 0.3});
    for (model, sent) in [
        (NOVA, json!({"temperature": 0.3, "topP": 0.5})),
        (LLAMA, json!({"temperature": 0.3, "topP": 0.5})),
        (HAIKU_3, json!({"temperature": 0.3, "topP": 0.5})),
        ("anthropic.claude-sonnet-4-20250514-v1:0", json!({"temperature": 0.3, "topP": 0.5})),
        ("anthropic.claude-opus-4-1-20250805-v1:0", one.clone()),
        (SONNET_4_5, one.clone()),
        ("anthropic.claude-opus-4-6-v1", one),
        ("anthropic.claude-opus-4-7", Value::Null),
        ("anthropic.claude-mythos-5", Value::Null),
        ("openai.gpt-6-sol", Value::Null),
        ("xai.grok-4.7", json!({"temperature": 0.3, "topP": 0.5})),
    ] {
        let body = rig.sent_body(model, chat_with(json!({"temperature": 0.3, "top_p": 0.5}))).await;
        assert_eq!(body["inferenceConfig"], sent, "{model}");
    }
}

#[actix_web::test]
async fn one_sampler_alone_is_passed_on_whichever_it_is() {
    let rig = rig().await;
    let body = rig.sent_body(SONNET_4_5, chat_with(json!({"top_p": 0.5}))).await;
    assert_eq!(body["inferenceConfig"], json!({"topP": 0.5}));
}

#[actix_web::test]
async fn samplers_are_cut_to_what_converse_takes() {
    let rig = rig().await;
    for (given, sent) in [(json!(1.7), 1.0), (json!(0), 0.0), (json!("0.5"), 0.5)] {
        let body =
            rig.sent_body(NOVA, chat_with(json!({"temperature": given, "top_p": "0.25"}))).await;
        assert_eq!(body["inferenceConfig"], json!({"temperature": sent, "topP": 0.25}));
    }
}

#[actix_web::test]
async fn top_k_goes_where_the_family_has_a_place_for_it() {
    let rig = rig().await;
    for (model, sent) in [
        (HAIKU_3, json!({"top_k": 5})),
        (NOVA, json!({"inferenceConfig": {"topK": 5}})),
        ("cohere.command-r-v1:0", json!({"k": 5})),
        (LLAMA, Value::Null),
        ("mistral.mistral-large-2407-v1:0", Value::Null),
        (OPUS_4_8, Value::Null),
    ] {
        for fields in [json!({"top_k": 5}), json!({"extra_body": {"top_k": 5}})] {
            let body = rig.sent_body(model, chat_with(fields)).await;
            assert_eq!(body["additionalModelRequestFields"], sent, "{model}");
        }
    }
}

#[actix_web::test]
async fn texts_that_end_an_answer_go_out_where_the_family_takes_them() {
    let rig = rig().await;
    for (model, given, sent) in [
        (NOVA, json!("END"), json!(["END"])),
        (NOVA, json!(["END", "", "\n"]), json!(["END", "\n"])),
        (HAIKU_3, json!(["END", " ", "\n", ""]), json!(["END"])),
        (HAIKU_3, json!(["\n"]), Value::Null),
        ("openai.gpt-5.4", json!(["END"]), json!(["END"])),
        ("openai.gpt-5.6-sol", json!(["END"]), Value::Null),
        ("openai.gpt-6-astra", json!(["END"]), Value::Null),
        ("xai.grok-4.6", json!(["END"]), Value::Null),
        (NOVA, Value::Null, Value::Null),
    ] {
        let body = rig.sent_body(model, chat_with(json!({"stop": given}))).await;
        assert_eq!(body["inferenceConfig"]["stopSequences"], sent, "{model} {given}");
    }
}

/// OpenAI's fields that Bedrock has nothing for.
fn ignored_fields() -> [(&'static str, Value); 6] {
    [
        ("seed", json!(7)),
        ("frequency_penalty", json!(0.5)),
        ("presence_penalty", json!(0.5)),
        ("logit_bias", json!({"5": 1})),
        ("logprobs", json!(true)),
        ("top_logprobs", json!(3)),
    ]
}

#[actix_web::test]
async fn fields_that_bedrock_has_nothing_for_change_nothing() {
    let rig = rig().await;
    for model in [NOVA, "xai.grok-4.7", "openai.gpt-oss-20b-1:0"] {
        let plain = rig.sent_body(model, chat_with(json!({}))).await;
        for (field, value) in ignored_fields() {
            assert_eq!(
                rig.sent_body(model, chat_with(json!({field: value}))).await,
                plain,
                "{field}"
            );
        }
    }
}

#[actix_web::test]
async fn fields_that_bedrock_has_nothing_for_are_refused_if_the_admin_wants_it_so() {
    let rig = rig_with(&[("refuse_ignored", "true")]).await;
    for (field, value) in ignored_fields() {
        assert_eq!(rig.refused_field(NOVA, chat_with(json!({field: value}))).await, field);
        rig.sent_body(NOVA, chat_with(json!({field: null}))).await;
    }
}

#[actix_web::test]
async fn up_to_eight_answers_are_given_to_a_request_and_more_are_refused() {
    let rig = rig().await;
    rig.sent_body(NOVA, chat_with(json!({"n": 1}))).await;
    for n in [9, 0] {
        assert_eq!(rig.refused_field(NOVA, chat_with(json!({"n": n}))).await, "n");
    }
}
