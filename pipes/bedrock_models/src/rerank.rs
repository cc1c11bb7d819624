//! Documents are put in order by how well they answer a question (`docs/reference/bedrock.md`, "Embeddings, reranking, images").

use crate::{
    attempts::Means,
    catalogue::Entry,
    fallback,
    invoke::{Invoked, invoke},
};
use bytes::Bytes;
use pipe_sdk::{PipeError, Rank, RerankCall, Reranked, Result};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Answer {
    results: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    index: usize,
    relevance_score: f64,
}

/// How many documents a call may hold.
const MOST: usize = 1000;

/// Puts the documents in order by the first of these models that can.
pub async fn rerank(call: &RerankCall, entries: &[Entry], means: Means<'_>) -> Result<Reranked> {
    if call.documents.len() > MOST {
        let message = format!("documents: send {MOST} at most");
        return Err(PipeError::bad_field("documents", message));
    }
    let body = request(call, &entries[0])?;
    let answered = fallback::first(entries, means, |entry, means| {
        Box::pin(invoke(body.clone(), entry, means))
    });
    let (entry, Invoked { answer: Answer { results }, tokens }) = answered.await?;
    if results.iter().any(|place| place.index >= call.documents.len()) {
        let message = format!("`{}` has ranked documents that were not sent: try again", entry.id);
        return Err(PipeError::Upstream(message));
    }
    let rank = |Place { index, relevance_score }| Rank { index, score: relevance_score };
    let mut ranks: Vec<_> = results.into_iter().map(rank).collect();
    ranks.sort_by(|one, other| other.score.total_cmp(&one.score));
    Ok(Reranked { ranks, prompt_tokens: tokens.unwrap_or_default() })
}

fn request(call: &RerankCall, entry: &Entry) -> Result<Bytes> {
    let RerankCall { query, documents, top_n, .. } = call;
    let most = top_n.unwrap_or(documents.len()).min(documents.len());
    let mut body = json!({"query": query, "documents": documents, "top_n": most});
    if entry.base.starts_with("cohere.") {
        body["api_version"] = 2.into();
    }
    serde_json::to_vec(&body).map(Bytes::from).map_err(PipeError::internal)
}
