//! Records requests for tests, which can wait for them.

use crate::credential::AuthKind;
use crate::operation::Operation;
use crate::received_request::ReceivedRequest;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// A request as the emulator received it.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// The region of the credential scope, or the default region for bearer tokens.
    pub region: String,
    /// The operation, or `None` for an unknown path.
    pub operation: Option<Operation>,
    /// The model, profile or guardrail in the path, decoded.
    pub target: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path and query, as sent.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// The body parsed as JSON; `Null` if it is not JSON.
    pub json: Value,
    /// The client's attempt, from 1.
    pub attempt: u32,
    /// The authentication scheme.
    pub auth: AuthKind,
    /// The number of the connection, from 0.
    pub connection: usize,
    /// The time of arrival.
    pub at: Instant,
}

/// The outcome of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeOutcome {
    /// The whole response was sent.
    Completed,
    /// The client or the script closed the connection before the end of the response.
    Aborted,
}

/// All requests, and the outcome of each. A log that is off stays empty, so that an emulator that
/// runs for days does not grow.
#[derive(Clone, Debug)]
pub(crate) struct RequestLog {
    is_on: bool,
    exchanges: Arc<Mutex<Vec<LoggedExchange>>>,
    changed: watch::Sender<()>,
}

/// A request, and how its answer ended.
#[derive(Debug)]
struct LoggedExchange {
    request: RecordedRequest,
    outcome: Option<ExchangeOutcome>,
}

impl RequestLog {
    pub(crate) fn new(is_on: bool) -> Self {
        Self { is_on, exchanges: Arc::default(), changed: watch::Sender::new(()) }
    }

    /// Logs a request. The exchange ends when the returned value is dropped.
    pub(crate) fn record(&self, call: &ReceivedRequest, connection: usize) -> Exchange {
        let index = self.is_on.then(|| self.add(call, connection));
        Exchange { request_log: self.clone(), index, outcome: ExchangeOutcome::Aborted }
    }

    fn add(&self, call: &ReceivedRequest, connection: usize) -> usize {
        let request = RecordedRequest {
            region: call.region.clone(),
            operation: call.operation,
            target: call.target.clone(),
            method: call.method.to_string(),
            path: call.uri.to_string(),
            headers: call.headers.clone(),
            body: call.body.clone(),
            json: serde_json::from_slice(&call.body).unwrap_or_default(),
            attempt: call.attempt(),
            auth: call.credential.kind(),
            connection,
            at: Instant::now(),
        };
        self.write(|exchanges| {
            exchanges.push(LoggedExchange { request, outcome: None });
            exchanges.len() - 1
        })
    }

    /// Returns all recorded requests.
    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.read(|exchanges| exchanges.iter().map(|exchange| exchange.request.clone()).collect())
    }

    pub(crate) async fn wait_for_requests(&self, at_least: usize) -> Vec<RecordedRequest> {
        self.wait_until(|exchanges| (exchanges.len() >= at_least).then_some(())).await;
        self.requests()
    }

    pub(crate) async fn wait_for_outcome(&self, request: usize) -> ExchangeOutcome {
        self.wait_until(|exchanges| exchanges.get(request)?.outcome).await
    }

    async fn wait_until<T>(&self, ready: impl Fn(&[LoggedExchange]) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = self.read(&ready) {
                return found;
            }
            // This cannot fail, because `self` owns the sender.
            drop(changed.changed().await);
        }
    }

    /// Calls a function with all exchanges, under the lock.
    fn read<T>(&self, look: impl FnOnce(&[LoggedExchange]) -> T) -> T {
        look(&self.exchanges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the exchanges under the lock, and wakes those who wait for changes.
    fn write<T>(&self, change: impl FnOnce(&mut Vec<LoggedExchange>) -> T) -> T {
        let result = change(&mut self.exchanges.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        result
    }
}

/// A request that is being answered. The response owns it, so that dropping the response ends it.
#[derive(Debug)]
pub(crate) struct Exchange {
    request_log: RequestLog,
    index: Option<usize>,
    outcome: ExchangeOutcome,
}

impl Exchange {
    /// Records that the answer was sent whole.
    pub(crate) fn complete(&mut self) {
        self.outcome = ExchangeOutcome::Completed;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(index) = self.index {
            self.request_log.write(|exchanges| exchanges[index].outcome = Some(self.outcome));
        }
    }
}
