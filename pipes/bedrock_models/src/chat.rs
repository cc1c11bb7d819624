//! One chat: the request goes out, to one model after the other if need be, and its answer has begun before anyone is told so.

use crate::{
    attempts::{self, InvokeRequest, Means, Unanswered},
    catalogue::Entry,
    converse::{self, Asked, Request, request},
    fallback,
    family::{Lesson, is_said_in},
    names::PIPE,
    stream::{Answer, Events, Trouble},
    valves::BedrockValves,
};
use bedrock_runtime::{Operation, Response, ServiceError};
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{Call, Chunk, ChunkStream, Result};
use resilience::TrackedStream;
use std::time::Duration;

/// How many lessons one chat may cost.
const MOST_LESSONS: usize = 4;

/// Answers this chat by the first of these models that can.
pub async fn chat(call: &Call, entries: &[Entry], means: Means<'_>) -> Result<ChunkStream> {
    let answered =
        fallback::first(entries, means, |entry, means| Box::pin(ask(call, entry, means)));
    let (entry, answer) = answered.await?;
    let id = Chunk::Model(format!("{PIPE}.{}", entry.id));
    let source = entry.source();
    let answer = answer.map_err(move |trouble| trouble.error(&source));
    Ok(ChunkStream::new(stream::iter([Ok(id)]).chain(answer)))
}

/// Asks one model. What it refuses for its form is sent again without it, at most [`MOST_LESSONS`] times.
async fn ask(
    call: &Call,
    entry: &Entry,
    means: Means<'_>,
) -> Result<TrackedStream<Answer>, Unanswered> {
    let source = entry.source();
    let known = means.lessons.of(&entry.id, means.caller);
    let (mut lessons, mut learned) = (known.clone(), Vec::new());
    let mut request = written(call, entry, &lessons, means.valves)?;
    let answer = loop {
        let body = (request.streamed, request.body.clone());
        let trouble = match send(request, entry, means).await {
            Ok(answer) => break answer,
            Err(trouble) => trouble,
        };
        let lesson = trouble.complaint().and_then(lesson_of);
        // What the client itself has put among the model's own fields is for the client to take out.
        let lesson = lesson.filter(|(lesson, _)| !converse::is_given(call, lesson));
        let lesson = lesson.filter(|(lesson, _)| !lessons.contains(lesson));
        let Some((lesson, words)) = lesson.filter(|_| lessons.len() < known.len() + MOST_LESSONS)
        else {
            return Err(Unanswered::of(trouble, &source));
        };
        // What the chat says itself may only be quoted: it spares this chat the field, and teaches nothing.
        let is_quoted = is_said_in(&call.body, &words);
        if lesson == Lesson::BaseId && !is_quoted {
            means.lessons.learn(&entry.id, &lesson, means.caller);
        }
        if !lesson.is_passing() && !is_quoted {
            learned.push(lesson.clone());
        }
        lessons.push(lesson);
        request = written(call, entry, &lessons, means.valves)?;
        if body == (request.streamed, request.body.clone()) {
            return Err(Unanswered::of(trouble, &source));
        }
    };
    // What has helped is remembered; what has not might have been the chat's own fault.
    learned.iter().for_each(|lesson| means.lessons.learn(&entry.id, lesson, means.caller));
    Ok(answer)
}

fn written(
    call: &Call,
    entry: &Entry,
    lessons: &[Lesson],
    valves: &BedrockValves,
) -> Result<Request, Unanswered> {
    let target = entry.target(lessons, valves);
    let asked = Asked { call, target: &target, valves };
    request(&asked).map_err(Unanswered::at_once)
}

/// What a refusal teaches, and the words that do.
fn lesson_of(complaint: &ServiceError) -> Option<(Lesson, String)> {
    let is_refusal =
        matches!(complaint.code.as_str(), "ValidationException" | "AccessDeniedException");
    is_refusal.then(|| Lesson::of(&complaint.message)).flatten()
}

/// Sends the request, and comes back with an answer that has begun.
async fn send(
    request: Request,
    entry: &Entry,
    means: Means<'_>,
) -> Result<TrackedStream<Answer>, Trouble> {
    let Request { body, streamed, reading } = request;
    let (source, model) = (&entry.source(), &entry.model_id);
    let operation =
        if streamed { Operation::ConverseStream(model) } else { Operation::Converse(model) };
    let silence = Duration::from_secs(means.valves.idle_timeout_seconds);
    let read = |response: Response| {
        let events = Events::new(reading.clone(), means.valves.reasoning);
        async move {
            let body = response.into_body();
            match streamed {
                true => Answer::new(body, events).begun(silence).await,
                false => Answer::whole(body, events).await,
            }
        }
    };
    let (answer, running) =
        attempts::send(InvokeRequest { source, operation, body }, means, read).await?;
    Ok(running.watch(answer))
}
