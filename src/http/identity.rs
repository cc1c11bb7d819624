//! Finds the user and the chat of a request, in Open WebUI's headers or in the body
//! (`docs/reference/open-webui.md`, "User headers" and "What a chat carries").

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use pipe_sdk::{Body, ChatRef, Hints, User};
use serde_json::{Map, Value};

/// The keys that our inlet puts into the body of a chat, so that they reach the chat call
/// (`docs/reference/open-webui.md`, "What a chat carries").
const CHAT_KEYS: [&str; 4] = ["chat_id", "message_id", "session_id", "task"];

/// The background tasks of Open WebUI (`docs/reference/open-webui.md`, "What a chat carries").
const TASKS: [&str; 11] = [
    "title_generation",
    "tags_generation",
    "follow_up_generation",
    "query_generation",
    "image_prompt_generation",
    "autocomplete_generation",
    "emoji_generation",
    "moa_response_generation",
    "function_calling",
    "context_compaction",
    "memory_review",
];

/// Returns whether Open WebUI has a background task of this name.
pub fn is_task(name: &str) -> bool {
    TASKS.contains(&name)
}

/// The prefixes of headers that hold hints for pipes.
const HINT_PREFIXES: [&str; 3] = ["x-pipewright-", "x-amzn-bedrock-", "anthropic-beta"];

/// Removes the user and the chat from the body and returns them: no upstream should see them.
pub fn take_identity(body: &mut Body, headers: &HeaderMap) -> (Option<User>, ChatRef) {
    let user = parse_user(body.rest.shift_remove("user"), headers);
    let [chat_id, message_id, session_id, task] =
        CHAT_KEYS.map(|key| text(body.rest.shift_remove(key)));
    let chat_id = chat_id.or_else(|| decoded_header(headers, "x-openwebui-chat-id"));
    let message_id = message_id.or_else(|| decoded_header(headers, "x-openwebui-message-id"));
    (user, ChatRef { chat_id, message_id, session_id, task, response: None })
}

/// Returns the user that a field of the body names, or else the one of the headers.
pub fn parse_user(field: Option<Value>, headers: &HeaderMap) -> Option<User> {
    field.and_then(parse_user_field).or_else(|| forwarded_user(headers))
}

/// Copies the keys of the chat from the metadata, which Open WebUI's server writes, into the body,
/// because the chat call has no metadata. Removes a task that the person who chats has put there.
pub fn copy_chat_keys(body: &mut Map<String, Value>) {
    body.shift_remove("task");
    let Some(Value::Object(metadata)) = body.get("metadata") else { return };
    let known = CHAT_KEYS.map(|key| (key, text(metadata.get(key).cloned())));
    for (key, value) in known {
        if let Some(value) = value {
            body.insert(key.into(), value.into());
        }
    }
}

/// Returns the user of Open WebUI's object, or of OpenAI's plain text.
pub fn parse_user_field(value: Value) -> Option<User> {
    match value {
        Value::String(id) if !id.is_empty() => Some(User { id, ..User::default() }),
        Value::Object(_) => serde_json::from_value(value).ok(),
        _ => None,
    }
}

/// Returns the headers whose names begin with one of [`HINT_PREFIXES`], for the pipe.
pub fn hints(headers: &HeaderMap) -> Hints {
    let is_hint = |name: &str| HINT_PREFIXES.iter().any(|beginning| name.starts_with(beginning));
    let hint = |(name, value): (&HeaderName, &HeaderValue)| {
        // A value that is no text stays, so that it can be refused.
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().filter(|(name, _)| is_hint(name.as_str())).map(hint).collect()
}

fn forwarded_user(headers: &HeaderMap) -> Option<User> {
    let field = |name: &str| decoded_header(headers, &format!("x-openwebui-user-{name}"));
    Some(User { id: field("id")?, name: field("name"), email: field("email"), role: field("role") })
}

/// Returns a header's text; Open WebUI percent-encodes characters outside ASCII.
fn decoded_header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
    Some(decoded).filter(|text| !text.is_empty())
}

/// Returns a text that is not empty.
fn text(value: Option<Value>) -> Option<String> {
    value?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
