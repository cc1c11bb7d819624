//! A server: where it is, how it is authenticated, and the requests that it is sent.

use crate::{
    ApiError, BaseUrl, ChatAnswer, ModelListEntry, OpenAiError,
    base_url::Vendor,
    chat_answer::StartedAnswer,
    model_list::parse_model_list,
    quirks::{Quirk, Quirks},
    request::{Delivery, serialize_chat},
    response_body::ResponseBody,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use http_client::HttpClient;
use pipe_sdk::{Body, CallContext, CallerId, LearnedQuirks, QuirkState, Secret, TraceContext};
use resilience::{Attempt, Limits, Upstream};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

/// An OpenAI-compatible server.
#[derive(Debug)]
pub struct Server {
    base_url: BaseUrl,
    chat_url: Url,
    headers: HeaderMap,
    http_client: HttpClient,
    upstream: Arc<Upstream>,
    stream_above_max_tokens: u32,
    /// The texts that are removed from the errors of the server.
    secrets: Arc<[String]>,
    /// The quirks of its models, by their names.
    quirks: LearnedQuirks<Quirk>,
    /// `true` if it has asked for documents in TEI's format.
    pub(crate) uses_tei_format: AtomicBool,
}

/// The credentials of a server's client.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The API key, sent as a bearer token, or in Azure's `api-key` header. Many servers in the own
    /// network need none.
    pub key: Secret,
    /// The id of an organization of OpenAI's.
    pub organization: Option<String>,
}

/// The `max_tokens` above which a chat is streamed although its client wants one object.
///
/// At 68 tokens a second, such an answer takes 120 s, the default of [`Limits::idle`].
pub const DEFAULT_STREAM_ABOVE_MAX_TOKENS: u32 = 8192;

/// The time within which the body of an error must follow its headers.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest size of the body of an error, in bytes.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// The largest size of a response other than a chat's, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// The length from which a key is redacted in errors. A placeholder such as `x` occurs in many
/// words, which must stay readable.
const MIN_SECRET_LENGTH: usize = 6;

/// The largest number of quirks that one chat may discover: each costs another request.
const MAX_QUIRKS_PER_CHAT: usize = 8;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The value of `Accept` for streams: some servers answer in JSON anyway.
const SSE_OR_JSON: HeaderValue = HeaderValue::from_static("text/event-stream, application/json");
/// The header of the key at Azure.
const AZURE_KEY: HeaderName = HeaderName::from_static("api-key");
/// The header of the trace context.
const TRACE: HeaderName = HeaderName::from_static(TraceContext::HEADER);
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

impl Server {
    /// Creates a client of the server with this base URL. Nothing is sent yet.
    pub fn new(
        base_url: BaseUrl,
        credentials: &Credentials,
        http_client: HttpClient,
        upstream: Arc<Upstream>,
    ) -> Self {
        let key = credentials.key.expose().filter(|key| key.len() >= MIN_SECRET_LENGTH);
        let key = key.map(str::to_owned);
        // A name without a dot is mostly a word that means something else, too.
        let host = Some(base_url.host().to_owned()).filter(|host| host.contains(['.', ':']));
        Self {
            headers: default_headers(credentials, base_url.vendor()),
            chat_url: base_url.join("chat/completions"),
            base_url,
            http_client,
            upstream,
            stream_above_max_tokens: DEFAULT_STREAM_ABOVE_MAX_TOKENS,
            secrets: key.into_iter().chain(host).collect(),
            quirks: LearnedQuirks::default(),
            uses_tei_format: AtomicBool::default(),
        }
    }

    /// Sets the `max_tokens` above which a chat is streamed although its client wants one object;
    /// with 0, all chats are streamed.
    #[must_use]
    pub fn with_stream_above_max_tokens(self, stream_above_max_tokens: u32) -> Self {
        Self { stream_above_max_tokens, ..self }
    }

