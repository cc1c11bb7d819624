//! Memory for models of any connection of Open WebUI, as a filter.

use crate::{
    ConversationPipe, prompt,
    recorder::Recorder,
    request::{ConversationUse, Request},
};
use pipe_sdk::{Conversation, FilterBody, FilterCall, Message, Result};
use serde_json::{Value, json};
use std::sync::Arc;

impl ConversationPipe {
    /// Returns the chat with persona, window and summary.
    pub(crate) async fn apply_to_inlet(&self, call: FilterCall) -> Result<FilterBody> {
        let FilterCall { mut body, host, .. } = call;
        let Some(messages) = messages(&body).filter(|_| body.metadata("task").is_none()) else {
            return Ok(body);
        };
        let chat_id = body.metadata("chat_id").map(str::to_owned);
        let request = Request::from_filter(chat_id.as_deref(), messages, host.context())?;
        let mut history = self.load_history(&request, &host).await?;
        if history.conversation.turns.is_empty() {
            return Ok(body);
        }
        let is_new = self.leave_window(&mut history, &host).await;
        let valves = &self.valves;
        let shown = prompt::messages(
            &history.conversation,
            self.persona.as_deref(),
            &request.own_instructions,
            valves.memory_window,
            valves.max_images,
        );
        body.0.insert("messages".into(), json!(shown));
        if is_new && let Some(recorder) = self.recorder(&request, history, &host) {
            // The reason is in the log, and the chat continues without history.
            _ = recorder.save(None).await;
        }
        Ok(body)
    }

    /// Saves a finished chat.
    pub(crate) async fn save_outlet(&self, call: &FilterCall) {
        let FilterCall { body, host, .. } = call;
        let chat_id = body.0.get("chat_id").and_then(Value::as_str);
        let Some(messages) = messages(body) else { return };
        let Ok(request) = Request::from_filter(chat_id, messages, host.context()) else { return };
        let ConversationUse::History(key) = &request.kind else { return };
        let store = host.conversations();
        let Ok(loaded) = store.load(key.clone()).await else { return };
        let (stored, version) = loaded.unzip();
        let mut turns = crate::turns::split(request.messages.clone());
        // Open WebUI shows the answers otherwise than it sends them, so digests cannot be compared.
        let summary = stored.and_then(|stored: Conversation| stored.summary);
        let summary = summary.filter(|summary| summary.turns < turns.len());
        if let Some(summary) = &summary {
            turns.drain(..summary.turns);
        }
        let conversation = Conversation { instructions: request.instructions, summary, turns };
        let recorder = Recorder {
            store,
            valves: Arc::clone(&self.valves),
            key: key.clone(),
            conversation,
            new_messages: None,
            version,
        };
        // The reason is in the log.
        _ = recorder.save(None).await;
    }
}

/// Returns the messages of a chat, unless they are written in another way than a chat's.
fn messages(body: &FilterBody) -> Option<Vec<Message>> {
    let messages: Vec<Message> =
        serde_json::from_value(Value::Array(body.messages().to_vec())).ok()?;
    (!messages.is_empty()).then_some(messages)
}
