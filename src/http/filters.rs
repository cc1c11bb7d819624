//! Inlets and outlets: Open WebUI calls them before and after every chat, for filters and for the
//! model's own pipe.

use super::{
    error::HttpError,
    identity,
    json::{Json, JsonBody, body_size},
    json_response,
    shape::{OBJECT, Shape},
    state::HostState,
};
use crate::{blocking, slot::Slot};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use pipe_sdk::{CallContext, ChatRef, FilterBody, FilterCall, Host, Serves};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The body of a request to a filter.
#[derive(Deserialize)]
pub struct FilterRequest {
    #[serde(default)]
    user: Value,
    body: FilterBody,
}

impl JsonBody for FilterRequest {
    // The whole chat goes through each filter, images and all.
    const LIMIT: usize = 64 << 20;
    const SHAPE: &'static Shape = &Shape::Object(&[("body", &OBJECT)], &[("", "body")]);
}

/// `POST /{id}/filter/inlet`.
pub async fn inlet(
    state: web::Data<HostState>,
    id: web::Path<String>,
    request: HttpRequest,
    body: Json<FilterRequest>,
) -> Result<HttpResponse, HttpError> {
    let slot = find_slot(&state, &id)?;
    let call = filter_call(&state, slot.id(), body);
    let caller = state.identify_sender(&request).caller;
    let is_long = blocking::is_long(body_size(&request));
    let filtered = blocking::run(caller, is_long, Arc::clone(&slot).inlet(call)).await;
    let mut filtered = filtered.map_err(|error| HttpError::from(error).in_reason())?;
    if !matches!(slot.serves(), Some(Serves::Filter { .. })) {
        // The chat call of our own models carries no metadata; another's model must not be sent
        // fields that it may refuse.
        identity::copy_chat_keys(&mut filtered.0);
    }
    // The chat as the filter left it is about as long as the request.
    Ok(json_response::respond(HttpResponse::Ok(), caller, body_size(&request), filtered).await?)
}

/// `POST /{id}/filter/outlet`.
pub async fn outlet(
    state: web::Data<HostState>,
    id: web::Path<String>,
    request: HttpRequest,
    body: Json<FilterRequest>,
) -> Result<HttpResponse, HttpError> {
    let slot = find_slot(&state, &id)?;
    let call = filter_call(&state, slot.id(), body);
    let caller = state.identify_sender(&request).caller;
    let is_long = blocking::is_long(body_size(&request));
    let filtered = blocking::run(caller, is_long, slot.outlet(call)).await;
    let filtered = filtered.map_err(|error| HttpError::from(error).in_reason())?;
    // The chat as the filter left it is about as long as the request.
    Ok(json_response::respond(HttpResponse::Ok(), caller, body_size(&request), filtered).await?)
}

/// Returns the call of a filter. Its user and chat are trusted: Open WebUI's server sent them with
/// the host's own key.
fn filter_call(state: &HostState, filter: &str, request: Json<FilterRequest>) -> FilterCall {
    let Json(FilterRequest { user, body }) = request;
    let user = identity::parse_user_field(user);
    let chat = ChatRef {
        chat_id: body.metadata("chat_id").map(str::to_owned),
        message_id: body.metadata("message_id").map(str::to_owned),
        session_id: body.metadata("session_id").map(str::to_owned),
        task: body.metadata("task").filter(|task| identity::is_task(task)).map(str::to_owned),
        response: None,
    };
    // A filter's own calls of models are part of a chat that is counted for itself.
    let context = CallContext::new(user, None, chat.task.as_deref()).child(filter);
    let user = context.user.clone();
    FilterCall { body, user, host: Host::new(state.registry.clone(), context, chat) }
}

fn find_slot(state: &HostState, id: &str) -> Result<Arc<dyn Slot>, HttpError> {
    let unknown = || HttpError::new(StatusCode::NOT_FOUND, format!("Filter {id} not found"));
    state.registry.resolve(id).map(|(slot, _)| slot).ok_or_else(unknown)
}
