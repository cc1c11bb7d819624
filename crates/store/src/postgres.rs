//! PostgreSQL, shared by replicas.
//!
//! Four connections, whatever the load: one for what requests wait for, one for what is written, one for reports, and one that listens. On
//! each, many questions may be under way; none needs a transaction of more than one statement, so that poolers may stand between.

mod address;
mod lane;
mod limits;
mod migrations;
mod seal;
mod tls;
mod usage;
mod valves;
mod watch;

pub use address::Address;
pub use lane::Line;
pub use valves::{SaveError, SavedValves, Version};
pub use watch::Watched;

use crate::{OutagePolicy, Result, StoreError};
use lane::{Failing, SharedConnection};
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

/// For what a request waits for.
const SOON: Duration = Duration::from_secs(2);
/// For what an admin waits for.
const PATIENTLY: Duration = Duration::from_secs(5);
/// For a host that starts, until the database has said a first word.
const GREETING: Duration = Duration::from_secs(8);
/// For what nobody waits for.
const LATER: Duration = Duration::from_secs(30);
/// After a failure nobody tries for so long, so that requests do not queue up before a database that is away.
const RESPITE: Duration = Duration::from_millis(500);

/// Codes of PostgreSQL's that begin so are an operator's to mend: who one is, which database, what one may do there.
const DENIALS: [&str; 3] = ["28", "3D", "42501"];

/// A parameter, and its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// PostgreSQL, shared by replicas.
#[derive(Clone)]
pub(crate) struct Postgres(Arc<Inner>);

struct Inner {
    address: Address,
    requests: SharedConnection,
    writing: SharedConnection,
    reports: SharedConnection,
    migrated: OnceCell<()>,
}

impl Postgres {
    /// The database at this address, which need not be there yet, unless nobody may pass while it is away.
    ///
    /// # Errors
    /// When the address cannot be so, the database lets nobody in, or it belongs to a newer program.
    pub async fn open(url: &str, when_away: OutagePolicy) -> Result<Self> {
        let database = Self(Arc::new(Inner {
            address: Address::read(url)?,
            // A crash of the database may forget the last hits.
            requests: SharedConnection::new("SET synchronous_commit = off"),
            writing: SharedConnection::new(""),
            reports: SharedConnection::new("SET default_transaction_read_only = on"),
            migrated: OnceCell::new(),
        }));
        match database.greeted().await {
            Err(error) if error.is_hopeless() || when_away == OutagePolicy::Closed => Err(error),
            Err(error) => {
                tracing::error!(%error, "The host starts without what is saved in the database, and takes it as soon as it can.");
                Ok(database)
            }
            Ok(()) => Ok(database),
        }
    }

    /// What is wrong with the database. A report that takes too long is no trouble of the host's.
    pub fn health_problem(&self) -> Option<String> {
        let lanes = [&self.0.requests, &self.0.writing];
        lanes.iter().find_map(|lane| lane.failing()).map(|failing| failing.error.to_string())
    }

    /// Notes how it went on this lane. One that fails holds up no other, and one that works shows that the database is there.
    fn noted<T>(&self, lane: &SharedConnection, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => {
                for lane in [&self.0.requests, &self.0.writing, &self.0.reports] {
                    lane.set_failing(None);
                }
            }
            Err(error) if error.passes() || matches!(error, StoreError::Newer { .. }) => {
                let until = Instant::now() + RESPITE;
                lane.set_failing(Some(Failing { error: error.clone(), until }));
            }
            Err(_) => {}
        }
        result
    }

    /// Gets the database ready, but waits for its first word less long than for the tables.
    async fn greeted(&self) -> Result<()> {
        let line = within(GREETING, self.0.requests.line(&self.0.address)).await;
        self.noted(&self.0.requests, line)?;
        self.ready(&self.0.requests).await
    }

    /// Sees to it that the tables are those of today.
    async fn ready(&self, lane: &SharedConnection) -> Result<()> {
        let migrate = || async {
            let migrated = within(LATER, Box::pin(migrations::run(&self.0.address))).await;
            self.noted(lane, migrated)
        };
        self.0.migrated.get_or_try_init(migrate).await.copied()
    }

    /// Asks a question, and waits no longer than this for the answer.
    async fn ask(
        &self,
        lane: &SharedConnection,
        limit: Duration,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>> {
        let respite = lane.failing().filter(|failing| Instant::now() < failing.until);
        if let Some(failing) = respite {
            return Err(failing.error);
        }
        let until = Instant::now() + limit;
        let line = within(limit, async {
            self.ready(lane).await?;
            lane.line(&self.0.address).await
        });
        let line = line.await;
        let line = match line {
            Ok(line) => line,
            Err(_) => self.noted(lane, line)?,
        };
        let left = until.saturating_duration_since(Instant::now());
        let answer =
            within(left, async { line.client.query_typed(sql, parameters).await.map_err(failure) });
        let answer = answer.await;
        if answer.as_ref().is_err_and(StoreError::passes) {
            lane.leave(&line).await;
        }
        self.noted(lane, answer)
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(StoreError::Away("it does not answer in time".into())))
}

/// The first column of the only row.
fn number(rows: &[Row]) -> Result<i64> {
    rows.first().map_or(Ok(0), |row| row.try_get(0).map_err(failure))
}

/// What PostgreSQL says, in our words; never the values it speaks of.
#[expect(clippy::needless_pass_by_value, reason = "so is it handed over by `map_err`")]
fn failure(error: tokio_postgres::Error) -> StoreError {
    let Some(said) = error.as_db_error() else {
        let why = error.source().map(ToString::to_string);
        return StoreError::Away(why.unwrap_or_else(|| error.to_string()));
    };
    let why = format!("{} ({})", said.message(), said.code().code());
    match said.code() {
        &SqlState::DISK_FULL => StoreError::Full,
        &SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly,
        // Data that cannot be so; anything else can be mended where the database is.
        code if code.code().starts_with("22") || code.code().starts_with("23") => {
            StoreError::Refused(why)
        }
        code if DENIALS.iter().any(|denial| code.code().starts_with(denial)) => {
            StoreError::Denied(why)
        }
        _ => StoreError::Away(why),
    }
}
