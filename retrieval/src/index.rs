//! The index: documents in, passages out.

use crate::analyser::{Analyser, Analysers};
use crate::audience::{Audience, Viewer};
use crate::chunk::{chunks, searched};
use crate::collection::{Collection, Model, Settings};
use crate::document::{Document, Listed, Outcome};
use crate::embedder::{EmbedError, Embedder, Purpose};
use crate::engine::{Engine, Hash, Known, Prepared, PreparedChunk, Unembedded};
use crate::error::{Error, Result};
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::vector::Vector;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Collections of documents, to be searched by words and by meaning. Clones are the same index.
#[derive(Clone)]
pub struct Index {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) analysers: Arc<Analysers>,
}

impl Index {
    /// The index in this file, which is made if it is not there.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || Sqlite::open(&path))
            .await
            .map_err(Error::store)??;
        Ok(Self { engine: Arc::new(opened), analysers: Arc::default() })
    }

    /// The index in the PostgreSQL at this address (`postgres://…`, with pgvector 0.8 or later), which several hosts may share. Its
    /// tables are made if they are not there, in a schema of their own.
    pub async fn connect(url: &str) -> Result<Self> {
        Ok(Self { engine: Arc::new(Postgres::open(url).await?), analysers: Arc::default() })
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
    /// embedder they are found by their words alone, until [`embed`](Self::embed) is called.
    pub async fn put(
        &self,
        name: &str,
        documents: Vec<Document>,
        embedder: Option<&dyn Embedder>,
    ) -> Result<Vec<Outcome>> {
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
        let waits = |known: &Known| {
            known.failed || (embedded && (known.waits || collection.model.is_none()))
        };
        let analyser = self.analysers.of(collection.settings.language);
        let mut changed: Vec<(usize, Prepared)> = Vec::new();
        for (at, document) in documents.into_iter().enumerate() {
            let fingerprint = fingerprint(&document, &collection.settings);
            changed.retain(|(_, earlier)| earlier.document.id != document.id);
            if !known
                .get(&document.id)
                .is_some_and(|known| known.fingerprint == fingerprint && !waits(known))
            {
                changed
                    .push((at, prepare(document, fingerprint, &collection.settings, &analyser)?));
            }
        }
        Ok(changed.into_iter().unzip())
    }

    /// Gives every chunk its vector, if its text was embedded before or there is an embedder; tells whose vectors they are, and how
    /// many texts of each document were embedded.
    async fn give_vectors(
        &self,
        collection: &Collection,
        documents: &mut [Prepared],
        embedder: Option<&dyn Embedder>,
    ) -> Result<(Option<Model>, Vec<usize>)> {
        let mut embedded = vec![0; documents.len()];
        let held = collection.model.as_ref().map(|model| model.id.as_str());
        let Some(id) = embedder.map(Embedder::model).or(held) else { return Ok((None, embedded)) };
        let hashes = documents
            .iter()
            .flat_map(|document| document.chunks.iter().map(|chunk| chunk.hash))
            .collect();
        let mut vectors = self.engine.vectors(id.to_owned(), hashes).await?;
        if let Some(embedder) = embedder {
            let mut wanted = Vec::new();
            let mut asked: HashSet<Hash> = vectors.keys().copied().collect();
            for (document, embedded) in documents.iter().zip(&mut embedded) {
                for chunk in document.chunks.iter().filter(|chunk| asked.insert(chunk.hash)) {
                    *embedded += 1;
                    wanted.push((chunk.hash, searched(&chunk.heading, &chunk.text)));
                }
            }
            vectors.extend(embed_documents(embedder, wanted).await?);
        }
        let mut model = None;
        for chunk in documents.iter_mut().flat_map(|document| &mut document.chunks) {
            chunk.vector = vectors.get(&chunk.hash).cloned();
            let Some(vector) = &chunk.vector else { continue };
            let made = Model { id: id.to_owned(), dimensions: vector.dimensions() };
            if let Some(held) = collection.model.as_ref().filter(|held| **held != made) {
                return Err(mixed(&collection.name, held, &made.to_string()));
            }
            model = Some(made);
        }
        Ok((model, embedded))
    }

    /// Notes that a document could not be read, for whoever lists the collection. If an earlier version of it is there, that one is
    /// still found. The next [`put`](Self::put) of the document ends it; its text is not looked at here.
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

    /// Gives every chunk of a collection a vector of this embedder's model, and then makes that model the collection's; tells how many
    /// texts were embedded. Until then, questions are answered by the vectors that are there. Each batch is kept: called again after
    /// a crash, it goes on where it was.
    pub async fn embed(&self, name: &str, embedder: &dyn Embedder) -> Result<usize> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        let id = embedder.model().to_owned();
        let (mut embedded, mut after) = (0, 0);
        let mut dimensions =
            collection.model.filter(|model| model.id == id).map(|model| model.dimensions);
        loop {
            let batch =
                self.engine.unembedded(collection.id, id.clone(), after, DOCUMENTS_AT_ONCE).await?;
            if let Some(last) = batch.last() {
                after = last.document;
                let (vectors, some) = self.vectors_of(&batch, embedder).await?;
                embedded += some;
                let made = vectors.first().map(|(_, vector)| vector.dimensions());
                if dimensions.is_some() && dimensions != made {
                    return Err(uneven(embedder));
                }
                dimensions = made;
                self.engine.embed(collection.id, id.clone(), vectors).await?;
                continue;
            }
            // Nothing was left to embed: how long its vectors are is asked of the model itself.
            let dimensions = match dimensions {
                Some(dimensions) => dimensions,
                None => embed(embedder, vec![name.to_owned()], Purpose::Document)
                    .await?
                    .first()
                    .map_or(0, Vector::dimensions),
            };
            // Documents may have come in meanwhile.
            if self.engine.adopt(collection.id, Model { id: id.clone(), dimensions }).await? {
                return Ok(embedded);
            }
            after = 0;
        }
    }

    /// A vector for each of these chunks, and how many texts had to be embedded for it.
    async fn vectors_of(
        &self,
        chunks: &[Unembedded],
        embedder: &dyn Embedder,
    ) -> Result<(Vec<(i64, Vector)>, usize)> {
        let hashes = chunks.iter().map(|chunk| chunk.hash).collect();
        let mut vectors = self.engine.vectors(embedder.model().to_owned(), hashes).await?;
        let mut asked: HashSet<Hash> = vectors.keys().copied().collect();
        let wanted: Vec<(Hash, String)> = chunks
            .iter()
            .filter(|chunk| asked.insert(chunk.hash))
            .map(|chunk| (chunk.hash, chunk.text.clone()))
            .collect();
        let embedded = wanted.len();
        vectors.extend(embed_documents(embedder, wanted).await?);
        Ok((
            chunks
                .iter()
                .filter_map(|chunk| Some((chunk.chunk, vectors.get(&chunk.hash)?.clone())))
                .collect(),
            embedded,
        ))
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

const DOCUMENTS_AT_ONCE: usize = 16;

/// More at once than models behind APIs commonly take would fail, fewer would fill batches badly.
const TEXTS_AT_ONCE: usize = 96;

async fn embed_documents(
    embedder: &dyn Embedder,
    wanted: Vec<(Hash, String)>,
) -> Result<Vec<(Hash, Vector)>> {
    let mut embedded: Vec<(Hash, Vector)> = Vec::with_capacity(wanted.len());
    for some in wanted.chunks(TEXTS_AT_ONCE) {
        let (hashes, texts): (Vec<Hash>, Vec<String>) = some.iter().cloned().unzip();
        embedded.extend(hashes.into_iter().zip(embed(embedder, texts, Purpose::Document).await?));
        if embedded
            .last()
            .zip(embedded.first())
            .is_some_and(|((_, last), (_, first))| last.dimensions() != first.dimensions())
        {
            return Err(uneven(embedder));
        }
    }
    Ok(embedded)
}

/// Vectors of these texts, one each and all of one length.
pub(crate) async fn embed(
    embedder: &dyn Embedder,
    texts: Vec<String>,
    purpose: Purpose,
) -> Result<Vec<Vector>> {
    let wanted = texts.len();
    let vectors: Option<Vec<Vector>> =
        embedder.embed(texts, purpose).await?.iter().map(|numbers| Vector::of(numbers)).collect();
    let even = |vectors: &Vec<Vector>| {
        vectors.len() == wanted
            && vectors.iter().all(|vector| vector.dimensions() == vectors[0].dimensions())
    };
    vectors.filter(even).ok_or_else(|| uneven(embedder))
}

fn uneven(embedder: &dyn Embedder) -> Error {
    Error::Embed(EmbedError(format!(
        "`{}` did not give one vector of one length for each text",
        embedder.model()
    )))
}

fn mixed(name: &str, held: &Model, given: &str) -> Error {
    Error::Mixed { collection: name.to_owned(), holds: held.to_string(), given: given.to_owned() }
}

/// With an id that can be stored, and without NULs: not every engine can store one, and it means nothing.
fn named(document: Document) -> Result<Document> {
    if document.id.is_empty() || document.id.len() > 1024 || document.id.contains('\0') {
        return Err(Error::Refused(
            "a document's `id` has 1 to 1024 bytes, none of them NUL".to_owned(),
        ));
    }
    Ok(Document {
        title: document.title.replace('\0', " "),
        text: document.text.replace('\0', " "),
        url: document.url.map(|url| url.replace('\0', " ")),
        ..document
    })
}

fn prepare(
    document: Document,
    fingerprint: Hash,
    settings: &Settings,
    analyser: &Analyser,
) -> Result<Prepared> {
    let document = named(document)?;
    let cut = if document.text.trim().is_empty() {
        Vec::new()
    } else {
        chunks(&document.title, &document.text, settings.chunk_tokens)
    };
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
    let rest = serde_json::json!([
        title,
        url,
        audience,
        metadata,
        settings.language,
        settings.chunk_tokens
    ]);
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
