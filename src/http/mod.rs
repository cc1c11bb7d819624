//! Everything that knows HTTP: one file a resource, and the one table of routes.

mod answer;
mod asker;
mod auth;
mod chat;
mod cors;
mod embeddings;
mod error;
mod face;
mod filters;
mod frames;
mod health;
mod identity;
mod images;
mod json;
mod manage;
mod messages;
mod metrics;
mod models;
mod open_webui;
mod record;
mod rerank;
mod responses;
mod usage;
mod valves;
mod whole;
mod writer;

pub use answer::Head;
pub use auth::Keys;
pub use cors::Origins;
pub use frames::FrameWriter;
pub use writer::Writer;

use crate::{books::Books, drain::Drain, metrics::Metrics, registry::Registry, traces::Traces};
use actix_web::{
    http::Method,
    web::{self, ServiceConfig},
};
use error::HttpError;
use pipe_sdk::Task;
use pipewright_store::Store;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// What every handler may need.
pub struct State {
    /// The pipes.
    pub registry: Arc<Registry>,
    /// Who may come in.
    pub keys: Keys,
    /// Which web pages may ask for models and chats.
    pub origins: Origins,
    /// Whether `/metrics` is read without a key.
    pub open_metrics: bool,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Where spans begin.
    pub traces: Arc<Traces>,
    /// What is remembered.
    pub store: Arc<Store>,
    /// Where what answers cost is written down.
    pub books: Books,
    /// Keeps the books.
    pub bookkeeper: Task,
    /// How far the host is with leaving.
    pub drain: Drain,
    /// When the host was started, in seconds since 1970: the `created` of its models.
    pub started: u64,
}

/// Now, in seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What opens a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing has to be sent.
    Open,
    /// Any key, and web pages of allowed origins that hold one.
    Models,
    /// The host's own key, and no web page of another origin.
    Admin,
}

/// One route. Each is served without a prefix and behind each of [`PREFIXES`].
pub struct Route {
    /// The one method that it takes.
    pub method: Method,
    /// The path, without `/v1`.
    pub path: &'static str,
    /// What opens it.
    pub access: Access,
    handler: fn() -> actix_web::Route,
}

const fn open(method: Method, path: &'static str, handler: fn() -> actix_web::Route) -> Route {
    Route { method, path, access: Access::Open, handler }
}

const fn models(method: Method, path: &'static str, handler: fn() -> actix_web::Route) -> Route {
    Route { method, path, access: Access::Models, handler }
}

const fn admin(method: Method, path: &'static str, handler: fn() -> actix_web::Route) -> Route {
    Route { method, path, access: Access::Admin, handler }
}

/// What stands for an id in a path.
const ID: &str = "{id:.+}";

impl Route {
    /// Whether a path without prefix is this route's.
    fn leads(&self, path: &str) -> bool {
        match self.path.split_once(ID) {
            None => path == self.path,
            Some((before, after)) => {
                let id = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                id.is_some_and(|id| !id.is_empty())
            }
        }
    }
}

/// Every route of the host. Ids may hold `.`, `:` and `/`, so an id takes all of the path that is not its action.
pub const ROUTES: &[Route] = &[
    open(Method::GET, "/", || web::get().to(health::root)),
    open(Method::GET, "/health", || web::get().to(health::live)),
    open(Method::GET, "/healthz", || web::get().to(health::live)),
    open(Method::GET, "/health/live", || web::get().to(health::live)),
    open(Method::GET, "/readyz", || web::get().to(health::ready)),
    open(Method::GET, "/health/ready", || web::get().to(health::ready)),
    open(Method::GET, "/usage/", || web::get().to(usage::page)),
    admin(Method::GET, "/usage", || web::get().to(usage::report)),
    admin(Method::GET, "/metrics", || web::get().to(metrics::text)),
    models(Method::GET, "/models", || web::get().to(models::list)),
    models(Method::GET, "/models/{id:.+}", || web::get().to(models::one)),
    models(Method::POST, "/chat/completions", || web::post().to(chat::complete)),
    models(Method::POST, "/messages", || web::post().to(messages::create)),
    models(Method::POST, "/messages/count_tokens", || web::post().to(messages::count_tokens)),
    models(Method::POST, "/responses", || web::post().to(responses::create)),
    models(Method::POST, "/embeddings", || web::post().to(embeddings::embed)),
    models(Method::POST, "/images/generations", || web::post().to(images::generate)),
    models(Method::POST, "/rerank", || web::post().to(rerank::rerank)),
    admin(Method::GET, "/pipelines", || web::get().to(manage::list)),
    admin(Method::POST, "/pipelines/add", || web::post().to(manage::add)),
    admin(Method::POST, "/pipelines/upload", || web::post().to(manage::upload)),
    admin(Method::DELETE, "/pipelines/delete", || web::delete().to(manage::delete)),
    admin(Method::POST, "/pipelines/reload", || web::post().to(manage::reload)),
    admin(Method::POST, "/{id:.+}/filter/inlet", || web::post().to(filters::inlet)),
    admin(Method::POST, "/{id:.+}/filter/outlet", || web::post().to(filters::outlet)),
    admin(Method::GET, "/{id:.+}/valves/spec", || web::get().to(valves::spec)),
    admin(Method::POST, "/{id:.+}/valves/update", || web::post().to(valves::update)),
    admin(Method::GET, "/{id:.+}/valves", || web::get().to(valves::values)),
];

/// What may stand before a route: the second is what clients of the gateways add that people come from.
pub const PREFIXES: [&str; 2] = ["/v1", "/api/v1"];

/// The path as it stands in the table of routes.
fn unprefixed(path: &str) -> &str {
    let within = |prefix: &&str| match path.strip_prefix(prefix) {
        Some("") => Some("/"),
        rest => rest.filter(|rest| rest.starts_with('/')),
    };
    PREFIXES.iter().find_map(within).unwrap_or(path)
}

/// Puts every route in its place.
pub fn routes(config: &mut ServiceConfig) {
    for prefix in PREFIXES.into_iter().chain([""]) {
        for route in ROUTES {
            let path = match route.path {
                "/" if !prefix.is_empty() => prefix.to_owned(),
                path => format!("{prefix}{path}"),
            };
            config.service(
                web::resource(path)
                    .route((route.handler)())
                    .default_service(web::to(HttpError::wrong_method)),
            );
        }
    }
}

pub use auth::authorize;
pub use cors::cross_origin;
pub use error::HttpError as Error;
pub use record::record;
