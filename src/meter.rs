//! Sees every answer of a model of this host: how long it took, what it cost, and for whom.

use crate::{
    books::{Books, Note},
    metrics::{End, Metrics, ModelLabels},
    prices::Prices,
    traces::{Span, Traces},
};
use arc_swap::ArcSwap;
use futures_util::Stream;
use opentelemetry::trace::SpanKind;
use pipe_sdk::{CallContext, Chunk, ChunkStream, ModelKind, Result, Usage};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

/// Measures, prices, and hands on what is to be remembered. A clone is the same meter.
#[derive(Clone)]
pub struct Meter {
    metrics: Arc<Metrics>,
    prices: Arc<ArcSwap<Prices>>,
    books: Books,
    traces: Arc<Traces>,
}

/// What is to be measured.
pub struct Job {
    /// The pipe that answers.
    pub pipe: &'static str,
    /// The full id of the model that was asked.
    pub model: String,
    /// The same within its pipe, if the pipe lists it.
    pub listed: Option<String>,
    /// What it is asked for.
    pub kind: ModelKind,
    /// Who asks.
    pub trail: CallContext,
    /// About how many tokens are asked, for answers that end before they tell.
    pub prompt_tokens: u64,
}

impl Meter {
    /// A meter by these prices.
    pub fn new(metrics: Arc<Metrics>, prices: Prices, books: Books, traces: Arc<Traces>) -> Self {
        Self { metrics, prices: Arc::new(ArcSwap::from_pointee(prices)), books, traces }
    }

    /// Prices answers by these prices from now on.
    pub fn set_prices(&self, prices: Prices) {
        self.prices.store(Arc::new(prices));
    }

    /// What so many tokens of this model of this pipe cost, where the price is known.
    pub fn cost(&self, pipe: &str, model: &str, usage: &Usage) -> Option<u64> {
        self.prices.load().of(pipe, model).map(|price| price.of(usage))
    }

    /// Begins to measure. What the model asks of others goes by [`Gauged::below`].
    pub fn begin(&self, job: Job) -> Gauged {
        self.metrics.under_way(job.pipe, 1);
        let labels = ModelLabels::new(job.kind, job.pipe, job.listed.as_deref());
        let span = self.span(&job, &labels);
        let below = job.trail.through(&job.model).traced(span.context());
        Gauged {
            meter: self.clone(),
            labels,
            span,
            below,
            answerer: None,
            job,
            started: Instant::now(),
            first: None,
            written: 0,
            usage: None,
            end: End::Cancelled,
        }
    }

    /// As the conventions for generative AI name it.
    fn span(&self, job: &Job, labels: &ModelLabels) -> Span {
        let name = format!("{} {}", labels.operation(), job.model);
        let mut span = self.traces.begin(name, SpanKind::Client, job.trail.trace);
        span.say("gen_ai.operation.name", labels.operation());
        span.say("gen_ai.provider.name", job.pipe);
        span.say("gen_ai.request.model", job.model.clone());
        span
    }
}

fn tokens_in(letters: usize) -> u64 {
    letters.div_ceil(4) as u64
}

