//! The HTTP API: one file for each resource, and the table of routes.

mod admin;
mod answer;
mod anthropic;
mod anthropic_tools;
mod api_dialect;
mod attribution;
mod auth;
mod bad_keys;
mod bodies;
mod caller;
mod chat;
mod choices;
mod client_tools;
mod completions;
mod conversations;
mod cors;
mod embeddings;
mod error;
mod field_error;
mod filters;
mod health;
mod identity;
mod images;
mod json;
mod key_name;
mod memory_budget;
mod messages;
mod metrics;
mod models;
mod open_webui;
mod openai_writer;
mod openapi;
mod page;
mod pipelines_admin;
mod rag;
mod request_context;
mod request_log;
mod rerank;
mod responses;
mod sender;
mod shape;
mod sse_body;
mod tool_choice;
mod trim_path;
mod unary;
mod unsent_body;
mod usage;
mod user_jwt;
mod valves;

pub use answer::ResponseHead;
pub use auth::{Callers, DEFAULT_KEY, Keys};
pub use bodies::{BodyLimit, Received, read_body};
pub use caller::{HostNames, TrustedProxies};
pub use cors::AllowedOrigins;
pub use memory_budget::MemoryBudget;
pub use openai_writer::OpenAiSseWriter;
pub use sender::Sender;
pub use sse_body::FrameWriter;
pub use unsent_body::charge_unsent;
pub use user_jwt::UserJwtVerifier;

use crate::{
    background_jobs::BackgroundJobs, drain::Drain, failed_requests::FailedRequests,
    metrics::Metrics, python::PythonPipelines, registry::Registry, traces::Traces,
    usage_queue::UsageQueue, valve_saves::ValveSaves,
};
use actix_web::{
    http::Method,
    web::{self, ServiceConfig},
};
use error::HttpError;
use pipe_sdk::Task;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use store::Store;

/// The state that handlers share.
pub struct State {
    /// The pipes.
    pub registry: Arc<Registry>,
    /// The Python pipelines, if they are on.
    pub python: Option<PythonPipelines>,
    /// The API keys.
    pub keys: Keys,
    /// The rules for callers: host names, proxies, and the limit on wrong keys.
    pub callers: Callers,
    /// The memory budget for bodies of requests, and for answers that wait to be sent.
    pub memory_budget: MemoryBudget,
    /// The verifier of Open WebUI's signed users, if a secret is set.
    pub user_jwt_verifier: Option<UserJwtVerifier>,
    /// The origins of web pages that may call the model routes.
    pub origins: AllowedOrigins,
    /// `true` if `/metrics` is read without a key.
    pub open_metrics: bool,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The last requests that failed.
    pub failed_requests: Arc<FailedRequests>,
    /// The traces.
    pub traces: Arc<Traces>,
    /// The store.
    pub store: Arc<Store>,
    /// The queue of usage events.
    pub usage_queue: UsageQueue,
    /// The task that records usage events.
    pub usage_worker: Task,
    /// The background jobs of the document library.
    pub background_jobs: BackgroundJobs,
    /// The saves of valves since the start.
    pub valve_saves: ValveSaves,
    /// The stage of the shutdown.
    pub drain: Drain,
    /// The start of the host, in seconds since 1970: the `created` of its models.
    pub started: u64,
}

/// Reads the body of a chat, for `fuzz/` alone.
///
/// # Errors
/// Returns an error that names the field at fault.
#[doc(hidden)]
pub fn parse_chat(body: &[u8]) -> Result<pipe_sdk::Body, Error> {
    json::parse(&mut body.to_vec())
}

/// Returns the present time, in seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The key that a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No key is needed.
    Open,
    /// Any key is accepted, also from web pages of allowed origins.
    Models,
    /// The host's own key is needed, and web pages of other origins are refused.
    Admin,
}

/// One route. Each is served without a prefix and behind each of [`PREFIXES`].
pub struct Route {
    /// The one method that it takes.
    pub method: Method,
    /// The path, without `/v1`.
    pub path: &'static str,
    /// The key that it requires.
    pub access: Access,
    handler: fn() -> actix_web::Route,
}

