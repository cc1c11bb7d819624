//! The host's own pages. They hold no data, and no key but the default one, which everybody knows:
//! their scripts ask the host for the rest with the key that is typed in, and keep it in the tab's
//! session storage at most.

use super::state::HostState;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap},
    web,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The parts of a page.
struct Parts<'a> {
    title: &'static str,
    /// The path to `/` from where the page is served, so that links work behind a proxy's prefix.
    root: &'static str,
    style: &'static str,
    body: &'a str,
    script: &'static str,
}

/// A page with the policy that lets it run its own script and style, and ask its own host.
struct Page {
    html: String,
    policy: String,
}

/// The parts that all pages share.
const STYLE: &str = include_str!("page/common.css");
const SCRIPT: &str = include_str!("page/common.js");
const LAYOUT: &str = include_str!("page/layout.html");

macro_rules! page {
    ($title:literal, $root:literal, $name:literal) => {
        Page::from_parts(&Parts {
            title: $title,
            root: $root,
            style: include_str!(concat!("page/", $name, ".css")),
            body: include_str!(concat!("page/", $name, ".html")),
            script: include_str!(concat!("page/", $name, ".js")),
        })
    };
}

static START: LazyLock<Page> = LazyLock::new(|| page!("Start", "", "start"));
/// The start page of a host whose own key is the default one.
static START_WITH_DEFAULT_KEY: LazyLock<Page> = LazyLock::new(|| {
    Page::from_parts(&Parts {
        title: "Start",
        root: "",
        style: include_str!("page/start.css"),
        body: &include_str!("page/start.html").replace(
            include_str!("page/start_key.html"),
            include_str!("page/start_default_key.html"),
        ),
        script: include_str!("page/start.js"),
    })
});
static ADMIN: LazyLock<Page> = LazyLock::new(|| page!("Admin", "../", "admin"));
static DOCUMENTS: LazyLock<Page> = LazyLock::new(|| page!("Documents", "../", "documents"));
static DOCS: LazyLock<Page> = LazyLock::new(|| page!("API", "", "docs"));
static USAGE: LazyLock<Page> = LazyLock::new(|| page!("Usage", "../", "usage"));

impl Page {
    fn from_parts(parts: &Parts<'_>) -> Self {
        let style = format!("\n{STYLE}{}", parts.style);
        let script = format!("\n{SCRIPT}{}", parts.script);
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash_source(&script),
            hash_source(&style),
        );
        let html = LAYOUT
            .replace("{{title}}", parts.title)
            .replace("{{style}}", &style)
            .replace("{{body}}", parts.body)
            .replace("{{root}}", parts.root)
            .replace("{{script}}", &script);
        Self { html, policy }
    }

    fn to_response(&self) -> HttpResponse {
        HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_SECURITY_POLICY, self.policy.as_str()))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .body(self.html.clone())
    }
}

/// Returns the source expression of an inline script or style
/// (<https://www.w3.org/TR/CSP3/#grammardef-hash-source>).
fn hash_source(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// `GET /` and `/v1`: the start page for browsers, and for clients that a Pipelines server is here.
///
/// The page shows the key if it is the default one and opens the host to this caller.
pub async fn start(state: web::Data<HostState>, request: HttpRequest) -> HttpResponse {
    let mut response = match accepts_html(request.headers()) {
        true if state.keys.is_default_for(&state.callers.identify(&request)) => {
            START_WITH_DEFAULT_KEY.to_response()
        }
        true => START.to_response(),
        false => HttpResponse::Ok().json(serde_json::json!({"status": true})),
    };
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept"));
    response
}

/// Returns whether a browser asks, which names HTML first, and not a client that takes anything.
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("text/html"))
}

/// `GET /admin/`.
pub async fn admin() -> HttpResponse {
    ADMIN.to_response()
}

/// `GET /rag/`.
pub async fn documents() -> HttpResponse {
    DOCUMENTS.to_response()
}

/// `GET /docs`.
pub async fn docs() -> HttpResponse {
    DOCS.to_response()
}

/// `GET /usage/`.
pub async fn usage() -> HttpResponse {
    USAGE.to_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_no_placeholder_left_and_allows_nothing_but_itself() {
        for page in [&START, &START_WITH_DEFAULT_KEY, &ADMIN, &DOCUMENTS, &USAGE, &DOCS] {
            assert!(
                !page.html.contains("{{") && !page.policy.contains("unsafe"),
                "{}",
                page.policy
            );
            assert_eq!(page.html.matches("<script>").count(), 1);
            // A style attribute would be refused by the policy.
            assert!(!page.html.contains(" style=\""));
        }
    }
}
