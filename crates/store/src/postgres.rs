//! The PostgreSQL engine, which several replicas share.
//!
//! It holds five connections under any load: one for queries that requests wait for, one for
//! writes, one for reports, one for conversations, and one that listens for notifications. Queries
//! are pipelined on each of them. No query needs a transaction of more than one statement, so a
//! connection pooler may be in between.

mod address;
mod conversations;
mod limits;
mod migrations;
mod shared_connection;
mod tls;
mod usage;
mod valves;
mod watch;

pub use address::Address;
pub use shared_connection::Connection;
pub use valves::{SaveError, SavedValves, Version};
pub use watch::WatchEvent;

use crate::{OutagePolicy, Result, StoreError};
use shared_connection::{LastFailure, SharedConnection};
use std::{error::Error as _, sync::Arc, time::Duration};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout},
};
use tokio_postgres::{
    Row,
    error::SqlState,
    types::{ToSql, Type},
};

/// The time limit of queries that a request waits for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// The time limit of queries that an admin waits for.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of the first connection when the host starts.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// The time limit of queries that nobody waits for.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(30);
/// The time after a failure during which queries fail at once, so that requests do not queue up for
/// a database that is unavailable.
const FAILURE_BACKOFF: Duration = Duration::from_millis(500);

/// Prefixes of the error codes that an operator must correct: credentials (28), the database's name
/// (3D), and privileges (42501).
const DENIED_SQLSTATES: [&str; 3] = ["28", "3D", "42501"];

/// A query parameter with its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The PostgreSQL engine. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Postgres(Arc<Inner>);

/// The connections to one database.
struct Inner {
    address: Address,
    requests: SharedConnection,
    writing: SharedConnection,
    reports: SharedConnection,
    conversations: SharedConnection,
    migrated: OnceCell<()>,
}

impl Postgres {
    /// Connects to the database at this URL. It need not be available yet, unless the outage policy
    /// is [closed](OutagePolicy::Closed).
    ///
    /// # Errors
    /// If the URL is invalid, the database refuses the login, or its schema is of a newer version.
    pub async fn open(url: &str, outage_policy: OutagePolicy) -> Result<Self> {
        let database = Self(Arc::new(Inner {
            address: Address::read(url)?,
            // A crash of the database may lose the last hits of the limits.
            requests: SharedConnection::new("SET synchronous_commit = off"),
            writing: SharedConnection::new(""),
            reports: SharedConnection::new("SET default_transaction_read_only = on"),
            conversations: SharedConnection::new(""),
            migrated: OnceCell::new(),
        }));
        match database.connect().await {
            Err(error) if error.is_fatal_at_startup() || outage_policy == OutagePolicy::Closed => {
                Err(error)
            }
            Err(error) => {
                tracing::error!(%error, "The host starts without what is saved in the database, and takes it as soon as it can.");
                Ok(database)
            }
            Ok(()) => Ok(database),
        }
    }

    /// Returns the problem of the database, if it has one. Failed reports do not count.
    pub fn health_problem(&self) -> Option<String> {
        let connections = [&self.0.requests, &self.0.writing];
        let failure = connections.iter().find_map(|connection| connection.last_failure());
        failure.map(|failure| failure.error.to_string())
    }

    /// Records whether a query on this connection failed. A failure delays queries of this
    /// connection only; a success shows that the database is available, and clears the failures of
    /// all.
    fn track_failure<T>(&self, connection: &SharedConnection, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => {
                let Inner { requests, writing, reports, conversations, .. } = &*self.0;
                for connection in [requests, writing, reports, conversations] {
                    connection.set_last_failure(None);
                }
            }
            Err(error)
                if error.is_transient() || matches!(error, StoreError::NewerSchema { .. }) =>
            {
                let retry_at = Instant::now() + FAILURE_BACKOFF;
                connection.set_last_failure(Some(LastFailure { error: error.clone(), retry_at }));
            }
            Err(_) => {}
        }
        result
    }

    /// Connects and migrates the schema. The connection has a shorter time limit than the
    /// migration.
    async fn connect(&self) -> Result<()> {
        let connection = self.0.requests.get(&self.0.address);
        let connected = with_timeout(CONNECT_TIMEOUT, connection).await;
        self.track_failure(&self.0.requests, connected)?;
        self.ensure_migrated(&self.0.requests).await
    }

    /// Migrates the schema, once per process.
    async fn ensure_migrated(&self, connection: &SharedConnection) -> Result<()> {
        let migrate = || async {
            let migration = Box::pin(migrations::run(&self.0.address));
            let migrated = with_timeout(BACKGROUND_TIMEOUT, migration).await;
            self.track_failure(connection, migrated)
        };
        self.0.migrated.get_or_try_init(migrate).await.copied()
    }

    /// Runs a query within a time limit.
    async fn query(
        &self,
        shared: &SharedConnection,
        limit: Duration,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>> {
        let backoff = shared.last_failure().filter(|failure| Instant::now() < failure.retry_at);
        if let Some(failure) = backoff {
            return Err(failure.error);
        }
        let deadline = Instant::now() + limit;
        let connected = with_timeout(limit, async {
            self.ensure_migrated(shared).await?;
            shared.get(&self.0.address).await
        });
        let connected = connected.await;
        let connection = match connected {
            Ok(connection) => connection,
            Err(_) => self.track_failure(shared, connected)?,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let rows = with_timeout(left, async {
            connection.client.query_typed(sql, parameters).await.map_err(to_store_error)
        });
        let rows = rows.await;
        if rows.as_ref().is_err_and(StoreError::is_transient) {
            shared.discard(&connection).await;
        }
        self.track_failure(shared, rows)
    }
}

async fn with_timeout<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("it does not answer in time".into())))
}

/// Returns the first column of the only row, or 0 without a row.
fn first_i64(rows: &[Row]) -> Result<i64> {
    rows.first().map_or(Ok(0), |row| row.try_get(0).map_err(to_store_error))
}

/// Classifies an error of PostgreSQL. The text holds the server's message, but no parameter values.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes errors by value")]
fn to_store_error(error: tokio_postgres::Error) -> StoreError {
    let Some(database_error) = error.as_db_error() else {
        let reason = error.source().map(ToString::to_string);
        return StoreError::Unavailable(reason.unwrap_or_else(|| error.to_string()));
    };
    let reason = format!("{} ({})", database_error.message(), database_error.code().code());
    match database_error.code() {
        &SqlState::DISK_FULL => StoreError::DiskFull,
        &SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly,
        // Classes 22 (data exception) and 23 (constraint violation): the same statement fails
        // again.
        code if code.code().starts_with("22") || code.code().starts_with("23") => {
            StoreError::Refused(reason)
        }
        code if DENIED_SQLSTATES.iter().any(|prefix| code.code().starts_with(prefix)) => {
            StoreError::Denied(reason)
        }
        _ => StoreError::Unavailable(reason),
    }
}
