//! One chat, whichever API it is asked through: the way in is the same, and each API shows the answer in its own shape.

use super::{
    Error, State,
    answer::{self, Head},
    frames::{self, FrameWriter},
    identity,
    record::Record,
};
use crate::drain::Stage;
use actix_web::{HttpResponse, http::header::HeaderMap};
use futures_util::{StreamExt, stream};
use pipe_sdk::{Answer, Body, Chunk, ChunkStream, Host, PipeError};
use serde_json::Value;
use std::sync::Arc;

/// One API's way of showing an answer.
pub trait Face {
    /// How the ids of its answers begin.
    const ID: &'static str;
    /// What writes a streamed answer.
    type Writer: FrameWriter;

    /// What writes the answer under this head.
    fn writer(&self, head: &Head) -> Self::Writer;

    /// A whole answer as one object.
    fn plain(&self, head: &Head, answer: Answer) -> Result<Value, PipeError>;
}

/// Who asks, and of which host.
pub struct Asker<'a> {
    /// The host.
    pub state: &'a State,
    /// What came before the body.
    pub headers: &'a HeaderMap,
    /// What is kept of the request.
    pub record: Arc<Record>,
}

impl Asker<'_> {
    /// Answers this chat, streamed or plain as its body says.
    pub async fn answer<F: Face>(self, mut body: Body, face: F) -> Result<HttpResponse, Error> {
        let Self { state, record, .. } = &self;
        if state.drain.stage() > Stage::Serving {
            return Err(answer::leaving().into());
        }
        let host = self.host(&mut body);
        let (head, streamed) = (Head::new(F::ID, &body.model), body.stream);
        let answer = async {
            let (answerer, chunks) = begun(host.pipe(body).await?).await?;
            record.outcome().first_chunk = Some(record.elapsed());
            let head = Head { answerer, ..head };
            if streamed {
                let writer = face.writer(&head);
                return Ok(frames::streamed(&head, writer, chunks, &state.drain, record.clone()));
            }
            let answer = chunks.fold().await?;
            record.outcome().usage = answer.usage;
            Ok(head.response().json(face.plain(&head, answer)?))
        };
        tokio::select! {
            answer = answer => answer.map_err(|error| self.failed(error)),
            () = state.drain.cut() => Err(answer::leaving().into()),
        }
    }

    /// The way in for this chat. What its body says of who asks is taken out of it.
    pub fn host(&self, body: &mut Body) -> Host {
        let Self { state, headers, record } = self;
        let (user, chat) = identity::take(body, headers);
        if state.registry.resolve(&body.model).is_some() {
            record.outcome().model = Some(body.model.clone());
        }
        Host::new(state.registry.clone(), user, chat).wishing(identity::hints(headers))
    }

    /// The error as it goes out; it is kept for the log.
    pub fn failed(&self, error: PipeError) -> Error {
        self.record.outcome().error = Some(error.to_string());
        error.into()
    }
}

/// Who answers, and the same stream when its first chunk is there: until then, an error is the answer's status.
async fn begun(mut chunks: ChunkStream) -> Result<(Option<String>, ChunkStream), PipeError> {
    let mut answerer = None;
    loop {
        match chunks.next().await.transpose()? {
            Some(Chunk::Model(id)) => answerer = Some(id),
            Some(first) => {
                let chunks = ChunkStream::new(stream::iter([Ok(first)]).chain(chunks));
                return Ok((answerer, chunks));
            }
            None => return Err(answer::ended_early()),
        }
    }
}
