//! The interface between the search and the database that stores the index.

use crate::analyzer::{QueryTerm, TermList};
use crate::audience::Viewer;
use crate::collection::{Collection, CollectionSettings, EmbeddingModel};
use crate::document::{Document, IndexedDocument};
use crate::error::{IndexError, Result};
use crate::fusion::{Fusion, Scores};
use crate::vector::Vector;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

/// The future of an operation.
pub(crate) type EngineFuture<'a, T> = BoxFuture<'a, Result<T>>;

/// The first half of a SHA-256 digest.
pub(crate) type ContentHash = [u8; 16];

/// The time limit of a search.
pub(crate) const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// A database that stores the index. Every method is one transaction.
pub(crate) trait StorageEngine: Send + Sync {
    /// Creates a collection; the name must be free.
    fn create_collection(
        &self,
        name: String,
        settings: CollectionSettings,
    ) -> EngineFuture<'_, Collection>;

    /// Returns the collections that the viewer may see, ordered by name.
    fn list_collections(&self, viewer: Viewer) -> EngineFuture<'_, Vec<Collection>>;

    /// Returns the collection of this name, if the viewer may see it.
    fn find_collection(&self, name: String, viewer: Viewer)
    -> EngineFuture<'_, Option<Collection>>;

    /// Updates the settings of a collection.
    fn update_settings(
        &self,
        collection: i64,
        settings: CollectionSettings,
    ) -> EngineFuture<'_, ()>;

    /// Deletes a collection with its documents.
    fn delete_collection(&self, collection: i64) -> EngineFuture<'_, ()>;

    /// Returns the stored state of those of these documents that exist.
    fn find_documents(
        &self,
        collection: i64,
        ids: Vec<String>,
    ) -> EngineFuture<'_, HashMap<String, StoredDocument>>;

    /// Returns vectors of this model for texts with these hashes, from any collection.
    fn find_vectors(
        &self,
        model: String,
        hashes: Vec<ContentHash>,
    ) -> EngineFuture<'_, HashMap<ContentHash, Vector>>;

    /// Stores documents; each replaces the stored one of its id. The first model becomes the
    /// collection's. If one of them may replace only a version that is no longer stored, nothing is
    /// changed.
    fn put_documents(
        &self,
        collection: Collection,
        model: Option<EmbeddingModel>,
        documents: Vec<PreparedDocument>,
    ) -> EngineFuture<'_, ()>;

    /// Records that a document could not be read. A stored earlier version stays, with the audience
    /// of the new one; otherwise the document is listed without chunks.
    fn record_failure(
        &self,
        collection: Collection,
        document: Document,
        reason: String,
    ) -> EngineFuture<'_, ()>;

    /// Removes documents, and returns the number of those that existed.
    fn remove_documents(&self, collection: Collection, ids: Vec<String>)
    -> EngineFuture<'_, usize>;

    /// Returns the document of this id.
    fn load_document(
        &self,
        collection: i64,
        id: String,
    ) -> EngineFuture<'_, Option<IndexedDocument>>;

    /// Returns the documents that the viewer may see, ordered by id, after this one.
    fn list_documents(
        &self,
        collection: i64,
        viewer: Viewer,
        after: String,
        limit: usize,
    ) -> EngineFuture<'_, Vec<IndexedDocument>>;

    /// Returns those of these terms that occur in chunks which the viewer may see.
    fn find_terms(
        &self,
        collection: i64,
        viewer: Viewer,
        terms: Vec<String>,
    ) -> EngineFuture<'_, Vec<String>>;

    /// Searches collections.
    fn search(&self, request: SearchRequest) -> EngineFuture<'_, Vec<ChunkHit>>;

    /// Returns chunks of a document by position; an empty list if the document was replaced,
    /// because its row id has changed then.
    fn load_chunks(
        &self,
        document: i64,
        first: i64,
        last: i64,
    ) -> EngineFuture<'_, Vec<StoredChunk>>;

    /// Returns the chunks without a vector of this model, of up to `limit` documents after this row
    /// id.
    fn find_unembedded(
        &self,
        collection: i64,
        model: String,
        after: i64,
        limit: usize,
    ) -> EngineFuture<'_, Vec<UnembeddedChunk>>;

    /// Adds vectors of a model to chunks that still exist.
    fn add_vectors(
        &self,
        collection: i64,
        model: String,
        vectors: Vec<(i64, Vector)>,
    ) -> EngineFuture<'_, ()>;

    /// Makes this model the collection's, and deletes the vectors of other models; returns `false`
    /// if a chunk has no vector of it yet.
    fn adopt_model(&self, collection: i64, model: EmbeddingModel) -> EngineFuture<'_, bool>;

    /// Returns a description of each inconsistency; an empty list if the index is sound.
    fn find_inconsistencies(&self) -> EngineFuture<'_, Vec<String>>;
}

/// The stored state of a document.
#[derive(Clone, Debug)]
pub(crate) struct StoredDocument {
    /// The row id, which changes when the document is replaced.
    pub(crate) row: i64,
    pub(crate) fingerprint: ContentHash,
    /// A later version could not be read.
    pub(crate) failed: bool,
    /// Some chunks have no vector of the collection's model.
    pub(crate) lacks_vectors: bool,
}

