//! Texts become vectors.

use crate::{Server, Trouble};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{EmbedCall, Embeddings};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vector,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    Base64(String),
}

/// How many texts go into a request, and how many requests of one call are under way at once.
const AT_ONCE: usize = 256;
const REQUESTS: usize = 4;

const UNREAD: Trouble = Trouble::Garbled("its vectors are none");

impl Server {
    /// Turns texts into vectors by the server's model of this name.
    pub async fn embed(&self, model: &str, call: &EmbedCall) -> Result<Embeddings, Trouble> {
        let parts = call.input.chunks(AT_ONCE);
        let parts: Vec<_> = parts.map(|texts| self.part(model, texts, call)).collect();
        let parts: Vec<Embeddings> = stream::iter(parts).buffered(REQUESTS).try_collect().await?;
        let prompt_tokens = parts.iter().map(|part| part.prompt_tokens).sum();
        let vectors = parts.into_iter().flat_map(|part| part.vectors).collect();
        Ok(Embeddings { vectors, prompt_tokens })
    }

    async fn part(
        &self,
        model: &str,
        texts: &[String],
        call: &EmbedCall,
    ) -> Result<Embeddings, Trouble> {
        let mut body = json!({"model": model, "input": texts, "encoding_format": "float"});
        if let Some(dimensions) = call.dimensions {
            body["dimensions"] = dimensions.into();
        }
        let json = self
            .whole("embeddings", body.to_string().into_bytes(), call.caller, call.trace)
            .await?;
        let Answer { data, usage } = serde_json::from_slice(&json).map_err(|_| UNREAD)?;
        if data.len() != texts.len() {
            return Err(Trouble::Garbled("it has another number of vectors than there were texts"));
        }
        let tokens = usage["prompt_tokens"].as_u64().or_else(|| usage["total_tokens"].as_u64());
        let prompt_tokens = tokens.unwrap_or_default().min(1 << 40);
        Ok(Embeddings { vectors: in_order(data)?, prompt_tokens })
    }
}

/// The vectors by their numbers; without them they are in order already.
fn in_order(mut items: Vec<Item>) -> Result<Vec<Vec<f32>>, Trouble> {
    if items.iter().all(|item| item.index.is_some()) {
        items.sort_by_key(|item| item.index);
    }
    items.into_iter().map(|item| item.embedding.numbers()).collect()
}

impl Vector {
    fn numbers(self) -> Result<Vec<f32>, Trouble> {
        match self {
            Self::Numbers(numbers) => Ok(numbers),
            Self::Base64(text) => {
                let bytes = BASE64_STANDARD.decode(text).map_err(|_| UNREAD)?;
                let (numbers, rest) = bytes.as_chunks();
                let numbers = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
                if rest.is_empty() { Ok(numbers) } else { Err(UNREAD) }
            }
        }
    }
}
