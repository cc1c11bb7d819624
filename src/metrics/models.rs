//! The metrics of model calls, by OpenTelemetry's semantic conventions for generative AI (in
//! development): <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>.

use super::{SecondsHistogram, register, register_seconds};
use pipe_sdk::{ModelKind, Usage};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock, atomic::AtomicU64},
    time::Duration,
};

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

/// The labels of a model call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: &'static str,
    gen_ai_request_model: String,
}

/// The labels of a finished model call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    #[prometheus(flatten)]
    model: ModelLabels,
    error_type: &'static str,
}

/// The labels of a number of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    #[prometheus(flatten)]
    model: ModelLabels,
    gen_ai_token_type: &'static str,
}

/// The labels of an error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    pipe: &'static str,
    kind: &'static str,
}

/// The labels of calls in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InFlightLabels {
    pipe: &'static str,
}

/// A histogram of tokens, with the buckets that OpenTelemetry advises.
#[derive(Clone)]
struct TokensHistogram;

impl MetricConstructor<Histogram> for TokensHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(1.0, 4.0, 14))
    }
}

/// An operation and a pipe.
type Group = (&'static str, PipeName);

/// A pipe, and what its provider is called in the conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PipeName {
    /// The id of the pipe.
    pub id: &'static str,
    /// The provider, as in `aws.bedrock`.
    pub provider: &'static str,
}

/// The metrics of all model calls.
pub(super) struct ModelMetrics {
    families: Arc<Families>,
    /// The metrics of each model, by operation and pipe, then by model.
    models: RwLock<HashMap<Group, HashMap<String, Arc<CallMetrics>>>>,
}

/// The metrics of model calls, by their labels.
struct Families {
    tokens: Family<TokenLabels, Histogram, TokensHistogram>,
    durations: Family<OutcomeLabels, Histogram, SecondsHistogram>,
    first_tokens: Family<ModelLabels, Histogram, SecondsHistogram>,
    per_token: Family<ModelLabels, Histogram, SecondsHistogram>,
    cost: Family<ModelLabels, Counter<f64, AtomicU64>>,
    errors: Family<ErrorLabels, Counter>,
    cancelled: Family<ModelLabels, Counter>,
    in_flight: Family<InFlightLabels, Gauge>,
}

impl ModelMetrics {
    /// Registers the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Families {
            durations: register_seconds(
                registry,
                "gen_ai_server_request_duration",
                "Time until a model's response was complete",
            ),
            first_tokens: register_seconds(
                registry,
                "gen_ai_server_time_to_first_token",
                "Time until the first token of a model's response",
            ),
            per_token: register_seconds(
                registry,
                "gen_ai_server_time_per_output_token",
                "Time from one token to the next, after the first",
            ),
            tokens: register(
                registry,
                "gen_ai_client_token_usage",
                "Tokens of a model call",
                Family::new_with_constructor(TokensHistogram),
            ),
            cost: register(
                registry,
                "pipewright_cost_usd",
                "Cost of model calls, by the table of prices",
                Family::default(),
            ),
            errors: register(
                registry,
                "pipelines_upstream_errors",
                "Model calls that failed, by kind of error",
                Family::default(),
            ),
            cancelled: register(
                registry,
                "pipewright_cancelled",
                "Model calls whose client disconnected",
                Family::default(),
            ),
            in_flight: register(
                registry,
                "pipelines_in_flight",
                "Running model calls",
                Family::default(),
            ),
        };
        Self { families: Arc::new(families), models: RwLock::default() }
    }

    /// Returns the metrics of this model of this pipe. A model that is not listed is `other`.
    pub(super) fn model(
        &self,
        kind: ModelKind,
        pipe: PipeName,
        listed: Option<&str>,
    ) -> Arc<CallMetrics> {
        let (group, model) = ((operation_name(kind), pipe), listed.unwrap_or("other"));
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = models.get(&group).and_then(|models| models.get(model)) {
            return Arc::clone(known);
        }
        drop(models);
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(CallMetrics::new(group, model, Arc::clone(&self.families)));
        let known = models.entry(group).or_default().entry(model.to_owned());
        Arc::clone(known.or_insert_with(new))
    }
}

