//! The HTTP client of the chats, as the AWS SDK calls it.

use crate::{OperationError, Response, SendError, ServiceError};
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient as SmithyHttpClient, HttpConnector, HttpConnectorFuture,
            HttpConnectorSettings, SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_client::HttpClient;
use std::time::Duration;
use tokio::time::timeout;

/// The largest body of a response. Large enough for five images of the largest size that compress
/// badly.
const MAX_RESPONSE_BYTES: usize = 96 << 20;

/// Sends the requests of an SDK client over the connections of an [`HttpClient`].
#[derive(Clone, Debug)]
pub struct SdkHttpClient(HttpClient);

/// Sends requests with the time-outs of an SDK client.
#[derive(Clone, Debug)]
struct Connector {
    client: HttpClient,
    /// The time-out of a whole response.
    read_timeout: Option<Duration>,
}

impl SdkHttpClient {
    /// Creates an HTTP client for the SDK, which shares the pool of this one.
    pub fn new(client: HttpClient) -> Self {
        Self(client)
    }
}

impl SmithyHttpClient for SdkHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let Self(client) = self;
        let client = settings
            .connect_timeout()
            .map_or_else(|| client.clone(), |limit| client.with_connect_timeout(limit));
        SharedHttpConnector::new(Connector { client, read_timeout: settings.read_timeout() })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { client, read_timeout } = self.clone();
        HttpConnectorFuture::new(async move {
            let response = execute(&client, request);
            let response = match read_timeout {
                Some(limit) => {
                    timeout(limit, response).await.unwrap_or(Err(SendError::Timeout.into()))
                }
                None => response.await,
            };
            Ok(response?)
        })
    }
}

/// Sends a request, and returns the response with its whole body.
async fn execute(
    client: &HttpClient,
    request: HttpRequest,
) -> Result<HttpResponse, OperationError> {
    let response = client.execute(to_reqwest(request)?).await;
    let response = Response::from(response.map_err(|error| SendError::from(&error))?);
    let status = StatusCode::try_from(response.status()).map_err(|_| OperationError::Unreadable)?;
    let headers = response.headers().clone();
    let body = match status.is_success() {
        true => response.into_body().read_up_to(MAX_RESPONSE_BYTES).await?,
        false => ServiceError::read_body(response.into_body()).await,
    };
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in &headers {
        // The SDK takes only headers that are UTF-8; the others do not concern it.
        if let Ok(value) = value.to_str() {
            response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(response)
}

/// Converts a request of the SDK, whose body is in memory.
fn to_reqwest(request: HttpRequest) -> Result<reqwest::Request, SendError> {
    let request = request.try_into_http1x().map_err(|_| SendError::Unreachable)?;
    let body = |body: SdkBody| Bytes::copy_from_slice(body.bytes().unwrap_or_default());
    reqwest::Request::try_from(request.map(body)).map_err(|_| SendError::Unreachable)
}
