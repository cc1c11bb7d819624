//! `SearXNG`: <https://docs.searxng.org/dev/search_api.html>. Its settings must allow the format
//! `json`.

use super::{SearchApi, join};
use reqwest::{
    Method, Request, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderValue},
};
use serde_json::Value;

/// A client of a `SearXNG` server.
pub(super) struct SearXng {
    pub base: Url,
    /// The bearer token of a proxy before the server, if there is one.
    pub key: String,
}

impl SearchApi for SearXng {
    fn build_request(&self, query: &str, _count: usize) -> Request {
        let mut url = join(&self.base, "search");
        url.query_pairs_mut().append_pair("q", query).append_pair("format", "json");
        let mut request = Request::new(Method::GET, url);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let key = HeaderValue::from_str(&format!("Bearer {}", self.key));
        if let Some(key) = key.ok().filter(|_| !self.key.is_empty()) {
            request.headers_mut().insert(AUTHORIZATION, key);
        }
        request
    }

    fn results<'a>(&self, response: &'a Value) -> Option<&'a Value> {
        response.get("results")
    }

    fn text_field(&self) -> &'static str {
        "content"
    }
}
