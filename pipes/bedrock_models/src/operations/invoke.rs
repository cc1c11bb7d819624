//! One request to `InvokeModel`, in the model's own format, with a whole answer.

use crate::{
    catalog::ModelEntry,
    error::BedrockError,
    sending::{self, CallDeps, CandidateError, InvokeRequest},
};
use bedrock_runtime::{Operation, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// An answer, and what AWS counted.
pub struct ModelResponse<T> {
    /// The answer of the model.
    pub answer: T,
    /// The tokens of the input; `None` if AWS does not report them.
    pub tokens: Option<u64>,
}

/// The header in which AWS reports the tokens of the input.
const INPUT_TOKENS_HEADER: &str = "x-amzn-bedrock-input-token-count";

/// Large enough for five images of the largest size that compress badly.
const MAX_RESPONSE_BYTES: usize = 96 << 20;

/// Asks this model.
pub async fn invoke<T: DeserializeOwned>(
    body: Bytes,
    entry: &ModelEntry,
    deps: CallDeps<'_>,
) -> Result<ModelResponse<T>, CandidateError> {
    let location = &entry.location();
    let request = InvokeRequest { location, operation: Operation::Invoke(&entry.model_id), body };
    let answer = sending::send(request, deps, read).await;
    let (response, in_flight) =
        answer.map_err(|error| CandidateError::from_call(error, location))?;
    in_flight.complete(None);
    Ok(response)
}

/// Reads the JSON of a response, and the number of input tokens from its header.
async fn read<T: DeserializeOwned>(response: Response) -> Result<ModelResponse<T>, BedrockError> {
    let tokens = response.header(INPUT_TOKENS_HEADER).and_then(|count| count.parse().ok());
    let json = response
        .into_body()
        .read_up_to(MAX_RESPONSE_BYTES)
        .await
        .map_err(|_| BedrockError::ConnectionClosed)?;
    let unreadable = |_| BedrockError::Protocol("its JSON is not what this model answers".into());
    Ok(ModelResponse { answer: serde_json::from_slice(&json).map_err(unreadable)?, tokens })
}
