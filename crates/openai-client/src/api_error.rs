//! An error that a server sends, in any of the forms that servers have.

use http::HeaderMap;
use pipe_sdk::is_context_overflow;
use resilience::{FailureKind, FailureSource, Verdict};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// An error that a server sent, in place of an answer or within one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status, or the status in the error itself; 0 if there is neither.
    pub status: u16,
    /// The code or the type, as in `context_length_exceeded`; empty if there is none.
    pub code: String,
    /// The message for people; empty if there is none.
    pub message: String,
    /// The name of the invalid field.
    pub param: Option<String>,
    /// The wait that the server asks for.
    pub retry_after: Option<Duration>,
}

/// The most characters of a message that are shown.
const MAX_MESSAGE_CHARS: usize = 600;

/// The longest wait that is taken seriously.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

impl ApiError {
    /// Returns the error in a response.
    pub(crate) fn from_response(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        // A body that is no JSON is mostly a web page, which is not shown.
        let value = serde_json::from_slice(body).unwrap_or_default();
        let retry_after = parse_retry_after(headers, SystemTime::now());
        Self { status, retry_after, ..Self::from_json(&value).unwrap_or_default() }
    }

    /// Returns the error in this value, if it is one.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        // Gemini's errors come in a list.
        let value = value.as_array().map_or(value, |list| list.first().unwrap_or(&Value::Null));
        let error = error_object(value)?;
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        let code = [text("code"), text("type"), text("status")];
        let code = code.into_iter().find(|code| !code.is_empty() && code.parse::<u16>().is_err());
        let code = code.unwrap_or_default();
        let number =
            |name: &str| error[name].as_u64().or_else(|| error[name].as_str()?.parse().ok());
        let status = number("code").or_else(|| number("status")).or_else(|| number("status_code"));
        let status = status.and_then(|status| u16::try_from(status).ok());
        Some(Self {
            status: status
                .filter(|status| (400..=599).contains(status))
                .unwrap_or_else(|| status_of_code(code)),
            code: code.to_owned(),
            message: find_message(error),
            param: error["param"].as_str().map(str::to_owned),
            retry_after: None,
        })
    }

    /// Removes these texts from the message.
    pub(crate) fn redact(mut self, secrets: &[String]) -> Self {
        for secret in secrets {
            self.message = self.message.replace(secret.as_str(), "…");
        }
        self
    }

    /// Returns whether the message contains this phrase, which must be in lower case.
    pub(crate) fn message_contains(&self, phrase: &str) -> bool {
        self.message.to_ascii_lowercase().contains(phrase)
    }

    /// Returns whether the conversation is too long for the model.
    pub(crate) fn is_context_length(&self) -> bool {
        self.code.contains("context_length") || is_context_overflow(&self.message)
    }

    /// Returns whether a quota is used up, so that a retry in a moment does not help.
    pub(crate) fn is_quota(&self) -> bool {
        self.code == "insufficient_quota"
            || self.message_contains("per day")
            || self.message_contains("quota")
    }

    /// Returns the message as it may be shown.
    pub(crate) fn display_text(&self) -> String {
        match (self.message.trim(), self.status) {
            ("", 0) => "it did not say why".into(),
            ("", status) => format!("it answered with status {status}"),
            (message, _) => message.chars().take(MAX_MESSAGE_CHARS).collect(),
        }
    }

    /// Returns whether the server is at fault, and whether a retry may help.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.status {
            429 if self.is_quota() => {
                Verdict::failure(FailureKind::Throttled).with_retry_after(self.retry_after)
            }
            429 => Verdict::failure(FailureKind::Throttled)
                .retryable()
                .with_retry_after(self.retry_after),
            408 | 500 | 504 => {
                Verdict::failure(FailureKind::Server).retryable().with_retry_after(self.retry_after)
            }
            502 | 503 | 529 => Verdict::failure(FailureKind::Server)
                .retryable()
                .with_retry_after(self.retry_after)
                .with_failure_source(FailureSource::Upstream),
            0 | 500..=599 => Verdict::failure(FailureKind::Server),
            300..=399 => Verdict::failure(FailureKind::Protocol),
            _ => Verdict::success(),
        }
    }
}

/// Returns the object that holds the error, if the value is one.
fn error_object(value: &Value) -> Option<&Value> {
    match &value["error"] {
        Value::Null if value["object"] == "error" || value["type"] == "error" => Some(value),
        // FastAPI, Mistral and others have no object of its own for the error.
        Value::Null if value["choices"].is_null() && value["data"].is_null() => {
            let has_message = ["detail", "message"].iter().any(|name| !value[*name].is_null());
            has_message.then_some(value)
        }
        Value::Null | Value::Bool(false) => None,
        error => Some(error),
    }
}

/// Returns the status that a code means; 0 if the code is not known.
fn status_of_code(code: &str) -> u16 {
    let code = code.to_ascii_lowercase();
    let holds = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if holds(&["rate_limit", "insufficient_quota", "too_many", "resource_exhausted"]) {
        429
    } else if holds(&["overloaded", "unavailable"]) {
        503
    } else if holds(&["authentication", "invalid_api_key", "unauthorized"]) {
        401
    } else if holds(&["permission", "forbidden"]) {
        403
    } else if holds(&["not_found", "notfound"]) {
        404
    } else if holds(&[
        "context_length",
        "invalid_request",
        "badrequest",
        "bad_request",
        "content_policy",
    ]) {
        400
    } else if holds(&["timeout"]) {
        504
    } else {
        0
    }
}

