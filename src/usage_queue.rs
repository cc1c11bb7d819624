//! A queue of the usage of each model call, which delays no response. `usage_worker` takes
//! from it.

use crate::metrics::CallOutcome;
use pipe_sdk::{CallContext, ModelKind, Usage};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// The largest number of usage events that wait to be recorded.
pub const MAX_QUEUED_EVENTS: usize = 8192;

/// The usage of one model call.
pub struct UsageEvent {
    /// The pipe that answered.
    pub pipe: &'static str,
    /// The full id of the model that answered.
    pub model: String,
    /// The kind of model.
    pub kind: ModelKind,
    /// The context of the call, with the user.
    pub context: CallContext,
    /// The number of tokens.
    pub usage: Usage,
    /// The cost in millionths of a US dollar, if the price is known.
    pub cost: Option<u64>,
    /// The outcome of the call.
    pub end: CallOutcome,
}

/// A command to the worker of the queue.
pub enum QueueCommand {
    /// Record this usage.
    UsageEvent(Box<UsageEvent>),
    /// Answer when everything before it is recorded.
    Flush(oneshot::Sender<()>),
}

/// A handle to the queue. A clone is a handle to the same queue.
#[derive(Clone)]
pub struct UsageQueue {
    commands: mpsc::Sender<QueueCommand>,
    dropped: Arc<AtomicU64>,
}

/// The receiving end of the queue, before its task is spawned.
pub struct UsageReceiver {
    /// The events that wait to be recorded.
    pub commands: mpsc::Receiver<QueueCommand>,
    /// The number of events that were dropped.
    pub dropped: Arc<AtomicU64>,
}

/// Returns a queue and its receiver, whose task is not spawned yet.
pub fn channel() -> (UsageQueue, UsageReceiver) {
    let (commands, receiver) = mpsc::channel(MAX_QUEUED_EVENTS);
    let queue = UsageQueue { commands, dropped: Arc::default() };
    let receiver = UsageReceiver { commands: receiver, dropped: Arc::clone(&queue.dropped) };
    (queue, receiver)
}

impl UsageQueue {
    /// Adds an event without waiting. If the queue is full, the event is dropped and counted.
    pub fn push(&self, event: UsageEvent) {
        if self.commands.try_send(QueueCommand::UsageEvent(Box::new(event))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the number of events that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all events so far are with the store and the filters, but at most `limit`.
    pub async fn flush(&self, limit: Duration) {
        let (answer, answered) = oneshot::channel();
        let flushed = async {
            if self.commands.send(QueueCommand::Flush(answer)).await.is_ok() {
                // An error means that the worker has ended.
                _ = answered.await;
            }
        };
        if timeout(limit, flushed).await.is_err() {
            tracing::warn!("The last answers may be missing from the usage.");
        }
    }
}
