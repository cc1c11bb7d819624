//! An error in AWS's own words (`docs/reference/bedrock.md`, "Error responses").

use crate::{Body, Response};
use aws_smithy_types::date_time::{DateTime, Format};
use bytes::Bytes;
use serde::Deserialize;
use std::{
    fmt,
    time::{Duration, SystemTime},
};
use tokio::time::timeout;

/// An error as AWS words it, in a response or within a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceError {
    /// The code, as in `ThrottlingException`; empty if AWS sent none.
    pub code: String,
    /// The message; empty if AWS, or a proxy before it, sent no error in AWS's format.
    pub message: String,
    /// The status of the response.
    pub status: u16,
    /// The status of the model's own server, if that is what failed.
    pub original_status: Option<u16>,
    /// The wait before a retry that AWS asks for.
    pub retry_after: Option<Duration>,
    /// The request id, for AWS's support.
    pub request_id: Option<String>,
}

/// The fields of an error's body, under all the names that AWS has for them.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(alias = "__type")]
    code: Option<String>,
    #[serde(alias = "Message", alias = "errorMessage")]
    message: Option<String>,
    #[serde(rename = "originalStatusCode")]
    original_status: Option<u16>,
}

/// The largest body of an error that is read, in bytes. AWS sends less than one KiB; only a page of
/// a proxy is longer.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The time-out of the body, once the headers are there.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

impl ServiceError {
    /// Reads the error from a response.
    pub(crate) async fn from_response(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Self::read_body(response.into_body()).await;
        Self::from_parts(status, |name| headers.get(name)?.to_str().ok(), &body)
    }

    /// Reads the body of an error. One that is too long or does not arrive counts as empty.
    pub(crate) async fn read_body(body: Body) -> Bytes {
        let body = timeout(BODY_TIMEOUT, body.read_up_to(MAX_BODY_BYTES)).await;
        body.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Reads the error from the status, the headers and the body of a response.
    pub(crate) fn from_parts<'a>(
        status: u16,
        header: impl Fn(&str) -> Option<&'a str>,
        body: &[u8],
    ) -> Self {
        let without_body = Self {
            code: normalize_code(header("x-amzn-errortype").unwrap_or_default()),
            status,
            retry_after: retry_after(&header, SystemTime::now()),
            request_id: header("x-amzn-requestid").map(String::from),
            ..Self::default()
        };
        without_body.with_body(body)
    }

    /// Returns an exception within a stream; there, names begin with a small letter.
    pub fn new(name: &str, message: &str, status: u16) -> Self {
        Self { code: normalize_code(name), message: message.into(), status, ..Self::default() }
    }

    fn with_body(mut self, body: &[u8]) -> Self {
        // A body that is no JSON is a page of HTML, which is not shown.
        let parsed: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
        if self.code.is_empty() {
            self.code = normalize_code(&parsed.code.unwrap_or_default());
        }
        self.message = parsed.message.unwrap_or_default();
        self.original_status = parsed.original_status;
        self
    }

    /// Returns whether these words are in the message, in any case. They must be small themselves.
    pub fn message_contains(&self, words: &str) -> bool {
        self.message.to_ascii_lowercase().contains(words)
    }

    /// Returns whether AWS refuses the credentials rather than the request.
    pub fn is_credentials_error(&self) -> bool {
        matches!(
            self.code.as_str(),
            "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "SignatureDoesNotMatch"
                | "ExpiredTokenException"
                | "ExpiredToken"
                | "InvalidClientTokenId"
                | "IncompleteSignature"
                | "IncompleteSignatureException"
                | "MissingAuthenticationToken"
                | "MissingAuthenticationTokenException"
        )
    }

    pub(crate) fn is_retryable(&self) -> bool {
        match self.code.as_str() {
            // Waiting a few seconds does not help against a limit for the day.
            "ThrottlingException" => !self.message_contains("per day"),
            "ModelNotReadyException"
            | "InternalServerException"
            | "ServiceUnavailableException" => true,
            "" => matches!(self.status, 429 | 500..=599),
            // As the SDK has it: a name that is not known says less than the status.
            _ => matches!(self.status, 500 | 502 | 503 | 504),
        }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, message, status, .. } = self;
        write!(f, "AWS answered with status {status} {code}: {message}")
    }
}

impl std::error::Error for ServiceError {}

/// Returns the code without its namespace, beginning with a capital.
fn normalize_code(code: &str) -> String {
    let code = code.rsplit_once('#').map_or(code, |(_, code)| code);
    let code = code.split_once(':').map_or(code, |(code, _)| code);
    let mut letters = code.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

fn retry_after<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| header(name).map(str::trim);
    if let Some(milliseconds) = text("x-amz-retry-after").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(milliseconds));
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::from_str(text, Format::HttpDate).ok()?;
    SystemTime::try_from(date).ok()?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_stripped_of_where_it_comes_from() {
        for (code, stripped) in [
            ("ThrottlingException", "ThrottlingException"),
            ("throttlingException", "ThrottlingException"),
            ("com.amazon.coral.service#ExpiredTokenException", "ExpiredTokenException"),
            (
                "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                "ValidationException",
            ),
            ("aws.protocoltests#FooError:http://internal.amazon.com/", "FooError"),
            ("", ""),
        ] {
            assert_eq!(normalize_code(code), stripped);
        }
    }

    #[test]
    fn the_error_is_read_from_each_form_of_body_that_aws_sends() {
        for (body, code, message) in [
            (r#"{"message":"no"}"#, "", "no"),
            (r#"{"Message":"no","__type":"a.b#Some"}"#, "Some", "no"),
            (r#"{"code":"Some:http://x","errorMessage":"no"}"#, "Some", "no"),
            (r#"{"message":null,"code":null}"#, "", ""),
            ("<html><body>Bad Gateway</body></html>", "", ""),
            ("", "", ""),
        ] {
            let error =
                ServiceError { status: 400, ..ServiceError::default() }.with_body(body.as_bytes());
            assert_eq!((error.code.as_str(), error.message.as_str()), (code, message), "{body}");
            assert_eq!(error.status, 400);
        }
    }

    #[test]
    fn the_header_names_it_before_the_body_does() {
        let error = ServiceError { code: "Header".into(), ..ServiceError::default() };
        assert_eq!(
            error.with_body(br#"{"__type":"Body","originalStatusCode":418}"#).code,
            "Header"
        );
    }

    #[test]
    fn retry_after_is_read_from_seconds_milliseconds_and_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 7);
        for (name, value, milliseconds) in [
            ("retry-after", "7", Some(7000)),
            ("x-amz-retry-after", "1500", Some(1500)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(7000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", None),
            ("retry-after", "soon", None),
            ("retry-after", "-1", None),
        ] {
            let header = |asked: &str| (asked == name).then_some(value);
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(retry_after(header, now), expected, "{name}: {value}");
        }
    }
}
