//! What `/metrics` tells: OpenTelemetry's names for models (semantic conventions for generative AI,
//! in development), Prometheus' for the rest.
//!
//! Labels are few and known beforehand: pipes, models that are listed, kinds of errors; never a
//! user, a chat, or a word that a client made up.

mod upstreams;

use pipe_sdk::{ModelKind, UpstreamState, Usage};
use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Metric, Registry, Unit},
};
use std::{
    fmt,
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// One model of one pipe, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ModelLabels {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: &'static str,
    gen_ai_request_model: String,
}

impl ModelLabels {
    /// The labels of what this pipe's model did. A model that is not listed is `other`.
    pub fn new(kind: ModelKind, pipe: &'static str, listed: Option<&str>) -> Self {
        Self {
            gen_ai_operation_name: operation_name(kind),
            gen_ai_provider_name: pipe,
            gen_ai_request_model: listed.unwrap_or("other").into(),
        }
    }

    /// What was asked for, as the conventions name it.
    pub fn operation(&self) -> &'static str {
        self.gen_ai_operation_name
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    #[prometheus(flatten)]
    model: ModelLabels,
    error_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    #[prometheus(flatten)]
    model: ModelLabels,
    gen_ai_token_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    pipe: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PipeLabels {
    pipe: &'static str,
}

/// A histogram of seconds, from a millisecond to half an hour.
#[derive(Clone)]
struct SecondsHistogram;

impl MetricConstructor<Histogram> for SecondsHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.001, 2.5, 17))
    }
}

/// A histogram of tokens, with the buckets that OpenTelemetry advises.
#[derive(Clone)]
struct TokensHistogram;

impl MetricConstructor<Histogram> for TokensHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(1.0, 4.0, 14))
    }
}

/// The metrics of the host.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram, SecondsHistogram>,
    tokens: Family<TokenLabels, Histogram, TokensHistogram>,
    durations: Family<OutcomeLabels, Histogram, SecondsHistogram>,
    first_tokens: Family<ModelLabels, Histogram, SecondsHistogram>,
    per_token: Family<ModelLabels, Histogram, SecondsHistogram>,
    cost: Family<ModelLabels, Counter<f64, AtomicU64>>,
    errors: Family<ErrorLabels, Counter>,
    cancelled: Family<ModelLabels, Counter>,
    in_flight: Family<PipeLabels, Gauge>,
    up: Family<PipeLabels, Gauge>,
    default_key: Gauge,
    unwritten_usage: Gauge,
    lost_spans: Counter,
    dropped_log_lines: Counter,
}

/// Registers a metric and returns it.
fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn register_seconds<L>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> Family<L, Histogram, SecondsHistogram>
where
    L: EncodeLabelSet + Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
{
    let family = Family::new_with_constructor(SecondsHistogram);
    registry.register_with_unit(name, help, Unit::Seconds, family.clone());
    family
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let all = &mut registry;
        Self {
            requests: register_seconds(
                all,
                "http_server_request_duration",
                "Until the answer was sent whole",
            ),
            durations: register_seconds(
                all,
                "gen_ai_server_request_duration",
                "Until a model had answered whole",
            ),
            first_tokens: register_seconds(
                all,
                "gen_ai_server_time_to_first_token",
                "Until a model began to answer",
            ),
            per_token: register_seconds(
                all,
                "gen_ai_server_time_per_output_token",
                "From one token to the next, after the first",
            ),
            tokens: register(
                all,
                "gen_ai_client_token_usage",
                "Tokens of an answer",
                Family::new_with_constructor(TokensHistogram),
            ),
            cost: register(
                all,
                "pipewright_cost_usd",
                "What answers cost, by the table of prices",
                Family::default(),
            ),
            errors: register(
                all,
                "pipelines_upstream_errors",
                "Answers that failed, by kind",
                Family::default(),
            ),
            cancelled: register(
                all,
                "pipewright_cancelled",
                "Answers whose client left",
                Family::default(),
            ),
            in_flight: register(all, "pipelines_in_flight", "Answers under way", Family::default()),
            up: register(
                all,
                "pipewright_pipe_up",
                "Whether the pipe runs, and runs well",
                Family::default(),
            ),
            default_key: register(
                all,
                "pipelines_default_api_key",
                "Whether the key is the one that everybody knows",
                Gauge::default(),
            ),
            unwritten_usage: register(
                all,
                "pipewright_usage_unwritten",
                "Answers that are missing from the usage",
                Gauge::default(),
            ),
            lost_spans: register(
                all,
                "pipewright_trace_spans_lost",
                "Spans that the collector did not take",
                Counter::default(),
            ),
            dropped_log_lines: register(
                all,
                "pipewright_log_lines_dropped",
                "Log lines that nobody elapsed in time, or that could not be written",
                Counter::default(),
            ),
            registry,
        }
    }
}

