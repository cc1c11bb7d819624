//! The record of a request: its id, its place among the requests in flight, and one log line when
//! its answer has ended.

use super::{
    anthropic::{error::error_response, is_anthropic_request},
    error::HttpError,
    key_name::KeyName,
    route::{Access, Route, routes_at},
    state::HostState,
};
use crate::{
    drain::InFlightRequest,
    failed_requests::{FailedRequest, FailedRequests},
    metrics::Metrics,
    traces::{Span, Traces},
    truncate::truncate,
};
use actix_web::{
    HttpMessage, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::{self, Bytes},
};
use futures_util::FutureExt;
use opentelemetry::trace::SpanKind;
use pipe_sdk::{TraceContext, Usage};
use std::{
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// The largest number of characters of a path that are logged: more than any served path has.
const PATH_LIMIT: usize = 256;

/// The record of one request, from its head to the end of its answer. Its line is logged when the
/// last holder drops it.
pub struct RequestLog {
    id: String,
    method: &'static str,
    /// The first route of the path, if it has any.
    route: Option<&'static Route>,
    /// The beginning of the path: longer ones lead nowhere.
    path: String,
    /// `true` for a client of Anthropic's API, which reads errors in words of its own.
    is_anthropic: bool,
    started: Instant,
    outcome: Mutex<Outcome>,
    /// `None` for a health probe, which is neither counted nor logged.
    in_flight: Option<InFlightRequest>,
    metrics: Option<Arc<Metrics>>,
    failed_requests: Option<Arc<FailedRequests>>,
    /// `None` for a probe.
    span: Option<Mutex<Span>>,
    trace: Option<TraceContext>,
}

/// The outcome of a request.
#[derive(Default)]
pub struct Outcome {
    status: Option<u16>,
    /// The pattern of the path, as the table of routes has it.
    route: Option<&'static str>,
    /// `true` if the answer was sent to its end.
    complete: bool,
    /// The model that was asked for, if the host has it.
    pub model: Option<String>,
    /// The time until the first chunk of the answer.
    pub first_chunk: Option<Duration>,
    /// The usage of the answer.
    pub usage: Option<Usage>,
    /// The kind of the error, before or after the answer had begun, in a word for programs.
    error: Option<&'static str>,
    /// The name of the key that opened the route.
    key: Option<Arc<str>>,
    /// The reason of the refusal, without words that may quote a chat.
    refusal: Option<String>,
    /// `true` if a line is logged of it; of a flood of bad keys, none is.
    pub is_logged: bool,
}

impl RequestLog {
    /// Returns the record of a request that has just come.
    pub fn new(request: &ServiceRequest) -> Self {
        let state = request.app_data::<web::Data<HostState>>();
        let route = routes_at(request.path()).next();
        let is_probe = route.is_some_and(|route| route.access == Access::Open);
        let watching = state.filter(|_| !is_probe);
        let span = watching.map(|state| start_span(request, &state.traces));
        Self {
            id: request_id(request.headers()),
            method: known_method(request.method()),
            route,
            path: truncate(request.path(), PATH_LIMIT).into_owned(),
            is_anthropic: is_anthropic_request(request.path(), request.headers()),
            started: Instant::now(),
            outcome: Mutex::new(Outcome { is_logged: true, ..Outcome::default() }),
            in_flight: watching.map(|state| state.drain.track_request()),
            metrics: state.map(|state| Arc::clone(&state.metrics)),
            failed_requests: state.map(|state| Arc::clone(&state.failed_requests)),
            trace: span.as_ref().and_then(Span::context),
            span: span.map(Mutex::new),
        }
    }

    /// Returns the access that the path needs. A path that is not in the table of routes needs the
    /// host's own key.
    pub fn access(&self) -> Access {
        self.route.map_or(Access::Admin, |route| route.access)
    }

    /// Returns the time since the request came.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns the place of the request in a trace, for calls that it causes.
    pub fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Returns the outcome as far as it is known, to be added to.
    pub fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the kind of an error, in a word for programs. Its text is logged at DEBUG only: an
    /// upstream may quote the prompt in it.
    pub fn fail(&self, kind: &'static str, error: &dyn fmt::Display) {
        self.outcome().error = Some(kind);
        tracing::debug!(request.id = self.id, error = %error, "A request failed.");
    }

    /// Records the reason of a refusal, for the admin page.
    fn record_refusal(&self, error: &actix_web::Error) {
        let refusal = error.as_error::<HttpError>().map(HttpError::message_without_quotes);
        self.outcome().refusal = refusal;
    }

    /// Adds a failed request to the list of the admin page.
    fn list_if_failed(&self, outcome: &Outcome, status: u16) {
        let is_failed = status >= 400 && status != 499 || outcome.error.is_some();
        let Some(failed_requests) = self.failed_requests.as_ref().filter(|_| is_failed) else {
            return;
        };
        let broke_off = || Some(format!("The answer broke off: {}.", outcome.error?));
        failed_requests.record(FailedRequest {
            status,
            method: self.method,
            path: self.path.clone(),
            model: outcome.model.clone(),
            key: outcome.key.clone(),
            reason: outcome
                .refusal
                .clone()
                .or_else(broke_off)
                .unwrap_or_else(|| format!("HTTP status {status}.")),
            request_id: self.id.clone(),
            ..FailedRequest::default()
        });
    }

    /// Returns this error in the words of the API that the path belongs to, if those are not the
    /// host's own.
    fn in_api_dialect(&self, error: &actix_web::Error) -> Option<HttpResponse> {
        let error = error.as_error::<HttpError>().filter(|_| self.is_anthropic)?;
        Some(error_response(error, &self.id))
    }

    /// Returns the same answer, which holds the record until it has been sent.
    fn wrap_body<B: MessageBody + 'static>(
        self: Arc<Self>,
        mut response: ServiceResponse<B>,
    ) -> ServiceResponse<BoxBody> {
        self.outcome().route = self.route.map(|route| route.path);
        self.set_headers(response.status().as_u16(), response.headers_mut());
        response.map_body(|_, body| LoggedBody { body: Box::pin(body), request_log: self }.boxed())
    }

    fn record_span(&self, mut span: Span, outcome: &Outcome, status: u16) {
        if !span.is_recording() {
            return;
        }
        if let Some(route) = outcome.route {
            span.rename(format!("{} {route}", self.method));
            span.set_attribute("http.route", route);
        }
        span.set_attribute("http.response.status_code", i64::from(status));
        span.set_attribute("pipewright.request.id", self.id.clone());
        if status >= 500 {
            span.set_error("server_error");
        } else if status < 400 && outcome.error.is_some() {
            span.set_error("broken_off");
        }
    }

    fn set_headers(&self, status: u16, headers: &mut HeaderMap) {
        self.outcome().status = Some(status);
        let seconds = HeaderValue::from(self.elapsed().as_secs());
        headers.insert(HeaderName::from_static("x-process-time"), seconds);
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            if self.is_anthropic {
                headers.insert(HeaderName::from_static("request-id"), id.clone());
            }
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
    }
}

