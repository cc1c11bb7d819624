//! An answer whose first token is there: from now on, nobody else answers.

use crate::failure::Failure;
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{Chunk, ChunkStream};
use resilience::InFlightCall;

/// An answer whose first token is there.
#[derive(Debug)]
pub(crate) struct Spoken {
    /// Who answers, if it was told.
    pub model: Option<String>,
    /// What came until then.
    held: Vec<Chunk>,
    rest: ChunkStream,
}

impl Spoken {
    /// This answer of this model, when its first token is there.
    pub async fn of(model: &str, mut chunks: ChunkStream) -> Result<Self, Failure> {
        let (mut told, mut held) = (None, Vec::new());
        loop {
            match chunks.next().await.transpose()? {
                Some(Chunk::Model(id)) => told = Some(id),
                // A router behind this one has sides of its own.
                Some(Chunk::Side(_)) => {}
                Some(chunk) => {
                    let speaks = speaks(&chunk);
                    held.push(chunk);
                    if speaks {
                        return Ok(Self { model: told, held, rest: chunks });
                    }
                }
                None => return Err(Failure::mute(model)),
            }
        }
    }

    /// The same, which is under way for the upstream until it ends.
    pub fn watched(self, running: InFlightCall) -> Self {
        let rest = running.watch(self.rest.map_err(Failure::from));
        let rest = ChunkStream::new(rest.map_err(|failure| failure.error));
        Self { rest, ..self }
    }

    /// All of it, after these.
    pub fn after(self, head: Vec<Chunk>) -> ChunkStream {
        let held = head.into_iter().chain(self.held).map(Ok);
        ChunkStream::new(stream::iter(held).chain(self.rest))
    }
}

/// Whether a person gets something by this, or the end.
fn speaks(chunk: &Chunk) -> bool {
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
