//! Searches the index for a question: chooses the kind of search, reranks, and drops hits that are
//! too weak.

use crate::{
    embedding_source::{EmbeddingSource, QueryCache, SourceEmbedder},
    index_handle::{IndexHandle, unavailable_error},
    rerank::{HostReranker, LocalRerankerSource},
    valves::{LOCAL, RagValves},
};
use pipe_sdk::{Host, PipeError, Result, User, library::Reader};
use retrieval::{
    Collection, Embedder, Fusion, IndexError, SearchHit, SearchMode, SearchQuery, SearchResults,
    Viewer,
};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// The maximum number of hits that are reranked. Rerankers do worse with more
/// (<https://arxiv.org/abs/2411.11767>).
const MAX_RERANKED: usize = 40;

/// The maximum number of hits that the local reranker orders, because it takes 25 ms or more for
/// each.
const MAX_RERANKED_LOCALLY: usize = 20;

/// The time limit of a reranker of the host. After it, the order stays as it was.
const RERANK_TIMEOUT: Duration = Duration::from_millis(1500);

/// The time limit of the local reranker.
const LOCAL_RERANK_TIMEOUT: Duration = Duration::from_secs(5);

/// The index with its embedding model.
#[derive(Clone)]
pub(crate) struct Searcher {
    pub index: Arc<IndexHandle>,
    pub embeddings: Arc<EmbeddingSource>,
    pub local_reranker: Arc<LocalRerankerSource>,
    pub query_cache: Arc<QueryCache>,
}

/// A question to some collections.
pub(crate) struct SearchRequest<'a> {
    pub valves: &'a RagValves,
    pub collections: &'a [&'a str],
    pub query: &'a str,
    pub viewer: &'a Viewer,
    pub top_k: usize,
}

impl Searcher {
    /// Returns the best chunks, at most `top_k`. Collections that do not exist or that the viewer
    /// may not see are skipped.
    pub(crate) async fn search(
        &self,
        request: SearchRequest<'_>,
        host: &Host,
    ) -> Result<SearchResults> {
        let SearchRequest { valves, query, viewer, top_k, .. } = request;
        let index = self.index.get().await?;
        let visible = index.list_collections(viewer).await.map_err(to_pipe_error)?;
        let find = |name: &&str| visible.iter().find(|collection| collection.name == **name);
        let collections: Vec<&Collection> = request.collections.iter().filter_map(find).collect();
        if collections.is_empty() || query.trim().is_empty() {
            return Ok(SearchResults::default());
        }
        let embedder = self.choose_embedder(&collections, host).await;
        let mut results = self.search_index(&request, &collections, embedder.as_ref()).await?;
        if embedder.is_none()
            && let Some(reason) = self.embeddings.missing_reason()
        {
            results.words_only = Some(format!("It was searched by words alone: {reason}."));
        }
        match valves.reranker.as_deref() {
            Some(LOCAL) => {
                let reranker = self.local_reranker.as_ref();
                results = results.rerank(query, reranker, top_k, LOCAL_RERANK_TIMEOUT).await;
            }
            Some(model) => {
                let reranker = HostReranker { host, model };
                results = results.rerank(query, &reranker, top_k, RERANK_TIMEOUT).await;
            }
            None => {}
        }
        let query_words = results.query_words;
        results.hits.retain(|hit| {
            let embedder = embedder.as_ref();
            // A question of stop words alone names nothing that a text in another language could be
            // about.
            let is_across = hit.in_other_language && query_words > 0;
            let floor = embedder.and_then(|model| model.cosine_floor(is_across));
            is_above_minimum(hit, valves.min_score) && is_related(hit, floor, query_words)
        });
        Ok(results)
    }

    /// Returns the embedder of the model in use, or of the collections' own model until all of them
    /// are embedded by the one in use.
    async fn choose_embedder(
        &self,
        collections: &[&Collection],
        host: &Host,
    ) -> Option<SourceEmbedder> {
        if self.embeddings.missing_reason().is_some() {
            self.embeddings.refresh(host, collections).await;
        }
        let current = self.embeddings.embedder(host, &self.query_cache)?;
        let mut models = collections.iter().filter_map(|collection| collection.model.as_ref());
        if models.clone().any(|model| model.id == current.model()) {
            return Some(current);
        }
        let previous = models
            .next()
            .and_then(|model| self.embeddings.embedder_of(&model.id, host, &self.query_cache));
        Some(previous.unwrap_or(current))
    }

    /// Searches by meaning and words; by words alone if the embedding model fails.
    async fn search_index(
        &self,
        request: &SearchRequest<'_>,
        collections: &[&Collection],
        embedder: Option<&SourceEmbedder>,
    ) -> Result<SearchResults> {
        let index = self.index.get().await?;
        let names: Vec<&str> =
            collections.iter().map(|collection| collection.name.as_str()).collect();
        let query = build_query(request, embedder.is_some());
        let embedder = embedder.map(|embedder| embedder as &dyn Embedder);
        let results = index.search(&names, &query, embedder).await;
        let failure = match &results {
            Err(IndexError::Embedding(error)) => {
                Some(format!("It was searched by words alone: {error}."))
            }
            Ok(results) if query.mode == SearchMode::Vector => results.words_only.clone(),
            Ok(_) | Err(_) => None,
        };
        let Some(reason) = failure else { return results.map_err(to_pipe_error) };
        let by_words = SearchQuery { mode: SearchMode::Keyword, ..query };
        let results = index.search(&names, &by_words, None).await.map_err(to_pipe_error)?;
        Ok(SearchResults { words_only: Some(reason), ..results })
    }
}

