//! Valves as Open WebUI's admin page reads and turns them (`docs/reference/open-webui.md`, "Valves
//! form").

use super::{
    error::HttpError,
    json::{Json, JsonBody},
    shape::{OBJECT, Shape},
    state::HostState,
};
use crate::{slot::Slot, valves::Values};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use std::sync::Arc;

impl JsonBody for Values {
    const LIMIT: usize = 1 << 20;
    const SHAPE: &'static Shape = &OBJECT;
}

/// `GET /{id}/valves`.
pub async fn values(
    state: web::Data<HostState>,
    id: web::Path<String>,
) -> Result<HttpResponse, HttpError> {
    Ok(HttpResponse::Ok().json(slot(&state, &id)?.valves()))
}

/// `GET /{id}/valves/spec`. With `?advanced=true` it has all valves, even if the short form is set.
pub async fn spec(
    state: web::Data<HostState>,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let mut form = slot(&state, &id)?.form();
    state.valve_saves.annotate(&id, &mut form);
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let is_whole = query.any(|(name, value)| name == "advanced" && value == "true");
    let schema = if is_whole { form.into_whole() } else { form.into_short() };
    Ok(HttpResponse::Ok().json(schema))
}

/// `POST /{id}/valves/update`.
pub async fn update(
    state: web::Data<HostState>,
    id: web::Path<String>,
    posted: Json<Values>,
) -> Result<HttpResponse, HttpError> {
    let slot = slot(&state, &id)?;
    let updated = slot.update_valves(posted.0, state.registry.clone()).await;
    state.valve_saves.record(&id, updated.as_ref().err());
    if let Err(error) = &updated {
        // Open WebUI shows an admin no more than "Pipeline not found"
        // (`docs/reference/open-webui.md`, "Errors of filters and admin calls").
        tracing::warn!(pipe.id = %id, "Refused to change the valves of `{id}`: {error}.");
    }
    Ok(HttpResponse::Ok().json(updated.map_err(|error| HttpError::from(error).in_reason())?))
}

/// Returns the slot of a pipe, or 404.
fn slot(state: &HostState, id: &str) -> Result<Arc<dyn Slot>, HttpError> {
    let unknown = || HttpError::new(StatusCode::NOT_FOUND, format!("Pipeline {id} not found"));
    state.registry.slot(id).ok_or_else(unknown)
}
