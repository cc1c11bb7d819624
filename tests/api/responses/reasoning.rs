//! Reasoning that a client keeps and sends back.

use super::{CLAUDE, converted, look_tool, respond};
use crate::bedrock::{emulator, host, sent_bodies};
use bedrock_emulator::{ANY, Emulator, ModelAnswer, Script};
use serde_json::{Value, json};

/// Asks with reasoning, and sends what came back with the result of the call; what Bedrock gets of
/// it.
async fn replay_reasoning(emulator: &Emulator, include: Value) -> Value {
    let host = host(emulator).await;
    let answer = ModelAnswer::new().reasoning(["hm"], "signed").redacted(b"hidden").tool(
        "t1",
        "look",
        ["{}"],
    );
    emulator.script(ANY, Script::answer(answer));
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
    let mut fields =
        json!({"tools": [look_tool()], "reasoning": {"effort": "low"}, "include": include});
    let first = respond(&host, CLAUDE, fields.clone()).await;
    let mut input = vec![json!({"role": "user", "content": "hi"})];
    input.extend(first["output"].as_array().unwrap().clone());
    input.push(json!({"type": "function_call_output", "call_id": "t1", "output": "seen"}));
    fields["input"] = input.into();
    respond(&host, CLAUDE, fields).await;
    sent_bodies(emulator).pop().unwrap()["messages"][1]["content"].take()
}

#[actix_web::test]
async fn reasoning_that_is_sent_back_keeps_its_signature() {
    let emulator = emulator();
    let said = replay_reasoning(&emulator, json!(["reasoning.encrypted_content"])).await;
    assert_eq!(
        said,
        json!([
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "signed"}}},
            {"reasoningContent": {"redactedContent": "aGlkZGVu"}},
            {"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}},
        ])
    );
}

#[actix_web::test]
async fn reasoning_without_its_signature_is_left_out() {
    let emulator = emulator();
    let said = replay_reasoning(&emulator, json!([])).await;
    assert_eq!(said, json!([{"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}}]));
    for foreign in [json!("gAAAAABo"), json!("!"), json!("W10="), json!(null)] {
        let input = json!([
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": foreign},
            {"role": "user", "content": "hi"}]);
        let sent = converted(CLAUDE, json!({"input": input})).await;
        assert_eq!(sent["messages"], json!([{"role": "user", "content": [{"text": "hi"}]}]));
    }
}
