//! One chat, whichever API it is asked through: the way in is the same, and each API shows the
//! answer in its own shape.

use super::{
    Error,
    answer::{self, Head},
    asker::RequestContext,
    choice,
    choices::{Choices, sum},
    frames::{self, FrameWriter},
};
use actix_web::HttpResponse;
use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use pipe_sdk::{Answer, Body, Chunk, ChunkStream, Demand, Host, PipeError, Side};
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
        let mut asked = None;
        for body in &mut bodies {
            choice::check(body)?;
            let model = body.model.clone();
            self.state.registry.take_over(body);
            asked = asked.or((body.model != model).then_some(model));
            let demand = Demand::chat(body);
            hosts.push(self.admit_chat(body, demand).await?);
        }
        let Self { state, record, .. } = &self;
        let Some(first) = bodies.first() else {
            return Err(PipeError::bad_request("nothing is asked").into());
        };
        let (mut head, streamed) =
            (Head::new(F::ID, asked.as_ref().unwrap_or(&first.model)), first.stream);
        head.notes = face.notes();
        head.prompt_tokens = Demand::chat(first).prompt_tokens;
        let answer = async {
            let begin = async |(host, body): (Host, Body)| {
                let chunks = host.pipe(body).await?;
                begun(if face.has_choices() { chunks } else { joined(chunks) }).await
            };
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

/// The same answer with its choices one below the other, each under its title.
fn joined(chunks: ChunkStream) -> ChunkStream {
    ChunkStream::new(chunks.map_ok(|chunk| match chunk {
        Chunk::NextChoice { title, .. } => Chunk::Content(format!("\n\n---\n\n**{title}**\n\n")),
        other => other,
    }))
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
