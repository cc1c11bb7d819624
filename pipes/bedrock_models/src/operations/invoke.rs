//! One request to `InvokeModel`, in the model's own format, with a whole answer.

use crate::{
    catalog::ModelEntry,
    error::BedrockError,
    sending::{self, CallDeps, CandidateError},
};
use bedrock_runtime::InvokeModelResponse;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::future::ready;

/// An answer, and what AWS counted.
pub struct ModelResponse<T> {
    /// The answer of the model.
    pub answer: T,
    /// The tokens of the input; `None` if AWS does not report them.
    pub tokens: Option<u64>,
}

/// Asks this model.
pub async fn invoke<T: DeserializeOwned>(
    body: Bytes,
    entry: &ModelEntry,
    deps: CallDeps<'_>,
) -> Result<ModelResponse<T>, CandidateError> {
    let location = &entry.location();
    let answer = sending::send_operation(
        location,
        deps,
        |runtime, attempt| {
            runtime.invoke_model(&location.region, &entry.model_id, body.clone(), attempt)
        },
        |response| ready(read(&response)),
    )
    .await;
    let (response, in_flight) =
        answer.map_err(|error| CandidateError::from_call(error, location))?;
    in_flight.complete(None);
    Ok(response)
}

/// Reads the JSON of a response.
fn read<T: DeserializeOwned>(
    response: &InvokeModelResponse,
) -> Result<ModelResponse<T>, BedrockError> {
    let answer = serde_json::from_slice(&response.body)
        .map_err(|_| BedrockError::Protocol("its JSON is not what this model answers".into()))?;
    Ok(ModelResponse { answer, tokens: response.input_tokens })
}
