//! Reranking: documents are ordered by how well they answer a question
//! (`docs/reference/bedrock.md`, "Embeddings, reranking, images").

use super::invoke::{ModelResponse, invoke};
use crate::{
    catalog::ModelEntry,
    sending::{CallDeps, try_candidates},
};
use bytes::Bytes;
use pipe_sdk::{PipeError, Rank, RerankCall, Reranked, Result};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The body of a response of `Rerank`.
#[derive(Deserialize)]
struct RerankResponse {
    results: Vec<RankedDocument>,
}

/// A document's index and score.
#[derive(Deserialize)]
struct RankedDocument {
    index: usize,
    relevance_score: f64,
}

/// The largest number of documents in a call.
const MAX_DOCUMENTS: usize = 1000;

/// Puts the documents in order by the first of these models that can.
pub async fn rerank(
    call: &RerankCall,
    candidates: &[Arc<ModelEntry>],
    deps: CallDeps<'_>,
) -> Result<Reranked> {
    if call.documents.len() > MAX_DOCUMENTS {
        let message = format!("documents: send {MAX_DOCUMENTS} at most");
        return Err(PipeError::bad_field("documents", message));
    }
    let body = write_body(call, &candidates[0])?;
    let answer =
        try_candidates(candidates, deps, |entry, deps| Box::pin(invoke(body.clone(), entry, deps)));
    let (entry, ModelResponse { answer: RerankResponse { results }, tokens }) = answer.await?;
    if results.iter().any(|ranked| ranked.index >= call.documents.len()) {
        let message = format!("`{}` has ranked documents that were not sent: try again", entry.id);
        return Err(PipeError::Upstream(message));
    }
    let rank = |RankedDocument { index, relevance_score }| Rank { index, score: relevance_score };
    let mut ranks: Vec<_> = results.into_iter().map(rank).collect();
    ranks.sort_by(|one, other| other.score.total_cmp(&one.score));
    Ok(Reranked { ranks, prompt_tokens: tokens.unwrap_or_default() })
}

fn write_body(call: &RerankCall, entry: &ModelEntry) -> Result<Bytes> {
    let RerankCall { query, documents, top_n, .. } = call;
    let most = top_n.unwrap_or(documents.len()).min(documents.len());
    let mut body = json!({"query": query, "documents": documents, "top_n": most});
    if entry.base.starts_with("cohere.") {
        body["api_version"] = 2.into();
    }
    serde_json::to_vec(&body).map(Bytes::from).map_err(PipeError::internal)
}
