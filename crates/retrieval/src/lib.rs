//! An index for retrieval-augmented chats: stores documents, and returns the passages that answer a
//! question.
//!
//! An [`Index`] holds collections of documents. Each document is split into chunks along its
//! structure. Keyword search (BM25) and vector search (cosine of vectors by an [`Embedder`]) find
//! chunks; their rankings are fused. Texts, postings and vectors change in one transaction. Every
//! call names a [`Viewer`], who sees only what the audiences allow.
//!
//! ```
//! use retrieval::{IndexAudience, Document, Index, SearchQuery, CollectionSettings, Viewer};
//!
//! # async fn example() -> retrieval::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let file = folder.path().join("index.db");
//! // One file holds the index. (`Index::connect` takes the address of a PostgreSQL instead.)
//! let index = Index::open(file).await?;
//! let audience = IndexAudience::role("staff");
//! let settings = CollectionSettings { chunk_tokens: 160, audience, ..Default::default() };
//! index.create_collection("handbook", settings).await?;
//!
//! // Without an embedder, only keyword search finds the document; `words_only` says so. With one,
//! // its model becomes the collection's. Vectors of another model are refused until
//! // `embed_collection` has embedded all texts.
//! let embedder = None;
//! let leave = Document {
//!     id: "leave.md".into(),
//!     title: "Leave".into(),
//!     text: "# Parents\nThirty weeks, which may be shared.\n".into(),
//!     audience: IndexAudience::Everyone,
//!     ..Document::default()
//! };
//! index.put_documents("handbook", vec![leave], embedder).await?;
//! // Documents that could not be read are listed with the reason.
//! let broken = Document { id: "old.pdf".into(), ..Document::default() };
//! index.record_failure("handbook", broken, "the PDF asks for a password").await?;
//!
//! // A hit carries the chunk, its heading, its document and its scores; a passage is a hit with
//! // the text around it.
//! let anna = Viewer::User { id: "anna".into(), roles: vec!["staff".into()] };
//! let query = SearchQuery::new("sharing weeks", anna.clone());
//! let answer = index.search(&["handbook"], &query, embedder).await?;
//! let hit = &answer.hits[0];
//! assert_eq!((hit.document.as_str(), hit.heading.as_str()), ("leave.md", "Leave"));
//! assert!(answer.hits[0].scores.bm25 > 0.0 && answer.words_only.is_some());
//! let passages = index.build_passages(&answer.hits, 500).await?;
//! assert!(passages[0].text.starts_with("# Parents"));
//!
//! let listed = index.list_documents("handbook", &anna, "", 100).await?;
//! assert_eq!(listed.len(), 2);
//! index.remove_documents("handbook", vec!["leave.md".into()]).await?;
//! // A collection that the viewer may not see counts as not found.
//! assert!(index.get_collection("handbook", &Viewer::Anonymous).await.is_err());
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! To index a large document quickly, [`put`](Index::put_documents) it without an embedder, so that
//! keyword search finds it at once, and [`embed`](Index::embed_collection) the collection in the
//! background. [`DocumentState`] shows the progress; a crash costs one batch.
//!
//! [`Reranker`] and [`SearchResults::rerank`] order hits by a model; [`LocalModel`] is an embedder
//! in this process, without network.

mod analyzer;
mod audience;
mod bert;
mod chunk;
mod collection;
mod document;
mod e5;
mod embedder;
mod embedding;
mod error;
mod fusion;
mod index;
mod integrity;
mod language;
mod local_model;
mod passage;
mod postgres;
mod posting;
mod prepare;
mod rechunk;
mod rerank;
mod search;
mod sqlite;
mod storage_engine;
mod text_encoder;
mod tokens;
mod vector;

pub use audience::{IndexAudience, Viewer};
pub use bert::LocalReranker;
pub use collection::{Collection, CollectionSettings, EmbeddingModel};
pub use document::{Document, DocumentState, IndexedDocument, PutOutcome};
pub use embedder::{Embedder, EmbeddingPurpose, InferenceError};
pub use error::{IndexError, Result};
pub use fusion::{Fusion, Scores};
pub use index::Index;
pub use language::Language;
pub use local_model::LocalModel;
pub use passage::Passage;
pub use prepare::check_document_id;
pub use rerank::Reranker;
pub use search::{MAX_QUERY_CHARS, SearchHit, SearchMode, SearchQuery, SearchResults};
