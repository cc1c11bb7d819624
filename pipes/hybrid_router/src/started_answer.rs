//! An answer whose first token is there: from then on, no other backend answers.

use crate::backend_error::BackendError;
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{Chunk, ChunkStream};
use resilience::InFlightCall;

/// An answer whose first token is there.
#[derive(Debug)]
pub(crate) struct StartedAnswer {
    /// The model that answers, if the backend names it.
    pub model: Option<String>,
    /// The chunks up to the first token.
    first_chunks: Vec<Chunk>,
    rest: ChunkStream,
}

impl StartedAnswer {
    /// Reads the chunks of this model until the first token is there.
    pub async fn wait_for_output(
        model: &str,
        mut chunks: ChunkStream,
    ) -> Result<Self, BackendError> {
        let (mut answering_model, mut first_chunks) = (None, Vec::new());
        loop {
            match chunks.next().await.transpose()? {
                Some(Chunk::Model(id)) => answering_model = Some(id),
                // A router behind this one has sides of its own.
                Some(Chunk::Side(_)) => {}
                Some(chunk) => {
                    let is_output = is_output(&chunk);
                    first_chunks.push(chunk);
                    if is_output {
                        return Ok(Self { model: answering_model, first_chunks, rest: chunks });
                    }
                }
                None => return Err(BackendError::empty_answer(model)),
            }
        }
    }

    /// Counts the answer as a call in flight until it ends.
    pub fn with_call(self, call: InFlightCall) -> Self {
        let rest = call.track(self.rest.map_err(BackendError::from));
        let rest = ChunkStream::new(rest.map_err(|error| error.error));
        Self { rest, ..self }
    }

    /// Returns all chunks, after these.
    pub fn into_chunks(self, head: Vec<Chunk>) -> ChunkStream {
        let first_chunks = head.into_iter().chain(self.first_chunks).map(Ok);
        ChunkStream::new(stream::iter(first_chunks).chain(self.rest))
    }
}

/// Returns whether the chunk is output of the model, or the end of the answer.
fn is_output(chunk: &Chunk) -> bool {
    match chunk {
        Chunk::Content(text) | Chunk::Reasoning(text) => !text.is_empty(),
        Chunk::ReasoningDetail(_)
        | Chunk::ToolCall(_)
        | Chunk::Picture(_)
        | Chunk::Citation(_)
        | Chunk::Finish(_) => true,
        _ => false,
    }
}
