//! Calls that are alike share what the provider caches of their question.

use super::content;
use crate::{
    bedrock::host_of,
    support::{Builder, chat},
};
use bedrock_emulator::{Catalogue, Emulator, EmulatorOptions};
use serde_json::{Value, json};

const MODEL: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

/// Asks for five answers to a long question, and returns the usage of all calls.
async fn usage_with_cache(cache_above_tokens: u64) -> Value {
    let catalogue = Catalogue::all_chat_models();
    let bedrock =
        Emulator::start(EmulatorOptions { catalogue, ..EmulatorOptions::default() }).unwrap();
    let host = host_of(Builder::new(), &bedrock, &[]).await;
    let valves = json!({"cache_above_tokens": cache_above_tokens});
    assert_eq!(host.update_valves("optimizer", &valves).await.status, 200);
    let mut body = chat(&format!("bon-bedrock_models.{MODEL}"), "What is asked?");
    body["messages"] = json!([
        {"role": "system", "content": "A rule that matters. ".repeat(1000)},
        {"role": "user", "content": "What is asked?"},
    ]);
    body["best_of_n"] = 5.into();
    let answered = host.post("/chat/completions", &body).await;
    assert!(!content(&answered).is_empty());
    answered.json["usage"].clone()
}

#[actix_web::test]
async fn the_first_call_fills_the_cache_for_the_others() {
    let usage = usage_with_cache(1024).await;
    let prompt = usage["prompt_tokens"].as_u64().unwrap();
    let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
    // Of five calls, the first writes, and the others read.
    let share = cached as f64 / prompt as f64;
    assert!((0.75..=0.8).contains(&share), "{usage}");
    let written = usage["prompt_tokens_details"]["cache_creation_tokens"].as_u64().unwrap();
    assert!(written > 0 && written < prompt / 4, "{usage}");
}
