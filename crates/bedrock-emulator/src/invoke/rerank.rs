//! Reranking: scores documents by the words that they share with the query.

use super::{check_known_fields, parse_text, parse_texts, require_field};
use crate::exception::BedrockException;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Answers a request to this model.
pub(super) fn respond(id: &str, body: &Value) -> Result<Value, BedrockException> {
    if id.starts_with("cohere.") {
        check_known_fields(
            body,
            &["query", "documents", "top_n", "api_version", "max_tokens_per_doc"],
        )?;
        let version = require_field(body, "api_version")?;
        if version.as_u64() != Some(2) {
            let problem = format_args!("#/api_version: {version} is not a valid enum value");
            return Err(BedrockException::malformed(problem));
        }
    } else {
        check_known_fields(body, &["query", "documents", "top_n"])?;
    }
    let query = word_set(&parse_text(require_field(body, "query")?, "query")?);
    let documents = parse_texts(body, "documents", 1000)?;
    let most = parse_top_n(body, documents.len())?;
    let score = |document: &String| {
        let document = word_set(document);
        let both = query.intersection(&document).count() as f64;
        let either = query.union(&document).count().max(1) as f64;
        both / either
    };
    let mut ranked: Vec<_> = documents.iter().map(score).enumerate().collect();
    ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let results = ranked
        .iter()
        .take(most)
        .map(|(index, score)| json!({ "index": index, "relevance_score": score }));
    Ok(json!({ "results": results.collect::<Vec<_>>() }))
}

fn parse_top_n(body: &Value, all: usize) -> Result<usize, BedrockException> {
    let Some(requested) = body.get("top_n") else { return Ok(all) };
    let most = requested.as_u64().and_then(|most| usize::try_from(most).ok());
    most.filter(|most| (1..=all).contains(most)).ok_or_else(|| {
        BedrockException::malformed(format_args!(
            "#/top_n: {requested} is not greater or equal to 1 and at most {all}"
        ))
    })
}

fn word_set(text: &str) -> HashSet<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_document_ranks_first() {
        let body = json!({ "query": "blue sky", "documents": ["red wine", "The sky is blue."], "top_n": 1 });
        let ranked = respond("amazon.rerank-v1:0", &body).unwrap();
        assert_eq!(ranked["results"], json!([{ "index": 1, "relevance_score": 0.5 }]));
    }

    #[test]
    fn cohere_wants_to_know_the_version_and_nobody_gives_more_than_there_is() {
        let body = json!({ "query": "a", "documents": ["a"], "top_n": 2 });
        for (id, words) in
            [("cohere.rerank-v3-5:0", "[api_version]"), ("amazon.rerank-v1:0", "top_n")]
        {
            let fault = respond(id, &body).unwrap_err();
            assert!(fault.message().contains(words), "{id}: {fault}");
        }
    }
}