/// The outcome of a model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The response is complete.
    Completed,
    /// The call failed with an error of this kind.
    Failed(&'static str),
    /// The client disconnected.
    Cancelled,
}

impl Metrics {
    /// Records an HTTP request that has been answered.
    pub fn observe_request(
        &self,
        method: &'static str,
        route: &'static str,
        status: u16,
        elapsed: Duration,
    ) {
        let labels = RequestLabels {
            http_request_method: method,
            http_route: route,
            http_response_status_code: status,
        };
        self.requests.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    /// Changes the number of running calls of this pipe by `change`.
    pub fn add_in_flight(&self, pipe: &'static str, change: i64) {
        self.in_flight.get_or_create(&PipeLabels { pipe }).inc_by(change);
    }

    /// Records the outcome of a model call, the time to its first chunk, and its duration.
    pub fn observe_call(
        &self,
        model: &ModelLabels,
        end: CallOutcome,
        first: Option<Duration>,
        elapsed: Duration,
    ) {
        let error_type = match end {
            CallOutcome::Completed => "",
            CallOutcome::Failed(kind) => {
                let pipe = model.gen_ai_provider_name;
                self.errors.get_or_create(&ErrorLabels { pipe, kind }).inc();
                kind
            }
            CallOutcome::Cancelled => {
                self.cancelled.get_or_create(model).inc();
                "cancelled"
            }
        };
        let labels = OutcomeLabels { model: model.clone(), error_type };
        self.durations.get_or_create(&labels).observe(elapsed.as_secs_f64());
        if let Some(first) = first {
            self.first_tokens.get_or_create(model).observe(first.as_secs_f64());
        }
    }

    /// Records the tokens of a model call, the time of their generation, and its cost in millionths
    /// of a US dollar.
    pub fn observe_usage(
        &self,
        model: &ModelLabels,
        usage: &Usage,
        generation_time: Duration,
        cost: Option<u64>,
    ) {
        for (gen_ai_token_type, tokens) in
            [("input", usage.prompt_tokens), ("output", usage.completion_tokens)]
        {
            let labels = TokenLabels { model: model.clone(), gen_ai_token_type };
            self.tokens.get_or_create(&labels).observe(tokens as f64);
        }
        if usage.completion_tokens > 1 {
            let each = generation_time.as_secs_f64() / (usage.completion_tokens - 1) as f64;
            self.per_token.get_or_create(model).observe(each);
        }
        if let Some(cost) = cost {
            self.cost.get_or_create(model).inc_by(cost as f64 / 1e6);
        }
    }

    /// Sets whether this pipe runs without problems.
    pub fn set_pipe_up(&self, pipe: &'static str, is_up: bool) {
        self.up.get_or_create(&PipeLabels { pipe }).set(is_up.into());
    }

    /// Sets whether the API key is the public default.
    pub fn set_default_key(&self, is_default: bool) {
        self.default_key.set(is_default.into());
    }

    /// Sets the number of calls that are missing from the usage data.
    pub fn set_unwritten_usage(&self, answers: u64) {
        self.unwritten_usage.set(i64::try_from(answers).unwrap_or(i64::MAX));
    }

    /// Sets how many log lines were dropped since the process started.
    pub fn set_dropped_log_lines(&self, lines: u64) {
        self.dropped_log_lines.inner().fetch_max(lines, Ordering::Relaxed);
    }

    /// Returns the counter of spans that could not be exported.
    pub fn lost_spans(&self) -> Counter {
        self.lost_spans.clone()
    }

    /// Encodes all metrics, with those of the pipes' upstreams, in OpenMetrics text format.
    ///
    /// # Errors
    /// Never: a text can always be written to.
    pub fn encode(
        &self,
        upstreams: Vec<(&'static str, UpstreamState)>,
    ) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &upstreams::build_registry(upstreams))?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

fn operation_name(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Chat => "chat",
        ModelKind::Embed => "embeddings",
        ModelKind::Rerank => "rerank",
        ModelKind::Image => "generate_content",
    }
}
