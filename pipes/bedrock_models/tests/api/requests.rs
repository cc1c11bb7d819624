//! The requests that Bedrock gets for requests of clients.

use crate::{
    answers::{called, tool},
    support::*,
};
use serde_json::{Value, json};

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

async fn asked(model: &str, body: Value) -> Value {
    let rig = rig().await;
    rig.answer(model, body).await.unwrap();
    rig.last_body()
}

async fn refused(model: &str, body: Value) -> (String, String) {
    // No links: a test asks nothing of the network.
    let rig = rig_with(|valves| valves.image_hosts = None).await;
    let error = rig.answer(model, body).await.unwrap_err();
    assert!(rig.asked().is_empty(), "refused before anything is asked");
    match error {
        pipe_sdk::PipeError::BadRequest { message, param, .. } => {
            (param.unwrap_or_default(), message)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_conversation_goes_out_in_turns_with_its_settings() {
    let body = json!({
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": " "}]},
            {"role": "user", "content": "Hi"},
            {"role": "user", "content": "there"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "More"},
        ],
        "temperature": 1.5, "top_p": 0.9, "max_tokens": 50, "stop": ["END"], "seed": 7, "logit_bias": {}, "user": "u",
    });
    assert_eq!(
        asked(HAIKU, body).await,
        json!({
            "system": [{"text": "Be brief."}, {"text": "Be kind."}],
            "messages": [
                {"role": "user", "content": [{"text": "Hi"}, {"text": "there"}]},
                {"role": "assistant", "content": [{"text": "Hello!"}]},
                {"role": "user", "content": [{"text": "More"}]},
            ],
            "inferenceConfig": {"maxTokens": 50, "temperature": 1.0, "topP": 0.9, "stopSequences": ["END"]},
        })
    );
}

#[tokio::test]
async fn a_picture_goes_out_as_it_came_and_as_what_it_is() {
    let url = format!("data:image/jpeg;base64,{PNG}");
    let body = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}},
    ]}]});
    let sent = asked(HAIKU, body.clone()).await;
    assert_eq!(
        sent["messages"][0]["content"][1],
        json!({"image": {"format": "png", "source": {"bytes": PNG}}})
    );
    let (param, words) = refused(MICRO, body).await;
    assert_eq!(param, "messages[0].content[1]");
    assert!(words.contains("takes no images"), "{words}");
}

#[tokio::test]
async fn a_picture_behind_a_link_is_refused_with_its_place() {
    let part = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let body = json!({"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": [part]}]});
    let (param, words) = refused(HAIKU, body).await;
    assert_eq!(param, "messages[1].content[0]");
    assert!(words.contains("send a data URL"), "{words}");
}

#[tokio::test]
async fn results_answer_their_calls_in_order_whatever_order_they_came_in() {
    let body = json!({
        "messages": [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": null, "tool_calls": [
                called("call_0", "weather", r#"{"z": 1, "a": 2.0}"#), called("call_1", "time", ""), called("call_2", "time", "odd"),
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": ""},
            {"role": "tool", "tool_call_id": "call_0", "content": "{\"rain\": true}"},
            {"role": "tool", "tool_call_id": "nobody", "content": "lost"},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "tool_calls": [called("call_0", "weather", "{}")]},
            {"role": "tool", "tool_call_id": "call_0", "content": "sun"},
        ],
        "tools": [tool("weather"), tool("time")],
    });
    let sent = asked(HAIKU, body).await;
    let turn = |at: usize| &sent["messages"][at]["content"];
    assert_eq!(
        turn(1)[0]["toolUse"],
        json!({"toolUseId": "call_0", "name": "weather", "input": {"z": 1, "a": 2.0}})
    );
    assert_eq!(turn(1)[1]["toolUse"]["input"], json!({}));
    assert_eq!(
        *turn(2),
        json!([
            {"toolResult": {"toolUseId": "call_0", "content": [{"text": "{\"rain\": true}"}]}},
            {"toolResult": {"toolUseId": "call_1", "content": [{"text": "(empty)"}]}},
            {"toolResult": {"toolUseId": "call_2", "content": [{"text": "no result"}], "status": "error"}},
            {"text": "The result of a tool:"},
            {"text": "lost"},
            {"text": "And?"},
        ])
    );
    assert_eq!(turn(3)[0]["toolUse"]["toolUseId"], "call_0_2");
    assert_eq!(turn(4)[0]["toolResult"]["toolUseId"], "call_0_2");
}

