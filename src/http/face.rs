//! One chat, whichever API it is asked through: the way in is the same, and each API shows the
//! answer in its own shape.

use super::{
    Error,
    answer::{self, Head},
    asker::RequestContext,
    choice,
    frames::{self, FrameWriter},
};
use actix_web::HttpResponse;
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{Answer, Body, Chunk, ChunkStream, ModelKind, PipeError};
use serde_json::Value;

/// One API's way of showing an answer.
pub trait ApiDialect {
    /// How the ids of its answers begin.
    const ID: &'static str;
    /// What writes a streamed answer.
    type Writer: FrameWriter;

    /// Returns whether an answer may have several choices. Where it may not, they stand one below
    /// the other.
    fn has_choices(&self) -> bool {
        false
    }

    /// What writes the answer under this head.
    fn writer(&self, head: &Head) -> Self::Writer;

    /// A whole answer as one object.
    fn plain(&self, head: &Head, answer: Answer) -> Result<Value, PipeError>;
}

impl RequestContext {
    /// Answers this chat, streamed or plain as its body says.
    pub async fn answer<F: ApiDialect>(
        self,
        mut body: Body,
        face: F,
    ) -> Result<HttpResponse, Error> {
        self.is_served()?;
        choice::check(&body)?;
        let Self { state, record, .. } = &self;
        let host = self.host(&mut body);
        let (head, streamed) = (Head::new(F::ID, &body.model), body.stream);
        state.registry.take_over(&mut body);
        self.is_admitted(&body.model, ModelKind::Chat, &host).await?;
        let answer = async {
            let chunks = host.pipe(body).await?;
            let chunks = if face.has_choices() { chunks } else { joined(chunks) };
            let (head, chunks) = begun(head, chunks).await?;
            record.outcome().first_chunk = Some(record.elapsed());
            if streamed {
                let writer = face.writer(&head);
                return Ok(frames::streamed(&head, writer, chunks, &state.drain, record.clone()));
            }
            let answer = chunks.fold().await?;
            record.outcome().usage = answer.usage;
            Ok(head.response().json(face.plain(&head, answer)?))
        };
        self.answered(answer).await
    }
}

/// The same answer with its choices one below the other, each under its title.
fn joined(chunks: ChunkStream) -> ChunkStream {
    ChunkStream::new(chunks.map_ok(|chunk| match chunk {
        Chunk::NextChoice { title, .. } => Chunk::Content(format!("\n\n---\n\n**{title}**\n\n")),
        other => other,
    }))
}

/// The head with who answers, and the same stream when its first chunk is there: until then, an
/// error is the answer's status.
async fn begun(mut head: Head, mut chunks: ChunkStream) -> Result<(Head, ChunkStream), PipeError> {
    loop {
        match chunks.next().await.transpose()? {
            Some(Chunk::Model(id)) => head.answerer = Some(id),
            Some(Chunk::Side(side)) => head.side = Some(side),
            Some(first) => {
                let chunks = ChunkStream::new(stream::iter([Ok(first)]).chain(chunks));
                return Ok((head, chunks));
            }
            None => return Err(answer::ended_early()),
        }
    }
}
