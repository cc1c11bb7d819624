//! Puts sources into chats with other models, before Open WebUI sends them on.

use crate::{
    Rag,
    prompt::PromptTemplate,
    question::{Question, has_injected_sources},
};
use pipe_sdk::{FilterBody, FilterCall, Message, Result};
use serde_json::{Value, json};

impl Rag {
    /// Returns the chat with the sources for its question. If the search fails, the chat continues
    /// without sources.
    pub(crate) async fn enrich(&self, call: FilterCall) -> Result<FilterBody> {
        let FilterCall { mut body, user, host } = call;
        let Some((question, messages)) = find_question(&body) else { return Ok(body) };
        let found = match self.find_sources(&question, &messages, user.as_deref(), &host).await {
            Ok(found) if found.sources.is_empty() => return Ok(body),
            Ok(found) => found,
            Err(error) => {
                let kind = error.kind();
                tracing::warn!(error = kind, "A chat continues without documents.");
                // An upstream may quote the question.
                tracing::debug!(%error, "Why a chat continues without documents.");
                return Ok(body);
            }
        };
        let text = match self.valves.prompt_template {
            Some(_) => self.template.render(&found.sources, &question.text),
            None => PromptTemplate::unnumbered().render(&found.sources, &question.text),
        };
        let messages = body.0.get_mut("messages").and_then(Value::as_array_mut);
        if let Some(message) = messages.and_then(|messages| messages.get_mut(question.index)) {
            replace_text(message, text);
        }
        Ok(body)
    }
}

/// Returns the question of a chat that documents may answer, with its messages.
fn find_question(body: &FilterBody) -> Option<(Question, Vec<Message>)> {
    if body.metadata("task").is_some() {
        return None;
    }
    let messages: Vec<Message> =
        serde_json::from_value(Value::Array(body.messages().to_vec())).ok()?;
    let question = Question::from_messages(&messages)?;
    let has_sources = has_injected_sources(messages.iter().map(Message::text));
    (!has_sources).then_some((question, messages))
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
