//! Traces of requests and of what models answer, sent by OTLP over HTTP to where
//! `OTEL_EXPORTER_OTLP_ENDPOINT` says. Without it none are made, and a caller's `traceparent` only
//! passes through.
//!
//! The other `OTEL_*` variables mean what OpenTelemetry says. Spans name models and counts, never
//! people or what was said.

use opentelemetry::{
    Context, KeyValue, TraceFlags, Value,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceState,
        TracerProvider,
    },
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{self, SdkTracer, SdkTracerProvider, SpanData},
};
use pipe_sdk::TraceContext;
use prometheus_client::metrics::counter::Counter;
use std::{collections::BTreeMap, time::Duration};

/// The environment variables that enable traces.
const ENDPOINT_VARIABLES: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Starts spans and exports them.
#[derive(Default)]
pub struct Traces(Option<(SdkTracerProvider, SdkTracer)>);

impl Traces {
    /// Configures traces from the environment. `lost` counts spans that could not be exported.
    pub fn start(environment: &BTreeMap<String, String>, lost: Counter) -> Self {
        let variable = |name: &str| environment.get(name).map(|value| value.trim());
        let is_off =
            variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_off || ENDPOINT_VARIABLES.iter().all(|name| variable(name).is_none_or(str::is_empty))
        {
            return Self::default();
        }
        // The exporter's client takes the process's default; another part may have set the same
        // before.
        _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = match SpanExporter::builder().with_http().build() {
            Ok(exporter) => exporter,
            Err(error) => {
                tracing::warn!("No traces are sent: {error}.");
                return Self::default();
            }
        };
        let mut resource = Resource::builder();
        if variable("OTEL_SERVICE_NAME").is_none_or(str::is_empty) {
            resource = resource.with_service_name("pipewright");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(CountingExporter { exporter, lost })
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("pipewright");
        Self(Some((provider, tracer)))
    }

    /// Starts a span with this name and parent. The name is made only if spans are exported.
    pub fn start_span(
        &self,
        name: impl FnOnce() -> String,
        kind: SpanKind,
        parent: Option<TraceContext>,
    ) -> Span {
        let Some((_, tracer)) = &self.0 else { return Span { span: None, context: parent } };
        let parent_context = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(to_span_context(parent))
        });
        let span = SpanBuilder::from_name(name())
            .with_kind(kind)
            .start_with_context(tracer, &parent_context);
        let context = span.span_context();
        let context = TraceContext {
            trace: u128::from_be_bytes(context.trace_id().to_bytes()),
            span: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
        };
        Span { span: Some(span), context: Some(context) }
    }

    /// Exports the remaining spans, but waits at most `limit`.
    pub async fn flush(&self, limit: Duration) {
        let Some((provider, _)) = &self.0 else { return };
        let provider = provider.clone();
        let flushed =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(limit)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("The last traces may be missing.");
        }
    }
}

/// Returns the parent of a span in OpenTelemetry's form.
fn to_span_context(parent: TraceContext) -> SpanContext {
    let TraceContext { trace, span, sampled } = parent;
    let flags = TraceFlags::default().with_sampled(sampled);
    SpanContext::new(trace.into(), span.into(), flags, true, TraceState::NONE)
}

/// A span, which ends when it is dropped.
pub struct Span {
    span: Option<trace::Span>,
    context: Option<TraceContext>,
}

impl Span {
    /// Returns the trace context for calls within this span.
    pub fn context(&self) -> Option<TraceContext> {
        self.context
    }

    /// Returns whether the span is exported. Otherwise attributes need not be made.
    pub fn is_recording(&self) -> bool {
        self.span.is_some()
    }

    /// Sets an attribute.
    pub fn set_attribute(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// Changes the name of the span.
    pub fn rename(&mut self, name: String) {
        if let Some(span) = &mut self.span {
            span.update_name(name);
        }
    }

    /// Marks the span as failed with this error type.
    pub fn set_error(&mut self, kind: &'static str) {
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(""));
        }
    }
}

/// An exporter that counts the spans that it could not export.
#[derive(Debug)]
struct CountingExporter {
    exporter: SpanExporter,
    lost: Counter,
}

impl trace::SpanExporter for CountingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let sent = self.exporter.export(batch).await;
        if sent.is_err() {
            self.lost.inc_by(spans);
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
