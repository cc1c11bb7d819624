//! A demo model, whose answers describe the request.

mod example_value;
mod request_summary;
mod sources;
mod task;

use crate::catalogue::FoundationModel;
use crate::model_answer::ModelAnswer;
use crate::prompt_cache::CachedTokens;
use crate::tokens;
use crate::usage::TokenUsage;
use aws_smithy_types::base64;
use request_summary::RequestSummary;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const CHARS_PER_TOKEN: usize = 4;
const FRAGMENT_CHARS: usize = 12;

/// Returns a short answer to a `Converse` body.
pub(crate) fn answer(
    model: &FoundationModel,
    region: &str,
    body: &Value,
    cached: Option<CachedTokens>,
) -> ModelAnswer {
    let request = RequestSummary::new(body);
    let thoughts = is_reasoning(model, &request).then(|| reasoning_text(&request));
    let start = thoughts.as_deref().map_or_else(ModelAnswer::new, |thoughts| {
        ModelAnswer::new().reasoning(split_words(thoughts), &signature(model, thoughts))
    });
    if let Some(tool) = request.wanted_tool() {
        let input =
            example_value::generate(&tool["inputSchema"]["json"], request.text()).to_string();
        let name = tool["name"].as_str().unwrap_or_default();
        return start
            .tool(&tool_use_id(), name, split_fragments(&input))
            .usage(estimate_usage(body, &input, cached));
    }
    let (text, stop) = truncate(&reply(model, region, &request), body);
    start.text(split_words(&text)).stop(stop).usage(estimate_usage(body, &text, cached))
}

/// Returns the text with which the demo answers a request.
fn reply(model: &FoundationModel, region: &str, request: &RequestSummary<'_>) -> String {
    if let Some(schema) = request.answer_schema() {
        return example_value::generate(&schema, request.text()).to_string();
    }
    if let Some(json) = task::task_answer(request.text()) {
        return json;
    }
    if let Some(result) = request.tool_result() {
        return format!("The tool says: {}", excerpt(&result, 400));
    }
    if let Some(answer) = sources::answer_from_sources(request.text()) {
        return answer;
    }
    let mut lines =
        vec![format!("Hello from **{}** in {region}, played by the Bedrock emulator.", model.name)];
    lines.extend(
        request.has_text().then(|| format!("You wrote: “{}”", excerpt(request.text(), 120))),
    );
    lines.extend(describe_media("image", &request.images()));
    lines.extend(describe_media("document", &request.documents()));
    lines.extend(request.has_system().then(|| "I keep to your system prompt.".to_owned()));
    lines.join("\n\n")
}

fn describe_media(what: &str, media: &[String]) -> Option<String> {
    let plural = if media.len() == 1 { "" } else { "s" };
    (!media.is_empty())
        .then(|| format!("I got {} {what}{plural}: {}.", media.len(), media.join(", ")))
}

/// Returns the beginning of a text, with an ellipsis if the text is longer.
fn excerpt(text: &str, chars: usize) -> String {
    let beginning: String = text.chars().take(chars).collect();
    if beginning.len() < text.len() { format!("{}…", beginning.trim_end()) } else { beginning }
}

fn is_reasoning(model: &FoundationModel, request: &RequestSummary<'_>) -> bool {
    model.has_capability('R')
        && (request.enables_reasoning()
            || ["DeepSeek", "OpenAI"].contains(&model.provider.as_str()))
}

fn reasoning_text(request: &RequestSummary<'_>) -> String {
    format!(
        "The user wrote “{}”. A short and friendly answer will do.",
        excerpt(request.text(), 60)
    )
}

/// Returns a signature of the reasoning for Claude, which other models do not have.
fn signature(model: &FoundationModel, thoughts: &str) -> String {
    if model.provider == "Anthropic" {
        base64::encode(Sha256::digest(thoughts))
    } else {
        String::new()
    }
}

fn tool_use_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("tooluse_{}", id.chars().take(22).collect::<String>())
}

