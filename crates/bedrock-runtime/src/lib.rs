//! A client of Bedrock's runtime API: it signs and sends requests, and returns the bytes of
//! responses, the frames of event streams, and the errors of the service.
//!
//! The AWS SDK needs 180 µs of CPU for a short chat, this client 105. The SDK hides the names of
//! errors, and knows neither bodies nor events that are newer than itself
//! (`docs/adr/0001-own-bedrock-runtime-client.md`). Credentials are still the SDK's.
//!
//! There are no retries: [`Runtime::send`] makes one attempt, because only the caller knows how
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
mod request;
mod response;
mod send_error;
mod service_error;
mod signing;

pub use credentials_fault::CredentialsFault;
pub use endpoint::Endpoints;
pub use event_stream::{DecodeError, EventStreamDecoder, Frame, MessageType};
pub use identity::Identity;
pub use request::{Attempt, Operation, Request};
pub use response::{Body, BodyError, Response};
pub use send_error::SendError;
pub use service_error::ServiceError;

use endpoint::EndpointUrls;
use http_client::HttpClient;
use std::{sync::Arc, time::SystemTime};

/// Bedrock's runtime in all regions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    http_client: HttpClient,
    endpoints: Arc<EndpointUrls>,
    identity: Identity,
}

impl Runtime {
    /// Creates a client for these endpoints and this identity. It sends nothing yet.
    pub fn new(http_client: HttpClient, endpoints: Endpoints, identity: Identity) -> Self {
        Self { http_client, endpoints: Arc::new(EndpointUrls::new(endpoints)), identity }
    }

    /// Sends the request once, and returns the response when its headers have arrived.
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

    /// Returns whether there are other credentials than those that AWS refused, so that the same
    /// request may succeed now.
    ///
    /// They are fetched once, however many requests were refused.
    pub async fn has_new_credentials(&self) -> bool {
        self.identity.has_new_credentials().await
    }
}
