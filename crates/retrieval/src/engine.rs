//! What a store must do to be an index: the seam between the search and where it is kept.

use crate::analyser::Terms;
use crate::audience::Viewer;
use crate::collection::{Collection, Model, Settings};
use crate::document::{Document, Listed};
use crate::error::{Error, Result};
use crate::fusion::{Fusion, Scores};
use crate::search::SEARCH_LIMIT;
use crate::vector::Vector;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::time::{Instant, SystemTime};

pub(crate) type Told<'a, T> = BoxFuture<'a, Result<T>>;

/// The first half of SHA-256.
pub(crate) type Hash = [u8; 16];

/// A store. Every method is one transaction: it happens whole or not at all, and is never seen by halves.
pub(crate) trait Engine: Send + Sync {
    /// Makes a collection of a name that is free.
    fn create(&self, name: String, settings: Settings) -> Told<'_, Collection>;

    /// The collections that the asker may see, by name.
    fn collections(&self, viewer: Viewer) -> Told<'_, Vec<Collection>>;

    /// The collection of this name, if the asker may see it.
    fn collection(&self, name: String, viewer: Viewer) -> Told<'_, Option<Collection>>;

    /// Lets others see a collection than before; language and chunks stay.
    fn settle(&self, collection: i64, settings: Settings) -> Told<'_, ()>;

    /// Forgets a collection and all that is in it.
    fn forget(&self, collection: i64) -> Told<'_, ()>;

    /// What is known of those of these documents that are there.
    fn known(&self, collection: i64, ids: Vec<String>) -> Told<'_, HashMap<String, Known>>;

    /// Vectors that this model has made of texts with these hashes, whatever collection they are in.
    fn vectors(&self, model: String, hashes: Vec<Hash>) -> Told<'_, HashMap<Hash, Vector>>;

    /// Stores documents, each in the place of the one of its id. The first model to come is the collection's.
    fn put(
        &self,
        collection: Collection,
        model: Option<Model>,
        documents: Vec<Prepared>,
    ) -> Told<'_, ()>;

    /// Notes that a document could not be read. The version that is there stays, for the audience of this one; without one, it is
    /// listed all the same.
    fn fail(&self, collection: Collection, document: Document, reason: String) -> Told<'_, ()>;

    /// Takes documents out, and says how many there were.
    fn remove(&self, collection: Collection, ids: Vec<String>) -> Told<'_, usize>;

    /// The documents that the asker may see, by id, after this one.
    fn documents(
        &self,
        collection: i64,
        viewer: Viewer,
        after: String,
        limit: usize,
    ) -> Told<'_, Vec<Listed>>;

    /// Searches.
    fn search(&self, wanted: Wanted) -> Told<'_, Vec<Found>>;

    /// Chunks of a document by their place in it. None if the document was replaced meanwhile: then it has another number.
    fn chunks(&self, document: i64, first: i64, last: i64) -> Told<'_, Vec<Piece>>;

    /// The chunks without a vector of this model of up to `limit` documents, after this one in the order of their numbers.
    fn unembedded(
        &self,
        collection: i64,
        model: String,
        after: i64,
        limit: usize,
    ) -> Told<'_, Vec<Unembedded>>;

    /// Adds vectors of a model to chunks that are still there.
    fn embed(&self, collection: i64, model: String, vectors: Vec<(i64, Vector)>) -> Told<'_, ()>;

    /// Makes this model the collection's, and forgets other models' vectors; `false` if a chunk has no vector of it yet.
    fn adopt(&self, collection: i64, model: Model) -> Told<'_, bool>;

    /// What is not as it must be, in words; empty if all is well.
    fn faults(&self) -> Told<'_, Vec<String>>;
}

/// What is known of a document that is there.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) fingerprint: Hash,
    /// Whether a later version could not be read.
    pub(crate) failed: bool,
    /// Whether it lacks vectors of the collection's model.
    pub(crate) waits: bool,
}

