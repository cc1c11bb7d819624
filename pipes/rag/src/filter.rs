//! Retrieval in front of other models: what is found is put into the chat before Open WebUI sends it on.

use crate::{
    Rag,
    prompt::Template,
    question::{Asked, has_sources},
};
use pipe_sdk::{FilterBody, FilterCall, Message, Result};
use serde_json::{Value, json};

impl Rag {
    /// The chat with what was found for it. A search that fails does not stop a chat with another model.
    pub(crate) async fn enriched(&self, call: FilterCall) -> Result<FilterBody> {
        let FilterCall { mut body, user, host } = call;
        let Some((asked, messages)) = asked(&body) else { return Ok(body) };
        let found = match self.sources(&asked, &messages, user.as_ref(), &host).await {
            Ok(found) if found.sources.is_empty() => return Ok(body),
            Ok(found) => found,
            Err(error) => {
                let kind = error.kind();
                tracing::warn!(error = kind, "A chat goes on without documents.");
                // An upstream may quote the question.
                tracing::debug!(%error, "Why a chat goes on without documents.");
                return Ok(body);
            }
        };
        let text = match self.valves.prompt_template {
            Some(_) => self.template.filled(&found.sources, &asked.text),
            None => Template::unnumbered().filled(&found.sources, &asked.text),
        };
        let messages = body.0.get_mut("messages").and_then(Value::as_array_mut);
        if let Some(message) = messages.and_then(|messages| messages.get_mut(asked.at)) {
            replace_text(message, text);
        }
        Ok(body)
    }
}

/// The question of a chat that documents may help with, and its messages.
fn asked(body: &FilterBody) -> Option<(Asked, Vec<Message>)> {
    if body.metadata("task").is_some() {
        return None;
    }
    let messages: Vec<Message> =
        serde_json::from_value(Value::Array(body.messages().to_vec())).ok()?;
    let asked = Asked::of(&messages)?;
    (!has_sources(messages.iter().map(Message::text))).then_some((asked, messages))
}

fn replace_text(message: &mut Value, text: String) {
    match message.get_mut("content") {
        Some(Value::Array(parts)) => {
            parts.retain(|part| part["type"] != "text");
            parts.insert(0, json!({"type": "text", "text": text}));
        }
        Some(content) => *content = text.into(),
        None => {}
    }
}