/// Starts the span of this request, below the caller's.
fn start_span(request: &ServiceRequest, traces: &Traces) -> Span {
    let header = request.headers().get(TraceContext::HEADER);
    let caller = header.and_then(|header| TraceContext::parse(header.to_str().ok()?));
    let method = known_method(request.method());
    let mut span = traces.start_span(|| method.to_owned(), SpanKind::Server, caller);
    span.set_attribute("http.request.method", method);
    span
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        if self.in_flight.is_none() {
            return;
        }
        let outcome = std::mem::take(&mut *self.outcome());
        // 499 is what proxies log for a client that left before it had an answer.
        let status = outcome.status.unwrap_or(499);
        if let Some(metrics) = &self.metrics {
            let route = outcome.route.unwrap_or("other");
            metrics.observe_request(self.method, route, status, self.elapsed());
        }
        if let Some(span) = self.span.take() {
            self.record_span(
                span.into_inner().unwrap_or_else(PoisonError::into_inner),
                &outcome,
                status,
            );
        }
        if !outcome.is_logged {
            return;
        }
        self.list_if_failed(&outcome, status);
        let usage = outcome.usage.unwrap_or_default();
        let trace = self.trace.map(|context| format!("{:032x}", context.trace));
        tracing::info!(
            request.id = self.id,
            trace.id = trace,
            method = self.method,
            path = self.path,
            status,
            complete = outcome.complete,
            duration_ms = self.elapsed().as_millis() as u64,
            first_chunk_ms = outcome.first_chunk.map(|first| first.as_millis() as u64),
            model = outcome.model,
            prompt_tokens = outcome.usage.map(|_| usage.prompt_tokens),
            completion_tokens = outcome.usage.map(|_| usage.completion_tokens),
            error = outcome.error,
            "Answered.",
        );
    }
}

/// Returns the method, or OpenTelemetry's `_OTHER` for one that no route has: clients make such
/// words up, and each would be a metric of its own.
fn known_method(method: &Method) -> &'static str {
    let known = ["GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"];
    known.into_iter().find(|known| method.as_str() == *known).unwrap_or("_OTHER")
}

/// Returns the id that the client sent, if it fits into a header and a log, or else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sent = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let fit = sent.filter(|id| {
        (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
    });
    fit.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// Keeps a record of the request, and turns a panic on its way into an answer.
pub async fn log_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let request_log = Arc::new(RequestLog::new(&request));
    request.extensions_mut().insert(Arc::clone(&request_log));
    let answered = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    match answered.unwrap_or_else(|_| Err(HttpError::panicked().into())) {
        Ok(response) => {
            if let Some(error) = response.response().error() {
                let key = response.request().extensions().get::<KeyName>().map(|key| key.0.clone());
                request_log.outcome().key = key;
                request_log.record_refusal(error);
            }
            match response.response().error().and_then(|error| request_log.in_api_dialect(error)) {
                Some(in_api_dialect) => {
                    Ok(request_log.wrap_body(response.into_response(in_api_dialect)))
                }
                None => Ok(request_log.wrap_body(response)),
            }
        }
        Err(error) => {
            request_log.record_refusal(&error);
            let mut response =
                request_log.in_api_dialect(&error).unwrap_or_else(|| error.error_response());
            request_log.set_headers(response.status().as_u16(), response.headers_mut());
            request_log.outcome().complete = true;
            Err(actix_web::error::InternalError::from_response("", response).into())
        }
    }
}

/// A body that holds its request's record until it ends.
struct LoggedBody<B> {
    body: Pin<Box<B>>,
    request_log: Arc<RequestLog>,
}

impl<B: MessageBody> MessageBody for LoggedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        let size = self.body.size();
        if size.is_eof() {
            self.request_log.outcome().complete = true;
        }
        size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, B::Error>>> {
        let polled = self.body.as_mut().poll_next(cx);
        let is_whole =
            matches!((&polled, self.body.size()), (Poll::Ready(Some(Ok(_))), BodySize::Sized(_)));
        if is_whole || matches!(polled, Poll::Ready(None)) {
            self.request_log.outcome().complete = true;
        }
        polled
    }
}