fn build_query(request: &SearchRequest<'_>, has_embedder: bool) -> SearchQuery {
    let SearchRequest { valves, query, viewer, top_k, .. } = request;
    let limit = match valves.reranker.as_deref() {
        Some(LOCAL) => MAX_RERANKED_LOCALLY.max(*top_k),
        Some(_) => MAX_RERANKED.max(*top_k),
        None => *top_k,
    };
    let mode = match (valves.hybrid_search, has_embedder) {
        (_, false) => SearchMode::Keyword,
        (true, true) => SearchMode::Hybrid,
        (false, true) => SearchMode::Vector,
    };
    let fusion = Fusion::Weighted { vector_weight: valves.meaning_weight };
    SearchQuery { limit, mode, fusion, ..SearchQuery::new(*query, (*viewer).clone()) }
}

/// Returns true if a hit has at least the minimum score of the valves, or no score that is
/// comparable. A minimum of 0 drops none: a cosine may be negative.
fn is_above_minimum(hit: &SearchHit, minimum: f32) -> bool {
    let score = hit.scores.rerank.or(hit.scores.cosine);
    minimum <= 0.0 || score.is_none_or(|score| score >= minimum)
}

/// Returns true unless the cosine says that a hit is unrelated to the question. A hit with enough
/// of the question's words stays: an embedding model knows little about names and numbers.
fn is_related(hit: &SearchHit, floor: Option<f32>, query_words: usize) -> bool {
    let is_far = hit.scores.cosine.zip(floor).is_some_and(|(cosine, floor)| cosine < floor);
    !is_far || hit.scores.rerank.is_some() || has_enough_words(hit.matched_words.len(), query_words)
}

/// Returns true for most of the question's words, and for half of them if these are two or more.
fn has_enough_words(matched: usize, query_words: usize) -> bool {
    matched * 2 > query_words || (matched > 1 && matched * 2 == query_words)
}

/// Merges the results of a question by itself and with those before it: takes the best hit of each
/// in turn, then the next ones. The question by itself comes first if its best hit has enough of
/// its words, so that it does not seem to refer to something before.
pub(crate) fn interleave(mut found: Vec<SearchResults>, limit: usize) -> SearchResults {
    let stands_alone = |results: &SearchResults| {
        let matched = results.hits.first().map_or(0, |hit| hit.matched_words.len());
        matched > 1 && has_enough_words(matched, results.query_words)
    };
    if !found.first().is_some_and(stands_alone) {
        found.reverse();
    }
    let mut merged = SearchResults::default();
    let mut rankings = Vec::new();
    for results in found {
        merged.words_only = merged.words_only.or(results.words_only);
        merged.not_reranked = merged.not_reranked.or(results.not_reranked);
        merged.query_words = merged.query_words.max(results.query_words);
        rankings.push(results.hits.into_iter());
    }
    let mut seen = HashSet::new();
    while merged.hits.len() < limit && rankings.iter().any(|ranking| ranking.len() > 0) {
        let hits = rankings.iter_mut().filter_map(Iterator::next);
        merged.hits.extend(hits.filter(|hit| seen.insert(hit.chunk)));
    }
    merged.hits.truncate(limit);
    merged
}

/// Converts a reader of the library to a viewer of the index.
pub(crate) fn to_viewer(reader: Reader) -> Viewer {
    match reader {
        Reader::Anonymous => Viewer::Anonymous,
        Reader::Admin => Viewer::Operator,
        Reader::User(User { id, role, .. }) => {
            Viewer::User { id, roles: role.into_iter().collect() }
        }
    }
}

/// Converts an error of the index to one of the pipe.
pub(crate) fn to_pipe_error(error: IndexError) -> PipeError {
    match error {
        IndexError::CollectionNotFound(_) => {
            PipeError::Refused { status: 404, message: error.to_string(), retry_after: None }
        }
        IndexError::CollectionExists(_) | IndexError::ModelMismatch { .. } => {
            PipeError::Conflict(error.to_string())
        }
        IndexError::InvalidInput(message) => PipeError::bad_request(message),
        IndexError::Embedding(error) => PipeError::Upstream(error.to_string()),
        IndexError::Timeout(_) => PipeError::Timeout(error.to_string()),
        IndexError::Storage(_) => unavailable_error(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_kept_for_half_of_the_words_if_these_are_several() {
        for (matched, words, is_kept) in
            [(0, 0, false), (1, 1, true), (1, 2, false), (2, 3, true), (2, 4, true), (2, 5, false)]
        {
            assert_eq!(has_enough_words(matched, words), is_kept, "{matched} of {words}");
        }
    }
}
