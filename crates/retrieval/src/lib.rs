//! The index under retrieval-augmented chats: documents in, the passages that answer a question out.
//!
//! An [`Index`] holds collections of documents. Each document is cut into chunks along its structure; a chunk is found by its
//! words (BM25) and by its meaning (the cosine of vectors that an [`Embedder`] makes), and both are fused.
//! Texts, postings and vectors change in one transaction, and whoever asks is shown what they may see, and nothing else.
//!
//! ```
//! use retrieval::{Audience, Document, Index, Question, Settings, Viewer};
//!
//! # async fn example() -> retrieval::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let file = folder.path().join("index.db");
//! // One file holds everything. (`Index::connect` takes the address of a PostgreSQL instead.)
//! let index = Index::open(file).await?;
//! index.create("handbook", Settings { chunk_tokens: 160, audience: Audience::role("staff"), ..Settings::default() }).await?;
//!
//! // Without an embedder, words alone find it, and `words_only` says so. With one, its model becomes the collection's: vectors of
//! // another are refused until `embed` has made all of them anew.
//! let embedder = None;
//! let leave = Document {
//!     id: "leave.md".into(),
//!     title: "Leave".into(),
//!     text: "# Parents\nThirty weeks, which may be shared.\n".into(),
//!     audience: Audience::Everyone,
//!     ..Document::default()
//! };
//! index.put("handbook", vec![leave], embedder).await?;
//! // What could not be read is listed with the reason.
//! let broken = Document { id: "old.pdf".into(), ..Document::default() };
//! index.fail("handbook", broken, "the PDF asks for a password").await?;
//!
//! // Hits carry the chunk with its heading, its document, and what each leg gave it; passages are hits with the text around them.
//! let anna = Viewer::User { id: "anna".into(), roles: vec!["staff".into()] };
//! let answer = index.search(&["handbook"], &Question::new("sharing weeks", anna.clone()), embedder).await?;
//! assert_eq!((answer.hits[0].document.as_str(), answer.hits[0].heading.as_str()), ("leave.md", "Leave"));
//! assert!(answer.hits[0].scores.words > 0.0 && answer.words_only.is_some());
//! let passages = index.passages(&answer.hits, 500).await?;
//! assert!(passages[0].text.starts_with("# Parents"));
//!
//! let listed = index.documents("handbook", &anna, "", 100).await?;
//! assert_eq!(listed.len(), 2);
//! index.remove("handbook", vec!["leave.md".into()]).await?;
//! // A collection that one may not see is not there.
//! assert!(index.collection("handbook", &Viewer::Anonymous).await.is_err());
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! To bring a large document in quickly, [`put`](Index::put) it without an embedder, so that its words find it at once, and
//! [`embed`](Index::embed) the collection in the background; [`State`] tells how far it is, and a crash costs one batch.
//!
//! [`Reranker`] and [`Answer::reranked`] put hits in a model's order; [`MiniLm`] is an embedder in this process, with no network.

mod analyser;
mod audience;
mod audit;
mod chunk;
mod collection;
mod document;
mod embedder;
mod embedding;
mod engine;
mod error;
mod fusion;
mod index;
mod language;
mod minilm;
mod passage;
mod postgres;
mod posting;
mod preparation;
mod rerank;
mod search;
mod sqlite;
mod tokens;
mod vector;

pub use audience::{Audience, Viewer};
pub use collection::{Collection, Model, Settings};
pub use document::{Document, Listed, Outcome, State};
pub use embedder::{EmbedError, Embedder, Purpose};
pub use error::{Error, Result};
pub use fusion::{Fusion, Scores};
pub use index::Index;
pub use language::Language;
pub use minilm::MiniLm;
pub use passage::Passage;
pub use rerank::Reranker;
pub use search::{Answer, By, Hit, LONGEST_QUESTION, Question};
