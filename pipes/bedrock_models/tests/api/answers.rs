//! Answers: text, reasoning, tool calls, usage, and the end of the stream.

use crate::support::*;
use bedrock_emulator::{
    ANY, ExchangeOutcome, InjectedFault, ModelAnswer, Script, StreamEvent, TokenUsage,
};
use futures_util::StreamExt;
use pipe_sdk::{Chunk, FinishReason, ToolCallDelta};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn text_comes_as_it_is_made_and_the_usage_after_the_finish() {
    let rig = rig().await;
    rig.bedrock.script(ANY, Script::answer(ModelAnswer::with_text(["Hel", "lo", " wörld 🦀"])));
    let chunks = rig.chunks(HAIKU, hello()).await.unwrap();
    let usage = pipe_sdk::Usage { prompt_tokens: 10, completion_tokens: 5, ..Default::default() };
    assert_eq!(
        chunks,
        [
            Chunk::Role,
            Chunk::Content("Hel".into()),
            Chunk::Content("lo".into()),
            Chunk::Content(" wörld 🦀".into()),
            Chunk::Finish(FinishReason::Stop),
            Chunk::Usage(usage),
        ]
    );
}

#[tokio::test]
async fn what_is_read_from_a_cache_counts_as_prompt() {
    let rig = rig().await;
    let usage = TokenUsage { input: 10, output: 7, cache_read: Some(100), cache_write: Some(5) };
    rig.bedrock.script(ANY, Script::answer(ModelAnswer::with_text(["x"]).usage(usage)));
    let usage = rig.answer(HAIKU, hello()).await.unwrap().usage.unwrap();
    let told = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens());
    assert_eq!(told, (115, 7, 122));
    assert_eq!((usage.cached_tokens, usage.cache_creation_tokens), (Some(100), Some(5)));
}