/// The metrics of one model. Each is looked up among its family once; it exists from its first
/// observation on.
pub struct CallMetrics {
    pipe: &'static str,
    labels: ModelLabels,
    families: Arc<Families>,
    completed: OnceLock<Histogram>,
    first_token: OnceLock<Histogram>,
    per_token: OnceLock<Histogram>,
    input_tokens: OnceLock<Histogram>,
    output_tokens: OnceLock<Histogram>,
    cost: OnceLock<Counter<f64, AtomicU64>>,
    in_flight: OnceLock<Gauge>,
}

impl CallMetrics {
    fn new((operation, pipe): Group, model: &str, families: Arc<Families>) -> Self {
        let labels = ModelLabels {
            gen_ai_operation_name: operation,
            gen_ai_provider_name: pipe.provider,
            gen_ai_request_model: model.into(),
        };
        Self {
            pipe: pipe.id,
            labels,
            families,
            completed: OnceLock::new(),
            first_token: OnceLock::new(),
            per_token: OnceLock::new(),
            input_tokens: OnceLock::new(),
            output_tokens: OnceLock::new(),
            cost: OnceLock::new(),
            in_flight: OnceLock::new(),
        }
    }

    /// Returns the name of the operation in the conventions, as in `chat`.
    pub fn operation(&self) -> &'static str {
        self.labels.gen_ai_operation_name
    }

    /// Changes the number of running calls of the pipe by `change`.
    pub fn add_in_flight(&self, change: i64) {
        let labels = InFlightLabels { pipe: self.pipe };
        let gauge = || self.families.in_flight.get_or_create_owned(&labels);
        self.in_flight.get_or_init(gauge).inc_by(change);
    }

    /// Records the outcome of a call, the time to its first chunk, and its duration.
    pub fn observe_call(&self, end: CallOutcome, first: Option<Duration>, elapsed: Duration) {
        self.duration(end).observe(elapsed.as_secs_f64());
        if let Some(first) = first {
            let histogram = || self.families.first_tokens.get_or_create_owned(&self.labels);
            self.first_token.get_or_init(histogram).observe(first.as_secs_f64());
        }
    }

    /// Counts an outcome, and returns its histogram of durations.
    fn duration(&self, end: CallOutcome) -> Histogram {
        let error_type = match end {
            CallOutcome::Completed => {
                return self.completed.get_or_init(|| self.durations("")).clone();
            }
            CallOutcome::Failed(kind) => {
                let pipe = self.pipe;
                self.families.errors.get_or_create(&ErrorLabels { pipe, kind }).inc();
                kind
            }
            CallOutcome::Cancelled => {
                self.families.cancelled.get_or_create(&self.labels).inc();
                "cancelled"
            }
        };
        self.durations(error_type)
    }

    /// Returns the histogram of durations for this type of error.
    fn durations(&self, error_type: &'static str) -> Histogram {
        let labels = OutcomeLabels { model: self.labels.clone(), error_type };
        self.families.durations.get_or_create_owned(&labels)
    }

    /// Records the tokens of a call, the time of their generation, and its cost in millionths of a
    /// US dollar.
    pub fn observe_usage(&self, usage: &Usage, generation_time: Duration, cost: Option<u64>) {
        let input = || self.tokens("input");
        self.input_tokens.get_or_init(input).observe(usage.prompt_tokens as f64);
        let output = || self.tokens("output");
        self.output_tokens.get_or_init(output).observe(usage.completion_tokens as f64);
        if usage.completion_tokens > 1 {
            let each = generation_time.as_secs_f64() / (usage.completion_tokens - 1) as f64;
            let histogram = || self.families.per_token.get_or_create_owned(&self.labels);
            self.per_token.get_or_init(histogram).observe(each);
        }
        if let Some(cost) = cost {
            let counter = || self.families.cost.get_or_create_owned(&self.labels);
            self.cost.get_or_init(counter).inc_by(cost as f64 / 1e6);
        }
    }

    /// Returns the histogram of tokens of this type.
    fn tokens(&self, gen_ai_token_type: &'static str) -> Histogram {
        let labels = TokenLabels { model: self.labels.clone(), gen_ai_token_type };
        self.families.tokens.get_or_create_owned(&labels)
    }
}

/// Returns the operation in OpenTelemetry's conventions.
fn operation_name(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Chat => "chat",
        ModelKind::Embed => "embeddings",
        ModelKind::Rerank => "rerank",
        ModelKind::Image => "generate_content",
    }
}
