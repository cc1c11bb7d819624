//! Sends one request to one model: retries, circuit breaker, limits and renewed credentials.

mod fallback;
mod forced_failure;

pub use fallback::{CandidateError, try_candidates};
pub use forced_failure::ForcedFailure;

use crate::{
    catalog::ModelEntry, clients::Clients, error::BedrockError, family::ModelQuirks,
    location::ModelLocation, model_id::with_pipe_id, valves::BedrockValves,
};
use bedrock_runtime::{self as runtime, Operation, Response, Runtime};
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

/// One request to one model.
pub struct InvokeRequest<'a> {
    /// The model and its region.
    pub location: &'a ModelLocation,
    /// The operation.
    pub operation: Operation<'a>,
    /// The body.
    pub body: Bytes,
}

/// Sends a request until it is accepted or cannot be, and returns what `read` makes of the
/// response.
///
/// The call is in flight as long as its [`InFlightCall`] exists.
pub async fn send<T, F>(
    request: InvokeRequest<'_>,
    deps: CallDeps<'_>,
    read: impl Fn(Response) -> F,
) -> Result<(T, InFlightCall), BedrockError>
where
    F: Future<Output = Result<T, BedrockError>>,
{
    let runtime = deps.clients.runtime().await;
    let upstream = deps.clients.upstreams().get(request.location);
    let max = upstream.limits().attempts;
    let time_limit = answer_time_limit(request.operation, upstream.limits());
    let deadline = Instant::now() + time_limit;
    let attempt = async |attempt: resilience::Attempt| {
        let number = runtime::Attempt { number: attempt.number, max };
        let answer = timeout_at(deadline, request.send_once(runtime, number, &read)).await;
        answer.unwrap_or(Err(BedrockError::FirstByteTimeout(time_limit)))
    };
    Ok(match deps.ignores_breaker {
        true => upstream.call_ignoring_breaker(deps.caller, attempt).await?,
        false => upstream.call(deps.caller, attempt).await?,
    })
}

/// Returns the time until an answer must have begun, retries included. Nothing of a whole answer
/// comes before all of it is written, so it may also be silent for as long as a streamed one
/// between two events.
fn answer_time_limit(operation: Operation<'_>, limits: &Limits) -> Duration {
    match operation {
        Operation::Converse(_) => limits.first_byte.max(limits.idle),
        _ => limits.first_byte,
    }
}

impl InvokeRequest<'_> {
    async fn send_once<T, F>(
        &self,
        runtime: &Runtime,
        attempt: runtime::Attempt,
        read: impl Fn(Response) -> F,
    ) -> Result<T, BedrockError>
    where
        F: Future<Output = Result<T, BedrockError>>,
    {
        let error = match runtime.send(self.to_runtime(attempt)).await {
            Ok(response) => return read(response).await,
            Err(error) => error,
        };
        // Temporary credentials can be revoked before they expire. Fetching others once is enough.
        if !error.is_credentials_error() || !runtime.has_new_credentials().await {
            return Err(error.into());
        }
        let runtime::Attempt { number, max } = attempt;
        let repeated = runtime::Attempt { number: number + 1, max: max + 1 };
        read(runtime.send(self.to_runtime(repeated)).await?).await
    }

    fn to_runtime(&self, attempt: runtime::Attempt) -> runtime::Request<'_> {
        runtime::Request {
            region: &self.location.region,
            operation: self.operation,
            body: self.body.clone(),
            headers: HeaderMap::new(),
            attempt,
        }
    }
}
