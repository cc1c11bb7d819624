//! Runs one request: its stages one after the other or side by side, then its answer, with the
//! usage of all calls.

use crate::{
    approach::Approach,
    approaches::{self, Outcome},
    ask::{Ask, Reply, Shape},
    engine::{Branch, Engine, usage},
    question::Question,
    sections::{Sections, apart},
    selection::Plan,
};
use futures_util::{Stream, StreamExt, future::BoxFuture, future::join_all, stream};
use pipe_sdk::{Chunk, ChunkStream, Event, FinishReason, PipeError, Result};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{timeout, timeout_at},
};

/// The time in which an error becomes the status of the answer. After it progress is shown, and an
/// error ends the stream.
const PATIENCE: Duration = Duration::from_millis(800);

/// The state of the answer when the last stage has begun.
enum Last {
    /// It is being written.
    Streamed(ChunkStream, Shape),
    /// One or several complete replies, each with the name of its approach.
    Whole(Vec<(&'static str, Reply)>),
}

/// Answers a question by this plan.
pub(crate) async fn answer(
    engine: Arc<Engine>,
    question: Question,
    plan: Plan,
    model: String,
    progress: mpsc::Receiver<Chunk>,
) -> Result<ChunkStream> {
    let name = plan.name();
    let graph = graph(Arc::clone(&engine), question, plan);
    let mut run = Run { engine, name, model, state: State::Working(Box::pin(graph)), progress };
    // Until a model has begun to reply, an error is the status of the answer.
    let begun = timeout(PATIENCE, std::future::poll_fn(|cx| run.poll_begun(cx))).await;
    if let Ok(begun) = begun {
        begun?;
    }
    Ok(ChunkStream::new(run))
}

async fn graph(engine: Arc<Engine>, question: Question, plan: Plan) -> Result<Last> {
    let deadline = engine.deadline();
    let branch = Branch::new(engine);
    let work = async {
        match plan {
            Plan::Sequence(approaches) => match sequence(&branch, question, &approaches).await? {
                Outcome::Ask(ask) => Ok(Last::Streamed(branch.begin(&ask).await?, ask.shape)),
                Outcome::Reply(reply) => Ok(Last::Whole(vec![("", reply)])),
                Outcome::Question(question) => {
                    let ask = Ask::answer(question.conversation());
                    Ok(Last::Streamed(branch.begin(&ask).await?, ask.shape))
                }
            },
            Plan::Parallel(approaches) => parallel(&branch, &question, &approaches).await,
        }
    };
    timeout_at(deadline, work).await.unwrap_or_else(|_| {
        branch.engine.log().note("the deadline has passed");
        Err(PipeError::Timeout("no answer was found in time".into()))
    })
}

/// Runs one stage after the other. Each gets the question, and the result of the stage before it.
async fn sequence(
    branch: &Branch,
    mut question: Question,
    approaches: &[Approach],
) -> Result<Outcome> {
    let mut outcome = Outcome::Question(question.clone());
    for (number, approach) in approaches.iter().enumerate() {
        if number > 0 {
            question = match outcome {
                Outcome::Question(question) => question,
                other => question.with_draft(reply(branch, other).await?.text()),
            };
        }
        outcome = approaches::run(*approach, branch, &question).await?;
    }
    Ok(outcome)
}

/// Returns the complete reply of a stage.
async fn reply(branch: &Branch, outcome: Outcome) -> Result<Reply> {
    let ask = match outcome {
        Outcome::Reply(reply) => return Ok(reply),
        Outcome::Ask(ask) => ask,
        Outcome::Question(question) => Ask::answer(question.conversation()),
    };
    let shape = ask.shape;
    let reply = branch.ask(ask).await?;
    let reply = if shape == Shape::Sections { Reply(apart(reply.0)) } else { reply };
    branch.keep(&reply);
    Ok(reply)
}

/// Runs all approaches at once, each with an answer of its own. Those that fail are left out.
async fn parallel(branch: &Branch, question: &Question, approaches: &[Approach]) -> Result<Last> {
    let forks: Vec<_> = approaches.iter().map(|_| branch.fork()).collect();
    let runs = approaches.iter().zip(&forks).map(|(approach, fork)| async move {
        let outcome = approaches::run(*approach, fork, question).await?;
        reply(fork, outcome).await
    });
    let replies = join_all(runs).await;
    branch.join(&forks);
    let (mut answers, mut failure) = (Vec::new(), None);
    for (approach, reply) in approaches.iter().zip(replies) {
        match reply {
            Ok(reply) => answers.push((approach.name(), reply)),
            Err(error) => {
                branch.engine.log().note(&format!("`{}` failed: {error}", approach.name()));
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(error) if answers.is_empty() => Err(error),
        _ => Ok(Last::Whole(answers)),
    }
}

/// The stream of a request. Dropping it cancels all of its calls.
struct Run {
    engine: Arc<Engine>,
    name: String,
    model: String,
    state: State,
    progress: mpsc::Receiver<Chunk>,
}

enum State {
    Working(BoxFuture<'static, Result<Last>>),
    Ready(Option<Result<Last>>),
    Answering(ChunkStream),
}

impl Run {
    /// Polls the work until a model has begun to reply, or all is done.
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let State::Working(work) = &mut self.state else { return Poll::Ready(Ok(())) };
        match work.as_mut().poll(cx) {
            Poll::Ready(Err(error)) if self.engine.log().best.is_none() => Poll::Ready(Err(error)),
            Poll::Ready(last) => {
                self.state = State::Ready(Some(last));
                Poll::Ready(Ok(()))
            }
            Poll::Pending if self.engine.log().has_begun() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Returns the chunks of the answer, after the rest of the progress.
    fn answering(&mut self, last: Result<Last>) -> Result<ChunkStream> {
        let mut head = Vec::new();
        while let Ok(chunk) = self.progress.try_recv() {
            head.push(chunk);
        }
        let best = || self.engine.log().best.take();
        let (last, is_partial) = match last {
            Ok(last) => (last, false),
            // Better the best so far than nothing.
            Err(error) => match best() {
                None => return Err(error),
                Some(reply) => {
                    self.engine.log().note(&format!("the best answer so far is given: {error}"));
                    (Last::Whole(vec![("", reply)]), true)
                }
            },
        };
        if self.engine.valves.show_progress {
            let calls = self.engine.log().calls.len();
            let name = &self.name;
            let line = match (is_partial, calls) {
                (true, _) => format!("Answered by {name} with the best answer so far"),
                (false, 1) => format!("Answered by {name}"),
                (false, calls) => format!("Answered by {name} with {calls} calls"),
            };
            head.push(Chunk::Event(Event::status(&line, true)));
        }
        let chunks = match last {
            Last::Streamed(chunks, Shape::Plain) => chunks,
            Last::Streamed(chunks, Shape::Sections) => told_apart(chunks),
            Last::Whole(replies) => ChunkStream::from_chunks(whole(replies)),
        };
        let (engine, name, model) =
            (Arc::clone(&self.engine), self.name.clone(), self.model.clone());
        let tail = stream::once(async move {
            let report = engine.parameters.report.then(|| engine.log().report(&name, &model));
            let report = report.map(|report| Ok(Chunk::Fact("x_optimizer", report)));
            let usage = Ok(Chunk::Usage(usage(&engine)));
            stream::iter(report.into_iter().chain([usage]))
        });
        let head = stream::iter(head.into_iter().map(Ok));
        Ok(ChunkStream::new(head.chain(chunks).chain(tail.flatten())))
    }
}

impl Stream for Run {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            match &mut self.state {
                State::Working(work) => match work.as_mut().poll(cx) {
                    Poll::Ready(last) => self.state = State::Ready(Some(last)),
                    // What was told while it worked.
                    Poll::Pending => return self.progress.poll_recv(cx).map(|chunk| chunk.map(Ok)),
                },
                State::Ready(last) => {
                    let Some(last) = last.take() else { return Poll::Ready(None) };
                    match self.answering(last) {
                        Ok(chunks) => self.state = State::Answering(chunks),
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    }
                }
                State::Answering(chunks) => return Pin::new(chunks).poll_next(cx),
            }
        }
    }
}

/// Whole answers as chunks, one choice after the other.
fn whole(replies: Vec<(&'static str, Reply)>) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut before: Option<FinishReason> = None;
    for (title, reply) in replies {
        if let Some(finish) = before {
            chunks.push(Chunk::NextChoice { finish, title: title.into() });
        }
        before = reply.0.finish.or(Some(FinishReason::Stop));
        chunks.extend(reply.chunks());
    }
    chunks.extend(before.map(Chunk::Finish));
    chunks
}

/// Splits a streamed text into reasoning and answer.
fn told_apart(chunks: ChunkStream) -> ChunkStream {
    let mut sections = Sections::default();
    let apart = chunks.flat_map(move |chunk| {
        let chunks: Vec<_> = match chunk {
            Ok(Chunk::Content(text)) => sections.more(&text).into_iter().map(Ok).collect(),
            Ok(Chunk::Finish(reason)) => {
                let rest = sections.end(reason);
                rest.into_iter().chain([Chunk::Finish(reason)]).map(Ok).collect()
            }
            other => vec![other],
        };
        stream::iter(chunks)
    });
    ChunkStream::new(apart)
}
