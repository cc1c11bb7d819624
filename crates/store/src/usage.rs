//! What was answered, for whom, and what it cost.

mod daily;
mod report;
mod row;
mod writer;

pub use report::{Field, ReportRow, UsageQuery};
pub use row::{Kind, Side, Status, Tokens, UsageRow};

pub(crate) use daily::{Batch, DAY};
pub(crate) use report::{Parameter, Sql, days_up, spent_sql};
pub(crate) use row::fit;

use crate::Result;
use futures_util::future::BoxFuture;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use writer::Word;

/// So many rows wait at most, some ten MB.
const QUEUE: usize = 32_768;

/// Where usage is kept.
pub(crate) trait Ledger: Send + Sync {
    /// Writes all of it or nothing.
    fn write(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<()>>;
    /// Answers a question.
    fn report(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<ReportRow>>>;
    /// What a user has spent since then, in micro-dollars.
    fn spent(&self, user: &str, since: i64) -> BoxFuture<'_, Result<i64>>;
    /// Forgets some of the rows from before then, and says how many.
    fn forget(&self, before: i64) -> BoxFuture<'_, Result<u64>>;
}

/// What was answered, for whom, and what it cost.
///
/// Rows are written in the background, a third of a second later: a process that is killed loses at most those.
pub struct Usage {
    ledger: Arc<dyn Ledger>,
    words: mpsc::Sender<Word>,
    counters: Arc<Counters>,
    /// The writer, which ends with this.
    _writer: Mutex<JoinSet<()>>,
}

/// What became of rows that were not written.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    dropped: AtomicU64,
    lost: AtomicU64,
}

impl Usage {
    pub(crate) fn new(ledger: Arc<dyn Ledger>) -> Self {
        let (words, told) = mpsc::channel(QUEUE);
        let counters = Arc::<Counters>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(writer::write(told, Arc::clone(&ledger), Arc::clone(&counters)));
        Self { ledger, words, counters, _writer: Mutex::new(tasks) }
    }

    /// Keeps a row. It never waits: when too many rows are waiting to be written, this one is dropped and [counted](Self::dropped).
    pub fn record(&self, row: UsageRow) {
        if self.words.try_send(Word::Row(Box::new(row))).is_err()
            && self.counters.dropped.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::error!("Too much usage waits to be written: from now on it is dropped.");
        }
    }

    /// How many rows were dropped because too many were waiting.
    pub fn dropped(&self) -> u64 {
        self.counters.dropped.load(Ordering::Relaxed)
    }

    /// How many rows the database refused for good.
    pub fn lost(&self) -> u64 {
        self.counters.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything that was recorded so far has been written, but no longer than this; says whether it was.
    pub async fn flush(&self, limit: Duration) -> bool {
        let (answer, answered) = oneshot::channel();
        let flushed =
            async { self.words.send(Word::Flush(answer)).await.is_ok() && answered.await.is_ok() };
        timeout(limit, flushed).await.unwrap_or(false)
    }

    /// Answers a question about what has been written.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn report(&self, query: UsageQuery) -> Result<Vec<ReportRow>> {
        self.ledger.report(query).await
    }

    /// What a user has spent since then (in ms since 1970), in micro-dollars. Quickest from a midnight of UTC.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn spent(&self, user: &str, since: i64) -> Result<i64> {
        self.ledger.spent(user, since).await
    }

    /// Forgets the rows from before then; their days remain.
    pub(crate) async fn forget(&self, before: i64) -> Result<()> {
        while self.ledger.forget(before).await? > 0 {}
        Ok(())
    }
}
