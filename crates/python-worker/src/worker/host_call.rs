//! Calls of files to models of the host.

use super::Shared;
use crate::protocol::HostFrame;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

/// A call of a file to models of the host. The protocol names it a `question`.
#[derive(Debug)]
pub struct HostCall {
    /// The method: `chat` or `models`.
    pub method: String,
    /// The arguments.
    pub body: Value,
}

/// Answers the calls of a file to the host.
pub trait HostCallHandler: Send + Sync {
    /// Answers a call item by item.
    fn answer(
        &self,
        host_call: HostCall,
        responder: HostCallResponder,
    ) -> BoxFuture<'static, Result<(), String>>;
}

/// Sends the items of the answer to a host call.
#[derive(Clone)]
pub struct HostCallResponder {
    pub(super) shared: Arc<Shared>,
    pub(super) question: u64,
}

impl HostCallResponder {
    /// Sends an item, and waits while many frames have not been taken by the process.
    pub async fn send(&self, item: Value) {
        self.shared.outbox.wait_for_room().await;
        self.send_frame(Some(item), None);
    }

    pub(super) fn send_frame(&self, item: Option<Value>, error: Option<String>) {
        self.shared.outbox.push(&HostFrame::Reply { question: self.question, item, error });
    }
}