/// A document, ready to be stored. Its text is in its chunks.
pub(crate) struct Prepared {
    pub(crate) document: Document,
    pub(crate) fingerprint: Hash,
    pub(crate) chunks: Vec<PreparedChunk>,
}

pub(crate) struct PreparedChunk {
    pub(crate) heading: String,
    pub(crate) text: String,
    pub(crate) tokens: usize,
    /// Of what is embedded.
    pub(crate) hash: Hash,
    pub(crate) terms: Terms,
    pub(crate) vector: Option<Vector>,
}

/// A chunk that a model has made no vector of.
pub(crate) struct Unembedded {
    pub(crate) document: i64,
    pub(crate) chunk: i64,
    /// Of what is to be embedded.
    pub(crate) hash: Hash,
    /// What is to be embedded.
    pub(crate) text: String,
}

/// A question, ready to be asked.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) viewer: Viewer,
    /// The collections, and the question's terms in the language of each.
    pub(crate) within: Vec<(i64, Vec<String>)>,
    /// The question's vector; only collections of its model are asked by it.
    pub(crate) vector: Option<(String, Vector)>,
    /// How many of each leg are looked at.
    pub(crate) depth: usize,
    /// How many are wanted.
    pub(crate) limit: usize,
    pub(crate) fusion: Fusion,
    /// When nobody waits any longer.
    pub(crate) until: Instant,
}

impl Wanted {
    /// Refuses to go on when nobody waits any longer.
    pub(crate) fn check_time(&self) -> Result<()> {
        if Instant::now() < self.until { Ok(()) } else { Err(Error::Late(SEARCH_LIMIT.as_secs())) }
    }
}

/// A chunk that was found.
pub(crate) struct Found {
    pub(crate) chunk: i64,
    pub(crate) collection: i64,
    pub(crate) document: i64,
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) url: Option<String>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) piece: Piece,
    pub(crate) scores: Scores,
}

/// A chunk at its place in a document.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) place: i64,
    pub(crate) heading: String,
    pub(crate) text: String,
    pub(crate) tokens: usize,
}

/// When something is stored, in seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The chunks that either leg found.
pub(crate) fn candidates(words: &[(i64, f32)], meaning: &[(i64, f32)]) -> Vec<i64> {
    let mut chunks: Vec<i64> = words.iter().chain(meaning).map(|(chunk, _)| *chunk).collect();
    chunks.sort_unstable();
    chunks.dedup();
    chunks
}

/// The candidates of both legs, weighed: the best `limit`, the best first.
pub(crate) fn ranked(
    words: &[(i64, f32)],
    meaning: &[(i64, f32)],
    document: impl Fn(i64) -> i64,
    fill: impl Fn(i64) -> (f32, Option<f32>),
    fusion: Fusion,
    limit: usize,
) -> Vec<(i64, Scores)> {
    let rank_in = |leg: &[(i64, f32)]| -> HashMap<i64, u32> {
        leg.iter().map(|(chunk, _)| *chunk).zip(1..).collect()
    };
    let (words_ranks, meaning_ranks) = (rank_in(words), rank_in(meaning));
    let chunks = candidates(words, meaning);
    let documents: Vec<i64> = chunks.iter().map(|chunk| document(*chunk)).collect();
    let scores = chunks.iter().map(|chunk| {
        let (words, meaning) = fill(*chunk);
        let (words_rank, meaning_rank) =
            (words_ranks.get(chunk).copied(), meaning_ranks.get(chunk).copied());
        Scores { words, meaning, words_rank, meaning_rank, ..Scores::default() }
    });
    let mut scores: Vec<Scores> = scores.collect();
    fusion.weigh(&mut scores, &documents);
    let mut ranked: Vec<(i64, Scores)> = chunks.into_iter().zip(scores).collect();
    ranked.sort_by(|left, right| right.1.total.total_cmp(&left.1.total).then(left.0.cmp(&right.0)));
    ranked.truncate(limit);
    ranked
}
