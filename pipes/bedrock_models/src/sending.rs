//! Sends one request to one model: retries, circuit breaker, limits and renewed credentials.

mod fallback;
mod forced_failure;

pub use fallback::{CandidateError, try_candidates};
pub use forced_failure::ForcedFailure;

use crate::{
    catalog::ModelEntry, clients::Clients, error::BedrockError, family::ModelQuirks,
    location::ModelLocation, model_id::with_pipe_id, valves::BedrockValves,
};
use bedrock_runtime::{self as runtime, Attempt, Operation, OperationError, Response, Runtime};
use bytes::Bytes;
use http::HeaderMap;
use pipe_sdk::{CallerId, Demand, Host, PipeError};
use resilience::{InFlightCall, Limits};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The dependencies of every call of a model, beside the request itself.
#[derive(Clone, Copy)]
pub struct CallDeps<'a> {
    /// The connections to AWS.
    pub clients: &'a Clients,
    /// The quirks that were learned of models.
    pub quirks: &'a ModelQuirks,
    /// The settings of the pipe.
    pub valves: &'a BedrockValves,
    /// The models that the request asks to fail.
    pub forced_failure: ForcedFailure<'a>,
    /// The filters that admit models, and for what; `None` where only the requested model answers.
    pub admission: Option<(&'a Host, Demand)>,
    /// The caller.
    pub caller: CallerId,
    /// `true` to call a model although its circuit breaker is open, because those of all candidates
    /// are.
    pub ignores_breaker: bool,
}

impl<'a> CallDeps<'a> {
    /// Lets other models answer in place of the requested one, as far as filters admit them.
    pub fn with_admission(self, host: &'a Host, demand: Demand) -> Self {
        Self { admission: Some((host, demand)), ..self }
    }

    /// Asks the filters whether this model may be called.
    pub async fn check_admission(&self, entry: &ModelEntry) -> Result<(), PipeError> {
        let Some((host, demand)) = self.admission else { return Ok(()) };
        host.admit(&with_pipe_id(&entry.id), demand).await
    }
}

/// One chat with one model.
pub struct ConverseRequest<'a> {
    /// The model and its region.
    pub location: &'a ModelLocation,
    /// The operation.
    pub operation: Operation<'a>,
    /// The body.
    pub body: Bytes,
}

/// Sends a chat until it is accepted or cannot be, and returns what `read` makes of the response.
///
/// The call is in flight as long as its [`InFlightCall`] exists.
pub async fn send_chat<T, F>(
    request: ConverseRequest<'_>,
    deps: CallDeps<'_>,
    read: impl Fn(Response) -> F,
) -> Result<(T, InFlightCall), BedrockError>
where
    F: Future<Output = Result<T, BedrockError>>,
{
    let runtime = deps.clients.runtime().await;
    let send = |attempt| runtime.send(request.to_runtime(attempt));
    let limit = |limits: &Limits| answer_time_limit(request.operation, limits);
    call(request.location, deps, limit, send, read).await
}

/// Sends a request that is no chat until it is accepted or cannot be, and returns what `read` makes
/// of the response.
///
/// The call is in flight as long as its [`InFlightCall`] exists.
pub async fn send_operation<'a, R, T, S, F>(
    location: &ModelLocation,
    deps: CallDeps<'a>,
    send: impl Fn(&'a Runtime, Attempt) -> S,
    read: impl Fn(R) -> F,
) -> Result<(T, InFlightCall), BedrockError>
where
    S: Future<Output = Result<R, OperationError>>,
    F: Future<Output = Result<T, BedrockError>>,
{
    let runtime = deps.clients.runtime().await;
    call(location, deps, |limits| limits.first_byte, |attempt| send(runtime, attempt), read).await
}

/// Makes attempts until one succeeds or the time limit is reached.
async fn call<R, T, E, S, F>(
    location: &ModelLocation,
    deps: CallDeps<'_>,
    time_limit: impl FnOnce(&Limits) -> Duration,
    send: impl Fn(Attempt) -> S,
    read: impl Fn(R) -> F,
) -> Result<(T, InFlightCall), BedrockError>
where
    E: Into<BedrockError>,
    S: Future<Output = Result<R, E>>,
    F: Future<Output = Result<T, BedrockError>>,
{
    let runtime = deps.clients.runtime().await;
    let upstream = deps.clients.upstreams().get(location);
    let max = upstream.limits().attempts;
    let time_limit = time_limit(upstream.limits());
    let deadline = Instant::now() + time_limit;
    let attempt = async |attempt: resilience::Attempt| {
        let answer = async {
            let number = attempt.number;
            read(send_authenticated(runtime, Attempt { number, max }, &send).await?).await
        };
        let answer = timeout_at(deadline, answer).await;
        answer.unwrap_or(Err(BedrockError::FirstByteTimeout(time_limit)))
    };
    Ok(match deps.ignores_breaker {
        true => upstream.call_ignoring_breaker(deps.caller, attempt).await?,
        false => upstream.call(deps.caller, attempt).await?,
    })
}

/// Sends a request, and sends it again if AWS refuses the credentials and there are others now:
/// temporary credentials can be revoked before they expire. Fetching others once is enough.
async fn send_authenticated<R, E, S>(
    runtime: &Runtime,
    attempt: Attempt,
    send: impl Fn(Attempt) -> S,
) -> Result<R, BedrockError>
where
    E: Into<BedrockError>,
    S: Future<Output = Result<R, E>>,
{
    let error: BedrockError = match send(attempt).await {
        Ok(response) => return Ok(response),
        Err(error) => error.into(),
    };
    if !error.is_credentials_error() || !runtime.has_new_credentials().await {
        return Err(error);
    }
    let Attempt { number, max } = attempt;
    send(Attempt { number: number + 1, max: max + 1 }).await.map_err(Into::into)
}

/// Returns the time until an answer must have begun, retries included. Nothing of a whole answer
/// comes before all of it is written, so it may also be silent for as long as a streamed one
/// between two events.
fn answer_time_limit(operation: Operation<'_>, limits: &Limits) -> Duration {
    match operation {
        Operation::Converse(_) => limits.first_byte.max(limits.idle),
        Operation::ConverseStream(_) => limits.first_byte,
    }
}

impl ConverseRequest<'_> {
    /// Returns the request of this attempt.
    fn to_runtime(&self, attempt: Attempt) -> runtime::Request<'_> {
        runtime::Request {
            region: &self.location.region,
            operation: self.operation,
            body: self.body.clone(),
            headers: HeaderMap::new(),
            attempt,
        }
    }
}
