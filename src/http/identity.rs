//! Who asks, and in which chat: from Open WebUI's headers, or from what the body says
//! (`docs/reference/open-webui.md`, "User headers" and "What a chat carries").

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use pipe_sdk::{Body, ChatRef, Hints, User};
use serde_json::{Map, Value};

/// The keys that our inlet puts into the body of a chat, so that they reach the chat call
/// (`docs/reference/open-webui.md`, "What a chat carries").
const CHAT_KEYS: [&str; 4] = ["chat_id", "message_id", "session_id", "task"];

/// The background tasks of Open WebUI (contract §5).
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

/// Whether Open WebUI has a background task of this name.
pub fn is_task(name: &str) -> bool {
    TASKS.contains(&name)
}

/// How the names of headers begin that are meant for pipes.
const WISHES: [&str; 3] = ["x-pipewright-", "x-amzn-bedrock-", "anthropic-beta"];

/// The user and the chat of this call. What the body said of them is taken out of it: no upstream
/// should see it.
pub fn take(body: &mut Body, headers: &HeaderMap) -> (Option<User>, ChatRef) {
    let user = parse_user(body.rest.shift_remove("user"), headers);
    let [chat_id, message_id, session_id, task] =
        CHAT_KEYS.map(|key| text(body.rest.shift_remove(key)));
    let chat_id = chat_id.or_else(|| header(headers, "x-openwebui-chat-id"));
    let message_id = message_id.or_else(|| header(headers, "x-openwebui-message-id"));
    (user, ChatRef { chat_id, message_id, session_id, task, response: None })
}

/// Who asks, from what a body says of the user, or from the headers.
pub fn parse_user(said: Option<Value>, headers: &HeaderMap) -> Option<User> {
    said.and_then(user).or_else(|| forwarded(headers))
}

/// Copies what the chat call will not be told from the metadata, which Open WebUI's server writes,
/// into the body. A task that the person who chats has put there is taken out.
pub fn keep(body: &mut Map<String, Value>) {
    body.shift_remove("task");
    let Some(Value::Object(metadata)) = body.get("metadata") else { return };
    let known = CHAT_KEYS.map(|key| (key, text(metadata.get(key).cloned())));
    for (key, value) in known {
        if let Some(value) = value {
            body.insert(key.into(), value.into());
        }
    }
}

/// Open WebUI's object, or OpenAI's plain text.
pub fn user(value: Value) -> Option<User> {
    match value {
        Value::String(id) if !id.is_empty() => Some(User { id, ..User::default() }),
        Value::Object(_) => serde_json::from_value(value).ok(),
        _ => None,
    }
}

/// What the headers wish of the pipe that answers.
pub fn hints(headers: &HeaderMap) -> Hints {
    let wishes = |name: &str| WISHES.iter().any(|beginning| name.starts_with(beginning));
    let hint = |(name, value): (&HeaderName, &HeaderValue)| {
        // What is no text stays, so that it can be refused.
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().filter(|(name, _)| wishes(name.as_str())).map(hint).collect()
}

fn forwarded(headers: &HeaderMap) -> Option<User> {
    let of = |name: &str| header(headers, &format!("x-openwebui-user-{name}"));
    Some(User { id: of("id")?, name: of("name"), email: of("email"), role: of("role") })
}

/// A header's text; Open WebUI percent-encodes what is not ASCII.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
    Some(decoded).filter(|text| !text.is_empty())
}

fn text(value: Option<Value>) -> Option<String> {
    value?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