#[tokio::test]
async fn the_choice_of_a_tool_is_passed_on_where_the_family_takes_it() {
    let body = |choice: Value| json!({"messages": [{"role": "user", "content": "?"}], "tools": [tool("time")], "tool_choice": choice});
    let named = json!({"type": "function", "function": {"name": "time"}});
    for (model, choice, sent) in [
        (HAIKU, json!("auto"), Value::Null),
        (HAIKU, json!("required"), json!({"any": {}})),
        (HAIKU, named.clone(), json!({"tool": {"name": "time"}})),
        ("mistral.mistral-large-2402-v1:0", named, Value::Null),
    ] {
        let config = asked(model, body(choice)).await["toolConfig"].clone();
        assert_eq!(config["toolChoice"], sent, "{model}");
    }
    assert_eq!(asked(HAIKU, body(json!("none"))).await["toolConfig"], Value::Null);
    let unknown = json!({"type": "function", "function": {"name": "nobody"}});
    assert_eq!(refused(HAIKU, body(unknown)).await.0, "tool_choice");
}

#[tokio::test]
async fn a_conversation_with_calls_brings_their_tools_even_if_the_client_does_not() {
    let body = json!({"messages": [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "", "tool_calls": [called("a", "my.tool", "{}")]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]});
    let sent = asked(HAIKU, body.clone()).await;
    let name = &sent["messages"][1]["content"][0]["toolUse"]["name"];
    assert_eq!(sent["toolConfig"]["tools"][0]["toolSpec"]["name"], *name);
    let plain = asked("us.deepseek.r1-v1:0", body).await;
    assert_eq!(plain["toolConfig"], Value::Null);
    assert_eq!(plain["messages"][1]["content"][0]["text"], "I called the tool `my.tool` with {}");
}

#[tokio::test]
async fn a_conversation_that_begins_or_ends_with_the_assistant_is_settled() {
    let body = json!({"messages": [
        {"role": "assistant", "content": "Welcome."},
        {"role": "user", "content": "Write a poem."},
        {"role": "assistant", "content": "Roses are \n"},
    ]});
    let sent = asked(HAIKU, body.clone()).await;
    assert_eq!(sent["messages"][0], json!({"role": "user", "content": [{"text": "."}]}));
    assert_eq!(sent["messages"][3]["content"][0]["text"], "Roses are");
    let newer = asked("us.anthropic.claude-sonnet-4-6", body).await;
    assert_eq!(newer["messages"][4]["role"], "user");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_its_field() {
    let user = json!({"role": "user", "content": "?"});
    for (body, field) in [
        (json!({"messages": [user], "max_tokens": 0}), "max_tokens"),
        (json!({"messages": [user], "max_completion_tokens": 0}), "max_completion_tokens"),
        (json!({"messages": [user], "tools": [{"type": "web_search"}]}), "tools[0].type"),
        (json!({"messages": [user], "tools": [tool("a"), tool("")]}), "tools[1].function.name"),
        (
            json!({"messages": [user, {"role": "user", "content": [{"type": "input_audio"}]}]}),
            "messages[1].content[0]",
        ),
    ] {
        assert_eq!(refused(HAIKU, body.clone()).await.0, field, "{body}");
    }
}

#[tokio::test]
async fn the_same_chat_gives_the_same_bytes_and_schemas_keep_their_order() {
    let rig = rig().await;
    let schema = r#"{"type":"object","zeta":1.0,"properties":{"y":{"type":"string"},"b":{},"a":{"z":1e3,"c":2}}}"#;
    let tool: Value = json!({"type": "function", "function": {"name": "f", "parameters": serde_json::from_str::<Value>(schema).unwrap()}});
    let body = json!({"messages": [{"role": "user", "content": "?"}], "tools": [tool]});
    for _ in 0..10 {
        rig.answer(HAIKU, body.clone()).await.unwrap();
    }
    let asked = rig.asked();
    assert!(asked.iter().all(|request| request.body == asked[0].body));
    let text = String::from_utf8(asked[0].body.to_vec()).unwrap();
    assert!(text.contains(r#""y":{"type":"string"},"b":{},"a":{"z":"#), "{text}");
}

#[tokio::test]
async fn a_model_by_its_arn_is_asked_in_its_region() {
    let rig = rig().await;
    let arn = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/p8d4w6t0z5cd";
    for id in [arn, "app/research-team"] {
        rig.answer(id, hello()).await.unwrap();
        let asked = rig.asked().pop().unwrap();
        assert_eq!((asked.region.as_str(), asked.target.as_deref()), ("us-west-2", Some(arn)));
    }
}
