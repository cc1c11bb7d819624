//! An embedder that can be looked into, and short words for what tests do often.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use retrieval::{
    Answer, Audience, Document, EmbedError, Embedder, Index, Outcome, Purpose, Question, Settings,
    Viewer,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use store::testing::Server;
use tempfile::TempDir;

pub async fn sqlite(folder: &TempDir) -> Index {
    Index::open(folder.path().join("index.db")).await.unwrap()
}

/// An index in a database of its own; `None` where there can be no PostgreSQL with pgvector, and why stands in the output.
pub async fn postgres() -> Option<Index> {
    Some(Index::connect(&database().await?).await.unwrap())
}

/// The address of a new database.
pub async fn database() -> Option<String> {
    let server = tokio::task::spawn_blocking(Server::with_vectors).await.unwrap()?;
    Some(server.database().await.unwrap())
}

/// Words that mean the same have one direction; every other word has one of its own.
pub struct Meanings {
    model: &'static str,
    dimensions: usize,
    pub embedded: AtomicUsize,
    /// After so many texts it fails.
    pub enough_for: AtomicUsize,
}

impl Meanings {
    pub fn of(model: &'static str, dimensions: usize) -> Self {
        Self {
            model,
            dimensions,
            embedded: AtomicUsize::new(0),
            enough_for: AtomicUsize::new(usize::MAX),
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

impl Embedder for Meanings {
    fn model(&self) -> &'static str {
        self.model
    }

    fn embed(
        &self,
        texts: Vec<String>,
        _: Purpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>> {
        let before = self.embedded.fetch_add(texts.len(), Ordering::SeqCst);
        let enough = before + texts.len() <= self.enough_for.load(Ordering::SeqCst);
        let vectors = texts.iter().map(|text| self.vector(text)).collect();
        async move {
            if enough {
                Ok(vectors)
            } else {
                Err(EmbedError("the model is out of reach".to_owned()))
            }
        }
        .boxed()
    }
}

pub fn meanings() -> Meanings {
    Meanings::of("meanings", 512)
}

pub fn document(id: &str, text: &str) -> Document {
    Document { id: id.to_owned(), text: text.to_owned(), ..Document::default() }
}

pub fn for_eyes(id: &str, text: &str, audience: Audience) -> Document {
    Document { audience, ..document(id, text) }
}

pub fn user(id: &str) -> Viewer {
    Viewer::User { id: id.to_owned(), roles: Vec::new() }
}

pub fn with_role(id: &str, role: &str) -> Viewer {
    Viewer::User { id: id.to_owned(), roles: vec![role.to_owned()] }
}

/// A collection with these documents.
pub async fn filled(
    index: &Index,
    name: &str,
    documents: Vec<Document>,
    embedder: Option<&dyn Embedder>,
) -> Vec<Outcome> {
    index.create(name, Settings::default()).await.unwrap();
    index.put(name, documents, embedder).await.unwrap()
}

pub async fn ask(index: &Index, name: &str, text: &str, embedder: Option<&dyn Embedder>) -> Answer {
    ask_as(index, name, text, Viewer::Anonymous, embedder).await
}

pub async fn ask_as(
    index: &Index,
    name: &str,
    text: &str,
    viewer: Viewer,
    embedder: Option<&dyn Embedder>,
) -> Answer {
    index.search(&[name], &Question::new(text, viewer), embedder).await.unwrap()
}

/// The documents of an answer's hits, in their order.
pub fn ids(answer: &Answer) -> Vec<&str> {
    answer.hits.iter().map(|hit| hit.document.as_str()).collect()
}
