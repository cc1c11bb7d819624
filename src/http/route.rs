//! The table of routes, and the route that a path belongs to. The handlers are in `http.rs`.

use actix_web::http::Method;

/// The key that a route requires.
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
    /// The key that it requires.
    pub access: Access,
    /// The handler.
    pub endpoint: Endpoint,
}

/// The handlers, each named after its module and its function: `http.rs` maps one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    AdminOverview,
    AdminPipe,
    ChatComplete,
    CompletionsComplete,
    ConversationsDelete,
    ConversationsDeleteOfUser,
    ConversationsList,
    ConversationsShow,
    EmbeddingsEmbed,
    FiltersInlet,
    FiltersOutlet,
    HealthLive,
    HealthReady,
    ImagesGenerate,
    MessagesCountTokens,
    MessagesCreate,
    MetricsText,
    ModelsList,
    ModelsShow,
    OpenapiShow,
    PageAdmin,
    PageDocs,
    PageDocuments,
    PageStart,
    PageUsage,
    PipelinesAdminAdd,
    PipelinesAdminDelete,
    PipelinesAdminLearnedQuirks,
    PipelinesAdminList,
    PipelinesAdminReload,
    PipelinesAdminUpload,
    RagCollections,
    RagCreate,
    RagDelete,
    RagDocuments,
    RagRemove,
    RagRemoveMany,
    RagSearch,
    RagUpdate,
    RagUploadDocuments,
    RerankRerank,
    ResponsesCompact,
    ResponsesCreate,
    ResponsesInputTokens,
    UsageReport,
    ValvesSpec,
    ValvesUpdate,
    ValvesValues,
}

/// Returns a route that needs no key.
const fn open(method: Method, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, access: Access::Open, endpoint }
}

/// Returns a route that needs a key for models.
const fn models(method: Method, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, access: Access::Models, endpoint }
}

/// Returns a route that needs the admin's key.
const fn admin(method: Method, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, access: Access::Admin, endpoint }
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

