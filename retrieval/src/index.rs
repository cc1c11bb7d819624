//! The index: documents in, passages out.

use crate::analyser::Analyser;
use crate::audience::{Audience, Viewer};
use crate::chunk::{chunks, searched};
use crate::collection::{Collection, Model, Settings};
use crate::document::{Document, Listed, Outcome};
use crate::embedder::{EmbedError, Embedder, Purpose};
use crate::engine::{Engine, Hash, Prepared, PreparedChunk};
use crate::error::{Error, Result};
use crate::sqlite::Sqlite;
use crate::vector::Vector;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Collections of documents, to be searched by words and by meaning. Clones are the same index.
#[derive(Clone)]
pub struct Index {
    pub(crate) engine: Arc<dyn Engine>,
}

impl Index {
    /// The index in this file, which is made if it is not there.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || Sqlite::open(&path)).await.map_err(Error::store)??;
        Ok(Self { engine: Arc::new(opened) })
    }

    /// Makes a collection.
    pub async fn create(&self, name: &str, settings: Settings) -> Result<Collection> {
        if !(1..=100).contains(&name.chars().count()) {
            return Err(Error::Refused("a collection's name has 1 to 100 characters".to_owned()));
        }
        if !(32..=2048).contains(&settings.chunk_tokens) {
            return Err(Error::Refused(format!("`chunk_tokens` is {}: it must be between 32 and 2048", settings.chunk_tokens)));
        }
        self.engine.create(name.to_owned(), settings).await
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

    /// Stores documents, each in the place of the one of its id, all in one transaction: a question sees all of the old or all of the
    /// new. Once this returns, they outlive the process. Text that the model has seen before is not embedded again. Without an
    /// embedder they are found by their words alone, until [`embed`](Self::embed) is called.
    pub async fn put(&self, name: &str, documents: Vec<Document>, embedder: Option<&dyn Embedder>) -> Result<Vec<Outcome>> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        if let Some((held, embedder)) = collection.model.as_ref().zip(embedder).filter(|(held, embedder)| held.id != embedder.model()) {
            return Err(mixed(name, held, &format!("`{}`", embedder.model())));
        }
        let ids = documents.iter().map(|document| document.id.clone()).collect();
        let known = self.engine.known(collection.id, ids).await?;
        let fingerprints: Vec<Hash> = documents.iter().map(|document| fingerprint(document, &collection.settings)).collect();
        let unchanged = |document: &Document, fingerprint: &Hash| {
            let known = known.get(&document.id);
            known.is_some_and(|known| known.fingerprint == *fingerprint && (embedder.is_none() || (known.ready && collection.model.is_some())))
        };
        let mut outcomes = vec![Outcome::Unchanged; documents.len()];
        let mut changed: Vec<(usize, Prepared)> = Vec::new();
        let analyser = Analyser::new(collection.settings.language);
        for (at, (document, fingerprint)) in documents.into_iter().zip(fingerprints).enumerate() {
            if !unchanged(&document, &fingerprint) {
                // Of documents of one id, the last is stored.
                changed.retain(|(_, earlier)| earlier.document.id != document.id);
                changed.push((at, prepare(document, fingerprint, &collection.settings, &analyser)?));
            }
        }
        let mut prepared: Vec<Prepared> = Vec::with_capacity(changed.len());
        let places: Vec<usize> = changed.iter().map(|(at, _)| *at).collect();
        prepared.extend(changed.into_iter().map(|(_, prepared)| prepared));
        let mut embedded = vec![0; prepared.len()];
        let mut model = None;
        if let Some(embedder) = embedder {
            model = self.give_vectors(&collection, &mut prepared, &mut embedded, embedder).await?;
        }
        for ((at, prepared), embedded) in places.into_iter().zip(&prepared).zip(embedded) {
            outcomes[at] = Outcome::Stored { chunks: prepared.chunks.len(), embedded };
        }
        if !prepared.is_empty() {
            self.engine.put(collection, model, prepared).await?;
        }
        Ok(outcomes)
    }

    /// Gives every chunk its vector: one that is known by the text's hash, or a new one.
    async fn give_vectors(
        &self,
        collection: &Collection,
        documents: &mut [Prepared],
        embedded: &mut [usize],
        embedder: &dyn Embedder,
    ) -> Result<Option<Model>> {
        let hashes = documents.iter().flat_map(|document| document.chunks.iter().map(|chunk| chunk.hash)).collect();
        let mut vectors = self.engine.vectors(embedder.model().to_owned(), hashes).await?;
        let mut wanted: Vec<(Hash, String)> = Vec::new();
        let mut asked = HashMap::new();
        for (document, embedded) in documents.iter().zip(embedded.iter_mut()) {
            for chunk in document.chunks.iter().filter(|chunk| !vectors.contains_key(&chunk.hash)) {
                asked.entry(chunk.hash).or_insert_with(|| {
                    *embedded += 1;
                    wanted.push((chunk.hash, searched(&chunk.heading, &chunk.text)));
                });
            }
        }
        let (hashes, texts): (Vec<Hash>, Vec<String>) = wanted.into_iter().unzip();
        vectors.extend(hashes.into_iter().zip(embed(embedder, texts, Purpose::Document).await?));
        let mut model = None;
        for chunk in documents.iter_mut().flat_map(|document| &mut document.chunks) {
            chunk.vector = vectors.get(&chunk.hash).cloned();
            model = chunk.vector.as_ref().map(|vector| Model { id: embedder.model().to_owned(), dimensions: vector.dimensions() });
            if let Some((held, model)) = collection.model.as_ref().zip(model.as_ref()).filter(|(held, model)| held != model) {
                return Err(mixed(&collection.name, held, &model.to_string()));
            }
        }
        Ok(model)
    }

    /// Takes documents out of a collection, and says how many there were.
    pub async fn remove(&self, name: &str, ids: Vec<String>) -> Result<usize> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        self.engine.remove(collection, ids).await
    }

    /// Up to `limit` documents of a collection that the asker may see, by id, after this one ("" for the first).
    pub async fn documents(&self, name: &str, viewer: &Viewer, after: &str, limit: usize) -> Result<Vec<Listed>> {
        let collection = self.collection(name, viewer).await?;
        self.engine.documents(collection.id, viewer.clone(), after.to_owned(), limit).await
    }

    /// Gives every chunk of a collection a vector of this embedder's model, and then makes that model the collection's. Until then,
    /// questions are answered by the vectors that are there. Each batch is kept: called again after a crash, it goes on where it was.
    pub async fn embed(&self, name: &str, embedder: &dyn Embedder) -> Result<usize> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        let mut dimensions = None;
        let mut embedded = 0;
        loop {
            let mut after = 0;
            loop {
                let batch = self.engine.unembedded(collection.id, embedder.model().to_owned(), after, DOCUMENTS_AT_ONCE).await?;
                let Some(last) = batch.last() else { break };
                after = last.document;
                let (chunks, texts): (Vec<i64>, Vec<String>) = batch.into_iter().map(|chunk| (chunk.chunk, chunk.text)).unzip();
                let vectors = embed(embedder, texts, Purpose::Document).await?;
                dimensions = vectors.first().map(Vector::dimensions);
                embedded += vectors.len();
                let vectors = chunks.into_iter().zip(vectors).collect();
                self.engine.embed(collection.id, embedder.model().to_owned(), vectors).await?;
            }
            // Nothing was left to embed: how long its vectors are is asked of the model itself.
            let dimensions = match dimensions {
                Some(dimensions) => dimensions,
                None => embed(embedder, vec![name.to_owned()], Purpose::Document).await?.first().map_or(0, Vector::dimensions),
            };
            let model = Model { id: embedder.model().to_owned(), dimensions };
            // Documents may have come in meanwhile.
            if self.engine.adopt(collection.id, model).await? {
                return Ok(embedded);
            }
        }
    }

    /// What is not as it must be in the index, in words; empty if all is well. Reads all of it.
    pub async fn faults(&self) -> Result<Vec<String>> {
        self.engine.faults().await
    }
}

