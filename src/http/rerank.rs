//! Reranking: returns the documents that answer a question best, in the format of Cohere and Jina.

use super::{
    error::HttpError,
    field_error::field_error,
    json::{Json, JsonBody},
    request_context::RequestContext,
    shape::{MAX_INTEGER, Shape, USER},
    unary,
};
use actix_web::{HttpResponse, http::StatusCode};
use pipe_sdk::{Demand, RerankCall, Reranked, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::num::NonZeroUsize;

/// The body of a request for reranking.
#[derive(Deserialize)]
pub struct RerankBody {
    model: String,
    query: String,
    documents: Vec<RerankDocument>,
    top_n: Option<NonZeroUsize>,
    return_documents: Option<bool>,
    user: Option<Value>,
}

/// A document: a text, or an object with a text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or an object with a `text`")]
enum RerankDocument {
    Plain(String),
    Object { text: String },
}

/// The body of a response to `POST /rerank`.
#[derive(Serialize)]
struct RerankResponse {
    id: String,
    model: String,
    results: Vec<RankedDocument>,
    usage: unary::Usage,
}

/// A document's index and score.
#[derive(Serialize)]
struct RankedDocument {
    index: usize,
    relevance_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<DocumentText>,
}

/// The text of a document.
#[derive(Serialize)]
struct DocumentText {
    text: String,
}

impl JsonBody for RerankBody {
    const LIMIT: usize = 16 << 20;
    const SHAPE: &'static Shape = &Shape::Object(
        &[
            ("model", &Shape::Text),
            ("query", &Shape::Text),
            ("documents", &Shape::List("documents", &DOCUMENT)),
            ("top_n", &Shape::Whole(1.0, MAX_INTEGER)),
            ("return_documents", &Shape::Flag),
            ("rank_fields", &Shape::List("texts", &Shape::Text)),
            ("max_chunks_per_doc", &Shape::Whole(1.0, MAX_INTEGER)),
            ("max_tokens_per_doc", &Shape::Whole(1.0, MAX_INTEGER)),
            ("user", &USER),
        ],
        &[("", "model"), ("", "query"), ("", "documents")],
    );
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

const DOCUMENT: Shape =
    Shape::AnyOf(&[Shape::Text, Shape::Object(&[("text", &Shape::Text)], &[("", "text")])]);

/// `POST /rerank`.
pub async fn rerank(
    context: RequestContext,
    body: Json<RerankBody>,
) -> Result<HttpResponse, HttpError> {
    let Json(RerankBody { model, query, documents, top_n, return_documents, user }) = body;
    let documents: Vec<_> = documents.into_iter().map(RerankDocument::text).collect();
    check_input(&query, &documents)?;
    let top_n = top_n.map(NonZeroUsize::get);
    let call = RerankCall { top_n, ..RerankCall::new(&model, query, documents.clone()) };
    let model_call = unary::admit_model(&context, user, &model, Demand::rerank(&call)).await?;
    let Reranked { ranks, prompt_tokens } = context.or_shutdown(model_call.rerank(call)).await?;
    let usage = unary::record_prompt_tokens(&context.request_log, prompt_tokens);
    let shown = return_documents.unwrap_or_default();
    let document = |index: usize| documents.get(index).filter(|_| shown).cloned();
    let item = |rank: pipe_sdk::Rank| RankedDocument {
        index: rank.index,
        relevance_score: rank.score,
        document: document(rank.index).map(|text| DocumentText { text }),
    };
    let results = ranks.into_iter().map(item).collect();
    let id = format!("rerank-{}", uuid::Uuid::new_v4().simple());
    Ok(HttpResponse::Ok().json(RerankResponse { id, model, results, usage }))
}

fn check_input(query: &str, documents: &[String]) -> Result<()> {
    if query.is_empty() {
        return Err(field_error("query", "must not be empty"));
    }
    if documents.is_empty() {
        return Err(field_error("documents", "send at least one document"));
    }
    match documents.iter().position(String::is_empty) {
        Some(place) => Err(field_error(&format!("documents[{place}]"), "must not be empty")),
        None => Ok(()),
    }
}

impl RerankDocument {
    /// Returns the text of the document.
    fn text(self) -> String {
        match self {
            Self::Plain(text) | Self::Object { text } => text,
        }
    }
}
