//! A fake embedder, and helpers of the tests.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{
    CollectionSettings, Document, Embedder, EmbeddingPurpose, Index, IndexAudience, InferenceError,
    PutOutcome, SearchQuery, SearchResults, Viewer,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use store::testing::Server;
use tempfile::TempDir;

pub async fn sqlite(folder: &TempDir) -> Index {
    Index::open(folder.path().join("index.db")).await.unwrap()
}

/// Connects to a new database; returns `None`, and prints the reason, where no PostgreSQL with
/// pgvector is available.
pub async fn postgres() -> Option<Index> {
    Some(Index::connect(&database().await?).await.unwrap())
}

/// Returns the address of a new database.
pub async fn database() -> Option<String> {
    let server = tokio::task::spawn_blocking(Server::with_vectors).await.unwrap()?;
    Some(server.database().await.unwrap())
}

/// An embedder in which each word has a direction; synonyms share one.
pub struct FakeEmbedder {
    model: &'static str,
    dimensions: usize,
    pub embedded: AtomicUsize,
    /// It fails after so many texts.
    pub fails_after: AtomicUsize,
}

impl FakeEmbedder {
    pub fn new(model: &'static str, dimensions: usize) -> Self {
        Self {
            model,
            dimensions,
            embedded: AtomicUsize::new(0),
            fails_after: AtomicUsize::new(usize::MAX),
        }
    }

    pub fn embedded(&self) -> usize {
        self.embedded.load(Ordering::SeqCst)
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.01; self.dimensions];
        for word in text
            .to_lowercase()
            .split(|char: char| !char.is_alphanumeric())
            .filter(|word| !word.is_empty())
        {
            let word = match word {
                "automobile" | "vehicle" => "car",
                word => word,
            };
            let direction = word
                .bytes()
                .fold(self.model.len(), |sum, byte| (sum * 31 + usize::from(byte)) % 1_000_003);
            if let Some(number) = vector.get_mut(direction % self.dimensions.max(1)) {
                *number += 1.0;
            }
        }
        vector
    }
}

impl Embedder for FakeEmbedder {
    fn model(&self) -> &'static str {
        self.model
    }

    fn embed(
        &self,
        texts: Vec<String>,
        _: EmbeddingPurpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, InferenceError>> {
        let before = self.embedded.fetch_add(texts.len(), Ordering::SeqCst);
        let succeeds = before + texts.len() <= self.fails_after.load(Ordering::SeqCst);
        let vectors = texts.iter().map(|text| self.vector(text)).collect();
        async move {
            if succeeds {
                Ok(vectors)
            } else {
                Err(InferenceError("the model is out of reach".to_owned()))
            }
        }
        .boxed()
    }
}

pub fn fake_embedder() -> FakeEmbedder {
    FakeEmbedder::new("meanings", 512)
}

pub fn document(id: &str, text: &str) -> Document {
    Document { id: id.to_owned(), text: text.to_owned(), ..Document::default() }
}

pub fn restricted_document(id: &str, text: &str, audience: IndexAudience) -> Document {
    Document { audience, ..document(id, text) }
}

pub fn user(id: &str) -> Viewer {
    Viewer::User { id: id.to_owned(), roles: Vec::new() }
}

pub fn with_role(id: &str, role: &str) -> Viewer {
    Viewer::User { id: id.to_owned(), roles: vec![role.to_owned()] }
}

/// Creates a collection with these documents.
pub async fn create_with(
    index: &Index,
    name: &str,
    documents: Vec<Document>,
    embedder: Option<&dyn Embedder>,
) -> Vec<PutOutcome> {
    index.create_collection(name, CollectionSettings::default()).await.unwrap();
    index.put_documents(name, documents, embedder).await.unwrap()
}

pub async fn search(
    index: &Index,
    name: &str,
    text: &str,
    embedder: Option<&dyn Embedder>,
) -> SearchResults {
    search_as(index, name, text, Viewer::Anonymous, embedder).await
}

pub async fn search_as(
    index: &Index,
    name: &str,
    text: &str,
    viewer: Viewer,
    embedder: Option<&dyn Embedder>,
) -> SearchResults {
    index.search(&[name], &SearchQuery::new(text, viewer), embedder).await.unwrap()
}

/// Returns the documents of the hits, in their order.
pub fn document_ids(answer: &SearchResults) -> Vec<&str> {
    answer.hits.iter().map(|hit| hit.document.as_str()).collect()
}
