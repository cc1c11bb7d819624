//! The way to any OpenAI-compatible server: OpenAI, Azure, vLLM, Ollama, llama.cpp, LM Studio, OpenRouter, TEI…
//!
//! A [`Server`] is one of them: an [`Address`], a key, and the [`Upstream`] that keeps calls of it calm. Chats become requests by named fields
//! (`request`), and bytes become events (`sse`), events chunks (`told`). What goes wrong is a [`Trouble`], which knows what people
//! are told ([`Trouble::error`]), whether another model might do better ([`Trouble::passes_on`]), and what it says of the server.
//!
//! ```no_run
//! # async fn example() -> pipe_sdk::Result<()> {
//! use http_client::{HttpClient, HttpVersion};
//! use openai_client::{Credentials, Server};
//! use pipe_sdk::{Body, CallContext, Message, Role};
//! use std::sync::Arc;
//! use resilience::{Limits, Upstream};
//!
//! let limits = Limits::default();
//! let http_client = HttpClient::new(limits.connect, HttpVersion::Http2Preferred);
//! let address = "http://127.0.0.1:11434/v1".parse().unwrap();
//! let calm = Arc::new(Upstream::new("ollama", limits));
//! let server = Server::new(address, &Credentials::default(), http_client, calm);
//! let body = Body::new("x.llama3", vec![Message::new(Role::User, "hi")]);
//! let chunks = server.chat("llama3", &body, &CallContext::default()).await.map_err(|trouble| trouble.error("x.llama3"))?;
//! # Ok(())
//! # }
//! ```
//!
//! What is deliberately absent: nothing of an answer is passed through. A field that is not named in `wire` and told in `told` goes no
//! further, because Open WebUI runs what some of them say.

mod address;
mod answer;
mod body;
mod calls;
mod complaint;
mod embed;
#[cfg(test)]
mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod generate;
mod lesson;
mod listed;
mod request;
mod rerank;
mod sse;
mod thoughts;
mod told;
mod trouble;
mod wire;

pub use address::Address;
pub use answer::Answer;
pub use complaint::Complaint;
pub use listed::Listed;
pub use trouble::Trouble;

use address::Whose;
use body::Body as Bytewise;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use http_client::HttpClient;
use lesson::{Lessons, Quirk};
use pipe_sdk::{Body, CallContext, CallerId, LearnedQuirks, QuirkState, Secret, TraceContext};
use resilience::{Attempt, TrackedStream, Upstream};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// One OpenAI-compatible server.
#[derive(Debug)]
pub struct Server {
    address: Address,
    headers: HeaderMap,
    http_client: HttpClient,
    calm: Arc<Upstream>,
    /// What must not be read in its complaints.
    hidden: Arc<[String]>,
    /// What its models have taught, by their names.
    lessons: LearnedQuirks<Quirk>,
    /// Whether it has said that it wants documents in TEI's words.
    ranks_texts: std::sync::atomic::AtomicBool,
}

/// Who we are to a server.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Sent as a bearer, or as Azure wants it. None: servers of one's own mostly need none.
    pub key: Secret,
    /// OpenAI's id of an organisation.
    pub organization: Option<String>,
}

/// An answer under way. Dropping it is the cancel.
pub type Chunks = TrackedStream<Answer>;

/// How long a complaint may take, once its headers are there, and how long it may be.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_COMPLAINT: usize = 64 << 10;

/// How many lessons one chat may cost.
const MOST_LESSONS: usize = 3;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ANY_FORM: HeaderValue = HeaderValue::from_static("text/event-stream, application/json");
const AZURE_KEY: HeaderName = HeaderName::from_static("api-key");
const TRACE: HeaderName = HeaderName::from_static(TraceContext::HEADER);
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

impl Server {
    /// The server at this address. Nothing is asked yet.
    pub fn new(
        address: Address,
        credentials: &Credentials,
        http_client: HttpClient,
        calm: Arc<Upstream>,
    ) -> Self {
        let headers = headers(credentials, address.whose());
        let key = credentials.key.expose().map(str::to_owned);
        // A name without a dot is mostly a word that means something else too.
        let host = Some(address.host().to_owned()).filter(|host| host.contains(['.', ':']));
        let hidden = key.into_iter().chain(host).collect();
        let (lessons, ranks_texts) = Default::default();
        Self { address, headers, http_client, calm, hidden, lessons, ranks_texts }
    }

