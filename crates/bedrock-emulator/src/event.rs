//! Events of a streamed answer, and their aggregation into a `Converse` response.

use crate::exception::BedrockException;
use aws_smithy_types::base64;
use futures_util::{TryStreamExt as _, stream::BoxStream};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The events of an answer as a stream.
pub(crate) type AnswerStream = BoxStream<'static, Result<StreamEvent, BedrockException>>;

/// An event of `ConverseStream`: its type and JSON payload.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEvent {
    /// The `:event-type`, such as `contentBlockDelta`.
    pub name: String,
    /// The JSON payload.
    pub payload: Value,
}

impl StreamEvent {
    /// Creates an event of any type, also of one that clients do not know.
    pub fn new(name: &str, payload: Value) -> Self {
        Self { name: name.to_owned(), payload }
    }

    pub(crate) fn is_delta(&self) -> bool {
        self.name == "contentBlockDelta"
    }
}

/// Aggregates the events into the body of a `Converse` response.
pub(crate) async fn fold(mut events: AnswerStream) -> Result<Value, BedrockException> {
    let (mut blocks, mut stop, mut metadata) =
        (BTreeMap::<u64, Block>::new(), Value::Null, Value::Null);
    while let Some(StreamEvent { name, payload }) = events.try_next().await? {
        let index = payload["contentBlockIndex"].as_u64().unwrap_or(0);
        match name.as_str() {
            "contentBlockStart" => blocks.entry(index).or_default().start(&payload["start"]),
            "contentBlockDelta" => blocks.entry(index).or_default().add(&payload["delta"]),
            "messageStop" => stop = payload,
            "metadata" => metadata = payload,
            _ => {}
        }
    }
    let content: Vec<_> = blocks.into_values().map(Block::content).collect();
    let mut answer =
        json!({ "output": { "message": { "role": "assistant", "content": content } } });
    for part in [stop, metadata] {
        merge(&mut answer, part);
    }
    Ok(answer)
}

/// Adds the fields of an object to another one.
fn merge(answer: &mut Value, part: Value) {
    if let (Value::Object(answer), Value::Object(part)) = (answer, part) {
        answer.extend(part);
    }
}

/// A content block while its deltas arrive.
#[derive(Default)]
struct Block {
    tool: Option<Map<String, Value>>,
    text: String,
    reasoning: Option<String>,
    signature: Option<String>,
    redacted: Vec<u8>,
    citations: Vec<Value>,
}

impl Block {
    /// Begins a block with the payload of `contentBlockStart`.
    fn start(&mut self, start: &Value) {
        self.tool = start["toolUse"].as_object().cloned();
    }

    fn add(&mut self, delta: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let reasoning = &delta["reasoningContent"];
        self.text += &text(&delta["text"]);
        self.text += &text(&delta["toolUse"]["input"]);
        self.citations.extend(delta.get("citation").cloned());
        if reasoning["text"].is_string() {
            *self.reasoning.get_or_insert_default() += &text(&reasoning["text"]);
        }
        if reasoning["signature"].is_string() {
            *self.signature.get_or_insert_default() += &text(&reasoning["signature"]);
        }
        self.redacted
            .extend(base64::decode(text(&reasoning["redactedContent"])).unwrap_or_default());
    }

    /// Returns the block in the form of an answer that is not streamed.
    fn content(self) -> Value {
        if let Some(mut tool) = self.tool {
            tool.insert(
                "input".into(),
                serde_json::from_str(&self.text).unwrap_or_else(|_| json!({})),
            );
            return json!({ "toolUse": tool });
        }
        if !self.redacted.is_empty() {
            return json!({ "reasoningContent": { "redactedContent": base64::encode(self.redacted) } });
        }
        if !self.citations.is_empty() {
            let content = [json!({ "text": self.text })];
            return json!({ "citationsContent": { "content": content, "citations": self.citations } });
        }
        let Some(reasoning) = self.reasoning else { return json!({ "text": self.text }) };
        let mut reasoning = json!({ "text": reasoning });
        if let Some(signature) = self.signature {
            reasoning["signature"] = signature.into();
        }
        json!({ "reasoningContent": { "reasoningText": reasoning } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_answer::ModelAnswer;
    use std::time::Duration;

    #[tokio::test]
    async fn citations_fold_with_the_text_they_are_of() {
        let citation = json!({ "title": "Atlas", "location": { "documentPage": { "documentIndex": 0, "start": 3, "end": 4 } } });
        let answer = ModelAnswer::with_text(["It is "])
            .text_with_citations(["in ", "Lima."], [citation.clone()]);
        let whole = fold(answer.stream(Duration::ZERO)).await.unwrap();
        assert_eq!(
            whole["output"]["message"]["content"],
            json!([
                { "text": "It is " },
                { "citationsContent": { "content": [{ "text": "in Lima." }], "citations": [citation] } },
            ])
        );
    }

    #[tokio::test]
    async fn deltas_fold_into_the_blocks_they_came_from() {
        let answer = ModelAnswer::new()
            .reasoning(["Hm", "m"], "sig")
            .redacted(b"secret")
            .text(["Hel", "lo"])
            .tool("t1", "clock", ["{\"zone\":", "\"UTC\"}"])
            .at_index(9)
            .interleaved();
        let whole = fold(answer.stream(Duration::ZERO)).await.unwrap();
        assert_eq!(
            whole["output"]["message"]["content"],
            json!([
                {"reasoningContent": {"reasoningText": {"text": "Hmm", "signature": "sig"}}},
                {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
                {"text": "Hello"},
                {"toolUse": {"toolUseId": "t1", "name": "clock", "input": {"zone": "UTC"}}},
            ])
        );
        assert_eq!(whole["stopReason"], "tool_use");
        assert_eq!(whole["usage"]["inputTokens"], 10);
    }
}