fn counted(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// One answer that is being measured, until it is dropped.
pub struct Gauged {
    meter: Meter,
    job: Job,
    labels: ModelLabels,
    span: Span,
    /// The trail of what the model asks of others.
    pub below: CallContext,
    answerer: Option<String>,
    started: Instant,
    first: Option<Duration>,
    /// How many bytes were said.
    written: usize,
    usage: Option<Usage>,
    end: End,
}

impl Gauged {
    /// The same chunks, measured.
    pub fn stream(self, chunks: ChunkStream) -> ChunkStream {
        ChunkStream::new(Metered { chunks, gauged: Some(self) })
    }

    /// The same answer, measured.
    pub fn chunks(mut self, begun: Result<ChunkStream>) -> Result<ChunkStream> {
        match begun {
            Ok(chunks) => Ok(self.stream(chunks)),
            Err(error) => {
                self.end = End::Failed(error.kind());
                Err(error)
            }
        }
    }

    /// The same answer in one piece, for which so many tokens were read.
    pub fn whole<T>(mut self, answer: Result<T>, read: impl FnOnce(&T) -> u64) -> Result<T> {
        match &answer {
            Ok(answer) => {
                self.usage = Some(Usage { prompt_tokens: read(answer), ..Usage::default() });
                self.end = End::Whole;
            }
            Err(error) => self.end = End::Failed(error.kind()),
        }
        answer
    }

    fn see(&mut self, chunk: &Chunk) {
        if self.first.is_none()
            && !matches!(chunk, Chunk::Model(_) | Chunk::Side(_) | Chunk::Event(_))
        {
            self.first = Some(self.started.elapsed());
        }
        match chunk {
            Chunk::Model(id) => self.answerer = Some(id.clone()),
            Chunk::Content(text) | Chunk::Reasoning(text) => self.written += text.len(),
            Chunk::ToolCall(call) => self.written += call.arguments.len(),
            Chunk::Usage(usage) => self.usage = Some(*usage),
            _ => {}
        }
    }

    fn tell_span(&mut self) {
        let usage = self.usage();
        let span = &mut self.span;
        if let Some(model) = &self.answerer {
            span.say("gen_ai.response.model", model.clone());
        }
        if let Some(first) = self.first {
            span.say("gen_ai.response.time_to_first_chunk", first.as_secs_f64());
        }
        if let Some(usage) = usage {
            span.say("gen_ai.usage.input_tokens", counted(usage.prompt_tokens));
            span.say("gen_ai.usage.output_tokens", counted(usage.completion_tokens));
        }
        match self.end {
            End::Whole => {}
            End::Cancelled => span.say("error.type", "cancelled"),
            End::Failed(kind) => span.fail(kind),
        }
    }

    /// What it cost in tokens: what the model told, or a guess if it was left before it told. What was asked is paid for, whether or not
    /// anybody waits for the answer.
    fn usage(&self) -> Option<Usage> {
        let guess = || Usage {
            prompt_tokens: self.job.prompt_tokens,
            completion_tokens: tokens_in(self.written),
            ..Usage::default()
        };
        let is_left = self.first.is_some() || matches!(self.end, End::Cancelled);
        self.usage.or_else(|| is_left.then(guess))
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        self.tell_span();
        let Self { meter, job, labels, below, .. } = self;
        let took = self.started.elapsed();
        meter.metrics.under_way(job.pipe, -1);
        meter.metrics.answered(labels, self.end, self.first, took);
        let was_counted = below.is_counted();
        job.trail.set_counted();
        if was_counted {
            return;
        }
        let usage = self.usage();
        let model = self.answerer.take().unwrap_or_else(|| std::mem::take(&mut self.job.model));
        let within = model.split_once('.').map_or(model.as_str(), |(_, within)| within);
        let (meter, job, labels) = (&self.meter, &self.job, &self.labels);
        let price = meter.prices.load().of(job.pipe, within);
        let cost = usage.and_then(|usage| price.map(|price| price.of(&usage)));
        if let Some(usage) = &usage {
            let writing = took.saturating_sub(self.first.unwrap_or(took));
            meter.metrics.used(labels, usage, writing, cost);
        }
        meter.books.note(Note {
            pipe: job.pipe,
            model,
            kind: job.kind,
            trail: job.trail.clone(),
            usage: usage.unwrap_or_default(),
            cost,
            end: self.end,
        });
    }
}

/// The chunks of an answer that is being measured until its last.
struct Metered {
    chunks: ChunkStream,
    gauged: Option<Gauged>,
}

impl Stream for Metered {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let next = ready!(Pin::new(&mut self.chunks).poll_next(cx));
        match (&next, &mut self.gauged) {
            (Some(Ok(chunk)), Some(gauged)) => gauged.see(chunk),
            (Some(Err(error)), Some(gauged)) => {
                gauged.end = End::Failed(error.kind());
                self.gauged = None;
            }
            (None, Some(gauged)) => {
                gauged.end = End::Whole;
                self.gauged = None;
            }
            (_, None) => {}
        }
        Poll::Ready(next)
    }
}
