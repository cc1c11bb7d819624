//! Finds what answers a question: which legs are searched, who puts the finds in order, and what is too weak to be shown.

use crate::{
    meaning::{Meaning, Memory},
    place::{Place, away},
    rerank::HostReranker,
    valves::RagValves,
};
use pipe_sdk::{Host, PipeError, Result, User, library::Reader};
use retrieval::{
    Embedder, Fusion, IndexError, SearchHit, SearchMode, SearchQuery, SearchResults, Viewer,
};
use std::{sync::Arc, time::Duration};

/// Rerankers do worse when they get too many.
const RERANKED: usize = 40;

/// How long people wait for a reranker; then the order stays as it was.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The index and how it is asked.
#[derive(Clone)]
pub(crate) struct Finder {
    pub place: Arc<Place>,
    pub meaning: Meaning,
    pub memory: Arc<Memory>,
}

impl Finder {
    /// The best chunks of these collections, `top_k` at most. Collections that are not there, or not for this viewer, are passed over.
    pub(crate) async fn find(
        &self,
        valves: &RagValves,
        collections: &[&str],
        query: &str,
        viewer: &Viewer,
        top_k: usize,
        host: &Host,
    ) -> Result<SearchResults> {
        let index = self.place.index().await?;
        let seen = index.list_collections(viewer).await.map_err(told)?;
        let is_seen = |name: &&&str| seen.iter().any(|collection| collection.name == **name);
        let names: Vec<&str> = collections.iter().filter(is_seen).copied().collect();
        if names.is_empty() || query.trim().is_empty() {
            return Ok(SearchResults { hits: Vec::new(), words_only: None, not_reranked: None });
        }
        let embedder = self.meaning.embedder(host, &self.memory);
        let embedder = embedder.as_ref().map(|embedder| embedder as &dyn Embedder);
        let question = self.question(valves, query, viewer, top_k);
        let asked = index.search(&names, &question, embedder).await;
        // Where the meaning cannot be asked, words are better than nothing.
        let without = match &asked {
            Err(IndexError::Embedding(error)) => {
                Some(format!("It was searched by words alone: {error}."))
            }
            Ok(answer) if question.mode == SearchMode::Vector => answer.words_only.clone(),
            Ok(_) | Err(_) => None,
        };
        let mut answer = match without {
            None => asked.map_err(told)?,
            Some(why) => {
                let words = SearchQuery { mode: SearchMode::Keyword, ..question };
                let answer = index.search(&names, &words, None).await.map_err(told)?;
                SearchResults { words_only: Some(why), ..answer }
            }
        };
        if let Some(why) = self.meaning.missing() {
            answer.words_only = Some(format!("It was searched by words alone: {why}."));
        }
        if let Some(model) = &valves.reranker {
            let reranker = HostReranker { host, model };
            answer = answer.rerank(query, &reranker, top_k, PATIENCE).await;
        }
        answer.hits.retain(|hit| is_strong(hit, valves.min_score));
        Ok(answer)
    }

    fn question(
        &self,
        valves: &RagValves,
        query: &str,
        viewer: &Viewer,
        top_k: usize,
    ) -> SearchQuery {
        let limit = if valves.reranker.is_some() { RERANKED.max(top_k) } else { top_k };
        let mode = match (valves.hybrid_search, self.meaning.missing()) {
            (_, Some(_)) => SearchMode::Keyword,
            (true, None) => SearchMode::Hybrid,
            (false, None) => SearchMode::Vector,
        };
        let fusion = Fusion::Weighted { vector_weight: valves.meaning_weight };
        SearchQuery { limit, mode, fusion, ..SearchQuery::new(query, viewer.clone()) }
    }
}

/// Whether a chunk has at least this score, or none that could be compared. 0 leaves out none: a cosine may be below it.
fn is_strong(hit: &SearchHit, least: f32) -> bool {
    let score = hit.scores.rerank.or(hit.scores.cosine);
    least <= 0.0 || score.is_none_or(|score| score >= least)
}

/// Whose eyes the index is asked with.
pub(crate) fn viewer(reader: Reader) -> Viewer {
    match reader {
        Reader::Anonymous => Viewer::Anonymous,
        Reader::Admin => Viewer::Operator,
        Reader::User(User { id, role, .. }) => {
            Viewer::User { id, roles: role.into_iter().collect() }
        }
    }
}

/// What went wrong in the index, as a pipe says it.
pub(crate) fn told(error: IndexError) -> PipeError {
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
        IndexError::Storage(_) => away(&error),
    }
}
