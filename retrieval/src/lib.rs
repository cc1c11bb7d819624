//! The index.

mod analyser;
mod audience;
mod chunk;
mod collection;
mod document;
mod embedder;
mod engine;
mod error;
mod fusion;
mod index;
mod language;
mod minilm;
mod passage;
mod posting;
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
pub use search::{Answer, By, Hit, Question};