#[tokio::test]
async fn reasoning_and_calls_at_gapped_indexes_come_in_dense_order() {
    let rig = rig().await;
    let answer = ModelAnswer::new()
        .reasoning(["Let me ", "see."], "signed")
        .text(["I look."])
        .tool("tooluse_a", "weather", [r#"{"city":"#, r#""Ulm"}"#])
        .tool("tooluse_b", "time", Vec::<String>::new())
        .at_index(5)
        .interleaved();
    rig.bedrock.script(ANY, Script::answer(answer));
    let body = json!({"messages": [{"role": "user", "content": "?"}], "tools": [tool("weather"), tool("time")]});
    let chunks = rig.chunks(HAIKU, body.clone()).await.unwrap();
    let first = chunks.iter().find_map(|chunk| match chunk {
        Chunk::ToolCall(delta) => Some(delta.clone()),
        _ => None,
    });
    let begun = ToolCallDelta {
        index: 0,
        id: Some("tooluse_a".into()),
        name: Some("weather".into()),
        arguments: String::new(),
    };
    assert_eq!(first, Some(begun));
    let mut answer = pipe_sdk::Answer::default();
    chunks.into_iter().for_each(|chunk| answer.add(chunk));
    assert_eq!((answer.reasoning.as_str(), answer.content.as_str()), ("Let me see.", "I look."));
    let calls: Vec<_> = answer
        .tool_calls
        .iter()
        .map(|call| (call.function.name.as_str(), call.function.arguments.as_str()))
        .collect();
    assert_eq!(calls, [("weather", r#"{"city":"Ulm"}"#), ("time", "{}")]);
    assert_eq!(answer.finish, Some(FinishReason::ToolCalls));
}

#[tokio::test]
async fn a_tool_name_that_bedrock_does_not_take_comes_back_as_it_was() {
    let rig = rig().await;
    let name = format!("server.{}", "long_".repeat(17));
    let body = json!({"messages": [{"role": "user", "content": "?"}], "tools": [tool(&name)]});
    rig.answer(HAIKU, body.clone()).await.unwrap();
    let sent = rig.last_body()["toolConfig"]["tools"][0]["toolSpec"]["name"].clone();
    let sent = sent.as_str().unwrap();
    assert!(sent.len() <= 64 && !sent.contains('.'));
    rig.bedrock.clear_scripts();
    rig.bedrock.script(ANY, Script::answer(ModelAnswer::new().tool("t", sent, ["{}"])));
    let answer = rig.answer(HAIKU, body).await.unwrap();
    assert_eq!(answer.tool_calls[0].function.name, name);
}

#[tokio::test]
async fn calls_and_text_of_a_cut_answer_are_all_there() {
    let rig = rig().await;
    let answer =
        ModelAnswer::with_text(["so"]).tool("t", "weather", [r#"{"ci"#]).stop("max_tokens");
    rig.bedrock.script(ANY, Script::answer(answer));
    let body = json!({"messages": [{"role": "user", "content": "?"}], "tools": [tool("weather")]});
    let answer = rig.answer(HAIKU, body).await.unwrap();
    assert_eq!(answer.content, "so");
    assert_eq!(answer.tool_calls[0].function.arguments, r#"{"ci"#);
    assert_eq!(answer.finish, Some(FinishReason::Length));
}

#[tokio::test]
async fn unknown_events_are_skipped() {
    let rig = rig().await;
    let script = Script::answer(ModelAnswer::with_text(["a", "b"]))
        .insert(
            1,
            StreamEvent::new("contentBlockStart", json!({"start": {}, "contentBlockIndex": 0})),
        )
        .insert(2, StreamEvent::new("somethingNew", json!({"x": 1})));
    rig.bedrock.script(ANY, script);
    assert_eq!(rig.answer(HAIKU, hello()).await.unwrap().content, "ab");
}

#[tokio::test]
async fn a_dropped_stream_closes_its_connection() {
    let rig = rig().await;
    let script =
        Script::answer(ModelAnswer::with_text(["a", "b", "c"])).fail_after(2, InjectedFault::Hang);
    rig.bedrock.script(ANY, script);
    let request = rig.bedrock.requests().len();
    let mut stream = rig.stream(HAIKU, hello()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), Chunk::Role);
    drop(stream);
    let ending =
        tokio::time::timeout(Duration::from_secs(1), rig.bedrock.wait_for_outcome(request)).await;
    assert_eq!(ending, Ok(ExchangeOutcome::Aborted));
}

#[tokio::test]
async fn a_call_that_is_given_up_before_it_is_answered_closes_its_connection() {
    let rig = rig().await;
    rig.bedrock.script(ANY, Script::hang());
    let request = rig.bedrock.requests().len();
    let asking = rig.stream(HAIKU, hello());
    tokio::select! {
        _ = asking => panic!("answered"),
        _ = rig.bedrock.wait_for_requests(request + 1) => {}
    }
    let ending =
        tokio::time::timeout(Duration::from_secs(1), rig.bedrock.wait_for_outcome(request)).await;
    assert_eq!(ending, Ok(ExchangeOutcome::Aborted));
}

#[tokio::test]
async fn answers_one_after_the_other_share_a_connection() {
    let rig = rig().await;
    rig.answer(HAIKU, hello()).await.unwrap();
    let accepted = rig.bedrock.connection_counts().accepted;
    for _ in 0..5 {
        rig.answer(HAIKU, hello()).await.unwrap();
    }
    assert_eq!(rig.bedrock.connection_counts().accepted, accepted);
}

#[tokio::test]
async fn a_forbidden_call_is_not_sent_even_if_the_model_makes_it() {
    let rig = rig().await;
    rig.bedrock.script(
        ANY,
        Script::answer(ModelAnswer::with_text(["Well."]).tool("t", "weather", ["{}"])),
    );
    let answer = rig
        .answer(
            HAIKU,
            json!({
                "messages": [
                    {"role": "user", "content": "Weather?"},
                    {"role": "assistant", "content": null, "tool_calls": [called("a", "weather", "{}")]},
                    {"role": "tool", "tool_call_id": "a", "content": "rain"},
                ],
                "tools": [tool("weather")],
                "tool_choice": "none",
            }),
        )
        .await
        .unwrap();
    assert_eq!((answer.content.as_str(), answer.tool_calls.len()), ("Well.", 0));
    assert_eq!(answer.finish, Some(FinishReason::Stop));
}

pub fn tool(name: &str) -> serde_json::Value {
    json!({"type": "function", "function": {"name": name, "description": "", "parameters": {"type": "object", "properties": {}}}})
}

pub fn called(id: &str, name: &str, arguments: &str) -> serde_json::Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}
