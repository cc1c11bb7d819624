//! The answers of scripts, streamed and in one piece.

use crate::client::{Ask, LITE, payloads};
use bedrock_emulator::{ANY, Emulator, EmulatorOptions, ModelAnswer, Script, TokenUsage};
use http::Method;
use serde_json::{Value, json};

fn started(answer: &ModelAnswer) -> Emulator {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    emulator.script(ANY, Script::answer(answer.clone()).always());
    emulator
}

fn asking(path: &str, extra: &Value) -> Ask {
    let mut body = crate::client::hello();
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Ask::new(Method::POST, &format!("/model/{LITE}/{path}"), &body)
}

/// Returns the end of an answer, streamed and in one piece.
async fn endings(answer: &ModelAnswer, extra: &Value) -> [Value; 2] {
    let emulator = started(answer);
    let events =
        payloads(asking("converse-stream", extra).send(&emulator).await.unwrap().into_body()).await;
    let mut streamed = json!({});
    for event in events.iter().rev().take(2) {
        streamed.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    }
    let (_, whole) = asking("converse", extra).json(&emulator).await;
    [streamed, whole]
}

#[tokio::test]
async fn the_end_tells_whatever_it_is_scripted_to_tell() {
    let trace =
        json!({ "guardrail": { "actionReason": "Guardrail blocked.", "inputAssessment": {} } });
    let answer = ModelAnswer::with_text(["Sorry."])
        .stop("a_reason_yet_unknown")
        .response_fields(json!({ "usage": { "output_tokens_details": { "thinking_tokens": 9 } } }))
        .metadata("trace", trace.clone())
        .metadata("serviceTier", json!({ "type": "default" }));
    let asked = json!({ "serviceTier": { "type": "flex" }, "performanceConfig": { "latency": "optimized" } });
    for end in endings(&answer, &asked).await {
        assert_eq!(end["stopReason"], "a_reason_yet_unknown");
        assert_eq!(
            end["additionalModelResponseFields"]["usage"]["output_tokens_details"]["thinking_tokens"],
            9
        );
        assert_eq!(end["trace"], trace);
        assert_eq!(end["serviceTier"]["type"], "default");
        assert_eq!(end["performanceConfig"]["latency"], "optimized");
    }
}

#[tokio::test]
async fn sources_and_reasoning_are_sent_streamed_and_whole() {
    let citation = json!({ "title": "Atlas", "sourceContent": [{ "text": "Lima" }] });
    let emulator = started(
        &ModelAnswer::new().redacted(b"secret").text_with_citations(["Lima."], [citation.clone()]),
    );
    let events = payloads(Ask::stream(LITE).send(&emulator).await.unwrap().into_body()).await;
    let deltas: Vec<_> = events.iter().filter_map(|event| event.get("delta")).collect();
    let hidden = json!({ "reasoningContent": { "redactedContent": "c2VjcmV0" } });
    assert_eq!(deltas, [&hidden, &json!({ "text": "Lima." }), &json!({ "citation": citation })]);
    let (_, whole) = Ask::converse(LITE).json(&emulator).await;
    let cited = json!({ "citationsContent": { "content": [{ "text": "Lima." }], "citations": [citation] } });
    assert_eq!(whole["output"]["message"]["content"], json!([hidden, cited]));
}

#[tokio::test]
async fn a_signed_thought_comes_back_as_it_was_or_not_at_all() {
    const HAIKU: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
    let emulator = started(&ModelAnswer::new().reasoning(["H", "m."], "sig").text(["So."]));
    let (_, whole) = Ask::converse(HAIKU).json(&emulator).await;
    let content = whole["output"]["message"]["content"].clone();
    let mut trimmed = content.clone();
    trimmed[0]["reasoningContent"]["reasoningText"]["text"] = "Hm".into();
    for (content, status) in [(content, 200), (trimmed, 400)] {
        let user = json!({ "role": "user", "content": [{ "text": "hi" }] });
        let chat = json!({ "messages": [user, { "role": "assistant", "content": content }, user] });
        let ask = Ask::new(Method::POST, &format!("/model/{HAIKU}/converse"), &chat);
        assert_eq!(ask.json(&emulator).await.0, status);
    }
}

#[tokio::test]
async fn a_prompt_that_comes_again_is_read_from_the_cache() {
    let system = json!({ "system": [{ "text": "Be kind.".repeat(50) }, { "cachePoint": { "type": "default" } }] });
    let counts = |end: &Value| {
        ["inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"]
            .map(|name| end["usage"][name].as_u64())
    };
    let [first, second] = endings(&ModelAnswer::with_text(["ok"]), &system).await;
    assert_eq!(counts(&first), [Some(2), Some(0), Some(100)]);
    assert_eq!(counts(&second), [Some(2), Some(100), Some(0)]);
    let given = TokenUsage { input: 7, output: 1, cache_read: None, cache_write: None };
    for end in endings(&ModelAnswer::with_text(["ok"]).usage(given), &system).await {
        assert_eq!(counts(&end), [Some(7), None, None]);
    }
    for end in endings(&ModelAnswer::with_text(["ok"]), &json!({})).await {
        assert_eq!(counts(&end), [Some(10), None, None]);
    }
}
