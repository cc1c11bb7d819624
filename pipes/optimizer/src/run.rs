//! Runs one request: its stages one after the other or side by side, then its answer, with the
//! usage of all calls.

use crate::{
    approach::Approach,
    approaches::{self, Outcome},
    ask::{ModelRequest, Reply, ReplyShape},
    engine::{Branch, Engine, total_usage},
    question::Question,
    sections::{SectionParser, split_sections},
    selection::Plan,
    sources::{Source, list_cited},
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
const ERROR_STATUS_WINDOW: Duration = Duration::from_millis(800);

/// The state of the answer when the last stage has begun.
enum FinalStage {
    /// The answer is being written.
    Streamed(ChunkStream, ReplyShape),
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
    let run_plan = run_plan(Arc::clone(&engine), question, plan);
    let mut run = OptimizerStream {
        engine,
        name,
        model,
        state: State::Working(Box::pin(run_plan)),
        progress,
    };
    // Until a model has begun to reply, an error is the status of the answer.
    let begun = timeout(ERROR_STATUS_WINDOW, std::future::poll_fn(|cx| run.poll_started(cx))).await;
    if let Ok(begun) = begun {
        begun?;
    }
    Ok(ChunkStream::new(run))
}

async fn run_plan(engine: Arc<Engine>, question: Question, plan: Plan) -> Result<FinalStage> {
    let deadline = engine.deadline();
    let branch = Branch::new(engine);
    let work = async {
        match plan {
            Plan::Sequence(approaches) => match run_sequence(&branch, question, &approaches).await?
            {
                Outcome::Request(ask) => {
                    Ok(FinalStage::Streamed(branch.start_answer(&ask).await?, ask.shape))
                }
                Outcome::Stream(chunks) => Ok(FinalStage::Streamed(chunks, ReplyShape::WithStatus)),
                Outcome::Reply(reply) => Ok(FinalStage::Whole(vec![("", reply)])),
                Outcome::Question(question) => {
                    let ask = ModelRequest::for_answer(question.conversation());
                    Ok(FinalStage::Streamed(branch.start_answer(&ask).await?, ask.shape))
                }
            },
            Plan::Parallel(approaches) => run_parallel(&branch, &question, &approaches).await,
        }
    };
    timeout_at(deadline, work).await.unwrap_or_else(|_| {
        branch.engine.log().add_note("the deadline has passed");
        Err(PipeError::Timeout("no answer was found in time".into()))
    })
}

/// Runs one stage after the other. Each gets the question, and the result of the stage before it.
async fn run_sequence(
    branch: &Branch,
    mut question: Question,
    approaches: &[Approach],
) -> Result<Outcome> {
    let mut outcome = Outcome::Question(question.clone());
    for (number, approach) in approaches.iter().enumerate() {
        if number > 0 {
            question = match outcome {
                Outcome::Question(question) => question,
                other => question.with_draft(resolve_reply(branch, other).await?.text()),
            };
        }
        outcome = approaches::run(*approach, branch, &question).await?;
    }
    Ok(outcome)
}

/// Returns the complete reply of a stage.
async fn resolve_reply(branch: &Branch, outcome: Outcome) -> Result<Reply> {
    let ask = match outcome {
        Outcome::Reply(reply) => return Ok(reply),
        Outcome::Stream(chunks) => {
            let reply = Reply(chunks.fold().await?);
            branch.set_best(&reply);
            return Ok(reply);
        }
        Outcome::Request(ask) => ask,
        Outcome::Question(question) => ModelRequest::for_answer(question.conversation()),
    };
    let shape = ask.shape;
    let reply = branch.ask(ask).await?;
    let reply = match shape {
        ReplyShape::Plain | ReplyShape::WithStatus => reply,
        ReplyShape::Sections => Reply(split_sections(reply.0)),
        ReplyShape::Report => add_source_list(reply, &branch.engine.log().sources),
    };
    branch.set_best(&reply);
    Ok(reply)
}

/// Runs all approaches at once, each with an answer of its own. Those that fail are left out.
async fn run_parallel(
    branch: &Branch,
    question: &Question,
    approaches: &[Approach],
) -> Result<FinalStage> {
    let forks: Vec<_> = approaches.iter().map(|_| branch.fork()).collect();
    let runs = approaches.iter().zip(&forks).map(|(approach, fork)| async move {
        let outcome = approaches::run(*approach, fork, question).await?;
        resolve_reply(fork, outcome).await
    });
    let replies = join_all(runs).await;
    branch.join(&forks);
    let (mut answers, mut failure) = (Vec::new(), None);
    for (approach, reply) in approaches.iter().zip(replies) {
        match reply {
            Ok(reply) => answers.push((approach.name(), reply)),
            Err(error) => {
                branch.engine.log().add_note(&format!("`{}` failed: {error}", approach.name()));
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(error) if answers.is_empty() => Err(error),
        _ => Ok(FinalStage::Whole(answers)),
    }
}

/// The stream of a request. Dropping it cancels all of its calls.
struct OptimizerStream {
    engine: Arc<Engine>,
    name: String,
    model: String,
    state: State,
    progress: mpsc::Receiver<Chunk>,
}

/// The state of an optimized answer.
enum State {
    Working(BoxFuture<'static, Result<FinalStage>>),
    Ready(Option<Result<FinalStage>>),
    Answering(ChunkStream),
}

impl OptimizerStream {
    /// Polls the work until a model has begun to reply, or all is done.
    fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
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
    fn build_answer(&mut self, last: Result<FinalStage>) -> Result<ChunkStream> {
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
                    self.engine
                        .log()
                        .add_note(&format!("the best answer so far is given: {error}"));
                    (FinalStage::Whole(vec![("", reply)]), true)
                }
            },
        };
        let sources = std::mem::take(&mut self.engine.log().sources);
        head.extend(sources.iter().map(Source::to_event));
        let has_status = matches!(last, FinalStage::Streamed(_, ReplyShape::WithStatus));
        if self.engine.valves.show_progress && !has_status {
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
            FinalStage::Streamed(chunks, ReplyShape::Plain | ReplyShape::WithStatus) => chunks,
            FinalStage::Streamed(chunks, ReplyShape::Sections) => split_section_stream(chunks),
            FinalStage::Streamed(chunks, ReplyShape::Report) => {
                add_source_list_to_stream(chunks, sources)
            }
            FinalStage::Whole(replies) => ChunkStream::from_chunks(replies_to_chunks(replies)),
        };
        let (engine, name, model) =
            (Arc::clone(&self.engine), self.name.clone(), self.model.clone());
        let tail = stream::once(async move {
            let report = engine.parameters.report.then(|| engine.log().report(&name, &model));
            let report = report.map(|report| Ok(Chunk::Fact("x_optimizer", report)));
            let usage = Ok(Chunk::Usage(total_usage(&engine)));
            stream::iter(report.into_iter().chain([usage]))
        });
        let head = stream::iter(head.into_iter().map(Ok));
        Ok(ChunkStream::new(head.chain(chunks).chain(tail.flatten())))
    }
}

impl Stream for OptimizerStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        loop {
            match &mut self.state {
                State::Working(work) => match work.as_mut().poll(cx) {
                    Poll::Ready(last) => self.state = State::Ready(Some(last)),
                    // Progress that was reported meanwhile.
                    Poll::Pending => return self.progress.poll_recv(cx).map(|chunk| chunk.map(Ok)),
                },
                State::Ready(last) => {
                    let Some(last) = last.take() else { return Poll::Ready(None) };
                    match self.build_answer(last) {
                        Ok(chunks) => self.state = State::Answering(chunks),
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    }
                }
                State::Answering(chunks) => return Pin::new(chunks).poll_next(cx),
            }
        }
    }
}

