//! The index in a PostgreSQL that several hosts share: text, postings and vectors, one transaction for all of them.
//!
//! Words are ranked by the same arithmetic over the same bytes as in a file. Vectors are found by pgvector, in a graph (HNSW, half
//! precision) that is searched on until enough of what it finds may be seen; what is found is weighed again by its exact cosine. Of
//! hosts that write to one collection, one waits for the other.

mod catalogue;
mod check;
mod posting;
mod read;
mod schema;
mod search;
mod write;

use crate::analyser::Analysers;
use crate::audience::Viewer;
use crate::collection::{Collection, Model, Settings};
use crate::document::{Document, Listed};
use crate::engine::{Engine, Found, Hash, Known, Piece, Prepared, Told, Unembedded, Wanted};
use crate::error::{Error, Result};
use crate::vector::Vector;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Address, Line, StoreError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{IsolationLevel, Transaction};

/// A parameter, and its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// An index in a database.
pub(crate) struct Postgres {
    address: Address,
    analysers: Analysers,
    /// Connections that nobody uses at the moment.
    idle: Mutex<Vec<Line>>,
    room: Semaphore,
}

/// So many connections at most.
const CONNECTIONS: usize = 8;

/// How often a transaction is tried that another one got in the way of.
const TRIES: usize = 4;

impl Postgres {
    /// The database at this address, with its tables.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let address = Address::read(url).map_err(told)?;
        let (analysers, idle) = (Analysers::default(), Mutex::default());
        let database = Self { address, analysers, idle, room: Semaphore::new(CONNECTIONS) };
        let mut held = database.line().await?;
        let transaction = held.line()?.client.transaction().await?;
        schema::settle(&transaction).await?;
        transaction.commit().await?;
        drop(held);
        Ok(database)
    }

    async fn line(&self) -> Result<Held<'_>> {
        let permit = self.room.acquire().await.map_err(Error::store)?;
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(line) = idle() {
            if !line.client.is_closed() {
                return Ok(Held { database: self, line: Some(line), _permit: permit });
            }
        }
        let line = Box::pin(Line::begin(&self.address, schema::SESSION)).await.map_err(told)?;
        Ok(Held { database: self, line: Some(line), _permit: permit })
    }
}

/// A connection in use; goes back to the others.
struct Held<'a> {
    database: &'a Postgres,
    line: Option<Line>,
    _permit: SemaphorePermit<'a>,
}

impl Held<'_> {
    fn line(&mut self) -> Result<&mut Line> {
        self.line.as_mut().ok_or_else(|| Error::store("the connection is gone"))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let line = self.line.take().filter(|line| !line.client.is_closed());
        self.database.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
    }
}

/// What can be said of the address may be shown; the rest is for the log.
fn told(error: StoreError) -> Error {
    match error {
        StoreError::BadUrl(_) => Error::Refused(error.to_string()),
        error => Error::store(error),
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::store(error)
    }
}

/// Whether the same may succeed at once: another transaction was in the way, dropped the vectors that were to be read, or the
/// connection was lost.
fn passes(error: &Error) -> bool {
    let Error::Store(source) = error else { return false };
    let Some(error) = source.downcast_ref::<tokio_postgres::Error>() else { return false };
    let passing = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNDEFINED_TABLE,
    ];
    error.is_closed() || error.code().is_some_and(|code| passing.contains(code))
}

/// Does the work within one transaction: `reading` sees one moment of the database, `writing` the last one each time.
macro_rules! within {
    (reading $engine:ident, $transaction:ident => $work:expr) => {
        within!($engine, IsolationLevel::RepeatableRead, true, $transaction => $work)
    };
    (writing $engine:ident, $transaction:ident => $work:expr) => {
        within!($engine, IsolationLevel::ReadCommitted, false, $transaction => $work)
    };
    ($engine:ident, $isolation:expr, $read_only:expr, $transaction:ident => $work:expr) => {
        Box::pin(async move {
            let mut tries = 0;
            loop {
                tries += 1;
                let done = async {
                    let mut held = $engine.line().await?;
                    let begin = held.line()?.client.build_transaction().isolation_level($isolation).read_only($read_only);
                    let transaction = begin.start().await?;
                    let $transaction = &transaction;
                    let done = $work.await?;
                    transaction.commit().await?;
                    Ok::<_, Error>(done)
                };
                match done.await {
                    Err(error) if tries < TRIES && passes(&error) => {}
                    done => return done,
                }
            }
        })
    };
}

