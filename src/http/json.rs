//! JSON bodies: within their limits, in time, and with errors that name the field and never the
//! value.

use super::{
    bodies::{BodyLimit, Received, read_body},
    error::HttpError,
    shape::{self, SchemaViolation, Shape},
    state::HostState,
};
use crate::blocking;
use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use futures_util::future::LocalBoxFuture;
use pipe_sdk::replace_lone_surrogates;
use serde::de::{DeserializeOwned, IgnoredAny};

/// A body that is read from JSON.
pub trait JsonBody: DeserializeOwned + Send + 'static {
    /// The maximum size, in bytes.
    const LIMIT: usize;
    /// The maximum number of pieces of JSON. The longest chats have some ten thousand.
    const PIECES: usize = 500_000;
    /// The schema.
    const SHAPE: &'static Shape;
    /// The status of a body that is JSON but not this: FastAPI's 422, or OpenAI's 400.
    const INVALID_STATUS: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

    /// Reads a whole body; an error names the field, and never the value.
    ///
    /// # Errors
    /// Returns an error if the body is no JSON of that shape.
    fn parse(json: &mut [u8]) -> Result<Self, HttpError> {
        parse(json)
    }
}

/// The size of a request's body, in bytes.
struct BodySize(usize);

/// Returns the size of the JSON that was read from a request, in bytes.
pub fn body_size(request: &HttpRequest) -> usize {
    request.extensions().get().map_or(0, |BodySize(bytes)| *bytes)
}

/// An extractor of a request's body.
pub struct Json<T>(pub T);

impl<T: JsonBody> FromRequest for Json<T> {
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            check_headers(&request)?;
            let state =
                request.app_data::<web::Data<HostState>>().ok_or_else(HttpError::panicked)?;
            let limit = BodyLimit { bytes: T::LIMIT, pieces: Some(T::PIECES) };
            let length = declared_length(request.headers());
            let sender = state.identify_sender(&request);
            let caller = sender.caller;
            let body = read_body(&state.memory_budget, sender, payload, length, limit).await?;
            let Received { mut bytes, share } = body;
            // Held until the request is dropped, which is when its answer begins.
            request.extensions_mut().insert(share);
            let size = bytes.len();
            request.extensions_mut().insert(BodySize(size));
            blocking::compute(caller, size, move || T::parse(&mut bytes)).await?.map(Self)
        })
    }
}

fn check_headers(request: &HttpRequest) -> Result<(), HttpError> {
    // A page of another site can post JSON only under another name without asking first.
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        let message = "send JSON, with `Content-Type: application/json`";
        return Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    check_encoding(request.headers())
}

/// Refuses a body that is compressed: nothing here unpacks it.
pub fn check_encoding(headers: &HeaderMap) -> Result<(), HttpError> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(HttpError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the body uncompressed",
        ));
    }
    Ok(())
}

/// Returns the length that the headers declare.
pub fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a whole body; an error names the field, and never the value.
pub fn parse<T: JsonBody>(json: &mut [u8]) -> Result<T, HttpError> {
    // Parts that are kept as they came are not looked into, so this cannot wait until something is
    // found wrong.
    replace_lone_surrogates(json);
    let relaxed;
    let mut json: &[u8] = json;
    if let Err(violation) = shape::check(json, T::SHAPE) {
        relaxed = shape::relax(json, T::SHAPE).ok_or_else(|| violation_error::<T>(violation))?;
        json = &relaxed;
        shape::check(json, T::SHAPE).map_err(violation_error::<T>)?;
    }
    if let Ok(body) = serde_json::from_slice(json) {
        return Ok(body);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    // serde_json reports numbers out of range and unknown enum values as syntax errors, so valid
    // JSON is recognised beforehand.
    let is_json = serde_json::from_slice::<IgnoredAny>(json).is_ok();
    let body = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| describe_error::<T>(&error, is_json))?;
    // The value is complete, so the error must be trailing data.
    deserializer.end().map_err(|error| syntax_error(&error))?;
    Ok(body)
}