/// Every route of the host. Ids may hold `.`, `:` and `/`, so an id takes all of the path that is
/// not its action.
pub const ROUTES: &[Route] = &[
    // Routes are tried in this order, and a pattern with an id takes as long as all of these.
    models(Method::POST, "/chat/completions", Endpoint::ChatComplete),
    models(Method::POST, "/completions", Endpoint::CompletionsComplete),
    models(Method::POST, "/messages", Endpoint::MessagesCreate),
    models(Method::POST, "/messages/count_tokens", Endpoint::MessagesCountTokens),
    models(Method::POST, "/responses", Endpoint::ResponsesCreate),
    open(Method::GET, "/", Endpoint::PageStart),
    open(Method::GET, "/openapi.json", Endpoint::OpenapiShow),
    open(Method::GET, "/docs", Endpoint::PageDocs),
    open(Method::GET, "/health", Endpoint::HealthLive),
    open(Method::GET, "/healthz", Endpoint::HealthLive),
    open(Method::GET, "/health/live", Endpoint::HealthLive),
    open(Method::GET, "/readyz", Endpoint::HealthReady),
    open(Method::GET, "/health/ready", Endpoint::HealthReady),
    open(Method::GET, "/admin/", Endpoint::PageAdmin),
    admin(Method::GET, "/admin", Endpoint::AdminOverview),
    admin(Method::GET, "/admin/pipes/{id}", Endpoint::AdminPipe),
    open(Method::GET, "/usage/", Endpoint::PageUsage),
    admin(Method::GET, "/usage", Endpoint::UsageReport),
    admin(Method::GET, "/metrics", Endpoint::MetricsText),
    open(Method::GET, "/rag/", Endpoint::PageDocuments),
    admin(Method::GET, "/rag", Endpoint::RagCollections),
    admin(Method::POST, "/rag", Endpoint::RagCreate),
    models(Method::POST, "/rag/{collection:[^/]+}/search", Endpoint::RagSearch),
    admin(Method::GET, "/rag/{collection:[^/]+}/documents", Endpoint::RagDocuments),
    admin(Method::POST, "/rag/{collection:[^/]+}/documents", Endpoint::RagUploadDocuments),
    admin(Method::DELETE, "/rag/{collection:[^/]+}/documents", Endpoint::RagRemoveMany),
    admin(Method::DELETE, "/rag/{collection:[^/]+}/documents/{document:.+}", Endpoint::RagRemove),
    models(Method::GET, "/models", Endpoint::ModelsList),
    models(Method::GET, "/models/{id:.+}", Endpoint::ModelsShow),
    models(Method::POST, "/responses/input_tokens", Endpoint::ResponsesInputTokens),
    models(Method::POST, "/responses/compact", Endpoint::ResponsesCompact),
    models(Method::GET, "/conversations", Endpoint::ConversationsList),
    models(Method::DELETE, "/conversations", Endpoint::ConversationsDeleteOfUser),
    models(Method::GET, "/conversations/{id:.+}", Endpoint::ConversationsShow),
    models(Method::DELETE, "/conversations/{id:.+}", Endpoint::ConversationsDelete),
    models(Method::POST, "/embeddings", Endpoint::EmbeddingsEmbed),
    models(Method::POST, "/images/generations", Endpoint::ImagesGenerate),
    models(Method::POST, "/rerank", Endpoint::RerankRerank),
    admin(Method::GET, "/pipelines", Endpoint::PipelinesAdminList),
    admin(Method::POST, "/pipelines/add", Endpoint::PipelinesAdminAdd),
    admin(Method::POST, "/pipelines/upload", Endpoint::PipelinesAdminUpload),
    admin(Method::DELETE, "/pipelines/delete", Endpoint::PipelinesAdminDelete),
    admin(Method::GET, "/pipelines/{id}/lessons", Endpoint::PipelinesAdminLearnedQuirks),
    admin(Method::POST, "/pipelines/reload", Endpoint::PipelinesAdminReload),
    admin(Method::POST, "/{id:.+}/filter/inlet", Endpoint::FiltersInlet),
    admin(Method::POST, "/{id:.+}/filter/outlet", Endpoint::FiltersOutlet),
    admin(Method::GET, "/{id:.+}/valves/spec", Endpoint::ValvesSpec),
    admin(Method::POST, "/{id:.+}/valves/update", Endpoint::ValvesUpdate),
    admin(Method::GET, "/{id:.+}/valves", Endpoint::ValvesValues),
    // After those of the pipe of that name.
    admin(Method::PATCH, "/rag/{collection:[^/]+}", Endpoint::RagUpdate),
    admin(Method::DELETE, "/rag/{collection:[^/]+}", Endpoint::RagDelete),
];

/// The prefixes that routes also have: the second is the one that clients of API gateways add.
pub const PREFIXES: [&str; 2] = ["/v1", "/api/v1"];

/// Returns the path without its prefix, as in the table of routes.
pub fn strip_route_prefix(path: &str) -> &str {
    let within = |prefix: &&str| match path.strip_prefix(prefix) {
        Some("") => Some("/"),
        rest => rest.filter(|rest| rest.starts_with('/')),
    };
    PREFIXES.iter().find_map(within).unwrap_or(path)
}

/// Returns the routes of this path: all of those that share the pattern of the first match.
pub fn routes_at(path: &str) -> impl Iterator<Item = &'static Route> {
    let first = ROUTES.iter().find(|route| route.matches(strip_route_prefix(path)));
    let path = first.map(|route| route.path);
    ROUTES.iter().filter(move |route| Some(route.path) == path)
}

/// Returns the methods of this path, for the `Allow` header.
pub fn allowed_methods(path: &str) -> String {
    let all = routes_at(path).map(|route| match route.method {
        Method::GET => "GET, HEAD",
        _ => route.method.as_str(),
    });
    all.collect::<Vec<_>>().join(", ")
}
