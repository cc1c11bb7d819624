//! Tavily: <https://docs.tavily.com/documentation/api-reference/endpoint/search>.

use super::{SearchApi, join};
use reqwest::{
    Method, Request, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

/// The usual address.
pub(super) const URL: &str = "https://api.tavily.com";

/// A client of Tavily's search API.
pub(super) struct Tavily {
    pub base: Url,
    pub key: String,
}

impl SearchApi for Tavily {
    fn build_request(&self, query: &str, count: usize) -> Request {
        let mut request = Request::new(Method::POST, join(&self.base, "search"));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(key) = HeaderValue::from_str(&format!("Bearer {}", self.key)) {
            request.headers_mut().insert(AUTHORIZATION, key);
        }
        let body = json!({"query": query, "max_results": count, "search_depth": "basic"});
        *request.body_mut() = Some(body.to_string().into());
        request
    }

    fn results<'a>(&self, response: &'a Value) -> Option<&'a Value> {
        response.get("results")
    }

    fn text_field(&self) -> &'static str {
        "content"
    }
}
