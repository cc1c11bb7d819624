//! Streamable HTTP over the host's own client, which follows no redirect, and connects to no
//! metadata service of a cloud.

use futures_util::{Stream, StreamExt, stream::BoxStream};
use http_client::{ConnectionError, HttpClient};
use reqwest::{
    Body, Method, Request, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use rmcp::{
    model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage},
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use sse_stream::{Sse, SseStream};
use std::{collections::HashMap, fmt, sync::Arc};

/// A client of one server.
#[derive(Clone)]
pub(super) struct McpHttpClient {
    pub http: HttpClient,
    /// The headers of every request: tokens, mostly.
    pub headers: HeaderMap,
}

/// The reason why a server gave no message.
#[derive(Debug)]
pub(super) enum HttpError {
    /// There is no response.
    Connection(ConnectionError),
    /// The response has this status.
    Status(StatusCode),
    /// The response cannot be read, or is too large.
    Body,
    /// The address is none.
    Url,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) if error.is_metadata_address() => {
                f.write_str("its address is that of a metadata service")
            }
            Self::Connection(_) => f.write_str("it cannot be reached"),
            Self::Status(status) => write!(f, "it responds with the status {status}"),
            Self::Body => f.write_str("its response cannot be read, or is too large"),
            Self::Url => f.write_str("its address is invalid"),
        }
    }
}

impl std::error::Error for HttpError {}

type HttpResult<T> = Result<T, StreamableHttpError<HttpError>>;

/// The header that names a session.
const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// The maximum size of a response, in bytes, and of a stream of responses.
const MAX_RESPONSE_BYTES: usize = 8 << 20;

impl McpHttpClient {
    /// Sends a request with the headers of the server, the session and the protocol.
    async fn send(
        &self,
        method: Method,
        url: &str,
        session: Option<&str>,
        headers: HashMap<HeaderName, HeaderValue>,
        body: Option<Vec<u8>>,
    ) -> HttpResult<Response> {
        let url = Url::parse(url).map_err(|_| client_error(HttpError::Url))?;
        let mut request = Request::new(method, url);
        request.headers_mut().extend(self.headers.clone());
        request.headers_mut().extend(headers);
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        request.headers_mut().insert(ACCEPT, accept);
        if let Some(session) = session.and_then(|id| HeaderValue::from_str(id).ok()) {
            request.headers_mut().insert(SESSION_HEADER, session);
        }
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(Body::from(body));
        }
        let sent = self.http.execute(request).await;
        sent.map_err(|error| client_error(HttpError::Connection(error)))
    }
}

impl StreamableHttpClient for McpHttpClient {
    type Error = HttpError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> HttpResult<StreamableHttpPostResponse> {
        let (session, body) = (session_id.as_deref(), serde_json::to_vec(&message)?);
        let response = self.send(Method::POST, &uri, session, custom_headers, Some(body)).await?;
        let status = response.status();
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if status == StatusCode::NOT_FOUND && session.is_some() {
            return Err(StreamableHttpError::SessionExpired);
        }
        let header = response.headers().get(SESSION_HEADER);
        let session = header.and_then(|id| Some(id.to_str().ok()?.to_owned()));
        if status.is_success() && has_media_type(&response, "text/event-stream") {
            return Ok(StreamableHttpPostResponse::Sse(read_events(response), session));
        }
        let body = read_body(response).await?;
        let is_request = matches!(message, ClientJsonRpcMessage::Request(_));
        if status.is_success() && body.is_empty() && !is_request {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
            Ok(message) if status.is_success() || matches!(message, JsonRpcMessage::Error(_)) => {
                Ok(StreamableHttpPostResponse::Json(message, session))
            }
            Err(error) if status.is_success() => Err(error.into()),
            Ok(_) | Err(_) => Err(client_error(HttpError::Status(status))),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> HttpResult<()> {
        // A server may keep its sessions: then it says 405.
        self.send(Method::DELETE, &uri, Some(&session_id), custom_headers, None).await?;
        Ok(())
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        mut custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> HttpResult<BoxStream<'static, Result<Sse, SseError>>> {
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::try_from(id).ok()) {
            custom_headers.insert(HeaderName::from_static("last-event-id"), id);
        }
        let session = session_id.as_deref();
        let response = self.send(Method::GET, &uri, session, custom_headers, None).await?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportSse),
            status if status.is_success() && has_media_type(&response, "text/event-stream") => {
                Ok(read_events(response))
            }
            status => Err(client_error(HttpError::Status(status))),
        }
    }
}

fn client_error(error: HttpError) -> StreamableHttpError<HttpError> {
    StreamableHttpError::Client(error)
}

fn has_media_type(response: &Response, name: &str) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case(name)
}

/// Returns the bytes of a response, up to the limit.
fn limit_bytes(response: Response) -> impl Stream<Item = Result<bytes::Bytes, HttpError>> + Send {
    let mut total = 0;
    response.bytes_stream().map(move |chunk| {
        let chunk = chunk.map_err(|_| HttpError::Body)?;
        total += chunk.len();
        if total > MAX_RESPONSE_BYTES { Err(HttpError::Body) } else { Ok(chunk) }
    })
}

fn read_events(response: Response) -> BoxStream<'static, Result<Sse, SseError>> {
    SseStream::from_bytes_stream(Box::pin(limit_bytes(response))).boxed()
}

async fn read_body(response: Response) -> HttpResult<Vec<u8>> {
    let (mut body, mut chunks) = (Vec::new(), Box::pin(limit_bytes(response)));
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(client_error)?);
    }
    Ok(body)
}