/// Returns complete replies as chunks, one choice after the other.
fn replies_to_chunks(replies: Vec<(&'static str, Reply)>) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut before: Option<FinishReason> = None;
    for (title, reply) in replies {
        if let Some(finish) = before {
            chunks.push(Chunk::NextChoice { finish, title: title.into() });
        }
        before = reply.0.finish.or(Some(FinishReason::Stop));
        chunks.extend(reply.into_chunks());
    }
    chunks.extend(before.map(Chunk::Finish));
    chunks
}

/// Adds the list of the sources that a reply cites.
fn add_source_list(mut reply: Reply, sources: &[Source]) -> Reply {
    if let Some(list) = list_cited(&reply.0.content, sources) {
        reply.0.content += &list;
    }
    reply
}

/// Adds the list of the sources that a streamed text cites, before its end.
fn add_source_list_to_stream(chunks: ChunkStream, sources: Vec<Source>) -> ChunkStream {
    let mut content = String::new();
    let with_list = chunks.flat_map(move |chunk| {
        let mut chunks = Vec::new();
        match &chunk {
            Ok(Chunk::Content(text)) => content += text,
            Ok(Chunk::Finish(FinishReason::Stop)) => {
                chunks.extend(list_cited(&content, &sources).map(Chunk::Content).map(Ok));
            }
            _ => {}
        }
        chunks.push(chunk);
        stream::iter(chunks)
    });
    ChunkStream::new(with_list)
}

/// Splits a streamed text into reasoning and answer.
fn split_section_stream(chunks: ChunkStream) -> ChunkStream {
    let mut sections = SectionParser::default();
    let split_sections = chunks.flat_map(move |chunk| {
        let chunks: Vec<_> = match chunk {
            Ok(Chunk::Content(text)) => sections.push(&text).into_iter().map(Ok).collect(),
            Ok(Chunk::Finish(reason)) => {
                let rest = sections.finish(reason);
                rest.into_iter().chain([Chunk::Finish(reason)]).map(Ok).collect()
            }
            other => vec![other],
        };
        stream::iter(chunks)
    });
    ChunkStream::new(split_sections)
}
