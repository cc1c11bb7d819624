//! A request with its operation, region and credentials.

use crate::credential::Credential;
use crate::exception::BedrockException;
use crate::operation::Operation;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, request::Parts};
use serde_json::Value;
use std::borrow::Cow;

/// A request with its operation, region and credentials.
pub(crate) struct ReceivedRequest {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) operation: Option<Operation>,
    pub(crate) target: Option<String>,
    pub(crate) credential: Credential,
    pub(crate) region: String,
}

impl ReceivedRequest {
    pub(crate) fn new(parts: Parts, body: Bytes, default_region: &str) -> Self {
        let Parts { method, uri, headers, .. } = parts;
        let (operation, target) = Operation::from_path(&method, uri.path())
            .map_or((None, None), |(op, target)| (Some(op), target));
        let credential = Credential::from_headers(&headers);
        let region = credential.region().unwrap_or(default_region).to_owned();
        Self { method, uri, headers, body, operation, target, credential, region }
    }

    /// Returns the resource in the path: a model, a profile or a guardrail.
    pub(crate) fn target(&self) -> &str {
        self.target.as_deref().unwrap_or_default()
    }

    /// Parses the body as JSON.
    pub(crate) fn json(&self) -> Result<Value, BedrockException> {
        serde_json::from_slice(&self.body).map_err(|error| {
            BedrockException::new(400, "SerializationException", error.to_string())
        })
    }

    /// Returns the value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        let query = self.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Returns the client's attempt, which AWS SDKs send as `amz-sdk-request: attempt=2; max=3`.
    pub(crate) fn attempt(&self) -> u32 {
        let header = self
            .headers
            .get("amz-sdk-request")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let attempt = header.split(';').find_map(|part| part.trim().strip_prefix("attempt="));
        attempt.and_then(|number| number.parse().ok()).unwrap_or(1)
    }
}
