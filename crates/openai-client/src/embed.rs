//! Embeddings of texts.

use crate::{OpenAiError, Server};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{EmbedCall, Embeddings};
use serde::Deserialize;
use serde_json::{Value, json};

/// The body of a response to `POST /embeddings`.
#[derive(Deserialize)]
struct EmbeddingsResponse {
    data: Vec<EmbeddingItem>,
    #[serde(default)]
    usage: Value,
}

/// A vector, and the index of its text.
#[derive(Deserialize)]
struct EmbeddingItem {
    index: Option<usize>,
    embedding: Vector,
}

/// A vector in either encoding.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    Base64(String),
}

/// The largest number of texts in one request.
const BATCH_SIZE: usize = 256;
/// The largest number of concurrent requests of one call.
const MAX_CONCURRENT_BATCHES: usize = 4;

/// The error of a response without valid vectors.
const INVALID_VECTORS: OpenAiError = OpenAiError::InvalidResponse("its vectors are none");

impl Server {
    /// Returns the embeddings that a model of the server makes of these texts.
    pub async fn embed(&self, model: &str, call: &EmbedCall) -> Result<Embeddings, OpenAiError> {
        let parts = call.input.chunks(BATCH_SIZE);
        let parts: Vec<_> = parts.map(|texts| self.embed_batch(model, texts, call)).collect();
        let parts: Vec<Embeddings> =
            stream::iter(parts).buffered(MAX_CONCURRENT_BATCHES).try_collect().await?;
        let prompt_tokens = parts.iter().map(|part| part.prompt_tokens).sum();
        let vectors = parts.into_iter().flat_map(|part| part.vectors).collect();
        Ok(Embeddings { vectors, prompt_tokens })
    }

    async fn embed_batch(
        &self,
        model: &str,
        texts: &[String],
        call: &EmbedCall,
    ) -> Result<Embeddings, OpenAiError> {
        let mut body = json!({"model": model, "input": texts, "encoding_format": "float"});
        if let Some(dimensions) = call.dimensions {
            body["dimensions"] = dimensions.into();
        }
        let json = self
            .post_json("embeddings", body.to_string().into_bytes(), call.caller, call.trace)
            .await?;
        let EmbeddingsResponse { data, usage } =
            serde_json::from_slice(&json).map_err(|_| INVALID_VECTORS)?;
        if data.len() != texts.len() {
            return Err(OpenAiError::InvalidResponse(
                "it has another number of vectors than there were texts",
            ));
        }
        let tokens = usage["prompt_tokens"].as_u64().or_else(|| usage["total_tokens"].as_u64());
        let prompt_tokens = tokens.unwrap_or_default().min(1 << 40);
        Ok(Embeddings { vectors: sort_by_index(data)?, prompt_tokens })
    }
}

/// Returns the vectors in the order of their indexes; without indexes they are in order already.
fn sort_by_index(mut items: Vec<EmbeddingItem>) -> Result<Vec<Vec<f32>>, OpenAiError> {
    if items.iter().all(|item| item.index.is_some()) {
        items.sort_by_key(|item| item.index);
    }
    items.into_iter().map(|item| item.embedding.into_numbers()).collect()
}

impl Vector {
    fn into_numbers(self) -> Result<Vec<f32>, OpenAiError> {
        match self {
            Self::Numbers(numbers) => Ok(numbers),
            Self::Base64(text) => {
                let bytes = BASE64_STANDARD.decode(text).map_err(|_| INVALID_VECTORS)?;
                let (numbers, rest) = bytes.as_chunks();
                let numbers = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
                if rest.is_empty() { Ok(numbers) } else { Err(INVALID_VECTORS) }
            }
        }
    }
}
