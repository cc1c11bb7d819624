//! Records the usage of each model call in the store, and reports it to the filters.

use crate::{
    metrics::CallOutcome,
    registry::Registry,
    usage_queue::{MAX_QUEUED_EVENTS, QueueCommand, UsageEvent, UsageReceiver},
};
use pipe_sdk::{ChatRef, Host, ModelKind, Side, Task, UsageReport};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};
use store::{Store, Tokens, UsageKind, UsageRow, UsageStatus};
use tokio::sync::mpsc::{self, error::TrySendError};

impl UsageReceiver {
    /// Spawns the task that records events until it is dropped. The store gets a row at once, even
    /// if filters take long.
    pub fn spawn(self, store: Arc<Store>, registry: Arc<Registry>) -> Task {
        let Self { mut commands, dropped } = self;
        let (to_filters, filter_events) = mpsc::channel(MAX_QUEUED_EVENTS);
        let filter_task = Task::spawn(notify_filters(filter_events, registry));
        Task::spawn(async move {
            let _filter_task = filter_task;
            while let Some(command) = commands.recv().await {
                if let QueueCommand::UsageEvent(event) = &command {
                    store.usage().record(usage_row(event));
                }
                // If the queue is full, a `Flush` is dropped, which ends the wait of its sender.
                if let Err(TrySendError::Full(QueueCommand::UsageEvent(_))) =
                    to_filters.try_send(command)
                {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    }
}

/// Gives usage to the filters, until the queue is closed.
async fn notify_filters(mut commands: mpsc::Receiver<QueueCommand>, registry: Arc<Registry>) {
    while let Some(command) = commands.recv().await {
        match command {
            QueueCommand::UsageEvent(event) => record_in_filters(&registry, *event).await,
            // The receiver may have stopped waiting.
            QueueCommand::Flush(answer) => _ = answer.send(()),
        }
    }
}

async fn record_in_filters(registry: &Arc<Registry>, event: UsageEvent) {
    let slots = registry.slots();
    let filters: Vec<_> = slots.iter().filter(|slot| slot.filter().is_some()).collect();
    if filters.is_empty() {
        return;
    }
    let UsageEvent { model, kind, context, usage, cost, .. } = event;
    let host = Host::new(registry.clone(), context.clone(), ChatRef::default());
    let report = UsageReport { model, kind, usage, cost, context, host };
    for slot in filters {
        slot.record_usage(report.clone()).await;
    }
}

fn usage_row(event: &UsageEvent) -> UsageRow {
    let UsageEvent { pipe, model, kind, context, usage, cost, end } = event;
    let user = context.user.as_ref();
    let display_name =
        |user: &Arc<pipe_sdk::User>| user.name.clone().or_else(|| user.email.clone());
    UsageRow {
        at: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| saturating_i64(since.as_millis())),
        user: user.map(|user| user.id.clone()),
        name: user.and_then(display_name),
        key: context.key.as_deref().map(str::to_owned),
        via: context.via.as_deref().filter(|via| via != model).map(str::to_owned),
        model: model.clone(),
        pipe: (*pipe).into(),
        side: context.side.map(|side| match side {
            Side::Local => store::UsageSide::Local,
            Side::Cloud => store::UsageSide::Cloud,
        }),
        task: context.task.as_deref().map(str::to_owned),
        kind: match kind {
            ModelKind::Chat => UsageKind::Chat,
            ModelKind::Embed => UsageKind::Embed,
            ModelKind::Rerank => UsageKind::Rerank,
            ModelKind::Image => UsageKind::Image,
        },
        tokens: Tokens {
            prompt: saturating_i64(usage.prompt_tokens),
            cached: saturating_i64(usage.cached_tokens.unwrap_or_default()),
            cache_creation: saturating_i64(usage.cache_creation_tokens.unwrap_or_default()),
            completion: saturating_i64(usage.completion_tokens),
            reasoning: saturating_i64(usage.reasoning_tokens.unwrap_or_default()),
        },
        cost: cost.map(saturating_i64),
        status: match end {
            CallOutcome::Completed => UsageStatus::Ok,
            CallOutcome::Failed(_) => UsageStatus::Error,
            CallOutcome::Cancelled => UsageStatus::Cancelled,
        },
    }
}

fn saturating_i64(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
