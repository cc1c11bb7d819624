//! The embedded engine: one SQLite file in the data folder, written by one thread.

mod conversations;
mod file;
mod limits;
mod migrations;
mod usage;

pub(crate) use conversations::SqliteConversations;

use crate::{Result, StoreError, clock::Clock, usage::Sql};
use file::DatabaseLocation;
use rusqlite::{Connection, ErrorCode};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};
use tokio::sync::{mpsc, oneshot};

/// The maximum number of queued jobs; further callers wait.
const MAX_QUEUED_JOBS: usize = 1024;

/// Work for the thread that owns the database.
type Job = Box<dyn FnOnce(&mut Database) + Send>;

/// The embedded engine. Clones share the thread.
#[derive(Clone)]
pub(crate) struct Sqlite {
    jobs: mpsc::Sender<Job>,
    location: DatabaseLocation,
    problem: Arc<Mutex<Option<String>>>,
    /// The error of the last write, if it failed.
    last_write_error: Arc<Mutex<Option<StoreError>>>,
}

/// The state of the thread.
struct Database {
    connection: Connection,
    clock: Clock,
    location: DatabaseLocation,
    problem: Arc<Mutex<Option<String>>>,
}

impl Sqlite {
    /// Opens the database of this data folder. A corrupt file is moved aside; if no file can be
    /// created, the database is in memory.
    ///
    /// # Errors
    /// If the schema is of a newer version.
    pub async fn open(folder: &Path) -> Result<Self> {
        let problem = Arc::<Mutex<Option<String>>>::default();
        let (jobs, mut queue) = mpsc::channel::<Job>(MAX_QUEUED_JOBS);
        let (opened, answer) = oneshot::channel();
        let (folder, reported) = (folder.to_owned(), Arc::clone(&problem));
        let work = move || {
            let opened = match Database::open(DatabaseLocation::in_directory(&folder), reported) {
                Ok(database) => {
                    // The caller may have stopped waiting.
                    _ = opened.send(Ok(database.location.clone()));
                    Some(database)
                }
                Err(error) => {
                    _ = opened.send(Err(error));
                    None
                }
            };
            let Some(mut database) = opened else { return };
            while let Some(job) = queue.blocking_recv() {
                job(&mut database);
            }
        };
        thread::Builder::new()
            .name("store".into())
            .spawn(work)
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let location = answer.await.map_err(|_| thread_ended_error())??;
        Ok(Self { jobs, location, problem, last_write_error: Arc::default() })
    }

    /// Returns the problem of the file, if it has one.
    pub fn health_problem(&self) -> Option<String> {
        let lasting = self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lasting.or_else(|| self.last_write_error().as_ref().map(ToString::to_string))
    }

    fn last_write_error(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.last_write_error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs this on the writing thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = move |database: &mut Database| {
            let done = work(database).map_err(to_store_error);
            if let Err(StoreError::Corrupt(why)) = &done
                && let Err(error) = database.replace_corrupt(why)
            {
                tracing::error!(%error, "The corrupt database could not be replaced.");
            }
            // The caller may have stopped waiting; the work is done nevertheless.
            _ = answer.send(done);
        };
        self.jobs.send(Box::new(job)).await.map_err(|_| thread_ended_error())?;
        answered.await.map_err(|_| thread_ended_error())?
    }

    /// Runs this on the writing thread, and records the error if it fails.
    async fn write_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let written = self.run(work).await;
        *self.last_write_error() =
            written.as_ref().err().filter(|error| error.is_transient()).cloned();
        written
    }

    /// Reads on another connection, so that a long report does not delay limits.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let DatabaseLocation::File(path) = self.location.clone() else {
            return self.run(|database| work(&database.connection)).await;
        };
        let read = move || file::open_reader(&path).and_then(|connection| work(&connection));
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
            .map_err(to_store_error)
    }
}

impl Database {
    /// Opens a database. A corrupt file is moved aside, and a new one takes its place.
    fn open(location: DatabaseLocation, problem: Arc<Mutex<Option<String>>>) -> Result<Self> {
        let opened = match open_with_clock(&location) {
            Err(StoreError::Corrupt(why)) => {
                record_problem(
                    &problem,
                    format!("the database was corrupt ({why}); {}", location.move_aside()),
                );
                open_with_clock(&location)
            }
            opened => opened,
        };
        let ((connection, clock), location) = match opened {
            Ok(opened) => (opened, location),
            Err(error) if error.is_transient() => {
                record_problem(
                    &problem,
                    format!("{error}: what is stored is kept in memory alone"),
                );
                (open_with_clock(&DatabaseLocation::Memory)?, DatabaseLocation::Memory)
            }
            Err(error) => return Err(error),
        };
        Ok(Self { connection, clock, location, problem })
    }

    /// Replaces a corrupt database by a new one. The clock continues.
    fn replace_corrupt(&mut self, why: &str) -> Result<()> {
        // This closes the old connection before its file is moved.
        self.connection = file::open(&DatabaseLocation::Memory)?;
        record_problem(
            &self.problem,
            format!("the database was corrupt ({why}); {}", self.location.move_aside()),
        );
        let replacement = Self::open(self.location.clone(), Arc::clone(&self.problem))?;
        (self.connection, self.location) = (replacement.connection, replacement.location);
        Ok(())
    }
}

fn open_with_clock(location: &DatabaseLocation) -> Result<(Connection, Clock)> {
    let connection = file::open(location)?;
    let last = limits::last_timestamp(&connection).map_err(to_store_error)?;
    Ok((connection, Clock::not_before(last)))
}

fn record_problem(problem: &Mutex<Option<String>>, what: String) {
    tracing::error!("The store has a problem: {what}.");
    *problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
}

/// Returns the error of a database whose thread has ended.
fn thread_ended_error() -> StoreError {
    StoreError::Unavailable("its thread has ended".into())
}

/// Classifies an error of SQLite.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes errors by value")]
fn to_store_error(error: rusqlite::Error) -> StoreError {
    let Some(code) = error.sqlite_error_code() else {
        return StoreError::Refused(error.to_string());
    };
    match code {
        ErrorCode::DiskFull => StoreError::DiskFull,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            StoreError::Corrupt(error.to_string())
        }
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::CannotOpen
        | ErrorCode::SystemIoFailure
        | ErrorCode::OutOfMemory => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Refused(error.to_string()),
    }
}

/// Binds the parameters of a statement.
fn bind(statement: &mut rusqlite::Statement<'_>, sql: &Sql) -> rusqlite::Result<()> {
    use crate::usage::Parameter;
    for (index, parameter) in sql.parameters.iter().enumerate() {
        match parameter {
            Parameter::Number(number) => statement.raw_bind_parameter(index + 1, number)?,
            Parameter::Text(text) => statement.raw_bind_parameter(index + 1, text)?,
        }
    }
    Ok(())
}
