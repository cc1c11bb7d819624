//! Inlets and outlets: Open WebUI asks before and after every chat, of filters and of the model's own pipe.

use super::{
    Error, State, identity,
    json::{Json, JsonBody},
};
use crate::slot::Slot;
use actix_web::{HttpResponse, http::StatusCode, web};
use pipe_sdk::{FilterBody, Serves};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// A filter call.
#[derive(Deserialize)]
pub struct FilterCall {
    #[serde(default)]
    user: Value,
    body: FilterBody,
}

impl JsonBody for FilterCall {
    // The whole chat goes through each filter, images and all.
    const LIMIT: usize = 64 << 20;
}

/// `POST /{id}/filter/inlet`.
pub async fn inlet(
    state: web::Data<State>,
    id: web::Path<String>,
    call: Json<FilterCall>,
) -> Result<HttpResponse, Error> {
    let Json(FilterCall { user, body }) = call;
    let slot = slot(&state, &id)?;
    let body = slot.inlet(body, identity::user(user)).await;
    let mut body = body.map_err(|error| Error::from(error).in_reason())?;
    if !matches!(slot.serves(), Some(Serves::Filter { .. })) {
        // The chat call of our own models carries no metadata; another's model must not be sent fields that it may refuse.
        identity::keep(&mut body.0);
    }
    Ok(HttpResponse::Ok().json(body))
}

/// `POST /{id}/filter/outlet`.
pub async fn outlet(
    state: web::Data<State>,
    id: web::Path<String>,
    call: Json<FilterCall>,
) -> Result<HttpResponse, Error> {
    let Json(FilterCall { user, body }) = call;
    let body = slot(&state, &id)?.outlet(body, identity::user(user)).await;
    Ok(HttpResponse::Ok().json(body.map_err(|error| Error::from(error).in_reason())?))
}

fn slot<'a>(state: &'a State, id: &str) -> Result<&'a Arc<dyn Slot>, Error> {
    let unknown = || Error::new(StatusCode::NOT_FOUND, format!("Filter {id} not found"));
    state.registry.resolve(id).map(|(slot, _)| slot).ok_or_else(unknown)
}