fn describe_error<T: JsonBody>(
    error: &serde_path_to_error::Error<serde_json::Error>,
    is_json: bool,
) -> HttpError {
    let cause = error.inner();
    if !is_json {
        return syntax_error(cause);
    }
    let (path, cause) = (error.path().to_string(), cause.to_string());
    let (name, rule) = parse_rule(&cause);
    let path = Some(path).filter(|path| path != ".");
    let field: Vec<_> = path.as_deref().into_iter().chain(name).collect();
    let field = if field.is_empty() { "body".to_owned() } else { field.join(".") };
    violation_error::<T>(SchemaViolation { field, rule })
}

fn syntax_error(error: &serde_json::Error) -> HttpError {
    let place = format!("line {}, column {}", error.line(), error.column());
    HttpError::new(StatusCode::BAD_REQUEST, format!("the body is not valid JSON ({place})"))
}

fn violation_error<T: JsonBody>(SchemaViolation { field, rule }: SchemaViolation) -> HttpError {
    HttpError::new(T::INVALID_STATUS, format!("{field}: {rule}")).param(Some(field))
}

/// Returns the rule that was broken, without the value, which may be a secret. The rule begins with
/// the name of the field within the value, if there is one.
fn parse_rule(message: &str) -> (Option<&str>, String) {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    for (beginning, rule) in
        [("missing field `", "is missing"), ("duplicate field `", "stands there twice")]
    {
        if let Some(name) = message.strip_prefix(beginning) {
            return (Some(name.trim_end_matches('`')), rule.into());
        }
    }
    (None, describe_expected(message))
}

fn describe_expected(message: &str) -> String {
    match message.rsplit_once("expected ") {
        Some((_, "f64")) => "must be a number".into(),
        Some((_, "u32" | "u64" | "usize")) => "must be a whole number, 0 or more".into(),
        Some((_, expected)) => format!("must be {expected}"),
        None => shape::describe_unreadable(message).unwrap_or(message).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_sdk::Body;

    fn error(json: &str) -> String {
        parse::<Body>(&mut json.as_bytes().to_vec()).map_err(|error| error.to_string()).unwrap_err()
    }

    /// Returns the error for a chat that has these fields beside those that it needs.
    fn error_of_fields(fields: &str) -> String {
        error(&format!(r#"{{"model": "m", "messages": [], {fields}}}"#))
    }

    #[test]
    fn an_error_names_the_field_and_the_rule_and_never_the_value() {
        for (sent, said) in [
            (r#"{"model": "m", "messages": "hunter2"}"#, "messages: must be a list of messages"),
            (
                r#"{"model": "m", "messages": [{"role": "user"}, {"role": "hunter2"}]}"#,
                "messages[1].role: must be one of `system`, `developer`, `user`, `assistant`, `tool`, `function`",
            ),
            (
                r#"{"messages": [{"role": "user", "content": 7}]}"#,
                "messages[0].content: must be a text or a list of parts",
            ),
            (r#"{"temperature": "hunter2"}"#, "temperature: must be a number from 0 to 2"),
            (r#"{"messages": [{}]}"#, "messages[0].role: is missing"),
            (r#"{"messages": []}"#, "model: is missing"),
            ("[]", "body: must be an object"),
            (r#" ["m", []]"#, "body: must be an object"),
            (r#"{"messages": [{"role": 5}]}"#, "messages[0].role: must be a text"),
            ("{", "The body is not valid JSON (line 1, column 1)"),
            (
                r#"{"model": "m", "messages": []}]"#,
                "The body is not valid JSON (line 1, column 31)",
            ),
        ] {
            assert_eq!(error(sent), said);
        }
        for (fields, said) in [
            (r#""model": "m""#, "model: stands there twice"),
            (r#""temperature": 1e400"#, "temperature: the number is too large"),
            (r#""metadata": {"a": 1e400}"#, "metadata.a: the number is too large"),
        ] {
            assert_eq!(error_of_fields(fields), said);
        }
    }

    #[test]
    fn lone_surrogates_are_accepted() {
        let body: Body = parse(
            &mut br#"{"model": "m", "messages": [{"role": "user", "content": "a\ud83d"}]}"#
                .to_vec(),
        )
        .unwrap();
        assert_eq!(body.last_user_text().unwrap(), "a\u{fffd}");
    }
}
