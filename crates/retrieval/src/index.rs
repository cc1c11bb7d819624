//! The index: documents in, passages out.

use crate::analyser::Analysers;
use crate::audience::{Audience, Viewer};
use crate::collection::{Collection, Model, Settings};
use crate::document::{Document, Listed, Outcome};
use crate::embedder::Embedder;
use crate::engine::{Engine, Known, Prepared};
use crate::error::{Error, Result};
use crate::postgres::Postgres;
use crate::preparation::{fingerprint, measured, named, prepare};
use crate::sqlite::Sqlite;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Collections of documents, to be searched by words and by meaning. Clones are the same index.
#[derive(Clone)]
pub struct Index {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) analysers: Arc<Analysers>,
    /// Turns of those who bring much text.
    large: Arc<Semaphore>,
}

/// Who brings more bytes of text than these waits until it is their turn, so that memory holds what only so many of them bring.
const LARGE: usize = 1 << 20;
const LARGE_AT_ONCE: usize = 2;

impl Index {
    /// The index in this file, which is made if it is not there. Its path holds no links.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || Sqlite::open(&path))
            .await
            .map_err(Error::store)??;
        Ok(Self::over(Arc::new(opened)))
    }

    /// The index in the PostgreSQL at this address (`postgres://…`, with pgvector 0.8 or later), which several hosts may share. Its
    /// tables are made if they are not there, in a schema of their own.
    pub async fn connect(url: &str) -> Result<Self> {
        Ok(Self::over(Arc::new(Postgres::open(url).await?)))
    }

    fn over(engine: Arc<dyn Engine>) -> Self {
        Self { engine, analysers: Arc::default(), large: Arc::new(Semaphore::new(LARGE_AT_ONCE)) }
    }

    /// Makes a collection.
    pub async fn create(&self, name: &str, settings: Settings) -> Result<Collection> {
        if !(1..=100).contains(&name.chars().count()) {
            return Err(Error::Refused("a collection's name has 1 to 100 characters".to_owned()));
        }
        self.engine.create(name.to_owned(), checked(settings)?).await
    }

    /// The collections that the asker may see, by name.
    pub async fn collections(&self, viewer: &Viewer) -> Result<Vec<Collection>> {
        self.engine.collections(viewer.clone()).await
    }

    /// The collection of this name. One that the asker may not see is not there.
    pub async fn collection(&self, name: &str, viewer: &Viewer) -> Result<Collection> {
        let found = self.engine.collection(name.to_owned(), viewer.clone()).await?;
        found.ok_or_else(|| Error::NoCollection(name.to_owned()))
    }

    /// Lets others see a collection than before.
    pub async fn allow(&self, name: &str, audience: Audience) -> Result<()> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        self.engine.settle(collection.id, Settings { audience, ..collection.settings }).await
    }

    /// Forgets a collection and all that is in it.
    pub async fn forget(&self, name: &str) -> Result<()> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        self.engine.forget(collection.id).await
    }

    /// Cuts documents that come from now on into chunks of at most so many tokens. Those that are there are cut anew when they are
    /// given again.
    pub async fn cut(&self, name: &str, chunk_tokens: usize) -> Result<()> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        let settings = checked(Settings { chunk_tokens, ..collection.settings })?;
        self.engine.settle(collection.id, settings).await
    }

    /// Stores documents, each in the place of the one of its id, all in one transaction: a question sees all of the old or all of the
    /// new. Once this returns, they outlive the process. Text that the model has seen before is not embedded again. Without an
    /// embedder they are found by their words alone, until [`embed`](Self::embed) is called. A text may have 16 MiB.
    pub async fn put(
        &self,
        name: &str,
        documents: Vec<Document>,
        embedder: Option<&dyn Embedder>,
    ) -> Result<Vec<Outcome>> {
        documents.iter().try_for_each(measured)?;
        let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
        let _turn = match bytes > LARGE {
            true => Some(self.large.acquire().await.map_err(Error::store)?),
            false => None,
        };
        let collection = self.collection(name, &Viewer::Operator).await?;
        if let Some((held, embedder)) = collection
            .model
            .as_ref()
            .zip(embedder)
            .filter(|(held, embedder)| held.id != embedder.model())
        {
            return Err(mixed(name, held, &format!("`{}`", embedder.model())));
        }
        let mut outcomes = vec![Outcome::Unchanged; documents.len()];
        let (places, mut prepared) =
            self.changed(&collection, documents, embedder.is_some()).await?;
        let (model, embedded) = self.give_vectors(&collection, &mut prepared, embedder).await?;
        for ((at, prepared), embedded) in places.into_iter().zip(&prepared).zip(embedded) {
            outcomes[at] = Outcome::Stored { chunks: prepared.chunks.len(), embedded };
        }
        if !prepared.is_empty() {
            self.engine.put(collection, model, prepared).await?;
        }
        Ok(outcomes)
    }

    /// Those of the documents that are not there as they are to be, each with its place among all; of one id, the last.
    async fn changed(
        &self,
        collection: &Collection,
        documents: Vec<Document>,
        embedded: bool,
    ) -> Result<(Vec<usize>, Vec<Prepared>)> {
        let ids = documents.iter().map(|document| document.id.clone()).collect();
        let known = self.engine.known(collection.id, ids).await?;
        let settings = collection.settings.clone();
        let analyser = self.analysers.of(settings.language);
        let lacks_model = collection.model.is_none();
        let waits = move |known: &Known| known.failed || (embedded && (known.waits || lacks_model));
        let prepare = move || {
            let mut changed: Vec<(usize, Prepared)> = Vec::new();
            for (at, document) in documents.into_iter().enumerate() {
                let fingerprint = fingerprint(&document, &settings);
                changed.retain(|(_, earlier)| earlier.document.id != document.id);
                let held = known.get(&document.id).filter(|known| !waits(known));
                if held.is_none_or(|known| known.fingerprint != fingerprint) {
                    changed.push((at, prepare(document, fingerprint, &settings, &analyser)?));
                }
            }
            Ok(changed.into_iter().unzip())
        };
        // Others are served meanwhile.
        tokio::task::spawn_blocking(prepare).await.map_err(Error::store)?
    }

    /// Notes that a document could not be read, for whoever lists the collection. If an earlier version of it is there, that one is
    /// still found, by those who may see the new one. The next [`put`](Self::put) of the document ends it; its text is not looked at here.
    pub async fn fail(&self, name: &str, document: Document, reason: &str) -> Result<()> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        self.engine.fail(collection, named(document)?, reason.replace('\0', " ")).await
    }

    /// Takes documents out of a collection, and says how many there were.
    pub async fn remove(&self, name: &str, ids: Vec<String>) -> Result<usize> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        self.engine.remove(collection, ids).await
    }

    /// Up to `limit` documents of a collection that the asker may see, by id, after this one ("" for the first).
    pub async fn documents(
        &self,
        name: &str,
        viewer: &Viewer,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        let collection = self.collection(name, viewer).await?;
        self.engine.documents(collection.id, viewer.clone(), after.to_owned(), limit).await
    }

    /// What is not as it must be in the index, in words; empty if all is well. Reads all of it.
    pub async fn faults(&self) -> Result<Vec<String>> {
        self.engine.faults().await
    }
}

fn checked(settings: Settings) -> Result<Settings> {
    if !(32..=2048).contains(&settings.chunk_tokens) {
        return Err(Error::Refused(format!(
            "`chunk_tokens` is {}: it must be between 32 and 2048",
            settings.chunk_tokens
        )));
    }
    Ok(settings)
}

pub(crate) fn mixed(name: &str, held: &Model, given: &str) -> Error {
    Error::Mixed { collection: name.to_owned(), holds: held.to_string(), given: given.to_owned() }
}
