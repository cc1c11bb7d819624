//! The state that handlers share.

use super::{
    allowed_origins::AllowedOrigins,
    auth::{Callers, Keys},
    identity,
    memory_budget::MemoryBudget,
    sender::{self, Sender},
    user_jwt::UserJwtVerifier,
};
use crate::{
    background_jobs::BackgroundJobs, drain::Drain, failed_requests::FailedRequests,
    metrics::Metrics, python::PythonPipelines, registry::Registry, traces::Traces,
    usage_queue::UsageQueue, valve_saves::ValveSaves,
};
use actix_web::{HttpMessage, HttpRequest};
use pipe_sdk::{CallContext, Task, User};
use std::sync::Arc;
use store::Store;

/// The state that handlers share.
pub struct HostState {
    /// The pipes.
    pub registry: Arc<Registry>,
    /// The Python pipelines, if they are on.
    pub python: Option<PythonPipelines>,
    /// The API keys.
    pub keys: Keys,
    /// The rules for callers: host names, proxies, and the limit on wrong keys.
    pub callers: Callers,
    /// The memory budget for bodies of requests, and for answers that wait to be sent.
    pub memory_budget: MemoryBudget,
    /// The verifier of Open WebUI's signed users, if a secret is set.
    pub user_jwt_verifier: Option<UserJwtVerifier>,
    /// The origins of web pages that may call the model routes.
    pub origins: AllowedOrigins,
    /// `true` if `/metrics` is read without a key.
    pub open_metrics: bool,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The last requests that failed.
    pub failed_requests: Arc<FailedRequests>,
    /// The traces.
    pub traces: Arc<Traces>,
    /// The store.
    pub store: Arc<Store>,
    /// The queue of usage events.
    pub usage_queue: UsageQueue,
    /// The task that records usage events.
    pub usage_worker: Task,
    /// The background jobs of the document library.
    pub background_jobs: BackgroundJobs,
    /// The saves of valves since the start.
    pub valve_saves: ValveSaves,
    /// The stage of the shutdown.
    pub drain: Drain,
    /// The start of the host, in seconds since 1970: the `created` of its models.
    pub started: u64,
}

impl HostState {
    /// Returns the sender that the headers of a request tell of. They are read once.
    pub fn identify_sender(&self, request: &HttpRequest) -> Sender {
        if let Some(sender) = request.extensions().get::<Sender>() {
            return sender.clone();
        }
        let sender = self.read_sender(request);
        request.extensions_mut().insert(sender.clone());
        sender
    }

    fn read_sender(&self, request: &HttpRequest) -> Sender {
        let headers = request.headers();
        let user = match &self.user_jwt_verifier {
            // A wrong signature is an error elsewhere.
            Some(verifier) => verifier.user(headers).ok().flatten(),
            None => identity::parse_user(None, headers),
        };
        let context = self.call_context(request, user, None);
        Sender { caller: context.caller(), key: context.key }
    }

    /// Returns the context of a call. Only the host's own key may name the user; another key is a
    /// user of its own.
    pub fn call_context(
        &self,
        request: &HttpRequest,
        user: Option<User>,
        task: Option<&str>,
    ) -> CallContext {
        let context = match sender::key_name(request) {
            None => CallContext::new(user, None, task),
            Some(key) => {
                let name = Some(key.to_string());
                let user = User { id: format!("key:{key}"), name, ..User::default() };
                CallContext::new(Some(user), Some(key), task)
            }
        };
        let peer = request.peer_addr().map(|peer| peer.ip());
        context.with_peer(self.callers.address(peer, request.headers()))
    }
}
