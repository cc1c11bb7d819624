//! The metrics of `/metrics`.
//!
//! The names of model metrics are OpenTelemetry's, the others follow Prometheus. Labels have few
//! values, known beforehand: pipes, listed models, kinds of errors; never a user, a chat, or a word
//! that a client made up.

mod models;
mod process;
mod upstreams;

pub use models::{CallMetrics, CallOutcome, PipeName};

use models::ModelMetrics;
use pipe_sdk::{ModelKind, UpstreamState};
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
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

/// The labels of an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u16,
}

/// The label of a pipe.
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

/// The metrics of the host.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram, SecondsHistogram>,
    models: ModelMetrics,
    up: Family<PipeLabels, Gauge>,
    default_key: Gauge,
    unwritten_usage: Gauge,
    lost_spans: Counter,
    dropped_log_lines: Counter,
    embedding_cache: EmbeddingCacheMetrics,
    started: SystemTime,
}

/// The metrics of the embedding cache.
#[derive(Clone)]
pub struct EmbeddingCacheMetrics {
    hits: Counter,
    misses: Counter,
    bytes: Gauge,
}

impl EmbeddingCacheMetrics {
    /// Creates the metrics and registers them.
    fn register(registry: &mut Registry) -> Self {
        let counter = |registry: &mut Registry, name, help| {
            register(registry, name, help, Counter::default())
        };
        Self {
            hits: counter(
                registry,
                "pipewright_embedding_cache_hits",
                "Texts whose vector was in the embedding cache",
            ),
            misses: counter(
                registry,
                "pipewright_embedding_cache_misses",
                "Texts that were sent to an embedding model",
            ),
            bytes: register(
                registry,
                "pipewright_embedding_cache_size_bytes",
                "Memory that the embedding cache takes",
                Gauge::default(),
            ),
        }
    }

    /// Counts the texts of a call that were in the cache, and those that were not.
    pub fn count(&self, hits: usize, misses: usize) {
        self.hits.inc_by(hits as u64);
        self.misses.inc_by(misses as u64);
    }

    /// Sets the memory that the cache takes.
    pub fn set_bytes(&self, bytes: usize) {
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
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
                "Time until a response was sent completely",
            ),
            models: ModelMetrics::register(all),
            up: register(
                all,
                "pipewright_pipe_up",
                "Whether the pipe runs without problems",
                Family::default(),
            ),
            default_key: register(
                all,
                "pipelines_default_api_key",
                "Whether the API key is the public default",
                Gauge::default(),
            ),
            unwritten_usage: register(
                all,
                "pipewright_usage_unwritten",
                "Model calls that are missing from the usage data",
                Gauge::default(),
            ),
            lost_spans: register(
                all,
                "pipewright_trace_spans_lost",
                "Spans that the collector did not accept",
                Counter::default(),
            ),
            dropped_log_lines: register(
                all,
                "pipewright_log_lines_dropped",
                "Log lines that were dropped because they could not be written in time",
                Counter::default(),
            ),
            embedding_cache: EmbeddingCacheMetrics::register(all),
            started: SystemTime::now(),
            registry,
        }
    }
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

    /// Returns the metrics of this model of this pipe. A model that is not listed is `other`.
    pub fn model(&self, kind: ModelKind, pipe: PipeName, listed: Option<&str>) -> Arc<CallMetrics> {
        self.models.model(kind, pipe, listed)
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

    /// Returns the metrics of the embedding cache.
    pub fn embedding_cache(&self) -> EmbeddingCacheMetrics {
        self.embedding_cache.clone()
    }

    /// Returns the counter of spans that could not be exported.
    pub fn lost_spans(&self) -> Counter {
        self.lost_spans.clone()
    }

    /// Encodes all metrics, with those of the pipes' upstreams and of the process, in OpenMetrics
    /// text format.
    ///
    /// # Errors
    /// Never in practice: writing into a text cannot fail.
    pub fn encode(
        &self,
        upstreams: Vec<(&'static str, UpstreamState)>,
    ) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &upstreams::build_registry(upstreams))?;
        encode_registry(&mut text, &process::build_registry(self.started))?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}
