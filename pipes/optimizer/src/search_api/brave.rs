//! Brave Search: <https://api-dashboard.search.brave.com/app/documentation/web-search/get-started>.

use super::{SearchApi, join};
use reqwest::{
    Method, Request, Url,
    header::{ACCEPT, HeaderValue},
};
use serde_json::Value;

/// The usual address.
pub(super) const URL: &str = "https://api.search.brave.com";

/// A client of Brave's search API.
pub(super) struct Brave {
    pub base: Url,
    pub key: String,
}

impl SearchApi for Brave {
    fn build_request(&self, query: &str, count: usize) -> Request {
        let mut url = join(&self.base, "res/v1/web/search");
        url.query_pairs_mut().append_pair("q", query).append_pair("count", &count.to_string());
        let mut request = Request::new(Method::GET, url);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Ok(key) = HeaderValue::from_str(&self.key) {
            request.headers_mut().insert("x-subscription-token", key);
        }
        request
    }

    fn results<'a>(&self, response: &'a Value) -> Option<&'a Value> {
        static NO_RESULTS: Value = Value::Array(Vec::new());
        let is_search = || response.get("type")?.as_str().filter(|kind| *kind == "search");
        // Without results, there is no `web`.
        response.pointer("/web/results").or_else(|| is_search().map(|_| &NO_RESULTS))
    }

    fn text_field(&self) -> &'static str {
        "description"
    }
}
