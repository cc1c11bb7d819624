//! The embedded engine: one file in the data folder, one thread that writes it.

mod file;
mod limits;
mod migrations;
mod usage;

use crate::{Result, StoreError, clock::Clock, usage::Sql};
use file::Place;
use rusqlite::{Connection, ErrorCode};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};
use tokio::sync::{mpsc, oneshot};

/// So much work may wait for the thread; whoever comes then waits too.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce(&mut Database) + Send>;

/// The embedded engine.
#[derive(Clone)]
pub(crate) struct Sqlite {
    jobs: mpsc::Sender<Job>,
    place: Place,
    trouble: Arc<Mutex<Option<String>>>,
    /// Why nothing could be written the last time, if so.
    unwritten: Arc<Mutex<Option<StoreError>>>,
}

/// What the thread works on.
struct Database {
    connection: Connection,
    clock: Clock,
    place: Place,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Sqlite {
    /// Opens the database of this data folder. One that is corrupt is moved aside; where there can be none, memory takes its place.
    ///
    /// # Errors
    /// When it belongs to a newer program.
    pub async fn open(folder: &Path) -> Result<Self> {
        let trouble = Arc::<Mutex<Option<String>>>::default();
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE);
        let (opened, answer) = oneshot::channel();
        let (folder, told) = (folder.to_owned(), Arc::clone(&trouble));
        let work = move || {
            let opened = match Database::open(Place::in_folder(&folder), told) {
                Ok(database) => {
                    // The answer is awaited below, by whoever may have given up.
                    _ = opened.send(Ok(database.place.clone()));
                    Some(database)
                }
                Err(error) => {
                    _ = opened.send(Err(error));
                    None
                }
            };
            let Some(mut database) = opened else { return };
            while let Some(job) = waiting.blocking_recv() {
                job(&mut database);
            }
        };
        thread::Builder::new()
            .name("store".into())
            .spawn(work)
            .map_err(|error| StoreError::Away(error.to_string()))?;
        let place = answer.await.map_err(|_| gone())??;
        Ok(Self { jobs, place, trouble, unwritten: Arc::default() })
    }

    /// What is wrong with the file.
    pub fn health_problem(&self) -> Option<String> {
        let lasting = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lasting.or_else(|| self.unwritten().as_ref().map(ToString::to_string))
    }

    fn unwritten(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this on the thread that writes.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = move |database: &mut Database| {
            let done = work(database).map_err(failure);
            if let Err(StoreError::Corrupt(why)) = &done
                && let Err(error) = database.begin_anew(why)
            {
                tracing::error!(%error, "No new database could take the corrupt one's place.");
            }
            // Whoever asked may have left; what was done is done.
            _ = answer.send(done);
        };
        self.jobs.send(Box::new(job)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// The same, and notes whether anything can be written.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let written = self.run(work).await;
        *self.unwritten() = written.as_ref().err().filter(|error| error.passes()).cloned();
        written
    }

    /// Reads beside the thread that writes, so that a long report holds up no limit.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let Place::File(path) = self.place.clone() else {
            return self.run(|database| work(&database.connection)).await;
        };
        let read = move || file::reader(&path).and_then(|connection| work(&connection));
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| StoreError::Away(error.to_string()))?
            .map_err(failure)
    }
}

impl Database {
    fn open(place: Place, trouble: Arc<Mutex<Option<String>>>) -> Result<Self> {
        let opened = match opened(&place) {
            Err(StoreError::Corrupt(why)) => {
                note(&trouble, format!("the database was corrupt ({why}); {}", place.move_aside()));
                opened(&place)
            }
            opened => opened,
        };
        let ((connection, clock), place) = match opened {
            Ok(opened) => (opened, place),
            Err(error) if error.passes() => {
                note(&trouble, format!("{error}: what is stored is kept in memory alone"));
                (self::opened(&Place::Memory)?, Place::Memory)
            }
            Err(error) => return Err(error),
        };
        Ok(Self { connection, clock, place, trouble })
    }

    /// Takes a new database in place of one that turned out to be corrupt. Time goes on.
    fn begin_anew(&mut self, why: &str) -> Result<()> {
        // The old connection is closed before its file is moved.
        self.connection = file::open(&Place::Memory)?;
        note(
            &self.trouble,
            format!("the database was corrupt ({why}); {}", self.place.move_aside()),
        );
        let anew = Self::open(self.place.clone(), Arc::clone(&self.trouble))?;
        (self.connection, self.place) = (anew.connection, anew.place);
        Ok(())
    }
}

fn opened(place: &Place) -> Result<(Connection, Clock)> {
    let connection = file::open(place)?;
    let last = limits::last(&connection).map_err(failure)?;
    Ok((connection, Clock::after(last)))
}

fn note(trouble: &Mutex<Option<String>>, what: String) {
    tracing::error!("The store is not well: {what}.");
    *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
}

fn gone() -> StoreError {
    StoreError::Away("its thread has ended".into())
}

/// What SQLite says, in our words.
#[expect(clippy::needless_pass_by_value, reason = "so is it handed over by `map_err`")]
fn failure(error: rusqlite::Error) -> StoreError {
    let Some(code) = error.sqlite_error_code() else {
        return StoreError::Refused(error.to_string());
    };
    match code {
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            StoreError::Corrupt(error.to_string())
        }
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::CannotOpen
        | ErrorCode::SystemIoFailure
        | ErrorCode::OutOfMemory => StoreError::Away(error.to_string()),
        _ => StoreError::Refused(error.to_string()),
    }
}

/// The parameters of a statement that both engines understand.
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
