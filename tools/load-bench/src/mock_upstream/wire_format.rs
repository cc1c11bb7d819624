//! Answers as OpenAI and as Bedrock write them.

use crate::{event_stream::write_frame, timestamp::token_text};
use serde_json::{Value, json};
use std::io::Write as _;

/// The protocol of an answer.
#[derive(Clone, Copy)]
pub(super) enum WireFormat {
    /// Chat completions, with server-sent events.
    OpenAi,
    /// `Converse` and `ConverseStream`.
    Bedrock,
}

const ID: &str = "chatcmpl-mock0123456789abcdefghijk";
const CREATED: u32 = 1_764_500_000;
const PROMPT_TOKENS: u32 = 12;
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGH";

impl WireFormat {
    pub(super) fn stream_type(self) -> &'static str {
        match self {
            Self::OpenAi => "text/event-stream",
            Self::Bedrock => "application/vnd.amazon.eventstream",
        }
    }

    /// Returns the beginning of a stream.
    pub(super) fn begin(self, model: &str) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(512);
        match self {
            Self::OpenAi => {
                let delta = r#"{"role":"assistant","content":"","refusal":null}"#;
                write_chunk(&mut buffer, model, delta, "null");
            }
            Self::Bedrock => {
                let payload = json!({"p": "abcdefghijklmnop", "role": "assistant"});
                write_event(&mut buffer, "messageStart", &payload);
            }
        }
        buffer
    }

    pub(super) fn write_token(self, buffer: &mut Vec<u8>, model: &str) {
        let text = token_text();
        match self {
            Self::OpenAi => {
                write_chunk(buffer, model, &format!(r#"{{"content":"{text}"}}"#), "null");
            }
            Self::Bedrock => {
                let delta = json!({"text": text});
                let payload = json!({"contentBlockIndex": 0, "delta": delta, "p": PADDING});
                write_event(buffer, "contentBlockDelta", &payload);
            }
        }
    }

    /// Appends the finish reason and the usage.
    pub(super) fn write_end(self, buffer: &mut Vec<u8>, model: &str, tokens: u32) {
        match self {
            Self::OpenAi => {
                write_chunk(buffer, model, "{}", r#""stop""#);
                let usage = openai_usage(tokens);
                let last = json!({
                    "id": ID, "object": "chat.completion.chunk", "created": CREATED,
                    "model": model, "choices": [], "usage": usage,
                });
                // Writing to a vector cannot fail.
                _ = write!(buffer, "data: {last}\n\ndata: [DONE]\n\n");
            }
            Self::Bedrock => {
                let stop = json!({"contentBlockIndex": 0, "p": "abcd"});
                write_event(buffer, "contentBlockStop", &stop);
                let reason = json!({"p": "abcdef", "stopReason": "end_turn"});
                write_event(buffer, "messageStop", &reason);
                let metrics = json!({"latencyMs": 1});
                let usage = bedrock_usage(tokens);
                let metadata = json!({"metrics": metrics, "p": "abcdefgh", "usage": usage});
                write_event(buffer, "metadata", &metadata);
            }
        }
    }

    /// Returns an answer that is not streamed.
    pub(super) fn whole_answer(self, model: &str, tokens: u32) -> String {
        let mut text = token_text();
        for _ in 1..tokens {
            text.push_str(" word");
        }
        let answer = match self {
            Self::OpenAi => json!({
                "id": ID, "object": "chat.completion", "created": CREATED, "model": model,
                "choices": [{
                    "index": 0,
                    "message": {
                        "role": "assistant", "content": text, "refusal": null, "annotations": [],
                    },
                    "logprobs": null, "finish_reason": "stop",
                }],
                "usage": openai_usage(tokens),
                "service_tier": "default", "system_fingerprint": "fp_0123456789",
            }),
            Self::Bedrock => json!({
                "metrics": {"latencyMs": 1},
                "output": {"message": {"content": [{"text": text}], "role": "assistant"}},
                "stopReason": "end_turn", "usage": bedrock_usage(tokens),
            }),
        };
        answer.to_string()
    }
}

fn write_chunk(buffer: &mut Vec<u8>, model: &str, delta: &str, finish: &str) {
    // Writing to a vector cannot fail.
    _ = write!(
        buffer,
        r#"data: {{"id":"{ID}","object":"chat.completion.chunk","created":{CREATED},"model":"{model}","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]}}"#
    );
    buffer.extend_from_slice(b"\n\n");
}

fn write_event(buffer: &mut Vec<u8>, event: &str, payload: &Value) {
    write_frame(buffer, event, payload.to_string().as_bytes());
}

fn openai_usage(tokens: u32) -> Value {
    json!({
        "prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens,
        "total_tokens": PROMPT_TOKENS + tokens,
    })
}

fn bedrock_usage(tokens: u32) -> Value {
    json!({
        "inputTokens": PROMPT_TOKENS, "outputTokens": tokens,
        "totalTokens": PROMPT_TOKENS + tokens,
    })
}

/// Returns the list of an OpenAI-compatible server.
pub(super) fn openai_models(models: &[String]) -> String {
    let entry =
        |id: &String| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "mock"});
    json!({"object": "list", "data": models.iter().map(entry).collect::<Vec<_>>()}).to_string()
}

/// Returns the answer of Bedrock's `ListFoundationModels`.
pub(super) fn bedrock_models(models: &[String]) -> String {
    let entry = |id: &String| {
        json!({
            "modelId": id, "modelArn": format!("arn:aws:bedrock:us-east-1::foundation-model/{id}"),
            "modelName": id, "providerName": "Mock", "inputModalities": ["TEXT"],
            "outputModalities": ["TEXT"], "responseStreamingSupported": true,
            "inferenceTypesSupported": ["ON_DEMAND"], "modelLifecycle": {"status": "ACTIVE"},
        })
    };
    json!({"modelSummaries": models.iter().map(entry).collect::<Vec<_>>()}).to_string()
}
