//! One chat: the request goes out, to one model after the other if need be, and its answer has begun before anyone is told so.

use crate::{
    catalogue::Entry,
    clients::Clients,
    converse::{self, Asked, Request, request},
    error::is_another_s_turn,
    family::{Lesson, Lessons},
    names::PIPE,
    stream::{Answer, Events, Source, Trouble},
    valves::BedrockValves,
};
use bedrock_runtime::{self as runtime, Complaint, Failure, Operation};
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use pipe_sdk::{Call, Chunk, ChunkStream, PipeError, Result};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// What every chat needs beside itself.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// The way to AWS.
    pub clients: &'a Clients,
    /// What models have taught.
    pub lessons: &'a Lessons,
    /// The admin's wishes.
    pub valves: &'a BedrockValves,
}

/// Why a model has not answered.
struct Unanswered {
    error: PipeError,
    /// Whether another model might.
    passes_on: bool,
}

/// How many lessons one chat may cost.
const MOST_LESSONS: usize = 4;

/// Answers this chat by the first of these models that can.
///
/// What the first one says is the error if none can: it is the one that was asked.
pub async fn chat(call: &Call, entries: &[Entry], means: Means<'_>) -> Result<ChunkStream> {
    let forced = ForcedFailure::of(call);
    let mut first_error = None;
    for (place, entry) in entries.iter().enumerate() {
        let answer = if forced.hits(entry, place) {
            Err(forced.unanswered(entry))
        } else {
            Box::pin(ask(call, entry, means)).await
        };
        let Unanswered { error, passes_on } = match answer {
            Ok(answer) => {
                let id = Chunk::Model(format!("{PIPE}.{}", entry.id));
                return Ok(ChunkStream::new(stream::iter([Ok(id)]).chain(answer)));
            }
            Err(unanswered) => unanswered,
        };
        let Entry { id, region, .. } = entry;
        if let Some(next) = entries.get(place + 1).filter(|_| passes_on || place > 0) {
            let (next, next_region) = (&next.id, &next.region);
            tracing::warn!(
                aws.model = id,
                aws.region = &**region,
                "`{id}` in {region} does not answer, so `{next}` in {next_region} is asked: {error}."
            );
        }
        // A model further down may not take what the first one would have taken; that ends nothing.
        let goes_on = passes_on || first_error.is_some();
        let error = first_error.get_or_insert(error);
        if !goes_on {
            return Err(std::mem::replace(error, PipeError::ModelNotFound(String::new())));
        }
    }
    Err(first_error.unwrap_or_else(|| PipeError::ModelNotFound(call.model.clone())))
}

/// Asks one model. What it refuses for its form is sent once more without it.
async fn ask(call: &Call, entry: &Entry, means: Means<'_>) -> Result<Answer, Unanswered> {
    let patience = Duration::from_secs(means.valves.first_event_timeout_seconds);
    let source = Source { model: entry.id.clone(), region: Arc::clone(&entry.region) };
    let known = means.lessons.of(&entry.id);
    let mut lessons = known.clone();
    let answered = async {
        let mut request = written(call, entry, &lessons, means.valves)?;
        loop {
            let body = (request.streamed, request.body.clone());
            let trouble = match send(request, &source, means).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let lesson = trouble.complaint().and_then(lesson_of);
            // What the client itself has put among the model's own fields is for the client to take out.
            let lesson = lesson.filter(|lesson| !converse::is_given(call, lesson));
            let lesson = lesson.filter(|lesson| !lessons.contains(lesson));
            let Some(lesson) = lesson.filter(|_| lessons.len() < known.len() + MOST_LESSONS) else {
                return Err(Unanswered::of(trouble, &source));
            };
            if lesson == Lesson::BaseId {
                means.lessons.learn(&entry.id, &lesson);
            }
            lessons.push(lesson);
            request = written(call, entry, &lessons, means.valves)?;
            if body == (request.streamed, request.body.clone()) {
                return Err(Unanswered::of(trouble, &source));
            }
        }
    };
    let answer = match timeout(patience, answered).await {
        Ok(answer) => answer?,
        Err(_) => return Err(late(&source, patience)),
    };
    // What has helped is remembered; what has not might have been the chat's own fault.
    lessons.iter().skip(known.len()).for_each(|lesson| means.lessons.learn(&entry.id, lesson));
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
    request(&asked).map_err(|error| Unanswered { error, passes_on: false })
}