const DOCUMENTS_AT_ONCE: usize = 16;

/// Vectors of these texts, one each and all of one length.
pub(crate) async fn embed(embedder: &dyn Embedder, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vector>> {
    let wanted = texts.len();
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let vectors: Option<Vec<Vector>> = embedder.embed(texts, purpose).await?.iter().map(|numbers| Vector::of(numbers)).collect();
    let even = |vectors: &Vec<Vector>| vectors.len() == wanted && vectors.iter().all(|vector| vector.dimensions() == vectors[0].dimensions());
    vectors.filter(even).ok_or_else(|| {
        Error::Embed(EmbedError(format!("`{}` did not give one vector of one length for each text", embedder.model())))
    })
}

fn mixed(name: &str, held: &Model, given: &str) -> Error {
    Error::Mixed { collection: name.to_owned(), holds: held.to_string(), given: given.to_owned() }
}

fn prepare(document: Document, fingerprint: Hash, settings: &Settings, analyser: &Analyser) -> Result<Prepared> {
    if document.id.is_empty() || document.id.len() > 1024 {
        return Err(Error::Refused("a document's `id` has 1 to 1024 bytes".to_owned()));
    }
    // A NUL cannot be stored by every engine, and means nothing.
    let document = Document { title: document.title.replace('\0', " "), text: document.text.replace('\0', " "), ..document };
    let cut = if document.text.trim().is_empty() { Vec::new() } else { chunks(&document.title, &document.text, settings.chunk_tokens) };
    let chunks = cut.into_iter().map(|chunk| {
        let searched = searched(&chunk.heading, &chunk.text);
        PreparedChunk {
            hash: hash([searched.as_bytes()]),
            terms: analyser.terms(&searched),
            heading: chunk.heading,
            text: chunk.text,
            tokens: chunk.tokens,
            vector: None,
        }
    });
    Ok(Prepared { fingerprint, chunks: chunks.collect(), document })
}

/// Differs when anything of the document does, or the way it is cut.
fn fingerprint(document: &Document, settings: &Settings) -> Hash {
    let Document { id: _, title, text, url, audience, metadata } = document;
    let rest = serde_json::json!([title, url, audience, metadata, settings.language, settings.chunk_tokens]);
    hash([rest.to_string().as_bytes(), text.as_bytes()])
}

fn hash<const N: usize>(parts: [&[u8]; N]) -> Hash {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut hash = Hash::default();
    hash.copy_from_slice(&digest.finalize()[..16]);
    hash
}
