//! The index in one SQLite file: text, postings and vectors, one transaction for all of them.
//!
//! Readers see the last commit while a writer writes. Vectors are scanned in memory, in eight bits; what the scan finds is weighed
//! again by the vectors of the file.

mod catalogue;
mod check;
mod mirror;
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
use futures_util::FutureExt;
use mirror::Mirrors;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// An index in a file.
pub(crate) struct Sqlite {
    store: Arc<Store>,
}

struct Store {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Connections that no reader uses at the moment.
    readers: Mutex<Vec<Connection>>,
    mirrors: Mirrors,
    analysers: Analysers,
}

/// So many connections are kept for the next readers; each holds pages of the file.
const READERS: usize = 8;

impl Sqlite {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        schema::make(path)?;
        let mut writer = schema::connect(path)?;
        schema::settle(&mut writer)?;
        let store = Store {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            mirrors: Mirrors::default(),
            analysers: Analysers::default(),
        };
        Ok(Self { store: Arc::new(store) })
    }

    fn writing<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>, &Store) -> Result<T> + Send + 'static,
    ) -> Told<'_, T> {
        self.apart(move |store| {
            let mut writer = store.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction, store)?;
            transaction.commit()?;
            Ok(written)
        })
    }

    fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Transaction<'_>, &Store) -> Result<T> + Send + 'static,
    ) -> Told<'_, T> {
        self.apart(move |store| store.reading(|transaction| read(transaction, store)))
    }

    /// On a thread that may wait for the disk.
    fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Told<'_, T> {
        let store = Arc::clone(&self.store);
        let work = tokio::task::spawn_blocking(move || work(&store));
        async move { work.await.unwrap_or_else(|error| Err(Error::store(error))) }.boxed()
    }
}

impl Store {
    fn reading<T>(&self, read: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = idle.map_or_else(|| schema::connect(&self.path), Ok)?;
        let answer = read(&reader.transaction()?);
        let mut idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READERS {
            idle.push(reader);
        }
        answer
    }
}

impl Engine for Sqlite {
    fn create(&self, name: String, settings: Settings) -> Told<'_, Collection> {
        self.writing(move |transaction, _| catalogue::create(transaction, &name, &settings))
    }

    fn collections(&self, viewer: Viewer) -> Told<'_, Vec<Collection>> {
        self.reading(move |transaction, _| catalogue::list(transaction, &viewer))
    }

    fn collection(&self, name: String, viewer: Viewer) -> Told<'_, Option<Collection>> {
        self.reading(move |transaction, _| catalogue::find(transaction, &name, &viewer))
    }

    fn settle(&self, collection: i64, settings: Settings) -> Told<'_, ()> {
        self.writing(move |transaction, _| catalogue::settle(transaction, collection, &settings))
    }

    fn forget(&self, collection: i64) -> Told<'_, ()> {
        self.writing(move |transaction, store| {
            store.mirrors.forget(collection);
            catalogue::forget(transaction, collection)
        })
    }

    fn known(&self, collection: i64, ids: Vec<String>) -> Told<'_, HashMap<String, Known>> {
        self.reading(move |transaction, _| read::known(transaction, collection, &ids))
    }

    fn vectors(&self, model: String, hashes: Vec<Hash>) -> Told<'_, HashMap<Hash, Vector>> {
        self.reading(move |transaction, _| read::vectors(transaction, &model, &hashes))
    }

    fn put(
        &self,
        collection: Collection,
        model: Option<Model>,
        documents: Vec<Prepared>,
    ) -> Told<'_, ()> {
        self.writing(move |transaction, store| {
            write::adopt_first(transaction, &collection, model.as_ref())?;
            write::put(
                transaction,
                &store.analysers.of(collection.settings.language),
                collection.id,
                model.as_ref(),
                &documents,
            )
        })
    }

    fn fail(&self, collection: Collection, document: Document, reason: String) -> Told<'_, ()> {
        self.writing(move |transaction, store| {
            write::fail(
                transaction,
                &store.analysers.of(collection.settings.language),
                collection.id,
                &document,
                &reason,
            )
        })
    }

    fn remove(&self, collection: Collection, ids: Vec<String>) -> Told<'_, usize> {
        self.writing(move |transaction, store| {
            write::remove(
                transaction,
                &store.analysers.of(collection.settings.language),
                collection.id,
                &ids,
            )
        })
    }

    fn documents(
        &self,
        collection: i64,
        viewer: Viewer,
        after: String,
        limit: usize,
    ) -> Told<'_, Vec<Listed>> {
        self.reading(move |transaction, _| {
            read::documents(transaction, collection, &viewer, &after, limit)
        })
    }

    fn search(&self, wanted: Wanted) -> Told<'_, Vec<Found>> {
        self.apart(move |store| {
            // The mirror may be of a later commit than the transaction; the next transaction is not older than it.
            loop {
                if let Some(found) = store
                    .reading(|transaction| search::search(transaction, &store.mirrors, &wanted))?
                {
                    return Ok(found);
                }
            }
        })
    }

    fn chunks(&self, document: i64, first: i64, last: i64) -> Told<'_, Vec<Piece>> {
        self.reading(move |transaction, _| read::chunks(transaction, document, first, last))
    }

    fn unembedded(
        &self,
        collection: i64,
        model: String,
        after: i64,
        limit: usize,
    ) -> Told<'_, Vec<Unembedded>> {
        self.reading(move |transaction, _| {
            read::unembedded(transaction, collection, &model, after, limit)
        })
    }

    fn embed(&self, collection: i64, model: String, vectors: Vec<(i64, Vector)>) -> Told<'_, ()> {
        self.writing(move |transaction, _| write::embed(transaction, collection, &model, &vectors))
    }

    fn adopt(&self, collection: i64, model: Model) -> Told<'_, bool> {
        self.writing(move |transaction, _| write::adopt(transaction, collection, &model))
    }

    fn faults(&self) -> Told<'_, Vec<String>> {
        self.reading(check::faults)
    }
}
