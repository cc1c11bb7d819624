//! Distinguishes requests of Open WebUI from those of API clients.

use actix_web::http::header::{self, HeaderMap};

/// Returns whether a request for the model list may be Open WebUI's own.
///
/// Its server sends requests by Python's aiohttp, with its `User-Agent`, for every user; with
/// forwarded users it adds their headers (`docs/reference/open-webui.md`, "Calls" and "User
/// headers"). Where people have added a connection of their own, their browser asks.
pub fn is_open_webui(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).map(|agent| agent.as_bytes().to_ascii_lowercase());
    let agent = agent.unwrap_or_default();
    let says = |word: &[u8]| agent.windows(word.len()).any(|piece| piece == word);
    headers.contains_key(header::ORIGIN)
        || says(b"aiohttp")
        || says(b"open webui")
        || says(b"open-webui")
        || says(b"mozilla/")
        || headers.keys().any(|name| name.as_str().starts_with("x-openwebui-"))
}
