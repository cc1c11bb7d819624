//! The management of the documents that chats are answered from, and search in them.

mod reader;
mod upload;

pub use upload::upload_documents;

use super::{
    error::HttpError,
    json::{Json, JsonBody},
    request_context::RequestContext,
    shape::{self, Shape},
    state::HostState,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Path},
};
use pipe_sdk::{
    PipeError,
    library::{CollectionUpdate, Library, Search},
};
use reader::OnBehalfOf;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The maximum number of documents in one page of a listing.
const MAX_LISTED: usize = 1000;

/// Returns the library of the pipe that has one.
fn library(state: &HostState) -> Result<Arc<dyn Library>, HttpError> {
    library_with_pipe(state).map(|(_, library)| library)
}

/// Returns the library with the id of its pipe.
fn library_with_pipe(state: &HostState) -> Result<(&'static str, Arc<dyn Library>), HttpError> {
    state.registry.library_with_pipe().ok_or_else(|| {
        let message = "no pipe that answers from documents is running: the log says why".into();
        PipeError::Unavailable { message, retry_after: None }.into()
    })
}

/// `GET /rag`.
pub async fn collections(state: web::Data<HostState>) -> Result<HttpResponse, HttpError> {
    let collections = library(&state)?.collections().await?;
    Ok(HttpResponse::Ok().json(json!({"collections": collections})))
}

/// The body that creates a collection.
#[derive(Deserialize)]
pub struct NewCollection {
    name: String,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

impl JsonBody for NewCollection {
    const LIMIT: usize = 1 << 20;
    const SHAPE: &'static Shape = &shape::rag::COLLECTION;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

impl JsonBody for CollectionUpdate {
    const LIMIT: usize = 1 << 20;
    const SHAPE: &'static Shape = &shape::rag::RULES;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

/// `POST /rag`.
pub async fn create(
    state: web::Data<HostState>,
    body: Json<NewCollection>,
) -> Result<HttpResponse, HttpError> {
    let Json(NewCollection { name, settings }) = body;
    let settings = serde_path_to_error::deserialize(Value::Object(settings)).map_err(|error| {
        let field = error.path().to_string();
        PipeError::bad_field(&field, format!("{field}: {}", error.inner()))
    })?;
    Ok(HttpResponse::Created().json(library(&state)?.create(name, settings).await?))
}

/// `PATCH /rag/{collection}`.
pub async fn update(
    state: web::Data<HostState>,
    name: Path<String>,
    Json(settings): Json<CollectionUpdate>,
) -> Result<HttpResponse, HttpError> {
    Ok(HttpResponse::Ok().json(library(&state)?.update(name.into_inner(), settings).await?))
}

/// `DELETE /rag/{collection}`.
pub async fn delete(
    state: web::Data<HostState>,
    name: Path<String>,
) -> Result<HttpResponse, HttpError> {
    library(&state)?.delete(name.into_inner()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /rag/{collection}/documents?after=…&limit=…`.
pub async fn documents(
    state: web::Data<HostState>,
    name: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let (mut after, mut limit) = (String::new(), MAX_LISTED);
    for (key, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        match key.as_ref() {
            "after" => after = value.into_owned(),
            "limit" => {
                let valid = value.parse().ok().filter(|limit| (1..=MAX_LISTED).contains(limit));
                limit = valid.ok_or_else(|| {
                    PipeError::bad_field("limit", format!("limit: must be from 1 to {MAX_LISTED}"))
                })?;
            }
            key => {
                let message = format!("{key}: is not known here: send `after` or `limit`");
                return Err(PipeError::bad_field(key, message).into());
            }
        }
    }
    let documents = library(&state)?.documents(name.into_inner(), after, limit).await?;
    // The next page begins after the last document.
    let next = (documents.len() == limit).then(|| documents.last().map(|last| last.id.clone()));
    Ok(HttpResponse::Ok().json(json!({"documents": documents, "next": next.flatten()})))
}

/// `DELETE /rag/{collection}/documents/{id}`.
pub async fn remove(
    state: web::Data<HostState>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, HttpError> {
    let (collection, id) = path.into_inner();
    match library(&state)?.remove(collection, vec![id.clone()]).await? {
        0 => Err(HttpError::new(StatusCode::NOT_FOUND, format!("there is no document `{id}`"))),
        _ => Ok(HttpResponse::NoContent().finish()),
    }
}

/// The body that removes documents.
#[derive(Deserialize)]
pub struct Removal {
    ids: Vec<String>,
}

impl JsonBody for Removal {
    const LIMIT: usize = 4 << 20;
    const SHAPE: &'static Shape = &shape::rag::REMOVAL;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

/// `DELETE /rag/{collection}/documents`: removes the named documents; those that are not there are
/// passed over.
pub async fn remove_many(
    state: web::Data<HostState>,
    collection: Path<String>,
    Json(Removal { ids }): Json<Removal>,
) -> Result<HttpResponse, HttpError> {
    if ids.len() > MAX_LISTED {
        let message = format!("ids: may hold {MAX_LISTED} ids at most");
        return Err(PipeError::bad_field("ids", message).into());
    }
    let removed = library(&state)?.remove(collection.into_inner(), ids).await?;
    Ok(HttpResponse::Ok().json(json!({"removed": removed})))
}

/// The body of a search.
#[derive(Deserialize)]
pub struct SearchBody {
    query: String,
    #[serde(default)]
    top_k: Option<usize>,
    #[serde(flatten)]
    on_behalf_of: OnBehalfOf,
}

impl JsonBody for SearchBody {
    const LIMIT: usize = 1 << 20;
    const SHAPE: &'static Shape = &shape::rag::SEARCH;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

/// `POST /rag/{collection}/search`.
pub async fn search(
    context: RequestContext,
    collection: Path<String>,
    body: Json<SearchBody>,
) -> Result<HttpResponse, HttpError> {
    let Json(SearchBody { query, top_k, on_behalf_of }) = body;
    let (id, library) = library_with_pipe(&context.state)?;
    let (reader, host) = on_behalf_of.admit(&context, id).await?;
    let search = Search { collection: collection.into_inner(), query, reader, top_k };
    let found = context.or_shutdown(library.search(search, host)).await?;
    Ok(HttpResponse::Ok().json(found))
}
