//! Measures every model call: its duration, tokens, cost and caller.

use crate::{
    call_route::CallRoute,
    metrics::{CallMetrics, CallOutcome, Metrics, PipeName},
    prices::Prices,
    traces::{Span, Traces},
    usage_queue::{UsageEvent, UsageQueue},
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

/// Measures and prices model calls, and passes their usage on. A clone shares the same state.
#[derive(Clone)]
pub struct Meter {
    metrics: Arc<Metrics>,
    prices: Arc<ArcSwap<Prices>>,
    usage_queue: UsageQueue,
    traces: Arc<Traces>,
}

impl Meter {
    /// Returns a meter with these prices.
    pub fn new(
        metrics: Arc<Metrics>,
        prices: Prices,
        usage_queue: UsageQueue,
        traces: Arc<Traces>,
    ) -> Self {
        Self { metrics, prices: Arc::new(ArcSwap::from_pointee(prices)), usage_queue, traces }
    }

    /// Replaces the prices for later calls.
    pub fn set_prices(&self, prices: Prices) {
        self.prices.store(Arc::new(prices));
    }

    /// Returns the cost of this usage, if the price is known.
    pub fn cost(&self, pipe: &str, model: &str, usage: &Usage) -> Option<u64> {
        self.prices.load().price(pipe, model).map(|price| price.cost(usage))
    }

    /// Starts the measurement of a call in this context. Calls that the model makes of others use
    /// [`Measurement::child_context`]. `prompt_tokens` is the estimate for calls that end before
    /// they report usage.
    pub fn start(
        &self,
        route: &CallRoute,
        kind: ModelKind,
        context: CallContext,
        prompt_tokens: u64,
    ) -> Measurement {
        let pipe = route.slot.id();
        let listed = route.is_listed().then_some(&*route.model);
        let name = PipeName { id: pipe, provider: route.slot.provider() };
        let metrics = self.metrics.model(kind, name, listed);
        metrics.add_in_flight(1);
        let span = self.start_span(route, &metrics, &context);
        let child_context = context.child(&route.full_id).with_trace(span.context());
        Measurement {
            meter: self.clone(),
            pipe,
            model: route.full_id.clone(),
            kind,
            context,
            prompt_tokens,
            metrics,
            span,
            child_context,
            response_model: None,
            started: Instant::now(),
            time_to_first_chunk: None,
            written_bytes: 0,
            usage: None,
            end: CallOutcome::Cancelled,
        }
    }

    /// Starts a span with the names of OpenTelemetry's conventions for generative AI.
    fn start_span(&self, route: &CallRoute, metrics: &CallMetrics, context: &CallContext) -> Span {
        let name = || format!("{} {}", metrics.operation(), route.full_id);
        let mut span = self.traces.start_span(name, SpanKind::Client, context.trace);
        if span.is_recording() {
            span.set_attribute("gen_ai.operation.name", metrics.operation());
            span.set_attribute("gen_ai.provider.name", route.slot.provider());
            span.set_attribute("gen_ai.request.model", route.full_id.clone());
        }
        span
    }
}

fn estimate_tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

fn saturating_i64(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// The measurement of one call. It is recorded when this is dropped.
pub struct Measurement {
    meter: Meter,
    pipe: &'static str,
    /// The full id of the requested model.
    model: String,
    kind: ModelKind,
    context: CallContext,
    prompt_tokens: u64,
    metrics: Arc<CallMetrics>,
    span: Span,
    /// The context for calls that the model makes of others.
    pub child_context: CallContext,
    response_model: Option<String>,
    started: Instant,
    time_to_first_chunk: Option<Duration>,
    /// The number of bytes of text in the response so far.
    written_bytes: usize,
    usage: Option<Usage>,
    end: CallOutcome,
}

impl Measurement {
    /// Wraps a stream of chunks so that it is measured.
    pub fn wrap_stream(self, chunks: ChunkStream) -> ChunkStream {
        ChunkStream::new(MeteredStream { chunks, measurement: Some(self) })
    }

    /// Wraps the result of a call so that its chunks are measured.
    pub fn wrap_result(mut self, result: Result<ChunkStream>) -> Result<ChunkStream> {
        match result {
            Ok(chunks) => Ok(self.wrap_stream(chunks)),
            Err(error) => {
                self.end = CallOutcome::Failed(error.kind());
                Err(error)
            }
        }
    }

    /// Records a response that is not a stream; `read` returns its number of prompt tokens.
    pub fn record_response<T>(
        mut self,
        answer: Result<T>,
        read: impl FnOnce(&T) -> u64,
    ) -> Result<T> {
        match &answer {
            Ok(answer) => {
                self.usage = Some(Usage { prompt_tokens: read(answer), ..Usage::default() });
                self.end = CallOutcome::Completed;
            }
            Err(error) => self.end = CallOutcome::Failed(error.kind()),
        }
        answer
    }

    /// Measures a chunk of the answer.
    fn observe(&mut self, chunk: &Chunk) {
        if self.time_to_first_chunk.is_none()
            && !matches!(chunk, Chunk::Model(_) | Chunk::Side(_) | Chunk::Event(_))
        {
            self.time_to_first_chunk = Some(self.started.elapsed());
        }
        match chunk {
            Chunk::Model(id) => self.response_model = Some(id.clone()),
            Chunk::Content(text) | Chunk::Reasoning(text) => self.written_bytes += text.len(),
            Chunk::ToolCall(call) => self.written_bytes += call.arguments.len(),
            Chunk::Usage(usage) => self.usage = Some(*usage),
            _ => {}
        }
    }

    fn record_span(&mut self) {
        if !self.span.is_recording() {
            return;
        }
        let usage = self.usage();
        let span = &mut self.span;
        if let Some(model) = &self.response_model {
            span.set_attribute("gen_ai.response.model", model.clone());
        }
        if let Some(time_to_first_chunk) = self.time_to_first_chunk {
            span.set_attribute(
                "gen_ai.response.time_to_first_chunk",
                time_to_first_chunk.as_secs_f64(),
            );
        }
        if let Some(usage) = usage {
            span.set_attribute("gen_ai.usage.input_tokens", saturating_i64(usage.prompt_tokens));
            span.set_attribute(
                "gen_ai.usage.output_tokens",
                saturating_i64(usage.completion_tokens),
            );
        }
        match self.end {
            CallOutcome::Completed => {}
            CallOutcome::Cancelled => span.set_attribute("error.type", "cancelled"),
            CallOutcome::Failed(kind) => span.set_error(kind),
        }
    }

    /// Returns the usage that the model reported, or an estimate if the call ended before. The
    /// prompt is billed even if the client disconnects.
    fn usage(&self) -> Option<Usage> {
        let estimate = || Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: estimate_tokens(self.written_bytes),
            ..Usage::default()
        };
        let is_billable =
            self.time_to_first_chunk.is_some() || matches!(self.end, CallOutcome::Cancelled);
        self.usage.or_else(|| is_billable.then(estimate))
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        self.record_span();
        let elapsed = self.started.elapsed();
        self.metrics.add_in_flight(-1);
        self.metrics.observe_call(self.end, self.time_to_first_chunk, elapsed);
        let was_counted = self.child_context.is_counted();
        self.context.mark_counted();
        if was_counted {
            return;
        }
        let usage = self.usage();
        let model = self.response_model.take().unwrap_or_else(|| std::mem::take(&mut self.model));
        let local_id = model.split_once('.').map_or(model.as_str(), |(_, local_id)| local_id);
        let cost = usage.and_then(|usage| self.meter.cost(self.pipe, local_id, &usage));
        if let Some(usage) = &usage {
            let generation_time =
                elapsed.saturating_sub(self.time_to_first_chunk.unwrap_or(elapsed));
            self.metrics.observe_usage(usage, generation_time, cost);
        }
        self.meter.usage_queue.push(UsageEvent {
            pipe: self.pipe,
            model,
            kind: self.kind,
            context: self.context.clone(),
            usage: usage.unwrap_or_default(),
            cost,
            end: self.end,
        });
    }
}

/// A stream of chunks that is measured until its end.
struct MeteredStream {
    chunks: ChunkStream,
    measurement: Option<Measurement>,
}

impl Stream for MeteredStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let next = ready!(Pin::new(&mut self.chunks).poll_next(cx));
        match (&next, &mut self.measurement) {
            (Some(Ok(chunk)), Some(measurement)) => measurement.observe(chunk),
            (Some(Err(error)), Some(measurement)) => {
                measurement.end = CallOutcome::Failed(error.kind());
                self.measurement = None;
            }
            (None, Some(measurement)) => {
                measurement.end = CallOutcome::Completed;
                self.measurement = None;
            }
            (_, None) => {}
        }
        Poll::Ready(next)
    }
}
