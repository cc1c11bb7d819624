//! Turns errors into responses, and is the only module that does.
//!
//! One body suits both readers: `detail` for Open WebUI's admin and filter calls, `error` for
//! OpenAI clients. Anthropic's clients read another one, which `anthropic::error::error_response`
//! writes for the paths that are theirs. The message of a refused filter call stands in the reason
//! phrase too, because that is all of it that Open WebUI shows (`docs/reference/open-webui.md`,
//! "Errors of filters and admin calls").

mod reason;

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{StatusCode, header},
};
use pipe_sdk::{PipeError, ValveError};
use serde_json::{Value, json};
use std::{
    error::Error,
    fmt,
    future::{Ready, ready},
    time::Duration,
};

/// The longest message, in characters. It may repeat what the client sent, which may be long.
const MAX_MESSAGE_CHARS: usize = 4000;

/// The longest name of a field, in characters.
const MAX_PARAM_CHARS: usize = 400;

/// An error as it goes out.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    message: String,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    retry_after: Option<Duration>,
    in_reason: bool,
    details: Option<Box<ErrorDetails>>,
    /// True if the message may quote an upstream or a pipe, and so a chat.
    may_quote: bool,
}

/// Details that few errors have, in a box of their own to keep the others small.
#[derive(Debug)]
struct ErrorDetails {
    /// The methods that the path takes.
    allow: Option<Box<str>>,
    /// The valves that cannot be as they were posted.
    valves: Vec<ValveError>,
}

impl HttpError {
    /// Returns an error of this status, with OpenAI's word for such errors.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = match status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            504 => "timeout",
            502 | 503 => "api_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let message = capitalize(elide(message.into(), MAX_MESSAGE_CHARS));
        Self {
            status,
            message,
            kind,
            code: None,
            param: None,
            retry_after: None,
            in_reason: false,
            details: None,
            may_quote: false,
        }
    }

    /// Returns the same error with OpenAI's code for programs.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Returns the same error with this text after its message.
    #[must_use]
    pub fn with_suffix(mut self, words: &str) -> Self {
        self.message = format!("{}: {words}", self.message);
        self
    }

    /// Returns the same error with the field at fault.
    #[must_use]
    pub fn param(mut self, param: Option<String>) -> Self {
        // A field at the beginning is a name, and keeps its letters.
        if let (Some(field), Some(start)) = (&param, self.message.get(..1)) {
            let plain = start.to_ascii_lowercase() + self.message.get(1..).unwrap_or_default();
            if plain.starts_with(field.as_str()) {
                self.message = plain;
            }
        }
        self.param = param.map(|param| elide(param, MAX_PARAM_CHARS));
        self
    }

    /// Returns the field at fault.
    pub fn field(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// Returns whether the request is longer than its model can read.
    pub fn is_too_long(&self) -> bool {
        self.code == Some("context_length_exceeded")
    }

    /// Returns the message, or what is known of the error without words that may quote a chat.
    pub fn message_without_quotes(&self) -> String {
        match (&self.param, self.may_quote) {
            (_, false) => self.message.clone(),
            (Some(field), true) => format!("The field `{field}` was refused."),
            (None, true) if self.status.is_server_error() => "The upstream failed.".into(),
            (None, true) => "The model or a filter refused the request.".into(),
        }
    }

    /// Returns the same error with its message in the reason phrase too.
    #[must_use]
    pub fn in_reason(mut self) -> Self {
        self.in_reason = true;
        self
    }

    /// Returns the same error with the name that the client has for the field at fault.
    #[must_use]
    pub fn with_client_field(mut self, name: impl FnOnce(&str) -> Option<String>) -> Self {
        let Some(known) = self.param.take() else { return self };
        let Some(name) = name(&known) else { return self.param(Some(known)) };
        self.message = self.message.replacen(&known, &name, 1);
        self.param(Some(name))
    }

    /// Returns the same error with the time after which the client may try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Returns the error of a caught panic. The log has it; the client gets no more than this.
    pub fn panicked() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal error: the log has it under this request's id",
        )
    }

    /// Answers requests to unknown paths.
    pub fn no_such_route() -> Ready<Result<HttpResponse, Self>> {
        ready(Err(Self::new(StatusCode::NOT_FOUND, "Not Found")))
    }

    /// Returns the error of a method that is none of those that the path takes, as in `GET, HEAD`.
    pub fn wrong_method(allowed: &str) -> Self {
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
        let details = ErrorDetails { allow: Some(allowed.into()), valves: Vec::new() };
        Self { details: Some(Box::new(details)), ..error }
    }

    /// Returns the `error` object of OpenAI's clients.
    pub fn object(&self) -> Value {
        json!({"message": self.message, "type": self.kind, "param": self.param, "code": self.code})
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut body = json!({"detail": self.message, "error": self.object()});
        if let Some(valves) = self.details.as_ref().map(|details| &details.valves)
            && !valves.is_empty()
        {
            let entry = |error: &ValveError| json!({"field": error.valve, "message": error.rule});
            body["errors"] = valves.iter().map(entry).collect();
        }
        self.bare().json(body)
    }
}