    /// What keeps its calls calm.
    pub fn calm(&self) -> &Arc<Upstream> {
        &self.calm
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Answers this chat, which somebody asks in this context, by the server's model of this name. What goes wrong before the answer has
    /// begun is the error of the whole.
    pub async fn chat(
        &self,
        model: &str,
        body: &Body,
        context: &CallContext,
    ) -> Result<Chunks, Trouble> {
        let caller = context.caller();
        let mut lessons = Lessons::of(&self.lessons.of(model, caller));
        let mut learned = Vec::new();
        loop {
            let trouble = match self.chat_so(model, body, lessons, context).await {
                Ok(answer) => {
                    // What has helped is remembered; what has not might have been the chat's own fault.
                    learned.iter().for_each(|quirk| self.lessons.learn(model, quirk, caller));
                    return Ok(answer);
                }
                Err(trouble) => trouble,
            };
            let quirk = trouble.complaint().and_then(|said| lessons.taught_by(said, model, body));
            let Some(quirk) = quirk.filter(|_| learned.len() < MOST_LESSONS) else {
                return Err(trouble);
            };
            lessons = lessons.and(quirk);
            learned.push(quirk);
        }
    }

    /// What its models have taught.
    pub fn learned_quirks(&self) -> Vec<QuirkState> {
        self.lessons.states()
    }

    async fn chat_so(
        &self,
        model: &str,
        body: &Body,
        lessons: Lessons,
        context: &CallContext,
    ) -> Result<Chunks, Trouble> {
        let json = request::written(body, model, self.address.whose(), lessons)
            .map_err(|_| Trouble::Garbled("its request cannot be written"))?;
        let json = Bytes::from(json);
        let attempt = async |attempt: Attempt| {
            let response =
                self.asked(attempt, "chat/completions", json.clone(), context.trace).await?;
            let idle = self.calm.limits().idle;
            Box::pin(Answer::begun(response, idle, Arc::clone(&self.hidden))).await
        };
        let (answer, running) = self.calm.call(context.caller(), attempt).await?;
        Ok(running.watch(answer))
    }

    /// The answer in one piece to this JSON at this path.
    pub(crate) async fn whole(
        &self,
        path: &str,
        json: Vec<u8>,
        caller: CallerId,
        trace: Option<TraceContext>,
    ) -> Result<Bytes, Trouble> {
        let json = Bytes::from(json);
        let attempt = async |attempt: Attempt| {
            let response = self.asked(attempt, path, json.clone(), trace).await?;
            self.read(response, LARGEST).await
        };
        let (answer, running) = self.calm.call(caller, attempt).await?;
        running.settle(None);
        Ok(answer)
    }

    /// What the server lists, within this time. It is asked once, in peace or not: the list is asked for again anyway.
    pub async fn models(&self, time: Duration) -> Result<Vec<Listed>, Trouble> {
        let listed = async {
            let request = self.request(Method::GET, "models", None);
            let response = self.http_client.execute(request).await;
            let response = response.map_err(|error| Trouble::of_connection(&error))?;
            let json = self.read(self.taken(response).await?, LARGEST).await?;
            listed::read(&json, self.address.whose())
        };
        timeout(time, listed).await.unwrap_or(Err(Trouble::Late))
    }

    /// Posts this and waits until an answer begins; what is no success is an error.
    async fn asked(
        &self,
        attempt: Attempt,
        path: &str,
        json: Bytes,
        trace: Option<TraceContext>,
    ) -> Result<reqwest::Response, Trouble> {
        let mut request = self.request(Method::POST, path, Some(json));
        let place = trace.and_then(|trace| HeaderValue::try_from(trace.header()).ok());
        request.headers_mut().extend(place.map(|place| (TRACE, place)));
        let response = attempt.in_time(self.http_client.execute(request)).await?;
        self.taken(response.map_err(|error| Trouble::of_connection(&error))?).await
    }

    fn request(&self, method: Method, path: &str, json: Option<Bytes>) -> reqwest::Request {
        let mut request = reqwest::Request::new(method, self.address.at(path));
        *request.headers_mut() = self.headers.clone();
        *request.body_mut() = json.map(Into::into);
        request
    }

    /// The response, if it is a success.
    async fn taken(&self, response: reqwest::Response) -> Result<reqwest::Response, Trouble> {
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = Bytewise::new(response.into(), PATIENCE).whole(Bytes::new(), LONGEST_COMPLAINT);
        let body = timeout(PATIENCE, body).await.ok().and_then(Result::ok).unwrap_or_default();
        let complaint = Complaint::of_answer(status, &headers, &body);
        Err(Trouble::Said(complaint.hiding(&self.hidden)))
    }

    /// All bytes of an answer in one piece.
    async fn read(&self, response: reqwest::Response, limit: usize) -> Result<Bytes, Trouble> {
        let body = Bytewise::new(response.into(), self.calm.limits().idle);
        let bytes = body.whole(Bytes::new(), limit).await?;
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => Err(Trouble::Page),
            _ => Ok(bytes),
        }
    }
}

/// How large an answer in one piece may be.
const LARGEST: usize = 64 << 20;

fn headers(credentials: &Credentials, whose: Whose) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON), (ACCEPT, ANY_FORM)]);
    if let Some(key) = credentials.key.expose() {
        let (name, value) = match whose {
            Whose::Azure => (AZURE_KEY, key.to_owned()),
            Whose::OpenAi | Whose::Others => (AUTHORIZATION, format!("Bearer {key}")),
        };
        // The valves are checked: a key is a text that a header can hold.
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
