//! The attempts of one request: it is sent until it is taken, or until that is hopeless.

use crate::{
    clients::Clients,
    error::is_another_s_turn,
    family::Lessons,
    stream::{Source, Trouble},
    valves::BedrockValves,
};
use bedrock_runtime::{self as runtime, Operation, Response};
use bytes::Bytes;
use http::HeaderMap;
use pipe_sdk::PipeError;
use std::time::Duration;
use tokio::time::sleep;

/// What every request needs beside itself.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// The way to AWS.
    pub clients: &'a Clients,
    /// What models have taught.
    pub lessons: &'a Lessons,
    /// The admin's wishes.
    pub valves: &'a BedrockValves,
}

/// What is sent, and to whom.
pub struct Errand<'a> {
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
}

/// Sends this until it is taken or that is hopeless, and comes back with what `read` makes of the answer.
pub async fn send<T, F>(
    errand: Errand<'_>,
    means: Means<'_>,
    mut read: impl FnMut(Response) -> F,
) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let Means { clients, valves, .. } = means;
    let Errand { source: Source { model, region }, operation, body } = errand;
    let runtime = clients.runtime().await;
    let mut tries = clients.retries().tries(region, model, valves.max_attempts);
    let mut has_renewed = false;
    loop {
        let attempt = runtime::Request {
            region,
            operation,
            body: body.clone(),
            headers: HeaderMap::new(),
            attempt: tries.attempt(),
        };
        let answer = match runtime.send(attempt).await {
            Ok(response) => read(response).await,
            Err(failure) => Err(Trouble::from(failure)),
        };
        let trouble = match answer {
            Ok(answer) => {
                tries.succeeded();
                return Ok(answer);
            }
            Err(trouble) => trouble,
        };
        let Trouble::Failure(failure) = &trouble else { return Err(trouble) };
        // Temporary credentials may have been taken back before their time. Asking for others once is enough.
        if failure.is_about_credentials() && !has_renewed && runtime.has_other_credentials().await {
            has_renewed = true;
            tries.again();
            continue;
        }
        let Some(pause) = tries.after(failure) else { return Err(trouble) };
        sleep(pause).await;
    }
}

impl Unanswered {
    /// Because of this trouble.
    pub fn of(trouble: Trouble, source: &Source) -> Self {
        let passes_on = match &trouble {
            Trouble::Failure(failure) => is_another_s_turn(failure),
            Trouble::Cut | Trouble::Silent | Trouble::Garbled(_) | Trouble::Nothing(_) => true,
        };
        Self { error: trouble.error(source), passes_on }
    }

    /// Because of this, which no other model would change.
    pub fn at_once(error: PipeError) -> Self {
        Self { error, passes_on: false }
    }

    /// Because it took longer than this.
    pub fn late(Source { model, region }: &Source, patience: Duration) -> Self {
        let error = PipeError::Timeout(format!(
            "`{model}` in {region} did not begin to answer within {} s",
            patience.as_secs()
        ));
        Self { error, passes_on: true }
    }
}
