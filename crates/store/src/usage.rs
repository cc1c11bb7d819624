//! The usage of all answers: who asked, which model answered, and the cost.

mod daily;
mod report;
mod row;
mod writer;

pub use report::{ReportRow, UsageField, UsageQuery};
pub use row::{Tokens, UsageKind, UsageRow, UsageSide, UsageStatus};

pub(crate) use daily::{Batch, DAY};
pub(crate) use report::{Parameter, Sql, first_full_day, spent_sql};
pub(crate) use row::truncate_text;

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
use writer::Command;

/// The maximum number of queued rows, about 10 MB.
const MAX_QUEUED_ROWS: usize = 32_768;

/// A database that stores usage.
pub(crate) trait Ledger: Send + Sync {
    /// Writes a batch in one transaction.
    fn write(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<()>>;
    /// Runs a report.
    fn report(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<ReportRow>>>;
    /// Returns the micro-dollars that a user has spent since this time.
    fn spent(&self, user: &str, since: i64) -> BoxFuture<'_, Result<i64>>;
    /// Deletes some of the rows from before this time, and returns their number.
    fn delete_before(&self, before: i64) -> BoxFuture<'_, Result<u64>>;
}

/// The usage of all answers.
///
/// Rows are written in the background about 300 ms later; a killed process loses at most those.
pub struct Usage {
    ledger: Arc<dyn Ledger>,
    commands: mpsc::Sender<Command>,
    counters: Arc<Counters>,
    /// The writing task; it ends when this is dropped.
    _writer: Mutex<JoinSet<()>>,
}

/// The numbers of rows that were not written.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    dropped: AtomicU64,
    lost: AtomicU64,
}

impl Usage {
    pub(crate) fn new(ledger: Arc<dyn Ledger>) -> Self {
        let (commands, receiver) = mpsc::channel(MAX_QUEUED_ROWS);
        let counters = Arc::<Counters>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(writer::write(receiver, Arc::clone(&ledger), Arc::clone(&counters)));
        Self { ledger, commands, counters, _writer: Mutex::new(tasks) }
    }

    /// Queues a row without waiting. If the queue is full, the row is dropped and
    /// [counted](Self::dropped).
    pub fn record(&self, row: UsageRow) {
        if self.commands.try_send(Command::Row(Box::new(row))).is_err()
            && self.counters.dropped.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::error!("Too much usage waits to be written: from now on it is dropped.");
        }
    }

    /// Returns the number of rows that were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.counters.dropped.load(Ordering::Relaxed)
    }

    /// Returns the number of rows that the database refused.
    pub fn lost(&self) -> u64 {
        self.counters.lost.load(Ordering::Relaxed)
    }

    /// Waits until all rows recorded so far are written, at most `limit`; returns false if they are
    /// not.
    pub async fn flush(&self, limit: Duration) -> bool {
        let (answer, answered) = oneshot::channel();
        let flushed = async {
            self.commands.send(Command::Flush(answer)).await.is_ok() && answered.await.is_ok()
        };
        timeout(limit, flushed).await.unwrap_or(false)
    }

    /// Runs a report over the written rows.
    ///
    /// # Errors
    /// Returns an error if the database is unavailable.
    pub async fn report(&self, query: UsageQuery) -> Result<Vec<ReportRow>> {
        self.ledger.report(query).await
    }

    /// Returns the micro-dollars that a user has spent since this time, in milliseconds since 1970.
    /// Fastest from a midnight in UTC.
    ///
    /// # Errors
    /// Returns an error if the database is unavailable.
    pub async fn spent(&self, user: &str, since: i64) -> Result<i64> {
        self.ledger.spent(user, since).await
    }

    /// Deletes the rows from before this time; their daily sums remain.
    pub(crate) async fn delete_before(&self, before: i64) -> Result<()> {
        while self.ledger.delete_before(before).await? > 0 {}
        Ok(())
    }
}