impl HttpError {
    /// Returns the response without its body.
    pub fn bare(&self) -> HttpResponseBuilder {
        let mut response = HttpResponseBuilder::new(self.status);
        if self.in_reason {
            response.reason(reason::reason_phrase(&self.message, self.status));
        }
        if let Some(wait) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, wait.as_secs_f64().ceil() as u64));
        }
        if let Some(methods) = self.details.as_ref().and_then(|details| details.allow.as_ref()) {
            response.insert_header((header::ALLOW, &**methods));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response
    }
}

impl From<PipeError> for HttpError {
    fn from(error: PipeError) -> Self {
        let may_quote = matches!(
            error,
            PipeError::BadRequest { .. } | PipeError::Refused { .. } | PipeError::Upstream(_)
        );
        Self { may_quote, ..Self::from_pipe_error(error) }
    }
}

impl HttpError {
    fn from_pipe_error(error: PipeError) -> Self {
        let message = error.to_string();
        match error {
            PipeError::ModelNotFound(_) | PipeError::ModelGone { .. } => {
                Self::new(StatusCode::NOT_FOUND, message).code("model_not_found")
            }
            PipeError::BadRequest { param, code, .. } => {
                let message = prefix_field(param.as_deref(), message);
                Self { code, ..Self::new(StatusCode::BAD_REQUEST, message).param(param) }
            }
            PipeError::BadValves(faults) => {
                let valve = faults.first().map(|fault| fault.valve.clone());
                let error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, message).param(valve);
                Self {
                    details: Some(Box::new(ErrorDetails { valves: faults, allow: None })),
                    ..error
                }
            }
            PipeError::Refused { status, retry_after, .. } => {
                let status =
                    StatusCode::from_u16(status).ok().filter(|status| status.as_u16() >= 400);
                Self::new(status.unwrap_or(StatusCode::FORBIDDEN), message).retry_after(retry_after)
            }
            PipeError::Denied(_) => Self::new(StatusCode::FORBIDDEN, message),
            PipeError::Conflict(_) => Self::new(StatusCode::CONFLICT, message),
            PipeError::Throttled { retry_after, .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, message)
                    .code("rate_limit_exceeded")
                    .retry_after(retry_after)
            }
            PipeError::Credentials(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message).code("upstream_auth_error")
            }
            PipeError::Upstream(_) => Self::new(StatusCode::BAD_GATEWAY, message),
            PipeError::NotReady { retry_after, .. } => {
                let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, message);
                Self { kind: "server_error", ..error.retry_after(Some(retry_after)) }
            }
            PipeError::Unavailable { retry_after, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(retry_after)
            }
            PipeError::Timeout(_) => Self::new(StatusCode::GATEWAY_TIMEOUT, message),
            PipeError::Circle(_) => Self::new(StatusCode::LOOP_DETECTED, message),
            PipeError::Internal(cause) => Self::internal(cause.as_ref()),
            _ => Self::panicked(),
        }
    }
}

/// Returns a text without its middle, if it is longer than so many characters.
fn elide(text: String, max_chars: usize) -> String {
    if text.len() <= max_chars || text.chars().nth(max_chars).is_none() {
        return text;
    }
    let half = max_chars / 2;
    let start: String = text.chars().take(half).collect();
    let end: Vec<char> = text.chars().rev().take(half).collect();
    format!("{start} … {}", end.into_iter().rev().collect::<String>())
}

/// Returns the message with a capital at its beginning, unless it begins with a field, a name in
/// quotes, or anything else that is no plain word.
fn capitalize(message: String) -> String {
    let word = message.split(' ').next().unwrap_or_default();
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    match message.split_at_checked(1) {
        Some((first, rest)) if is_word => first.to_ascii_uppercase() + rest,
        _ => message,
    }
}

/// Returns the message with the field that it is about: not every client shows more of an error
/// than its message.
fn prefix_field(field: Option<&str>, message: String) -> String {
    match field {
        Some(field) if !message.contains(field) => format!("{field}: {message}"),
        _ => message,
    }
}

impl HttpError {
    /// Logs a defect with its causes, and returns the error that hides them.
    fn internal(mut cause: &(dyn Error + 'static)) -> Self {
        let mut causes = vec![cause.to_string()];
        while let Some(source) = cause.source() {
            causes.push(source.to_string());
            cause = source;
        }
        tracing::error!(causes = causes.join(": "), "A pipe failed because of a defect.");
        Self::panicked()
    }
}
