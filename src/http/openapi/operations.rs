//! The operations: one for each route, with what it takes and answers.

use crate::http::{
    completions::Request as CompletionRequest,
    embeddings::EmbeddingsBody,
    filters::FilterRequest,
    images::ImagesBody,
    json::JsonBody,
    messages::Request as MessagesRequest,
    pipelines_admin::{Add, Delete},
    rag::{NewCollection, Removal, SearchBody},
    rerank::RerankBody,
    responses::Request as ResponsesRequest,
    shape::{Shape, rag},
};
use crate::valves::Values;
use pipe_sdk::{Body as ChatBody, library::CollectionUpdate};

/// The tags with their descriptions, in the order of the document.
pub const TAGS: &[(&str, &str)] = &[
    ("Models", "What clients of OpenAI's and Anthropic's APIs call."),
    ("Conversations", "Chats that the host remembers."),
    ("Documents", "The collections that chats are answered from."),
    ("Usage", "What was asked, and what it cost."),
    ("Pipelines", "What Open WebUI calls of a Pipelines server."),
    ("Host", "Health, metrics, pages."),
];

/// One operation.
pub struct Operation {
    pub method: &'static str,
    /// The path as in the table of routes.
    pub path: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    /// The parameters of the query: name, schema as JSON, description.
    pub query: &'static [(&'static str, &'static str, &'static str)],
    pub body: Option<Body>,
    pub success: &'static [Success],
    /// The statuses of errors beside those that its access and body bring.
    pub errors: &'static [u16],
    /// The schema of errors with this status, if it is not the usual one.
    pub error_schema: Option<(u16, &'static str)>,
}

/// The body of a request.
pub enum Body {
    /// JSON of this shape.
    Json { name: &'static str, shape: &'static Shape },
    /// JSON of one of these shapes, or a form with a file and these texts.
    JsonOrForm { shapes: &'static [&'static Shape], form: &'static [&'static str] },
    /// A form with a file and these texts.
    Form { form: &'static [&'static str] },
}

/// A response that is no error: the media types with the names of their schemas.
pub struct Success {
    pub status: u16,
    pub description: &'static str,
    pub content: &'static [(&'static str, &'static str)],
}

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const SSE: &str = "text/event-stream";

/// The errors of models, and of all that calls them.
const OF_MODELS: &[u16] = &[400, 403, 404, 409, 422, 500, 502, 503, 504, 508];

macro_rules! ok {
    ($schema:literal) => {
        &[Success { status: 200, description: "Done.", content: &[(JSON, $schema)] }]
    };
    ($schema:literal, stream) => {
        &[Success {
            status: 200,
            description: "The answer; events with `stream`.",
            content: &[(JSON, $schema), (SSE, "")],
        }]
    };
}

const PAGE: &[Success] =
    &[Success { status: 200, description: "A page for browsers.", content: &[(HTML, "")] }];
const NO_CONTENT: &[Success] = &[Success { status: 204, description: "Done.", content: &[] }];

/// Describes an operation on a path.
const fn on(
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    success: &'static [Success],
) -> Operation {
    Operation {
        method,
        path,
        tag,
        summary,
        query: &[],
        body: None,
        success,
        errors: &[],
        error_schema: None,
    }
}

impl Operation {
    /// Adds a JSON body, whose schema has this name.
    const fn json<T: JsonBody>(self, name: &'static str) -> Self {
        Self { body: Some(Body::Json { name, shape: T::SHAPE }), ..self }
    }

