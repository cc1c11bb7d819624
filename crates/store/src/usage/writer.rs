//! The background task that writes recorded usage in batches.

use super::{
    Counters, Ledger,
    daily::Batch,
    row::{StoredRow, UsageRow},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};

/// The time during which rows are collected into one batch. A crash loses at most the rows of this
/// time.
const BATCH_INTERVAL: Duration = Duration::from_millis(300);
/// The maximum number of rows of a batch. Limits would wait longer for a larger one.
const MAX_BATCH_ROWS: usize = 256;
const MIN_RETRY_DELAY: Duration = Duration::from_millis(200);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);

/// A command to the writer.
pub(super) enum Command {
    Row(Box<UsageRow>),
    /// Answers once everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// Writes batches until all senders are dropped.
pub(super) async fn write(
    mut commands: mpsc::Receiver<Command>,
    ledger: Arc<dyn Ledger>,
    counters: Arc<Counters>,
) {
    while let Some((rows, flushes)) = next_batch(&mut commands).await {
        if !rows.is_empty() {
            write_batch(&*ledger, Arc::new(Batch::from_rows(rows)), &counters).await;
        }
        for flush in flushes {
            // The caller may have stopped waiting.
            _ = flush.send(());
        }
    }
}

async fn next_batch(
    commands: &mut mpsc::Receiver<Command>,
) -> Option<(Vec<StoredRow>, Vec<oneshot::Sender<()>>)> {
    let (mut rows, mut flushes) = (Vec::new(), Vec::new());
    let mut command = commands.recv().await?;
    let deadline = Instant::now() + BATCH_INTERVAL;
    loop {
        match command {
            Command::Row(row) => rows.push(StoredRow::from(*row)),
            Command::Flush(answer) => flushes.push(answer),
        }
        if rows.len() >= MAX_BATCH_ROWS || !flushes.is_empty() {
            break;
        }
        match timeout_at(deadline, commands.recv()).await {
            Ok(Some(next)) => command = next,
            Ok(None) | Err(_) => break,
        }
    }
    Some((rows, flushes))
}

/// Retries until the batch is written or refused for good. The queue fills up meanwhile.
async fn write_batch(ledger: &dyn Ledger, batch: Arc<Batch>, counters: &Counters) {
    let count = batch.rows.len() as u64;
    let mut retry_delay = MIN_RETRY_DELAY;
    let mut has_failed = false;
    loop {
        match ledger.write(Arc::clone(&batch)).await {
            Ok(()) => {
                if has_failed {
                    tracing::info!("Usage is written again.");
                }
                return;
            }
            Err(error) if error.is_transient() => {
                if !has_failed {
                    tracing::error!(%error, "Usage cannot be written; it waits in memory.");
                }
                has_failed = true;
                sleep(retry_delay).await;
                retry_delay = (retry_delay * 2).min(MAX_RETRY_DELAY);
            }
            Err(error) => {
                counters.lost.fetch_add(count, Ordering::Relaxed);
                tracing::error!(%error, rows = count, "Usage was lost.");
                return;
            }
        }
    }
}
