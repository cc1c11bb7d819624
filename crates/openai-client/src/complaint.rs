//! An error in a server's own words, whichever of the many shapes it has.

use http::HeaderMap;
use resilience::{FailureKind, Suspect, Verdict};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// An error as a server words it, in place of an answer or within one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// The HTTP status, or what the error itself says in its place; 0 if neither is told.
    pub status: u16,
    /// As in `context_length_exceeded`; empty if none was named.
    pub code: String,
    /// For people; empty if it said nothing that people can read.
    pub message: String,
    /// The field at fault, if it was named.
    pub param: Option<String>,
    /// When it is worth to try again.
    pub retry_after: Option<Duration>,
}

/// What is quoted of a message.
const LONGEST: usize = 600;

/// A longer wait than this is no wait but a joke.
const LONGEST_WISH: Duration = Duration::from_secs(24 * 60 * 60);

/// What words mean that the conversation is too long.
const TOO_LONG: [&str; 9] = [
    "maximum context length",
    "context length exceeded",
    "context_length_exceeded",
    "exceeds the available context size",
    "context window",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "exceeds the maximum number of tokens",
];

impl Complaint {
    /// What an answer of this status says.
    pub(crate) fn of_answer(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        // What is no JSON is a page of HTML, which is nothing to show.
        let said = serde_json::from_slice(body).unwrap_or_default();
        let retry_after = retry_after(headers, SystemTime::now());
        Self { status, retry_after, ..Self::of(&said).unwrap_or_default() }
    }

    /// What this object says, if it is an error.
    pub(crate) fn of(said: &Value) -> Option<Self> {
        let said = said.as_array().map_or(said, |list| list.first().unwrap_or(&Value::Null));
        let error = match &said["error"] {
            Value::Null if said["object"] == "error" || said["type"] == "error" => said,
            // FastAPI's, Mistral's and others' without an object of its own.
            Value::Null if said["choices"].is_null() && said["data"].is_null() => {
                let has_words = ["detail", "message"].iter().any(|name| !said[*name].is_null());
                has_words.then_some(said)?
            }
            Value::Null | Value::Bool(false) => return None,
            error => error,
        };
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        let number =
            |name: &str| error[name].as_u64().or_else(|| error[name].as_str()?.parse().ok());
        let code = [text("code"), text("type"), text("status")];
        let code = code.into_iter().find(|code| !code.is_empty() && code.parse::<u16>().is_err());
        let code = code.unwrap_or_default().to_owned();
        let told = number("code").or_else(|| number("status")).or_else(|| number("status_code"));
        let told = told.and_then(|status| u16::try_from(status).ok());
        let status = told.filter(|status| (400..=599).contains(status)).unwrap_or(meant(&code));
        Some(Self {
            status,
            code,
            message: words(error),
            param: error["param"].as_str().map(str::to_owned),
            retry_after: None,
        })
    }

    /// The same without these texts.
    pub(crate) fn hiding(mut self, secrets: &[String]) -> Self {
        for secret in secrets {
            self.message = self.message.replace(secret.as_str(), "…");
        }
        self
    }

    /// Whether these words are in the message, in any case. They must be small themselves.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.message.to_ascii_lowercase().contains(words)
    }

    /// Whether it says that the conversation is too long.
    pub(crate) fn is_about_length(&self) -> bool {
        self.code.contains("context_length") || TOO_LONG.iter().any(|words| self.says(words))
    }

    /// Whether it says that something is used up that will not be there again in a moment.
    pub(crate) fn is_about_quota(&self) -> bool {
        self.code == "insufficient_quota" || self.says("per day") || self.says("quota")
    }

    /// What it says in words that may be shown.
    pub(crate) fn quoted(&self) -> String {
        match (self.message.trim(), self.status) {
            ("", 0) => "it did not say why".into(),
            ("", status) => format!("it answered with status {status}"),
            (message, _) => message.chars().take(LONGEST).collect(),
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self.status {
            429 if self.is_about_quota() => {
                Verdict::failed(FailureKind::Throttled).after(self.retry_after)
            }
            429 => Verdict::failed(FailureKind::Throttled).again().after(self.retry_after),
            408 | 500 | 504 => Verdict::failed(FailureKind::Server).again().after(self.retry_after),
            502 | 503 | 529 => Verdict::failed(FailureKind::Server)
                .again()
                .after(self.retry_after)
                .suspecting(Suspect::Upstream),
            0 | 500..=599 => Verdict::failed(FailureKind::Server),
            300..=399 => Verdict::failed(FailureKind::Protocol),
            _ => Verdict::fine(),
        }
    }
}

/// The status that a code stands for, where only the code is told; 0 if it is not known.
fn meant(code: &str) -> u16 {
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

/// The words of an error: a text, or the first text under the usual names, however deep.
fn words(error: &Value) -> String {
    match error {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join("; "),
        Value::Object(object) => {
            let names = ["message", "detail", "msg", "error", "error_message"];
            let texts = names.iter().filter_map(|name| object.get(*name)).map(words);
            texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// When to come back: in seconds, in milliseconds, or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok().filter(|number| *number >= 0.0);
    let date = || {
        let date = httpdate::parse_http_date(text("retry-after")?).ok()?;
        date.duration_since(now).ok()
    };
    let capped = |seconds: f64| Duration::from_secs_f64(seconds.min(LONGEST_WISH.as_secs_f64()));
    number("retry-after-ms")
        .map(|number| capped(number / 1000.0))
        .or_else(|| number("retry-after").map(capped))
        .or_else(|| date().map(|wait| wait.min(LONGEST_WISH)))
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
                "no; nor",
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
            let complaint = Complaint::of(&said).unwrap();
            let read = (complaint.status, complaint.code.as_str(), complaint.message.as_str());
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
            assert_eq!(Complaint::of(&said), None, "{said}");
        }
    }

    #[test]
    fn when_to_come_back_is_said_in_seconds_milliseconds_or_as_a_date_and_may_be_absurd() {
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
            assert_eq!(retry_after(&headers, now), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_page_says_nothing_and_a_long_message_is_cut() {
        let page =
            Complaint::of_answer(502, &HeaderMap::new(), b"<html>Bad Gateway at 10.0.0.1</html>");
        assert_eq!(page.quoted(), "it answered with status 502");
        let long = json!({"error": "ü".repeat(100_000)}).to_string();
        let long = Complaint::of_answer(500, &HeaderMap::new(), long.as_bytes());
        assert_eq!(long.quoted().chars().count(), LONGEST);
    }
}