/// Truncates the text at `stopSequences` and `maxTokens`, and returns it with the stop reason.
fn truncate(text: &str, body: &Value) -> (String, &'static str) {
    let config = &body["inferenceConfig"];
    let stops = config["stopSequences"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let stopped = stops.filter_map(|stop| text.find(stop)).min().and_then(|at| text.get(..at));
    let most = config["maxTokens"]
        .as_u64()
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(usize::MAX);
    let most = most.saturating_mul(CHARS_PER_TOKEN);
    let said = stopped.unwrap_or(text);
    if said.chars().count() > most {
        return (said.chars().take(most).collect(), "max_tokens");
    }
    (said.to_owned(), if stopped.is_some() { "stop_sequence" } else { "end_turn" })
}

fn split_words(text: &str) -> Vec<&str> {
    text.split_inclusive(' ').collect()
}

fn split_fragments(json: &str) -> Vec<String> {
    let letters: Vec<_> = json.chars().collect();
    letters.chunks(FRAGMENT_CHARS).map(|part| part.iter().collect()).collect()
}

/// Returns estimated token counts.
fn estimate_usage(body: &Value, said: &str, cached: Option<CachedTokens>) -> TokenUsage {
    let output = tokens::estimate(&Value::from(said)).max(1);
    let parts = [&body["system"], &body["toolConfig"], &body["messages"]];
    let input = parts.into_iter().map(tokens::estimate).sum();
    TokenUsage { input, output, cache_read: None, cache_write: None }.with_cached_tokens(cached)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::event::fold;
    use serde_json::json;
    use std::time::Duration;

    async fn fold_answer(model: &str, body: Value) -> Value {
        let catalogue = Catalogue::default();
        let answer = answer(catalogue.model(model).unwrap(), "us-west-2", &body, None);
        fold(answer.stream(Duration::ZERO)).await.unwrap()
    }

    fn says(text: &str) -> Value {
        json!({ "messages": [{ "role": "user", "content": [{ "text": text }] }] })
    }

    fn with(mut body: Value, name: &str, value: Value) -> Value {
        body[name] = value;
        body
    }

    fn text(answer: &Value) -> &str {
        answer["output"]["message"]["content"][0]["text"].as_str().unwrap()
    }

    #[tokio::test]
    async fn it_tells_what_it_understood() {
        let mut body = with(says("What is this?"), "system", json!([{ "text": "Be kind." }]));
        let image = json!({ "image": { "format": "png", "source": { "bytes": base64::encode([0; 2048]) } } });
        body["messages"][0]["content"].as_array_mut().unwrap().push(image);
        let answer = fold_answer("amazon.nova-lite-v1:0", body).await;
        for part in
            ["**Nova Lite** in us-west-2", "“What is this?”", "1 image: png, 2 kB", "system prompt"]
        {
            assert!(text(&answer).contains(part), "{answer}");
        }
    }

    #[tokio::test]
    async fn it_calls_a_tool_it_is_asked_for_and_answers_with_the_result() {
        let tools = json!({ "tools": [{ "toolSpec": { "name": "get_weather", "inputSchema": { "json": {
            "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] } } } }] });
        let mut body = with(says("How is the weather in Lisbon?"), "toolConfig", tools);
        let answer = fold_answer("amazon.nova-lite-v1:0", body.clone()).await;
        let call = answer["output"]["message"]["content"][0]["toolUse"].clone();
        assert_eq!(
            (&call["name"], &call["input"]),
            (&json!("get_weather"), &json!({ "city": "Lisbon" }))
        );
        assert_eq!(answer["stopReason"], "tool_use");

        let result = json!({ "toolResult": { "toolUseId": call["toolUseId"], "content": [{ "text": "sunny" }] } });
        let turns = body["messages"].as_array_mut().unwrap();
        turns.push(answer["output"]["message"].clone());
        turns.push(json!({ "role": "user", "content": [result] }));
        assert_eq!(text(&fold_answer("amazon.nova-lite-v1:0", body).await), "The tool says: sunny");
    }

    #[tokio::test]
    async fn it_stops_where_it_is_told() {
        for (config, reason, said) in [
            (json!({ "maxTokens": 2 }), "max_tokens", "Hello fr"),
            (json!({ "stopSequences": [" in "] }), "stop_sequence", "Hello from **Nova Micro**"),
        ] {
            let answer =
                fold_answer("amazon.nova-micro-v1:0", with(says("hi"), "inferenceConfig", config))
                    .await;
            assert_eq!((answer["stopReason"].as_str().unwrap(), text(&answer)), (reason, said));
        }
    }

    #[tokio::test]
    async fn claude_signs_its_thoughts_and_others_do_not() {
        let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } });
        let body = with(says("hi"), "additionalModelRequestFields", thinking);
        for (model, signed) in
            [("anthropic.claude-haiku-4-5-20251001-v1:0", true), ("deepseek.r1-v1:0", false)]
        {
            let answer = fold_answer(model, body.clone()).await;
            let reasoning =
                &answer["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"];
            assert_eq!(reasoning.get("signature").is_some(), signed, "{answer}");
        }
    }
}
