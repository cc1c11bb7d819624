//! A client for a search API of the web, which an admin chooses.

mod brave;
mod searxng;
mod tavily;

use brave::Brave;
use http_client::{ConnectionError, HttpClient, HttpVersion};
use reqwest::{Request, Response, StatusCode, Url};
use schemars::JsonSchema;
use searxng::SearXng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use tavily::Tavily;
use tokio::time::timeout;

/// The search APIs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchApiName {
    /// No search API.
    #[default]
    None,
    /// Brave Search.
    Brave,
    /// Tavily.
    Tavily,
    /// A `SearXNG` server of the operator.
    Searxng,
}

/// A result of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SearchResult {
    pub title: String,
    pub url: String,
    /// The passage that the search API shows of the page.
    pub text: String,
}

/// The requests and responses of a search API.
trait SearchApi: Send + Sync {
    /// Returns the request for pages about these words.
    fn build_request(&self, query: &str, count: usize) -> Request;

    /// Returns the list of results in a response.
    fn results<'a>(&self, response: &'a Value) -> Option<&'a Value>;

    /// Returns the name of the field that holds the passage of a result.
    fn text_field(&self) -> &'static str;
}

/// Searches the web through the API of the valves.
pub(crate) struct SearchClient {
    api: Box<dyn SearchApi>,
    http: HttpClient,
}

/// The time of one search.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum size of a response, in bytes.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// The maximum length of a query, in bytes. Brave refuses longer ones.
pub(crate) const MAX_QUERY_BYTES: usize = 400;

/// The maximum size of the passage of a result, in bytes.
const MAX_TEXT_BYTES: usize = 4000;

impl SearchClient {
    /// Returns the client of an API, or `None` if there is none.
    ///
    /// # Errors
    /// Returns a rule for `search_url` if that is invalid.
    pub fn new(
        name: SearchApiName,
        url: Option<&str>,
        key: Option<&str>,
    ) -> Result<Option<Self>, String> {
        let base = |usual: Option<&str>| {
            let url = url.map(str::trim).filter(|url| !url.is_empty()).or(usual);
            let url = url.ok_or("must be the address of the search server")?;
            parse_base_url(url)
        };
        let key = key.unwrap_or_default().to_owned();
        let api: Box<dyn SearchApi> = match name {
            SearchApiName::None => return Ok(None),
            SearchApiName::Brave => Box::new(Brave { base: base(Some(brave::URL))?, key }),
            SearchApiName::Tavily => Box::new(Tavily { base: base(Some(tavily::URL))?, key }),
            SearchApiName::Searxng => Box::new(SearXng { base: base(None)?, key }),
        };
        let http = HttpClient::new(Duration::from_secs(5), HttpVersion::Http2Preferred);
        Ok(Some(Self { api, http }))
    }

    /// Searches for pages about these words.
    ///
    /// # Errors
    /// Returns the reason if the API gives no results.
    pub async fn search(&self, query: &str, count: usize) -> Result<Vec<SearchResult>, String> {
        let request = self.api.build_request(query, count);
        let response = timeout(TIMEOUT, async {
            let response = self.http.execute(request).await.map_err(|error| describe(&error))?;
            read_json(response).await
        });
        let response =
            response.await.unwrap_or_else(|_| Err("the search API took too long".into()))?;
        let results = self.api.results(&response).and_then(Value::as_array);
        let results = results.ok_or("the search API gave no list of results")?;
        let results = results.iter().filter_map(|result| self.read_result(result));
        Ok(results.take(count).collect())
    }

    fn read_result(&self, result: &Value) -> Option<SearchResult> {
        let text = |field: &str| result.get(field).and_then(Value::as_str).unwrap_or_default();
        let url = Url::parse(text("url")).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let passage = text(self.api.text_field());
        let end = passage.floor_char_boundary(MAX_TEXT_BYTES);
        Some(SearchResult {
            title: text("title").chars().take(200).collect(),
            url: url.into(),
            text: passage.get(..end).unwrap_or_default().to_owned(),
        })
    }
}

fn parse_base_url(text: &str) -> Result<Url, String> {
    let rule = "must be an address such as `https://search.example.com`";
    let mut url = Url::parse(text).map_err(|_| rule)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(rule.into());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// Describes a connection error in a sentence.
fn describe(error: &ConnectionError) -> String {
    match error {
        error if error.is_timeout() => "the search API took too long",
        error if error.is_connect() => "the search API cannot be reached",
        _ => "the search API closed the connection",
    }
    .into()
}

async fn read_json(mut response: Response) -> Result<Value, String> {
    match response.status() {
        status if status.is_success() => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err("the search API refuses the key or the format (`search_key`)".into());
        }
        StatusCode::TOO_MANY_REQUESTS => {
            return Err("the search API's limit of requests is reached".into());
        }
        status => return Err(format!("the search API answered with status {}", status.as_u16())),
    }
    let mut bytes = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|_| "the search API's answer broke off")?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_RESPONSE_BYTES {
            return Err("the search API's answer is too long".into());
        }
    }
    serde_json::from_slice(&bytes).map_err(|_| "the search API's answer is no JSON".into())
}

/// Returns the address of a path below a base address, which ends in a slash.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path()));
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_api_is_asked_in_its_own_form_and_read_alike() {
        let client = |name, url| SearchClient::new(name, url, Some("k")).unwrap().unwrap();
        let brave = client(SearchApiName::Brave, None);
        let request = brave.api.build_request("a & b", 5);
        assert_eq!(
            request.url().as_str(),
            "https://api.search.brave.com/res/v1/web/search?q=a+%26+b&count=5"
        );
        assert_eq!(request.headers()["x-subscription-token"], "k");
        let tavily = client(SearchApiName::Tavily, None);
        let request = tavily.api.build_request("a", 5);
        assert_eq!(request.url().as_str(), "https://api.tavily.com/search");
        assert_eq!(request.headers()["authorization"], "Bearer k");
        let searxng = client(SearchApiName::Searxng, Some("http://10.0.0.1:8080/s"));
        let request = searxng.api.build_request("a", 5);
        assert_eq!(request.url().as_str(), "http://10.0.0.1:8080/s/search?q=a&format=json");
        let results = json!([
            {"title": "T", "url": "https://e.example/a", "description": "D", "content": "C"},
            {"title": "no page", "url": "javascript:1"},
        ]);
        for (client, response, text) in [
            (&brave, json!({"web": {"results": results}}), "D"),
            (&tavily, json!({"results": results}), "C"),
            (&searxng, json!({"results": results}), "C"),
        ] {
            let found = client.api.results(&response).unwrap().as_array().unwrap();
            let found: Vec<_> =
                found.iter().filter_map(|result| client.read_result(result)).collect();
            let result = SearchResult {
                title: "T".into(),
                url: "https://e.example/a".into(),
                text: text.into(),
            };
            assert_eq!(found, [result]);
        }
    }

    #[test]
    fn a_server_of_ones_own_needs_an_address() {
        let fault = |url| SearchClient::new(SearchApiName::Searxng, url, None).err();
        assert!(fault(None).unwrap().contains("address"));
        for url in ["searx", "file:///etc", "mailto:a@b"] {
            assert!(fault(Some(url)).unwrap().contains("address"), "{url}");
        }
        assert!(SearchClient::new(SearchApiName::None, Some("x"), None).unwrap().is_none());
    }
}
