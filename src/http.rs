//! The HTTP API: one file for each resource, and the handlers of the routes in `route`.

mod admin;
mod allowed_origins;
mod answer;
mod anthropic;
mod anthropic_tools;
mod api_dialect;
mod attribution;
mod auth;
mod authorize;
mod bad_keys;
mod bodies;
mod caller;
mod charge_unsent;
mod chat;
mod choices;
mod client_tools;
mod clock;
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
mod json_response;
mod key_name;
mod memory_budget;
mod messages;
mod metrics;
mod models;
mod open_webui;
mod openai_writer;
mod openapi;
mod page;
mod picker_names;
mod pipelines_admin;
mod rag;
mod request_context;
mod request_log;
mod rerank;
mod responses;
mod route;
mod sender;
mod shape;
mod similar_models;
mod sse_body;
mod state;
mod tool_choice;
mod trim_path;
mod unary;
mod unsent_body;
mod usage;
mod user_jwt;
mod valves;

pub use allowed_origins::AllowedOrigins;
pub use answer::ResponseHead;
pub use auth::{Callers, DEFAULT_KEY, Keys};
pub use bodies::{BodyLimit, Received, read_body};
pub use caller::{HostNames, TrustedProxies};
pub use charge_unsent::charge_unsent;
pub use clock::unix_seconds;
pub use memory_budget::MemoryBudget;
pub use openai_writer::OpenAiSseWriter;
pub use route::{Access, PREFIXES, ROUTES, Route};
pub use sender::Sender;
pub use sse_body::FrameWriter;
pub use state::HostState;
pub use user_jwt::UserJwtVerifier;

use actix_web::{
    HttpRequest,
    web::{self, ServiceConfig},
};
use route::{Endpoint, allowed_methods};
use std::future::Ready;

/// Reads the body of a chat, for `fuzz/` alone.
///
/// # Errors
/// Returns an error that names the field at fault.
#[doc(hidden)]
pub fn parse_chat(body: &[u8]) -> Result<pipe_sdk::Body, HttpError> {
    json::parse(&mut body.to_vec())
}

/// Returns the handler of an endpoint, for the one method of its route.
fn handler(endpoint: Endpoint) -> actix_web::Route {
    match endpoint {
        Endpoint::ChatComplete => web::post().to(chat::complete),
        Endpoint::CompletionsComplete => web::post().to(completions::complete),
        Endpoint::MessagesCreate => web::post().to(messages::create),
        Endpoint::MessagesCountTokens => web::post().to(messages::count_tokens),
        Endpoint::ResponsesCreate => web::post().to(responses::create),
        Endpoint::PageStart => web::get().to(page::start),
        Endpoint::OpenapiShow => web::get().to(openapi::show),
        Endpoint::PageDocs => web::get().to(page::docs),
        Endpoint::HealthLive => web::get().to(health::live),
        Endpoint::HealthReady => web::get().to(health::ready),
        Endpoint::PageAdmin => web::get().to(page::admin),
        Endpoint::AdminOverview => web::get().to(admin::overview),
        Endpoint::AdminPipe => web::get().to(admin::pipe),
        Endpoint::PageUsage => web::get().to(page::usage),
        Endpoint::UsageReport => web::get().to(usage::report),
        Endpoint::MetricsText => web::get().to(metrics::text),
        Endpoint::PageDocuments => web::get().to(page::documents),
        Endpoint::RagCollections => web::get().to(rag::collections),
        Endpoint::RagCreate => web::post().to(rag::create),
        Endpoint::RagSearch => web::post().to(rag::search),
        Endpoint::RagDocuments => web::get().to(rag::documents),
        Endpoint::RagUploadDocuments => web::post().to(rag::upload_documents),
        Endpoint::RagRemoveMany => web::delete().to(rag::remove_many),
        Endpoint::RagRemove => web::delete().to(rag::remove),
        Endpoint::ModelsList => web::get().to(models::list),
        Endpoint::ModelsShow => web::get().to(models::show),
        Endpoint::ResponsesInputTokens => web::post().to(responses::input_tokens),
        Endpoint::ResponsesCompact => web::post().to(responses::compact),
        Endpoint::ConversationsList => web::get().to(conversations::list),
        Endpoint::ConversationsDeleteOfUser => web::delete().to(conversations::delete_of_user),
        Endpoint::ConversationsShow => web::get().to(conversations::show),
        Endpoint::ConversationsDelete => web::delete().to(conversations::delete),
        Endpoint::EmbeddingsEmbed => web::post().to(embeddings::embed),
        Endpoint::ImagesGenerate => web::post().to(images::generate),
        Endpoint::RerankRerank => web::post().to(rerank::rerank),
        Endpoint::PipelinesAdminList => web::get().to(pipelines_admin::list),
        Endpoint::PipelinesAdminAdd => web::post().to(pipelines_admin::add),
        Endpoint::PipelinesAdminUpload => web::post().to(pipelines_admin::upload),
        Endpoint::PipelinesAdminDelete => web::delete().to(pipelines_admin::delete),
        Endpoint::PipelinesAdminLearnedQuirks => web::get().to(pipelines_admin::learned_quirks),
        Endpoint::PipelinesAdminReload => web::post().to(pipelines_admin::reload),
        Endpoint::FiltersInlet => web::post().to(filters::inlet),
        Endpoint::FiltersOutlet => web::post().to(filters::outlet),
        Endpoint::ValvesSpec => web::get().to(valves::spec),
        Endpoint::ValvesUpdate => web::post().to(valves::update),
        Endpoint::ValvesValues => web::get().to(valves::values),
        Endpoint::RagUpdate => web::patch().to(rag::update),
        Endpoint::RagDelete => web::delete().to(rag::delete),
    }
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
            let resource = web::resource(path).default_service(web::to(wrong_method));
            config.service(
                routes
                    .iter()
                    .fold(resource, |resource, route| resource.route(handler(route.endpoint))),
            );
        }
    }
}

/// Answers requests to known paths by other methods.
#[expect(clippy::needless_pass_by_value, reason = "a handler is handed what it takes")]
fn wrong_method(request: HttpRequest) -> Ready<Result<actix_web::HttpResponse, HttpError>> {
    std::future::ready(Err(HttpError::wrong_method(&allowed_methods(request.path()))))
}

pub use authorize::authorize;
pub use cors::cross_origin;
pub use error::HttpError;
pub use request_log::log_request;
pub use trim_path::trim_path;
