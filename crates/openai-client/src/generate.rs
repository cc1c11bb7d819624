//! The plainest servers: a chat goes to `/generate`, and what is generated comes back in one piece.

use crate::{Complaint, Server, Trouble, told::Told};
use pipe_sdk::{Body, CallContext, Chunk, FinishReason, Message};
use serde_json::{Value, json};

/// What is sent where a chat does not say it.
const TEMPERATURE: f64 = 0.7;
const MOST_TOKENS: u64 = 1000;

/// Where such servers put the text.
const TEXTS: [&str; 7] = [
    "/response",
    "/text",
    "/generated_text",
    "/content",
    "/output",
    "/message/content",
    "/results/0/text",
];

impl Server {
    /// Answers this chat by `generate`, without a stream. A model is named only if one is given: mostly there is but one.
    pub async fn generate(
        &self,
        model: Option<&str>,
        body: &Body,
        context: &CallContext,
    ) -> Result<Vec<Chunk>, Trouble> {
        let said = |message: &Message| json!({"role": message.role, "content": message.text()});
        let mut asked = json!({
            "messages": body.messages.iter().map(said).collect::<Vec<_>>(),
            "temperature": body.temperature.unwrap_or(TEMPERATURE),
            "max_tokens": body.max_answer_tokens().unwrap_or(MOST_TOKENS),
        });
        if let Some(model) = model {
            asked["model"] = model.into();
        }
        if !body.stop.is_empty() {
            asked["stop"] = json!(body.stop);
        }
        let json = self
            .whole("generate", asked.to_string().into_bytes(), context.caller(), context.trace)
            .await?;
        read(&json)
    }
}

/// What is said there: a chat completion, a text under one of its usual names, or nothing but the text.
fn read(json: &[u8]) -> Result<Vec<Chunk>, Trouble> {
    let said: Value =
        serde_json::from_slice(json).unwrap_or_else(|_| String::from_utf8_lossy(json).into());
    let said = said.as_array().and_then(|list| list.first()).unwrap_or(&said);
    if !said["choices"].is_null() {
        return completion(said);
    }
    let text = TEXTS.iter().find_map(|place| said.pointer(place)?.as_str());
    if let Some(text) = text.or_else(|| said.as_str()) {
        return Ok(vec![Chunk::Content(text.into()), Chunk::Finish(FinishReason::Stop)]);
    }
    Err(Complaint::of(said).map_or(Trouble::Garbled("it holds no text"), Trouble::Said))
}

fn completion(said: &Value) -> Result<Vec<Chunk>, Trouble> {
    let mut told = Told::default();
    told.whole(said.to_string().as_bytes())?;
    Ok(std::iter::from_fn(|| told.take()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Option<String> {
        let chunks = read(json.as_bytes()).ok()?;
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
            matches!(read(br#"{"error": "no model"}"#), Err(Trouble::Said(said)) if said.message == "no model")
        );
        for json in ["{}", "7", "null", "[]"] {
            assert_eq!(read(json.as_bytes()), Err(Trouble::Garbled("it holds no text")), "{json}");
        }
    }
}
