//! Reranking of documents, in the format of Cohere and Jina, or in that of TEI for servers that ask
//! for it (<https://huggingface.github.io/text-embeddings-inference/>).

use crate::{OpenAiError, Server};
use pipe_sdk::{Rank, RerankCall, Reranked};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;

/// The body of a response to `POST /rerank`, in the forms of several servers.
#[derive(Deserialize)]
#[serde(untagged)]
enum RerankResponse {
    Object {
        #[serde(alias = "data")]
        results: Vec<RankedDocument>,
        #[serde(default)]
        usage: Value,
    },
    List(Vec<RankedDocument>),
}

/// A document's index and score.
#[derive(Deserialize)]
struct RankedDocument {
    index: usize,
    #[serde(alias = "score")]
    relevance_score: f64,
}

impl Server {
    /// Ranks documents with a model of the server.
    pub async fn rerank(&self, model: &str, call: &RerankCall) -> Result<Reranked, OpenAiError> {
        let most = call.top_n.unwrap_or(call.documents.len()).min(call.documents.len());
        let RerankCall { query, documents, .. } = call;
        let cohere_request =
            json!({"model": model, "query": query, "documents": documents, "top_n": most});
        let tei_request = json!({"query": query, "texts": documents});
        let response = match self.uses_tei_format.load(Relaxed) {
            true => {
                self.post_json(
                    "rerank",
                    tei_request.to_string().into_bytes(),
                    call.caller,
                    call.trace,
                )
                .await
            }
            false => {
                self.post_json(
                    "rerank",
                    cohere_request.to_string().into_bytes(),
                    call.caller,
                    call.trace,
                )
                .await
            }
        };
        let json = match response {
            Err(OpenAiError::Api(said))
                if matches!(said.status, 400 | 422) && said.message_contains("texts") =>
            {
                let json = self
                    .post_json(
                        "rerank",
                        tei_request.to_string().into_bytes(),
                        call.caller,
                        call.trace,
                    )
                    .await?;
                self.uses_tei_format.store(true, Relaxed);
                json
            }
            response => response?,
        };
        parse_response(&json, documents.len(), most)
    }
}

fn parse_response(json: &[u8], documents: usize, most: usize) -> Result<Reranked, OpenAiError> {
    let unread = |_| OpenAiError::InvalidResponse("its ranking is invalid");
    let (places, usage) = match serde_json::from_slice(json).map_err(unread)? {
        RerankResponse::Object { results, usage } => (results, usage),
        RerankResponse::List(results) => (results, Value::Null),
    };
    if places.iter().any(|place| place.index >= documents || !place.relevance_score.is_finite()) {
        return Err(OpenAiError::InvalidResponse("it has ranked documents that were not sent"));
    }
    // Some tell the model's own number, which has no bounds.
    let is_raw = places.iter().any(|place| !(0.0..=1.0).contains(&place.relevance_score));
    let score = |raw: f64| if is_raw { 1.0 / (1.0 + (-raw).exp()) } else { raw };
    let rank =
        |place: RankedDocument| Rank { index: place.index, score: score(place.relevance_score) };
    let mut ranks: Vec<_> = places.into_iter().map(rank).collect();
    ranks.sort_by(|one, other| other.score.total_cmp(&one.score));
    ranks.truncate(most);
    let tokens = usage["total_tokens"].as_u64().or_else(|| usage["prompt_tokens"].as_u64());
    Ok(Reranked { ranks, prompt_tokens: tokens.unwrap_or_default().min(1 << 40) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(answer: &Value) -> Vec<(usize, f64)> {
        let reranked = parse_response(answer.to_string().as_bytes(), 3, 2).unwrap();
        reranked.ranks.iter().map(|rank| (rank.index, rank.score)).collect()
    }

    #[test]
    fn the_order_comes_in_the_shapes_of_many() {
        let cohere = json!({"results": [{"index": 2, "relevance_score": 0.1}, {"index": 0, "relevance_score": 0.9}], "usage": {"total_tokens": 7}});
        assert_eq!(order(&cohere), [(0, 0.9), (2, 0.1)]);
        let tei = json!([{"index": 1, "score": 0.5}, {"index": 0, "score": 0.2}, {"index": 2, "score": 0.1}]);
        assert_eq!(order(&tei), [(1, 0.5), (0, 0.2)]);
        let raw = order(
            &json!({"results": [{"index": 0, "relevance_score": -3.0}, {"index": 1, "relevance_score": 0.0}]}),
        );
        assert_eq!((raw[0], raw[1].0), ((1, 0.5), 0));
        assert!((0.0..0.1).contains(&raw[1].1));
    }

    #[test]
    fn what_is_no_order_is_an_error() {
        for answer in [json!({}), json!([7]), json!([{"index": 3, "score": 0.5}]), json!("x")] {
            assert!(parse_response(answer.to_string().as_bytes(), 3, 3).is_err(), "{answer}");
        }
    }
}
