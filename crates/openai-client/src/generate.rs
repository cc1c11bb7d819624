//! Chats with servers that have a bare `/generate` route and answer in one piece.

use crate::{ApiError, OpenAiError, Server, answer_decoder::AnswerDecoder};
use pipe_sdk::{Body, CallContext, Chunk, FinishReason, Message};
use serde_json::{Value, json};

/// The parameters of a chat that sets none.
const DEFAULT_TEMPERATURE: f64 = 0.7;
const DEFAULT_MAX_TOKENS: u64 = 1000;

/// The places of the text in responses of `/generate`, as JSON pointers (RFC 6901).
const TEXT_POINTERS: [&str; 7] = [
    "/response",
    "/text",
    "/generated_text",
    "/content",
    "/output",
    "/message/content",
    "/results/0/text",
];

impl Server {
    /// Sends a chat to `/generate`. Most such servers have one model, so its name is optional.
    pub async fn generate(
        &self,
        model: Option<&str>,
        body: &Body,
        context: &CallContext,
    ) -> Result<Vec<Chunk>, OpenAiError> {
        let to_json = |message: &Message| json!({"role": message.role, "content": message.text()});
        let mut request = json!({
            "messages": body.messages.iter().map(to_json).collect::<Vec<_>>(),
            "temperature": body.temperature.unwrap_or(DEFAULT_TEMPERATURE),
            "max_tokens": body.max_answer_tokens().unwrap_or(DEFAULT_MAX_TOKENS),
        });
        if let Some(model) = model {
            request["model"] = model.into();
        }
        if !body.stop.is_empty() {
            request["stop"] = json!(body.stop);
        }
        let json = self
            .post_json(
                "generate",
                request.to_string().into_bytes(),
                context.caller(),
                context.trace,
            )
            .await?;
        parse_response(&json)
    }
}

/// Parses a response: a chat completion, an object with a text, or the bare text.
fn parse_response(json: &[u8]) -> Result<Vec<Chunk>, OpenAiError> {
    let value: Value =
        serde_json::from_slice(json).unwrap_or_else(|_| String::from_utf8_lossy(json).into());
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(&value);
    if !value["choices"].is_null() {
        return AnswerDecoder::default().decode_whole(&value.to_string());
    }
    let text = TEXT_POINTERS.iter().find_map(|pointer| value.pointer(pointer)?.as_str());
    if let Some(text) = text.or_else(|| value.as_str()) {
        return Ok(vec![Chunk::Content(text.into()), Chunk::Finish(FinishReason::Stop)]);
    }
    let no_text = OpenAiError::InvalidResponse("it holds no text");
    Err(ApiError::from_json(value).map_or(no_text, OpenAiError::Api))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Option<String> {
        let chunks = parse_response(json.as_bytes()).ok()?;
        assert_eq!(chunks.last(), Some(&Chunk::Finish(FinishReason::Stop)));
        chunks.into_iter().find_map(|chunk| match chunk {
            Chunk::Content(text) => Some(text),
            _ => None,
        })
    }

    #[test]
    fn whichever_way_a_text_comes_it_is_found() {
        for json in [
            r#"{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}"#,
            r#"{"response": "hi", "done": true}"#,
            r#"{"text": "hi"}"#,
            r#"[{"generated_text": "hi"}]"#,
            r#"{"message": {"role": "assistant", "content": "hi"}}"#,
            r#"{"results": [{"text": "hi"}]}"#,
            r#""hi""#,
            "hi",
        ] {
            assert_eq!(text(json).as_deref(), Some("hi"), "{json}");
        }
    }

    #[test]
    fn what_holds_no_text_is_an_error() {
        assert!(
            matches!(parse_response(br#"{"error": "no model"}"#), Err(OpenAiError::Api(said)) if said.message == "no model")
        );
        for json in ["{}", "7", "null", "[]"] {
            assert_eq!(
                parse_response(json.as_bytes()),
                Err(OpenAiError::InvalidResponse("it holds no text")),
                "{json}"
            );
        }
    }
}