    const fn body(self, body: Body) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Adds query parameters: name, type and description.
    const fn query(self, query: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    /// Adds the statuses of errors.
    const fn errors(self, errors: &'static [u16]) -> Self {
        Self { errors, ..self }
    }

    const fn error_schema(self, status: u16, schema: &'static str) -> Self {
        Self { error_schema: Some((status, schema)), ..self }
    }
}

const TEXT: &str = r#"{"type": "string"}"#;
const DAY: &str = r#"{"type": "string", "format": "date"}"#;
const USER: (&str, &str, &str) = (
    "user",
    TEXT,
    "The user whose conversations they are; only the host's own key may name another one.",
);

/// The shapes of documents in JSON: one, or several.
const UPLOADS: &[&Shape] = &[&rag::DOCUMENT, &rag::DOCUMENTS];

/// All operations.
pub const OPERATIONS: &[Operation] = &[
    on("GET", "/", "Host", "Says that there is a Pipelines server; the start page for browsers.", &[Success {
        status: 200,
        description: "The page, if `Accept` names HTML.",
        content: &[(JSON, "Status"), (HTML, "")],
    }]),
    on("GET", "/openapi.json", "Host", "Describes every route.", ok!("OpenApi")),
    on("GET", "/docs", "Host", "Shows the description of every route.", PAGE),
    on("GET", "/health", "Host", "Says that the process serves.", ok!("Status")),
    on("GET", "/healthz", "Host", "Says that the process serves.", ok!("Status")),
    on("GET", "/health/live", "Host", "Says that the process serves.", ok!("Status")),
    on("GET", "/readyz", "Host", "Says whether new work is welcome.", ok!("Ready")).errors(&[503]).error_schema(503, "Ready"),
    on("GET", "/health/ready", "Host", "Says whether new work is welcome.", ok!("Ready")).errors(&[503]).error_schema(503, "Ready"),
    on("GET", "/admin/", "Host", "Shows the admin page.", PAGE),
    on("GET", "/admin", "Host", "Returns the host, its pipes, upstreams and failed requests.", ok!("AdminOverview")),
    on("GET", "/admin/pipes/{id}", "Host", "Returns a pipe with its valves and where their values come from.", ok!("AdminPipe")).errors(&[404]),
    on("GET", "/metrics", "Host", "Returns the metrics as OpenMetrics.", &[Success {
        status: 200,
        description: "OpenMetrics' text format.",
        content: &[("application/openmetrics-text", "")],
    }]),
    on("GET", "/usage/", "Usage", "Shows the usage page.", PAGE),
    on("GET", "/usage", "Usage", "Returns requests, tokens and costs.", &[Success {
        status: 200,
        description: "The report.",
        content: &[(JSON, "UsageReport"), ("text/csv", "")],
    }])
    .query(&[
        ("from", DAY, "The first day (UTC); 29 days before the last one by default."),
        ("to", DAY, "The last day (UTC); today by default."),
        ("by", TEXT, "What has rows of its own, with commas between: `day`, `user`, `key`, `model`, `pipe`, `side`, `task`, `kind`."),
        ("format", r#"{"enum": ["json", "csv"]}"#, "The format."),
        ("limit", r#"{"type": "integer", "minimum": 0, "maximum": 4294967295}"#, "The maximum number of rows."),
        ("user", TEXT, "Only this user; likewise `key`, `model`, `pipe`, `side`, `task` and `kind`."),
    ])
    .errors(&[400, 503]),
    on("GET", "/rag/", "Documents", "Shows the page of documents.", PAGE),
    on("GET", "/rag", "Documents", "Lists the collections.", ok!("Collections")).errors(&[503]),
    on("POST", "/rag", "Documents", "Creates a collection.", &[Success { status: 201, description: "Created.", content: &[(JSON, "Collection")] }])
        .json::<NewCollection>("NewCollection")
        .errors(&[409, 422, 503]),
    on("PATCH", "/rag/{collection:[^/]+}", "Documents", "Changes settings of a collection.", ok!("Collection"))
        .json::<CollectionUpdate>("CollectionUpdate")
        .errors(&[404, 409, 422, 503]),
    on("DELETE", "/rag/{collection:[^/]+}", "Documents", "Deletes a collection with its documents.", NO_CONTENT).errors(&[400, 404, 503]),
    on("POST", "/rag/{collection:[^/]+}/search", "Documents", "Searches a collection.", ok!("SearchResults"))
        .json::<SearchBody>("SearchRequest")
        .errors(OF_MODELS),
    on("GET", "/rag/{collection:[^/]+}/documents", "Documents", "Lists the documents of a collection.", ok!("Documents"))
        .query(&[
            ("after", TEXT, "Goes on after the document with this id."),
            ("limit", r#"{"type": "integer", "minimum": 1, "maximum": 1000}"#, "The maximum number of documents."),
        ])
        .errors(&[400, 404, 503]),
    on("POST", "/rag/{collection:[^/]+}/documents", "Documents", "Stores documents, and creates the collection if need be.", ok!("Ingested"))
        .query(&[("wait", r#"{"type": "boolean"}"#, "Answers when searches by meaning find them too.")])
        .body(Body::JsonOrForm { shapes: UPLOADS, form: &["id", "title", "url", "audience"] })
        .errors(&[404, 409, 422, 503])
        .error_schema(422, "IngestedOrError"),
    on("DELETE", "/rag/{collection:[^/]+}/documents", "Documents", "Removes several documents.", ok!("Removed"))
        .json::<Removal>("Removal")
        .errors(&[404, 503]),
    on("DELETE", "/rag/{collection:[^/]+}/documents/{document:.+}", "Documents", "Removes a document.", NO_CONTENT).errors(&[400, 404, 503]),
    on("GET", "/models", "Models", "Lists the models.", ok!("ModelsOfEitherApi"))
        .query(&[("type", r#"{"enum": ["all", "chat", "image", "embedding", "rerank"]}"#, "Only models that do this.")])
        .errors(&[400]),
    on("GET", "/models/{id:.+}", "Models", "Returns a model.", ok!("ModelOfEitherApi")).errors(&[400, 404, 503]),
    on("POST", "/chat/completions", "Models", "Answers a chat.", ok!("ChatCompletion", stream)).json::<ChatBody>("ChatRequest").errors(OF_MODELS),
    on("POST", "/completions", "Models", "Completes a prompt.", ok!("Completion", stream)).json::<CompletionRequest>("CompletionRequest").errors(OF_MODELS),
    on("POST", "/messages", "Models", "Answers a chat of Anthropic's API.", ok!("Message", stream)).json::<MessagesRequest>("MessagesRequest").errors(OF_MODELS),
    on("POST", "/messages/count_tokens", "Models", "Counts the tokens of a chat of Anthropic's API.", ok!("TokenCount")).json::<MessagesRequest>("MessagesRequest").errors(OF_MODELS),
    on("POST", "/responses", "Models", "Answers a request of OpenAI's Responses API.", ok!("Response", stream)).json::<ResponsesRequest>("ResponsesRequest").errors(OF_MODELS),
    on("POST", "/responses/input_tokens", "Models", "Counts the tokens of a request of OpenAI's Responses API.", ok!("TokenCount"))
        .json::<ResponsesRequest>("ResponsesRequest")
        .errors(OF_MODELS),
    on("POST", "/responses/compact", "Models", "Summarizes a conversation.", ok!("Response", stream)).json::<ResponsesRequest>("ResponsesRequest").errors(OF_MODELS),
    on("POST", "/embeddings", "Models", "Embeds texts.", ok!("Embeddings")).json::<EmbeddingsBody>("EmbeddingsRequest").errors(OF_MODELS),
    on("POST", "/images/generations", "Models", "Makes pictures.", ok!("Images")).json::<ImagesBody>("ImagesRequest").errors(OF_MODELS),
    on("POST", "/rerank", "Models", "Ranks documents by a question.", ok!("Reranked")).json::<RerankBody>("RerankRequest").errors(OF_MODELS),
    on("GET", "/conversations", "Conversations", "Lists conversations.", ok!("Conversations"))
        .query(&[
            USER,
            ("after", TEXT, "Goes on after the conversation with this id."),
            ("after_user", TEXT, "The user of that conversation."),
            ("limit", r#"{"type": "integer", "minimum": 1, "maximum": 100}"#, "The maximum number of conversations."),
        ])
        .errors(&[400, 403, 503]),
    on("DELETE", "/conversations", "Conversations", "Deletes all conversations of a user.", ok!("ConversationDeleted")).query(&[USER]).errors(&[400, 403, 503]),
    on("GET", "/conversations/{id:.+}", "Conversations", "Returns a conversation.", ok!("Conversation")).query(&[USER]).errors(&[400, 403, 404, 503]),
    on("DELETE", "/conversations/{id:.+}", "Conversations", "Deletes a conversation.", ok!("ConversationDeleted")).query(&[USER]).errors(&[400, 403, 404, 503]),
    on("GET", "/pipelines", "Pipelines", "Lists the pipes.", ok!("Pipelines")),
    on("POST", "/pipelines/add", "Pipelines", "Downloads a Python pipeline.", ok!("PipelineAdded")).json::<Add>("PipelineToAdd").errors(&[403, 409, 422, 500, 502, 503, 504]),
    on("POST", "/pipelines/upload", "Pipelines", "Takes a Python pipeline.", ok!("PipelineAdded")).body(Body::Form { form: &[] }).errors(&[409, 422, 500, 503, 504]),
    on("DELETE", "/pipelines/delete", "Pipelines", "Deletes a Python pipeline.", ok!("PipelineDeleted")).json::<Delete>("PipelineToDelete").errors(&[404, 409, 422]),
    on("GET", "/pipelines/{id}/lessons", "Pipelines", "Returns what a pipe has learned of its models.", ok!("LearnedQuirks")).errors(&[404]),
    on("POST", "/pipelines/reload", "Pipelines", "Reads files and saved valves again.", ok!("PipelinesReloaded")).errors(&[422, 500, 503]),
    on("GET", "/{id:.+}/valves/spec", "Pipelines", "Returns the form of a pipe's valves.", ok!("ValvesSpec"))
        .query(&[("advanced", r#"{"type": "boolean"}"#, "All valves, even if the short form is set.")])
        .errors(&[404]),
    on("GET", "/{id:.+}/valves", "Pipelines", "Returns the values of a pipe's valves.", ok!("Valves")).errors(&[404]),
    on("POST", "/{id:.+}/valves/update", "Pipelines", "Sets valves of a pipe; those that are not named stay.", ok!("Valves"))
        .json::<Values>("ValvesUpdate")
        .errors(&[404, 409, 422, 500, 502, 503, 504]),
    on("POST", "/{id:.+}/filter/inlet", "Pipelines", "Filters a chat before its model.", ok!("FilterBody")).json::<FilterRequest>("FilterRequest").errors(OF_MODELS),
    on("POST", "/{id:.+}/filter/outlet", "Pipelines", "Filters a chat after its model.", ok!("FilterBody")).json::<FilterRequest>("FilterRequest").errors(OF_MODELS),
];
