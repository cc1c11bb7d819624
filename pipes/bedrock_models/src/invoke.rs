//! One request in a model's own words, answered in one piece.

use crate::{
    attempts::{self, InvokeRequest, Means, Unanswered},
    catalogue::Entry,
    stream::Trouble,
};
use bedrock_runtime::{Operation, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// An answer, and what AWS counted.
pub struct Invoked<T> {
    /// What the model says.
    pub answer: T,
    /// How many tokens it read; `None` if AWS does not tell.
    pub tokens: Option<u64>,
}

/// Where AWS tells how many tokens it read.
const TOKENS: &str = "x-amzn-bedrock-input-token-count";

/// Five pictures of the largest size, which do not pack well, stand in this.
const LARGEST: usize = 96 << 20;

/// Asks this model.
pub async fn invoke<T: DeserializeOwned>(
    body: Bytes,
    entry: &Entry,
    means: Means<'_>,
) -> Result<Invoked<T>, Unanswered> {
    let source = &entry.source();
    let errand = InvokeRequest { source, operation: Operation::Invoke(&entry.model_id), body };
    let answered = attempts::send(errand, means, read).await;
    let (answer, running) = answered.map_err(|trouble| Unanswered::of(trouble, source))?;
    running.settle(None);
    Ok(answer)
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<Invoked<T>, Trouble> {
    let tokens = response.header(TOKENS).and_then(|count| count.parse().ok());
    let json = response.into_body().whole(LARGEST).await.map_err(|_| Trouble::Cut)?;
    let unread = |_| Trouble::Garbled("its JSON is not what this model answers".into());
    Ok(Invoked { answer: serde_json::from_slice(&json).map_err(unread)?, tokens })
}
