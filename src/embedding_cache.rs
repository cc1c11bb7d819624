//! A cache of embeddings: a text that was embedded before is not sent to its model again.

use crate::{blocking, metrics::EmbeddingCacheMetrics};
use hashlink::LruCache;
use pipe_sdk::{CallerId, EmbedCall, Embeddings, Result};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of bytes that an entry takes beside its vector: the key, two pointers of the list,
/// and its part of the hash table.
const ENTRY_OVERHEAD: usize = 128;

/// The SHA-256 of a text, with everything that its vector depends on.
type Key = [u8; 32];

/// Everything that a vector depends on beside the call: which model turns the text into it.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingModel<'a> {
    /// The id of the pipe.
    pub pipe: &'a str,
    /// The id of the model within the pipe.
    pub model: &'a str,
    /// The generation of the pipe's valves: another address may mean another model of this id.
    pub generation: u64,
}

/// Vectors of texts that were embedded before, within a limit of memory. When it is full, the ones
/// that were not used for the longest time are removed.
pub struct EmbeddingCache {
    /// `None` if nothing is cached.
    entries: Option<Mutex<Entries>>,
    metrics: EmbeddingCacheMetrics,
}

/// The cached vectors, and their size.
struct Entries {
    vectors: LruCache<Key, Arc<[f32]>>,
    bytes: usize,
    max_bytes: usize,
}

impl EmbeddingCache {
    /// Returns a cache of at most `max_bytes`; with 0, nothing is cached.
    pub fn new(max_bytes: usize, metrics: EmbeddingCacheMetrics) -> Self {
        let entries = Entries { vectors: LruCache::new_unbounded(), bytes: 0, max_bytes };
        Self { entries: (max_bytes > 0).then(|| Mutex::new(entries)), metrics }
    }

    /// Returns the embeddings of this call. `embed` is called for the texts that are not cached,
    /// and the number of tokens is theirs alone.
    pub async fn embed<F: Future<Output = Result<Embeddings>>>(
        &self,
        model: EmbeddingModel<'_>,
        mut call: EmbedCall,
        embed: impl FnOnce(EmbedCall) -> F,
    ) -> Result<Embeddings> {
        let Some(entries) = &self.entries else { return embed(call).await };
        let keys;
        (keys, call.input) = hash_texts(call.caller, scope(model, &call), call.input).await?;
        let mut vectors = find(entries, &keys);
        let texts = std::mem::take(&mut call.input).into_iter().zip(&vectors);
        call.input = texts.filter(|(_, found)| found.is_none()).map(|(text, _)| text).collect();
        let missing = call.input.len();
        self.metrics.count(vectors.len() - missing, missing);
        if missing == 0 {
            let vectors = vectors.into_iter().flatten().map(|vector| vector.to_vec()).collect();
            return Ok(Embeddings { vectors, prompt_tokens: 0 });
        }
        let embedded = embed(call).await?;
        // A pipe that returns another number of vectors is the caller's to refuse.
        if embedded.vectors.len() != missing {
            return Ok(embedded);
        }
        let mut new = embedded.vectors.into_iter().map(Arc::<[f32]>::from);
        let places = vectors.iter_mut().zip(&keys).filter(|(vector, _)| vector.is_none());
        let mut entries = lock(entries);
        for ((place, key), vector) in places.zip(&mut new) {
            entries.insert(*key, Arc::clone(&vector));
            *place = Some(vector);
        }
        self.metrics.set_bytes(entries.bytes);
        drop(entries);
        let vectors = vectors.into_iter().flatten().map(|vector| vector.to_vec()).collect();
        Ok(Embeddings { vectors, prompt_tokens: embedded.prompt_tokens })
    }
}

impl Entries {
    /// Inserts a vector, and removes those that were not used for the longest time.
    fn insert(&mut self, key: Key, vector: Arc<[f32]>) {
        let bytes = entry_bytes(&vector);
        if bytes > self.max_bytes {
            return;
        }
        self.bytes += bytes;
        if let Some(replaced) = self.vectors.insert(key, vector) {
            self.bytes -= entry_bytes(&replaced);
        }
        while self.bytes > self.max_bytes {
            let Some((_, removed)) = self.vectors.remove_lru() else { return };
            self.bytes -= entry_bytes(&removed);
        }
    }
}

fn entry_bytes(vector: &[f32]) -> usize {
    size_of_val(vector) + ENTRY_OVERHEAD
}

