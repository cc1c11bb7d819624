//! The bodies of Converse for one chat, as snapshots: a model of each family.

use super::*;
use insta::assert_json_snapshot;

/// The models, by the names of their snapshots, and whether they take tools.
const MODELS: [(&str, &str, bool); 8] = [
    ("claude-3-haiku", HAIKU_3, true),
    ("claude-sonnet-4-5", SONNET_4_5, true),
    ("claude-opus-4-8", OPUS_4_8, true),
    ("nova-lite", NOVA, true),
    ("nova-2-lite", NOVA_2, true),
    ("llama-3-3", LLAMA, true),
    ("mistral-7b", MISTRAL_7B, false),
    ("deepseek-v3-2", "deepseek.v3.2", true),
];

/// Returns a chat with the fields that most clients send.
fn chat_of(takes_tools: bool) -> Value {
    let mut body = json!({
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How is the weather in Paris?"},
        ],
        "max_tokens": 500,
        "temperature": 0.5,
        "stop": ["END"],
    });
    if takes_tools {
        let messages = body["messages"].as_array_mut().unwrap();
        let calls = json!([tool_call("call_1", "weather", r#"{"city": "Paris"}"#)]);
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
        messages.push(tool_result("call_1", "rain"));
        messages
            .push(json!({"role": "user", "content": [{"type": "text", "text": "And in Rome?"}]}));
        body["tools"] = json!([tool("weather")]);
        body["tool_choice"] = "auto".into();
    }
    body
}

#[actix_web::test]
async fn converse_gets_a_chat_in_the_form_of_each_family() {
    let rig = rig().await;
    for (name, model, takes_tools) in MODELS {
        let body = rig.sent_body(model, chat_of(takes_tools)).await;
        assert_json_snapshot!(name, body);
    }
}

#[actix_web::test]
async fn converse_gets_reasoning_in_the_form_of_each_family() {
    let rig = rig().await;
    for (name, model) in [
        ("reasoning-claude-sonnet-4-5", SONNET_4_5),
        ("reasoning-claude-opus-4-8", OPUS_4_8),
        ("reasoning-nova-2-lite", NOVA_2),
    ] {
        let body = rig.sent_body(model, chat_with(json!({"reasoning_effort": "medium"}))).await;
        assert_json_snapshot!(name, body);
    }
}
