//! Operations that are no chats, through the AWS SDK, with the credentials, the endpoints and the
//! HTTP client of the chats (`docs/adr/0001-own-bedrock-runtime-client.md`).

mod attempt_header;
mod http_connector;
mod identity_provider;
mod input_tokens;

pub use http_connector::SdkHttpClient;

use crate::{Attempt, Identity, OperationError, SendError, endpoint::EndpointUrls};
use attempt_header::AttemptHeader;
use aws_sdk_bedrockruntime::{
    Client,
    config::{
        BehaviorVersion, Builder, IdentityCache, Region, StalledStreamProtectionConfig,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
    primitives::Blob,
    types::{ConverseTokensRequest, CountTokensInput},
};
use aws_smithy_runtime_api::client::{
    auth::{AuthSchemeId, http::HTTP_BEARER_AUTH_SCHEME_ID},
    orchestrator::{HttpRequest, HttpResponse},
    result::SdkError,
};
use aws_smithy_types::body::SdkBody;
use aws_types::app_name::AppName;
use bytes::Bytes;
use http_client::HttpClient;
use identity_provider::IdentityProvider;
use input_tokens::InputTokens;
use std::{
    error::Error,
    sync::{Arc, PoisonError, RwLock},
};

/// The SDK's clients, one for each region. Clones share them.
#[derive(Clone, Debug)]
pub struct SdkClients {
    http_client: HttpClient,
    endpoints: Arc<EndpointUrls>,
    identity: Identity,
    /// Callers name regions of their settings only, so there are few.
    by_region: Arc<RwLock<Vec<(String, Client)>>>,
}

/// A response of `InvokeModel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvokeModelResponse {
    /// The body, in the model's own format.
    pub body: Vec<u8>,
    /// The tokens of the input; `None` if AWS does not report them.
    pub input_tokens: Option<u64>,
}

impl SdkClients {
    pub fn new(http_client: HttpClient, endpoints: Arc<EndpointUrls>, identity: Identity) -> Self {
        Self { http_client, endpoints, identity, by_region: Arc::default() }
    }

    /// Calls a model in its own format.
    pub async fn invoke_model(
        &self,
        region: &str,
        model: &str,
        body: Bytes,
        attempt: Attempt,
    ) -> Result<InvokeModelResponse, OperationError> {
        let input_tokens = InputTokens::default();
        let request = self.client(region)?.invoke_model().model_id(model).body(Blob::new(body));
        let request = request.content_type("application/json").customize();
        let request = request.interceptor(input_tokens.clone()).interceptor(AttemptHeader(attempt));
        let output = self.call(Box::pin(request.send())).await?;
        Ok(InvokeModelResponse { body: output.body.into_inner(), input_tokens: input_tokens.get() })
    }

    /// Counts the tokens of a request. The body is that of the operation, with a body of `Converse`
    /// in it.
    pub async fn count_tokens(
        &self,
        region: &str,
        model: &str,
        body: Bytes,
        attempt: Attempt,
    ) -> Result<u64, OperationError> {
        let placeholder = CountTokensInput::Converse(ConverseTokensRequest::builder().build());
        let request = self.client(region)?.count_tokens().model_id(model).input(placeholder);
        let request = request.customize().mutate_request(move |request| set_body(request, &body));
        let request = request.interceptor(AttemptHeader(attempt));
        let output = self.call(Box::pin(request.send())).await?;
        // The SDK returns zero where the response has no number.
        u64::try_from(output.input_tokens)
            .ok()
            .filter(|count| *count > 0)
            .ok_or(OperationError::Unreadable)
    }

    /// Waits for a response. Credentials that AWS refuses are dropped, so that the next request
    /// fetches new ones.
    async fn call<T, E: Error + 'static>(
        &self,
        response: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, OperationError> {
        let key = self.identity.auth_key().await?;
        let error = match response.await {
            Ok(output) => return Ok(output),
            Err(error) => OperationError::from_sdk(&error),
        };
        if error.is_credentials_error() {
            self.identity.invalidate(&key);
        }
        Err(error)
    }

    /// Returns the client of a region, which is created at the first call.
    fn client(&self, region: &str) -> Result<Client, OperationError> {
        let clients = self.by_region.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| known == region) {
            return Ok(client.clone());
        }
        drop(clients);
        let client = self.create_client(region)?;
        let mut clients = self.by_region.write().unwrap_or_else(PoisonError::into_inner);
        clients.push((region.to_owned(), client.clone()));
        Ok(client)
    }

    /// Creates a client without retries and time-outs, which are those of the caller.
    fn create_client(&self, region: &str) -> Result<Client, OperationError> {
        let endpoint = self.endpoints.for_region(region).ok_or(SendError::Unreachable)?;
        let mut config = Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint)
            .http_client(SdkHttpClient::new(self.http_client.clone()))
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_app_name(AppName::new("pipewright").ok());
        let provider = IdentityProvider(self.identity.clone());
        let config = match self.identity.is_bearer() {
            true => {
                config.token_provider(provider).auth_scheme_preference([HTTP_BEARER_AUTH_SCHEME_ID])
            }
            false => config
                .credentials_provider(provider)
                .auth_scheme_preference([AuthSchemeId::new("sigv4")]),
        };
        Ok(Client::from_conf(config.build()))
    }
}

/// Replaces the body, before the request is signed. The bodies of chats are written as they leave,
/// and not as types of the SDK.
fn set_body(request: &mut HttpRequest, body: &Bytes) {
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body.clone());
}
