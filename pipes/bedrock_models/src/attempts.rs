//! The attempts of one request: it is sent until it is taken, or until that is hopeless.

use crate::{
    catalogue::Entry,
    clients::Clients,
    family::Lessons,
    forced::ForcedFailure,
    names::PIPE,
    stream::{Source, Trouble},
    valves::BedrockValves,
};
use bedrock_runtime::{self as runtime, Operation, Response, Runtime};
use bytes::Bytes;
use http::HeaderMap;
use pipe_sdk::{CallerId, Demand, Host, PipeError};
use resilience::{InFlightCall, Limits};

/// What every request needs beside itself.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// The way to AWS.
    pub clients: &'a Clients,
    /// What models have taught.
    pub lessons: &'a Lessons,
    /// The admin's wishes.
    pub valves: &'a BedrockValves,
    /// Which models are to fail.
    pub forced: ForcedFailure<'a>,
    /// Who lets models pass, and for what; `None` where nobody but the model that was asked answers.
    pub admission: Option<(&'a Host, Demand)>,
    /// Who asks.
    pub caller: CallerId,
    /// Whether a model is asked though it has failed again and again, because all others have too.
    pub anyway: bool,
}

impl<'a> Means<'a> {
    /// The same where other models may answer in place of the one that was asked, as far as filters let them.
    pub fn admitting(self, host: &'a Host, demand: Demand) -> Self {
        Self { admission: Some((host, demand)), ..self }
    }

    /// Asks filters whether this model may be asked.
    pub async fn admit(&self, entry: &Entry) -> Result<(), PipeError> {
        let Some((host, demand)) = self.admission else { return Ok(()) };
        host.admit(&format!("{PIPE}.{}", entry.id), demand).await
    }
}

/// What is sent, and to whom.
pub struct InvokeRequest<'a> {
    /// The model and its region.
    pub source: &'a Source,
    /// What is asked of it.
    pub operation: Operation<'a>,
    /// In which words.
    pub body: Bytes,
}

/// Why a model has not answered.
pub struct Unanswered {
    /// What is said if nobody else answers.
    pub error: PipeError,
    /// Whether another model might.
    pub passes_on: bool,
    /// Whether it was not even asked, because it has failed again and again.
    pub is_resting: bool,
    /// Whether it is what the service says, rather than what is known of the model here.
    pub is_told: bool,
}

/// Sends this until it is taken or that is hopeless, and comes back with what `read` makes of the answer, which is under way as long as
/// its [`InFlightCall`] is there.
pub async fn send<T, F>(
    errand: InvokeRequest<'_>,
    means: Means<'_>,
    read: impl Fn(Response) -> F,
) -> Result<(T, InFlightCall), Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let runtime = means.clients.runtime().await;
    let upstream = means.clients.upstreams().of(errand.source);
    let Limits { first_byte, attempts: max, .. } = *upstream.limits();
    let attempt = async |attempt: resilience::Attempt| {
        let number = runtime::Attempt { number: attempt.number, max };
        let answered = attempt.in_time(errand.answered(runtime, number, &read)).await;
        answered.unwrap_or(Err(Trouble::Late(first_byte)))
    };
    Ok(match means.anyway {
        true => upstream.call_anyway(means.caller, attempt).await?,
        false => upstream.call(means.caller, attempt).await?,
    })
}

impl InvokeRequest<'_> {
    async fn answered<T, F>(
        &self,
        runtime: &Runtime,
        attempt: runtime::Attempt,
        read: impl Fn(Response) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let refused = match runtime.send(self.request(attempt)).await {
            Ok(response) => return read(response).await,
            Err(failure) => failure,
        };
        // Temporary credentials may have been taken back before their time. Asking for others once is enough.
        if !refused.is_about_credentials() || !runtime.has_other_credentials().await {
            return Err(refused.into());
        }
        let runtime::Attempt { number, max } = attempt;
        let once_more = runtime::Attempt { number: number + 1, max: max + 1 };
        read(runtime.send(self.request(once_more)).await?).await
    }

    fn request(&self, attempt: runtime::Attempt) -> runtime::Request<'_> {
        runtime::Request {
            region: &self.source.region,
            operation: self.operation,
            body: self.body.clone(),
            headers: HeaderMap::new(),
            attempt,
        }
    }
}

impl Unanswered {
    /// Because of this trouble.
    pub fn of(trouble: Trouble, source: &Source) -> Self {
        let (passes_on, is_resting) = (trouble.passes_on(), trouble.is_resting());
        Self { error: trouble.error(source), passes_on, is_resting, is_told: true }
    }

    /// Because of this, which no other model would change.
    pub fn at_once(error: PipeError) -> Self {
        Self { error, passes_on: false, is_resting: false, is_told: false }
    }
}