fn lesson_of(complaint: &Complaint) -> Option<Lesson> {
    let is_refusal =
        matches!(complaint.code.as_str(), "ValidationException" | "AccessDeniedException");
    is_refusal.then(|| Lesson::of(&complaint.message)).flatten()
}

/// Sends the request until it is taken or that is hopeless, and comes back with an answer that has begun.
async fn send(request: Request, source: &Source, means: Means<'_>) -> Result<Answer, Trouble> {
    let Means { clients, valves, .. } = means;
    let Source { model, region } = source;
    let Request { body, streamed, reading } = request;
    let mut reading = Some(reading);
    let runtime = clients.runtime().await;
    let operation =
        if streamed { Operation::ConverseStream(model) } else { Operation::Converse(model) };
    let mut tries = clients.retries().tries(region, model, valves.max_attempts);
    let mut has_renewed = false;
    loop {
        let attempt = runtime::Request {
            region,
            operation,
            body: body.clone(),
            headers: HeaderMap::new(),
            attempt: tries.attempt(),
        };
        let trouble = match runtime.send(attempt).await {
            Ok(response) => {
                let reading = reading.take().unwrap_or_default();
                let events = Events::new(reading, valves.reasoning);
                let (body, source) = (response.into_body(), source.clone());
                let answer = if streamed {
                    let silence = Duration::from_secs(valves.idle_timeout_seconds);
                    Answer::new(body, events, source).begun(silence).await
                } else {
                    Answer::whole(body, events, source).await
                };
                match answer {
                    Ok(answer) => {
                        tries.succeeded();
                        return Ok(answer);
                    }
                    Err(trouble) => trouble,
                }
            }
            Err(failure) => Trouble::from(failure),
        };
        let Trouble::Failure(failure) = &trouble else { return Err(trouble) };
        // Temporary credentials may have been taken back before their time. Asking for others once is enough.
        if failure.is_about_credentials() && !has_renewed && runtime.has_other_credentials().await {
            has_renewed = true;
            tries.again();
            continue;
        }
        let Some(pause) = tries.after(failure) else { return Err(trouble) };
        sleep(pause).await;
    }
}

impl Unanswered {
    fn of(trouble: Trouble, source: &Source) -> Self {
        let passes_on = match &trouble {
            Trouble::Failure(failure) => is_another_s_turn(failure),
            Trouble::Cut | Trouble::Silent | Trouble::Garbled(_) | Trouble::Nothing(_) => true,
        };
        Self { error: trouble.error(source), passes_on }
    }
}

fn late(Source { model, region }: &Source, patience: Duration) -> Unanswered {
    let error = PipeError::Timeout(format!(
        "`{model}` in {region} did not begin to answer within {} s",
        patience.as_secs()
    ));
    Unanswered { error, passes_on: true }
}

/// A wish of an operator who tries the fallbacks: the first model, or those of these names, are taken for throttled.
///
/// It is made by the header `x-pipewright-fail`: `first`, or names with `*`, separated by commas.
struct ForcedFailure<'a>(Option<&'a str>);

impl<'a> ForcedFailure<'a> {
    fn of(call: &'a Call) -> Self {
        Self(call.hints.get("x-pipewright-fail").map(str::trim))
    }

    fn hits(&self, entry: &Entry, place: usize) -> bool {
        match self.0 {
            None => false,
            Some("first" | "1" | "true") => place == 0,
            Some(names) => names.split(',').any(|name| entry.is_called(name.trim())),
        }
    }

    fn unanswered(&self, entry: &Entry) -> Unanswered {
        let source = Source { model: entry.id.clone(), region: Arc::clone(&entry.region) };
        let words = "the request asked for this failure, by x-pipewright-fail";
        let complaint = Complaint::in_stream("ThrottlingException", words, 429);
        Unanswered::of(Trouble::Failure(Failure::Said(complaint)), &source)
    }
}