/// A document that is ready to be stored. Its text is in its chunks.
pub(crate) struct PreparedDocument {
    pub(crate) document: Document,
    pub(crate) fingerprint: ContentHash,
    pub(crate) chunks: Vec<PreparedChunk>,
    /// The row id of the only version that this may replace; `None` for any version.
    pub(crate) replaces: Option<i64>,
}

/// A chunk that is ready to be stored.
pub(crate) struct PreparedChunk {
    pub(crate) heading: String,
    pub(crate) text: String,
    pub(crate) tokens: usize,
    /// The page on which the chunk begins, from 1.
    pub(crate) page: Option<u32>,
    /// The hash of the text that is embedded.
    pub(crate) hash: ContentHash,
    pub(crate) terms: TermList,
    pub(crate) vector: Option<Vector>,
}

/// A chunk without a vector of some model.
pub(crate) struct UnembeddedChunk {
    pub(crate) document: i64,
    pub(crate) chunk: i64,
    /// The hash of the text to embed.
    pub(crate) hash: ContentHash,
    /// The text to embed.
    pub(crate) text: String,
}

/// A search as the engine runs it.
#[derive(Clone)]
pub(crate) struct SearchRequest {
    pub(crate) viewer: Viewer,
    /// The collections, with the query's terms in the language of each.
    pub(crate) collections: Vec<(i64, Vec<QueryTerm>)>,
    /// The query's model and vector; only collections of that model are searched by it.
    pub(crate) vector: Option<(String, Vector)>,
    /// The number of candidates from each of keyword and vector search.
    pub(crate) depth: usize,
    /// The maximum number of hits.
    pub(crate) limit: usize,
    pub(crate) fusion: Fusion,
    /// The cosine of the vector's model that counts as 0 in the fusion.
    pub(crate) least_cosine: f32,
    /// The time after which the search is cancelled.
    pub(crate) deadline: Instant,
}

impl SearchRequest {
    /// Fails once the deadline has passed.
    pub(crate) fn check_time(&self) -> Result<()> {
        if Instant::now() < self.deadline {
            Ok(())
        } else {
            Err(IndexError::Timeout(SEARCH_TIMEOUT.as_secs()))
        }
    }
}

/// A chunk that a search has found.
pub(crate) struct ChunkHit {
    pub(crate) chunk_id: i64,
    pub(crate) collection: i64,
    pub(crate) document: i64,
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) url: Option<String>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) chunk: StoredChunk,
    pub(crate) scores: Scores,
}

/// A chunk with its position in a document.
#[derive(Clone, Debug)]
pub(crate) struct StoredChunk {
    pub(crate) position: i64,
    pub(crate) heading: String,
    pub(crate) text: String,
    pub(crate) tokens: usize,
    /// The page on which the chunk begins, from 1.
    pub(crate) page: Option<u32>,
}

/// Returns the current time in seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

/// Returns the chunks that either search has found.
pub(crate) fn merge_candidates(by_keyword: &[(i64, f32)], by_vector: &[(i64, f32)]) -> Vec<i64> {
    let mut chunks: Vec<i64> =
        by_keyword.iter().chain(by_vector).map(|(chunk, _)| *chunk).collect();
    chunks.sort_unstable();
    chunks.dedup();
    chunks
}

/// Fuses the candidates of both searches, and returns the best within the limit, the best first.
pub(crate) fn rank_candidates(
    by_keyword: &[(i64, f32)],
    by_vector: &[(i64, f32)],
    document_of: impl Fn(i64) -> i64,
    scores_of: impl Fn(i64) -> (f32, Option<f32>),
    request: &SearchRequest,
) -> Vec<(i64, Scores)> {
    let rank_in = |leg: &[(i64, f32)]| -> HashMap<i64, u32> {
        leg.iter().map(|(chunk, _)| *chunk).zip(1..).collect()
    };
    let (bm25_ranks, cosine_ranks) = (rank_in(by_keyword), rank_in(by_vector));
    let chunks = merge_candidates(by_keyword, by_vector);
    let documents: Vec<i64> = chunks.iter().map(|chunk| document_of(*chunk)).collect();
    let scores = chunks.iter().map(|chunk| {
        let (bm25, cosine) = scores_of(*chunk);
        let (bm25_rank, cosine_rank) =
            (bm25_ranks.get(chunk).copied(), cosine_ranks.get(chunk).copied());
        Scores { bm25, cosine, bm25_rank, cosine_rank, ..Scores::default() }
    });
    let mut scores: Vec<Scores> = scores.collect();
    request.fusion.set_totals(&mut scores, &documents, request.least_cosine);
    let mut ranked: Vec<(i64, Scores)> = chunks.into_iter().zip(scores).collect();
    ranked.sort_by(|left, right| right.1.total.total_cmp(&left.1.total).then(left.0.cmp(&right.0)));
    ranked.truncate(request.limit);
    ranked
}