    /// Returns the state of the calls to the server.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Returns the base URL.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Returns the quirks that were learned of its models.
    pub fn learned_quirks(&self) -> Vec<QuirkState> {
        self.quirks.states()
    }

    /// Sends a chat to a model of the server.
    ///
    /// A request that is refused for a quirk of the model is sent again without what was refused.
    ///
    /// # Errors
    /// Returns an error if the answer has not started, or has not arrived complete. Later errors
    /// are items of the stream.
    pub async fn chat(
        &self,
        model: &str,
        body: &Body,
        context: &CallContext,
    ) -> Result<ChatAnswer, OpenAiError> {
        let caller = context.caller();
        let mut quirks = Quirks::from_list(&self.quirks.for_caller(model, caller));
        let mut learned = Vec::new();
        loop {
            let delivery = self.delivery(body, quirks);
            let error = match self.chat_with_quirks(model, body, quirks, delivery, context).await {
                Ok(answer) => {
                    // A quirk that did not help was perhaps none.
                    for quirk in
                        learned.iter().filter(|quirk: &&Quirk| !quirk.is_request_specific())
                    {
                        self.quirks.learn(model, quirk, caller);
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if error == OpenAiError::FirstByteTimeout && delivery == Delivery::Whole {
                self.quirks.learn(model, &Quirk::SlowWholeAnswers, caller);
            }
            let quirk = error.api_error().and_then(|error| quirks.detect_in(error, model, body));
            let Some(quirk) = quirk.filter(|_| learned.len() < MAX_QUIRKS_PER_CHAT) else {
                return Err(error);
            };
            quirks = quirks.with(quirk);
            learned.push(quirk);
        }
    }

    /// Returns the form in which the answer to this chat is requested.
    fn delivery(&self, body: &Body, quirks: Quirks) -> Delivery {
        let max_tokens = body.max_answer_tokens().unwrap_or_default();
        let threshold = self.stream_above_max_tokens;
        let is_long = threshold == 0 || max_tokens > u64::from(threshold);
        if body.stream || is_long || quirks.slow_whole_answers {
            Delivery::Stream
        } else {
            Delivery::Whole
        }
    }

    async fn chat_with_quirks(
        &self,
        model: &str,
        body: &Body,
        quirks: Quirks,
        delivery: Delivery,
        context: &CallContext,
    ) -> Result<ChatAnswer, OpenAiError> {
        let mut chat = serialize_chat(body, model, self.base_url.vendor(), quirks, delivery)?;
        let json = Bytes::from(std::mem::take(&mut chat.json));
        let deadline = Instant::now() + whole_answer_timeout(self.upstream.limits());
        let attempt = async |attempt: Attempt| {
            let idle_timeout = self.upstream.limits().idle;
            let request = self.chat_request(json.clone(), context.trace);
            let secrets = Arc::clone(&self.secrets);
            match delivery {
                Delivery::Stream => {
                    let response = self.send(attempt, request).await?;
                    Box::pin(StartedAnswer::read(response, idle_timeout, secrets, &body.stop)).await
                }
                Delivery::Whole => {
                    let response = timeout_at(deadline, self.execute(request)).await;
                    let response = response.map_err(|_| OpenAiError::FirstByteTimeout)??;
                    Box::pin(StartedAnswer::read(response, idle_timeout, secrets, &body.stop)).await
                }
            }
        };
        let (answer, call) = self.upstream.call(context.caller(), attempt).await?;
        Ok(ChatAnswer::new(answer, call, chat))
    }

    /// Posts this JSON, and returns the response in one piece.
    pub(crate) async fn post_json(
        &self,
        path: &str,
        json: Vec<u8>,
        caller: CallerId,
        trace: Option<TraceContext>,
    ) -> Result<Bytes, OpenAiError> {
        let json = Bytes::from(json);
        let attempt = async |attempt: Attempt| {
            let request = self.post_request(self.base_url.join(path), json.clone(), trace);
            let response = self.send(attempt, request).await?;
            self.read_body(response, MAX_RESPONSE_BYTES).await
        };
        let (answer, call) = self.upstream.call(caller, attempt).await?;
        call.complete(None);
        Ok(answer)
    }

    /// Asks for the models of the server, once and within this time. The circuit breaker is not
    /// consulted: a list also shows that a server works again.
    pub async fn models(&self, time: Duration) -> Result<Vec<ModelListEntry>, OpenAiError> {
        let models = async {
            let response =
                self.execute(self.request(Method::GET, self.base_url.join("models"), None)).await?;
            let json = self.read_body(response, MAX_RESPONSE_BYTES).await?;
            parse_model_list(&json, self.base_url.vendor())
        };
        timeout(time, models).await.unwrap_or(Err(OpenAiError::FirstByteTimeout))
    }

    fn chat_request(&self, json: Bytes, trace: Option<TraceContext>) -> reqwest::Request {
        self.post_request(self.chat_url.clone(), json, trace)
    }

    fn post_request(&self, url: Url, json: Bytes, trace: Option<TraceContext>) -> reqwest::Request {
        let mut request = self.request(Method::POST, url, Some(json));
        let trace = trace.and_then(|trace| HeaderValue::try_from(trace.header()).ok());
        request.headers_mut().extend(trace.map(|trace| (TRACE, trace)));
        request
    }

    fn request(&self, method: Method, url: Url, json: Option<Bytes>) -> reqwest::Request {
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = self.headers.clone();
        *request.body_mut() = json.map(Into::into);
        request
    }

    /// Sends a request, and returns the head of a successful response before the attempt's
    /// deadline.
    async fn send(
        &self,
        attempt: Attempt,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, OpenAiError> {
        attempt.with_deadline(self.execute(request)).await?
    }

    /// Sends a request, and returns the head of a successful response.
    async fn execute(&self, request: reqwest::Request) -> Result<reqwest::Response, OpenAiError> {
        let response = self.http_client.execute(request).await;
        let response = response.map_err(|error| OpenAiError::from_connection(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = ResponseBody::new(response.into(), ERROR_BODY_TIMEOUT)
            .read_to_end(Bytes::new(), MAX_ERROR_BODY_BYTES);
        let body = timeout(ERROR_BODY_TIMEOUT, body).await.ok().and_then(Result::ok);
        let error = ApiError::from_response(status, &headers, &body.unwrap_or_default());
        Err(OpenAiError::Api(error).redact(&self.secrets))
    }

    /// Returns the body of a response, unless it is a web page.
    async fn read_body(
        &self,
        response: reqwest::Response,
        limit: usize,
    ) -> Result<Bytes, OpenAiError> {
        let body = ResponseBody::new(response.into(), self.upstream.limits().idle);
        let bytes = body.read_to_end(Bytes::new(), limit).await?;
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => Err(OpenAiError::HtmlPage),
            _ => Ok(bytes),
        }
    }
}

/// Returns the time that an answer in one piece may take: nothing of it comes before all of it is
/// written, so it may be silent for as long as a streamed answer between two chunks.
fn whole_answer_timeout(limits: &Limits) -> Duration {
    limits.first_byte.max(limits.idle)
}

fn default_headers(credentials: &Credentials, vendor: Vendor) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON), (ACCEPT, SSE_OR_JSON)]);
    if let Some(key) = credentials.key.expose() {
        let (name, value) = match vendor {
            Vendor::Azure => (AZURE_KEY, key.to_owned()),
            Vendor::OpenAi | Vendor::Other => (AUTHORIZATION, format!("Bearer {key}")),
        };
        // The valves have been validated: a header can hold the key.
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    let organization = credentials.organization.as_deref().unwrap_or_default();
    if let Ok(value) = HeaderValue::try_from(organization)
        && !value.is_empty()
    {
        headers.insert(ORGANIZATION, value);
    }
    headers
}