/// Locks the entries.
fn lock(entries: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the cached vector of each key.
fn find(entries: &Mutex<Entries>, keys: &[Key]) -> Vec<Option<Arc<[f32]>>> {
    let mut entries = lock(entries);
    keys.iter().map(|key| entries.vectors.get(key).cloned()).collect()
}

/// Returns the hash of everything that all vectors of this call depend on.
fn scope(model: EmbeddingModel<'_>, call: &EmbedCall) -> Sha256 {
    let EmbedCall { dimensions, purpose, truncate, hints, .. } = call;
    // Texts are escaped in it, so that no two scopes are written alike.
    let scope = format!("{model:?}{dimensions:?}{purpose:?}{truncate:?}{hints:?}");
    Sha256::new().chain_update((scope.len() as u64).to_be_bytes()).chain_update(scope)
}

/// Returns the keys of these texts, and the texts.
async fn hash_texts(
    caller: CallerId,
    scope: Sha256,
    texts: Vec<String>,
) -> Result<(Vec<Key>, Vec<String>)> {
    let hash = move |texts: Vec<String>| {
        let key = |text: &String| scope.clone().chain_update(text).finalize().into();
        (texts.iter().map(key).collect(), texts)
    };
    let bytes = texts.iter().map(String::len).sum();
    blocking::compute(caller, bytes, move || hash(texts)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use pipe_sdk::EmbedInput;

    const MODEL: EmbeddingModel<'_> = EmbeddingModel { pipe: "p", model: "m", generation: 1 };

    fn cache(max_bytes: usize) -> EmbeddingCache {
        EmbeddingCache::new(max_bytes, Metrics::default().embedding_cache())
    }

    /// Embeds texts as their length, and returns the vectors and the texts that the model was sent.
    async fn embed(
        cache: &EmbeddingCache,
        model: EmbeddingModel<'_>,
        call: EmbedCall,
    ) -> (Vec<Vec<f32>>, Vec<String>) {
        let mut sent = Vec::new();
        let embedded = cache.embed(model, call, async |call| {
            sent = call.input.clone();
            let vectors = call.input.iter().map(|text| vec![text.len() as f32]).collect();
            Ok(Embeddings { vectors, prompt_tokens: call.input.len() as u64 })
        });
        let embedded = embedded.await.unwrap();
        assert_eq!(embedded.prompt_tokens, sent.len() as u64);
        (embedded.vectors, sent)
    }

    fn call(texts: &[&str]) -> EmbedCall {
        EmbedCall::new("m", texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[tokio::test]
    async fn only_new_texts_are_sent_and_the_order_stays() {
        let cache = cache(1 << 20);
        embed(&cache, MODEL, call(&["a", "bb"])).await;
        let (vectors, sent) = embed(&cache, MODEL, call(&["ccc", "bb", "a", "dddd"])).await;
        assert_eq!(sent, ["ccc", "dddd"]);
        assert_eq!(vectors, [[3.0], [2.0], [1.0], [4.0]]);
        let (vectors, sent) = embed(&cache, MODEL, call(&["dddd"])).await;
        assert_eq!((vectors, sent.len()), (vec![vec![4.0]], 0));
    }

    #[tokio::test]
    async fn whatever_changes_a_vector_has_an_entry_of_its_own() {
        let cache = cache(1 << 20);
        embed(&cache, MODEL, call(&["a"])).await;
        let others = [
            (EmbeddingModel { generation: 2, ..MODEL }, call(&["a"])),
            (EmbeddingModel { model: "n", ..MODEL }, call(&["a"])),
            (MODEL, EmbedCall { dimensions: Some(8), ..call(&["a"]) }),
            (MODEL, EmbedCall { purpose: Some(EmbedInput::SearchQuery), ..call(&["a"]) }),
            (MODEL, EmbedCall { hints: [("x-pipewright-a", "b")].into(), ..call(&["a"]) }),
        ];
        for (model, call) in others {
            assert_eq!(embed(&cache, model, call.clone()).await.1, ["a"], "{model:?} {call:?}");
            assert_eq!(embed(&cache, model, call).await.1.len(), 0);
        }
    }

    #[tokio::test]
    async fn the_least_recently_used_entries_make_room() {
        let cache = cache(2 * (4 + ENTRY_OVERHEAD));
        embed(&cache, MODEL, call(&["a", "b"])).await;
        embed(&cache, MODEL, call(&["a"])).await;
        embed(&cache, MODEL, call(&["c"])).await;
        assert_eq!(embed(&cache, MODEL, call(&["a", "b", "c"])).await.1, ["b"]);
    }

    #[tokio::test]
    async fn without_memory_nothing_is_cached() {
        let cache = cache(0);
        embed(&cache, MODEL, call(&["a"])).await;
        assert_eq!(embed(&cache, MODEL, call(&["a"])).await.1, ["a"]);
    }
}
