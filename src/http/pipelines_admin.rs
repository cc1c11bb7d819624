//! The admin routes of Open WebUI's Pipelines protocol. Pipes are compiled in, so they cannot be
//! added or deleted.

use super::{
    BodyLimit, Error, State,
    json::{Json, JsonBody},
    shape::Shape,
};
use actix_web::{HttpResponse, http::StatusCode, web};
use pipe_sdk::Serves;
use serde::Deserialize;
use serde_json::json;

/// `GET /pipelines`.
pub async fn list(state: web::Data<State>) -> HttpResponse {
    let slots = state.registry.slots();
    let data: Vec<_> = slots
        .iter()
        .map(|slot| {
            let kind = slot.serves().as_ref().map_or("pipe", Serves::kind);
            json!({"id": slot.id(), "name": slot.name(), "type": kind, "valves": true})
        })
        .collect();
    HttpResponse::Ok().json(json!({"data": data}))
}

/// `GET /pipelines/{id}/lessons`.
pub async fn learned_quirks(
    state: web::Data<State>,
    id: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let not_found = || Error::new(StatusCode::NOT_FOUND, format!("Pipeline {id} not found"));
    let slot = state.registry.slot(&id).ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().json(json!({"data": slot.learned_quirks()})))
}

const NO_PYTHON: &str = "Python pipelines cannot run here: pipewright's pipes are compiled in. Run the file on a Python Pipelines \
                         server and add that as a connection of its own, or write the pipe in Rust";

/// `POST /pipelines/add`. Nothing is fetched.
pub async fn add() -> Result<HttpResponse, Error> {
    Err(Error::new(StatusCode::NOT_IMPLEMENTED, NO_PYTHON))
}

/// `POST /pipelines/upload`. The file is read away, so that the client gets to see the answer, and
/// nothing is kept of it.
pub async fn upload(state: web::Data<State>, payload: web::Payload) -> Result<HttpResponse, Error> {
    let limit = BodyLimit { bytes: 1 << 20, pieces: None };
    state.bodies.read(payload.into_inner(), None, limit).await?;
    Err(Error::new(StatusCode::NOT_IMPLEMENTED, NO_PYTHON))
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
pub async fn delete(state: web::Data<State>, body: Json<Delete>) -> Result<HttpResponse, Error> {
    let Json(Delete { id }) = body;
    match state.registry.slot(&id) {
        Some(_) => Err(Error::new(
            StatusCode::NOT_IMPLEMENTED,
            format!("`{id}` is compiled in and cannot be deleted"),
        )),
        None => Err(Error::new(StatusCode::NOT_FOUND, format!("Pipeline {id} not found"))),
    }
}

/// `POST /pipelines/reload`: reads `valves.toml` and what was saved again. A pipe whose files
/// cannot be so stays as it is.
pub async fn reload(state: web::Data<State>) -> Result<HttpResponse, Error> {
    state.registry.reload().await?;
    Ok(HttpResponse::Ok().json(json!({"message": "Pipelines reloaded successfully."})))
}