/// Returns the text of an error, or the first text under the usual names, however deep.
fn find_message(error: &Value) -> String {
    match error {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(find_message).collect::<Vec<_>>().join("; "),
        Value::Object(object) => {
            let names = ["message", "detail", "msg", "error", "error_message"];
            let texts = names.iter().filter_map(|name| object.get(*name)).map(find_message);
            let text = texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
            match find_location(object) {
                Some(location) if !text.contains(&location) => format!("{location}: {text}"),
                _ => text,
            }
        }
        _ => String::new(),
    }
}

/// Returns the field that an error of FastAPI's is about, as in `"loc": ["body", "top_k"]`.
fn find_location(error: &Map<String, Value>) -> Option<String> {
    let steps = error.get("loc")?.as_array()?.iter();
    let steps = steps.filter(|step| *step != "body").filter_map(|step| match step {
        Value::String(name) => Some(name.clone()),
        Value::Number(place) => Some(place.to_string()),
        _ => None,
    });
    let location = steps.collect::<Vec<_>>().join(".");
    (!location.is_empty()).then_some(location)
}

/// Returns the wait that the headers ask for, in seconds, in milliseconds, or until a date
/// (RFC 9110, section 10.2.3; `retry-after-ms` is OpenAI's).
fn parse_retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok().filter(|number| *number >= 0.0);
    let date = || {
        let date = httpdate::parse_http_date(text("retry-after")?).ok()?;
        date.duration_since(now).ok()
    };
    let max_seconds = MAX_RETRY_AFTER.as_secs_f64();
    let from_seconds = |seconds: f64| Duration::from_secs_f64(seconds.min(max_seconds));
    number("retry-after-ms")
        .map(|number| from_seconds(number / 1000.0))
        .or_else(|| number("retry-after").map(from_seconds))
        .or_else(|| date().map(|wait| wait.min(MAX_RETRY_AFTER)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_shape_of_an_error_is_read() {
        for (said, status, code, message) in [
            (
                json!({"error": {"message": "no", "type": "invalid_request_error", "param": "x", "code": null}}),
                400,
                "invalid_request_error",
                "no",
            ),
            (json!({"error": {"message": "no", "code": 429}}), 429, "", "no"),
            (json!({"error": {"message": "no", "code": "503", "type": "x"}}), 503, "x", "no"),
            (json!({"error": "no"}), 0, "", "no"),
            (json!({"error": {"message": {"detail": "no"}}}), 0, "", "no"),
            (
                json!([{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}]),
                400,
                "INVALID_ARGUMENT",
                "no",
            ),
            (
                json!({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}),
                400,
                "BadRequestError",
                "no",
            ),
            (
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}),
                503,
                "overloaded_error",
                "no",
            ),
            (json!({"detail": "no"}), 0, "", "no"),
            (
                json!({"detail": [{"loc": ["body", "x"], "msg": "no"}, {"msg": "nor"}]}),
                0,
                "",
                "x: no; nor",
            ),
            (
                json!({"message": "no", "code": "rate_limit_exceeded"}),
                429,
                "rate_limit_exceeded",
                "no",
            ),
            (json!({"error": {}}), 0, "", ""),
            (json!({"error": 7}), 0, "", ""),
        ] {
            let api_error = ApiError::from_json(&said).unwrap();
            let read = (api_error.status, api_error.code.as_str(), api_error.message.as_str());
            assert_eq!(read, (status, code, message), "{said}");
        }
    }

    #[test]
    fn an_answer_is_no_error() {
        for said in [
            json!({"choices": [], "message": "x"}),
            json!({"data": [], "message": "x"}),
            json!({"choices": [], "error": null}),
            json!({}),
            json!(null),
            json!([]),
            json!("text"),
        ] {
            assert_eq!(ApiError::from_json(&said), None, "{said}");
        }
    }

    #[test]
    fn retry_after_is_read_from_seconds_milliseconds_and_dates_and_may_be_absurd() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 7);
        let day = 24 * 60 * 60 * 1000;
        for (name, value, milliseconds) in [
            ("retry-after", "7", Some(7000)),
            ("retry-after", "1.5", Some(1500)),
            ("retry-after-ms", "1500", Some(1500)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(7000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", None),
            ("retry-after", "Thu, 06 Nov 2994 08:49:00 GMT", Some(day)),
            ("retry-after", "99999999999999999999999999", Some(day)),
            ("retry-after", "1e400", Some(day)),
            ("retry-after", "NaN", None),
            ("retry-after", "-1", None),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(parse_retry_after(&headers, now), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_page_has_no_message_and_a_long_message_is_truncated() {
        let page = ApiError::from_response(
            502,
            &HeaderMap::new(),
            b"<html>Bad Gateway at 10.0.0.1</html>",
        );
        assert_eq!(page.display_text(), "it answered with status 502");
        let long = json!({"error": "ü".repeat(100_000)}).to_string();
        let long = ApiError::from_response(500, &HeaderMap::new(), long.as_bytes());
        assert_eq!(long.display_text().chars().count(), MAX_MESSAGE_CHARS);
    }
}
