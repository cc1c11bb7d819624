//! The admin routes of Open WebUI's Pipelines protocol. Pipes that are compiled in cannot be added
//! or deleted; Python files can, where Python pipelines are on.

use super::{
    bodies::{BodyLimit, Received, read_body},
    error::HttpError,
    json::{Json, JsonBody},
    shape::Shape,
    state::HostState,
};
use crate::python::{MAX_FILE_BYTES, PythonPipelines};
use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use futures_util::stream;
use multer::Multipart;
use pipe_sdk::{PipeError, Serves};
use serde::Deserialize;
use serde_json::json;
use std::io;

/// The longest part of a problem that is appended to the name of a pipe, in characters.
const MAX_PROBLEM_CHARS: usize = 80;

/// `GET /pipelines`: the pipe whose valves were saved last, or that was added last, comes first,
/// because Open WebUI's page returns to the first one then.
pub async fn list(state: web::Data<HostState>) -> HttpResponse {
    let mut slots = state.registry.slots().to_vec();
    slots.sort_by_key(|slot| state.valve_saves.rank(slot.id()));
    let data: Vec<_> = slots
        .iter()
        .map(|slot| {
            let (serves, problem) = (slot.serves(), slot.health_problem());
            let kind = serves.as_ref().map_or("pipe", Serves::kind);
            let mut entry =
                json!({"id": slot.id(), "name": slot.name(), "type": kind, "valves": true});
            if let Some(problem) = problem {
                if serves.is_none() {
                    // The page shows the name alone.
                    let why: String = problem.chars().take(MAX_PROBLEM_CHARS).collect();
                    entry["name"] = format!("{} · not running: {why}", slot.name()).into();
                }
                entry["problem"] = problem.into();
            }
            entry
        })
        .collect();
    HttpResponse::Ok().json(json!({"data": data}))
}

/// `GET /pipelines/{id}/lessons`.
pub async fn learned_quirks(
    state: web::Data<HostState>,
    id: web::Path<String>,
) -> Result<HttpResponse, HttpError> {
    let not_found = || HttpError::new(StatusCode::NOT_FOUND, format!("Pipeline {id} not found"));
    let slot = state.registry.slot(&id).ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().json(json!({"data": slot.learned_quirks()})))
}

const NO_PYTHON: &str = "Python pipelines are off here: set PYTHON_PIPELINES=on to run them, run the file on a Python Pipelines \
                         server and add that as a connection of its own, or write the pipe in Rust";

/// Returns the Python pipelines, or the error of a host without them.
fn python(state: &HostState) -> Result<&PythonPipelines, HttpError> {
    state.python.as_ref().ok_or_else(|| HttpError::new(StatusCode::CONFLICT, NO_PYTHON))
}

/// Returns the response of a file that runs now.
fn respond_added(id: &str, detail: &str) -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": true, "id": id, "detail": detail}))
}

/// The body of `POST /pipelines/add`.
#[derive(Deserialize)]
pub struct Add {
    url: String,
}

impl JsonBody for Add {
    const LIMIT: usize = 64 << 10;
    const SHAPE: &'static Shape = &Shape::Object(&[("url", &Shape::Text)], &[("", "url")]);
}

/// `POST /pipelines/add`: downloads a Python file, and answers when it runs.
pub async fn add(
    state: web::Data<HostState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, HttpError> {
    let python = python(&state)?;
    let Json(Add { url }) = Json::from_request(&request, &mut payload.into_inner()).await?;
    let id = log_refusal(python.install_from_url(&url).await)?;
    state.valve_saves.record(id, None);
    Ok(respond_added(id, "Pipeline added successfully"))
}

/// `POST /pipelines/upload`: takes a Python file from a form, and answers when it runs.
pub async fn upload(
    state: web::Data<HostState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, HttpError> {
    let limit = BodyLimit { bytes: MAX_FILE_BYTES + (64 << 10), pieces: None };
    // It is read even if it is refused, so that the client gets to see the response.
    let (sender, payload) = (state.identify_sender(&request), payload.into_inner());
    let body = read_body(&state.memory_budget, sender, payload, None, limit).await?;
    let Received { bytes, share: _share } = body;
    let python = python(&state)?;
    let (file_name, content) = read_form(request.headers(), bytes.into()).await?;
    let id = log_refusal(python.install(&file_name, content).await)?;
    state.valve_saves.record(id, None);
    Ok(respond_added(id, &format!("Pipeline uploaded successfully to {file_name}")))
}

/// Returns the name and content of the field `file`.
async fn read_form(headers: &HeaderMap, body: web::Bytes) -> Result<(String, Vec<u8>), HttpError> {
    let missing = || {
        let message =
            "file: send a Python file as the field `file` of a `multipart/form-data` form";
        HttpError::from(PipeError::bad_field("file", message))
    };
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary =
        multer::parse_boundary(content_type.unwrap_or_default()).map_err(|_| missing())?;
    let mut form = Multipart::new(stream::iter([Ok::<_, io::Error>(body)]), boundary);
    while let Some(field) = form.next_field().await.map_err(|_| missing())? {
        if field.name() == Some("file") {
            let file_name = field.file_name().unwrap_or_default().to_owned();
            let content = field.bytes().await.map_err(|_| missing())?;
            return Ok((file_name, content.to_vec()));
        }
    }
    Err(missing())
}

/// Logs why a file was refused: Open WebUI shows an admin no reason.
fn log_refusal<T>(result: Result<T, PipeError>) -> Result<T, HttpError> {
    result.map_err(|error| {
        tracing::warn!("A Python pipeline was refused: {error}.");
        HttpError::from(error).in_reason()
    })
}

/// The body of `DELETE /pipelines/delete`.
#[derive(Deserialize)]
pub struct Delete {
    id: String,
}

impl JsonBody for Delete {
    const LIMIT: usize = 64 << 10;
    const SHAPE: &'static Shape = &Shape::Object(&[("id", &Shape::Text)], &[("", "id")]);
}

/// `DELETE /pipelines/delete`.
pub async fn delete(
    state: web::Data<HostState>,
    body: Json<Delete>,
) -> Result<HttpResponse, HttpError> {
    let Json(Delete { id }) = body;
    if let Some(python) = &state.python
        && !python.is_compiled(&id)
    {
        log_refusal(python.delete(&id).await)?;
        let detail = format!("Pipeline {id} deleted successfully");
        return Ok(HttpResponse::Ok().json(json!({"status": true, "detail": detail})));
    }
    match state.registry.slot(&id) {
        Some(_) => Err(HttpError::new(
            StatusCode::CONFLICT,
            format!("`{id}` is compiled in and cannot be deleted"),
        )),
        None => Err(HttpError::new(StatusCode::NOT_FOUND, format!("Pipeline {id} not found"))),
    }
}

/// `POST /pipelines/reload`: reads `valves.toml`, what was saved, and Python files that have
/// changed again. A pipe whose files cannot be used keeps its valves.
pub async fn reload(state: web::Data<HostState>) -> Result<HttpResponse, HttpError> {
    if let Some(python) = &state.python {
        python.rescan().await?;
    }
    state.registry.reload().await?;
    Ok(HttpResponse::Ok().json(json!({"message": "Pipelines reloaded successfully."})))
}
