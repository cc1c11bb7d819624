//! The common path of chats of all APIs. Each API writes the response in its own format.

use super::{
    answer::{self, ResponseHead},
    choices::{Choices, sum},
    error::HttpError,
    json_response,
    request_context::RequestContext,
    sse_body::{self, FrameWriter},
    tool_choice,
};
use crate::model_call::ModelCall;
use actix_web::HttpResponse;
use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use pipe_sdk::{Answer, Body, Chunk, ChunkStream, Demand, PipeError, Side};
use serde::Serialize;

/// The response format of one API.
pub trait ApiDialect {
    /// The prefix of the ids of its responses.
    const ID: &'static str;
    /// The writer of a streamed response.
    type Writer: FrameWriter;
    /// The object of a complete response.
    type Whole: Serialize + Send + 'static;

    /// Returns whether an answer may have several choices. If it may not, they are joined into one
    /// text.
    fn has_choices(&self) -> bool {
        false
    }

    /// Returns the id of the response if it was chosen before the chat; `None` for any.
    fn response_id(&self) -> Option<String> {
        None
    }

    /// Returns notes for the client about ignored parts of the request.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the writer of a streamed response with this head.
    fn writer(&self, head: &ResponseHead) -> Self::Writer;

    /// Returns complete answers as one object. Several answers exist only if the client asked for
    /// them; the first one's usage is the sum.
    fn response_object(
        &self,
        head: &ResponseHead,
        answers: Vec<Answer>,
    ) -> Result<Self::Whole, PipeError>;
}

/// Answers this chat, streamed or not as its body says.
pub async fn answer_chat<F: ApiDialect>(
    context: RequestContext,
    body: Body,
    dialect: F,
) -> Result<HttpResponse, HttpError> {
    answer_chats(context, vec![body], dialect).await
}

/// Answers these chats of one request and one model concurrently.
pub async fn answer_chats<F: ApiDialect>(
    context: RequestContext,
    mut bodies: Vec<Body>,
    dialect: F,
) -> Result<HttpResponse, HttpError> {
    let mut calls = Vec::with_capacity(bodies.len());
    let mut requested_model = None;
    for body in &mut bodies {
        tool_choice::check_tool_choice(body)?;
        let model = body.model.clone();
        context.state.registry.take_over(body);
        requested_model = requested_model.or((body.model != model).then_some(model));
        let demand = Demand::chat(body);
        calls.push(context.admit_chat(body, demand).await?);
    }
    let RequestContext { state, request_log, .. } = &context;
    let (Some(first), Some(first_call)) = (bodies.first(), calls.first()) else {
        return Err(PipeError::bad_request("the request holds no chat").into());
    };
    let model = requested_model.as_ref().unwrap_or(&first.model);
    let (mut head, streamed) = (ResponseHead::new(F::ID, model), first.stream);
    head.id = dialect.response_id().unwrap_or(head.id);
    head.notes = dialect.notes();
    head.prompt_tokens = first_call.demand().prompt_tokens;
    let answer = async {
        let begin = async |(model_call, body): (ModelCall<'_>, Body)| {
            let call = model_call.start_call(body)?;
            let chunks = model_call.answer(call).await?;
            let chunks = if dialect.has_choices() { chunks } else { join_choices(chunks) };
            wait_for_first_chunk(chunks).await
        };
        let started = try_join_all(calls.into_iter().zip(bodies).map(begin)).await?;
        let mut answers = Vec::with_capacity(started.len());
        for StartedAnswer { answerer, side, chunks } in started {
            head.answerer = head.answerer.or(answerer);
            head.side = head.side.or(side);
            answers.push(chunks);
        }
        request_log.outcome().first_chunk = Some(request_log.elapsed());
        if streamed {
            let (writer, chunks) = (dialect.writer(&head), Choices::new(answers));
            return Ok(sse_body::stream_response(
                &head,
                writer,
                chunks,
                &state.drain,
                request_log.clone(),
            ));
        }
        let mut answers = try_join_all(answers.into_iter().map(ChunkStream::fold)).await?;
        let usage = answers.iter().fold(None, |usage, answer| sum(usage, answer.usage));
        if let Some(first) = answers.first_mut() {
            first.usage = usage;
        }
        request_log.outcome().usage = usage;
        let bytes = answers.iter().map(text_bytes).sum();
        let object = dialect.response_object(&head, answers)?;
        json_response::respond(head.response(), context.caller(), bytes, object).await
    };
    context.or_shutdown(answer).await
}

/// Returns the number of bytes of an answer's texts.
fn text_bytes(answer: &Answer) -> usize {
    let pictures = answer.pictures.iter().map(|picture| picture.url.len());
    let arguments = answer.tool_calls.iter().map(|call| call.function.arguments.len());
    let others = pictures.chain(arguments).chain(answer.earlier.iter().map(text_bytes));
    answer.content.len() + answer.reasoning.len() + others.sum::<usize>()
}

/// Returns the same answer with its choices joined into one text, each under its title.
fn join_choices(chunks: ChunkStream) -> ChunkStream {
    ChunkStream::new(chunks.map_ok(|chunk| match chunk {
        Chunk::NextChoice { title, .. } => Chunk::Content(format!("\n\n---\n\n**{title}**\n\n")),
        other => other,
    }))
}

/// An answer whose first chunk has arrived.
struct StartedAnswer {
    answerer: Option<String>,
    side: Option<Side>,
    chunks: ChunkStream,
}

/// Waits for the first chunk. An error before it becomes the response's status.
async fn wait_for_first_chunk(mut chunks: ChunkStream) -> Result<StartedAnswer, PipeError> {
    let (mut answerer, mut side) = (None, None);
    loop {
        match chunks.next().await.transpose()? {
            Some(Chunk::Model(id)) => answerer = Some(id),
            Some(Chunk::Side(chosen)) => side = Some(chosen),
            Some(first) => {
                let chunks = ChunkStream::new(stream::iter([Ok(first)]).chain(chunks));
                return Ok(StartedAnswer { answerer, side, chunks });
            }
            None => return Err(answer::ended_early()),
        }
    }
}
