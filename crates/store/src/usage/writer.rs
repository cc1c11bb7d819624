//! The background writer: what was recorded is gathered, and written a batch at a time.

use super::{
    Counters, Ledger,
    daily::Batch,
    row::{Entry, UsageRow},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};

/// How long rows are gathered. What a crash can take is what was recorded in this time.
const GATHERING: Duration = Duration::from_millis(300);
/// A larger batch would make limits wait for it.
const MOST: usize = 256;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the writer is told.
pub(super) enum Word {
    Row(Box<UsageRow>),
    /// Answer when everything before this has been written.
    Flush(oneshot::Sender<()>),
}

/// Writes until nobody is left to tell it anything.
pub(super) async fn write(
    mut words: mpsc::Receiver<Word>,
    ledger: Arc<dyn Ledger>,
    counters: Arc<Counters>,
) {
    while let Some((rows, waiting)) = gathered(&mut words).await {
        if !rows.is_empty() {
            write_batch(&*ledger, Arc::new(Batch::of(rows)), &counters).await;
        }
        for waiting in waiting {
            // Whoever waited may have given up.
            _ = waiting.send(());
        }
    }
}

async fn gathered(
    words: &mut mpsc::Receiver<Word>,
) -> Option<(Vec<Entry>, Vec<oneshot::Sender<()>>)> {
    let (mut rows, mut waiting) = (Vec::new(), Vec::new());
    let mut word = words.recv().await?;
    let end = Instant::now() + GATHERING;
    loop {
        match word {
            Word::Row(row) => rows.push(Entry::from(*row)),
            Word::Flush(answer) => waiting.push(answer),
        }
        if rows.len() >= MOST || !waiting.is_empty() {
            break;
        }
        match timeout_at(end, words.recv()).await {
            Ok(Some(next)) => word = next,
            Ok(None) | Err(_) => break,
        }
    }
    Some((rows, waiting))
}

/// Tries until it is written, or will never be. Meanwhile the queue fills.
async fn write_batch(ledger: &dyn Ledger, batch: Arc<Batch>, counters: &Counters) {
    let count = batch.rows.len() as u64;
    let mut pause = Duration::from_millis(200);
    let mut has_failed = false;
    loop {
        match ledger.write(Arc::clone(&batch)).await {
            Ok(()) => {
                if has_failed {
                    tracing::info!("Usage is written again.");
                }
                return;
            }
            Err(error) if error.passes() => {
                if !has_failed {
                    tracing::error!(%error, "Usage cannot be written; it waits in memory.");
                }
                has_failed = true;
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => {
                counters.lost.fetch_add(count, Ordering::Relaxed);
                tracing::error!(%error, rows = count, "Usage was lost.");
                return;
            }
        }
    }
}
