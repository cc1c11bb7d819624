//! A client of Bedrock's runtime API: it signs and sends requests, and returns the bytes of
//! responses, the frames of event streams, and the errors of the service.
//!
//! Chats are signed, sent and read here: the AWS SDK needs 180 µs of CPU for a short chat, this
//! client 105, and the SDK hides the names of errors and knows neither bodies nor events that are
//! newer than itself. The other operations go through the SDK, with the credentials, the endpoints
//! and the HTTP client of the chats (`docs/adr/0001-own-bedrock-runtime-client.md`).
//!
//! There are no retries: each call makes one attempt, because only the caller knows how
//! long it is worth waiting, and what else could answer. The content of bodies is not read, except
//! in errors.
//!
//! ```no_run
//! use bedrock_runtime::{Attempt, Endpoints, Identity, Operation, Request, Runtime, SendError};
//! use http_client::{HttpClient, HttpVersion};
//! use std::time::Duration;
//!
//! # async fn example(config: &aws_types::SdkConfig) -> Result<(), SendError> {
//! let client = HttpClient::new(Duration::from_secs(5), HttpVersion::Http1Only);
//! let endpoints = Endpoints::Public { fips: false, dual_stack: false };
//! let runtime = Runtime::new(client, endpoints, Identity::from_config(config));
//! let request = Request {
//!     region: "us-east-1",
//!     operation: Operation::Converse("amazon.nova-lite-v1:0"),
//!     body: r#"{"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}"#.into(),
//!     headers: http::HeaderMap::new(),
//!     attempt: Attempt { number: 1, max: 1 },
//! };
//! let response = runtime.send(request).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```

mod credentials_fault;
mod endpoint;
mod event_stream;
mod identity;
mod operation_error;
mod request;
mod response;
mod sdk;
mod send_error;
mod service_error;
mod signing;

pub use credentials_fault::CredentialsFault;
pub use endpoint::Endpoints;
pub use event_stream::{DecodeError, EventStreamDecoder, Frame, MessageType};
pub use identity::Identity;
pub use operation_error::OperationError;
pub use request::{Attempt, Operation, Request};
pub use response::{Body, BodyError, Response};
pub use sdk::{InvokeModelResponse, SdkHttpClient};
pub use send_error::SendError;
pub use service_error::ServiceError;

use bytes::Bytes;
use endpoint::EndpointUrls;
use http_client::HttpClient;
use sdk::SdkClients;
use std::{sync::Arc, time::SystemTime};

/// Bedrock's runtime in all regions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    http_client: HttpClient,
    endpoints: Arc<EndpointUrls>,
    identity: Identity,
    sdk: SdkClients,
}

impl Runtime {
    /// Creates a client for these endpoints and this identity. It sends nothing yet.
    pub fn new(http_client: HttpClient, endpoints: Endpoints, identity: Identity) -> Self {
        let endpoints = Arc::new(EndpointUrls::new(endpoints));
        let sdk = SdkClients::new(http_client.clone(), Arc::clone(&endpoints), identity.clone());
        Self { http_client, endpoints, identity, sdk }
    }

    /// Sends a chat once, and returns the response when its headers have arrived.
    ///
    /// Credentials that AWS refuses are dropped, so that the next request fetches new ones.
    ///
    /// # Errors
    /// There are no credentials, no response, or the response is an error of the service.
    pub async fn send(&self, request: Request<'_>) -> Result<Response, SendError> {
        let key = self.identity.auth_key().await?;
        let endpoint = self.endpoints.for_region(request.region).ok_or(SendError::Unreachable)?;
        let request = request.into_http(&endpoint, &key, SystemTime::now())?;
        let response = self.http_client.execute(request).await;
        let response = Response::from(response.map_err(|error| SendError::from(&error))?);
        if response.is_success() {
            return Ok(response);
        }
        let error = ServiceError::from_response(response).await;
        if error.is_credentials_error() {
            self.identity.invalidate(&key);
        }
        Err(SendError::Service(error))
    }

    /// Calls a model in its own format, once, and returns its whole answer.
    ///
    /// # Errors
    /// There are no credentials, no response, or the response is an error of the service.
    pub async fn invoke_model(
        &self,
        region: &str,
        model: &str,
        body: Bytes,
        attempt: Attempt,
    ) -> Result<InvokeModelResponse, OperationError> {
        self.sdk.invoke_model(region, model, body, attempt).await
    }

    /// Counts the tokens that a chat would have. The body is that of `CountTokens`, as in
    /// `{"input": {"converse": {"messages": […]}}}`.
    ///
    /// # Errors
    /// There are no credentials, no response, or the response is an error of the service or has no
    /// number.
    pub async fn count_tokens(
        &self,
        region: &str,
        model: &str,
        body: Bytes,
        attempt: Attempt,
    ) -> Result<u64, OperationError> {
        self.sdk.count_tokens(region, model, body, attempt).await
    }

    /// Returns whether there are other credentials than those that AWS refused, so that the same
    /// request may succeed now.
    ///
    /// They are fetched once, however many requests were refused.
    pub async fn has_new_credentials(&self) -> bool {
        self.identity.has_new_credentials().await
    }
}
