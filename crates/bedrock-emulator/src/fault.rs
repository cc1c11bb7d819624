//! An error as Bedrock words it: a status, an exception name and a message.

use serde_json::{Value, json};

/// What a refused call is told, whether before the answer (a status) or in its midst (an exception frame).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{status} {kind}: {message}")]
pub struct Fault {
    status: u16,
    kind: String,
    message: String,
    original_status: Option<u16>,
    headers: Vec<(String, String)>,
}

/// The exceptions Bedrock's models declare, and the status each travels under.
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

impl Fault {
    /// The exception of this name, under the status Bedrock gives it (500 for a name it does not know).
    pub fn of(kind: &str, message: impl Into<String>) -> Self {
        let status =
            STATUSES.iter().find(|(name, _)| *name == kind).map_or(500, |(_, status)| *status);
        Self::new(status, kind, message)
    }

    /// An exception under a status of one's own.
    pub fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: kind.to_owned(),
            message: message.into(),
            original_status: None,
            headers: Vec::new(),
        }
    }

    /// The request is not one Bedrock takes: 400.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::of("ValidationException", message)
    }

    /// The request's JSON is not what the schema says: 400, in the words of Bedrock's own checker.
    pub(crate) fn malformed(problem: impl std::fmt::Display) -> Self {
        Self::validation(format!(
            "Malformed input request: {problem}, please reformat your input and try again."
        ))
    }

    /// The caller may not do this: 403.
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::of("AccessDeniedException", message)
    }

    /// There is no such thing: 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::of("ResourceNotFoundException", message)
    }

    /// Too many requests or tokens: 429.
    pub fn throttling(message: impl Into<String>) -> Self {
        Self::of("ThrottlingException", message)
    }

    /// The model itself failed, with a status of its own: 424.
    pub fn model_error(original_status: u16, message: impl Into<String>) -> Self {
        let fault = Self::of("ModelErrorException", message);
        Self { original_status: Some(original_status), ..fault }
    }

    /// The model failed while it was answering: 424, and the usual exception in mid-stream.
    pub fn stream_error(original_status: u16, message: impl Into<String>) -> Self {
        let fault = Self::of("ModelStreamErrorException", message);
        Self { original_status: Some(original_status), ..fault }
    }

    /// The same fault with one more response header, such as `retry-after`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The exception's name, such as `ThrottlingException`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What the caller reads.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The name an exception frame carries: the same, beginning small.
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
    fn a_fault_travels_under_the_status_its_name_has() {
        for (fault, status, exception) in [
            (Fault::validation("no"), 400, "validationException"),
            (Fault::throttling("slow"), 429, "throttlingException"),
            (Fault::stream_error(529, "busy"), 424, "modelStreamErrorException"),
            (Fault::of("InternalServerException", "oops"), 500, "internalServerException"),
        ] {
            assert_eq!((fault.status(), fault.exception_type().as_str()), (status, exception));
        }
    }

    #[test]
    fn the_models_own_status_is_told() {
        assert_eq!(
            Fault::model_error(418, "tea").body(),
            json!({"message": "tea", "originalStatusCode": 418})
        );
    }
}
