//! Exceptions of Bedrock: a status, an exception name and a message.

use serde_json::{Value, json};

/// An exception of Bedrock, sent as a response with a status or as a frame within a stream.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{status} {kind}: {message}")]
pub struct BedrockException {
    status: u16,
    kind: String,
    message: String,
    original_status: Option<u16>,
    headers: Vec<(String, String)>,
}

/// The exceptions that Bedrock declares, with their status.
const STATUSES: [(&str, u16); 17] = [
    ("ValidationException", 400),
    ("ServiceQuotaExceededException", 400),
    ("ConflictException", 400),
    ("AccessDeniedException", 403),
    ("UnrecognizedClientException", 403),
    ("InvalidSignatureException", 403),
    ("IncompleteSignatureException", 403),
    ("MissingAuthenticationTokenException", 403),
    ("ExpiredTokenException", 403),
    ("ResourceNotFoundException", 404),
    ("UnknownOperationException", 404),
    ("ModelTimeoutException", 408),
    ("ModelErrorException", 424),
    ("ModelStreamErrorException", 424),
    ("ThrottlingException", 429),
    ("ModelNotReadyException", 429),
    ("ServiceUnavailableException", 503),
];

impl BedrockException {
    /// Creates the exception of this name, with Bedrock's status for it (500 for an unknown name).
    pub fn from_name(kind: &str, message: impl Into<String>) -> Self {
        let status =
            STATUSES.iter().find(|(name, _)| *name == kind).map_or(500, |(_, status)| *status);
        Self::new(status, kind, message)
    }

    /// Creates an exception with any status.
    pub fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: kind.to_owned(),
            message: message.into(),
            original_status: None,
            headers: Vec::new(),
        }
    }

    /// Creates a `ValidationException` (400).
    pub fn validation(message: impl Into<String>) -> Self {
        Self::from_name("ValidationException", message)
    }

    /// Creates a `ValidationException` with the text of Bedrock's schema check.
    pub(crate) fn malformed(problem: impl std::fmt::Display) -> Self {
        Self::validation(format!(
            "Malformed input request: {problem}, please reformat your input and try again."
        ))
    }

    /// Creates an `AccessDeniedException` (403).
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::from_name("AccessDeniedException", message)
    }

    /// Creates a `ResourceNotFoundException` (404).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::from_name("ResourceNotFoundException", message)
    }

    /// Creates a `ThrottlingException` (429).
    pub fn throttling(message: impl Into<String>) -> Self {
        Self::from_name("ThrottlingException", message)
    }

    /// Creates a `ModelErrorException` (424) with the status of the model itself.
    pub fn model_error(original_status: u16, message: impl Into<String>) -> Self {
        let exception = Self::from_name("ModelErrorException", message);
        Self { original_status: Some(original_status), ..exception }
    }

    /// Creates a `ModelStreamErrorException` (424), the usual exception within a stream.
    pub fn stream_error(original_status: u16, message: impl Into<String>) -> Self {
        let exception = Self::from_name("ModelStreamErrorException", message);
        Self { original_status: Some(original_status), ..exception }
    }

    /// Adds a response header, such as `retry-after`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the exception's name, such as `ThrottlingException`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the headers that the response has beside the usual ones.
    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Returns the name in an exception frame, which begins with a lower-case letter.
    pub(crate) fn exception_type(&self) -> String {
        let mut letters = self.kind.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = json!({ "message": self.message });
        if let Some(status) = self.original_status {
            body["originalStatusCode"] = status.into();
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_has_the_status_of_its_name() {
        for (exception, status, exception_type) in [
            (BedrockException::validation("no"), 400, "validationException"),
            (BedrockException::throttling("slow"), 429, "throttlingException"),
            (BedrockException::stream_error(529, "busy"), 424, "modelStreamErrorException"),
            (
                BedrockException::from_name("InternalServerException", "oops"),
                500,
                "internalServerException",
            ),
        ] {
            assert_eq!(
                (exception.status(), exception.exception_type().as_str()),
                (status, exception_type)
            );
        }
    }

    #[test]
    fn the_status_of_the_model_is_in_the_body() {
        assert_eq!(
            BedrockException::model_error(418, "tea").body(),
            json!({"message": "tea", "originalStatusCode": 418})
        );
    }
}
