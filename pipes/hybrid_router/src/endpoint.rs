//! A local server at a URL.

use crate::{
    backend_error::BackendError,
    pipe_id::LOCAL_MODEL_ID,
    started_answer::StartedAnswer,
    valves::{HybridValves, ServerApi},
};
use http_client::{HttpClient, HttpVersion};
use openai_client::{Credentials, OpenAiError, Server};
use pipe_sdk::{Body, ChunkStream, Host, ModelKind};
use resilience::{Limits, Upstream};
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// A local server, with the APIs that it may have.
#[derive(Debug)]
pub(crate) struct Endpoint {
    apis: Vec<Api>,
    /// The index of the API that has answered.
    known_api: OnceLock<usize>,
    /// The name of its model, if the valves give it.
    model: Option<String>,
    /// The name of the first model that it lists.
    listed_model: Mutex<Option<String>>,
}

/// The API of a local server: OpenAI's, or Ollama's `/api/generate`.
#[derive(Debug)]
enum Api {
    OpenAi(Server),
    Generate(Server),
}

/// The error of one API of the server.
struct ApiError {
    error: BackendError,
    /// `true` if the server may have the other API.
    is_not_found: bool,
}

/// The least time that an answer in one piece has.
const MIN_GENERATE_TIMEOUT: Duration = Duration::from_secs(120);

/// The time that the model list of a health probe has.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The model name for a server that lists none: mostly it has one, whatever its name.
const ANY_MODEL: &str = "default";

/// The name of its model in errors, if the valves give none.
const SHOWN_NAME: &str = "Local only";

impl Endpoint {
    /// Creates the client of a server with these APIs. Nothing is sent yet.
    pub fn new(apis: Vec<ServerApi>, valves: &HybridValves) -> Self {
        let http_client = HttpClient::new(Limits::default().connect, HttpVersion::Http2Preferred);
        let credentials =
            Credentials { key: valves.local_api_key.clone(), ..Credentials::default() };
        // The backend has a breaker of its own.
        let limits = Limits { failures: 0, ..valves.local_limits() };
        let server = |base_url, limits| {
            let upstream = Arc::new(Upstream::new(LOCAL_MODEL_ID, limits));
            Server::new(base_url, &credentials, http_client.clone(), upstream)
        };
        let apis = apis.into_iter().map(|api| match api {
            ServerApi::OpenAi(base_url) => Api::OpenAi(server(base_url, limits.clone())),
            ServerApi::Generate(base_url) => {
                let first_byte = limits.first_byte.max(MIN_GENERATE_TIMEOUT);
                Api::Generate(server(base_url, Limits { first_byte, ..limits.clone() }))
            }
        });
        Self {
            apis: apis.collect(),
            known_api: OnceLock::new(),
            model: valves.local_model.clone(),
            listed_model: Mutex::default(),
        }
    }

    /// Sends a chat, and returns the answer once it has its first token.
    pub async fn start_answer(
        &self,
        host: &Host,
        body: &Body,
    ) -> Result<StartedAnswer, BackendError> {
        let known = self.known_api.get().map_or(0..self.apis.len(), |index| *index..index + 1);
        let mut first_error = None;
        for index in known {
            match self.start_answer_by(&self.apis[index], host, body).await {
                Ok(answer) => {
                    // A concurrent chat has found the same.
                    _ = self.known_api.set(index);
                    return Ok(answer);
                }
                Err(ApiError { error, is_not_found }) => {
                    first_error.get_or_insert(error);
                    if !is_not_found {
                        break;
                    }
                }
            }
        }
        Err(first_error.unwrap_or_else(|| BackendError::empty_answer(self.name())))
    }

    /// Returns the name of its model in errors.
    fn name(&self) -> &str {
        self.model.as_deref().unwrap_or(SHOWN_NAME)
    }

    /// Sends a chat in this API, and waits for the first token.
    async fn start_answer_by(
        &self,
        api: &Api,
        host: &Host,
        body: &Body,
    ) -> Result<StartedAnswer, ApiError> {
        let limits = api.server().upstream().limits();
        // Without a stream, the first token comes with the last one.
        let limit =
            if body.stream { limits.first_byte } else { limits.first_byte.max(limits.idle) };
        let answer = async {
            let chunks = self.send(api, host, body).await.map_err(|error| {
                let is_not_found = self.check_not_found(&error);
                ApiError { error: BackendError::from_server(error, self.name()), is_not_found }
            })?;
            let chunks = host.meter(LOCAL_MODEL_ID, body, chunks);
            let answer = StartedAnswer::wait_for_output(self.name(), chunks).await;
            answer.map_err(|error| ApiError { error, is_not_found: false })
        };
        let error = |_| BackendError::first_token_timeout(self.name(), limit);
        let timed_out = |elapsed| ApiError { error: error(elapsed), is_not_found: false };
        timeout(limit, answer).await.map_err(timed_out)?
    }

    /// Sends a chat to a local server, by the API that it serves.
    async fn send(&self, api: &Api, host: &Host, body: &Body) -> Result<ChunkStream, OpenAiError> {
        let context = host.context();
        match api {
            Api::OpenAi(server) => {
                let name = self.model_name(server).await?;
                let answer = Box::pin(server.chat(&name, body, context)).await?;
                Ok(answer.into_chunks(LOCAL_MODEL_ID.into(), self.name().into()))
            }
            Api::Generate(server) => {
                let chunks = server.generate(self.model.as_deref(), body, context).await?;
                Ok(ChunkStream::from_chunks(chunks))
            }
        }
    }

    /// Returns the name that the server has for its model.
    async fn model_name(&self, server: &Server) -> Result<String, OpenAiError> {
        if let Some(name) = self.model.clone().or_else(|| self.listed_model().clone()) {
            return Ok(name);
        }
        match server.models(server.upstream().limits().first_byte).await {
            Ok(list) => {
                let first = list.into_iter().find(|model| model.kind == ModelKind::Chat);
                let name = first.map_or_else(|| ANY_MODEL.into(), |model| model.id);
                *self.listed_model() = Some(name.clone());
                Ok(name)
            }
            Err(error) if has_response(&error) => Ok(ANY_MODEL.into()),
            Err(error) => Err(error),
        }
    }

    /// Asks the server for its models, to find out whether it answers at all.
    pub async fn probe(&self) -> Result<(), BackendError> {
        let mut first_error = None;
        for api in &self.apis {
            match api.server().models(PROBE_TIMEOUT).await {
                Ok(_) => return Ok(()),
                // Also a server that lists nothing answers.
                Err(error) if has_response(&error) => return Ok(()),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        first_error.map_or(Ok(()), |error| Err(BackendError::from_server(error, self.name())))
    }

    /// Returns whether the route or the model does not exist. The name of the model is looked up
    /// again then: another one may have replaced it.
    fn check_not_found(&self, error: &OpenAiError) -> bool {
        let is_not_found =
            matches!(error, OpenAiError::Api(error) if matches!(error.status, 404 | 405 | 501));
        if is_not_found {
            *self.listed_model() = None;
        }
        is_not_found
    }

    fn listed_model(&self) -> MutexGuard<'_, Option<String>> {
        self.listed_model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Api {
    /// Returns the server.
    fn server(&self) -> &Server {
        match self {
            Self::OpenAi(server) | Self::Generate(server) => server,
        }
    }
}

/// Returns whether the server has sent a response, if not the one that was asked for.
fn has_response(error: &OpenAiError) -> bool {
    matches!(error, OpenAiError::Api(_) | OpenAiError::InvalidResponse(_) | OpenAiError::HtmlPage)
}
