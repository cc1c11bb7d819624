//! The documents that chats are answered from, for those who keep them.

mod reader;
mod upload;

pub use upload::put;

use super::{
    Error, State,
    json::{Json, JsonBody},
    request_context::RequestContext,
    shape::{self, Shape},
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

/// The most documents that are listed at once.
const LISTED: usize = 1000;

/// The library of the pipe that has one.
fn library(state: &State) -> Result<Arc<dyn Library>, Error> {
    library_with_pipe(state).map(|(_, library)| library)
}

/// The same, and the id of the pipe.
fn library_with_pipe(state: &State) -> Result<(&'static str, Arc<dyn Library>), Error> {
    state.registry.library_with_pipe().ok_or_else(|| {
        let message = "no pipe that answers from documents is running: the log says why".into();
        PipeError::Unavailable { message, retry_after: None }.into()
    })
}

/// `GET /rag/`.
pub async fn page() -> HttpResponse {
    super::page::page(include_str!("rag/page.html"))
}

/// `GET /rag`.
pub async fn collections(state: web::Data<State>) -> Result<HttpResponse, Error> {
    let collections = library(&state)?.collections().await?;
    Ok(HttpResponse::Ok().json(json!({"collections": collections})))
}

/// A collection to be made.
#[derive(Deserialize)]
pub struct NewCollection {
    name: String,
    #[serde(flatten)]
    rules: Map<String, Value>,
}

impl JsonBody for NewCollection {
    const LIMIT: usize = 1 << 20;
    const SHAPE: &'static Shape = &shape::rag::COLLECTION;
    const MISFIT: StatusCode = StatusCode::BAD_REQUEST;
}

impl JsonBody for CollectionUpdate {
    const LIMIT: usize = 1 << 20;
    const SHAPE: &'static Shape = &shape::rag::RULES;
    const MISFIT: StatusCode = StatusCode::BAD_REQUEST;
}

/// `POST /rag`.
pub async fn create(
    state: web::Data<State>,
    body: Json<NewCollection>,
) -> Result<HttpResponse, Error> {
    let Json(NewCollection { name, rules }) = body;
    let rules = serde_path_to_error::deserialize(Value::Object(rules)).map_err(|error| {
        let field = error.path().to_string();
        PipeError::bad_field(&field, format!("{field}: {}", error.inner()))
    })?;
    Ok(HttpResponse::Created().json(library(&state)?.create(name, rules).await?))
}

/// `PATCH /rag/{collection}`.
pub async fn change(
    state: web::Data<State>,
    name: Path<String>,
    Json(rules): Json<CollectionUpdate>,
) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::Ok().json(library(&state)?.change(name.into_inner(), rules).await?))
}

/// `DELETE /rag/{collection}`.
pub async fn forget(state: web::Data<State>, name: Path<String>) -> Result<HttpResponse, Error> {
    library(&state)?.forget(name.into_inner()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /rag/{collection}/documents?after=…&limit=…`.
pub async fn documents(
    state: web::Data<State>,
    name: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let (mut after, mut limit) = (String::new(), LISTED);
    for (key, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        match key.as_ref() {
            "after" => after = value.into_owned(),
            "limit" => {
                let most = value.parse().ok().filter(|most| (1..=LISTED).contains(most));
                limit = most.ok_or_else(|| {
                    PipeError::bad_field("limit", format!("limit: must be from 1 to {LISTED}"))
                })?;
            }
            key => {
                let message = format!("{key}: is not known here: send `after` or `limit`");
                return Err(PipeError::bad_field(key, message).into());
            }
        }
    }
    let documents = library(&state)?.documents(name.into_inner(), after, limit).await?;
    // Whoever wants the rest asks after the last one.
    let next = (documents.len() == limit).then(|| documents.last().map(|last| last.id.clone()));
    Ok(HttpResponse::Ok().json(json!({"documents": documents, "next": next.flatten()})))
}

/// `DELETE /rag/{collection}/documents/{id}`.
pub async fn remove(
    state: web::Data<State>,
    place: Path<(String, String)>,
) -> Result<HttpResponse, Error> {
    let (collection, id) = place.into_inner();
    match library(&state)?.remove(collection, vec![id.clone()]).await? {
        0 => Err(Error::new(StatusCode::NOT_FOUND, format!("there is no document `{id}`"))),
        _ => Ok(HttpResponse::NoContent().finish()),
    }
}

/// What is looked for.
#[derive(Deserialize)]
pub struct SearchBody {
    query: String,
    #[serde(default)]
    top_k: Option<usize>,
    #[serde(flatten)]
    said: OnBehalfOf,
}

impl JsonBody for SearchBody {
    const LIMIT: usize = 1 << 20;
    const SHAPE: &'static Shape = &shape::rag::SEARCH;
    const MISFIT: StatusCode = StatusCode::BAD_REQUEST;
}

/// `POST /rag/{collection}/search`.
pub async fn search(
    context: RequestContext,
    collection: Path<String>,
    body: Json<SearchBody>,
) -> Result<HttpResponse, Error> {
    let Json(SearchBody { query, top_k, said }) = body;
    let (id, library) = library_with_pipe(&context.state)?;
    let (reader, host) = said.admit(&context, id).await?;
    let search = Search { collection: collection.into_inner(), query, reader, top_k };
    let found = context.or_shutdown(library.search(search, host)).await?;
    Ok(HttpResponse::Ok().json(found))
}
