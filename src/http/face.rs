//! One chat, whichever API it is asked through: the way in is the same, and each API shows the answer in its own shape.

use super::{
    Error,
    answer::{self, Head},
    asker::RequestContext,
    choice,
    choices::{Choices, sum},
    frames::{self, FrameWriter},
};
use actix_web::HttpResponse;
use futures_util::{StreamExt, future::try_join_all, stream};
use pipe_sdk::{Answer, Body, Chunk, ChunkStream, Demand, Host, PipeError, Side};
use serde_json::Value;

/// One API's way of showing an answer.
pub trait ApiDialect {
    /// How the ids of its answers begin.
    const ID: &'static str;
    /// What writes a streamed answer.
    type Writer: FrameWriter;

    /// What of the request was left out, for the client.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// What writes the answer under this head.
    fn writer(&self, head: &Head) -> Self::Writer;

    /// Whole answers as one object; there is more than one only where several were asked for. The first one's usage is that of all.
    fn plain(&self, head: &Head, answers: Vec<Answer>) -> Result<Value, PipeError>;
}

impl RequestContext {
    /// Answers this chat, streamed or plain as its body says.
    pub async fn answer<F: ApiDialect>(self, body: Body, face: F) -> Result<HttpResponse, Error> {
        self.answer_all(vec![body], face).await
    }

    /// Answers these chats at the same time, which are of one request and for one model.
    pub async fn answer_all<F: ApiDialect>(
        self,
        mut bodies: Vec<Body>,
        face: F,
    ) -> Result<HttpResponse, Error> {
        let mut hosts = Vec::with_capacity(bodies.len());
        for body in &mut bodies {
            choice::check(body)?;
            let demand = Demand::chat(body);
            hosts.push(self.admit_chat(body, demand).await?);
        }
        let Self { state, record, .. } = &self;
        let Some(first) = bodies.first() else {
            return Err(PipeError::bad_request("nothing is asked").into());
        };
        let (mut head, streamed) = (Head::new(F::ID, &first.model), first.stream);
        head.notes = face.notes();
        head.prompt_tokens = Demand::chat(first).prompt_tokens;
        let answer = async {
            let begin = async |(host, body): (Host, Body)| begun(host.pipe(body).await?).await;
            let begun = try_join_all(hosts.into_iter().zip(bodies).map(begin)).await?;
            let mut answers = Vec::with_capacity(begun.len());
            for Begun { answerer, side, chunks } in begun {
                head.answerer = head.answerer.or(answerer);
                head.side = head.side.or(side);
                answers.push(chunks);
            }
            record.outcome().first_chunk = Some(record.elapsed());
            if streamed {
                let (writer, chunks) = (face.writer(&head), Choices::new(answers));
                return Ok(frames::streamed(&head, writer, chunks, &state.drain, record.clone()));
            }
            let mut answers = try_join_all(answers.into_iter().map(ChunkStream::fold)).await?;
            let usage = answers.iter().fold(None, |usage, answer| sum(usage, answer.usage));
            if let Some(first) = answers.first_mut() {
                first.usage = usage;
            }
            record.outcome().usage = usage;
            Ok(head.response().json(face.plain(&head, answers)?))
        };
        self.answered(answer).await
    }
}

/// An answer whose first chunk is there.
struct Begun {
    answerer: Option<String>,
    side: Option<Side>,
    chunks: ChunkStream,
}

/// Who answers, and the same stream when its first chunk is there: until then, an error is the answer's status.
async fn begun(mut chunks: ChunkStream) -> Result<Begun, PipeError> {
    let (mut answerer, mut side) = (None, None);
    loop {
        match chunks.next().await.transpose()? {
            Some(Chunk::Model(id)) => answerer = Some(id),
            Some(Chunk::Side(told)) => side = Some(told),
            Some(first) => {
                let chunks = ChunkStream::new(stream::iter([Ok(first)]).chain(chunks));
                return Ok(Begun { answerer, side, chunks });
            }
            None => return Err(answer::ended_early()),
        }
    }
}