/// Returns a route that needs no key.
const fn open(method: Method, path: &'static str, handler: fn() -> actix_web::Route) -> Route {
    Route { method, path, access: Access::Open, handler }
}

/// Returns a route that needs a key for models.
const fn models(method: Method, path: &'static str, handler: fn() -> actix_web::Route) -> Route {
    Route { method, path, access: Access::Models, handler }
}

/// Returns a route that needs the admin's key.
const fn admin(method: Method, path: &'static str, handler: fn() -> actix_web::Route) -> Route {
    Route { method, path, access: Access::Admin, handler }
}

impl Route {
    /// Returns whether a path without prefix belongs to this route.
    pub fn matches(&self, path: &str) -> bool {
        matches_pattern(self.path, path)
    }
}

/// Returns whether this path matches a pattern: `{id:.+}` is any text, `{collection:[^/]+}` one
/// without slashes.
fn matches_pattern(pattern: &str, path: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else { return pattern == path };
    let (Some((name, after)), Some(path)) = (rest.split_once('}'), path.strip_prefix(before))
    else {
        return false;
    };
    let takes = |char: char| char != '/' || name.ends_with(":.+");
    let most = path.find(|char| !takes(char)).unwrap_or(path.len());
    let ends = path.char_indices().map(|(at, char)| at + char.len_utf8());
    ends.take_while(|end| *end <= most)
        .any(|end| path.get(end..).is_some_and(|rest| matches_pattern(after, rest)))
}

/// Every route of the host. Ids may contain `.`, `:` and `/`, so an id takes all of the path that
/// is not its action.
pub const ROUTES: &[Route] = &[
    // Routes are tried in this order. A pattern with an id is slow to match, so these come first.
    models(Method::POST, "/chat/completions", || web::post().to(chat::complete)),
    models(Method::POST, "/completions", || web::post().to(completions::complete)),
    models(Method::POST, "/messages", || web::post().to(messages::create)),
    models(Method::POST, "/messages/count_tokens", || web::post().to(messages::count_tokens)),
    models(Method::POST, "/responses", || web::post().to(responses::create)),
    open(Method::GET, "/", || web::get().to(page::start)),
    open(Method::GET, "/openapi.json", || web::get().to(openapi::show)),
    open(Method::GET, "/docs", || web::get().to(page::docs)),
    open(Method::GET, "/health", || web::get().to(health::live)),
    open(Method::GET, "/healthz", || web::get().to(health::live)),
    open(Method::GET, "/health/live", || web::get().to(health::live)),
    open(Method::GET, "/readyz", || web::get().to(health::ready)),
    open(Method::GET, "/health/ready", || web::get().to(health::ready)),
    open(Method::GET, "/admin/", || web::get().to(page::admin)),
    admin(Method::GET, "/admin", || web::get().to(admin::overview)),
    admin(Method::GET, "/admin/pipes/{id}", || web::get().to(admin::pipe)),
    open(Method::GET, "/usage/", || web::get().to(page::usage)),
    admin(Method::GET, "/usage", || web::get().to(usage::report)),
    admin(Method::GET, "/metrics", || web::get().to(metrics::text)),
    open(Method::GET, "/rag/", || web::get().to(page::documents)),
    admin(Method::GET, "/rag", || web::get().to(rag::collections)),
    admin(Method::POST, "/rag", || web::post().to(rag::create)),
    models(Method::POST, "/rag/{collection:[^/]+}/search", || web::post().to(rag::search)),
    admin(Method::GET, "/rag/{collection:[^/]+}/documents", || web::get().to(rag::documents)),
    admin(Method::POST, "/rag/{collection:[^/]+}/documents", || {
        web::post().to(rag::upload_documents)
    }),
    admin(Method::DELETE, "/rag/{collection:[^/]+}/documents", || {
        web::delete().to(rag::remove_many)
    }),
    admin(Method::DELETE, "/rag/{collection:[^/]+}/documents/{document:.+}", || {
        web::delete().to(rag::remove)
    }),
    models(Method::GET, "/models", || web::get().to(models::list)),
    models(Method::GET, "/models/{id:.+}", || web::get().to(models::show)),
    models(Method::POST, "/responses/input_tokens", || web::post().to(responses::input_tokens)),
    models(Method::POST, "/responses/compact", || web::post().to(responses::compact)),
    models(Method::GET, "/conversations", || web::get().to(conversations::list)),
    models(Method::DELETE, "/conversations", || web::delete().to(conversations::delete_of_user)),
    models(Method::GET, "/conversations/{id:.+}", || web::get().to(conversations::show)),
    models(Method::DELETE, "/conversations/{id:.+}", || web::delete().to(conversations::delete)),
    models(Method::POST, "/embeddings", || web::post().to(embeddings::embed)),
    models(Method::POST, "/images/generations", || web::post().to(images::generate)),
    models(Method::POST, "/rerank", || web::post().to(rerank::rerank)),
    admin(Method::GET, "/pipelines", || web::get().to(pipelines_admin::list)),
    admin(Method::POST, "/pipelines/add", || web::post().to(pipelines_admin::add)),
    admin(Method::POST, "/pipelines/upload", || web::post().to(pipelines_admin::upload)),
    admin(Method::DELETE, "/pipelines/delete", || web::delete().to(pipelines_admin::delete)),
    admin(Method::GET, "/pipelines/{id}/lessons", || {
        web::get().to(pipelines_admin::learned_quirks)
    }),
    admin(Method::POST, "/pipelines/reload", || web::post().to(pipelines_admin::reload)),
    admin(Method::POST, "/{id:.+}/filter/inlet", || web::post().to(filters::inlet)),
    admin(Method::POST, "/{id:.+}/filter/outlet", || web::post().to(filters::outlet)),
    admin(Method::GET, "/{id:.+}/valves/spec", || web::get().to(valves::spec)),
    admin(Method::POST, "/{id:.+}/valves/update", || web::post().to(valves::update)),
    admin(Method::GET, "/{id:.+}/valves", || web::get().to(valves::values)),
    // After those of the pipe of that name.
    admin(Method::PATCH, "/rag/{collection:[^/]+}", || web::patch().to(rag::update)),
    admin(Method::DELETE, "/rag/{collection:[^/]+}", || web::delete().to(rag::delete)),
];

