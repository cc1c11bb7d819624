//! Questions of files about models of the host.

use super::Shared;
use crate::protocol::HostFrame;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

/// A question of a file about models of the host.
#[derive(Debug)]
pub struct Question {
    /// The kind of question: `chat` or `models`.
    pub method: String,
    /// The arguments.
    pub body: Value,
}

/// Answers the questions of a call.
pub trait QuestionHandler: Send + Sync {
    /// Answers a question item by item.
    fn answer(
        &self,
        question: Question,
        replies: ReplySender,
    ) -> BoxFuture<'static, Result<(), String>>;
}

/// Sends the items of a reply.
#[derive(Clone)]
pub struct ReplySender {
    pub(super) shared: Arc<Shared>,
    pub(super) question: u64,
}

impl ReplySender {
    /// Sends an item, and waits while many frames have not been taken by the process.
    pub async fn send(&self, item: Value) {
        self.shared.outbox.wait_for_room().await;
        self.send_frame(Some(item), None);
    }

    pub(super) fn send_frame(&self, item: Option<Value>, error: Option<String>) {
        self.shared.outbox.push(&HostFrame::Reply { question: self.question, item, error });
    }
}