impl Engine for Postgres {
    fn create(&self, name: String, settings: Settings) -> Told<'_, Collection> {
        within!(writing self, transaction => catalogue::create(transaction, &name, &settings))
    }

    fn collections(&self, viewer: Viewer) -> Told<'_, Vec<Collection>> {
        within!(reading self, transaction => catalogue::list(transaction, &viewer))
    }

    fn collection(&self, name: String, viewer: Viewer) -> Told<'_, Option<Collection>> {
        within!(reading self, transaction => catalogue::find(transaction, &name, &viewer))
    }

    fn settle(&self, collection: i64, settings: Settings) -> Told<'_, ()> {
        within!(writing self, transaction => catalogue::settle(transaction, collection, &settings))
    }

    fn forget(&self, collection: i64) -> Told<'_, ()> {
        within!(writing self, transaction => catalogue::forget(transaction, collection))
    }

    fn known(&self, collection: i64, ids: Vec<String>) -> Told<'_, HashMap<String, Known>> {
        within!(reading self, transaction => read::known(transaction, collection, &ids))
    }

    fn vectors(&self, model: String, hashes: Vec<Hash>) -> Told<'_, HashMap<Hash, Vector>> {
        within!(reading self, transaction => read::vectors(transaction, &model, &hashes))
    }

    fn put(
        &self,
        collection: Collection,
        model: Option<Model>,
        documents: Vec<Prepared>,
    ) -> Told<'_, ()> {
        let analyser = self.analysers.of(collection.settings.language);
        let documents = Arc::new(documents);
        within!(writing self, transaction => write::put(transaction, &analyser, &collection, model.as_ref(), &documents))
    }

    fn fail(&self, collection: Collection, document: Document, reason: String) -> Told<'_, ()> {
        let analyser = self.analysers.of(collection.settings.language);
        within!(writing self, transaction => write::fail(transaction, &analyser, collection.id, &document, &reason))
    }

    fn remove(&self, collection: Collection, ids: Vec<String>) -> Told<'_, usize> {
        let analyser = self.analysers.of(collection.settings.language);
        within!(writing self, transaction => write::remove(transaction, &analyser, collection.id, &ids))
    }

    fn documents(
        &self,
        collection: i64,
        viewer: Viewer,
        after: String,
        limit: usize,
    ) -> Told<'_, Vec<Listed>> {
        within!(reading self, transaction => read::documents(transaction, collection, &viewer, &after, limit))
    }

    fn search(&self, wanted: Wanted) -> Told<'_, Vec<Found>> {
        within!(reading self, transaction => search::search(transaction, &wanted))
    }

    fn chunks(&self, document: i64, first: i64, last: i64) -> Told<'_, Vec<Piece>> {
        within!(reading self, transaction => read::chunks(transaction, document, first, last))
    }

    fn unembedded(
        &self,
        collection: i64,
        model: String,
        after: i64,
        limit: usize,
    ) -> Told<'_, Vec<Unembedded>> {
        within!(reading self, transaction => read::unembedded(transaction, collection, &model, after, limit))
    }

    fn embed(&self, collection: i64, model: String, vectors: Vec<(i64, Vector)>) -> Told<'_, ()> {
        within!(writing self, transaction => write::embed(transaction, collection, &model, &vectors))
    }

    fn adopt(&self, collection: i64, model: Model) -> Told<'_, bool> {
        within!(writing self, transaction => write::adopt(transaction, collection, &model))
    }

    fn faults(&self) -> Told<'_, Vec<String>> {
        within!(reading self, transaction => check::faults(transaction, &self.analysers))
    }
}