/// The prefixes that routes also have: the second is the one that clients of API gateways add.
pub const PREFIXES: [&str; 2] = ["/v1", "/api/v1"];

/// Returns the path without its prefix, as in the table of routes.
fn unprefixed(path: &str) -> &str {
    let within = |prefix: &&str| match path.strip_prefix(prefix) {
        Some("") => Some("/"),
        rest => rest.filter(|rest| rest.starts_with('/')),
    };
    PREFIXES.iter().find_map(within).unwrap_or(path)
}

/// Returns the routes of this path: all of those that share the pattern of the first match.
fn routes_at(path: &str) -> impl Iterator<Item = &'static Route> {
    let first = ROUTES.iter().find(|route| route.matches(unprefixed(path)));
    let path = first.map(|route| route.path);
    ROUTES.iter().filter(move |route| Some(route.path) == path)
}

/// Returns the methods of this path, for the `Allow` header.
fn methods(path: &str) -> String {
    let all = routes_at(path).map(|route| match route.method {
        Method::GET => "GET, HEAD",
        _ => route.method.as_str(),
    });
    all.collect::<Vec<_>>().join(", ")
}

/// Registers every route.
pub fn routes(config: &mut ServiceConfig) {
    for prefix in PREFIXES.into_iter().chain([""]) {
        // One resource has all methods of a path: routes of the same path follow each other.
        for routes in ROUTES.chunk_by(|one, next| one.path == next.path) {
            let path = match routes.first().map_or("", |route| route.path) {
                "/" if !prefix.is_empty() => prefix.to_owned(),
                path => format!("{prefix}{path}"),
            };
            let resource = web::resource(path).default_service(web::to(HttpError::wrong_method));
            config.service(
                routes.iter().fold(resource, |resource, route| resource.route((route.handler)())),
            );
        }
    }
}

pub use auth::authorize;
pub use cors::cross_origin;
pub use error::HttpError as Error;
pub use request_log::log_request;
pub use trim_path::trim_path;
